//! JSON, written: strings escaped, members laid out as Go's `json.Marshal` and `MarshalIndent` do.

use core::fmt::{self, Write};

/// Bytes as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD.
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '"' | '\\' => write!(f, "\\{char}")?,
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\0'..='\x1f' => write!(f, "\\u{:04x}", char as u32)?,
                    _ => f.write_char(char)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        f.write_char('"')
    }
}

/// Writes one JSON value, member by member, straight to where it goes.
pub struct Writer<'w> {
    out: &'w mut dyn Write,
    /// Spaces per level; 0: all on one line.
    indent: usize,
    depth: usize,
    /// Whether the innermost bracket has nothing in it yet.
    first: bool,
}

impl<'w> Writer<'w> {
    /// On one line, as `json.Marshal`.
    pub fn compact(out: &'w mut dyn Write) -> Self {
        Self::indented(out, 0)
    }

    /// `indent` spaces per level, as `json.MarshalIndent`; no newline at the end.
    pub fn indented(out: &'w mut dyn Write, indent: usize) -> Self {
        Self { out, indent, depth: 0, first: true }
    }

    /// Begins an object, as a member if it has a key.
    pub fn object(&mut self, key: Option<&str>) -> fmt::Result {
        self.open(key, '{')
    }

    /// Begins an array, as a member if it has a key.
    pub fn array(&mut self, key: Option<&str>) -> fmt::Result {
        self.open(key, '[')
    }

    /// Ends an object.
    pub fn end_object(&mut self) -> fmt::Result {
        self.close('}')
    }

    /// Ends an array.
    pub fn end_array(&mut self) -> fmt::Result {
        self.close(']')
    }

    /// A string, as a member if it has a key.
    pub fn string(&mut self, key: Option<&str>, value: &[u8]) -> fmt::Result {
        self.begin(key.map(str::as_bytes))?;
        write!(self.out, "{}", Quoted(value))
    }

    /// A number, as a member if it has a key.
    pub fn number(&mut self, key: Option<&str>, value: i64) -> fmt::Result {
        self.begin(key.map(str::as_bytes))?;
        write!(self.out, "{value}")
    }

    /// A value that is JSON already (a number, `null`), as a member if it has a key.
    pub fn raw(&mut self, key: Option<&str>, value: &[u8]) -> fmt::Result {
        self.begin(key.map(str::as_bytes))?;
        self.out.write_str(core::str::from_utf8(value).map_err(|_| fmt::Error)?)
    }

    /// A member whose key is data too.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) -> fmt::Result {
        self.begin(Some(key))?;
        write!(self.out, "{}", Quoted(value))
    }

    fn begin(&mut self, key: Option<&[u8]>) -> fmt::Result {
        if self.depth > 0 {
            if !self.first {
                self.out.write_char(',')?;
            }
            self.line()?;
        }
        self.first = false;
        if let Some(key) = key {
            let colon = if self.indent == 0 { ":" } else { ": " };
            write!(self.out, "{}{colon}", Quoted(key))?;
        }
        Ok(())
    }

    fn open(&mut self, key: Option<&str>, bracket: char) -> fmt::Result {
        self.begin(key.map(str::as_bytes))?;
        (self.depth, self.first) = (self.depth + 1, true);
        self.out.write_char(bracket)
    }

    fn close(&mut self, bracket: char) -> fmt::Result {
        self.depth = self.depth.saturating_sub(1);
        if !self.first {
            self.line()?;
        }
        self.first = false;
        self.out.write_char(bracket)
    }

    fn line(&mut self) -> fmt::Result {
        if self.indent > 0 {
            write!(self.out, "\n{:width$}", "", width = self.indent * self.depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::{Document, Text};
    use std::string::{String, ToString};

    #[test]
    fn what_is_quoted_reads_back_the_same() {
        let odd = "\"\\/\n\t\r\u{1}\u{1f}\u{7f}é😀";
        let quoted = Quoted(odd.as_bytes()).to_string();
        assert_eq!(quoted, "\"\\\"\\\\/\\n\\t\\u000d\\u0001\\u001f\u{7f}é😀\"");
        let document = Document::parse("x", quoted.as_bytes()).unwrap();
        assert!(document.root().read::<Text>().unwrap() == odd);
        assert_eq!(Quoted(b"a\xff\xfe").to_string(), "\"a\u{fffd}\u{fffd}\"");
    }

    fn sample(mut writer: Writer<'_>) -> fmt::Result {
        writer.object(None)?;
        writer.string(Some("a"), b"b")?;
        writer.array(Some("l"))?;
        writer.number(None, -1)?;
        writer.object(None)?;
        writer.end_object()?;
        writer.end_array()?;
        writer.object(Some("o"))?;
        writer.entry(b"k\"", b"v")?;
        writer.end_object()?;
        writer.end_object()
    }

    #[test]
    fn members_are_laid_out_as_go_does() {
        let mut text = String::new();
        sample(Writer::compact(&mut text)).unwrap();
        assert_eq!(text, r#"{"a":"b","l":[-1,{}],"o":{"k\"":"v"}}"#);
        text.clear();
        sample(Writer::indented(&mut text, 2)).unwrap();
        let lines = [
            "{",
            "  \"a\": \"b\",",
            "  \"l\": [",
            "    -1,",
            "    {}",
            "  ],",
            "  \"o\": {",
            "    \"k\\\"\": \"v\"",
            "  }",
            "}",
        ];
        assert_eq!(text, lines.join("\n"));
    }
}
