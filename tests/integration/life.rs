//! create, start and delete: the statuses on the way, and what is refused in each.

use std::fs;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::Output;

/// `create`, with more flags.
#[track_caller]
pub fn create(bundle: &Bundle, flags: &[&str]) -> Output {
    bundle.write();
    let dir = bundle.path("");
    let args = [&["create", "--bundle", &dir], flags, &[&*bundle.id]].concat();
    bundle.runtime(&args)
}

#[track_caller]
pub fn start(bundle: &Bundle) -> Output {
    bundle.runtime(&["start", &bundle.id])
}

#[track_caller]
pub fn status(bundle: &Bundle) -> String {
    bundle.state_json()["status"].as_str().unwrap().to_string()
}

#[track_caller]
pub fn until(bundle: &Bundle, wanted: &str) {
    for _ in 0..1000 {
        if status(bundle) == wanted {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("waited for {wanted}, but it is {}", status(bundle));
}

#[test]
fn a_container_is_created_then_running_then_stopped() {
    let bundle = Bundle::new().ask(&["sleep 600", "exit 0"]);
    create(&bundle, &[]).ok();
    assert_eq!(status(&bundle), "created");
    let pid = bundle.pid();
    assert!(pid > 0);
    start(&bundle).ok();
    assert_eq!((status(&bundle).as_str(), bundle.pid()), ("running", pid));
    until(&bundle, "stopped");
    assert_eq!(bundle.pid(), 0);
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn nothing_of_the_process_runs_before_start() {
    let mut bundle = Bundle::new().ask(&["report /data/log label ran"]);
    bundle.config["root"]["readonly"] = false.into();
    create(&bundle, &[]).ok();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let log = bundle.rootfs().join("data/log");
    assert!(!log.exists());
    start(&bundle).ok();
    until(&bundle, "stopped");
    assert!(fs::read_to_string(log).unwrap().contains("label ran"));
    bundle.delete();
}

#[test]
fn a_started_or_stopped_container_cannot_be_started() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    create(&bundle, &[]).ok();
    start(&bundle).ok();
    start(&bundle).refused(&[]).says("cannot start an already running container");
    bundle.runtime(&["kill", &bundle.id, "KILL"]);
    if status(&bundle) == "running" {
        std::process::Command::new("kill").args(["-9", &bundle.pid().to_string()]).status().unwrap();
    }
    until(&bundle, "stopped");
    start(&bundle).refused(&[]).says("cannot start a container that has stopped");
    bundle.delete();
    start(&bundle).refused(&[]).says("does not exist");
}

#[test]
fn an_id_that_is_taken_is_refused_and_its_container_stays() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    create(&bundle, &[]).ok();
    let pid = bundle.pid();
    create(&bundle, &[]).refused(&[]).says("container with given ID already exists");
    assert_eq!((status(&bundle).as_str(), bundle.pid()), ("created", pid));
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_created_container_is_deleted_without_force_and_a_running_one_is_not() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    create(&bundle, &[]).ok();
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
    create(&bundle, &[]).ok();
    start(&bundle).ok();
    let refusal = format!("cannot delete container {} that is not stopped: running", bundle.id);
    bundle.runtime(&["delete", &bundle.id]).refused(&[]).says(&refusal);
    assert_eq!(status(&bundle), "running");
    bundle.delete();
    bundle.nothing_left();
}
