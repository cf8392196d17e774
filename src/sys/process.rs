//! What a process does to itself and to those that it starts.

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;
use sc::syscall;

/// A new process, seen from the one that made it.
pub struct Child {
    /// Its number in the maker's pid namespace.
    pub pid: i32,
    /// The same as a descriptor, close-on-exec.
    pub pidfd: OwnedFd,
}

/// clone(2) as fork(2), with a pidfd (Linux 5.2): returns twice, `None` in the new process.
pub fn fork() -> Result<Option<Child>, Errno> {
    clone(0)
}

/// [`fork`] into new namespaces, `CLONE_NEW*`.
pub fn clone(namespaces: i32) -> Result<Option<Child>, Errno> {
    let mut pidfd = -1;
    let flags = namespaces | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the new process has its own copy of everything, stack included, so returning twice is
    // fork(2)'s contract. The program has one thread, so no lock is held by one that is not there any more. The kernel
    // writes one int through the third argument (the parent's tid pointer; CLONE_PIDFD takes its place).
    let pid = super::check(unsafe { syscall!(CLONE, flags, 0, &raw mut pidfd, 0, 0) })?;
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Some(Child { pid: pid as i32, pidfd }))
}

/// argv or envp for execve(2): pointers to strings that outlive it, then a null.
pub struct Vector<'a> {
    /// All null to begin with, so that the list has an end at any time.
    pointers: &'static mut [usize],
    len: usize,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Vector<'a> {
    /// mmap(2): room for `count` strings. Their number has no bound of ours.
    pub fn new(count: usize) -> Result<Self, Errno> {
        let room =
            count.checked_add(1).and_then(|all| all.checked_mul(size_of::<usize>())).ok_or(Errno::NOMEM)?;
        let bytes = super::memory::anonymous(room)?;
        // SAFETY: any bytes are numbers. Memory is aligned for them, so that nothing is cut off in front.
        let (_, pointers, _) = unsafe { bytes.align_to_mut() };
        Ok(Self { pointers, len: 0, strings: PhantomData })
    }

    /// Adds a string. E2BIG: there is no room left.
    pub fn push(&mut self, text: &'a CStr) -> Result<(), Errno> {
        // The last one stays null.
        let last = self.pointers.len().saturating_sub(1);
        let place =
            self.pointers.get_mut(..last).and_then(|all| all.get_mut(self.len)).ok_or(Errno::TOOBIG)?;
        *place = text.as_ptr().expose_provenance();
        self.len += 1;
        Ok(())
    }

    /// Puts a string in the place of the first that is `same`; adds it where there is none.
    pub fn put(&mut self, text: &'a CStr, same: impl Fn(&CStr) -> bool) -> Result<(), Errno> {
        let at = self.iter().position(same);
        match at.and_then(|at| self.pointers.get_mut(at)) {
            Some(place) => *place = text.as_ptr().expose_provenance(),
            None => self.push(text)?,
        }
        Ok(())
    }

    /// The strings, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a, '_> {
        // SAFETY: the first `len` pointers came from strings that live for `'a`.
        self.pointers
            .iter()
            .take(self.len)
            .map(|&at| unsafe { CStr::from_ptr(core::ptr::with_exposed_provenance(at)) })
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr().cast()
    }
}

/// execve(2). Returns on failure only.
pub fn execve(path: &CStr, argv: &Vector<'_>, envp: &Vector<'_>) -> Errno {
    // SAFETY: the path ends with a NUL, both lists with a null pointer; the strings live.
    let done = unsafe { syscall!(EXECVE, path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    super::check(done).err().unwrap_or(Errno::IO)
}

/// exit_group(2).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not come back.
        unsafe { syscall!(EXIT_GROUP, status) };
    }
}

/// getcwd(2). The kernel puts `(unreachable)` in front where the directory is not below the root.
pub fn getcwd(buffer: &mut [u8]) -> Result<&CStr, Errno> {
    // SAFETY: the kernel writes at most `len` bytes.
    let len = super::check(unsafe { syscall!(GETCWD, buffer.as_mut_ptr(), buffer.len()) })?;
    buffer.get(..len).and_then(|bytes| CStr::from_bytes_with_nul(bytes).ok()).ok_or(Errno::INVAL)
}

/// close_range(2) (Linux 5.9): closes `first` to `last`, both included.
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: what is closed has no owner that will use it: the caller is about to call execve(2).
    super::check(unsafe { syscall!(CLOSE_RANGE, first, last, 0) }).map(drop)
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC (Linux 5.11): no program that is executed gets `first` or a higher one.
pub fn close_on_exec(first: u32) -> Result<(), Errno> {
    // SAFETY: nothing is closed.
    super::check(unsafe { syscall!(CLOSE_RANGE, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// close(2) of one number, for kernels without [`close_range`].
pub fn close(fd: u32) {
    // SAFETY: as for `close_range`.
    let _ = unsafe { syscall!(CLOSE, fd) };
}

/// The inode of the first user namespace (`PROC_USER_INIT_INO`, include/linux/proc_ns.h; `USER_NS_INIT_INO` of Linux 6.18).
const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;

/// Whether root is not the host's root here. No, where /proc does not tell.
pub fn is_in_user_namespace() -> bool {
    rustix::fs::stat(c"/proc/self/ns/user").is_ok_and(|namespace| namespace.st_ino != FIRST_USER_NAMESPACE)
}

/// Whether there is a /proc that shows us.
pub fn has_procfs() -> bool {
    rustix::fs::access(c"/proc/self", rustix::fs::Access::EXISTS).is_ok()
}

/// unshare(2) of the cgroup namespace: its root is the cgroup that the caller is in now.
pub fn unshare_cgroup() -> Result<(), Errno> {
    // SAFETY: numbers only.
    super::check(unsafe { syscall!(UNSHARE, libc::CLONE_NEWCGROUP) }).map(drop)
}

/// prlimit(2) on the caller, or on another process.
pub fn set_limit(pid: Option<i32>, resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = [soft, hard];
    // SAFETY: `struct rlimit64` is two 64-bit numbers, and is only read.
    let done = unsafe { syscall!(PRLIMIT64, pid.unwrap_or(0), resource, &raw const limit, 0) };
    super::check(done).map(drop)
}

/// prlimit(2), asking: soft and hard limit.
pub fn limit(pid: Option<i32>, resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = [0u64; 2];
    // SAFETY: the kernel writes one `struct rlimit64`, two 64-bit numbers.
    super::check(unsafe { syscall!(PRLIMIT64, pid.unwrap_or(0), resource, 0, &raw mut limit) })?;
    let [soft, hard] = limit;
    Ok((soft, hard))
}

/// `KEYCTL_JOIN_SESSION_KEYRING` (include/uapi/linux/keyctl.h).
const JOIN_SESSION_KEYRING: usize = 1;

/// keyctl_join_session_keyring(3): a session keyring of this name becomes ours, a new one if there is none.
pub fn join_session_keyring(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads the name up to its NUL.
    super::check(unsafe { syscall!(KEYCTL, JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_holds_as_many_as_it_was_made_for() {
        let mut vector = Vector::new(2).unwrap();
        assert_eq!(
            (vector.push(c"a"), vector.push(c"b"), vector.push(c"c")),
            (Ok(()), Ok(()), Err(Errno::TOOBIG))
        );
        assert!(vector.iter().eq([c"a", c"b"]));
        assert_eq!(vector.pointers, [vector.pointers[0], vector.pointers[1], 0]);
    }
}
