//! Names that configurations use, and the kernel's numbers for them: one sorted table each, read by the
//! translation, the printer and `features`.

use core::fmt;

use crate::wire::json::Text;

/// `linux.namespaces[].type`, as `CLONE_NEW*` (namespaces(7)).
pub const NAMESPACES: &[(&str, u32)] = &[
    ("cgroup", libc::CLONE_NEWCGROUP as u32),
    ("ipc", libc::CLONE_NEWIPC as u32),
    ("mount", libc::CLONE_NEWNS as u32),
    ("network", libc::CLONE_NEWNET as u32),
    ("pid", libc::CLONE_NEWPID as u32),
    ("time", NEWTIME),
    ("user", libc::CLONE_NEWUSER as u32),
    ("uts", libc::CLONE_NEWUTS as u32),
];

/// `CLONE_NEWTIME` (Linux 5.6); it shares its bit with the exit signal, so only unshare and clone3 take it.
pub const NEWTIME: u32 = 0x80;

/// `linux.rootfsPropagation`, as mount(2) numbers it. The `r` forms are runc's.
pub const PROPAGATION: &[(&str, u32)] = &[
    ("private", libc::MS_PRIVATE as u32),
    ("rprivate", (libc::MS_PRIVATE | libc::MS_REC) as u32),
    ("rshared", (libc::MS_SHARED | libc::MS_REC) as u32),
    ("rslave", (libc::MS_SLAVE | libc::MS_REC) as u32),
    ("runbindable", (libc::MS_UNBINDABLE | libc::MS_REC) as u32),
    ("shared", libc::MS_SHARED as u32),
    ("slave", libc::MS_SLAVE as u32),
    ("unbindable", libc::MS_UNBINDABLE as u32),
];

/// capabilities(7), by their bits (include/uapi/linux/capability.h).
pub const CAPABILITIES: &[(&str, u32)] = &[
    ("CAP_AUDIT_CONTROL", 30),
    ("CAP_AUDIT_READ", 37),
    ("CAP_AUDIT_WRITE", 29),
    ("CAP_BLOCK_SUSPEND", 36),
    ("CAP_BPF", 39),
    ("CAP_CHECKPOINT_RESTORE", 40),
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_IPC_LOCK", 14),
    ("CAP_IPC_OWNER", 15),
    ("CAP_KILL", 5),
    ("CAP_LEASE", 28),
    ("CAP_LINUX_IMMUTABLE", 9),
    ("CAP_MAC_ADMIN", 33),
    ("CAP_MAC_OVERRIDE", 32),
    ("CAP_MKNOD", 27),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_BROADCAST", 11),
    ("CAP_NET_RAW", 13),
    ("CAP_PERFMON", 38),
    ("CAP_SETFCAP", 31),
    ("CAP_SETGID", 6),
    ("CAP_SETPCAP", 8),
    ("CAP_SETUID", 7),
    ("CAP_SYSLOG", 34),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SYS_BOOT", 22),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_NICE", 23),
    ("CAP_SYS_PACCT", 20),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_RESOURCE", 24),
    ("CAP_SYS_TIME", 25),
    ("CAP_SYS_TTY_CONFIG", 26),
    ("CAP_WAKE_ALARM", 35),
];

/// The names of a set of capabilities, one bit each.
pub struct Listed(pub u64);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (name, _) in CAPABILITIES.iter().filter(|(_, number)| self.0 >> number & 1 != 0) {
            f.write_str(before)?;
            f.write_str(name)?;
            before = ", ";
        }
        Ok(())
    }
}

/// getrlimit(2), by asm-generic/resource.h.
pub const RLIMITS: &[(&str, u32)] = &[
    ("RLIMIT_AS", 9),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_CPU", 0),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_STACK", 3),
];

/// `process.scheduler.policy` (sched(7), include/uapi/linux/sched.h).
pub const POLICIES: &[(&str, u32)] = &[
    ("SCHED_BATCH", 3),
    ("SCHED_DEADLINE", SCHED_DEADLINE),
    ("SCHED_FIFO", SCHED_FIFO),
    ("SCHED_IDLE", 5),
    ("SCHED_ISO", 4),
    ("SCHED_OTHER", 0),
    ("SCHED_RR", SCHED_RR),
];

pub const SCHED_FIFO: u32 = 1;
pub const SCHED_RR: u32 = 2;
pub const SCHED_DEADLINE: u32 = 6;

/// `process.scheduler.flags` (sched_setattr(2)).
pub const SCHEDULER_FLAGS: &[(&str, u32)] = &[
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
];

