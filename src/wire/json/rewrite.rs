//! A text made of others: their values are copied as they are written, and it is kept where each comes from.

use core::fmt::Write;

use super::node::{Document, Node, Origin};
use crate::error::{Error, Result};
use crate::text::Into;

/// Parts that are remembered. An error about one that is not names its place in the new text.
const PARTS: usize = 48;

/// A finished text and where its parts come from.
pub type Rewritten<'m, 'a> = (&'m [u8], [Origin<'a>; PARTS]);

/// A text on its way.
pub struct Rewriter<'m, 'a> {
    out: Into<'m>,
    origins: [Origin<'a>; PARTS],
    used: usize,
    /// Something did not fit.
    full: bool,
}

impl<'m, 'a> Rewriter<'m, 'a> {
    /// Nothing yet, of `document` first of all.
    pub fn new(document: &'a Document<'a>, memory: &'m mut [u8]) -> Self {
        let nowhere = Origin { part: (0, 0), place: (0, 0), document };
        Self { out: Into::new(memory), origins: [nowhere; PARTS], used: 0, full: false }
    }

    /// Text of our own.
    pub fn text(&mut self, text: &str) {
        self.full |= self.out.write_str(text).is_err();
    }

    /// Text that stands for the value of `node`, in pieces.
    pub fn instead(&mut self, node: &Node<'a>, text: &[&str]) {
        let (document, place) = node.place();
        self.part(document, place, text);
    }

    /// The value of `node`.
    pub fn copy(&mut self, node: &Node<'a>) {
        self.instead(node, &[node.value().map_or("null", |value| value.raw())]);
    }

    /// The elements of the list `node`.
    pub fn elements(&mut self, node: &Node<'a>) {
        let (document, (start, end)) = node.place();
        let raw = node.value().map_or("", |value| value.raw());
        self.part(document, (start + 1, end), &[raw.get(1..raw.len() - 1).unwrap_or("")]);
    }

    #[inline(never)]
    fn part(&mut self, document: &'a Document<'a>, place: (u32, u32), text: &[&str]) {
        let start = self.out.written() as u32;
        text.iter().for_each(|piece| self.text(piece));
        if let Some(origin) = self.origins.get_mut(self.used) {
            *origin = Origin { part: (start, self.out.written() as u32), place, document };
            self.used += 1;
        }
    }

    /// The new text, and of what it was made.
    pub fn finish(self, name: &str) -> Result<Rewritten<'m, 'a>> {
        match self.full {
            true => Err(Error::refused(name, "longer than its memory")),
            false => Ok((self.out.finish(), self.origins)),
        }
    }
}
