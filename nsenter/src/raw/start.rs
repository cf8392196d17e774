//! Programs in processes of their own, which have our memory until execveat(2): no page tables are copied.
//!
//! All that such a process does is one block of assembly, see `arch`. It begins with all signals blocked, since a handler would run on a
//! stack that it shares.

use core::ffi::CStr;
use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, Ordering};

use sc::syscall;

use super::{Errno, Fd, RawFd, Result, check, wait};
use crate::arch;

/// What it hands to execveat(2). Read by `arch`; atomic, because who is not waited for reads it, and tells its failure, beside us.
#[repr(C)]
pub struct Exec {
    pub dirfd: AtomicI32,
    pub path: AtomicPtr<u8>,
    pub argv: AtomicPtr<*const u8>,
    pub envp: AtomicPtr<*const u8>,
    pub flags: AtomicI32,
    /// -errno of an execveat that failed.
    pub failed: AtomicI32,
}

/// A list without strings, such as the environment.
static NOTHING: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

impl Exec {
    const fn new() -> Self {
        Self {
            dirfd: AtomicI32::new(-1),
            path: AtomicPtr::new(ptr::null_mut()),
            argv: AtomicPtr::new(ptr::null_mut()),
            envp: AtomicPtr::new(NOTHING.as_ptr().cast()),
            flags: AtomicI32::new(libc::AT_EMPTY_PATH),
            failed: AtomicI32::new(0),
        }
    }

    fn set(&self, fd: RawFd, path: &CStr, argv: *const *const u8) {
        self.dirfd.store(fd, Ordering::Relaxed);
        self.path.store(path.as_ptr().cast::<u8>().cast_mut(), Ordering::Relaxed);
        self.argv.store(argv.cast_mut(), Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }

    fn failure(&self) -> Option<Errno> {
        Some(self.failed.load(Ordering::Relaxed)).filter(|&failed| failed != 0).map(|failed| Errno(-failed))
    }
}

/// `struct clone_args` as of Linux 5.7.
#[derive(Default)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Bytes of `clone_args` in its first version (Linux 5.3), which older kernels take without E2BIG.
const CLONE_ARGS_FIRST: usize = 64;

/// CLONE_INTO_CGROUP, above what libc's `c_int` holds.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// One string of an argument list in the form of execve(2): a `char *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Arg<'a>(*const u8, PhantomData<&'a CStr>);

impl<'a> Arg<'a> {
    /// The null pointer that ends a list.
    pub const END: Self = Self(ptr::null(), PhantomData);

