//! The bench: what starting containers costs, by us, by bare kernel calls, and by everybody else that this machine has.
//!
//! Each contender runs in blocks of its own, because in a benchmark that takes turns whoever comes after a slow
//! write to `cgroup.procs` looks fast; and both back to back and with the machine idle before each run, because a
//! tight loop hides what that write costs. The blocks go round several times, so that a drift of the machine meets
//! everybody. `launch` is the clock. `sh tests/bench.sh` builds and prepares what this needs; every part is a section of the
//! report.

#![allow(unsafe_code)]

mod alive;
mod calls;
mod contender;
mod exec;
mod machine;
mod measure;
mod memory;
mod phases;
mod report;
mod scale;
mod seccomp;
mod start;
mod svg;
mod teardown;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

struct Options {
    /// Directory of the programs under test: floor, launch, ours.
    programs: PathBuf,
    runtime: PathBuf,
    /// A bundle whose root holds `/bin/true`.
    bundle: PathBuf,
    /// Where the report goes.
    out: PathBuf,
    runs: usize,
    idle_runs: usize,
    idle_ms: usize,
    /// Containers alive at once.
    alive: usize,
    /// Contenders by name, if not all.
    only: Option<String>,
    /// Parts by name, if not the usual ones.
    parts: Vec<String>,
    smoke: bool,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|wanted| wanted == name))
    }
}

type Part = fn(&Options, &mut Report);

/// The parts, in the report's order; whether they are part of an ordinary run.
const PARTS: &[(&str, bool, Part)] = &[
    ("run", true, start::both),
    ("one-core", true, start::one_core),
    ("cold", false, start::cold),
    ("rootless", true, start::rootless),
    ("exec", true, exec::both),
    ("phases", true, phases::both),
    ("podman", true, start::podman),
    ("memory", true, memory::all),
    ("teardown", true, teardown::all),
    ("calls", true, calls::all),
    ("workers", true, scale::workers),
    ("alive", true, alive::all),
    ("mounts", true, scale::mounts),
    ("profiles", true, scale::profiles),
    ("seccomp", true, seccomp::all),
];

fn options() -> Result<Options, String> {
    let mut options = Options {
        programs: PathBuf::new(),
        runtime: PathBuf::new(),
        bundle: PathBuf::new(),
        out: PathBuf::new(),
        runs: 100,
        idle_runs: 40,
        idle_ms: 200,
        alive: 100,
        only: None,
        parts: Vec::new(),
        smoke: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--directories" => {
                println!("{}", machine::cgroup_directories("self").join("\n"));
                std::process::exit(0);
            }
            "--smoke" => {
                (options.runs, options.idle_runs, options.idle_ms, options.alive) = (4, 4, 20, 4);
                options.smoke = true;
                continue;
            }
            "--full" => {
                (options.runs, options.idle_runs, options.alive) = (200, 60, 1000);
                options.parts.extend(PARTS.iter().map(|part| part.0.into()));
                continue;
            }
            _ => {}
        }
        if let Some(part) = PARTS.iter().find(|part| flag.strip_prefix("--") == Some(part.0)) {
            options.parts.push(part.0.into());
            continue;
        }
        let value = arguments.next().ok_or(format!("{flag}: unknown, or without its value"))?;
        if flag == "--directories-of" {
            println!("{}", machine::cgroup_directories(&value).join("\n"));
            std::process::exit(0);
        }
        let number = || value.parse().map_err(|_| format!("{flag}: {value}: not a number"));
        match flag.as_str() {
            "--programs" => options.programs = value.into(),
            "--runtime" => options.runtime = value.into(),
            "--bundle" => options.bundle = value.into(),
            "--out" => options.out = value.into(),
            "--runs" => options.runs = number()?,
            "--idle-runs" => options.idle_runs = number()?,
            "--idle" => options.idle_ms = number()?,
            "--most-alive" => options.alive = number()?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("{flag}: unknown")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(reason) => {
            let parts: Vec<_> = PARTS.iter().map(|part| format!("--{}", part.0)).collect();
            eprintln!("bench: {reason}\nParts: {}", parts.join(" "));
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(options.out.clone());
    let mut programs: Vec<_> =
        contender::runtimes(&options).into_iter().map(|runtime| runtime.path).collect();
    programs.extend(["bwrap", "podman"].into_iter().filter_map(machine::which));
    let conditions = machine::conditions(&programs);
    report.section(
        "Conditions",
        "What bends figures like these. Ratios travel from machine to machine better than milliseconds.",
    );
    report.table(&["", ""], &conditions.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
    report.data("conditions", conditions.iter().map(|[name, value]| (name.clone(), value.clone())).collect());
    if let Ok(same) = std::fs::read_to_string(options.bundle.join("same.txt")) {
        let about = "What a process sees in the containers that are compared: mounts, files, rights, limits, descriptors, cgroups, network.";
        report.section("The same work", about);
        for part in same.trim_end().split("\n\n") {
            let (summary, difference) = part.trim_end().split_once('\n').unwrap_or((part.trim_end(), ""));
            report.say(summary);
            report.aside(difference);
        }
    }
    for (name, usual, part) in PARTS {
        let wanted =
            if options.parts.is_empty() { *usual } else { options.parts.iter().any(|part| part == name) };
        if wanted {
            part(&options, &mut report);
        }
    }
    contender::forget(&options);
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
