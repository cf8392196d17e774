//! What is stored of a container: the plan that init got, the set-up that went with it, and which process it is.
//!
//! Three messages in one file, each appended when there is something to tell: what a killed runtime leaves is the first of
//! them. (A file for each would cost every container the making, renaming and removing, and every command the reading.)

use core::ffi::CStr;

use nsenter::attr::{Error as Wrong, Fault, Writer};
use nsenter::sync::Kind;
use rustix::fd::AsFd;

use super::store::{Entry, Store, missing};
use super::{Container, identity::Identity};
use crate::error::{Context, Result};
use crate::plan::record::Record;
use crate::plan::{self, Noun, Plan, kind};
use crate::text::short;
use crate::wire::time::Moment;
use crate::{limits, sys, trace};

/// What there is.
pub struct Stored<'a> {
    pub plan: Plan<'a>,
    /// `None`: the runtime was killed before it wrote where the cgroups are.
    pub setup: Option<Plan<'a>>,
    /// `None`: or before it knew of init.
    pub record: Option<Record<'a>>,
    /// The user who made it.
    pub owner: u32,
}

/// Memory for one, of which as much is touched as there is to read.
pub fn room() -> Result<&'static mut [u8]> {
    sys::memory::anonymous(limits::STORED).context("mmap", "plan")
}

impl<'a> Stored<'a> {
    /// Of the container `id`. A maker that is still writing, under the lock, is waited for.
    pub fn load(store: &Store, id: &CStr, room: &'a mut [u8]) -> Result<(Entry, Self)> {
        let entry = store.entry(id)?;
        let stored = match Self::read(&entry, id, room) {
            Err(error) if error.op() == plan::BROKEN => {
                entry.share()?;
                let again = Self::read(&entry, id, self::room()?);
                entry.unlock()?;
                again
            }
            done => done,
        };
        stored.map(|stored| (entry, stored))
    }

    /// What is in a container's directory.
    pub fn read(entry: &Entry, id: &CStr, room: &'a mut [u8]) -> Result<Self> {
        match entry.read_plan(room)? {
            // It comes first: nobody has written it yet, or ever will. Or somebody has removed it.
            ([], _) => Err(missing(id)),
            (bytes, owner) => Self::parse(bytes, owner),
        }
    }

    /// The three, as far as they are there.
    pub fn parse(bytes: &'a [u8], owner: u32) -> Result<Self> {
        let (plan, rest) = plan::stored(bytes, Kind::Plan as u16)?;
        // A header alone is a message, too.
        if !plan.has(kind::ID)? {
            return Err(plan::broken(Wrong { kind: kind::ID, fault: Fault::Missing }));
        }
        let (setup, rest) = next(rest, Kind::Setup)?;
        let (record, _) = next(rest, Kind::Pid)?;
        let record = record.map_or(Ok(None), |record| record.one())?;
        Ok(Self { plan, setup, record, owner })
    }
}

fn next(bytes: &[u8], kind: Kind) -> Result<(Option<Plan<'_>>, &[u8])> {
    if bytes.is_empty() {
        return Ok((None, bytes));
    }
    plan::stored(bytes, kind as u16).map(|(message, rest)| (Some(message), rest))
}

impl Container<'_> {
    /// Writes down which process it is.
    pub(super) fn remember(&mut self) -> Result<()> {
        let (Some(init), Some(file)) = (&self.init, self.file.take()) else { return Ok(()) };
        let Identity { pid, start } = Identity::of(init.pid, init.pidfd.as_fd())?;
        let now = Moment::from(sys::clock::realtime());
        let created = short(format_args!("{now}\0"));
        let created = CStr::from_bytes_until_nul(created.as_bytes()).unwrap_or_default();
        let mut memory = [0; limits::RECORD];
        let mut writer = Writer::new(&mut memory, Kind::Pid as u16);
        Record { pid: pid.unsigned_abs(), start, created }.emit(&mut writer);
        self.entry.append(file.as_fd(), writer.finish().map_err(plan::broken)?)?;
        trace::mark(trace::REMEMBERED);
        Ok(())
    }
}
