//! What the process is started with: its arguments, and its environment with what init knows and the configuration does not.

use core::fmt::Write;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::{Plan, kind};
use crate::sys::process::Vector;
use crate::text::PathBuf;

/// Variables that init adds, each as `NAME=value`.
pub type Added = heapless::Vec<PathBuf, 5>;

/// HOME of the user where the configuration has none; where sockets are passed on, what sd_listen_fds(3) looks for.
pub fn added(plan: &Plan<'_>, order: &Plan<'_>, uid: u32) -> Result<Added> {
    let mut added = Added::new();
    let mut given = false;
    for text in plan.strings(kind::ENV) {
        // The last one counts, and runc takes an empty one for a missing one.
        if let Some(home) = text?.to_bytes().strip_prefix(b"HOME=") {
            given = !home.is_empty();
        }
    }
    if !given {
        let _ = added.push(home(uid)?);
    }
    if let Some(count) = order.u32(kind::LISTEN_FDS)?.filter(|&count| count > 0) {
        for (name, value) in
            [("LISTEN_FDS", count), ("LISTEN_PID", rustix::process::getpid().as_raw_pid() as u32)]
        {
            let mut text = PathBuf::new();
            let _ = write!(text, "{name}={value}");
            let _ = added.push(text);
        }
    }
    if let Some(names) = order.string(kind::LISTEN_FDNAMES)? {
        let mut text = PathBuf::new();
        let whole = text.push(b"LISTEN_FDNAMES=").and_then(|()| text.push(names.to_bytes()));
        whole.map_err(|_| Error::refused("LISTEN_FDNAMES", "longer than 4095 bytes"))?;
        let _ = added.push(text);
    }
    if order.has(kind::NOTIFY)? {
        let _ = added.push(PathBuf::from_bytes(b"NOTIFY_SOCKET=/run/notify/notify.sock").unwrap_or_default());
    }
    Ok(added)
}

/// argv.
pub fn arguments<'a>(plan: &Plan<'a>) -> Result<Vector<'a>> {
    let mut vector = Vector::new(plan.strings(kind::ARG).count()).context("mmap", "arguments")?;
    for text in plan.strings(kind::ARG) {
        vector.push(text?).context("execve", "arguments")?;
    }
    Ok(vector)
}

/// envp: what was added takes the place of a variable of the same name; of several of one name the last counts, as with
/// runc and crun, whose callers append to what is there.
pub fn environment<'a>(plan: &Plan<'a>, added: &'a Added) -> Result<Vector<'a>> {
    let count = plan.strings(kind::ENV).count() + added.len();
    let mut vector = Vector::new(count).context("mmap", "environment")?;
    for text in added {
        vector.push(text.as_cstr()).context("execve", "environment")?;
    }
    for text in plan.strings(kind::ENV) {
        let text = text?;
        if !added.iter().any(|other| name(other.as_bytes()) == name(text.to_bytes())) {
            vector
                .put(text, |other| name(other.to_bytes()) == name(text.to_bytes()))
                .context("execve", "environment")?;
        }
    }
    Ok(vector)
}

fn name(variable: &[u8]) -> &[u8] {
    variable.split(|&byte| byte == b'=').next().unwrap_or(&[])
}

/// `HOME=` and the user's directory in the container's /etc/passwd; `/` for a user who is not there.
fn home(uid: u32) -> Result<PathBuf> {
    let mut home = PathBuf::new();
    let _ = home.push(b"HOME=/");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let passwd = rustix::fs::openat2(CWD, c"/etc/passwd", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    let passwd = match passwd {
        // None, or not for us. What fails otherwise would have the process run in a home that is not its own.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => return Ok(home),
        done => done.context("open", "/etc/passwd")?,
    };
    let stat = rustix::fs::fstat(&passwd).context("fstat", "/etc/passwd")?;
    // A FIFO or a device would keep us waiting.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::refused("/etc/passwd", "not a regular file"));
    }
    let mut lines = Lines::new(uid);
    let mut chunk = [0; 1024];
    for _ in 0..limits::PASSWD / chunk.len() {
        let len = rustix::io::read(&passwd, &mut chunk).context("read", "/etc/passwd")?;
        let end = len == 0;
        let bytes = if end { &b"\n"[..] } else { chunk.get(..len).unwrap_or(&[]) };
        if let Some(directory) = lines.feed(bytes) {
            home.truncate(b"HOME=".len());
            home.push(directory)
                .map_err(|_| Error::refused("/etc/passwd", "a home directory is too long"))?;
            break;
        }
        if end {
            break;
        }
    }
    Ok(home)
}

/// passwd(5) as it comes, in pieces. A line longer than a path is nobody's.
struct Lines {
    uid: u32,
    line: heapless::Vec<u8, { limits::PATH }>,
    overlong: bool,
}

