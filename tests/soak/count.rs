//! What there is, before and after.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use minirunc_tests::host;

/// A thing that is counted, and how many there are.
type Count = (String, u64);

pub struct Counts {
    /// Of our own making: the same after as before, or something was left.
    ours: Vec<Count>,
    /// Of the whole machine.
    machines: Vec<Count>,
}

/// Caches of what namespaces, mounts and processes are made of (slabinfo(5)), where the kernel keeps them apart.
const CACHES: [&str; 8] = [
    "mnt_cache",
    "nsproxy",
    "net_namespace",
    "pid_namespace",
    "task_struct",
    "cred_jar",
    "sock_inode_cache",
    "filp",
];

impl Counts {
    /// `state`: the state root; `prefix`: what the names of our containers begin with.
    pub fn of(state: &Path, prefix: &str) -> io::Result<Self> {
        let lines = |path: &str| fs::read_to_string(path).map(|text| text.lines().count() as u64);
        let numbers =
            |name: &fs::DirEntry| name.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        let ours = [
            ("cgroups", host::cgroup_directories(prefix).len() as u64),
            ("mounts", lines("/proc/self/mountinfo")?),
            ("network links", lines("/proc/self/net/dev")?.saturating_sub(2)),
            ("unix sockets", lines("/proc/self/net/unix")?.saturating_sub(1)),
            ("processes", fs::read_dir("/proc")?.flatten().filter(numbers).count() as u64),
            ("files in the state root", files(state)),
            ("descriptors here", fs::read_dir("/proc/self/fd")?.count() as u64),
        ];
        Ok(Self { ours: ours.map(|(name, count)| (name.to_string(), count)).into(), machines: machines() })
    }

    pub fn is_as(&self, before: &Self) -> bool {
        self.ours == before.ours
    }

    /// A table.
    pub fn beside(&self, before: &Self) -> String {
        let mut out = format!("| {:32} | before | after |\n|---|---|---|\n", "");
        for (before, after) in before.ours.iter().zip(&self.ours) {
            let _ = writeln!(out, "| {:32} | {} | {} |", after.0, before.1, after.1);
        }
        for (before, after) in before.machines.iter().zip(&self.machines) {
            let _ = writeln!(
                out,
                "| {:32} | {} | {} |",
                format!("{}, the machine's", after.0),
                before.1,
                after.1
            );
        }
        out
    }
}

/// Files and directories below.
fn files(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| 1 + if entry.path().is_dir() { files(&entry.path()) } else { 0 }).sum()
}

fn machines() -> Vec<Count> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    // Name first, the number in a column behind it.
    let mut add = |text: &str, name: &str, column: usize, shown: String| {
        let row = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(name));
        let number = row.and_then(|row| row.split_ascii_whitespace().nth(column)?.parse().ok());
        found.extend(number.map(|number| (shown, number)));
    };
    let memory = read("/proc/meminfo");
    for name in ["Slab", "SUnreclaim", "KernelStack", "Percpu"] {
        add(&memory, &format!("{name}:"), 1, format!("{name} in KB"));
    }
    // Dying ones, too: a cgroup that is removed lives on until its last page is.
    add(&read("/proc/cgroups"), "memory", 2, "memory cgroups".into());
    let slabs = read("/proc/slabinfo");
    for name in CACHES {
        add(&slabs, name, 1, format!("{name} objects"));
    }
    let files = format!("files {}", read("/proc/sys/fs/file-nr"));
    add(&files, "files", 1, "open files".into());
    found
}
