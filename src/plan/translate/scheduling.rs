//! When and where the process runs.

use core::ffi::CStr;

use super::Translation;
use super::strings::{MOST, put, said};
use crate::error::Result;
use crate::oci;
use crate::plan::names::{self, find_text};
use crate::plan::scheduling::{ExecAffinity, IoPriority, MemoryPolicy, Scheduler};
use crate::plan::{kind, list};
use crate::wire::json::Node;

impl Translation<'_, '_> {
    /// `process.scheduler`. What the policy has no use for is refused, as runc does; the rest is the kernel's to judge.
    #[inline(never)]
    pub(super) fn scheduler(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut view = oci::process::Scheduler::of(node);
        view.locate()?;
        let scheduler = Scheduler {
            policy: word(view.policy(), names::POLICIES)?,
            nice: view.nice().read::<Option<i64>>()?.unwrap_or(0),
            priority: number(view.priority())?,
            flags: words(view.flags(), names::SCHEDULER_FLAGS)?.into(),
            runtime: number(view.runtime())?,
            deadline: number(view.deadline())?,
            period: number(view.period())?,
        };
        if !(-20..=19).contains(&scheduler.nice) {
            return Err(view.nice().refuse("expected a number from -20 to 19"));
        }
        if scheduler.priority != 0 && !matches!(scheduler.policy, names::SCHED_FIFO | names::SCHED_RR) {
            return Err(view.priority().refuse("is for SCHED_FIFO and SCHED_RR only"));
        }
        let times = scheduler.runtime | scheduler.deadline | scheduler.period;
        if times != 0 && scheduler.policy != names::SCHED_DEADLINE {
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
        let mut view = oci::process::IoPriority::of(node);
        view.locate()?;
        let class = word(view.class(), names::IO_CLASSES)?;
        let priority = number(view.priority())?;
        if priority > 7 {
            return Err(view.priority().refuse("expected a number from 0 to 7"));
        }
        put(&mut self.writer, node, IoPriority { class, priority })
    }

    /// `process.execCPUAffinity`: nothing to the container's own process, and kept for those that `exec` adds.
    #[inline(never)]
    pub(super) fn exec_affinity(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut view = oci::process::Affinity::of(node);
        view.locate()?;
        let mut room = &mut *self.scratch;
        let (initial, finally) = (listed(view.initial(), &mut room)?, listed(view.finally(), &mut room)?);
        put(&mut self.writer, node, ExecAffinity { initial, finally })
    }

    /// `linux.memoryPolicy`.
    #[inline(never)]
    pub(super) fn memory_policy(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut view = oci::linux::MemoryPolicy::of(node);
        view.locate()?;
        let policy = MemoryPolicy {
            mode: word(view.mode(), names::MEMORY_MODES)?,
            flags: words(view.flags(), names::MEMORY_FLAGS)?,
            nodes: listed(view.nodes(), &mut &mut *self.scratch)?,
        };
        put(&mut self.writer, node, policy)
    }

    /// `linux.personality`. The specification names no flags so far, and so none is known.
    #[inline(never)]
    pub(super) fn personality(&mut self, node: &Node<'_>) -> Result<()> {
        if node.is_empty() {
            return Ok(());
        }
        let mut view = oci::linux::Personality::of(node);
        view.locate()?;
        let domain = word(view.domain(), names::PERSONALITIES)?;
        self.writer.u32(kind::PERSONALITY, domain | words(view.flags(), &[])?);
        Ok(())
    }
}

/// A number; zero where it is absent.
#[inline(never)]
fn number(node: &Node<'_>) -> Result<u64> {
    Ok(node.read::<Option<u64>>()?.unwrap_or(0))
}

/// The number that a table has for a string.
#[inline(never)]
fn word(node: &Node<'_>, table: &[(&str, u32)]) -> Result<u32> {
    find_text(table, &node.read()?).ok_or_else(|| node.refuse("unknown name"))
}

/// The same for a list of strings, each a bit.
fn words(list: &Node<'_>, table: &[(&str, u32)]) -> Result<u32> {
    let mut bits = 0;
    for node in list.list()? {
        bits |= word(&node, table)?;
    }
    Ok(bits)
}

/// A list of processors or memory nodes, as it was written.
fn listed<'r>(node: &Node<'_>, room: &mut &'r mut [u8]) -> Result<Option<&'r CStr>> {
    let Some(text) = said(node)? else { return Ok(None) };
    let text = text.c_str(MOST, room)?;
    match list::bits(text.to_bytes()) {
        Some(_) => Ok(Some(text)),
        None => Err(node.refuse("expected a list of numbers and ranges below 1024, such as 0-3,7")),
    }
}
