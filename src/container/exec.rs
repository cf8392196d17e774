//! A second process in a container that is there: the runtime's side of the three stages, once more.
//!
//! What it is to be comes from the plan that the container was made by, never from the bundle: what is written there
//! after `create` has no effect (runtime.md, Operations).

use core::ffi::CStr;
use core::fmt::Write;

use nsenter::attr::{Message, Writer};
use nsenter::boot::{Boot, Target};
use nsenter::stage;
use nsenter::sync::{Answer, Channel, Kind, silent};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::stat;
use rustix::io::Errno;

use super::child::Child;
use super::identity::has_ended;
use super::launch::{is_rootless, sockets};
use super::store::Store;
use super::{Container, Init, config};
use crate::cgroup::{Cgroups, Mode, Mounted};
use crate::confine::{oom, procfs, resctrl, rlimit, scheduling};
use crate::error::{Context, Error, Result, STEP};
use crate::plan::exec::Changes;
use crate::plan::namespace::Namespace;
use crate::plan::process::Rlimit;
use crate::plan::scheduling::ExecAffinity;
use crate::plan::{self, Plan, kind, list, translate};
use crate::text::PathBuf;
use crate::wire::json::Document;
use crate::{limits, sys, trace};

/// What the command asks for.
pub struct Order<'a> {
    /// The container.
    pub id: &'a CStr,
    /// A file with the whole process; then the changes do not count.
    pub process: Option<&'a CStr>,
    /// What is to be another than for the container's first process.
    pub changes: Changes<'a>,
    /// `--cgroup`, in the order given: strings of the type CGROUPS_PATH.
    pub cgroups: Plan<'a>,
    /// `--ignore-paused`.
    pub ignore_paused: bool,
    /// Somebody stays to relay a terminal.
    pub foreground: bool,
    /// Each step of the process is told as a warning.
    pub debug: bool,
    /// Where its pid is written.
    pub pid_file: Option<&'a PathBuf>,
    /// `--console-socket` and `--pidfd-socket`.
    pub sockets: [Option<&'a CStr>; 2],
}

/// Longest BOOT of one join.
const BOOT: usize = 128;

/// Namespaces that a container may share with whoever made it, who need not be where our caller is.
const SHARED: [(i32, &str); 5] = [
    (libc::CLONE_NEWCGROUP, "cgroup"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWNET, "net"),
    (libc::CLONE_NEWTIME, "time"),
    (libc::CLONE_NEWUTS, "uts"),
];

impl<'a> Container<'a> {
    /// Starts a process in the container. What comes back is attended like a container of which it is the first: its
    /// end is nobody else's.
    pub fn exec(store: &'a Store, order: &Order<'a>, warn: &mut dyn FnMut(&Error)) -> Result<Self> {
        // v2: born in the container's cgroup, thus when that is known.
        let child = if Mounted::look().is_unified() { None } else { Some(Child::spawn(0, None, || None)?) };
        let entry = store.entry(order.id)?;
        // Not while somebody makes or removes it.
        entry.share()?;
        let mut container = Self::restore(store, order.id, entry)?;
        let Some(init) = container.init.take() else {
            return Err(stopped(order.id));
        };
        if !order.ignore_paused && container.is_frozen()? {
            let reason = "cannot exec in a paused container (use --ignore-paused to override)";
            return Err(Error::refused("paused", reason));
        }
        container.entry.unlock()?;
        trace::mark(trace::LOADED);
        let message = container.describe(order, warn)?;
        trace::mark(trace::TRANSLATED);
        // The container's own plan has been asked for all that is in it.
        let stored = core::mem::replace(&mut container.plan, Plan::new(parse(message)?));
        container.cgroups.as_ref().map_or(Ok(()), |cgroups| cgroups.admit(&container.plan))?;
        let sockets = sockets(&container.plan, order.foreground, order.sockets)?;
        let joined = container.join(&init, child, &stored, order, message, warn);
        match joined.and_then(|()| container.present(sockets, order.pid_file)) {
            Ok(()) => Ok(container),
            Err(error) => {
                // What the kernel says of a container that has ended meanwhile misleads: clone(2) in its pid namespace has no memory.
                let ended = has_ended(init.pidfd.as_fd());
                let error = if ended { stopped(order.id) } else { container.explain(error) };
                let _ = container.kill();
                Err(error)
            }
        }
    }

