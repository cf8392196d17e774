//! A machine that lacks what others have: cgroups, /proc, /run, or the right to write there.

use std::fs;
use std::path::Path;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::{Output, Runtime};
use minirunc_tests::scarce::{Change, c_path, privately};
use serde_json::json;

use super::{fails, on, run};
use crate::kill::sleeping;
use crate::life::{create_command, status};

fn read_only_cgroups(command: &mut Command) {
    privately(command, vec![Change::ReadOnly(c"/sys/fs/cgroup".into())]);
}

#[test]
fn read_only_cgroups_are_told() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    read_only_cgroups(&mut command);
    fails(&bundle, command, &["EROFS", "/sys/fs/cgroup", "mkdir"]);
    run(&bundle, |_| ()).ok();
}

#[test]
fn a_container_whose_cgroups_cannot_be_removed_stays_known() {
    only_ours!("runc forgets it");
    let bundle = sleeping();
    let id = &*bundle.id;
    for args in [&["pause", id][..], &["update", "--pids-limit", "7", id], &["delete", "--force", id]] {
        on(&bundle, args, read_only_cgroups).refused(&["EROFS", "/sys/fs/cgroup"]);
    }
    assert_eq!(status(&bundle), "stopped");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn without_cgroups_what_asks_for_them_is_refused() {
    only_ours!("runc needs them for every container");
    let bundle = Bundle::with(|config| config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20}));
    bundle.write();
    let gone = |command: &mut Command| privately(command, vec![Change::Unmount(c"/sys/fs/cgroup".into())]);
    run(&bundle, gone).refused(&["linux.resources.memory", "no cgroup filesystem is mounted"]);
    bundle.nothing_left();
    bundle.run_with(&[]).ok();
}

fn no_proc(command: &mut Command) {
    privately(command, vec![Change::Unmount(c"/proc".into())]);
}

#[test]
fn a_proc_that_is_missing_is_told() {
    only_ours!("it is about our words");
    let bundle = Bundle::new();
    bundle.write();
    for command in [bundle.run_command(&[]), create_command(&bundle, &[])] {
        let mut command = command;
        no_proc(&mut command);
        fails(&bundle, command, &["ENOENT", "Hint: nothing is mounted at /proc"]);
    }
    // Found by where we are.
    let mut command = bundle.command(&["run", "--bundle", ".", &bundle.id]);
    no_proc(command.current_dir(&bundle.dir));
    fails(&bundle, command, &["ENOENT", "nothing is mounted at /proc"]);
    run(&bundle, |_| ()).ok();
    bundle.nothing_left();
}

#[test]
fn without_proc_nobody_takes_a_container_for_what_it_is_not() {
    only_ours!("it is about our words");
    let bundle = sleeping();
    let id = &*bundle.id;
    let (state, told) = (on(&bundle, &["state", id], no_proc), "\"running\"");
    assert!(state.code() != 0 || state.stdout.contains(told), "{state:?}");
    for args in [&["ps", id][..], &["exec", id, "/probe"]] {
        let out = on(&bundle, args, no_proc);
        assert!([1, 255].contains(&out.code()), "{out:?}");
        out.says("nothing is mounted at /proc");
    }
    let delete = on(&bundle, &["delete", id], no_proc);
    assert_ne!(delete.code(), 0, "{delete:?}");
    assert_eq!(status(&bundle), "running");
    // Where a process is known by its pidfd, it takes no /proc to end it.
    let out = on(&bundle, &["delete", "--force", id], no_proc);
    if out.code() != 0 {
        out.says("nothing is mounted at /proc");
        bundle.delete();
    }
    bundle.nothing_left();
}

/// A directory to be the root, with the machine's /proc, /sys and /dev, with what the tests are made of, and without the rest.
fn bare_root(bundle: &Bundle) -> Vec<Change> {
    let root = bundle.dir.join("root");
    let program = Runtime::get().path.parent().unwrap();
    let mut changes = vec![];
    for there in [Path::new("/proc"), Path::new("/sys"), Path::new("/dev"), program, &bundle.dir] {
        let here = root.join(there.strip_prefix("/").unwrap());
        fs::create_dir_all(&here).unwrap();
        changes.push(Change::Bind(c_path(there), c_path(here)));
    }
    changes
}

/// `run` in the default state root, after these changes.
fn run_at_home(bundle: &Bundle, changes: Vec<Change>) -> Output {
    let mut command = Runtime::get().command();
    command.args(["run", "--bundle", &bundle.path(""), &bundle.id]);
    privately(&mut command, changes);
    bundle.start(command).finish()
}

#[test]
fn a_state_root_is_made_where_there_is_not_even_run() {
    only_ours!("it needs files of the machine");
    let bundle = Bundle::new();
    bundle.write();
    let mut changes = bare_root(&bundle);
    changes.push(Change::Root(c_path(bundle.dir.join("root"))));
    run_at_home(&bundle, changes).ok();
    let made = fs::read_dir(bundle.dir.join("root/run/minirunc")).unwrap();
    assert_eq!(made.count(), 0);
    bundle.nothing_left();
}

#[test]
fn one_that_cannot_be_made_is_told() {
    only_ours!("it needs files of the machine");
    let bundle = Bundle::new();
    bundle.write();
    let root = bundle.dir.join("root");
    let mut changes = vec![Change::Bind(c_path(&root), c_path(&root)), Change::ReadOnly(c_path(&root))];
    changes.extend(bare_root(&bundle));
    changes.push(Change::Root(c_path(&root)));
    run_at_home(&bundle, changes).refused(&["mkdir /run", "EROFS"]);
    bundle.nothing_left();
    // /run is there, and read-only.
    let bare = bundle.dir.join("empty");
    fs::create_dir(&bare).unwrap();
    let changes = || vec![Change::Bind(c_path(&bare), c"/run".into()), Change::ReadOnly(c"/run".into())];
    run_at_home(&bundle, changes()).refused(&["mkdir /run/minirunc", "EROFS"]);
    bundle.nothing_left();
    let mut command = Runtime::get().command();
    command.args(["delete", "--force", &bundle.id]);
    privately(&mut command, changes());
    bundle.start(command).finish().ok();
    run(&bundle, |_| ()).ok();
}
