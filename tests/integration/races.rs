//! Signals by the hundred, processes that end at once, and every command at the same time on one id.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::fuzz::mutate::Random;
use minirunc_tests::host::{self, cgroup_of};
use minirunc_tests::runtime::{Output, rounds};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::json;

use crate::kill::{sleeping, until};
use crate::life::{create, create_command, status};

#[test]
fn updates_of_a_container_that_is_paused_and_resumed_all_take_effect() {
    not_for!("runc", "1.1 takes no lock");
    if host::controller("pids").is_none() {
        skip!("no pids controller");
    }
    let bundle = sleeping();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bundle.runtime(&["pause", &bundle.id]).ok();
                bundle.runtime(&["resume", &bundle.id]).ok();
            }
        });
        for limit in 100..100 + rounds(50) {
            bundle.runtime(&["update", "--pids-limit", &limit.to_string(), &bundle.id]).ok();
            let file = cgroup_of(&bundle.id, "pids").join("pids.max");
            assert_eq!(std::fs::read_to_string(file).unwrap().trim(), limit.to_string());
            assert!(["running", "paused"].contains(&&*status(&bundle)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(status(&bundle), "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_container_that_is_paused_before_its_start_is_not_waited_for() {
    not_for!("crun", "1.8.1 waits");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    create(&bundle, &[]).ok();
    bundle.runtime(&["pause", &bundle.id]).ok();
    bundle.runtime(&["start", &bundle.id]).refused(&["cannot start a container in the paused state"]);
    bundle.runtime(&["resume", &bundle.id]).ok();
    bundle.runtime(&["start", &bundle.id]).ok();
    assert_eq!(status(&bundle), "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn of_a_start_and_a_delete_one_wins() {
    only_ours!("runc 1.1 takes no lock, and crun has other words");
    let (mut started, mut deleted) = (0, 0);
    for round in 0..rounds(60) {
        let bundle = Bundle::new().ask(&["sleep 60000"]);
        create(&bundle, &[]).ok();
        // Now the one has a head start, and now the other.
        let commands = [bundle.command(&["start", &bundle.id]), bundle.command(&["delete", &bundle.id])];
        let [first, second] = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut commands = commands.map(Some);
        let one = bundle.start(commands[first].take().unwrap());
        thread::sleep(std::time::Duration::from_micros(200 * (round as u64 / 2 % 10)));
        let other = bundle.start(commands[second].take().unwrap());
        let mut outs = [one.finish(), other.finish()];
        outs.rotate_right(first);
        let [start, delete] = outs;
        match (start.code(), delete.code()) {
            (0, 1) => {
                started += 1;
                delete.says("that is not stopped");
                assert_eq!(status(&bundle), "running");
                bundle.delete();
            }
            (1, 0) => {
                deleted += 1;
                start.says("does not exist");
            }
            _ => panic!("{start:?} {delete:?}"),
        }
        bundle.nothing_left();
    }
    assert!(started > 0 && deleted > 0, "{started} {deleted}");
}

/// What a command may say that comes too early or too late.
const LATE: &[&str] = &[
    "does not exist",
    "already exists",
    "not running",
    "not paused",
    "that is not stopped",
    "already running",
    "that has stopped",
    "in a stopped container",
    "has stopped",
    "paused",
    // Removed meanwhile: it, or its /proc/PID, or its cgroups.
    "died without a word",
    "ESRCH",
    "ENOENT",
    "ENODEV",
    "EPIPE",
];

#[test]
fn sixteen_of_all_commands_on_one_id_leave_nothing_and_say_what_they_found() {
    only_ours!("runc 1.1 takes no lock, and crun has other words");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    let id = &*bundle.id;
    let commands: &[&[&str]] = &[
        &["start", id],
        &["start", id],
        &["kill", id, "KILL"],
        &["kill", id, "USR1"],
        &["pause", id],
        &["resume", id],
        &["resume", id],
        &["update", "--pids-limit", "50", id],
        &["exec", id, "/probe", "exit 0"],
        &["exec", "--detach", id, "/probe", "sleep 60000"],
        &["state", id],
        &["list"],
        &["ps", id],
        &["events", "--stats", id],
        &["delete", id],
        &["delete", "--force", id],
    ];
    let one = |random: &mut Random| -> (String, Output) {
        let nth = random.below(commands.len() + 5);
        match commands.get(nth) {
            Some(args) => (args.join(" "), bundle.start(bundle.command(args)).finish()),
            None if nth.is_multiple_of(2) => {
                ("run -d".into(), bundle.start(bundle.run_command(&["--detach"])).finish())
            }
            None => ("create".into(), bundle.start(create_command(&bundle, &[])).finish()),
        }
    };
    thread::scope(|scope| {
        let worker = |worker: u64| {
            let one = &one;
            scope.spawn(move || {
                let mut random = Random::new(7919 * worker);
                for _ in 0..rounds(30) {
                    let (command, out) = one(&mut random);
                    let known = LATE.iter().any(|word| out.stderr.contains(word));
                    let ended = [0, 1, 255].contains(&out.code()) && (out.code() == 0 || known);
                    // A process of exec's may be killed with its container.
                    assert!(ended || out.code() == 128 + libc::SIGKILL, "{command}: {out:?}");
                }
            })
        };
        let workers: Vec<_> = (1..=16).map(worker).collect();
        // An exec that was paused before its process ran waits for this.
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            bundle.runtime(&["resume", id]);
            thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    bundle.delete();
    bundle.nothing_left();
}

/// How often stdout has this line.
fn count(out: &Output, line: &str) -> usize {
    out.stdout.lines().filter(|it| *it == line).count()
}

#[test]
fn no_queued_signal_of_hundreds_is_lost() {
    not_for!("runc", "Go makes one of several that wait");
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = bundle.spawn();
    running.until("ready=1");
    let many = rounds(500);
    thread::scope(|scope| {
        // Of these each is queued (signal(7)).
        for signal in [40, 50] {
            let running = &running;
            scope.spawn(move || (0..many).for_each(|_| running.signal(signal)));
        }
        // These count once as long as they wait.
        for signal in [libc::SIGUSR1, libc::SIGWINCH, libc::SIGHUP, libc::SIGCHLD] {
            let running = &running;
            scope.spawn(move || (0..many).for_each(|_| running.signal(signal)));
        }
    });
    let all = |running: &minirunc_tests::runtime::Running, line: &str| running.stdout().matches(line).count();
    until(|| all(&running, "signal.40=1\n") == many && all(&running, "signal.50=1\n") == many);
    (0..many).for_each(|_| running.signal(libc::SIGTERM));
    let out = running.finish();
    out.ok();
    assert_eq!((count(&out, "signal.40=1"), count(&out, "signal.50=1")), (many, many));
    for signal in [libc::SIGUSR1, libc::SIGWINCH, libc::SIGHUP, libc::SIGTERM] {
        assert!(count(&out, &format!("signal.{signal}=1")) > 0, "{signal}");
    }
    bundle.nothing_left();
}

#[test]
fn signals_from_the_first_moment_on_do_not_change_what_becomes_of_the_process() {
    for round in 0..rounds(20) {
        let bundle = Bundle::new().ask(&[&*format!("exit {}", round + 1)]);
        bundle.write();
        let mut running = bundle.start(bundle.run_command(&[]));
        // What does not end a runtime that has not even begun.
        while running.child.try_wait().unwrap().is_none() {
            [libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG, libc::SIGCONT]
                .iter()
                .for_each(|&it| running.signal(it));
        }
        running.finish().ended(round as i32 + 1);
        bundle.nothing_left();
    }
}

#[test]
fn a_storm_of_sigterm_at_any_moment_leaves_nothing() {
    only_ours!("runc may leave a container that it had not come to know");
    for round in 0..rounds(40) {
        let bundle = Bundle::new().ask(&["signals"]);
        bundle.write();
        let mut running = bundle.start(bundle.run_command(&[]));
        thread::sleep(std::time::Duration::from_micros(round as u64 * 250));
        while running.child.try_wait().unwrap().is_none() {
            running.signal(libc::SIGTERM);
        }
        let out = running.finish();
        // Ended before it blocked signals, or by the process, which catches it, or did not come to.
        assert!([-128 - libc::SIGTERM, 0].contains(&out.code()), "{out:?}");
        bundle.nothing_left();
    }
}

/// Runs of processes that end at once, each with a status of its own.
fn short_lived(bundle: &mut Bundle) {
    for round in 0..rounds(200) {
        bundle.config["process"]["args"] = json!(["/probe", format!("exit {}", round % 256)]);
        bundle.write();
        bundle.start(bundle.run_command(&[])).finish().ended(round as i32 % 256);
    }
    bundle.nothing_left();
}

#[test]
fn of_two_hundred_short_runs_each_has_its_status() {
    short_lived(&mut Bundle::new());
}

#[test]
fn in_the_hosts_pid_namespace_too() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    short_lived(&mut bundle);
}

#[test]
fn behind_a_reaper_too() {
    only_ours!("it is our own flag");
    let mut bundle = Bundle::new();
    bundle.config["annotations"] = json!({"org.minirunc.init": "true"});
    short_lived(&mut bundle);
}

#[test]
fn of_two_hundred_short_execs_each_has_its_status() {
    let bundle = sleeping();
    for round in 0..rounds(200) {
        let exit = format!("exit {}", round % 256);
        bundle.runtime(&["exec", &bundle.id, "/probe", &exit]).ended(round as i32 % 256);
    }
    bundle.delete();
    bundle.nothing_left();
}
