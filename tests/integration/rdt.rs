//! `linux.intelRdt`, against a resctrl that the test itself serves.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::resctrl::Resctrl;
use minirunc_tests::runtime::Output;
use minirunc_tests::{not_for, skip};
use serde_json::{Value, json};

struct Rdt {
    bundle: Bundle,
    resctrl: Resctrl,
}

impl Rdt {
    fn new(rdt: Value) -> Option<Self> {
        let bundle = Bundle::with(|c| c["linux"]["intelRdt"] = rdt).ask(&["sleep 60000"]);
        Some(Self { bundle, resctrl: Resctrl::new()? })
    }

    fn runtime(&self, args: &[&str]) -> Output {
        let mut command = self.bundle.command(args);
        self.resctrl.enter(&mut command);
        self.bundle.start(command).finish()
    }

    fn create(&self) -> Output {
        self.bundle.write();
        let dir = self.bundle.dir.to_str().expect("utf-8");
        self.runtime(&["create", "--bundle", dir, &self.bundle.id])
    }

    fn delete(&self) {
        self.runtime(&["delete", "--force", &self.bundle.id]).ok();
        self.bundle.nothing_left();
    }

    fn file(&self, path: &str) -> String {
        self.resctrl.read(path).unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// The groups are these, where `$` stands for the container's id.
    #[track_caller]
    fn groups(&self, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(|name| name.replace('$', &self.bundle.id)).collect();
        assert_eq!(self.resctrl.groups(), expected);
    }
}

macro_rules! rdt {
    ($($rdt:tt)*) => {{
        not_for!("runc", "1.1 looks at the processor's flags");
        not_for!("crun", "1.8 looks for the mount's type");
        match Rdt::new(json!($($rdt)*)) {
            Some(rdt) => rdt,
            None => skip!("no FUSE here to serve a resctrl"),
        }
    }};
}

#[test]
fn a_container_gets_a_group_of_its_own_and_its_process_is_in_it() {
    let rdt = rdt!({"l3CacheSchema": "L3:0=f\nMB:0=20", "memBwSchema": "MB:0=30", "schemata": ["L3:0=3"]});
    rdt.create().ok();
    rdt.groups(&["$"]);
    let id = rdt.bundle.id.clone();
    assert_eq!(rdt.file(&format!("{id}/schemata")), "    L3:0=3\n    MB:0=30\n");
    let state: Value = serde_json::from_str(&rdt.runtime(&["state", &id]).ok().stdout).unwrap();
    assert_eq!(rdt.file(&format!("{id}/tasks")), format!("{}\n", state["pid"]));
    rdt.delete();
    rdt.groups(&[]);
}

#[test]
fn a_class_that_is_not_there_is_made_and_removed() {
    let rdt = rdt!({"closID": "gold", "l3CacheSchema": "L3:0=ff", "enableMonitoring": true});
    rdt.create().ok();
    rdt.groups(&["gold", "gold/mon_groups/$"]);
    assert_eq!(rdt.file("gold/tasks"), rdt.file(&format!("gold/mon_groups/{}/tasks", rdt.bundle.id)));
    rdt.delete();
    rdt.groups(&[]);
}

#[test]
fn a_class_that_is_there_stays_when_the_container_goes() {
    let rdt = rdt!({"closID": "gold", "l3CacheSchema": "L3:0=fffff", "enableMonitoring": true});
    rdt.resctrl.make("gold");
    rdt.create().ok();
    assert_eq!(rdt.file("gold/tasks").lines().count(), 1);
    rdt.groups(&["gold", "gold/mon_groups/$"]);
    rdt.delete();
    rdt.groups(&["gold"]);
}

#[test]
fn the_root_class_can_be_asked_for() {
    let rdt = rdt!({"closID": "/", "enableMonitoring": true});
    rdt.create().ok();
    rdt.groups(&["mon_groups/$"]);
    assert_eq!(rdt.file("tasks").lines().count(), 1);
    rdt.delete();
    rdt.groups(&[]);
}

#[test]
fn a_class_that_is_there_with_another_schemata_is_refused() {
    let rdt = rdt!({"closID": "gold", "l3CacheSchema": "L3:0=ff"});
    rdt.resctrl.make("gold");
    rdt.create().refused(&["linux.intelRdt", "gold", "another schemata"]);
    rdt.groups(&["gold"]);
    assert_eq!(rdt.file("gold/tasks"), "");
    rdt.bundle.nothing_left();
}

#[test]
fn a_class_that_is_to_be_there_and_is_not_is_refused() {
    let rdt = rdt!({"closID": "gold"});
    rdt.create().refused(&["linux.intelRdt", "gold", "ENOENT"]);
    rdt.groups(&[]);
    rdt.bundle.nothing_left();
}

#[test]
fn what_the_kernel_refuses_leaves_no_group() {
    let mut rdt = rdt!({"schemata": ["L2:0=f"], "enableMonitoring": true});
    rdt.create().refused(&["linux.intelRdt", "L2:0=f", "EINVAL"]);
    rdt.groups(&[]);
    for name in ["one", "two"] {
        rdt.resctrl.make(name);
    }
    rdt.bundle.config["linux"]["intelRdt"] = json!({});
    rdt.create().refused(&["linux.intelRdt", "ENOSPC"]);
    rdt.groups(&["one", "two"]);
    rdt.bundle.nothing_left();
}

#[test]
fn an_update_changes_the_schemata_and_exec_joins_the_group() {
    let rdt = rdt!({"l3CacheSchema": "L3:0=ff"});
    rdt.create().ok();
    let id = rdt.bundle.id.clone();
    rdt.runtime(&["start", &id]).ok();
    rdt.runtime(&["update", "--l3-cache-schema", "L3:0=1", "--mem-bw-schema", "MB:0=50", &id]).ok();
    assert_eq!(rdt.file(&format!("{id}/schemata")), "    L3:0=1\n    MB:0=50\n");
    rdt.runtime(&["update", "--l3-cache-schema", "L2:0=1", &id]).refused(&["linux.intelRdt", "EINVAL"]);
    rdt.runtime(&["exec", &id, "/probe"]).ok();
    assert_eq!(rdt.file(&format!("{id}/tasks")).lines().count(), 2);
    rdt.delete();
}

#[test]
fn a_kernel_without_resctrl_is_told() {
    not_for!("runc", "1.1 passes over it");
    not_for!("crun", "1.8 has other words");
    if std::path::Path::new("/sys/fs/resctrl/schemata").exists() {
        skip!("there is a resctrl");
    }
    let bundle = Bundle::with(|c| c["linux"]["intelRdt"] = json!({"closID": "gold"}));
    bundle.run().refused(&["linux.intelRdt", "no resctrl"]);
}
