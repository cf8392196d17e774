//! What a container sees at /sys/fs/cgroup, in each cgroup version, with a cgroup namespace and without.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::{host, only_ours, skip};
use serde_json::json;

use crate::mounts::FactsKeep;

#[test]
fn the_cgroup_mount_shows_every_hierarchy_of_v1() {
    if !host::v1() {
        skip!("no cgroup v1 here");
    }
    for namespace in [true, false] {
        let mut bundle = Bundle::new();
        if !namespace {
            bundle.drop_namespace("cgroup");
        }
        let (bundle, facts) =
            bundle.ask(&[MOUNTINFO, "read /proc/self/cgroup", "list /sys/fs/cgroup"]).facts_keep();
        let mounts = facts.mounts();
        assert_eq!(mounts.at("/sys/fs/cgroup").kind, "tmpfs");
        for hierarchy in host::mounts().0.iter().filter(|m| m.kind == "cgroup") {
            let inside = mounts.at(&hierarchy.point);
            assert_eq!(inside.kind, "cgroup");
            assert!(
                inside.has("ro") && inside.has("nosuid") && inside.has("nodev") && inside.has("noexec"),
                "{inside:?}"
            );
            if namespace {
                assert_eq!(inside.root, "/", "{inside:?}");
            } else {
                assert!(inside.root.contains(&bundle.id), "{inside:?}");
            }
        }
    }
}

#[test]
fn cgroup_files_are_seen_at_the_mount_of_v1() {
    if !host::v1() || host::controller("memory").is_none() {
        skip!("no cgroup v1 memory controller here");
    }
    for namespace in [true, false] {
        let mut bundle = Bundle::with(|c| c["linux"]["resources"]["memory"] = json!({"limit": 67_108_864}));
        if !namespace {
            bundle.drop_namespace("cgroup");
        }
        let question = "read /sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(bundle.ask(&[question]).facts().number(question), 67_108_864);
    }
}

#[test]
fn co_mounted_controllers_have_links_of_their_own() {
    if !host::v1() {
        skip!("no cgroup v1 here");
    }
    let shared: Vec<_> =
        host::mounts().0.into_iter().filter(|m| m.kind == "cgroup" && m.point.contains(',')).collect();
    if shared.is_empty() {
        skip!("no hierarchy here has two controllers");
    }
    let facts = Bundle::new().ask(&["list /sys/fs/cgroup"]).facts();
    for mount in shared {
        for name in mount.point.rsplit('/').next().unwrap().split(',') {
            assert!(facts["list /sys/fs/cgroup"].split(' ').any(|n| n == name), "{name}");
        }
    }
}

#[test]
fn the_cgroup_mount_is_cgroup2_under_v2() {
    if !host::v2() {
        skip!("no unified cgroup hierarchy here");
    }
    let facts = Bundle::new()
        .ask(&[MOUNTINFO, "read /sys/fs/cgroup/cgroup.procs", "create /sys/fs/cgroup/x"])
        .facts();
    let mounts = facts.mounts();
    assert_eq!(
        (mounts.at("/sys/fs/cgroup").kind.as_str(), mounts.at("/sys/fs/cgroup").root.as_str()),
        ("cgroup2", "/")
    );
    assert!(mounts.at("/sys/fs/cgroup").has("ro"));
    assert_eq!(&facts["read /sys/fs/cgroup/cgroup.procs"], "1\n");
    assert_eq!(&facts["create /sys/fs/cgroup/x"], "!EROFS");
}

#[test]
fn a_cgroup2_mount_on_a_hybrid_machine_shows_nothing_of_the_host() {
    only_ours!("runc shows the whole hierarchy");
    if !host::mounts().0.into_iter().any(|m| m.kind == "cgroup2" && host::v1()) {
        skip!("no cgroup2 beside v1 here");
    }
    let mut bundle = Bundle::new();
    bundle
        .add_mount(json!({"destination": "/mnt", "type": "cgroup2", "source": "cgroup2", "options": ["ro"]}));
    // The container's cgroups are v1's; in the unified hierarchy it is where its caller is.
    assert_eq!(&bundle.ask(&["list /mnt"]).facts()["list /mnt"], "");
}
