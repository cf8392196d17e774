//! The container seen from outside: status, signals, state, ids, and the command line.

#![allow(unsafe_code)]

use std::fs;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Output, Runtime, finish};
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

fn kill(pid: i32, signal: i32) {
    // SAFETY: no memory; the pid is a container's that this test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// A detached container that sleeps.
fn detached(bundle: &mut Bundle) -> i32 {
    bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    bundle.pid()
}

fn plain(args: &[&str]) -> Output {
    let dir = std::env::temp_dir().join(format!(
        "mrt-plain-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::create_dir_all(&dir).unwrap();
    let mut command = Runtime::get().command();
    command.args(args);
    let out = finish(command, &dir);
    fs::remove_dir_all(&dir).unwrap();
    out
}

#[test]
fn the_status_is_the_processes() {
    for code in [0, 1, 42, 255] {
        Bundle::new().ask(&[format!("exit {code}")]).run().ended(code);
    }
}

#[test]
fn a_killed_process_gives_128_and_its_signal() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV] {
        let bundle = Bundle::new().ask(&["sleep 60000"]);
        let mut running = bundle.spawn();
        running.until("oom_score_adj");
        kill(bundle.pid(), signal);
        let out = running.finish();
        // From the parent namespace, an init dies of what it does not handle only by SIGKILL.
        if signal == libc::SIGKILL {
            out.ended(128 + signal);
            bundle.nothing_left();
            return;
        }
    }
}

#[test]
fn a_process_that_kills_itself_gives_128_and_its_signal() {
    for signal in [libc::SIGABRT, libc::SIGTERM, libc::SIGKILL] {
        let mut bundle = Bundle::new().ask(&[format!("raise {signal}")]);
        bundle.drop_namespace("pid");
        bundle.run().ended(128 + signal);
    }
}

#[test]
fn signals_reach_the_process() {
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = bundle.spawn();
    running.until("ready=1");
    let signals = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGCONT,
        libc::SIGPWR,
        40,
        64,
    ];
    for signal in signals {
        running.signal(signal);
        running.until(&format!("signal.{signal}=1"));
    }
    running.signal(libc::SIGTERM);
    running.finish().ok();
    bundle.nothing_left();
}

#[test]
fn all_processes_of_a_container_end_with_its_init() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    let mut running = bundle.spawn();
    running.until("oom_score_adj");
    kill(bundle.pid(), libc::SIGKILL);
    running.finish();
    bundle.nothing_left();
}

#[test]
fn a_detached_container_goes_on_and_its_pid_is_in_the_file() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
    let file = bundle.dir.join("pid");
    bundle.run_with(&["--detach", "--pid-file", file.to_str().unwrap()]).ok();
    let text = fs::read_to_string(&file).unwrap();
    // Go's Atoi reads the raw bytes: no newline.
    let pid: i32 = text.parse().unwrap_or_else(|_| panic!("pid file {text:?}"));
    assert_eq!(pid, bundle.pid());
    kill(pid, 0);
    let state = bundle.state_json();
    assert_eq!(state["status"], "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn the_pid_file_of_a_failed_run_is_not_written() {
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/missing"]));
    let file = bundle.dir.join("pid");
    let out = bundle.run_with(&["--pid-file", file.to_str().unwrap()]);
    assert_ne!(out.code(), 0);
    if Runtime::get().ours() {
        assert!(!file.exists(), "pid file of a process that never was");
    }
}

#[test]
fn state_tells_what_the_spec_demands() {
    let mut bundle = Bundle::with(|c| c["annotations"] = json!({"a": "1"}));
    let pid = detached(&mut bundle);
    let out = bundle.runtime(&["state", &bundle.id]);
    let state: Value = serde_json::from_str(&out.ok().stdout).unwrap();
    assert_eq!(state["id"], bundle.id.as_str());
    assert_eq!(state["pid"], pid);
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"], bundle.dir.to_str().unwrap());
    assert_eq!(state["annotations"]["a"], "1");
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    assert!(state["created"].as_str().unwrap().contains('T'));
    kill(pid, libc::SIGKILL);
    let stopped = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        bundle.state_json()["status"] == "stopped"
    });
    assert!(stopped, "{}", bundle.state_json());
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn state_of_an_unknown_container_is_an_error() {
    not_for!("crun", "has other words");
    let bundle = Bundle::new();
    let out = bundle.runtime(&["state", &bundle.id]);
    assert_eq!(out.code(), 1);
    out.says("does not exist");
}

