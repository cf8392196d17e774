//! A new container, from the inside: one list from the stages to the process.

use core::convert::Infallible;

use nsenter::attr::{HEADER, Writer};
use nsenter::sync::{Channel, Fds, Kind, silent};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};

use super::{cwd, environment, execute};
use crate::confine::{capability, oom, rlimit, sysctl, user};
use crate::error::{Context, Error, Result};
use crate::plan::namespace::Hierarchy;
use crate::plan::process::{Capabilities, Terminal, User};
use crate::plan::{self, Plan, hook, kind};
use crate::sys::{descriptor, memory, process};
use crate::terminal::pty;
use crate::text::{PathBuf, shown};
use crate::{hooks, limits, net, rootfs};

/// Makes everything that SETUP and PLAN, which wait in the socket, ask for, and becomes the container's process.
pub fn create(channel: Channel) -> Result<Infallible> {
    let mut tasks = Fds::default();
    let setup = receive(channel, Kind::Setup, limits::SETUP, &mut tasks)?;
    let plan = receive(channel, Kind::Plan, limits::PLAN, &mut Fds::default())?;
    let user = plan.one::<User>()?.unwrap_or(User { uid: 0, gid: 0, umask: None });

    // Modes are meant as they are written, until the process gets its own mask.
    let inherited = umask(Mode::empty());
    // Who is in a namespace that we joined must not see what we still hold of the host (CVE-2016-9962). execve(2) ends it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("prctl", "PR_SET_DUMPABLE")?;
    // Before anything that uses memory. The cgroup namespace after that: its root is where its maker is.
    enter_cgroups(&setup, tasks)?;
    if plan.makes(libc::CLONE_NEWCGROUP)? {
        process::unshare_cgroup().context("unshare", "CLONE_NEWCGROUP")?;
    }
    // No terminal of the runtime's, and no place in its keyring.
    rustix::process::setsid().context("setsid", "")?;
    join_keyring(&plan)?;
    name_host(&plan)?;
    if plan.makes(libc::CLONE_NEWNET)? {
        net::link::up(c"lo")?;
    }
    // While /proc is still the host's. In a user namespace that was for the runtime to do.
    let score = plan.i64(kind::OOM_SCORE_ADJ)?;
    if let (Some(score), None) = (score, plan.namespace(libc::CLONE_NEWUSER)?) {
        oom::adjust(None, score)?;
    }

    let root = rootfs::isolate(&plan)?;
    rootfs::mounts(&root, &plan, &setup)?;
    rootfs::devices(&root, &plan)?;
    // Everything is there and the host's files still in reach: the place of the hooks in runtime-spec's lifecycle.
    if setup.has(kind::ASK_HOOKS)? {
        channel.send_simple(Kind::HooksPlease)?;
        channel.expect(Kind::HooksDone)?;
    }
    run_hooks(hook::CREATE_CONTAINER, &plan, "creating", inherited)?;
    // After the hooks, which may bring the interface that a parameter is about; before /proc is masked, since a user
    // namespace may mount a procfs only while it can see a whole one.
    sysctl::apply(&plan)?;

    rootfs::enter(root, &plan)?;
    // Before the root becomes read-only: /dev/console may have to be made.
    open_console(channel, &plan, user.uid, plan.namespace(libc::CLONE_NEWNS)?.is_some())?;
    rootfs::seal(&plan)?;

    // What opens files comes before the limits, one of which is on open files; what root may do, before it is root no more.
    let added = environment::added(&plan, &setup, user.uid)?;
    let argv = environment::arguments(&plan)?;
    let envp = environment::environment(&plan, &added)?;
    let directory = plan.string(kind::CWD)?.unwrap_or(c"/");
    let entered = cwd::enter_as_root(directory)?;
    rlimit::apply(&plan)?;
    let capabilities = plan.one::<Capabilities>()?.unwrap_or(capability::NONE);
    capability::limit(&capabilities)?;
    capability::keep(true)?;
    user::assume(&user, &plan)?;
    capability::keep(false)?;
    capability::apply(&capabilities)?;
    if plan.has(kind::NO_NEW_PRIVILEGES)? {
        rustix::thread::set_no_new_privs(true).context("prctl", "PR_SET_NO_NEW_PRIVS")?;
    }
    if !entered {
        cwd::enter(directory)?;
    }
    let mask = user.umask.map_or(inherited, Mode::from_raw_mode);
    umask(mask);
    // With the process's own eyes, and while the answer can still make `create` fail.
    let program = execute::find(&argv, &envp)?;

    // Fails when the runtime is gone: then nobody would attend to the process.
    channel.send_simple(Kind::Ready)?;
    run_hooks(hook::START_CONTAINER, &plan, "created", mask)?;
    let kept =
        setup.u32(kind::LISTEN_FDS)?.unwrap_or(0).saturating_add(plan.u32(kind::PRESERVE_FDS)?.unwrap_or(0));
    execute::close_all_but(kept, channel.as_raw());
    Err(execute::execute(&program, &argv, &envp))
}

