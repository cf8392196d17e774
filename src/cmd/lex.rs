//! Arguments into flags and operands, as Go's flag package reads them.
//!
//! [`token`] is the shape of one argument, the same as clap_lex sees it (the oracle in the tests).
//! [`Parser`] is the callers' grammar on top: `--f v`, `--f=v`, `-f v`, `-long v`, `--bool=false`,
//! repeated flags (the command takes the last), `--` ends the flags.

use core::ffi::CStr;

use crate::error::{Error, Result};
use crate::sys::arguments::Strings;
use crate::text;

/// The shape of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `--`.
    Escape,
    /// `-`.
    Stdio,
    /// `--name` or `--name=value`.
    Long(&'a [u8], Option<&'a CStr>),
    /// What stands behind a single dash.
    Short(&'a CStr),
    /// Anything else.
    Value(&'a CStr),
}

/// The shape of `argument`.
pub fn token(argument: &CStr) -> Token<'_> {
    let tail = |bytes| CStr::from_bytes_with_nul(bytes).unwrap_or(c"");
    match argument.to_bytes_with_nul() {
        b"-\0" => Token::Stdio,
        b"--\0" => Token::Escape,
        [b'-', b'-', rest @ ..] => {
            let (name, value) = split(tail(rest));
            Token::Long(name, value)
        }
        [b'-', rest @ ..] => Token::Short(tail(rest)),
        _ => Token::Value(argument),
    }
}

/// `name=value` in its parts.
pub fn split(text: &CStr) -> (&[u8], Option<&CStr>) {
    let bytes = text.to_bytes_with_nul();
    let Some(at) = bytes.iter().position(|&byte| byte == b'=') else {
        return (text.to_bytes(), None);
    };
    let (name, rest) = bytes.split_at(at);
    (name, rest.get(1..).and_then(|value| CStr::from_bytes_with_nul(value).ok()))
}

/// A flag that a command knows.
pub struct Flag {
    /// Its name, given as `--name` or `-name`.
    pub name: &'static str,
    /// Its one-letter alias, if it has one.
    pub letter: Option<&'static str>,
    /// What its value is called in the help; none: it is a switch.
    pub value: Option<&'static str>,
    /// One line for the help.
    pub help: &'static str,
}

/// The flags of a command, one a line: `name[,letter][ VALUE]: help`. (As a table of [`Flag`] they would be four
/// times the size.)
pub fn flags(text: &'static str) -> impl Iterator<Item = Flag> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let (line, behind) = cut(rest, b'\n');
        rest = behind?;
        Some(flag(line))
    })
}

fn flag(line: &'static str) -> Flag {
    let (mut names, help) = cut(line, b' ');
    let mut help = help.unwrap_or("");
    let mut value = None;
    match names.strip_suffix(':') {
        Some(alone) => names = alone,
        None => {
            let (shape, behind) = cut(help, b' ');
            value = shape.strip_suffix(':');
            help = behind.unwrap_or("");
        }
    }
    let (name, letter) = cut(names, b',');
    Flag { name, letter, value, help }
}

/// What is before and what behind the first `separator`.
#[inline(never)]
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == separator) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..)),
        None => (text, None),
    }
}

