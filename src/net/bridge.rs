//! A link of the container's own on a bridge of the host's.
//!
//! One request makes the pair of links: one end in the bridge and up, the other in the container's namespace under its name. So a
//! runtime that is killed leaves no link that would not end with that namespace. The bridge stays: who removes it when its last
//! link goes takes it from whoever is about to come.
//!
//! Hardware addresses are made of IPv4 addresses, so that who gets a free one is where its last owner was, in the eyes of who
//! remembers (arp(7)). A bridge that is given one keeps it; else it has the lowest of its links', which come and go. And the host's
//! end tells by it whose it is: a pid, and with it the name, may be another container's by now.

use core::ffi::CStr;

use nsenter::attr::{self, Message, Writer};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::netlink::{CREATE, EXCLUSIVE, LIST, Netlink, REQUEST, bad, ifinfomsg};
use crate::error::{Context, Error, Result};
use crate::plan::namespace::{Bridge, NETWORK};
use crate::text::{Address, Short, short, shown};

/// The link's name in the container.
const INSIDE: &CStr = c"eth0";
const UP: i32 = libc::IFF_UP;
const INET: u8 = libc::AF_INET as u8;
/// In `IFLA_INFO_DATA` of a veth link: its other end (include/uapi/linux/veth.h).
const VETH_INFO_PEER: u16 = 1;

/// First bytes of hardware addresses, local ones (IEEE 802). Of the host's end it is the highest, which no bridge takes for its own.
const HOST: u8 = 0xfe;
const GUEST: u8 = 0x02;

fn hardware(first: u8, address: u32) -> [u8; 6] {
    let [a, b, c, d] = address.to_be_bytes();
    [first, b'm', a, b, c, d]
}

/// The name of the host's end.
fn outside(pid: i32) -> Short {
    short(format_args!("vhost-{pid}\0"))
}

/// Connects the namespace of init, `pid`, whose pidfd is `pidfd`.
pub fn connect(bridge: &Bridge<'_>, address: u32, pid: i32, pidfd: BorrowedFd<'_>) -> Result<()> {
    let done = Netlink::open().and_then(|mut ours| {
        let index = make(&mut ours, bridge)?;
        pair(&mut ours, index, address, pid)?;
        set_up(&mut Netlink::open_in(pidfd)?, bridge, address)
    });
    done.map_err(|error| match error.errno() {
        Some(Errno::PERM) => {
            Error::refused(NETWORK, "a bridge takes CAP_NET_ADMIN in the network namespace of the caller")
        }
        _ => error.within(NETWORK),
    })
}

/// Removes the pair, if it is still there: the kernel does so by itself once the namespace has ended, but in its own time, and
/// not as long as somebody holds on to that.
pub fn disconnect(address: u32, pid: i32) -> Result<()> {
    let mut ours = Netlink::open()?;
    let name = outside(pid);
    let name = CStr::from_bytes_until_nul(name.as_bytes()).unwrap_or_default();
    let link = find(&mut ours, name)?;
    if link.hardware != hardware(HOST, address) {
        return Ok(());
    }
    let mut request = [0; 64];
    let request = Writer::request(&mut request, libc::RTM_DELLINK, REQUEST, &ifinfomsg(link.index, 0));
    match ours.tell(request.finish()) {
        Err(Errno::NODEV) => Ok(()),
        done => done.context("RTM_DELLINK", shown(name)),
    }
}

/// What is known of a link.
#[derive(Default)]
pub struct Link {
    /// 0: there is none.
    index: u32,
    /// `IFF_*`
    flags: i32,
    hardware: [u8; 6],
    is_bridge: bool,
}