impl Lines {
    fn new(uid: u32) -> Self {
        Self { uid, line: heapless::Vec::new(), overlong: false }
    }

    /// The next piece; the home directory when the user's line is complete. First come, first served, as getpwuid(3) does.
    fn feed(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        for &byte in bytes {
            if byte != b'\n' {
                self.overlong |= self.line.push(byte).is_err();
                continue;
            }
            if !self.overlong && entry(&self.line).is_some_and(|(uid, _)| uid == self.uid) {
                return entry(&self.line).map(|(_, home)| home);
            }
            self.line.clear();
            self.overlong = false;
        }
        None
    }
}

/// User id and home directory of one line: `name:password:uid:gid:comment:home:shell`.
fn entry(line: &[u8]) -> Option<(u32, &[u8])> {
    let mut fields = line.split(|&byte| byte == b':');
    let uid = core::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
    let home = fields.nth(2)?;
    Some((uid, if home.is_empty() { b"/" } else { home }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsenter::attr::{Message, Writer};
    use std::vec;
    use std::vec::Vec;

    fn home_in(passwd: &[u8], uid: u32, piece: usize) -> Option<Vec<u8>> {
        let mut lines = Lines::new(uid);
        passwd.chunks(piece).find_map(|bytes| lines.feed(bytes).map(<[u8]>::to_vec))
    }

    #[test]
    fn a_home_is_found_however_the_file_is_cut() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n\n#no:entry\na:x:7:7::/home/a:\nb:x:7:7::/second:\n";
        for piece in 1..passwd.len() {
            assert_eq!(home_in(passwd, 0, piece).as_deref(), Some(&b"/root"[..]));
            assert_eq!(home_in(passwd, 7, piece).as_deref(), Some(&b"/home/a"[..]));
            assert_eq!(home_in(passwd, 8, piece), None);
        }
    }

    #[test]
    fn a_line_that_is_none_is_passed_over() {
        for line in [
            &b""[..],
            b"root",
            b"root:x:0",
            b"root:x:0:0:root",
            b"root:x:-1:0::/x:",
            b"::::::",
            b"a:x:4294967296:0::/x:",
        ] {
            assert_eq!(entry(line), None);
        }
        assert_eq!(entry(b"u:x:5:5:::"), Some((5, &b"/"[..])));
        assert_eq!(entry(b"u:x:5:5::/h"), Some((5, &b"/h"[..])));
    }

    #[test]
    fn an_overlong_line_is_nobodys_and_the_next_counts() {
        let mut passwd = vec![b'x'; 3 * limits::PATH];
        passwd.extend_from_slice(b":x:1:1::/long:\nu:x:1:1::/next:\n");
        assert_eq!(home_in(&passwd, 1, 1000).as_deref(), Some(&b"/next"[..]));
    }

    #[test]
    fn what_is_added_replaces_the_configurations() {
        let (mut one, mut two) = (vec![0; 512], vec![0; 64]);
        let mut writer = Writer::new(&mut one, 0x11);
        [c"A=1", c"HOME=", c"LISTEN_PID=77", c"LISTEN_PIDS=1"]
            .iter()
            .for_each(|text| writer.string(kind::ENV, text));
        let plan = Plan::new(Message::parse(writer.finish().unwrap()).unwrap().0);
        let mut writer = Writer::new(&mut two, 0x19);
        writer.u32(kind::LISTEN_FDS, 2);
        let order = Plan::new(Message::parse(writer.finish().unwrap()).unwrap().0);
        let added = added(&plan, &order, u32::MAX - 1).unwrap();
        let all: Vec<_> =
            environment(&plan, &added).unwrap().iter().map(|text| text.to_str().unwrap()).collect();
        let pid = std::format!("LISTEN_PID={}", std::process::id());
        assert_eq!(all, ["HOME=/", "LISTEN_FDS=2", pid.as_str(), "A=1", "LISTEN_PIDS=1"]);
    }

    #[test]
    fn of_several_variables_of_one_name_the_last_counts() {
        let mut buffer = vec![0; 512];
        let mut writer = Writer::new(&mut buffer, 0x11);
        [c"A=1", c"AB=2", c"A=3", c"A="].iter().for_each(|text| writer.string(kind::ENV, text));
        let plan = Plan::new(Message::parse(writer.finish().unwrap()).unwrap().0);
        let none = Added::new();
        assert!(environment(&plan, &none).unwrap().iter().eq([c"A=", c"AB=2"]));
    }

    #[test]
    fn a_home_that_is_given_stays() {
        let mut buffer = vec![0; 512];
        let mut writer = Writer::new(&mut buffer, 0x11);
        writer.string(kind::ENV, c"HOME=/h");
        let plan = Plan::new(Message::parse(writer.finish().unwrap()).unwrap().0);
        assert!(added(&plan, &plan, 0).unwrap().is_empty());
    }
}
