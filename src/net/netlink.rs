//! A conversation with the kernel about links and addresses (rtnetlink(7)), in the network namespace that it was begun in.

use nsenter::attr::Message;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;

pub struct Netlink(OwnedFd);

impl Netlink {
    /// Protocol 0 is `NETLINK_ROUTE`.
    pub fn open() -> Result<Self, Errno> {
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map(Self)
    }

    /// The number of a link (netdevice(7): any socket of its namespace may ask).
    pub fn index_of(&self, name: &str) -> Result<u32, Errno> {
        name_to_index(&self.0, name)
    }

    /// Sends a request, and hands what comes back to `take`, up to the acknowledgement or the end of the list. A datagram is
    /// never larger than 32 KiB (`netlink_recvmsg`), and `buffer` should not be smaller.
    pub fn ask(
        &self,
        request: &[u8],
        buffer: &mut [u8],
        take: &mut dyn FnMut(&Message<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        send(&self.0, request, SendFlags::empty())?;
        loop {
            let (_, len) = retry_on_intr(|| recv(&self.0, &mut *buffer, RecvFlags::empty()))?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                let (message, behind) = Message::parse(rest).map_err(|_| Errno::BADMSG)?;
                if matches!(message.kind, ERROR | DONE) {
                    // `nlmsgerr.error`: a negated errno, or 0; a list ends with the same.
                    return match message.fixed().map(|(error, _)| i32::from_ne_bytes(error)) {
                        Ok(0) => Ok(()),
                        Ok(error) => Err(Errno::from_raw_os_error(-error)),
                        Err(_) => Err(Errno::BADMSG),
                    };
                }
                take(&message)?;
                rest = behind;
            }
        }
    }
}
