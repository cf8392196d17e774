//! A second process in a running container.

#![allow(unsafe_code)]

use std::fs;
use std::path::Path;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::Facts;
use minirunc_tests::runtime::{Output, Runtime};
use minirunc_tests::{host, not_for};
use serde_json::{Value, json};

use crate::inherit::{close, leak};

/// A container that sleeps, and what is executed in it.
pub struct Target(pub Bundle);

impl Target {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Value)) -> Self {
        Self::of(Bundle::with(change))
    }

    pub fn of(mut bundle: Bundle) -> Self {
        bundle.config["process"]["args"] = json!(["/probe", "sleep 600000"]);
        bundle.run_with(&["--detach"]).ok();
        Self(bundle)
    }

    #[track_caller]
    pub fn exec(&self, flags: &[&str], command: &[&str]) -> Output {
        let args: Vec<&str> = [&["exec"], flags, &[&self.0.id], command].concat();
        self.0.runtime(&args)
    }

    /// What the probe reports when it is executed with these flags.
    #[track_caller]
    pub fn facts(&self, flags: &[&str], questions: &[&str]) -> Facts {
        self.exec(flags, &[&["/probe"], questions].concat()).facts()
    }

    /// The path of a process.json: that of the container with a change, and the probe for a command.
    pub fn process(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut process = self.0.config["process"].clone();
        process["args"] = json!(["/probe"]);
        change(&mut process);
        let path = self.0.path("process.json");
        fs::write(&path, process.to_string()).unwrap();
        path
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.delete();
            self.0.nothing_left();
        }
    }
}

fn link(pid: i32, name: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().display().to_string()
}

#[test]
fn the_process_is_in_every_namespace_of_the_container() {
    let target = Target::new();
    let init = target.0.pid();
    let facts = target.facts(&[], &[]);
    for name in ["pid", "net", "mnt", "ipc", "uts", "user", "cgroup", "time"] {
        assert_eq!(&facts[&format!("ns.{name}")], link(init, name), "{name}");
    }
    assert_eq!(&facts["hostname"], "runc");
    assert_ne!(&facts["pid"], "1");
    // Its parent is outside.
    assert_eq!(&facts["ppid"], "0");
    assert_eq!(facts["sid"], facts["pid"]);
}

#[test]
fn the_process_is_in_every_cgroup_of_the_container() {
    let target = Target::new();
    let init = fs::read_to_string(format!("/proc/{}/cgroup", target.0.pid())).unwrap();
    let ours = |text: &str| {
        text.lines().filter(|line| line.contains(&target.0.id)).map(String::from).collect::<Vec<_>>()
    };
    // Seen from outside, where no cgroup namespace hides the path.
    let mut command = target.0.command(&["exec", "--pid-file", &target.0.path("pid"), &target.0.id]);
    command.args(["/probe", "sleep 60000"]);
    let waiting = target.0.start(command);
    let pid = until(|| fs::read_to_string(target.0.path("pid")).ok());
    let its = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(!ours(&init).is_empty());
    assert_eq!(ours(&its), ours(&init));
    waiting.signal(libc::SIGTERM);
    waiting.finish().ended(128 + libc::SIGTERM);
}

/// What comes, within the patience of the tests.
#[track_caller]
pub fn until<T>(mut check: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4000 {
        if let Some(found) = check() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("waited in vain");
}

#[test]
fn the_status_is_the_processes_own() {
    let target = Target::new();
    for code in [0, 1, 42, 255] {
        target.exec(&[], &["/probe", &format!("exit {code}")]).ended(code);
    }
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        target.exec(&[], &["/probe", &format!("raise {signal}")]).ended(128 + signal);
    }
}

#[test]
fn signals_reach_the_process() {
    let target = Target::new();
    let mut running = target.0.start(target.0.command(&["exec", &target.0.id, "/probe", "signals"]));
    running.until("ready=1");
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGCONT, 40] {
        running.signal(signal);
        running.until(&format!("signal.{signal}=1"));
    }
    running.signal(libc::SIGTERM);
    running.finish().ok();
}

