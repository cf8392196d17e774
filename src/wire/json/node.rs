//! A value in its document: what is read from it is typed, what is wrong with it is refused by path.
//!
//! The type asked for says whether a member must be there: `get::<u32>` refuses an absent one by name,
//! `get::<Option<u32>>` is `None`, an absent `bool` is false. An absent object is an empty one, an absent array an empty list, so
//! that a chain of lookups needs no case for each link; `null` is absent everywhere.

use core::fmt::{self, Write};

use super::check::check;
use super::ends::Ends;
use super::text::{self, Text};
use super::value::{Kind, Value, Walk};
use crate::error::{Error, Result};
use crate::{limits, text::Bytes};

/// A checked text and the name that its errors begin with.
pub struct Document<'a> {
    name: &'a str,
    text: &'a str,
    ends: Ends,
    /// Of a text that was made of others.
    origins: &'a [Origin<'a>],
}

/// Where a part of a text that was made of others stands in that other: errors name what somebody wrote.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The part's begin and end.
    pub(super) part: (u32, u32),
    /// Begin and end of what it was made of.
    pub(super) place: (u32, u32),
    pub(super) document: &'a Document<'a>,
}

impl<'a> Document<'a> {
    /// Checks `text`; `name` is what the user knows it by, `config.json` or the like.
    pub fn parse(name: &'a str, text: &'a [u8]) -> Result<Self> {
        Self::rewritten(name, text, &[])
    }

    /// Checks a text that was made of others.
    pub fn rewritten(name: &'a str, text: &'a [u8], origins: &'a [Origin<'a>]) -> Result<Self> {
        let mut ends = Ends::new();
        Ok(Self { name, text: check(name, text, &mut ends)?, ends, origins })
    }

    /// As it is written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The whole of it.
    pub fn root(&'a self) -> Node<'a> {
        let (before, text) = (self.text.trim_ascii_start(), self.text.trim_ascii());
        let start = self.text.len() - before.len();
        Node { document: self, place: (start as u32, (start + text.len()) as u32), absent: b"" }
    }
}

/// A value, or the place where it would be, in its document.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Document<'a>,
    /// Where in the text the value begins and ends; of an absent one, the nearest object around that is there.
    place: (u32, u32),
    /// The member that this object lacks; empty: none.
    absent: &'static [u8],
}

/// Which of the names, which blanks part, this is.
fn position(names: &str, name: &str) -> Option<usize> {
    let (mut rest, mut at) = (names.as_bytes(), 0);
    let name = name.as_bytes();
    loop {
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        let (first, behind) = rest.split_at_checked(end)?;
        if first.len() == name.len() && first == name {
            return Some(at);
        }
        rest = behind.get(1..)?;
        at += 1;
    }
}

/// What can be read from a node.
pub trait Read<'a>: Sized {
    /// The decoded value, or an error that names its path.
    fn read(node: &Node<'a>) -> Result<Self>;
}

