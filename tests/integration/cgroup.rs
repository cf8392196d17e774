//! Cgroups: where they are, who removes them, what devices they let through, and limits that do not work out.

#![allow(unsafe_code)]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::Facts;
use minirunc_tests::host::{self, controller};
use minirunc_tests::runtime::{Runtime, check};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

use crate::resources::{MB, bundle, needs};

#[test]
fn the_process_is_in_a_cgroup_of_its_own_everywhere() {
    if host::cgroups() == host::Cgroups::None {
        skip!("no cgroups here");
    }
    let mut bundle = Bundle::new();
    bundle.drop_namespace("cgroup");
    let id = bundle.id.clone();
    let facts = bundle.ask(&["read /proc/self/cgroup"]).facts();
    for line in facts["read /proc/self/cgroup"].lines() {
        // The v2 line of a hybrid machine may stay where it was; hierarchies that are not mounted cannot be reached.
        let name = line.split(':').nth(1).unwrap().trim_start_matches("name=");
        let mounted =
            host::hierarchies().iter().any(|h| name.split(',').any(|n| h.ends_with(n)) || h.ends_with(name));
        if host::v2() || (!name.is_empty() && mounted) {
            assert!(line.contains(&id), "{line}");
        }
    }
}

/// A cgroup that a test makes; it goes away with the value.
struct Made(Vec<PathBuf>);

impl Made {
    fn new(name: &str) -> Self {
        let all = if host::v2() { vec![PathBuf::from("/sys/fs/cgroup")] } else { host::hierarchies() };
        let dirs: Vec<PathBuf> = all.into_iter().map(|h| h.join(name)).collect();
        for dir in &dirs {
            fs::create_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        }
        Self(dirs)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in &self.0 {
            for _ in 0..50 {
                match fs::remove_dir(dir) {
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(std::time::Duration::from_millis(10))
                    }
                    _ => break,
                }
            }
        }
    }
}

#[test]
fn check_before_update_refuses_a_limit_below_the_usage() {
    needs!("memory");
    not_for!("crun", "1.8.1 leaves it to the kernel");
    let mut bundle = bundle(&json!({"memory": {"limit": MB, "checkBeforeUpdate": true}}));
    let name = format!("mrtm-{}", bundle.id.trim_start_matches("mrt-"));
    let made = Made::new(&name);
    let memory = made.0.iter().find(|d| d.starts_with(controller("memory").unwrap())).unwrap();
    if host::v2() && !memory.join("memory.max").exists() {
        skip!("the memory controller is not enabled for cgroups at the top");
    }
    // 8 MB of tmpfs stay charged to the cgroup after the one who wrote them has left it.
    let (procs, file) = (memory.join("cgroup.procs"), PathBuf::from(format!("/dev/shm/{name}")));
    let text = |p: &Path| std::ffi::CString::new(p.to_str().unwrap()).unwrap();
    let (procs_c, file_c) = (text(&procs), text(&file));
    let block = vec![1u8; 8 << 20];
    let mut writer = Command::new(minirunc_tests::runtime::probe());
    // SAFETY: system calls on memory made before fork.
    unsafe {
        writer.pre_exec(move || {
            let fd = libc::open(procs_c.as_ptr(), libc::O_WRONLY);
            check(libc::write(fd, c"0".as_ptr().cast(), 1) as i32)?;
            let fd = libc::open(file_c.as_ptr(), libc::O_WRONLY | libc::O_CREAT, 0o600);
            check(fd)?;
            check(libc::write(fd, block.as_ptr().cast(), block.len()) as i32)
        });
    }
    let wrote = writer.stdout(std::process::Stdio::null()).status();
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/{name}"));
    let out = bundle.run();
    fs::remove_file(&file).unwrap();
    wrote.unwrap();
    out.refused(&["memory.limit"]);
    if Runtime::get().ours() {
        assert!(memory.exists(), "removed a cgroup that was there before");
    }
}

