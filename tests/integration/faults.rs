//! Every call fails once: of the runtime, of the child and of init, with errors that it may well have. Then the command says so in one
//! error and leaves nothing behind, or the call is one of [`harmless`]; and the same command right after succeeds.
//!
//! A sample in each run of this ring; all of it by `sh tests/faults.sh`.

mod deaths;
mod harmless;
mod richer;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::{Output, rounds};
use minirunc_tests::trace::{self, Call, Fault, Place, Ran, Tracer};

use crate::life::{create_command, status};
use harmless::{CANNOT, is_harmless, is_told_otherwise};

const ERRNOS: [(i32, &str); 5] = [
    (libc::EIO, "EIO"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EPERM, "EPERM"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EINTR, "EINTR"),
];

const PATIENCE: Duration = Duration::from_secs(30);

/// What is done again and again.
struct Act<'a> {
    name: &'a str,
    /// The command waits for the process, and hears all that it says.
    awaited: bool,
    /// The command leaves init behind at its gate.
    gated: bool,
    bundle: &'a Bundle,
    /// Brings the container where the command is to find it. Its stages may be traced.
    before: &'a dyn Fn(&mut Tracer),
    command: &'a dyn Fn() -> Command,
    /// Looks at what the command, or the failure of it, has left, and clears it up. The bool: it has succeeded.
    after: &'a dyn Fn(bool),
}

