//! Cgroups below the container's: made by its caller, or by an init such as systemd.

#![allow(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{host, not_for, skip};
use serde_json::json;

use crate::exec::{Target, until};

/// Makes `name` below the container's cgroup in every hierarchy.
fn make(bundle: &Bundle, name: &str) -> Vec<PathBuf> {
    let made: Vec<_> = host::cgroup_directories(&bundle.id).iter().map(|it| it.join(name)).collect();
    for below in &made {
        fs::create_dir(below).unwrap();
        // A new cpuset of v1 takes nobody until it has processors.
        for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|_| host::v1()) {
            if let Ok(value) = fs::read(below.parent().unwrap().join(file)) {
                fs::write(below.join(file), value).unwrap();
            }
        }
    }
    made
}

/// Starts a process with these flags of `exec`. Its pid, and the lines of its /proc/PID/cgroup.
#[track_caller]
fn memberships(target: &Target, flags: &[&str]) -> (i32, Vec<String>) {
    let file = target.0.path("pid");
    let _ = fs::remove_file(&file);
    target.exec(&[flags, &["-d", "--pid-file", &file]].concat(), &["/probe", "sleep 600000"]).ok();
    let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    (pid, text.lines().map(String::from).collect())
}

/// Ends a process that a test has started.
fn end(pid: i32) {
    // SAFETY: no memory.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    until(|| (!Path::new(&format!("/proc/{pid}/cgroup")).exists()).then_some(()));
}

#[test]
fn a_cgroup_below_the_containers_is_entered_when_asked_for() {
    let target = Target::new();
    make(&target.0, "below");
    let cgroups = |flags: &[&str]| {
        let (pid, lines) = memberships(&target, flags);
        end(pid);
        lines.into_iter().filter(|line| line.ends_with("/below")).collect::<Vec<_>>()
    };
    assert_eq!(cgroups(&[]), Vec::<String>::new());
    assert!(cgroups(&["--cgroup", "below"]).len() >= if host::v1() { 3 } else { 1 });
    if host::v1() {
        let some = cgroups(&["--cgroup", "freezer,pids:below", "--cgroup", "memory:/below"]);
        let named: Vec<_> = some.iter().filter_map(|line| line.split(':').nth(1)).collect();
        assert_eq!(named.len(), 3, "{named:?}");
    }
    for wrong in ["absent", "../", "../../", "nothing:below", "freezer:below:x"] {
        target.exec(&["--cgroup", wrong], &["/probe"]).ended(255);
    }
}

#[test]
fn a_process_joins_init_where_the_containers_own_cgroup_takes_none() {
    if !host::v2() {
        skip!("no cgroup v2");
    }
    let target = Target::new();
    let own = host::cgroup_of(&target.0.id, "pids");
    make(&target.0, "init.scope");
    fs::write(own.join("init.scope/cgroup.procs"), target.0.pid().to_string()).unwrap();
    fs::write(own.join("cgroup.subtree_control"), "+pids").unwrap();
    let (_, lines) = memberships(&target, &[]);
    assert!(lines.iter().any(|line| line.ends_with("/init.scope")), "{lines:?}");
    // Asked for by name, it is an error that it takes none.
    let out = target.exec(&["--cgroup", "/"], &["/probe"]);
    out.ended(255).we_say("EBUSY");
}

/// Deletes a container that has processes in cgroups below its own.
fn deleted_with_what_is_below(bundle: Bundle) {
    // Its end proves that nothing is left.
    let target = Target::of(bundle);
    for below in ["below", "below/a", "below/b", "below/a/c"] {
        make(&target.0, below);
        memberships(&target, &["--cgroup", below]);
    }
}

#[test]
fn cgroups_below_are_removed_with_the_processes_in_them() {
    deleted_with_what_is_below(Bundle::new());
}

#[test]
fn also_where_no_pid_namespace_ends_them() {
    not_for!("runc", "1.1.5 kills init only");
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    deleted_with_what_is_below(bundle);
}

#[test]
fn cgroups_that_the_container_makes_itself_are_removed_with_it() {
    if !host::v2() {
        skip!("no cgroup v2");
    }
    let mut bundle = Bundle::new();
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.add_mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}));
    let bundle = bundle.ask(&[
        "mkdir /sys/fs/cgroup/a",
        "mkdir /sys/fs/cgroup/a/b",
        "write /sys/fs/cgroup/a/b/cgroup.procs 0",
    ]);
    let facts = bundle.facts();
    assert_eq!(&facts["mkdir /sys/fs/cgroup/a/b"], "ok");
    assert_eq!(&facts["write /sys/fs/cgroup/a/b/cgroup.procs 0"], "ok");
}
