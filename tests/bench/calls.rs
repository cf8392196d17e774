//! System calls of one `run`, counted by strace for each process up to the container's own program; and what each kind of ours is
//! for.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::Options;
use crate::contender::{self, Contender};
use crate::machine;
use crate::measure::brief;
use crate::report::Report;

/// Why we make a call at all, in `runc spec`'s container.
const WHY: &[(&str, &str)] = &[
    ("execve", "the program itself, and the container's"),
    ("execveat", "the stages' own address space, small, from a file that no container can reach"),
    ("arch_prctl", "musl's start-up: the thread pointer"),
    ("set_tid_address", "musl's start-up"),
    ("brk", "musl's start-up"),
    ("poll", "musl's start-up; waiting for signals and terminals"),
    ("fcntl", "close-on-exec of the socket that the child inherits; descriptors 0 to 2 are open"),
    ("open", "cgroup files"),
    ("openat", "config.json, cgroup files, the state directory"),
    ("openat2", "every path of the container, resolved inside its root"),
    ("read", "config.json; what was read of the host"),
    ("pread64", "files of ours"),
    ("readlink", "absolute paths of relative ones"),
    ("readlinkat", "absolute paths; the terminal's and the procfs's own place"),
    ("fstat", "sizes; who a file belongs to"),
    ("newfstatat", "is the program there; is it a directory"),
    ("statx", "is a mount what it should be"),
    ("fstatfs", "is this procfs"),
    ("statfs", "is this cgroup v2"),
    ("mmap", "memory for config.json and plan, which costs only what is touched"),
    ("munmap", "memory given back"),
    ("close", "descriptors that must not be in init, or are many"),
    ("close_range", "nothing of ours or of the caller's stays open"),
    ("mkdirat", "state, cgroups, mount points, devices' directories"),
    ("mkdir", "state, cgroups"),
    ("write", "cgroup settings, the state"),
    ("pwrite64", "the state"),
    ("writev", "the state"),
    ("renameat", "the state is there whole or not at all"),
    ("renameat2", "the state is there whole or not at all"),
    ("rename", "the state is there whole or not at all"),
    ("unlinkat", "state and cgroups removed"),
    ("unlink", "state removed"),
    ("rmdir", "cgroups removed"),
    ("getdents64", "cgroups below the container's are looked for"),
    ("flock", "one command at a time changes a container"),
    ("socketpair", "the stages' channel"),
    ("socket", "netlink: lo is set up"),
    ("sendmsg", "what is to be done, and what was"),
    ("recvmsg", "what is to be done, and what was"),
    ("sendto", "netlink: lo is set up"),
    ("recvfrom", "netlink: was it"),
    ("ioctl", "lo is set up; terminals"),
    ("clone3", "the child"),
    ("clone", "init"),
    ("fork", "helpers with an address space of their own"),
    ("vfork", "helpers"),
    ("unshare", "namespaces"),
    ("setns", "namespaces joined"),
    ("rt_sigprocmask", "no signal between clone and execve; signals come by descriptor"),
    ("rt_sigaction", "the program starts with every signal at its default"),
    ("signalfd4", "signals come by descriptor"),
    ("prctl", "not dumpable, capabilities, no_new_privs, names, subreaper"),
    ("capget", "which capabilities are ours to give"),
    ("capset", "capabilities"),
    ("getuid", "root or not"),
    ("geteuid", "root or not"),
    ("getpid", "names, and who is asked"),
    ("gettid", "who is asked"),
    ("setsid", "no terminal of the caller's"),
    ("setgid", "the process's group"),
    ("setuid", "the process's user"),
    ("setresgid", "the process's group"),
    ("setresuid", "the process's user"),
    ("setgroups", "the process's groups"),
    ("keyctl", "a session keyring of its own"),
    ("sethostname", "hostname"),
    ("setdomainname", "domain name"),
    ("sched_setaffinity", "all processors of the cpuset"),
    ("sched_getaffinity", "which processors there are"),
    ("getcpu", "which processor to leave to the runtime"),
    ("umask", "modes as they are written"),
    ("fchdir", "into the root without a path"),
    ("chdir", "into the working directory"),
    ("getcwd", "is the working directory inside (CVE-2024-21626)"),
    ("mount", "propagation; file systems whose options are many"),
    ("umount2", "the old root goes"),
    ("fsopen", "a file system, detached"),
    ("fsconfig", "its options"),
    ("fsmount", "its mount, detached, with its flags at once"),
    ("open_tree", "a bind, detached"),
    ("mount_setattr", "its flags"),
    ("move_mount", "onto a descriptor, so that no path is resolved twice"),
    ("pivot_root", "the root"),
    ("mknodat", "devices"),
    ("mknod", "devices"),
    ("symlinkat", "/dev/fd and the like"),
    ("fchmod", "modes that a mask has cut"),
    ("fchmodat", "modes that a mask has cut"),
    ("fchown", "a terminal's owner"),
    ("fchownat", "owners"),
    ("faccessat", "is there a file, is there cgroup v2"),
    ("faccessat2", "may the program be executed"),
    ("access", "is there a file"),
    ("prlimit64", "limits"),
    ("setrlimit", "limits"),
    ("pidfd_open", "a process, for good"),
    ("pidfd_send_signal", "signals that hit nobody else"),
    ("wait4", "children are reaped"),
    ("waitid", "children are reaped"),
    ("clock_gettime", "when it was made, for the state"),
    ("bpf", "device rules on cgroup v2"),
    ("memfd_create", "where no mount can be made: the copy that the stages run"),
    ("seccomp", "the filter"),
    ("personality", "linux.personality"),
    ("sysinfo", "the machine's memory"),
    ("uname", "the kernel's age"),
    ("dup", "descriptors"),
    ("dup3", "descriptors"),
    ("exit_group", "the end"),
    ("exit", "the end of a stage"),
    ("pipe2", "the stages' order"),
    ("readv", "files of ours"),
    ("ppoll", "waiting"),
    ("futex", "-"),
];

