//! `--trace`: the phases of a command in all of its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::only_ours;
use serde_json::{Value, json};

use crate::exec::Target;

/// One complete event: its category, name, pid, begin and end in microseconds.
#[derive(Debug)]
struct Phase {
    who: String,
    name: String,
    pid: i64,
    start: f64,
    end: f64,
}

/// The events of a trace, after checks of what holds for every one.
#[track_caller]
fn phases(path: &str) -> Vec<Phase> {
    let text = fs::read_to_string(path).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let (mut phases, mut named) = (Vec::new(), BTreeMap::new());
    for event in trace["traceEvents"].as_array().unwrap() {
        let pid = event["pid"].as_i64().unwrap();
        assert!(pid > 1 && event["tid"] == event["pid"], "{event}");
        let text = |key: &str| event[key].as_str().unwrap().to_string();
        match event["ph"].as_str().unwrap() {
            "M" => drop(named.insert(pid, event["args"]["name"].clone())),
            "X" => {
                let (start, duration) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
                assert!(start >= 0.0 && duration >= 0.0, "{event}");
                phases.push(Phase {
                    who: text("cat"),
                    name: text("name"),
                    pid,
                    start,
                    end: start + duration,
                });
            }
            other => panic!("{other}"),
        }
    }
    assert!(phases.windows(2).all(|pair| pair[0].start <= pair[1].start), "{phases:#?}");
    // A process's phases follow each other: no gap, no overlap.
    for pid in named.keys() {
        let own: Vec<_> = phases.iter().filter(|phase| phase.pid == *pid).collect();
        assert!(own.windows(2).all(|pair| (pair[1].start - pair[0].end).abs() < 0.01), "{own:#?}");
    }
    assert!(phases.iter().all(|phase| named.contains_key(&phase.pid)), "{named:?}");
    phases
}

/// That these are among the phases of `who`, in this order.
#[track_caller]
fn ordered(phases: &[Phase], who: &str, names: &[&str]) {
    let mut own = phases.iter().filter(|phase| phase.who == who);
    for name in names {
        assert!(own.any(|phase| phase.name.contains(name)), "{name} of {who} in {phases:#?}");
    }
}

/// A traced run in the foreground; its phases, and how long it took as seen from outside.
#[track_caller]
fn run(bundle: &Bundle) -> (Vec<Phase>, Duration) {
    let path = bundle.path("trace");
    let start = Instant::now();
    bundle.run_with(&["--trace", &path]).ok();
    let took = start.elapsed();
    bundle.nothing_left();
    (phases(&path), took)
}

