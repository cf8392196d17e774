//! The crate's only unsafe code, with `arch`: one kernel call per function, no policy, no message.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, size_of, size_of_val};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use sc::syscall;

use crate::arch;

/// A descriptor that someone else owns.
pub type RawFd = i32;
type Result<T> = core::result::Result<T, Errno>;

/// An error number of the kernel, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// The kernel answers -4095 to -1 for an error.
fn check(result: usize) -> Result<usize> {
    let signed = result as isize;
    if (-4095..0).contains(&signed) { Err(Errno(-signed as i32)) } else { Ok(result) }
}

/// A descriptor that is closed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Fd(RawFd);

impl Fd {
    /// The number, still owned here.
    pub fn as_raw(&self) -> RawFd {
        self.0
    }

    /// The number, owned by the caller from now on.
    pub fn into_raw(self) -> RawFd {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: close(2) takes a number; this value is its only owner.
        let _ = unsafe { syscall!(CLOSE, self.0) };
    }
}

/// Most descriptors in one message (the kernel's own bound, SCM_MAX_FD, is 253).
pub const FDS: usize = 64;

/// Descriptors that came with a message; closed when dropped, unless taken.
#[derive(Debug)]
pub struct Fds {
    fds: [Option<Fd>; FDS],
    len: usize,
}

impl Default for Fds {
    fn default() -> Self {
        Self { fds: [const { None }; FDS], len: 0 }
    }
}

impl Fds {
    /// How many came, taken or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of the one at `index`, if it came and was not taken.
    pub fn get(&self, index: usize) -> Option<RawFd> {
        self.fds.get(index)?.as_ref().map(Fd::as_raw)
    }

    /// Takes the one at `index` out.
    pub fn take(&mut self, index: usize) -> Option<Fd> {
        self.fds.get_mut(index)?.take()
    }

    fn push(&mut self, fd: Fd) {
        if let Some(place) = self.fds.get_mut(self.len) {
            *place = Some(fd);
            self.len += 1;
        }
    }
}

/// `struct iovec`.
#[repr(C)]
struct IoVec {
    base: *mut u8,
    len: usize,
}

/// `struct msghdr` as the kernel has it: both lengths are `size_t` (musl's are not).
#[repr(C)]
struct MsgHdr {
    name: *const u8,
    name_len: u32,
    iov: *const IoVec,
    iov_len: usize,
    control: *mut Control,
    control_len: usize,
    flags: u32,
}

/// One `struct cmsghdr` with room for its descriptors; CMSG_DATA lies right behind the header.
#[repr(C)]
struct Control {
    len: usize,
    level: i32,
    kind: i32,
    fds: [RawFd; FDS],
}

/// Bytes of `cmsghdr` without data.
const CONTROL_HEADER: usize = size_of::<Control>() - FDS * size_of::<RawFd>();

/// sendmsg(2) with MSG_NOSIGNAL; `fds` go along with the first byte.
pub fn sendmsg(socket: RawFd, bytes: &[u8], fds: &[RawFd]) -> Result<usize> {
    let len = CONTROL_HEADER + size_of_val(fds);
    let mut control = Control { len, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds: [-1; FDS] };
    match control.fds.get_mut(..fds.len()) {
        Some(room) => room.iter_mut().zip(fds).for_each(|(place, &fd)| *place = fd),
        None => return Err(Errno(libc::ETOOMANYREFS)),
    }
    let iov = IoVec { base: bytes.as_ptr().cast_mut(), len: bytes.len() };
    let message = MsgHdr {
        name: ptr::null(),
        name_len: 0,
        iov: &iov,
        iov_len: 1,
        control: if fds.is_empty() { ptr::null_mut() } else { &mut control },
        control_len: if fds.is_empty() { 0 } else { len },
        flags: 0,
    };
    // SAFETY: sendmsg(2) only reads; every pointer and length above describes a live object.
    check(unsafe { syscall!(SENDMSG, socket, &raw const message, libc::MSG_NOSIGNAL) })
}