#[test]
fn a_failure_of_the_runtime_is_255_in_the_words_that_callers_match() {
    let target = Target::new();
    let failed = |command: &str| {
        let out = target.exec(&[], &[command]);
        out.ended(255).says("exec failed: ");
        assert!(out.stdout.is_empty());
        out
    };
    failed("foo").says("executable file not found in $PATH").we_say("exec: \"foo\": ");
    let missing = failed("/nowhere/foo");
    assert!(
        missing.stderr.to_lowercase().contains("/nowhere/foo: ") || missing.stderr.contains("/nowhere/foo\"")
    );
    assert!(missing.stderr.to_lowercase().contains("no such file or directory"));
    assert!(failed("/etc/passwd").stderr.to_lowercase().contains("permission denied"));
    target.exec(&[], &[]).ended(255).says("process args cannot be empty");
    target.0.runtime(&["exec", "none-of-them", "/probe"]).ended(255).says("container does not exist");
    target.0.runtime(&["exec"]).ended(1);
}

#[test]
fn a_container_that_has_stopped_takes_no_process() {
    let target = Target::new();
    // SAFETY: the container's own init.
    unsafe { libc::kill(target.0.pid(), libc::SIGKILL) };
    until(|| (target.0.state_json()["status"] == "stopped").then_some(()));
    target.exec(&[], &["/probe"]).ended(255).says("cannot exec in a stopped container");
}

#[test]
fn flags_end_at_the_container_id() {
    let target = Target::new();
    let facts = target.facts(&[], &["-d", "--env", "A=1", "--"]);
    assert_eq!((&facts["arg.1"], &facts["arg.2"], &facts["arg.4"]), ("-d", "--env", "--"));
}

#[test]
fn variables_are_added_and_the_last_of_a_name_counts() {
    let target = Target::with(|c| {
        c["process"]["env"].as_array_mut().unwrap().extend([json!("A=stored"), json!("B=stored")]);
    });
    let facts = target.facts(&["-e", "A=1", "-e", "C=2", "-e", "C=3"], &[]);
    assert_eq!((&facts["env.A"], &facts["env.B"], &facts["env.C"]), ("1", "stored", "3"));
    assert_eq!(&facts["env.TERM"], "xterm");
    assert_eq!(&facts["env.HOME"], "/root");
}

#[test]
fn the_program_is_looked_for_in_the_containers_path_and_root() {
    let target = Target::new();
    target.exec(&[], &["named"]).facts();
    target.exec(&["--env", "PATH=/data"], &["named"]).ended(255).says("not found in $PATH");
    // Not the host's.
    target.exec(&[], &["sh"]).ended(255).says("not found in $PATH");
}

#[test]
fn the_directory_is_another_when_asked_for_and_never_made() {
    let target = Target::with(|c| c["process"]["cwd"] = json!("/tmp"));
    assert_eq!(&target.facts(&[], &[])["cwd"], "/tmp");
    assert_eq!(&target.facts(&["--cwd", "/data"], &[])["cwd"], "/data");
    target.exec(&["--cwd", "/tmp/absent"], &["/probe"]).ended(255);
    assert!(!target.0.rootfs().join("tmp/absent").exists());
}

#[test]
fn user_group_and_groups_are_as_asked() {
    let target = Target::with(|c| c["process"]["user"] = json!({"uid": 3, "gid": 4, "additionalGids": [5]}));
    let facts = target.facts(&[], &[]);
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), ("3 3 3", "4 4 4", "5"));
    let facts = target.facts(&["--user", "1000:1001", "-g", "7", "-g", "8"], &[]);
    assert_eq!((&facts["uid"], &facts["gid"]), ("1000 1000 1000", "1001 1001 1001"));
    assert_eq!(&facts["groups"], "5 7 8");
    assert_eq!(&facts["env.HOME"], "/home/someone");
    // CVE-2026-30892: not taken for 0.
    let facts = target.facts(&["-u", "1"], &[]);
    assert_eq!((&facts["uid"], &facts["gid"]), ("1 1 1", "4 4 4"));
    for wrong in ["x", "1:y", "-1", "", ":", "4294967295"] {
        let out = target.exec(&["--user", wrong], &["/probe"]);
        assert!(wrong.is_empty() || out.code() > 0, "{wrong:?} was taken for a user");
    }
}