/// The next message, in memory of its own.
fn receive(channel: Channel, kind: Kind, most: usize, fds: &mut Fds) -> Result<Plan<'static>> {
    let header = channel.recv_header(fds)?.ok_or_else(|| silent(c"runtime"))?;
    if header.kind != kind as u16 || header.len > most {
        return Err(Error::refused("message", "not the one that was due"));
    }
    let memory = memory::anonymous(header.len).context("mmap", "plan")?;
    Ok(Plan::new(channel.recv_rest(&header, memory)?))
}

/// Enters the v1 cgroups whose `tasks` files came with SETUP, in the order of its hierarchies. The literal 0 means the writing thread
/// and spares the lock that a pid in `cgroup.procs` waits for, 5 to 20 ms on an idle system.
fn enter_cgroups(setup: &Plan<'_>, mut tasks: Fds) -> Result<()> {
    let count = setup.u32(kind::TASKS_FDS)?.unwrap_or(0);
    for index in 0..count as usize {
        let file = tasks.take(index).ok_or_else(|| Error::refused("message", "a tasks file is missing"))?;
        let written = rustix::io::write(descriptor::adopt(file), b"0");
        if let Err(errno) = written {
            let hierarchy = setup.each::<Hierarchy<'_>>().nth(index).transpose()?;
            let controllers = hierarchy.map_or(c"", |hierarchy| hierarchy.controllers);
            return Err(Error::system("write", format_args!("cgroup {} tasks", shown(controllers)), errno));
        }
    }
    Ok(())
}

/// A session keyring of the container's own, under runc's name for it. The host's would let it look for keys.
fn join_keyring(plan: &Plan<'_>) -> Result<()> {
    if plan.has(kind::NO_NEW_KEYRING)? {
        return Ok(());
    }
    let mut name = PathBuf::new();
    let id = plan.string(kind::ID)?.unwrap_or(c"");
    name.push(b"_ses.")
        .and_then(|()| name.push(id.to_bytes()))
        .map_err(|_| Error::refused("id", "too long"))?;
    match process::join_session_keyring(name.as_cstr()) {
        // A kernel without keyrings.
        Err(Errno::NOSYS) => Ok(()),
        other => other.context("keyctl", "session keyring"),
    }
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

/// The process's terminal, if it is to have one, as its standard descriptors and its /dev/console. The runtime gets the other end.
fn open_console(channel: Channel, plan: &Plan<'_>, uid: u32, mounts: bool) -> Result<()> {
    if let Some(terminal) = plan.one::<Terminal>()? {
        let pty = pty::open(&terminal)?;
        // Not in the host's mount namespace.
        if mounts {
            rootfs::console(pty.slave.as_fd())?;
        }
        let mut message = [0; HEADER];
        let message = Writer::new(&mut message, Kind::Console as u16).finish().map_err(plan::broken)?;
        channel.send_with_fds(message, &[pty.master.as_raw_fd()])?;
        pty::attach(&pty.slave)?;
    }
    pty::own(uid)
}

/// Runs the hooks of one stage here, where the container is, under a mask that is theirs.
fn run_hooks(stage: u32, plan: &Plan<'_>, status: &str, mask: Mode) -> Result<()> {
    if !hooks::any(stage, plan)? {
        return Ok(());
    }
    let ours = umask(mask);
    // The pid as seen from in here, since the hook is in here.
    let pid = rustix::process::getpid().as_raw_pid();
    let done = hooks::announce(stage, plan, (status.as_bytes(), pid), &mut Err);
    umask(ours);
    done
}