#[test]
fn delete_force_of_an_unknown_container_is_none() {
    let bundle = Bundle::new();
    bundle.runtime(&["delete", "--force", &bundle.id]).ended(0);
    assert_ne!(bundle.runtime(&["delete", &bundle.id]).code(), 0);
}

#[test]
fn delete_without_force_leaves_a_running_container() {
    let mut bundle = Bundle::new();
    let pid = detached(&mut bundle);
    assert_ne!(bundle.runtime(&["delete", &bundle.id]).code(), 0);
    kill(pid, 0);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn delete_force_kills_what_shares_the_hosts_pid_namespace() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    detached(&mut bundle);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn keep_leaves_a_stopped_container() {
    not_for!("crun", "1.8.1 deletes it");
    let bundle = Bundle::new();
    bundle.run_with(&["--keep"]).ok();
    assert_eq!(bundle.state_json()["status"], "stopped");
    assert_eq!(bundle.state_json()["pid"], 0);
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn an_id_in_use_is_refused_and_its_owner_left_alone() {
    let mut bundle = Bundle::new();
    let pid = detached(&mut bundle);
    bundle.run_with(&[]).refused(&["exist"]);
    assert_eq!(bundle.pid(), pid);
    kill(pid, 0);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_bad_id_is_refused() {
    for id in ["", ".", "..", "a/b", "../x", "a b", "a\nb", "é", "a:b", "a@b"] {
        if Runtime::get().name() == "crun" && !id.is_empty() && !id.contains('/') {
            continue; // takes anything without a slash
        }
        let bundle = Bundle::new();
        bundle.write();
        let out = bundle.runtime(&["run", "--bundle", bundle.dir.to_str().unwrap(), id]);
        out.refused(&["id"]);
        bundle.nothing_left();
    }
}

#[test]
fn every_letter_of_the_specs_ids_is_taken() {
    let bundle = Bundle::new();
    bundle.write();
    let id = format!("{}_aZ09+.-x", bundle.id);
    bundle.runtime(&["run", "--bundle", bundle.dir.to_str().unwrap(), &id]).ok();
    bundle.nothing_left();
}

#[test]
fn flags_are_spelled_in_all_the_callers_ways() {
    not_for!("crun", "has argp's grammar");
    let bundle = Bundle::new();
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let (root, id) = (bundle.state(), bundle.id.as_str());
    let root = root.to_str().unwrap();
    for (global, local) in [
        (vec!["--root", root], vec!["--bundle", dir]),
        (vec![&*format!("--root={root}")], vec![&*format!("--bundle={dir}")]),
        (vec!["-root", root], vec!["-b", dir]),
        (vec![&*format!("-root={root}")], vec![&*format!("-bundle={dir}")]),
        (vec!["--root", "/nowhere", "--root", root], vec!["--bundle", "/nowhere", "-bundle", dir]),
        (vec!["--debug", "--root", root], vec!["-b", dir, "--no-new-keyring"]),
    ] {
        let mut command = Runtime::get().command();
        command.args(&global).arg("run").args(&local).arg(id);
        bundle.start(command).finish().ok();
    }
    bundle.nothing_left();
}

#[test]
fn the_bundle_is_the_working_directory_when_not_named() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.command(&["run", &bundle.id]);
    command.current_dir(&bundle.dir);
    bundle.start(command).finish().ok();
    bundle.nothing_left();
}

#[test]
fn a_relative_bundle_is_found() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.command(&["run", "--bundle", &bundle.id, &bundle.id]);
    command.current_dir(bundle.dir.parent().unwrap());
    bundle.start(command).finish().ok();
    bundle.nothing_left();
}

#[test]
fn a_relative_root_is_made_absolute() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command: Command = Runtime::get().command();
    command.args(["--root", "state", "run", "--bundle", ".", &bundle.id]).current_dir(&bundle.dir);
    bundle.start(command).finish().ok();
    bundle.nothing_left();
}

#[test]
fn an_unknown_flag_or_command_is_refused() {
    let bundle = Bundle::new();
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let out = bundle.runtime(&["run", "--no-such-flag", "--bundle", dir, &bundle.id]);
    assert!(out.code() > 0 && !out.stdout.contains("uid="));
    assert!(bundle.runtime(&["no-such-command"]).code() > 0);
    assert!(bundle.runtime(&["run", "--bundle"]).code() > 0);
    assert!(bundle.runtime(&["run", "--bundle", dir, &bundle.id, "too", "much"]).code() > 0);
    bundle.nothing_left();
}

