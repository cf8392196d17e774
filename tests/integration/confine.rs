//! What the process may do: capabilities, names, sysctls.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::Facts;
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::json;

/// Numbers of capabilities(7).
const CHOWN: &str = "0";
const KILL: &str = "5";
const NET_BIND_SERVICE: &str = "10";

fn set(facts: &Facts, name: &str) -> String {
    facts[&format!("cap.{name}")].to_string()
}

#[test]
fn the_five_capability_sets_are_as_given() {
    let bundle = Bundle::with(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        c["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_CHOWN"],
            "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "effective": ["CAP_KILL"],
            "ambient": ["CAP_KILL"]
        });
    });
    let facts = bundle.facts();
    assert_eq!(set(&facts, "bounding"), format!("{CHOWN} {KILL} {NET_BIND_SERVICE}"));
    assert_eq!(set(&facts, "inheritable"), format!("{KILL} {NET_BIND_SERVICE}"));
    // execve(2) of a plain file by an ordinary user leaves what is ambient.
    assert_eq!(set(&facts, "permitted"), KILL);
    assert_eq!(set(&facts, "effective"), KILL);
    assert_eq!(set(&facts, "ambient"), KILL);
}

#[test]
fn root_has_no_more_than_the_bounding_set() {
    let facts = Bundle::new().facts();
    for name in ["bounding", "permitted", "effective"] {
        assert_eq!(set(&facts, name), "5 10 29", "{name}");
    }
    assert_eq!(set(&facts, "inheritable"), "");
    assert_eq!(set(&facts, "ambient"), "");
}

#[test]
fn an_ordinary_user_without_ambient_set_has_nothing() {
    let facts = Bundle::with(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000})).facts();
    assert_eq!(set(&facts, "effective"), "");
    assert_eq!(set(&facts, "permitted"), "");
    assert_eq!(set(&facts, "bounding"), "5 10 29");
}

#[test]
fn absent_capabilities_are_none() {
    let facts = Bundle::with(|c| drop(c["process"].as_object_mut().unwrap().remove("capabilities"))).facts();
    for name in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
        assert_eq!(set(&facts, name), "", "{name}");
    }
}

#[test]
fn an_unknown_capability_only_warns() {
    not_for!("crun", "1.8.1 fails on it");
    let bundle =
        Bundle::with(|c| c["process"]["capabilities"]["bounding"] = json!(["CAP_NOT_YET", "CAP_KILL"]));
    let out = bundle.run();
    let named =
        ["CAP_NOT_YET", "process.capabilities.bounding[0]"].iter().any(|name| out.stderr.contains(name));
    assert!(named, "no warning: {}", out.stderr);
    assert_eq!(set(&out.facts(), "bounding"), KILL);
}

#[test]
fn a_capability_that_the_caller_lacks_only_warns() {
    only_ours!("the oracles fail on it");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|l| l.strip_prefix("CapBnd:\t")).unwrap();
    let bounding = u64::from_str_radix(bounding, 16).unwrap();
    if bounding & (1 << 24) != 0 {
        skip!("this machine's root has CAP_SYS_RESOURCE");
    }
    let names = json!(["CAP_SYS_RESOURCE", "CAP_KILL"]);
    let bundle = Bundle::with(|c| {
        c["process"]["capabilities"] = json!({"bounding": names, "effective": names, "permitted": names})
    });
    let out = bundle.run();
    assert!(out.stderr.contains("CAP_SYS_RESOURCE"), "no warning: {}", out.stderr);
    assert_eq!(set(&out.facts(), "effective"), KILL);
}

#[test]
fn an_ambient_capability_that_is_not_inheritable_only_warns() {
    not_for!("crun", "1.8.1 fails on it");
    not_for!("runc", "1.1 says so of no name");
    let (both, one) = (json!(["CAP_KILL", "CAP_CHOWN"]), json!(["CAP_KILL"]));
    let bundle = Bundle::with(|c| {
        c["process"]["capabilities"] = json!({"bounding": both, "effective": both, "permitted": both, "inheritable": one, "ambient": both})
    });
    let out = bundle.run();
    assert!(out.stderr.contains("can't raise ambient capability CAP_CHOWN: "), "no warning: {}", out.stderr);
    assert!(!out.stderr.contains("CAP_KILL"), "{}", out.stderr);
    assert_eq!(set(&out.facts(), "ambient"), KILL);
}

