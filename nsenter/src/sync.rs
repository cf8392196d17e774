//! Who says what between the runtime and what it starts, and how it is sent. Both ends of each exchange are
//! here.
//!
//! ```text
//!     runtime                      child (stage 1)              init (stage 2)
//!        | BOOT (+ pidfds) ----------->|
//!        |<--------------- MAP_PLEASE -|          only when BOOT says `maps`
//!        | MAP_DONE ------------------>|
//!        | ORDER (+ descriptors), PLAN |- - - - - - - ->|   stay in the socket until init reads them
//!        | SETUP (+ descriptors) ----- |- - - - - - - ->|   when cgroups and all that is init's to find are made
//!        |<--------------------------------------- PID -|   the child has exited; unless `collapsed`: then it *is* init
//!        |<-------------------------------------- STEP -|   any number of times, when asked for
//!        |<----------------------------- MOUNTS_PLEASE -|   when asked for
//!        | MOUNTS (+ descriptors), or ERROR ------------>|   from a child of the runtime in init's mount namespace
//!        |<------------------------------ HOOKS_PLEASE -|   when asked for
//!        | HOOKS_DONE --------------------------------->|
//!        |<-------------------------- CONSOLE (+ master) -|   when there is a terminal
//!        |<------------------------ LISTENER (+ its fd) -|   when the filter asks an agent; perhaps behind READY
//!        | LISTENER_DONE ------------------------------>|
//!        |<------------------------------------- MARKS -|   when asked for; with a gate before READY, else behind it
//!        |<------------------------------------- READY -|
//!        |<------------------------------- end of file -| execve: the socket is close-on-exec
//!        | LEAVE -------------------------------------->|   instead, where ORDER brought a gate: init waits there
//!
//!      start                                            |
//!        | START (+ socket), one datagram ------------->|   takes the place of the socket to the runtime
//!        |<------------------------------------- READY -|
//!        |<------------------------------- end of file -| execve
//!        |<- ERROR{op, subject, errno} -|- - - - - - - -|   at any time, instead; then the stage exits
//! ```
//!
//! One stream, two directions: PLAN must go behind MAP_DONE, since the child reads no further than it
//! needs. Init says nothing before PID, so the runtime knows whom it talks to. End of file
//! without READY is an error of the stage that was due to speak ([`silent`]). A failure of the runtime is
//! the end of file on the other side: the stages exit.
//!
//! Each message is read in two steps, the header and then exactly as many bytes as it says, so that nobody
//! eats the next message.

use core::ffi::CStr;

use crate::attr::{self, HEADER, Message, Writer};
use crate::error::{Context, Error, OP, SUBJECT, Text};
use crate::raw::{self, Errno, Fd, RawFd};
use crate::trace;

pub use crate::raw::{FDS, Fds};

/// The messages. Numbers below 0x10 are netlink's own (NLMSG_MIN_TYPE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// What the child makes and joins: [`crate::boot::Boot`].
    Boot = 0x10,
    /// What init does; nsenter does not look inside.
    Plan = 0x11,
    /// The child is in its user namespace and has no ids yet.
    MapPlease = 0x12,
    /// The maps are written.
    MapDone = 0x13,
    /// Init's pid, as the runtime sees it.
    Pid = 0x14,
    /// Init has come to where the runtime's hooks are due.
    HooksPlease = 0x15,
    /// The hooks have run.
    HooksDone = 0x16,
    /// All is done but execve.
    Ready = 0x17,
    /// A stage has failed and exits.
    Error = 0x18,
    /// What was made for the container on this host, with descriptors; sent behind PLAN. nsenter does not look inside.
    Setup = 0x19,
    /// The master side of the terminal that init has opened: one descriptor.
    Console = 0x1a,
    /// A datagram to the gate: go on, and tell over the socket that comes along.
    Start = 0x1b,
    /// Init has its mounts to itself, and wants those that only the runtime can prepare.
    MountsPlease = 0x1c,
    /// Those mounts, in the plan's order.
    Mounts = 0x1d,
    /// What init has come to, where ORDER asks to be told. The other side need not answer.
    Step = 0x1e,
    /// Init is under a filter that asks an agent: the descriptor to answer by, or only its number in init.
    Listener = 0x20,
    /// The agent has it.
    ListenerDone = 0x21,
    /// The runtime leaves a created container, which is to wait at its gate.
    Leave = 0x1f,
    /// When the stages' phases ended: see [`crate::trace`]. Nobody but it looks inside.
    Marks = 0x22,
    /// START from a runtime that wants marks.
    StartTraced = 0x23,
    /// What the command asks of init, with descriptors; sent before PLAN. nsenter does not look inside.
    Order = 0x24,
}

