//! Where the bytes of paths are: places for a number of them at once, each with one owner.
//!
//! The lowest free place is taken, so that a program which needs three paths at a time touches three, however
//! many it makes one after the other.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

type Bytes = heapless::Vec<u8, { limits::PATH }>;

/// Words of `TAKEN`, one bit for a place. The tests run in many threads.
const WORDS: usize = if cfg!(test) { 64 } else { limits::PATHS / 64 };

struct Shelf([UnsafeCell<Bytes>; 64 * WORDS]);

// SAFETY: each cell is reached through the one `Place` that set its bit in `TAKEN`, and by nobody else.
unsafe impl Sync for Shelf {}

static SHELF: Shelf = Shelf([const { UnsafeCell::new(Bytes::new()) }; 64 * WORDS]);
static TAKEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// The owner of one place, by its number.
pub struct Place(core::num::NonZeroU16);

impl Place {
    /// A free place, with what its last owner left there. `None`: all are taken.
    pub fn take() -> Option<Self> {
        for (word, taken) in TAKEN.iter().enumerate() {
            let mut bits = taken.load(Ordering::Relaxed);
            while bits != u64::MAX {
                let bit = bits.trailing_ones();
                let after = bits | 1 << bit;
                match taken.compare_exchange(bits, after, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => {
                        return core::num::NonZeroU16::new((word * 64) as u16 + bit as u16 + 1).map(Self);
                    }
                    Err(now) => bits = now,
                }
            }
        }
        None
    }

    fn index(&self) -> usize {
        usize::from(self.0.get()) - 1
    }

    fn cell(&self) -> &'static UnsafeCell<Bytes> {
        // The number came from this table; the first is never reached, and saves a panic.
        SHELF.0.get(self.index()).unwrap_or(&SHELF.0[0])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(word) = TAKEN.get(self.index() / 64) {
            word.fetch_and(!(1 << (self.index() % 64)), Ordering::Release);
        }
    }
}

impl Deref for Place {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        // SAFETY: the bit is ours, so no other owner has this cell, and `&self` that none writes it.
        unsafe { &*self.cell().get() }
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut Bytes {
        // SAFETY: the bit is ours, so no other owner has this cell, and `&mut self` that none reads it.
        unsafe { &mut *self.cell().get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_owners_share_a_place_and_a_place_comes_back() {
        let (a, b) = (Place::take().unwrap(), Place::take().unwrap());
        assert_ne!(a.index(), b.index());
        let index = b.index();
        drop(b);
        let taken = TAKEN[index / 64].load(Ordering::Relaxed);
        let again = Place::take().unwrap();
        assert!(again.index() <= index || taken >> (index % 64) & 1 == 1);
    }
}
