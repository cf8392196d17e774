//! Namespaces, id maps, clock offsets, and the kernel parameters that live in a namespace.

use core::ffi::CStr;

use super::{Plan, kind, noun::noun};
use crate::error::Result;

noun! {
    /// A namespace to make, or to join.
    kind::NAMESPACE => Namespace<'a> {
        /// Its `CLONE_NEW*` flag.
        1 flag: u32 as Namespace = Name "type",
        /// Join this one; none: make a new one.
        2 path: Option<&'a CStr> = Path "path",
    }
}

impl<'a> Plan<'a> {
    /// The namespace of this kind (`CLONE_NEW*`), if it is to be another than the runtime's.
    #[inline(never)]
    pub fn namespace(&self, flag: i32) -> Result<Option<Namespace<'a>>> {
        self.each::<Namespace<'a>>()
            .find(|it| it.as_ref().map_or(true, |it| it.flag == flag as u32))
            .transpose()
    }

    /// Whether a namespace of this kind is to be made.
    pub fn makes(&self, flag: i32) -> Result<bool> {
        Ok(self.namespace(flag)?.is_some_and(|it| it.path.is_none()))
    }
}

noun! {
    /// A line of `uid_map` or `gid_map` (user_namespaces(7)).
    kind::ID_MAP => IdMap {
        /// Of `gid_map`.
        1 group: bool,
        /// First id inside.
        2 inside: u32 = Plain "containerID",
        /// First id outside.
        3 outside: u32 = Plain "hostID",
        /// How many.
        4 size: u32 = Plain "size",
    }
}

noun! {
    /// A line of `timens_offsets` (time_namespaces(7)).
    kind::TIME_OFFSET => TimeOffset {
        /// `CLOCK_MONOTONIC` or `CLOCK_BOOTTIME`.
        1 clock: u32 as Clock,
        /// Seconds.
        2 secs: i64 = Zero "secs",
        /// Nanoseconds, below 1,000,000,000.
        3 nanosecs: u32 = Zero "nanosecs",
    }
}

noun! {
    /// A namespaced kernel parameter.
    kind::SYSCTL => Sysctl<'a> {
        /// Path below /proc/sys.
        1 path: &'a CStr,
        /// What is written.
        2 value: &'a CStr,
    }
}

noun! {
    /// A network device that moves into the container.
    kind::NET_DEVICE => NetDevice<'a> {
        /// Its name on the host.
        1 host: &'a CStr,
        /// Its name inside; `%d` in it is the first number that is free.
        2 name: &'a CStr,
    }
}

noun! {
    /// A link of its own, `eth0`, on a bridge of the host's ([`NETWORK`]).
    kind::BRIDGE => Bridge<'a> {
        /// The bridge's name.
        1 name: &'a CStr,
        /// The bridge's own address, and the container's way out.
        2 gateway: u32 as Address,
        /// How many bits of it are the subnet's.
        3 prefix: u32,
        /// The container's address; none: one that is free.
        4 address: Option<u32> as Address,
    }
}

/// The annotation that asks for it.
pub const NETWORK: &str = "org.minirunc.network";

noun! {
    /// A cgroup v1 hierarchy and the container's place in it, as the parent found them (SETUP).
    kind::HIERARCHY => Hierarchy<'a> {
        /// As /proc/self/cgroup lists it: `cpu,cpuacct`, `name=systemd`; empty for v2.
        1 controllers: &'a CStr,
        /// The container's cgroup, from the hierarchy's root.
        2 path: &'a CStr,
        /// Where it is mounted on the host: `/sys/fs/cgroup/cpu,cpuacct`.
        3 mountpoint: &'a CStr,
        /// How many directories at the end of `path` we made, and so may remove.
        4 made: u32,
    }
}