#[test]
fn help_and_version_need_nothing() {
    plain(&["--version"]).ok();
    for args in [&["--help"][..], &["-h"], &["run", "--help"], &["state", "--help"], &["delete", "--help"]] {
        if args == ["-h"] && Runtime::get().name() == "crun" {
            continue;
        }
        let out = plain(args);
        assert!(!out.ok().stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_begins_as_that_of_runc_does() {
    not_for!("crun", "it has other words");
    for (args, what) in [(&["-h"][..], " - Open Container Initiative runtime"), (&["run", "-h"], " run - ")] {
        let out = plain(args);
        let mut lines = out.ok().stdout.lines();
        assert_eq!(lines.next(), Some("NAME:"), "{args:?}");
        assert!(lines.next().unwrap().contains(what), "{args:?}");
    }
}

#[test]
fn help_names_every_flag_of_run() {
    only_ours!("it is about our text");
    let out = plain(&["run", "--help"]);
    for flag in [
        "--bundle",
        "--detach",
        "--pid-file",
        "--keep",
        "--no-pivot",
        "--no-new-keyring",
        "--preserve-fds",
        "--dry-run",
        "--console-socket",
    ] {
        assert!(out.ok().stdout.contains(flag), "{flag}");
    }
}

#[test]
fn a_bundle_directory_alone_is_enough_to_run() {
    only_ours!("it is our own spelling");
    let bundle = Bundle::new();
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let facts = bundle.runtime(&["run", dir]).facts();
    assert_eq!(&facts["pid"], "1");
    let facts = bundle.runtime(&["run", "--id", &bundle.id, dir]).facts();
    assert_eq!(&facts["pid"], "1");
    bundle.nothing_left();
}

#[test]
fn a_dry_run_prints_the_plan_and_makes_nothing() {
    only_ours!("it is our own flag");
    let bundle = Bundle::with(|c| c["hostname"] = json!("as-planned"));
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let out = bundle.runtime(&["run", "--dry-run", "--bundle", dir, &bundle.id]);
    out.ok();
    for word in ["as-planned", "/probe", "/dev/pts"] {
        assert!(out.stdout.contains(word), "{word} is not in {}", out.stdout);
    }
    assert!(!out.stdout.contains("ppid="), "it ran");
    bundle.nothing_left();
}

#[test]
fn an_error_is_logged_as_one_json_record() {
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/missing"]));
    bundle.write();
    let log = bundle.path("log.json");
    let dir = bundle.dir.to_str().unwrap();
    let mut command = Runtime::get().command();
    command.arg("--root").arg(bundle.state()).args([
        "--log",
        &log,
        "--log-format",
        "json",
        "run",
        "--bundle",
        dir,
        &bundle.id,
    ]);
    let out = bundle.start(command).finish();
    assert_ne!(out.code(), 0);
    // podman reads the whole file as one object.
    let text = fs::read_to_string(&log).unwrap();
    let record: Value = serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(record["level"], "error");
    assert!(record["msg"].as_str().unwrap().contains("/missing"), "{text}");
    assert!(record["time"].as_str().unwrap().contains('T'), "{text}");
    assert!(!out.stderr.is_empty(), "stderr should have it too");
    bundle.nothing_left();
}

#[test]
fn the_systemd_cgroup_manager_is_refused_by_name() {
    only_ours!("crun has it");
    let bundle = Bundle::new();
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let mut command = Runtime::get().command();
    command.arg("--root").arg(bundle.state()).args([
        "--cgroup-manager",
        "systemd",
        "run",
        "--bundle",
        dir,
        &bundle.id,
    ]);
    bundle.start(command).finish().refused(&["systemd"]);
    let mut command = Runtime::get().command();
    command.arg("--root").arg(bundle.state()).args(["--systemd-cgroup", "run", "--bundle", dir, &bundle.id]);
    bundle.start(command).finish().refused(&["systemd"]);
    bundle.nothing_left();
}

#[test]
fn later_edits_of_the_config_change_nothing() {
    let mut bundle = Bundle::new();
    detached(&mut bundle);
    bundle.write_text("{ this is not JSON");
    assert_eq!(bundle.state_json()["status"], "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn many_containers_run_at_once() {
    let bundles: Vec<Bundle> = (0..8).map(|_| Bundle::new().ask(&["sleep 50"])).collect();
    let running: Vec<_> = bundles.iter().map(Bundle::spawn).collect();
    for one in running {
        one.finish().ok();
    }
    for bundle in &bundles {
        bundle.nothing_left();
    }
}

#[test]
fn a_runtime_that_is_killed_leaves_what_delete_can_clean_up() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    let mut running = bundle.spawn();
    running.until("oom_score_adj");
    running.signal(libc::SIGKILL);
    running.finish();
    bundle.delete();
    bundle.nothing_left();
}