/// Attribute types of PID, LISTENER and ERROR; a number is never used again for something else.
mod kind {
    pub const PID: u16 = 1;
    pub const OP: u16 = 1;
    pub const SUBJECT: u16 = 2;
    pub const ERRNO: u16 = 3;
}

/// Most bytes of an ERROR, the longest of the messages but BOOT and PLAN: two strings with their NUL, a
/// number.
const SMALL: usize = HEADER + 4 + OP + 4 + 4 + SUBJECT + 4 + 8;

/// What the runtime hears.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Write the maps, then say MAP_DONE.
    MapPlease,
    /// Init's pid. It is the runtime's child, as is stage 1, which now exits: both are to be waited for.
    Pid(i32),
    /// Send the mounts that are prepared outside.
    MountsPlease,
    /// Run the hooks, then say HOOKS_DONE.
    HooksPlease,
    /// A step of init: no failure, but told in the same form.
    Step(Error),
    /// The terminal's master side.
    Console(Fd),
    /// The seccomp listener, or its number in init: give it to its agent, then say LISTENER_DONE.
    Listener(Result<Fd, RawFd>),
    /// Init is about to call execve.
    Ready,
    /// End of file: after READY, execve has happened.
    Closed,
}

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole message, header included; at least [`HEADER`].
    pub len: usize,
    /// One of [`Kind`], as a number since it comes from outside.
    pub kind: u16,
    bytes: [u8; HEADER],
}

/// One end of the socketpair (AF_UNIX, SOCK_STREAM), owned by someone else.
#[derive(Clone, Copy, Debug)]
pub struct Channel(RawFd);

impl Channel {
    /// The channel on a descriptor that stays open as long as this is used.
    pub fn new(socket: RawFd) -> Self {
        Self(socket)
    }

    /// The descriptor.
    pub fn as_raw(&self) -> RawFd {
        self.0
    }

    /// Sends a whole message.
    pub fn send(&self, message: &[u8]) -> Result<(), Error> {
        self.send_with_fds(message, &[])
    }

    /// Sends a whole message; at most [`FDS`] descriptors go with its first byte. When the other side is
    /// gone, the error is the one it left behind, if it did.
    pub fn send_with_fds(&self, message: &[u8], mut fds: &[RawFd]) -> Result<(), Error> {
        let mut rest = message;
        while !rest.is_empty() {
            match raw::sendmsg(self.0, rest, fds) {
                Ok(sent) => {
                    rest = rest.get(sent..).unwrap_or(&[]);
                    fds = &[];
                }
                Err(Errno(libc::EINTR)) => {}
                Err(errno) => return Err(self.last_words(errno)),
            }
        }
        Ok(())
    }

    /// Sends a message that has no attributes.
    pub fn send_simple(&self, kind: Kind) -> Result<(), Error> {
        let mut buffer = [0; HEADER];
        self.send(Writer::new(&mut buffer, kind as u16).finish()?)
    }

    /// Sends PID.
    pub fn send_pid(&self, pid: i32) -> Result<(), Error> {
        let mut buffer = [0; SMALL];
        self.send(emit_number(&mut buffer, Kind::Pid, pid)?)
    }

    /// Sends LISTENER; `alone`: by write(2), without the descriptor, since the agent is asked about sendmsg(2).
    pub fn send_listener(&self, listener: RawFd, alone: bool) -> Result<(), Error> {
        let mut buffer = [0; HEADER + 8];
        let message = emit_number(&mut buffer, Kind::Listener, listener)?;
        if alone {
            return raw::write(self.0, message).map(drop).context("write", b"socket");
        }
        self.send_with_fds(message, &[listener])
    }

    /// Sends ERROR, clipped to [`OP`] and [`SUBJECT`] bytes. `errno`: none for a refusal of our own.
    pub fn send_error(&self, op: &str, subject: &str, errno: Option<i32>) -> Result<(), Error> {
        let mut buffer = [0; SMALL];
        self.send(emit_error(&mut buffer, Kind::Error, op, subject, errno)?)
    }

    /// Sends STEP.
    pub fn send_step(&self, op: &str, step: &str) -> Result<(), Error> {
        let mut buffer = [0; SMALL];
        self.send(emit_error(&mut buffer, Kind::Step, op, step, None)?)
    }

