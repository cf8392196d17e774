//! The syntax of RFC 8259 in one pass, without recursion: all that the walkers may then trust.

use core::fmt;

use super::ends::Ends;
use super::value::run_end;
use crate::error::{Error, Result};
use crate::limits;

/// `text` as a checked JSON text; `ends` gets to know its brackets. `name` is the document's in an error:
/// `config.json: line 3, column 14: expected ',' or '}'`.
pub(super) fn check<'a>(name: &str, text: &'a [u8], ends: &mut Ends) -> Result<&'a str> {
    if text.is_empty() {
        return Err(Error::refused(name, "the file is empty"));
    }
    let fail = |fault: Fault| Error::refused(name, Shown { text, fault });
    let checked = match core::str::from_utf8(text) {
        Ok(checked) => checked,
        Err(error) => return Err(fail(Fault { at: error.valid_up_to(), reason: "invalid UTF-8" })),
    };
    let mut scanner = Scanner { text, at: 0, open: Open { objects: [0; WORDS], depth: 0 }, ends };
    match scanner.document() {
        Ok(()) => Ok(checked),
        Err(reason) => Err(fail(Fault { at: scanner.at, reason })),
    }
}

/// Where the text is wrong and why.
struct Fault {
    at: usize,
    reason: &'static str,
}

struct Shown<'a> {
    text: &'a [u8],
    fault: Fault,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut line, mut column) = (1, 1);
        for &byte in self.text.iter().take(self.fault.at) {
            match byte {
                b'\n' => (line, column) = (line + 1, 1),
                // A column is a character: the bytes that continue one do not count.
                0x80..=0xbf => {}
                _ => column += 1,
            }
        }
        write!(f, "line {line}, column {column}: {}", self.fault.reason)?;
        if self.fault.at >= self.text.len() {
            f.write_str(", found the end of the file")?;
        }
        Ok(())
    }
}

type Check = core::result::Result<(), &'static str>;

const WORDS: usize = limits::JSON_DEPTH / 64;

/// What is open: one bit per level, set for an object, so that depth costs no stack.
struct Open {
    objects: [u64; WORDS],
    depth: usize,
}

impl Open {
    fn push(&mut self, object: bool) -> Check {
        let word = self.objects.get_mut(self.depth / 64).ok_or("nested too deeply")?;
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    /// Whether the innermost level is an object; `None` outside of all.
    fn innermost(&self) -> Option<bool> {
        let level = self.depth.checked_sub(1)?;
        self.objects.get(level / 64).map(|word| word >> (level % 64) & 1 == 1)
    }
}

struct Scanner<'a, 'e> {
    text: &'a [u8],
    at: usize,
    open: Open,
    ends: &'e mut Ends,
}

impl Scanner<'_, '_> {
    fn document(&mut self) -> Check {
        loop {
            // A value is due, or the end of a list or object that has just begun.
            match self.next_token() {
                Some(b'{') => {
                    self.begin(true)?;
                    if self.next_token() != Some(b'}') {
                        self.key("expected a key or '}'")?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.begin(false)?;
                    if self.next_token() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err("expected a value"),
            }
            if self.ends()? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what closes here. True at the end of the document, false where the next value is due.
    fn ends(&mut self) -> core::result::Result<bool, &'static str> {
        loop {
            let next = self.next_token();
            match (self.open.innermost(), next) {
                (None, None) => return Ok(true),
                (None, _) => return Err("expected nothing more"),
                (Some(true), Some(b'}')) | (Some(false), Some(b']')) => {
                    self.open.depth -= 1;
                    self.at += 1;
                    self.ends.close(self.at);
                }
                (Some(object), Some(b',')) => {
                    self.at += 1;
                    if object {
                        self.next_token();
                        self.key("expected a key")?;
                    }
                    return Ok(false);
                }
                (Some(true), _) => return Err("expected ',' or '}'"),
                (Some(false), _) => return Err("expected ',' or ']'"),
            }
        }
    }

    fn begin(&mut self, object: bool) -> Check {
        self.ends.open(self.at);
        self.at += 1;
        self.open.push(object)
    }

    fn key(&mut self, expected: &'static str) -> Check {
        if self.peek() != Some(b'"') {
            return Err(expected);
        }
        self.string()?;
        if self.next_token() != Some(b':') {
            return Err("expected ':'");
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Check {
        self.at += 1;
        loop {
            self.at = run_end(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("control character in a string"),
                None => return Err("expected '\"'"),
            }
        }
    }

    fn escape(&mut self) -> Check {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err("expected a hexadecimal digit");
                    }
                    self.at += 1;
                }
            }
            _ => return Err("expected one of \"\\/bfnrtu after '\\'"),
        }
        Ok(())
    }

    fn number(&mut self) -> Check {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone: what follows 0 is judged as what follows a value.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Check {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err("expected a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &'static [u8]) -> Check {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space, not yet taken.
    fn next_token(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
        self.at += blanks.unwrap_or(rest.len());
        self.peek()
    }
}
