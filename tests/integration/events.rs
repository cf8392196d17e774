//! `events`: statistics in runc's words, memory that runs out, and an end.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host::{self, controller};
use minirunc_tests::skip;
use serde_json::{Value, json};

use crate::kill::{detached, sleeping, status, until};
use crate::resources::{MB, needs};

#[track_caller]
fn stats(bundle: &Bundle) -> Value {
    let out = bundle.runtime(&["events", "--stats", &bundle.id]);
    let lines: Vec<&str> = out.ok().stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{}", out.stdout);
    let event: Value = serde_json::from_str(lines[0]).unwrap_or_else(|e| panic!("{e}: {}", lines[0]));
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(bundle.id)));
    event["data"].clone()
}

#[test]
fn stats_have_the_members_that_runc_writes() {
    let bundle = sleeping();
    let data = stats(&bundle);
    let members =
        |value: &Value| -> Vec<String> { value.as_object().expect("object").keys().cloned().collect() };
    let all = ["blkio", "cpu", "cpuset", "hugetlb", "intel_rdt", "memory", "network_interfaces", "pids"];
    assert_eq!(members(&data), all);
    for member in ["usage", "throttling"] {
        assert!(data["cpu"][member].is_object(), "cpu.{member}");
    }
    for member in ["usage", "swap", "kernel", "kernelTCP"] {
        assert!(data["memory"][member]["limit"].is_u64(), "memory.{member}.limit");
        assert!(data["memory"][member]["failcnt"].is_u64(), "memory.{member}.failcnt");
    }
    let cpuset = [
        "cpu_exclusive",
        "mem_exclusive",
        "mem_hardwall",
        "memory_migrate",
        "memory_pressure",
        "memory_spread_page",
        "memory_spread_slab",
        "sched_load_balance",
        "sched_relax_domain_level",
    ];
    let numbers: Vec<String> =
        members(&data["cpuset"]).into_iter().filter(|name| !data["cpuset"][name].is_array()).collect();
    assert_eq!(numbers, cpuset);
    bundle.delete();
}

#[test]
fn stats_are_those_of_the_container() {
    needs!("memory");
    needs!("pids");
    let limits = json!({"memory": {"limit": 64 * MB}, "pids": {"limit": 40}});
    let bundle = detached(crate::resources::bundle(&limits), &["children 4"]);
    until(|| host::cgroup_pids(&bundle.id).len() == 5);
    let data = stats(&bundle);
    assert_eq!(data["memory"]["usage"]["limit"], json!(64 * MB));
    let used = data["memory"]["usage"]["usage"].as_i64().unwrap();
    assert!(used > 0 && used < 64 * MB, "{used}");
    assert_eq!(data["pids"], json!({"current": 5, "limit": 40}));
    // Nanoseconds: some, and less than a minute.
    let total = data["cpu"]["usage"]["total"].as_u64().unwrap();
    assert!(total > 10_000 && total < 60_000_000_000, "{total}");
    let raw = data["memory"]["raw"].as_object().unwrap();
    assert!(raw.len() > 10 && raw.values().all(Value::is_u64), "{raw:?}");
    bundle.delete();
}

#[test]
fn pressure_is_told_where_the_kernel_counts_it() {
    let bundle = sleeping();
    if !host::v2() || !host::cgroup_of(&bundle.id, "memory").join("memory.pressure").exists() {
        skip!("no pressure files here");
    }
    let data = stats(&bundle);
    for member in ["cpu", "memory", "blkio"] {
        let some = &data[member]["psi"]["some"];
        assert!(some["avg10"].is_number() && some["total"].is_u64(), "{member}: {some}");
    }
    bundle.delete();
}

#[test]
fn events_come_at_intervals_and_end_with_the_container() {
    let bundle = sleeping();
    let mut running = bundle.start(bundle.command(&["events", "--interval", "100ms", &bundle.id]));
    running.until("\n{");
    bundle.runtime(&["kill", &bundle.id, "9"]).ok();
    until(|| status(&bundle) == "stopped");
    bundle.delete();
    let out = running.finish();
    for line in out.ok().stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(event["type"], "stats");
    }
}

#[test]
fn memory_that_runs_out_is_an_event() {
    needs!("memory");
    let limits = json!({"memory": {"limit": 24 * MB, "swap": 24 * MB}});
    let bundle =
        detached(crate::resources::bundle(&limits), &[String::from("sleep 1500"), "allocate 96".into()]);
    let mut running = bundle.start(bundle.command(&["events", "--interval", "1h", &bundle.id]));
    let told = running.until("oom");
    let event: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(event, json!({"type": "oom", "id": bundle.id}));
    until(|| status(&bundle) == "stopped");
    bundle.delete();
    running.finish().ok();
}

#[test]
fn a_stopped_container_has_no_events() {
    let bundle = sleeping();
    bundle.runtime(&["events", "--interval", "0", &bundle.id]).refused(&["must be greater than 0"]);
    bundle.runtime(&["kill", &bundle.id, "9"]).ok();
    until(|| status(&bundle) == "stopped");
    for flags in [&["--stats"][..], &[]] {
        let out = bundle.runtime(&[&["events"], flags, &[&bundle.id]].concat());
        out.ended(1).says(&format!("container with id {} is not running", bundle.id));
    }
    bundle.delete();
}
