//! The machine that the tests run on: its cgroups, and what a run must not leave behind.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::facts::Mounts;

/// `SKIP name: reason`.
pub fn skipped(closure: &str, reason: &str) {
    let name = closure.trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    say(&format!("SKIP {name}: {reason}"));
}

/// A line past the test harness's capture.
pub fn say(line: &str) {
    // SAFETY: stdout is open for the whole run; the File is forgotten, not closed.
    let mut out = std::mem::ManuallyDrop::new(unsafe { fs::File::from_raw_fd(1) });
    let _ = out.write_all(format!("{line}\n").as_bytes());
}

/// Version of the kernel, as far as features go by it.
pub fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    let mut parts = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// How cgroups are laid out (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// One unified hierarchy.
    V2,
    /// v1 hierarchies, perhaps with an empty v2 one beside them.
    V1,
    None,
}

pub fn cgroups() -> Cgroups {
    let mounts = mounts();
    match () {
        () if mounts.find("/sys/fs/cgroup").is_some_and(|m| m.kind == "cgroup2") => Cgroups::V2,
        () if mounts.0.iter().any(|m| m.kind == "cgroup") => Cgroups::V1,
        () => Cgroups::None,
    }
}

pub fn v1() -> bool {
    cgroups() == Cgroups::V1
}

pub fn v2() -> bool {
    cgroups() == Cgroups::V2
}

/// Where a controller's hierarchy is mounted, or, under v2, the one root if it offers the controller.
pub fn controller(name: &str) -> Option<PathBuf> {
    if v2() {
        let offered = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").ok()?;
        return offered.split_whitespace().any(|c| c == name).then(|| "/sys/fs/cgroup".into());
    }
    let mounts = mounts();
    mounts.0.iter().find(|m| m.kind == "cgroup" && m.super_has(name)).map(|m| m.point.clone().into())
}

/// Every hierarchy's mount point.
pub fn hierarchies() -> Vec<PathBuf> {
    mounts().0.iter().filter(|m| m.kind.starts_with("cgroup")).map(|m| m.point.clone().into()).collect()
}

pub fn mounts() -> Mounts {
    Mounts::parse(&fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo"))
}

/// The directories of cgroups whose path has `name` in it, in all hierarchies.
pub fn cgroup_directories(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = hierarchies();
    while let Some(dir) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            if entry.file_name().to_string_lossy().contains(name) {
                found.push(entry.path());
            }
            pending.push(entry.path());
        }
    }
    found
}

/// The directory of a cgroup with `name` in one controller's hierarchy.
#[track_caller]
pub fn cgroup_of(name: &str, control: &str) -> PathBuf {
    let base = controller(control).unwrap_or_else(|| panic!("no controller {control}"));
    let found: Vec<_> = cgroup_directories(name).into_iter().filter(|d| d.starts_with(&base)).collect();
    found.first().cloned().unwrap_or_else(|| panic!("no cgroup {name} below {}", base.display()))
}

/// Who is in the cgroups with `name`, by the first hierarchy.
pub fn cgroup_pids(name: &str) -> Vec<i32> {
    let directories = cgroup_directories(name);
    let procs =
        directories.first().map(|dir| fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default());
    procs.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Live processes that belong to a container: of its runtime's session, with its id among their arguments, or with
/// their root or directory in its bundle.
pub fn processes(session: &BTreeSet<i32>, id: &str, dir: &Path) -> Vec<String> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()).filter(|&p| p != own)
        else {
            continue;
        };
        let path = entry.path();
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        // Fields after the name, which may hold anything: state, ppid, pgrp, session.
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split(' ').collect());
        if matches!(fields.first(), Some(&("Z" | "X"))) {
            continue;
        }
        let sid = fields.get(3).and_then(|s| s.parse().ok()).unwrap_or(0);
        let arguments = fs::read(path.join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let inside =
            ["root", "cwd"].iter().any(|l| fs::read_link(path.join(l)).is_ok_and(|t| t.starts_with(dir)));
        if session.contains(&sid) || arguments.contains(id) || inside {
            found.push(format!("{pid} {arguments}"));
        }
    }
    found
}

/// Repeats `check` until it gives nothing, for a moment: the kernel takes mounts and cgroups down asynchronously.
pub fn eventually_nothing<T>(check: impl Fn() -> Vec<T>) -> Vec<T> {
    let start = Instant::now();
    let patience = Duration::from_secs(if crate::runtime::emulated() { 100 } else { 10 });
    loop {
        let found = check();
        if found.is_empty() || start.elapsed() > patience {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Unmounts everything at or below `dir`; whether nothing is left there.
pub fn unmount_below(dir: &Path) -> bool {
    for _ in 0..64 {
        let points: Vec<_> =
            mounts().0.into_iter().filter(|m| Path::new(&m.point).starts_with(dir)).collect();
        let Some(last) = points.last() else { return true };
        let path = std::ffi::CString::new(last.point.replace("\\040", " ")).expect("path");
        // SAFETY: a NUL-terminated path.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
    false
}

/// Makes an overlayfs whiteout in a layer: the name is gone from those below.
pub fn whiteout(path: &Path) {
    let path = c_path(path);
    // SAFETY: a NUL-terminated path.
    assert_eq!(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR, libc::makedev(0, 0)) }, 0, "mknod");
}

/// Has a directory of a layer hide those below it, by this extended attribute of overlayfs's.
pub fn opaque(path: &Path, attribute: &str) {
    let (path, name) = (c_path(path), std::ffi::CString::new(attribute).expect("name"));
    // SAFETY: NUL-terminated strings and one byte.
    let done = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), c"y".as_ptr().cast(), 1, 0) };
    assert_eq!(done, 0, "setxattr {attribute}");
}

fn c_path(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.to_str().expect("utf-8")).expect("path")
}