    /// The PLAN message of the process.
    fn describe(&self, order: &Order<'_>, warn: &mut dyn FnMut(&Error)) -> Result<&'static [u8]> {
        let memory = sys::memory::anonymous(limits::PLAN + translate::SCRATCH).context("mmap", "process")?;
        let (memory, scratch) = memory.split_at_mut(limits::PLAN);
        let mut writer = Writer::new(memory, Kind::Plan as u16);
        match order.process {
            None => plan::exec::process(&self.plan, &order.changes, &mut writer)?,
            Some(path) => {
                let text = config::text(path, "process")?;
                let request = translate::Request {
                    id: order.id,
                    bundle: c"",
                    no_pivot: false,
                    no_new_keyring: false,
                    preserve_fds: order.changes.preserve_fds,
                    reaper: false,
                    notify: None,
                    cgroups_disabled: false,
                    rootless: is_rootless(),
                    // The container's.
                    filter: None,
                    begun: None,
                };
                let document = Document::parse("process", text)?;
                writer = translate::process(&document, &request, &self.plan, warn, writer, scratch)?;
                plan::exec::surroundings(&self.plan, &mut writer)?;
            }
        }
        writer.string(kind::ID, order.id);
        writer.finish().map_err(plan::broken)
    }

    fn join(
        &mut self,
        init: &Init,
        child: Option<Child>,
        stored: &Plan<'_>,
        order: &Order<'_>,
        message: &[u8],
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        let score = self.plan.i64(kind::OOM_SCORE_ADJ)?;
        // What takes the host's privileges is given to the child before it can leave them behind: then it has to wait for BOOT.
        let in_user_namespace = stored.namespace(libc::CLONE_NEWUSER)?.is_some();
        let limited = in_user_namespace && self.plan.one::<Rlimit>()?.is_some();
        let mut boot = Boot::default();
        let flags = namespaces(stored, init.pid)?;
        // One place of eight.
        let _ = flags == 0 || boot.join(flags, Target::Pidfd(0));
        boot.collapsed = boot.collapses() && !scheduling::has_priorities(&self.plan)?;
        let collapsed = boot.collapsed;
        let mut memory = [0; BOOT];
        let boot = boot.emit(&mut memory).map_err(plan::broken)?;
        for below in order.cgroups.strings(kind::CGROUPS_PATH) {
            self.cgroups.as_mut().map_or(Ok(()), |cgroups| cgroups.descend(below?))?;
        }
        let directory = self.cgroups.as_ref().map_or(Ok(None), Cgroups::directory)?;
        let mut other = None;
        let mut child = match child {
            Some(child) => child,
            None => Child::spawn(0, directory.as_ref().map(AsFd::as_fd), || {
                other = self.cgroups.as_ref()?.directory_of(init.pid);
                other.as_ref().map(AsRawFd::as_raw_fd)
            })?,
        };
        drop(other);
        let (channel, pid) = (child.channel(), child.pid());
        // In the words that runc's own tests look for.
        if order.debug {
            warn(&Error::refused(STEP, "nsexec container setup"));
        }
        if let Some(initial) = self.plan.one::<ExecAffinity<'_>>()?.and_then(|affinity| affinity.initial) {
            scheduling::affinity(Some(pid), initial)?;
            if order.debug {
                let first = list::bits(initial.to_bytes()).map_or(0, |[first, ..]| first);
                warn(&Error::refused(STEP, format_args!("nsexec: affinity: {first:#x}")));
            }
        }
        if limited {
            rlimit::raise(&self.plan, pid)?;
        }
        score.map_or(Ok(()), |score| oom::adjust(Some(pid), score))?;
        self.init = child.take();
        channel.send_with_fds(boot, &[init.pidfd.as_raw_fd()])?;
        if let Some(cgroups) = self.cgroups.as_ref().filter(|_| directory.is_some() && !child.into_cgroup) {
            cgroups.enter(pid.unsigned_abs())?;
        }
        let prioritised = in_user_namespace && self.prioritise(channel)?;
        if collapsed {
            // There is no other that it would tell of.
            resctrl::enter(stored, pid)?;
        }
        self.hand_process(channel, message, order, prioritised)?;
        trace::mark(trace::HANDED);
        child.release();
        self.hear(channel, collapsed, stored, init.pid, warn)
    }

