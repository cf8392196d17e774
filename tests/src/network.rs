//! Network namespaces of the tests' own, so that the host's is left alone.

#![allow(unsafe_code)]

use std::fs::{self, File};
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
