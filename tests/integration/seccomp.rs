//! Filters on system calls, as the kernel enforces them on the process.

#![allow(unsafe_code)]

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

use crate::exec::Target;
use crate::sockets::Message;

/// A container whose filter allows all but what these rules say.
fn rules(no_new_privileges: bool, rules: Value) -> impl FnOnce(&mut Value) {
    move |config| {
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
            "syscalls": rules
        });
    }
}

fn refuse_mkdir() -> Value {
    json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6}])
}

const MKDIR: &str = "mkdir /tmp/x";

#[test]
fn a_refused_call_has_its_errno_with_and_without_no_new_privs() {
    for no_new_privileges in [true, false] {
        let facts = Bundle::with(rules(no_new_privileges, refuse_mkdir())).ask(&[MKDIR]).facts();
        assert_eq!(&facts[MKDIR], "!ENXIO", "noNewPrivileges {no_new_privileges}");
    }
}

#[test]
fn an_ordinary_user_is_under_the_filter_without_no_new_privs() {
    let bundle = Bundle::with(|config| {
        rules(false, refuse_mkdir())(config);
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    assert_eq!(&bundle.ask(&[MKDIR]).facts()[MKDIR], "!ENXIO");
}

#[test]
fn a_killed_call_ends_the_process_by_sigsys() {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        let bundle = Bundle::with(rules(true, json!([{"names": ["mkdir", "mkdirat"], "action": action}])));
        bundle.ask(&[MKDIR]).run().ended(128 + libc::SIGSYS);
    }
}

#[test]
fn a_traced_call_without_a_tracer_does_not_exist_and_a_logged_one_works() {
    for (action, answer) in [("SCMP_ACT_TRACE", "!errno 38"), ("SCMP_ACT_LOG", "!EPERM")] {
        let bundle = Bundle::with(rules(true, json!([{"names": ["sethostname"], "action": action}])));
        let facts = bundle.ask(&["sethostname x"]).facts();
        assert!(facts["sethostname x"].starts_with(answer), "{action}: {}", &facts["sethostname x"]);
    }
}

#[test]
fn arguments_decide() {
    // kill(pid, signal)
    let rule = |op: &str| json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6, "args": [{"index": 1, "value": 28, "op": op}]}]);
    for (op, winch, urg) in
        [("SCMP_CMP_EQ", "!ENXIO", "ok"), ("SCMP_CMP_NE", "ok", "!ENXIO"), ("SCMP_CMP_LT", "ok", "!ENXIO")]
    {
        let facts = Bundle::with(rules(true, rule(op))).ask(&["raise 28", "raise 23"]).facts();
        assert_eq!((&facts["raise 28"], &facts["raise 23"]), (winch, urg), "{op}");
    }
}

#[test]
fn another_process_is_under_the_filter_too() {
    for no_new_privileges in [true, false] {
        let target = Target::with(rules(no_new_privileges, refuse_mkdir()));
        assert_eq!(&target.facts(&[], &[MKDIR])[MKDIR], "!ENXIO");
    }
}

#[test]
fn a_hook_of_the_container_is_under_the_filter() {
    let mut bundle = Bundle::with(rules(true, refuse_mkdir()));
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["hooks"] =
        json!({"startContainer": [{"path": "/probe", "args": ["probe", "report /said mkdir /y"]}]});
    let facts = bundle.ask(&["read /said"]).facts();
    assert!(facts["read /said"].contains("!ENXIO"), "{}", &facts["read /said"]);
}

/// `struct seccomp_notif` and `struct seccomp_notif_resp`, and the calls for them (linux/seccomp.h).
#[repr(C)]
struct Call {
    id: u64,
    pid: u32,
    flags: u32,
    data: [u64; 8],
}

#[repr(C)]
struct Reply {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const RECEIVE: u64 = 0xc050_2100;
const SEND: u64 = 0xc018_2101;

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const CONTINUE: u32 = 1;

/// Takes one listener, answers its first call but sendmsg(2) with ENXIO, and gives what it was told.
fn agent(bundle: &Bundle) -> JoinHandle<Value> {
    let listener = UnixListener::bind(bundle.dir.join("agent")).unwrap();
    std::thread::spawn(move || {
        let message = Message::receive(listener.accept().unwrap().0, 0).unwrap();
        let [fd] = &message.fds[..] else { panic!("{} descriptors", message.fds.len()) };
        let mut call = Call { id: 0, pid: 0, flags: 0, data: [0; 8] };
        // SAFETY: both structures are the kernel's.
        unsafe {
            loop {
                assert_eq!(libc::ioctl(fd.as_raw_fd(), RECEIVE as _, &mut call), 0);
                let goes_on = call.data[0] as i32 == libc::SYS_sendmsg as i32;
                let (error, flags) = if goes_on { (0, CONTINUE) } else { (-libc::ENXIO, 0) };
                let mut reply = Reply { id: call.id, value: 0, error, flags };
                assert_eq!(libc::ioctl(fd.as_raw_fd(), SEND as _, &mut reply), 0);
                if !goes_on {
                    break;
                }
                call = Call { id: 0, pid: 0, flags: 0, data: [0; 8] };
            }
        }
        serde_json::from_slice(&message.payload).unwrap()
    })
}

fn notify(bundle: &mut Bundle, no_new_privileges: bool) {
    rules(no_new_privileges, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]))(
        &mut bundle.config,
    );
    bundle.config["linux"]["seccomp"]["listenerPath"] = json!(bundle.path("agent"));
    bundle.config["linux"]["seccomp"]["listenerMetadata"] = json!("about \"it\"");
    bundle.config["annotations"] = json!({"a": "b"});
}

