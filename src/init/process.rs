//! The second half of every list: what was root in the container becomes the process, and runs its program.

use core::convert::Infallible;
use core::ffi::CStr;
use core::fmt::Write;

use nsenter::sync::Channel;
use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::process::umask;

use super::environment::Added;
use super::{cwd, environment, execute, reaper, seccomp};
use crate::confine::{capability, label, rlimit, scheduling, user};
use crate::error::{Context, Result};
use crate::plan::process::{Capabilities, User};
use crate::plan::{Plan, kind};
use crate::sys::process::Vector;
use crate::text::PathBuf;
use crate::trace;

/// All but the program's start is done.
pub struct Process<'a> {
    program: PathBuf,
    argv: Vector<'a>,
    envp: Vector<'a>,
    /// Its file mode creation mask.
    pub mask: Mode,
}

impl<'a> Process<'a> {
    /// Takes on the user, the rights and the limits that the plan's process has, and finds its program. `procfs`: see
    /// [`crate::confine::procfs::open`].
    /// A working directory that is missing is made for the first process only (`create`).
    pub fn assume(
        plan: &Plan<'a>,
        added: &'a Added,
        user: &User,
        procfs: Option<&OwnedFd>,
        inherited: Mode,
        create: bool,
    ) -> Result<Self> {
        // What opens files comes before the limits, one of which is on open files; what root may do, before it is root no more.
        let argv = environment::arguments(plan)?;
        let envp = environment::environment(plan, added)?;
        let directory = plan.string(kind::CWD)?.unwrap_or(c"/");
        let entered = cwd::enter_as_root(directory, create)?;
        label::apply(plan, procfs)?;
        scheduling::apply(plan)?;
        rlimit::apply(plan)?;
        let capabilities = plan.one::<Capabilities>()?.unwrap_or(capability::NONE);
        capability::limit(&capabilities)?;
        capability::keep(true)?;
        user::assume(user, plan)?;
        capability::keep(false)?;
        capability::apply(&capabilities, seccomp::privilege(plan)?)?;
        if plan.has(kind::NO_NEW_PRIVILEGES)? {
            rustix::thread::set_no_new_privs(true).context("prctl", "PR_SET_NO_NEW_PRIVS")?;
        }
        if !entered {
            cwd::enter(directory, create)?;
        }
        let mask = user.umask.map_or(inherited, Mode::from_raw_mode);
        umask(mask);
        // With the process's own eyes, and while the answer can still make `create` fail.
        let program = execute::find(&argv, &envp)?;
        Ok(Self { program, argv, envp, mask })
    }

    /// That of the process, and of a startContainer hook which has none (runc 1.3).
    pub fn environment(&self) -> &Vector<'a> {
        &self.envp
    }

    /// Closes what was not asked for and runs the program, behind a reaper if there is to be one. Comes back on failure only.
    pub fn execute(self, plan: &Plan<'_>, order: &Plan<'_>, channel: Channel) -> Result<Infallible> {
        let (mut envp, mut listener) = (self.envp, PathBuf::new());
        let passed = order.u32(kind::LISTEN_FDS)?.unwrap_or(0);
        if plan.has(kind::REAPER)? {
            // The rights, limits and filter of the process are the reaper's, too: what gets hold of it has gained nothing.
            reaper::stand_in_front()?;
            if passed > 0 {
                // It was meant for who is the reaper now.
                let _ = write!(listener, "LISTEN_PID={}", rustix::process::getpid().as_raw_pid());
                let same = |text: &CStr| text.to_bytes().starts_with(b"LISTEN_PID=");
                envp.put(listener.as_cstr(), same).context("execve", "environment")?;
            }
        }
        let kept = passed.saturating_add(plan.u32(kind::PRESERVE_FDS)?.unwrap_or(0));
        execute::close_all_but(kept, channel.as_raw());
        super::step(trace::LAST);
        trace::send(channel);
        Err(execute::execute(&self.program, &self.argv, &envp))
    }
}
