//! A string in a document: escaped as it stands, decoded piece by piece, never stored.

use core::ffi::CStr;

use serde_json_core::str::{EscapedStr, EscapedStringFragment};

use super::node::Node;
use crate::error::Result;

/// A located string. It knows its node, so that what makes of it nothing good can be refused by path.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    node: Node<'a>,
}

impl<'a> Text<'a> {
    pub(super) fn new(node: Node<'a>) -> Self {
        Self { node }
    }

    /// The string as it is written.
    fn escaped(&self) -> &'a str {
        self.node.escaped()
    }

    /// Where it stands, for `refuse`. A key stands where its member does.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// The string itself if nothing in it is escaped.
    #[inline(never)]
    pub fn as_plain(&self) -> Option<&'a str> {
        Some(self.escaped()).filter(|text| !is_escaped(text))
    }

    /// The decoded string, in pieces.
    pub fn pieces(&self) -> Pieces<'a> {
        Pieces { rest: self.escaped() }
    }

    /// The decoded string, by characters.
    pub fn chars(&self) -> Chars<'a> {
        Chars { pieces: self.pieces(), run: "".chars() }
    }

    /// Whether it has such a character.
    #[inline(never)]
    pub fn has(&self, wanted: fn(char) -> bool) -> bool {
        self.chars().any(wanted)
    }

    /// Hands the decoded string over as one or more `&str`.
    pub fn try_for_each<E>(
        &self,
        mut take: impl FnMut(&str) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        for piece in self.pieces() {
            match piece {
                Piece::Run(run) => take(run)?,
                Piece::Char(char) => take(char.encode_utf8(&mut [0; 4]))?,
            }
        }
        Ok(())
    }

    /// The decoded string: itself where nothing is escaped, else put together in `buffer`.
    /// More bytes than the buffer has are refused by path either way.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str>
    where
        'a: 'b,
    {
        let room = buffer.len();
        let decoded = match self.as_plain() {
            Some(plain) => Some(plain).filter(|plain| plain.len() <= room),
            None => self.fill(buffer).and_then(|used| core::str::from_utf8(buffer.get(..used)?).ok()),
        };
        decoded.ok_or_else(|| self.node.refuse(format_args!("longer than {room} bytes")))
    }

    /// The decoded string as the kernel takes it, taken off the front of `scratch`. At most `most` bytes
    /// before its NUL, and no NUL among them: either is refused by path.
    pub fn c_str<'b>(&self, most: usize, scratch: &mut &'b mut [u8]) -> Result<&'b CStr> {
        let length = self.len();
        if length > most || length >= scratch.len() {
            let most = most.min(scratch.len().saturating_sub(1));
            return Err(self.node.refuse(format_args!("longer than {most} bytes")));
        }
        let (place, rest) = core::mem::take(scratch).split_at_mut(length + 1);
        *scratch = rest;
        self.fill(place);
        if let Some(last) = place.last_mut() {
            *last = 0;
        }
        CStr::from_bytes_with_nul(place).map_err(|_| self.node.refuse("has a NUL in it"))
    }

    /// Decodes into the front of `place` and says how much of it that took; `None` where it did not fit.
    fn fill(&self, place: &mut [u8]) -> Option<usize> {
        if let Some(plain) = self.as_plain() {
            place.get_mut(..plain.len())?.copy_from_slice(plain.as_bytes());
            return Some(plain.len());
        }
        let mut used = 0;
        self.try_for_each(|piece| {
            let end = used + piece.len();
            place.get_mut(used..end).ok_or(())?.copy_from_slice(piece.as_bytes());
            used = end;
            Ok::<_, ()>(())
        })
        .ok()?;
        Some(used)
    }

    /// Length of the decoded string in bytes.
    pub fn len(&self) -> usize {
        self.as_plain().map_or_else(|| self.pieces().map(Piece::len).sum(), str::len)
    }

    /// Whether the string is `""`.
    pub fn is_empty(&self) -> bool {
        self.escaped().is_empty()
    }

    /// Whether the decoded string begins with `first`: `\/` is a slash too.
    pub fn starts_with(&self, first: char) -> bool {
        let text = self.escaped();
        if text.starts_with('\\') { self.chars().next() == Some(first) } else { text.starts_with(first) }
    }

    /// Whether `\u0000` is in it, where the kernel would end the string.
    pub fn has_nul(&self) -> bool {
        self.pieces().any(|piece| piece == Piece::Char('\0'))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        same(self.escaped(), other)
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        same(self.escaped(), other)
    }
}

/// Whether an escaped string is `plain`.
pub(super) fn same(escaped: &str, plain: &str) -> bool {
    escaped == plain || (is_escaped(escaped) && unescaped_equals(escaped, plain))
}

/// Whether there is an escape in it.
pub(super) fn is_escaped(text: &str) -> bool {
    text.as_bytes().contains(&b'\\')
}

/// [`same`] for a string that is escaped.
#[cold]
pub(super) fn unescaped_equals(escaped: &str, plain: &str) -> bool {
    let mut rest = plain;
    Pieces { rest: escaped }.all(|piece| {
        let after = match piece {
            Piece::Run(run) => rest.strip_prefix(run),
            Piece::Char(char) => rest.strip_prefix(char),
        };
        after.map(|after| rest = after).is_some()
    }) && rest.is_empty()
}

/// A part of a decoded string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A run that was written as it is.
    Run(&'a str),
    /// What one escape, or the two of a surrogate pair, stood for.
    Char(char),
}

impl Piece<'_> {
    fn len(self) -> usize {
        match self {
            Piece::Run(run) => run.len(),
            Piece::Char(char) => char.len_utf8(),
        }
    }
}

/// The pieces of a decoded string, in order.
#[derive(Clone)]
pub struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if !is_escaped(self.rest) {
            let run = core::mem::take(&mut self.rest);
            return Some(Piece::Run(run)).filter(|_| !run.is_empty());
        }
        let mut fragments = EscapedStr(self.rest).fragments();
        match fragments.next()? {
            Ok(fragment) => {
                self.rest = fragments.as_str().0;
                Some(match fragment {
                    EscapedStringFragment::NotEscaped(run) => Piece::Run(run),
                    EscapedStringFragment::Escaped(char) => Piece::Char(char),
                })
            }
            // serde-json-core takes every escape but surrogates (and would repeat its error for ever).
            Err(_) => Some(self.surrogate()),
        }
    }
}

/// The characters of a decoded string, in order.
#[derive(Clone)]
pub struct Chars<'a> {
    pieces: Pieces<'a>,
    /// What is left of the last run.
    run: core::str::Chars<'a>,
}

impl Iterator for Chars<'_> {
    type Item = char;

    #[inline(never)]
    fn next(&mut self) -> Option<char> {
        loop {
            if let Some(char) = self.run.next() {
                return Some(char);
            }
            match self.pieces.next()? {
                Piece::Run(run) => self.run = run.chars(),
                Piece::Char(char) => return Some(char),
            }
        }
    }
}

impl Pieces<'_> {
    /// `\ud83d\ude00` is one character; either half alone is U+FFFD, as Go has it.
    fn surrogate(&mut self) -> Piece<'static> {
        let after = |at| self.rest.get(at..).unwrap_or("");
        let mut char = char::REPLACEMENT_CHARACTER;
        let mut rest = after(6);
        if let (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) = (unit(self.rest), unit(rest)) {
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            char = char::from_u32(code).unwrap_or(char);
            rest = after(12);
        }
        self.rest = rest;
        Piece::Char(char)
    }
}

/// The UTF-16 unit that a text begins with as `\uXXXX`.
fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}
