//! What is written about a user or time namespace from outside of it: id maps, setgroups, clock offsets.
//!
//! user_namespaces(7), time_namespaces(7). Each file takes a single write(2).

use core::ffi::CStr;

use crate::boot::Offset;
use crate::error::{Context, Decimal, Error, Text};
use crate::raw::{self, Arg, Clone, Errno, Fd};

/// The kernel takes less than one page in one write.
const PAGE: usize = 4096;
/// Most strings in newuidmap's arguments: name, pid, three for each of 340 lines (the kernel's limit since
/// Linux 4.15), end.
const ARGUMENTS: usize = 2 + 3 * 340 + 1;
/// Where newuidmap is looked for when the caller has no PATH.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One line of a map: `size` ids from `container_id` on are those from `host_id` on outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside.
    pub container_id: u32,
    /// First id outside.
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// The two maps of a user namespace.
struct Which {
    file: &'static CStr,
    tool: &'static str,
    own: u32,
}

/// Writes both maps of the process `pid`, a child of the caller that waits for them in a new user namespace.
///
/// As root they are written directly. An ordinary user may map their own id alone, after setgroups is
/// denied (Linux 3.19, CVE-2014-8989: dropping a group must not grant what the group was denied); the rest
/// is done by newuidmap(1) and newgidmap(1), looked for in `path` (the value of PATH).
pub fn write_maps(pid: i32, uid: &[IdMap], gid: &[IdMap], path: Option<&[u8]>) -> Result<(), Error> {
    let number = Decimal::of(pid.unsigned_abs().into());
    let proc: Text<32> = Text::of(&[b"/proc/", number.as_bytes()]);
    let name = proc.as_c_str().unwrap_or(c"");
    // One descriptor for all files, so that they are of one process.
    let dir =
        raw::open(libc::AT_FDCWD, name, libc::O_PATH | libc::O_DIRECTORY).context("open", name.to_bytes())?;
    let (uids, gids) = (
        Which { file: c"uid_map", tool: "newuidmap", own: raw::euid() },
        Which { file: c"gid_map", tool: "newgidmap", own: raw::egid() },
    );
    let root = uids.own == 0;
    if !root && gids.is_own(gid) {
        write_file(&dir, &proc, c"setgroups", b"deny")?;
    }
    // Group before user: newgidmap looks whether the process is still its caller's.
    gids.write(&dir, &proc, &number, gid, root, path)?;
    uids.write(&dir, &proc, &number, uid, root, path)
}

impl Which {
    /// Whether the map is the one that the kernel lets its owner write: their own id alone.
    fn is_own(&self, map: &[IdMap]) -> bool {
        matches!(map, [line] if line.host_id == self.own && line.size == 1)
    }

    fn write(
        &self,
        dir: &Fd,
        proc: &Text<32>,
        pid: &Decimal,
        map: &[IdMap],
        root: bool,
        path: Option<&[u8]>,
    ) -> Result<(), Error> {
        let mut page = Page::new();
        page.map(map);
        let text = page.text().ok_or_else(|| {
            Error::refused(self.tool, b"the map does not fit a page, which is all that the kernel takes")
        })?;
        if root || self.is_own(map) {
            return write_file(dir, proc, self.file, text);
        }
        self.ask(&mut page, pid, path.unwrap_or(PATH))
    }

