//! What a process of the container, or of one that shares namespaces with it, can reach.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::runtime::{Running, Runtime, patience, rounds};
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

use crate::exec::Target;
use crate::inherit::leak;

/// A container that prowls, while `visit` is paid to it again and again. What it reports of that.
fn prowled_on(change: impl Fn(&mut Value), mut visit: impl FnMut(&Bundle)) -> String {
    // The last visit must end before the prowler does, whose pid namespace it may be in.
    let prowl = format!("prowl {}", 1500 + 5000 / rounds(10));
    let prowler = Bundle::with(&change).ask(&["label ready", &prowl]);
    let mut running = prowler.spawn();
    running.until("label ready");
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        visit(&prowler);
    }
    let facts = running.finish().facts();
    facts[&*prowl].to_string()
}

/// The command by another file of the runtime.
fn by(runtime: &Path, model: &Command) -> Command {
    let mut command = Command::new(runtime);
    command.args(model.get_args());
    command
}

/// Runs a container that joins the other one's pid namespace.
fn join(prowler: &Bundle, runtime: &Path) {
    let pid = prowler.pid();
    let visitor = Bundle::with(|c| {
        for namespace in c["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "pid" {
                namespace["path"] = json!(format!("/proc/{pid}/ns/pid"));
            }
        }
    });
    visitor.write();
    visitor.start(by(runtime, &visitor.run_command(&[]))).finish().ok();
}

/// Executes something in it.
fn exec(prowler: &Bundle, runtime: &Path) {
    let command = prowler.command(&["exec", &prowler.id, "/probe"]);
    prowler.start(by(runtime, &command)).finish().ok();
}

fn all_capabilities(c: &mut Value) {
    let mut all: Vec<String> = ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]
        .map(String::from)
        .into();
    all.push("CAP_KILL".into());
    for set in ["bounding", "effective", "permitted"] {
        c["process"]["capabilities"][set] = json!(all);
    }
}

#[test]
fn cve_2019_5736_the_hosts_executable_cannot_be_overwritten_from_inside() {
    // Without: sys/exe.rs hands out the file itself: the attacker sees its path, and overwrites it. Or container/exec.rs closes the
    // mount at its end only: the attacker makes it writable.
    only_ours!("the oracles' sealed copies have tests of their own");
    let bundle = Bundle::new();
    let victim = bundle.dir.join("minirunc-victim");
    fs::copy(&Runtime::get().path, &victim).unwrap();
    mode(&victim, 0o755);
    let before = fs::read(&victim).unwrap();
    for visit in [join, exec] {
        let said = prowled_on(all_capabilities, |prowler| visit(prowler, &victim));
        assert!(!said.contains("seen= "), "the attacker saw nothing, so this shows nothing: {said}");
        assert!(said.ends_with("overwritten=0"), "{said}");
        assert!(!said.contains("minirunc-victim"), "a file of the host is in sight: {said}");
        assert!(fs::read(&victim).unwrap() == before, "the host's executable has changed");
    }
}

#[test]
fn cve_2019_5736_an_entrypoint_that_is_the_runtime_itself_cannot_be_written_to() {
    // Without: the same. The process's exe is the host's file.
    only_ours!("the oracles' sealed copies have tests of their own");
    let mut bundle = Bundle::with(|c| {
        all_capabilities(c);
        c["root"]["readonly"] = json!(false);
    });
    symlink("/proc/self/exe", bundle.rootfs().join("bin/self")).unwrap();
    fs::write(bundle.rootfs().join("bin/script"), "#!/proc/self/exe --log=/data/fifo\n").unwrap();
    mode(&bundle.rootfs().join("bin/script"), 0o755);
    let victim = bundle.dir.join("minirunc-victim");
    fs::copy(&Runtime::get().path, &victim).unwrap();
    let before = fs::read(&victim).unwrap();
    let fifo = bundle.rootfs().join("data/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for program in ["/bin/self", "/bin/script", "/proc/self/exe"] {
        // The program fails, and waits on its way for somebody to read why.
        bundle.config["process"]["args"] = json!([program, "--log", "/data/fifo", "state", "nobody"]);
        bundle.write();
        let (exe, running) = executable_of(&bundle, bundle.start(by(&victim, &bundle.run_command(&[]))));
        assert!(exe.to_string_lossy().starts_with("/proc/"), "{}", exe.display());
        let link = fs::read_link(&exe).unwrap();
        assert!(!link.ends_with("minirunc-victim"), "{program} is {}", link.display());
        // ETXTBSY would only be said as long as it runs.
        let denied = fs::set_permissions(&exe, fs::metadata(&victim).unwrap().permissions()).unwrap_err();
        assert_eq!(denied.raw_os_error(), Some(libc::EROFS), "{program} can be written to");
        drop(fs::File::open(&fifo).unwrap());
        running.finish();
        assert!(fs::read(&victim).unwrap() == before, "{program}: the host's executable has changed");
        bundle.nothing_left();
    }
}

