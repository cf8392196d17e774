//! The container's directory in every hierarchy: made, or accepted when it is there, empty and thawed.

use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, Mode as Permissions, mkdir, unlinkat};
use rustix::io::Errno;

use super::{Cgroups, Hierarchy, Mode, device};
use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::process::Capabilities;
use crate::plan::{Plan, kind};
use crate::sys::fd::{read_at, write_at};
use crate::text::{PathBuf, shown};

/// Limits of the plan. Device rules are none: without root they mean nothing, as devices can neither be made nor opened.
const LIMITS: [(u16, &str); 11] = [
    (kind::MEMORY, "memory"),
    (kind::CPU, "cpu"),
    (kind::CPUSET, "cpu"),
    (kind::PIDS, "pids"),
    (kind::BLOCK_IO, "blockIO"),
    (kind::BLOCK_DEVICE, "blockIO"),
    (kind::HUGE_PAGE, "hugepageLimits"),
    (kind::NETWORK, "network"),
    (kind::NETWORK_PRIORITY, "network"),
    (kind::RDMA, "rdma"),
    (kind::UNIFIED, "unified"),
];

const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_MKNOD: u64 = 1 << 27;

/// What became of one hierarchy's directory.
enum Made {
    /// It can be entered.
    Ready,
    /// There is no such hierarchy where it was sought.
    Elsewhere,
}

impl Cgroups {
    /// Takes the directory `path` for one that we made, for want of a record: the runtime was killed before it could
    /// write one, and no process was ever put there.
    pub fn find(&mut self, path: &CStr) -> Result<()> {
        self.path = self.names.add(&[&normal(path)?])?;
        let ours = self.at_least_ours();
        for hierarchy in &mut self.hierarchies {
            hierarchy.made = ours;
        }
        Ok(())
    }

    /// How many directories at the end of the path are ours in any case: the minirunc form has a parent for all of its containers,
    /// which the last one removes.
    fn at_least_ours(&self) -> u32 {
        let name = self.path().to_bytes().strip_prefix(b"/minirunc/");
        if name.is_some_and(|name| !name.contains(&b'/')) { 2 } else { 1 }
    }

