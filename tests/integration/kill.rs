//! `kill`, `pause` and `resume`: signals by every name, to init or to all, also when frozen.

use std::fs;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host::{self, controller};
use minirunc_tests::runtime::Output;
use minirunc_tests::{not_for, skip};
use serde_json::json;

/// A detached container whose process answers these questions, once it has begun.
pub fn detached<S: AsRef<str>>(bundle: Bundle, questions: &[S]) -> Bundle {
    let bundle = bundle.ask(questions);
    bundle.run_with(&["--detach"]).ok();
    bundle
}

/// One that sleeps.
pub fn sleeping() -> Bundle {
    detached(Bundle::new(), &["sleep 60000"])
}

/// A container in its host's pid namespace, with five processes besides init; none of them reaps another.
fn sharing_pids() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    let bundle = detached(bundle, &["children 5"]);
    until(|| host::cgroup_pids(&bundle.id).len() == 6);
    bundle
}

#[track_caller]
pub fn until(done: impl Fn() -> bool) {
    let left = host::eventually_nothing(|| Vec::from_iter((!done()).then_some("waited in vain")));
    assert!(left.is_empty());
}

#[track_caller]
pub fn status(bundle: &Bundle) -> String {
    bundle.state_json()["status"].as_str().expect("status").to_string()
}

