//! Names of system calls and their numbers, for every architecture that the running kernel may run.
//!
//! The source is a text that people can compare with the kernel's `syscall.tbl`; what is kept of it is made by the compiler: the
//! sorted names, each behind its length and before its two numbers.

#[cfg(any(test, target_arch = "aarch64"))]
mod aarch64;
#[cfg(any(test, target_arch = "riscv64"))]
mod riscv64;
#[cfg(any(test, target_arch = "x86_64"))]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as native;
#[cfg(target_arch = "riscv64")]
use riscv64 as native;
#[cfg(target_arch = "x86_64")]
use x86_64 as native;

pub use native::{ARCHS, multiplexed, places};

/// An architecture whose programs this kernel runs.
pub struct Arch {
    /// The OCI name.
    pub name: &'static str,
    /// `AUDIT_ARCH_*` (linux/audit.h).
    pub audit: u32,
    /// What its numbers begin with.
    pub base: u32,
}

impl Arch {
    /// The number of the call at a place.
    pub fn number(&self, place: u16) -> u32 {
        match place.checked_sub(PRIVATE) {
            // __ARM_NR_BASE (asm/unistd.h).
            Some(private) => 0xf_0000 + u32::from(private),
            None => self.base + u32::from(place),
        }
    }
}

/// Places for calls of one architecture: by their numbers, arm's private ones last.
pub const PLACES: usize = 640;
/// Where those begin.
const PRIVATE: u16 = 600;

/// In nine bits: there is no such call.
const NONE: u16 = 0x1ff;
/// In the seven bits above: none there either.
const NO_NUMBER: u16 = 0x7f;
/// What is added to the second kind of tag.
const SECOND: u16 = 32;

/// The numbers of one name: two of nine bits, each with seven bits more to tell.
#[derive(Clone, Copy)]
pub struct Numbers([u16; 2]);

impl Numbers {
    fn plain(self) -> [Option<u16>; 2] {
        self.0.map(|packed| Some(packed & NONE).filter(|&number| number != NONE))
    }

    #[cfg(any(test, not(target_arch = "riscv64")))]
    fn tags(self) -> [u16; 2] {
        self.0.map(|packed| packed >> 9)
    }
}

/// The numbers of a call. `last`: where the call before it was found, or 0. Whoever writes names in order is read in order.
pub fn find(name: &str, last: &mut u16) -> Option<Numbers> {
    find_in(native::NAMES, &native::INITIALS, name.as_bytes(), last)
}

/// All names.
#[cfg(test)]
pub fn names() -> &'static [u8] {
    native::NAMES
}

fn find_in(names: &[u8], initials: &[u16; INITIALS], name: &[u8], last: &mut u16) -> Option<Numbers> {
    let initial = name.first()?.checked_sub(FIRST)?;
    let mut at = *initials.get(usize::from(initial))?;
    let before = entry(names, *last).filter(|(known, ..)| known.first() == name.first() && *known <= name);
    if before.is_some() {
        at = *last;
    }
    loop {
        let (known, numbers, length) = entry(names, at)?;
        if known == name {
            *last = at;
            return Some(numbers);
        }
        // Sorted.
        if known > name {
            return None;
        }
        at += length;
    }
}

/// The name at a place, its numbers, and how long all that is.
fn entry(names: &[u8], at: u16) -> Option<(&[u8], Numbers, u16)> {
    let (&length, behind) = names.get(usize::from(at)..)?.split_first()?;
    let (known, behind) = behind.split_at_checked(length.into())?;
    let &[a, b, c, d] = behind.first_chunk()?;
    let numbers = Numbers([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]);
    Some((known, numbers, u16::from(length) + 5))
}

/// The first letter that a name begins with: `_`, then a grave accent that none begins with, then `a` to `z`.
const FIRST: u8 = b'_';
const INITIALS: usize = 28;

/// Declares `NAMES` and `INITIALS` from a text.
macro_rules! table {
    ($text:literal) => {
        const LENGTH: usize = super::pack::<0>($text).1;
        pub static NAMES: &[u8] = &super::pack::<LENGTH>($text).0;
        pub static INITIALS: [u16; super::INITIALS] = super::pack::<LENGTH>($text).2;
    };
}
use table;

