//! When and where the process runs: scheduler, ioPriority, memoryPolicy, personality.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::Facts;
use minirunc_tests::not_for;
use serde_json::{Value, json};

use crate::namespaces::user_namespace;

fn with_scheduler(scheduler: Value) -> Bundle {
    Bundle::with(|c| c["process"]["scheduler"] = scheduler).ask(&["scheduler"])
}

macro_rules! newer_than_the_oracles {
    () => {
        not_for!("runc", "1.1 has none of these");
        not_for!("crun", "1.8 has none of these");
    };
}

#[test]
fn without_a_scheduler_the_process_has_its_callers() {
    let facts = Bundle::new().ask(&["scheduler", "ioprio", "personality", "mempolicy"]).facts();
    assert_eq!(facts["scheduler"].split(' ').next(), Some("0"));
    assert_eq!(&facts["personality"], "0");
    assert_eq!(&facts["mempolicy"], "0x0");
}

#[test]
fn an_ordinary_policy_takes_a_nice_value() {
    newer_than_the_oracles!();
    let facts = with_scheduler(json!({"policy": "SCHED_BATCH", "nice": 7})).facts();
    assert_eq!(&facts["scheduler"], "3 0 7 0");
    // Better than the caller's: init still has CAP_SYS_NICE when it is set.
    let facts = with_scheduler(json!({"policy": "SCHED_OTHER", "nice": -5})).facts();
    assert_eq!(&facts["scheduler"], "0 0 -5 0");
}

#[test]
fn a_real_time_policy_takes_a_priority_and_flags() {
    newer_than_the_oracles!();
    let flags = json!(["SCHED_FLAG_RESET_ON_FORK"]);
    let out = with_scheduler(json!({"policy": "SCHED_FIFO", "priority": 3, "flags": flags})).run();
    // CONFIG_RT_GROUP_SCHED gives a new v1 cgroup no real time at all.
    if out.stderr.contains("sched_setattr process.scheduler: EPERM") {
        minirunc_tests::skip!("real time is not for this cgroup");
    }
    assert_eq!(&out.facts()["scheduler"], "1 1 0 3");
}

#[test]
fn a_deadline_has_three_times() {
    newer_than_the_oracles!();
    let times = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 5_000_000, "period": 10_000_000});
    let facts = with_scheduler(times).facts();
    assert_eq!(&facts["scheduler"], "6 0 0 0 1000000 5000000 10000000");
}

#[test]
fn a_scheduler_that_makes_no_sense_is_refused() {
    newer_than_the_oracles!();
    let cases = [
        ("process.scheduler.policy", json!({"nice": 1})),
        ("process.scheduler.policy", json!({"policy": "SCHED_BEST"})),
        ("process.scheduler.nice", json!({"policy": "SCHED_OTHER", "nice": 20})),
        ("process.scheduler.priority", json!({"policy": "SCHED_OTHER", "priority": 1})),
        ("process.scheduler", json!({"policy": "SCHED_OTHER", "runtime": 1000})),
        ("process.scheduler.flags[0]", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]})),
        // The kernel's to refuse.
        ("sched_setattr process.scheduler: EINVAL", json!({"policy": "SCHED_FIFO", "priority": 0})),
    ];
    for (words, scheduler) in cases {
        with_scheduler(scheduler).run().refused(&[words]);
    }
}

/// Init has no CAP_SYS_NICE that counts there: what takes it is given from outside.
#[test]
fn priorities_that_take_privileges_are_had_in_a_user_namespace_too() {
    newer_than_the_oracles!();
    let run = |scheduler: Value| {
        let mut bundle = user_namespace(100_000).ask(&["scheduler", "ioprio", "sleep 600000"]);
        bundle.config["process"]["scheduler"] = scheduler;
        bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 1});
        let mut running = bundle.spawn();
        let facts = Facts::parse(&running.until("ioprio="));
        assert_eq!(&facts["ioprio"], "1 1");
        let exec = bundle.runtime(&["exec", &bundle.id, "/probe", "scheduler", "ioprio"]).facts();
        assert_eq!((&exec["scheduler"], &exec["ioprio"]), (&facts["scheduler"], "1 1"));
        bundle.delete();
        running.finish();
        bundle.nothing_left();
        facts["scheduler"].to_string()
    };
    assert_eq!(run(json!({"policy": "SCHED_OTHER", "nice": -5})), "0 0 -5 0");
    // What init's descendants do not get it has to be given itself.
    let flags = json!(["SCHED_FLAG_RESET_ON_FORK"]);
    assert_eq!(run(json!({"policy": "SCHED_BATCH", "nice": -3, "flags": flags})), "3 1 -3 0");
    let times = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 5_000_000, "period": 10_000_000});
    assert_eq!(run(times), "6 0 0 0 1000000 5000000 10000000");
}

