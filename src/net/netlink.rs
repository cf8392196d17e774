//! A conversation with the kernel about links and addresses (rtnetlink(7)), in the network namespace that it was begun in.

use nsenter::attr::{self, Message};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};

use crate::error::{Context, Result};
use crate::sys::memory;
use crate::text::shown;

const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;

/// What is asked for wants an answer.
pub const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
/// The answer is a list.
pub const LIST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
/// What is not there yet is made.
pub const CREATE: u16 = REQUEST | libc::NLM_F_CREATE as u16;
/// And may not be there.
pub const EXCLUSIVE: u16 = CREATE | libc::NLM_F_EXCL as u16;

/// Bytes for the kernel's answers: a datagram is never larger (`netlink_recvmsg`).
const ROOM: usize = 32 << 10;

/// Such a conversation.
pub struct Netlink {
    socket: OwnedFd,
    answers: &'static mut [u8],
}

impl Netlink {
    /// On a socket that is there already, with memory of its own.
    pub fn on(socket: OwnedFd, answers: &'static mut [u8]) -> Self {
        Self { socket, answers }
    }

    /// With the namespace of this thread. Protocol 0 is `NETLINK_ROUTE`.
    pub fn open() -> Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .context("socket", "AF_NETLINK")?;
        Ok(Self::on(socket, memory::anonymous(ROOM).context("mmap", "netlink")?))
    }

    /// With that of a process: a socket belongs to the namespace that it was made in, wherever its owner goes.
    pub fn open_in(pidfd: BorrowedFd<'_>) -> Result<Self> {
        let home = c"/proc/self/ns/net";
        let ours = openat(CWD, home, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .context("open", shown(home))?;
        move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::NETWORK)
            .context("setns", "network namespace of init")?;
        let socket = Self::open();
        move_into_link_name_space(ours.as_fd(), Some(LinkNameSpaceType::Network))
            .context("setns", shown(home))?;
        socket
    }

    /// The number of a link (netdevice(7): any socket of its namespace may ask).
    pub fn index_of(&self, name: &str) -> core::result::Result<u32, Errno> {
        name_to_index(&self.socket, name)
    }

    /// Sends a request, and hands what comes back to `take`, up to the acknowledgement or the end of the list.
    pub fn ask(
        &mut self,
        request: core::result::Result<&[u8], attr::Error>,
        take: &mut dyn FnMut(&Message<'_>) -> core::result::Result<(), Errno>,
    ) -> core::result::Result<(), Errno> {
        send(&self.socket, request.map_err(|_| Errno::NOBUFS)?, SendFlags::empty())?;
        loop {
            let (_, len) = retry_on_intr(|| recv(&self.socket, &mut *self.answers, RecvFlags::empty()))?;
            let mut rest = self.answers.get(..len).filter(|text| !text.is_empty()).ok_or(Errno::BADMSG)?;
            while !rest.is_empty() {
                let (message, behind) = Message::parse(rest).map_err(bad)?;
                if matches!(message.kind, ERROR | DONE) {
                    // `nlmsgerr.error`: a negated errno, or 0; a list ends with the same.
                    return match message.fixed().map(|(error, _)| i32::from_ne_bytes(error)) {
                        Ok(0) => Ok(()),
                        Ok(error @ -4095..0) => Err(Errno::from_raw_os_error(-error)),
                        _ => Err(Errno::BADMSG),
                    };
                }
                take(&message)?;
                rest = behind;
            }
        }
    }

    /// The same where nothing but the acknowledgement comes back.
    pub fn tell(
        &mut self,
        request: core::result::Result<&[u8], attr::Error>,
    ) -> core::result::Result<(), Errno> {
        self.ask(request, &mut |_| Ok(()))
    }
}

/// An answer that is none.
pub fn bad(_: attr::Error) -> Errno {
    Errno::BADMSG
}

/// `struct ifinfomsg`: family, padding, type; index; flags; which of them change. All that are given are set, no other changes.
pub fn ifinfomsg(index: u32, flags: i32) -> [u8; 16] {
    let mut info = [0; 16];
    let flags = flags.to_ne_bytes();
    for (place, bytes) in info.chunks_exact_mut(4).skip(1).zip([index.to_ne_bytes(), flags, flags]) {
        place.copy_from_slice(&bytes);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsenter::attr::Writer;
    use rustix::net::{Shutdown, shutdown, socketpair};

    /// What is made of these datagrams.
    fn told(datagrams: &[&[u8]]) -> core::result::Result<(), Errno> {
        let kind = SocketType::SEQPACKET;
        let (kernel, ours) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        for datagram in datagrams {
            send(&kernel, datagram, SendFlags::empty())?;
        }
        shutdown(&kernel, Shutdown::Write)?;
        Netlink::on(ours, memory::anonymous(ROOM)?).tell(Ok(&[0; 16]))
    }

    #[test]
    fn an_answer_is_an_errno_of_the_kernel_or_none() {
        let end = |number: i32| {
            let mut room = [0; 32];
            told(&[Writer::request(&mut room, ERROR, 0, &number.to_ne_bytes()).finish().unwrap()])
        };
        assert_eq!([0, -1, -4095].map(end), [Ok(()), Err(Errno::PERM), Err(Errno::from_raw_os_error(4095))]);
        assert_eq!([1, -4096, i32::MIN].map(end), [Err(Errno::BADMSG); 3]);
    }

    #[test]
    fn a_conversation_that_ends_without_an_answer_is_an_error() {
        assert_eq!(told(&[]), Err(Errno::BADMSG));
        assert_eq!(told(&[&[16, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]]), Err(Errno::BADMSG));
        assert_eq!(told(&[&[15, 0, 0, 0]]), Err(Errno::BADMSG));
    }
}
