//! The runtime and its stages under ptrace(2), call by call: any one call of any one of them can be made to fail, or be the last.
//!
//! A stage is whatever the runtime starts, until it executes a program that is not ours (execve(2); the runtime's own copy is
//! executed by execveat(2)). Calls are counted from each process's birth, processes by their births: the same place in the next run.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::bundle::Bundle;
use crate::runtime::{Output, check};

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and returns this error. (What gives something back does that all the same: close(2), munmap(2).)
    Fail(i32),
    /// Its process gets SIGKILL when it is about to begin.
    Kill,
    /// Another process gets SIGKILL, and has ended, where it can, when the call begins.
    End(i32),
}

/// Where: which process, by its birth, and which of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub process: usize,
    pub nth: usize,
}

/// A call, as it began.
#[derive(Clone, Debug)]
pub struct Call {
    pub place: Place,
    pub number: i64,
    /// The process's name: `minirunc-static`, `minirunc:[1:CHI`, `minirunc:[2:INI`.
    pub who: String,
    /// The path that it names, or the file that its descriptor is.
    pub on: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { process, nth } = self.place;
        write!(f, "{}({}) in {} (process {process}, call {nth})", name(self.number), self.on, self.who)
    }
}

/// How a command went.
#[derive(Debug)]
pub struct Ran {
    pub output: Output,
    /// All calls, when they were asked for.
    pub calls: Vec<Call>,
    /// The call that the fault befell, if it was reached.
    pub hit: Option<Call>,
    /// It had to be killed: what its processes were waiting in.
    pub hung: Option<String>,
}

struct Tracee {
    process: usize,
    calls: usize,
    last: i64,
    failing: Option<i32>,
    /// Has had the stop that every process is born with.
    born: bool,
}

/// Traces from the thread that made it, which has no other children meanwhile.
#[derive(Default)]
pub struct Tracer {
    tracees: BTreeMap<i32, Tracee>,
    births: usize,
}

