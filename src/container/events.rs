//! What happens to a container while it runs: its statistics at intervals, and memory that runs out.

use core::ffi::CStr;
use core::fmt;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::time::Timespec;

use super::store::Store;
use super::{Container, identity};
use crate::cgroup::{Cgroups, OomWatch};
use crate::error::{Context, Error, Result};
use crate::sys::{clock, memory};
use crate::text::shown;
use crate::wire::json::Writer;

/// Something to tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is time for statistics.
    Stats,
    /// Memory has run out.
    Oom,
    /// The container has ended.
    End,
}

/// A container that is watched.
pub struct Events<'a> {
    container: Container<'a>,
    oom: Option<OomWatch>,
    /// Nanoseconds.
    interval: i64,
    /// CLOCK_MONOTONIC in nanoseconds, when statistics are due.
    due: i64,
    buffer: &'static mut [u8],
}

/// Largest file that is read: some lines for each processor.
const FILE: usize = 256 << 10;

const SECOND: i64 = 1_000_000_000;

impl<'a> Events<'a> {
    /// Watches a container that runs; without an interval only its statistics are asked for.
    pub fn of(store: &'a Store, id: &'a CStr, interval: Option<i64>) -> Result<Self> {
        let container = Container::load(store, id)?;
        if container.init.is_none() {
            let reason = format_args!("container with id {} is not running", shown(id));
            return Err(Error::refused("events", reason));
        }
        let watched = container.cgroups.as_ref().filter(|_| interval.is_some());
        let oom = watched.map(Cgroups::watch_oom).transpose()?.flatten();
        let interval = interval.unwrap_or(0);
        let buffer = memory::anonymous(FILE).context("mmap", "statistics")?;
        Ok(Self { container, oom, interval, due: now().saturating_add(interval), buffer })
    }

    /// Waits for the next event. What came before the end is told before it.
    pub fn wait(&mut self) -> Result<Event> {
        loop {
            let ended = match &self.container.init {
                Some(init) => identity::has_ended(init.pidfd.as_fd()),
                None => true,
            };
            // The order matters: an end was seen before memory is asked for.
            if self.oom.as_mut().is_some_and(OomWatch::has_run_out) && self.has_cgroup() {
                return Ok(Event::Oom);
            }
            let left = self.due - now();
            if ended {
                return Ok(Event::End);
            }
            if left <= 0 {
                self.due += self.interval.max(-left);
                return Ok(Event::Stats);
            }
            let mut fds = heapless::Vec::<PollFd<'_>, 2>::new();
            if let Some(init) = &self.container.init {
                let _ = fds.push(PollFd::new(&init.pidfd, PollFlags::IN));
            }
            if let Some(oom) = &self.oom {
                let _ = fds.push(PollFd::from_borrowed_fd(oom.descriptor(), PollFlags::IN | PollFlags::PRI));
            }
            let time = Timespec { tv_sec: left / SECOND, tv_nsec: left % SECOND };
            match poll(&mut fds, Some(&time)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("poll", "", errno)),
            }
        }
    }

    /// v1 also wakes who waits when the cgroup is removed.
    fn has_cgroup(&self) -> bool {
        self.container.cgroups.as_ref().is_some_and(Cgroups::exists)
    }

    /// Writes one event as runc's `events` does.
    pub fn write(&mut self, event: Event, writer: &mut Writer<'_>) -> fmt::Result {
        writer.object(None)?;
        writer.string(Some("type"), if event == Event::Oom { b"oom" } else { b"stats" })?;
        writer.string(Some("id"), self.container.id.to_bytes())?;
        if let (Event::Stats, Some(cgroups)) = (event, &self.container.cgroups) {
            writer.object(Some("data"))?;
            cgroups.stats(writer, self.buffer)?;
            writer.end_object()?;
        }
        writer.end_object()
    }
}

fn now() -> i64 {
    let time = clock::monotonic();
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}
