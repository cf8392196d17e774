//! As an ordinary user, with a user namespace in the bundle.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{not_for, skip};
use serde_json::json;

/// What `runc spec --rootless` changes: one id, no resources, no cgroup mount, no gid that is not mapped.
fn rootless() -> Option<Bundle> {
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
#[allow(unsafe_code)]
fn root_of_a_user_namespace_is_no_more_than_an_ordinary_user_to_the_hosts_cgroups() {
    use std::os::unix::process::CommandExt;
    let mut bundle = rootless!().ask(&["read /proc/self/uid_map"]);
    bundle.drop_namespace("user");
    let linux = bundle.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
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
