//! Runs without a bundle: what the command line says, written in the minirunc form.

use core::ffi::CStr;
use core::fmt::{Display, Write};

use super::lex::{Item, Parser, usage};
use crate::error::{Context, Error, Result};
use crate::plan::names;
use crate::sys::arguments::Strings;
use crate::text::{self, Into, shown};
use crate::wire::json::Quoted;
use crate::{form, limits, sys};

macro_rules! of_bare {
    () => {
        "\
        rootfs DIR: no bundle, but this root; then the operands are a command, by default /bin/sh\n\
        image DIR[:DIR...]: the same with layers, topmost first; what is written goes with the container\n\
        hostname NAME: its host name\n\
        env K=V: one more variable\n\
        cwd DIR: where it starts\n\
        user UID[:GID]: as whom\n\
        memory BYTES: at most so much, such as 10m\n\
        cpus N: at most so much of processors, such as 0.2\n\
        pids N: at most so many processes\n\
        read-only: the root cannot be written\n\
        mount SRC:DST[:OPTS]: what of the host it sees, with options such as ro\n\
        cap NAME: one more capability\n\
        net MODE: none, host, bridge[,name=B][,address=A/N][,gateway=G] or path=FILE\n\
        userns: in a user namespace, as an ordinary user's always is\n\
        tty,t: with a terminal\n"
    };
}
pub(super) use of_bare;

/// The form. `<how name>` is a hole for what the flag of this name says.
static TEXT: &[&str] = &[
    r#"{"rootfs":<"rootfs>,"image":<"image>,"hostname":<"hostname>,"working_dir":<"cwd>,"user":<"user>,"#,
    r#""network":<"net>,"read_only":<?read-only>,"userns":<?userns>,"terminal":<?tty>,"#,
    r#""resources":{"memory":<mmemory>,"cpu":<ccpus>,"pids":<ppids>},"#,
    r#""env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"<ttty><,env>],"#,
    r#""capabilities":["#,
    form::CAPABILITIES,
    r#"<+cap>],"mounts":[<:mount>],"cmd":[<$>]}"#,
];

