//! The runtime's part: starts the child, with the cheapest process the kernel makes. It shares the runtime's memory until it has executed
//! `exe`, see `raw::start`.

use crate::error::{Decimal, Error};
use crate::raw::{self, Beside, Clone, Errno, Fd, RawFd};
use crate::stage;
use crate::trace;

/// What clone3 may answer to CLONE_INTO_CGROUP where a child outside of the cgroup is the way out.
const CGROUP_REFUSED: [i32; 8] = [
    libc::ENOSYS,
    libc::EPERM,
    libc::EACCES,
    libc::EBUSY,
    libc::EOPNOTSUPP,
    libc::EINVAL,
    libc::EBADF,
    libc::E2BIG,
];

/// What the child executes.
static BESIDE: Beside = Beside::new();

/// The child as it was started.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid: a child of the caller, who is to wait for it.
    pub pid: i32,
    /// The same as a descriptor, close-on-exec.
    pub pidfd: Fd,
    /// Whether it was born in the cgroup that was asked for. If not, the caller is to write its pid to
    /// `cgroup.procs`.
    pub into_cgroup: bool,
}

/// Starts `exe` (a descriptor of this same program, see [`stage::enter`]) as the child, with `socket`
/// inherited.
///
/// - `socket` must not be close-on-exec; the child sets that first thing. The caller closes its copy after
///   this call, or it will never see an end of file. Its own end of the pair must be close-on-exec, for the
///   same reason.
/// - `exe` must be close-on-exec: the child has a copy of it until it runs, the caller may close its own.
///   That the child could not execute it is told by [`failure`], once the socket has come to its end.
/// - `flags`: CLONE_NEW* to start with; CLONE_NEWPID where BOOT says `collapsed`, else usually none. CLONE_VFORK: to wait until it has
///   executed `exe`. Without, what it is to do may already wait in the socket by then.
/// - `cgroup`: a cgroup v2 directory to be born in (CLONE_INTO_CGROUP, Linux 5.7); `other`: the one to try where
///   that refuses with EBUSY, because it has handed its controllers down to cgroups of its own (cgroups(7), no
///   internal processes).
/// - Signals: the child *starts with all of them blocked*. Init restores mask and dispositions before execve;
///   until then only SIGKILL ends a stage.
pub fn child(
    exe: RawFd,
    socket: RawFd,
    flags: u64,
    cgroup: Option<RawFd>,
    other: impl FnOnce() -> Option<RawFd>,
) -> Result<Spawned, Error> {
    let number = Decimal::of(socket.unsigned_abs().into());
    let traced = if trace::is_on() { Some(c"trace") } else { None };
    BESIDE.set(exe, stage::CHILD, number.as_bytes(), traced);
    let start = |how| raw::exec_beside(how, flags, &BESIDE);

    let mut into_cgroup = cgroup.is_some();
    let mut result = start(Clone::Three { cgroup });
    if into_cgroup && matches!(result, Err(Errno(libc::EBUSY))) {
        if let Some(other) = other() {
            result = start(Clone::Three { cgroup: Some(other) });
        }
    }
    // A cgroup that may not be entered this way, a kernel between 5.3 and 5.7 (E2BIG), a cgroup v1
    // directory (EBADF): the child can do without. Whatever else was meant by these numbers comes again.
    // EAGAIN (pids.max) is not among them.
    if into_cgroup && matches!(result, Err(Errno(errno)) if CGROUP_REFUSED.contains(&errno)) {
        into_cgroup = false;
        result = start(Clone::Three { cgroup: None });
    }
    // Before Linux 5.3, and under seccomp filters that know no clone3. clone(2) takes its low byte for the
    // signal.
    if matches!(result, Err(Errno(libc::ENOSYS))) && flags & 0xff == 0 {
        result = start(Clone::One);
    }
    match result {
        Ok(started) => {
            trace::note(trace::CHILD_PID, started.pid.unsigned_abs().into());
            Ok(Spawned { pid: started.pid, pidfd: started.pidfd, into_cgroup })
        }
        Err(errno) => {
            let pid = flags & libc::CLONE_NEWPID as u64 != 0;
            Err(Error::system("clone3", if pid { b"child in a pid namespace" } else { b"child" }, errno))
        }
    }
}

/// Why the last child could not execute what it was to.
pub fn failure() -> Option<Error> {
    BESIDE.failure().map(|errno| Error::system("execveat", b"own executable", errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Arg;

    /// Both ways of making the process.
    const WAYS: [Clone; 2] = [Clone::Three { cgroup: None }, Clone::One];

    #[test]
    fn a_program_runs_with_its_arguments_and_an_empty_environment() {
        let argv = [c"sh", c"-c", c"test -z \"$HOME\" && exit $1", c"x", c"7"].map(Arg::of);
        let argv = [&argv[..], &[Arg::END]].concat();
        for how in WAYS {
            let started = raw::vfork_exec(how, libc::AT_FDCWD, c"/bin/sh", &argv).unwrap().unwrap();
            assert!(started.pidfd.as_raw() > 2);
            assert_eq!(raw::wait(started.pid), Ok(7 << 8));
        }
    }

    #[test]
    fn a_program_that_cannot_be_executed_gives_its_errno() {
        for how in WAYS {
            for (path, errno) in [(c"/none", libc::ENOENT), (c"/etc/passwd", libc::EACCES)] {
                let result = raw::vfork_exec(how, libc::AT_FDCWD, path, &[Arg::END]);
                assert_eq!(result.unwrap().err(), Some(Errno(errno)));
            }
        }
    }

    #[test]
    fn a_list_of_arguments_without_end_is_refused() {
        let result = raw::vfork_exec(Clone::One, libc::AT_FDCWD, c"/bin/true", &[Arg::of(c"true")]);
        assert_eq!(result.err(), Some(Errno(libc::EINVAL)));
    }

    /// There is one child of a process at a time.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

    #[test]
    fn a_directory_that_is_no_cgroup_is_done_without() {
        let _one = ONE.lock();
        let root = raw::open(libc::AT_FDCWD, c"/", libc::O_PATH).unwrap();
        let exe = raw::open(libc::AT_FDCWD, c"/bin/true", libc::O_RDONLY).unwrap();
        let spawned = child(exe.as_raw(), 0, 0, Some(root.as_raw()), || None).unwrap();
        assert!(!spawned.into_cgroup);
        assert_eq!(raw::wait(spawned.pid), Ok(0));
        assert_eq!(failure(), None);
    }

    #[test]
    fn a_child_that_could_not_execute_its_file_is_told_of_whether_it_was_waited_for_or_not() {
        let _one = ONE.lock();
        let exe = raw::open(libc::AT_FDCWD, c"/etc/passwd", libc::O_RDONLY).unwrap();
        for flags in [0, libc::CLONE_VFORK as u64] {
            let spawned = child(exe.as_raw(), 0, flags, None, || None).unwrap();
            assert_eq!(raw::wait(spawned.pid), Ok(127 << 8));
            assert_eq!(failure(), Some(Error::system("execveat", b"own executable", Errno(libc::EACCES))));
        }
    }
}