/// recvmsg(2); descriptors arrive close-on-exec. More of them than there is room for (MSG_CTRUNC; none where
/// `fds` is not given) are closed by the kernel, and an error: EBADMSG.
pub fn recvmsg(socket: RawFd, bytes: &mut [u8], fds: Option<&mut Fds>) -> Result<usize> {
    let mut control = Control { len: 0, level: 0, kind: 0, fds: [-1; FDS] };
    let iov = IoVec { base: bytes.as_mut_ptr(), len: bytes.len() };
    let mut message = MsgHdr {
        name: ptr::null(),
        name_len: 0,
        iov: &iov,
        iov_len: 1,
        control: if fds.is_some() { &mut control } else { ptr::null_mut() },
        control_len: if fds.is_some() { size_of::<Control>() } else { 0 },
        flags: 0,
    };
    // SAFETY: recvmsg(2) writes at most the stated lengths into objects that are ours alone here.
    let len = check(unsafe { syscall!(RECVMSG, socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    if let Some(fds) = fds {
        let rights = message.control_len >= CONTROL_HEADER
            && (control.level, control.kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        let count = if rights { control.len.saturating_sub(CONTROL_HEADER) / size_of::<RawFd>() } else { 0 };
        // The kernel made these descriptors for us: from here on they have an owner.
        control.fds.iter().take(count).for_each(|&fd| fds.push(Fd(fd)));
    }
    if message.flags & libc::MSG_CTRUNC as u32 != 0 { Err(Errno(libc::EBADMSG)) } else { Ok(len) }
}

/// openat(2), O_CLOEXEC always.
pub fn open(dir: RawFd, path: &CStr, flags: i32) -> Result<Fd> {
    // SAFETY: `path` ends with a NUL; without O_CREAT there is no fourth argument.
    check(unsafe { syscall!(OPENAT, dir, path.as_ptr(), flags | libc::O_CLOEXEC, 0) })
        .map(|fd| Fd(fd as RawFd))
}

/// write(2).
pub fn write(fd: &Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads `bytes.len()` bytes.
    check(unsafe { syscall!(WRITE, fd.0, bytes.as_ptr(), bytes.len()) })
}

/// read(2).
pub fn read(fd: &Fd, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `bytes.len()` bytes into a buffer that is ours.
    check(unsafe { syscall!(READ, fd.0, bytes.as_mut_ptr(), bytes.len()) })
}

/// pipe2(2) with O_CLOEXEC: the end to read, the end to write.
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the kernel writes two ints.
    check(unsafe { syscall!(PIPE2, ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [output, input] = ends;
    Ok((Fd(output), Fd(input)))
}

/// fcntl(2) F_SETFD FD_CLOEXEC.
pub fn set_cloexec(fd: RawFd) -> Result<()> {
    // SAFETY: numbers only.
    check(unsafe { syscall!(FCNTL, fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// setns(2): `fd` is a namespace or a pidfd (Linux 5.8).
pub fn setns(fd: RawFd, flags: u32) -> Result<()> {
    // SAFETY: numbers only; no thread shares what changes.
    check(unsafe { syscall!(SETNS, fd, flags) }).map(drop)
}

/// unshare(2).
pub fn unshare(flags: u32) -> Result<()> {
    // SAFETY: numbers only; no thread shares what changes.
    check(unsafe { syscall!(UNSHARE, flags) }).map(drop)
}

/// ioctl_ns(2) NS_GET_NSTYPE (Linux 4.11): the CLONE_NEW* flag of the namespace. ENOTTY: it is none.
pub fn namespace_type(fd: RawFd) -> Result<u32> {
    // SAFETY: this request takes no argument.
    check(unsafe { syscall!(IOCTL, fd, libc::NS_GET_NSTYPE, 0) }).map(|flag| flag as u32)
}

/// PR_SET_NAME(2const): the kernel keeps the first 15 bytes.
pub fn set_name(name: &CStr) {
    // SAFETY: a string with its NUL; the kernel stops there.
    let _ = unsafe { syscall!(PRCTL, libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// PR_SET_DUMPABLE(2const).
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    // SAFETY: numbers only.
    check(unsafe { syscall!(PRCTL, libc::PR_SET_DUMPABLE, usize::from(dumpable), 0, 0, 0) }).map(drop)
}

/// setgroups(2) with an empty list.
pub fn clear_groups() -> Result<()> {
    // SAFETY: a length of zero, so the null pointer is not read.
    check(unsafe { syscall!(SETGROUPS, 0, 0) }).map(drop)
}

/// setresgid(2), all three.
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: numbers only.
    check(unsafe { syscall!(SETRESGID, gid, gid, gid) }).map(drop)
}

/// setresuid(2), all three.
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: numbers only.
    check(unsafe { syscall!(SETRESUID, uid, uid, uid) }).map(drop)
}

/// geteuid(2).
pub fn euid() -> u32 {
    // SAFETY: no argument, cannot fail.
    unsafe { syscall!(GETEUID) as u32 }
}

/// getegid(2).
pub fn egid() -> u32 {
    // SAFETY: no argument, cannot fail.
    unsafe { syscall!(GETEGID) as u32 }
}

/// wait4(2) for one process: its status word.
pub fn wait(pid: i32) -> Result<i32> {
    let mut status = 0i32;
    // SAFETY: the kernel writes one int.
    check(unsafe { syscall!(WAIT4, pid, &raw mut status, 0, 0) }).map(|_| status)
}

/// exit_group(2).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not come back.
        unsafe { syscall!(EXIT_GROUP, status) };
    }
}

/// clone(2) as fork(2) with CLONE_PARENT: returns twice, `None` in the new process, which is the caller's
/// *sibling*.
pub fn fork_sibling() -> Result<Option<i32>> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the new process has its own copy of everything, stack included, so returning
    // twice is fork(2)'s contract. The program has one thread, so that no lock is held by one that is not
    // there any more.
    let pid = check(unsafe { syscall!(CLONE, flags, 0, 0, 0, 0) })?;
    Ok(if pid == 0 { None } else { Some(pid as i32) })
}

/// fork(2), for tests.
#[cfg(test)]
pub fn fork() -> Result<Option<i32>> {
    // SAFETY: as above; the new process calls nothing that takes a lock.
    let pid = check(unsafe { syscall!(CLONE, libc::SIGCHLD, 0, 0, 0, 0) })?;
    Ok(if pid == 0 { None } else { Some(pid as i32) })
}

/// kill(2) with SIGKILL, for tests.
#[cfg(test)]
pub fn kill(pid: i32) {
    // SAFETY: numbers only.
    let _ = unsafe { syscall!(KILL, pid, libc::SIGKILL) };
}

/// pidfd_open(2), for tests.
#[cfg(test)]
pub fn pidfd_open(pid: i32) -> Result<Fd> {
    // SAFETY: numbers only.
    check(unsafe { syscall!(PIDFD_OPEN, pid, 0) }).map(|fd| Fd(fd as RawFd))
}

/// What the child of [`vfork_exec`] hands to execveat(2). Read and written by `arch`.
#[repr(C)]
pub struct Exec {
    pub dirfd: RawFd,
    pub path: *const u8,
    pub argv: *const *const u8,
    pub envp: *const *const u8,
    pub flags: i32,
    /// -errno of an execveat that failed.
    pub failed: i32,
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

/// What [`vfork_exec`] started.
pub struct Started {
    pub pid: i32,
    pub pidfd: Fd,
}

/// Starts the program `path` (relative to `fd`; empty: `fd` itself) with an empty environment, in a process
/// made with CLONE_VM, CLONE_VFORK, CLONE_PIDFD (Linux 5.2) and `flags`. `Ok(Err)`: the process was made,
/// but execveat(2) failed and it was reaped.
pub fn vfork_exec(
    how: Clone,
    flags: u64,
    fd: RawFd,
    path: &CStr,
    argv: &[Arg<'_>],
) -> Result<core::result::Result<Started, Errno>> {
    if !argv.last().is_some_and(|last| last.0.is_null()) {
        return Err(Errno(libc::EINVAL));
    }
    let environment = [Arg::END];
    let mut exec = Exec {
        dirfd: fd,
        path: path.as_ptr().cast(),
        argv: argv.as_ptr().cast(),
        envp: environment.as_ptr().cast(),
        flags: libc::AT_EMPTY_PATH,
        failed: 0,
    };
    let flags = flags | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
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
    // SAFETY: `arguments`, `pidfd`, `exec` and all they point to outlive the call; the flags hold CLONE_VM
    // | CLONE_VFORK.
    let result = check(unsafe { arch::vfork_exec(number, args, &mut exec) });
    restore_signals(mask);
    let started = Started { pid: result? as i32, pidfd: Fd(pidfd) };
    if exec.failed != 0 {
        let _ = wait(started.pid);
        return Ok(Err(Errno(-exec.failed)));
    }
    Ok(Ok(started))
}

/// CLONE_INTO_CGROUP, above what libc's `c_int` holds.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

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

/// clock_gettime(2), CLOCK_TAI: nanoseconds.
pub fn tai() -> Option<u64> {
    let mut time = [0_u64; 2];
    // SAFETY: the kernel fills one `struct timespec` of two 64-bit members.
    let result = unsafe { syscall!(CLOCK_GETTIME, libc::CLOCK_TAI, time.as_mut_ptr()) };
    let [seconds, nanoseconds] = time;
    check(result).ok().map(|_| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds))
}

/// A buffer in .bss that is handed out once. Its pages cost nothing until they are written, unlike those of
/// an array in a frame, each of which the compiler's stack probe touches.
pub struct Once<const N: usize> {
    taken: AtomicBool,
    bytes: UnsafeCell<[u8; N]>,
}

// SAFETY: `take` gives the bytes to one caller only.
unsafe impl<const N: usize> Sync for Once<N> {}

impl<const N: usize> Once<N> {
    pub const fn new() -> Self {
        Self { taken: AtomicBool::new(false), bytes: UnsafeCell::new([0; N]) }
    }

    /// The buffer, the first time.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&self) -> Option<&mut [u8]> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the swap lets one caller pass, ever.
        Some(unsafe { &mut *self.bytes.get() })
    }
}
