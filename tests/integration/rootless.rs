//! As an ordinary user, with a user namespace in the bundle.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host;
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{not_for, skip};
use serde_json::{Value, json};

use crate::life::{create, start, status, until};

/// What `runc spec --rootless` changes: one id, no resources, no cgroup mount, no gid that is not mapped.
pub fn rootless() -> Option<Bundle> {
    let uid = 1000;
    // The program must be within the user's reach: every directory above it searchable by others.
    use std::os::unix::fs::PermissionsExt;
    let reachable = |path: &std::path::Path| {
        path.ancestors().skip(1).all(|d| std::fs::metadata(d).is_ok_and(|m| m.permissions().mode() & 1 != 0))
    };
    if !reachable(&Runtime::get().path) || !reachable(&std::env::temp_dir().join("x")) {
        return None;
    }
    let mut bundle = Bundle::new().unprivileged(uid);
    bundle.drop_mount("/sys/fs/cgroup");
    bundle.drop_namespace("cgroup");
    bundle.config["linux"].as_object_mut()?.remove("resources");
    bundle.config["mounts"][2]["options"] =
        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
    Some(bundle)
}

macro_rules! rootless {
    () => {
        match rootless() {
            Some(bundle) => bundle,
            None => skip!("an ordinary user cannot reach the runtime or the bundles' directory here"),
        }
    };
}

#[test]
fn an_ordinary_user_is_root_inside() {
    let facts = rootless!().ask(&["read /proc/self/uid_map", "read /proc/self/setgroups"]).facts();
    assert_eq!(&facts["uid"], "0 0 0");
    assert_eq!(&facts["gid"], "0 0 0");
    assert_eq!(facts["read /proc/self/uid_map"].split_whitespace().collect::<Vec<_>>(), ["0", "1000", "1"]);
    assert_eq!(&facts["pid"], "1");
    assert_eq!(&facts["hostname"], "runc");
}

#[test]
fn an_ordinary_users_container_has_devices_and_masks() {
    let facts =
        rootless!().ask(&["follow /dev/null", "open /dev/zero r", "read /proc/keys", "create /new"]).facts();
    assert!(facts["follow /dev/null"].ends_with(" 1:3"));
    assert_eq!(&facts["open /dev/zero r"], "ok");
    assert_eq!(&facts["read /proc/keys"], "");
    assert_eq!(&facts["create /new"], "!EROFS");
}

#[test]
fn files_made_inside_belong_to_the_user_outside() {
    use std::os::unix::fs::MetadataExt;
    let mut bundle = rootless!();
    bundle.config["root"]["readonly"] = json!(false);
    let bundle = bundle.ask(&["create /tmp/made"]);
    assert_eq!(&bundle.facts()["create /tmp/made"], "ok");
    let made = std::fs::metadata(bundle.rootfs().join("tmp/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (1000, 1000));
}

#[test]
fn an_ordinary_user_may_raise_the_oom_score_and_lower_limits() {
    let mut bundle = rootless!();
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]);
    let facts = bundle.facts();
    assert_eq!(&facts["oom_score_adj"], "321");
    assert_eq!(&facts["rlimit.NOFILE"], "64 128");
}

