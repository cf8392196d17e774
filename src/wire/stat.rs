//! /proc/pid/stat (proc_pid_stat(5)): one line of numbers behind a name that may hold any character.

/// A view of the line.
#[derive(Clone, Copy)]
pub struct Stat<'a> {
    /// The process's name, without its parentheses.
    pub name: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Stat<'a> {
    /// The line as it was read.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let begin = text.iter().position(|&byte| byte == b'(')? + 1;
        let end = text.iter().rposition(|&byte| byte == b')')?;
        Some(Self { name: text.get(begin..end)?, rest: text.get(end + 2..)? })
    }

    /// A field by its number in the manual page, from 3 (the state, a letter) on.
    pub fn field(&self, number: usize) -> Option<&'a [u8]> {
        super::cgroupfs::words(self.rest).nth(number.checked_sub(3)?)
    }

    /// A numeric field; 0 where there is none.
    pub fn number(&self, number: usize) -> i64 {
        let text = self.field(number).and_then(|field| core::str::from_utf8(field).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_any_name() {
        let line = b"7 (a) b (c) S 1 7 9 -5 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 12\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.name, stat.field(3)), (&b"a) b (c"[..], Some(&b"S"[..])));
        assert_eq!([4, 5, 6, 7, 22, 24, 25].map(|field| stat.number(field)), [1, 7, 9, -5, 987_654, 12, 0]);
        assert!(Stat::parse(b"7 (a").is_none() && Stat::parse(b"").is_none() && Stat::parse(b")(").is_none());
    }
}
