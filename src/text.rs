//! Words and numbers as text, without a heap: paths with their NUL, lists of bytes, errno names.

#![allow(unsafe_code)]

mod shelf;

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::limits;

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
            bytes.clear();
            let _ = bytes.push(0);
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
        if whole.len() + bytes.len() > limits::PATH || bytes.contains(&0) {
            return Err(Unfit);
        }
        whole.pop();
        let _ = whole.extend_from_slice(bytes);
        let _ = whole.push(0);
        Ok(())
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
        if let Some(bytes) = self.0.as_mut().filter(|bytes| len + 1 < bytes.len()) {
            bytes.truncate(len);
            let _ = bytes.push(0);
        }
    }

    /// The path without its NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_cstr().to_bytes()
    }

    /// The path as the kernel takes it.
    pub fn as_cstr(&self) -> &CStr {
        let bytes = self.0.as_ref().map_or(&b"\0"[..], |bytes| bytes.as_slice());
        CStr::from_bytes_with_nul(bytes).unwrap_or(c"")
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

    /// What has been written.
    pub fn finish(self) -> &'a [u8] {
        self.memory.get(..self.len).unwrap_or(&[])
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

/// A C string for people.
pub fn shown(text: &CStr) -> Bytes<'_> {
    Bytes(text.to_bytes())
}

/// An errno as `EINVAL (Invalid argument)`.
pub struct Errno(pub rustix::io::Errno);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.raw_os_error();
        match ERRNO.binary_search_by_key(&number, |&(number, _)| number) {
            Ok(found) => f.write_str(ERRNO[found].1)?,
            Err(_) => write!(f, "errno {number}")?,
        }
        write!(f, " ({})", strerror(number))
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

/// Names of errno(3), by number (asm-generic/errno.h).
const ERRNO: &[(i32, &str)] = &[
    (1, "EPERM"),
    (2, "ENOENT"),
    (3, "ESRCH"),
    (4, "EINTR"),
    (5, "EIO"),
    (6, "ENXIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (14, "EFAULT"),
    (15, "ENOTBLK"),
    (16, "EBUSY"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (19, "ENODEV"),
    (20, "ENOTDIR"),
    (21, "EISDIR"),
    (22, "EINVAL"),
    (23, "ENFILE"),
    (24, "EMFILE"),
    (25, "ENOTTY"),
    (26, "ETXTBSY"),
    (27, "EFBIG"),
    (28, "ENOSPC"),
    (29, "ESPIPE"),
    (30, "EROFS"),
    (31, "EMLINK"),
    (32, "EPIPE"),
    (33, "EDOM"),
    (34, "ERANGE"),
    (35, "EDEADLK"),
    (36, "ENAMETOOLONG"),
    (37, "ENOLCK"),
    (38, "ENOSYS"),
    (39, "ENOTEMPTY"),
    (40, "ELOOP"),
    (42, "ENOMSG"),
    (43, "EIDRM"),
    (44, "ECHRNG"),
    (45, "EL2NSYNC"),
    (46, "EL3HLT"),
    (47, "EL3RST"),
    (48, "ELNRNG"),
    (49, "EUNATCH"),
    (50, "ENOCSI"),
    (51, "EL2HLT"),
    (52, "EBADE"),
    (53, "EBADR"),
    (54, "EXFULL"),
    (55, "ENOANO"),
    (56, "EBADRQC"),
    (57, "EBADSLT"),
    (59, "EBFONT"),
    (60, "ENOSTR"),
    (61, "ENODATA"),
    (62, "ETIME"),
    (63, "ENOSR"),
    (64, "ENONET"),
    (65, "ENOPKG"),
    (66, "EREMOTE"),
    (67, "ENOLINK"),
    (68, "EADV"),
    (69, "ESRMNT"),
    (70, "ECOMM"),
    (71, "EPROTO"),
    (72, "EMULTIHOP"),
    (73, "EDOTDOT"),
    (74, "EBADMSG"),
    (75, "EOVERFLOW"),
    (76, "ENOTUNIQ"),
    (77, "EBADFD"),
    (78, "EREMCHG"),
    (79, "ELIBACC"),
    (80, "ELIBBAD"),
    (81, "ELIBSCN"),
    (82, "ELIBMAX"),
    (83, "ELIBEXEC"),
    (84, "EILSEQ"),
    (85, "ERESTART"),
    (86, "ESTRPIPE"),
    (87, "EUSERS"),
    (88, "ENOTSOCK"),
    (89, "EDESTADDRREQ"),
    (90, "EMSGSIZE"),
    (91, "EPROTOTYPE"),
    (92, "ENOPROTOOPT"),
    (93, "EPROTONOSUPPORT"),
    (94, "ESOCKTNOSUPPORT"),
    (95, "EOPNOTSUPP"),
    (96, "EPFNOSUPPORT"),
    (97, "EAFNOSUPPORT"),
    (98, "EADDRINUSE"),
    (99, "EADDRNOTAVAIL"),
    (100, "ENETDOWN"),
    (101, "ENETUNREACH"),
    (102, "ENETRESET"),
    (103, "ECONNABORTED"),
    (104, "ECONNRESET"),
    (105, "ENOBUFS"),
    (106, "EISCONN"),
    (107, "ENOTCONN"),
    (108, "ESHUTDOWN"),
    (109, "ETOOMANYREFS"),
    (110, "ETIMEDOUT"),
    (111, "ECONNREFUSED"),
    (112, "EHOSTDOWN"),
    (113, "EHOSTUNREACH"),
    (114, "EALREADY"),
    (115, "EINPROGRESS"),
    (116, "ESTALE"),
    (117, "EUCLEAN"),
    (118, "ENOTNAM"),
    (119, "ENAVAIL"),
    (120, "EISNAM"),
    (121, "EREMOTEIO"),
    (122, "EDQUOT"),
    (123, "ENOMEDIUM"),
    (124, "EMEDIUMTYPE"),
    (125, "ECANCELED"),
    (126, "ENOKEY"),
    (127, "EKEYEXPIRED"),
    (128, "EKEYREVOKED"),
    (129, "EKEYREJECTED"),
    (130, "EOWNERDEAD"),
    (131, "ENOTRECOVERABLE"),
    (132, "ERFKILL"),
];

const _: () = {
    let mut i = 1;
    while i < ERRNO.len() {
        assert!(ERRNO[i - 1].0 < ERRNO[i].0, "ERRNO is sorted");
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

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
        let mut path = PathBuf::from_bytes(&[b'x'; limits::PATH - 1]).unwrap();
        assert_eq!(path.push(b"y"), Err(Unfit));
        assert_eq!(path.as_cstr().count_bytes(), limits::PATH - 1);
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
        assert_eq!(Errno(rustix::io::Errno::INVAL).to_string(), "EINVAL (Invalid argument)");
        for &(number, name) in ERRNO {
            let text = format!("{}", Errno(rustix::io::Errno::from_raw_os_error(number)));
            assert!(text.starts_with(name) && text.ends_with(')'), "{text}");
        }
    }
}