    /// Makes the directory `path`, counted from each hierarchy's mount point, and the parents that it
    /// lacks. On an error nothing that was made is left.
    ///
    /// `rootless`: where an ordinary user may not make cgroups and asks for no limits, the container
    /// stays in its caller's, and the mode becomes [`Mode::None`].
    pub fn create(&mut self, path: &CStr, plan: &Plan<'_>, rootless: fn() -> bool) -> Result<()> {
        self.rootless = rootless;
        self.path = self.names.add(&[&normal(path)?])?;
        let done = match self.mode {
            Mode::None => Ok(()),
            Mode::V1 => self.create_v1(plan),
            Mode::V2 => self.create_v2(),
        };
        if let Err(error) = done {
            let _ = self.destroy();
            // What is there is not ours: neither a kill nor a freeze may reach it any more.
            self.hierarchies.clear();
            (self.mode, self.path) = (Mode::None, super::Span::default());
            if !matches!(error.errno(), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS)) || !rootless() {
                return Err(error);
            }
            if let Some(field) = limited(plan)? {
                return Err(error.within(&super::set::named(field)));
            }
        }
        if self.mode == Mode::None {
            if let Some(field) = limited(plan)? {
                return Err(without(field));
            }
            // An image may hold device nodes, and to the host's root they are open.
            self.nodev = device::denies(plan)? && !rootless();
            if self.nodev && !device::mounts_can_keep(plan)? {
                return Err(without("devices"));
            }
        }
        self.admit(plan)
    }

    /// Where nothing but mounts without devices (SETUP asks init for them) keeps a container to its device rules: refuses a process, the
    /// first one or that of an `exec`, that might make a node or mount what holds one.
    pub fn admit(&self, plan: &Plan<'_>) -> Result<()> {
        let held = plan.one::<Capabilities>()?.unwrap_or_default();
        let held = held.bounding | held.effective | held.permitted | held.inheritable | held.ambient;
        if self.nodev && held & (CAP_MKNOD | CAP_SYS_ADMIN) != 0 { Err(without("devices")) } else { Ok(()) }
    }

    fn create_v1(&mut self, plan: &Plan<'_>) -> Result<()> {
        let (mut at, mut located) = (0, false);
        while let Some(hierarchy) = self.hierarchies.get(at) {
            let (made, outcome) = self.make(hierarchy);
            let mut tasks = None;
            let outcome = match outcome {
                Ok(Made::Ready) => match self.open_tasks(hierarchy) {
                    Ok(file) => Ok({
                        tasks = Some(file);
                        Made::Ready
                    }),
                    // mkdir(2) went well, but not in a cgroup filesystem.
                    Err(error) if error.errno() == Some(Errno::NOENT) => {
                        let _ = unlinkat(CWD, self.place(hierarchy).as_cstr(), AtFlags::REMOVEDIR);
                        Ok(Made::Elsewhere)
                    }
                    Err(error) => Err(error),
                },
                other => other,
            };
            if let Some(hierarchy) = self.hierarchies.get_mut(at) {
                hierarchy.made = made;
                hierarchy.tasks = tasks;
            }
            match outcome? {
                Made::Ready => at += 1,
                Made::Elsewhere if located => drop(self.hierarchies.remove(at)),
                Made::Elsewhere => {
                    self.locate()?;
                    located = true;
                }
            }
        }
        if self.hierarchies.is_empty() {
            self.mode = Mode::None;
        }
        match self.hierarchies.iter().find(|hierarchy| self.is_cpuset(hierarchy)) {
            Some(hierarchy) => self.inherit_cpuset(hierarchy, plan),
            None => Ok(()),
        }
    }

    fn create_v2(&mut self) -> Result<()> {
        let Some(hierarchy) = self.hierarchies.first() else { return Ok(()) };
        let (made, outcome) = self.make(hierarchy);
        if let Some(hierarchy) = self.hierarchies.first_mut() {
            hierarchy.made = made;
        }
        match outcome? {
            Made::Ready => self.enable_controllers(),
            Made::Elsewhere => Err(Error::system("mkdir", shown(self.path()), Errno::NOENT)),
        }
    }

    /// mkdir(2) of the directory, and of its parents when they are missing. Tells how many it made,
    /// also on an error.
    fn make(&self, hierarchy: &Hierarchy) -> (u32, Result<Made>) {
        let path = self.place(hierarchy);
        let (permissions, mut parents) = (Permissions::from_raw_mode(0o755), 0);
        // Another container that ends may remove the parent that we share between two of our steps.
        for _ in 0..16 {
            match mkdir(path.as_cstr(), permissions) {
                Ok(()) => return (self.at_least_ours().max(parents + 1), Ok(Made::Ready)),
                Err(Errno::EXIST) => return (0, self.reusable(hierarchy).map(|()| Made::Ready)),
                Err(Errno::NOENT) => match self.make_parents(hierarchy) {
                    Ok(Some(made)) => parents = made.max(parents),
                    Ok(None) => return (0, Ok(Made::Elsewhere)),
                    Err(error) => return (0, Err(error)),
                },
                // The mount point is a file, or below one.
                Err(Errno::NOTDIR) => return (0, Ok(Made::Elsewhere)),
                Err(errno) => return (0, Err(Error::system("mkdir", &path, errno))),
            }
        }
        (0, Err(Error::system("mkdir", &path, Errno::NOENT)))
    }

    /// Makes what lies between the mount point and the directory. `None`: there is no mount point.
    fn make_parents(&self, hierarchy: &Hierarchy) -> Result<Option<u32>> {
        let whole = self.place(hierarchy);
        let top = self.names.bytes(hierarchy.mountpoint).len();
        let (mut made, mut first) = (0, true);
        let mut path = PathBuf::new();
        for end in levels(whole.as_bytes(), top).filter(|&end| end != whole.as_bytes().len()) {
            path.truncate(0);
            let _ = path.push(whole.as_bytes().get(..end).unwrap_or_default());
            match mkdir(path.as_cstr(), Permissions::from_raw_mode(0o755)) {
                Ok(()) => made += 1,
                Err(Errno::EXIST) => made = 0,
                Err(Errno::NOENT) if first => return Ok(None),
                // A parent went away: the caller begins again.
                Err(Errno::NOENT) => return Ok(Some(made)),
                Err(errno) => return Err(Error::system("mkdir", &path, errno)),
            }
            first = false;
        }
        Ok(if first { None } else { Some(made) })
    }

    /// A directory that was there before must be empty and thawed, or the limits would hit, and a
    /// later kill would kill, somebody else (as runc does; config-linux.md, Cgroups Path).
    fn reusable(&self, hierarchy: &Hierarchy) -> Result<()> {
        let mut count = 0u32;
        self.visit(hierarchy, &mut |_| count += 1)?;
        if count > 0 {
            let reason = format_args!("{count} process(es) found");
            return Err(Error::refused("container's cgroup is not empty", reason));
        }
        if self.is_frozen(hierarchy)? {
            return Err(Error::refused("container's cgroup unexpectedly frozen", shown(self.path())));
        }
        Ok(())
    }

    fn is_cpuset(&self, hierarchy: &Hierarchy) -> bool {
        self.holding("cpuset").is_some_and(|other| core::ptr::eq(other, hierarchy))
    }

    /// v1's new cpusets are empty, as may be those that others made, and cannot be entered: each level that lacks one gets its parent's,
    /// but where the plan is going to write the container's own.
    fn inherit_cpuset(&self, hierarchy: &Hierarchy, plan: &Plan<'_>) -> Result<()> {
        let own = plan.one::<crate::plan::resources::Cpuset<'_>>()?;
        let own_cpus = own.is_some_and(|own| own.cpus.is_some());
        let own_mems = own.is_some_and(|own| own.mems.is_some());
        for (name, own) in [(c"cpuset.cpus", own_cpus), (c"cpuset.mems", own_mems)] {
            self.inherit(hierarchy, name, own)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn inherit(&self, hierarchy: &Hierarchy, name: &CStr, own: bool) -> Result<()> {
        let whole = self.place(hierarchy);
        let top = self.names.bytes(hierarchy.mountpoint).len();
        let mut buffer = [0; 4096];
        let mut path = PathBuf::new();
        let file = |path: &mut PathBuf, end: usize| {
            path.truncate(0);
            let _ = path.push(whole.as_bytes().get(..end).unwrap_or_default());
            let _ = path.join(name.to_bytes());
        };
        // Upwards to the first that has some; what we made has none.
        let mut from = whole.as_bytes().len();
        let mut known = hierarchy.made > 0;
        let len = loop {
            if known {
                let below = whole.as_bytes().get(..from).unwrap_or_default();
                match below.iter().rposition(|&byte| byte == b'/').filter(|&end| end >= top) {
                    Some(end) => from = end,
                    None => return Ok(()),
                }
            }
            known = true;
            file(&mut path, from);
            let text = read_at(CWD, path.as_cstr(), &mut buffer).context("read", &path)?;
            if !text.trim_ascii().is_empty() {
                break text.trim_ascii_end().len();
            }
        };
        let value = buffer.get(..len).unwrap_or_default();
        // And down again.
        let last = whole.as_bytes().len();
        for end in levels(whole.as_bytes(), from).filter(|&end| end != from && !(own && end == last)) {
            file(&mut path, end);
            write_at(CWD, path.as_cstr(), value).context("write", &path)?;
        }
        Ok(())
    }
}

fn without(field: &str) -> Error {
    super::set::impossible(field, "no cgroup filesystem is mounted")
}

/// The first kind of limit that the plan asks for.
fn limited(plan: &Plan<'_>) -> Result<Option<&'static str>> {
    for (kind, field) in LIMITS {
        if plan.has(kind)? {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// Ends of the paths that lead from `text[..top]` to the whole, that included.
pub(super) fn levels(text: &[u8], top: usize) -> impl Iterator<Item = usize> {
    let slashes = text.iter().enumerate().filter(move |&(at, &byte)| byte == b'/' && at > top);
    slashes.map(|(at, _)| at).chain(core::iter::once(text.len()))
}

/// A path under construction, shorter than any other.
type Path = heapless::Vec<u8, { limits::CGROUP_PATH }>;

/// `/a/b` out of any way to write it. A relative path counts from the mount point, too: the spec leaves
/// the place to the runtime, and so it is the same wherever we are called from.
fn normal(path: &CStr) -> Result<Path> {
    let mut normal = Path::new();
    for component in path.to_bytes().split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                return Err(Error::refused(
                    "linux.cgroupsPath",
                    format_args!("{}: leads upwards", shown(path)),
                ));
            }
            name => {
                let slash = normal.push(b'/').is_ok();
                if !slash || normal.extend_from_slice(name).is_err() || name.len() > 255 {
                    return Err(Error::refused("linux.cgroupsPath", "too long"));
                }
            }
        }
    }
    if normal.is_empty() {
        return Err(Error::refused("linux.cgroupsPath", "names the root of the hierarchies"));
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_path_is_the_same_however_it_is_written() {
        for text in [c"/a/b", c"a/b", c"//a/./b/"] {
            assert_eq!(normal(text).unwrap(), b"/a/b");
        }
    }

    #[test]
    fn a_path_that_leads_out_or_nowhere_is_refused() {
        for text in [c"/a/../..", c"..", c"/", c"", c"."] {
            assert!(normal(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn levels_end_at_each_component() {
        assert_eq!(levels(b"/m/a/b", 2).collect::<Vec<_>>(), [4, 6]);
        assert_eq!(levels(b"/m/a", 2).collect::<Vec<_>>(), [4]);
    }
}
