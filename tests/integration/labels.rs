//! AppArmor profiles and SELinux contexts. The virtual machine has AppArmor and a profile (tests/vm/apparmor.profile);
//! this machine mostly has neither.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::json;

const CURRENT: &str = "read /proc/self/attr/apparmor/current";

fn has_apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y")
}

fn has_selinux() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}

/// A bundle under a profile, if AppArmor is on and has it.
fn profiled() -> Option<Bundle> {
    let loaded = std::fs::read_to_string("/sys/kernel/security/apparmor/profiles").ok()?;
    loaded.contains("minirunc-test ").then(|| {
        Bundle::with(|c| {
            c["process"]["apparmorProfile"] = json!("minirunc-test");
            c["root"]["readonly"] = json!(false);
        })
    })
}

macro_rules! profiled {
    () => {
        match profiled() {
            Some(bundle) => bundle,
            None => skip!("no AppArmor here, or not the profile minirunc-test"),
        }
    };
}

#[test]
fn an_apparmor_profile_is_in_force() {
    let facts = profiled!().ask(&[CURRENT, "create /tmp/forbidden", "create /tmp/allowed"]).facts();
    assert_eq!(&facts[CURRENT], "minirunc-test (enforce)\n");
    assert_eq!(&facts["create /tmp/forbidden"], "!EACCES");
    assert_eq!(&facts["create /tmp/allowed"], "ok");
}

#[test]
fn an_apparmor_profile_is_in_force_for_an_ordinary_user_and_without_new_privileges() {
    let mut bundle = profiled!();
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let mut bundle = bundle.ask(&[CURRENT]);
    for no_new_privileges in [true, false] {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        let facts = bundle.facts();
        assert_eq!(&facts[CURRENT], "minirunc-test (enforce)\n");
    }
}

#[test]
fn an_apparmor_profile_is_in_force_in_a_user_namespace() {
    let mut bundle = profiled!();
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    let facts = bundle.ask(&[CURRENT]).facts();
    assert_eq!(&facts[CURRENT], "minirunc-test (enforce)\n");
}

#[test]
fn an_apparmor_profile_needs_no_proc_in_the_container() {
    let mut bundle = profiled!();
    bundle.drop_mount("/proc");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    let facts = bundle.ask(&["create /tmp/forbidden"]).facts();
    assert_eq!(&facts["create /tmp/forbidden"], "!EACCES");
}

#[test]
fn exec_is_under_the_containers_profile_or_under_another() {
    let mut bundle = profiled!();
    bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    let id = bundle.id.clone();
    for (flags, expected) in
        [(&[][..], "minirunc-test (enforce)\n"), (&["--apparmor", "unconfined"], "unconfined\n")]
    {
        let args = [&["exec"], flags, &[&id, "/probe", CURRENT]].concat();
        assert_eq!(&bundle.runtime(&args).facts()[CURRENT], expected);
    }
    bundle.runtime(&["exec", "--apparmor", "no-such", &id, "/probe"]).we_say("no-such");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_profile_that_is_not_loaded_is_refused() {
    if !has_apparmor() {
        skip!("no AppArmor here");
    }
    Bundle::with(|c| c["process"]["apparmorProfile"] = json!("no-such"))
        .run()
        .refused(&["AppArmor", "no-such"]);
}

#[test]
fn a_profile_without_apparmor_is_refused() {
    not_for!("crun", "ignores it");
    if has_apparmor() {
        skip!("AppArmor is on");
    }
    let bundle = Bundle::with(|c| c["process"]["apparmorProfile"] = json!("docker-default"));
    bundle.run().refused(&["AppArmor: \"docker-default\"", "not enabled on this host"]);
}

#[test]
fn unconfined_is_what_a_process_is_without_apparmor() {
    only_ours!("runc fails");
    Bundle::with(|c| c["process"]["apparmorProfile"] = json!("unconfined")).run().ok();
}

#[test]
fn empty_labels_are_none() {
    let bundle = Bundle::with(|c| {
        c["process"]["apparmorProfile"] = json!("");
        c["process"]["selinuxLabel"] = json!("");
        c["linux"]["mountLabel"] = json!("");
    });
    bundle.run().ok();
}

#[test]
fn an_selinux_label_without_selinux_is_refused() {
    only_ours!("the oracles run it unlabelled");
    if has_selinux() {
        skip!("SELinux is on");
    }
    let label = "system_u:system_r:container_t:s0:c1,c2";
    Bundle::with(|c| c["process"]["selinuxLabel"] = json!(label)).run().refused(&[
        "SELinux",
        label,
        "not enabled on this host",
    ]);
}

#[test]
fn a_mount_label_without_selinux_is_refused() {
    only_ours!("the oracles mount it unlabelled");
    if has_selinux() {
        skip!("SELinux is on");
    }
    let label = "system_u:object_r:container_file_t:s0:c1,c2";
    Bundle::with(|c| c["linux"]["mountLabel"] = json!(label)).run().refused(&["/dev", "context"]);
}
