//! The BOOT message: which namespaces the child makes and joins.
//!
//! A value with `emit` and `parse`, netlink attributes in between; what the reader does not know is refused.

use core::ffi::CStr;

use crate::attr::{Attr, Error, Fault, Message, Writer};
use crate::sync::Kind;

/// Most joins: one for each kind of namespace.
pub const JOINS: usize = 8;

/// Most bytes of a BOOT message: each path at most PATH_MAX with three attribute headers, and the fixed ones.
pub const MAX: usize = JOINS * (4096 + 20) + 128;

const NEWTIME: u32 = libc::CLONE_NEWTIME as u32;
const NEWPID: u32 = libc::CLONE_NEWPID as u32;
const NEWUSER: u32 = libc::CLONE_NEWUSER as u32;

/// Every CLONE_NEW* flag.
pub const NAMESPACES: u32 = NEWTIME
    | NEWPID
    | NEWUSER
    | (libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET) as u32;

/// Attribute types; a number is never used again for something else.
mod kind {
    pub const NAMESPACES: u16 = 1;
    pub const JOIN: u16 = 2;
    pub const MAPS: u16 = 3;
    pub const COLLAPSED: u16 = 4;
    pub const MONOTONIC: u16 = 5;
    pub const BOOTTIME: u16 = 6;
    // Within a join:
    pub const FLAGS: u16 = 1;
    pub const PATH: u16 = 2;
    pub const PIDFD: u16 = 3;
    // Within a clock's offset:
    pub const SECONDS: u16 = 1;
    pub const NANOSECONDS: u16 = 2;
}

/// What the child is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot<'a> {
    /// CLONE_NEW* flags of the namespaces to make. CLONE_NEWCGROUP may be among them and is left to init: the new cgroup
    /// namespace's root is the cgroup that its maker is in, and the child is not in all its cgroups yet.
    pub namespaces: u32,
    /// Ask for the id maps after unshare(CLONE_NEWUSER).
    pub maps: bool,
    /// The child is already init: stage 2 is not made. See [`Boot::collapses`].
    pub collapsed: bool,
    /// Offset of CLOCK_MONOTONIC in the new time namespace.
    pub monotonic: Option<Offset>,
    /// Offset of CLOCK_BOOTTIME in the new time namespace.
    pub boottime: Option<Offset>,
    joins: [Option<Join<'a>>; JOINS],
}

/// A clock's offset: time_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Seconds, may be negative.
    pub seconds: i64,
    /// Nanoseconds, below a thousand million.
    pub nanoseconds: u32,
}

/// Namespaces to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join<'a> {
    /// One CLONE_NEW* flag with a path, one or more with a pidfd.
    pub flags: u32,
    /// Where they are.
    pub target: Target<'a>,
}

/// Where a namespace is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A file such as /proc/PID/ns/net or a bind mount of it.
    Path(&'a CStr),
    /// The process behind the descriptor at this index of those sent along with the message (setns(2), Linux 5.8).
    Pidfd(u32),
}