impl<'a> Node<'a> {
    /// The value itself, decoded.
    pub fn read<T: Read<'a>>(&self) -> Result<T> {
        T::read(self)
    }

    /// The member `name`, decoded. Each call walks the object: where many members are wanted, `pick`.
    pub fn get<T: Read<'a>>(&self, name: &'static str) -> Result<T> {
        T::read(&self.at(name)?)
    }

    /// The member `name`, there or absent. What is neither object nor absent is refused.
    #[inline(never)]
    pub fn at(&self, name: &'static str) -> Result<Node<'a>> {
        let mut found = *self;
        self.locate(name, core::slice::from_mut(&mut found))?;
        Ok(found)
    }

    /// The members of these names, which blanks part, in one walk.
    pub fn pick<const N: usize>(&self, names: &'static str) -> Result<[Node<'a>; N]> {
        let mut nodes = [*self; N];
        self.locate(names, &mut nodes)?;
        Ok(nodes)
    }

    /// [`pick`](Self::pick) into a place that is there, as far as there are names.
    #[inline(never)]
    pub fn locate(&self, names: &'static str, nodes: &mut [Node<'a>]) -> Result<()> {
        for (node, name) in nodes.iter_mut().zip(names.as_bytes().split(|&byte| byte == b' ')) {
            // What lies in an absent object is told by the object: `process: missing`.
            node.absent = if self.absent.is_empty() { name } else { self.absent };
        }
        let mut walk = self.walk(Kind::Object, "expected an object")?;
        while let (Some((start, end)), Some(value)) = (walk.span(), walk.span()) {
            let key = self.between((start as u32, end as u32));
            let found = position(names, key).or_else(|| {
                // None of ours has a backslash in it.
                let escaped = text::is_escaped(key);
                names.split(' ').position(|name| escaped && text::unescaped_equals(key, name))
            });
            if let Some(node) = found.and_then(|at| nodes.get_mut(at)) {
                *node = self.inner(value);
            }
        }
        Ok(())
    }

    /// The elements of an array.
    pub fn list(&self) -> Result<Elements<'a>> {
        Ok(Elements { node: *self, walk: self.walk(Kind::Array, "expected an array")? })
    }

    /// The members of an object whose keys are data. A key that comes twice is handed over twice; the
    /// last is meant to win.
    pub fn members(&self) -> Result<Members<'a>> {
        Ok(Members { node: *self, walk: self.walk(Kind::Object, "expected an object")? })
    }

    /// Refuses an absent one by name.
    pub fn required(&self) -> Result<()> {
        if self.is_present() { Ok(()) } else { Err(self.refuse("missing")) }
    }

    /// Whether it is there and not `null`.
    pub fn is_present(&self) -> bool {
        self.kind().is_some()
    }

    /// What it is; `None` where absent.
    #[inline(never)]
    fn kind(&self) -> Option<Kind> {
        let first = self.document.text.as_bytes().get(self.place.0 as usize);
        Some(Kind::of(first)).filter(|&kind| self.absent.is_empty() && kind != Kind::Null)
    }

    /// Whether nothing is said: absent, `null`, `""`, `[]` or `{}`.
    pub fn is_empty(&self) -> bool {
        match self.kind() {
            None | Some(Kind::Null) => true,
            Some(Kind::Object | Kind::Array) => self.inside().span().is_none(),
            Some(Kind::String) => self.escaped().is_empty(),
            Some(Kind::Number | Kind::Bool) => false,
        }
    }

    /// The value alone; `None` where absent.
    pub fn value(&self) -> Option<Value<'a>> {
        if self.is_present() { Some(self.there()) } else { None }
    }

    /// The error `config.json: mounts[3].destination: reason`.
    #[cold]
    pub fn refuse(&self, reason: impl fmt::Display) -> Error {
        self.error(format_args!("{reason}"))
    }

    fn error(&self, reason: fmt::Arguments<'_>) -> Error {
        let node = self.origin();
        Error::refused(node.document.name, format_args!("{}{reason}", Path(&node)))
    }

    /// The value that somebody wrote. Of parts in parts the inner ones come later.
    #[cold]
    fn origin(&self) -> Node<'a> {
        let (here, _) = self.place;
        let holds = |origin: &&Origin<'_>| (origin.part.0..origin.part.1).contains(&here);
        let Some(origin) = self.document.origins.iter().rev().find(holds) else { return *self };
        let (start, end) = origin.place;
        // A part need not be as long as what it was made of.
        let start = (start + (here - origin.part.0)).min(end.saturating_sub(1));
        Node { document: origin.document, place: (start, end), absent: self.absent }
    }

    pub(super) fn place(&self) -> (&'a Document<'a>, (u32, u32)) {
        (self.document, self.place)
    }

    /// Of a string, what is between its quotes, still escaped.
    #[inline(never)]
    pub(super) fn escaped(&self) -> &'a str {
        self.between(self.place)
    }

    fn between(&self, (start, end): (u32, u32)) -> &'a str {
        self.document.text.get(start as usize + 1..(end as usize).saturating_sub(1)).unwrap_or("")
    }

    /// The value; of an absent one, that of the object around.
    #[inline(never)]
    fn there(&self) -> Value<'a> {
        let (start, end) = self.place;
        Value::at(self.document.text, start as usize, end as usize)
    }

    fn inner(&self, (start, end): (usize, usize)) -> Node<'a> {
        Node { document: self.document, place: (start as u32, end as u32), absent: b"" }
    }

    #[inline(never)]
    fn walk(&self, kind: Kind, expected: &'static str) -> Result<Walk<'a>> {
        if !self.is_present() {
            return Ok(Walk::at("", 0, &self.document.ends));
        }
        self.expect(kind, expected)?;
        Ok(self.inside())
    }

    /// From its opening bracket on.
    fn inside(&self) -> Walk<'a> {
        Walk::at(self.document.text, self.place.0 as usize + 1, &self.document.ends)
    }

    #[inline(never)]
    fn expect(&self, kind: Kind, expected: &'static str) -> Result<()> {
        match self.kind() {
            Some(found) if found == kind => Ok(()),
            Some(_) => Err(self.refuse(expected)),
            None => Err(self.refuse("missing")),
        }
    }

    /// Refuses what is not a string.
    #[inline(never)]
    fn string(&self) -> Result<()> {
        self.expect(Kind::String, "expected a string")
    }

    /// The number in two's complement.
    #[inline(never)]
    fn number(&self, least: i64, most: u64) -> Result<u64> {
        let digits = self.digits()?;
        let (positive, negative) = match digits.strip_prefix('-') {
            None => (digits.parse().ok(), None),
            Some(digits) => (None, digits.parse::<u64>().ok()),
        };
        match (positive, negative) {
            (Some(number), _) if number <= most => Ok(number),
            (_, Some(number)) if least < 0 && number <= least.unsigned_abs() => Ok(number.wrapping_neg()),
            _ => Err(self.refuse(format_args!("expected a number from {least} to {most}"))),
        }
    }

    /// An integer as written. Go takes neither 1.0 nor 1e3 for one.
    fn digits(&self) -> Result<&'a str> {
        self.expect(Kind::Number, "expected a number")?;
        let raw = self.there().raw();
        match raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            true => Err(self.refuse("expected an integer")),
            false => Ok(raw),
        }
    }
}

