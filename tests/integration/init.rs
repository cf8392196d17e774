//! `run --init`: a reaper of ours before the process.

use std::fs;
use std::process::Command;

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::runtime::{Output, Running};
use minirunc_tests::{host, only_ours};
use serde_json::json;

use crate::inherit;
use crate::kill::until;
use crate::life::{create, start, status};
use crate::terminal::Terminal;

fn init(bundle: &Bundle) -> Running {
    bundle.write();
    bundle.start(bundle.run_command(&["--init"]))
}

#[track_caller]
fn run(bundle: &Bundle) -> Output {
    let out = init(bundle).finish();
    bundle.nothing_left();
    out
}

/// A line of /proc/PID/status.
fn line(pid: i32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_string()
}

#[test]
fn the_reaper_is_the_first_process_and_the_program_its_child() {
    only_ours!("--init is no flag of the others");
    let facts = run(&Bundle::new().ask(&["read /proc/1/comm"])).facts();
    assert_eq!((&facts["pid"], &facts["ppid"], &facts["pgid"], &facts["sid"]), ("2", "1", "2", "1"));
    assert_eq!(facts["read /proc/1/comm"].trim(), "minirunc:[2:INI");
    assert_eq!((&facts["fds"], &facts["blocked"], &facts["dumpable"]), ("0 1 2", "", "1"));
}

#[test]
fn the_annotation_asks_for_the_reaper_too() {
    only_ours!("an annotation of ours");
    let with = |value: &str| {
        let value = json!({"org.minirunc.init": value});
        Bundle::with(|config| config["annotations"] = value)
    };
    assert_eq!(&with("true").facts()["ppid"], "1");
    assert_eq!(&with("false").facts()["pid"], "1");
    with("yes").run().refused(&["annotations", "org.minirunc.init", "expected true or false"]);
}

#[test]
fn the_status_is_the_programs() {
    only_ours!("--init");
    run(&Bundle::new().ask(&["exit 7"])).ended(7);
    run(&Bundle::new().ask(&["raise 9"])).ended(137);
    run(&Bundle::with(|config| config["process"]["args"] = json!(["/nowhere"]))).ended(127);
}

#[test]
fn a_signal_ends_a_program_that_has_no_handler() {
    only_ours!("--init");
    let bundle = Bundle::new().ask(&["print", "sleep 60000"]);
    let mut running = init(&bundle);
    running.until("print=");
    running.signal(libc::SIGTERM);
    running.finish().ended(143);
    bundle.nothing_left();
}

#[test]
fn every_signal_is_forwarded_once() {
    only_ours!("--init");
    let bundle = Bundle::new().ask(&["signals"]);
    let mut running = init(&bundle);
    running.until("ready=1");
    // 32 to 34 are musl's own in the probe.
    let forwarded: Vec<i32> =
        (1..=64).filter(|number| ![9, 15, 17, 19, 32, 33, 34].contains(number)).collect();
    for number in &forwarded {
        bundle.runtime(&["kill", &bundle.id, &number.to_string()]).ok();
        running.until(&format!("signal.{number}=1\n"));
    }
    bundle.runtime(&["kill", &bundle.id]).ok();
    let out = running.finish();
    // And SIGTERM.
    assert_eq!(out.ok().stdout.matches("signal.").count(), forwarded.len() + 1);
    bundle.nothing_left();
}

#[test]
fn orphans_are_reaped() {
    only_ours!("--init");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.run_with(&["--init", "--detach"]).ok();
    until(|| host::cgroup_pids(&bundle.id).len() == 2);
    let ours = host::cgroup_pids(&bundle.id);
    bundle.runtime(&["exec", "--detach", &bundle.id, "/probe", "children 100"]).ok();
    until(|| host::cgroup_pids(&bundle.id).len() == 103);
    for pid in host::cgroup_pids(&bundle.id).iter().filter(|pid| !ours.contains(pid)) {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.expect("kill").success());
    }
    // Neither a cgroup's list nor a pid namespace's is rid of zombies before they are waited for.
    let zombies = || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bundle.pid()));
        children.expect("children").split_whitespace().count() - 1
    };
    until(|| zombies() == 0);
    assert_eq!(status(&bundle), "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn the_reaper_holds_nothing_and_may_do_nothing_but_signal() {
    only_ours!("--init");
    let bundle =
        Bundle::with(|config| config["process"]["user"]["umask"] = json!(0o27)).ask(&["sleep 60000"]);
    bundle.run_with(&["--init", "--detach"]).ok();
    let pid = bundle.pid();
    until(|| fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| fds.count() == 0));
    for (set, wanted) in [("CapInh", "0"), ("CapPrm", "20"), ("CapEff", "20"), ("CapAmb", "0")] {
        assert_eq!(line(pid, set).trim_start_matches('0'), wanted.trim_start_matches('0'), "{set}");
    }
    assert_eq!(line(pid, "NoNewPrivs"), "1");
    // Not even to root of the container: who may not trace it cannot look.
    let out = bundle.runtime(&["exec", &bundle.id, "/probe", "list /proc/1/fd", "read /proc/1/environ"]);
    assert_eq!(&out.facts()["list /proc/1/fd"], "");
    assert_eq!(&out.facts()["read /proc/1/environ"], "!EACCES");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn an_ordinary_users_process_is_forwarded_to_too() {
    only_ours!("--init");
    let bundle = Bundle::with(|config| config["process"]["user"] = json!({"uid": 1000, "gid": 1000}))
        .ask(&["signals"]);
    let mut running = init(&bundle);
    running.until("ready=1");
    running.signal(libc::SIGUSR1);
    running.until("signal.10=1");
    running.signal(libc::SIGTERM);
    running.finish().ok();
    bundle.nothing_left();
}

