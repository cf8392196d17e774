//! What cgroups and the kernel count: pressure, block I/O and lists of numbers. Pure views of lines.

use super::cgroupfs::{list, number, words};
use crate::limits;

/// One device and operation of a `blkio.*` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    pub major: u64,
    pub minor: u64,
    /// `Read`, `Write` ...; empty where the file does not tell them apart.
    pub name: &'a [u8],
    pub value: u64,
}

impl<'a> Operation<'a> {
    /// `8:0 Read 4096`, `8:0 4096`; a sum over all devices is none.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| matches!(byte, b' ' | b':'));
        let (major, minor) = (number(fields.next()?)?, number(fields.next()?)?);
        let third = fields.next()?;
        let (name, value) = fields.next().map_or((&b""[..], third), |fourth| (third, fourth));
        Some(Self { major, minor, name, value: number(value)? })
    }
}

/// Reads and writes of one line of `io.stat`, `8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...`; `what` is `bytes` or `ios`.
pub fn reads_and_writes<'a>(line: &'a [u8], what: &'a [u8]) -> impl Iterator<Item = Operation<'a>> {
    let mut fields = words(line);
    let device = fields.next().and_then(|device| {
        let mut numbers = device.split(|&byte| byte == b':').map(number);
        Some((numbers.next()??, numbers.next()??))
    });
    fields.filter_map(move |field| {
        let (major, minor) = device?;
        let (key, value) = pair(field)?;
        let name: &[u8] = match key.strip_suffix(what)? {
            b"r" => b"Read",
            b"w" => b"Write",
            _ => return None,
        };
        Some(Operation { major, minor, name, value: number(value)? })
    })
}

/// `key=value`.
pub fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b'=')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The numbers of `0-3,5` (cpuset(7), list format).
pub fn ranges(text: &[u8]) -> impl Iterator<Item = u64> {
    list(text.trim_ascii()).filter(|range| !range.is_empty()).flat_map(|range| {
        let mut ends = range.split(|&byte| byte == b'-').map(|end| number(end).unwrap_or(0));
        let first = ends.next().unwrap_or(0);
        first..=ends.next().unwrap_or(first).min(limits::PROCESSORS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn operations_have_a_name_or_none_and_sums_are_passed_over() {
        let read = |value| Operation { major: 8, minor: 16, name: b"Read", value };
        assert_eq!(Operation::parse(b"8:16 Read 4096"), Some(read(4096)));
        assert_eq!(Operation::parse(b"8:16 7"), Some(Operation { name: b"", ..read(7) }));
        for none in [&b"Total 4096"[..], b"", b"8:16", b"8:16 Read", b"8:x Read 1"] {
            assert_eq!(Operation::parse(none), None);
        }
    }

    #[test]
    fn io_stat_is_read_by_kind() {
        let line = b"259:1 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=50 dios=6";
        let found: Vec<_> =
            reads_and_writes(line, b"bytes").map(|it| (it.major, it.name, it.value)).collect();
        assert_eq!(found, [(259, &b"Read"[..], 10), (259, b"Write", 20)]);
        let found: Vec<_> = reads_and_writes(line, b"ios").map(|it| (it.minor, it.value)).collect();
        assert_eq!(found, [(1, 3), (1, 4)]);
        assert_eq!(reads_and_writes(b"8:0", b"ios").count() + reads_and_writes(b"", b"ios").count(), 0);
    }

    #[test]
    fn ranges_are_spread_out() {
        assert_eq!(ranges(b"0-3,5\n").collect::<Vec<_>>(), [0, 1, 2, 3, 5]);
        assert_eq!(ranges(b"\n").count(), 0);
    }

    #[test]
    fn a_range_ends_where_no_machine_has_more() {
        assert_eq!(ranges(b"8190-18446744073709551615").collect::<Vec<_>>(), [8190, 8191]);
        assert_eq!(ranges(b"9000-9001,3-1").count(), 0);
    }
}
