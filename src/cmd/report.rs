//! The one place where a failure is told: on standard error, and as one record in the log.
//!
//! The forms of the log are logrus's, since containerd and podman read them: containerd takes the last record of
//! level `error`, podman takes the whole file for one JSON object. So a failure is exactly one record.

use core::fmt::{Display, Write};

use rustix::fs::{CWD, Mode, OFlags};

use super::lex::USAGE;
use super::{Globals, NAME, output};
use crate::error::{Errno, Error, STEP};
use crate::sys::memory;
use crate::sys::process::has_procfs;
use crate::sys::stdio::stderr;
use crate::text::{Into, short, shown};
use crate::wire::json::{Quoted, Writer};
use crate::wire::time::Moment;
use crate::{limits, sys};

/// A record with its frame: an error is at most 700 bytes, and JSON may write six for one.
type Line = heapless::String<5120>;

/// Tells a failure: in the log, and always on standard error. The status to exit with.
#[cold]
#[inline(never)]
pub fn failure(globals: &Globals, error: &Error) -> u8 {
    if error.op() == USAGE {
        let _ = output::print(|out| out.write_str("Incorrect Usage.\n"));
    }
    globals.warnings.set(None);
    append(globals, &record(globals, "error", error));
    if globals.log.is_some() || !globals.debug {
        say("error: ", error);
    }
    if let Some(hint) = hint(error) {
        let mut line = Line::new();
        let _ = writeln!(line, "Hint: {hint}");
        let _ = rustix::io::write(stderr(), line.as_bytes());
    }
    1
}

/// Tells what is odd but no failure: in the log when there is one, else on standard error. There it waits for
/// [`success`], since a failure is to be the log's only record.
#[cold]
#[inline(never)]
pub fn warning(globals: &Globals, error: &Error) {
    if error.op() == STEP {
        return step(globals, error.subject());
    }
    if globals.log.is_none() && !globals.debug {
        return say("warning: ", error);
    }
    let line = record(globals, "warning", error);
    if globals.debug {
        return append(globals, &line);
    }
    let held = globals.warnings.take();
    let Some(mut held) = held.or_else(|| memory::anonymous(limits::WARNINGS).ok().map(Into::new)) else {
        return;
    };
    let _ = held.write_str(&line);
    globals.warnings.set(Some(held));
}

/// The command has not failed: what was odd goes to the log.
pub fn success(globals: &Globals) {
    if let Some(held) = globals.warnings.take() {
        append(globals, core::str::from_utf8(held.finish()).unwrap_or(""));
    }
}

/// Tells a step of the runtime or of init, with `--debug`.
#[cold]
#[inline(never)]
pub fn step(globals: &Globals, step: &str) {
    if globals.debug {
        append(globals, &record(globals, "debug", &step));
    }
}

fn say(level: &str, error: &Error) {
    let mut line = Line::new();
    // As env(1) and shells tell of a program that does not start.
    let _ = match error.op() {
        "exec" => writeln!(line, "{error}"),
        _ => writeln!(line, "{NAME}: {level}{error}"),
    };
    let _ = rustix::io::write(stderr(), line.as_bytes());
}

/// One line of the log.
#[cold]
#[inline(never)]
fn record(globals: &Globals, level: &str, what: &dyn Display) -> Line {
    let now = Moment::from(sys::clock::realtime());
    let time = short(format_args!("{}", Moment { nanoseconds: 0, ..now }));
    let mut message = heapless::String::<700>::new();
    let _ = write!(message, "{what}");
    let mut line = Line::new();
    // It has room for the longest.
    let _ = if globals.json {
        json(&mut line, level, &message, &time)
    } else {
        writeln!(line, "time=\"{time}\" level={level} msg={}", Quoted(message.as_bytes()))
    };
    line
}

/// Appends to the log; without one, the records of `--debug` go to standard error.
#[cold]
#[inline(never)]
fn append(globals: &Globals, lines: &str) {
    let Some(path) = globals.log else {
        if globals.debug {
            let _ = rustix::io::write(stderr(), lines.as_bytes());
        }
        return;
    };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::SYNC | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)) {
        Ok(file) => drop(rustix::io::write(&file, lines.as_bytes())),
        // A log that cannot be written must not hide what it was to tell.
        Err(errno) => say("warning: ", &Error::system("open", shown(path), errno)),
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
        ("unshare" | "clone3", Errno::INVAL) => Some("this kernel has no such namespaces"),
        (_, Errno::NOENT) if !has_procfs() => Some("nothing is mounted at /proc"),
        (_, Errno::NOSYS) => Some("this kernel is older than Linux 5.12, or was built without it"),
        ("unshare" | "clone3", Errno::PERM) if !rustix::process::geteuid().is_root() => {
            Some("an ordinary user needs a user namespace in linux.namespaces")
        }
        // sched_setattr(2), for whom has CAP_SYS_NICE. runc's words.
        ("sched_setattr", Errno::PERM) if rustix::process::geteuid().is_root() => Some(
            "a deadline as process scheduler can't be used together with AllowedCPUs (linux.resources.cpu)",
        ),
        ("fsopen", Errno::NODEV) => Some("this kernel has no such filesystem: see /proc/filesystems"),
        ("fsconfig", Errno::INVAL)
            if error.subject().ends_with("(overlay)") && !rustix::process::geteuid().is_root() =>
        {
            Some("an ordinary user's layer can have nothing mounted below it")
        }
        ("pivot_root", Errno::INVAL) => Some("the root cannot be pivoted: try --no-pivot"),
        _ => None,
    }
}
