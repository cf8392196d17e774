//! What a seccomp profile costs: to compile it, per call under it, and at start-up. libseccomp's filter, as runc has it made, beside
//! ours (tests/oracle/seccomp.c).

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use minirunc::seccomp::{ACTIONS, Work, compile};
use minirunc::sys::memory;
use minirunc::wire::json::Document;
use serde_json::Value;

use crate::contender::Contender;
use crate::report::Report;
use crate::{Options, measure, start};

#[path = "../../src/seccomp/tests/machine.rs"]
mod filter;
use filter::{Data, Machine};

const PROFILES: [(&str, &str); 2] =
    [("docker", include_str!("../data/docker.json")), ("podman", include_str!("../data/podman.json"))];

const X86_64: u32 = 0xc000_003e;
/// Calls of x86_64 that libseccomp 2.5 knows.
const CALLS: std::ops::Range<u32> = 0..449;

/// Compiles it as `run` does, in fresh memory, so often. Microseconds, sorted, and the filter.
fn compiled(text: &str, times: usize) -> Result<(Vec<f64>, Machine), String> {
    let document = Document::parse("profile", text.as_bytes()).map_err(|error| error.to_string())?;
    let node = document.root().at("linux").and_then(|linux| linux.at("seccomp"));
    let node = node.map_err(|error| error.to_string())?;
    let (mut all, mut machine) = (Vec::new(), None);
    for _ in 0..times {
        let start = Instant::now();
        let room = memory::anonymous(Work::SIZE).map_err(|errno| errno.to_string())?;
        let work = Work::place(room).ok_or("no memory")?;
        let filter = compile(&node, work).map_err(|error| error.to_string())?.ok_or("nothing")?;
        all.push(start.elapsed().as_secs_f64() * 1e6);
        machine.get_or_insert_with(|| Machine::new(filter.program));
    }
    all.sort_unstable_by(f64::total_cmp);
    Ok((all, machine.ok_or("nothing")?))
}

/// The helper that asks libseccomp, if it can be built here.
fn helper() -> Option<PathBuf> {
    let out = std::env::temp_dir().join(format!("seccomp-bench-{}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/seccomp.c");
    let built = Command::new("cc").args(["-O1", "-o"]).arg(&out).args([source, "-lseccomp"]).output();
    built.is_ok_and(|built| built.status.success()).then_some(out)
}

/// What libseccomp makes of a profile, handed over as runc does: without what is the default anyway.
fn by_libseccomp(helper: &Path, profile: &Value) -> Option<Machine> {
    let action = |action: &Value, errno: &Value| {
        let (name, value) = ACTIONS.iter().find(|(name, _)| action == name)?;
        let errno = if *name == "SCMP_ACT_ERRNO" { errno.as_u64().unwrap_or(1) as u32 } else { 0 };
        Some(value | errno)
    };
    let default = action(&profile["defaultAction"], &profile["defaultErrnoRet"])?;
    let mut input = format!("default {default:x}\narch c000003e\narch 40000003\narch 4000003e\noptimize 2\n");
    for rule in profile["syscalls"].as_array()? {
        let action = action(&rule["action"], &rule["errnoRet"])?;
        let mut looks = String::new();
        for arg in rule["args"].as_array().into_iter().flatten() {
            // enum scmp_compare
            let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
            let operator = arg["op"].as_str()?.strip_prefix("SCMP_CMP_")?;
            let operator = operators.iter().position(|name| *name == operator)? + 1;
            let number = |name: &str| arg[name].as_u64().unwrap_or(0);
            let (index, value, second) = (number("index"), number("value"), number("valueTwo"));
            looks += &format!(" {index:x} {operator:x} {value:x} {second:x}");
        }
        for name in rule["names"].as_array()?.iter().filter(|_| action != default) {
            input += &format!("rule {action:x} {}{looks}\n", name.as_str()?);
        }
    }
    let mut child = Command::new(helper).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let mut code = Vec::new();
    child.stdout.take()?.read_to_end(&mut code).ok()?;
    child.wait().ok()?.success().then(|| Machine::new(&code))
}

/// Length, mean and greatest number of instructions over all calls with no arguments.
fn steps(machine: &Machine) -> [String; 3] {
    let all = CALLS.map(|number| machine.run(&Data { number, audit: X86_64, args: [0; 6] }).1);
    let (sum, most) = all.fold((0, 0), |(sum, most), steps| (sum + steps, most.max(steps)));
    [machine.len().to_string(), format!("{:.2}", sum as f64 / CALLS.len() as f64), most.to_string()]
}

fn filters(options: &Options) -> Result<Vec<Vec<String>>, String> {
    let helper = helper();
    let mut rows = Vec::new();
    for (name, text) in PROFILES {
        let (times, ours) = compiled(text, options.runs.max(20) * 5)?;
        let profile: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let theirs = helper.as_deref().and_then(|helper| by_libseccomp(helper, &profile["linux"]["seccomp"]));
        let time = format!("{:.0} ({:.0})", times[times.len() / 2], times[times.len() / 10]);
        let theirs = theirs.as_ref().map_or(["-", "-", "-"].map(String::from), steps);
        rows.push([name.into(), time].into_iter().chain(steps(&ours)).chain(theirs).collect());
    }
    helper.map_or(Ok(()), std::fs::remove_file).map_err(|error| error.to_string())?;
    Ok(rows)
}

pub fn all(options: &Options, report: &mut Report) {
    let about = "The profiles of docker and podman, compiled and interpreted: instructions, and how many of them a call takes.";
    report.section("seccomp filters", about);
    match filters(options) {
        Ok(rows) => {
            let head = [
                "",
                "compiled, us (10 %)",
                "ours: length",
                "mean",
                "most",
                "libseccomp: length",
                "mean",
                "most",
            ];
            report.table(&head, &rows);
        }
        Err(reason) => report.failures.push(format!("seccomp: {reason}")),
    }
    let with = start::variant(options, "seccomp", |config| {
        let profile: Value = serde_json::from_str(PROFILES[0].1).unwrap_or_default();
        config["linux"]["seccomp"] = profile["linux"]["seccomp"].clone();
    });
    let Ok(with) = with else { return };
    let mut all: Vec<Contender> = Vec::new();
    for (one, mut profiled) in start::on(options, &options.bundle).into_iter().zip(start::on(options, &with))
    {
        profiled.name = format!("{}, docker's", profiled.name);
        all.extend([one, profiled]);
    }
    let title = format!("run with and without docker's profile, back to back ({} runs each)", options.runs);
    measure::tell(report, "seccomp", &title, "", &measure::measure(options, &all, options.runs, 0));
}
