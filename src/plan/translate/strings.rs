//! Strings and paths on their way into the plan, and the bounds they meet there.

use core::convert::Infallible;
use core::ffi::CStr;

use nsenter::attr::{Fault, MAX_PAYLOAD, Writer};

use crate::error::Result;
use crate::limits;
use crate::plan::Noun;
use crate::plan::noun::View;
use crate::wire::json::{Node, Text};

/// Longest string: an attribute's payload without the string's NUL. The kernel would take twice that
/// for an argument (`MAX_ARG_STRLEN`), but an attribute's length is a u16 (CVE-2021-43784), and it is refused
/// here, by name, rather than split.
pub const MOST: usize = MAX_PAYLOAD - 1;
/// Longest path.
pub const PATH: usize = limits::PATH - 1;

/// A string that says something: Go callers write `""` for "not given".
#[inline(never)]
pub fn said<'a>(node: &Node<'a>) -> Result<Option<Text<'a>>> {
    Ok(node.read::<Option<Text<'a>>>()?.filter(|text| !text.is_empty()))
}

/// Emits a noun that was made from `node`.
pub fn put<'w, T: Noun<'w>>(writer: &mut Writer<'_>, node: &Node<'_>, noun: T) -> Result<()> {
    put_view(writer, node, noun.view())
}

/// The same of one that may have nothing in it.
pub fn put_some<'w, T: Noun<'w>>(writer: &mut Writer<'_>, node: &Node<'_>, noun: T) -> Result<()> {
    if noun.view().is_empty() { Ok(()) } else { put_view(writer, node, noun.view()) }
}

#[inline(never)]
fn put_view(writer: &mut Writer<'_>, node: &Node<'_>, noun: View<'_>) -> Result<()> {
    noun.emit(writer);
    sound(writer, node)
}

/// Whether what was just written for `node` fitted.
#[inline(never)]
pub fn sound(writer: &Writer<'_>, node: &Node<'_>) -> Result<()> {
    match writer.error() {
        None => Ok(()),
        Some(error) if error.fault == Fault::TooLong => {
            Err(node.refuse(format_args!("longer than {MAX_PAYLOAD} bytes together")))
        }
        Some(_) => Err(node.refuse("the plan is longer than its buffer")),
    }
}

/// A path as it is if absolute, else below `base`, taken off the front of `room`.
#[inline(never)]
pub fn path<'b>(text: &Text<'_>, base: &[u8], room: &mut &'b mut [u8]) -> Result<&'b CStr> {
    let base = if text.starts_with('/') { None } else { Some(base.strip_suffix(b"/").unwrap_or(base)) };
    let length = base.map_or(0, |base| base.len() + 1) + text.len();
    if length > PATH || length >= room.len() {
        return Err(text.node().refuse(format_args!("longer than {PATH} bytes")));
    }
    let (place, rest) = core::mem::take(room).split_at_mut(length + 1);
    *room = rest;
    let mut free = &mut *place;
    let mut push = |bytes: &[u8]| {
        if let Some((here, rest)) = core::mem::take(&mut free).split_at_mut_checked(bytes.len()) {
            here.copy_from_slice(bytes);
            free = rest;
        }
    };
    if let Some(base) = base {
        push(base);
        push(b"/");
    }
    each_piece(text, &mut push);
    push(b"\0");
    CStr::from_bytes_with_nul(place).map_err(|_| text.node().refuse("has a NUL in it"))
}

/// The decoded string, piece by piece.
pub fn each_piece(text: &Text<'_>, mut take: impl FnMut(&[u8])) {
    let _ = text.try_for_each(|piece| {
        take(piece.as_bytes());
        Ok::<(), Infallible>(())
    });
}

/// Refuses a path that is not absolute.
#[inline(never)]
pub fn absolute(text: &Text<'_>) -> Result<()> {
    if text.starts_with('/') { Ok(()) } else { Err(text.node().refuse("must be absolute")) }
}

/// Whether following `path` by its words alone leads above where it starts.
pub fn climbs(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    path.split(|&byte| byte == b'/').any(|component| {
        match component {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::climbs;

    #[test]
    fn only_what_leads_above_its_start_climbs() {
        for path in ["/..", "/a/../..", "../a", "/./../a", "//.."] {
            assert!(climbs(path.as_bytes()), "{path}");
        }
        for path in ["/", "/a/..", "/a/../b", "/..a", "/a/b/../../c"] {
            assert!(!climbs(path.as_bytes()), "{path}");
        }
    }
}
