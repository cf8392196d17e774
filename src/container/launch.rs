//! From a bundle to a running process: the runtime's side of the three stages.
//!
//! [`Container::launch`] is the list. What it has done when a step fails is undone by [`Container::destroy`], which
//! is also what ends a container that has run.

use core::cell::Cell;
use core::ffi::CStr;

use nsenter::attr::{Message, Writer};
use nsenter::ids::{self, IdMap};
use nsenter::spawn;
use nsenter::stage;
use nsenter::sync::{Answer, Channel, Kind, silent};
use rustix::fd::{AsFd, OwnedFd};

use super::child::{Child, boot};
use super::notify::Notify;
use super::store::{GATE, GATE_NEW, NOTIFY, Store};
use super::{Container, config, pid_file, socket};
use crate::cgroup::{Cgroups, Mounted};
use crate::confine::{capability, oom, rlimit, scheduling};
use crate::error::{Context, Error, Result, STEP};
use crate::plan::mount::Mount;
use crate::plan::process::User;
use crate::plan::resources::Pids;
use crate::plan::translate::Begun;
use crate::plan::{self, Plan, hook, kind, names, namespace};
use crate::text::PathBuf;
use crate::wire::json::Node;
use crate::{hooks, limits, seccomp, sys, trace};

/// What a command asks for.
pub struct Order<'a> {
    /// Its name, checked.
    pub id: &'a CStr,
    /// The bundle's absolute path.
    pub bundle: &'a PathBuf,
    /// What is read in place of its config.json, in the minirunc form.
    pub form: Option<&'static [u8]>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--init`: a reaper of ours is the first process.
    pub reaper: bool,
    /// LISTEN_FDS meant for us (sd_listen_fds(3)): this many from 3 on reach the process.
    pub listen_fds: u32,
    /// LISTEN_FDNAMES for those.
    pub listen_names: Option<&'a CStr>,
    /// NOTIFY_SOCKET: where systemd waits for READY=1 (sd_notify(3)).
    pub notify: Option<&'a CStr>,
    /// `--preserve-fds`: as many behind those, too.
    pub preserve_fds: u32,
    /// Somebody stays to relay a terminal.
    pub foreground: bool,
    /// `--console-socket`: who gets the terminal's master side instead.
    pub console_socket: Option<&'a CStr>,
    /// `--pidfd-socket`: who gets a pidfd of the process.
    pub pidfd_socket: Option<&'a CStr>,
    /// `--pid-file`.
    pub pid_file: Option<&'a PathBuf>,
    /// Its process waits for `start`.
    pub gated: bool,
    /// `--cgroup-manager disabled`.
    pub cgroups_disabled: bool,
    /// Each step is told as a warning of the operation [`STEP`].
    pub debug: bool,
    /// PATH, to find newuidmap.
    pub search: Option<&'a CStr>,
}

/// Translates the order's config.json; `warn` is told what was passed over. `notify`: the directory of [`Notify`]. `begun` may take the
/// plan when there is enough of it to begin with.
pub fn translate(
    order: &Order<'_>,
    notify: Option<&PathBuf>,
    begun: Option<Begun<'_>>,
    warn: &mut dyn FnMut(&Error),
) -> Result<&'static [u8]> {
    let (name, text) = match order.form {
        Some(text) => ("command line", text),
        None => (config::NAME, config::read(order.bundle)?),
    };
    trace::mark(trace::CONFIG);
    config::as_oci((name, text), order.bundle, Some(order.id), warn, |document, warn| {
        trace::mark(trace::PARSED);
        let memory =
            sys::memory::anonymous(limits::PLAN + plan::translate::SCRATCH).context("mmap", "plan")?;
        let (memory, scratch) = memory.split_at_mut(limits::PLAN);
        let seccomp = document.root().at("linux")?.at("seccomp")?;
        let filter = if seccomp.is_empty() { None } else { filter(&seccomp)? };
        let request = plan::translate::Request {
            id: order.id,
            bundle: order.bundle.as_cstr(),
            no_pivot: order.no_pivot,
            no_new_keyring: order.no_new_keyring,
            preserve_fds: order.preserve_fds,
            reaper: order.reaper,
            notify: notify.map(PathBuf::as_cstr),
            cgroups_disabled: order.cgroups_disabled,
            rootless: is_rootless(),
            filter: filter.map(|filter| (filter.program, filter.flags)),
            begun,
        };
        let writer = Writer::new(memory, Kind::Plan as u16);
        plan::translate::translate(document, &request, warn, writer, scratch)
    })
}