#[test]
fn an_ambient_set_beside_an_empty_inheritable_one_is_passed_over_in_silence() {
    not_for!("crun", "1.8.1 fails on it");
    let names = json!(["CAP_KILL", "CAP_CHOWN"]);
    let bundle = Bundle::with(|c| {
        c["process"]["capabilities"] =
            json!({"bounding": names, "effective": names, "permitted": names, "ambient": names})
    });
    let out = bundle.run();
    assert_eq!(out.stderr, "");
    assert_eq!(set(&out.facts(), "ambient"), "");
}

#[test]
fn an_inheritable_capability_outside_the_bounding_set_is_refused() {
    not_for!("crun", "1.8.1 starts it");
    let bundle = Bundle::with(|c| {
        let kill = json!(["CAP_KILL"]);
        c["process"]["capabilities"] = json!({"effective": kill, "permitted": kill, "inheritable": kill})
    });
    let out = bundle.run();
    assert!(out.code() != 0 && out.stderr.contains("operation not permitted"), "{}", out.stderr);
}

#[test]
fn a_capability_that_is_not_held_is_not_usable() {
    let facts =
        Bundle::new().ask(&["sethostname x", "mknod /dev/mine c 1 3", "mount /tmp none tmpfs"]).facts();
    assert_eq!(&facts["sethostname x"], "!EPERM");
    assert_eq!(&facts["mknod /dev/mine c 1 3"], "!EPERM");
    assert_eq!(&facts["mount /tmp none tmpfs"], "!EPERM");
}

#[test]
fn hostname_is_set_inside_only() {
    let bundle = Bundle::with(|c| c["hostname"] = json!("inside.example"));
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(&bundle.facts()["hostname"], "inside.example");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn domainname_is_set() {
    not_for!("runc", "1.1 has no domainname");
    let bundle = Bundle::with(|c| c["domainname"] = json!("example"));
    assert_eq!(&bundle.facts()["domainname"], "example");
}

#[test]
fn a_hostname_without_uts_namespace_is_refused() {
    let mut bundle = Bundle::new();
    bundle.drop_namespace("uts");
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    bundle.run().refused(&["hostname"]);
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn namespaced_sysctls_are_set() {
    let bundle = Bundle::with(|c| {
        c["linux"]["sysctl"] = json!({
            "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "kernel.msgmax": "1234", "fs.mqueue.msg_max": "77",
            "net.ipv4.ping_group_range": "0 5"
        });
    });
    let facts = bundle
        .ask(&[
            "read /proc/sys/net/ipv4/ip_forward",
            "read /proc/sys/kernel/shm_rmid_forced",
            "read /proc/sys/kernel/msgmax",
            "read /proc/sys/fs/mqueue/msg_max",
            "read /proc/sys/net/ipv4/ping_group_range",
        ])
        .facts();
    assert_eq!(&facts["read /proc/sys/net/ipv4/ip_forward"], "1\n");
    assert_eq!(&facts["read /proc/sys/kernel/shm_rmid_forced"], "1\n");
    assert_eq!(&facts["read /proc/sys/kernel/msgmax"], "1234\n");
    assert_eq!(&facts["read /proc/sys/fs/mqueue/msg_max"], "77\n");
    assert_eq!(&facts["read /proc/sys/net/ipv4/ping_group_range"], "0\t5\n");
}

#[test]
fn a_sysctl_that_belongs_to_the_machine_is_refused() {
    for key in ["kernel.panic", "vm.swappiness", "kernel.core_pattern", "net.ipv4/../../kernel.panic"] {
        let bundle = Bundle::with(|c| c["linux"]["sysctl"] = json!({ key: "1" }));
        bundle.run().refused(&["sysctl"]);
    }
}

#[test]
fn a_sysctl_of_a_namespace_that_is_shared_is_refused() {
    let mut bundle = Bundle::with(|c| c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"}));
    bundle.drop_namespace("network");
    bundle.drop_mount("/sys");
    bundle.run().refused(&["sysctl"]);
    let mut bundle = Bundle::with(|c| c["linux"]["sysctl"] = json!({"kernel.msgmax": "1234"}));
    bundle.drop_namespace("ipc");
    bundle.drop_mount("/dev/mqueue");
    bundle.run().refused(&["sysctl"]);
}

#[test]
fn a_sysctl_that_does_not_exist_is_refused() {
    let bundle = Bundle::with(|c| c["linux"]["sysctl"] = json!({"net.ipv4.no_such": "1"}));
    bundle.run().refused(&["net"]);
}
