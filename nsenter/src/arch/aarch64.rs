//! The start of a process without a copy of the address space, on aarch64.

use core::arch::asm;
use core::mem::offset_of;

use crate::raw::Exec;

/// One `clone` or `clone3` (call number `nr`, arguments `args`) whose child does nothing but the
/// execveat(2) of `exec`.
///
/// The flags hold CLONE_VM: the child has the parent's memory and, with CLONE_VFORK or without, its stack, so it must not return
/// from here nor touch the stack. That is why its whole life is in this one block: registers, `exec` (read), and `exec.failed` (written,
/// -errno) are all it uses.
///
/// # Safety
///
/// `args` are right for `nr`; `exec` and what it points to live until the child has executed it, or ended.
#[allow(unsafe_code)]
pub unsafe fn clone_exec(nr: usize, args: [usize; 5], exec: *const Exec) -> usize {
    let result: usize;
    // SAFETY: the parent comes back with all registers but x0 as they were (the kernel's syscall
    // convention); the child never leaves the block. Memory is not promised untouched, so `exec.failed` is
    // read anew.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "ldr w0, [x20, #{dirfd}]",
            "ldr x1, [x20, #{path}]",
            "ldr x2, [x20, #{argv}]",
            "ldr x3, [x20, #{envp}]",
            "ldr w4, [x20, #{flags}]",
            "mov x8, #{execveat}",
            "svc #0",
            "str w0, [x20, #{failed}]",
            "mov x0, #127",
            "mov x8, #{exit_group}",
            "svc #0",
            "brk #1",
            "2:",
            dirfd = const offset_of!(Exec, dirfd),
            path = const offset_of!(Exec, path),
            argv = const offset_of!(Exec, argv),
            envp = const offset_of!(Exec, envp),
            flags = const offset_of!(Exec, flags),
            failed = const offset_of!(Exec, failed),
            execveat = const sc::nr::EXECVEAT,
            exit_group = const sc::nr::EXIT_GROUP,
            in("x8") nr,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x20") exec,
            options(nostack),
        );
    }
    result
}