#[test]
fn an_agent_is_told_of_the_container_and_answers_its_calls() {
    not_for!("crun", "1.8.1 has other states");
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new();
        notify(&mut bundle, no_new_privileges);
        let agent = agent(&bundle);
        let bundle = bundle.ask(&[MKDIR]);
        let facts = bundle.run().facts();
        assert_eq!(&facts[MKDIR], "!ENXIO", "noNewPrivileges {no_new_privileges}");
        assert_eq!(&facts["fds"], "0 1 2");
        let state = agent.join().unwrap();
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "about \"it\"");
        assert_eq!(state["state"]["id"], json!(bundle.id));
        assert_eq!(state["state"]["bundle"], json!(bundle.dir));
        assert_eq!(state["state"]["annotations"], json!({"a": "b"}));
        assert!(state["pid"].as_i64().unwrap() > 1 && state["pid"] == state["state"]["pid"]);
    }
}

/// bypass4netns asks for it.
#[test]
fn an_agent_may_be_asked_about_the_call_that_would_tell_of_it() {
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new();
        notify(&mut bundle, no_new_privileges);
        bundle.config["linux"]["seccomp"]["syscalls"][0]["names"] = json!(["sendmsg", "mkdir", "mkdirat"]);
        let agent = agent(&bundle);
        let mut bundle = bundle.ask(&[MKDIR]);
        assert_eq!(&bundle.run().facts()[MKDIR], "!ENXIO", "noNewPrivileges {no_new_privileges}");
        agent.join().unwrap();
        bundle.config["linux"]["seccomp"]["syscalls"][0]["names"] = json!(["write"]);
        bundle.run().refused(&["SCMP_ACT_NOTIFY cannot be used for the write syscall"]);
    }
}

#[test]
fn an_agent_hears_of_a_created_container() {
    not_for!("crun", "1.8.1 has other states");
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new();
        notify(&mut bundle, no_new_privileges);
        let agent = UnixListener::bind(bundle.dir.join("agent")).unwrap();
        agent.set_nonblocking(true).unwrap();
        bundle.write();
        bundle.runtime(&["create", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).ok();
        let (stream, _) = agent.accept().expect("nobody has connected before the start");
        let state: Value = serde_json::from_slice(&Message::receive(stream, 0).unwrap().payload).unwrap();
        assert_eq!(state["state"]["status"], "creating");
        assert_eq!(state["state"]["pid"], bundle.state_json()["pid"]);
        bundle.delete();
    }
}

#[test]
fn nobody_to_answer_is_an_error_that_leaves_nothing() {
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new();
        notify(&mut bundle, no_new_privileges);
        bundle.run().refused(&["agent"]);
        bundle.config["linux"]["seccomp"]["listenerPath"] = json!("");
        bundle.run().refused(&["listener"]);
    }
}

#[test]
fn what_a_filter_does_not_allow_us_is_done_without() {
    let names = json!([
        "close_range",
        "fsopen",
        "fsconfig",
        "openat2",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "faccessat2"
    ]);
    for no_new_privileges in [true, false] {
        let rules =
            rules(no_new_privileges, json!([{"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]));
        Bundle::with(rules).facts();
    }
}

/// Profiles are made by hand, or from what a program calls.
#[test]
fn a_filter_need_not_allow_what_only_a_runtime_calls() {
    only_ours!("the oracles load it early");
    let names = json!(["dup3", "fchdir", "recvmsg", "sendmsg", "setgroups", "setsid", "setuid", "signalfd4"]);
    for no_new_privileges in [true, false] {
        let bundle = Bundle::with(rules(
            no_new_privileges,
            json!([{"names": names, "action": "SCMP_ACT_KILL_PROCESS"}]),
        ));
        let facts = bundle.facts();
        assert_eq!(&facts["cap.permitted"], &Bundle::new().facts()["cap.permitted"]);
        bundle.write();
        bundle.runtime(&["create", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).ok();
        bundle.runtime(&["start", &bundle.id]).ok();
        bundle.delete();
    }
}

#[test]
fn a_profile_that_is_not_understood_is_refused() {
    only_ours!("the words are ours");
    let unknown = json!([{"names": ["mkdir"], "action": "SCMP_ACT_WAVE"}]);
    Bundle::with(rules(true, unknown)).run().refused(&["linux.seccomp.syscalls[0].action"]);
}
