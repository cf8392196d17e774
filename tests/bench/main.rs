//! The bench: one start of `runc spec`'s default container, by us, by bare kernel calls, and by others; with `--exec`,
//! one more process in such a container.
//!
//! Each contender runs in blocks of its own, because in a benchmark that takes turns whoever comes after a slow
//! write to `cgroup.procs` looks fast; and both back to back and with the machine idle before each run, because a
//! tight loop hides what that write costs. The blocks go round several times, so that a drift of the machine meets
//! everybody. `launch` is the clock. `sh tests/bench.sh` builds and prepares what this needs.

#![allow(unsafe_code)]

mod alive;
mod exec;
mod machine;
mod plot;
mod seccomp;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Blocks per contender and mode.
const ROUNDS: usize = 4;
/// Runs at the head of each block that are not counted.
const WARM_UP: usize = 2;

struct Options {
    /// Directory of the programs under test: floor, launch, ours.
    programs: PathBuf,
    runtime: PathBuf,
    /// A bundle whose root holds `/bin/true`.
    bundle: PathBuf,
    runs: usize,
    idle_runs: usize,
    idle_ms: usize,
    only: Option<String>,
    exec: bool,
    alive: bool,
    seccomp: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        programs: PathBuf::new(),
        runtime: PathBuf::new(),
        bundle: PathBuf::new(),
        runs: 200,
        idle_runs: 60,
        idle_ms: 200,
        only: None,
        exec: false,
        alive: false,
        seccomp: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--directories" {
            println!("{}", machine::cgroup_directories("self").join("\n"));
            std::process::exit(0);
        }
        if flag == "--exec" {
            options.exec = true;
            continue;
        }
        if flag == "--alive" {
            options.alive = true;
            continue;
        }
        if flag == "--seccomp" {
            options.seccomp = true;
            continue;
        }
        if flag == "--smoke" {
            (options.runs, options.idle_runs, options.idle_ms) = (4, 4, 20);
            continue;
        }
        let value = arguments.next().ok_or(format!("{flag}: needs a value"))?;
        if flag == "--directories-of" {
            println!("{}", machine::cgroup_directories(&value).join("\n"));
            std::process::exit(0);
        }
        let number = || value.parse().map_err(|_| format!("{flag}: {value}: not a number"));
        match flag.as_str() {
            "--programs" => options.programs = value.into(),
            "--runtime" => options.runtime = value.into(),
            "--bundle" => options.bundle = value.into(),
            "--runs" => options.runs = number()?,
            "--idle-runs" => options.idle_runs = number()?,
            "--idle" => options.idle_ms = number()?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("{flag}: unknown")),
        }
    }
    Ok(options)
}

struct Contender {
    name: &'static str,
    command: Vec<String>,
    /// crun refuses a machine with v1 controllers and a cgroup2 mount beside them; it is shown one without.
    hide_unified: bool,
}

/// On a tmpfs, as /run is on every distribution: a journal's moods are none of the runtimes' doing.
fn state_root(name: &str) -> String {
    format!("/dev/shm/minirunc-bench-{}-{name}", std::process::id())
}

fn contenders(options: &Options) -> Vec<Contender> {
    let bundle = options.bundle.display().to_string();
    let rootfs = format!("{bundle}/rootfs");
    let id = |name: &str| format!("bench-{}-{name}", std::process::id());
    let oci = |name: &'static str, program: &Path| {
        let state = state_root(name);
        let program = program.display().to_string();
        vec![program, "--root".into(), state, "run".into(), "--bundle".into(), bundle.clone(), id(name)]
    };
    let mut floor = vec![options.programs.join("floor").display().to_string(), rootfs.clone(), id("floor")];
    floor.push("/bin/true".into());
    floor.extend(machine::cgroup_directories("self"));

    let mut all = vec![
        Contender { name: "bare calls", command: floor, hide_unified: false },
        Contender {
            name: "minirunc-static",
            command: oci("minirunc", &options.runtime),
            hide_unified: false,
        },
    ];
    if let Some(path) = machine::which("runc") {
        all.push(Contender { name: "runc", command: oci("runc", &path), hide_unified: false });
    }
    if let Some(path) = machine::which("crun") {
        all.push(Contender { name: "crun", command: oci("crun", &path), hide_unified: machine::hybrid() });
    }
    if let Some(path) = machine::which("bwrap") {
        let mut command = vec![path.display().to_string()];
        let flags = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --hostname minirunc --cap-drop ALL \
                     --cap-add CAP_KILL --cap-add CAP_NET_BIND_SERVICE --cap-add CAP_AUDIT_WRITE --new-session --ro-bind";
        command.extend(flags.split_whitespace().map(String::from));
        command.push(rootfs);
        let mounts = "/ --proc /proc --dev /dev --mqueue /dev/mqueue --ro-bind /sys /sys --chdir / /bin/true";
        command.extend(mounts.split_whitespace().map(String::from));
        all.push(Contender { name: "bubblewrap", command, hide_unified: false });
    }
    keep(options, all)
}

