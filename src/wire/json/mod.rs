//! JSON, located and not loaded: a checked text, and places in it that are decoded when asked.
//!
//! [`check`] judges the syntax once, [`Value`] walks it, [`Node`] reads it: a value together with the
//! document it came from, so that a wrong one is refused with its path. Nothing is copied and nothing
//! is kept but places; the path of an error is found again from the place, so that it costs nothing
//! until there is an error.
//!
//! As Go's encoding/json, which wrote most of what we read: of duplicate keys the last wins, `null` is
//! the same as absent, integers have no point and no exponent, lone surrogates become U+FFFD. Unlike
//! it, keys are matched exactly (Go also takes `LINUX` for `linux`; the OCI spec's names are
//! case-sensitive and crun's are) and invalid UTF-8 is an error.

mod check;
mod ends;
mod node;
mod rewrite;
mod text;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use node::{Document, Elements, Members, Node, Origin, Read};
pub use rewrite::{Rewriter, Rewritten};
pub use text::{Piece, Pieces, Text};
pub use value::{Kind, Value};
pub use write::{Quoted, Writer};