    /// Reads the next message's header and takes the descriptors that came along; `None` at end of file.
    pub fn recv_header(&self, fds: &mut Fds) -> Result<Option<Header>, Error> {
        let mut bytes = [0; HEADER];
        let first = loop {
            match raw::recvmsg(self.0, &mut bytes, Some(&mut *fds)) {
                Err(Errno(libc::EINTR)) => {}
                // The other side closed with something of ours unread (unix(7)): it is gone all the same.
                Ok(0) | Err(Errno(libc::ECONNRESET)) => return Ok(None),
                other => break other.context("recvmsg", b"socket")?,
            }
        };
        self.fill(bytes.get_mut(first..).unwrap_or(&mut []))?;
        let [a, b, c, d, e, f, ..] = bytes;
        let len = u32::from_ne_bytes([a, b, c, d]) as usize;
        if len < HEADER {
            return Err(Error::from(attr::Error { kind: 0, fault: attr::Fault::Truncated }));
        }
        Ok(Some(Header { len, kind: u16::from_ne_bytes([e, f]), bytes }))
    }

    /// Reads what follows `header` into `buffer`, which then holds the whole message (its first
    /// `header.len` bytes).
    pub fn recv_rest<'a>(&self, header: &Header, buffer: &'a mut [u8]) -> Result<Message<'a>, Error> {
        const NO_SPACE: attr::Error = attr::Error { kind: 0, fault: attr::Fault::NoSpace };
        let whole = buffer.get_mut(..header.len).ok_or(NO_SPACE)?;
        let (head, rest) = whole.split_first_chunk_mut::<HEADER>().ok_or(NO_SPACE)?;
        *head = header.bytes;
        self.fill(rest)?;
        Ok(Message::parse(whole)?.0)
    }

    /// Reads the next message; `None` at end of file.
    pub fn recv<'a>(&self, buffer: &'a mut [u8], fds: &mut Fds) -> Result<Option<Message<'a>>, Error> {
        match self.recv_header(fds)? {
            Some(header) => self.recv_rest(&header, buffer).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for a message that has no attributes, in a stage.
    pub fn expect(&self, kind: Kind, fds: &mut Fds) -> Result<(), Error> {
        let mut buffer = [0; SMALL];
        match self.recv(&mut buffer, fds)? {
            Some(message) if message.kind == kind as u16 => Ok(()),
            Some(_) => Err(Error::refused("message", b"not the one that was due")),
            None => Err(silent(c"runtime")),
        }
    }

    /// Waits for MOUNTS, in init: the descriptors that come with it. ERROR comes out as the error that it tells.
    pub fn expect_mounts(&self) -> Result<Fds, Error> {
        const MOUNTS: u16 = Kind::Mounts as u16;
        const ERROR: u16 = Kind::Error as u16;
        let mut buffer = [0; SMALL];
        let mut fds = Fds::default();
        match self.recv(&mut buffer, &mut fds)? {
            Some(message) if message.kind == MOUNTS => Ok(fds),
            Some(message) if message.kind == ERROR => Err(parse_error(&message).unwrap_or_else(Error::from)),
            Some(_) => Err(Error::refused("message", b"not the one that was due")),
            None => Err(silent(c"runtime")),
        }
    }

    /// Waits for the next message, in the runtime. ERROR comes out as the error that it tells.
    pub fn answer(&self) -> Result<Answer, Error> {
        const MARKS: u16 = Kind::Marks as u16;
        let mut buffer = [0; SMALL];
        let mut fds = Fds::default();
        loop {
            match self.recv(&mut buffer, &mut fds)? {
                Some(message) if message.kind == MARKS => trace::receive(&message)?,
                Some(message) => return parse_answer(&message, &mut fds),
                None => {
                    trace::mark(trace::CLOSED);
                    return Ok(Answer::Closed);
                }
            }
        }
    }

    /// Reads until `bytes` is full. Descriptors come with a header only.
    fn fill(&self, mut bytes: &mut [u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            match raw::recvmsg(self.0, bytes, None) {
                Err(Errno(libc::EINTR)) => {}
                Ok(0) | Err(Errno(libc::ECONNRESET)) => {
                    return Err(Error::from(attr::Error { kind: 0, fault: attr::Fault::Truncated }));
                }
                other => {
                    let got = other.context("recvmsg", b"socket")?;
                    bytes = bytes.get_mut(got..).unwrap_or(&mut []);
                }
            }
        }
        Ok(())
    }

    /// A stage that fails sends ERROR and exits; who meanwhile sends to it gets EPIPE or ECONNRESET, which
    /// tells nobody anything.
    #[cold]
    fn last_words(&self, errno: Errno) -> Error {
        if matches!(errno, Errno(libc::EPIPE | libc::ECONNRESET)) {
            loop {
                match self.answer() {
                    Ok(Answer::Closed) => break,
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
        }
        Error::system("sendmsg", b"socket", errno)
    }
}

/// The error of an end of file where a message was due: `stage` is [`crate::stage::CHILD`],
/// [`crate::stage::INIT`] or `runtime`.
#[cold]
pub fn silent(stage: &CStr) -> Error {
    Error::refused(stage.to_str().unwrap_or(""), b"died without a word")
}

fn emit_number(buffer: &mut [u8], kind: Kind, number: i32) -> Result<&[u8], attr::Error> {
    let mut writer = Writer::new(buffer, kind as u16);
    writer.u32(kind::PID, number as u32);
    writer.finish()
}

fn emit_error<'a>(
    buffer: &'a mut [u8],
    kind: Kind,
    op: &str,
    subject: &str,
    errno: Option<i32>,
) -> Result<&'a [u8], attr::Error> {
    let mut writer = Writer::new(buffer, kind as u16);
    string(&mut writer, kind::OP, Text::<OP>::of(&[op.as_bytes()]).as_str());
    string(&mut writer, kind::SUBJECT, Text::<SUBJECT>::of(&[subject.as_bytes()]).as_str());
    if let Some(errno) = errno {
        writer.u32(kind::ERRNO, errno as u32);
    }
    writer.finish()
}

