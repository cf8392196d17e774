//! What the runtime and its stages say to each other: ORDER, PLAN and SETUP one way, the answers the other. The picture is at the head of
//! nsenter's `sync`.

use core::ffi::CStr;

use nsenter::attr::Writer;
use nsenter::stage;
use nsenter::sync::{Answer, Channel, Kind, silent};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use super::launch::{Order, is_rootless};
use super::{Container, Init, gate};
use crate::confine::resctrl;
use crate::error::{Context, Error, Result};
use crate::plan::mount::Mount;
use crate::plan::{self, Noun, hook, kind};
use crate::terminal::relay;
use crate::{hooks, limits, net, rootfs, sys, trace};

impl Container<'_> {
    /// What ORDER says of the command, be it for the first process or for another.
    pub(super) fn tell_of(
        &self,
        debug: bool,
        prioritised: bool,
        foreground: bool,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        if debug {
            writer.flag(kind::DEBUG);
        }
        if prioritised {
            writer.flag(kind::PRIORITIES);
        }
        if foreground && self.plan.has(kind::TERMINAL)? {
            relay::outer().emit(writer);
        }
        Ok(())
    }

    /// Sends ORDER with its descriptors, and PLAN: all that init needs to begin.
    pub(super) fn instruct(
        &self,
        order: &Order<'_>,
        channel: Channel,
        prioritised: bool,
        message: &[u8],
    ) -> Result<()> {
        let memory = sys::memory::anonymous(limits::ORDER).context("mmap", "order")?;
        let mut writer = Writer::new(memory, Kind::Order as u16);
        if order.listen_fds > 0 {
            writer.u32(kind::LISTEN_FDS, order.listen_fds);
            order.listen_names.inspect(|names| writer.string(kind::LISTEN_FDNAMES, names));
        }
        if order.notify.is_some() {
            writer.flag(kind::NOTIFY);
        }
        // Networks and resctrl come at the same moment: init is there with its namespaces, and no hook has looked yet.
        if hooks::any(hook::PRESTART, &self.plan)?
            || hooks::any(hook::CREATE_RUNTIME, &self.plan)?
            || self.plan.has(kind::NET_DEVICE)?
            || self.plan.has(kind::BRIDGE)?
            || self.plan.has(kind::INTEL_RDT)?
        {
            writer.flag(kind::ASK_HOOKS);
        }
        let users = !is_rootless() && self.plan.namespace(libc::CLONE_NEWUSER)?.is_some();
        if self.plan.each::<Mount<'_>>().any(|mount| mount.is_ok_and(|mount| mount.is_lent(users))) {
            writer.flag(kind::ASK_MOUNTS);
        }
        let gate = if order.gated { Some(gate::make(&self.entry)?) } else { None };
        if gate.is_some() {
            writer.flag(kind::GATE);
        }
        // Mounted by who has the privileges. An ordinary user's init has them, in its namespaces, whose mounts its layers have to be on.
        let mut overlay = None;
        if self.plan.has(kind::OVERLAY)? {
            let (place, path) = self.entry.make_overlay()?;
            if is_rootless() {
                writer.string(kind::OVERLAY_PLACE, path.as_cstr());
            } else {
                let users = sys::process::is_in_user_namespace();
                overlay = Some(rootfs::overlay::make(&self.plan, &place, users)?);
                writer.u32(kind::OVERLAY_FD, gate.iter().len() as u32);
            }
        }
        self.tell_of(order.debug, prioritised, order.foreground, &mut writer)?;
        let fds: heapless::Vec<i32, 2> = gate.iter().chain(&overlay).map(AsRawFd::as_raw_fd).collect();
        channel.send_with_fds(writer.finish().map_err(plan::broken)?, &fds)?;
        Ok(channel.send(message)?)
    }

    /// Sends SETUP with its descriptors, and keeps it with the plan. `entered`: the cgroup is not for init to enter.
    pub(super) fn hand_over(&mut self, channel: Channel, entered: bool) -> Result<()> {
        let memory = sys::memory::anonymous(limits::SETUP).context("mmap", "setup")?;
        let mut writer = Writer::new(memory, Kind::Setup as u16);
        let mut tasks = heapless::Vec::<OwnedFd, { limits::HIERARCHIES }>::new();
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.emit(&mut writer);
            if !entered {
                tasks = cgroups.tasks()?;
            }
        }
        writer.u32(kind::TASKS_FDS, tasks.len() as u32);
        resctrl::make(&self.plan, &mut self.resctrl)?;
        if self.resctrl != 0 {
            writer.u32(kind::RESCTRL, self.resctrl);
        }
        let setup = writer.finish().map_err(plan::broken)?;
        let fds: heapless::Vec<i32, { limits::HIERARCHIES }> = tasks.iter().map(AsRawFd::as_raw_fd).collect();
        channel.send_with_fds(setup, &fds)?;
        self.file.as_ref().map_or(Ok(()), |file| self.entry.append(file.as_fd(), setup))
    }

    /// Answers the stages until the process runs, or waits at its gate.
    pub fn converse(
        &mut self,
        channel: Channel,
        mut speaker: &CStr,
        gated: bool,
        warn: &mut dyn FnMut(&Error),
    ) -> Result<()> {
        let (mut ready, mut batch) = (false, 0);
        loop {
            match channel.answer()? {
                Answer::Pid(pid) => {
                    self.succeed(pid)?;
                    self.remember()?;
                    speaker = stage::INIT;
                }
                Answer::MountsPlease => {
                    self.lend_mounts(batch, channel)?;
                    batch += 1;
                }
                Answer::HooksPlease => {
                    trace::mark(trace::ASKED);
                    if let Some(init) = &self.init {
                        net::device::lend(&self.plan, init.pid, init.pidfd.as_fd())?;
                        self.connect(init)?;
                        resctrl::enter(&self.plan, init.pid)?;
                    }
                    self.run_hooks(hook::PRESTART, b"creating")?;
                    self.run_hooks(hook::CREATE_RUNTIME, b"creating")?;
                    trace::mark(trace::HOOKED);
                    channel.send_simple(Kind::HooksDone)?;
                }
                Answer::Step(step) => warn(&step.into()),
                Answer::Console(master) => self.console = Some(sys::descriptor::adopt(master)),
                Answer::Listener(listener) => {
                    self.listen(channel, listener, &self.plan, (b"creating", None))?;
                }
                Answer::Ready if gated => return Ok(()),
                Answer::Ready => ready = true,
                // execve closed the socket.
                Answer::Closed if ready => return Ok(()),
                Answer::Closed | Answer::MapPlease => return Err(silent(speaker).into()),
            }
        }
    }

    /// Stage 1 has made init and exits.
    pub(super) fn succeed(&mut self, pid: i32) -> Result<()> {
        let init = Pid::from_raw(pid).ok_or_else(|| Error::refused("message", "no pid"))?;
        let pidfd = pidfd_open(init, PidfdFlags::empty()).context("pidfd_open", "init")?;
        if let Some(child) = self.init.replace(Init { pid, pidfd }) {
            waitpid(Pid::from_raw(child.pid), WaitOptions::empty()).context("waitpid", "child")?;
        }
        Ok(())
    }
}
