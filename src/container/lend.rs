//! Mounts that are prepared with the host's rights and lent to init: what has its owners mapped, and, for a container in a
//! user namespace, whatever is bound from the host.

use core::fmt::Write;

use nsenter::attr::{HEADER, Writer};
use nsenter::sync::{Channel, FDS, Kind};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::{Container, Init};
use crate::error::{Context, Result};
use crate::plan::mount::{Mount, RBIND};
use crate::plan::root::Root;
use crate::plan::{self, Plan};
use crate::sys::fd::write_at;
use crate::sys::mount::{self, Attributes, Reach};
use crate::sys::process::{self, Child};
use crate::text::{PathBuf, shown};

impl Container<'_> {
    /// Sends init its next mounts, from a child of ours: who has entered another mount namespace is lost for anything else.
    pub(super) fn lend_mounts(&self, batch: usize, channel: Channel) -> Result<()> {
        let Some(init) = &self.init else { return Ok(()) };
        let Some(child) = process::fork().context("clone", "mounts")? else {
            if let Err(error) = prepare(&self.plan, init, batch, channel) {
                let errno = error.errno().map(rustix::io::Errno::raw_os_error);
                let _ = channel.send_error(error.op(), error.subject(), errno);
            }
            process::exit(0);
        };
        wait(&child)
    }
}

/// The mounts are lent in batches, as many as one message takes. One whose source an earlier mount may have made begins a batch,
/// which init asks for when it has made that.
fn prepare(plan: &Plan<'_>, init: &Init, batch: usize, channel: Channel) -> Result<()> {
    let users = plan.namespace(libc::CLONE_NEWUSER)?.is_some();
    // init's, and not ours, so that what is cloned has its propagation and the flags that are locked there.
    move_into_thread_name_spaces(init.pidfd.as_fd(), ThreadNameSpaceType::MOUNT)
        .context("setns", "mount namespace of init")?;
    let mut mounts = heapless::Vec::<OwnedFd, FDS>::new();
    let root = plan.one::<Root<'_>>()?.map_or(c"", |root| root.path);
    let (mut at, mut count) = (0, 0);
    for mount in plan.each::<Mount<'_>>() {
        let mount = mount?;
        if !mount.is_lent(users) {
            continue;
        }
        if count == FDS || count > 0 && mount.is_from(root) {
            (at, count) = (at + 1, 0);
        }
        count += 1;
        if at == batch {
            let _ = mounts.push(open(&mount, init)?);
        }
    }
    let mut message = [0; HEADER];
    let message = Writer::new(&mut message, Kind::Mounts as u16).finish().map_err(plan::broken)?;
    let fds: heapless::Vec<i32, FDS> = mounts.iter().map(AsRawFd::as_raw_fd).collect();
    Ok(channel.send_with_fds(message, &fds)?)
}

/// A detached copy of the source.
fn open(entry: &Mount<'_>, init: &Init) -> Result<OwnedFd> {
    let source = entry.source.unwrap_or(c"");
    let reach = |kind| if kind == RBIND { Reach::Tree } else { Reach::One };
    let tree = mount::clone_tree(CWD, source, reach(entry.bind), entry.source_nofollow)
        .context("open_tree", shown(source))?;
    if let Some(mapped) = entry.idmap {
        let users = match (entry.uid_map, entry.gid_map) {
            (Some(uids), Some(gids)) => made([uids.to_bytes(), gids.to_bytes()])?,
            _ => user_namespace(init.pid)?,
        };
        // EINVAL: a filesystem that cannot (before Linux 6.3 tmpfs, before 5.19 overlayfs), or a mount that is mapped already.
        mount::set_attributes(&tree, reach(mapped), &Attributes::idmap(users.as_fd()))
            .context("mount_setattr", format_args!("{} (MOUNT_ATTR_IDMAP)", shown(entry.destination)))?;
    }
    Ok(tree)
}

/// A user namespace with these maps. Its one process ends at once: until it is waited for, its entry in /proc stays, and so
/// does its namespace.
fn made(maps: [&[u8]; 2]) -> Result<OwnedFd> {
    let Some(child) = process::clone(libc::CLONE_NEWUSER).context("clone", "CLONE_NEWUSER")? else {
        process::exit(0);
    };
    let written = ["uid_map", "gid_map"].iter().zip(maps).try_for_each(|(name, map)| {
        let file = proc(child.pid, name);
        write_at(CWD, file.as_cstr(), map).context("write", &file)
    });
    let namespace = written.and_then(|()| user_namespace(child.pid));
    wait(&child)?;
    namespace
}

fn user_namespace(pid: i32) -> Result<OwnedFd> {
    let path = proc(pid, "ns/user");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path.as_cstr(), flags, Mode::empty()).context("open", &path)
}

fn proc(pid: i32, name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let _ = write!(path, "/proc/{pid}/{name}");
    path
}

fn wait(child: &Child) -> Result<()> {
    waitpid(Pid::from_raw(child.pid), WaitOptions::empty()).context("waitpid", "child").map(drop)
}