#[test]
fn rights_are_the_containers_and_more_where_asked_but_never_inheritable() {
    let target = Target::new();
    let plain = target.facts(&[], &[]);
    assert_eq!(&plain["cap.effective"], "5 10 29");
    assert_eq!(&plain["no_new_privs"], "1");
    let more = target.facts(&["-c", "CAP_SYS_PTRACE", "-c", "CAP_NET_RAW"], &[]);
    for set in ["effective", "permitted", "bounding"] {
        assert_eq!(&more[&format!("cap.{set}")], "5 10 13 19 29", "{set}");
    }
    // CVE-2022-29162.
    assert_eq!((&more["cap.inheritable"], &more["cap.ambient"]), ("", ""));
    assert_eq!(&target.facts(&["--no-new-privs=false"], &[])["no_new_privs"], "0");
}

#[test]
fn no_new_privileges_can_be_added() {
    let target = Target::with(|c| c["process"]["noNewPrivileges"] = json!(false));
    assert_eq!(&target.facts(&[], &[])["no_new_privs"], "0");
    assert_eq!(&target.facts(&["--no-new-privs"], &[])["no_new_privs"], "1");
}

#[test]
fn a_process_file_says_all() {
    let target = Target::with(|c| c["process"]["env"].as_array_mut().unwrap().push(json!("STORED=1")));
    let path = target.process(|p| {
        p["args"] = json!(["/probe", "print"]);
        p["env"] = json!(["A=1", "A=2", "HOME=/h"]);
        p["cwd"] = json!("/data");
        p["user"] = json!({"uid": 11, "gid": 12, "additionalGids": [13], "umask": 0o27});
        p["capabilities"] = json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"]});
        p["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "hard": 100, "soft": 50}]);
        p["noNewPrivileges"] = json!(false);
        p["oomScoreAdj"] = json!(777);
    });
    let facts = target.0.runtime(&["exec", "--process", &path, &target.0.id]).facts();
    assert_eq!((&facts["arg.1"], &facts["env.A"], &facts["env.HOME"]), ("print", "2", "/h"));
    assert!(!facts.has("env.STORED"));
    assert_eq!((&facts["cwd"], &facts["uid"], &facts["gid"]), ("/data", "11 11 11", "12 12 12"));
    assert_eq!(&facts["groups"], "13");
    assert_eq!(&facts["cap.bounding"], "0 5");
    assert_eq!((&facts["rlimit.NOFILE"], &facts["no_new_privs"]), ("50 100", "0"));
    if Runtime::get().ours() {
        // runc 1.1 keeps the umask and the score of the container's first process.
        assert_eq!((&facts["umask"], &facts["oom_score_adj"]), ("0027", "777"));
    }
}

#[test]
fn a_process_file_that_makes_no_sense_is_refused() {
    let target = Target::new();
    let refused = |change: &dyn Fn(&mut Value)| {
        let path = target.process(change);
        target.0.runtime(&["exec", "-p", &path, &target.0.id]).ended(255);
    };
    refused(&|p| p["args"] = json!([]));
    refused(&|p| p["cwd"] = json!("relative"));
    refused(&|p| p["user"] = json!("root"));
    target.0.runtime(&["exec", "-p", "/nowhere.json", &target.0.id]).ended(255);
}

#[test]
fn a_detached_process_goes_on_and_its_pid_is_in_the_file() {
    let target = Target::new();
    let file = target.0.path("pid");
    target.exec(&["--detach", "--pid-file", &file], &["/probe", "sleep 600000"]).ok();
    let text = fs::read_to_string(&file).unwrap();
    let pid: i32 = text.parse().unwrap_or_else(|_| panic!("pid file {text:?}"));
    assert_eq!(link(pid, "pid"), link(target.0.pid(), "pid"));
}

#[test]
fn the_pid_file_of_a_failed_exec_is_not_written() {
    let target = Target::new();
    let file = target.0.path("pid");
    for flags in [&["--pid-file", &file][..], &["--detach", "--pid-file", &file]] {
        for command in ["foo", "/nowhere"] {
            target.exec(flags, &[command]).ended(255);
            // conmon takes a missing file for the failure that it is.
            assert!(!Path::new(&file).exists());
        }
    }
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_the_process() {
    let target = Target::new();
    let flags = ["--detach", "--pid-file", "/nowhere/pid"];
    target.exec(&flags, &["/probe", "sleep 600000"]).ended(255);
    let init = target.0.pid();
    let others = || host::cgroup_pids(&target.0.id).into_iter().filter(|&pid| pid != init).collect();
    let left = host::eventually_nothing(others);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nothing_of_the_host_is_open_and_no_signal_is_ignored_or_blocked() {
    let target = Target::new();
    let facts = target.facts(&[], &["inode /proc/self/exe", "inode /probe"]);
    assert_eq!(&facts["fds"], "0 1 2");
    assert_eq!(&facts["blocked"], "");
    if Runtime::get().ours() {
        // Go's runtime leaves some of C libraries' signals ignored.
        assert_eq!(&facts["ignored"], "");
    }
    assert_eq!((&facts["dumpable"], &facts["keepcaps"]), ("1", "0"));
}

#[test]
fn preserved_descriptors_reach_the_process() {
    let target = Target::new();
    let mut command = target.0.command(&["exec", "--preserve-fds", "1", &target.0.id, "/probe"]);
    leak(&mut command, "/etc/passwd", 3);
    leak(&mut command, "/etc", 4);
    close(&mut command, &[4]);
    let facts = target.0.start(command).finish().facts();
    assert_eq!(&facts["fds"], "0 1 2 3");
    // Not open: refused, and nothing runs.
    let mut command = target.0.command(&["exec", "--preserve-fds", "9", &target.0.id, "/probe"]);
    close(&mut command, &[3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let out = target.0.start(command).finish();
    assert!(out.code() > 0 && out.stdout.is_empty());
}

#[test]
fn a_descriptor_that_leaks_into_the_runtime_goes_no_further() {
    let target = Target::new();
    let mut command = target.0.command(&["exec", &target.0.id, "/probe"]);
    leak(&mut command, "/etc", 7);
    assert_eq!(&target.0.start(command).finish().facts()["fds"], "0 1 2");
    // CVE-2024-21626.
    for number in 3..20 {
        let cwd = format!("/proc/self/fd/{number}");
        let mut command = target.0.command(&["exec", "--cwd", &cwd, &target.0.id, "/probe"]);
        leak(&mut command, "/etc", 7);
        let out = target.0.start(command).finish();
        assert!(out.code() > 0, "{}", out.stdout);
    }
}

#[test]
fn a_user_namespace_of_the_containers_own_is_joined_with_its_ids() {
    let mut bundle = Bundle::with(|c| {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 2000}]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
    });
    bundle.add_namespace(json!({"type": "user"}));
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let target = Target::of(bundle);
    let facts = target.facts(&["-u", "1000:1001"], &[]);
    assert_eq!(&facts["ns.user"], link(target.0.pid(), "user"));
    assert_eq!((&facts["uid"], &facts["gid"]), ("1000 1000 1000", "1001 1001 1001"));
    let facts = target.facts(&["-c", "CAP_SYS_ADMIN"], &["read /proc/self/uid_map", "mount /mnt none tmpfs"]);
    assert!(facts["read /proc/self/uid_map"].contains("100000"));
    assert_eq!(&facts["mount /mnt none tmpfs"], "ok");
    target.exec(&["-u", "5000"], &["/probe"]).ended(255);
}

#[test]
fn a_time_namespace_is_joined_with_its_clock() {
    not_for!("runc", "1.1 has no time namespaces");
    let mut bundle = Bundle::with(|c| c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000}}));
    bundle.add_namespace(json!({"type": "time"}));
    let target = Target::of(bundle);
    let facts = target.facts(&[], &["clock boottime"]);
    assert_eq!(&facts["ns.time"], link(target.0.pid(), "time"));
    assert!(facts.number("clock boottime") > 1_000_000);
}