/// A string that [`Text`] has freed of NULs, and the one at its end.
fn string(writer: &mut Writer<'_>, kind: u16, text: &str) {
    let open = writer.begin(kind);
    writer.append(text.as_bytes());
    writer.append(&[0]);
    writer.end(open);
}

fn parse_answer(message: &Message<'_>, fds: &mut Fds) -> Result<Answer, Error> {
    const CONSOLE: u16 = Kind::Console as u16;
    const LISTENER: u16 = Kind::Listener as u16;
    const MAP_PLEASE: u16 = Kind::MapPlease as u16;
    const PID: u16 = Kind::Pid as u16;
    const MOUNTS_PLEASE: u16 = Kind::MountsPlease as u16;
    const HOOKS_PLEASE: u16 = Kind::HooksPlease as u16;
    const READY: u16 = Kind::Ready as u16;
    const ERROR: u16 = Kind::Error as u16;
    const STEP: u16 = Kind::Step as u16;
    match message.kind {
        MAP_PLEASE => Ok(Answer::MapPlease),
        MOUNTS_PLEASE => Ok(Answer::MountsPlease),
        HOOKS_PLEASE => Ok(Answer::HooksPlease),
        READY => {
            trace::mark(trace::READY);
            Ok(Answer::Ready)
        }
        CONSOLE => {
            let fd = fds.take(0).ok_or_else(|| Error::refused("message", b"without its descriptor"));
            fd.map(Answer::Console)
        }
        LISTENER => {
            let number = parse_number(message)?;
            Ok(Answer::Listener(fds.take(0).ok_or(number)))
        }
        PID => {
            let pid = parse_number(message)?;
            trace::note(trace::INIT_PID, pid.unsigned_abs().into());
            Ok(Answer::Pid(pid))
        }
        ERROR => Err(parse_error(message).unwrap_or_else(Error::from)),
        STEP => parse_error(message).map(Answer::Step).map_err(Error::from),
        _ => Err(Error::refused("message", b"not one that a stage sends")),
    }
}

fn parse_number(message: &Message<'_>) -> Result<i32, attr::Error> {
    let mut pid = None;
    for attr in message.attrs {
        let attr = attr?;
        match attr.kind {
            kind::PID => pid = Some(attr.u32()? as i32),
            _ => return Err(attr.unknown()),
        }
    }
    // A pid is acted upon: kill(2) takes 0 and -1 for groups of processes. No listener is standard input.
    match pid {
        Some(pid) if pid > 0 => Ok(pid),
        Some(_) => Err(attr::Error { kind: kind::PID, fault: attr::Fault::Value }),
        None => Err(attr::Error { kind: kind::PID, fault: attr::Fault::Missing }),
    }
}

fn parse_error(message: &Message<'_>) -> Result<Error, attr::Error> {
    let (mut op, mut subject, mut errno) = (c"", c"", None);
    for attr in message.attrs {
        let attr = attr?;
        match attr.kind {
            kind::OP => op = attr.string()?,
            kind::SUBJECT => subject = attr.string()?,
            kind::ERRNO => match attr.u32()? {
                // What a system call can answer: whoever shows it need not look again.
                number @ 1..4096 => errno = Some(Errno(number as i32)),
                _ => return Err(attr.fault(attr::Fault::Value)),
            },
            _ => return Err(attr.unknown()),
        }
    }
    Ok(Error::received(op.to_bytes(), subject.to_bytes(), errno))
}

#[cfg(test)]
mod tests;
