//! What an operation costs while many containers are alive: create, start, exec, list, kill and delete, from the first to the
//! last of [`MOST`]; a table, and a plot beside the bundle.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use super::{Options, machine, state_root};
use crate::plot::{Line, plot};

/// Alive in the end.
const MOST: usize = 200;
/// Operations that are taken together for one point.
const STEP: usize = 20;
const OPERATIONS: [&str; 6] = ["create", "start", "exec", "list", "kill", "delete"];

/// Milliseconds of each operation, by how many were alive.
type Times = [Vec<f64>; OPERATIONS.len()];

struct Crowd<'a> {
    runtime: &'a Path,
    bundle: &'a Path,
    state: String,
    times: Times,
}

impl Crowd<'_> {
    fn timed(&mut self, operation: usize, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.runtime);
        command.args(["--root", &self.state]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("{}: {error}", self.runtime.display()))?;
        self.times[operation].push(start.elapsed().as_secs_f64() * 1e3);
        if status.success() { Ok(()) } else { Err(format!("{arguments:?}: {status}")) }
    }

    fn id(nth: usize) -> String {
        format!("bench-{}-{nth}", std::process::id())
    }

    fn grow(&mut self, count: usize) -> Result<(), String> {
        let bundle = self.bundle.display().to_string();
        for nth in 0..count {
            let id = Self::id(nth);
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
                let out = Command::new(self.runtime).args(["--root", &self.state, "state", &id]).output();
                out.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("\"stopped\""))
            };
            while !gone() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            self.timed(5, &["delete", &id])?;
        }
        Ok(())
    }
}

/// Measures one runtime; whatever happens, its containers are gone afterwards.
fn crowd(runtime: &Path, bundle: &Path, state: String, count: usize) -> Result<Times, String> {
    let mut crowd = Crowd { runtime, bundle, state, times: Times::default() };
    let done = crowd.grow(count).and_then(|()| crowd.shrink(count));
    if done.is_err() {
        for nth in 0..count {
            let force = ["--root", &crowd.state, "delete", "--force", &Crowd::id(nth)];
            let _ = Command::new(runtime).args(force).stderr(Stdio::null()).status();
        }
    }
    let _ = std::fs::remove_dir_all(&crowd.state);
    done?;
    for shrinking in &mut crowd.times[4..] {
        shrinking.reverse();
    }
    Ok(crowd.times)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The table and the plot, `alive.svg` beside the bundle.
pub fn main(options: &Options) -> ExitCode {
    let count = if options.runs < MOST { STEP } else { MOST };
    let mut runtimes = vec![("minirunc", options.runtime.clone())];
    runtimes.extend(machine::which("runc").map(|path| ("runc", path)));
    machine::print_conditions(&runtimes.iter().filter_map(|one| one.1.to_str()).collect::<Vec<_>>());
    println!(
        "\n{count} containers alive: median milliseconds of an operation at the first {STEP} and at the last"
    );
    println!("  {:<10} {}", "", OPERATIONS.map(|name| format!("{name:>22}")).join(""));
    let (mut lines, mut ours) = (Vec::new(), false);
    let bundle = options.bundle.join("exec");
    for (nth, (name, runtime)) in runtimes.iter().enumerate() {
        let times = match crowd(runtime, &bundle, state_root(name), count) {
            Ok(times) => times,
            Err(reason) => {
                println!("  {name:<10} did not run: {reason}");
                continue;
            }
        };
        ours |= nth == 0;
        let cells = times.each_ref().map(|times| {
            let (first, last) = (median(&times[..STEP]), median(&times[times.len() - STEP..]));
            format!("{first:>7.2} {last:>7.2} x{:<5.2}", last / first)
        });
        println!("  {name:<10} {}", cells.join(" "));
        for (operation, times) in OPERATIONS.iter().zip(&times) {
            let points = times.chunks(STEP).enumerate();
            let points = points.map(|(chunk, times)| (((chunk + 1) * STEP) as f64, median(times))).collect();
            lines.push(Line { group: name, name: operation, points });
        }
    }
    let path = options.bundle.join("alive.svg");
    match plot(&path, "containers alive", "ms", &lines) {
        Ok(()) => println!("  plot: {}", path.display()),
        Err(error) => println!("  no plot: {}: {error}", path.display()),
    }
    if ours { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