impl Tracer {
    /// Runs a command on the bundle's container to its end. `list`: all its calls are wanted. Stages that outlive it stay traced,
    /// and count anew with the next command, until [`Tracer::release`].
    pub fn run(
        &mut self,
        bundle: &Bundle,
        mut command: Command,
        fault: Option<(Place, Fault)>,
        list: bool,
        patience: Duration,
    ) -> Ran {
        // SAFETY: one system call.
        unsafe { command.pre_exec(|| check(libc::ptrace(libc::PTRACE_TRACEME) as i32)) };
        let running = bundle.start(command);
        let pid = running.pid();
        // The command is process 0; those that an earlier one left come next.
        for (nth, tracee) in self.tracees.values_mut().enumerate() {
            (tracee.calls, tracee.process) = (0, nth + 1);
        }
        self.births = self.tracees.len() + 1;
        self.tracees.insert(pid, Tracee::new(0));
        let (done, ended) = mpsc::channel::<()>();
        let watch = std::thread::spawn(move || match ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => Some(end_session(pid)),
            _ => None,
        });
        let mut log = Log { calls: vec![], hit: None, fault, list, over: false };
        let status = self.follow(pid, &mut log);
        let _ = done.send(());
        let hung = watch.join().expect("watch");
        Ran { output: running.ended(ExitStatus::from_raw(status)), calls: log.calls, hit: log.hit, hung }
    }

    /// Until process `pid` has ended: its status.
    fn follow(&mut self, pid: i32, log: &mut Log) -> i32 {
        loop {
            let mut status = 0;
            // SAFETY: the kernel writes one int. Only what this thread made or traces is waited for.
            let who = unsafe { libc::waitpid(-1, &mut status, libc::__WALL | libc::__WNOTHREAD) };
            assert!(who > 0, "waitpid: {}", io::Error::last_os_error());
            if !libc::WIFSTOPPED(status) {
                self.tracees.remove(&who);
                if who == pid {
                    return status;
                }
                continue;
            }
            self.stopped(who, status, log);
        }
    }

    /// Lets all that are left go on alone.
    pub fn release(&mut self) {
        for &pid in self.tracees.keys() {
            // SAFETY (here and below): our own tracees, which are there until they have been waited for.
            unsafe { libc::kill(pid, libc::SIGSTOP) };
        }
        for (pid, tracee) in std::mem::take(&mut self.tracees) {
            let mut status = 0;
            // SAFETY: the kernel writes one int.
            if unsafe { libc::waitpid(pid, &mut status, libc::__WALL) } != pid || !libc::WIFSTOPPED(status) {
                continue;
            }
            if let Some(errno) = tracee.failing {
                registers::set_result(pid, -i64::from(errno));
            }
            let signal = libc::WSTOPSIG(status);
            detach(pid, if signal & !0x80 == libc::SIGTRAP || signal == libc::SIGSTOP { 0 } else { signal });
            // Takes a SIGSTOP back that was not what it stopped for.
            // SAFETY: as above.
            unsafe { libc::kill(pid, libc::SIGCONT) };
        }
    }

    fn stopped(&mut self, pid: i32, status: i32, log: &mut Log) {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let tracee = self.known(pid);
        let mut deliver = 0;
        match (signal, event) {
            (SYSCALL, 0) => tracee.call(pid, log),
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) if tracee.last == libc::SYS_execve => {
                self.tracees.remove(&pid);
                return detach(pid, 0);
            }
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => {}
            (libc::SIGTRAP, 1..) => {
                let mut child: libc::c_ulong = 0;
                // SAFETY: the kernel writes one long.
                unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0usize, &mut child) };
                self.known(child as i32);
            }
            // The command's own execve(2).
            (libc::SIGTRAP, 0) if !tracee.born && tracee.process == 0 => {
                tracee.born = true;
                let options = libc::PTRACE_O_TRACESYSGOOD
                    | libc::PTRACE_O_TRACEFORK
                    | libc::PTRACE_O_TRACEVFORK
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_TRACEEXEC
                    | libc::PTRACE_O_EXITKILL;
                // SAFETY: takes numbers.
                unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0usize, options as usize) };
            }
            (libc::SIGSTOP, 0) if !tracee.born => tracee.born = true,
            (signal, _) => deliver = signal,
        }
        let tracee = self.known(pid);
        if log.over && tracee.failing.is_none() && tracee.born {
            self.tracees.remove(&pid);
            return detach(pid, deliver);
        }
        // SAFETY: takes numbers.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0usize, deliver as usize) };
    }

    /// This process, which may be new.
    fn known(&mut self, pid: i32) -> &mut Tracee {
        self.tracees.entry(pid).or_insert_with(|| {
            self.births += 1;
            Tracee::new(self.births - 1)
        })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.release();
    }
}

/// linux/ptrace.h; not in musl's.
const GET_SYSCALL_INFO: i32 = 0x420e;
const ENTRY: u8 = 1;
const EXIT: u8 = 2;

/// SIGTRAP of a system call, by PTRACE_O_TRACESYSGOOD.
const SYSCALL: i32 = libc::SIGTRAP | 0x80;

fn detach(pid: i32, signal: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0usize, signal as usize) };
}

/// What is looked for, and what has been seen.
struct Log {
    calls: Vec<Call>,
    hit: Option<Call>,
    fault: Option<(Place, Fault)>,
    list: bool,
    /// Nothing more is to be done: whoever stops is let go.
    over: bool,
}

impl Tracee {
    fn new(process: usize) -> Self {
        Self { process, calls: 0, last: -1, failing: None, born: false }
    }

    fn call(&mut self, pid: i32, log: &mut Log) {
        // struct ptrace_syscall_info: op, then (two words on) the number and the six arguments.
        let mut info = [0u64; 11];
        // SAFETY: the kernel writes no more than the size that it is told.
        if unsafe { libc::ptrace(GET_SYSCALL_INFO as _, pid, size_of_val(&info), info.as_mut_ptr()) } < 0 {
            // It has been killed meanwhile.
            return;
        }
        let [op, _, _, number, args @ ..] = info;
        match op as u8 {
            ENTRY => {
                let number = number as i64;
                let place = Place { process: self.process, nth: self.calls };
                self.calls += 1;
                self.last = number;
                let fault = log.fault.filter(|(wanted, _)| *wanted == place).map(|(_, fault)| fault);
                if !log.list && fault.is_none() {
                    return;
                }
                let call = Call { place, number, who: comm(pid), on: object(pid, number, &args) };
                match fault {
                    Some(Fault::Kill) => {
                        // SAFETY: our own tracee.
                        unsafe { libc::kill(pid, libc::SIGKILL) };
                        log.over = true;
                    }
                    Some(Fault::End(other)) => {
                        end(other);
                        log.over = true;
                    }
                    Some(Fault::Fail(errno)) => {
                        if !GIVES_BACK.contains(&number) {
                            registers::set_number(pid, -1);
                        }
                        self.failing = Some(errno);
                    }
                    None => {}
                }
                if fault.is_some() {
                    log.hit = Some(call.clone());
                }
                log.calls.push(call);
            }
            EXIT => {
                if let Some(errno) = self.failing.take() {
                    registers::set_result(pid, -i64::from(errno));
                    log.over = true;
                }
            }
            _ => {}
        }
    }
}

