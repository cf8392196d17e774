//! When and where the process runs: policy, priorities, processors, memory nodes.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// `process.scheduler` (sched_setattr(2)).
    kind::SCHEDULER => Scheduler {
        /// `SCHED_*`.
        1 policy: u32 as Policy = Name "policy",
        /// -20 to 19.
        2 nice: i64 = Zero "nice",
        /// 1 to 99 under SCHED_FIFO and SCHED_RR, 0 elsewhere.
        3 priority: u64 = Zero "priority",
        /// `SCHED_FLAG_*`.
        4 flags: u64 as SchedulerFlags = Names "flags",
        /// SCHED_DEADLINE's three times, in ns.
        5 runtime: u64 = Zero "runtime",
        6 deadline: u64 = Zero "deadline",
        7 period: u64 = Zero "period",
    }
}

noun! {
    /// `process.ioPriority` (ioprio_set(2)).
    kind::IO_PRIORITY => IoPriority {
        /// `IOPRIO_CLASS_*`.
        1 class: u32 as IoClass = Name "class",
        /// 0, the highest, to 7.
        2 priority: u64 = Zero "priority",
    }
}

noun! {
    /// `process.execCPUAffinity`: the processors of a process that `exec` adds, each a [`super::list`].
    kind::EXEC_AFFINITY => ExecAffinity<'a> {
        /// Until it has entered the container's cgroup.
        1 initial: Option<&'a CStr> = Numbers "initial",
        /// From then on.
        2 finally: Option<&'a CStr> = Numbers "final",
    }
}

noun! {
    /// `linux.memoryPolicy` (set_mempolicy(2)).
    kind::MEMORY_POLICY => MemoryPolicy<'a> {
        /// `MPOL_*`.
        1 mode: u32 as MemoryMode = Name "mode",
        /// `MPOL_F_*`.
        2 flags: u32 as MemoryFlags = Names "flags",
        /// NUMA nodes, a [`super::list`].
        3 nodes: Option<&'a CStr> = Numbers "nodes",
    }
}
