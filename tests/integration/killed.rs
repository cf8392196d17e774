//! A runtime that is killed, at each of its system calls: what it leaves is told, listed and removed by `delete --force`, and the id
//! is free again.

#![allow(unsafe_code)]

use std::mem;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{check, rounds};
use minirunc_tests::{host, only_ours};
use serde_json::json;

use crate::kill::until;
use crate::life::{create, create_command, start, status};

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

/// Kills a command at each of its calls, one after the other, and looks at what is left each time. Its last run comes to its
/// end. How many calls there were. (An emulated processor has time for each tenth.)
fn at_every_call(bundle: &Bundle, command: impl Fn() -> Command, look: impl Fn(usize)) -> usize {
    let mut nth = 0;
    while killed_at(bundle, command(), nth) {
        look(nth);
        nth += 10 / rounds(10);
    }
    nth
}

/// Other commands get along with what is there, whatever it is, and nothing of it is left.
#[track_caller]
pub fn can_be_removed(bundle: &Bundle, nth: usize) {
    let state = bundle.runtime(&["state", &bundle.id]);
    let all = bundle.runtime(&["list", "--quiet"]);
    if bundle.state().exists() {
        assert_eq!(
            (all.ok().stderr.as_str(), all.stdout.is_empty()),
            ("", state.code() != 0),
            "after {nth} calls"
        );
    }
    if state.code() != 0 {
        state.refused(&["container does not exist"]);
    }
    bundle.delete();
    bundle.nothing_left();
}

/// Kills `create` at each of its calls. How many there were.
pub fn every_create(bundle: &Bundle) -> usize {
    bundle.write();
    let command = || create_command(bundle, &["--pid-file", &bundle.path("pid")]);
    let calls = at_every_call(bundle, command, |nth| can_be_removed(bundle, nth));
    assert_eq!(status(bundle), "created", "after {calls} calls");
    bundle.delete();
    bundle.nothing_left();
    calls
}

/// Kills `delete --force` at each of its calls. How many there were.
pub fn every_delete(bundle: &Bundle) -> usize {
    let running = || {
        create(bundle, &[]).ok();
        start(bundle).ok();
        bundle.command(&["delete", "--force", &bundle.id])
    };
    let calls = at_every_call(bundle, running, |nth| can_be_removed(bundle, nth));
    bundle.nothing_left();
    calls
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
fn a_run_killed_at_any_of_its_calls_leaves_a_container_that_can_be_removed() {
    only_ours!("it is what is killed");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    let calls =
        at_every_call(&bundle, || bundle.run_command(&["--detach"]), |nth| can_be_removed(&bundle, nth));
    assert!(calls > 50, "{calls}");
    assert_eq!(status(&bundle), "running");
    bundle.delete();
}

#[test]
fn a_start_killed_at_any_of_its_calls_leaves_a_container_that_can_be_removed() {
    only_ours!("it is what is killed");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    let created = || {
        create(&bundle, &[]).ok();
        bundle.command(&["start", &bundle.id])
    };
    let calls = at_every_call(&bundle, created, |nth| {
        let now = status(&bundle);
        assert!(["created", "running"].contains(&&*now), "{now} after {nth} calls");
        can_be_removed(&bundle, nth);
    });
    assert!(calls > 20, "{calls}");
    assert_eq!(status(&bundle), "running");
    bundle.delete();
}

#[test]
fn an_exec_killed_at_any_of_its_calls_leaves_the_container_as_it_was() {
    only_ours!("it is what is killed");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    let command = || bundle.command(&["exec", &bundle.id, "/probe", "exit 0"]);
    let alone = || host::cgroup_pids(&bundle.id) == [bundle.pid()];
    let calls = at_every_call(&bundle, command, |_| {
        assert_eq!(status(&bundle), "running");
        until(alone);
    });
    assert!(calls > 50, "{calls}");
    until(alone);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_delete_killed_at_any_of_its_calls_can_be_done_again() {
    only_ours!("it is what is killed");
    let calls = every_delete(&Bundle::new().ask(&["sleep 60000"]));
    assert!(calls > 20, "{calls}");
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