/// The sockets that wait for the terminal and for the pidfd. A terminal needs somebody who holds its other end.
pub(super) fn sockets(
    plan: &Plan<'_>,
    foreground: bool,
    [console, pidfd]: [Option<&CStr>; 2],
) -> Result<[Option<OwnedFd>; 2]> {
    let detached_terminal = !foreground && plan.has(kind::TERMINAL)?;
    if detached_terminal != console.is_some() {
        let reason = if detached_terminal {
            "cannot allocate tty if runc will detach without setting console socket"
        } else {
            "cannot use console socket if runc will not detach or allocate tty"
        };
        return Err(Error::refused("process.terminal", reason));
    }
    Ok([console.map(socket::find).transpose()?, pidfd.map(socket::find).transpose()?])
}

/// `linux.seccomp`, compiled.
fn filter(node: &Node<'_>) -> Result<Option<seccomp::Filter<'static>>> {
    let memory = sys::memory::anonymous(seccomp::Work::SIZE).context("mmap", "seccomp")?;
    let filter = seccomp::Work::place(memory).map_or(Ok(None), |work| seccomp::compile(node, work));
    trace::mark(trace::FILTER);
    filter
}

/// Whether the caller is an ordinary user.
pub(super) fn is_rootless() -> bool {
    !rustix::process::geteuid().is_root()
}

/// Whether the caller lacks the host's privileges: podman and buildah call us as root of an ordinary user's namespace.
fn is_unprivileged() -> bool {
    is_rootless() || sys::process::is_in_user_namespace()
}

impl Order<'_> {
    /// Tells a step.
    fn tell(&self, warn: &mut dyn FnMut(&Error), step: &str) {
        if self.debug {
            warn(&Error::refused(STEP, step));
        }
    }
}

