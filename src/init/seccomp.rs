//! Puts init under the plan's filter.

use nsenter::sync::{Channel, Fds, Kind};
use rustix::fd::AsRawFd;

use crate::confine::capability;
use crate::error::{Context, Result};
use crate::plan::{Plan, kind};
use crate::seccomp::BY_NUMBER;
use crate::sys;
use crate::text::short;
use crate::trace;

/// While the right to do it is there: without no_new_privs that is CAP_SYS_ADMIN, which the process may not have. Whatever follows
/// is under the filter already, as with runc.
pub fn load_privileged(plan: &Plan<'_>, channel: Channel) -> Result<()> {
    if plan.has(kind::SECCOMP)? && !plan.has(kind::NO_NEW_PRIVILEGES)? {
        // Taking on another user has emptied the effective set.
        capability::raise()?;
        load(plan, channel)?;
    }
    Ok(())
}

/// As late as possible, so that the profile need not allow what only init does: with no_new_privs anybody may.
pub fn load_late(plan: &Plan<'_>, channel: Channel) -> Result<()> {
    if plan.has(kind::NO_NEW_PRIVILEGES)? { load(plan, channel) } else { Ok(()) }
}

fn load(plan: &Plan<'_>, channel: Channel) -> Result<()> {
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
