//! The crate's only unsafe code, with `arch`: one kernel call per function, no policy, no message.

#![allow(unsafe_code)]

mod start;

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::{ManuallyDrop, size_of, size_of_val};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use sc::syscall;

use crate::arch;

pub use start::{Arg, Beside, Clone, Exec, exec_beside, vfork_exec};

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
pub fn write(fd: RawFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads `bytes.len()` bytes.
    check(unsafe { syscall!(WRITE, fd, bytes.as_ptr(), bytes.len()) })
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

/// Goes on as a new process, the caller's *sibling* (clone(2) with CLONE_PARENT), while the caller exits with status 0: no page table is
/// copied, because the memory changes hands. Gives the new one's pid as the caller's pid namespace has it.
pub fn pass_on() -> Result<i32> {
    /// Written before the new process runs.
    static PID: AtomicI32 = AtomicI32::new(0);
    let flags = libc::CLONE_VM | libc::CLONE_PARENT | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
    // SAFETY: the flags are those that it takes, and the place is a static.
    check(unsafe { arch::clone_over(flags as usize, PID.as_ptr()) })?;
    Ok(PID.load(Ordering::Relaxed))
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