/// The container ends by itself, and is removed.
#[track_caller]
fn ends(bundle: &Bundle) {
    until(|| status(bundle) == "stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

fn kill(bundle: &Bundle, rest: &[&str]) -> Output {
    let mut args = vec!["kill"];
    let flags = rest.iter().take_while(|text| text.starts_with("--")).count();
    args.extend(&rest[..flags]);
    args.push(&bundle.id);
    args.extend(&rest[flags..]);
    bundle.runtime(&args)
}

#[test]
fn kill_takes_a_number_or_a_name_and_none_is_sigterm() {
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = bundle.spawn();
    running.until("ready=1");
    for (text, number) in [("10", 10), ("USR2", 12), ("SIGHUP", 1), ("sigint", 2), ("40", 40)] {
        kill(&bundle, &[text]).ok();
        running.until(&format!("signal.{number}=1"));
    }
    kill(&bundle, &["0"]).ok();
    kill(&bundle, &[]).ok();
    running.finish().ok();
    bundle.nothing_left();
}

#[test]
fn real_time_signals_have_names() {
    not_for!("runc", "it knows real-time signals by number only");
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = bundle.spawn();
    running.until("ready=1");
    for (text, number) in [("RTMIN+1", 35), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)] {
        kill(&bundle, &[text]).ok();
        running.until(&format!("signal.{number}=1"));
    }
    kill(&bundle, &["TERM"]).ok();
    running.finish().ok();
}

#[test]
fn kill_of_no_signal_is_refused_and_changes_nothing() {
    let bundle = sleeping();
    for text in ["NOPE", "-9", "65", "SIG", ""] {
        if !(text.is_empty() && minirunc_tests::runtime::Runtime::get().name() == "runc") {
            kill(&bundle, &[text]).refused(&["unknown signal"]);
        }
    }
    assert_eq!(status(&bundle), "running");
    bundle.delete();
}

#[test]
fn kill_ends_a_container() {
    let bundle = sleeping();
    let out = kill(&bundle, &["KILL"]);
    assert_eq!(out.ok().stdout, "");
    ends(&bundle);
}

#[test]
fn kill_of_a_stopped_container_is_an_error_but_not_with_all() {
    let bundle = sleeping();
    kill(&bundle, &["9"]).ok();
    until(|| status(&bundle) == "stopped");
    for signal in ["TERM", "9"] {
        kill(&bundle, &[signal]).ended(1).says("container not running");
        kill(&bundle, &["--all", signal]).ok();
    }
    bundle.delete();
    kill(&bundle, &["9"]).ended(1).says("does not exist");
    kill(&bundle, &["--all", "9"]).ended(1).says("does not exist");
}

#[test]
fn sigkill_without_a_pid_namespace_ends_every_process() {
    not_for!("runc", "1.1.5 kills init only");
    let bundle = sharing_pids();
    kill(&bundle, &["KILL"]).ok();
    until(|| host::cgroup_pids(&bundle.id).is_empty());
    ends(&bundle);
}

#[test]
fn processes_that_outlive_an_init_without_pid_namespace_can_be_killed() {
    let bundle = sharing_pids();
    let init = bundle.pid();
    // SAFETY: no memory; the container's own init.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(init, libc::SIGKILL)
    };
    until(|| status(&bundle) == "stopped");
    assert_eq!(host::cgroup_pids(&bundle.id).len(), 5);
    kill(&bundle, &["--all", "KILL"]).ok();
    until(|| host::cgroup_pids(&bundle.id).is_empty());
    ends(&bundle);
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    if controller("freezer").is_none() && !host::v2() {
        skip!("no freezer here");
    }
    let bundle = detached(Bundle::with(|c| c["root"]["readonly"] = json!(false)), &["count"]);
    let count = || fs::metadata(bundle.rootfs().join("tmp/count")).map_or(0, |file| file.len());
    until(|| count() > 0);
    bundle.runtime(&["pause", &bundle.id]).ok();
    assert_eq!(status(&bundle), "paused");
    let before = count();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(count(), before);
    bundle.runtime(&["resume", &bundle.id]).ok();
    assert_eq!(status(&bundle), "running");
    until(|| count() > before);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn what_is_not_running_cannot_be_paused_and_what_is_not_paused_not_resumed() {
    let bundle = sleeping();
    bundle.runtime(&["resume", &bundle.id]).ended(1).says("container not paused");
    bundle.runtime(&["pause", &bundle.id]).ok();
    bundle.runtime(&["pause", &bundle.id]).ended(1).says("container not running");
    bundle.runtime(&["resume", &bundle.id]).ok();
    kill(&bundle, &["9"]).ok();
    until(|| status(&bundle) == "stopped");
    bundle.runtime(&["pause", &bundle.id]).ended(1).says("container not running");
    bundle.runtime(&["resume", &bundle.id]).ended(1).says("container not paused");
    bundle.delete();
}

#[test]
fn a_paused_container_dies_of_sigkill_and_gets_other_signals_later() {
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = bundle.spawn();
    running.until("ready=1");
    bundle.runtime(&["pause", &bundle.id]).ok();
    kill(&bundle, &["USR1"]).ok();
    assert_eq!(status(&bundle), "paused");
    bundle.runtime(&["resume", &bundle.id]).ok();
    running.until("signal.10=1");
    bundle.runtime(&["pause", &bundle.id]).ok();
    kill(&bundle, &["KILL"]).ok();
    running.finish().ended(137);
    bundle.nothing_left();
}

#[test]
fn a_paused_container_can_be_deleted_by_force() {
    let bundle = sleeping();
    bundle.runtime(&["pause", &bundle.id]).ok();
    bundle.runtime(&["delete", "--force", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn a_container_without_cgroups_can_be_killed_and_not_paused() {
    minirunc_tests::only_ours!("it has no --cgroup-manager");
    let mut bundle = Bundle::with(|c| c["process"]["args"] = json!(["/probe", "sleep 60000"]));
    bundle.drop_namespace("pid");
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let args = ["--cgroup-manager", "disabled", "run", "--detach", "--bundle", dir, &bundle.id];
    bundle.runtime(&args).ok();
    bundle.runtime(&["pause", &bundle.id]).refused(&["no cgroup of its own"]);
    kill(&bundle, &["KILL"]).ok();
    ends(&bundle);
}

#[test]
fn a_created_container_can_be_paused_updated_and_killed() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    bundle.runtime(&["create", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).ok();
    assert_eq!(status(&bundle), "created");
    bundle.runtime(&["pause", &bundle.id]).ok();
    assert_eq!(status(&bundle), "paused");
    bundle.runtime(&["update", "--cpu-share", "300", &bundle.id]).ok();
    bundle.runtime(&["resume", &bundle.id]).ok();
    assert_eq!(status(&bundle), "created");
    kill(&bundle, &["KILL"]).ok();
    ends(&bundle);
}
