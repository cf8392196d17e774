//! Steps that are in more than one list.

use nsenter::attr::{HEADER, Writer};
use nsenter::sync::{Channel, Fds, Kind};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::plan::namespace::Hierarchy;
use crate::plan::process::Terminal;
use crate::plan::{self, Plan, kind};
use crate::rootfs;
use crate::sys::{descriptor, process};
use crate::terminal::pty;
use crate::text::{PathBuf, shown};

/// Enters the v1 cgroups whose `tasks` files came with SETUP, in the order of its hierarchies. The literal 0 means the writing thread
/// and spares the lock that a pid in `cgroup.procs` waits for, 5 to 20 ms on an idle system.
pub fn enter_cgroups(setup: &Plan<'_>, tasks: &mut Fds) -> Result<()> {
    let count = setup.u32(kind::TASKS_FDS)?.unwrap_or(0);
    for index in 0..count as usize {
        let file = tasks.take(index).ok_or_else(|| Error::refused("message", "a tasks file is missing"))?;
        let written = rustix::io::write(descriptor::adopt(file), b"0");
        if let Err(errno) = written {
            let hierarchy = setup.each::<Hierarchy<'_>>().nth(index).transpose()?;
            let controllers = hierarchy.map_or(c"", |hierarchy| hierarchy.controllers);
            return Err(Error::system("write", format_args!("cgroup {} tasks", shown(controllers)), errno));
        }
    }
    Ok(())
}

/// A session keyring of the container's own, under runc's name for it. The host's would let it look for keys.
pub fn join_keyring(plan: &Plan<'_>) -> Result<()> {
    if plan.has(kind::NO_NEW_KEYRING)? {
        return Ok(());
    }
    let mut name = PathBuf::new();
    let id = plan.string(kind::ID)?.unwrap_or(c"");
    name.push(b"_ses.")
        .and_then(|()| name.push(id.to_bytes()))
        .map_err(|_| Error::refused("id", "too long"))?;
    match process::join_session_keyring(name.as_cstr()) {
        // A kernel without keyrings.
        Err(Errno::NOSYS) => Ok(()),
        other => other.context("keyctl", "session keyring"),
    }
}

/// The process's terminal, if it is to have one, as its standard descriptors and its /dev/console. The runtime gets the other end.
/// `order` has the size of the terminal in front of which it runs, if it does.
pub fn open_console(
    channel: Channel,
    plan: &Plan<'_>,
    order: &Plan<'_>,
    uid: u32,
    mounts: bool,
) -> Result<()> {
    if let Some(terminal) = plan.one::<Terminal>()? {
        let outer = order.one::<Terminal>()?;
        let size = outer.as_ref().filter(|outer| outer.height.is_some()).unwrap_or(&terminal);
        let pty = pty::open(size, outer.is_some())?;
        // Not in the host's mount namespace.
        if mounts {
            rootfs::console(pty.slave.as_fd())?;
        }
        let mut message = [0; HEADER];
        let message = Writer::new(&mut message, Kind::Console as u16).finish().map_err(plan::broken)?;
        channel.send_with_fds(message, &[pty.master.as_raw_fd()])?;
        pty::attach(&pty.slave)?;
    }
    pty::own(uid)
}