#[test]
fn in_a_user_namespace_and_without_the_hosts_root_it_works() {
    only_ours!("--init");
    let bundle = Bundle::new().unprivileged(1000).ask(&["print"]);
    let facts = run(&bundle).facts();
    assert_eq!((&facts["pid"], &facts["ppid"]), ("2", "1"));
}

#[test]
fn the_terminal_is_the_programs_and_what_is_typed_comes_once() {
    only_ours!("--init");
    let bundle =
        Bundle::with(|config| config["process"]["terminal"] = json!(true)).ask(&["foreground", "signals"]);
    bundle.write();
    let mut terminal = Terminal::of(bundle.run_command(&["--init"]));
    terminal.until("ready=1");
    terminal.type_in("\x03");
    terminal.until("signal.2=1");
    bundle.runtime(&["kill", &bundle.id]).ok();
    assert_eq!(terminal.end(), 0);
    assert_eq!(terminal.seen.matches("signal.2=1").count(), 1, "{}", terminal.seen);
    assert_eq!(&terminal.facts()["foreground"], "2");
    bundle.nothing_left();
}

#[test]
fn a_created_container_starts_behind_it_and_errors_of_execve_reach_start() {
    only_ours!("--init");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    create(&bundle, &["--init"]).ok();
    assert_eq!(host::cgroup_pids(&bundle.id).len(), 1);
    start(&bundle).ok();
    until(|| host::cgroup_pids(&bundle.id).len() == 2);
    let ps = bundle.runtime(&["ps", "--format", "json", &bundle.id]);
    assert_eq!(ps.ok().stdout.split(',').count(), 2, "{}", ps.stdout);
    bundle.delete();

    let bundle = Bundle::with(|config| config["process"]["args"] = json!(["/data/script"]));
    fs::write(bundle.rootfs().join("data/script"), "no format that the kernel knows").expect("script");
    mode(&bundle.rootfs().join("data/script"), 0o755);
    create(&bundle, &["--init"]).ok();
    start(&bundle).refused(&["/data/script", "exec format error"]);
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn hooks_inside_run_before_it_stands_there() {
    only_ours!("--init");
    let bundle = Bundle::with(|config| {
        config["root"]["readonly"] = json!(false);
        let args = ["probe", "report /hook stdin"];
        config["hooks"] = json!({"startContainer": [{"path": "/probe", "args": args}]});
    })
    .ask(&["print"]);
    run(&bundle).ok();
    let told = fs::read_to_string(bundle.rootfs().join("hook")).expect("hook");
    assert!(told.contains("\"pid\":1,") || told.contains("\"pid\": 1,"), "{told}");
}

#[test]
fn passed_descriptors_are_the_programs_alone() {
    only_ours!("--init");
    let bundle = Bundle::new().ask(&["print"]);
    bundle.write();
    let mut command = bundle.run_command(&["--init"]);
    for fd in [3, 4, 5] {
        inherit::leak(&mut command, "/dev/zero", fd);
    }
    inherit::listen(&mut command, 2);
    let facts = bundle.start(command).finish().facts();
    assert_eq!((&facts["fds"], &facts["env.LISTEN_FDS"], &facts["env.LISTEN_PID"]), ("0 1 2 3 4", "2", "2"));
}

#[test]
fn the_filter_holds_for_the_reaper_and_has_to_let_it_be_made() {
    only_ours!("--init");
    let with = |no_new_privileges: bool, names: serde_json::Value| {
        Bundle::with(move |config| {
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": 6}]
            });
        })
        .ask(&["mkdir /tmp/x", "sleep 60000"])
    };
    for no_new_privileges in [true, false] {
        let bundle = with(no_new_privileges, json!(["mkdir"]));
        bundle.run_with(&["--init", "--detach"]).ok();
        assert_eq!(line(bundle.pid(), "Seccomp"), "2");
        bundle.delete();
        run(&with(no_new_privileges, json!(["clone"]))).refused(&["clone", "reaper", "ENXIO"]);
    }
    // It sees the end of the program all the same.
    let bundle = with(true, json!(["rt_sigtimedwait", "close_range"])).ask(&["exit 3"]);
    run(&bundle).ended(3);
}

#[test]
fn the_first_process_of_somebodys_container_runs_one_all_the_same() {
    only_ours!("the others make no process without being the parent of the last");
    let mut bundle = Bundle::new().ask(&["print"]);
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    bundle.write();
    let run = bundle.run_command(&[]);
    // Joined through by CLONE_PARENT, which is EINVAL there.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(run.get_program()).args(run.get_args());
    let mut running = bundle.start(bundle.as_its_user(command));
    running.until("print=");
    running.finish().ok();
    bundle.nothing_left();
}

#[test]
fn the_first_process_of_somebodys_container_is_ended_by_a_signal_and_reaps() {
    only_ours!("runc has no reaper");
    let bundle = Bundle::new().ask(&["print", "sleep 60000"]);
    bundle.write();
    let run = bundle.run_command(&["--init"]);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(run.get_program()).args(run.get_args());
    let mut running = bundle.start(bundle.as_its_user(command));
    running.until("print=");
    let unshare = running.pid();
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("children");
    let first = children.split_whitespace().next().expect("a child");
    assert!(Command::new("kill").args(["-TERM", first]).status().expect("kill").success());
    running.finish().ended(143);
    bundle.nothing_left();
}
