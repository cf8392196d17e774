//! A runtime that is killed, at each of its system calls: `delete --force` removes whatever there is by then.

#![allow(unsafe_code)]

use std::mem;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::check;
use serde_json::json;

use crate::life::{create, create_command, status};

/// Runs `command` as far as to the entry of its `nth` system call, and kills it there. False: it has come to its end before.
fn killed_at(bundle: &Bundle, mut command: Command, nth: usize) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: one system call.
    unsafe { command.pre_exec(|| check(libc::ptrace(libc::PTRACE_TRACEME) as i32)) };
    let child = command.spawn().unwrap();
    let pid = child.id() as i32;
    bundle.watch(pid);
    mem::forget(child);
    // execve(2) is the first stop; then there are two for each call, at its entry and at its exit.
    for stop in 0.. {
        let mut status = 0;
        // SAFETY: our own child, which this thread traces; the kernel writes one int.
        unsafe {
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            if !libc::WIFSTOPPED(status) {
                return false;
            }
            if stop == 2 * nth + 1 {
                libc::kill(pid, libc::SIGKILL);
                assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
                return true;
            }
            let signal = libc::WSTOPSIG(status);
            let signal = if signal == libc::SIGTRAP { 0 } else { signal };
            libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal);
        }
    }
    false
}

/// Kills `create` at each of its calls. How many there were.
fn every_create(bundle: &Bundle) -> usize {
    bundle.write();
    let mut nth = 0;
    while killed_at(bundle, create_command(bundle, &["--pid-file", &bundle.path("pid")]), nth) {
        bundle.delete();
        bundle.nothing_left();
        nth += 1;
    }
    assert_eq!(status(bundle), "created", "after {nth} calls");
    bundle.delete();
    bundle.nothing_left();
    nth
}

#[test]
fn a_create_killed_at_any_of_its_calls_leaves_nothing_that_delete_does_not_remove() {
    only_ours!("it is what is killed");
    let calls = every_create(&Bundle::new());
    assert!(calls > 50, "{calls}");
}

#[test]
fn neither_does_one_that_has_maps_to_write() {
    only_ours!("it is what is killed");
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    every_create(&bundle);
}

#[test]
fn a_start_killed_at_any_of_its_calls_leaves_a_container_that_can_be_removed() {
    only_ours!("it is what is killed");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    for nth in 0.. {
        create(&bundle, &[]).ok();
        let killed = killed_at(&bundle, bundle.command(&["start", &bundle.id]), nth);
        let now = status(&bundle);
        assert!(["created", "running"].contains(&&*now), "{now} after {nth} calls");
        bundle.delete();
        bundle.nothing_left();
        if !killed {
            assert_eq!(now, "running");
            assert!(nth > 20, "{nth}");
            return;
        }
    }
}

#[test]
fn an_init_that_hangs_in_a_hook_is_removed_with_its_container() {
    only_ours!("it is what is killed");
    let mut bundle = Bundle::new();
    let probe = minirunc_tests::runtime::probe();
    let args = json!(["hook", "sleep 60000"]);
    bundle.config["hooks"] = json!({"createContainer": [{"path": probe, "args": args}]});
    bundle.write();
    let mut running = bundle.start(create_command(&bundle, &[]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(status(&bundle), "creating");
    running.child.kill().unwrap();
    running.finish();
    bundle.delete();
    bundle.nothing_left();
}
