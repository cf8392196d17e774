//! `exec`: one more process in a container that each runtime has made for itself. The bare calls join ours.

use std::process::Stdio;

use crate::Options;
use crate::contender::{self, Contender, Runtime, state_root};
use crate::machine;
use crate::measure::{self, measure};
use crate::report::Report;

/// A container that waits, until it is dropped.
pub struct Target {
    pub runtime: Runtime,
    pub id: String,
}

impl Target {
    pub fn new(options: &Options, runtime: Runtime) -> Result<Self, String> {
        let target = Self { id: format!("bench-{}-{}", std::process::id(), runtime.name), runtime };
        let bundle = options.bundle.join("exec").display().to_string();
        let mut run = target.runtime.command(&["run", "--detach", "--bundle", &bundle, &target.id]);
        match run.stdin(Stdio::null()).stdout(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(target),
            other => Err(format!("{}: no container to execute in: {other:?}", target.runtime.name)),
        }
    }

    /// The container's first process.
    pub fn pid(&self) -> Option<String> {
        pid(&self.runtime, &self.id)
    }
}

/// The first process of a container, as `state` has it.
pub fn pid(runtime: &Runtime, id: &str) -> Option<String> {
    let output = runtime.command(&["state", id]).output().ok()?;
    let state: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(state["pid"].as_u64()?.to_string())
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.runtime.command(&["delete", "--force", &self.id]).stderr(Stdio::null()).status();
    }
}

pub fn both(options: &Options, report: &mut Report) {
    let mut targets = Vec::new();
    for runtime in contender::runtimes(options) {
        match Target::new(options, runtime) {
            Ok(target) => targets.push(target),
            Err(reason) => report.say(&reason),
        }
    }
    let mut all = Vec::new();
    for target in &targets {
        if target.runtime.is_ours() && options.wants("bare calls") {
            all.push(floor(options, target));
        }
        let program = target.runtime.path.display().to_string();
        let state = state_root(target.runtime.name);
        let command = [&program, "--root", &state, "exec", &target.id, "/bin/true"].map(String::from);
        let one = Contender::new(target.runtime.name, command.into());
        all.push(Contender { hide_unified: target.runtime.hide_unified, ..one });
    }
    let (runs, idle_runs, idle_ms) = (options.runs, options.idle_runs.div_ceil(2), options.idle_ms);
    let about = "A static `true` in a container that waits. The bare calls join, enter the cgroups and execute, with nothing that \
                 keeps their own program from the container's eyes (CVE-2019-5736).";
    let title = format!("exec, back to back ({runs} runs each)");
    measure::tell(report, "exec", &title, about, &measure(options, &all, runs, 0));
    let title = format!("exec, {idle_ms} ms of rest before each ({idle_runs} runs each)");
    measure::tell(report, "exec-idle", &title, about, &measure(options, &all, idle_runs, idle_ms));
}

/// The bare calls, in the container of `target`. Without its pid they fail, and say so.
fn floor(options: &Options, target: &Target) -> Contender {
    let pid = target.pid().unwrap_or_default();
    let program = options.programs.join("floor-exec").display().to_string();
    let mut command = vec![program, pid.clone(), "/bin/true".into()];
    command.extend(machine::cgroup_directories(&pid).into_iter().filter(|path| path.contains(&target.id)));
    Contender::new("bare calls", command)
}
