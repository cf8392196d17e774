//! The container's cgroups: made, limited, entered, frozen, emptied and removed.
//!
//! Both worlds are one list of hierarchies: v2 is a single one without a controllers' name, v1 has one
//! for each line of /proc/self/cgroup, and a host without cgroups has none. On a hybrid host the
//! `unified` hierarchy is left alone: joining it costs a directory and gives the container nothing that
//! v1 does not. Everything is addressed by path below the mount points, which only root can change;
//! nothing stays open, so that nothing can leak into the container (CVE-2024-21626).
//!
//! It knows nothing of who asks. Invariant: a directory is only removed when it was made here.

mod create;
mod destroy;
mod device;
mod discover;
mod freeze;
mod join;
mod kill;
mod oom;
mod set;
mod stats;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use core::ffi::CStr;

pub use discover::Mounted;
pub use oom::OomWatch;

use nsenter::attr::Writer;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode as Permissions, OFlags, open};

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::namespace::Hierarchy as Noun;
use crate::plan::{Noun as _, Plan, kind};
use crate::sys::fd::{read_at, write_at};
use crate::text::{PathBuf, Place, short};

/// What this host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No cgroup filesystem, or none that we may use.
    None,
    /// One hierarchy for each controller or set of them; hybrid hosts, too.
    V1,
    /// The unified hierarchy alone.
    V2,
}

/// The container's place in every hierarchy.
pub struct Cgroups {
    mode: Mode,
    /// Whether refusals that an ordinary user cannot help are no errors: asked when there is one, since /proc knows.
    rootless: fn() -> bool,
    /// From each hierarchy's mount point, with its leading slash; empty before `create`.
    path: Span,
    hierarchies: heapless::Vec<Hierarchy, { limits::HIERARCHIES }>,
    names: Names,
    /// Device rules are kept by mounts instead: see [`Cgroups::admit`].
    nodev: bool,
}

/// One mounted hierarchy.
struct Hierarchy {
    /// As /proc/self/cgroup lists it: `cpu,cpuacct`, `name=systemd`; empty for v2.
    controllers: Span,
    mountpoint: Span,
    /// `exec --cgroup`: from the container's cgroup, with its leading slash.
    below: Span,
    /// How many directories at the end of the path we made.
    made: u32,
    /// v1: its `tasks` file, open to write, until somebody takes it.
    tasks: Option<OwnedFd>,
}

/// Where a text lies in [`Names`].
#[derive(Clone, Copy, Default)]
struct Span {
    start: u16,
    /// With its NUL.
    end: u16,
}

/// Texts of a few bytes each, one behind the other, each with its NUL: as many as a path has room for (those of the usual
/// fourteen hierarchies take 800 bytes), and where paths are, since `Cgroups` is a value that is moved.
#[derive(Default)]
struct Names(Option<Place>);

impl Names {
    fn get(&self, span: Span) -> &CStr {
        CStr::from_bytes_with_nul(self.with_nul(span)).unwrap_or(c"")
    }

    fn bytes(&self, span: Span) -> &[u8] {
        self.with_nul(span).split_last().map_or(&[], |(_, text)| text)
    }

    #[inline(never)]
    fn with_nul(&self, span: Span) -> &[u8] {
        let all = self.0.as_ref().map_or(&b""[..], |all| all.as_bytes());
        all.get(usize::from(span.start)..usize::from(span.end)).unwrap_or_default()
    }

    #[inline(never)]
    fn add(&mut self, parts: &[&[u8]]) -> Result<Span> {
        if self.0.is_none() {
            self.0 = Place::take();
            self.0.as_deref_mut().into_iter().for_each(|all| all.truncate(0));
        }
        let all = self.0.as_mut().ok_or_else(too_many)?;
        let start = all.as_bytes().len() as u16;
        if !parts.iter().chain(&[&b"\0"[..]]).all(|part| all.append(part)) {
            return Err(too_many());
        }
        Ok(Span { start, end: all.as_bytes().len() as u16 })
    }
}

