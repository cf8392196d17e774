//! Processors and memory nodes as the kernel lists them: `0-3,7` (cpuset(7), "List format").

/// One past the highest number: no kernel is built with more of either (`MAX_NUMNODES`), and glibc's sets end there, too.
const END: usize = 1024;

/// A set, in the form that the kernel takes.
pub type Bits = [u64; END / 64];

/// The set that `text` lists; none where it is no list, or lists nothing.
pub fn bits(text: &[u8]) -> Option<Bits> {
    let mut bits = [0; END / 64];
    for range in text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|range| !range.is_empty()) {
        let mut ends = range.splitn(2, |&byte| byte == b'-').map(number);
        let first = ends.next()??;
        let last = ends.next().unwrap_or(Some(first))?;
        if first > last {
            return None;
        }
        for number in first..=last {
            *bits.get_mut(number / 64)? |= 1 << (number % 64);
        }
    }
    bits.iter().any(|&word| word != 0).then_some(bits)
}

fn number(text: &[u8]) -> Option<usize> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_add_up() {
        let mut expected = [0; END / 64];
        expected[0] = 0b1000_1111;
        expected[15] = 1 << 63;
        assert_eq!(bits(b"0-3,7,1023"), Some(expected));
        assert_eq!(bits(b" 7, 0-1 ,,2-3,1023-1023"), Some(expected));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in
            ["", ",", "x", "1-", "-1", "3-1", "1024", "0-1024", "1 2", "0-2:1", "99999999999999999999999"]
        {
            assert_eq!(bits(text.as_bytes()), None, "{text:?}");
        }
    }
}
