//! What went wrong: an operation, its subject, and the kernel's word for it.
//!
//! One sentence per failure, `op subject: ERRNO (text)` or `op: subject` where no system call was
//! involved, made where the failure is understood and printed once, at the top. It crosses the
//! socketpair from child and init to the runtime as the same three values.

use core::fmt::{self, Write};

pub use rustix::io::Errno;

/// The result of everything that can fail with a sentence.
pub type Result<T> = core::result::Result<T, Error>;

/// A failure, told by what was tried, on what, and what the kernel answered: one byte that owns the words,
/// of the same store as those of nsenter.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(nsenter::Error);

impl Error {
    /// A failed system call `op` on `subject`.
    #[cold]
    pub fn system(op: &str, subject: impl fmt::Display, errno: Errno) -> Self {
        Self::build(op, format_args!("{subject}"), Some(errno))
    }

    /// A refusal of our own: `op: reason`.
    #[cold]
    pub fn refused(op: &str, reason: impl fmt::Display) -> Self {
        Self::build(op, format_args!("{reason}"), None)
    }

    /// The same three values as they came out of a message.
    #[cold]
    pub fn received(op: &str, subject: &str, errno: Option<Errno>) -> Self {
        Self::build(op, format_args!("{subject}"), errno)
    }

    /// The same failure seen from further out: `outer: op subject`, errno kept.
    #[cold]
    pub fn within(self, outer: &str) -> Self {
        // Keep `outer: op subject: ERRNO` readable: the colon belongs to the operation.
        let (colon, space) = if self.errno().is_some() { (":", " ") } else { ("", ": ") };
        let outer = crate::text::short(format_args!("{outer}{colon}"));
        Self::build(&outer, format_args!("{}{space}{}", self.op(), self.subject()), self.errno())
    }

    fn build(op: &str, subject: fmt::Arguments<'_>, errno: Option<Errno>) -> Self {
        let errno = errno.map(|errno| nsenter::Errno(errno.raw_os_error()));
        let mut error = nsenter::Error::received(op.as_bytes(), b"", errno);
        let _ = error.write_fmt(subject);
        Self(error)
    }

    /// What was tried: a system call's name or a step's.
    pub fn op(&self) -> &str {
        self.0.op()
    }

    /// What it was tried on, or why it was refused.
    pub fn subject(&self) -> &str {
        self.0.subject()
    }

    /// What the kernel answered, if it was asked.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno().map(|errno| Errno::from_raw_os_error(errno.0))
    }
}

impl From<nsenter::Error> for Error {
    fn from(error: nsenter::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, subject) = (self.op(), self.subject());
        match self.errno() {
            None => write!(f, "{op}: {subject}"),
            Some(errno) => {
                f.write_str(op)?;
                if !subject.is_empty() {
                    write!(f, " {subject}")?;
                }
                // In the words of who starts programs, which those who read our errors look for.
                if op == "exec" || subject.starts_with("exec ") {
                    write!(f, ": {:#}", crate::text::Errno(errno))
                } else {
                    write!(f, ": {}", crate::text::Errno(errno))
                }
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The operation of what is no failure, but a step that `--debug` tells: to those who pass warnings on, it is one.
pub const STEP: &str = "step";

/// Gives an errno the operation and subject that it lacks.
pub trait Context<T> {
    /// `op subject: errno`.
    fn context(self, op: &str, subject: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for core::result::Result<T, Errno> {
    // What is out of line is the failure: a call for it here would carry every value there and back.
    #[inline(always)]
    fn context(self, op: &str, subject: impl fmt::Display) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(errno) => Err(Error::system(op, subject, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_system_error_names_call_subject_and_errno() {
        let error = Error::system("mount_setattr", "/proc", Errno::INVAL);
        assert_eq!(error.to_string(), "mount_setattr /proc: EINVAL (invalid argument)");
    }

    #[test]
    fn a_refusal_has_no_errno() {
        let error = Error::refused("config.json", "process.cwd: must be absolute");
        assert_eq!(error.to_string(), "config.json: process.cwd: must be absolute");
    }

    #[test]
    fn context_from_further_out_comes_first() {
        let error = Error::system("openat2", "/x", Errno::NOENT).within("hooks.prestart[0]");
        assert_eq!(error.to_string(), "hooks.prestart[0]: openat2 /x: ENOENT (no such file or directory)");
        let error = Error::refused("timeout", "2 s").within("hooks.prestart[0]");
        assert_eq!(error.to_string(), "hooks.prestart[0]: timeout: 2 s");
    }

    #[test]
    fn an_overlong_subject_is_clipped_at_a_character() {
        let long = "é".repeat(512);
        let error = Error::refused("x", long);
        assert!(error.subject().len() <= 512);
        assert!(error.subject().chars().all(|c| c == 'é'));
    }
}
