//! `exec`: one more process in a container that each runtime has made for itself. The bare calls join ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Contender, Options, keep, machine, state_root};

/// A container that waits, until it is dropped.
pub struct Target {
    name: &'static str,
    program: PathBuf,
    id: String,
    hide_unified: bool,
}

impl Target {
    fn new(
        options: &Options,
        name: &'static str,
        program: PathBuf,
        hide_unified: bool,
    ) -> Result<Self, String> {
        let id = format!("bench-{}-{name}", std::process::id());
        let target = Self { name, program, id, hide_unified };
        let bundle = options.bundle.join("exec").display().to_string();
        let mut run = target.command(&["run", "--detach", "--bundle", &bundle, &target.id]);
        let status = run.stdin(Stdio::null()).stdout(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(target),
            other => Err(format!("{name}: no container to execute in: {other:?}")),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(state_root(self.name)).args(arguments);
        if self.hide_unified {
            use std::os::unix::process::CommandExt;
            // SAFETY: three system calls on static strings, between fork and exec.
            unsafe { command.pre_exec(super::hide_unified) };
        }
        command
    }

    /// The container's first process.
    fn pid(&self) -> Result<String, String> {
        let output = self.command(&["state", &self.id]).output().map_err(|error| error.to_string())?;
        let state: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        Ok(state["pid"].to_string())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force", &self.id]).status();
    }
}

/// A container of each runtime that there is. Ours comes first, and has to be there.
pub fn targets(options: &Options) -> Result<Vec<Target>, String> {
    let mut all = vec![Target::new(options, "minirunc", options.runtime.clone(), false)?];
    for (name, hide_unified) in [("runc", false), ("crun", machine::hybrid())] {
        match machine::which(name).map(|path| Target::new(options, name, path, hide_unified)) {
            Some(Ok(target)) => all.push(target),
            Some(Err(reason)) => eprintln!("bench: {reason}"),
            None => {}
        }
    }
    Ok(all)
}

pub fn contenders(options: &Options, targets: &[Target]) -> Vec<Contender> {
    let mut all = Vec::new();
    for target in targets {
        let program = target.program.display().to_string();
        if target.name == "minirunc" {
            all.push(floor(options, target));
        }
        let state = state_root(target.name);
        let command = [&program, "--root", &state, "exec", &target.id, "/bin/true"].map(String::from);
        let name = if target.name == "minirunc" { "minirunc-static" } else { target.name };
        all.push(Contender { name, command: command.into(), hide_unified: target.hide_unified });
    }
    keep(options, all)
}

/// The bare calls, in the container of `target`. Without its pid they fail, and say so.
fn floor(options: &Options, target: &Target) -> Contender {
    let pid = target.pid().unwrap_or_default();
    let mut command = vec![path(&options.programs.join("floor-exec")), pid.clone(), "/bin/true".into()];
    command.extend(machine::cgroup_directories(&pid).into_iter().filter(|path| path.contains(&target.id)));
    Contender { name: "bare calls", command, hide_unified: false }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
