//! `update`: limits that change while the container runs, seen in its cgroup and felt by its process.

use std::fs;
use std::process::Stdio;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host::{self, cgroup_of, controller};
use minirunc_tests::runtime::{Output, Running, Runtime};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

use crate::kill::{sleeping, status, until};
use crate::resources::MB;

fn update(bundle: &Bundle, flags: &[&str]) -> Output {
    bundle.runtime(&[&["update"], flags, &[&bundle.id]].concat())
}

/// `update --resources -` with this on standard input.
fn update_json(bundle: &Bundle, resources: &str) -> Output {
    let file = bundle.dir.join("resources.json");
    fs::write(&file, resources).unwrap();
    let mut command = bundle.command(&["update", "--resources", "-", &bundle.id]);
    command.stdin(Stdio::from(fs::File::open(&file).unwrap()));
    Running::start(command, &bundle.dir).finish()
}

/// A limit: its controller, and its file by version.
#[derive(Clone, Copy)]
struct Knob(&'static str, &'static str, &'static str);

const MEMORY: Knob = Knob("memory", "memory.limit_in_bytes", "memory.max");
const RESERVATION: Knob = Knob("memory", "memory.soft_limit_in_bytes", "memory.low");
const SWAP: Knob = Knob("memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
const SHARES: Knob = Knob("cpu", "cpu.shares", "cpu.weight");
const IDLE: Knob = Knob("cpu", "cpu.idle", "cpu.idle");
const CPUS: Knob = Knob("cpuset", "cpuset.cpus", "cpuset.cpus");
const PIDS: Knob = Knob("pids", "pids.max", "pids.max");

impl Knob {
    fn is_here(self, bundle: &Bundle) -> bool {
        controller(self.0).is_some() && self.file(bundle).exists()
    }

    fn file(self, bundle: &Bundle) -> std::path::PathBuf {
        cgroup_of(&bundle.id, self.0).join(if host::v2() { self.2 } else { self.1 })
    }

    #[track_caller]
    fn read(self, bundle: &Bundle) -> String {
        let file = self.file(bundle);
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).trim().to_string()
    }

    /// Reads as `v1`, or under cgroup v2 as `v2`.
    #[track_caller]
    fn reads(self, bundle: &Bundle, v1: impl ToString, v2: impl ToString) {
        assert_eq!(self.read(bundle), if host::v2() { v2.to_string() } else { v1.to_string() });
    }
}

/// Quota and period, with a blank between them; `max` and -1 are the same.
fn bandwidth(bundle: &Bundle) -> String {
    let dir = cgroup_of(&bundle.id, "cpu");
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap().trim().to_string();
    if host::v2() {
        return read("cpu.max").replace("max", "-1");
    }
    format!("{} {}", read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
}

macro_rules! needs {
    ($knob:ident, $bundle:ident) => {
        if !$knob.is_here(&$bundle) {
            skip!("no {} here", if host::v2() { $knob.2 } else { $knob.1 });
        }
    };
}

#[test]
fn update_of_pids_holds_at_once() {
    let bundle = sleeping();
    needs!(PIDS, bundle);
    update(&bundle, &["--pids-limit", "17"]).ok();
    PIDS.reads(&bundle, 17, 17);
    update(&bundle, &["--pids-limit=-1"]).ok();
    PIDS.reads(&bundle, "max", "max");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn update_prints_nothing_and_leaves_the_container_running() {
    let bundle = sleeping();
    needs!(PIDS, bundle);
    let pid = bundle.pid();
    let out = update(&bundle, &["--pids-limit", "17"]);
    assert_eq!((out.ok().stdout.as_str(), out.stderr.as_str()), ("", ""));
    assert_eq!((status(&bundle), bundle.pid()), ("running".into(), pid));
    bundle.delete();
}

#[test]
fn memory_and_swap_grow_and_shrink_in_one_update() {
    let bundle = crate::resources::bundle(&json!({"memory": {"limit": 32 * MB, "swap": 64 * MB}}));
    let bundle = crate::kill::detached(bundle, &["sleep 60000"]);
    needs!(SWAP, bundle);
    for (memory, swap) in [(128, 256), (16, 24), (64, 64), (512, 513)] {
        let (memory, swap) = (memory * MB, swap * MB);
        update(&bundle, &["--memory", &memory.to_string(), "--memory-swap", &swap.to_string()]).ok();
        MEMORY.reads(&bundle, memory, memory);
        SWAP.reads(&bundle, swap, swap - memory);
    }
    bundle.delete();
}

#[test]
fn memory_minus_one_takes_the_swap_limit_along() {
    let bundle = crate::resources::bundle(&json!({"memory": {"limit": 32 * MB, "swap": 64 * MB}}));
    let bundle = crate::kill::detached(bundle, &["sleep 60000"]);
    needs!(SWAP, bundle);
    update(&bundle, &["--memory", "-1"]).ok();
    for knob in [MEMORY, SWAP] {
        knob.reads(&bundle, "9223372036854771712", "max");
    }
    bundle.delete();
}

#[test]
fn amounts_of_memory_have_units() {
    let bundle = sleeping();
    needs!(MEMORY, bundle);
    for (text, bytes) in [("64m", 64 * MB), ("65536k", 64 * MB), ("48MiB", 48 * MB), ("1G", 1024 * MB)] {
        update(&bundle, &["--memory", text]).ok();
        MEMORY.reads(&bundle, bytes, bytes);
    }
    update(&bundle, &["--memory-reservation", "20mb"]).ok();
    RESERVATION.reads(&bundle, 20 * MB, 20 * MB);
    bundle.delete();
}

#[test]
fn quota_and_period_are_kept_when_the_other_changes() {
    let bundle = sleeping();
    needs!(SHARES, bundle);
    for (flags, expected) in [
        (&["--cpu-quota", "30000"][..], "30000 100000"),
        (&["--cpu-period", "50000"], "30000 50000"),
        (&["--cpu-quota", "20000"], "20000 50000"),
        (&["--cpu-period", "200000", "--cpu-quota", "400000"], "400000 200000"),
        (&["--cpu-share", "512"], "400000 200000"),
        (&["--cpu-quota", "-1"], "-1 200000"),
    ] {
        update(&bundle, flags).ok();
        assert_eq!(bandwidth(&bundle), expected, "{flags:?}");
    }
    SHARES.reads(&bundle, 512, 59);
    bundle.delete();
}

#[test]
fn an_idle_container_takes_no_shares_and_takes_them_again_when_it_is_not() {
    not_for!("runc", "1.1.5 does not know idle");
    let bundle = sleeping();
    needs!(IDLE, bundle);
    update(&bundle, &["--cpu-share", "2048", "--cpu-idle", "1"]).ok();
    IDLE.reads(&bundle, 1, 1);
    // As who sends all again does.
    update_json(&bundle, r#"{"cpu": {"shares": 512, "idle": 1}}"#).ok();
    IDLE.reads(&bundle, 1, 1);
    update(&bundle, &["--cpu-idle", "0", "--cpu-share", "512"]).ok();
    IDLE.reads(&bundle, 0, 0);
    SHARES.reads(&bundle, 512, 59);
    bundle.delete();
}

#[test]
fn cpus_change_under_the_process() {
    let bundle = sleeping();
    needs!(CPUS, bundle);
    update(&bundle, &["--cpuset-cpus", "0", "--cpuset-mems", "0"]).ok();
    CPUS.reads(&bundle, 0, 0);
    let allowed = fs::read_to_string(format!("/proc/{}/status", bundle.pid())).unwrap();
    assert!(allowed.lines().any(|line| line == "Cpus_allowed_list:\t0"), "{allowed}");
    bundle.delete();
}

#[test]
fn json_comes_from_a_file_or_from_standard_input_and_beats_other_flags() {
    let bundle = sleeping();
    needs!(PIDS, bundle);
    needs!(MEMORY, bundle);
    let all = json!({"pids": {"limit": 21}, "memory": {"limit": 80 * MB}, "cpu": {"shares": 100}});
    update_json(&bundle, &all.to_string()).ok();
    PIDS.reads(&bundle, 21, 21);
    MEMORY.reads(&bundle, 80 * MB, 80 * MB);
    let file = bundle.path("limits");
    fs::write(&file, json!({"pids": {"limit": 22}}).to_string()).unwrap();
    update(&bundle, &["-r", &file, "--memory", "1g"]).ok();
    PIDS.reads(&bundle, 22, 22);
    MEMORY.reads(&bundle, 80 * MB, 80 * MB);
    bundle.delete();
}

#[test]
fn what_go_writes_for_not_given_changes_nothing() {
    let bundle = sleeping();
    needs!(PIDS, bundle);
    needs!(MEMORY, bundle);
    update(&bundle, &["--pids-limit", "23", "--memory", "90m", "--cpu-quota", "40000"]).ok();
    let zeros = json!({
        "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "kernelTCP": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "realtimePeriod": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0}, "devices": null
    });
    update_json(&bundle, &zeros.to_string()).ok();
    update_json(&bundle, "{}").ok();
    update(&bundle, &[]).ok();
    PIDS.reads(&bundle, 23, 23);
    MEMORY.reads(&bundle, 90 * MB, 90 * MB);
    assert_eq!(bandwidth(&bundle), "40000 100000");
    bundle.delete();
}

#[test]
fn device_rules_are_never_touched() {
    let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]);
    let bundle = Bundle::with(|c| c["linux"]["resources"]["devices"] = rules);
    let bundle = crate::kill::detached(bundle, &["sleep 60000"]);
    let deny = json!({"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 30}});
    let before = devices(&bundle);
    update_json(&bundle, &deny.to_string()).ok();
    assert_eq!(devices(&bundle), before);
    bundle.delete();
}

/// What v1 lists; on v2 rules are a program, which the probe's open(2) feels elsewhere.
fn devices(bundle: &Bundle) -> String {
    if host::v2() || controller("devices").is_none() {
        return String::new();
    }
    fs::read_to_string(cgroup_of(&bundle.id, "devices").join("devices.list")).unwrap()
}

#[test]
fn a_paused_container_is_updated_and_stays_paused() {
    let bundle = sleeping();
    needs!(PIDS, bundle);
    bundle.runtime(&["pause", &bundle.id]).ok();
    update(&bundle, &["--pids-limit", "24"]).ok();
    PIDS.reads(&bundle, 24, 24);
    assert_eq!(status(&bundle), "paused");
    bundle.delete();
}

#[test]
fn a_stopped_container_is_not_updated() {
    let bundle = sleeping();
    bundle.runtime(&["kill", &bundle.id, "9"]).ok();
    until(|| status(&bundle) == "stopped");
    update(&bundle, &["--pids-limit", "25"]).ended(1).says("container not running");
    bundle.delete();
    update(&bundle, &["--pids-limit", "25"]).ended(1).says("does not exist");
}

#[test]
fn the_stored_plan_outlives_an_update() {
    only_ours!("its state is another");
    let bundle = sleeping();
    needs!(PIDS, bundle);
    let plan = bundle.state().join(&bundle.id).join("plan");
    let before = fs::read(&plan).unwrap();
    update(&bundle, &["--pids-limit", "26"]).ok();
    assert!(fs::read(&plan).unwrap() == before);
    bundle.runtime(&["delete", "--force", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn what_cannot_be_is_refused_by_name_and_changes_nothing() {
    let bundle = sleeping();
    needs!(MEMORY, bundle);
    let before = (MEMORY.read(&bundle), bandwidth(&bundle));
    for (flag, value, words) in [
        ("--memory", "x", "invalid value for memory"),
        ("--memory", "1q", "invalid value for memory"),
        ("--cpu-quota", "x", "invalid value for cpu-quota"),
        ("--cpu-share", "-5", "cpu.shares"),
    ] {
        update(&bundle, &[flag, value]).refused(&[words]);
    }
    for text in ["", "{", "[]", r#"{"memory": {"limit": "many"}}"#, r#"{"cpu": 5}"#] {
        update_json(&bundle, text).refused(&["resources"]);
    }
    update(&bundle, &["-r", "/nowhere/at/all"]).refused(&["/nowhere/at/all", "ENOENT"]);
    assert_eq!((MEMORY.read(&bundle), bandwidth(&bundle)), before);
    if Runtime::get().ours() {
        for flag in ["--l3-cache-schema", "--mem-bw-schema"] {
            update(&bundle, &[flag, "L3:0=f"]).refused(&["linux.intelRdt"]);
        }
        let out = update(&bundle, &["--kernel-memory", "1g"]);
        out.ok().says("kernel memory limits are ignored");
    }
    bundle.delete();
}

#[test]
fn a_limit_below_what_is_used_is_told() {
    let bundle = sleeping();
    needs!(MEMORY, bundle);
    if host::v2() {
        let check = json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}});
        update_json(&bundle, &check.to_string()).refused(&["memory.limit", "in use"]);
    } else {
        update(&bundle, &["--memory", "4096"]).refused(&["memory.limit", "in use"]);
    }
    assert_eq!(status(&bundle), "running");
    bundle.delete();
}

/// JSON as docker and containerd send it: all of the container's resources again, with what changed.
#[test]
fn all_resources_may_be_sent_again() {
    let bundle = Bundle::new();
    let mut resources = bundle.config["linux"]["resources"].clone();
    let bundle = crate::kill::detached(bundle, &["sleep 60000"]);
    needs!(PIDS, bundle);
    resources["pids"] = json!({"limit": 27});
    resources["unified"] = Value::Null;
    resources["hugepageLimits"] = json!([]);
    update_json(&bundle, &resources.to_string()).ok();
    PIDS.reads(&bundle, 27, 27);
    bundle.delete();
}