/// The link of this name.
pub fn find(socket: &mut Netlink, name: &CStr) -> Result<Link> {
    let mut request = [0; 64];
    let mut writer = Writer::request(&mut request, libc::RTM_GETLINK, REQUEST, &ifinfomsg(0, 0));
    writer.string(libc::IFLA_IFNAME, name);
    let mut link = Link::default();
    let mut take = |message: &Message<'_>| {
        let ([_, _, _, _, a, b, c, d, e, f, g, h, ..], attrs): ([u8; 16], _) =
            message.fixed().map_err(bad)?;
        (link.index, link.flags) = (u32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]));
        for attr in attrs {
            let attr = attr.map_err(bad)?;
            match attr.kind {
                libc::IFLA_ADDRESS => link.hardware = attr.bytes().try_into().unwrap_or_default(),
                libc::IFLA_LINKINFO => {
                    link.is_bridge = attr.attrs().any(|it| it.is_ok_and(|it| it.bytes() == b"bridge\0"));
                }
                _ => {}
            }
        }
        Ok(())
    };
    match socket.ask(writer.finish(), &mut take) {
        Err(Errno::NODEV) => Ok(Link::default()),
        done => done.context("RTM_GETLINK", shown(name)).map(|()| link),
    }
}

/// The number of the bridge, which is made where there is none, and has its address and is up in the end.
fn make(socket: &mut Netlink, bridge: &Bridge<'_>) -> Result<u32> {
    let mut link = find(socket, bridge.name)?;
    if link.index != 0 && !link.is_bridge {
        return Err(Error::refused(shown_name(bridge).as_str(), "is there, and is no bridge"));
    }
    if link.flags & UP == 0 {
        let mut request = [0; 128];
        let mut writer = Writer::request(&mut request, libc::RTM_NEWLINK, CREATE, &ifinfomsg(link.index, UP));
        writer.string(libc::IFLA_IFNAME, bridge.name);
        if link.index == 0 {
            writer.bytes(libc::IFLA_ADDRESS, &hardware(GUEST, bridge.gateway));
        }
        writer.nest(libc::IFLA_LINKINFO, |writer| writer.string(libc::IFLA_INFO_KIND, c"bridge"));
        socket.tell(writer.finish()).context("RTM_NEWLINK bridge", shown(bridge.name))?;
        link = find(socket, bridge.name)?;
    }
    // One without an address is one whose maker was killed.
    let (mut ours, mut other) = (false, None);
    let mut request = [0; 64];
    let list = Writer::request(&mut request, libc::RTM_GETADDR, LIST, &[INET, 0, 0, 0, 0, 0, 0, 0]).finish();
    let mut take = |message: &Message<'_>| {
        let ([_, prefix, _, _, index @ ..], attrs): ([u8; 8], _) = message.fixed().map_err(bad)?;
        for attr in attrs {
            let attr = attr.map_err(bad)?;
            if attr.kind == libc::IFA_LOCAL && u32::from_ne_bytes(index) == link.index {
                let address = u32::from_be_bytes(attr.bytes().try_into().unwrap_or_default());
                ours |= (address, u32::from(prefix)) == (bridge.gateway, bridge.prefix);
                other = Some((address, prefix));
            }
        }
        Ok(())
    };
    socket.ask(list, &mut take).context("RTM_GETADDR", shown(bridge.name))?;
    match other {
        _ if ours => {}
        None => give(socket, link.index, bridge.gateway, bridge.prefix)?,
        Some((address, prefix)) => {
            let (is, wanted) = (Address(address), Address(bridge.gateway));
            let reason = format_args!("has the address {is}/{prefix}, not {wanted}/{}", bridge.prefix);
            return Err(Error::refused(shown_name(bridge).as_str(), reason));
        }
    }
    Ok(link.index)
}

fn shown_name(bridge: &Bridge<'_>) -> Short {
    short(format_args!("the bridge {}", shown(bridge.name)))
}

/// Makes the pair of links.
fn pair(socket: &mut Netlink, bridge: u32, address: u32, pid: i32) -> Result<()> {
    let name = outside(pid);
    let name = CStr::from_bytes_until_nul(name.as_bytes()).unwrap_or_default();
    let mut buffer = [0; 256];
    let request = pair_request(&mut buffer, name, bridge, address, pid);
    let what = format_args!("{} and its peer {}", shown(name), shown(INSIDE));
    socket.tell(request).context("RTM_NEWLINK veth", what)
}

