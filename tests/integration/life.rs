//! create, start and delete: the statuses on the way, and what is refused in each.

#![allow(unsafe_code)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Output, emulated};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::json;

/// The command line of `create`, with more flags.
pub fn create_command(bundle: &Bundle, flags: &[&str]) -> Command {
    let dir = bundle.path("");
    bundle.command(&[&["create", "--bundle", &dir], flags, &[&*bundle.id]].concat())
}

/// `create` of the config as it is now.
#[track_caller]
pub fn create(bundle: &Bundle, flags: &[&str]) -> Output {
    bundle.write();
    bundle.start(create_command(bundle, flags)).finish()
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
    bundle.runtime(&["kill", &bundle.id, "KILL"]).ok();
    until(&bundle, "stopped");
    start(&bundle).refused(&[]).says("cannot start a container that has stopped");
    bundle.delete();
    start(&bundle).refused(&[]).says("does not exist");
}

#[test]
fn a_container_whose_process_is_about_to_end_is_deleted_without_force() {
    not_for!("runc", "only because it is slow");
    not_for!("crun", "only because it is slow");
    if emulated() {
        skip!("so slow is an emulated processor, too");
    }
    let bundle = Bundle::new().ask(&["sleep 20"]);
    create(&bundle, &[]).ok();
    start(&bundle).ok();
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn what_is_left_of_a_runtime_that_was_killed_at_once_takes_no_id() {
    only_ours!("where its state is, and what comes first, is its own affair");
    let bundle = Bundle::new();
    std::fs::create_dir_all(bundle.state().join(&bundle.id)).unwrap();
    std::fs::write(bundle.state().join(&bundle.id).join(".gate"), "").unwrap();
    bundle.runtime(&["state", &bundle.id]).refused(&["does not exist"]);
    create(&bundle, &[]).ok();
    assert_eq!(status(&bundle), "created");
    bundle.delete();
    bundle.nothing_left();
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

#[test]
fn a_create_that_fails_leaves_nothing_and_writes_no_pid_file() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["/absent"]);
    let pid_file = bundle.path("pid");
    create(&bundle, &["--pid-file", &pid_file]).ended(1).says("/absent");
    assert!(!Path::new(&pid_file).exists() && !bundle.dir.join(".pid").exists());
    bundle.nothing_left();
}

#[test]
fn the_pid_file_has_the_pid_and_nothing_else() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    let pid_file = bundle.path("pid");
    fs::write(&pid_file, "what was there before and was longer").unwrap();
    create(&bundle, &["--pid-file", &pid_file]).ok();
    assert_eq!(fs::read_to_string(pid_file).unwrap(), bundle.pid().to_string());
    bundle.delete();
}

#[test]
fn a_created_container_ends_by_a_signal() {
    // runc's init is a Go program, which exits on its own.
    for drop_namespace in [false, true] {
        let mut bundle = Bundle::new();
        if drop_namespace {
            bundle.drop_namespace("pid");
        }
        create(&bundle, &[]).ok();
        for signal in ["CHLD", "WINCH", "CONT"] {
            bundle.runtime(&["kill", &bundle.id, signal]).ok();
        }
        assert_eq!(status(&bundle), "created");
        bundle.runtime(&["kill", &bundle.id]).ok();
        until(&bundle, "stopped");
        start(&bundle).refused(&[]).says("cannot start a container that has stopped");
        bundle.runtime(&["delete", &bundle.id]).ok();
        bundle.nothing_left();
    }
}

#[test]
fn standard_descriptors_are_the_callers_and_create_keeps_none() {
    let bundle = Bundle::new().ask(&["line", "stderr said"]);
    bundle.write();
    let mut command = create_command(&bundle, &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    bundle.watch(child.id() as i32);
    let mut input = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    start(&bundle).ok();
    input.write_all(b"typed\n").unwrap();
    // To the end of file: nobody else holds the other side.
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(out.contains("line=typed"), "{out}");
    assert_eq!(err, "said");
    until(&bundle, "stopped");
    bundle.delete();
}

#[test]
fn a_created_container_holds_nothing_else_of_the_callers() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    let mark = bundle.dir.join("mark");
    fs::write(&mark, "").unwrap();
    bundle.write();
    let mut command = create_command(&bundle, &["--preserve-fds", "1"]);
    for fd in [3, 4, 9] {
        crate::inherit::leak(&mut command, mark.to_str().unwrap(), fd);
    }
    bundle.start(command).finish().ok();
    let open = |pid: i32| -> Vec<i32> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let marked = entries.filter(|it| fs::read_link(it.path()).is_ok_and(|to| to == mark));
        marked.map(|it| it.file_name().to_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(open(bundle.pid()), [3]);
    start(&bundle).ok();
    assert_eq!(open(bundle.pid()), [3]);
    bundle.delete();
}

#[test]
fn preserved_descriptors_that_are_not_open_fail_the_create() {
    not_for!("runc", "1.1 looks after it has opened its own (runc#5474)");
    let bundle = Bundle::new();
    bundle.write();
    let mut command = create_command(&bundle, &["--preserve-fds", "2"]);
    crate::inherit::close(&mut command, &[3, 4]);
    bundle.start(command).finish().refused(&["--preserve-fds", "descriptor 3 is not open"]);
    bundle.nothing_left();
}

#[test]
fn sockets_of_systemd_pass_create_with_their_names() {
    not_for!("runc", "1.1 does not pass LISTEN_FDNAMES on");
    let mut bundle = Bundle::new().ask(&["report /data/log env", "report /data/log fdopen 4"]);
    bundle.config["root"]["readonly"] = false.into();
    bundle.env.push(("LISTEN_FDNAMES".into(), "web:log".into()));
    bundle.write();
    let mut command = create_command(&bundle, &[]);
    for fd in [3, 4] {
        crate::inherit::leak(&mut command, "/dev/zero", fd);
    }
    crate::inherit::listen(&mut command, 2);
    bundle.start(command).finish().ok();
    start(&bundle).ok();
    until(&bundle, "stopped");
    let log = fs::read_to_string(bundle.rootfs().join("data/log")).unwrap();
    for text in ["LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=web:log", "fdopen 4=ok"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    bundle.delete();
}

#[test]
fn only_start_says_why_a_process_did_not_start() {
    only_ours!("runc's start does not hear of it");
    let mut bundle = Bundle::new();
    // Found and executable, but no program.
    fs::write(bundle.rootfs().join("text"), "no program").unwrap();
    minirunc_tests::bundle::mode(&bundle.rootfs().join("text"), 0o755);
    bundle.config["process"]["args"] = json!(["/text"]);
    create(&bundle, &[]).ok();
    start(&bundle).refused(&["exec /text: exec format error"]);
    until(&bundle, "stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn a_container_that_was_killed_while_it_waits_cannot_be_started() {
    let bundle = Bundle::new();
    create(&bundle, &[]).ok();
    // SAFETY: no memory; the process is this test's.
    assert_eq!(unsafe { libc::kill(bundle.pid(), libc::SIGKILL) }, 0);
    until(&bundle, "stopped");
    start(&bundle).refused(&[]).says("cannot start a container that has stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn create_takes_detach_and_a_bundle_that_is_where_it_is() {
    not_for!("runc", "1.1's create has no --detach");
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.command(&["create", "--detach", &bundle.id]);
    command.current_dir(&bundle.dir);
    bundle.start(command).finish().ok();
    assert_eq!(bundle.state_json()["bundle"], bundle.dir.to_str().unwrap());
    bundle.delete();
}
