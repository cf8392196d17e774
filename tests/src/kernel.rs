//! A lesser kernel, made of this one: a filter (seccomp(2)) in front of the runtime and all that it starts.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_JUMP, BPF_K, BPF_LD, BPF_RET, BPF_STMT, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter,
};

/// What the kernel is to lack.
#[derive(Clone, Copy, Debug)]
pub enum Lacks {
    /// A system call: ENOSYS.
    Call(i64),
    /// This system call and those with higher numbers. Since Linux 5.1 every architecture has the same ones.
    CallsFrom(i64),
    /// Of a call, any of these bits in an argument (from 0 on): EINVAL.
    Flags(i64, u32, u32),
    /// A kind of filesystem: ENODEV.
    Filesystem(&'static str),
    /// A file of this name, as it is looked for or made: this error.
    File(&'static str, i32),
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `_SEND` (linux/seccomp.h).
const NOTIF_RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

/// Calls that look for a name, and which of their arguments it is.
const LOOKS: &[(i64, usize)] = &[
    (libc::SYS_openat, 1),
    (libc::SYS_openat2, 1),
    (libc::SYS_faccessat, 1),
    (libc::SYS_faccessat2, 1),
    (libc::SYS_newfstatat, 1),
    (libc::SYS_statx, 1),
    (libc::SYS_readlinkat, 1),
    (libc::SYS_mkdirat, 1),
    (libc::SYS_statfs, 0),
    (libc::SYS_fsopen, 0),
    (libc::SYS_mount, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 0),
];

/// Puts `command` behind a filter that answers as a kernel would that lacks these.
pub fn lacking(command: &mut Command, lacks: &[Lacks]) {
    let program = program(lacks);
    let names: Vec<_> = lacks
        .iter()
        .filter_map(|lack| match *lack {
            Lacks::Filesystem(name) => Some((true, name, libc::ENODEV)),
            Lacks::File(name, errno) => Some((false, name, errno)),
            _ => None,
        })
        .collect();
    let listened = !names.is_empty();
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    if listened {
        thread::spawn(move || answer(ours, &names));
    }
    // SAFETY: system calls on memory that was made before fork. Root needs no no_new_privs, which would change what
    // the container becomes.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            let flags = if listened { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
            let done =
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
            match done {
                ..0 => Err(io::Error::last_os_error()),
                // It is closed by execve(2), so whoever answers has to have taken it.
                listener if listened => {
                    (&theirs).write_all(&(listener as i32).to_ne_bytes())?;
                    (&theirs).write_all(&libc::getpid().to_ne_bytes())?;
                    (&theirs).read_exact(&mut [0])
                }
                _ => Ok(()),
            }
        });
    }
}

/// Says of each look for a name whether the kernel has it, until nobody is left to look.
fn answer(mut socket: UnixStream, names: &[(bool, &str, i32)]) {
    let Ok(listener) = listener(&mut socket) else { return };
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY (all of this function): the structures are those of seccomp_unotify(2), and live on while the kernel fills them.
    while unsafe { libc::poll(&raw mut poll, 1, -1) } == 1 && poll.revents & libc::POLLIN != 0 {
        let mut look: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        if unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut look) } < 0 {
            continue;
        }
        let argument = LOOKS.iter().find(|(number, _)| *number == i64::from(look.data.nr));
        let name = argument.and_then(|&(_, at)| string(look.pid, look.data.args[at]).ok());
        let filesystem = [libc::SYS_fsopen, libc::SYS_mount].contains(&i64::from(look.data.nr));
        let lacks = names
            .iter()
            .find(|(of, lacked, _)| *of == filesystem && name.as_deref() == Some(lacked.as_bytes()));
        let (error, flags) = match lacks {
            Some((_, _, errno)) => (-errno, 0),
            None => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        };
        let said = libc::seccomp_notif_resp { id: look.id, val: 0, error, flags };
        // Who has been killed meanwhile needs no answer.
        unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw const said) };
    }
}

/// Ours of the descriptor that the other end tells of.
fn listener(socket: &mut UnixStream) -> io::Result<OwnedFd> {
    let mut number = || {
        let mut bytes = [0; 4];
        socket.read_exact(&mut bytes).map(|()| i32::from_ne_bytes(bytes))
    };
    let (fd, pid) = (number()?, number()?);
    // SAFETY: both calls make a descriptor that is nobody else's.
    let owned = |fd: i64| match fd {
        ..0 => Err(io::Error::last_os_error()),
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    };
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let listener = owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })?;
    socket.write_all(&[1]).map(|()| listener)
}

/// The string at an address of another process.
fn string(pid: u32, address: u64) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 256];
    let read = File::open(format!("/proc/{pid}/mem"))?.read_at(&mut bytes, address)?;
    let string = CStr::from_bytes_until_nul(&bytes[..read]).map_err(io::Error::other)?;
    Ok(string.to_bytes().to_vec())
}

fn program(lacks: &[Lacks]) -> Vec<sock_filter> {
    // SAFETY (all of this function): they only build a value.
    let load = |offset| unsafe { BPF_STMT((BPF_LD | BPF_W | BPF_ABS) as u16, offset) };
    let jump = |test, value, yes, no| unsafe { BPF_JUMP((BPF_JMP | test | BPF_K) as u16, value, yes, no) };
    let answer = |what| unsafe { BPF_STMT((BPF_RET | BPF_K) as u16, what) };
    let errno = |number: i32| answer(SECCOMP_RET_ERRNO | number as u32);
    // struct seccomp_data: the number, the architecture, the instruction pointer, six arguments of 64 bits.
    let mut program = vec![load(0)];
    for lack in lacks {
        match *lack {
            Lacks::Call(number) => {
                program.extend([jump(BPF_JEQ, number as u32, 0, 1), errno(libc::ENOSYS)]);
            }
            Lacks::CallsFrom(number) => {
                program.extend([jump(BPF_JGE, number as u32, 0, 1), errno(libc::ENOSYS)]);
            }
            Lacks::Flags(number, argument, bits) => program.extend([
                jump(BPF_JEQ, number as u32, 0, 4),
                load(16 + 8 * argument),
                jump(BPF_JSET, bits, 0, 1),
                errno(libc::EINVAL),
                load(0),
            ]),
            // What is in memory no filter sees.
            Lacks::Filesystem(_) | Lacks::File(..) => {
                program.extend(LOOKS.iter().flat_map(|&(number, _)| {
                    [jump(BPF_JEQ, number as u32, 0, 1), answer(libc::SECCOMP_RET_USER_NOTIF)]
                }))
            }
        }
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}