/// Kills a process that is not ours to wait for, and sees it end: unless what we trace is in its pid namespace, which ends before it.
fn end(pid: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    for _ in 0..100 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state.is_none_or(|state| "ZX".contains(state)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Also when they say that they failed.
const GIVES_BACK: &[i64] = &[libc::SYS_close, libc::SYS_munmap];

fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_string()
}

/// What a call is about: the path that it names, else the file that its first argument is a descriptor of.
fn object(pid: i32, number: i64, args: &[u64; 7]) -> String {
    let fd = || {
        let link = fs::read_link(format!("/proc/{pid}/fd/{}", args[0] as i32));
        link.map_or_else(|_| format!("{:x}", args[0]), |target| target.display().to_string())
    };
    match known(number) {
        Some(&(_, _, nth)) if nth < 6 => {
            let path = text(pid, args[nth]);
            if path.is_empty() { fd() } else { path }
        }
        _ => fd(),
    }
}

/// A string of a process's memory, or nothing.
fn text(pid: i32, at: u64) -> String {
    let mut bytes = [0; 128];
    let read = fs::File::open(format!("/proc/{pid}/mem")).and_then(|mut memory| {
        memory.seek(SeekFrom::Start(at))?;
        memory.read_vectored(&mut [IoSliceMut::new(&mut bytes)])
    });
    let bytes = &bytes[..read.unwrap_or(0)];
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Kills a session, and tells what its processes were waiting in.
fn end_session(session: i32) -> String {
    let mut told = String::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // SAFETY: takes a number.
        if pid != session && unsafe { libc::getsid(pid) } != session {
            continue;
        }
        let call = fs::read_to_string(entry.path().join("syscall")).unwrap_or_default();
        let number = call.split(' ').next().and_then(|number| number.trim().parse().ok()).unwrap_or(-1);
        told += &format!("{}: {}; ", comm(pid), name(number));
        // SAFETY: a process of a session that the test began.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    told
}

/// Whether this machine's registers are known.
pub const WORKS: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));

/// What of a stopped process's registers holds a call's number and its result.
mod registers {
    use std::io::IoSlice;

    #[cfg(target_arch = "x86_64")]
    const NUMBER_RESULT: (usize, usize) = (15, 10);
    #[cfg(target_arch = "riscv64")]
    const NUMBER_RESULT: (usize, usize) = (17, 10);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "riscv64")))]
    const NUMBER_RESULT: (usize, usize) = (0, 0);

    fn set(pid: i32, index: usize, value: i64) {
        let mut registers = [0u64; 64];
        let base = registers.as_mut_ptr();
        let mut space = libc::iovec { iov_base: base.cast(), iov_len: size_of_val(&registers) };
        // SAFETY: the kernel writes no more than `iov_len` bytes, tells how many, and reads as many back.
        unsafe {
            libc::ptrace(libc::PTRACE_GETREGSET, pid, libc::NT_PRSTATUS, &mut space);
            base.add(index).write(value as u64);
            libc::ptrace(libc::PTRACE_SETREGSET, pid, libc::NT_PRSTATUS, &mut space);
        }
    }

    pub fn set_number(pid: i32, number: i32) {
        if cfg!(target_arch = "aarch64") {
            const NT_ARM_SYSTEM_CALL: i32 = 0x404;
            let bytes = number.to_ne_bytes();
            let space = IoSlice::new(&bytes);
            // SAFETY: an iovec of four bytes, which are only read.
            unsafe { libc::ptrace(libc::PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &space) };
        } else {
            set(pid, NUMBER_RESULT.0, number.into());
        }
    }

    pub fn set_result(pid: i32, result: i64) {
        set(pid, NUMBER_RESULT.1, result);
    }
}

