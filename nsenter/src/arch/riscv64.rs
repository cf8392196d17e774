//! Processes without a copy of the address space, on riscv64.

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

/// clone(2) with `flags`, CLONE_PARENT_SETTID at `tid` and no new stack, whose caller ends: who comes back is the new process (0), or the
/// caller when there is none (-errno).
///
/// The flags hold CLONE_VM: memory and stack are handed over, page tables and all. So the caller must not touch either any more, which is
/// why its end, exit_group(2) with status 0, is in this one block.
///
/// # Safety
///
/// `flags` hold CLONE_VM, neither CLONE_VFORK nor what takes further arguments; `tid` is there for good.
#[allow(unsafe_code)]
pub unsafe fn clone_over(flags: usize, tid: *mut i32) -> usize {
    let result: usize;
    // SAFETY: who comes back has all registers but a0 as they were (the kernel's syscall convention), and is the only user of the stack:
    // the other has none of its instructions left but those that end it. Memory is not promised untouched: `tid` is read anew.
    unsafe {
        asm!(
            "ecall",
            "blez a0, 2f",
            "li a0, 0",
            "li a7, {exit_group}",
            "ecall",
            "unimp",
            "2:",
            exit_group = const sc::nr::EXIT_GROUP,
            in("a7") sc::nr::CLONE,
            inlateout("a0") flags => result,
            in("a1") 0,
            in("a2") tid,
            in("a3") 0,
            in("a4") 0,
            options(nostack),
        );
    }
    result
}
