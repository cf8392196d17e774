//! Numbers of the plan by their names, for people. A number without a name is shown as it is.

use core::fmt::{Formatter, Result, Write};

use super::device::{MKNOD, READ, WRITE};
use super::hook::STAGES;
use super::mount::{BIND, NO_BIND, RBIND};
use super::names::{self, name_of};
use super::options::{self, Ask};
use crate::text;

/// How a field's number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// As it is.
    Plain,
    Access,
    Address,
    Allow,
    Attributes,
    Bind,
    Capabilities,
    Clock,
    IoClass,
    Knob,
    Limit,
    MemoryFlags,
    MemoryMode,
    Mode,
    Namespace,
    NodeType,
    Personality,
    Policy,
    Propagation,
    Resource,
    RuleType,
    SchedulerFlags,
    Stage,
    Superblock,
    Umask,
}

impl Show {
    /// The names that the numbers have, by name; empty where it is not a table that knows them.
    pub fn table(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Propagation => names::PROPAGATION,
            Self::Namespace => names::NAMESPACES,
            Self::Resource => names::RLIMITS,
            Self::Clock => CLOCKS,
            Self::Policy => names::POLICIES,
            Self::SchedulerFlags => names::SCHEDULER_FLAGS,
            Self::IoClass => names::IO_CLASSES,
            Self::MemoryMode => names::MEMORY_MODES,
            Self::MemoryFlags => names::MEMORY_FLAGS,
            Self::Personality => names::PERSONALITIES,
            Self::NodeType => NODE_TYPES,
            Self::RuleType => RULE_TYPES,
            _ => &[],
        }
    }

    /// ` name=value`; nothing for what is nothing.
    pub fn number(self, number: u64, name: &str, f: &mut Formatter<'_>) -> Result {
        // Only what is of 32 bits is looked up in tables.
        let short = number as u32;
        let word = match self {
            Self::Access => return access(short, name, f),
            Self::Address => return write!(f, " {name}={}", text::Address(short)),
            Self::Attributes => return attributes(number, name, f),
            Self::Superblock => return superblock(number, name, f),
            Self::Capabilities => return capabilities(number, name, f),
            Self::Mode | Self::Umask => return write!(f, " {name}={short:04o}"),
            Self::Bind if short == NO_BIND => return Ok(()),
            Self::Bind if short == BIND => return f.write_str(" bind"),
            Self::Bind if short == RBIND => return f.write_str(" rbind"),
            Self::Propagation if short == 0 => return Ok(()),
            Self::Stage => STAGES.get(short as usize).copied(),
            Self::Knob => KNOBS.get(short as usize).copied(),
            Self::Limit if number == u64::MAX => Some("infinity"),
            Self::SchedulerFlags | Self::MemoryFlags => None,
            _ => name_of(self.table(), short),
        };
        match word {
            Some(word) => write!(f, " {name}={word}"),
            None => write!(f, " {name}={number}"),
        }
    }

    /// ` name` if it is set.
    pub fn flag(self, flag: bool, name: &str, f: &mut Formatter<'_>) -> Result {
        match (self, flag) {
            (Self::Allow, true) => f.write_str(" allow"),
            (Self::Allow, false) => f.write_str(" deny"),
            (_, true) => write!(f, " {name}"),
            (_, false) => Ok(()),
        }
    }
}

const CLOCKS: &[(&str, u32)] = &[("realtime", 0), ("monotonic", 1), ("boottime", 7)];

const KNOBS: [&str; 6] = ["weight", "leaf-weight", "read-bps", "write-bps", "read-iops", "write-iops"];

const NODE_TYPES: &[(&str, u32)] =
    &[("char", libc::S_IFCHR), ("block", libc::S_IFBLK), ("fifo", libc::S_IFIFO)];

const RULE_TYPES: &[(&str, u32)] = &[("all", b'a' as u32), ("block", b'b' as u32), ("char", b'c' as u32)];

fn access(access: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    write!(f, " {name}=")?;
    for (bit, letter) in [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')] {
        if access & bit != 0 {
            f.write_char(letter)?;
        }
    }
    Ok(())
}

fn capabilities(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(bits, name, f, &mut names::CAPABILITIES.iter().map(|&(word, number)| (word, 1 << number)))
}

fn attributes(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(
        bits,
        name,
        f,
        &mut options::OPTIONS.iter().filter_map(|&(word, ask)| match ask {
            Ask::Set(bits) => Some((word, bits.into())),
            Ask::Atime(bits) if bits != 0 => Some((word, bits.into())),
            // Its mode is zero: this is how the whole field is cleared.
            Ask::NotAtime(_) if word == "atime" => Some(("atime-mode", options::ATIME.into())),
            _ => None,
        }),
    )
}

fn superblock(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(
        bits,
        name,
        f,
        &mut options::OPTIONS.iter().filter_map(|&(word, ask)| match ask {
            Ask::Super(bits) => Some((word, bits.into())),
            Ask::Set(options::RDONLY) => Some((word, libc::MS_RDONLY as u64)),
            _ => None,
        }),
    )
}

/// ` name=word,word`, in the order of the words; what has none is a number at the end. Nothing for no bits.
#[inline(never)]
fn words(
    bits: u64,
    name: &str,
    f: &mut Formatter<'_>,
    known: &mut dyn Iterator<Item = (&str, u64)>,
) -> Result {
    let (mut rest, mut before) = (bits, '=');
    if bits != 0 {
        write!(f, " {name}")?;
    }
    for (word, bits) in known {
        if rest & bits == bits {
            write!(f, "{before}{word}")?;
            (rest, before) = (rest & !bits, ',');
        }
    }
    if rest != 0 { write!(f, "{before}{rest:#x}") } else { Ok(()) }
}