    /// Sends ORDER, PLAN, and SETUP with its descriptors.
    fn hand_process(
        &mut self,
        channel: Channel,
        message: &[u8],
        order: &Order<'_>,
        prioritised: bool,
    ) -> Result<()> {
        let memory = sys::memory::anonymous(limits::SETUP).context("mmap", "setup")?;
        let mut writer = Writer::new(memory, Kind::Order as u16);
        writer.flag(kind::EXEC);
        self.tell_of(order.debug, prioritised, order.foreground, &mut writer)?;
        channel.send(writer.finish().map_err(plan::broken)?)?;
        channel.send(message)?;
        let mut writer = Writer::new(memory, Kind::Setup as u16);
        let mut tasks = heapless::Vec::<OwnedFd, { limits::HIERARCHIES }>::new();
        if let Some(cgroups) = self.cgroups.as_mut().filter(|cgroups| cgroups.mode() == Mode::V1) {
            cgroups.emit(&mut writer);
            // runc's words.
            tasks = cgroups.tasks().map_err(|error| error.within("error adding pid to cgroup"))?;
        }
        writer.u32(kind::TASKS_FDS, tasks.len() as u32);
        // The container's /proc is not to be trusted, and in a user namespace there may be no other.
        let procfs = procfs::open(&self.plan)?;
        let fds = tasks.iter().chain(&procfs).map(AsRawFd::as_raw_fd);
        let fds: heapless::Vec<i32, { limits::HIERARCHIES + 1 }> = fds.collect();
        Ok(channel.send_with_fds(writer.finish().map_err(plan::broken)?, &fds)?)
    }

    /// Answers the stages until the process runs.
    fn hear(
        &mut self,
        channel: Channel,
        collapsed: bool,
        stored: &Plan<'_>,
        first: i32,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        let mut speaker = if collapsed { stage::INIT } else { stage::CHILD };
        let mut ready = false;
        loop {
            match channel.answer()? {
                Answer::Pid(pid) => {
                    self.succeed(pid)?;
                    // Whose child it is decides the group that a process begins in, and it is ours.
                    resctrl::enter(stored, pid)?;
                    speaker = stage::INIT;
                }
                Answer::Step(step) => warn(&step.into()),
                Answer::Console(master) => self.console = Some(sys::descriptor::adopt(master)),
                Answer::Listener(listener) => {
                    self.listen(channel, listener, stored, (b"running", Some(first)))?;
                }
                Answer::Ready => ready = true,
                // execve closed the socket.
                Answer::Closed if ready => return Ok(()),
                _ => return Err(silent(speaker).into()),
            }
        }
    }
}

fn stopped(id: &CStr) -> Error {
    Error::refused("cannot exec in a stopped container", crate::text::shown(id))
}

fn parse(message: &'static [u8]) -> Result<Message<'static>> {
    Ok(Message::parse(message).map_err(plan::broken)?.0)
}

/// `CLONE_NEW*` of what is to be joined: what the container was made with, and what else is not ours.
fn namespaces(stored: &Plan<'_>, init: i32) -> Result<u32> {
    let mut flags = 0;
    for namespace in stored.each::<Namespace<'_>>() {
        flags |= namespace?.flag;
    }
    for (flag, name) in SHARED {
        if flags & flag as u32 == 0 && differs(init, name)? {
            flags |= flag as u32;
        }
    }
    Ok(flags)
}

/// Whether a namespace of the process is another than ours. No, where the kernel has none of the kind.
fn differs(init: i32, name: &str) -> Result<bool> {
    let (mut own, mut its) = (PathBuf::new(), PathBuf::new());
    let _ = write!(own, "/proc/self/ns/{name}");
    let _ = write!(its, "/proc/{init}/ns/{name}");
    let own = match stat(own.as_cstr()) {
        Err(Errno::NOENT) => return Ok(false),
        done => done.context("stat", &own)?,
    };
    let its = stat(its.as_cstr()).context("stat", &its)?;
    Ok((own.st_dev, own.st_ino) != (its.st_dev, its.st_ino))
}
