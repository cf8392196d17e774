//! The child and init are killed at each of their calls, as the OOM killer does; and a container ends at each call of a command on it.
//! Then the command tells one error, or has done all of its part; other commands get along with what is there; nothing is left; and the
//! same command right after succeeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host;
use minirunc_tests::only_ours;
use minirunc_tests::trace::{self, Call, Fault, Place, Ran, Tracer};
use serde_json::json;

use super::{PATIENCE, asleep, chosen, words};
use crate::kill::until;
use crate::killed::can_be_removed;
use crate::life::{create_command, status};

/// What is done again and again.
struct Act<'a> {
    name: &'a str,
    bundle: &'a Bundle,
    /// Brings the container where the command is to find it. Its stages may be traced.
    before: &'a dyn Fn(&mut Tracer),
    command: &'a dyn Fn() -> Command,
    /// Whether the container is to be there when the command has failed.
    stays: bool,
    /// Looks at the container after a death that was told (true) or not, and clears it up.
    after: &'a dyn Fn(bool),
}

impl Act<'_> {
    /// Who is killed: by default who makes the call.
    fn ran(&self, place: Option<Place>, container: bool) -> Ran {
        let mut tracer = Tracer::default();
        (self.before)(&mut tracer);
        let whom = if container { Fault::End(self.bundle.pid()) } else { Fault::Kill };
        let fault = place.map(|place| (place, whom));
        tracer.run(self.bundle, (self.command)(), fault, place.is_none(), PATIENCE)
    }

    /// What is wrong with how it ends when this call is not made.
    fn dies(&self, call: &Call, container: bool, counts: &mut [usize; 3]) -> Vec<String> {
        let ran = self.ran(Some(call.place), container);
        let (out, mut wrong) = (&ran.output, vec![]);
        let errors: Vec<_> = out.stderr.lines().filter(|line| !line.starts_with("Hint: ")).collect();
        let told = errors.len() == 1 && errors.iter().all(|line| line.contains(": error: "));
        match (out.code(), told) {
            _ if ran.hung.is_some() => wrong.push(format!("hung in {}", ran.hung.unwrap_or_default())),
            // It was the process already, and its status is that of one that was killed.
            (0 | 137, _) if errors.is_empty() => counts[1] += 1,
            (1.., true) => counts[0] += 1,
            // Of a hook that comes when the process has ended.
            (0, _) if errors.len() == 1 && errors[0].contains(": warning: ") => counts[1] += 1,
            (code, _) => wrong.push(format!("status {code}, said: {}", out.stderr)),
        }
        if ran.hit.is_none() {
            counts[2] += 1;
        }
        let looked = catch_unwind(AssertUnwindSafe(|| {
            if told && !self.stays {
                self.bundle.nothing_left();
            }
            (self.after)(told);
        }));
        self.bundle.forget_sessions();
        wrong.extend(looked.err().map(|panic| words(&*panic)));
        wrong
    }

    fn every_death(&self, container: bool) {
        self.bundle.write();
        let clean = self.ran(None, false);
        clean.output.ok();
        (self.after)(false);
        let of_whom = |call: &&Call| (call.place.process == 0) == container;
        let calls = chosen(clean.calls.iter().filter(of_whom).collect(), 20, |call| call.to_string());
        let (mut counts, mut wrong) = ([0; 3], vec![]);
        for call in &calls {
            for found in self.dies(call, container, &mut counts) {
                wrong.push(format!("{call}: {found}"));
                if std::env::var_os("FAULTS").is_some() {
                    host::say(&format!("{}: {}", self.name, wrong.last().map_or("", |it| it)));
                }
            }
        }
        let [told, silent, missed] = counts;
        let all = format!(
            "{}: {} deaths: {told} told, {silent} after its part, {missed} not reached; {} wrong",
            self.name,
            calls.len(),
            wrong.len()
        );
        host::say(&all);
        assert!(wrong.is_empty(), "{all}\n{}", wrong.join("\n"));
    }
}

