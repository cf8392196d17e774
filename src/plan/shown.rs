//! Numbers of the plan by their names, for people. A number without a name is shown as it is.

use core::fmt::{Formatter, Result, Write};

use super::device::{MKNOD, READ, WRITE};
use super::hook::STAGES;
use super::mount::{BIND, NO_BIND, RBIND};
use super::names::{self, name_of};
use super::options::{self, Ask};

pub fn namespace(flag: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    named(name_of(names::NAMESPACES, flag), flag, name, f)
}

pub fn clock(clock: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    named(
        ["realtime", "monotonic"].get(clock as usize).copied().or((clock == 7).then_some("boottime")),
        clock,
        name,
        f,
    )
}

#[inline(never)]
pub fn propagation(flags: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    if flags == 0 { Ok(()) } else { named(name_of(names::PROPAGATION, flags), flags, name, f) }
}

pub fn resource(resource: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    named(name_of(names::RLIMITS, resource), resource, name, f)
}

pub fn stage(stage: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    named(STAGES.get(stage as usize).copied(), stage, name, f)
}

pub fn knob(knob: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    const KNOBS: [&str; 6] = ["weight", "leaf-weight", "read-bps", "write-bps", "read-iops", "write-iops"];
    named(KNOBS.get(knob as usize).copied(), knob, name, f)
}

pub fn bind(bind: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    match bind {
        NO_BIND => Ok(()),
        BIND => f.write_str(" bind"),
        RBIND => f.write_str(" rbind"),
        _ => named(None, bind, name, f),
    }
}

pub fn node_type(file_type: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    let word = match file_type {
        libc::S_IFCHR => Some("char"),
        libc::S_IFBLK => Some("block"),
        libc::S_IFIFO => Some("fifo"),
        _ => None,
    };
    named(word, file_type, name, f)
}

pub fn rule_type(file_type: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    let word = match u8::try_from(file_type) {
        Ok(b'a') => Some("all"),
        Ok(b'b') => Some("block"),
        Ok(b'c') => Some("char"),
        _ => None,
    };
    named(word, file_type, name, f)
}

pub fn allow(allow: bool, _name: &str, f: &mut Formatter<'_>) -> Result {
    f.write_str(if allow { " allow" } else { " deny" })
}

pub fn access(access: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    write!(f, " {name}=")?;
    for (bit, letter) in [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')] {
        if access & bit != 0 {
            f.write_char(letter)?;
        }
    }
    Ok(())
}

pub fn mode(mode: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    write!(f, " {name}={mode:04o}")
}

pub fn umask(umask: Option<u32>, name: &str, f: &mut Formatter<'_>) -> Result {
    umask.map_or(Ok(()), |umask| mode(umask, name, f))
}

pub fn limit(limit: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    if limit == u64::MAX { write!(f, " {name}=infinity") } else { write!(f, " {name}={limit}") }
}

#[inline(never)]
pub fn capabilities(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(bits, name, f, &mut names::CAPABILITIES.iter().map(|&(word, number)| (word, 1 << number)))
}

#[inline(never)]
pub fn attributes(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(
        bits,
        name,
        f,
        &mut options::OPTIONS.iter().filter_map(|&(word, ask)| match ask {
            Ask::Set(bits) => Some((word, bits)),
            Ask::Atime(bits) if bits != 0 => Some((word, bits)),
            // Its mode is zero: this is how the whole field is cleared.
            Ask::NotAtime(_) if word == "atime" => Some(("atime-mode", options::ATIME)),
            _ => None,
        }),
    )
}

#[inline(never)]
pub fn superblock(bits: u64, name: &str, f: &mut Formatter<'_>) -> Result {
    words(
        bits,
        name,
        f,
        &mut options::OPTIONS.iter().filter_map(|&(word, ask)| match ask {
            Ask::Super(bits) => Some((word, bits)),
            Ask::Set(options::RDONLY) => Some((word, libc::MS_RDONLY as u64)),
            _ => None,
        }),
    )
}

/// ` name=word`.
#[inline(never)]
fn named(word: Option<&str>, number: u32, name: &str, f: &mut Formatter<'_>) -> Result {
    match word {
        Some(word) => write!(f, " {name}={word}"),
        None => write!(f, " {name}={number}"),
    }
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