#[cold]
fn too_many() -> Error {
    Error::refused("cgroups", "more or longer hierarchies than limits.rs provides for")
}

/// Whether a hierarchy of these has the controller.
fn has(controllers: &CStr, controller: &str) -> bool {
    let controllers = controllers.to_bytes();
    controllers.is_empty()
        || crate::wire::cgroupfs::list(controllers).any(|name| name == controller.as_bytes())
}

impl Cgroups {
    /// A host without cgroups, or a container that stays in its caller's (`--cgroup-manager disabled`).
    pub fn none() -> Self {
        Self {
            mode: Mode::None,
            rootless: || false,
            path: Span::default(),
            hierarchies: heapless::Vec::new(),
            names: Names::default(),
            nodev: false,
        }
    }

    /// What this host has.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What [`Cgroups::emit`] wrote, in a later process; of all hierarchies or of that which has the controller `only`.
    /// Nothing is opened.
    pub fn restore(setup: &Plan<'_>, only: Option<&str>) -> Result<Self> {
        let mut cgroups = Self::none();
        cgroups.nodev = setup.has(kind::NODEV)?;
        for noun in setup.each::<Noun>() {
            let noun = noun?;
            // The root of a hierarchy is nobody's container: a kill there would end the machine.
            if noun.path.to_bytes().len() < 2 {
                return Err(Error::refused("plan", "a cgroup without a path"));
            }
            if only.is_some_and(|only| !has(noun.controllers, only)) {
                continue;
            }
            cgroups.mode = if noun.controllers.is_empty() { Mode::V2 } else { Mode::V1 };
            if cgroups.path.end == 0 {
                cgroups.path = cgroups.names.add(&[noun.path.to_bytes()])?;
            }
            cgroups.add(noun.controllers.to_bytes(), &[noun.mountpoint.to_bytes()], noun.made)?;
            if only.is_some() {
                break;
            }
        }
        Ok(cgroups)
    }

    /// The HIERARCHY nouns of the SETUP message; none on a host without cgroups.
    pub fn emit(&self, writer: &mut Writer<'_>) {
        for hierarchy in self.entered() {
            let controllers = self.names.get(hierarchy.controllers);
            let mountpoint = self.names.get(hierarchy.mountpoint);
            Noun { controllers, path: self.path(), mountpoint, made: hierarchy.made }.emit(writer);
        }
        if self.nodev {
            writer.flag(kind::NODEV);
        }
    }

    /// v2: the directory for `CLONE_INTO_CGROUP`, the entry that costs nothing (Linux 5.7).
    pub fn directory(&self) -> Result<Option<OwnedFd>> {
        match self.entered().first() {
            Some(hierarchy) if self.mode == Mode::V2 => self.open(hierarchy).map(Some),
            _ => Ok(None),
        }
    }

    /// Each hierarchy's `tasks`, open to write. Who is to enter writes the literal `0` to each: the
    /// move of one thread by itself spares the lock of all processes that a pid would take. On v2 it is
    /// `cgroup.procs`, for whom the directory is no way in.
    pub fn tasks(&mut self) -> Result<heapless::Vec<OwnedFd, { limits::HIERARCHIES }>> {
        let mut files = heapless::Vec::new();
        if !self.path().is_empty() {
            for at in 0..self.hierarchies.len() {
                let open = self.hierarchies.get_mut(at).and_then(|hierarchy| hierarchy.tasks.take());
                let file = match (open, self.hierarchies.get(at)) {
                    (Some(file), _) => file,
                    (None, Some(hierarchy)) => self.open_tasks(hierarchy)?,
                    (None, None) => break,
                };
                // As many as there are hierarchies, which have the same bound.
                let _ = files.push(file);
            }
        }
        Ok(files)
    }

