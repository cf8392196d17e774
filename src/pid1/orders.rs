//! What the kernel's command line asks for: words that begin with `minirunc.`, which the kernel leaves alone for their dot.

use core::ffi::CStr;

use rustix::fs::CWD;
use rustix::system::RebootCommand;

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::sys::{fd, memory};
use crate::text::shown;

/// What there is to do without a bundle.
pub const SHELL: &CStr = c"/bin/sh";

/// Largest /proc/cmdline (COMMAND_LINE_SIZE of any architecture).
const SIZE: usize = 4096;

/// Whether a bundle that has ended is started again: `minirunc.restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Never,
    Always,
    OnFailure,
}

/// What a word sets.
enum Order {
    Restart(Restart),
    /// What comes after the last bundle.
    After(Option<RebootCommand>),
}

const WORDS: [(&str, Order); 7] = [
    ("restart=never", Order::Restart(Restart::Never)),
    ("restart=always", Order::Restart(Restart::Always)),
    ("restart=on-failure", Order::Restart(Restart::OnFailure)),
    ("after=poweroff", Order::After(Some(RebootCommand::PowerOff))),
    ("after=reboot", Order::After(Some(RebootCommand::Restart))),
    ("after=halt", Order::After(Some(RebootCommand::Halt))),
    ("after=wait", Order::After(None)),
];

/// What was asked for.
pub struct Orders {
    /// `minirunc.bundle=`, in their order.
    pub bundles: heapless::Vec<&'static CStr, { limits::BUNDLES }>,
    /// Never, unless it is said: a container that crashes does not end the machine, nor keep it busy.
    pub restart: Restart,
    /// None, unless it is said.
    pub after: Option<RebootCommand>,
}

impl Orders {
    /// Reads /proc/cmdline. What makes no sense is told and passed over.
    pub fn read(tell: &mut dyn FnMut(&Error)) -> Self {
        let mut orders = Self { bundles: heapless::Vec::new(), restart: Restart::Never, after: None };
        match text() {
            Ok(text) => orders.take(text, tell),
            Err(error) => tell(&error),
        }
        orders
    }

    /// `text`: words, each with a NUL behind it.
    fn take(&mut self, text: &'static [u8], tell: &mut dyn FnMut(&Error)) {
        for word in text.split_inclusive(|&byte| byte == 0) {
            let asked = word.strip_prefix(b"minirunc.").and_then(|word| CStr::from_bytes_with_nul(word).ok());
            if asked.is_some_and(|word| self.order(word).is_none()) {
                let word = word.strip_suffix(b"\0").unwrap_or(word);
                let reason = format_args!("{}: not understood", crate::text::Bytes(word));
                tell(&Error::refused("/proc/cmdline", reason));
            }
        }
    }

    /// One word. None: it makes no sense.
    fn order(&mut self, word: &'static CStr) -> Option<()> {
        if let Some(path) = word.to_bytes_with_nul().strip_prefix(b"bundle=") {
            let path = CStr::from_bytes_with_nul(path).ok().filter(|_| path.starts_with(b"/"))?;
            return self.bundles.push(path).ok();
        }
        match WORDS.iter().find(|(known, _)| known.as_bytes() == word.to_bytes())?.1 {
            Order::Restart(restart) => self.restart = restart,
            Order::After(after) => self.after = after,
        }
        Some(())
    }
}

/// /proc/cmdline, with NULs for blanks.
fn text() -> Result<&'static [u8]> {
    let path = c"/proc/cmdline";
    let memory = memory::anonymous(SIZE).context("mmap", shown(path))?;
    let len = fd::read_at(CWD, path, memory).context("read", shown(path))?.len();
    for byte in memory.iter_mut().filter(|byte| byte.is_ascii_whitespace()) {
        *byte = 0;
    }
    Ok(memory.get(..len).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn taken(text: &'static [u8]) -> (Orders, Vec<String>) {
        let mut orders = Orders { bundles: heapless::Vec::new(), restart: Restart::Never, after: None };
        let mut told = Vec::new();
        orders.take(text, &mut |error| told.push(error.to_string()));
        (orders, told)
    }

    #[test]
    fn words_of_ours_are_taken_in_their_order_and_others_left_alone() {
        let (orders, told) = taken(
            b"quiet\0minirunc.bundle=/a=b\0\0minirunc.restart=on-failure\0x.minirunc.bundle=/x\0minirunc.bundle=/c\0minirunc.after=halt\0",
        );
        assert_eq!(orders.bundles, [c"/a=b", c"/c"]);
        assert_eq!((orders.restart, orders.after), (Restart::OnFailure, Some(RebootCommand::Halt)));
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for word in [
            &b"minirunc.bundle=relative\0"[..],
            b"minirunc.bundle\0",
            b"minirunc.restart=sometimes\0",
            b"minirunc.after=\0",
            b"minirunc.nothing=1\0",
        ] {
            let (orders, told) = taken(word);
            let word = core::str::from_utf8(&word[..word.len() - 1]).unwrap();
            assert_eq!(told, [std::format!("/proc/cmdline: {word}: not understood")]);
            assert!(orders.bundles.is_empty());
        }
    }

    #[test]
    fn without_a_word_nothing_ends_the_machine_and_nothing_starts_again() {
        let (orders, _) = taken(b"console=ttyS0\0");
        assert_eq!((orders.restart, orders.after), (Restart::Never, None));
    }
}
