//! The wait of a created container for its start.

use nsenter::Fd;
use nsenter::sync::{Channel, Fds, Kind, silent};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::sys::{descriptor, signalfd};
use crate::trace;

/// Signals that end no process which does not catch them (signal(7)): bit n-1 is signal n.
const HARMLESS: u64 = bits(&[
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
]);

const START: u16 = Kind::Start as u16;
const START_TRACED: u16 = Kind::StartTraced as u16;

const fn bits(signals: &[i32]) -> u64 {
    let (mut set, mut at) = (0, 0);
    while at < signals.len() {
        set |= 1 << (signals[at] - 1);
        at += 1;
    }
    set
}

/// What a created container waits for.
pub struct Gate {
    knock: OwnedFd,
    signals: OwnedFd,
}

/// The gate that came with ORDER, while there still is a runtime to tell that this failed.
pub fn open(gate: Option<Fd>) -> Result<Gate> {
    let knock = descriptor::adopt(gate.ok_or_else(|| silent(c"gate"))?);
    Ok(Gate { knock, signals: signalfd::of(!HARMLESS).context("signalfd4", "gate")? })
}

/// Lets the runtime go and waits at the gate for START. The gate, and then the socket that comes with START, takes the number of
/// `channel`, so that what is said later goes to who is there to hear it.
///
/// All signals have been blocked since before this process began. One that would have ended it ends it: `kill` works on a
/// created container, too, and the kernel would not let the first process of a pid namespace die of its own.
pub fn wait(channel: Channel, Gate { knock: gate, signals }: Gate) -> Result<()> {
    channel.expect(Kind::Leave, &mut Fds::default())?;
    descriptor::replace(channel.as_raw(), &gate).context("dup3", "gate")?;
    loop {
        let mut fds = [PollFd::new(&gate, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("poll", "gate", errno)),
        }
        if let Some(signal) = signalfd::next(&signals).context("read", "signalfd")? {
            return Err(Error::refused("gate", format_args!("signal {signal}")));
        }
        let [knock, _] = &fds;
        if !knock.revents().is_empty() {
            break;
        }
    }
    let mut fds = Fds::default();
    match channel.recv_header(&mut fds)?.map(|header| header.kind) {
        Some(START) => {}
        Some(START_TRACED) => {
            trace::begin();
            trace::mark(trace::GATE);
        }
        _ => return Err(silent(c"start").into()),
    }
    let socket = fds.take(0).ok_or_else(|| silent(c"start"))?;
    descriptor::replace(channel.as_raw(), &descriptor::adopt(socket)).context("dup3", "gate")?;
    // START was the decision: should who sent it be gone, there is nobody to tell, and the process runs all the same.
    let _ = channel.send_simple(Kind::Ready);
    Ok(())
}
