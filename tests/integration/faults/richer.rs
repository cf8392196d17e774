//! The same for a container with hooks of every kind, a terminal, a user namespace, a seccomp filter, a bridge, and more.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::probe;
use serde_json::json;

use super::deaths::every_death_of_one_that_is_made;
use super::every_failure_of_run;
use crate::bridge;

/// None: no bridges in this kernel.
fn bundle() -> Option<Bundle> {
    let mut bundle = bridge::bundle("bridge")?;
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let config = &mut bundle.config;
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let program = if kind == "startContainer" { "/probe".into() } else { probe() };
        config["hooks"][kind] = json!([{"path": program, "args": ["hook", "exit 0"]}]);
    }
    config["process"]["terminal"] = json!(true);
    config["process"]["oomScoreAdj"] = json!(100);
    config["process"]["user"] = json!({"uid": 1000, "gid": 1000, "additionalGids": [5]});
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    });
    config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "0"});
    Some(bundle)
}

macro_rules! bundle {
    () => {{
        only_ours!("it is our calls that fail");
        match bundle() {
            Some(bundle) => bundle,
            None => minirunc_tests::skip!("no bridges in this kernel"),
        }
    }};
}

#[test]
fn every_call_of_a_richer_run_fails_once() {
    let bundle = bundle!();
    every_failure_of_run("richer run", &bundle);
}

#[test]
fn every_death_in_a_richer_run_is_told() {
    let bundle = bundle!();
    every_death_of_one_that_is_made("richer run", &bundle, &|| bundle.run_command(&[]));
}
