//! The agent that answers for system calls under SCMP_ACT_NOTIFY gets the filter's descriptor.

use core::fmt;

use nsenter::Fd;
use nsenter::sync::{Channel, Kind, silent};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::{Container, socket};
use crate::error::{Context, Error, Result};
use crate::oci;
use crate::oci::state::State;
use crate::plan::process::{Annotation, Listener};
use crate::plan::{Plan, kind};
use crate::text::shown;
use crate::wire::json::Writer;
use crate::{limits, sys, text};

impl Container<'_> {
    /// Gives the agent the listener of our process, the descriptor that came or that of this number there, and has the process go on.
    #[inline(never)]
    pub(super) fn listen(
        &self,
        channel: Channel,
        listener: core::result::Result<Fd, i32>,
        plan: &Plan<'_>,
        state: (&[u8], Option<i32>),
    ) -> Result<()> {
        let init = self.init.as_ref().ok_or_else(|| silent(c"init"))?;
        let listener = match listener {
            Ok(fd) => sys::descriptor::adopt(fd),
            Err(number) => pidfd_getfd(&init.pidfd, number, PidfdGetfdFlags::empty())
                .context("pidfd_getfd", "linux.seccomp")?,
        };
        deliver(plan, listener, init.pid, state)?;
        Ok(channel.send_simple(Kind::ListenerDone)?)
    }
}

/// Connects to `linux.seccomp.listenerPath` and sends the container process state (runtime-spec, config-linux.md) with the
/// descriptor. `pid` is the process under the filter; the rest is about its container, whose plan this is.
fn deliver(
    plan: &Plan<'_>,
    listener: OwnedFd,
    pid: i32,
    (status, first): (&[u8], Option<i32>),
) -> Result<()> {
    let missing = || Error::refused("linux.seccomp.listenerPath", "missing");
    let agent = plan.one::<Listener<'_>>()?.ok_or_else(missing)?;
    let socket = socket::find(agent.path).map_err(|error| {
        let errno = error.errno().unwrap_or(Errno::CONNREFUSED);
        // runc's words.
        Error::system("failed to connect with seccomp agent", shown(agent.path), errno)
    })?;
    let room = sys::memory::anonymous(limits::PLAN).context("mmap", "state")?;
    let mut out = text::Into::new(room);
    let string = |kind| Ok::<_, Error>(plan.string(kind)?.unwrap_or(c"").to_bytes());
    let state =
        State { id: string(kind::ID)?, status, pid: first.unwrap_or(pid), bundle: string(kind::BUNDLE)? };
    write(plan, &agent, pid, &state, &mut out)
        .map_err(|_| Error::refused("state", "longer than its limit"))?;
    Ok(Channel::new(socket.as_raw_fd()).send_with_fds(out.finish(), &[listener.as_raw_fd()])?)
}

fn write(
    plan: &Plan<'_>,
    agent: &Listener<'_>,
    pid: i32,
    state: &State<'_>,
    out: &mut dyn fmt::Write,
) -> fmt::Result {
    let mut writer = Writer::compact(out);
    writer.object(None)?;
    writer.string(Some("ociVersion"), oci::VERSION.as_bytes())?;
    writer.array(Some("fds"))?;
    writer.string(None, b"seccompFd")?;
    writer.end_array()?;
    writer.number(Some("pid"), pid.into())?;
    if let Some(metadata) = agent.metadata {
        writer.string(Some("metadata"), metadata.to_bytes())?;
    }
    let annotations = plan.each::<Annotation<'_>>().map_while(Result::ok);
    state.write_member(
        Some("state"),
        annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes())),
        &mut writer,
    )?;
    writer.end_object()
}
