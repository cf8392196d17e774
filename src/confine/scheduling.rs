//! When and where the process runs.

use core::ffi::CStr;

use crate::error::{Context, Error, Result};
use crate::plan::scheduling::{IoPriority, MemoryPolicy, Scheduler};
use crate::plan::{Plan, kind, list};
use crate::sys::scheduling;
use crate::text::shown;

/// Sets what a process can only set on itself, and needs no privilege for. In its cgroups, whose cpuset bounds it.
pub fn apply(plan: &Plan<'_>) -> Result<()> {
    if let Some(persona) = plan.u32(kind::PERSONALITY)? {
        scheduling::set_personality(persona).context("personality", "linux.personality")?;
    }
    if let Some(policy) = plan.one::<MemoryPolicy<'_>>()? {
        let nodes = policy.nodes.and_then(|nodes| list::bits(nodes.to_bytes()));
        scheduling::set_memory_policy(policy.mode | policy.flags, nodes.as_ref().map_or(&[], |all| all))
            .context("set_mempolicy", "linux.memoryPolicy")?;
    }
    Ok(())
}

/// Whether the plan asks for a place among all processes.
pub fn has_priorities(plan: &Plan<'_>) -> Result<bool> {
    Ok(plan.has(kind::SCHEDULER)? || plan.has(kind::IO_PRIORITY)?)
}

/// Gives a process, or the caller, that place. Before the caller is root no more: real-time policies and a better nice value
/// need CAP_SYS_NICE of the first user namespace. For a container in another the runtime does it, on init itself: a deadline,
/// and whatever has SCHED_FLAG_RESET_ON_FORK, is not inherited.
pub fn prioritise(pid: Option<i32>, plan: &Plan<'_>) -> Result<()> {
    if let Some(io) = plan.one::<IoPriority>()? {
        scheduling::set_io_priority(pid, io.class, io.priority as u32)
            .context("ioprio_set", "process.ioPriority")?;
    }
    if let Some(scheduler) = plan.one::<Scheduler>()? {
        let attributes = scheduling::Attributes {
            policy: scheduler.policy,
            flags: scheduler.flags,
            nice: scheduler.nice as i32,
            priority: scheduler.priority as u32,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
            ..Default::default()
        };
        scheduling::set_attributes(pid, attributes).context("sched_setattr", "process.scheduler")?;
    }
    Ok(())
}

/// Every processor that there may be (`NR_CPUS` is at most 8192).
const EVERY: [u64; 128] = [u64::MAX; 128];

/// Lets go of what our caller was bound to, as runc does: its cpuset bounds a container, not the shell that it came from. What
/// refuses that (a seccomp filter around us) leaves it as it is.
pub fn unbind() {
    let _ = scheduling::set_affinity(None, &EVERY);
}

/// Has a process, or the caller, run on the listed processors only: `process.execCPUAffinity`.
pub fn affinity(pid: Option<i32>, processors: &CStr) -> Result<()> {
    let failed = format_args!("process.execCPUAffinity {}", shown(processors));
    let bits =
        list::bits(processors.to_bytes()).ok_or_else(|| Error::refused("sched_setaffinity", failed))?;
    scheduling::set_affinity(pid, &bits).context("sched_setaffinity", failed)
}