#[test]
fn an_io_priority_is_set() {
    newer_than_the_oracles!();
    for (class, priority, expected) in [("BE", 6, "2 6"), ("IDLE", 0, "3 0"), ("RT", 1, "1 1")] {
        let wanted = json!({"class": format!("IOPRIO_CLASS_{class}"), "priority": priority});
        let bundle = Bundle::with(|c| c["process"]["ioPriority"] = wanted).ask(&["ioprio"]);
        assert_eq!(&bundle.facts()["ioprio"], expected);
    }
}

#[test]
fn an_io_priority_that_does_not_exist_is_refused() {
    newer_than_the_oracles!();
    for (name, wanted) in [
        ("process.ioPriority.class", json!({"class": "IOPRIO_CLASS_NONE", "priority": 1})),
        ("process.ioPriority.priority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8})),
    ] {
        Bundle::with(|c| c["process"]["ioPriority"] = wanted).run().refused(&[name]);
    }
}

#[test]
fn a_memory_policy_is_set() {
    newer_than_the_oracles!();
    let cases = [
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), "0x2 0"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-0", "flags": ["MPOL_F_STATIC_NODES"]}), "0x8003 0"),
        (json!({"mode": "MPOL_LOCAL"}), "0x4"),
        (json!({"mode": "MPOL_DEFAULT"}), "0x0"),
    ];
    for (policy, expected) in cases {
        let out = Bundle::with(|c| c["linux"]["memoryPolicy"] = policy).ask(&["mempolicy"]).run();
        if out.stderr.contains("ENOSYS") {
            minirunc_tests::skip!("a kernel without CONFIG_NUMA");
        }
        assert_eq!(&out.facts()["mempolicy"], expected);
    }
}

#[test]
fn a_memory_policy_that_makes_no_sense_is_refused() {
    newer_than_the_oracles!();
    for (words, policy) in [
        ("linux.memoryPolicy.mode", json!({"nodes": "0"})),
        ("linux.memoryPolicy.mode", json!({"mode": "MPOL_NEAR"})),
        ("linux.memoryPolicy.nodes", json!({"mode": "MPOL_BIND", "nodes": "0-"})),
        ("linux.memoryPolicy.flags[0]", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]})),
        // A node that the machine has not is the kernel's to refuse.
        ("set_mempolicy linux.memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "63"})),
    ] {
        Bundle::with(|c| c["linux"]["memoryPolicy"] = policy).run().refused(&[words]);
    }
}

#[test]
fn a_personality_that_is_not_one_is_refused() {
    newer_than_the_oracles!();
    for personality in [json!({"domain": "BSD"}), json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]})]
    {
        Bundle::with(|c| c["linux"]["personality"] = personality).run().refused(&["linux.personality."]);
    }
}

#[test]
fn exec_cpu_affinity_is_not_for_the_containers_own_process() {
    let affinity = json!({"initial": "0", "final": "0"});
    let facts = Bundle::with(|c| c["process"]["execCPUAffinity"] = affinity).ask(&["cpus"]).facts();
    let free = Bundle::new().ask(&["cpus"]).facts();
    assert_eq!(facts["cpus"], free["cpus"]);
}

#[test]
fn an_exec_cpu_affinity_that_is_no_list_is_refused() {
    newer_than_the_oracles!();
    let affinity = json!({"initial": "0", "final": "zero"});
    let bundle = Bundle::with(|c| c["process"]["execCPUAffinity"] = affinity);
    bundle.run().refused(&["process.execCPUAffinity.final"]);
}
