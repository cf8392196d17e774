//! A machine that has run out of something: the command says of what, leaves nothing behind, and succeeds when it is there again.

#![allow(unsafe_code)]

mod missing;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host;
use minirunc_tests::runtime::{Output, Running, check, rounds};
use minirunc_tests::scarce::{Disk, Fence, privately, without_namespaces};
use minirunc_tests::{only_ours, skip};
use serde_json::json;

use crate::kill::{sleeping, until};
use crate::life::{create_command, status};

/// A command, and why it is not to succeed.
#[track_caller]
fn fails(bundle: &Bundle, command: Command, words: &[&str]) {
    bundle.start(command).finish().refused(words);
    bundle.nothing_left();
}

/// `run`, in this state of the machine.
fn run(bundle: &Bundle, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = bundle.run_command(&[]);
    change(&mut command);
    bundle.start(command).finish()
}

/// A command in a container that waits for others.
fn on(bundle: &Bundle, args: &[&str], change: impl FnOnce(&mut Command)) -> Output {
    let mut command = bundle.command(args);
    change(&mut command);
    bundle.start(command).finish()
}

/// A bundle whose state root is on a disk of its own, which the commands see where they look for it.
fn on_disk(files: usize, pages: usize) -> (Bundle, Disk) {
    let bundle = Bundle::new();
    bundle.write();
    fs::create_dir_all(bundle.state()).unwrap();
    (bundle, Disk::new(files, pages))
}

/// What a command says while there is room for this many files or pages, until it succeeds with more. How many it took.
fn until_there_is_room(command: impl Fn(&Bundle) -> Command, room: impl Fn(&Disk, usize) -> usize) -> usize {
    let (bundle, disk) = on_disk(32, 64);
    let attached = |mut command: Command| {
        privately(&mut command, vec![disk.at(&bundle.state())]);
        bundle.start(command).finish()
    };
    for free in 0.. {
        assert!(room(&disk, free) > free, "never enough");
        let out = attached(command(&bundle));
        disk.make_room();
        if out.code() == 0 {
            attached(bundle.command(&["delete", "--force", &bundle.id])).ok();
            assert_eq!(disk.names(), [""; 0]);
            bundle.nothing_left();
            return free;
        }
        out.refused(&["ENOSPC", &bundle.path("state")]);
        assert_eq!(disk.names(), [""; 0], "after {free}");
        bundle.nothing_left();
        attached(bundle.run_command(&[])).ok();
    }
    0
}

/// Each command has a clone of the disk's mount in a namespace of its own.
macro_rules! needs_disk {
    () => {
        if host::kernel() < (6, 15) {
            skip!("a mount that is nowhere cannot be cloned before Linux 6.15");
        }
    };
}

#[test]
fn a_full_disk_for_the_state_is_told_and_leaves_no_container() {
    only_ours!("what it takes is its own affair");
    needs_disk!();
    type Room = fn(&Disk, usize) -> usize;
    let commands: [fn(&Bundle) -> Command; 3] =
        [|it| it.run_command(&[]), |it| it.run_command(&["--detach"]), |it| create_command(it, &[])];
    for command in commands {
        for room in [Disk::leave_files as Room, Disk::leave_pages] {
            assert!(until_there_is_room(command, room) > 0);
        }
    }
}

#[test]
fn on_a_full_disk_a_container_is_started_used_and_removed() {
    only_ours!("it writes when it starts");
    needs_disk!();
    let (bundle, disk) = on_disk(32, 64);
    let bundle = bundle.ask(&["sleep 60000"]);
    bundle.write();
    let attached = |args: &[&str]| on(&bundle, args, |it| privately(it, vec![disk.at(&bundle.state())]));
    let mut creating = create_command(&bundle, &[]);
    privately(&mut creating, vec![disk.at(&bundle.state())]);
    bundle.start(creating).finish().ok();
    assert!(disk.leave_pages(0) > 0 && disk.leave_files(0) > 0);
    let id = &*bundle.id;
    for args in [
        &["start", id][..],
        &["exec", id, "/probe", "exit 0"],
        &["pause", id],
        &["resume", id],
        &["update", "--pids-limit", "100", id],
        &["state", id],
        &["kill", id, "USR1"],
        &["delete", "--force", id],
    ] {
        attached(args).ok();
    }
    assert_eq!(disk.names(), [""; 0]);
    bundle.nothing_left();
}

