//! Growth: containers a second by workers, and the time of `run` by the size of its configuration.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::Options;
use crate::contender::{self, Contender};
use crate::measure::{block, brief, median};
use crate::report::{Report, short};
use crate::start::{on, variant};
use crate::svg::{self, Line};

/// Containers a second when so many make them at the same time, each `runs` of them.
fn rate(options: &Options, one: &Contender, workers: usize, runs: usize) -> Result<f64, String> {
    let start = Instant::now();
    let mut children = Vec::new();
    for nth in 0..workers {
        let mut command = one.command.clone();
        if one.name == "bare calls" {
            command[2] = format!("{}-{nth}", command[2]);
        } else if let Some(id) = command.last_mut().filter(|_| one.name != "bubblewrap") {
            *id = format!("{id}-{nth}");
        }
        let mut launch = Command::new(options.programs.join("launch"));
        launch.arg(runs.to_string()).arg("0").args(command).stdout(Stdio::null()).stderr(Stdio::piped());
        one.surround(&mut launch);
        children.push(launch.spawn().map_err(|error| format!("launch: {error}"))?);
    }
    let mut failed = None;
    for child in children {
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            failed = Some(brief(&String::from_utf8_lossy(&output.stderr)));
        }
    }
    failed.map_or(Ok((workers * runs) as f64 / start.elapsed().as_secs_f64()), Err)
}

pub fn workers(options: &Options, report: &mut Report) {
    const WORKERS: [usize; 3] = [1, 2, 4];
    let title = "Containers a second, by workers";
    report.section(title, "Each worker starts its next container when its last one is gone.");
    let runs = options.runs.div_ceil(2);
    let (mut rows, mut lines, mut data) = (Vec::new(), Vec::new(), serde_json::Map::new());
    for one in contender::all(options) {
        let rates: Result<Vec<_>, _> =
            WORKERS.iter().map(|&workers| rate(options, &one, workers, runs)).collect();
        match rates {
            Ok(rates) => {
                rows.push(
                    [one.name.clone()].into_iter().chain(rates.iter().map(|rate| short(*rate))).collect(),
                );
                let points: Vec<_> =
                    WORKERS.iter().zip(&rates).map(|(&workers, &rate)| (workers as f64, rate)).collect();
                data.insert(one.name.clone(), json!(points));
                lines.push(Line { group: one.name.clone(), name: String::new(), points });
            }
            Err(reason) => {
                report.say(&format!("{} did not run: {reason}", one.name));
                if one.required {
                    report.failures.push(format!("workers: {}: {reason}", one.name));
                }
            }
        }
    }
    report.table(&["a second", "1 worker", "2 workers", "4 workers"], &rows);
    report.chart("workers", title, &svg::lines(title, ("workers", "a second"), [false, true], &lines));
    report.data("workers", Value::Object(data));
}

/// Milliseconds of `run` as a configuration grows; what is refused, by whom, is said.
fn growth(
    options: &Options,
    report: &mut Report,
    (name, title, about): (&str, &str, &str),
    sizes: &[usize],
    change: impl Fn(&mut Value, usize),
) {
    report.section(title, about);
    let mut lines: Vec<Line> = Vec::new();
    let mut refused = Vec::new();
    for &size in sizes {
        let bundle = match variant(options, name, |config| change(config, size)) {
            Ok(bundle) => bundle,
            Err(error) => {
                report.failures.push(format!("{name}: {error}"));
                return;
            }
        };
        for one in on(options, &bundle) {
            if refused.contains(&one.name) {
                continue;
            }
            match block(options, &one, (1, options.runs.clamp(1, 10)), 0) {
                Ok(samples) => {
                    let times: Vec<_> =
                        samples.iter().map(|sample| sample.nanoseconds as f64 / 1e6).collect();
                    let point = (size as f64, median(&times));
                    match lines.iter_mut().find(|line| line.group == one.name) {
                        Some(line) => line.points.push(point),
                        None => {
                            lines.push(Line { group: one.name, name: String::new(), points: vec![point] })
                        }
                    }
                }
                Err(reason) => {
                    report.say(&format!("{} refuses {size}: {}", one.name, brief(&reason)));
                    refused.push(one.name);
                }
            }
        }
    }
    let mut rows = Vec::new();
    for line in &lines {
        let cells = sizes.iter().map(|&size| {
            let point = line.points.iter().find(|point| point.0 == size as f64);
            point.map_or("-".into(), |point| short(point.1))
        });
        rows.push([line.group.clone()].into_iter().chain(cells).collect());
    }
    let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
    let head: Vec<_> = ["ms"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    report.table(&head, &rows);
    report.chart(name, title, &svg::lines(title, ("logarithmic", "ms"), [true, true], &lines));
    report.data(name, lines.iter().map(|line| (line.group.clone(), json!(line.points))).collect::<Value>());
    if !lines.iter().any(|line| line.group == "minirunc-static") && options.wants("minirunc-static") {
        report.failures.push(format!("{name}: ours did not run"));
    }
}

pub fn mounts(options: &Options, report: &mut Report) {
    let about = "`run` with so many more read-only bind mounts of one small directory, each on a directory of a tmpfs.";
    let what = ("mounts", "run, by mounts", about);
    let sizes: &[usize] = if options.smoke { &[10, 100] } else { &[10, 30, 100, 300, 1000] };
    let source = options.bundle.join("rootfs/bin").display().to_string();
    growth(options, report, what, sizes, |config, size| {
        let mounts = config["mounts"].as_array_mut().expect("mounts");
        for nth in 0..size {
            let destination = format!("/dev/bound/{nth}");
            mounts.push(json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "ro"]}));
        }
    });
}

pub fn profiles(options: &Options, report: &mut Report) {
    let about = "`run` under a profile that allows everything but so many values of ioctl's second argument, each a rule of its own. The \
                 kernel takes 4096 instructions; who cannot make the filter smaller refuses.";
    let what = ("profiles", "run, by the rules of a seccomp profile", about);
    let sizes: &[usize] = if options.smoke { &[1, 100] } else { &[1, 10, 100, 300, 600, 900, 1300] };
    growth(options, report, what, sizes, |config, size| {
        let rule = |nth: usize| {
            let argument = json!({"index": 1, "value": 0x1_0000 + nth, "op": "SCMP_CMP_EQ"});
            json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "args": [argument]})
        };
        let rules: Vec<_> = (0..size).map(rule).collect();
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules});
    });
}
