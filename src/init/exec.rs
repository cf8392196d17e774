//! A second process, from the inside: the stages have joined the container's namespaces.

use core::convert::Infallible;

use nsenter::sync::{Channel, Fds, Kind};
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

use super::process::Process;
use super::steps::{enter_cgroups, join_keyring, open_console};
use super::{environment, receive, seccomp, step};
use crate::confine::scheduling;
use crate::error::{Context, Result};
use crate::plan::process::User;
use crate::plan::scheduling::ExecAffinity;
use crate::plan::{Plan, kind};
use crate::sys::descriptor;
use crate::{limits, trace};

/// Becomes the process that `plan` describes, in the container that is around us.
pub fn exec(channel: Channel, order: Plan<'_>, plan: Plan<'_>) -> Result<Infallible> {
    let user = plan.one::<User>()?.unwrap_or(User { uid: 0, gid: 0, umask: None });
    // The container's processes see us from now on, and must not see what we hold of the host (CVE-2016-9962): its
    // cgroups' files, and nothing else. execve(2) ends it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("prctl", "PR_SET_DUMPABLE")?;
    let mut tasks = Fds::default();
    let setup = receive(channel, Kind::Setup, limits::SETUP, &mut tasks)?;
    enter_cgroups(&setup, &mut tasks)?;
    step(trace::CGROUPS);
    // What entering a cpuset has set is replaced, so not before.
    match plan.one::<ExecAffinity<'_>>()? {
        None => scheduling::unbind(),
        Some(affinity) => affinity.finally.map_or(Ok(()), |finally| scheduling::affinity(None, finally))?,
    }
    rustix::process::setsid().context("setsid", "")?;
    join_keyring(&plan)?;
    open_console(channel, &plan, &order, user.uid, false)?;
    let inherited = umask(rustix::fs::Mode::empty());
    let added = environment::added(&plan, &order, user.uid)?;
    let procfs = setup.u32(kind::TASKS_FDS)?.and_then(|tasks_fds| tasks.take(tasks_fds as usize));
    let procfs = procfs.map(descriptor::adopt);
    if !order.has(kind::PRIORITIES)? {
        scheduling::prioritise(None, &plan)?;
    }
    let process = Process::assume(&plan, &added, &user, procfs.as_ref(), inherited, false)?;
    step(trace::PROCESS);
    // In the words that runc's own tests look for.
    super::tell("setns_init: about to exec");
    // Fails when the runtime is gone: then nobody would attend to the process.
    channel.send_simple(Kind::Ready)?;
    seccomp::load(&plan, channel)?;
    process.execute(&plan, &order, channel)
}