/// Itself, there or absent.
impl<'a> Read<'a> for Node<'a> {
    fn read(node: &Node<'a>) -> Result<Self> {
        Ok(*node)
    }
}

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    fn read(node: &Node<'a>) -> Result<Self> {
        if node.is_present() { T::read(node).map(Some) } else { Ok(None) }
    }
}

impl<'a> Read<'a> for Text<'a> {
    #[inline(always)]
    fn read(node: &Node<'a>) -> Result<Self> {
        node.string()?;
        Ok(Text::new(*node))
    }
}

/// What is not said is false, as in Go; `Option<bool>` tells the difference.
impl<'a> Read<'a> for bool {
    fn read(node: &Node<'a>) -> Result<Self> {
        if !node.is_present() {
            return Ok(false);
        }
        node.expect(Kind::Bool, "expected true or false")?;
        Ok(node.there().raw() == "true")
    }
}

macro_rules! read_numbers {
    ($($type:ident)*) => {$(
        impl<'a> Read<'a> for $type {
            fn read(node: &Node<'a>) -> Result<Self> {
                node.number($type::MIN as i64, $type::MAX as u64).map(|number| number as $type)
            }
        }
    )*};
}

read_numbers! { u64 u32 u16 i64 i32 }

/// The elements of an array, as nodes.
#[derive(Clone)]
pub struct Elements<'a> {
    node: Node<'a>,
    walk: Walk<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.walk.span().map(|span| self.node.inner(span))
    }
}

/// The members of an object, as key and node.
#[derive(Clone)]
pub struct Members<'a> {
    node: Node<'a>,
    walk: Walk<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Node<'a>);

    fn next(&mut self) -> Option<(Text<'a>, Node<'a>)> {
        let (key, value) = (self.walk.span()?, self.walk.span()?);
        Some((Text::new(self.node.inner(key)), self.node.inner(value)))
    }
}

/// The way from the root to a node with a colon after it, `mounts[3].destination: `, found by walking
/// the document to the node's address: only an error pays for it. The root's is empty.
struct Path<'n, 'a>(&'n Node<'a>);

impl fmt::Display for Path<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.document.text;
        let place = text.as_ptr().wrapping_add(self.0.place.0 as usize);
        let mut here = Value::of(text);
        let mut path = Clipped { f, left: Some(limits::JSON_PATH) };
        let mut dot = "";
        while here.raw().as_ptr() != place {
            if let Some((key, value)) = here.members().find(|(key, value)| holds(key, *value, place)) {
                write!(path, "{dot}{}", Bytes(key.as_bytes()))?;
                here = value;
            } else if let Some((index, value)) =
                here.elements().enumerate().find(|(_, value)| value.holds(place))
            {
                write!(path, "[{index}]")?;
                here = value;
            } else {
                break;
            }
            dot = ".";
        }
        if !self.0.absent.is_empty() {
            write!(path, "{dot}{}", Bytes(self.0.absent))?;
            dot = ".";
        }
        if dot.is_empty() { Ok(()) } else { f.write_str(": ") }
    }
}

/// Whether `place` is in a member: in its value, or its key, which stands where its member does.
fn holds(key: &str, value: Value<'_>, place: *const u8) -> bool {
    value.holds(place) || key.as_ptr() == place.wrapping_add(1)
}

/// Lets a path through up to its bound, so that the reason after it still fits an error.
struct Clipped<'f, 'a> {
    f: &'f mut fmt::Formatter<'a>,
    /// Bytes left; `None` once something did not fit.
    left: Option<usize>,
}

impl Write for Clipped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(left) = self.left else { return Ok(()) };
        self.left = left.checked_sub(text.len());
        self.f.write_str(if self.left.is_some() { text } else { "..." })
    }
}
