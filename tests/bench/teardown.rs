//! From the process's last moment to the runtime's end, and to everything being gone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::contender::{self, Contender, state_root};
use crate::measure::{brief, median, quantile};
use crate::report::{Report, short};
use crate::{Options, machine, start};

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) fills the buffer that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// One run: milliseconds until the runtime was reaped, and until neither a cgroup nor its state nor a network namespace was there.
fn once(one: &Contender, state: &Path, id: &str) -> Result<(f64, f64), String> {
    let before = namespaces();
    let mut command = Command::new(&one.command[0]);
    command.args(&one.command[1..]).stdin(Stdio::null());
    one.surround(&mut command);
    let output = command.output().map_err(|error| error.to_string())?;
    let ended = now();
    let stamp = String::from_utf8_lossy(&output.stdout).trim().parse::<u64>();
    let stamp = stamp.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let start = Instant::now();
    let left = || {
        let cgroups = machine::cgroup_directories("self").into_iter();
        let cgroups = cgroups.flat_map(|dir| [format!("{dir}/{id}"), format!("{dir}/minirunc-{id}")]);
        state.join(id).exists()
            || cgroups.into_iter().any(|dir| Path::new(&dir).exists())
            || before.is_some_and(|before| namespaces().is_some_and(|now| now > before))
    };
    while left() && start.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(((ended - stamp) as f64 / 1e6, (now() - stamp) as f64 / 1e6))
}

/// How many network namespaces the kernel has: it ends them in its own time.
fn namespaces() -> Option<u64> {
    let slabs = std::fs::read_to_string("/proc/slabinfo").ok()?;
    let line = slabs.lines().find(|line| line.starts_with("net_namespace "))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

pub fn all(options: &Options, report: &mut Report) {
    let network = if namespaces().is_some() { " and its network namespace" } else { "" };
    let about = format!(
        "The container's process writes down the time and exits. From then until its runtime is reaped, and until its state, its cgroups{network} are gone."
    );
    report.section("Teardown", &about);
    let stamp = options.bundle.join("rootfs/bin/stamp");
    if let Err(error) = std::fs::copy(options.programs.join("stamp"), &stamp) {
        report.failures.push(format!("teardown: {}: {error}", stamp.display()));
        return;
    }
    let bundle = start::variant(options, "stamp", |config| config["process"]["args"] = json!(["/bin/stamp"]));
    let Ok(bundle) = bundle else { return };
    let runs = options.runs.div_ceil(4);
    let (mut rows, mut data) = (Vec::new(), serde_json::Map::new());
    for runtime in contender::runtimes(options) {
        let one = Contender::of(&runtime, &bundle);
        let id = one.command.last().cloned().unwrap_or_default();
        let state = state_root(runtime.name);
        let results: Result<Vec<_>, _> = (0..runs).map(|_| once(&one, Path::new(&state), &id)).collect();
        let results = match results {
            Ok(results) => results,
            Err(reason) => {
                report.say(&format!("{} did not run: {}", runtime.name, brief(&reason)));
                if runtime.is_ours() {
                    report.failures.push(format!("teardown: {}", brief(&reason)));
                }
                continue;
            }
        };
        let (ended, gone): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let spread =
            |times: &[f64]| format!("{} - {}", short(quantile(times, 0.1)), short(quantile(times, 0.9)));
        rows.push(vec![
            runtime.name.into(),
            format!("{} ms", short(median(&ended))),
            spread(&ended),
            format!("{} ms", short(median(&gone))),
            spread(&gone),
        ]);
        data.insert(runtime.name.into(), json!({"ended_ms": ended, "gone_ms": gone}));
    }
    report.table(&["", "runtime ended", "10 % - 90 %", "everything gone", "10 % - 90 %"], &rows);
    report.data("teardown", serde_json::Value::Object(data));
}
