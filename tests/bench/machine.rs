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

fn first_line(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    output.status.success().then_some(text)
}

fn file(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The conditions that bend such figures, by name.
pub fn conditions(programs: &[PathBuf]) -> Vec<[String; 2]> {
    let cgroups = match () {
        () if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => "v2",
        () if hybrid() => "v1, with v2 on unified (hybrid)",
        () => "v1",
    };
    let mounts = file("/proc/self/mountinfo").unwrap_or_default();
    let favoured = mounts.lines().any(|line| line.contains(" - cgroup") && line.contains("favordynmods"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = file("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|it| it.1.to_owned());
    let memory = |key: &str| {
        let text = file("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.to_owned();
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| format!("{} MB", kb >> 10))
    };
    let bundle = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"))
        .and_then(|line| line.split(" - ").nth(1));
    let unknown = || String::from("unknown");
    let mut all = vec![
        ["kernel", &file("/proc/sys/kernel/osrelease").unwrap_or_else(unknown)].map(String::from),
        ["processors allowed", &format!("{cores} ({})", model.unwrap_or_else(unknown))].map(String::from),
        ["cgroups", cgroups].map(String::from),
        ["favordynmods", if favoured { "yes" } else { "no" }].map(String::from),
        ["rcu_expedited", &file("/sys/kernel/rcu_expedited").unwrap_or_else(unknown)].map(String::from),
        [
            "frequency governor",
            &file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .unwrap_or_else(|| "none to see".into()),
        ]
        .map(String::from),
        ["page cache", &format!("{}, warm unless said otherwise", memory("Cached").unwrap_or_else(unknown))]
            .map(String::from),
        ["memory free", &memory("MemAvailable").unwrap_or_else(unknown)].map(String::from),
        ["root file system", bundle.and_then(|text| text.split(' ').next()).unwrap_or("unknown")]
            .map(String::from),
        ["load at the start", &file("/proc/loadavg").unwrap_or_else(unknown)].map(String::from),
    ];
    for program in programs {
        let name = program.file_name().map_or_else(unknown, |name| name.to_string_lossy().into_owned());
        let size = fs::metadata(program).map_or(0, |meta| meta.len() >> 10);
        let version = first_line(program).unwrap_or_else(|| "of no version".into());
        all.push([name, format!("{version}, {size} KB")]);
    }
    all
}
