//! A failure as it crosses the socketpair: what was tried, on what, and the kernel's answer.
//!
//! Bounded and clipped: an error must not fail. The runtime turns it into its own.

mod slot;

use core::ffi::CStr;
use core::fmt;

use crate::attr;
use crate::raw::Errno;
use slot::Slot;

/// Longest operation: a system call's name or a step's, and a hook's JSON path.
pub const OP: usize = 64;
/// Longest subject: a path as one would read it.
pub const SUBJECT: usize = 512;

/// What was tried, on what, and what the kernel answered (no errno: a refusal of our own).
///
/// The words are half a kilobyte, and most functions can fail: they stay where they were written ([`slot`]),
/// and what is returned is one byte that owns them.
pub struct Error(Slot);

struct Words {
    op: Text<OP>,
    subject: Text<SUBJECT>,
    errno: Option<Errno>,
}

impl Words {
    const EMPTY: Self = Self { op: Text::EMPTY, subject: Text::EMPTY, errno: None };

    fn clear(&mut self) {
        (self.op.len, self.subject.len, self.errno) = (0, 0, None);
    }
}

impl Error {
    /// A failed system call `op` on `subject`.
    #[cold]
    pub fn system(op: &str, subject: &[u8], errno: Errno) -> Self {
        Self::received(op.as_bytes(), subject, Some(errno))
    }

    /// A refusal of our own: `op: reason`.
    #[cold]
    pub fn refused(op: &str, reason: &[u8]) -> Self {
        Self::received(op.as_bytes(), reason, None)
    }

    /// The three values as they came out of a message.
    #[cold]
    #[inline(never)]
    pub fn received(op: &[u8], subject: &[u8], errno: Option<Errno>) -> Self {
        let mut error = Self(Slot::take());
        if let Some(words) = error.0.words() {
            words.op.push(op);
            words.subject.push(subject);
            words.errno = errno;
        }
        error
    }

    /// What was tried.
    pub fn op(&self) -> &str {
        if self.0.op.len == 0 { "too many errors at once" } else { self.0.op.as_str() }
    }

    /// What it was tried on, or why it was refused.
    pub fn subject(&self) -> &str {
        self.0.subject.as_str()
    }

    /// What the kernel answered, if it was asked.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }
}

/// Appends to the subject.
impl fmt::Write for Error {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(words) = self.0.words() {
            words.subject.push(text.as_bytes());
        }
        Ok(())
    }
}

impl Clone for Error {
    fn clone(&self) -> Self {
        Self::received(self.op().as_bytes(), self.subject().as_bytes(), self.errno())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {:?}", self.op(), self.subject(), self.errno())
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.op(), self.subject(), self.errno()) == (other.op(), other.subject(), other.errno())
    }
}

impl Eq for Error {}

impl From<attr::Error> for Error {
    #[cold]
    fn from(error: attr::Error) -> Self {
        let fault = match error.fault {
            attr::Fault::TooLong => "longer than netlink allows",
            attr::Fault::NoSpace => "longer than its buffer",
            attr::Fault::Truncated => "truncated",
            attr::Fault::Size => "not the size of its type",
            attr::Fault::Text => "not a string",
            attr::Fault::Unknown => "unknown",
            attr::Fault::Missing => "missing",
            attr::Fault::Value => "out of range",
        };
        let number = Decimal::of(error.kind.into());
        let mut error = Self::refused("message", b"attribute ");
        if let Some(words) = error.0.words() {
            for part in [number.as_bytes(), b": ", fault.as_bytes()] {
                words.subject.push(part);
            }
        }
        error
    }
}

/// Gives an errno the operation and subject that it lacks.
pub(crate) trait Context<T> {
    fn context(self, op: &str, subject: &[u8]) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn context(self, op: &str, subject: &[u8]) -> Result<T, Error> {
        self.map_err(|errno| Error::system(op, subject, errno))
    }
}

/// At most `N` bytes of text; what does not fit is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// The parts, one after the other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut text = Self::EMPTY;
        for part in parts {
            text.push(part);
        }
        text
    }

    /// Appends what fits. Where it is no UTF-8, or has a NUL that would end the string in a message, a `?`
    /// stands.
    fn push(&mut self, part: &[u8]) {
        let ascii_only = core::str::from_utf8(part).is_err();
        let Some(free) = self.bytes.get_mut(self.len..) else { return };
        for (place, &byte) in free.iter_mut().zip(part) {
            *place = if byte == 0 || (ascii_only && !byte.is_ascii()) { b'?' } else { byte };
            self.len += 1;
        }
    }

    /// The text with a NUL, if there was room for one.
    pub fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }

    /// The text; a character that the clipping cut in two is left out.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => bytes
                .get(..error.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or(""),
        }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A number in decimal, with a NUL behind it.
pub struct Decimal {
    digits: [u8; 21],
    start: usize,
}

impl Decimal {
    /// The digits of `value`.
    pub fn of(mut value: u64) -> Self {
        let mut digits = [0; 21];
        let mut start = digits.len() - 1;
        for place in digits.iter_mut().rev().skip(1) {
            *place = b'0' + (value % 10) as u8;
            start -= 1;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    /// The digits alone.
    pub fn as_bytes(&self) -> &[u8] {
        self.with_nul().split_last().map_or(&[], |(_, digits)| digits)
    }

    /// The digits and a NUL.
    pub fn with_nul(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_from_zero_to_the_largest() {
        for value in [0, 7, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(Decimal::of(value).as_bytes(), std::format!("{value}").as_bytes());
        }
        assert_eq!(Decimal::of(42).with_nul(), b"42\0");
    }

    #[test]
    fn an_overlong_text_is_clipped_at_a_character() {
        let text: Text<5> = Text::of(&["éé".as_bytes(), "é".as_bytes()]);
        assert_eq!(text.as_str(), "éé");
    }

    #[test]
    fn bytes_that_are_no_text_become_question_marks() {
        let text: Text<8> = Text::of(&[b"/a\xff\0b"]);
        assert_eq!(text.as_str(), "/a??b");
    }
}
