//! What the runtime expects of a machine and an initramfs does not have: mounts, a console, a network of one's own.

use core::ffi::CStr;

use rustix::fs::{Access, CWD, Mode, OFlags, access, mkdir, open, stat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::tell;
use crate::error::{Context, Error, Result};
use crate::sys::fd::read_at;
use crate::sys::stdio;
use crate::text::{PathBuf, shown};
use crate::{net, rootfs};

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const SEALED: MountFlags = PLAIN.union(MountFlags::NOEXEC);

/// What is mounted where, in this order. /run may hold layers whose programs are executed.
const MOUNTS: [(&CStr, &CStr, MountFlags); 4] = [
    (c"proc", c"/proc", SEALED),
    (c"sysfs", c"/sys", SEALED),
    (c"devpts", c"/dev/pts", MountFlags::NOSUID),
    (c"tmpfs", c"/run", PLAIN),
];

const CGROUPS: &CStr = c"/sys/fs/cgroup";

/// Kinds of namespaces, as /proc names them.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// Makes it ready. What this kernel lacks is told by name: only what needs it will fail.
pub fn prepare() {
    let root = rootfs::leave_first();
    let devices = mount_at(c"devtmpfs", c"/dev", MountFlags::NOSUID, None);
    // Until now there may have been nobody to tell.
    console();
    tell(root);
    tell(devices);
    for (kind, at, flags) in MOUNTS {
        tell(mount_at(kind, at, flags, None));
    }
    tell(cgroups());
    for name in NAMESPACES {
        let mut path = PathBuf::from_bytes(b"/proc/self/ns").unwrap_or_default();
        let _ = path.join(name.as_bytes());
        if access(path.as_cstr(), Access::EXISTS).is_err() {
            tell(Err(Error::refused("kernel", format_args!("no {name} namespaces"))));
        }
    }
    tell(net::link::up(c"lo"));
}

/// Standard input, output and error. The kernel opens them only where the initramfs has a /dev/console of its own.
fn console() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(console) = open(c"/dev/console", flags, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        let _ = rustix::stdio::dup2_stderr(&console);
    }
    let _ = stdio::ensure();
}

/// Mounts it unless something is mounted there.
fn mount_at(kind: &CStr, at: &CStr, flags: MountFlags, data: Option<&CStr>) -> Result<()> {
    let _ = mkdir(at, Mode::from_raw_mode(0o755));
    let mut above = PathBuf::from_bytes(at.to_bytes()).unwrap_or_default();
    let _ = above.push(b"/..");
    match (stat(at), stat(above.as_cstr())) {
        (Ok(there), Ok(above)) if there.st_dev != above.st_dev => Ok(()),
        _ => mount(kind, at, kind, flags, data)
            .context("mount", format_args!("{} at {}", shown(kind), shown(at))),
    }
}

/// cgroup v2; v1 where v2 has no controllers, because the kernel is older than them or somebody has mounted them as v1.
fn cgroups() -> Result<()> {
    let unified = mount_at(c"cgroup2", CGROUPS, SEALED, None);
    let mut buffer = [0; 4096];
    if read_at(CWD, c"/sys/fs/cgroup/cgroup.controllers", &mut buffer).is_ok_and(|names| names.len() > 1) {
        return Ok(());
    }
    // #subsys_name hierarchy num_cgroups enabled
    let table = match read_at(CWD, c"/proc/cgroups", &mut buffer) {
        Err(Errno::NOENT) => {
            return Err(Error::refused("kernel", "no cgroups: no limits, and no cgroupsPath"));
        }
        other => other.context("read", "/proc/cgroups")?,
    };
    let mut enabled = table.split(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\t1")).peekable();
    if enabled.peek().is_none() {
        tell(unified);
        return Err(Error::refused("kernel", "no cgroup controllers: no limits"));
    }
    let _ = unmount(CGROUPS, UnmountFlags::empty());
    mount_at(c"tmpfs", CGROUPS, SEALED, Some(c"mode=755"))?;
    for line in enabled {
        let name = line.split(|&byte| byte == b'\t').next().unwrap_or_default();
        let (mut at, name) = (
            PathBuf::from_bytes(CGROUPS.to_bytes()).unwrap_or_default(),
            PathBuf::from_bytes(name).unwrap_or_default(),
        );
        let _ = at.join(name.as_bytes());
        tell(mount_at(c"cgroup", at.as_cstr(), SEALED, Some(name.as_cstr())));
    }
    Ok(())
}
