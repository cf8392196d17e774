//! Limits on cgroup v1: read back from the kernel, or refused with what is wrong.

use super::*;
use crate::plan::resources::{BlockIo, Cpuset, Network};

#[test]
fn v1_limits_are_read_back() {
    let Some(cgroups) = v1() else { return };
    let mut guard = Guard(cgroups);
    let name = unique();
    let limits = Bytes::new(|writer| {
        let memory = Memory {
            limit: Some(64 << 20),
            swap: Some(96 << 20),
            reservation: Some(32 << 20),
            swappiness: Some(10),
            disable_oom_killer: Some(1),
            check_before_update: true,
            ..MEMORY
        };
        memory.emit(writer);
        Cpu { shares: Some(512), quota: Some(20_000), period: Some(40_000), burst: Some(5_000), ..CPU }
            .emit(writer);
        Cpuset { cpus: Some(c"0"), mems: None }.emit(writer);
        Pids { limit: 17 }.emit(writer);
        BlockIo { weight: Some(300), leaf_weight: None }.emit(writer);
    });
    guard.0.create(&path(&format!("{name}/c")), &limits.plan(), || false).unwrap();
    guard.0.apply(&limits.plan()).unwrap();
    let name = format!("{name}/c");
    assert_eq!(read("memory", &name, "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(read("memory", &name, "memory.memsw.limit_in_bytes"), (96 << 20).to_string());
    assert_eq!(read("memory", &name, "memory.soft_limit_in_bytes"), (32 << 20).to_string());
    assert_eq!(read("memory", &name, "memory.swappiness"), "10");
    assert!(read("memory", &name, "memory.oom_control").contains("oom_kill_disable 1"));
    assert_eq!(read("cpu", &name, "cpu.shares"), "512");
    assert_eq!(read("cpu", &name, "cpu.cfs_quota_us"), "20000");
    assert_eq!(read("cpu", &name, "cpu.cfs_period_us"), "40000");
    assert_eq!(read("cpu", &name, "cpu.cfs_burst_us"), "5000");
    assert_eq!(read("cpuset", &name, "cpuset.cpus"), "0");
    assert_eq!(read("cpuset", &name, "cpuset.mems"), read("cpuset", "", "cpuset.mems"));
    assert_eq!(read("pids", &name, "pids.max"), "17");
    assert!(read("blkio", &name, "blkio.bfq.weight").contains("300"));
    // Raised above what memory and swap together are now, and lowered again below the burst: the order turns.
    for limit in [256 << 20, 16 << 20] {
        let limits = Bytes::new(|writer| {
            Memory { limit: Some(limit), swap: Some(limit), ..MEMORY }.emit(writer);
            Cpu { quota: Some(limit >> 14), burst: Some(limit as u64 >> 14), ..CPU }.emit(writer);
        });
        guard.0.apply(&limits.plan()).unwrap();
        assert_eq!(read("memory", &name, "memory.limit_in_bytes"), limit.to_string());
        assert_eq!(read("cpu", &name, "cpu.cfs_burst_us"), (limit >> 14).to_string());
    }
}

#[test]
fn a_missing_controller_is_named() {
    let Some(mut cgroups) = v1() else { return };
    if cgroups.holding("net_cls").is_some() {
        std::eprintln!("{SKIPPED}");
        return;
    }
    let limits = Bytes::new(|writer| Network { class_id: Some(5) }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let error = guard.0.apply(&limits.plan()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "linux.resources.network.classID: cgroup controller net_cls is not mounted"
    );
}

#[test]
fn a_refused_value_is_told_with_its_file_and_field() {
    let Some(mut cgroups) = v1() else { return };
    let limits = Bytes::new(|writer| Cpuset { cpus: Some(c"4000"), mems: None }.emit(writer));
    let name = unique();
    cgroups.create(&path(&name), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let text = guard.0.apply(&limits.plan()).unwrap_err().to_string();
    let file = format!("/sys/fs/cgroup/cpuset/{name}/cpuset.cpus");
    assert!(text.starts_with(&format!("linux.resources.cpu.cpus: write 4000 to {file}: E")), "{text}");
}

#[test]
fn a_limit_below_usage_is_refused_when_asked_to() {
    let Some(mut cgroups) = v1() else { return };
    let limits =
        Bytes::new(|writer| Memory { limit: Some(4096), check_before_update: true, ..MEMORY }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let mut shell = shell();
    guard.0.enter(shell.id()).unwrap();
    // Its pages are its old cgroup's: it has to touch some more.
    tell(&mut shell, "x=$(head -c 1000000 /dev/zero | tr '\\0' x); echo ready; exec sleep 20");
    let mut ready = [0; 5];
    std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let error = guard.0.apply(&limits.plan()).unwrap_err();
    assert_eq!(error.op(), "linux.resources.memory.limit");
    drop(guard);
    shell.wait().unwrap();
}

#[test]
fn a_process_that_dies_of_its_memory_limit_is_counted() {
    let Some(mut cgroups) = v1() else { return };
    let limits =
        Bytes::new(|writer| Memory { limit: Some(8 << 20), swap: Some(8 << 20), ..MEMORY }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    guard.0.apply(&limits.plan()).unwrap();
    assert_eq!(guard.0.oom_kills().unwrap(), 0);
    let mut shell = shell();
    guard.0.enter(shell.id()).unwrap();
    tell(&mut shell, "exec tail /dev/zero");
    shell.wait().unwrap();
    assert_eq!(guard.0.oom_kills().unwrap(), 1);
}