    /// The entry where the others are refused: the pid into every `cgroup.procs`. It waits for an RCU
    /// grace period, 5 to 20 ms on an idle machine.
    pub fn enter(&self, pid: u32) -> Result<()> {
        let number = short(format_args!("{pid}"));
        self.entered()
            .iter()
            .try_for_each(|hierarchy| self.write_file(hierarchy, b"cgroup.procs", number.as_bytes()))
    }

    /// Whether the container's directory is still there.
    pub fn exists(&self) -> bool {
        self.entered().first().is_some_and(|hierarchy| self.open(hierarchy).is_ok())
    }

    fn add(&mut self, controllers: &[u8], mountpoint: &[&[u8]], made: u32) -> Result<()> {
        let controllers = self.names.add(&[controllers])?;
        let mountpoint = self.names.add(mountpoint)?;
        let hierarchy = Hierarchy { controllers, mountpoint, below: Span::default(), made, tasks: None };
        self.hierarchies.push(hierarchy).map_err(|_| too_many())
    }

    /// The container's cgroup, from each hierarchy's mount point.
    fn path(&self) -> &CStr {
        self.names.get(self.path)
    }

    /// The container's directory in a hierarchy. [`limits::CGROUP_PATH`] leaves room for the mount point.
    #[inline(never)]
    fn place(&self, hierarchy: &Hierarchy) -> PathBuf {
        let mut path = PathBuf::new();
        let _ = path.push(self.names.bytes(hierarchy.mountpoint));
        let _ = path.push(self.path().to_bytes());
        let _ = path.push(self.names.bytes(hierarchy.below));
        path
    }

    /// A file of the container's directory in a hierarchy.
    #[inline(never)]
    fn file(&self, hierarchy: &Hierarchy, name: &[u8]) -> PathBuf {
        let mut path = self.place(hierarchy);
        if path.join(name).is_err() {
            // Of no use as the directory's name: the kernel finds nothing there.
            path.truncate(0);
        }
        path
    }

    /// Writes to a file of the container's directory.
    #[inline(never)]
    fn write_file(&self, hierarchy: &Hierarchy, name: &[u8], value: &[u8]) -> Result<()> {
        let file = self.file(hierarchy, name);
        write_at(CWD, file.as_cstr(), value).context("write", &file)
    }

    /// Reads a file of the container's directory.
    #[inline(never)]
    fn read_file<'b>(&self, hierarchy: &Hierarchy, name: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        let file = self.file(hierarchy, name);
        read_at(CWD, file.as_cstr(), buffer).context("read", &file)
    }

    #[inline(never)]
    fn open(&self, hierarchy: &Hierarchy) -> Result<OwnedFd> {
        let path = self.place(hierarchy);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path.as_cstr(), flags, Permissions::empty()).context("open", &path)
    }

    fn open_tasks(&self, hierarchy: &Hierarchy) -> Result<OwnedFd> {
        let path = self.file(hierarchy, if self.mode == Mode::V2 { b"cgroup.procs" } else { b"tasks" });
        open(path.as_cstr(), OFlags::WRONLY | OFlags::CLOEXEC, Permissions::empty()).context("open", &path)
    }

    /// The hierarchies in which we have a place. None before `create` and after it has failed: without a
    /// path each would stand for the whole machine, or for somebody else's container.
    fn entered(&self) -> &[Hierarchy] {
        if self.path().is_empty() { &[] } else { &self.hierarchies }
    }

    /// The hierarchy that a controller is in. v2's has all.
    fn holding(&self, controller: &str) -> Option<&Hierarchy> {
        self.entered().iter().find(|hierarchy| {
            let controllers = self.names.bytes(hierarchy.controllers);
            controllers.is_empty()
                || crate::wire::cgroupfs::list(controllers).any(|name| name == controller.as_bytes())
        })
    }

    /// The hierarchy whose processes are the container's: the one that can also be frozen.
    fn primary(&self) -> Option<&Hierarchy> {
        self.holding("freezer").or_else(|| self.holding("devices")).or_else(|| self.entered().first())
    }
}
