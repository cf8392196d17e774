//! The last steps: find the program, leave everything of ours behind, become it.

use core::ffi::CStr;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::sys::process::{self, Vector};
use crate::sys::signal;
use crate::text::{PathBuf, shown};

/// Where a program is looked for without PATH: what confstr(3) has for it.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The kernel's default for the highest descriptor number (`fs.nr_open`).
const NR_OPEN: u32 = 1 << 20;

/// The program's path, as execvp(3) looks for it. Errors have the operation `exec`: ENOENT or "executable file not found in $PATH" where
/// there is none, EACCES where there is one that may not be executed, EISDIR where it is a directory.
pub fn find(argv: &Vector<'_>, envp: &Vector<'_>) -> Result<PathBuf> {
    let name = argv.iter().next().unwrap_or(c"");
    if name.to_bytes().contains(&b'/') {
        let failed = |errno| Error::system("exec", shown(name), errno);
        check(name).map_err(failed)?;
        return PathBuf::from_bytes(name.to_bytes()).map_err(|_| failed(Errno::NAMETOOLONG));
    }
    let path = envp.iter().find_map(|text| text.to_bytes().strip_prefix(b"PATH="));
    search(name, path.unwrap_or(DEFAULT_PATH), check)
}

/// Tries the directories in their order. One that may not be executed is remembered while a better one is looked for.
fn search(
    name: &CStr,
    path: &[u8],
    check: impl Fn(&CStr) -> core::result::Result<(), Errno>,
) -> Result<PathBuf> {
    let mut denied = false;
    // The empty name would be each directory itself.
    let directories = path.split(|&byte| byte == b':').filter(|_| !name.is_empty());
    for directory in directories {
        // An empty one is the current directory.
        let candidate = PathBuf::from_bytes(if directory.is_empty() { b"." } else { directory })
            .and_then(|mut candidate| candidate.join(name.to_bytes()).map(|()| candidate));
        let Ok(candidate) = candidate else { continue };
        match check(candidate.as_cstr()) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => denied = true,
            Err(_) => {}
        }
    }
    Err(if denied {
        Error::system("exec", format_args!("\"{}\"", shown(name)), Errno::ACCESS)
    } else {
        Error::refused("exec", format_args!("\"{}\": executable file not found in $PATH", shown(name)))
    })
}

/// Whether the effective user may execute it.
fn check(path: &CStr) -> core::result::Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // faccessat2(2) is younger (Linux 5.8) than some filters around us; all our ids are the effective ones.
        Err(Errno::PERM) => rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()),
        done => done,
    }
}

/// Closes every descriptor from 3 on but the first `kept` and `socket`, which closes itself in execve(2). Not left to close-on-exec:
/// while the kernel looks up the program, a path such as /proc/self/fd/7/bin/sh could still go through them (CVE-2024-21626).
pub fn close_all_but(kept: u32, socket: i32) {
    let first = 3_u32.saturating_add(kept);
    let socket = socket as u32;
    close(first, socket.saturating_sub(1));
    close(first.max(socket.saturating_add(1)), u32::MAX);
}

pub(super) fn close(first: u32, last: u32) {
    if first > last {
        return;
    }
    // Before Linux 5.9, or under a filter that does not know the call.
    if process::close_range(first, last).is_err() {
        (first..=last.min(NR_OPEN)).for_each(process::close);
    }
}

/// Becomes the program, with no signal blocked or ignored: the stages were started with all of them blocked, and the runtime's
/// caller may have ignored some. Returns on failure only.
pub fn execute(program: &PathBuf, argv: &Vector<'_>, envp: &Vector<'_>) -> Error {
    for number in 1..=signal::LAST {
        // SIGKILL and SIGSTOP have no other disposition.
        let _ = signal::set_default(number);
    }
    if let Err(errno) = signal::unblock_all() {
        return Error::system("rt_sigprocmask", "", errno);
    }
    Error::system("exec", program, process::execve(program.as_cstr(), argv, envp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    /// Searches where these paths give these answers, and none other exists.
    fn found(name: &CStr, path: &str, there: &[(&CStr, core::result::Result<(), Errno>)]) -> String {
        let check = |path: &CStr| {
            there.iter().find(|(at, _)| *at == path).map_or(Err(Errno::NOENT), |(_, answer)| *answer)
        };
        match search(name, path.as_bytes(), check) {
            Ok(path) => path.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_first_executable_in_path_wins() {
        let there = [(c"/a/x", Err(Errno::ACCESS)), (c"/b/x", Ok(())), (c"/c/x", Ok(()))];
        assert_eq!(found(c"x", "/nowhere:/a:/b:/c", &there), "/b/x");
    }

    #[test]
    fn an_empty_directory_in_path_is_the_current_one() {
        assert_eq!(found(c"x", "/a:", &[(c"./x", Ok(()))]), "./x");
    }

    #[test]
    fn nothing_in_path_has_the_words_that_callers_match() {
        assert_eq!(found(c"x", "/a:/b", &[]), "exec: \"x\": executable file not found in $PATH");
        assert_eq!(found(c"", "/a", &[(c"/a/", Ok(()))]), "exec: \"\": executable file not found in $PATH");
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_denied_rather_than_missing() {
        let error = found(c"x", "/a:/b", &[(c"/a/x", Err(Errno::ACCESS))]);
        assert_eq!(error, "exec \"x\": permission denied");
    }

    #[test]
    fn a_directory_of_the_name_is_passed_over_in_path_but_told_with_a_slash() {
        assert_eq!(found(c"x", "/a:/b", &[(c"/a/x", Err(Errno::ISDIR)), (c"/b/x", Ok(()))]), "/b/x");
        assert_eq!(check(c"/proc"), Err(Errno::ISDIR));
        assert_eq!(check(c"/proc/version"), Err(Errno::ACCESS));
        assert_eq!(check(c"/proc/self/exe"), Ok(()));
    }
}