impl Act<'_> {
    fn ran(&self, fault: Option<(Place, Fault)>) -> Ran {
        let mut tracer = Tracer::default();
        (self.before)(&mut tracer);
        tracer.run(self.bundle, (self.command)(), fault, fault.is_none(), PATIENCE)
    }

    /// One call fails. What is wrong with how that ends. `last`: what init says to the command.
    fn fails(
        &self,
        call: &Call,
        (errno, name): (i32, &str),
        (good, last): (&str, Option<Place>),
        counts: &mut Counts,
    ) -> Vec<String> {
        let ran = self.ran(Some((call.place, Fault::Fail(errno))));
        let mut wrong = vec![];
        let reached = ran.hit.as_ref().filter(|hit| !CANNOT.contains(&&*trace::name(hit.number)));
        let Some(hit) = reached else {
            counts.missed += 1;
            return self.looked_after(ran.output.code() == 0);
        };
        let out = &ran.output;
        let behind =
            |last: Place| hit.place.process == last.process && hit.place.nth > last.nth && out.code() == 0;
        if last.is_some_and(behind) {
            counts.alone += 1;
            return self.ends_alone(out);
        }
        if let Some(hung) = &ran.hung {
            wrong.push(format!("hung in {hung}"));
        } else if out.code() == 0 && out.stderr.starts_with("minirunc-static: warning: ") {
            // What has run cannot fail any more, but what is left of it can be removed.
            counts.warned += 1;
            if !out.stderr.contains(name) || out.stderr.lines().count() != 1 {
                wrong.push(format!("warned: {}", out.stderr));
            }
            self.bundle.delete();
        } else if out.code() == 0 {
            counts.harmless += 1;
            if errno != libc::EINTR && !is_harmless(hit, name) {
                wrong.push(format!("passed over: {hit}"));
            }
            // What was done in the second way looks otherwise, and who does not wait, or hears that the terminal is closed, has not
            // heard all.
            let comparable = self.awaited && name != "EPERM" && !hit.on.ends_with("ptmx");
            if comparable && steady(&out.stdout) != good {
                wrong.push(format!("the process is not the same: {}", out.stdout));
            }
            if !out.stderr.is_empty() {
                wrong.push(format!("succeeded, and said: {}", out.stderr));
            }
        } else {
            counts.refused += 1;
            let errors: Vec<_> = out.stderr.lines().filter(|line| !line.starts_with("Hint: ")).collect();
            let [error] = errors[..] else {
                wrong.push(format!("status {}, said: {}", out.code(), out.stderr));
                wrong.extend(self.looked_after(false));
                return wrong;
            };
            let told = error.contains(name) || is_told_otherwise(hit, error);
            if !told {
                wrong.push(format!("said: {error}"));
            }
        }
        wrong.extend(self.looked_after(out.code() == 0));
        wrong
    }

    /// The command had done its part, or was about to, when init failed at its gate: that is heard from `state`, and from `start`.
    fn ends_alone(&self, out: &Output) -> Vec<String> {
        self.looked_after_by(&|| {
            assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
            // Or it could do without that call.
            if status(self.bundle) == "stopped" {
                let words = &["cannot start a container that has stopped"];
                self.bundle.runtime(&["start", &self.bundle.id]).refused(words);
            }
            let _ = std::fs::remove_file(self.bundle.dir.join("pid"));
            removed(self.bundle);
        })
    }

    /// What `after` finds wrong.
    fn looked_after(&self, succeeded: bool) -> Vec<String> {
        self.looked_after_by(&|| (self.after)(succeeded))
    }

    fn looked_after_by(&self, after: &dyn Fn()) -> Vec<String> {
        let looked = catch_unwind(AssertUnwindSafe(after));
        self.bundle.forget_sessions();
        let Err(panic) = looked else { return vec![] };
        self.bundle.runtime(&["delete", "--force", &self.bundle.id]);
        let left = self.bundle.left();
        let still = if left.is_empty() { String::new() } else { format!(" STILL {left}") };
        vec![words(&*panic) + &still]
    }

    fn every_failure(&self) {
        only_ours!("it is our calls that fail");
        if !trace::WORKS {
            minirunc_tests::skip!("registers of this architecture");
        }
        self.bundle.write();
        // The first makes the state root.
        self.ran(None).output.ok();
        assert_eq!(self.looked_after(true), <[String; 0]>::default());
        let clean = self.ran(None);
        clean.output.ok();
        let good = steady(&clean.output.stdout);
        assert_eq!(self.looked_after(true), <[String; 0]>::default());
        // When it does what comes then, before or after the command has ended, is a matter of time.
        let says = |call: &&Call| call.place.process > 0 && trace::name(call.number) == "sendmsg";
        let last = clean.calls.iter().rev().find(says).map(|call| call.place).filter(|_| self.gated);
        let calls: Vec<_> =
            clean.calls.iter().filter(|call| !CANNOT.contains(&&*trace::name(call.number))).collect();
        // What is closed is closed: one of the errors will do.
        let errors = |call: &Call| if trace::name(call.number) == "close" { 1 } else { ERRNOS.len() };
        let cases = calls.iter().flat_map(|call| ERRNOS[..errors(call)].iter().map(|errno| (*call, *errno)));
        let cases = chosen(cases.collect(), 40, |(call, _)| call.to_string());
        let mut counts = Counts::default();
        let mut wrong = vec![];
        for (call, errno) in &cases {
            let found = self.fails(call, *errno, (&good, last), &mut counts);
            for found in found {
                wrong.push(format!("{call}: {}: {found}", errno.1));
                if std::env::var_os("FAULTS").is_some() {
                    host::say(&format!("{}: {}", self.name, wrong.last().map_or("", |it| it)));
                }
            }
        }
        let Counts { refused, warned, harmless, alone, missed } = counts;
        let all = format!(
            "{}: {} calls, {} failures: {refused} told, {warned} warned of, {harmless} harmless, {alone} at the gate, {missed} not reached; {} wrong",
            self.name,
            calls.len(),
            cases.len(),
            wrong.len()
        );
        host::say(&all);
        assert!(wrong.is_empty(), "{all}\n{}", wrong.join("\n"));
    }
}