/// `process.ioPriority.class` (ioprio_set(2)).
pub const IO_CLASSES: &[(&str, u32)] =
    &[("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3), ("IOPRIO_CLASS_RT", 1)];

/// `linux.memoryPolicy.mode` (set_mempolicy(2), include/uapi/linux/mempolicy.h).
pub const MEMORY_MODES: &[(&str, u32)] = &[
    ("MPOL_BIND", 2),
    ("MPOL_DEFAULT", 0),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED", 1),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

/// `linux.memoryPolicy.flags`.
pub const MEMORY_FLAGS: &[(&str, u32)] = &[
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// `linux.personality.domain` (personality(2)).
pub const PERSONALITIES: &[(&str, u32)] = &[("LINUX", 0), ("LINUX32", 8)];

/// Kernel parameters of the ipc namespace (ipc_namespaces(7)); with them all of `fs.mqueue`.
pub const IPC_SYSCTLS: &[&[u8]] = &[
    b"kernel/msgmax",
    b"kernel/msgmnb",
    b"kernel/msgmni",
    b"kernel/sem",
    b"kernel/shm_rmid_forced",
    b"kernel/shmall",
    b"kernel/shmmax",
    b"kernel/shmmni",
];

/// signal(7) from 1 on, as x86, ARM and RISC-V number them.
const SIGNALS: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP \
                       TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

/// First and last real-time signal that the C libraries give away.
const REAL_TIME: (i32, i32) = (34, 64);

/// A signal's number: decimal, or its name with or without SIG, in any case; `RTMIN+1` and `RTMAX-1`, too.
pub fn signal(name: &[u8]) -> Option<i32> {
    if let Some(number) = crate::wire::cgroupfs::number(name) {
        return i32::try_from(number).ok().filter(|number| *number <= REAL_TIME.1);
    }
    let is = |name: &[u8], prefix: &str| {
        name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let name = if is(name, "SIG") { name.get(3..)? } else { name };
    if let Some(at) = SIGNALS.split(' ').position(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Some(at as i32 + 1);
    }
    let from = match is(name, "RTMAX") {
        true => REAL_TIME.1,
        false if is(name, "RTMIN") => REAL_TIME.0,
        false => return None,
    };
    let offset = match name.get(5..)? {
        b"" => 0,
        offset @ [b'+' | b'-', ..] => core::str::from_utf8(offset).ok()?.parse::<i32>().ok()?,
        _ => return None,
    };
    from.checked_add(offset).filter(|number| (REAL_TIME.0..=REAL_TIME.1).contains(number))
}

/// What a table has for a name.
pub fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    table.get(found).map(|&(_, value)| value)
}

/// The same for a string of a document: hardly any name is written with escapes.
pub fn find_text<T: Copy>(table: &[(&str, T)], name: &Text<'_>) -> Option<T> {
    match name.as_plain() {
        Some(plain) => find(table, plain),
        None => table.iter().find(|(known, _)| name == known).map(|&(_, value)| value),
    }
}

/// The name that a table has for a number.
pub fn name_of(table: &'static [(&'static str, u32)], number: u32) -> Option<&'static str> {
    table.iter().find(|&&(_, value)| value == number).map(|&(name, _)| name)
}

/// Whether a table is sorted by name, so that [`find`] finds. For `const` assertions.
pub const fn sorted<T>(table: &[(&str, T)]) -> bool {
    let mut i = 1;
    while i < table.len() {
        if !less(table[i - 1].0.as_bytes(), table[i].0.as_bytes()) {
            return false;
        }
        i += 1;
    }
    true
}

const fn less(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

const _: () = assert!(sorted(NAMESPACES) && sorted(PROPAGATION) && sorted(CAPABILITIES));
const _: () = assert!(sorted(RLIMITS) && sorted(POLICIES) && sorted(SCHEDULER_FLAGS) && sorted(IO_CLASSES));
const _: () = assert!(sorted(MEMORY_MODES) && sorted(MEMORY_FLAGS) && sorted(PERSONALITIES));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_its_number_leads_back() {
        let scheduling = [POLICIES, SCHEDULER_FLAGS, IO_CLASSES, MEMORY_MODES, MEMORY_FLAGS, PERSONALITIES];
        for table in [NAMESPACES, PROPAGATION, CAPABILITIES, RLIMITS].into_iter().chain(scheduling) {
            for &(name, number) in table {
                assert_eq!(find(table, name), Some(number));
                assert_eq!(name_of(table, number), Some(name), "two names for {number}");
            }
            assert_eq!(find(table, "CAP_NONE"), None);
        }
    }

    #[test]
    fn a_signal_has_a_number_a_name_and_a_longer_name() {
        for text in ["15", "TERM", "SIGTERM", "sigterm", "term"] {
            assert_eq!(signal(text.as_bytes()), Some(libc::SIGTERM), "{text}");
        }
        let known = [("HUP", 1), ("WINCH", libc::SIGWINCH), ("SYS", libc::SIGSYS), ("0", 0), ("64", 64)];
        let real_time = [("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-2", 62), ("rtmax", 64)];
        for (text, number) in known.into_iter().chain(real_time) {
            assert_eq!(signal(text.as_bytes()), Some(number), "{text}");
        }
        for text in [
            "",
            "SIG",
            "NOPE",
            "65",
            "-9",
            "TERM ",
            "RTMIN-1",
            "RTMIN+99999999999",
            "RTMAX+1",
            "RTMIN1",
            "1x",
        ] {
            assert_eq!(signal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn capabilities_and_rlimits_have_no_gap() {
        for (table, count) in [(CAPABILITIES, 41), (RLIMITS, 16)] {
            assert_eq!(table.len(), count);
            assert!((0..count as u32).all(|number| name_of(table, number).is_some()));
        }
    }
}