#[test]
fn an_ordinary_users_container_can_be_detached_and_deleted() {
    let mut bundle = rootless!();
    bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    assert_eq!(bundle.state_json()["status"], "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn an_ordinary_user_without_a_user_namespace_is_refused() {
    not_for!("crun", "makes one by itself");
    let mut bundle = rootless!();
    bundle.drop_namespace("user");
    let linux = bundle.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    bundle.run().refused(&["user namespace"]);
}

#[test]
fn an_id_that_an_ordinary_user_may_not_map_is_refused() {
    let mut bundle = rootless!();
    let map =
        json!([{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, "hostID": 0, "size": 1}]);
    bundle.config["linux"]["uidMappings"] = map;
    bundle.run().refused(&["uid"]);
}

/// As podman and buildah call for an ordinary user: root of a user namespace that is not the host's, and none in the bundle.
#[test]
fn root_of_a_user_namespace_is_no_more_than_an_ordinary_user_to_the_hosts_cgroups() {
    in_a_user_namespace_of_the_callers(None);
}

/// As podman does for `--userns container:` of one that shares podman's own.
#[test]
fn the_user_namespace_that_we_are_in_already_may_be_named() {
    not_for!("runc", "setns(2) refuses it");
    in_a_user_namespace_of_the_callers(Some(json!({"type": "user", "path": "/proc/self/ns/user"})));
}

/// Runs in a user namespace that somebody else has made, with `namespace` in the bundle.
#[allow(unsafe_code)]
fn in_a_user_namespace_of_the_callers(namespace: Option<Value>) {
    use std::os::unix::process::CommandExt;
    let mut bundle = rootless!().ask(&["read /proc/self/uid_map"]);
    bundle.drop_namespace("user");
    let linux = bundle.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    namespace.into_iter().for_each(|namespace| bundle.add_namespace(namespace));
    bundle.write();
    let mut command = bundle.run_command(&[]);
    let put = |file: &'static std::ffi::CStr, text: &'static [u8]| {
        // SAFETY: constants only; runs between fork and exec.
        unsafe {
            let fd = libc::open(file.as_ptr(), libc::O_WRONLY);
            let written = libc::write(fd, text.as_ptr().cast(), text.len());
            minirunc_tests::runtime::check(written as i32)
        }
    };
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            // A change of user has made /proc/self root's.
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
            minirunc_tests::runtime::check(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
            put(c"/proc/self/setgroups", b"deny")?;
            put(c"/proc/self/gid_map", b"0 1000 1")?;
            put(c"/proc/self/uid_map", b"0 1000 1")
        });
    }
    let facts = bundle.start(command).finish().facts();
    assert_eq!(facts["read /proc/self/uid_map"].split_whitespace().collect::<Vec<_>>(), ["0", "1000", "1"]);
    assert_eq!(&facts["uid"], "0 0 0");
    bundle.nothing_left();
}

/// With subordinate ids, and these lines (inside, outside, how many) as both maps.
fn ranges(lines: &[(u32, u32, u32)]) -> Option<Bundle> {
    let there = |path| std::path::Path::new(path).exists();
    if !["/usr/bin/newuidmap", "/etc/passwd", "/etc/subuid", "/etc/subgid"].into_iter().all(there) {
        return None;
    }
    let mut bundle = rootless()?.subordinate(100_000);
    let map: Vec<Value> = lines
        .iter()
        .map(|(inside, outside, size)| json!({"containerID": inside, "hostID": outside, "size": size}))
        .collect();
    bundle.config["linux"]["uidMappings"] = json!(map);
    bundle.config["linux"]["gidMappings"] = json!(map);
    Some(bundle)
}