#[test]
fn a_pid_file_that_does_not_fit_fails_the_run() {
    only_ours!("runc and crun leave what they have begun to write");
    needs_disk!();
    let (bundle, disk) = on_disk(32, 64);
    let place = bundle.dir.join("full");
    fs::create_dir(&place).unwrap();
    let file = place.join("pid");
    let command = |run: &[&str]| {
        let mut command = bundle.run_command(&[run, &["--pid-file", file.to_str().unwrap()]].concat());
        privately(&mut command, vec![disk.at(&place)]);
        command
    };
    for room in [Disk::leave_files as fn(&Disk, usize) -> usize, Disk::leave_pages] {
        room(&disk, 0);
        for flags in [&[][..], &["--detach"]] {
            // The process runs by then, and is ended.
            let out = bundle.start(command(flags)).finish();
            assert!(out.code() > 0, "{out:?}");
            out.we_say("ENOSPC").we_say("pid");
            bundle.nothing_left();
            assert_eq!(disk.names(), [""; 0]);
        }
        disk.make_room();
    }
    bundle.start(command(&[])).finish().ok();
    bundle.nothing_left();
}

#[test]
fn output_that_does_not_fit_is_an_error() {
    only_ours!("runc's list forgets to look");
    let bundle = sleeping();
    let id = &*bundle.id;
    for args in [
        &["state", id][..],
        &["list"],
        &["list", "--quiet"],
        &["list", "--format", "json"],
        &["ps", id],
        &["ps", "--format", "json", id],
        &["events", "--stats", id],
        &["features"],
        &["--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = bundle.command(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains("ENOSPC"), "{args:?}: {:?} {said}", out.status);
    }
    bundle.delete();
    bundle.nothing_left();
}

/// Tries with ever more, from `first` on, until it is enough: how much that is. With less the command says this word.
fn from(first: usize, word: &str, attempt: impl Fn(usize) -> Output, clean: impl Fn()) -> usize {
    for limit in first..first + 64 {
        let out = attempt(limit);
        if out.code() == 0 {
            clean();
            return limit;
        }
        let refused = [1, 255].contains(&out.code()) && out.stderr.contains(word);
        assert!(refused, "with {limit}: {out:?}");
        clean();
    }
    panic!("never enough");
}

/// Configurations that take more processes than others: one that takes one stage, two, helpers for its mounts, hooks.
fn kinds() -> Vec<Bundle> {
    let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let plain = Bundle::new();
    let mut hooked = Bundle::new();
    let hook = json!([{"path": minirunc_tests::runtime::probe(), "args": ["hook", "exit 0"]}]);
    hooked.config["hooks"] = json!({"prestart": hook, "createContainer": hook, "startContainer":
        [{"path": "/probe", "args": ["hook", "exit 0"]}], "poststop": hook});
    let mut mapped = Bundle::new();
    mapped.add_namespace(json!({"type": "user"}));
    mapped.config["linux"]["uidMappings"] = map.clone();
    mapped.config["linux"]["gidMappings"] = map;
    let source = mapped.path("volume");
    fs::create_dir(&source).unwrap();
    mapped.add_mount(
        json!({"destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", "ro"]}),
    );
    let mut reaped = Bundle::new();
    reaped.config["annotations"] = json!({"org.minirunc.init": "true"});
    let all = vec![plain, hooked, mapped, reaped];
    all.iter().for_each(Bundle::write);
    all
}

#[test]
fn with_no_pids_left_a_container_is_refused_whole() {
    only_ours!("Go's runtime aborts where it can have no thread");
    let Some(fence) = Fence::new("pids", ["pids.max"; 2]) else { skip!("no pids controller") };
    for bundle in kinds() {
        let attempt = |limit| {
            fence.set(limit);
            run(&bundle, |command| fence.around(command))
        };
        let enough = from(1, "EAGAIN", attempt, || bundle.nothing_left());
        // cgroup v2: its processes are born in a cgroup of their own.
        assert!(enough > 1 || host::v2(), "{enough}");
        fence.set(100);
        run(&bundle, |command| fence.around(command)).ok();
        bundle.nothing_left();
    }
}

#[test]
fn with_no_pids_left_exec_is_refused_and_the_container_goes_on() {
    only_ours!("Go's runtime aborts where it can have no thread");
    let Some(fence) = Fence::new("pids", ["pids.max"; 2]) else { skip!("no pids controller") };
    let bundle = sleeping();
    let alone = || until(|| host::cgroup_pids(&bundle.id) == [bundle.pid()]);
    let attempt = |limit| {
        fence.set(limit);
        on(&bundle, &["exec", &bundle.id, "/probe", "exit 0"], |command| fence.around(command))
    };
    let enough = from(1, "EAGAIN", attempt, alone);
    // On v2 it is born in the container's cgroup, beyond the fence.
    assert!(enough > 1 || host::v2(), "{enough}");
    // What takes no process goes on.
    fence.set(1);
    let id = &*bundle.id;
    for args in [&["state", id][..], &["list"], &["pause", id], &["resume", id], &["delete", "--force", id]] {
        on(&bundle, args, |command| fence.around(command)).ok();
    }
    bundle.nothing_left();
}

