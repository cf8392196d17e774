//! When and where the process runs: policy, priorities, processors, memory nodes.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// `process.scheduler` (sched_setattr(2)).
    kind::SCHEDULER => Scheduler {
        /// `SCHED_*`.
        1 policy: u32 as Policy,
        /// -20 to 19.
        2 nice: i64,
        /// 1 to 99 under SCHED_FIFO and SCHED_RR, 0 elsewhere.
        3 priority: u64,
        /// `SCHED_FLAG_*`.
        4 flags: u64,
        /// SCHED_DEADLINE's three times, in ns.
        5 runtime: u64,
        6 deadline: u64,
        7 period: u64,
    }
}

noun! {
    /// `process.ioPriority` (ioprio_set(2)).
    kind::IO_PRIORITY => IoPriority {
        /// `IOPRIO_CLASS_*`.
        1 class: u32 as IoClass,
        /// 0, the highest, to 7.
        2 priority: u64,
    }
}

noun! {
    /// `process.execCPUAffinity`: the processors of a process that `exec` adds, each a [`super::list`].
    kind::EXEC_AFFINITY => ExecAffinity<'a> {
        /// Until it has entered the container's cgroup.
        1 initial: Option<&'a CStr>,
        /// From then on.
        2 finally: Option<&'a CStr>,
    }
}

noun! {
    /// `linux.memoryPolicy` (set_mempolicy(2)).
    kind::MEMORY_POLICY => MemoryPolicy<'a> {
        /// `MPOL_*`.
        1 mode: u32 as MemoryMode,
        /// `MPOL_F_*`.
        2 flags: u32,
        /// NUMA nodes, a [`super::list`].
        3 nodes: Option<&'a CStr>,
    }
}
