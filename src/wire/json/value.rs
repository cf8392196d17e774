//! A value's place in a checked text, and the walk over its members and elements.
//!
//! The syntax is trusted, so the end of a value is found by counting brackets outside of strings. On
//! a text that was never checked a walk ends early and says nothing; it never panics.

use super::ends::Ends;

/// One JSON value: where it is, undecoded, white space around it cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a str);

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// That of the value which begins with this byte.
    pub(super) fn of(first: Option<&u8>) -> Self {
        match first {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }
}

impl<'a> Value<'a> {
    /// The value that a whole checked text is.
    pub fn of(text: &'a str) -> Self {
        Self(text.trim_ascii())
    }

    /// The value between two places of a checked text.
    pub(super) fn at(text: &'a str, start: usize, end: usize) -> Self {
        Self(text.get(start..end).unwrap_or(""))
    }

    /// The value as it is written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Object, array, string ...
    pub fn kind(self) -> Kind {
        Kind::of(self.0.as_bytes().first())
    }

    /// A string without its quotes, still escaped; empty for what is none.
    pub fn escaped(self) -> &'a str {
        self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or("")
    }

    /// The members of an object as escaped key and value, in the order of the text, duplicates and all.
    /// Anything else has none.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let mut walk = self.inside(Kind::Object);
        core::iter::from_fn(move || walk.member())
    }

    /// The elements of an array. Anything else has none.
    pub fn elements(self) -> impl Iterator<Item = Value<'a>> {
        let mut walk = self.inside(Kind::Array);
        core::iter::from_fn(move || walk.element())
    }

    pub(super) fn inside(self, kind: Kind) -> Walk<'a> {
        let text = if self.kind() == kind { self.0 } else { "" };
        Walk { text, at: 1, ends: None }
    }

    /// Whether `place` lies in this value. Both are addresses in the same text.
    pub(super) fn holds(self, place: *const u8) -> bool {
        self.0.as_bytes().as_ptr_range().contains(&place)
    }
}

/// A position in an object or array, after its opening bracket.
#[derive(Clone)]
pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
    ends: Option<&'a Ends>,
}

impl<'a> Walk<'a> {
    /// From `at` on in a document, whose ends are known.
    pub(super) fn at(text: &'a str, at: usize, ends: &'a Ends) -> Self {
        Self { text, at, ends: Some(ends) }
    }

    pub(super) fn member(&mut self) -> Option<(&'a str, Value<'a>)> {
        Some((self.element()?.escaped(), self.element()?))
    }

    pub(super) fn element(&mut self) -> Option<Value<'a>> {
        let (start, end) = self.span()?;
        self.text.get(start..end).map(Value)
    }

    /// Where the next value begins and ends; a key is a value, too.
    #[inline(never)]
    pub(super) fn span(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let start = until(bytes, self.at, |class| class != Class::Gap);
        let known = match bytes.get(start)? {
            b'{' | b'[' => self.ends.and_then(|ends| ends.of(start)),
            _ => None,
        };
        self.at = known.unwrap_or_else(|| end(bytes, start));
        // The closing bracket is the one thing here that has no extent.
        if self.at > start { Some((start, self.at)) } else { None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    /// White space, and the commas and colons between values.
    Gap,
    Quote,
    Open,
    Close,
}

const CLASS: [Class; 256] = {
    let mut class = [Class::Other; 256];
    class[b' ' as usize] = Class::Gap;
    class[b'\n' as usize] = Class::Gap;
    class[b'\t' as usize] = Class::Gap;
    class[b'\r' as usize] = Class::Gap;
    class[b',' as usize] = Class::Gap;
    class[b':' as usize] = Class::Gap;
    class[b'"' as usize] = Class::Quote;
    class[b'{' as usize] = Class::Open;
    class[b'[' as usize] = Class::Open;
    class[b'}' as usize] = Class::Close;
    class[b']' as usize] = Class::Close;
    class
};

/// Where, from `at` on, the first byte of such a class is; else the end.
#[inline(always)]
fn until(text: &[u8], at: usize, stop: impl Fn(Class) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or(&[]);
    at + rest.iter().position(|&byte| stop(CLASS[byte as usize])).unwrap_or(rest.len())
}

/// Where the value that starts at `at` ends; `at` itself where a bracket closes.
fn end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        match CLASS[byte as usize] {
            Class::Quote => at = string_end(text, at + 1),
            Class::Open => (depth, at) = (depth + 1, at + 1),
            Class::Close if depth == 0 => return at,
            Class::Close => (depth, at) = (depth - 1, at + 1),
            Class::Other | Class::Gap => at = until(text, at, |class| class != Class::Other),
        }
        if depth == 0 {
            return at;
        }
        at = until(text, at, |class| !matches!(class, Class::Other | Class::Gap));
    }
    at
}

/// Where a string ends, its quote included; `at` is after the opening one.
fn string_end(text: &[u8], mut at: usize) -> usize {
    loop {
        at = run_end(text, at);
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

/// Where, from `at` on, a string's first quote, backslash or control character is; else the end.
/// Eight bytes at a time: strings are most of a document, and this is most of what reading it costs.
pub(super) fn run_end(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    while let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*eight);
        // The top bit of each byte below `bound` (itself below 0x80). A byte above a found one may be
        // marked by the borrow, so only the lowest mark counts.
        let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & TOPS;
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let found = below(word, 0x20) | below(quote, 1) | below(backslash, 1);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| byte != b'"' && byte != b'\\' && byte >= b' ') {
        at += 1;
    }
    at
}
