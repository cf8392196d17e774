//! When each phase was done, in every process that makes the container, on one clock.
//!
//! A mark is one word: the time, and the number of the phase that ends there. What the numbers mean is the caller's
//! business, but for those of the stages below. The child gets to know by an argument of its own that marks are wanted;
//! init inherits the child's with its memory, and sends both to the runtime at its end, when it delays nothing any more.
//!
//! The clock is CLOCK_TAI, by system call: a time namespace shifts CLOCK_MONOTONIC (time_namespaces(7)), but not this one.
//! The 0.25 µs of a call are a thousandth of what a start takes; the processor's counter would take 0.02 µs and code for each
//! architecture, and is not the same on all cores of all machines.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::attr::{self, HEADER, Message, Writer};
use crate::error::Error;
use crate::raw;
use crate::sync::{Channel, Kind};

/// Numbers that are nsenter's. Below [`READY`] the child's, from [`END`] on the caller's.
pub const EXEC: u8 = 1;
/// BOOT has come.
pub const BOOT: u8 = 2;
/// Namespaces are joined.
pub const SETNS: u8 = 3;
/// The user namespace is made, and mapped.
pub const USER: u8 = 4;
/// The other namespaces are made.
pub const UNSHARE: u8 = 5;
/// Init runs.
pub const CLONE: u8 = 6;
/// The runtime has heard READY.
pub const READY: u8 = 7;
/// The runtime has heard the end of file: execve.
pub const CLOSED: u8 = 8;
/// No time, but the child's pid.
pub const CHILD_PID: u8 = 9;
/// No time, but init's pid.
pub const INIT_PID: u8 = 10;
/// The first number that means nothing here.
pub const END: u8 = 16;

/// Most marks; what comes later is not kept.
const MOST: usize = 512;
/// Marks in one message, so that it is no longer than others.
const CHUNK: usize = 32;
/// Bytes of one mark in a message.
const ATTR: usize = 12;
/// The attribute type of a mark.
const MARK: u16 = 1;

static MARKS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
/// The next place, or none: nobody wants marks.
static NEXT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// From now on marks are kept.
pub fn begin() {
    NEXT.store(0, Relaxed);
}

/// Whether they are.
pub fn is_on() -> bool {
    NEXT.load(Relaxed) != usize::MAX
}

/// A phase ends here. What this costs when nobody wants to know is one branch.
#[inline(never)]
pub fn mark(phase: u8) {
    if is_on() {
        // Fails under a filter that the container asked for: then this one is not known.
        if let Some(now) = raw::tai() {
            note(phase, now);
        }
    }
}

/// Keeps a number with the phase, of which the upper byte does not count.
pub fn note(phase: u8, value: u64) {
    keep(value << 8 | u64::from(phase));
}

fn keep(word: u64) {
    let next = NEXT.load(Relaxed);
    if let Some(place) = MARKS.get(next) {
        place.store(word, Relaxed);
        NEXT.store(next + 1, Relaxed);
    }
}

/// All marks, in the order in which each process set its own: phase and nanoseconds, of which only differences mean anything.
pub fn marks() -> impl Iterator<Item = (u8, u64)> {
    let marks = MARKS.get(..NEXT.load(Relaxed)).unwrap_or(&[]);
    marks.iter().map(|place| place.load(Relaxed)).map(|word| (word as u8, word >> 8))
}

/// From one mark to another.
pub fn between(start: u64, end: u64) -> u64 {
    end.wrapping_sub(start) & (u64::MAX >> 8)
}

/// Sends what is kept; no more is. That it does not arrive matters to nobody.
pub fn send(channel: Channel) {
    if !is_on() {
        return;
    }
    let marks = MARKS.get(..NEXT.load(Relaxed)).unwrap_or(&[]);
    for chunk in marks.chunks(CHUNK) {
        let mut buffer = [0; HEADER + CHUNK * ATTR];
        let mut writer = Writer::new(&mut buffer, Kind::Marks as u16);
        chunk.iter().for_each(|place| writer.u64(MARK, place.load(Relaxed)));
        let _ = writer.finish().map_err(Error::from).and_then(|message| channel.send(message));
    }
    NEXT.store(usize::MAX, Relaxed);
}

/// Keeps what another process has sent.
pub(crate) fn receive(message: &Message<'_>) -> Result<(), attr::Error> {
    for attr in message.attrs {
        keep(attr?.u64()?);
    }
    Ok(())
}
