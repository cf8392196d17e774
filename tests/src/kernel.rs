//! A lesser kernel, made of this one: a filter (seccomp(2)) in front of the runtime and all that it starts.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

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
}

/// Puts `command` behind a filter that answers as a kernel would that lacks these.
pub fn lacking(command: &mut Command, lacks: &[Lacks]) {
    let program = program(lacks);
    // SAFETY: one system call on memory that was made before fork. Root needs no no_new_privs, which would change what
    // the container becomes.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            let done = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program);
            if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
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
        }
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}