/// A container with /dev/kmsg as a node, which a privileged process may open for writing without more ado.
fn with_kmsg(rules: &Value) -> Facts {
    let caps = json!(["CAP_MKNOD", "CAP_SYSLOG"]);
    let bundle = Bundle::with(|c| {
        c["linux"]["resources"]["devices"] = rules.clone();
        c["linux"]["devices"] =
            json!([{"type": "c", "path": "/dev/probed", "major": 1, "minor": 11, "fileMode": 0o666}]);
        c["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    });
    bundle
        .ask(&["open /dev/probed w", "open /dev/probed r", "mknod /dev/made c 1 11", "open /dev/null rw"])
        .facts()
}

fn devices_are_controlled() -> bool {
    host::v2() || controller("devices").is_some()
}

#[test]
fn a_device_that_no_rule_allows_is_denied() {
    if !devices_are_controlled() {
        skip!("no devices controller here");
    }
    let facts = with_kmsg(&json!([{"allow": false, "access": "rwm"}]));
    // Not mknod(2): like runc, the default rules let every node be made, and none of them be opened.
    assert_eq!(&facts["open /dev/probed w"], "!EPERM");
    assert_eq!(&facts["open /dev/probed r"], "!EPERM");
    assert_eq!(&facts["open /dev/null rw"], "ok");
}

#[test]
fn a_device_that_a_rule_allows_can_be_opened() {
    if !devices_are_controlled() {
        skip!("no devices controller here");
    }
    let deny = json!({"allow": false, "access": "rwm"});
    let facts =
        with_kmsg(&json!([deny, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}]));
    assert_eq!(&facts["open /dev/probed w"], "ok");
    assert_eq!(&facts["open /dev/probed r"], "!EPERM");
    let facts = with_kmsg(&json!([deny, {"allow": true, "type": "c", "major": 1, "access": "rw"}]));
    assert_eq!((&facts["open /dev/probed w"], &facts["open /dev/probed r"]), ("ok", "ok"));
}

#[test]
fn device_rules_apply_in_order() {
    if !devices_are_controlled() {
        skip!("no devices controller here");
    }
    let facts = with_kmsg(&json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "w"}
    ]));
    assert_eq!(&facts["open /dev/probed w"], "!EPERM");
    assert_eq!(&facts["open /dev/probed r"], "ok");
    assert_eq!(&facts["mknod /dev/made c 1 11"], "ok");
}

#[test]
fn a_rule_for_a_block_device_does_not_open_the_character_device() {
    if !devices_are_controlled() {
        skip!("no devices controller here");
    }
    let facts = with_kmsg(&json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": 1, "minor": 11, "access": "rwm"}
    ]));
    assert_eq!(&facts["open /dev/probed w"], "!EPERM");
}

#[test]
fn everything_is_allowed_when_the_rule_says_so() {
    let facts = with_kmsg(&json!([{"allow": true, "access": "rwm"}]));
    assert_eq!(&facts["open /dev/probed w"], "ok");
    assert_eq!(&facts["mknod /dev/made c 1 11"], "ok");
}

#[test]
fn an_absolute_cgroups_path_is_below_the_mount() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("cgroup");
    let parent = Made::new(&format!("mrtp-{}", bundle.id.trim_start_matches("mrt-")));
    let name = parent.0[0].file_name().unwrap().to_str().unwrap().to_string();
    let path = format!("/{name}/{}", bundle.id);
    bundle.config["linux"]["cgroupsPath"] = json!(path);
    let facts = bundle.ask(&["read /proc/self/cgroup"]).facts();
    let cgroups = &facts["read /proc/self/cgroup"];
    assert!(cgroups.lines().any(|l| l.ends_with(&format!(":{path}"))), "{cgroups}");
    for dir in &parent.0 {
        assert!(dir.exists(), "{} was removed, but it was there before", dir.display());
    }
}

#[test]
fn a_relative_cgroups_path_is_somewhere_below() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("cgroup");
    let path = format!("{}-relative", bundle.id);
    bundle.config["linux"]["cgroupsPath"] = json!(path);
    let facts = bundle.ask(&["read /proc/self/cgroup"]).facts();
    assert!(facts["read /proc/self/cgroup"].contains(&path));
}

#[test]
fn parents_that_we_made_are_removed_too() {
    only_ours!("the oracles leave them");
    let mut bundle = Bundle::new();
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}-a/b/c", bundle.id));
    bundle.run().ok();
}

#[test]
fn a_cgroup_that_was_there_before_stays() {
    only_ours!("the oracles remove it");
    let mut bundle = Bundle::new();
    let made = Made::new(&format!("mrtq-{}", bundle.id.trim_start_matches("mrt-")));
    let name = made.0[0].file_name().unwrap().to_str().unwrap().to_string();
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/{name}"));
    bundle.run().ok();
    for dir in &made.0 {
        assert!(dir.exists(), "{} is gone", dir.display());
    }
}

