//! `linux.netDevices`: links of the host that move into the container's network namespace, for good: what becomes of them
//! when that ends is the kernel's business (physical ones fall back to the first namespace).
//!
//! A link loses its addresses on the way, so those that are permanent and global are read before and given back there
//! (config-linux.md). One request moves, renames and sets it up, in this order (`do_setlink`): its name is looked for
//! first, since a link that cannot be renamed would already be gone.

use core::ffi::CStr;
use core::fmt::Write;

use nsenter::attr::{self, Attrs, Message, Writer};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::netlink::{EXCLUSIVE, LIST, Netlink, REQUEST, ifinfomsg};
use crate::error::{Context, Error, Result};
use crate::plan::namespace::NetDevice;
use crate::plan::{Plan, kind};
use crate::sys::memory;
use crate::text::{PathBuf, short, shown};

/// Bytes for as many addresses as were ever seen on a link (100 bytes each).
const ROOM: usize = 64 << 10;

/// Moves the plan's devices to where `pid` is, whose pidfd is `pidfd`.
pub fn lend(plan: &Plan<'_>, pid: i32, pidfd: BorrowedFd<'_>) -> Result<()> {
    if !plan.has(kind::NET_DEVICE)? {
        return Ok(());
    }
    let mut sockets = [Netlink::open()?, Netlink::open_in(pidfd)?];
    let room = memory::anonymous(ROOM).context("mmap", "netDevices")?;
    for device in plan.each::<NetDevice<'_>>() {
        let device = device?;
        lend_one(&device, pid, &mut sockets, room)
            .map_err(|error| error.within(&short(format_args!("linux.netDevices.{}", shown(device.host)))))?;
    }
    Ok(())
}

fn lend_one(
    device: &NetDevice<'_>,
    pid: i32,
    sockets: &mut [Netlink; 2],
    addresses: &mut [u8],
) -> Result<()> {
    let [ours, theirs] = sockets;
    let mut request = [0; 128];
    let host = shown(device.host);
    let index = ours.index_of(device.host.to_str().unwrap_or("")).context("SIOCGIFINDEX", &host)?;
    let name = free_name(theirs, device.name)?;

    let list = Writer::request(&mut request, libc::RTM_GETADDR, LIST, &[0; 8]).finish();
    let mut kept = 0;
    let mut keep = |message: &Message<'_>| {
        let free = addresses.get_mut(kept..).unwrap_or_default();
        kept += address(free, message, index).map_err(|_| Errno::NOBUFS)?;
        Ok(())
    };
    ours.ask(list, &mut keep).context("RTM_GETADDR", &host)?;

    ours.tell(link(&mut request, index, name.as_cstr(), pid)).context("RTM_NEWLINK", &name)?;

    // Where its number is taken it has another one.
    let index = theirs.index_of(name.as_cstr().to_str().unwrap_or("")).context("SIOCGIFINDEX", &name)?;
    let mut rest = addresses.get_mut(..kept).unwrap_or_default();
    while let Some(length) = rest.first_chunk() {
        let length = u32::from_ne_bytes(*length) as usize;
        let Some((message, behind)) = rest.split_at_mut_checked(length) else { break };
        if let Some(place) = message.get_mut(INDEX).and_then(|bytes| bytes.first_chunk_mut()) {
            *place = index.to_ne_bytes();
        }
        theirs.tell(Ok(message)).context("RTM_NEWADDR", &name)?;
        rest = behind;
    }
    Ok(())
}

/// The name that a link is to have there, where nothing may have it yet. `%d` stands for the lowest number that is free, as
/// the kernel has it; but of the name that it chooses itself it says nothing.
fn free_name(theirs: &Netlink, wanted: &CStr) -> Result<PathBuf> {
    let wanted = wanted.to_str().unwrap_or("");
    let template =
        wanted.split_once('%').and_then(|(before, behind)| Some((before, behind.strip_prefix('d')?)));
    let mut name = PathBuf::new();
    // Ends: a name that is too long is nobody's.
    for number in 0_u32.. {
        name.truncate(0);
        let _ = match template {
            Some((before, behind)) => write!(name, "{before}{number}{behind}"),
            None => name.write_str(wanted),
        };
        match theirs.index_of(name.as_cstr().to_str().unwrap_or("")) {
            Err(Errno::NODEV) => break,
            Ok(_) if template.is_some() => {}
            Ok(_) => return Err(Error::system("rename", &name, Errno::EXIST)),
            Err(errno) => return Err(Error::system("SIOCGIFINDEX", &name, errno)),
        }
    }
    Ok(name)
}

