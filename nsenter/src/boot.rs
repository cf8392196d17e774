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
    /// CLONE_NEW* flags of the namespaces to make. CLONE_NEWCGROUP may be among them and is left to init:
    /// the new cgroup namespace's root is the cgroup that its maker is in, and the child is not in all its
    /// cgroups yet.
    pub namespaces: u32,
    /// Ask for the id maps after unshare(CLONE_NEWUSER).
    pub maps: bool,
    /// The child is already init: stage 2 is not made. See [`Boot::collapses`].
    pub collapsed: bool,
    /// Offset of CLOCK_MONOTONIC in the new time namespace.
    pub monotonic: Option<Offset>,
    /// Offset of CLOCK_BOOTTIME in the new time namespace.
    pub boottime: Option<Offset>,
    /// What to join; [`Boot::join`] fills the next place.
    pub joins: [Option<Join<'a>>; JOINS],
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
    /// The process behind the descriptor at this index of those sent along with the message (setns(2),
    /// Linux 5.8).
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

    /// Whether stage 2 is not needed: no pid namespace is joined, which only a child enters; no time namespace waits
    /// for a first child; and no user namespace comes before what is made. Then the caller sets `collapsed` and gives
    /// CLONE_NEWPID, if it is wanted, to [`crate::spawn::child`].
    pub fn collapses(&self) -> bool {
        let joined = self.joins().fold(0, |flags, join| flags | join.flags);
        self.namespaces & (NEWUSER | NEWTIME) == 0
            && joined & NEWPID == 0
            && (joined & NEWUSER == 0 || self.namespaces == 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn sample() -> Boot<'static> {
        let mut boot = Boot {
            namespaces: NEWUSER | NEWPID,
            maps: true,
            monotonic: Some(Offset { seconds: -2, nanoseconds: 3 }),
            boottime: Some(Offset { seconds: 1, nanoseconds: 0 }),
            ..Boot::default()
        };
        assert!(boot.join(libc::CLONE_NEWNET as u32, Target::Path(c"/n")));
        assert!(boot.join(libc::CLONE_NEWNS as u32 | libc::CLONE_NEWUTS as u32, Target::Pidfd(1)));
        boot
    }

    fn bytes(boot: &Boot<'_>) -> Vec<u8> {
        boot.emit(&mut [0; 512]).unwrap().to_vec()
    }

    fn parse(bytes: &[u8]) -> Result<Boot<'_>, Error> {
        Boot::parse(&Message::parse(bytes)?.0)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn golden_bytes() {
        let expected: &[u8] = &[
            116, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // BOOT, 116 bytes
            8, 0, 1, 0, 0, 0, 0, 0x30, // namespaces: user, pid
            20, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 0, 0x40, 7, 0, 2, 0, b'/', b'n', 0, 0, // join net at /n
            20, 0, 2, 0x80, 8, 0, 1, 0, 0, 0, 2, 4, 8, 0, 3, 0, 1, 0, 0, 0, // mount, uts of pidfd 1
            4, 0, 3, 0, // maps
            24, 0, 5, 0x80, // offset of the monotonic clock
            12, 0, 1, 0, 254, 255, 255, 255, 255, 255, 255, 255, 8, 0, 2, 0, 3, 0, 0, 0, //
            24, 0, 6, 0x80, // of the boot time clock
            12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0,
        ];
        assert_eq!(bytes(&sample()), expected);
        let collapsed = Boot { namespaces: NEWPID, collapsed: true, ..Boot::default() };
        assert_eq!(bytes(&collapsed)[16..], [8, 0, 1, 0, 0, 0, 0, 0x20, 4, 0, 4, 0]);
    }

    #[test]
    fn what_was_emitted_is_parsed() {
        for boot in [sample(), Boot::default(), Boot { collapsed: true, ..Boot::default() }] {
            assert_eq!(parse(&bytes(&boot)), Ok(boot));
        }
    }

    #[test]
    fn eight_longest_paths_fit_and_a_ninth_join_does_not() {
        let mut path = std::vec![b'a'; 4096];
        path[4095] = 0;
        let path = CStr::from_bytes_with_nul(&path).unwrap();
        let mut boot = sample();
        boot.joins = [None; JOINS];
        for _ in 0..JOINS {
            assert!(boot.join(NEWPID, Target::Path(path)));
        }
        assert!(!boot.join(NEWPID, Target::Pidfd(0)));
        assert!(boot.emit(&mut std::vec![0; MAX]).is_ok());
    }

    /// No prefix is a message; no bent byte makes the reader panic, and what it accepts it accepts again.
    #[test]
    fn a_truncated_or_corrupted_message_is_refused_or_read_as_another_valid_one() {
        for boot in [sample(), Boot { namespaces: NEWPID, collapsed: true, ..Boot::default() }] {
            let whole = bytes(&boot);
            for cut in 0..whole.len() {
                assert!(parse(&whole[..cut]).is_err(), "{cut}");
            }
            for at in 0..whole.len() {
                for value in 0..=255 {
                    let mut bent = whole.clone();
                    bent[at] = value;
                    if let Ok(other) = parse(&bent) {
                        assert_eq!(parse(&bytes(&other)), Ok(other));
                    }
                }
            }
        }
    }

    fn refused(fill: impl FnOnce(&mut Writer<'_>)) -> Fault {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, Kind::Boot as u16);
        fill(&mut writer);
        parse(writer.finish().unwrap()).unwrap_err().fault
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!(refused(|w| w.flag(99)), Fault::Unknown);
        assert_eq!(refused(|w| w.u32(kind::NAMESPACES, libc::CLONE_VM as u32)), Fault::Value);
        assert_eq!(refused(|w| w.u32(kind::MAPS, 0)), Fault::Size);
        assert_eq!(refused(|w| w.nest(kind::JOIN, |n| n.u32(kind::FLAGS, NEWPID))), Fault::Missing);
        assert_eq!(refused(|w| w.nest(kind::JOIN, |n| n.u32(kind::PIDFD, 0))), Fault::Value);
        let two_by_path = |n: &mut Writer<'_>| {
            n.u32(kind::FLAGS, NEWPID | NEWUSER);
            n.string(kind::PATH, c"/x");
        };
        assert_eq!(refused(|w| w.nest(kind::JOIN, two_by_path)), Fault::Value);
        let second_too_long = |n: &mut Writer<'_>| {
            n.i64(kind::SECONDS, 0);
            n.u32(kind::NANOSECONDS, 1_000_000_000);
        };
        assert_eq!(refused(|w| w.nest(kind::BOOTTIME, second_too_long)), Fault::Value);
    }

    #[test]
    fn a_collapse_that_needs_stage_2_is_refused() {
        for namespaces in [NEWUSER, NEWTIME] {
            let boot = Boot { namespaces, collapsed: true, ..Boot::default() };
            assert_eq!(parse(&bytes(&boot)).unwrap_err().fault, Fault::Value);
        }
        let mut boot = Boot { collapsed: true, ..Boot::default() };
        assert!(boot.join(NEWPID, Target::Path(c"/p")));
        assert_eq!(parse(&bytes(&boot)).unwrap_err().fault, Fault::Value);
    }
}
