//! `run` of `runc spec`'s default container around a static `true`: by everybody, in every mode.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Options;
use crate::contender::{self, Contender};
use crate::measure::{self, Measured, measure};
use crate::report::Report;

/// Back to back, and idle: a tight loop hides what a write to `cgroup.procs` costs.
pub fn both(options: &Options, report: &mut Report) {
    let all = contender::all(options);
    let runs = options.runs;
    let title = format!("run, back to back ({runs} runs each)");
    let about = "From before the start of the program until it is reaped; the container runs a static `true`. The bare calls are \
                 the container's system calls one after the other, in one small C-like program.";
    measure::tell(report, "run", &title, about, &measure(options, &all, runs, 0));
    let title = format!("run, {} ms of rest before each ({} runs each)", options.idle_ms, options.idle_runs);
    let about = "What somebody sees who starts one container now and then: the kernel's locks for moving processes between \
                 cgroups are not warm.";
    measure::tell(
        report,
        "run-idle",
        &title,
        about,
        &measure(options, &all, options.idle_runs, options.idle_ms),
    );
}

pub fn one_core(options: &Options, report: &mut Report) {
    let mut all = contender::all(options);
    all.iter_mut().for_each(|one| one.one_core = true);
    let runs = options.runs.div_ceil(2);
    let title = format!("run on one processor, back to back ({runs} runs each)");
    let about = "As with `taskset 1`: nothing can be done at the same time.";
    measure::tell(report, "run-one-core", &title, about, &measure(options, &all, runs, 0));
}

/// Drops the page cache before each run, which the whole machine feels: only where it is asked for.
pub fn cold(options: &Options, report: &mut Report) {
    let all = contender::all(options);
    let runs = options.runs.min(10);
    let mut results: Vec<_> = all.iter().map(|one| Measured { one, samples: Ok(Vec::new()) }).collect();
    for _ in 0..runs {
        for measured in &mut results {
            let Ok(gathered) = &mut measured.samples else { continue };
            // SAFETY: sync(2) takes nothing.
            unsafe { libc::sync() };
            if let Err(error) = std::fs::write("/proc/sys/vm/drop_caches", "3") {
                report.say(&format!("no cold runs: drop_caches: {error}"));
                return;
            }
            // The clock's own program is read before the clock starts; what it starts is not.
            match measure::block(options, measured.one, (0, 1), 0) {
                Ok(new) => gathered.extend(new),
                Err(reason) => measured.samples = Err(reason),
            }
        }
    }
    let title = format!("run, page cache dropped before each ({runs} runs each)");
    measure::tell(
        report,
        "run-cold",
        &title,
        "Programs, libraries and the bundle come from the disk.",
        &results,
    );
}

/// Who plays the ordinary user.
const USER: u32 = 65_533;

pub fn rootless(options: &Options, report: &mut Report) {
    let place = std::env::temp_dir().join(format!("minirunc-bench-{}", std::process::id()));
    match home(options, &place) {
        Ok(()) => {
            let all = contender::rootless(options, &place, USER);
            let runs = options.runs.div_ceil(2);
            let title = format!("run as an ordinary user, back to back ({runs} runs each)");
            let about = "A user namespace with one id, and no cgroups.";
            let results = measure(options, &all, runs, 0);
            measure::tell(report, "run-rootless", &title, about, &results);
        }
        Err(reason) => report.failures.push(format!("rootless: {}: {reason}", place.display())),
    }
    let _ = std::fs::remove_dir_all(&place);
}

/// The user's directory: a bundle that an ordinary user can run, our program, and a state root for each runtime.
fn home(options: &Options, place: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bin = place.join("rootfs/bin");
    std::fs::create_dir_all(&bin)?;
    for directory in ["proc", "sys", "dev"] {
        std::fs::create_dir_all(place.join("rootfs").join(directory))?;
    }
    std::fs::copy(options.bundle.join("rootfs/bin/true"), bin.join("true"))?;
    std::fs::copy(&options.runtime, place.join("minirunc-static"))?;
    let mut config: Value = serde_json::from_slice(&std::fs::read(options.bundle.join("config.json"))?)?;
    let linux = config["linux"].as_object_mut().ok_or("no linux")?;
    linux.remove("resources");
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    linux.insert("uidMappings".into(), map.clone());
    linux.insert("gidMappings".into(), map);
    linux["namespaces"].as_array_mut().ok_or("no namespaces")?.push(json!({"type": "user"}));
    let mounts = config["mounts"].as_array_mut().ok_or("no mounts")?;
    mounts.retain(|mount| mount["type"] != "cgroup");
    for mount in mounts.iter_mut().filter(|mount| mount["type"] == "devpts") {
        mount["options"].as_array_mut().ok_or("no options")?.retain(|option| option != "gid=5");
    }
    std::fs::write(place.join("config.json"), config.to_string())?;
    // The state roots are for the runtimes to make.
    for path in [place.to_path_buf(), place.join("rootfs")] {
        chown(&path, Some(USER), Some(USER))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

pub fn podman(options: &Options, report: &mut Report) {
    let rootfs = options.bundle.join("podman");
    let bin = rootfs.join("bin");
    let copied = std::fs::create_dir_all(&bin)
        .and_then(|()| std::fs::copy(options.bundle.join("rootfs/bin/true"), bin.join("true")));
    if let Err(error) = copied {
        report.failures.push(format!("podman: {}: {error}", bin.display()));
        return;
    }
    let all = contender::podman(options, &rootfs);
    if all.is_empty() {
        report.say("podman is not on this machine: left out");
        return;
    }
    let runs = options.runs.div_ceil(10);
    let title = format!("podman run --network none ({runs} runs each)");
    let results = measure(options, &all, runs, 0);
    let about = "`podman run --rm --network none --rootfs DIR /bin/true`, cgroups by cgroupfs, with each runtime below it.";
    measure::tell(report, "podman", &title, about, &results);
}

/// The bundle again, in a directory of its own, with a change.
pub fn variant(
    options: &Options,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let dir = options.bundle.join(name);
    std::fs::create_dir_all(&dir)?;
    let mut config: Value = serde_json::from_slice(&std::fs::read(options.bundle.join("config.json"))?)?;
    config["root"]["path"] = options.bundle.join("rootfs").display().to_string().into();
    change(&mut config);
    std::fs::write(dir.join("config.json"), config.to_string())?;
    Ok(dir)
}

/// All OCI runtimes on a bundle of their own.
pub fn on(options: &Options, bundle: &Path) -> Vec<Contender> {
    contender::runtimes(options).iter().map(|runtime| Contender::of(runtime, bundle)).collect()
}