/// `RTM_NEWLINK` of a link that is there: into the namespace of `pid`, under this name, up. Of its other flags none changes.
fn link<'b>(
    buffer: &'b mut [u8],
    index: u32,
    name: &CStr,
    pid: i32,
) -> core::result::Result<&'b [u8], attr::Error> {
    let info = ifinfomsg(index, libc::IFF_UP);
    let mut writer = Writer::request(buffer, libc::RTM_NEWLINK, REQUEST, &info);
    writer.string(libc::IFLA_IFNAME, name);
    writer.u32(libc::IFLA_NET_NS_PID, pid as u32);
    writer.finish()
}

/// Where an address's link is, in its message: behind the header, and family, prefix length, flags, scope.
const INDEX: core::ops::Range<usize> = attr::HEADER + 4..attr::HEADER + 8;

/// `RTM_NEWADDR` of one of the list's, and its length; 0 where it is not to be kept: of another link, of a smaller scope than
/// `RT_SCOPE_UNIVERSE`, or one that its router or DHCP gave for a time.
pub fn address(
    buffer: &mut [u8],
    message: &Message<'_>,
    of: u32,
) -> core::result::Result<usize, attr::Error> {
    // `struct ifaddrmsg`; what is permanent is among the flags that fit in its byte.
    let (fixed, attrs): ([u8; 8], Attrs<'_>) = message.fixed()?;
    let [_, _, flags, scope, index @ ..] = fixed;
    if u32::from_ne_bytes(index) != of || scope != 0 || u32::from(flags) & libc::IFA_F_PERMANENT == 0 {
        return Ok(0);
    }
    let mut writer = Writer::request(buffer, libc::RTM_NEWADDR, EXCLUSIVE, &fixed);
    for attr in attrs {
        let attr = attr?;
        // A label begins with the link's name, which changes; the kernel makes another.
        if attr.kind != libc::IFA_LABEL {
            writer.bytes(attr.kind, attr.bytes());
        }
    }
    writer.finish().map(<[u8]>::len)
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use nsenter::attr::Fault;

    /// 10.0.0.1/24 of link 7, as Linux 6.18 lists it.
    fn listed(buffer: &mut [u8], [flags, scope]: [u8; 2]) -> &[u8] {
        let mut writer = Writer::request(buffer, libc::RTM_NEWADDR, 2, &[2, 24, flags, scope, 7, 0, 0, 0]);
        writer.bytes(libc::IFA_ADDRESS, &[10, 0, 0, 1]);
        writer.bytes(libc::IFA_LOCAL, &[10, 0, 0, 1]);
        writer.string(libc::IFA_LABEL, c"eth0:1");
        writer.u32(libc::IFA_FLAGS, u32::from(flags));
        writer.finish().unwrap()
    }

    #[test]
    fn one_request_moves_renames_and_sets_up() {
        let mut buffer = [0xff; 64];
        let expected: &[u8] = &[
            52, 0, 0, 0, 16, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0,
            0, // nlmsghdr: RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
            0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0,
            0, // ifinfomsg: index, IFF_UP, and nothing else changes
            9, 0, 3, 0, b'e', b't', b'h', b'9', 0, 0, 0, 0, // IFLA_IFNAME
            8, 0, 19, 0, 0x39, 0x30, 0, 0, // IFLA_NET_NS_PID
        ];
        assert_eq!(link(&mut buffer, 7, c"eth9", 12345).unwrap(), expected);
    }

    #[test]
    fn a_permanent_global_address_is_kept_without_its_label() {
        let (mut one, mut two) = ([0; 128], [0xff; 128]);
        let message = Message::parse(listed(&mut one, [0x80, 0])).unwrap().0;
        let length = address(&mut two, &message, 7).unwrap();
        let expected: &[u8] = &[
            48, 0, 0, 0, 20, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0,
            0, // nlmsghdr: RTM_NEWADDR, and NLM_F_CREATE | NLM_F_EXCL
            2, 24, 0x80, 0, 7, 0, 0, 0, // ifaddrmsg
            8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 0, 0, 1, // IFA_ADDRESS, IFA_LOCAL
            8, 0, 8, 0, 0x80, 0, 0, 0, // IFA_FLAGS
        ];
        assert_eq!(&two[..length], expected);
        assert_eq!(two[INDEX], [7, 0, 0, 0]);
    }

    #[test]
    fn other_addresses_are_left() {
        let (mut one, mut two) = ([0; 128], [0; 128]);
        for (kind, of) in [([0x80, 253], 7), ([0x80, 254], 7), ([0, 0], 7), ([0x80, 0], 8)] {
            let message = Message::parse(listed(&mut one, kind)).unwrap().0;
            assert_eq!(address(&mut two, &message, of), Ok(0), "{kind:?} {of}");
        }
    }

    #[test]
    fn an_address_too_many_is_an_error() {
        let (mut one, mut two) = ([0; 128], [0; 47]);
        let message = Message::parse(listed(&mut one, [0x80, 0])).unwrap().0;
        assert_eq!(address(&mut two, &message, 7).unwrap_err().fault, Fault::NoSpace);
    }
}