/// Counts by process, in the order in which they come; a process's counting ends with the container's program.
fn counted(log: &str) -> Vec<BTreeMap<String, usize>> {
    let (mut order, mut counts, mut inside) = (Vec::new(), Vec::<BTreeMap<String, usize>>::new(), Vec::new());
    for line in log.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let name: String = call.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // Signals, ends, and the second halves of calls.
        if !call[name.len()..].starts_with('(') || name.is_empty() || inside.contains(&pid) {
            continue;
        }
        let nth = order.iter().position(|known| *known == pid).unwrap_or_else(|| {
            order.push(pid);
            counts.push(BTreeMap::new());
            order.len() - 1
        });
        *counts[nth].entry(name).or_default() += 1;
        if call.starts_with("execve(\"/bin/true\"") {
            inside.push(pid);
        }
    }
    counts
}

fn of(options: &Options, one: &Contender) -> Result<Vec<BTreeMap<String, usize>>, String> {
    let log = options.bundle.join("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&log).args(&one.command);
    one.surround(&mut command);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("strace: {error}"))?;
    let text = std::fs::read_to_string(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let _ = std::fs::remove_file(&log);
    if !output.status.success() {
        return Err(brief(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(counted(&text))
}

pub fn all(options: &Options, report: &mut Report) {
    let about = "strace -f of one `run`, until the container's program begins. Threads count as processes.";
    report.section("System calls", about);
    if machine::which("strace").is_none() {
        report.say("strace is not on this machine: left out");
        return;
    }
    let (mut rows, mut ours, mut data) = (Vec::new(), Vec::new(), serde_json::Map::new());
    for one in contender::all(options) {
        match of(options, &one) {
            Ok(counts) => {
                let sum = |count: &BTreeMap<String, usize>| count.values().sum::<usize>();
                let each: Vec<_> = counts.iter().map(|count| sum(count).to_string()).collect();
                let all: usize = counts.iter().map(sum).sum();
                rows.push(vec![
                    one.name.clone(),
                    all.to_string(),
                    counts.len().to_string(),
                    each.join(" + "),
                ]);
                data.insert(one.name.clone(), json!(counts));
                if one.name == "minirunc-static" {
                    ours = counts;
                }
            }
            Err(reason) => report.say(&format!("{}: {reason}", one.name)),
        }
    }
    report.table(&["", "calls", "processes", "by process"], &rows);
    report.data("calls", serde_json::Value::Object(data));
    let mut kinds: Vec<&String> = ours.iter().flat_map(BTreeMap::keys).collect();
    let total = |kind: &String| ours.iter().filter_map(|count| count.get(kind)).sum::<usize>();
    kinds.sort_by_key(|kind| (std::cmp::Reverse(total(kind)), *kind));
    kinds.dedup();
    let mut rows = Vec::new();
    for kind in kinds {
        let why = WHY.iter().find(|known| known.0 == kind).map_or("not accounted for", |known| known.1);
        let mut row = vec![kind.clone()];
        row.extend(
            (0..2).map(|nth| {
                ours.get(nth).and_then(|count| count.get(kind)).map_or("-".into(), usize::to_string)
            }),
        );
        row.push(why.into());
        rows.push(row);
    }
    if !rows.is_empty() {
        report.say("Ours, by kind:");
        report.table(&["", "runtime", "child, init", "what for"], &rows);
    }
}
