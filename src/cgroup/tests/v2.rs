//! What only cgroup v2 has: controllers handed down, conversions, files by name, delegation.

use super::*;
use crate::plan::resources::{HugePage, Unified};

#[test]
fn a_missing_v2_controller_is_named() {
    let Some(mut cgroups) = v2() else { return };
    let limits = Bytes::new(|writer| Unified { file: c"nonsense.max", value: c"5" }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let error = guard.0.apply(&limits.plan()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "linux.resources.unified: cgroup controller nonsense is not available here"
    );
}

#[test]
fn v2_files_are_written_by_name_but_not_elsewhere() {
    let Some(mut cgroups) = v2() else { return };
    let limits = Bytes::new(|writer| Unified { file: c"cgroup.max.depth", value: c"3" }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    guard.0.apply(&limits.plan()).unwrap();
    let place = guard.0.place(guard.0.primary().unwrap()).to_string();
    assert_eq!(fs::read_to_string(format!("{place}/cgroup.max.depth")).unwrap().trim(), "3");
    let outside = Bytes::new(|writer| Unified { file: c"../cgroup.max.depth", value: c"3" }.emit(writer));
    let error = guard.0.apply(&outside.plan()).unwrap_err();
    assert_eq!(error.to_string(), "linux.resources.unified: ../cgroup.max.depth: not a cgroup file's name");
}

#[test]
fn v2_hugetlb_is_enabled_on_the_way_and_limited() {
    let Some(mut cgroups) = v2() else { return };
    let limits = Bytes::new(|writer| HugePage { size: c"2MB", limit: 2 << 20 }.emit(writer));
    cgroups.create(&path(&format!("{}/below", unique())), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let place = guard.0.place(guard.0.primary().unwrap()).to_string();
    if !fs::read_to_string(format!("{place}/cgroup.controllers")).unwrap().contains("hugetlb") {
        std::eprintln!("{SKIPPED}");
        return;
    }
    guard.0.apply(&limits.plan()).unwrap();
    assert_eq!(
        fs::read_to_string(format!("{place}/hugetlb.2MB.rsvd.max")).unwrap().trim(),
        (2 << 20).to_string()
    );
}

/// A machine with cgroup v2 and the controllers that limits need; hybrid hosts have them elsewhere.
fn v2_with(controller: &str) -> Option<Cgroups> {
    let cgroups = v2()?;
    let root = cgroups.names.get(cgroups.hierarchies[0].mountpoint).to_str().unwrap();
    if !fs::read_to_string(format!("{root}/cgroup.controllers")).unwrap().contains(controller) {
        std::eprintln!("{SKIPPED}");
        return None;
    }
    Some(cgroups)
}

#[test]
fn v2_limits_are_converted_and_read_back() {
    let Some(cgroups) = v2_with("memory") else { return };
    let mut guard = Guard(cgroups);
    let limits = Bytes::new(|writer| {
        let memory =
            Memory { limit: Some(64 << 20), swap: Some(96 << 20), reservation: Some(32 << 20), ..MEMORY };
        memory.emit(writer);
        Cpu { shares: Some(1024), quota: Some(20_000), period: Some(40_000), burst: Some(5_000), ..CPU }
            .emit(writer);
        Cpuset { cpus: Some(c"0"), mems: Some(c"0") }.emit(writer);
        Pids { limit: 0 }.emit(writer);
        Unified { file: c"memory.high", value: c"50331648" }.emit(writer);
    });
    guard.0.create(&path(&format!("{}/below", unique())), &limits.plan(), || false).unwrap();
    guard.0.apply(&limits.plan()).unwrap();
    let place = guard.0.place(guard.0.primary().unwrap()).to_string();
    let read = |file: &str| fs::read_to_string(format!("{place}/{file}")).unwrap().trim().to_string();
    assert_eq!(read("memory.max"), (64 << 20).to_string());
    assert_eq!(read("memory.low"), (32 << 20).to_string());
    assert_eq!(read("memory.swap.max"), (32 << 20).to_string());
    assert_eq!(read("memory.high"), (48 << 20).to_string());
    assert_eq!(read("cpu.weight"), "100");
    assert_eq!(read("cpu.max"), "20000 40000");
    assert_eq!(read("cpu.max.burst"), "5000");
    assert_eq!(read("cpuset.cpus"), "0");
    assert_eq!(read("pids.max"), "0");
    // A period alone keeps the quota; -1 takes the limits away.
    let limits = Bytes::new(|writer| {
        Memory { limit: Some(-1), ..MEMORY }.emit(writer);
        Cpu { period: Some(80_000), idle: Some(1), ..CPU }.emit(writer);
        Pids { limit: -1 }.emit(writer);
    });
    guard.0.apply(&limits.plan()).unwrap();
    assert_eq!([read("memory.max"), read("memory.swap.max"), read("pids.max")], ["max", "max", "max"]);
    assert_eq!([read("cpu.max"), read("cpu.idle")], ["20000 80000", "1"]);
    guard.0.destroy().unwrap();
    assert!(!Path::new(&place).parent().unwrap().exists());
}

#[test]
fn v2_says_which_cgroup_cannot_hand_a_controller_down() {
    let Some(cgroups) = v2_with("memory") else { return };
    let guard = Guard(cgroups);
    let root = guard.0.names.get(guard.0.hierarchies[0].mountpoint).to_str().unwrap();
    let parent = format!("{root}/{}", unique());
    fs::create_dir(&parent).unwrap();
    // A parent with a process of its own.
    let mut shell = shell();
    fs::write(format!("{parent}/cgroup.procs"), shell.id().to_string()).unwrap();
    let limits = Bytes::new(|writer| Memory { limit: Some(64 << 20), ..MEMORY }.emit(writer));
    let mut below = Guard(v2().unwrap());
    below
        .0
        .create(&path(&format!("{}/c", parent.rsplit('/').next().unwrap())), &limits.plan(), || false)
        .unwrap();
    let error = below.0.apply(&limits.plan()).unwrap_err();
    tell(&mut shell, "exit");
    shell.wait().unwrap();
    drop(below);
    fs::remove_dir(&parent).unwrap();
    let text = error.to_string();
    assert!(text.starts_with("linux.resources.memory.limit: write +memory to "), "{text}");
    assert!(text.contains("processes of its own") && text.contains("EBUSY"), "{text}");
}

#[test]
fn v2_refuses_by_name_what_only_v1_had() {
    let Some(mut cgroups) = v2() else { return };
    cgroups.create(&path(&unique()), &nothing().plan(), || false).unwrap();
    let guard = Guard(cgroups);
    let limits: [(Bytes, &str); 4] = [
        (Bytes::new(|writer| Memory { swappiness: Some(10), ..MEMORY }.emit(writer)), "memory.swappiness"),
        (Bytes::new(|writer| Cpu { realtime_runtime: Some(10), ..CPU }.emit(writer)), "cpu.realtimeRuntime"),
        (Bytes::new(|writer| Network { class_id: Some(5) }.emit(writer)), "network.classID"),
        (
            Bytes::new(|writer| BlockIo { weight: None, leaf_weight: Some(10) }.emit(writer)),
            "blockIO.leafWeight",
        ),
    ];
    for (limit, field) in limits {
        let error = guard.0.apply(&limit.plan()).unwrap_err();
        assert_eq!(error.op(), format!("linux.resources.{field}"));
    }
}

#[test]
fn a_process_that_dies_of_its_v2_memory_limit_is_counted() {
    let Some(mut cgroups) = v2_with("memory") else { return };
    let limits =
        Bytes::new(|writer| Memory { limit: Some(8 << 20), swap: Some(8 << 20), ..MEMORY }.emit(writer));
    cgroups.create(&path(&unique()), &limits.plan(), || false).unwrap();
    let guard = Guard(cgroups);
    guard.0.apply(&limits.plan()).unwrap();
    let mut shell = shell();
    guard.0.enter(shell.id()).unwrap();
    tell(&mut shell, "exec tail /dev/zero");
    shell.wait().unwrap();
    assert_eq!(guard.0.oom_kills().unwrap(), 1);
}

#[test]
fn delegation_gives_the_directory_and_the_listed_files_and_no_limit() {
    let Some(mut cgroups) = v2() else { return };
    cgroups.create(&path(&unique()), &nothing().plan(), || false).unwrap();
    let guard = Guard(cgroups);
    guard.0.delegate(65534).unwrap();
    let place = guard.0.place(guard.0.primary().unwrap()).to_string();
    let owner =
        |file: &str| std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("{place}/{file}")).unwrap());
    for given in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        assert_eq!(owner(given), 65534, "{given}");
    }
    assert_eq!(owner("cgroup.max.depth"), 0);
}
