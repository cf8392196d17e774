//! Where a created container waits for `start`.
//!
//! A datagram socket that `create` binds in the state directory and hands to init. It is bound under a hidden name and
//! gets its own when all is done: so a live init with [`GATE`] is `created`, and one with [`GATE_NEW`] is still being
//! created. `start` takes the name away, under the lock, before it knocks: of two, one
//! comes first. It sends one datagram, START, along with the socket over which it wants to hear what comes of it.

use core::ffi::CStr;

use nsenter::attr::{HEADER, Writer};
use nsenter::stage;
use nsenter::sync::{Channel, Kind};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::SocketType;

use super::child::channel;
use super::notify::Notify;
use super::store::{Entry, GATE, GATE_NEW, NOTIFY, Store};
use super::{Container, socket};
use crate::error::{Context, Error, Result};
use crate::plan::{self, hook};
use crate::trace;

const STOPPED: &str = "cannot start a container that has stopped";

/// Makes the gate, under its hidden name.
pub fn make(entry: &Entry) -> Result<OwnedFd> {
    let name = GATE_NEW.to_str().unwrap_or("");
    socket::bind(entry.directory(), name, Mode::RWXU).context("bind", entry.shown(GATE_NEW))
}

/// `start`: opens the gate of a created container and waits until its process runs. What then fails ends it: a process that its
/// poststart hooks do not want is removed altogether (runtime-spec 1.3).
pub fn start(store: &Store, id: &CStr, notify: Option<&CStr>, warn: &mut dyn FnMut(&Error)) -> Result<()> {
    let mut container = Container::locked(store, id)?;
    if container.init.is_none() {
        return Err(Error::refused("start", STOPPED));
    }
    let Some(gate) = container.entry.find(GATE)? else {
        return Err(Error::refused("start", "cannot start an already running container"));
    };
    // It would not answer, and nobody else could get at it meanwhile.
    if container.is_frozen()? {
        return Err(Error::refused("start", "cannot start a container in the paused state"));
    }
    let gate = match socket::connect(gate, SocketType::DGRAM) {
        // Init held the other end: it is about to have ended.
        Err(Errno::CONNREFUSED) => {
            container.kill()?;
            return Err(Error::refused("start", STOPPED));
        }
        done => done.context("connect", "gate")?,
    };
    // Only where `create` knew of systemd, too.
    let knows = notify.is_some() && container.entry.look(NOTIFY)?.is_some();
    if let Some(address) = notify.filter(|_| knows) {
        container.notify = Some(Notify::new(&container.entry, address)?);
    }
    let sockets = channel()?;
    container.entry.unlink(GATE)?;
    trace::mark(trace::LOADED);
    // Whoever hears that it failed is right: what waited for its start neither waits any more nor runs on.
    if let Err(error) = container.knock(gate, sockets, warn) {
        let _ = container.kill();
        let ended = error.errno() == Some(Errno::CONNREFUSED);
        return Err(if ended { Error::refused("start", STOPPED) } else { error });
    }
    // The hooks may run other commands on it. (It ends with us at the latest.)
    let _ = container.entry.unlock();
    if let Err(error) = container.run_hooks(hook::POSTSTART, b"running") {
        // The error to tell is the first one.
        let _ = container.destroy(warn);
        return Err(error);
    }
    container.await_ready()
}

impl Container<'_> {
    fn knock(
        &mut self,
        gate: OwnedFd,
        (ours, theirs): (OwnedFd, OwnedFd),
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        let mut knock = [0; HEADER];
        let kind = if trace::is_on() { Kind::StartTraced } else { Kind::Start };
        let knock = Writer::new(&mut knock, kind as u16).finish().map_err(plan::broken)?;
        trace::know(self.init.as_ref().map_or(0, |init| init.pid));
        Channel::new(gate.as_raw_fd()).send_with_fds(knock, &[theirs.as_raw_fd()])?;
        drop(theirs);
        self.converse(Channel::new(ours.as_raw_fd()), stage::INIT, false, warn)
    }
}
