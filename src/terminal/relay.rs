//! A container's terminal in the foreground: what is typed goes to it, what it prints comes out.
//!
//! Knows two ends and a buffer for each direction, and nothing of containers. Never blocks: each end is
//! read and written only when poll(2) said so, at most `CHUNK` bytes, which a writable pipe takes whole.

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::error::{Context, Error, Result};
use crate::plan::process::Terminal;
use crate::sys::stdio::{stdin, stdout};

/// PIPE_BUF (pipe(7)).
const CHUNK: usize = 4096;

/// What a terminal in the foreground is to be from the start: as large as ours, whatever the configuration says, and 0 by 0
/// (unknown) without one.
pub fn outer() -> Terminal {
    let size = tcgetwinsize(stdin()).ok();
    Terminal { height: size.map(|size| size.ws_row.into()), width: size.map(|size| size.ws_col.into()) }
}

/// Between our own terminal and the container's.
pub struct Relay {
    master: OwnedFd,
    /// How our terminal was set before; none: standard input is none.
    before: Option<Termios>,
    input: Buffer,
    output: Buffer,
    input_open: bool,
    output_open: bool,
    /// Why not all that the container printed came out.
    pub lost: Option<Error>,
}

impl Relay {
    /// Takes the master side of the container's terminal, and sets ours to raw mode.
    pub fn new(master: OwnedFd) -> Result<Self> {
        let relay = Self {
            master,
            before: tcgetattr(stdin()).ok(),
            input: Buffer::new(),
            output: Buffer::new(),
            input_open: true,
            output_open: true,
            lost: None,
        };
        let flags = fcntl_getfl(&relay.master).context("fcntl", "terminal")?;
        fcntl_setfl(&relay.master, flags | OFlags::NONBLOCK).context("fcntl", "terminal")?;
        if let Some(mut raw) = relay.before.clone() {
            raw.make_raw();
            raw.output_modes |= OutputModes::OPOST;
            tcsetattr(stdin(), OptionalActions::Now, &raw).context("tcsetattr", "standard input")?;
        }
        Ok(relay)
    }

    /// Gives the container's terminal the size of ours, if we have one.
    pub fn resize(&self) {
        if let Ok(size) = tcgetwinsize(stdin()) {
            // The container's end may be gone by now; its size matters to nobody then.
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What to wait for: the container's terminal, our input, our output.
    pub fn interests(&self) -> [PollFd<'_>; 3] {
        let want = |fd, events| PollFd::from_borrowed_fd(fd, events);
        let only = |wanted: bool, events| if wanted { events } else { PollFlags::empty() };
        let master = only(self.output_open && self.output.has_room(), PollFlags::IN)
            | only(!self.input.is_empty(), PollFlags::OUT);
        // A descriptor in which nothing is of interest would still report its end again and again.
        let input = if self.input_open && self.input.has_room() { stdin() } else { self.master.as_fd() };
        let output = if self.output.is_empty() { self.master.as_fd() } else { stdout() };
        [
            want(self.master.as_fd(), master),
            want(input, only(self.input_open && self.input.has_room(), PollFlags::IN)),
            want(output, only(!self.output.is_empty(), PollFlags::OUT)),
        ]
    }

    /// Moves what can be moved, told what is ready (in the order of [`Relay::interests`]). False once the
    /// container's side has ended and all it printed is out.
    pub fn step(&mut self, ready: [PollFlags; 3]) -> bool {
        let [master, input, output] = ready;
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        if self.input_open && self.input.has_room() && input.intersects(readable) {
            self.input_open = self.input.fill(stdin()).unwrap_or(false);
        }
        if !self.input.is_empty() && master.contains(PollFlags::OUT) {
            let _ = self.input.drain(self.master.as_fd());
        }
        if self.output_open && self.output.has_room() && master.intersects(readable) {
            self.output_open = self.output.fill(self.master.as_fd()).unwrap_or_else(|errno| {
                // That is how a terminal says that its other side is closed.
                if errno != Errno::IO {
                    self.lost = Some(Error::system("read", "terminal", errno));
                }
                false
            });
        }
        if !self.output.is_empty() && output.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP) {
            match self.output.drain(stdout()) {
                // Who read it has had enough.
                Ok(()) | Err(Errno::PIPE) => {}
                Err(errno) => self.lost = Some(Error::system("write", "standard output", errno)),
            }
        }
        self.output_open || !self.output.is_empty()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

/// Bytes on their way.
struct Buffer {
    bytes: [u8; CHUNK],
    start: usize,
    end: usize,
}

impl Buffer {
    const fn new() -> Self {
        Self { bytes: [0; CHUNK], start: 0, end: 0 }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn has_room(&self) -> bool {
        self.is_empty()
    }

    /// Reads into the empty buffer. False at the end.
    fn fill(&mut self, from: BorrowedFd<'_>) -> rustix::io::Result<bool> {
        match rustix::io::read(from, &mut self.bytes) {
            Ok(read) => {
                (self.start, self.end) = (0, read);
                Ok(read > 0)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(errno) => Err(errno),
        }
    }

    /// Writes what it can. What nobody takes any more is dropped.
    fn drain(&mut self, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
        match rustix::io::write(to, self.bytes.get(self.start..self.end).unwrap_or(&[])) {
            Ok(written) => self.start += written,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                self.start = self.end;
                return Err(errno);
            }
        }
        Ok(())
    }
}
