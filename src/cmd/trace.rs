//! `--trace`: the phases of the command, as a picture's data or as a table.

use core::ffi::CStr;
use core::fmt::{self, Write};

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};

use super::Globals;
use super::output::write_all;
use crate::error::{Context, Result};
use crate::sys::memory;
use crate::sys::stdio::stderr;
use crate::text::{Into, shown};
use crate::{limits, trace};

/// The flag has been read: the phases are kept from now on.
pub fn begin(globals: &Globals, path: &'static CStr) {
    globals.trace.set(Some(path));
    trace::begin();
    trace::mark(trace::BEGIN);
}

/// Writes them down, be it that the command has failed.
#[cold]
#[inline(never)]
pub fn write(path: &CStr) -> Result<()> {
    let as_table = path == c"-";
    let mut out = Into::new(memory::anonymous(limits::TRACE).context("mmap", "trace")?);
    // It has room for all that there can be.
    let _ = all(&mut out, as_table);
    let text = out.finish();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let opened;
    let mut file = stderr();
    if !as_table {
        opened =
            rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)).context("open", shown(path))?;
        file = opened.as_fd();
    }
    write_all(file, text).context("write", shown(path))
}

/// Microseconds with three places, of nanoseconds.
fn micro(nanoseconds: u64) -> heapless::String<24> {
    let mut text = heapless::String::new();
    let _ = write!(text, "{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
    text
}

/// By [`trace::Who`].
const PROCESSES: [&str; 3] = ["runtime", "child", "init"];

/// A table, or the Trace Event Format's JSON object as chrome://tracing and Perfetto read it: complete events (X) and names of
/// processes (M). None of the words has anything to be escaped.
fn all(out: &mut Into<'_>, as_table: bool) -> fmt::Result {
    let [mut child, init] = trace::pids();
    let runtime = rustix::process::getpid().as_raw_pid().unsigned_abs().into();
    let pids = [runtime, child, init];
    out.write_str(if as_table {
        "   begins us     takes us  process  done\n"
    } else {
        "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
    })?;
    for phase in trace::phases() {
        let (start, took) = (micro(phase.start), micro(phase.duration));
        let who = phase.who as usize;
        let (process, pid) = (PROCESSES.get(who).unwrap_or(&""), pids.get(who).unwrap_or(&0));
        let mut name = heapless::String::<64>::new();
        let _ = name.push_str(phase.name);
        phase.nth.map_or(Ok(()), |nth| write!(name, "[{nth}]"))?;
        if as_table {
            writeln!(out, "{start:>12} {took:>12}  {process:<8} {name}")?;
        } else {
            writeln!(
                out,
                "{{\"name\":\"{name}\",\"cat\":\"{process}\",\"ph\":\"X\",\"pid\":{pid},\"tid\":{pid},\"ts\":{start},\"dur\":{took}}},"
            )?;
        }
    }
    if as_table {
        return Ok(());
    }
    if child == init {
        // It has become init.
        child = 0;
    }
    let mut comma = "";
    for (process, pid) in PROCESSES.iter().zip([runtime, child, init]).filter(|(_, pid)| *pid != 0) {
        write!(
            out,
            "{comma}{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{pid},\"tid\":{pid},\"args\":{{\"name\":\"{process}\"}}}}"
        )?;
        comma = ",\n";
    }
    out.write_str("\n]}\n")
}