/// What the flags say, in the minirunc form. `flags` are those of the command, `command` is what follows them.
#[cold]
pub fn form(arguments: Strings, flags: &'static str, command: Strings) -> Result<&'static [u8]> {
    let out = Into::new(sys::memory::anonymous(limits::CONFIG).context("mmap", "command line")?);
    let mut form = Form { out, full: false, arguments, flags, command };
    TEXT.iter().try_for_each(|text| {
        text::holes(text, &mut |is_hole, part| match is_hole {
            true => form.hole(part),
            false => {
                form.write(&part);
                Ok(())
            }
        })
    })?;
    if form.full { Err(Error::refused("command line", "too long")) } else { Ok(form.out.finish()) }
}

struct Form {
    out: Into<'static>,
    full: bool,
    arguments: Strings,
    flags: &'static str,
    command: Strings,
}

impl Form {
    fn write(&mut self, what: &dyn Display) {
        self.full |= write!(self.out, "{what}").is_err();
    }

    /// A string after something. JSON has no other bytes than UTF-8.
    fn string(&mut self, before: &str, text: &[u8]) -> Result<()> {
        if core::str::from_utf8(text).is_err() {
            return Err(usage(format_args!("\"{}\" is not UTF-8", text::Bytes(text))));
        }
        self.write(&format_args!("{before}{}", Quoted(text)));
        Ok(())
    }

    fn hole(&mut self, hole: &'static str) -> Result<()> {
        let (how, name) = hole.split_at(1);
        let (mut last, mut on, mut before) = (None, false, "");
        let mut parser = Parser::new(self.arguments, self.flags).flags_first();
        while let Some(item) = parser.advance()? {
            match item {
                Item::Switch(it, is) if it == name => on = is,
                Item::Flag(it, value) if it == name => {
                    last = Some(value);
                    match how {
                        "," => self.string(",", value.to_bytes())?,
                        "+" => self.capability(value)?,
                        ":" => self.mount(core::mem::replace(&mut before, ","), value)?,
                        _ => {}
                    }
                }
                Item::Operand(_) => break,
                _ => {}
            }
        }
        match (how, last) {
            ("?", _) => self.write(&on),
            ("t", _) if on => self.write(&r#","TERM=xterm""#),
            ("$", _) => return self.command(),
            ("\"", Some(text)) => return self.string("", text.to_bytes()),
            ("m", Some(text)) => self.limit(name, text, text::bytes(text), r#"{"limit":"#)?,
            ("p", Some(text)) => self.limit(name, text, text::integer(text), r#"{"limit":"#)?,
            ("c", Some(text)) => self.limit(name, text, quota(text), r#"{"period":100000,"quota":"#)?,
            ("\"" | "m" | "p" | "c", None) => self.write(&"null"),
            _ => {}
        }
        Ok(())
    }

    fn limit(&mut self, name: &str, text: &CStr, number: Option<i64>, before: &str) -> Result<()> {
        let number =
            number.ok_or_else(|| usage(format_args!("invalid value \"{}\" for -{name}", shown(text))))?;
        self.write(&format_args!("{before}{number}}}"));
        Ok(())
    }

    /// With or without its `CAP_`.
    fn capability(&mut self, text: &CStr) -> Result<()> {
        let name = text.to_bytes();
        let bare = |known: &str| known.get("CAP_".len()..).is_some_and(|known| known.as_bytes() == name);
        let known = names::CAPABILITIES.iter().find(|(known, _)| known.as_bytes() == name || bare(known));
        let (known, _) =
            known.ok_or_else(|| usage(format_args!("unknown capability \"{}\"", shown(text))))?;
        self.string(",", known.as_bytes())
    }

    /// `SRC:DST[:OPTION,...]`.
    fn mount(&mut self, before: &str, text: &CStr) -> Result<()> {
        let mut parts = text.to_bytes().split(|&byte| byte == b':');
        let (Some(source), Some(destination), options, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(usage(format_args!(
                "--mount: expected SRC:DST[:OPTION,...], not \"{}\"",
                shown(text)
            )));
        };
        self.write(&format_args!(r#"{before}{{"type":"bind","source":"#));
        self.string("", source)?;
        self.string(r#","destination":"#, destination)?;
        self.write(&r#","options":["rbind""#);
        for option in options.unwrap_or(b"").split(|&byte| byte == b',') {
            self.string(",", option)?;
        }
        self.write(&"]}");
        Ok(())
    }

    fn command(&mut self) -> Result<()> {
        let mut before = "";
        for argument in self.command {
            self.string(before, argument.to_bytes())?;
            before = ",";
        }
        if before.is_empty() { self.string("", b"/bin/sh") } else { Ok(()) }
    }
}

/// So many processors (`0.2`) as µs of a period of 100,000.
fn quota(text: &CStr) -> Option<i64> {
    let text = text.to_str().ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut quota = whole.parse::<u32>().ok()?.into();
    let mut digits = part.bytes();
    for _ in 0..5 {
        let digit = digits.next().unwrap_or(b'0');
        quota = quota * 10 + i64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
    }
    if part.bytes().all(|byte| byte.is_ascii_digit()) { Some(quota) } else { None }
}

#[cfg(test)]
mod tests {
    #[test]
    fn processors_are_decimal_fractions() {
        for (text, quota) in
            [(c"1", 100_000), (c"0.2", 20_000), (c"1.25", 125_000), (c"0.000019", 1), (c"2.", 200_000)]
        {
            assert_eq!(super::quota(text), Some(quota), "{text:?}");
        }
        for text in [c"", c".5", c"-1", c"1,5", c"0.x", c"0.1234567x", c"1e3", c"99999999999"] {
            assert_eq!(super::quota(text), None, "{text:?}");
        }
    }
}