/// Leaves the test where it cannot be made.
macro_rules! ours {
    () => {
        only_ours!("it is our stages that are killed");
        if !trace::WORKS {
            minirunc_tests::skip!("registers of this architecture");
        }
    };
}

/// What is there can be removed, and made again.
fn made_again(bundle: &Bundle, command: Command) {
    can_be_removed(bundle, 0);
    bundle.start(command).finish().ok();
    bundle.delete();
    bundle.nothing_left();
}

pub fn every_death_of_one_that_is_made(name: &str, bundle: &Bundle, command: &dyn Fn() -> Command) {
    Act { name, bundle, before: &|_| {}, command, stays: false, after: &|_| made_again(bundle, command()) }
        .every_death(false);
}

#[test]
fn every_death_in_create_is_told() {
    ours!();
    let bundle = Bundle::new();
    every_death_of_one_that_is_made("create", &bundle, &|| create_command(&bundle, &[]));
}

#[test]
fn every_death_in_run_is_told() {
    ours!();
    let bundle = Bundle::new();
    every_death_of_one_that_is_made("run", &bundle, &|| bundle.run_command(&[]));
}

#[test]
fn every_death_in_create_with_maps_is_told() {
    ours!();
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    every_death_of_one_that_is_made("create with maps", &bundle, &|| create_command(&bundle, &[]));
}

#[test]
fn every_death_in_start_is_told() {
    ours!();
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    Act {
        name: "start",
        bundle: &bundle,
        before: &|tracer| drop(tracer.run(&bundle, create_command(&bundle, &[]), None, false, PATIENCE)),
        command: &|| bundle.command(&["start", &bundle.id]),
        stays: true,
        after: &|told| {
            let now = status(&bundle);
            assert!(now == "stopped" || !told && now == "running", "{now}");
            made_again(&bundle, bundle.run_command(&["--detach"]));
        },
    }
    .every_death(false);
}

#[test]
fn every_death_in_exec_is_told() {
    ours!();
    let bundle = Bundle::new().ask(&["sleep 60000000"]);
    bundle.write();
    asleep(&bundle);
    let init = bundle.pid();
    let command = || bundle.command(&["exec", &bundle.id, "/probe", "exit 0"]);
    Act {
        name: "exec",
        bundle: &bundle,
        before: &|_| {},
        command: &command,
        stays: true,
        after: &|_| {
            until(|| host::cgroup_pids(&bundle.id) == [init]);
            bundle.start(command()).finish().ok();
            assert_eq!(status(&bundle), "running");
        },
    }
    .every_death(false);
    bundle.delete();
    bundle.nothing_left();
}

/// The container ends at each call of a command on it.
fn every_end(args: &[&str], created: bool) {
    let bundle = Bundle::new().ask(&["sleep 60000000"]);
    let args: Vec<_> = args.iter().map(|arg| if *arg == "ID" { &bundle.id } else { *arg }).collect();
    let brought = || match created {
        true => _ = bundle.start(create_command(&bundle, &[])).finish().ok(),
        false => asleep(&bundle),
    };
    Act {
        name: &format!("end in {}", args.join(" ")),
        bundle: &bundle,
        before: &|_| brought(),
        command: &|| bundle.command(&args),
        stays: true,
        after: &|_| {
            can_be_removed(&bundle, 0);
            brought();
            bundle.delete();
            bundle.nothing_left();
        },
    }
    .every_death(true);
}

#[test]
fn a_container_that_ends_at_any_call_of_delete_is_deleted() {
    ours!();
    every_end(&["delete", "--force", "ID"], false);
}

#[test]
fn a_container_that_ends_at_any_call_of_another_command_is_told() {
    ours!();
    every_end(&["start", "ID"], true);
    every_end(&["exec", "ID", "/probe", "exit 0"], false);
    every_end(&["state", "ID"], false);
    every_end(&["kill", "ID", "WINCH"], false);
    every_end(&["pause", "ID"], false);
    every_end(&["update", "--pids-limit", "50", "ID"], false);
    every_end(&["ps", "ID"], false);
    every_end(&["events", "--stats", "ID"], false);
}
