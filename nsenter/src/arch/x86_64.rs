//! The start of a process without a copy of the address space, on x86_64.

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
