//! New filesystems: fsopen(2), fsconfig(2), fsmount(2), and the words that the kernel has for a failure.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::mount::FsOpenFlags;

use crate::error::{Error, Result};
use crate::text::{Bytes, shown};

/// Superblock flags: as mount(2) numbers them, and the words that set and clear them in fsconfig(2).
const SUPERBLOCK: &[(u64, &CStr, Option<&CStr>)] = &[
    (libc::MS_RDONLY, c"ro", Some(c"rw")),
    (libc::MS_SYNCHRONOUS, c"sync", Some(c"async")),
    (libc::MS_MANDLOCK, c"mand", Some(c"nomand")),
    (libc::MS_DIRSYNC, c"dirsync", None),
    (libc::MS_I_VERSION, c"iversion", Some(c"noiversion")),
    (libc::MS_LAZYTIME, c"lazytime", Some(c"nolazytime")),
];

/// Longest value that fsconfig(2) takes, with its NUL (fs/fsopen.c: `strndup_user(_value, 256)`).
const VALUE: usize = 256;

/// A filesystem that is being configured, for the destination `at`.
pub struct Filesystem<'a> {
    context: OwnedFd,
    fstype: &'a CStr,
    at: &'a CStr,
}

impl<'a> Filesystem<'a> {
    /// fsopen(2).
    pub fn open(fstype: &'a CStr, at: &'a CStr) -> Result<Self> {
        match rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(context) => Ok(Self { context, fstype, at }),
            Err(errno) => {
                Err(Error::system("fsopen", format_args!("{} ({})", shown(at), shown(fstype)), errno))
            }
        }
    }

    /// fspick(2): the filesystem that is mounted at `place`.
    pub fn pick(place: &OwnedFd, at: &'a CStr) -> Result<Self> {
        use rustix::mount::FsPickFlags;
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        match rustix::mount::fspick(place, c"", flags) {
            Ok(context) => Ok(Self { context, fstype: c"", at }),
            Err(errno) => Err(Error::system("fspick", shown(at), errno)),
        }
    }

    /// `FSCONFIG_SET_FLAG`.
    pub fn flag(&self, key: &CStr) -> Result<()> {
        self.told(rustix::mount::fsconfig_set_flag(&self.context, key))
    }

    /// `FSCONFIG_SET_STRING`.
    pub fn string(&self, key: &CStr, value: &CStr) -> Result<()> {
        self.told(rustix::mount::fsconfig_set_string(&self.context, key, value))
    }

    /// The name that mountinfo shows, or whatever the filesystem takes it for.
    pub fn source(&self, source: Option<&CStr>) -> Result<()> {
        source.map_or(Ok(()), |source| self.string(c"source", source))
    }

    /// SELinux's option: all files have this context. A kernel without SELinux knows no such option.
    pub fn label(&self, context: Option<&CStr>) -> Result<()> {
        context.map_or(Ok(()), |context| self.string(c"context", context))
    }

    /// Superblock flags as mount(2) numbers them.
    pub fn superblock(&self, set: u64, clear: u64) -> Result<()> {
        for &(flag, on, off) in SUPERBLOCK {
            if set & flag != 0 {
                self.flag(on)?;
            } else if let (true, Some(off)) = (clear & flag != 0, off) {
                self.flag(off)?;
            }
        }
        Ok(())
    }

    /// Comma-joined options, one by one, but for those whose key is `without`.
    pub fn options(&self, data: &CStr, without: &[u8]) -> Result<()> {
        for option in split(data.to_bytes()).filter(|option| key(option) != without) {
            let mut text = heapless::Vec::<u8, { 2 * VALUE }>::new();
            let equals = option.iter().position(|byte| *byte == b'=');
            // Quotes hold the commas of an SELinux context together (see `split`), and are no part of it.
            let quoted = equals.is_some_and(|equals| option.get(equals + 1) == Some(&b'"'));
            let bytes = option.iter().filter(|&&byte| !quoted || byte != b'"');
            bytes.chain(&[0]).try_for_each(|&byte| text.push(byte)).map_err(|_| self.unfit(option))?;
            if let Some(equals) = text.get_mut(equals.unwrap_or(usize::MAX)) {
                *equals = 0;
            }
            let unfit = |_| self.unfit(option);
            let key = CStr::from_bytes_until_nul(&text).map_err(unfit)?;
            match equals {
                None => self.flag(key)?,
                Some(equals) => {
                    let value = text.get(equals + 1..).unwrap_or_default();
                    let value = CStr::from_bytes_until_nul(value).map_err(unfit)?;
                    self.string(key, value)?;
                }
            }
        }
        Ok(())
    }

    /// `FSCONFIG_CMD_CREATE` and fsmount(2): a mount that is nowhere yet.
    pub fn mount(self, set: u64) -> Result<OwnedFd> {
        self.told(rustix::mount::fsconfig_create(&self.context))?;
        crate::sys::mount::detached(&self.context, set).map_err(|errno| self.failure("fsmount", errno))
    }

    /// `FSCONFIG_CMD_RECONFIGURE`.
    pub fn reconfigure(self) -> Result<()> {
        self.told(rustix::mount::fsconfig_reconfigure(&self.context))
    }

    fn told(&self, done: core::result::Result<(), Errno>) -> Result<()> {
        done.map_err(|errno| self.failure("fsconfig", errno))
    }

    #[cold]
    fn unfit(&self, option: &[u8]) -> Error {
        Error::system("fsconfig", format_args!("{}: {}", shown(self.at), Bytes(option)), Errno::INVAL)
    }

    /// The context is also a log: one message for each read(2), behind a letter for its severity and a space.
    #[cold]
    fn failure(&self, call: &str, errno: Errno) -> Error {
        let mut log = [0; 256];
        let len = rustix::io::read(&self.context, &mut log).unwrap_or(0);
        match log.get(2..len) {
            Some(message) => Error::system(
                call,
                format_args!("{}: {}", shown(self.at), Bytes(message.trim_ascii_end())),
                errno,
            ),
            None => Error::system(call, format_args!("{} ({})", shown(self.at), shown(self.fstype)), errno),
        }
    }
}

