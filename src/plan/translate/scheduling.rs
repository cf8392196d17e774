//! When and where the process runs.

use super::Translation;
use super::rows::{self, word};
use super::strings::put;
use crate::error::{Error, Result};
use crate::plan::names::{SCHED_DEADLINE, SCHED_FIFO, SCHED_RR};
use crate::plan::scheduling::{ExecAffinity, IoPriority, MemoryPolicy, Scheduler};
use crate::plan::shown::Show;
use crate::plan::{kind, list};
use crate::wire::json::Node;

/// Policies that have no nodes (set_mempolicy(2)).
const MPOL_DEFAULT: u32 = libc::MPOL_DEFAULT as u32;
const MPOL_LOCAL: u32 = libc::MPOL_LOCAL as u32;

impl Translation<'_, '_> {
    /// `process.scheduler`. What the policy has no use for is refused, as runc does; the rest is the kernel's to judge.
    #[inline(never)]
    pub(super) fn scheduler(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut scheduler = Scheduler::default();
        rows::read(&mut scheduler, node, &mut &mut *self.scratch)?;
        if !(-20..=19).contains(&scheduler.nice) {
            return Err(node.at("nice")?.refuse("expected a number from -20 to 19"));
        }
        if scheduler.priority != 0 && !matches!(scheduler.policy, SCHED_FIFO | SCHED_RR) {
            return Err(node.at("priority")?.refuse("is for SCHED_FIFO and SCHED_RR only"));
        }
        let times = scheduler.runtime | scheduler.deadline | scheduler.period;
        if times != 0 && scheduler.policy != SCHED_DEADLINE {
            return Err(node.refuse("runtime, deadline and period are for SCHED_DEADLINE only"));
        }
        put(&mut self.writer, node, scheduler)
    }

    /// `process.ioPriority`.
    #[inline(never)]
    pub(super) fn io_priority(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut io_priority = IoPriority::default();
        rows::read(&mut io_priority, node, &mut &mut *self.scratch)?;
        if io_priority.priority > 7 {
            return Err(node.at("priority")?.refuse("expected a number from 0 to 7"));
        }
        put(&mut self.writer, node, io_priority)
    }

    /// `process.execCPUAffinity`: nothing to the container's own process, and kept for those that `exec` adds.
    #[inline(never)]
    pub(super) fn exec_affinity(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut affinity = ExecAffinity::default();
        rows::read(&mut affinity, node, &mut &mut *self.scratch)?;
        put(&mut self.writer, node, affinity)
    }

    /// `linux.memoryPolicy`.
    #[inline(never)]
    pub(super) fn memory_policy(&mut self, node: &Node<'_>) -> Result<()> {
        if !node.is_present() {
            return Ok(());
        }
        let mut policy = MemoryPolicy::default();
        rows::read(&mut policy, node, &mut &mut *self.scratch).map_err(|error| {
            let said = error.subject();
            // runc's words.
            let field = match said.as_bytes().get("linux.memoryPolicy.".len()) {
                Some(b'f') => "flag",
                Some(b'n') => "node",
                _ => "mode",
            };
            Error::refused(error.op(), format_args!("{said}: invalid memory policy {field}"))
        })?;
        let nodes = policy.nodes.and_then(|nodes| list::bits(nodes.to_bytes()));
        let nodes = nodes.map_or(0, |nodes| nodes.iter().map(|word| word.count_ones()).sum());
        if nodes != 0 && matches!(policy.mode, MPOL_DEFAULT | MPOL_LOCAL) {
            let reason = format_args!("mode requires 0 nodes but got {nodes}");
            return Err(node.at("nodes")?.refuse(reason));
        }
        put(&mut self.writer, node, policy)
    }

    /// `linux.personality`. The specification names no flags so far, and so none is known.
    #[inline(never)]
    pub(super) fn personality(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let [domain, flags] = node.pick("domain flags")?;
        let domain = word(&domain, Show::Personality)?;
        if let Some(flag) = flags.list()?.next() {
            return Err(flag.refuse("unknown name"));
        }
        self.writer.u32(kind::PERSONALITY, domain);
        Ok(())
    }
}