    pub fn of(text: &'a CStr) -> Self {
        Self(text.as_ptr().cast(), PhantomData)
    }
}

/// How a process is started.
#[derive(Clone, Copy)]
pub enum Clone {
    /// clone3(2), where given into the cgroup v2 of the descriptor (Linux 5.7).
    Three { cgroup: Option<RawFd> },
    /// clone(2), for kernels and sandboxes without clone3.
    One,
}

/// A process as it was started.
pub struct Started {
    pub pid: i32,
    pub pidfd: Fd,
}

/// Starts the program `path` (relative to `fd`) with an empty environment, and waits until it runs (CLONE_VFORK).
/// `Ok(Err)`: the process was made, but execveat(2) failed and it was reaped.
pub fn vfork_exec(
    how: Clone,
    fd: RawFd,
    path: &CStr,
    argv: &[Arg<'_>],
) -> Result<core::result::Result<Started, Errno>> {
    if !argv.last().is_some_and(|last| last.0.is_null()) {
        return Err(Errno(libc::EINVAL));
    }
    let exec = Exec::new();
    exec.set(fd, path, argv.as_ptr().cast());
    let started = start(how, libc::CLONE_VFORK as u64, &exec)?;
    Ok(match exec.failure() {
        None => Ok(started),
        Some(errno) => {
            let _ = wait(started.pid);
            Err(errno)
        }
    })
}

/// Arguments of a program that need not be waited for: they have to stay where they are until it runs, which nobody tells.
pub struct Beside {
    exec: Exec,
    argv: [AtomicPtr<u8>; 4],
    number: [AtomicU8; 12],
}

impl Beside {
    pub const fn new() -> Self {
        Self {
            exec: Exec::new(),
            argv: [const { AtomicPtr::new(ptr::null_mut()) }; 4],
            number: [const { AtomicU8::new(0) }; 12],
        }
    }

    /// Has it execute the file `fd` with two or three arguments: a name, a number's digits and perhaps one more.
    pub fn set(&'static self, fd: RawFd, name: &'static CStr, digits: &[u8], last: Option<&'static CStr>) {
        let digits = digits.iter().copied().chain(core::iter::once(0));
        self.number.iter().zip(digits).for_each(|(place, digit)| place.store(digit, Ordering::Relaxed));
        let number = self.number.as_ptr().cast::<u8>();
        let strings = [name.as_ptr().cast(), number, last.map_or(ptr::null(), |last| last.as_ptr().cast())];
        let places = self.argv.iter().zip(strings);
        places.for_each(|(place, string)| place.store(string.cast_mut(), Ordering::Relaxed));
        self.exec.set(fd, c"", self.argv.as_ptr().cast());
    }

    /// Why the last one that was started could not execute its file. None as long as that is not known.
    pub fn failure(&self) -> Option<Errno> {
        self.exec.failure()
    }
}

/// Starts what was set, in a process that goes on beside us, or, with CLONE_VFORK among the `flags`, runs by the time we go on.
pub fn exec_beside(how: Clone, flags: u64, program: &'static Beside) -> Result<Started> {
    start(how, flags, &program.exec)
}

/// One process, made with CLONE_VM, CLONE_PIDFD (Linux 5.2) and `flags`. Without CLONE_VFORK `exec` and all that it points to are
/// there for good.
fn start(how: Clone, flags: u64, exec: &Exec) -> Result<Started> {
    let flags = flags | (libc::CLONE_VM | libc::CLONE_PIDFD) as u64;
    let mut pidfd: RawFd = -1;
    let cgroup = if let Clone::Three { cgroup } = how { cgroup } else { None };
    let into_cgroup = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let arguments = CloneArgs {
        flags: flags | into_cgroup,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.unwrap_or(0) as u64,
        ..CloneArgs::default()
    };
    let size = if cgroup.is_some() { size_of::<CloneArgs>() } else { CLONE_ARGS_FIRST };
    let (number, args) = match how {
        Clone::Three { .. } => (sc::nr::CLONE3, [(&raw const arguments) as usize, size, 0, 0, 0]),
        Clone::One => {
            (sc::nr::CLONE, [flags as usize | libc::SIGCHLD as usize, 0, (&raw mut pidfd) as usize, 0, 0])
        }
    };
    let mask = block_signals();
    // SAFETY: `arguments` and `pidfd` outlive the call; `exec` and all that it points to outlive the process's use of them, because the
    // call waits for that (`vfork_exec`) or because they are static (`exec_beside`); the flags hold CLONE_VM.
    let result = check(unsafe { arch::clone_exec(number, args, exec) });
    restore_signals(mask);
    Ok(Started { pid: result? as i32, pidfd: Fd(pidfd) })
}

/// rt_sigprocmask(2): blocks all signals, gives the mask that was.
fn block_signals() -> u64 {
    let (all, mut before) = (!0u64, 0u64);
    // SAFETY: the kernel's sigset has eight bytes; one is read, one written.
    let _ = unsafe {
        syscall!(RT_SIGPROCMASK, libc::SIG_SETMASK, &raw const all, &raw mut before, size_of::<u64>())
    };
    before
}

/// rt_sigprocmask(2): the mask of before.
fn restore_signals(mask: u64) {
    // SAFETY: the kernel's sigset has eight bytes, read only.
    let _ = unsafe { syscall!(RT_SIGPROCMASK, libc::SIG_SETMASK, &raw const mask, 0, size_of::<u64>()) };
}
