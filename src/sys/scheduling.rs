//! When and where a process runs: sched_setattr(2), ioprio_set(2), set_mempolicy(2), personality(2).

#![allow(unsafe_code)]

use rustix::io::Errno;
use sc::syscall;

/// `struct sched_attr` of Linux 5.3; kernels before that take it as long as its end is zero.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Attributes {
    /// Set by [`set_attributes`].
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    pub util_min: u32,
    pub util_max: u32,
}

/// sched_setattr(2). None: the caller.
pub fn set_attributes(pid: Option<i32>, mut attributes: Attributes) -> Result<(), Errno> {
    let pid = pid.unwrap_or(0);
    attributes.size = size_of::<Attributes>() as u32;
    // SAFETY: the kernel reads as many bytes as `size` says.
    super::check(unsafe { syscall!(SCHED_SETATTR, pid, &raw const attributes, 0) }).map(drop)
}

/// sched_setaffinity(2) with the kernel's own bitmap, which rustix would have us fill bit by bit. None: the caller.
pub fn set_affinity(pid: Option<i32>, processors: &[u64]) -> Result<(), Errno> {
    let (pid, size) = (pid.unwrap_or(0), size_of_val(processors));
    // SAFETY: the kernel reads `size` bytes.
    super::check(unsafe { syscall!(SCHED_SETAFFINITY, pid, size, processors.as_ptr()) }).map(drop)
}

/// `IOPRIO_WHO_PROCESS` (include/uapi/linux/ioprio.h).
const WHO_PROCESS: usize = 1;
/// `IOPRIO_CLASS_SHIFT`.
const CLASS_SHIFT: u32 = 13;

/// ioprio_set(2). None: the caller.
pub fn set_io_priority(pid: Option<i32>, class: u32, priority: u32) -> Result<(), Errno> {
    let (pid, value) = (pid.unwrap_or(0), class << CLASS_SHIFT | priority);
    // SAFETY: numbers only.
    super::check(unsafe { syscall!(IOPRIO_SET, WHO_PROCESS, pid, value) }).map(drop)
}

/// set_mempolicy(2): `MPOL_*` with `MPOL_F_*`, and a bitmap of nodes.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<(), Errno> {
    // The kernel takes one bit less than it is told.
    let most = nodes.len() * u64::BITS as usize + 1;
    let (pointer, most) = if nodes.is_empty() { (core::ptr::null(), 0) } else { (nodes.as_ptr(), most) };
    // SAFETY: the kernel reads `most - 1` bits, or nothing.
    super::check(unsafe { syscall!(SET_MEMPOLICY, mode, pointer, most) }).map(drop)
}

/// personality(2).
pub fn set_personality(persona: u32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    super::check(unsafe { syscall!(PERSONALITY, persona) }).map(drop)
}

const _: () = assert!(size_of::<Attributes>() == 56); // SCHED_ATTR_SIZE_VER1
