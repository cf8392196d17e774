//! Links: what a network namespace has for interfaces.

use core::ffi::CStr;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{Context, Result};
use crate::sys;
use crate::text::shown;

/// Brings a link up. The kernel leaves even the loopback of a new network namespace down.
pub fn up(name: &CStr) -> Result<()> {
    // Any socket will do (netdevice(7)); every kernel has this family.
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .context("socket", "")?;
    sys::link::set_flags(&socket, name, libc::IFF_UP as i16).context("SIOCSIFFLAGS", shown(name))
}