/// Whether every option is short enough for fsconfig(2); if not, only mount(2) takes it (overlayfs with many layers).
pub fn fits(data: &CStr) -> bool {
    split(data.to_bytes()).all(|option| option.len() < VALUE)
}

/// Whether the option `wanted` is given.
pub fn has(data: Option<&CStr>, wanted: &[u8]) -> bool {
    data.is_some_and(|data| split(data.to_bytes()).any(|option| key(option) == wanted))
}

/// What is before the `=`, if there is one.
fn key(option: &[u8]) -> &[u8] {
    option.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// Options between commas; a comma behind a backslash belongs to its value (overlayfs), backslash kept, and so does one in
/// a value in quotes (SELinux contexts).
pub fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut escaped, mut quoted, mut before) = (false, false, 0);
    data.split(move |&byte| {
        let comma = byte == b',' && !escaped && !quoted;
        escaped = byte == b'\\' && !escaped;
        quoted = if byte == b'"' { !quoted && before == b'=' } else { quoted };
        before = byte;
        comma
    })
    .filter(|option| !option.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn options_are_split_at_bare_commas() {
        let options: Vec<_> = split(br"lowerdir=/a\,b:/c\\,userxattr,,mode=755").collect();
        let options_of_label: Vec<_> = split(br#"mode=1,context="a:b:c1,c2",size=1"#).collect();
        assert_eq!(options_of_label, [&b"mode=1"[..], br#"context="a:b:c1,c2""#, b"size=1"]);
        assert_eq!(options, [br"lowerdir=/a\,b:/c\\".as_slice(), b"userxattr", b"mode=755"]);
    }

    #[test]
    fn a_key_is_found_only_whole() {
        assert!(has(Some(c"size=1,mode=755"), b"mode"));
        assert!(!has(Some(c"ptmxmode=666"), b"mode"));
        assert!(!has(None, b"mode"));
    }

    #[test]
    fn a_long_value_does_not_fit_fsconfig() {
        let long = std::ffi::CString::new(std::format!("lowerdir={}", "x".repeat(300))).unwrap();
        assert!(!fits(&long));
        assert!(fits(c"size=65536k,mode=755"));
    }

    #[test]
    fn a_failure_tells_the_kernels_words() {
        let Ok(tmpfs) = Filesystem::open(c"tmpfs", c"/here") else {
            std::eprintln!("skipped: not root");
            return;
        };
        let error = tmpfs.options(c"size=4k,colour=blue", b"").unwrap_err();
        let expected = "fsconfig /here: tmpfs: Unknown parameter 'colour': EINVAL (invalid argument)";
        assert_eq!(std::format!("{error}"), expected);
    }
}
