//! The start of a process without a copy of the address space, on riscv64.

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
    // SAFETY: the parent comes back with all registers but a0 as they were (the kernel's syscall
    // convention; s2 is nobody's in between); the child never leaves the block. Memory is not promised
    // untouched, so `exec.failed` is read anew.
    unsafe {
        asm!(
            "ecall",
            "bnez a0, 2f",
            "lw a0, {dirfd}(s2)",
            "ld a1, {path}(s2)",
            "ld a2, {argv}(s2)",
            "ld a3, {envp}(s2)",
            "lw a4, {flags}(s2)",
            "li a7, {execveat}",
            "ecall",
            "sw a0, {failed}(s2)",
            "li a0, 127",
            "li a7, {exit_group}",
            "ecall",
            "unimp",
            "2:",
            dirfd = const offset_of!(Exec, dirfd),
            path = const offset_of!(Exec, path),
            argv = const offset_of!(Exec, argv),
            envp = const offset_of!(Exec, envp),
            flags = const offset_of!(Exec, flags),
            failed = const offset_of!(Exec, failed),
            execveat = const sc::nr::EXECVEAT,
            exit_group = const sc::nr::EXIT_GROUP,
            in("a7") nr,
            inlateout("a0") args[0] => result,
            in("a1") args[1],
            in("a2") args[2],
            in("a3") args[3],
            in("a4") args[4],
            in("s2") exec,
            options(nostack),
        );
    }
    result
}
