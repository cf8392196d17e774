//! JSON documents that are known when the program is built, but for a few places; laid out as Go's `MarshalIndent` does.
//!
//! They are written down as their text, without blanks and without escapes: less of everything than calls for each member.

use core::fmt::{self, Write};

use crate::plan::options;

/// A part of a document.
pub enum Piece {
    /// As it stands there.
    Text(&'static str),
    /// Only in a configuration for an ordinary user.
    Rootless(&'static str),
    /// Only in one for root.
    Rooted(&'static str),
    /// Only where the machine runs cgroup v2 alone.
    Unified(&'static str),
    /// Who we are, in a configuration for an ordinary user.
    Uid,
    Gid,
    /// Elements of an array.
    Strings(&'static [&'static str]),
    /// The same, from a table with their numbers.
    Names(&'static [(&'static str, u32)]),
    /// The mount options.
    MountOptions,
}

/// What decides about the pieces.
#[derive(Clone, Copy, Default)]
pub struct Variant {
    pub rootless: bool,
    pub unified: bool,
}

/// Writes a document, `indent` per level.
#[cold]
pub fn write(pieces: &[Piece], variant: Variant, indent: &str, out: &mut dyn Write) -> fmt::Result {
    let mut out = Indented::new(indent, out);
    for piece in pieces {
        match *piece {
            Piece::Text(text) => out.write_str(text),
            Piece::Rootless(text) if variant.rootless => out.write_str(text),
            Piece::Rooted(text) if !variant.rootless => out.write_str(text),
            Piece::Unified(text) if variant.unified => out.write_str(text),
            Piece::Uid if variant.rootless => write!(out, "{}", rustix::process::geteuid().as_raw()),
            Piece::Gid if variant.rootless => write!(out, "{}", rustix::process::getegid().as_raw()),
            Piece::Rootless(_) | Piece::Rooted(_) | Piece::Unified(_) | Piece::Uid | Piece::Gid => Ok(()),
            Piece::Strings(strings) => out.strings(&mut strings.iter().copied()),
            Piece::Names(table) => out.strings(&mut table.iter().map(|&(name, _)| name)),
            Piece::MountOptions => out.strings(&mut options::OPTIONS.iter().map(|&(name, _)| name)),
        }?;
    }
    Ok(())
}

/// Breaks lines on the way.
pub struct Indented<'a> {
    out: &'a mut dyn Write,
    indent: &'a str,
    depth: usize,
    quoted: bool,
    /// Behind a backslash.
    escaped: bool,
    /// Nothing has come since the last bracket was opened.
    opened: bool,
}

impl<'a> Indented<'a> {
    /// `indent` per level.
    pub fn new(indent: &'a str, out: &'a mut dyn Write) -> Self {
        Self { out, indent, depth: 0, quoted: false, escaped: false, opened: false }
    }

    fn strings(&mut self, strings: &mut dyn Iterator<Item = &'static str>) -> fmt::Result {
        let mut comma = "";
        for string in strings {
            write!(self, "{comma}\"{string}\"")?;
            comma = ",";
        }
        Ok(())
    }

    fn line(&mut self) -> fmt::Result {
        self.out.write_char('\n')?;
        (0..self.depth).try_for_each(|_| self.out.write_str(self.indent))
    }
}

impl Write for Indented<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if char.is_ascii_whitespace() && !self.quoted {
                continue;
            }
            let closes = matches!(char, '}' | ']') && !self.quoted;
            if closes {
                self.depth = self.depth.saturating_sub(1);
            }
            if closes != self.opened {
                self.line()?;
            }
            self.opened = false;
            self.out.write_char(char)?;
            match char {
                '"' if !self.escaped => self.quoted = !self.quoted,
                _ if self.quoted => self.escaped = char == '\\' && !self.escaped,
                '{' | '[' => (self.depth, self.opened) = (self.depth + 1, true),
                ':' => self.out.write_char(' ')?,
                ',' => self.line()?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn written(pieces: &[Piece], variant: Variant) -> String {
        let mut text = String::new();
        write(pieces, variant, "  ", &mut text).unwrap();
        text
    }

    #[test]
    fn lines_break_as_go_breaks_them() {
        let text = written(
            &[
                Piece::Text(r#"{"a":[],"b":{"c":"x: [1,2]","d":["#),
                Piece::Strings(&["e"]),
                Piece::Text("]}}"),
            ],
            Variant::default(),
        );
        let lines = [
            "{",
            "  \"a\": [],",
            "  \"b\": {",
            "    \"c\": \"x: [1,2]\",",
            "    \"d\": [",
            "      \"e\"",
            "    ]",
            "  }",
            "}",
        ];
        assert_eq!(text, lines.join("\n"));
    }

    #[test]
    fn pieces_are_there_where_they_are_meant() {
        let pieces = [Piece::Rootless("1"), Piece::Rooted("2"), Piece::Unified("3")];
        for (rootless, unified, text) in
            [(false, false, "2"), (true, false, "1"), (false, true, "23"), (true, true, "13")]
        {
            assert_eq!(written(&pieces, Variant { rootless, unified }), text);
        }
    }
}