    /// Has the set-user-id tool write the map. It takes the map's numbers as they are in the file, each as
    /// an argument.
    #[cold]
    #[inline(never)]
    fn ask(&self, page: &mut Page, pid: &Decimal, path: &[u8]) -> Result<(), Error> {
        let name: Text<16> = Text::of(&[self.tool.as_bytes()]);
        let mut argv = [Arg::END; ARGUMENTS];
        let first = [name.as_c_str(), CStr::from_bytes_until_nul(pid.with_nul()).ok()].into_iter().flatten();
        let numbers = page.strings();
        let mut used = 0;
        for (place, argument) in argv.iter_mut().zip(first.chain(numbers)) {
            *place = Arg::of(argument);
            used += 1;
        }
        // The last place stays for the end.
        let argv = argv
            .get(..=used)
            .filter(|_| used < ARGUMENTS)
            .ok_or_else(|| Error::refused(self.tool, b"more lines than the kernel takes (340)"))?;
        match wait_for(find(self.tool, argv, path).context("execve", self.tool.as_bytes())?)? {
            0 => Ok(()),
            // What was wrong it has said on standard error: mostly a range that /etc/subuid or /etc/subgid
            // does not grant.
            _ => Err(Error::system(self.tool, b"did not write the map", Errno(libc::EPERM))),
        }
    }
}

/// Starts `tool` from the first folder of `path` that has it.
fn find(tool: &str, argv: &[Arg<'_>], path: &[u8]) -> Result<i32, Errno> {
    let mut failure = Errno(libc::ENOENT);
    for folder in path.split(|&byte| byte == b':').filter(|folder| folder.starts_with(b"/")) {
        let file: Text<PAGE> = Text::of(&[folder, b"/", tool.as_bytes()]);
        let Some(file) = file.as_c_str() else { continue };
        let start = |how| raw::vfork_exec(how, libc::AT_FDCWD, file, argv);
        let mut result = start(Clone::Three { cgroup: None });
        if matches!(result, Err(Errno(libc::ENOSYS))) {
            result = start(Clone::One);
        }
        match result? {
            Ok(started) => return Ok(started.pid),
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(errno) => failure = errno,
        }
    }
    Err(failure)
}

/// The status word of a process that has ended.
fn wait_for(pid: i32) -> Result<i32, Error> {
    loop {
        match raw::wait(pid) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.context("wait4", b"newuidmap"),
        }
    }
}

/// The offsets of a new time namespace that no process has entered yet, through /proc/self/timens_offsets,
/// opened by [`open_offsets`].
pub(crate) fn write_offsets(
    file: &Fd,
    monotonic: Option<Offset>,
    boottime: Option<Offset>,
) -> Result<(), Error> {
    let mut page = Page::new();
    for (clock, offset) in [("monotonic", monotonic), ("boottime", boottime)] {
        if let Some(offset) = offset {
            page.offset(clock, offset);
        }
    }
    let text = page.text().unwrap_or(&[]);
    raw::write(file.as_raw(), text).map(drop).context("write", OFFSETS.to_bytes())
}

const OFFSETS: &CStr = c"/proc/self/timens_offsets";

/// Opens the file for [`write_offsets`]. Rights over the time namespace are those of who *opens* it, so
/// this comes before the process changes.
pub(crate) fn open_offsets() -> Result<Fd, Error> {
    raw::open(libc::AT_FDCWD, OFFSETS, libc::O_WRONLY).context("open", OFFSETS.to_bytes())
}

fn write_file(dir: &Fd, proc: &Text<32>, file: &CStr, text: &[u8]) -> Result<(), Error> {
    let result =
        raw::open(dir.as_raw(), file, libc::O_WRONLY).and_then(|file| raw::write(file.as_raw(), text));
    result.map(drop).map_err(|errno| {
        let path: Text<64> = Text::of(&[proc.as_str().as_bytes(), b"/", file.to_bytes()]);
        Error::system("write", path.as_str().as_bytes(), errno)
    })
}

/// The text of one write.
struct Page {
    bytes: [u8; PAGE],
    len: usize,
    full: bool,
}

impl Page {
    fn new() -> Self {
        Self { bytes: [0; PAGE], len: 0, full: false }
    }

    fn map(&mut self, map: &[IdMap]) {
        for line in map {
            let [container, host, size] =
                [line.container_id, line.host_id, line.size].map(|number| Decimal::of(number.into()));
            self.line(&[&container, &host, &size]);
        }
    }

