//! What runs inside: the lists of steps that turn the last stage into the container's process.
//!
//! Init prints nothing. What fails is told to the runtime over the socket, and the process ends.

mod create;
mod cwd;
mod environment;
mod exec;
mod execute;
mod gate;
mod process;
pub mod reaper;
mod seccomp;
mod steps;

use core::convert::Infallible;
use core::sync::atomic::{AtomicI32, Ordering};

use nsenter::stage;
use nsenter::sync::{Channel, Fds, Kind, silent};

use crate::error::{Context, Error, Result, STEP};
use crate::limits;
use crate::plan::{Plan, kind};
use crate::sys::memory;
use crate::trace;

/// The program's part as a stage, with `socket` inherited and `name` its argv[0]. Comes back only when it has
/// failed, with the status to exit with; the runtime knows why.
pub fn main(socket: i32, name: &mut [u8]) -> u8 {
    let channel = stage::enter(socket, name);
    let Err(error) = begin(channel);
    trace::send(channel);
    // When this fails as well, the runtime is gone and there is nobody to tell.
    let _ = channel.send_error(error.op(), error.subject(), error.errno().map(|errno| errno.raw_os_error()));
    1
}

/// What is to be done waits in the socket: ORDER with its descriptors, and PLAN. SETUP comes when the runtime is ready for that.
fn begin(channel: Channel) -> Result<Infallible> {
    let mut fds = Fds::default();
    let order = receive(channel, Kind::Order, limits::ORDER, &mut fds)?;
    let plan = receive(channel, Kind::Plan, limits::PLAN, &mut Fds::default())?;
    if order.has(kind::DEBUG)? {
        LISTENER.store(channel.as_raw(), Ordering::Relaxed);
    }
    step(trace::PLAN);
    if order.has(kind::EXEC)? {
        exec::exec(channel, order, plan)
    } else {
        create::create(channel, order, fds, plan)
    }
}

/// The socket, when somebody listens there to the steps.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

/// A step of a list is done: marks it, and tells it with `--debug`.
fn step(done: u8) {
    trace::mark(done);
    tell(trace::name(done));
}

/// Tells something, with `--debug`.
fn tell(what: &str) {
    let socket = LISTENER.load(Ordering::Relaxed);
    if socket >= 0 {
        // Who does not listen any more does not keep us from the next one.
        let _ = Channel::new(socket).send_step(STEP, what);
    }
}

/// The next message, in memory of its own.
fn receive(channel: Channel, kind: Kind, most: usize, fds: &mut Fds) -> Result<Plan<'static>> {
    let header = channel.recv_header(fds)?.ok_or_else(|| silent(c"runtime"))?;
    if header.kind != kind as u16 || header.len > most {
        return Err(Error::refused("message", "not the one that was due"));
    }
    let memory = memory::anonymous(header.len).context("mmap", "plan")?;
    Ok(Plan::new(channel.recv_rest(&header, memory)?))
}