#[test]
fn a_container_in_the_hosts_pid_namespace_takes_a_process() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("pid");
    let target = Target::of(bundle);
    let facts = target.facts(&[], &[]);
    assert_eq!(&facts["ns.pid"], link(std::process::id() as i32, "pid"));
    assert_eq!(&facts["ns.mnt"], link(target.0.pid(), "mnt"));
}

#[test]
fn what_is_written_in_the_bundle_later_has_no_effect() {
    minirunc_tests::only_ours!("runc reads the bundle's config.json again");
    let mut target = Target::new();
    target.0.config["process"]["env"] = json!(["PATH=/", "LATER=1"]);
    target.0.write();
    assert!(!target.facts(&[], &[]).has("env.LATER"));
}

#[test]
fn a_created_container_takes_a_process_and_can_still_be_started() {
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/probe", "sleep 600000"]));
    crate::life::create(&bundle, &[]).ok();
    let target = Target(bundle);
    assert_eq!(&target.facts(&[], &[])["hostname"], "runc");
    assert_eq!(crate::life::status(&target.0), "created");
    crate::life::start(&target.0).ok();
    assert_eq!(&target.facts(&[], &[])["hostname"], "runc");
}

#[test]
fn a_paused_container_takes_a_process_only_when_told_and_runs_it_when_resumed() {
    let target = Target::new();
    target.0.runtime(&["pause", &target.0.id]).ok();
    let out = target.exec(&[], &["/probe"]);
    out.ended(255).says("cannot exec in a paused container (use --ignore-paused to override)");
    let waiting = target.0.start(target.0.command(&["exec", "--ignore-paused", &target.0.id, "/probe"]));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!waiting.stdout().contains("uid="), "it ran while paused");
    target.0.runtime(&["resume", &target.0.id]).ok();
    waiting.finish().facts();
}

