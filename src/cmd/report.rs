//! The one place where a failure is told: on standard error, and as one record in the log.
//!
//! The forms of the log are logrus's, since containerd and podman read them: containerd takes the last record of
//! level `error`, podman takes the whole file for one JSON object. So a failure is exactly one record.

use core::fmt::Write;

use rustix::fs::{CWD, Mode, OFlags};

use super::lex::USAGE;
use super::{Globals, NAME, output};
use crate::error::{Errno, Error};
use crate::sys::stdio::stderr;
use crate::wire::json::{Quoted, Writer};
use crate::wire::time::Moment;

/// A record with its frame: an error is at most 700 bytes, and JSON may write six for one.
type Line = heapless::String<5120>;

/// Tells a failure. The status to exit with: 127 and 126 are a shell's for a program that is not there, or that
/// cannot be run; all else is 1.
#[cold]
#[inline(never)]
pub fn failure(globals: &Globals, error: &Error) -> u8 {
    if error.op() == USAGE {
        let _ = output::print(|out| out.write_str("Incorrect Usage.\n"));
    }
    record(globals, "error", error);
    let mut line = Line::new();
    let _ = writeln!(line, "{NAME}: {error}");
    if let Some(hint) = hint(error) {
        let _ = writeln!(line, "Hint: {hint}");
    }
    let _ = rustix::io::write(stderr(), line.as_bytes());
    1
}

/// Tells what is odd but no failure: in the log when there is one, else on standard error.
#[cold]
#[inline(never)]
pub fn warning(globals: &Globals, error: &Error) {
    if globals.log.is_some() {
        return record(globals, "warning", error);
    }
    let mut line = Line::new();
    let _ = writeln!(line, "{NAME}: warning: {error}");
    let _ = rustix::io::write(stderr(), line.as_bytes());
}

/// Appends a record to the log. A log that cannot be written must not hide the failure itself.
#[cold]
#[inline(never)]
fn record(globals: &Globals, level: &str, error: &Error) {
    let Some(path) = globals.log else { return };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)) else { return };
    let now = Moment::from(crate::sys::clock::realtime());
    let mut time = heapless::String::<40>::new();
    let _ = write!(time, "{}", Moment { nanoseconds: 0, ..now });
    let mut message = heapless::String::<700>::new();
    let _ = write!(message, "{error}");
    let mut line = Line::new();
    let written = if globals.json {
        json(&mut line, level, &message, &time)
    } else {
        writeln!(line, "time=\"{time}\" level={level} msg={}", Quoted(message.as_bytes()))
    };
    if written.is_ok() {
        let _ = rustix::io::write(&file, line.as_bytes());
    }
}

fn json(line: &mut Line, level: &str, message: &str, time: &str) -> core::fmt::Result {
    let mut writer = Writer::compact(line);
    writer.object(None)?;
    writer.string(Some("level"), level.as_bytes())?;
    writer.string(Some("msg"), message.as_bytes())?;
    writer.string(Some("time"), time.as_bytes())?;
    writer.end_object()?;
    line.write_char('\n')
}

/// What to look at where the kernel's answer misleads.
fn hint(error: &Error) -> Option<&'static str> {
    match (error.op(), error.errno()?) {
        ("move_mount" | "fsmount" | "open_tree" | "mount", Errno::NOSPC) => {
            Some("the mount namespace is full: see /proc/sys/fs/mount-max")
        }
        ("unshare" | "clone3", Errno::NOSPC) => Some("too many namespaces: see /proc/sys/user/"),
        ("unshare" | "clone3", Errno::PERM) if !rustix::process::geteuid().is_root() => {
            Some("an ordinary user needs a user namespace in linux.namespaces")
        }
        ("pivot_root", Errno::INVAL) => Some("the root cannot be pivoted: try --no-pivot"),
        _ => None,
    }
}