    fn offset(&mut self, clock: &str, offset: Offset) {
        self.push(clock.as_bytes());
        self.push(if offset.seconds < 0 { b" -" } else { b" " });
        self.line(&[&Decimal::of(offset.seconds.unsigned_abs()), &Decimal::of(offset.nanoseconds.into())]);
    }

    /// Numbers with spaces between them, and a newline.
    fn line(&mut self, numbers: &[&Decimal]) {
        let mut numbers = numbers.iter().peekable();
        while let Some(number) = numbers.next() {
            self.push(number.as_bytes());
            self.push(if numbers.peek().is_some() { b" " } else { b"\n" });
        }
    }

    fn push(&mut self, text: &[u8]) {
        // One byte less than a page, or the kernel refuses it.
        let free = self.bytes.get_mut(self.len..PAGE - 1).and_then(|free| free.get_mut(..text.len()));
        match free {
            Some(place) => {
                place.copy_from_slice(text);
                self.len += text.len();
            }
            None => self.full = true,
        }
    }

    /// All that was pushed, or nothing if it did not fit.
    fn text(&self) -> Option<&[u8]> {
        if self.full { None } else { self.bytes.get(..self.len) }
    }

    /// The words, each turned into a string with its NUL.
    fn strings(&mut self) -> impl Iterator<Item = &CStr> {
        let words = self.bytes.get_mut(..self.len).unwrap_or(&mut []);
        words.iter_mut().filter(|byte| byte.is_ascii_whitespace()).for_each(|byte| *byte = 0);
        words.split_inclusive(|&byte| byte == 0).filter_map(|word| CStr::from_bytes_with_nul(word).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn page(map: &[IdMap]) -> Page {
        let mut page = Page::new();
        page.map(map);
        page
    }

    #[test]
    fn a_map_is_one_line_per_range() {
        let first = IdMap { container_id: 0, host_id: 1000, size: 1 };
        let second = IdMap { container_id: 1, host_id: 100_000, size: u32::MAX };
        assert_eq!(page(&[first, second]).text(), Some(&b"0 1000 1\n1 100000 4294967295\n"[..]));
        assert_eq!(page(&[]).text(), Some(&b""[..]));
    }

    #[test]
    fn the_tool_gets_each_number_as_an_argument() {
        let map = IdMap { container_id: 0, host_id: 1000, size: 1 };
        let mut page = page(&[map, map]);
        let words: Vec<&CStr> = page.strings().collect();
        assert_eq!(words, [c"0", c"1000", c"1", c"0", c"1000", c"1"]);
    }

    #[test]
    fn a_map_of_a_page_is_refused() {
        // Ten, ten and three digits: 26 bytes a line.
        let line = IdMap { container_id: 1_000_000_000, host_id: 1_000_000_000, size: 100 };
        assert_eq!(page(&[line; 157]).text().map(<[u8]>::len), Some(157 * 26));
        assert_eq!(page(&[line; 158]).text(), None);
    }

    #[test]
    fn only_the_own_id_alone_needs_no_privilege() {
        let which = Which { file: c"uid_map", tool: "newuidmap", own: 1000 };
        let own = IdMap { container_id: 0, host_id: 1000, size: 1 };
        assert!(which.is_own(&[own]));
        assert!(!which.is_own(&[IdMap { size: 2, ..own }]));
        assert!(!which.is_own(&[IdMap { host_id: 1001, ..own }]));
        assert!(!which.is_own(&[own, own]));
        assert!(!which.is_own(&[]));
    }

    #[test]
    fn clock_offsets_keep_their_sign() {
        let mut page = Page::new();
        page.offset("monotonic", Offset { seconds: -86_400, nanoseconds: 7 });
        page.offset("boottime", Offset { seconds: i64::MIN, nanoseconds: 0 });
        assert_eq!(page.text(), Some(&b"monotonic -86400 7\nboottime -9223372036854775808 0\n"[..]));
    }
}
