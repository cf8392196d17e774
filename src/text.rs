//! Words and numbers as text, without a heap: paths with their NUL, lists of bytes, errno names.

#![allow(unsafe_code)]

mod shelf;

pub use shelf::Place;

use core::ffi::CStr;
use core::fmt::{self, Write};

/// What did not fit, or held a NUL where the kernel would end the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// A path under construction. Invariant: ends in exactly one NUL, and has no other.
///
/// A path is up to 4 KB, and values of that size on the stack are pages that every start would touch, copied at each
/// move. So the bytes stay in one place ([`shelf`]), and this owns them by a pointer.
pub struct PathBuf(Option<shelf::Place>);

impl Default for PathBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for PathBuf {
    fn clone(&self) -> Self {
        Self::from_bytes(self.as_bytes()).unwrap_or_default()
    }
}

impl PathBuf {
    /// An empty path.
    pub fn new() -> Self {
        let mut place = shelf::Place::take();
        if let Some(bytes) = place.as_mut() {
            bytes.truncate(0);
        }
        Self(place)
    }

    /// A path made of one piece.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unfit> {
        let mut path = Self::new();
        path.push(bytes)?;
        Ok(path)
    }

    /// Appends bytes as they are. `Err` past `PATH_MAX` or with a NUL inside, and when too many paths are alive.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        let whole = self.0.as_mut().ok_or(Unfit)?;
        if !bytes.contains(&0) && whole.append(bytes) { Ok(()) } else { Err(Unfit) }
    }

    /// Appends a component, with a slash before it where there is none.
    pub fn join(&mut self, component: &[u8]) -> Result<(), Unfit> {
        if !self.as_bytes().is_empty() && self.as_bytes().last() != Some(&b'/') {
            self.push(b"/")?;
        }
        self.push(component)
    }

    /// Cuts back to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if let Some(bytes) = self.0.as_mut() {
            bytes.truncate(len);
        }
    }

    /// The path without its NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(b"", |bytes| bytes.as_bytes())
    }

    /// The path as the kernel takes it.
    pub fn as_cstr(&self) -> &CStr {
        self.0.as_ref().and_then(|bytes| CStr::from_bytes_with_nul(bytes.with_nul()).ok()).unwrap_or_default()
    }
}

impl Write for PathBuf {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl fmt::Display for PathBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.as_bytes()).fmt(f)
    }
}

/// A number, or a few words. One size for all: each more would be its own code.
pub type Short = heapless::String<256>;

/// Cut off when it is too long: who reads it says so.
#[inline(never)]
pub fn short(text: fmt::Arguments<'_>) -> Short {
    let mut short = Short::new();
    let _ = short.write_fmt(text);
    short
}

/// A decimal number.
pub fn integer(text: &CStr) -> Option<i64> {
    text.to_str().ok()?.parse().ok()
}

/// An amount of memory as go-units reads it: a number, and perhaps one of `kmgtp` (powers of 1024), `i` and `b` behind it.
pub fn bytes(text: &CStr) -> Option<i64> {
    let text = text.to_str().ok()?;
    let end = text.bytes().rposition(|byte| byte.is_ascii_digit())? + 1;
    let (number, unit) = text.split_at_checked(end)?;
    let power = match unit.trim_start_matches(' ').as_bytes() {
        [] | [b'b' | b'B'] => 0,
        [letter] | [letter, b'i' | b'I' | b'b' | b'B'] | [letter, b'i' | b'I', b'b' | b'B'] => {
            b"kmgtp".iter().position(|known| *known == letter.to_ascii_lowercase())? + 1
        }
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|number| *number >= -1)?.checked_mul(1 << (10 * power))
}

/// A number of up to three digits, without a sign and without a zero before it, which others read as octal.
#[inline(never)]
pub fn digits(text: &[u8]) -> Option<u32> {
    if !matches!(text.len(), 1..=3) || text.starts_with(b"0") && text.len() > 1 {
        return None;
    }
    text.iter().try_fold(0, |number, digit| {
        let digit = Some(digit.wrapping_sub(b'0')).filter(|&digit| digit < 10)?;
        Some(10 * number + u32::from(digit))
    })
}

/// An IPv4 address as inet_pton(3) takes it, in the order of our numbers.
pub fn address(text: &[u8]) -> Option<u32> {
    let (mut address, mut count) = (0, 0);
    for part in text.split(|&byte| byte == b'.') {
        address = address << 8 | digits(part).filter(|&number| number < 256)?;
        count += 1;
    }
    Some(address).filter(|_| count == 4)
}

/// An IPv4 address for people.
pub struct Address(pub u32);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0.to_be_bytes().map(u32::from);
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

/// Text written into memory that is there: an error when it is full.
pub struct Into<'a> {
    memory: &'a mut [u8],
    len: usize,
}

impl<'a> Into<'a> {
    /// Nothing yet.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// How much has been written, in bytes.
    pub fn written(&self) -> usize {
        self.len
    }

    /// What has been written.
    pub fn finish(self) -> &'a [u8] {
        self.split().0
    }

    /// What has been written, and the memory behind it.
    pub fn split(self) -> (&'a [u8], &'a mut [u8]) {
        let (written, rest) = self.memory.split_at_mut_checked(self.len).unwrap_or_default();
        (written, rest)
    }
}

