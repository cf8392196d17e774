//! Which calls may fail without failing the command, and why.

use minirunc_tests::trace::{self, Call};

/// They have no way to fail with the arguments that we give them (man pages), or do not return.
pub const CANNOT: &[&str] = &[
    "exit",
    "exit_group",
    "rt_sigreturn",
    "rt_sigaction",
    "rt_sigprocmask",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "umask",
    "arch_prctl",
    "set_tid_address",
    "brk",
    "clock_gettime",
];

/// Calls whose failure fails nothing: name, what it is about (`=`: all of that, and whose call it is), the error (empty: any), and why.
/// Besides these, any call that was interrupted (EINTR) may be made again.
const HARMLESS: &[(&str, &str, &str, &str)] = &[
    ("close", "", "", "the descriptor is closed in any case (close(2))"),
    ("munmap", "", "", "address space of ours that ends with us"),
    ("fcntl", "/dev/null", "", "at the beginning: whether it is open"),
    ("fcntl", "/stdout.", "", "the same"),
    ("fcntl", "/stderr.", "", "the same"),
    ("fcntl", "/minirunc-static", "", "whether our own file has seals: it is taken to have none"),
    ("fcntl", "memfd:", "", "the same"),
    (
        "close_range",
        "",
        "",
        "close-on-exec for what was inherited; init closes all that once more, one by one if it has to",
    ),
    ("prctl", "f", "", "PR_SET_NAME"),
    (
        "sched_setaffinity",
        "",
        "",
        "a filter around us may refuse it; the process keeps its caller's processors",
    ),
    (
        "openat",
        "/cgroup.subtree_control",
        "",
        "v2: a controller that is not handed down is told by the limit that wants it",
    ),
    ("write", "/cgroup.subtree_control", "", "the same"),
    ("clone3", "", "EPERM", "v2: a cgroup that nobody may be born in is entered from outside"),
    ("statfs", "/sys/fs/cgroup", "", "then /proc/self/mountinfo tells which hierarchies there are"),
    (
        "newfstatat",
        "/proc/self/ns/user",
        "",
        "taken for the host's: what is not allowed is then told where it is tried",
    ),
    ("fsopen", "sysfs", "EPERM", "a network namespace that is not ours: the host's is bound instead"),
    ("fsopen", "cgroup", "EPERM", "the same"),
    ("fsconfig", "anon_inode:[fscontext]", "EPERM", "the same"),
    ("fsmount", "anon_inode:[fscontext]", "EPERM", "the same"),
    (
        "fsopen",
        "proc",
        "EPERM",
        "who gets no procfs of its own (an ordinary user) writes to the one at /proc",
    ),
    ("ioctl", "/dev/null", "", "whether the caller's is a terminal: then it is none"),
    ("read", "/dev/null", "", "what is typed ends"),
    ("read", "ptmx", "EIO", "what a terminal says whose other side is closed"),
    ("read", "pipe:", "", "what a hook prints, which only its failure repeats"),
    ("setns", "anon_inode:[pidfd]", "", "all at once: then one by one"),
    ("ppoll", "", "", "whether init has ended: then it is taken to be there, and the next call on it tells"),
    ("open_tree", "/proc/self/exe", "", "then the stages run from a copy"),
    (
        "mount_setattr",
        "=/ in minirunc-static",
        "",
        "the same: no other mount is changed by the runtime itself here",
    ),
    (
        "setgroups",
        "",
        "EPERM",
        "a user namespace that denies it (CVE-2014-8989): where no groups are asked for, the caller's stay, as none can be shed",
    ),
    (
        "faccessat2",
        "",
        "EPERM",
        "younger than some filters around us: then faccessat(2), which means the same here",
    ),
    ("fstat", "/stdout.", "", "it keeps its owner"),
    ("fstat", "/stderr.", "", "the same"),
    ("fstat", "/dev/null", "", "the same"),
    ("fstat", "/dev/pts/", "", "the same"),
    ("fstat", "/proc/", "", "whether a masked path is covered already: then it is covered once more"),
    ("fchown", "/dev/pts/", "EPERM", "not ours to give (an ordinary user's): it keeps its owner"),
    ("mknodat", "", "EPERM", "a user namespace may make no nodes: the host's is bound instead"),
    ("flock", "/state/", "", "`start` lets go of the lock; it ends with it anyway"),
    ("fstatfs", "/", "", "whether the host's root is the kernel's first one: then pivot_root(2) tells"),
    ("unlinkat", "/.pid", "", "what a runtime that was killed has left of a pid file; else it is not there"),
    ("prctl", "18", "EPERM", "PR_CAPBSET_DROP of what is not in the set anyway"),
    (
        "openat",
        "/freezer.state",
        "",
        "`delete` thaws what it has killed, should it be frozen; else nothing waits for that",
    ),
    ("write", "/freezer.state", "", "the same"),
    ("openat", "/cgroup.freeze", "", "v2: the same"),
    ("write", "/cgroup.freeze", "", "the same"),
    ("wait4", "", "", "`delete` asks in case it is the parent; then it waits by the pidfd"),
];

/// What is told in other words than the call's error: name, what it is about, the words, and why.
const TOLD_OTHERWISE: &[(&str, &str, &str, &str)] = &[
    ("", "", "died without a word", "the call was the way to tell"),
    (
        "",
        "",
        "cannot start a container that has stopped",
        "init at its gate ends, and nobody was there to hear why",
    ),
    ("", "", "a bridge takes CAP_NET_ADMIN", "what EPERM means there"),
    ("recvmsg", "socket:", "ESRCH", "init has ended, and the runtime notices as it does something for it"),
    ("", "/probe", "exec /probe: ", "in the words of Go's errors, which callers look for"),
];

/// Whether it may fail so.
pub fn is_harmless(call: &Call, errno: &str) -> bool {
    let name = trace::name(call.number);
    HARMLESS.iter().any(|(known, on, only, _)| {
        let about = match on.strip_prefix('=') {
            Some(all) => format!("{} in {}", call.on, call.who) == all,
            None => call.on.contains(on),
        };
        *known == name && about && (only.is_empty() || *only == errno)
    })
}

/// Whether these are the words for it.
pub fn is_told_otherwise(call: &Call, error: &str) -> bool {
    let name = trace::name(call.number);
    let fits = |(known, on, words, _): &(&str, &str, &str, &str)| {
        name.starts_with(known) && call.on.contains(on) && error.contains(words)
    };
    TOLD_OTHERWISE.iter().any(fits)
}
