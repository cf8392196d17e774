//! The container's terminal, opened inside: from its own devpts, not the host's (mount_namespaces and pts(4)).
//!
//! Nothing here follows a symbolic link or takes a path's word for what it is: a container that shares a volume may race us
//! (CVE-2025-52565: /dev/pts/N was a link, and what it named was bound over /dev/console).

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::process::{Gid, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr};

use crate::error::{Context, Error, Result};
use crate::plan::process::Terminal;
use crate::sys::stdio;

/// `DEVPTS_SUPER_MAGIC` (include/uapi/linux/magic.h).
const DEVPTS_MAGIC: u64 = 0x1cd1;
/// /dev/pts/ptmx: its inode in a devpts and its device number (`PTMX_MINOR`, fs/devpts/inode.c).
const PTMX_INODE: u64 = 2;
const PTMX: (u32, u32) = (5, 2);
/// Major numbers of pty slaves (`UNIX98_PTY_SLAVE_MAJOR`, eight of them).
const SLAVES: core::ops::Range<u32> = 136..144;

/// A new pty: the side for people and the side for the process.
pub struct Pty {
    /// Goes to whoever relays or attaches.
    pub master: OwnedFd,
    /// Becomes the process's standard descriptors.
    pub slave: OwnedFd,
}

/// Opens a pty of the devpts at /dev/pts, of the size asked for. `relayed`: the return before each line feed is for the terminal
/// outside to make, if there is one: what reads a pipe gets lines as the container wrote them.
pub fn open(terminal: &Terminal, relayed: bool) -> Result<Pty> {
    const PATH: &str = "/dev/pts/ptmx";
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let master = rustix::fs::openat2(CWD, PATH, flags, Mode::empty(), resolve).context("openat2", PATH)?;
    let stat = device(&master, PATH)?;
    if stat.st_ino != PTMX_INODE || number(stat.st_rdev) != PTMX {
        return Err(Error::refused("terminal", "/dev/pts/ptmx is not a devpts multiplexer"));
    }
    rustix::pty::unlockpt(&master).context("TIOCSPTLCK", PATH)?;
    // By descriptor (Linux 4.13): the name /dev/pts/N is not asked.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).context("TIOCGPTPEER", PATH)?;
    if !SLAVES.contains(&number(device(&slave, PATH)?.st_rdev).0) {
        return Err(Error::refused("terminal", "the peer of /dev/pts/ptmx is not a pty"));
    }
    resize(&slave, terminal)?;
    if relayed {
        let mut modes = tcgetattr(&slave).context("tcgetattr", "terminal")?;
        modes.output_modes.remove(OutputModes::ONLCR);
        tcsetattr(&slave, OptionalActions::Now, &modes).context("tcsetattr", "terminal")?;
    }
    Ok(Pty { master, slave })
}

/// The console's first size, where it was given: unset members stay 0, which means unknown.
fn resize(slave: impl AsFd, terminal: &Terminal) -> Result<()> {
    if terminal.height.is_none() && terminal.width.is_none() {
        return Ok(());
    }
    let cells = |count: Option<u32>| u16::try_from(count.unwrap_or(0)).unwrap_or(u16::MAX);
    let size =
        Winsize { ws_row: cells(terminal.height), ws_col: cells(terminal.width), ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(slave, size).context("TIOCSWINSZ", "process.consoleSize")
}

/// Makes the slave the controlling terminal of this session and its three standard descriptors.
pub fn attach(slave: &OwnedFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(slave).context("TIOCSCTTY", "terminal")?;
    rustix::stdio::dup2_stdin(slave).context("dup2", "terminal")?;
    rustix::stdio::dup2_stdout(slave).context("dup2", "terminal")?;
    rustix::stdio::dup2_stderr(slave).context("dup2", "terminal")
}

/// Gives the standard descriptors to the process's user, who may open them anew as /dev/stdout. /dev/null is everybody's
/// and stays root's; a pty's or file's group stays what it is (`tty`).
pub fn own(uid: u32) -> Result<()> {
    for fd in [stdio::stdin(), stdio::stdout(), stdio::stderr()] {
        // A descriptor that is closed is nobody's.
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if stat.st_uid == uid || (character && number(stat.st_rdev) == (1, 3)) {
            continue;
        }
        match rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None::<Gid>) {
            // Not ours to give (rootless), an owner who has no id in here, a read-only filesystem: the process can do without.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::INVAL | rustix::io::Errno::ROFS) => {}
            other => other.context("fchown", "standard descriptors")?,
        }
    }
    Ok(())
}

/// Checks that the descriptor is a character device in a devpts.
fn device(fd: &OwnedFd, path: &str) -> Result<rustix::fs::Stat> {
    let filesystem = rustix::fs::fstatfs(fd).context("fstatfs", path)?;
    let stat = rustix::fs::fstat(fd).context("fstat", path)?;
    let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if filesystem.f_type as u64 == DEVPTS_MAGIC && character {
        Ok(stat)
    } else {
        Err(Error::refused("terminal", format_args!("{path} is not in a devpts")))
    }
}

fn number(device: u64) -> (u32, u32) {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pty_has_the_size_asked_for_and_its_sides_talk() {
        let pty = open(&Terminal { height: Some(33), width: Some(99) }, false).unwrap();
        let size = rustix::termios::tcgetwinsize(&pty.master).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (33, 99));
        rustix::io::write(&pty.master, b"hello\n").unwrap();
        let mut line = [0; 16];
        let len = rustix::io::read(&pty.slave, &mut line).unwrap();
        assert_eq!(&line[..len], b"hello\n");
    }

    #[test]
    fn what_is_no_devpts_is_no_terminal() {
        let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
        assert!(device(&null, "x").is_err());
        let pty = open(&Terminal { height: None, width: None }, false).unwrap();
        assert!(device(&pty.slave, "x").is_ok());
    }
}
