//! linux.resources and linux.cgroupsPath, read back from inside (at /sys/fs/cgroup) and felt by the process.

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

const MB: i64 = 1 << 20;

/// Where a control file of the container's own cgroup is seen inside.
fn inside(control: &str, v1: &str, v2: &str) -> String {
    if host::v2() {
        return format!("/sys/fs/cgroup/{v2}");
    }
    let mount = controller(control).unwrap_or_default();
    format!("{}/{v1}", mount.display())
}

/// A container with these resources beside the default ones.
fn bundle(resources: &Value) -> Bundle {
    Bundle::with(|c| {
        for (name, value) in resources.as_object().unwrap() {
            c["linux"]["resources"][name] = value.clone();
        }
    })
}

/// What one control file reads inside a container with these resources; `None`, said aloud, without the controller.
#[track_caller]
fn read_back(resources: &Value, control: &str, v1: &str, v2: &str) -> String {
    let question = format!("read {}", inside(control, v1, v2));
    let facts = bundle(resources).ask(&[&question]).facts();
    facts[&question].trim().to_string()
}

/// Leaves the test when neither cgroup version here has the controller.
macro_rules! needs {
    ($control:literal) => {
        if controller($control).is_none() {
            skip!("no {} controller here", $control);
        }
    };
}

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

