//! Memory: of the runtime while its container runs, of init before execve, and the least that a container can be given.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::contender::{self, Contender, Runtime};
use crate::exec;
use crate::report::Report;
use crate::{Options, start};

/// KB of a field of /proc/PID/NAME.
fn field(pid: &str, name: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if start.elapsed() > Duration::from_secs(20) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Peak and present resident KB, and its own share, of the runtime that stays in the foreground.
fn attending(options: &Options, runtime: &Runtime) -> Option<[u64; 3]> {
    let id = format!("bench-{}-{}", std::process::id(), runtime.name);
    let bundle = options.bundle.join("exec").display().to_string();
    let mut run = runtime.command(&["run", "--bundle", &bundle, &id]);
    let mut child = run.stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()?;
    let running = wait_for(|| {
        let output = runtime.command(&["state", &id]).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).contains("\"running\"").then_some(())
    });
    // What it does right after the start is done.
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id().to_string();
    let found = running.and_then(|()| {
        Some([
            field(&pid, "status", "VmHWM")?,
            field(&pid, "status", "VmRSS")?,
            field(&pid, "smaps_rollup", "Pss")?,
        ])
    });
    let _ = runtime.command(&["delete", "--force", &id]).stderr(Stdio::null()).status();
    let _ = child.wait();
    found
}

/// Peak resident KB and own share of init, which has done all but execve.
fn waiting(options: &Options, runtime: &Runtime) -> Option<[u64; 2]> {
    let id = format!("bench-{}-{}", std::process::id(), runtime.name);
    let bundle = options.bundle.display().to_string();
    let mut create = runtime.command(&["create", "--bundle", &bundle, &id]);
    create.stdin(Stdio::null()).stdout(Stdio::null()).status().ok()?;
    let found = exec::pid(runtime, &id)
        .and_then(|pid| Some([field(&pid, "status", "VmHWM")?, field(&pid, "smaps_rollup", "Pss")?]));
    let _ = runtime.command(&["delete", "--force", &id]).stderr(Stdio::null()).status();
    found
}

/// Whether a static `true` runs, `times` times in a row, under a limit of so many KB, without swap.
fn runs_under(options: &Options, runtime: &Runtime, kb: u64, times: usize) -> Result<bool, String> {
    let bundle = start::variant(options, "memory", |config| {
        config["linux"]["resources"]["memory"] = json!({"limit": kb * 1024, "swap": kb * 1024});
    });
    let bundle = bundle.map_err(|error| error.to_string())?;
    let one = Contender::of(runtime, &bundle);
    for _ in 0..times {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "10"]).args(&one.command);
        one.surround(&mut command);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !status.map_err(|error| format!("timeout: {error}"))?.success() {
            let id = one.command.last().map_or("", String::as_str);
            let _ = runtime.command(&["delete", "--force", id]).stderr(Stdio::null()).status();
            return Ok(false);
        }
    }
    Ok(true)
}

/// The least limit, to a page of 4 KB below 1 MB and to a 64th above, with which three runs in a row succeed.
fn least(options: &Options, runtime: &Runtime) -> Result<Option<u64>, String> {
    let (mut low, mut high) = (0, 64 << 10);
    if !runs_under(options, runtime, high, 1)? {
        return Ok(None);
    }
    while high - low > (high / 64).max(4) {
        let middle = (low + high) / 2 / 4 * 4;
        if runs_under(options, runtime, middle, 3)? { high = middle } else { low = middle }
    }
    Ok(Some(high))
}

pub fn all(options: &Options, report: &mut Report) {
    let about = "`runtime` is the process that stays in the foreground while the container runs: its peak, what is resident, and its own \
                 share of that (Pss). `init` is the container's first process before execve, when `create` is done. The least limit \
                 is linux.resources.memory.limit (and swap) with which three runs of a static `true` in a row succeed.";
    report.section("Memory", about);
    let cell = |kb: Option<u64>| kb.map_or("-".into(), |kb| format!("{kb} KB"));
    let (mut rows, mut data) = (Vec::new(), serde_json::Map::new());
    for runtime in contender::runtimes(options) {
        let (attending, waiting) = (attending(options, &runtime), waiting(options, &runtime));
        let least = least(options, &runtime).unwrap_or_else(|reason| {
            report.say(&reason);
            None
        });
        let mut row = vec![runtime.name.to_string()];
        row.extend((0..3).map(|nth| cell(attending.map(|all| all[nth]))));
        row.extend((0..2).map(|nth| cell(waiting.map(|all| all[nth]))));
        row.push(cell(least));
        rows.push(row);
        data.insert(runtime.name.into(), json!({"runtime_peak_rss_pss_kb": attending, "init_peak_pss_kb": waiting, "least_limit_kb": least}));
        if runtime.is_ours() && (attending.is_none() || waiting.is_none() || least.is_none()) {
            report.failures.push("memory: ours did not run".into());
        }
    }
    let _ = std::fs::remove_dir_all(Path::new(&options.bundle).join("memory"));
    let head = ["", "runtime, peak", "now", "own share", "init, peak", "own share", "least limit"];
    report.table(&head, &rows);
    report.data("memory", serde_json::Value::Object(data));
}
