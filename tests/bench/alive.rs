//! What an operation costs while many containers are alive: create, start, exec, list, kill and delete, from the first to the
//! last.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Options;
use crate::contender::{self, Runtime};
use crate::measure::{brief, median};
use crate::report::{Report, short};
use crate::svg::{self, Line};

const OPERATIONS: [&str; 6] = ["create", "start", "exec", "list", "kill", "delete"];

/// Milliseconds of each operation, by how many were alive.
type Times = [Vec<f64>; OPERATIONS.len()];

struct Crowd<'a> {
    runtime: &'a Runtime,
    bundle: String,
    times: Times,
}

impl Crowd<'_> {
    fn timed(&mut self, operation: usize, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.runtime.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("{}: {error}", self.runtime.name))?;
        self.times[operation].push(start.elapsed().as_secs_f64() * 1e3);
        if status.success() { Ok(()) } else { Err(format!("{arguments:?}: {status}")) }
    }

    fn id(nth: usize) -> String {
        format!("bench-{}-{nth}", std::process::id())
    }

    fn grow(&mut self, count: usize) -> Result<(), String> {
        for nth in 0..count {
            let (id, bundle) = (Self::id(nth), self.bundle.clone());
            self.timed(0, &["create", "--bundle", &bundle, &id])?;
            self.timed(1, &["start", &id])?;
            self.timed(2, &["exec", &id, "/bin/true"])?;
            self.timed(3, &["list", "--format", "json"])?;
        }
        Ok(())
    }

    /// From the last one back to the first, so that the times are in the order of fewer and fewer.
    fn shrink(&mut self, count: usize) -> Result<(), String> {
        for nth in (0..count).rev() {
            let id = Self::id(nth);
            self.timed(4, &["kill", &id, "KILL"])?;
            // Deleting waits for nobody: the process has to be gone.
            let gone = || {
                let out = self.runtime.command(&["state", &id]).output();
                out.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("\"stopped\""))
            };
            while !gone() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.timed(5, &["delete", &id])?;
        }
        Ok(())
    }
}

/// Measures one runtime; whatever happens, its containers are gone afterwards.
fn crowd(runtime: &Runtime, bundle: String, count: usize) -> Result<Times, String> {
    let mut crowd = Crowd { runtime, bundle, times: Times::default() };
    let done = crowd.grow(count).and_then(|()| crowd.shrink(count));
    if done.is_err() {
        for nth in 0..count {
            let _ = runtime.command(&["delete", "--force", &Crowd::id(nth)]).stderr(Stdio::null()).status();
        }
    }
    done?;
    for shrinking in &mut crowd.times[4..] {
        shrinking.reverse();
    }
    Ok(crowd.times)
}

/// How many were alive in the middle of each piece of the way, and the median time of that piece: as many pieces to each power of
/// ten.
fn points(times: &[f64]) -> Vec<(f64, f64)> {
    let (mut points, mut from) = (Vec::new(), 0);
    while from < times.len() {
        let to = (from + (from / 2).max(3)).min(times.len());
        points.push(((from + to + 1) as f64 / 2.0, median(&times[from..to])));
        from = to;
    }
    points
}

pub fn all(options: &Options, report: &mut Report) {
    let count = options.alive;
    let title = format!("Operations with up to {count} containers alive");
    let about =
        "Median milliseconds of an operation while the first tenth of the containers is alive, and the last.";
    report.section(&title, about);
    let bundle = options.bundle.join("exec").display().to_string();
    let (mut rows, mut create, mut rest, mut data) =
        (Vec::new(), Vec::new(), Vec::new(), serde_json::Map::new());
    for runtime in contender::runtimes(options) {
        let times = match crowd(&runtime, bundle.clone(), count) {
            Ok(times) => times,
            Err(reason) => {
                report.say(&format!("{} did not run: {}", runtime.name, brief(&reason)));
                if runtime.is_ours() {
                    report.failures.push(format!("alive: {reason}"));
                }
                continue;
            }
        };
        let tenth = (count / 10).max(3).min(count);
        let cells = times.each_ref().map(|times| {
            format!("{} / {}", short(median(&times[..tenth])), short(median(&times[times.len() - tenth..])))
        });
        rows.push([runtime.name.into()].into_iter().chain(cells).collect());
        for (operation, times) in OPERATIONS.iter().zip(&times) {
            let line = Line { group: runtime.name.into(), name: (*operation).into(), points: points(times) };
            data.insert(format!("{} {operation}", runtime.name), json!(line.points));
            if matches!(*operation, "create" | "delete") { create.push(line) } else { rest.push(line) }
        }
    }
    let head: Vec<_> = ["first / last, ms"].into_iter().chain(OPERATIONS).collect();
    report.table(&head, &rows);
    for (name, lines) in [("alive", create), ("alive-others", rest)] {
        if !lines.is_empty() {
            report.chart(
                name,
                &title,
                &svg::lines(&title, ("containers alive, logarithmic", "ms"), [true, true], &lines),
            );
        }
    }
    report.data("alive", serde_json::Value::Object(data));
}