fn user_namespace(config: &mut Value) {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

#[test]
fn the_phases_of_a_run_follow_each_other_from_config_json_to_the_removal_of_its_state() {
    only_ours!("the flag is ours");
    let (phases, took) = run(&Bundle::new());
    ordered(&phases, "runtime", &["config.json", "plan made", "state directory made"]);
    // Which are before the plan on cgroup v1, and after the limits on v2.
    ordered(&phases, "runtime", &["config.json parsed", "own executable ready", "child cloned"]);
    let runtime =
        ["limits set", "init ready", "program executed", "process", "cgroups removed", "state removed"];
    ordered(&phases, "runtime", &runtime);
    ordered(&phases, "child", &["own executable executed", "told what to do", "namespaces made"]);
    let init = ["child process in init()", "in the cgroups", "root made private", "mounts[0]", "mounts[6]"];
    ordered(&phases, "init", &init);
    let init = ["mounts[6]", "devices", "in the root", "masked", "rights and limits", "closing the pipe"];
    ordered(&phases, "init", &init);
    assert!(!phases.iter().any(|phase| phase.name == "mounts[7]"), "there are seven: {phases:#?}");
    // All of it happened while we waited, and most of our wait is in it.
    let end = phases.iter().map(|phase| phase.end).fold(0.0, f64::max);
    let took = took.as_secs_f64() * 1e6;
    assert!(end < took && end > took / 100.0, "{end} of {took}");
    // On one clock: what init does lies between the child's birth and the moment when the runtime hears of execve.
    let of = |name: &str| phases.iter().find(|phase| phase.name == name).unwrap();
    let (spawned, executed) = (of("child cloned"), of("program executed"));
    let inside = phases.iter().filter(|phase| phase.who != "runtime");
    assert!(inside.clone().count() > 15, "{phases:#?}");
    assert!(
        inside.clone().all(|phase| phase.start >= spawned.start && phase.end <= executed.end),
        "{phases:#?}"
    );
}

#[test]
fn runtime_child_and_init_are_three_processes_where_there_is_a_user_namespace() {
    only_ours!("the flag is ours");
    let (phases, _) = run(&Bundle::with(user_namespace));
    ordered(&phases, "runtime", &["child cloned", "id maps written", "program executed"]);
    ordered(&phases, "child", &["user namespace made and mapped", "namespaces made", "init cloned"]);
    let pids: BTreeMap<_, _> = phases.iter().map(|phase| (phase.who.as_str(), phase.pid)).collect();
    let different: BTreeSet<_> = pids.values().collect();
    assert_eq!((pids.len(), different.len()), (3, 3), "{pids:?}");
}

#[test]
fn a_time_namespace_moves_no_phase() {
    only_ours!("the flag is ours");
    let bundle = Bundle::with(|c| {
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
        c["linux"]["timeOffsets"] =
            json!({"monotonic": {"secs": 1_000_000}, "boottime": {"secs": 1_000_000}});
    });
    let (phases, took) = run(&bundle);
    let end = phases.iter().map(|phase| phase.end).fold(0.0, f64::max);
    assert!(end < took.as_secs_f64() * 1e6, "{phases:#?}");
    ordered(&phases, "init", &["devices", "closing the pipe"]);
}

#[test]
fn create_and_start_tell_their_own_halves() {
    only_ours!("the flag is ours");
    let bundle = Bundle::new();
    bundle.write();
    let (create, start) = (bundle.path("create"), bundle.path("start"));
    bundle.runtime(&["create", "--trace", &create, "--bundle", &bundle.path(""), &bundle.id]).ok();
    let pid = i64::from(bundle.pid());
    bundle.runtime(&["start", "--trace", &start, &bundle.id]).ok();
    let created = phases(&create);
    ordered(&created, "runtime", &["plan made", "state directory made", "init ready"]);
    ordered(&created, "init", &["mounts[0]", "in the root", "rights and limits"]);
    assert!(!created.iter().any(|phase| phase.name.contains("closing the pipe")), "{created:#?}");
    let started = phases(&start);
    ordered(&started, "runtime", &["container found", "program executed"]);
    ordered(&started, "init", &["closing the pipe"]);
    assert!(started.iter().all(|phase| phase.who == "runtime" || phase.pid == pid), "{started:#?}");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn what_is_started_untraced_can_be_created_traced_and_the_other_way_round() {
    only_ours!("the flag is ours");
    for (create, start) in [(true, false), (false, true)] {
        let bundle = Bundle::new();
        bundle.write();
        let (path, dir) = (bundle.path("trace"), bundle.path(""));
        let flags = |traced: bool| if traced { vec!["--trace", &path] } else { vec![] };
        let create = [vec!["create", "--bundle", &dir], flags(create), vec![&bundle.id]].concat();
        assert_eq!(bundle.runtime(&create).ok().stderr, "");
        assert_eq!(bundle.runtime(&[vec!["start"], flags(start), vec![&bundle.id]].concat()).ok().stderr, "");
        assert!(phases(&path).iter().any(|phase| phase.who == "init"));
        bundle.delete();
        bundle.nothing_left();
    }
}

#[test]
fn exec_tells_the_phases_of_the_second_process() {
    only_ours!("the flag is ours");
    let target = Target::new();
    let path = target.0.path("trace");
    target.exec(&["--trace", &path], &["/probe"]).ok();
    let phases = phases(&path);
    ordered(&phases, "runtime", &["container found", "plan made", "init ready", "process"]);
    ordered(&phases, "child", &["own executable executed", "namespaces joined"]);
    ordered(&phases, "init", &["in the cgroups", "rights and limits", "closing the pipe"]);
    target.0.delete();
    target.0.nothing_left();
}

#[test]
fn a_dash_is_a_table_on_standard_error_and_leaves_the_processes_own_output_alone() {
    only_ours!("the flag is ours");
    let bundle = Bundle::new();
    let out = bundle.run_with(&["--trace", "-"]);
    out.facts();
    let mut lines = out.stderr.lines();
    let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["begins", "us", "takes", "us", "process", "done"]);
    let mut last = 0.0;
    let mut seen = BTreeMap::new();
    for line in lines {
        let words: Vec<_> = line.split_whitespace().collect();
        let (start, took): (f64, f64) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        assert!(start >= last && took >= 0.0, "{}", out.stderr);
        last = start;
        *seen.entry(words[2].to_string()).or_insert(0) += 1;
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["child", "init", "runtime"], "{}", out.stderr);
    assert!(seen["runtime"] > 8 && seen["init"] > 10, "{}", out.stderr);
    bundle.nothing_left();
}

#[test]
fn a_run_that_fails_tells_how_far_it_came() {
    only_ours!("the flag is ours");
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/missing"]));
    let path = bundle.path("trace");
    bundle.run_with(&["--trace", &path]).ended(127).says("/missing");
    let phases = phases(&path);
    ordered(&phases, "init", &["mounts[0]", "in the root"]);
    assert!(!phases.iter().any(|phase| phase.name.contains("closing the pipe")), "{phases:#?}");
    bundle.nothing_left();
}

#[test]
fn a_filter_that_kills_whoever_asks_for_the_time_kills_nobody_for_the_trace() {
    only_ours!("the flag is ours");
    for privileges in [true, false] {
        let (phases, _) = run(&Bundle::with(|c| {
            let rule = json!({"names": ["clock_gettime"], "action": "SCMP_ACT_KILL_PROCESS"});
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
            c["process"]["noNewPrivileges"] = json!(!privileges);
        }));
        ordered(&phases, "runtime", &["seccomp filter compiled"]);
        ordered(&phases, "init", &["in the root"]);
    }
}

#[test]
fn a_trace_that_cannot_be_written_is_a_warning_and_changes_no_status() {
    only_ours!("the flag is ours");
    let bundle = Bundle::new();
    let out = bundle.run_with(&["--trace", "/nowhere/trace"]);
    out.ok().says("warning: open /nowhere/trace: ENOENT");
    bundle.nothing_left();
}

#[test]
fn commands_that_make_no_process_refuse_the_flag() {
    only_ours!("the flag is ours");
    let bundle = Bundle::new();
    for command in ["state", "delete", "kill", "list", "ps", "update", "pause"] {
        bundle.runtime(&[command, "--trace", "-", &bundle.id]).refused(&["trace"]);
    }
}
