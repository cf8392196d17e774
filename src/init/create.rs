//! A new container, from the inside: one list from the stages to the process.

use core::convert::Infallible;

use nsenter::sync::{Channel, Fds, Kind};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

use super::process::Process;
use super::steps::{enter_cgroups, join_keyring, open_console};
use super::{environment, gate, receive, seccomp, step};
use crate::confine::{oom, procfs, scheduling, sysctl};
use crate::error::{Context, Result};
use crate::plan::process::User;
use crate::plan::{Plan, hook, kind};
use crate::sys::descriptor;
use crate::sys::process::{self, Vector};
use crate::text::shown;
use crate::{hooks, limits, net, rootfs, trace};

/// Makes everything that `order` and `plan` ask for, and becomes the container's process.
pub fn create(channel: Channel, order: Plan<'_>, mut fds: Fds, plan: Plan<'_>) -> Result<Infallible> {
    let user = plan.one::<User>()?.unwrap_or(User { uid: 0, gid: 0, umask: None });

    // Modes are meant as they are written, until the process gets its own mask.
    let inherited = umask(Mode::empty());
    // Who is in a namespace that we joined must not see what we still hold of the host (CVE-2016-9962). execve(2) ends it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("prctl", "PR_SET_DUMPABLE")?;
    // First what takes no cgroup, since the runtime is still at those.
    let procfs = procfs::open(&plan)?;
    // No terminal of the runtime's, and no place in its keyring.
    rustix::process::setsid().context("setsid", "")?;
    join_keyring(&plan)?;
    name_host(&plan)?;
    trace::mark(trace::NAMED);
    if plan.makes(libc::CLONE_NEWNET)? {
        net::link::up(c"lo")?;
    }
    // While /proc is still the host's. In a user namespace that was for the runtime to do.
    let score = plan.i64(kind::OOM_SCORE_ADJ)?;
    if let (Some(score), None) = (score, plan.namespace(libc::CLONE_NEWUSER)?) {
        oom::adjust(None, score)?;
    }
    step(trace::SESSION);

    let mut tasks = Fds::default();
    let setup = receive(channel, Kind::Setup, limits::SETUP, &mut tasks)?;
    // Before anything that uses memory. The cgroup namespace after that: its root is where its maker is.
    enter_cgroups(&setup, &mut tasks)?;
    scheduling::unbind();
    if plan.makes(libc::CLONE_NEWCGROUP)? {
        process::unshare_cgroup().context("unshare", "cgroup namespace")?;
    }
    step(trace::CGROUPS);

    let overlay = match order.string(kind::OVERLAY_PLACE)? {
        Some(place) => Some(rootfs::overlay::make_at(place, &plan)?),
        None => {
            order.u32(kind::OVERLAY_FD)?.and_then(|index| fds.take(index as usize)).map(descriptor::adopt)
        }
    };
    let root = rootfs::isolate(&plan, overlay, setup.has(kind::NODEV)?)?;
    trace::mark(trace::ROOT);
    // What only the runtime can prepare; in our mounts, which have to be our own first.
    let asks = order.has(kind::ASK_MOUNTS)?;
    let (mut batch, mut taken) = (Fds::default(), 0);
    let mut lent = || {
        let mut next = batch.take(taken);
        if asks && next.is_none() {
            channel.send_simple(Kind::MountsPlease)?;
            (batch, taken) = (channel.expect_mounts()?, 0);
            trace::mark(trace::LENT);
            next = batch.take(0);
        }
        taken += 1;
        Ok(next.map(descriptor::adopt))
    };
    rootfs::mounts(&root, &plan, &setup, &mut lent)?;
    step(trace::LATE);
    rootfs::devices(&root, &plan)?;
    step(trace::DEVICES);
    // Everything is there and the host's files still in reach: the place of the hooks in runtime-spec's lifecycle.
    if order.has(kind::ASK_HOOKS)? {
        channel.send_simple(Kind::HooksPlease)?;
        channel.expect(Kind::HooksDone, &mut Fds::default())?;
    }
    // There, as with runc: who looks for the root may say `.`.
    rustix::process::fchdir(&root).context("fchdir", "root")?;
    run_hooks(hook::CREATE_CONTAINER, &plan, "creating", inherited, None)?;
    // After the hooks, which may bring the interface that a parameter is about.
    sysctl::apply(&plan, procfs.as_ref())?;
    step(trace::HOOKS);

    rootfs::enter(root, &plan)?;
    step(trace::PIVOT);
    // Before the root becomes read-only: /dev/console may have to be made.
    open_console(channel, &plan, &order, user.uid, plan.namespace(libc::CLONE_NEWNS)?.is_some())?;
    rootfs::seal(&plan)?;
    step(trace::PATHS);

    let added = environment::added(&plan, &order, user.uid)?;
    if !order.has(kind::PRIORITIES)? {
        scheduling::prioritise(None, &plan)?;
    }
    let process = Process::assume(&plan, &added, &user, procfs.as_ref(), inherited, true)?;

    step(trace::PROCESS);
    let gate = if order.has(kind::GATE)? { Some(gate::open(fds.take(0))?) } else { None };
    // An agent hears of the process while it waits for its start, as with runc.
    let announced = plan.has(kind::SECCOMP_LISTENER)?;
    if announced {
        seccomp::load(&plan, channel)?;
    }
    if gate.is_some() {
        trace::send(channel);
    }
    // Fails when the runtime is gone: then nobody would attend to the process.
    channel.send_simple(Kind::Ready)?;
    gate.map_or(Ok(()), |gate| gate::wait(channel, gate))?;
    // The hooks of the container's own are under it, too.
    if !announced {
        seccomp::load(&plan, channel)?;
    }
    run_hooks(hook::START_CONTAINER, &plan, "created", process.mask, Some(process.environment()))?;
    process.execute(&plan, &order, channel)
}

fn name_host(plan: &Plan<'_>) -> Result<()> {
    if let Some(name) = plan.string(kind::HOSTNAME)? {
        rustix::system::sethostname(name.to_bytes()).context("sethostname", shown(name))?;
    }
    if let Some(name) = plan.string(kind::DOMAINNAME)? {
        rustix::system::setdomainname(name.to_bytes()).context("setdomainname", shown(name))?;
    }
    Ok(())
}

/// Runs the hooks of one stage here, where the container is, under a mask that is theirs.
fn run_hooks(
    stage: u32,
    plan: &Plan<'_>,
    status: &str,
    mask: Mode,
    environment: Option<&Vector<'_>>,
) -> Result<()> {
    if !hooks::any(stage, plan)? {
        return Ok(());
    }
    let ours = umask(mask);
    // The pid as seen from in here, since the hook is in here.
    let pid = rustix::process::getpid().as_raw_pid();
    let done = hooks::announce(stage, plan, (status.as_bytes(), pid), environment, &mut Err);
    umask(ours);
    done
}
