//! The log: one record of a failure, in logrus's forms; and the steps of `--debug`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::Output;
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

/// What a run with these global flags said, and what then was in its log, if it has made one.
fn logged(bundle: &Bundle, flags: &[&str]) -> (Output, String) {
    bundle.write();
    let log = bundle.path("log");
    let _ = fs::remove_file(&log);
    let mut args = flags.to_vec();
    let dir = bundle.path("");
    args.extend(["--log", &log, "run", "--bundle", &dir, &bundle.id]);
    let out = bundle.runtime(&args);
    bundle.nothing_left();
    (out, fs::read_to_string(log).unwrap_or_default())
}

fn failing() -> Bundle {
    Bundle::with(|c| c["process"]["args"] = json!(["/missing"]))
}

fn records(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    log.lines().map(parse).collect()
}

/// `2006-01-02T15:04:05Z`, or with an offset for the zone.
fn is_rfc3339(time: &str) -> bool {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00Z" || shape.len() == 25 && shape.starts_with("0000-00-00T00:00:00")
}

#[test]
fn a_failure_is_one_record_that_podman_can_read() {
    let (out, log) = logged(&failing(), &["--log-format", "json"]);
    assert!(out.code() > 0);
    // The whole file is one object.
    let record: Value = serde_json::from_str(&log).unwrap_or_else(|e| panic!("{e}: {log}"));
    assert_eq!(record["level"], "error");
    assert!(record["msg"].as_str().unwrap().contains("/missing"), "{log}");
    assert!(is_rfc3339(record["time"].as_str().unwrap()), "{log}");
    assert!(out.stderr.contains(record["msg"].as_str().unwrap()), "stderr has it too: {}", out.stderr);
}

#[test]
fn a_warning_does_not_stand_beside_the_error() {
    only_ours!("runc writes both");
    let warned = |c: &mut Value| c["process"]["capabilities"]["bounding"] = json!(["CAP_STRANGE"]);
    let mut bundle = failing();
    warned(&mut bundle.config);
    let (_, log) = logged(&bundle, &["--log-format=json"]);
    let record: Value = serde_json::from_str(&log).unwrap_or_else(|e| panic!("{e}: {log}"));
    assert_eq!(record["level"], "error");
    // Without an error it is there.
    let (out, log) = logged(&Bundle::with(warned), &["--log-format=json"]);
    out.ok();
    let record: Value = serde_json::from_str(&log).unwrap_or_else(|e| panic!("{e}: {log}"));
    assert_eq!(record["level"], "warning");
    assert!(record["msg"].as_str().unwrap().contains("bounding[0]"), "{log}");
}

#[test]
fn text_is_as_logrus_writes_it() {
    not_for!("crun", "has a form of its own");
    let (_, log) = logged(&failing(), &[]);
    assert_eq!(log.lines().count(), 1, "{log}");
    let rest = log.strip_prefix("time=\"").unwrap_or_else(|| panic!("{log}"));
    let (time, rest) = rest.split_once("\" level=error msg=\"").unwrap_or_else(|| panic!("{log}"));
    assert!(is_rfc3339(time) && rest.contains("/missing") && rest.ends_with("\"\n"), "{log}");
}

#[test]
fn the_log_is_appended_to_and_readable_by_all() {
    let bundle = failing();
    bundle.write();
    let (log, dir) = (bundle.path("log"), bundle.path(""));
    for _ in 0..2 {
        let args = ["--log", &log, "--log-format", "json", "run", "--bundle", &dir, &bundle.id];
        assert!(bundle.runtime(&args).code() > 0);
    }
    let errors = fs::read_to_string(&log).unwrap();
    assert_eq!(records(&errors).iter().filter(|record| record["level"] == "error").count(), 2, "{errors}");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn every_failure_of_a_command_is_one_record() {
    only_ours!("older runtimes write a usage error twice");
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    let log = bundle.path("log");
    for args in [&["state", "nobody"][..], &["delete", "nobody"], &["frob"], &["list", "--frob"], &["kill"]] {
        let _ = fs::remove_file(&log);
        let mut whole = vec!["--log", &log, "--log-format", "json"];
        whole.extend(args);
        assert!(bundle.runtime(&whole).code() > 0);
        let text = fs::read_to_string(&log).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"));
        assert_eq!(record["level"], "error", "{args:?}");
    }
}

#[test]
fn debug_tells_the_steps_of_the_runtime_and_of_init() {
    not_for!("crun", "tells others");
    let (out, log) = logged(&Bundle::new(), &["--debug", "--log-format", "json"]);
    assert!(!out.ok().stderr.contains("level=debug"), "{}", out.stderr);
    let records = records(&log);
    assert!(records.iter().all(|record| record["level"] == "debug"), "{log}");
    assert!(records.iter().all(|record| is_rfc3339(record["time"].as_str().unwrap())), "{log}");
    // What runc's own tests look for, in this order.
    let mut messages = records.iter().map(|record| record["msg"].as_str().unwrap());
    for words in
        ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"]
    {
        assert!(messages.any(|message| message.contains(words)), "{words} in {log}");
    }
}

#[test]
fn debug_without_a_log_goes_to_standard_error() {
    not_for!("crun", "tells others");
    let bundle = failing();
    bundle.write();
    let out = bundle.runtime(&["--debug", "run", "--bundle", &bundle.path(""), &bundle.id]);
    let levels = |level| out.stderr.lines().filter(|line| line.contains(level)).count();
    assert!(levels(" level=debug ") > 3, "{}", out.stderr);
    assert_eq!(levels(" level=error "), 1, "{}", out.stderr);
    bundle.nothing_left();
}

#[test]
fn debug_goes_to_whoever_starts_a_created_container() {
    only_ours!("it is about our steps");
    let bundle = Bundle::new();
    bundle.write();
    let dir = bundle.path("");
    let create = bundle.runtime(&["--debug", "create", "--bundle", &dir, &bundle.id]);
    create.ok().says("child process in init()").says("created");
    assert!(!create.stderr.contains("closing the pipe"), "{}", create.stderr);
    let start = bundle.runtime(&["--debug", "start", &bundle.id]);
    start.ok().says("closing the pipe to signal completion");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn debug_tells_the_steps_of_exec() {
    only_ours!("it is about our steps");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    bundle.runtime(&["run", "--detach", "--bundle", &bundle.path(""), &bundle.id]).ok();
    let out = bundle.runtime(&["--debug", "exec", &bundle.id, "/probe"]);
    out.ok().says("child process in init()").says("closing the pipe to signal completion");
    let quiet = bundle.runtime(&["exec", &bundle.id, "/probe"]);
    assert_eq!(quiet.ok().stderr, "");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn without_debug_nothing_is_said_of_a_success() {
    let bundle = Bundle::new();
    let (out, log) = logged(&bundle, &[]);
    assert_eq!((out.ok().stderr.as_str(), log.as_str()), ("", ""));
}

#[test]
fn a_log_that_cannot_be_written_does_not_hide_the_failure() {
    only_ours!("runc tells of the log only");
    let bundle = failing();
    bundle.write();
    let out = bundle.runtime(&["--log", "/no/such/log", "run", "--bundle", &bundle.path(""), &bundle.id]);
    out.ended(127).says("/missing").says("/no/such/log");
}
