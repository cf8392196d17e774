//! Processes without a copy of the address space, on x86_64.

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
    let mut result = nr;
    // SAFETY: the parent comes back with all registers but rax, rcx and r11 as they were (the kernel's
    // syscall convention); the child never leaves the block. Memory is not promised untouched, so
    // `exec.failed` is read anew.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov edi, dword ptr [r12 + {dirfd}]",
            "mov rsi, qword ptr [r12 + {path}]",
            "mov rdx, qword ptr [r12 + {argv}]",
            "mov r10, qword ptr [r12 + {envp}]",
            "mov r8d, dword ptr [r12 + {flags}]",
            "mov eax, {execveat}",
            "syscall",
            "mov dword ptr [r12 + {failed}], eax",
            "mov edi, 127",
            "mov eax, {exit_group}",
            "syscall",
            "ud2",
            "2:",
            dirfd = const offset_of!(Exec, dirfd),
            path = const offset_of!(Exec, path),
            argv = const offset_of!(Exec, argv),
            envp = const offset_of!(Exec, envp),
            flags = const offset_of!(Exec, flags),
            failed = const offset_of!(Exec, failed),
            execveat = const sc::nr::EXECVEAT,
            exit_group = const sc::nr::EXIT_GROUP,
            inlateout("rax") result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r12") exec,
            lateout("rcx") _,
            lateout("r11") _,
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
    let mut result = sc::nr::CLONE;
    // SAFETY: who comes back has all registers but rax, rcx and r11 as they were (the kernel's syscall convention), and is the only user of
    // the stack: the other has none of its instructions left but the two that end it. Memory is not promised untouched: `tid` is read anew.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jle 2f",
            "xor edi, edi",
            "mov eax, {exit_group}",
            "syscall",
            "ud2",
            "2:",
            exit_group = const sc::nr::EXIT_GROUP,
            inlateout("rax") result,
            in("rdi") flags,
            in("rsi") 0,
            in("rdx") tid,
            in("r10") 0,
            in("r8") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}
