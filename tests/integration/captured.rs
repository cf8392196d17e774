//! config.json files as podman, buildah, containerd and docker write them (`tests/data`).

use std::fs;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{host, only_ours, skip};
use serde_json::{Value, json};

const CAPTURED: &[(&str, &str)] = &[
    ("podman", include_str!("../data/podman.json")),
    ("buildah", include_str!("../data/buildah.json")),
    ("containerd", include_str!("../data/containerd.json")),
    ("docker", include_str!("../data/docker.json")),
];

/// The caller's config on our root: the probe for its process, files of the bundle for its bind sources, a cgroup of
/// the test's own. A hook that calls the caller back cannot run here.
fn bundle(text: &str) -> Bundle {
    let mut bundle = Bundle::new();
    let mut config: Value = serde_json::from_str(text).expect("captured config");
    config["root"]["path"] = json!("rootfs");
    config["process"]["args"] = json!(["/probe", "read /proc/self/cgroup"]);
    config.as_object_mut().unwrap().remove("hooks");
    if config["linux"]["cgroupsPath"].is_string() {
        config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
    }
    for (n, mount) in config["mounts"].as_array_mut().unwrap().iter_mut().enumerate() {
        if mount["type"] == "bind" {
            let source = bundle.dir.join(format!("bind{n}"));
            match mount["destination"].as_str().unwrap() {
                "/data" | "/dev/shm" => fs::create_dir(&source).unwrap(),
                _ => fs::write(&source, "bound").unwrap(),
            }
            mount["source"] = json!(source.to_str().unwrap());
        }
    }
    bundle.config = config;
    bundle
}

#[test]
fn what_callers_write_runs() {
    let control = |name: &str| host::controller(name).is_some();
    if !control("memory") || !control("pids") {
        skip!("the callers' limits need the memory and pids controllers");
    }
    for (caller, text) in CAPTURED {
        let facts = bundle(text).facts();
        assert_eq!(&facts["pid"], "1", "{caller}");
        assert!(facts["cap.effective"].starts_with("0 1 3 "), "{caller}: {}", &facts["cap.effective"]);
        assert_eq!(&facts["fds"], "0 1 2", "{caller}");
    }
}

#[test]
fn zero_for_a_limit_that_was_not_asked_for_sets_nothing() {
    // docker: cpu.shares and blockIO.weight are 0.
    if host::controller("cpu").is_none() || !host::v1() {
        skip!("no cgroup v1 cpu controller here");
    }
    let docker = CAPTURED.iter().find(|(caller, _)| *caller == "docker").unwrap().1;
    let mut bundle = bundle(docker);
    assert_eq!(bundle.config["linux"]["resources"]["cpu"]["shares"], 0);
    let mount = host::controller("cpu").unwrap();
    let question = format!("read {}/cpu.shares", mount.display());
    bundle.config["process"]["args"] = json!(["/probe", question]);
    assert_eq!(bundle.facts()[&question].trim(), "1024");
}

#[test]
fn what_callers_write_is_planned_without_an_effect() {
    only_ours!("it is our own flag");
    for (_, text) in CAPTURED {
        let bundle = bundle(text);
        bundle.write();
        let dir = bundle.dir.to_str().unwrap();
        bundle.runtime(&["run", "--dry-run", "--bundle", dir, &bundle.id]).ok();
        bundle.nothing_left();
    }
}
