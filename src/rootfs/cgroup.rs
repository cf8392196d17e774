//! `cgroup` and `cgroup2` mounts: the container's own cgroups, and of the host's no more than a cgroup namespace shows.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use super::filesystem::Filesystem;
use super::mount::{attach, place};
use super::{Root, call};
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::mount::Mount;
use crate::plan::namespace::Hierarchy;
use crate::sys::mount::{self as sys, Attributes, Reach};
use crate::text::{Bytes, PathBuf, shown};

/// What no cgroup file needs.
const PLAIN: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

/// One mount entry.
pub fn mount(root: &Root<'_>, mount: &Mount<'_>, setup: &Plan<'_>) -> Result<()> {
    let place = place(root, mount, None, false);
    let (mut v1, mut unified) = (false, None);
    for hierarchy in setup.each::<Hierarchy<'_>>() {
        let hierarchy = hierarchy?;
        match hierarchy.controllers.is_empty() {
            true => unified = Some(hierarchy),
            false => v1 = true,
        }
        if v1 && mount.fstype != Some(c"cgroup2") {
            break;
        }
    }
    match (unified, v1 && mount.fstype != Some(c"cgroup2")) {
        (_, true) => all(root, mount, setup, &place?.0),
        (Some(unified), false) => attach(&one(root, mount, &unified)?, mount, &place?.0),
        // Without cgroups there is nothing to show, and the host's are not ours to show. A kernel that has none has no place for them in
        // its sysfs either, where nobody can make one.
        (None, false) => match place {
            Err(error) if matches!(error.errno(), Some(Errno::PERM | Errno::ROFS)) => Ok(()),
            place => attach(&super::mask::nowhere(mount.destination, root.label)?, mount, &place?.0),
        },
    }
}

/// Cgroup v1: a tmpfs with a directory for each hierarchy, named as on the host, and a link for each controller
/// that shares its hierarchy with others.
fn all(root: &Root<'_>, mount: &Mount<'_>, setup: &Plan<'_>, place: &OwnedFd) -> Result<()> {
    let at = mount.destination;
    let tmpfs = Filesystem::open(c"tmpfs", at)?;
    tmpfs.source(Some(mount.source.unwrap_or(c"cgroup")))?;
    tmpfs.string(c"mode", c"755")?;
    tmpfs.label(root.label)?;
    let tmpfs = tmpfs.mount((PLAIN | mount.set) & !libc::MOUNT_ATTR_RDONLY)?;
    // In place first: before Linux 6.15 nothing can be mounted in a mount that is nowhere itself.
    attach(&tmpfs, mount, place)?;
    for hierarchy in setup.each::<Hierarchy<'_>>() {
        let hierarchy = hierarchy?;
        let controllers = hierarchy.controllers.to_bytes();
        let name = base(hierarchy.mountpoint);
        let inside = format_args!("{}/{}", shown(at), shown(name));
        rustix::fs::mkdirat(&tmpfs, name, Mode::from_raw_mode(0o755)).context("mkdirat", inside)?;
        sys::attach_at(&one(root, mount, &hierarchy)?, &tmpfs, name).context("move_mount", inside)?;
        for controller in controllers.split(|byte| *byte == b',') {
            let controller = controller.strip_prefix(b"name=").unwrap_or(controller);
            if controller != name.to_bytes() && !controller.is_empty() {
                let link = PathBuf::from_bytes(controller)
                    .map_err(|_| Errno::NAMETOOLONG)
                    .context("symlinkat", inside)?;
                rustix::fs::symlinkat(name, &tmpfs, link.as_cstr())
                    .context("symlinkat", Bytes(controller))?;
            }
        }
    }
    match mount.set & libc::MOUNT_ATTR_RDONLY {
        0 => Ok(()),
        _ => call::set_attributes(&tmpfs, Reach::One, &Attributes::READ_ONLY, at),
    }
}

/// One hierarchy, seen from the container's cgroup, mounted nowhere yet.
fn one(root: &Root<'_>, mount: &Mount<'_>, hierarchy: &Hierarchy<'_>) -> Result<OwnedFd> {
    let set = PLAIN | mount.set;
    if root.owns(libc::CLONE_NEWCGROUP) {
        match new(mount, hierarchy, set) {
            // A cgroup namespace that belongs to someone else, or a hierarchy that is not for user namespaces.
            Err(error) if matches!(error.errno(), Some(Errno::PERM | Errno::BUSY)) => {}
            tree => return tree,
        }
    }
    // What the namespace would show as its root (cgroup_namespaces(7)).
    let mut path = PathBuf::from_bytes(hierarchy.mountpoint.to_bytes()).unwrap_or_default();
    let own = hierarchy.path.to_bytes();
    if path.push(if own == b"/" { b"" } else { own }).is_err() {
        return Err(Error::system("open_tree", shown(hierarchy.path), Errno::NAMETOOLONG));
    }
    let tree = sys::clone_tree(CWD, path.as_cstr(), Reach::Tree, false).context("open_tree", &path)?;
    // In a user namespace the cgroup may belong to the user outside, and the container is not to change it (CVE-2023-25809).
    let guarded = root.owns(libc::CLONE_NEWUSER) && !root.owns(libc::CLONE_NEWCGROUP);
    let set = if guarded { set | libc::MOUNT_ATTR_RDONLY } else { set };
    // atime values have to be cleared before they are set, and mean nothing here.
    let attributes = Attributes::new(set & !libc::MOUNT_ATTR__ATIME, 0);
    call::set_attributes(&tree, Reach::Tree, &attributes, path.as_cstr())?;
    Ok(tree)
}

fn new(mount: &Mount<'_>, hierarchy: &Hierarchy<'_>, set: u64) -> Result<OwnedFd> {
    let controllers = hierarchy.controllers;
    if controllers.is_empty() {
        let filesystem = Filesystem::open(c"cgroup2", mount.destination)?;
        filesystem.source(Some(mount.source.unwrap_or(c"cgroup2")))?;
        mount.data.map_or(Ok(()), |data| filesystem.options(data, b""))?;
        return filesystem.mount(set);
    }
    let filesystem = Filesystem::open(c"cgroup", mount.destination)?;
    filesystem.source(Some(mount.source.unwrap_or(c"cgroup")))?;
    // The words that /proc/self/cgroup lists are the ones that cgroupfs takes, `name=systemd` too.
    filesystem.options(controllers, b"")?;
    filesystem.mount(set)
}

/// The last component.
fn base(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    CStr::from_bytes_with_nul(bytes.get(start..).unwrap_or_default()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_named_after_its_mountpoint() {
        assert_eq!(base(c"/sys/fs/cgroup/cpu,cpuacct"), c"cpu,cpuacct");
        assert_eq!(base(c"cpu"), c"cpu");
    }
}