/// What the parser found next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// A switch, by its full name, on or off.
    Switch(&'static str, bool),
    /// A flag with a value, by its full name.
    Flag(&'static str, &'static CStr),
    /// An operand.
    Operand(&'static CStr),
}

/// Walks over the arguments of one command.
pub struct Parser {
    arguments: Strings,
    flags: &'static str,
    /// From the first operand on, everything is an operand (exec, kill, ps: the rest is not ours).
    stop: bool,
    ended: bool,
}

impl Parser {
    /// Flags may stand behind operands too.
    pub fn new(arguments: Strings, flags: &'static str) -> Self {
        Self { arguments, flags, stop: false, ended: false }
    }

    /// The same for who has operands that may look like flags (exec, ps): the first operand ends the flags.
    pub fn flags_first(mut self) -> Self {
        self.stop = true;
        self
    }

    /// What has not been read yet, to be read again.
    pub fn ahead(&self) -> Strings {
        self.arguments
    }

    /// What has not been read.
    pub fn rest(self) -> Strings {
        self.arguments
    }

    /// The next flag or operand.
    pub fn advance(&mut self) -> Result<Option<Item>> {
        let Some(argument) = self.arguments.next() else {
            return Ok(None);
        };
        if self.ended {
            return Ok(Some(Item::Operand(argument)));
        }
        match token(argument) {
            Token::Escape => {
                self.ended = true;
                self.advance()
            }
            Token::Stdio | Token::Value(_) => {
                self.ended = self.stop;
                Ok(Some(Item::Operand(argument)))
            }
            Token::Long(name, value) => self.flag(name, value).map(Some),
            Token::Short(text) => {
                let (name, value) = split(text);
                self.flag(name, value).map(Some)
            }
        }
    }

    fn flag(&mut self, name: &[u8], value: Option<&'static CStr>) -> Result<Item> {
        let known = |flag: &Flag| {
            flag.name.as_bytes() == name || flag.letter.is_some_and(|letter| letter.as_bytes() == name)
        };
        let Some(flag) = flags(self.flags).find(known) else {
            if matches!(name, b"help" | b"h") {
                return Err(Error::refused(HELP, ""));
            }
            return Err(usage(format_args!("flag provided but not defined: -{}", text::Bytes(name))));
        };
        if flag.value.is_none() {
            return boolean(value).map(|on| Item::Switch(flag.name, on)).ok_or_else(|| {
                let value = text::shown(value.unwrap_or(c""));
                usage(format_args!("invalid boolean value \"{value}\" for -{}", flag.name))
            });
        }
        match value.or_else(|| self.arguments.next()) {
            Some(value) => Ok(Item::Flag(flag.name, value)),
            None => Err(usage(format_args!("no value given for -{}", flag.name))),
        }
    }
}

/// A switch's value as Go's strconv.ParseBool reads it; without one it is on.
pub fn boolean(value: Option<&CStr>) -> Option<bool> {
    let Some(value) = value else {
        return Some(true);
    };
    match value.to_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

/// The operation of a usage error: the report prints "Incorrect Usage." on standard output for it.
pub const USAGE: &str = "usage";

/// The operation of what is no error: every command knows `--help`, but none has it among its flags.
pub const HELP: &str = "help";

/// A command line that makes no sense.
#[cold]
pub fn usage(reason: impl core::fmt::Display) -> Error {
    Error::refused(USAGE, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::vec::Vec;

    const FLAGS: &str = "\
    bundle,b DIR: x\n\
    detach,d: x\n\
    no-subreaper: x\n";

    #[allow(unsafe_code)]
    fn strings(arguments: &[&str]) -> Strings {
        let mut pointers: Vec<_> =
            arguments.iter().map(|text| CString::new(*text).unwrap().into_raw().cast_const()).collect();
        pointers.push(core::ptr::null());
        // SAFETY: null-terminated, and leaked on purpose.
        unsafe { Strings::new(pointers.leak().as_ptr()) }
    }

    fn parse(arguments: &[&str], stop: bool) -> Result<Vec<Item>> {
        let mut parser = Parser::new(strings(arguments), FLAGS);
        if stop {
            parser = parser.flags_first();
        }
        let mut items = Vec::new();
        while let Some(item) = parser.advance()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn every_spelling_of_a_flag_is_the_same_flag() {
        let want = Ok(std::vec![Item::Flag("bundle", c"x")]);
        for spelling in
            [&["--bundle", "x"][..], &["--bundle=x"], &["-bundle", "x"], &["-b", "x"], &["-b=x"], &["--b=x"]]
        {
            assert_eq!(parse(spelling, false), want, "{spelling:?}");
        }
        assert_eq!(parse(&["-no-subreaper"], false), Ok(std::vec![Item::Switch("no-subreaper", true)]));
        assert_eq!(parse(&["--detach=false"], false), Ok(std::vec![Item::Switch("detach", false)]));
    }

    #[test]
    fn every_line_of_flags_says_what_it_is_for() {
        let all = super::super::COMMANDS.iter().map(|command| command.flags).chain([super::super::FLAGS]);
        for flag in all.flat_map(flags) {
            assert!(
                !flag.name.contains([' ', ':']) && flag.name.len() > 1 && !flag.help.is_empty(),
                "{}",
                flag.name
            );
            assert!(
                flag.letter.is_none_or(|letter| letter.len() == 1) && flag.value != Some(""),
                "{}",
                flag.name
            );
        }
    }

    #[test]
    fn flags_end_at_the_escape_and_where_told_at_the_first_operand() {
        let operands = |texts: &[&'static CStr]| texts.iter().map(|&text| Item::Operand(text)).collect();
        assert_eq!(parse(&["--", "-d"], false), Ok(operands(&[c"-d"])));
        assert_eq!(parse(&["id", "-d"], true), Ok(operands(&[c"id", c"-d"])));
        assert_eq!(parse(&["id", "-d"], false).unwrap()[1], Item::Switch("detach", true));
    }

    #[test]
    fn help_is_asked_for_before_the_operands_only() {
        for asks in [&["--help"][..], &["-h"], &["-d", "-help", "id"]] {
            assert_eq!(parse(asks, true).unwrap_err().op(), HELP, "{asks:?}");
        }
        assert!(parse(&["id", "sh", "-c", "ls --help", "-h"], true).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse(&["--nope"], false).unwrap_err().subject(), "flag provided but not defined: -nope");
        assert_eq!(parse(&["--bundle"], false).unwrap_err().subject(), "no value given for -bundle");
        assert_eq!(
            parse(&["--detach=maybe"], false).unwrap_err().subject(),
            "invalid boolean value \"maybe\" for -detach"
        );
    }

    /// clap_lex sees the same shape in the same argument.
    #[test]
    fn tokens_are_those_of_clap_lex() {
        let pieces = ["", "-", "--", "=", "a", "b=c", "é", " "];
        let mut arguments = Vec::new();
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    arguments.push(std::format!("{a}{b}{c}"));
                }
            }
        }
        for argument in arguments {
            let text = CString::new(argument.clone()).unwrap();
            let raw = clap_lex::RawArgs::new([argument.clone()]);
            let mut cursor = raw.cursor();
            let oracle = raw.next(&mut cursor).unwrap();
            let same = match token(&text) {
                Token::Escape => oracle.is_escape(),
                Token::Stdio => oracle.is_stdio(),
                Token::Long(name, value) => oracle.to_long().is_some_and(|(a, b)| {
                    a.unwrap().as_bytes() == name
                        && b.map(|b| b.to_str().unwrap()) == value.map(|v| v.to_str().unwrap())
                }),
                Token::Short(rest) => oracle.to_short().is_some_and(|mut shorts| {
                    shorts.next_value_os().unwrap().to_str().unwrap() == rest.to_str().unwrap()
                }),
                Token::Value(_) => {
                    !oracle.is_escape() && !oracle.is_stdio() && !oracle.is_long() && !oracle.is_short()
                }
            };
            assert!(same, "{argument:?} is {:?}", token(&text));
        }
    }
}