impl Write for Into<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.memory.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Bytes of a path or an argument for people: printable text as it is, the rest as `\\xNN`.
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "\\x{:02x}", c as u32)? } else { f.write_char(c)? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A text with holes, `text<hole>text`, in its parts: `take` gets each, and whether it is a hole.
pub fn holes<E>(
    mut text: &'static str,
    take: &mut dyn FnMut(bool, &'static str) -> core::result::Result<(), E>,
) -> core::result::Result<(), E> {
    let mut hole = false;
    loop {
        let mark = if hole { b'>' } else { b'<' };
        let end = text.bytes().position(|byte| byte == mark);
        take(hole, text.get(..end.unwrap_or(text.len())).unwrap_or(""))?;
        let Some(rest) = end.and_then(|end| text.get(end + 1..)) else { return Ok(()) };
        (text, hole) = (rest, !hole);
    }
}

/// A C string for people.
pub fn shown(text: &CStr) -> Bytes<'_> {
    Bytes(text.to_bytes())
}

/// An errno as `EINVAL (invalid argument)`: in small letters, as Go writes it, since docker and podman tell 126 and 127 by
/// `permission denied` and `no such file or directory` in what a runtime says.
pub struct Errno(pub rustix::io::Errno);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.raw_os_error();
        let mut letters = strerror(number).chars();
        let first = letters.next().unwrap_or(' ').to_ascii_lowercase();
        if f.alternate() {
            return write!(f, "{first}{}", letters.as_str());
        }
        match name(number) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "errno {number}")?,
        }
        write!(f, " ({first}{})", letters.as_str())
    }
}

/// strerror(3) of musl: English, static, never null.
fn strerror(number: i32) -> &'static str {
    unsafe extern "C" {
        fn strerror(number: i32) -> *const core::ffi::c_char;
    }
    // SAFETY: musl returns a pointer into a constant table for every number, also unknown ones.
    let text = unsafe { CStr::from_ptr(strerror(number)) };
    text.to_str().unwrap_or("")
}

/// Names of errno(3) by number, from 1 on (asm-generic/errno.h); a hyphen is a number without a name. One string:
/// a table of references is 3 KB.
const ERRNO: &str = "\
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK \
    EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE \
    EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM \
    ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT \
    - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP \
    EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ \
    ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT \
    ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH \
    ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT \
    ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM \
    EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED \
    EOWNERDEAD ENOTRECOVERABLE ERFKILL";

/// The name of one.
fn name(number: i32) -> Option<&'static str> {
    let before = usize::try_from(number).ok()?.checked_sub(1)?;
    ERRNO.split(' ').nth(before).filter(|name| *name != "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    #[test]
    fn amounts_have_the_units_of_go_units() {
        for (text, bytes) in
            [(c"0", 0), (c"17", 17), (c"-1", -1), (c"7b", 7), (c"2 GB", 2 << 30), (c"3kib", 3072)]
        {
            assert_eq!(super::bytes(text), Some(bytes), "{text:?}");
        }
        for text in [c"", c"k", c"1kk", c"1q", c"x1", c"-2", c"1.5g", c"99999999p", c"1 k b"] {
            assert_eq!(super::bytes(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_address_is_four_numbers_and_is_shown_as_it_was_read() {
        for (text, number) in [("0.0.0.0", 0), ("172.18.0.1", 0xac12_0001), ("255.255.255.255", u32::MAX)] {
            assert_eq!(address(text.as_bytes()), Some(number));
            assert_eq!(Address(number).to_string(), text);
        }
        for text in [
            "",
            ".",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.04",
            "1.2.3.+4",
            "1.2.3.0004",
            "1.2.3.4x",
            "1.2..4",
            "1.2.3.4 ",
        ] {
            assert_eq!(address(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_path_grows_by_components_and_stays_terminated() {
        let mut path = PathBuf::from_bytes(b"/sys/fs").unwrap();
        path.join(b"cgroup").unwrap();
        assert_eq!(path.as_cstr(), c"/sys/fs/cgroup");
        path.truncate(4);
        assert_eq!(path.as_cstr(), c"/sys");
        assert_eq!(PathBuf::new().as_cstr(), c"");
    }

    #[test]
    fn a_path_takes_path_max_with_its_nul_and_no_more() {
        let mut path = PathBuf::from_bytes(&[b'x'; crate::limits::PATH - 1]).unwrap();
        assert_eq!(path.push(b"y"), Err(Unfit));
        assert_eq!(path.as_cstr().count_bytes(), crate::limits::PATH - 1);
    }

    #[test]
    fn a_clone_has_bytes_of_its_own() {
        let path = PathBuf::from_bytes(b"/a").unwrap();
        let mut other = path.clone();
        other.push(b"b").unwrap();
        assert_eq!((path.as_bytes(), other.as_bytes()), (&b"/a"[..], &b"/ab"[..]));
    }

    #[test]
    fn a_nul_inside_is_unfit() {
        assert_eq!(PathBuf::new().push(b"a\0b"), Err(Unfit));
    }

    #[test]
    fn unprintable_bytes_are_shown_in_hexadecimal() {
        assert_eq!(Bytes(b"a\n\xffb").to_string(), "a\\x0a\\xffb");
    }

    #[test]
    fn every_errno_has_a_name_and_a_text() {
        assert_eq!(Errno(rustix::io::Errno::INVAL).to_string(), "EINVAL (invalid argument)");
        assert_eq!(name(132), Some("ERFKILL"));
        assert_eq!([0, -1, 41, 58, 133].map(name), [None; 5]);
        for (number, name) in (1..=132).filter_map(|number| Some((number, name(number)?))) {
            let text = format!("{}", Errno(rustix::io::Errno::from_raw_os_error(number)));
            assert!(text.starts_with(name) && text.ends_with(')'), "{text}");
        }
    }
}
