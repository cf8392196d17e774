//! Puts init under the plan's filter.

use nsenter::sync::{Channel, Fds, Kind};
use rustix::fd::AsRawFd;
use rustix::thread::CapabilitySet;

use crate::confine::capability;
use crate::error::{Context, Result};
use crate::plan::process::Capabilities;
use crate::plan::{Plan, kind};
use crate::seccomp::BY_NUMBER;
use crate::sys;
use crate::text::short;
use crate::trace;

/// The capability that it takes, besides what the process is granted: CAP_SYS_ADMIN, or with no_new_privs none (seccomp(2)).
pub fn privilege(plan: &Plan<'_>) -> Result<u64> {
    let privileged = plan.has(kind::SECCOMP)? && !plan.has(kind::NO_NEW_PRIVILEGES)?;
    Ok(if privileged { CapabilitySet::SYS_ADMIN.bits() } else { 0 })
}

/// As late as possible, so that the profile need not allow what only init does: capset(2) is all that follows without no_new_privs.
pub fn load(plan: &Plan<'_>, channel: Channel) -> Result<()> {
    let more = privilege(plan)?;
    if more == 0 {
        return put(plan, channel);
    }
    let wanted = plan.one::<Capabilities>()?.unwrap_or(capability::NONE);
    let mut sets = capability::raise()?;
    sets.permitted &= CapabilitySet::from_bits_retain(wanted.permitted);
    put(plan, channel)?;
    capability::hold(sets)
}

fn put(plan: &Plan<'_>, channel: Channel) -> Result<()> {
    let Some(program) = plan.all(kind::SECCOMP).next().transpose()? else { return Ok(()) };
    let flags = plan.u32(kind::SECCOMP_FLAGS)?.unwrap_or(0);
    super::tell(&short(format_args!("seccomp filter flags: {flags}")));
    // From here on a call for the time may be one call too many.
    trace::send(channel);
    let listener =
        sys::seccomp::load(program.bytes(), flags & !BY_NUMBER).context("seccomp", "linux.seccomp")?;
    let Some(listener) = listener else { return Ok(()) };
    // The one call that nobody could allow yet. From then on there is somebody to answer, also for what we do.
    channel.send_listener(listener.as_raw_fd(), flags & BY_NUMBER != 0)?;
    // No process may run whose calls nobody will answer.
    Ok(channel.expect(Kind::ListenerDone, &mut Fds::default())?)
}
