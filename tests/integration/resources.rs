//! linux.resources, read back from inside (at /sys/fs/cgroup) and felt by the process.

use std::fs;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host::{self, controller};
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

pub const MB: i64 = 1 << 20;

/// Where a control file of the container's own cgroup is seen inside.
pub fn inside(control: &str, v1: &str, v2: &str) -> String {
    if host::v2() {
        return format!("/sys/fs/cgroup/{v2}");
    }
    let mount = controller(control).unwrap_or_default();
    format!("{}/{v1}", mount.display())
}

/// A container with these resources beside the default ones.
pub fn bundle(resources: &Value) -> Bundle {
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
pub(crate) use needs;

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
    if host::v2() {
        skip!("cgroup v2 has no swappiness");
    }
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
fn cpu_shares_that_the_kernel_would_change_are_refused() {
    needs!("cpu");
    not_for!("crun", "leaves what the kernel makes of them");
    if host::v2() {
        skip!("any number of shares has a weight");
    }
    for (shares, word) in [(1, "minimum"), (262_145, "maximum"), (u32::MAX, "maximum")] {
        let bundle = bundle(&json!({"cpu": {"shares": shares}}));
        bundle.run().refused(&[&format!("the {word} allowed cpu-shares is ")]);
        bundle.nothing_left();
    }
    for shares in ["2", "262144"] {
        let resources = json!({"cpu": {"shares": shares.parse::<u32>().unwrap()}});
        assert_eq!(read_back(&resources, "cpu", "cpu.shares", ""), shares);
    }
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
        (if host::v2() { "classID" } else { "net_cls" }, json!({"network": {"classID": 1_048_577}})),
        (
            if host::v2() { "priorities" } else { "net_prio" },
            json!({"network": {"priorities": [{"name": "lo", "priority": 3}]}}),
        ),
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
    // What is reserved is limited rather than what is used, which is then limited too (config-linux.md).
    const RESERVED: (&str, &str) = ("hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max");
    assert_eq!(read_back(&resources, "hugetlb", RESERVED.0, RESERVED.1), "4194304");
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
    bundle(&resources).run().refused(&[if host::v2() { "nosuch" } else { "linux.resources.unified" }]);
}

#[test]
fn unified_cannot_name_a_file_elsewhere() {
    only_ours!("the oracles look away on v1");
    for key in ["../memory.high", "/etc/passwd", "", "cgroup.procs/../x"] {
        bundle(&json!({"unified": { key: "1" }})).run().refused(&["unified"]);
    }
}
