//! Where the words of errors stay, so that a result is a byte and not half a kilobyte.
//!
//! There is no heap, and a function that can fail would copy the words at every `?` on the way up, whether
//! it fails or not (the room for them is part of its result). Few errors are alive at once: one that is on
//! its way, one of a clean-up, one that wraps another. A slot has one owner; dropping it gives it back.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::num::NonZeroU8;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use super::Words;

/// Errors alive at once. What goes beyond shares one more place, which stays empty. Tests run in many threads.
const SLOTS: usize = if cfg!(debug_assertions) { 250 } else { 8 };

struct Place {
    taken: AtomicBool,
    words: UnsafeCell<Words>,
}

// SAFETY: `words` is reached through the one `Slot` that set `taken`, and by nobody else.
unsafe impl Sync for Place {}

static PLACES: [Place; SLOTS + 1] =
    [const { Place { taken: AtomicBool::new(false), words: UnsafeCell::new(Words::EMPTY) } }; SLOTS + 1];

/// The owner of one place: its index and one. A byte that is never 0, so that `Result<(), Error>` is one too.
pub(super) struct Slot(NonZeroU8);

impl Slot {
    /// A free place, its words empty; the last when all are taken.
    pub fn take() -> Self {
        let free = PLACES.iter().take(SLOTS).position(|place| !place.taken.swap(true, Ordering::Acquire));
        let number = free.map_or(SLOTS, |free| free) as u8;
        let mut slot = Self(NonZeroU8::new(number + 1).unwrap_or(NonZeroU8::MIN));
        if let Some(words) = slot.words() {
            words.clear();
        }
        slot
    }

    /// The words, to be written; none in the last place, which has many owners.
    pub fn words(&mut self) -> Option<&mut Words> {
        if self.is_last() {
            return None;
        }
        // SAFETY: `taken` is ours, so no other slot has this place, and `&mut self` that none reads it.
        Some(unsafe { &mut *self.place().words.get() })
    }

    fn is_last(&self) -> bool {
        usize::from(self.0.get()) > SLOTS
    }

    fn place(&self) -> &'static Place {
        // The index came from this table; the first is never reached, and saves a panic.
        PLACES.get(usize::from(self.0.get()) - 1).unwrap_or(&PLACES[0])
    }
}

impl Drop for Slot {
    #[inline(never)]
    fn drop(&mut self) {
        self.place().taken.store(false, Ordering::Release);
    }
}

impl Deref for Slot {
    type Target = Words;

    fn deref(&self) -> &Words {
        // SAFETY: `taken` is ours, so no other slot has this place, and `&self` that none writes it. The last
        // place is never written.
        unsafe { &*self.place().words.get() }
    }
}
