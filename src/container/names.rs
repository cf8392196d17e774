//! The names of all containers.

use core::ffi::CStr;

use crate::error::{Context, Result};
use crate::sys::memory;

/// Names, each with its NUL, in the order of the directory.
pub struct Names(pub(super) &'static [u8]);

impl Names {
    /// All, as they come.
    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        let names = self.0.split_inclusive(|&byte| byte == 0);
        names.filter_map(|name| CStr::from_bytes_with_nul(name).ok())
    }

    /// All, in the order of their bytes.
    pub fn sorted(&self) -> Result<impl Iterator<Item = &'static CStr> + use<>> {
        let all = self.0;
        // (The shortest has two bytes.)
        let memory = memory::anonymous(2 * all.len() + 4).context("mmap", "names")?;
        let (mut len, mut at) = (0, 0);
        for (place, name) in memory.chunks_exact_mut(4).zip(self.iter()) {
            place.copy_from_slice(&u32::to_ne_bytes(at));
            at += name.to_bytes_with_nul().len() as u32;
            len += 1;
        }
        let mut heap = Heap { places: memory, names: all };
        heap.sort(len);
        Ok((0..len).filter_map(move |index| CStr::from_bytes_until_nul(heap.name(index)?).ok()))
    }
}

/// Heapsort: in place, n log n for any order that a directory has, and a tenth of the code of core's.
struct Heap {
    /// Where each name begins: four bytes.
    places: &'static mut [u8],
    names: &'static [u8],
}

impl Heap {
    fn sort(&mut self, len: usize) {
        for root in (0..len / 2).rev() {
            let _ = self.sink(root, len);
        }
        for last in (1..len).rev() {
            // The greatest goes behind the others.
            let _ = self.swap(0, last);
            let _ = self.sink(0, last);
        }
    }

    /// Lets one sink below those that are greater. `None`: it has come to its place.
    fn sink(&mut self, mut root: usize, len: usize) -> Option<()> {
        loop {
            let at = |index| self.name(index).filter(|_| index < len);
            let child = 2 * root + 1;
            let child = child + usize::from(at(child + 1) > at(child));
            if at(root) >= at(child) {
                return None;
            }
            self.swap(root, child)?;
            root = child;
        }
    }

    fn swap(&mut self, one: usize, other: usize) -> Option<()> {
        let (place, with) = (self.place(one)?, self.place(other)?);
        *self.places.get_mut(4 * one..)?.first_chunk_mut()? = with;
        *self.places.get_mut(4 * other..)?.first_chunk_mut()? = place;
        Some(())
    }

    fn place(&self, index: usize) -> Option<[u8; 4]> {
        self.places.get(4 * index..)?.first_chunk().copied()
    }

    /// A name, and what is behind it. That counts for nothing: no two are the same, and their NUL is less than any other byte.
    fn name(&self, index: usize) -> Option<&'static [u8]> {
        self.names.get(u32::from_ne_bytes(self.place(index)?) as usize..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn names_come_in_the_order_of_their_bytes_whatever_order_they_had() {
        // All orders of up to seven, which begin with one another.
        let known = [c"a", c"a-", c"a-b", c"a0", c"ab", c"b", c"\xff"];
        let mut orders: Vec<Vec<&CStr>> = [Vec::new()].into();
        for len in 0..=known.len() {
            for order in &orders {
                let text: Vec<u8> = order.iter().flat_map(|name| name.to_bytes_with_nul()).copied().collect();
                let names = Names(text.leak());
                let mut expected = order.clone();
                expected.sort();
                assert_eq!(names.sorted().unwrap().collect::<Vec<_>>(), expected);
                assert_eq!(names.iter().collect::<Vec<_>>(), *order);
            }
            let Some(&next) = known.get(len) else { break };
            let insert = |order: &Vec<&'static CStr>, at| {
                let mut longer = order.clone();
                longer.insert(at, next);
                longer
            };
            orders =
                orders.iter().flat_map(|order| (0..=order.len()).map(move |at| insert(order, at))).collect();
        }
        assert_eq!(orders.len(), 5040);
    }

    #[test]
    fn ten_thousand_names_are_sorted_without_comparing_each_with_each() {
        let numbers = (0..10_000_u32).map(|number| number.wrapping_mul(2_654_435_761));
        let text: Vec<u8> = numbers.flat_map(|number| std::format!("{number}\0").into_bytes()).collect();
        let names = Names(text.leak());
        let mut expected: Vec<_> = names.iter().collect();
        expected.sort();
        assert_eq!(names.sorted().unwrap().collect::<Vec<_>>(), expected);
    }
}