/// Of which argument is a path.
const NONE: usize = 9;

macro_rules! calls {
    ($($name:ident $($path:literal)?),* $(,)?) => {
        &[$((libc::$name, stringify!($name).split_at(4).1, [$($path,)? NONE][0])),*]
    };
}

/// Numbers, names, and which argument is a path.
static CALLS: &[(i64, &str, usize)] = calls![
    SYS_bind, SYS_bpf, SYS_brk, SYS_capget, SYS_capset, SYS_chdir 0, SYS_clone, SYS_clone3, SYS_close, SYS_close_range, SYS_connect,
    SYS_dup, SYS_dup3, SYS_execve 0, SYS_execveat 1, SYS_exit, SYS_exit_group, SYS_faccessat 1, SYS_faccessat2 1, SYS_fchdir,
    SYS_fchmod, SYS_fchmodat 1, SYS_fchown, SYS_fchownat 1, SYS_fcntl, SYS_flock, SYS_fsconfig, SYS_fsmount, SYS_fsopen 0, SYS_fstat,
    SYS_fstatfs, SYS_ftruncate, SYS_futex, SYS_getdents64, SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getpid, SYS_getppid, SYS_getrandom,
    SYS_getsockopt, SYS_gettid, SYS_getuid, SYS_ioctl, SYS_ioprio_set, SYS_keyctl, SYS_kill, SYS_linkat 1, SYS_listen, SYS_lseek,
    SYS_madvise, SYS_memfd_create 0, SYS_mkdirat 1, SYS_mknodat 1, SYS_mmap, SYS_mount 1, SYS_mount_setattr 1, SYS_move_mount 1,
    SYS_mprotect, SYS_munmap, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_newfstatat 1, SYS_open_tree 1, SYS_openat 1, SYS_openat2 1,
    SYS_personality, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_pipe2, SYS_pivot_root 0, SYS_ppoll, SYS_prctl, SYS_pread64,
    SYS_prlimit64, SYS_pwrite64, SYS_read, SYS_readlinkat 1, SYS_recvfrom, SYS_recvmsg, SYS_renameat2 1,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_setaffinity, SYS_sched_setattr, SYS_seccomp, SYS_sendfile,
    SYS_sendmsg, SYS_sendto, SYS_set_mempolicy, SYS_set_tid_address, SYS_setdomainname 0, SYS_setgid, SYS_setgroups, SYS_sethostname 0,
    SYS_setns, SYS_setpriority, SYS_setresgid, SYS_setresuid, SYS_setsid, SYS_setsockopt, SYS_setuid, SYS_signalfd4, SYS_socket,
    SYS_socketpair, SYS_statfs 0, SYS_statx 1, SYS_symlinkat 0, SYS_tgkill, SYS_umask, SYS_umount2 0, SYS_uname, SYS_unlinkat 1,
    SYS_unshare, SYS_utimensat 1, SYS_wait4, SYS_waitid, SYS_write, SYS_writev,
];

#[cfg(target_arch = "x86_64")]
static OLD: &[(i64, &str, usize)] = calls![
    SYS_access 0, SYS_arch_prctl, SYS_chmod 0, SYS_chown 0, SYS_dup2, SYS_fork, SYS_lstat 0, SYS_mkdir 0, SYS_open 0, SYS_pipe,
    SYS_poll, SYS_readlink 0, SYS_rename 0, SYS_renameat 1, SYS_rmdir 0, SYS_stat 0, SYS_symlink 0, SYS_unlink 0, SYS_vfork,
];
/// What newer architectures lack, each more than the one before.
#[cfg(target_arch = "aarch64")]
static OLD: &[(i64, &str, usize)] = calls![SYS_renameat 1];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static OLD: &[(i64, &str, usize)] = &[];

fn known(number: i64) -> Option<&'static (i64, &'static str, usize)> {
    CALLS.iter().chain(OLD).find(|(known, ..)| *known == number)
}

/// A call's name, or its number.
pub fn name(number: i64) -> String {
    known(number).map_or_else(|| format!("call {number}"), |(_, name, _)| (*name).to_string())
}
