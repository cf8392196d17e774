//! Network namespaces of the tests' own, so that the host's is left alone.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::runtime::check;

/// One, as long as somebody has this.
#[derive(Clone)]
pub struct Network(Arc<File>);

impl Network {
    /// A new one.
    pub fn new() -> Self {
        let make = || {
            // SAFETY: no memory.
            check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).expect("unshare");
            Self::open("/proc/thread-self/ns/net")
        };
        thread::scope(|scope| scope.spawn(make).join().expect("thread"))
    }

    /// That of a process.
    pub fn of(pid: i32) -> Self {
        Self::open(&format!("/proc/{pid}/ns/net"))
    }

    fn open(path: &str) -> Self {
        Self(Arc::new(File::open(path).expect("namespace")))
    }

    /// Does something in it.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let act = || {
            // SAFETY: no memory; it is this thread that moves.
            check(unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) }).expect("setns");
            act()
        };
        thread::scope(|scope| scope.spawn(act).join().expect("thread"))
    }

    /// Has a command run in it.
    pub fn enter(&self, command: &mut Command) {
        let this = self.clone();
        // SAFETY: one system call between fork and exec.
        unsafe { command.pre_exec(move || check(libc::setns(this.0.as_raw_fd(), libc::CLONE_NEWNET))) };
    }

    /// The names of its links (netdevice(7)).
    pub fn links(&self) -> Vec<String> {
        let table = self.within(|| fs::read_to_string("/proc/thread-self/net/dev").expect("/proc/net/dev"));
        table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_string())).collect()
    }

    /// Makes a bridge without anything; whether this kernel has bridges.
    pub fn add_bridge(&self, name: &std::ffi::CStr) -> bool {
        self.within(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("socket");
            // SAFETY: the kernel reads a name.
            check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCBRADDBR, name.as_ptr()) }).is_ok()
        })
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// include/uapi/linux/sockios.h
const SIOCBRADDBR: libc::Ioctl = 0x89a0;

/// Every IPv4 address (getifaddrs(3)), as `lo 127.0.0.1/8`, with its link if that is up.
pub fn links() -> io::Result<String> {
    let mut found = Vec::new();
    // SAFETY: a list that the library makes and takes back; an address of this family is a `sockaddr_in`.
    unsafe {
        let mut first = std::ptr::null_mut();
        if libc::getifaddrs(&mut first) < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut next = first;
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            if entry.ifa_addr.is_null() || i32::from((*entry.ifa_addr).sa_family) != libc::AF_INET {
                continue;
            }
            let of = |address: *mut libc::sockaddr| {
                u32::from_be((*address.cast::<libc::sockaddr_in>()).sin_addr.s_addr)
            };
            let name = std::ffi::CStr::from_ptr(entry.ifa_name).to_string_lossy();
            let address = std::net::Ipv4Addr::from(of(entry.ifa_addr));
            let up = if entry.ifa_flags & libc::IFF_UP as u32 != 0 { " up" } else { "" };
            found.push(format!("{name} {address}/{}{up}", of(entry.ifa_netmask).count_ones()));
        }
        libc::freeifaddrs(first);
    }
    found.sort();
    Ok(found.join(", "))
}