macro_rules! ranges {
    ($($line:expr),*) => {
        match ranges(&[$($line),*]) {
            Some(bundle) => bundle,
            None => skip!("no newuidmap, or an ordinary user cannot reach the runtime"),
        }
    };
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn subordinate_ids_are_mapped_and_bring_groups() {
    not_for!("runc", "1.1 has no groups for an ordinary user");
    let mut bundle = ranges!((0, 1000, 1), (1, 100_000, 65536));
    bundle.config["process"]["user"] = json!({"uid": 5, "gid": 6, "additionalGids": [7, 8]});
    let facts = bundle
        .ask(&["read /proc/self/uid_map", "read /proc/self/gid_map", "read /proc/self/setgroups"])
        .facts();
    let expected = ["0", "1000", "1", "1", "100000", "65536"];
    assert_eq!(words(&facts["read /proc/self/uid_map"]), expected);
    assert_eq!(words(&facts["read /proc/self/gid_map"]), expected);
    assert_eq!(facts["read /proc/self/setgroups"].trim(), "allow");
    assert_eq!((&facts["uid"], &facts["gid"], &facts["groups"]), ("5 5 5", "6 6 6", "7 8"));
}

#[test]
fn an_ordinary_user_may_keep_their_id_inside() {
    use std::os::unix::fs::MetadataExt;
    not_for!("runc", "1.1 gives standard input to root inside, which is another");
    let mut bundle = ranges!((0, 100_000, 1000), (1000, 1000, 1), (1001, 101_000, 64_536));
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    bundle.config["root"]["readonly"] = json!(false);
    let bundle = bundle.ask(&["create /tmp/made", "follow /tmp"]);
    let facts = bundle.facts();
    assert_eq!((&facts["uid"], &facts["gid"]), ("1000 1000 1000", "1000 1000 1000"));
    assert_eq!((&facts["create /tmp/made"], &facts["oom_score_adj"]), ("ok", "321"));
    let made = std::fs::metadata(bundle.rootfs().join("tmp/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (1000, 1000));
}

#[test]
fn a_range_that_the_user_was_not_granted_is_refused() {
    ranges!((0, 1000, 1), (1, 500_000, 10)).run().refused(&["newgidmap", "did not write the map"]);
}

#[test]
fn a_group_that_is_not_mapped_is_refused() {
    let mut bundle = rootless!();
    bundle.config["process"]["user"]["additionalGids"] = json!([10]);
    bundle.run().refused(&["process.user.additionalGids[0]: 10 is not mapped"]);
    let mut bundle = rootless!();
    bundle.config["process"]["user"]["additionalGids"] = json!([0]);
    // Mapped, but by a user who could drop groups that deny them something (CVE-2014-8989).
    bundle.run().refused(&["setgroups process.user.additionalGids: EPERM"]);
}

#[test]
fn an_ordinary_users_container_lives_its_whole_life() {
    let bundle = rootless!().ask(&["sleep 600000"]);
    create(&bundle, &[]).ok();
    assert_eq!(status(&bundle), "created");
    start(&bundle).ok();
    assert_eq!(status(&bundle), "running");
    let said = bundle.runtime(&["exec", &bundle.id, "/probe", "read /proc/self/uid_map"]).facts();
    assert_eq!((words(&said["read /proc/self/uid_map"]), &said["uid"]), (vec!["0", "1000", "1"], "0 0 0"));
    bundle.runtime(&["exec", "--user", "5", &bundle.id, "/probe"]).ended(255).we_say("setresuid 5: EINVAL");
    assert!(bundle.runtime(&["list", "--quiet"]).ok().stdout.contains(&bundle.id));
    if host::cgroup_directories(&bundle.id).is_empty() {
        let cgroup = "the container has no cgroup of its own";
        bundle.runtime(&["pause", &bundle.id]).refused(&[cgroup]);
        bundle.runtime(&["update", "--pids-limit", "7", &bundle.id]).refused(&[cgroup]);
        assert_eq!(status(&bundle), "running");
    }
    bundle.runtime(&["kill", &bundle.id, "KILL"]).ok();
    until(&bundle, "stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

/// What `spec --rootless` writes, with the state below $XDG_RUNTIME_DIR.
#[test]
fn what_spec_writes_for_an_ordinary_user_runs() {
    let bundle = rootless!();
    let command = |args: &[&str]| {
        let mut command = Runtime::get().command();
        command.args(args);
        bundle.start(bundle.as_its_user(command)).finish()
    };
    let dir = bundle.path("");
    command(&["spec", "--rootless", "--bundle", &dir]).ok();
    let text = std::fs::read_to_string(bundle.path("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/probe", "sleep 600000"]);
    bundle.write_text(&config.to_string());
    command(&["run", "--detach", "--bundle", &dir, &bundle.id]).ok();
    assert_eq!(status_of(&command(&["state", &bundle.id]).ok().stdout), "running");
    let root = if Runtime::get().ours() { "minirunc" } else { Runtime::get().name() };
    assert!(bundle.dir.join(root).join(&bundle.id).exists(), "no state in {root}");
    command(&["delete", "--force", &bundle.id]).ok();
    assert!(!bundle.dir.join(root).join(&bundle.id).exists());
    bundle.nothing_left();
}

fn status_of(state: &str) -> String {
    serde_json::from_str::<Value>(state).unwrap()["status"].as_str().unwrap_or_default().to_string()
}

#[test]
fn an_ordinary_user_may_join_the_user_namespace_of_another_container() {
    let first = ranges!((0, 1000, 1), (1, 100_000, 65536)).ask(&["sleep 600000"]);
    first.run_with(&["--detach"]).ok();
    let mut second = ranges!((0, 1000, 1), (1, 100_000, 65536))
        .ask(&["read /proc/self/uid_map", "readlink /proc/self/ns/user"]);
    second.drop_namespace("user");
    second.add_namespace(json!({"type": "user", "path": format!("/proc/{}/ns/user", first.pid())}));
    let facts = second.facts();
    assert_eq!(words(&facts["read /proc/self/uid_map"]), ["0", "1000", "1", "1", "100000", "65536"]);
    let joined = std::fs::read_link(format!("/proc/{}/ns/user", first.pid())).unwrap();
    assert_eq!(joined.to_str(), Some(&facts["readlink /proc/self/ns/user"]));
    first.delete();
}

#[test]
fn an_ordinary_user_may_be_nicer_but_no_better() {
    not_for!("runc", "1.1 has no scheduler");
    not_for!("crun", "1.8 has no scheduler");
    for mut bundle in [rootless!(), ranges!((0, 100_000, 1000), (1000, 1000, 1))] {
        bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 7});
        bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
        let mut bundle = bundle.ask(&["scheduler", "ioprio"]);
        let facts = bundle.facts();
        assert_eq!((&facts["scheduler"], &facts["ioprio"]), ("3 0 7 0", "2 6"));
        bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": -5});
        bundle.run().refused(&["sched_setattr process.scheduler: EPERM"]);
    }
}

/// As systemd delegates `user@1000.service`: its directory and three files belong to the user, who is in a leaf of it.
#[test]
fn in_a_delegated_cgroup_an_ordinary_users_limits_hold() {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown};
    if !host::v2() {
        skip!("v1 is not delegated");
    }
    let mut bundle = rootless!();
    let tree = std::path::PathBuf::from(format!("/sys/fs/cgroup/{}-of-user", bundle.id));
    let leaf = tree.join("leaf");
    fs::create_dir_all(&leaf).unwrap();
    for dir in [&tree, &leaf] {
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(dir.join(file), Some(1000), Some(1000)).unwrap();
        }
    }
    bundle.cgroup = Some(std::ffi::CString::new(leaf.join("cgroup.procs").to_str().unwrap()).unwrap());
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}-of-user/container", bundle.id));
    bundle.config["linux"]["resources"] = json!({"memory": {"limit": 67_108_864}, "pids": {"limit": 11}});
    bundle.add_namespace(json!({"type": "cgroup"}));
    let options = json!(["nosuid", "noexec", "nodev", "rw"]);
    bundle.add_mount(
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}),
    );
    let bundle = bundle.ask(&[
        "read /sys/fs/cgroup/memory.max",
        "read /sys/fs/cgroup/pids.max",
        "mkdir /sys/fs/cgroup/below",
        "sleep 600000",
    ]);
    let mut running = bundle.spawn();
    let facts = minirunc_tests::facts::Facts::parse(&running.until("below="));
    assert_eq!(facts["read /sys/fs/cgroup/memory.max"].trim(), "67108864");
    assert_eq!(facts["read /sys/fs/cgroup/pids.max"].trim(), "11");
    assert_eq!(&facts["mkdir /sys/fs/cgroup/below"], "ok");
    let place = tree.join("container");
    assert_eq!(fs::metadata(&place).unwrap().uid(), 1000);
    bundle.runtime(&["update", "--pids-limit", "7", &bundle.id]).ok();
    assert_eq!(fs::read_to_string(place.join("pids.max")).unwrap(), "7\n");
    bundle.runtime(&["pause", &bundle.id]).ok();
    assert_eq!(status(&bundle), "paused");
    bundle.runtime(&["resume", &bundle.id]).ok();
    bundle.runtime(&["exec", &bundle.id, "/probe"]).ok();
    bundle.runtime(&["delete", "--force", &bundle.id]).ok();
    running.finish();
    assert!(!place.exists());
    fs::remove_dir(leaf).unwrap();
    fs::remove_dir(tree).unwrap();
    bundle.nothing_left();
}
