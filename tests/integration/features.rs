//! `features`: complete, and true: what it says is what the translation takes.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::only_ours;
use serde_json::{Value, json};

#[track_caller]
fn features() -> Value {
    let bundle = Bundle::new();
    std::fs::create_dir(bundle.state()).unwrap();
    let out = bundle.runtime(&["features"]);
    // CRI-O parses both as one.
    assert_eq!(out.ok().stderr, "");
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stdout))
}

fn strings<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    let list = list.unwrap_or_else(|| panic!("{pointer} should be a list in {value:#}"));
    list.iter().map(|one| one.as_str().unwrap()).collect()
}

/// Whether a dry run takes the default container with this change, and without a warning.
fn taken(change: impl FnOnce(&mut Value)) -> bool {
    let bundle = Bundle::with(change);
    bundle.write();
    let out = bundle.runtime(&["run", "--dry-run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]);
    out.code() == 0 && out.stderr.is_empty()
}

#[test]
fn callers_find_what_they_look_for() {
    let features = features();
    // CRI-O and containerd want versions, and the object `linux`.
    for version in ["ociVersionMin", "ociVersionMax"] {
        assert!(features[version].as_str().unwrap().split('.').count() == 3, "{version}");
    }
    // containerd's gate for user namespaces, CRI-O's for recursive read-only mounts.
    assert!(strings(&features, "/linux/namespaces").contains(&"user"));
    assert!(strings(&features, "/mountOptions").contains(&"rro"));
    assert!(features["linux"]["seccomp"]["enabled"].is_boolean());
    assert!(features["annotations"].is_object());
}

#[test]
fn every_property_of_the_specification_is_there() {
    only_ours!("older runtimes know fewer");
    let features = features();
    for pointer in ["/hooks", "/mountOptions", "/potentiallyUnsafeConfigAnnotations"] {
        strings(&features, pointer);
    }
    for list in ["namespaces", "capabilities", "memoryPolicy/modes", "memoryPolicy/flags"] {
        strings(&features, &format!("/linux/{list}"));
    }
    for truth in [
        "cgroup/v1",
        "cgroup/v2",
        "cgroup/systemd",
        "cgroup/systemdUser",
        "cgroup/rdma",
        "seccomp/enabled",
        "apparmor/enabled",
        "selinux/enabled",
        "intelRdt/enabled",
        "mountExtensions/idmap/enabled",
        "netDevices/enabled",
    ] {
        let value = features.pointer(&format!("/linux/{truth}"));
        assert!(value.is_some_and(Value::is_boolean), "{truth}: {value:?}");
    }
}

#[test]
fn it_is_laid_out_as_runc_does() {
    let bundle = Bundle::new();
    std::fs::create_dir(bundle.state()).unwrap();
    let text = bundle.runtime(&["features"]).ok().stdout.clone();
    assert!(text.starts_with("{\n    \"ociVersionMin\": \"1.0.0\",\n") && text.ends_with("\n}\n"), "{text}");
}

#[test]
fn what_is_enabled_is_taken_and_what_is_not_is_refused() {
    only_ours!("others have no dry run");
    let features = features();
    assert!(taken(|_| {}), "the default container");
    let enabled = |feature: &str| {
        let value = features.pointer(&format!("/linux/{feature}/enabled"));
        value.and_then(Value::as_bool).unwrap_or_else(|| panic!("{feature}"))
    };
    let check = |feature: &str, change: fn(&mut Value)| {
        assert_eq!(taken(change), enabled(feature), "{feature}: features and the translation disagree");
    };
    check("seccomp", |c| c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW"}));
    check("apparmor", |c| c["process"]["apparmorProfile"] = json!("some-profile"));
    check("selinux", |c| c["process"]["selinuxLabel"] = json!("u:r:t:s0"));
    check("intelRdt", |c| c["linux"]["intelRdt"] = json!({"closID": "some"}));
    check("netDevices", |c| c["linux"]["netDevices"] = json!({"eth7": {}}));
    check("mountExtensions/idmap", |c| {
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
        let mount = json!({"destination": "/mnt", "source": "/", "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map});
        c["mounts"].as_array_mut().unwrap().push(mount);
    });
    if enabled("intelRdt") {
        for (name, value) in [("schemata", json!(["L3:0=f"])), ("enableMonitoring", json!(true))] {
            let feature = if name == "schemata" { "schemata" } else { "monitoring" };
            let said = features["linux"]["intelRdt"][feature].as_bool().unwrap();
            assert_eq!(
                taken(|c| c["linux"]["intelRdt"] = json!({"closID": "some", name: value})),
                said,
                "{name}"
            );
        }
    }
    let systemd = features["linux"]["cgroup"]["systemd"].as_bool().unwrap();
    assert_eq!(taken(|c| c["linux"]["cgroupsPath"] = json!("system.slice:a:b")), systemd, "systemd");
}

#[test]
fn every_name_in_it_is_taken() {
    only_ours!("others have no dry run");
    let features = features();
    let all = |pointer, change: fn(&mut Value, &str)| {
        for name in strings(&features, pointer) {
            assert!(taken(|c| change(c, name)), "{pointer}: {name} is not taken");
        }
    };
    all("/hooks", |c, name| c["hooks"] = json!({name: [{"path": "/hook"}]}));
    all("/linux/capabilities", |c, name| c["process"]["capabilities"]["bounding"] = json!([name]));
    all("/linux/memoryPolicy/modes", |c, name| {
        let nodes = if matches!(name, "MPOL_DEFAULT" | "MPOL_LOCAL") { "" } else { "0" };
        c["linux"]["memoryPolicy"] = json!({"mode": name, "nodes": nodes});
    });
    all("/linux/memoryPolicy/flags", |c, name| {
        c["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [name]});
    });
    all("/linux/namespaces", |c, name| {
        let list = c["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|namespace| namespace["type"] != name);
        list.push(json!({"type": name}));
        if name == "user" {
            let map = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
            c["linux"]["uidMappings"] = map.clone();
            c["linux"]["gidMappings"] = map;
        }
    });
    assert_eq!(strings(&features, "/linux/namespaces").len(), 8);
    if features["linux"]["seccomp"]["enabled"] == true {
        let rule = |rule| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        for name in strings(&features, "/linux/seccomp/actions") {
            let mut seccomp = rule(json!({"names": ["getpid"], "action": name}));
            if name == "SCMP_ACT_NOTIFY" {
                seccomp["listenerPath"] = json!("/listener");
            }
            assert!(taken(|c| c["linux"]["seccomp"] = seccomp), "{name}");
        }
        for name in strings(&features, "/linux/seccomp/operators") {
            let args = json!([{"index": 0, "value": 1, "valueTwo": 1, "op": name}]);
            let seccomp = rule(json!({"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "args": args}));
            assert!(taken(|c| c["linux"]["seccomp"] = seccomp), "{name}");
        }
        for (list, member) in [("archs", "architectures"), ("supportedFlags", "flags")] {
            for name in strings(&features, &format!("/linux/seccomp/{list}")) {
                let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW", member: [name]});
                assert!(taken(|c| c["linux"]["seccomp"] = seccomp), "{name}");
            }
        }
    }
}

#[test]
fn a_mount_option_in_it_is_ours_and_not_the_file_systems() {
    only_ours!("others have no dry run");
    let features = features();
    let plan = |option: &str| {
        let mut bundle = Bundle::new();
        bundle.add_mount(
            json!({"destination": "/mnt", "type": "tmpfs", "source": "some", "options": [option]}),
        );
        bundle.write();
        let dir = bundle.dir.to_str().unwrap();
        let out = bundle.runtime(&["run", "--dry-run", "--bundle", dir, &bundle.id]);
        let lines = out.stdout.lines().filter(|line| line.contains("source=some"));
        (out.code(), lines.map(str::to_string).collect::<String>())
    };
    let (code, line) = plan("strange");
    assert!(
        code == 0 && line.contains(" data=strange"),
        "what we do not know goes to the file system: {line}"
    );
    for option in strings(&features, "/mountOptions") {
        let (_, line) = plan(option);
        assert!(!line.contains(" data="), "{option} goes to the file system: {line}");
    }
}
