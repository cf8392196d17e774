//! The network of a container on a bridge, and the address that is its own there.
//!
//! A lease is a symbolic link in the container's directory, `lease`, which leads to the address: made with its content by one
//! system call, so that it is whole or not there, whoever is killed and whatever loses its power. It goes with the directory, so
//! there is none of a container that is not there. Who looks for a free address holds the lock on the state root.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{readlinkat_raw, symlinkat};
use rustix::io::Errno;

use super::record::{self, Stored};
use super::store::LEASE;
use super::{Container, Init};
use crate::error::{Context, Error, Result};
use crate::plan::kind;
use crate::plan::namespace::{Bridge, NETWORK};
use crate::text::{self, Address, PathBuf, short, shown};
use crate::{net, sys, trace};

impl Container<'_> {
    /// Connects init, which is there with its namespaces.
    pub(super) fn connect(&self, init: &Init) -> Result<()> {
        let Some(bridge) = self.plan.one::<Bridge<'_>>()? else { return Ok(()) };
        let address = self.lease(&bridge)?;
        net::bridge::connect(&bridge, address, init.pid, init.pidfd.as_fd())?;
        trace::mark(trace::CONNECTED);
        Ok(())
    }

    /// Takes away what `connect` has made, as far as it came. Any other lease goes with the directory.
    pub(super) fn disconnect(&self) -> Result<()> {
        if !self.plan.has(kind::BRIDGE)? {
            return Ok(());
        }
        // Also of one that has ended: its link has its name from it.
        let record = Stored::read(&self.entry, self.id, record::room()?)?.record;
        if let (Some(address), Some(record)) = (held(self.entry.directory(), LEASE)?, record) {
            net::bridge::disconnect(address, record.pid as i32)?;
            // Before the directory goes, so that nobody has to look into it for what else there is.
            self.entry.unlink(LEASE)?;
            trace::mark(trace::DISCONNECTED);
        }
        Ok(())
    }

    /// The address that is asked for, or the lowest that nobody has, from now on ours.
    fn lease(&self, bridge: &Bridge<'_>) -> Result<u32> {
        let refused = |reason: core::fmt::Arguments<'_>| Err(Error::refused(NETWORK, reason));
        let hosts = u32::MAX >> bridge.prefix;
        let subnet = bridge.gateway & !hosts;
        // A bit for each address: at most 2 MiB, of which as much is touched as there are leases.
        let taken = sys::memory::anonymous(hosts as usize / 8 + 1).context("mmap", "leases")?;
        let mut take = |address: u32| {
            let host = address.wrapping_sub(subnet);
            if let Some(byte) = taken.get_mut(host as usize / 8) {
                *byte |= 1 << (host % 8);
            }
        };
        [subnet, bridge.gateway, subnet | hosts].into_iter().for_each(&mut take);
        let root = self.store.lock()?;
        for id in self.store.names()?.iter() {
            let mut path = PathBuf::from_bytes(id.to_bytes()).unwrap_or_default();
            let _ = path.join(LEASE.to_bytes());
            let Some(address) = held(root.directory(), path.as_cstr())? else { continue };
            if bridge.address == Some(address) {
                return refused(format_args!("{} is leased to {}", Address(address), shown(id)));
            }
            take(address);
        }
        let free = || {
            let (at, byte) = taken.iter().enumerate().find(|(_, byte)| **byte != u8::MAX)?;
            Some(at as u32 * 8 + byte.trailing_ones()).filter(|&host| host < hosts).map(|host| subnet | host)
        };
        let Some(address) = bridge.address.or_else(free) else {
            return refused(format_args!("no address of {}/{} is free", Address(subnet), bridge.prefix));
        };
        let target = short(format_args!("{}\0", Address(address)));
        let target = CStr::from_bytes_until_nul(target.as_bytes()).unwrap_or_default();
        symlinkat(target, self.entry.directory(), LEASE).context("symlink", shown(LEASE)).map(|()| address)
    }
}

/// The address that a lease leads to.
fn held(directory: BorrowedFd<'_>, lease: &CStr) -> Result<Option<u32>> {
    let mut buffer = [MaybeUninit::uninit(); 16];
    match readlinkat_raw(directory, lease, &mut buffer) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        done => {
            let (target, _) = done.context("readlink", shown(lease))?;
            Ok(text::address(target))
        }
    }
}