#[test]
fn processors_are_those_of_the_exec_affinity() {
    not_for!("runc", "1.1 has no execCPUAffinity");
    let target = Target::with(|c| c["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "1"}));
    if host_processors() < 2 {
        minirunc_tests::skip!("one processor");
    }
    assert_eq!(&target.facts(&[], &["cpus"])["cpus"], "1");
}

#[test]
fn without_a_final_affinity_the_initial_one_stays() {
    not_for!("runc", "1.1 has no execCPUAffinity");
    if host_processors() < 2 {
        minirunc_tests::skip!("one processor");
    }
    if host::kernel() < (6, 2) {
        minirunc_tests::skip!("before Linux 6.2 a cgroup of its own cost a process the affinity that it had");
    }
    let target = Target::new();
    let path = target.process(|p| {
        p["args"] = json!(["/probe", "cpus"]);
        p["execCPUAffinity"] = json!({"initial": "1"});
    });
    assert_eq!(&target.0.runtime(&["exec", "-p", &path, &target.0.id]).facts()["cpus"], "1");
}

fn host_processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn many_processes_at_once_do_not_hinder_each_other() {
    let target = Target::new();
    let running: Vec<_> = (0..20)
        .map(|n| {
            target.0.start(target.0.command(&["exec", &target.0.id, "/probe", &format!("exit {}", 100 + n)]))
        })
        .collect();
    for (n, one) in running.into_iter().enumerate() {
        one.finish().ended(100 + n as i32);
    }
}

#[test]
fn a_process_may_come_through_a_pipe_that_is_written_later() {
    let target = Target::new();
    let path = target.process(|p| p["args"] = json!(["/probe", "exit 7"]));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = target.0.command(&["exec", "--process", "/proc/self/fd/0", &target.0.id]);
    let running = target.0.start({
        command.stdin(reader);
        command
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    std::io::Write::write_all(&mut writer, &fs::read(path).unwrap()).unwrap();
    drop(writer);
    running.finish().ended(7);
}