fn pair_request<'b>(
    buffer: &'b mut [u8],
    name: &CStr,
    bridge: u32,
    address: u32,
    pid: i32,
) -> core::result::Result<&'b [u8], attr::Error> {
    let mut writer = Writer::request(buffer, libc::RTM_NEWLINK, EXCLUSIVE, &ifinfomsg(0, UP));
    writer.string(libc::IFLA_IFNAME, name);
    writer.bytes(libc::IFLA_ADDRESS, &hardware(HOST, address));
    writer.u32(libc::IFLA_MASTER, bridge);
    writer.nest(libc::IFLA_LINKINFO, |writer| {
        writer.string(libc::IFLA_INFO_KIND, c"veth");
        writer.nest(libc::IFLA_INFO_DATA, |writer| {
            writer.nest(VETH_INFO_PEER, |writer| {
                // Not up: it cannot be before it knows its peer.
                writer.append(&ifinfomsg(0, 0));
                writer.string(libc::IFLA_IFNAME, INSIDE);
                writer.bytes(libc::IFLA_ADDRESS, &hardware(GUEST, address));
                writer.u32(libc::IFLA_NET_NS_PID, pid as u32);
            });
        });
    });
    writer.finish()
}

/// Inside: the link's address, the link itself, and the way out.
fn set_up(socket: &mut Netlink, bridge: &Bridge<'_>, address: u32) -> Result<()> {
    let index = socket.index_of("eth0").context("SIOCGIFINDEX", shown(INSIDE))?;
    give(socket, index, address, bridge.prefix)?;
    let mut request = [0; 64];
    let up = Writer::request(&mut request, libc::RTM_NEWLINK, REQUEST, &ifinfomsg(index, UP)).finish();
    socket.tell(up).context("RTM_NEWLINK", shown(INSIDE))?;
    // `struct rtmsg`: family, lengths of destination (none: the default route) and source, TOS; table, protocol, scope, type; flags.
    let boot = libc::RTPROT_BOOT;
    let fixed =
        [INET, 0, 0, 0, libc::RT_TABLE_MAIN, boot, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST, 0, 0, 0, 0];
    let mut writer = Writer::request(&mut request, libc::RTM_NEWROUTE, EXCLUSIVE, &fixed);
    writer.bytes(libc::RTA_GATEWAY, &bridge.gateway.to_be_bytes());
    writer.u32(libc::RTA_OIF, index);
    socket.tell(writer.finish()).context("RTM_NEWROUTE", Address(bridge.gateway))
}

/// Gives a link an address. Somebody else may have been faster, with the same.
fn give(socket: &mut Netlink, index: u32, address: u32, prefix: u32) -> Result<()> {
    let [a, b, c, d] = index.to_ne_bytes();
    let mut request = [0; 64];
    let flags = CREATE | libc::NLM_F_REPLACE as u16;
    let fixed = [INET, prefix as u8, 0, libc::RT_SCOPE_UNIVERSE, a, b, c, d];
    let mut writer = Writer::request(&mut request, libc::RTM_NEWADDR, flags, &fixed);
    writer.bytes(libc::IFA_LOCAL, &address.to_be_bytes());
    writer.bytes(libc::IFA_ADDRESS, &address.to_be_bytes());
    socket.tell(writer.finish()).context("RTM_NEWADDR", Address(address))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn one_request_makes_both_ends_where_they_belong() {
        let mut buffer = [0xff; 256];
        let expected: &[u8] = &[
            136, 0, 0, 0, 16, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0,
            0, // nlmsghdr: RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
            0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, // ifinfomsg: IFF_UP
            12, 0, 3, 0, b'v', b'h', b'o', b's', b't', b'-', b'7', 0, // IFLA_IFNAME
            10, 0, 1, 0, 0xfe, b'm', 172, 18, 0, 2, 0, 0, // IFLA_ADDRESS
            8, 0, 10, 0, 3, 0, 0, 0, // IFLA_MASTER
            72, 0, 18, 0x80, // IFLA_LINKINFO
            9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0, // IFLA_INFO_KIND
            56, 0, 2, 0x80, // IFLA_INFO_DATA
            52, 0, 1, 0x80, // VETH_INFO_PEER
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // ifinfomsg: not up yet
            9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0, // IFLA_IFNAME
            10, 0, 1, 0, 2, b'm', 172, 18, 0, 2, 0, 0, // IFLA_ADDRESS
            8, 0, 19, 0, 7, 0, 0, 0, // IFLA_NET_NS_PID
        ];
        assert_eq!(pair_request(&mut buffer, c"vhost-7", 3, 0xac12_0002, 7).unwrap(), expected);
    }
}
