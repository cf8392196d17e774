//! eBPF programs for a cgroup's device controller (bpf(2)).

#![allow(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use sc::syscall;

// bpf(2) commands, program types and flags (linux/bpf.h); libc does not list them.
const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;

/// `union bpf_attr` of `BPF_PROG_LOAD` as far as the program's name. Emulations of the kernel refuse
/// a shorter one, although ours ends where older kernels did.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// `union bpf_attr` of `BPF_PROG_ATTACH`, at the same size.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    rest: [u64; 6],
}

const _: () = assert!(size_of::<Load>() == 64 && size_of::<Attach>() == 64);

/// `BPF_PROG_LOAD` of a `BPF_PROG_TYPE_CGROUP_DEVICE`. With a log, the verifier tells there why it
/// refuses (text with a NUL), which makes loading slower: only worth it after a refusal.
pub fn load_device_program(code: &[u64], log: Option<&mut [u8]>) -> Result<OwnedFd, Errno> {
    let (log_level, log_size, log_buf) = match log {
        Some(log) => (1, log.len() as u32, log.as_mut_ptr() as u64),
        None => (0, 0, 0),
    };
    let attr = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        // Only helper functions ask for a licence of their liking, and none is called.
        license: c"Apache-2.0".as_ptr() as u64,
        log_level,
        log_size,
        log_buf,
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"minirunc_device\0",
    };
    // SAFETY: code, licence and log outlive the call; the kernel reads the first two and writes at most
    // `log_size` bytes to the third.
    let fd = unsafe { syscall!(BPF, PROG_LOAD, &raw const attr, size_of::<Load>()) };
    let fd = super::check(fd)?;
    // SAFETY: the kernel just gave us this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `BPF_PROG_ATTACH` to a cgroup v2 directory, beside the programs that are there: all must allow.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<(), Errno> {
    let attr = Attach {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
        rest: [0; 6],
    };
    // SAFETY: the attribute is read only, and is of the size that is told.
    let done = unsafe { syscall!(BPF, PROG_ATTACH, &raw const attr, size_of::<Attach>()) };
    super::check(done).map(drop)
}
