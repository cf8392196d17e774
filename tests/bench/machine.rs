//! The machine that the bench runs on: its cgroups, its programs, and the conditions to print with the numbers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// cgroup v1 controllers with cgroup v2 on `unified` beside them.
pub fn hybrid() -> bool {
    Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists()
}

/// A process's cgroups (`self` or a pid): one directory per v1 hierarchy, then cgroup v2's where there is one. This process's own are
/// those in which a container's belong.
pub fn cgroup_directories(process: &str) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for kind in ["cgroup", "cgroup2"] {
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let (Some(point), Some(fs_kind)) = (left.split(' ').nth(4), right.split(' ').next()) else {
                continue;
            };
            if fs_kind != kind || !point.starts_with("/sys/fs/cgroup") {
                continue;
            }
            let options: Vec<&str> = right.rsplit(' ').next().unwrap_or("").split(',').collect();
            let path = own.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let (controllers, path) = (parts.next()?, parts.next()?);
                let same = match kind {
                    "cgroup2" => controllers.is_empty(),
                    _ => !controllers.is_empty() && controllers.split(',').all(|one| options.contains(&one)),
                };
                same.then_some(path)
            });
            found.push(format!("{point}{}", path.unwrap_or("").trim_end_matches('/')));
        }
    }
    found
}

pub fn which(name: &str) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 1 != 0)
    };
    std::env::var("PATH").ok()?.split(':').map(|directory| Path::new(directory).join(name)).find(executable)
}

fn first_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    output.status.success().then_some(text)
}

pub fn print_conditions(programs: &[&str]) {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cgroups = match () {
        () if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => "cgroup v2",
        () if hybrid() => "cgroup v1 with v2 on unified (hybrid)",
        () => "cgroup v1",
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    println!("Linux {}, {cores} cores allowed, {cgroups}, load {load} at the start", kernel.trim());
    for program in programs {
        if let Some(version) = first_line(program).filter(|_| !program.ends_with("/floor")) {
            println!("  {version}");
        }
    }
}