impl<'a> Container<'a> {
    /// Makes the container and starts its process. On an error nothing of it is left.
    pub fn launch(store: &'a Store, order: &Order<'a>, warn: &mut dyn FnMut(&Error)) -> Result<Self> {
        let mut notify = None;
        if order.notify.is_some() {
            let mut path = store.path_of(order.id)?;
            let _ = path.join(NOTIFY.to_bytes());
            notify = Some(path);
        }
        let place = Mounted::look();
        // v2: born in the cgroup, whose limits hold from the first instruction on. v1: entered later, by itself; so it need not wait for it.
        let early = order.cgroups_disabled || !place.is_unified();
        let child = Cell::new(None);
        let begun = |plan: Plan<'_>| {
            let boot = boot(&plan)?;
            let born = Child::of(&boot, None)?;
            if plan.namespace(libc::CLONE_NEWUSER)?.is_none() {
                born.tell(&boot)?;
            }
            child.set(Some(born));
            Ok(())
        };
        let begun: Option<Begun<'_>> = if early { Some(&begun) } else { None };
        let message = translate(order, notify.as_ref(), begun, warn)?;
        trace::mark(trace::TRANSLATED);
        let cgroups = if order.cgroups_disabled { None } else { Some(Cgroups::discover(place)?) };
        trace::mark(trace::FOUND);
        let plan = Plan::new(Message::parse(message).map_err(plan::broken)?.0);
        let sockets = sockets(&plan, order.foreground, [order.console_socket, order.pidfd_socket])?;
        let entry = store.create(order.id)?;
        trace::mark(trace::STATE);
        let mut container = Self::new(store, order.id, entry, plan, cgroups);
        match container.bring_up(order, child.into_inner(), message, sockets, warn) {
            Ok(()) => Ok(container),
            Err(error) => {
                let error = container.explain(error);
                // The error to tell is the first one.
                let _ = container.destroy(warn);
                Err(error)
            }
        }
    }

    fn bring_up(
        &mut self,
        order: &Order<'_>,
        child: Option<Child>,
        message: &[u8],
        sockets: [Option<OwnedFd>; 2],
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        let in_user_namespace = self.plan.namespace(libc::CLONE_NEWUSER)?.is_some();
        // It makes its namespaces now, and begins with the rest while we are at the cgroups.
        let early = child.as_ref().filter(|_| !in_user_namespace);
        early.map_or(Ok(()), |child| self.instruct(order, child.channel(), false, message))?;
        let instructed = early.is_some();
        // The state comes before what has to be found and cleaned up.
        self.file = Some(self.entry.write_plan(message)?);
        trace::mark(trace::STORED);
        if let Some(address) = order.notify {
            self.entry.make_notify()?;
            if !order.gated {
                self.notify = Some(Notify::new(&self.entry, address)?);
            }
        }
        self.tell_ungrantable(in_user_namespace, warn)?;
        let unified = child.is_none();
        if unified {
            self.limit()?;
        }
        // pids.max refuses a birth, not an entry: where there is no room for two stages, init enters by itself.
        let scant = self.plan.one::<Pids>()?.is_some_and(|pids| (0..2).contains(&pids.limit));
        let cgroups = self.cgroups.as_ref().filter(|_| !scant);
        let directory = cgroups.map_or(Ok(None), Cgroups::directory)?;
        let boot = boot(&self.plan)?;
        let mut child = match child {
            Some(child) => child,
            None => Child::of(&boot, directory.as_ref().map(AsFd::as_fd))?,
        };
        // In the words that runc's own tests look for.
        order.tell(warn, "nsexec container setup");
        if in_user_namespace {
            // What takes the host's privileges is given to the child before it can leave them behind.
            rlimit::raise(&self.plan, child.pid())?;
            if let Some(score) = self.plan.i64(kind::OOM_SCORE_ADJ)? {
                oom::adjust(Some(child.pid()), score)?;
            }
        }
        if unified || in_user_namespace {
            child.tell(&boot)?;
        }
        if !unified {
            self.limit()?;
        }
        let (channel, child_pid) = (child.channel(), child.pid());
        self.init = child.take();
        if let Some(cgroups) = self.cgroups.as_ref().filter(|_| directory.is_some() && !child.into_cgroup) {
            cgroups.enter(child_pid.unsigned_abs())?;
        }
        order.tell(warn, "cgroups");
        trace::mark(trace::LIMITED);
        if boot.maps {
            self.map(channel, child_pid, order)?;
            order.tell(warn, "id maps");
            trace::mark(trace::MAPPED);
        }
        let prioritised = in_user_namespace && self.prioritise(channel)?;
        if !instructed {
            self.instruct(order, channel, prioritised, message)?;
        }
        self.hand_over(channel, directory.is_some())?;
        trace::mark(trace::HANDED);
        child.release();
        // Init is there.
        let born = boot.collapsed || prioritised;
        if born {
            self.remember()?;
        }
        order.tell(warn, "handed over to init");
        let speaker = if born { stage::INIT } else { stage::CHILD };
        self.converse(channel, speaker, order.gated, warn)?;
        order.tell(warn, if order.gated { "created" } else { "started" });
        if !order.gated {
            // A process that could not be told that it started must not go on (runtime-spec 1.3). The hooks may run other
            // commands on it.
            self.entry.unlock()?;
            self.run_hooks(hook::POSTSTART, b"running")?;
            return self.present(sockets, order.pid_file);
        }
        self.present(sockets, order.pid_file)?;
        // Until now init would have ended with us, so that no runtime that is killed leaves half a container.
        let left = self.entry.rename(GATE_NEW, GATE).and_then(|()| Ok(channel.send_simple(Kind::Leave)?));
        if let (Err(_), Some(file)) = (&left, order.pid_file) {
            let _ = rustix::fs::unlink(file.as_cstr());
        }
        left
    }

    /// Tells of the process those who asked for it. Last, so that they never hear of one that then failed.
    pub(super) fn present(
        &mut self,
        sockets: [Option<OwnedFd>; 2],
        pid_file: Option<&PathBuf>,
    ) -> Result<()> {
        let [console, pidfd] = sockets;
        if let Some((socket, master)) = console.and_then(|socket| Some((socket, self.console.take()?))) {
            socket::hand(&socket, "/dev/ptmx", &master)?;
        }
        let Some(init) = &self.init else { return Ok(()) };
        if let Some(socket) = pidfd {
            socket::hand(&socket, "pidfd", &init.pidfd)?;
        }
        pid_file.map_or(Ok(()), |file| pid_file::write(file, init.pid))
    }

    /// Makes the container's own cgroups, and sets its limits in them.
    fn limit(&mut self) -> Result<()> {
        let Some(cgroups) = &mut self.cgroups else { return Ok(()) };
        let path = self.plan.string(kind::CGROUPS_PATH)?.unwrap_or(c"/");
        cgroups.create(path, &self.plan, is_unprivileged)?;
        cgroups.apply(&self.plan)?;
        match heir(&self.plan)? {
            Some(uid) if !is_rootless() => cgroups.delegate(uid),
            _ => Ok(()),
        }
    }

    /// Writes the user namespace's maps when the child asks for them.
    #[inline(never)]
    fn map(&self, channel: Channel, pid: i32, order: &Order<'_>) -> Result<()> {
        match channel.answer()? {
            Answer::MapPlease => {}
            _ => return Err(silent(stage::CHILD).into()),
        }
        let mut lines = [heapless::Vec::<IdMap, { limits::ID_MAPS }>::new(), heapless::Vec::new()];
        for map in self.plan.each::<namespace::IdMap>() {
            let map = map?;
            let line = IdMap { container_id: map.inside, host_id: map.outside, size: map.size };
            let [uids, gids] = &mut lines;
            if map.group { gids } else { uids }
                .push(line)
                .map_err(|_| Error::refused("linux.uidMappings", "more than 340 lines"))?;
        }
        let [uids, gids] = &lines;
        ids::write_maps(pid, uids, gids, order.search.map(CStr::to_bytes))?;
        Ok(channel.send_simple(Kind::MapDone)?)
    }

    /// Gives init, which waits for ORDER in a user namespace, the priorities that it could not get there. Whether the plan has any, and we are
    /// who may: an ordinary user's init does by itself what is allowed to it.
    pub(super) fn prioritise(&mut self, channel: Channel) -> Result<bool> {
        if is_unprivileged() || !scheduling::has_priorities(&self.plan)? {
            return Ok(false);
        }
        match channel.answer()? {
            Answer::Pid(pid) => self.succeed(pid)?,
            _ => return Err(silent(stage::CHILD).into()),
        }
        let init = self.init.as_ref().map(|init| init.pid);
        scheduling::prioritise(init, &self.plan).map(|()| true)
    }

    /// Warns of the capabilities that cannot be given (config.md: MUST). In a new user namespace (`users`) all are held.
    fn tell_ungrantable(&self, users: bool, warn: &mut dyn FnMut(&Error)) -> Result<()> {
        let Some(wanted) = self.plan.one()? else { return Ok(()) };
        let lacking = if users { 0 } else { capability::ungrantable(&wanted)? };
        // capabilities(7): what is ambient is permitted and inheritable. Where nothing is inheritable the ambient set is what CVE-2022-29162
        // has left of the bundles of buildah and of runc 1.1's `spec`: nobody means it, and it is in every one of them.
        let unfit = if wanted.inheritable == 0 {
            0
        } else {
            wanted.ambient & !(wanted.permitted & wanted.inheritable)
        };
        // Runc's words, but in one line.
        for (set, what, why) in [
            (lacking, "", "not ours to grant, ignored"),
            (unfit, "can't raise ambient capability ", "not permitted and inheritable"),
        ] {
            if set != 0 {
                let listed = names::Listed(set);
                warn(&Error::refused("process.capabilities", format_args!("{what}{listed}: {why}")));
            }
        }
        Ok(())
    }

    /// Runs the hooks of a stage; the first that fails ends it.
    pub fn run_hooks(&self, stage: u32, status: &[u8]) -> Result<()> {
        let pid = self.init.as_ref().map_or(0, |init| init.pid);
        hooks::announce(stage, &self.plan, (status, pid), None, &mut Err)
    }

    /// A child that was killed says nothing; the cgroup may know why.
    pub(super) fn explain(&self, error: Error) -> Error {
        if let Some(failure) = spawn::failure() {
            return failure.into();
        }
        let silent = error.errno().is_none()
            && [stage::INIT, stage::CHILD].iter().any(|it| it.to_bytes() == error.op().as_bytes());
        if silent && self.cgroups.as_ref().is_some_and(|cgroups| cgroups.oom_kills().unwrap_or(0) > 0) {
            return Error::refused("create", "container init was OOM-killed (memory limit too low?)");
        }
        error
    }
}

/// Who is to rule the container's cgroup: its process's user, by the host's number, where it can write to a cgroup
/// namespace of its own (config-linux.md, Cgroup ownership). None: root does.
fn heir(plan: &Plan<'_>) -> Result<Option<u32>> {
    if !plan.makes(libc::CLONE_NEWCGROUP)? {
        return Ok(None);
    }
    let mut writable = false;
    for mount in plan.each::<Mount<'_>>() {
        let mount = mount?;
        writable |= mount.fstype.is_some_and(|it| it.to_bytes().starts_with(b"cgroup"))
            && mount.set & libc::MOUNT_ATTR_RDONLY == 0;
    }
    let uid = plan.one::<User>()?.map_or(0, |user| user.uid);
    let mut heir = if plan.namespace(libc::CLONE_NEWUSER)?.is_none() { Some(uid) } else { None };
    for map in plan.each::<namespace::IdMap>() {
        let map = map?;
        match uid.checked_sub(map.inside) {
            Some(nth) if nth < map.size && !map.group => heir = map.outside.checked_add(nth),
            _ => {}
        }
    }
    Ok(heir.filter(|&uid| writable && uid != 0))
}
