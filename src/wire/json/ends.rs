//! Where objects and arrays end. The check comes by all of them, and a walk that knows it steps over a value without looking
//! into it: else each byte would be read once for every level that it lies in.

/// As many are kept; of a text with more, the first.
const KEPT: usize = 128;
/// Shorter ones are walked over as quickly as they are found here.
const SHORT: u32 = 32;

/// The ends of the values that begin with a bracket.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Begin and end, in the order of the begins. While one is open, which one is around it stands for its end.
    spans: [(u32, u32); KEPT],
    len: usize,
    innermost: u32,
    /// How many are open for which there was no place.
    missed: usize,
}

impl Ends {
    pub(super) fn new() -> Self {
        Self { spans: [(0, 0); KEPT], len: 0, innermost: 0, missed: 0 }
    }

    /// At a bracket that opens.
    pub(super) fn open(&mut self, at: usize) {
        match self.spans.get_mut(self.len) {
            Some(span) => {
                *span = (at as u32, self.innermost);
                self.innermost = self.len as u32;
                self.len += 1;
            }
            None => self.missed += 1,
        }
    }

    /// Behind the one that closes what was opened last.
    pub(super) fn close(&mut self, end: usize) {
        if self.missed > 0 {
            self.missed -= 1;
            return;
        }
        let last = self.innermost as usize;
        let Some(span) = self.spans.get_mut(last) else { return };
        self.innermost = core::mem::replace(&mut span.1, end as u32);
        if self.len == last + 1 && span.1 - span.0 < SHORT {
            self.len = last;
        }
    }

    /// Where the one that begins at `start` ends, if that is known.
    pub(super) fn of(&self, start: usize) -> Option<usize> {
        let spans = self.spans.get(..self.len)?;
        let at = spans.binary_search_by_key(&(start as u32), |span| span.0).ok()?;
        spans.get(at).map(|span| span.1 as usize)
    }
}