#[test]
fn memory_limit_is_set() {
    needs!("memory");
    let read =
        read_back(&json!({"memory": {"limit": 64 * MB}}), "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(read, (64 * MB).to_string());
}

#[test]
fn memory_limit_minus_one_is_unlimited() {
    needs!("memory");
    let read = read_back(&json!({"memory": {"limit": -1}}), "memory", "memory.limit_in_bytes", "memory.max");
    assert!(matches!(read.as_str(), "9223372036854771712" | "max"), "{read}");
}

#[test]
fn memory_reservation_is_set() {
    needs!("memory");
    let read = read_back(
        &json!({"memory": {"reservation": 32 * MB}}),
        "memory",
        "memory.soft_limit_in_bytes",
        "memory.low",
    );
    assert_eq!(read, (32 * MB).to_string());
}

#[test]
fn memory_and_swap_together_are_set() {
    needs!("memory");
    let memory = json!({"memory": {"limit": 64 * MB, "swap": 160 * MB}});
    let read = read_back(&memory, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    if read == "!ENOENT" {
        skip!("this kernel does not account swap");
    }
    // v1 counts memory and swap together, as the spec does; v2 counts swap alone.
    assert_eq!(read, if host::v1() { 160 * MB } else { 96 * MB }.to_string());
}

#[test]
fn unlimited_swap_beside_a_memory_limit_is_set() {
    needs!("memory");
    let memory = json!({"memory": {"limit": 64 * MB, "swap": -1}});
    let read = read_back(&memory, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    assert!(matches!(read.as_str(), "9223372036854771712" | "max" | "!ENOENT"), "{read}");
}

#[test]
fn swap_below_the_memory_limit_is_refused() {
    needs!("memory");
    not_for!("crun", "on v1 the kernel says so in other words");
    bundle(&json!({"memory": {"limit": 64 * MB, "swap": 32 * MB}})).run().refused(&["swap"]);
}

#[test]
fn memory_swappiness_is_set() {
    needs!("memory");
    if host::v2() {
        skip!("cgroup v2 has no swappiness");
    }
    let read = read_back(&json!({"memory": {"swappiness": 17}}), "memory", "memory.swappiness", "");
    assert_eq!(read, "17");
}

#[test]
fn memory_swappiness_above_100_is_refused() {
    needs!("memory");
    if Runtime::get().name() == "crun" {
        skip!("crun: it depends on the kernel");
    }
    bundle(&json!({"memory": {"swappiness": 300}})).run().refused(&["swappiness"]);
}

#[test]
fn the_oom_killer_can_be_switched_off_on_v1() {
    needs!("memory");
    if host::v2() {
        skip!("cgroup v2 has no such switch");
    }
    let read = read_back(
        &json!({"memory": {"limit": 64 * MB, "disableOOMKiller": true}}),
        "memory",
        "memory.oom_control",
        "",
    );
    assert!(read.contains("oom_kill_disable 1"), "{read}");
}

#[test]
fn check_before_update_takes_a_limit_above_the_usage() {
    needs!("memory");
    let memory = json!({"memory": {"limit": 64 * MB, "checkBeforeUpdate": true}});
    assert_eq!(read_back(&memory, "memory", "memory.limit_in_bytes", "memory.max"), (64 * MB).to_string());
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

#[test]
fn cpu_shares_are_set() {
    needs!("cpu");
    let read = read_back(&json!({"cpu": {"shares": 512}}), "cpu", "cpu.shares", "cpu.weight");
    // v2: 59 on the curve through the defaults (1024 is 100), 20 on the straight line of older runtimes.
    let expected: &[&str] = match (host::v1(), Runtime::get().ours()) {
        (true, _) => &["512"],
        (false, true) => &["59"],
        (false, false) => &["59", "20"],
    };
    assert!(expected.contains(&read.as_str()), "{read}");
}

#[test]
fn cpu_quota_and_period_are_set() {
    needs!("cpu");
    let cpu = json!({"cpu": {"quota": 25_000, "period": 50_000}});
    if host::v2() {
        assert_eq!(read_back(&cpu, "cpu", "", "cpu.max"), "25000 50000");
    } else {
        assert_eq!(read_back(&cpu, "cpu", "cpu.cfs_quota_us", ""), "25000");
        assert_eq!(read_back(&cpu, "cpu", "cpu.cfs_period_us", ""), "50000");
    }
}

#[test]
fn cpu_quota_alone_keeps_the_period() {
    needs!("cpu");
    let cpu = json!({"cpu": {"quota": 25_000}});
    if host::v2() {
        assert_eq!(read_back(&cpu, "cpu", "", "cpu.max"), "25000 100000");
    } else {
        assert_eq!(read_back(&cpu, "cpu", "cpu.cfs_quota_us", ""), "25000");
        assert_eq!(read_back(&cpu, "cpu", "cpu.cfs_period_us", ""), "100000");
    }
}

#[test]
fn cpu_quota_minus_one_is_unlimited() {
    not_for!("crun", "1.8.1 refuses -1 on v1");
    needs!("cpu");
    let read =
        read_back(&json!({"cpu": {"quota": -1, "period": 100_000}}), "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(matches!(read.as_str(), "-1" | "max 100000"), "{read}");
}

#[test]
fn cpu_burst_is_set() {
    needs!("cpu");
    only_ours!("runc 1.1 and crun 1.8.1 have no burst");
    let cpu = json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 20_000}});
    assert_eq!(read_back(&cpu, "cpu", "cpu.cfs_burst_us", "cpu.max.burst"), "20000");
}

#[test]
fn cpu_idle_is_set() {
    needs!("cpu");
    not_for!("runc", "1.1 has no idle");
    let read = read_back(&json!({"cpu": {"idle": 1}}), "cpu", "cpu.idle", "cpu.idle");
    if read == "!ENOENT" {
        skip!("this kernel has no cpu.idle");
    }
    assert_eq!(read, "1");
}

#[test]
fn cpu_realtime_is_set_or_refused_by_name() {
    needs!("cpu");
    let path = controller("cpu").unwrap().join("cpu.rt_runtime_us");
    let cpu = json!({"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 500_000}});
    if host::v2() || !path.exists() {
        only_ours!("the oracles look away");
        bundle(&cpu).run().refused(&["realtime"]);
        return;
    }
    let question = format!("read {}", inside("cpu", "cpu.rt_runtime_us", ""));
    let out = bundle(&cpu).ask(&[&question]).run();
    // The parent may have no realtime time to give.
    if out.code() == 0 {
        assert_eq!(out.facts()[&question].trim(), "1000");
    } else {
        out.refused(&["rt_"]);
    }
}

#[test]
fn cpus_and_memory_nodes_are_set() {
    needs!("cpuset");
    let cpu = json!({"cpu": {"cpus": "0", "mems": "0"}});
    assert_eq!(read_back(&cpu, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(read_back(&cpu, "cpuset", "cpuset.mems", "cpuset.mems"), "0");
    let facts = bundle(&cpu).ask(&["cpus"]).facts();
    assert_eq!(&facts["cpus"], "0");
}

#[test]
fn a_cpuset_without_cpus_takes_its_parents() {
    needs!("cpuset");
    if host::v2() {
        skip!("cgroup v2 inherits by itself");
    }
    let read = read_back(&json!({"cpu": {"shares": 1024}}), "cpuset", "cpuset.cpus", "");
    let parents = fs::read_to_string(controller("cpuset").unwrap().join("cpuset.cpus")).unwrap();
    assert_eq!(read, parents.trim());
}

#[test]
fn pids_limit_is_set_and_holds() {
    needs!("pids");
    let question = format!("read {}", inside("pids", "pids.max", "pids.max"));
    let facts = bundle(&json!({"pids": {"limit": 17}})).ask(&[&*question, "fork 40"]).facts();
    assert_eq!(facts[&question].trim(), "17");
    assert_eq!(&facts["fork 40"], "16 !EAGAIN");
}

#[test]
fn pids_limit_minus_one_is_unlimited() {
    not_for!("crun", "1.8.1 refuses -1 on v1");
    needs!("pids");
    assert_eq!(read_back(&json!({"pids": {"limit": -1}}), "pids", "pids.max", "pids.max"), "max");
}

#[test]
fn pids_limit_zero_lets_the_process_start_and_no_other() {
    needs!("pids");
    only_ours!("runc 1.1 and crun 1.8.1 take 0 for no limit");
    let facts = bundle(&json!({"pids": {"limit": 0}})).ask(&["fork 3"]).facts();
    assert_eq!(&facts["fork 3"], "0 !EAGAIN");
}

/// The first disk's numbers.
fn disk() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/partitions").ok()?;
    let line = text.lines().nth(2)?;
    let mut words = line.split_whitespace().map(|w| w.parse().ok());
    Some((words.next()??, words.next()??))
}

#[test]
fn blockio_throttles_are_set() {
    let control = if host::v2() { "io" } else { "blkio" };
    if controller(control).is_none() {
        skip!("no {control} controller here");
    }
    let Some((major, minor)) = disk() else {
        skip!("no disk here");
    };
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let resources = json!({"blockIO": {
        "throttleReadBpsDevice": rate(1_048_576), "throttleWriteBpsDevice": rate(2_097_152),
        "throttleReadIOPSDevice": rate(100), "throttleWriteIOPSDevice": rate(200)
    }});
    if host::v2() {
        let read = read_back(&resources, "io", "", "io.max");
        assert_eq!(read, format!("{major}:{minor} rbps=1048576 wbps=2097152 riops=100 wiops=200"));
        return;
    }
    for (file, value) in
        [("read_bps", "1048576"), ("write_bps", "2097152"), ("read_iops", "100"), ("write_iops", "200")]
    {
        let read = read_back(&resources, "blkio", &format!("blkio.throttle.{file}_device"), "");
        assert_eq!(read, format!("{major}:{minor} {value}"));
    }
}

#[test]
fn blockio_weight_is_set_or_refused_by_name() {
    not_for!("crun", "1.8.1 leaves the cgroups");
    let control = if host::v2() { "io" } else { "blkio" };
    if controller(control).is_none() {
        skip!("no {control} controller here");
    }
    let resources = json!({"blockIO": {"weight": 300}});
    let files =
        if host::v2() { ["io.bfq.weight", "io.weight"] } else { ["blkio.bfq.weight", "blkio.weight"] };
    let facts = Bundle::new().ask(&files.map(|f| format!("stat {}", inside("blkio", f, f)))).facts();
    let there = files.iter().find(|f| facts[&format!("stat {}", inside("blkio", f, f))].starts_with("file"));
    let Some(file) = there else {
        only_ours!("the oracles look away or have other words");
        bundle(&resources).run().refused(&["weight"]);
        return;
    };
    let read = read_back(&resources, "blkio", file, file);
    assert!(matches!(read.trim_start_matches("default "), "300" | "2930" | "2931"), "{file}: {read}");
}

#[test]
fn a_missing_controller_is_named() {
    only_ours!("runc looks away, crun has other words");
    for (name, resources) in [
        ("hugetlb", json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]})),
        ("net_cls", json!({"network": {"classID": 1_048_577}})),
        ("net_prio", json!({"network": {"priorities": [{"name": "lo", "priority": 3}]}})),
        ("rdma", json!({"rdma": {"mlx5_1": {"hcaHandles": 3}}})),
        ("memory", json!({"memory": {"limit": 67_108_864}})),
        ("cpu", json!({"cpu": {"shares": 512}})),
        ("pids", json!({"pids": {"limit": 10}})),
    ] {
        if controller(name).is_none() {
            bundle(&resources).run().refused(&[name]);
        }
    }
}

#[test]
fn hugepage_limits_are_set() {
    needs!("hugetlb");
    let Some(size) = fs::read_dir("/sys/kernel/mm/hugepages")
        .ok()
        .and_then(|mut d| d.find_map(|e| (e.ok()?.file_name() == "hugepages-2048kB").then_some("2MB")))
    else {
        skip!("no 2 MB pages here");
    };
    let resources = json!({"hugepageLimits": [{"pageSize": size, "limit": 4_194_304}]});
    assert_eq!(read_back(&resources, "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), "4194304");
}

#[test]
fn network_class_is_set() {
    needs!("net_cls");
    if host::v2() {
        skip!("cgroup v2 has no net_cls");
    }
    assert_eq!(
        read_back(&json!({"network": {"classID": 1_048_577}}), "net_cls", "net_cls.classid", ""),
        "1048577"
    );
}

#[test]
fn unified_files_are_written_on_v2() {
    if !host::v2() {
        skip!("no unified hierarchy here");
    }
    needs!("memory");
    let resources = json!({"unified": {"memory.high": "50331648", "pids.max": "55"}});
    assert_eq!(read_back(&resources, "memory", "", "memory.high"), "50331648");
    assert_eq!(read_back(&resources, "pids", "", "pids.max"), "55");
}

#[test]
fn unified_for_an_absent_controller_is_refused() {
    let resources = json!({"unified": {"nosuch.max": "1"}});
    if host::v1() {
        not_for!("crun", "looks away on v1");
    }
    bundle(&resources).run().refused(&["nosuch"]);
}

#[test]
fn unified_cannot_name_a_file_elsewhere() {
    only_ours!("the oracles look away on v1");
    for key in ["../memory.high", "/etc/passwd", "", "cgroup.procs/../x"] {
        bundle(&json!({"unified": { key: "1" }})).run().refused(&["unified"]);
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
    let out = bundle(&json!({"memory": {"limit": 12 * MB, "swap": 12 * MB}})).ask(&["allocate 100"]).run();
    assert!(!out.stdout.contains("allocate 100="), "it survived");
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
    if !host::v2() {
        skip!("no unified hierarchy here");
    }
    let mut bundle = crate::namespaces::user_namespace(100_000);
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.add_mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "rw"]}));
    let questions = ["stat /sys/fs/cgroup", "stat /sys/fs/cgroup/cgroup.procs", "mkdir /sys/fs/cgroup/sub"];
    let facts = bundle.ask(&questions).facts();
    assert!(facts["stat /sys/fs/cgroup"].ends_with(" 0:0"), "{}", &facts["stat /sys/fs/cgroup"]);
    assert!(facts["stat /sys/fs/cgroup/cgroup.procs"].ends_with(" 0:0"));
    assert_eq!(&facts["mkdir /sys/fs/cgroup/sub"], "ok");
}