/// All cases with FAULTS=all, with another FAULTS those of that name, else a sample of so many.
fn chosen<T>(cases: Vec<T>, sample: usize, name: impl Fn(&T) -> String) -> Vec<T> {
    match std::env::var("FAULTS") {
        Ok(place) if place != "all" => cases.into_iter().filter(|case| name(case).contains(&place)).collect(),
        Ok(_) => cases,
        Err(_) => {
            // A fixed stride that is no multiple of the number of errors.
            let stride = cases.len().div_ceil(rounds(sample)).max(1);
            let stride = if stride.is_multiple_of(ERRNOS.len()) { stride + 1 } else { stride };
            cases.into_iter().step_by(stride).collect()
        }
    }
}

/// What a test said as it failed.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

#[derive(Default)]
struct Counts {
    refused: usize,
    warned: usize,
    harmless: usize,
    alone: usize,
    missed: usize,
}

/// What the probe says in every run of the same container.
fn steady(stdout: &str) -> String {
    let passing =
        |line: &&str| !["ns.", "fd.", "pid=", "sid=", "pgid="].iter().any(|key| line.starts_with(key));
    stdout.lines().filter(passing).collect::<Vec<_>>().join("\n")
}

/// In the foreground: whatever happened, nothing is left, and the next one does.
fn every_failure_of_run(name: &str, bundle: &Bundle) {
    Act {
        name,
        awaited: true,
        gated: false,
        bundle,
        before: &|_| {},
        command: &|| bundle.run_command(&[]),
        after: &|_| {
            bundle.nothing_left();
            bundle.start(bundle.run_command(&[])).finish().ok();
            bundle.nothing_left();
        },
    }
    .every_failure();
}

#[test]
fn every_call_of_run_fails_once() {
    every_failure_of_run("run", &Bundle::new().ask(&["read /proc/self/mounts", "read /proc/self/cgroup"]));
}

/// A container that sleeps, brought about untraced.
fn asleep(bundle: &Bundle) {
    bundle.start(bundle.run_command(&["--detach"])).finish().ok();
}

fn removed(bundle: &Bundle) {
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn every_call_of_create_fails_once() {
    let bundle = Bundle::new();
    Act {
        name: "create",
        awaited: false,
        gated: true,
        bundle: &bundle,
        before: &|_| {},
        command: &|| create_command(&bundle, &["--pid-file", &bundle.path("pid")]),
        after: &|succeeded| {
            if !succeeded {
                bundle.nothing_left();
                assert!(!bundle.dir.join("pid").exists());
                bundle.start(create_command(&bundle, &[])).finish().ok();
            }
            assert_eq!(status(&bundle), "created");
            let _ = std::fs::remove_file(bundle.dir.join("pid"));
            removed(&bundle);
        },
    }
    .every_failure();
}

#[test]
fn every_call_of_detached_run_fails_once() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    Act {
        name: "run --detach",
        awaited: false,
        gated: false,
        bundle: &bundle,
        before: &|_| {},
        command: &|| bundle.run_command(&["--detach"]),
        after: &|succeeded| {
            if !succeeded {
                bundle.nothing_left();
                asleep(&bundle);
            }
            assert_eq!(status(&bundle), "running");
            removed(&bundle);
        },
    }
    .every_failure();
}

#[test]
fn every_call_of_start_fails_once() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    Act {
        name: "start",
        awaited: false,
        gated: false,
        bundle: &bundle,
        // Init's calls behind its gate are counted, too.
        before: &|tracer| drop(tracer.run(&bundle, create_command(&bundle, &[]), None, false, PATIENCE)),
        command: &|| bundle.command(&["start", &bundle.id]),
        after: &|succeeded| {
            let now = status(&bundle);
            // It waits as before, or what it was to become has failed.
            if now == "created" {
                assert!(!succeeded);
                // Or init has not come to its end yet.
                let again = bundle.runtime(&["start", &bundle.id]).code() == 0;
                assert_eq!(status(&bundle), if again { "running" } else { "stopped" });
            } else {
                assert_eq!(now, if succeeded { "running" } else { "stopped" });
            }
            removed(&bundle);
            asleep(&bundle);
            removed(&bundle);
        },
    }
    .every_failure();
}