/// The table and its length, and where in it the names of each first letter begin. With a length of 0 only the length.
const fn pack<const N: usize>(text: &str) -> ([u8; N], usize, [u16; INITIALS]) {
    let text = text.as_bytes();
    let (mut out, mut used, mut initials) = ([0; N], 0, [0; INITIALS]);
    let (mut at, mut initial) = (0, FIRST);
    while at < text.len() {
        if text[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        while text[at] != b':' {
            at += 1;
        }
        let (wide, after) = number(text, at + 1);
        let (narrow, after) = number(text, after + 1);
        let length = at - start;
        // Letters that none begins with lead to the next one's.
        while initial <= text[start] {
            initials[(initial - FIRST) as usize] = used as u16;
            initial += 1;
        }
        assert!(initial == text[start] + 1, "not sorted");
        if N > 0 {
            out[used] = length as u8;
            let mut i = 0;
            while i < length {
                out[used + 1 + i] = text[start + i];
                i += 1;
            }
            [out[used + 1 + length], out[used + 2 + length]] = wide.to_le_bytes();
            [out[used + 3 + length], out[used + 4 + length]] = narrow.to_le_bytes();
        }
        used += length + 5;
        at = after;
    }
    (out, used, initials)
}

/// A number with its tag, packed, and where it ends.
const fn number(text: &[u8], at: usize) -> (u16, usize) {
    let (plain, mut at) = digits(text, at);
    let letter = if at < text.len() { text[at] } else { 0 };
    let tag = match letter {
        b'x' | b's' | b'i' | b'p' => {
            let (tag, end) = digits(text, at + 1);
            at = end;
            match (letter, tag) {
                (_, None) => NO_NUMBER,
                (b'x', Some(tag)) => tag + 1,
                (b'i', Some(tag)) => tag + SECOND,
                (_, Some(tag)) => tag,
            }
        }
        _ => 0,
    };
    let plain = match plain {
        Some(plain) => plain,
        None => NONE,
    };
    assert!(plain <= NONE && tag <= NO_NUMBER);
    (plain | tag << 9, at)
}

const fn digits(text: &[u8], mut at: usize) -> (Option<u16>, usize) {
    let mut value = None;
    while at < text.len() && text[at].is_ascii_digit() {
        let before = match value {
            Some(value) => value,
            None => 0,
        };
        value = Some(before * 10 + (text[at] - b'0') as u16);
        at += 1;
    }
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x86(name: &str) -> Option<[Option<u16>; 3]> {
        find_in(x86_64::NAMES, &x86_64::INITIALS, name.as_bytes(), &mut 0).map(x86_64::places)
    }

    fn riscv(name: &str) -> Option<u16> {
        let found = find_in(riscv64::NAMES, &riscv64::INITIALS, name.as_bytes(), &mut 0);
        riscv64::places(found?).into_iter().next().flatten()
    }

    fn arm(name: &str) -> Option<[Option<u16>; 3]> {
        find_in(aarch64::NAMES, &aarch64::INITIALS, name.as_bytes(), &mut 0).map(aarch64::places)
    }

    #[test]
    fn calls_have_the_numbers_of_their_architecture() {
        assert_eq!(x86("read"), Some([Some(0), Some(3), Some(0)]));
        assert_eq!(x86("execve"), Some([Some(59), Some(11), Some(520)]));
        assert_eq!(x86("uselib"), Some([Some(134), Some(86), None]));
        assert_eq!(x86("_llseek"), Some([None, Some(140), None]));
        assert_eq!(x86("accept"), Some([Some(43), None, Some(43)]));
        assert_eq!(x86("file_getattr"), Some([Some(468); 3]));
        assert_eq!(arm("read"), Some([Some(63), Some(3), None]));
        assert_eq!(arm("set_tls"), Some([None, Some(PRIVATE + 5), None]));
        assert_eq!(aarch64::ARCHS[1].number(PRIVATE + 5), 0xf_0005);
        assert_eq!(riscv64::ARCHS[0].number(63), 63);
        assert_eq!(
            (riscv("read"), riscv("riscv_flush_icache"), riscv("renameat")),
            (Some(63), Some(259), None)
        );
    }

    #[test]
    fn what_is_no_call_is_not_found() {
        for name in ["", "`", "A", "~", "rea", "readx", "zzz", "_", "no_such_call"] {
            assert_eq!((x86(name), arm(name)), (None, None), "{name}");
        }
    }

    #[test]
    fn calls_that_x86_multiplexes_say_how() {
        let multiplexed = |name: &str| {
            x86_64::multiplexed(find_in(x86_64::NAMES, &x86_64::INITIALS, name.as_bytes(), &mut 0).unwrap())
        };
        assert_eq!(multiplexed("socket"), Some((1, 102, 1)));
        assert_eq!(multiplexed("sendmmsg"), Some((1, 102, 20)));
        assert_eq!(multiplexed("semop"), Some((1, 117, 1)));
        assert_eq!(multiplexed("shmctl"), Some((1, 117, 24)));
        assert_eq!(multiplexed("read"), None);
        assert_eq!(aarch64::multiplexed(Numbers([198, 281])), None);
        assert_eq!(riscv64::multiplexed(Numbers([198, NONE])), None);
    }

    #[test]
    fn every_name_of_the_table_is_found() {
        for (names, initials) in [
            (x86_64::NAMES, &x86_64::INITIALS),
            (aarch64::NAMES, &aarch64::INITIALS),
            (riscv64::NAMES, &riscv64::INITIALS),
        ] {
            let (mut rest, mut count, mut in_order, mut backwards) = (names, 0, 0, names.len() as u16);
            while let Some((&length, behind)) = rest.split_first() {
                let (name, behind) = behind.split_at(length.into());
                assert!(find_in(names, initials, name, &mut 0).is_some());
                // Wherever the search begins.
                for last in [&mut in_order, &mut backwards, &mut 7] {
                    assert!(find_in(names, initials, name, last).is_some());
                }
                backwards = u16::MAX;
                (rest, count) = (&behind[4..], count + 1);
            }
            assert!(count > 320, "{count}");
        }
    }
}