/// Those that were asked for.
fn keep(options: &Options, mut all: Vec<Contender>) -> Vec<Contender> {
    all.retain(|one| options.only.as_ref().is_none_or(|only| only.split(',').any(|name| name == one.name)));
    all
}

/// One run as `launch` tells it.
#[derive(Clone, Copy)]
struct Sample {
    nanoseconds: u64,
    peak_kb: u64,
    faults: u64,
}

fn block(options: &Options, one: &Contender, runs: usize, idle_ms: usize) -> Result<Vec<Sample>, String> {
    let mut launch = Command::new(options.programs.join("launch"));
    launch.arg((runs + WARM_UP).to_string()).arg(idle_ms.to_string()).args(&one.command);
    if one.hide_unified {
        // SAFETY: three system calls on static strings, between fork and exec.
        unsafe { launch.pre_exec(hide_unified) };
    }
    let output = launch.output().map_err(|error| format!("launch: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}{}", complaint, text.lines().last().unwrap_or("")));
    }
    let samples = text.lines().skip(WARM_UP).filter_map(|line| {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        Some(Sample { nanoseconds: numbers.next()??, peak_kb: numbers.next()??, faults: numbers.next()?? })
    });
    Ok(samples.collect())
}

fn hide_unified() -> std::io::Result<()> {
    // SAFETY: static C strings.
    let refused = unsafe {
        libc::unshare(libc::CLONE_NEWNS) < 0
            || libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) < 0
            || libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH) < 0
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Where `share` of the sorted samples lie below.
fn quantile(samples: &[Sample], share: f64, of: impl Fn(&Sample) -> u64) -> f64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    let position = share * (values.len() - 1) as f64;
    let (below, part) = (position as usize, position.fract());
    let above = (below + 1).min(values.len() - 1);
    values[below] as f64 * (1.0 - part) + values[above] as f64 * part
}

fn table(title: &str, results: &[(&Contender, Result<Vec<Sample>, String>)]) {
    let median = |name: &str| {
        let found = results.iter().find(|(one, _)| one.name == name)?;
        Some(quantile(found.1.as_ref().ok()?, 0.5, |sample| sample.nanoseconds))
    };
    let (floor, ours) = (median("bare calls"), median("minirunc-static"));
    println!("\n{title}");
    println!(
        "  {:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7}",
        "", "median", "10 %", "90 %", "x floor", "x ours", "peak KB", "faults"
    );
    for (one, samples) in results {
        let samples = match samples {
            Ok(samples) => samples,
            Err(reason) => {
                println!("  {:<16} did not run: {}", one.name, reason.trim_end().replace('\n', "; "));
                continue;
            }
        };
        let time = |share| quantile(samples, share, |sample| sample.nanoseconds);
        let ratio = |base: Option<f64>| base.map_or("-".into(), |base| format!("{:.2}", time(0.5) / base));
        println!(
            "  {:<16} {:>6.2} ms {:>6.2} ms {:>6.2} ms {:>9} {:>9} {:>8} {:>7}",
            one.name,
            time(0.5) / 1e6,
            time(0.1) / 1e6,
            time(0.9) / 1e6,
            ratio(floor),
            ratio(ours),
            quantile(samples, 0.5, |sample| sample.peak_kb),
            quantile(samples, 0.5, |sample| sample.faults),
        );
    }
}

fn measure(options: &Options, all: &[Contender], runs: usize, idle_ms: usize, title: &str) -> bool {
    let mut results: Vec<_> = all.iter().map(|one| (one, Ok(Vec::new()))).collect();
    for _ in 0..ROUNDS {
        for (one, samples) in &mut results {
            if let Ok(gathered) = samples {
                match block(options, one, runs.div_ceil(ROUNDS), idle_ms) {
                    Ok(new) => gathered.extend(new),
                    Err(reason) => *samples = Err(reason),
                }
            }
        }
    }
    table(title, &results);
    // Others may be unable to run on this machine; the floor and we may not.
    results.iter().take(2).all(|(_, samples)| samples.is_ok())
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("bench: {reason}");
            return ExitCode::from(2);
        }
    };
    if options.alive {
        return alive::main(&options);
    }
    if options.seccomp {
        return seccomp::main(&options);
    }
    let targets = if options.exec { exec::targets(&options) } else { Ok(Vec::new()) };
    let targets = match targets {
        Ok(targets) => targets,
        Err(reason) => {
            eprintln!("bench: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let all = if options.exec { exec::contenders(&options, &targets) } else { contenders(&options) };
    machine::print_conditions(&all.iter().map(|one| one.command[0].as_str()).collect::<Vec<_>>());
    let (runs, idle_runs, idle_ms) = (options.runs, options.idle_runs, options.idle_ms);
    let tight =
        measure(&options, &all, runs, 0, &format!("back to back, {runs} runs in {ROUNDS} blocks each"));
    let title = format!("{idle_ms} ms idle before each of {idle_runs} runs in {ROUNDS} blocks each");
    let idle = measure(&options, &all, idle_runs, idle_ms, &title);
    drop(targets);
    for name in ["minirunc", "runc", "crun"] {
        let _ = std::fs::remove_dir_all(state_root(name));
    }
    if tight && idle { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