/// /proc/PID/exe of the container's process, once it has become a program of its own.
#[track_caller]
fn executable_of(bundle: &Bundle, mut running: Running) -> (PathBuf, Running) {
    let end = Instant::now() + patience();
    while Instant::now() < end && running.child.try_wait().unwrap().is_none() {
        let out = bundle.runtime(&["state", &bundle.id]);
        let state: Value = serde_json::from_str(&out.stdout).unwrap_or_default();
        if state["status"] == "running" && state["pid"] != 0 {
            let process = PathBuf::from(format!("/proc/{}", state["pid"]));
            // Not one of the runtime's stages any more.
            if fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.contains("/data/fifo")) {
                return (process.join("exe"), running);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the container did not come up: {:?}", running.finish());
}

#[test]
fn cve_2016_9962_who_shares_the_pid_namespace_sees_no_descriptor_of_ours() {
    // Without: PR_SET_DUMPABLE in nsenter/src/stage.rs and init/create.rs. Descriptors are listed.
    only_ours!("runc 1.1.5 may be seen between two system calls");
    // With the capabilities of the default container: CAP_SYS_PTRACE would be a licence.
    for visit in [join, exec] {
        let said = prowled_on(|_| {}, |prowler| visit(prowler, &Runtime::get().path));
        assert!(said.contains("held= "), "{said}");
        assert!(said.contains("seen= "), "{said}");
    }
}

#[test]
fn cve_2016_9962_nor_who_has_every_capability_that_we_have() {
    // Without: as above. The kernel's own rule, that one may look at who has no more capabilities than oneself, lets the
    // container in; it did, too, when exec gave birth in the container's pid namespace.
    only_ours!("runc 1.1.5 may be seen between two system calls");
    if !Path::new("/usr/bin/setpriv").exists() {
        minirunc_tests::skip!("no setpriv(1) of util-linux");
    }
    let change = |c: &mut Value| {
        let all: Vec<_> = CAPABILITIES.split(' ').map(|name| format!("CAP_{name}")).collect();
        for set in ["bounding", "effective", "permitted"] {
            c["process"]["capabilities"][set] = json!(all);
        }
        c["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
    };
    for visit in [join, exec] {
        let said = prowled_on(change, |prowler| {
            // By way of a runtime that has lost what the container must not have.
            let wrapper = prowler.dir.join("minirunc-wrapped");
            let runtime = Runtime::get().path.display();
            let script = format!("#!/bin/sh\nexec setpriv --bounding-set=-sys_ptrace {runtime} \"$@\"\n");
            if !wrapper.exists() {
                fs::write(&wrapper, script).unwrap();
                mode(&wrapper, 0o755);
            }
            visit(prowler, &wrapper);
        });
        assert!(said.contains("held= "), "{said}");
        assert!(said.contains("seen= "), "{said}");
    }
}

/// All but SYS_PTRACE.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PACCT SYS_ADMIN \
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE \
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

#[test]
fn cve_2024_21626_the_working_directory_is_no_descriptor_of_the_hosts() {
    // Without: RESOLVE_NO_MAGICLINKS and the look at getcwd in init/cwd.rs. It runs in the host's root.
    not_for!("crun", "1.8.1 is not fixed");
    for fd in 3..12 {
        for cwd in [format!("/proc/self/fd/{fd}"), format!("/proc/self/fd/{fd}/tmp"), "/way".to_string()] {
            let bundle = Bundle::with(|c| c["process"]["cwd"] = json!(cwd));
            symlink(format!("/proc/self/fd/{fd}"), bundle.rootfs().join("way")).unwrap();
            bundle.write();
            let mut command = bundle.run_command(&[]);
            leak(&mut command, "/", 7);
            let out = bundle.start(command).finish();
            assert!(!out.stdout.contains("uid="), "ran in {cwd} -> {fd}: {}", out.stdout);
            bundle.nothing_left();
        }
    }
}

#[test]
fn cve_2022_29162_no_capability_is_inheritable_unless_it_is_listed() {
    // Without: confine/capability.rs makes the permitted ones inheritable, as runc did.
    // Also CVE-2022-27650 and CVE-2025-27612.
    let bundle = Bundle::with(|c| {
        c["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
    });
    let facts = bundle.facts();
    assert_eq!(&facts["cap.inheritable"], "");
    assert_eq!(&facts["cap.ambient"], "");
    assert_eq!(&facts["cap.permitted"], "5 10 29");
}

#[test]
fn cve_2022_29162_exec_makes_no_capability_inheritable() {
    // Without: as above. Also CVE-2022-27650 and CVE-2025-27612.
    let facts = Target::new().facts(&["--cap", "CAP_NET_RAW"], &[]);
    assert!(facts["cap.permitted"].split(' ').any(|number| number == "13"), "{}", &facts["cap.permitted"]);
    assert_eq!(&facts["cap.inheritable"], "");
}

#[test]
fn cve_2026_30892_a_user_by_number_is_that_user() {
    // Without: cmd/exec.rs takes a lone number for the group's. Uid 0, all capabilities.
    let target = Target::new();
    for (user, uid) in [("1", "1 1 1"), ("1:7", "1 1 1")] {
        let facts = target.facts(&["--user", user], &[]);
        assert_eq!(&facts["uid"], uid, "{user}");
        assert!(!facts["cap.effective"].contains("5"), "{user}: {}", &facts["cap.effective"]);
    }
}

#[test]
fn cve_2024_21626_execs_working_directory_is_no_descriptor_of_the_hosts() {
    // Without: as for `run`.
    not_for!("crun", "1.8.1 is not fixed");
    let target = Target::new();
    for fd in 3..12 {
        let cwd = format!("/proc/self/fd/{fd}");
        let mut command = target.0.command(&["exec", "--cwd", &cwd, &target.0.id, "/probe"]);
        leak(&mut command, "/", 7);
        let out = target.0.start(command).finish();
        assert!(!out.stdout.contains("uid="), "ran in descriptor {fd}: {}", out.stdout);
    }
}

#[test]
fn cve_2023_25809_without_a_cgroup_namespace_a_user_namespace_cannot_write_cgroups() {
    // Without: `guarded` in rootfs/cgroup.rs. The mounts are writable.
    not_for!("crun", "1.8.1 is not fixed");
    let mut bundle = Bundle::with(|c| {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
        for mount in c["mounts"].as_array_mut().unwrap() {
            if mount["destination"] == "/sys/fs/cgroup" {
                mount["options"] = json!(["nosuid", "noexec", "nodev"]);
            }
        }
    });
    bundle.add_namespace(json!({"type": "user"}));
    bundle.drop_namespace("cgroup");
    let facts = bundle.ask(&[MOUNTINFO]).facts();
    let mounts: Vec<_> =
        facts.mounts().0.into_iter().filter(|mount| mount.kind.starts_with("cgroup")).collect();
    assert!(!mounts.is_empty());
    for mount in mounts {
        assert!(mount.has("ro"), "{mount:?}");
    }
}

#[test]
fn cve_2014_8989_groups_cannot_be_dropped_in_an_ordinary_users_namespace() {
    // Without: `deny` in nsenter/src/ids.rs. The kernel then refuses the map: a hole that it has closed itself since.
    let mut bundle = Bundle::new().unprivileged(1000);
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.config["linux"].as_object_mut().unwrap().remove("resources");
    bundle.config["mounts"][2]["options"] = json!(["newinstance"]);
    let out = bundle.ask(&["read /proc/self/setgroups"]).run();
    if std::path::Path::new("/usr/bin/newgidmap").exists() && !Runtime::get().ours() {
        minirunc_tests::skip!("{}: newgidmap wrote the map", Runtime::get().name());
    }
    assert_eq!(out.facts()["read /proc/self/setgroups"].trim(), "deny");
}