#[test]
fn a_cgroups_path_cannot_leave_the_hierarchy() {
    not_for!("crun", "1.8.1 makes the directory there");
    let mut bundle = Bundle::new();
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/../../../../tmp/{}-escaped", bundle.id));
    let out = bundle.run();
    // remove_dir, so that a failure does not leave it behind.
    assert!(fs::remove_dir(format!("/tmp/{}-escaped", bundle.id)).is_err(), "made outside of the hierarchy");
    let inside = out.stdout.contains("uid=");
    assert!(inside || out.code() > 0);
}

#[test]
fn a_process_that_dies_of_its_memory_limit_is_said_to() {
    needs!("memory");
    let out = bundle(&json!({"memory": {"limit": 32 * MB, "swap": 32 * MB}})).ask(&["allocate 200"]).run();
    assert!(!out.stdout.contains("allocate 200="), "it survived");
    assert_eq!(out.code(), 137);
    out.we_say("container init was OOM-killed (memory limit too low?)");
}

#[test]
fn a_memory_limit_too_low_to_start_is_an_error_that_says_so() {
    needs!("memory");
    not_for!("crun", "dies without a word");
    let out = bundle(&json!({"memory": {"limit": 4096, "swap": 4096}})).run();
    assert_ne!(out.code(), 0);
    assert!(!out.stderr.is_empty());
}

#[test]
fn a_limit_that_the_kernel_refuses_is_an_error_that_names_it() {
    not_for!("crun", "1.8.1 leaves the cgroups");
    if controller("cpuset").is_some() {
        bundle(&json!({"cpu": {"cpus": "4000"}})).run().refused(&["cpuset.cpus"]);
        bundle(&json!({"cpu": {"cpus": "nonsense"}})).run().refused(&["cpus"]);
    }
    if controller("cpu").is_some() {
        let name = if host::v2() { "cpu.max" } else { "cpu.cfs_" };
        bundle(&json!({"cpu": {"quota": 1, "period": 100_000}})).run().refused(&[name]);
    }
}

#[test]
fn cgroups_that_cannot_be_written_are_an_error_when_limits_are_asked_for() {
    needs!("pids");
    not_for!("crun", "its own mount namespace comes first");
    let bundle = bundle(&json!({"pids": {"limit": 100}}));
    bundle.write();
    let mut command = bundle.run_command(&[]);
    let points: Vec<_> =
        host::hierarchies().iter().map(|h| std::ffi::CString::new(h.to_str().unwrap()).unwrap()).collect();
    // SAFETY: system calls on strings made before fork.
    unsafe {
        command.pre_exec(move || {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let slave = libc::MS_REC | libc::MS_SLAVE;
            check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"".as_ptr(), slave, std::ptr::null()))?;
            for point in &points {
                let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
                check(libc::mount(c"none".as_ptr(), point.as_ptr(), c"".as_ptr(), flags, std::ptr::null()))?;
            }
            Ok(())
        });
    }
    bundle.start(command).finish().refused(&["cgroup", "EROFS"]);
    bundle.nothing_left();
}

#[test]
fn the_disabled_cgroup_manager_makes_no_cgroup() {
    only_ours!("crun's flag means the same, but it needs a config without cgroups");
    let mut bundle = Bundle::new();
    bundle.drop_namespace("cgroup");
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.config["linux"]["resources"] = json!({});
    let bundle = bundle.ask(&["read /proc/self/cgroup"]);
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    let mut command = Runtime::get().command();
    command.arg("--root").arg(bundle.state()).args([
        "--cgroup-manager",
        "disabled",
        "run",
        "--bundle",
        dir,
        &bundle.id,
    ]);
    let facts = bundle.start(command).finish().facts();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert_eq!(&facts["read /proc/self/cgroup"], own);
    bundle.nothing_left();
}

#[test]
fn delegated_files_belong_to_the_containers_root_under_v2() {
    not_for!("runc", "1.1 does so with systemd only");
    if !host::v2() {
        skip!("no unified hierarchy here");
    }
    let mut bundle = crate::namespaces::user_namespace(100_000);
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.add_mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "rw"]}));
    let questions = ["stat /sys/fs/cgroup", "stat /sys/fs/cgroup/cgroup.procs", "mkdir /sys/fs/cgroup/sub"];
    let facts = bundle.ask(&questions).facts();
    // The owner is what counts (config-linux.md): the group has no rights there.
    assert!(facts["stat /sys/fs/cgroup"].contains(" 0:"), "{}", &facts["stat /sys/fs/cgroup"]);
    assert!(facts["stat /sys/fs/cgroup/cgroup.procs"].contains(" 0:"));
    assert_eq!(&facts["mkdir /sys/fs/cgroup/sub"], "ok");
}
