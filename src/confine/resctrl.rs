//! A container's group in resctrl, by which the kernel divides caches and memory bandwidth (Intel RDT and its likes;
//! Documentation/filesystems/resctrl.rst). Groups are directories, made and removed by name; only the runtime comes here.

use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, Mode, mkdir, unlinkat};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::plan::resources::IntelRdt;
use crate::plan::{Plan, kind};
use crate::sys::fd::{read_at, write_at};
use crate::sys::memory;
use crate::text::{Bytes, PathBuf, short, shown};

/// What the specification calls it, and errors with it.
const FIELD: &str = "linux.intelRdt";

/// Most bytes of a `schemata` that are read: a line for each resource, some ten bytes for each of its domains.
const SCHEMATA: usize = 64 << 10;

/// We have made the group.
const GROUP: u32 = 1;
/// We have made the monitoring group.
const MONITOR: u32 = 2;

/// Where the kernel has it, and everybody mounts it. Names are bounded, so that all fits.
fn path(parts: &[&CStr]) -> PathBuf {
    let mut path = PathBuf::from_bytes(b"/sys/fs/resctrl").unwrap_or_default();
    parts.iter().for_each(|part| _ = path.join(part.to_bytes()));
    path
}

fn monitor(plan: &Plan<'_>, rdt: &IntelRdt<'_>) -> Result<PathBuf> {
    Ok(path(&[rdt.group, c"mon_groups", plan.string(kind::ID)?.unwrap_or(c"")]))
}

/// Makes the groups. `made` is told which are ours to remove.
pub fn make(plan: &Plan<'_>, made: &mut u32) -> Result<()> {
    let Some(rdt) = plan.one::<IntelRdt<'_>>()? else { return Ok(()) };
    if rustix::fs::stat(path(&[c"schemata"]).as_cstr()).is_err() {
        return Err(Error::refused(FIELD, "no resctrl file system is mounted at /sys/fs/resctrl"));
    }
    let group = path(&[rdt.group]);
    if !rdt.existing {
        match make_directory(&group) {
            Ok(()) => *made |= GROUP,
            Err(Errno::EXIST) => {}
            // ENOSPC: the processor has no more classes of service.
            Err(errno) => return Err(Error::system("linux.intelRdt: mkdir", &group, errno)),
        }
    }
    if *made & GROUP != 0 {
        write(&rdt, rdt.schemata)?;
    } else {
        compare(&rdt)?;
    }
    if rdt.monitored {
        let monitor = monitor(plan, &rdt)?;
        make_directory(&monitor).context("linux.intelRdt: mkdir", &monitor)?;
        *made |= MONITOR;
    }
    Ok(())
}

fn make_directory(path: &PathBuf) -> core::result::Result<(), Errno> {
    mkdir(path.as_cstr(), Mode::from_raw_mode(0o755))
}

/// Writes lines into a group's `schemata`, each on its own: of two in one write about one resource, the kernel refuses the second.
pub fn write(rdt: &IntelRdt<'_>, lines: &CStr) -> Result<()> {
    let file = path(&[rdt.group, c"schemata"]);
    for line in lines.to_bytes().split_inclusive(|&byte| byte == b'\n') {
        let done = write_at(CWD, file.as_cstr(), line);
        done.context("linux.intelRdt: write", format_args!("{file} {}", Bytes(line.trim_ascii())))?;
    }
    Ok(())
}

/// Somebody else's group has to be as it is asked for (config-linux.md), line by line.
fn compare(rdt: &IntelRdt<'_>) -> Result<()> {
    let file = path(&[rdt.group, c"schemata"]);
    let buffer = memory::anonymous(SCHEMATA).context("mmap", "schemata")?;
    let is = read_at(CWD, file.as_cstr(), buffer).context("linux.intelRdt: open", &file)?;
    let lines = |text| <[u8]>::split(text, |&byte: &u8| byte == b'\n').map(<[u8]>::trim_ascii);
    let differs =
        lines(rdt.schemata.to_bytes()).any(|line| !line.is_empty() && !lines(is).any(|other| other == line));
    if differs {
        return Err(Error::refused(
            FIELD,
            format_args!("{} is there with another schemata", shown(rdt.group)),
        ));
    }
    Ok(())
}

/// Puts a process into the container's groups, the monitoring one last: it is part of the other.
pub fn enter(plan: &Plan<'_>, pid: i32) -> Result<()> {
    let Some(rdt) = plan.one::<IntelRdt<'_>>()? else { return Ok(()) };
    let mut group = path(&[rdt.group]);
    for monitored in [false, true] {
        if monitored {
            if !rdt.monitored {
                break;
            }
            group = monitor(plan, &rdt)?;
        }
        let _ = group.join(b"tasks");
        write_at(CWD, group.as_cstr(), short(format_args!("{pid}")).as_bytes())
            .context("linux.intelRdt: write", &group)?;
    }
    Ok(())
}

/// Removes what `made` says is ours. A group is never in use: its processes fall back to the root's.
pub fn remove(plan: &Plan<'_>, made: u32) -> Result<()> {
    let Some(rdt) = plan.one::<IntelRdt<'_>>()?.filter(|_| made != 0) else { return Ok(()) };
    let all = [(MONITOR, monitor(plan, &rdt)?), (GROUP, path(&[rdt.group]))];
    all.iter().filter(|(bit, _)| made & bit != 0).try_for_each(|(_, path)| {
        match unlinkat(CWD, path.as_cstr(), AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            done => done.context("linux.intelRdt: rmdir", path),
        }
    })
}
