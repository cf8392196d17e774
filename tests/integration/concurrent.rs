//! Commands on one container at the same time: each does its work whole or says why not, and nothing is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::not_for;
use minirunc_tests::runtime::{Output, Running, rounds};
use serde_json::Value;

use crate::kill::sleeping;
use crate::life::{create, create_command, status};

/// Starts as many of these commands at once.
fn all(bundle: &Bundle, many: usize, args: &[&str]) -> Vec<Running> {
    (0..many).map(|_| bundle.start(bundle.command(args))).collect()
}

fn finish(all: Vec<Running>) -> Vec<Output> {
    all.into_iter().map(Running::finish).collect()
}

/// One has succeeded, and the others said this.
#[track_caller]
fn one_wins(outs: &[Output], words: &str) {
    assert_eq!(outs.iter().filter(|out| out.code() == 0).count(), 1, "{outs:?}");
    for out in outs.iter().filter(|out| out.code() != 0) {
        out.ended(1).we_say(words);
    }
}

#[test]
fn of_sixteen_creates_of_one_id_one_wins() {
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    bundle.write();
    let all = (0..16).map(|_| bundle.start(create_command(&bundle, &[]))).collect();
    one_wins(&finish(all), "container with given ID already exists");
    assert_eq!(status(&bundle), "created");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn of_sixteen_starts_one_wins() {
    not_for!("runc", "1.1 takes no lock");
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    create(&bundle, &[]).ok();
    let outs = finish(all(&bundle, 16, &["start", &bundle.id]));
    one_wins(&outs, "cannot start an already running container");
    assert_eq!(status(&bundle), "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn of_deletes_one_wins_and_forced_ones_agree() {
    not_for!("runc", "1.1 takes no lock");
    let bundle = Bundle::new();
    create(&bundle, &[]).ok();
    one_wins(&finish(all(&bundle, 8, &["delete", &bundle.id])), "container does not exist");
    let bundle = sleeping();
    for out in finish(all(&bundle, 8, &["delete", "--force", &bundle.id])) {
        out.ok();
    }
    bundle.nothing_left();
}

#[test]
fn a_start_during_a_forced_delete_leaves_nothing() {
    for _ in 0..rounds(10) {
        let bundle = Bundle::new().ask(&["sleep 30000"]);
        create(&bundle, &[]).ok();
        let starts = all(&bundle, 3, &["start", &bundle.id]);
        bundle.delete();
        finish(starts);
        bundle.runtime(&["state", &bundle.id]).refused(&[]).says("does not exist");
        bundle.nothing_left();
    }
}

/// Deletes a container while processes are started in it.
fn deleted_while_executing(bundle: Bundle) {
    let bundle = bundle.ask(&["sleep 30000"]);
    for round in 0..rounds(10) {
        bundle.run_with(&["--detach"]).ok();
        let execs = all(&bundle, 4, &["exec", &bundle.id, "/probe", "sleep 30000"]);
        thread::sleep(std::time::Duration::from_millis(round as u64));
        bundle.delete();
        for out in finish(execs) {
            // Not begun, or killed.
            assert!([255, 128 + 9].contains(&out.code()), "{out:?}");
            assert_eq!(out.code() == 255, !out.stderr.is_empty(), "{out:?}");
        }
        bundle.nothing_left();
    }
}

#[test]
fn a_process_that_comes_during_a_forced_delete_does_not_stay() {
    deleted_while_executing(Bundle::new());
}

#[test]
fn nor_does_it_in_the_hosts_pid_namespace() {
    not_for!("runc", "1.1.5 kills init only");
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    deleted_while_executing(bundle);
}

#[test]
fn a_kill_during_create_leaves_a_whole_container_or_none() {
    let bundle = Bundle::new();
    bundle.write();
    for _ in 0..rounds(20) {
        let mut creating = bundle.start(create_command(&bundle, &[]));
        let mut killed = false;
        while creating.child.try_wait().unwrap().is_none() {
            killed |= bundle.runtime(&["kill", &bundle.id, "KILL"]).code() == 0;
        }
        match creating.finish().code() {
            0 if killed => crate::life::until(&bundle, "stopped"),
            0 => assert_eq!(status(&bundle), "created"),
            _ => drop(bundle.runtime(&["state", &bundle.id]).refused(&["does not exist"])),
        }
        bundle.delete();
        bundle.nothing_left();
    }
}

#[test]
fn what_is_told_while_containers_come_and_go_is_whole() {
    not_for!("runc", "1.1 takes no lock");
    let bundle = Bundle::new().ask(&["sleep 30000"]);
    bundle.write();
    let over = AtomicBool::new(false);
    let until_over = |look: &(dyn Fn() + Sync)| {
        while !over.load(Ordering::Relaxed) {
            look();
        }
    };
    let state = || {
        let out = bundle.runtime(&["state", &bundle.id]);
        if out.code() == 0 {
            let state: Value = serde_json::from_str(&out.stdout).expect(&out.stdout);
            assert_eq!(state["id"], bundle.id);
        } else {
            out.refused(&["does not exist"]);
        }
    };
    let list = || {
        let out = bundle.runtime(&["list", "--format", "json"]);
        let list: Value = serde_json::from_str(&out.ok().stdout).expect(&out.stdout);
        assert!(list.as_array().is_none_or(|list| list.len() == 1), "{list}");
        assert_eq!(out.stderr, "");
    };
    // The state root has been made.
    bundle.run();
    thread::scope(|scope| {
        scope.spawn(|| until_over(&state));
        scope.spawn(|| until_over(&list));
        for _ in 0..rounds(30) {
            bundle.run_with(&["--detach"]).ok();
            bundle.delete();
        }
        over.store(true, Ordering::Relaxed);
    });
    bundle.nothing_left();
}

#[test]
fn creates_and_deletes_of_one_id_do_not_mix() {
    not_for!("runc", "1.1 takes no lock");
    let bundle = Bundle::new();
    bundle.write();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..rounds(20) {
                    let out = bundle.start(create_command(&bundle, &[])).finish();
                    let known =
                        out.stderr.contains("already exists") || out.stderr.contains("does not exist");
                    assert!(out.code() == 0 || known, "{out:?}");
                    bundle.delete();
                }
            });
        }
    });
    bundle.delete();
    bundle.nothing_left();
}
