//! Where the bytes of paths are: places for a number of them at once, each with one owner.
//!
//! The lowest free place is taken, so that a program which needs three paths at a time touches three, however
//! many it makes one after the other.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

/// A text with a NUL behind it; all zero is an empty one. Its length is on the page that it begins on.
#[repr(C)]
pub struct Bytes {
    len: usize,
    bytes: [u8; limits::PATH],
}

impl Bytes {
    const EMPTY: Self = Self { len: 0, bytes: [0; limits::PATH] };

    /// Appends `more`, if there is room for it. Whether it did.
    pub fn append(&mut self, more: &[u8]) -> bool {
        let end = self.len + more.len();
        match self.bytes.get_mut(self.len..=end).and_then(<[u8]>::split_last_mut) {
            Some((last, place)) => {
                place.copy_from_slice(more);
                *last = 0;
                self.len = end;
                true
            }
            None => false,
        }
    }

    /// Cuts back to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if let Some(last) = self.bytes.get_mut(len).filter(|_| len <= self.len) {
            *last = 0;
            self.len = len;
        }
    }

    /// Without its NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// With it.
    pub fn with_nul(&self) -> &[u8] {
        self.bytes.get(..=self.len).unwrap_or(b"\0")
    }
}

/// Words of `TAKEN`, one bit for a place. The tests run in many threads.
const WORDS: usize = if cfg!(test) { 64 } else { limits::PATHS / 64 };

struct Shelf([UnsafeCell<Bytes>; 64 * WORDS]);

// SAFETY: each cell is reached through the one `Place` that set its bit in `TAKEN`, and by nobody else.
unsafe impl Sync for Shelf {}

static SHELF: Shelf = Shelf([const { UnsafeCell::new(Bytes::EMPTY) }; 64 * WORDS]);
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
