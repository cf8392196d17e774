//! Where the words of errors stay, so that a result is a byte and not half a kilobyte.
//!
//! There is no heap, and a function that can fail would copy the words at every `?` on the way up, whether
//! it fails or not (the room for them is part of its result). Few errors are alive at once: one that is on
//! its way, one of a clean-up, one that wraps another. A slot has one owner; dropping it gives it back.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::num::NonZeroU8;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::Words;

/// Errors alive at once; what goes beyond says only that. The tests run in many threads.
const SLOTS: usize = if cfg!(test) { 250 } else { 8 };

struct Place {
    taken: AtomicBool,
    words: UnsafeCell<Words>,
}

// SAFETY: `words` is reached through the one `Slot` that set `taken`, and by nobody else.
unsafe impl Sync for Place {}

static PLACES: [Place; SLOTS] =
    [const { Place { taken: AtomicBool::new(false), words: UnsafeCell::new(Words::EMPTY) } }; SLOTS];

/// The owner of one place: its index and one.
pub(super) struct Slot(NonZeroU8);

impl Slot {
    /// A free place, its words empty. `None`: all are taken.
    pub fn take() -> Option<Self> {
        let free = PLACES.iter().position(|place| !place.taken.swap(true, Ordering::Acquire))?;
        let mut slot = Self(NonZeroU8::new(free as u8 + 1)?);
        *slot = Words::EMPTY;
        Some(slot)
    }

    fn place(&self) -> &'static Place {
        // The index came from this table; the first is never reached, and saves a panic.
        PLACES.get(self.0.get() as usize - 1).unwrap_or(&PLACES[0])
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.place().taken.store(false, Ordering::Release);
    }
}

impl Deref for Slot {
    type Target = Words;

    fn deref(&self) -> &Words {
        // SAFETY: `taken` is ours, so no other slot has this place, and `&self` that none writes it.
        unsafe { &*self.place().words.get() }
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut Words {
        // SAFETY: `taken` is ours, so no other slot has this place, and `&mut self` that none reads it.
        unsafe { &mut *self.place().words.get() }
    }
}