impl<'a> Boot<'a> {
    /// Adds a join; `false` when there are [`JOINS`] already.
    #[must_use]
    pub fn join(&mut self, flags: u32, target: Target<'a>) -> bool {
        let free = self.joins.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some(Join { flags, target })).is_some()
    }

    /// The joins, in the order given.
    pub fn joins(&self) -> impl Iterator<Item = &Join<'a>> {
        self.joins.iter().flatten()
    }

    /// Whether stage 2 is not needed: nothing is joined, no user namespace needs its maps before anything else, and no time
    /// namespace waits for a first child. Then the caller sets `collapsed` and gives CLONE_NEWPID, if it is wanted, to
    /// [`crate::spawn::child`].
    pub fn collapses(&self) -> bool {
        self.namespaces & (NEWUSER | NEWTIME) == 0 && self.joins().next().is_none()
    }

    /// Writes the message.
    pub fn emit<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let mut writer = Writer::new(buffer, Kind::Boot as u16);
        writer.u32(kind::NAMESPACES, self.namespaces);
        for join in self.joins() {
            writer.nest(kind::JOIN, |nest| {
                nest.u32(kind::FLAGS, join.flags);
                match join.target {
                    Target::Path(path) => nest.string(kind::PATH, path),
                    Target::Pidfd(index) => nest.u32(kind::PIDFD, index),
                }
            });
        }
        if self.maps {
            writer.flag(kind::MAPS);
        }
        if self.collapsed {
            writer.flag(kind::COLLAPSED);
        }
        for (number, offset) in [(kind::MONOTONIC, self.monotonic), (kind::BOOTTIME, self.boottime)] {
            if let Some(offset) = offset {
                writer.nest(number, |nest| {
                    nest.i64(kind::SECONDS, offset.seconds);
                    nest.u32(kind::NANOSECONDS, offset.nanoseconds);
                });
            }
        }
        writer.finish()
    }

    /// Reads the message and checks what does not depend on the kernel.
    pub fn parse(message: &Message<'a>) -> Result<Self, Error> {
        let mut boot = Self::default();
        if message.kind != Kind::Boot as u16 {
            return Err(Error { kind: 0, fault: Fault::Unknown });
        }
        for attr in message.attrs {
            let attr = attr?;
            match attr.kind {
                kind::NAMESPACES => boot.namespaces = flags(&attr)?,
                kind::JOIN => {
                    let join = Join::parse(&attr)?;
                    if !boot.join(join.flags, join.target) {
                        return Err(attr.fault(Fault::NoSpace));
                    }
                }
                kind::MAPS => boot.maps = present(&attr)?,
                kind::COLLAPSED => boot.collapsed = present(&attr)?,
                kind::MONOTONIC => boot.monotonic = Some(Offset::parse(&attr)?),
                kind::BOOTTIME => boot.boottime = Some(Offset::parse(&attr)?),
                _ => return Err(attr.unknown()),
            }
        }
        if boot.collapsed && !boot.collapses() {
            return Err(Error { kind: kind::COLLAPSED, fault: Fault::Value });
        }
        Ok(boot)
    }
}

impl<'a> Join<'a> {
    fn parse(nest: &Attr<'a>) -> Result<Self, Error> {
        let (mut mask, mut target) = (0, None);
        for attr in nest.attrs() {
            let attr = attr?;
            match attr.kind {
                kind::FLAGS => mask = flags(&attr)?,
                kind::PATH => target = Some(Target::Path(attr.string()?)),
                kind::PIDFD => target = Some(Target::Pidfd(attr.u32()?)),
                _ => return Err(attr.unknown()),
            }
        }
        match target {
            None => Err(nest.fault(Fault::Missing)),
            Some(Target::Path(_)) if !mask.is_power_of_two() => Err(nest.fault(Fault::Value)),
            Some(_) if mask == 0 => Err(nest.fault(Fault::Value)),
            Some(target) => Ok(Self { flags: mask, target }),
        }
    }
}

impl Offset {
    fn parse(nest: &Attr<'_>) -> Result<Self, Error> {
        let (mut seconds, mut nanoseconds) = (None, None);
        for attr in nest.attrs() {
            let attr = attr?;
            match attr.kind {
                kind::SECONDS => seconds = Some(attr.i64()?),
                kind::NANOSECONDS => nanoseconds = Some(attr.u32()?),
                _ => return Err(attr.unknown()),
            }
        }
        match (seconds, nanoseconds) {
            (Some(seconds), Some(nanoseconds)) if nanoseconds < 1_000_000_000 => {
                Ok(Self { seconds, nanoseconds })
            }
            (Some(_), Some(_)) => Err(nest.fault(Fault::Value)),
            _ => Err(nest.fault(Fault::Missing)),
        }
    }
}

/// CLONE_NEW* flags and no other.
fn flags(attr: &Attr<'_>) -> Result<u32, Error> {
    let flags = attr.u32()?;
    if flags & !NAMESPACES == 0 { Ok(flags) } else { Err(attr.fault(Fault::Value)) }
}

/// An attribute whose presence is all it says.
fn present(attr: &Attr<'_>) -> Result<bool, Error> {
    if attr.bytes().is_empty() { Ok(true) } else { Err(attr.fault(Fault::Size)) }
}