#[test]
fn every_call_of_exec_fails_once() {
    let bundle = Bundle::new().ask(&["sleep 60000000"]);
    bundle.write();
    asleep(&bundle);
    let init = bundle.pid();
    let command = || bundle.command(&["exec", &bundle.id, "/probe", "read /proc/self/cgroup"]);
    Act {
        name: "exec",
        awaited: true,
        gated: false,
        bundle: &bundle,
        before: &|_| {},
        command: &command,
        after: &|_| {
            crate::kill::until(|| host::cgroup_pids(&bundle.id) == [init]);
            bundle.start(command()).finish().ok();
            assert_eq!((status(&bundle), host::cgroup_pids(&bundle.id)), ("running".to_string(), vec![init]));
        },
    }
    .every_failure();
    removed(&bundle);
}

/// A command on a container that sleeps: whether it fails or not, the same right after is done, and so is `undo`.
fn every_failure_on_a_sleeper(args: &[&str], now: &str, undo: &[&[&str]]) {
    let bundle = Bundle::new().ask(&["sleep 60000000"]);
    bundle.write();
    asleep(&bundle);
    let with_id = |args: &[&str]| {
        args.iter()
            .map(|arg| if *arg == "ID" { bundle.id.clone() } else { (*arg).into() })
            .collect::<Vec<_>>()
    };
    let command = |args: &[&str]| {
        let args = with_id(args);
        bundle.command(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    Act {
        name: args[0],
        awaited: false,
        gated: false,
        bundle: &bundle,
        before: &|_| {},
        command: &|| command(args),
        after: &|succeeded| {
            if !succeeded {
                assert_eq!(status(&bundle), "running");
                bundle.start(command(args)).finish().ok();
            }
            assert_eq!(status(&bundle), now);
            for args in undo {
                bundle.start(command(args)).finish().ok();
            }
            assert_eq!(status(&bundle), "running");
        },
    }
    .every_failure();
    removed(&bundle);
}

#[test]
fn every_call_of_kill_fails_once() {
    every_failure_on_a_sleeper(&["kill", "ID", "WINCH"], "running", &[]);
}

#[test]
fn every_call_of_kill_all_fails_once() {
    every_failure_on_a_sleeper(&["kill", "--all", "ID", "WINCH"], "running", &[]);
}

#[test]
fn every_call_of_pause_fails_once() {
    every_failure_on_a_sleeper(&["pause", "ID"], "paused", &[&["resume", "ID"]]);
}

#[test]
fn every_call_of_update_fails_once() {
    let limits =
        ["update", "--memory", "64M", "--cpu-share", "512", "--pids-limit", "50", "--cpuset-cpus", "0", "ID"];
    every_failure_on_a_sleeper(&limits, "running", &[&["update", "--memory", "-1", "ID"]]);
}

#[test]
fn every_call_of_resume_fails_once() {
    let bundle = Bundle::new().ask(&["sleep 60000000"]);
    bundle.write();
    asleep(&bundle);
    Act {
        name: "resume",
        awaited: false,
        gated: false,
        bundle: &bundle,
        before: &|_| _ = bundle.runtime(&["pause", &bundle.id]).ok(),
        command: &|| bundle.command(&["resume", &bundle.id]),
        after: &|succeeded| {
            if !succeeded && status(&bundle) == "paused" {
                bundle.runtime(&["resume", &bundle.id]).ok();
            }
            assert_eq!(status(&bundle), "running");
        },
    }
    .every_failure();
    removed(&bundle);
}

#[test]
fn every_call_of_delete_fails_once() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    Act {
        name: "delete --force",
        awaited: false,
        gated: false,
        bundle: &bundle,
        before: &|_| asleep(&bundle),
        command: &|| bundle.command(&["delete", "--force", &bundle.id]),
        after: &|succeeded| {
            if !succeeded {
                removed(&bundle);
            }
            bundle.nothing_left();
        },
    }
    .every_failure();
}
