//! Labels of the security modules, which take effect at execve(2): an AppArmor profile, an SELinux context.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::ResolveFlags;
use rustix::io::Errno;

use super::procfs;
use crate::error::{Error, Result};
use crate::plan::{Plan, kind};
use crate::text::{PathBuf, shown};

/// A label in the plan: who reads it, where it is written (proc_pid_attr(5)), and what comes before it there.
struct Module {
    kind: u16,
    name: &'static str,
    file: &'static CStr,
    before: &'static [u8],
}

// `apparmor` has a directory of its own since Linux 5.8, so that it can share a kernel with the others.
const MODULES: [Module; 2] = [
    Module {
        kind: kind::APPARMOR_PROFILE,
        name: "AppArmor",
        file: c"thread-self/attr/apparmor/exec",
        before: b"exec ",
    },
    Module { kind: kind::SELINUX_LABEL, name: "SELinux", file: c"thread-self/attr/exec", before: b"" },
];

/// Has the caller's next execve(2) give it the plan's labels. `procfs` is never the container's own; it may be one that was
/// opened outside of its pid namespace, for /proc/thread-self means the caller in each that knows it.
pub fn apply(plan: &Plan<'_>, procfs: Option<&OwnedFd>) -> Result<()> {
    for module in &MODULES {
        if let Some(label) = plan.string(module.kind)?.filter(|label| !label.is_empty()) {
            let procfs = procfs.ok_or_else(|| Error::refused(module.name, "no procfs to write to"))?;
            set(procfs, module, label)?;
        }
    }
    Ok(())
}

fn set(procfs: &OwnedFd, module: &Module, label: &CStr) -> Result<()> {
    let mut text = PathBuf::new();
    let _ = text.push(module.before).and_then(|()| text.push(label.to_bytes()));
    match procfs::write(procfs, module.file, text.as_bytes(), ResolveFlags::empty()) {
        Ok(()) => Ok(()),
        // Without the module the file is not there or takes nothing; with it, this is what it says of a name that it does not know.
        // What is asked for by `unconfined` is there already.
        Err((_, Errno::NOENT | Errno::INVAL)) if label == c"unconfined" => Ok(()),
        Err((_, Errno::NOENT | Errno::INVAL)) => Err(Error::refused(
            module.name,
            format_args!(
                "\"{}\": not known to it, or {} is not enabled on this host",
                shown(label),
                module.name
            ),
        )),
        Err((op, errno)) => Err(Error::system(op, format_args!("{} {}", module.name, shown(label)), errno)),
    }
}