fn memory() -> Option<Fence> {
    Fence::new("memory", ["memory.limit_in_bytes", "memory.max"])
}

/// Does `command` in ever larger memory cgroups. The kernel kills whom it likes; who is left says what happened, and what is left
/// can be removed.
fn in_little_memory(bundle: &Bundle, command: impl Fn() -> Command, clean: impl Fn()) {
    for step in (1..2048).step_by(10 / rounds(10)) {
        // A new one each time: what is left of the last one's page cache counts.
        let Some(fence) = memory() else { return };
        fence.set(step * (32 << 10));
        let mut command = command();
        fence.around(&mut command);
        // ENOMEM: the program has not even begun.
        let Ok(running) = Running::try_start(command, &bundle.dir) else { continue };
        bundle.watch(running.pid());
        let out = running.finish();
        clean();
        if out.code() == 0 {
            assert!(step > 1, "it takes more than 32 KB");
            return;
        }
        let told = [1, 255].contains(&out.code()) && out.stderr.contains("minirunc-static: error: ");
        assert!(told || out.code() == -137, "in {step} times 32 KB: {out:?}");
    }
    panic!("never enough");
}

#[test]
fn in_too_little_memory_nothing_is_left_that_delete_does_not_remove() {
    only_ours!("Go's runtime takes some megabytes to say so");
    if memory().is_none() {
        skip!("no memory controller");
    }
    for bundle in kinds() {
        let removed = || {
            bundle.delete();
            bundle.nothing_left();
        };
        in_little_memory(&bundle, || bundle.run_command(&[]), removed);
        in_little_memory(&bundle, || create_command(&bundle, &[]), removed);
    }
    let bundle = sleeping();
    let alone = || {
        until(|| host::cgroup_pids(&bundle.id) == [bundle.pid()]);
        assert_eq!(status(&bundle), "running");
    };
    in_little_memory(&bundle, || bundle.command(&["exec", &bundle.id, "/probe", "exit 0"]), alone);
    let deleted = || bundle.command(&["delete", "--force", &bundle.id]);
    in_little_memory(&bundle, deleted, || ());
    bundle.nothing_left();
}

#[test]
fn with_no_namespace_left_its_kind_is_told() {
    only_ours!("it is about our words");
    let bundle = Bundle::new();
    let mut config = bundle.config.clone();
    config["linux"]["namespaces"] =
        ["user", "pid", "network", "ipc", "uts", "mount", "cgroup"].map(|it| json!({"type": it})).into();
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    (config["linux"]["uidMappings"], config["linux"]["gidMappings"]) = (map.clone(), map);
    config["process"]["capabilities"] = json!({});
    bundle.write_text(&config.to_string());
    for (file, name) in [
        ("user", "user"),
        ("mnt", "mount"),
        ("pid", "pid"),
        ("net", "network"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("cgroup", "cgroup"),
    ] {
        let mut command = bundle.run_command(&[]);
        without_namespaces(&mut command, file);
        fails(&bundle, command, &["ENOSPC", &format!("{name} namespace"), "/proc/sys/user/"]);
    }
}

/// setrlimit(2), for one command.
fn with_descriptors(command: &mut Command, most: usize) {
    // The container's own limit is 1024.
    let limit = libc::rlimit { rlim_cur: most as u64, rlim_max: 4096 };
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(move || check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))) };
}

#[test]
fn with_few_descriptors_each_command_says_so_or_does_its_work() {
    only_ours!("what it takes is its own affair");
    for bundle in kinds() {
        let attempt = |limit| run(&bundle, |command| with_descriptors(command, limit));
        from(4, "EMFILE", attempt, || bundle.nothing_left());
        let attempt = |limit| {
            let mut command = create_command(&bundle, &[]);
            with_descriptors(&mut command, limit);
            bundle.start(command).finish()
        };
        let removed = || {
            if is_known(&bundle) {
                bundle.delete();
            }
            bundle.nothing_left();
        };
        from(4, "EMFILE", attempt, removed);
    }
    let bundle = sleeping();
    let id = &*bundle.id;
    for args in [
        &["state", id][..],
        &["list"],
        &["ps", id],
        &["exec", id, "/probe", "exit 0"],
        &["kill", id, "USR1"],
        &["pause", id],
        &["resume", id],
        &["update", "--pids-limit", "100", id],
        &["events", "--stats", id],
        &["delete", "--force", id],
    ] {
        let attempt = |limit| on(&bundle, args, |command| with_descriptors(command, limit));
        let enough = from(4, "EMFILE", attempt, || ());
        assert!(enough <= 24, "{args:?} takes {enough}");
    }
    bundle.nothing_left();
}

/// Whether it has been created.
fn is_known(bundle: &Bundle) -> bool {
    bundle.state().join(&bundle.id).exists()
}
