//! The seccomp filter: from what they wrote to a classic BPF program (seccomp(2)). Pure; init loads what is made here.
//!
//! `rules` reads the configuration into a list of rules for each call of each architecture, by number. `emit` makes code of it: a
//! balanced search over the numbers, in which neighbours of the same verdict are one range, with the looks at arguments at its ends.
//! libseccomp goes through its calls in a row, or by a tree over groups of four.
//!
//! What rules mean is as with runc and libseccomp, since profiles are written for them: unknown calls are passed over; a rule without
//! arguments beats those with, and the first of its kind the others; a number beyond all that the profile knows is ENOSYS.

mod emit;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::oci;
use crate::wire::json::{Node, Text};
pub use rules::Work;

/// What a profile may do with a call, and `SECCOMP_RET_*` (linux/seccomp.h).
pub const ACTIONS: &[(&str, u32)] = &[
    ("SCMP_ACT_ALLOW", ALLOW),
    ("SCMP_ACT_ERRNO", ERRNO),
    // The thread: so old profiles mean it.
    ("SCMP_ACT_KILL", KILL_THREAD),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_KILL_THREAD", KILL_THREAD),
    ("SCMP_ACT_LOG", LOG),
    ("SCMP_ACT_NOTIFY", NOTIFY),
    ("SCMP_ACT_TRACE", TRACE),
    ("SCMP_ACT_TRAP", 0x0003_0000),
];

/// How an argument may be compared.
pub const OPERATORS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// `SECCOMP_FILTER_FLAG_*`. There is one thread to filter, so nothing to synchronize.
pub const FLAGS: &[(&str, u32)] = &[
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32),
];

/// Architectures of the specification. A kernel makes calls of its own ones only, so a filter need not mention the others.
pub const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

const KILL_THREAD: u32 = 0;
const ERRNO: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const SPEC_ALLOW: u32 = 4;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: seccomp(2) answers with a descriptor.
pub const NEW_LISTENER: u32 = 8;
/// No flag for the kernel: the agent is asked about sendmsg(2), so init tells the listener's number by write(2), and the runtime
/// fetches it (pidfd_getfd(2), which takes the right to trace init: an ordinary user has it not).
pub const BY_NUMBER: u32 = 1 << 31;

/// A compiled profile.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'w> {
    /// Array of `struct sock_filter`.
    pub program: &'w [u8],
    /// For seccomp(2).
    pub flags: u32,
}

/// Compiles `linux.seccomp`. None where it says nothing, as runc has it.
pub fn compile<'w>(node: &Node<'_>, work: &'w mut Work) -> Result<Option<Filter<'w>>> {
    let mut profile = oci::Seccomp::of(node);
    profile.locate()?;
    if profile.default_action().is_empty() && profile.syscalls().is_empty() {
        return Ok(None);
    }
    let listener = work.profile.read(&profile)?;
    let flags = flags(profile.flags())? | listener;
    if listener != 0 && profile.listener_path().is_empty() {
        return Err(profile.listener_path().refuse("must be set for SCMP_ACT_NOTIFY"));
    }
    match emit::program(work) {
        Some(program) => Ok(Some(Filter { program, flags })),
        None => Err(node.refuse("more than 4096 instructions")),
    }
}

fn flags(list: &Node<'_>) -> Result<u32> {
    // Not even an empty list: runc's default. With it, a process under a filter is not slowed down by mitigations (proc(5),
    // Speculation_Store_Bypass).
    if !list.is_present() {
        return Ok(SPEC_ALLOW);
    }
    let mut flags = 0;
    for node in list.list()? {
        flags |= known(FLAGS, &node)?;
    }
    Ok(flags)
}

/// What a table has for the string of a node.
fn known(table: &[(&str, u32)], node: &Node<'_>) -> Result<u32> {
    let text = node.read::<Text<'_>>()?;
    let found = table.iter().find(|(name, _)| text == *name);
    found.map(|&(_, value)| value).ok_or_else(|| unknown(node))
}

/// The place of a node's string in a list of names.
fn place(names: &[&str], node: &Node<'_>) -> Result<usize> {
    let text = node.read::<Text<'_>>()?;
    names.iter().position(|name| text == *name).ok_or_else(|| unknown(node))
}

#[cold]
fn unknown(node: &Node<'_>) -> crate::error::Error {
    node.refuse("not known")
}
