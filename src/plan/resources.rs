//! Resource limits (`linux.resources`), still neutral: cgroup/v1 and cgroup/v2 know the files.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// Bytes; -1 is no limit.
    kind::MEMORY => Memory {
        1 limit: Option<i64> = Bytes "limit",
        2 reservation: Option<i64> = Bytes "reservation",
        /// Memory and swap together, as v1 counts it.
        3 swap: Option<i64> = Bytes "swap",
        /// 0 to 100.
        4 swappiness: Option<u64> = Plain "swappiness",
        /// 1: pause instead of kill.
        5 disable_oom_killer: Option<u32> = Switch "disableOOMKiller",
        /// Accepted for old configurations: every kernel of today is hierarchical.
        6 use_hierarchy: Option<u32> = Switch "useHierarchy",
        /// Refuse a limit below what is in use.
        7 check_before_update: bool = Plain "checkBeforeUpdate",
        /// Kernel memory limit, deprecated and ignored by kernels since 5.16.
        8 kernel: Option<i64> = Bytes "kernel",
        /// TCP buffer limit (v1).
        9 kernel_tcp: Option<i64> = Bytes "kernelTCP",
    }
}

noun! {
    /// CPU time.
    kind::CPU => Cpu {
        /// Relative weight, 2 to 262144.
        1 shares: Option<u64> = Given "shares",
        /// µs per period; -1 is no limit.
        2 quota: Option<i64> = Given "quota",
        /// µs that may be saved up.
        3 burst: Option<u64> = Plain "burst",
        /// µs.
        4 period: Option<u64> = Given "period",
        /// µs per realtime period.
        5 realtime_runtime: Option<i64> = Given "realtimeRuntime",
        /// µs.
        6 realtime_period: Option<u64> = Given "realtimePeriod",
        /// 1: SCHED_IDLE for the whole group.
        7 idle: Option<i64> = Plain "idle",
    }
}

noun! {
    /// Processors and memory nodes, as lists (cpuset(7)).
    kind::CPUSET => Cpuset<'a> {
        1 cpus: Option<&'a CStr> = Plain "cpus",
        2 mems: Option<&'a CStr> = Plain "mems",
    }
}

noun! {
    /// Number of tasks.
    kind::PIDS => Pids {
        /// -1 is no limit, 0 is a limit.
        1 limit: i64,
    }
}

noun! {
    /// Weights of block I/O, 10 to 1000.
    kind::BLOCK_IO => BlockIo {
        1 weight: Option<u32> = Weight "weight",
        2 leaf_weight: Option<u32> = Weight "leafWeight",
    }
}

/// `knob` of [`BlockDevice`].
pub const WEIGHT: u32 = 0;
/// `knob` of [`BlockDevice`].
pub const LEAF_WEIGHT: u32 = 1;
/// `knob` of [`BlockDevice`]: bytes per second.
pub const READ_BPS: u32 = 2;
/// `knob` of [`BlockDevice`]: bytes per second.
pub const WRITE_BPS: u32 = 3;
/// `knob` of [`BlockDevice`]: operations per second.
pub const READ_IOPS: u32 = 4;
/// `knob` of [`BlockDevice`]: operations per second.
pub const WRITE_IOPS: u32 = 5;

noun! {
    /// One device's weight or throttle.
    kind::BLOCK_DEVICE => BlockDevice {
        1 knob: u32 as Knob,
        2 major: u32 = Plain "major",
        3 minor: u32 = Plain "minor",
        4 value: u64 = Plain "rate",
    }
}

noun! {
    /// Huge pages of one size.
    kind::HUGE_PAGE => HugePage<'a> {
        /// As the file names it: `2MB`.
        1 size: &'a CStr,
        /// Bytes.
        2 limit: u64 = Plain "limit",
    }
}

noun! {
    /// Marks on packets (v1 net_cls).
    kind::NETWORK => Network {
        1 class_id: Option<u32> = Plain "classID",
    }
}

noun! {
    /// Priority on an interface (v1 net_prio).
    kind::NETWORK_PRIORITY => NetworkPriority<'a> {
        1 name: &'a CStr,
        2 priority: u32 = Plain "priority",
    }
}

noun! {
    /// Limits of one RDMA device.
    kind::RDMA => Rdma<'a> {
        1 device: &'a CStr,
        2 handles: Option<u32> = Plain "hcaHandles",
        3 objects: Option<u32> = Plain "hcaObjects",
    }
}

noun! {
    /// A v2 file and what is written to it.
    kind::UNIFIED => Unified<'a> {
        1 file: &'a CStr,
        2 value: &'a CStr,
    }
}

noun! {
    /// `linux.intelRdt`: a group of the resctrl file system, for caches and memory bandwidth.
    kind::INTEL_RDT => IntelRdt<'a> {
        /// Its directory: `closID`, `/` for the root's, or the container's id.
        1 group: &'a CStr,
        /// It is to be there already.
        2 existing: bool,
        /// Lines for its `schemata` in their order, each with its newline; none: as they are.
        3 schemata: &'a CStr,
        /// What it uses is counted, in a monitoring group with the container's id.
        4 monitored: bool,
    }
}
