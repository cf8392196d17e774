//! The agent that answers for system calls under SCMP_ACT_NOTIFY gets the filter's descriptor.

use core::fmt;

use nsenter::Fd;
use nsenter::sync::Channel;
use rustix::fd::AsRawFd;
use rustix::io::Errno;

use super::socket;
use crate::error::{Context, Error, Result};
use crate::oci;
use crate::oci::state::State;
use crate::plan::process::{Annotation, Listener};
use crate::plan::{Plan, kind};
use crate::text::shown;
use crate::wire::json::Writer;
use crate::{limits, sys, text};

/// Connects to `linux.seccomp.listenerPath` and sends the container process state (runtime-spec, config-linux.md) with the
/// descriptor. `pid` is the process under the filter; the rest is about its container, whose plan this is.
pub fn deliver(plan: &Plan<'_>, listener: Fd, pid: i32, (status, first): (&[u8], i32)) -> Result<()> {
    let listener = sys::descriptor::adopt(listener);
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
    let state = State { id: string(kind::ID)?, status, pid: first, bundle: string(kind::BUNDLE)? };
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
