//! What the runtime's hooks are told of a container, and when there are any.

use core::ffi::CStr;

use crate::error::{Context, Error, Result};
use crate::oci::state::State;
use crate::plan::process::Annotation;
use crate::plan::{Plan, kind};
use crate::{hooks, limits, sys, text};

/// Runs the hooks of a stage that belong to the runtime; `failed` decides whether a failure ends it. `pid` is
/// init's, 0 where there is none.
pub fn run(
    stage: u32,
    (id, plan): (&CStr, &Plan<'_>),
    (status, pid): (&[u8], i32),
    failed: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<()> {
    if !hooks::any(stage, plan)? {
        return Ok(());
    }
    let memory = sys::memory::anonymous(limits::PLAN).context("mmap", "state")?;
    let mut out = text::Into::new(memory);
    let bundle = plan.string(kind::BUNDLE)?.unwrap_or(c"").to_bytes();
    let state = State { id: id.to_bytes(), status, pid, bundle };
    let annotations = plan.each::<Annotation<'_>>().map_while(Result::ok);
    state
        .write(annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes())), &mut out)
        .map_err(|_| Error::refused("state", "longer than its limit"))?;
    hooks::each(stage, plan, out.finish(), failed)
}
