//! The minirunc form of config.json.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Stdio;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::network::Network;
use minirunc_tests::runtime::Output;
use minirunc_tests::{only_ours, skip};
use serde_json::{Value, json};

use crate::rootless::rootless;

/// The example of the form's specification, letter by letter.
const EXAMPLE: &str = r#"{"hostname": "my-container", "rootfs": "./rootfs", "cmd": ["/bin/sh"],
     "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"],
     "namespaces": [{"type": "pid"}, {"type": "net"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mnt"}],
     "mounts": [{"source": "/etc/resolv.conf", "destination": "/etc/resolv.conf", "type": "bind", "options": ["ro", "bind"]}],
     "resources": {"memory": {"limit": 268435456}, "cpu": {"shares": 1024, "quota": 100000, "period": 100000}},
     "capabilities": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
                      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]}"#;

/// A bundle in this form around the probe, with what `more` says.
fn form(questions: &[&str], more: Value) -> Bundle {
    let mut bundle = Bundle::new();
    let mut cmd = vec!["/probe"];
    cmd.extend(questions);
    bundle.config = json!({"rootfs": "rootfs", "cmd": cmd});
    for (key, value) in more.as_object().unwrap() {
        bundle.config[key] = value.clone();
    }
    bundle
}

/// What the form becomes, as `spec --from` prints it.
#[track_caller]
fn rewritten(bundle: &Bundle) -> Value {
    bundle.write();
    let out = bundle.runtime(&["spec", "--from", &bundle.path("config.json")]);
    serde_json::from_str(&out.ok().stdout).unwrap_or_else(|e| panic!("{e}: {}", out.stdout))
}

#[track_caller]
fn with_input(bundle: &Bundle, mut command: std::process::Command, input: &str) -> Output {
    command.stdin(Stdio::piped());
    let mut running = bundle.start(command);
    running.child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.finish()
}

#[test]
fn the_example_of_the_reference_runs_as_it_stands() {
    only_ours!("no other runtime knows this form");
    let Some(busybox) = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|it| Path::new(it).exists())
    else {
        skip!("no busybox");
    };
    if !Path::new("/etc/resolv.conf").exists() {
        skip!("no /etc/resolv.conf");
    }
    let bundle = Bundle::new();
    bundle.write_text(EXAMPLE);
    let root = bundle.rootfs();
    fs::copy(busybox, root.join("bin/sh")).unwrap();
    for name in ["hostname", "cat", "echo", "grep"] {
        symlink("sh", root.join("bin").join(name)).unwrap();
    }
    let script = "hostname; cat /etc/resolv.conf; echo pid $$; grep CapEff /proc/self/status; echo $PATH";
    let dir = bundle.dir.to_str().unwrap();
    let out = with_input(&bundle, bundle.command(&["run", "--id", &bundle.id, dir]), script);
    let host = fs::read_to_string("/etc/resolv.conf").unwrap();
    let expected =
        format!("my-container\n{host}pid 1\nCapEff:\t00000000200405fb\n/bin:/usr/bin:/sbin:/usr/sbin\n");
    assert_eq!(out.ok().stdout, expected);
    bundle.nothing_left();
}

#[test]
fn every_key_becomes_what_the_table_says() {
    only_ours!("no other runtime knows this form");
    let rows = [
        (json!({"hostname": "h"}), "/hostname", json!("h")),
        (json!({"rootfs": "/r"}), "/root/path", json!("/r")),
        (json!({"cmd": ["/x", "a \" b"]}), "/process/args", json!(["/x", "a \" b"])),
        (json!({"env": ["A=b"]}), "/process/env", json!(["A=b"])),
        (json!({"working_dir": "/tmp"}), "/process/cwd", json!("/tmp")),
        (json!({}), "/process/cwd", json!("/")),
        (
            json!({"resources": {"memory": {"limit": 1, "reservation": 2, "swap": 3}}}),
            "/linux/resources/memory",
            json!({"limit": 1, "reservation": 2, "swap": 3}),
        ),
        (
            json!({"resources": {"cpu": {"shares": 4, "quota": 5, "period": 6, "cpus": "0-1"}}}),
            "/linux/resources/cpu",
            json!({"shares": 4, "quota": 5, "period": 6, "cpus": "0-1"}),
        ),
        (json!({"resources": {"blkio": {"weight": 10}}}), "/linux/resources/blockIO", json!({"weight": 10})),
        (
            json!({"namespaces": [
                {"type": "pid"}, {"type": "net", "path": "/n"}, {"type": "mnt"}, {"type": "cgroup"}, {"type": "mount"}
            ]}),
            "/linux/namespaces",
            json!([
                {"type": "pid"}, {"type": "network", "path": "/n"}, {"type": "mount"}, {"type": "cgroup"}, {"type": "mount"}
            ]),
        ),
        (
            json!({}),
            "/linux/namespaces",
            json!([
                {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}, {"type": "network"}
            ]),
        ),
        (
            json!({"namespaces": [{"type": "mnt"}, {"type": "user"}]}),
            "/linux/uidMappings/0/containerID",
            json!(0),
        ),
        (
            json!({"mounts": [{"source": "a", "destination": "/b", "type": "bind", "options": ["rbind"]}]}),
            "/mounts/6",
            json!({"source": "a", "destination": "/b", "type": "bind", "options": ["rbind"]}),
        ),
        (json!({}), "/mounts/5/destination", json!("/sys")),
        (json!({"capabilities": ["CAP_KILL"]}), "/process/capabilities/bounding", json!(["CAP_KILL"])),
        (json!({"capabilities": ["CAP_KILL"]}), "/process/capabilities/permitted", json!(["CAP_KILL"])),
        (json!({"capabilities": ["CAP_KILL"]}), "/process/capabilities/effective", json!(["CAP_KILL"])),
        (json!({"capabilities": []}), "/process/capabilities/bounding", json!([])),
        (json!({"network": "path=/n"}), "/linux/namespaces/5", json!({"type": "network", "path": "/n"})),
        (
            json!({"network": {"mode": "path", "path": "/n"}}),
            "/linux/namespaces/5",
            json!({"type": "network", "path": "/n"}),
        ),
        (json!({"user": "5:6"}), "/process/user", json!({"uid": 5, "gid": 6})),
        (json!({"read_only": true, "terminal": true}), "/process/terminal", json!(true)),
    ];
    for (more, place, expected) in rows {
        let oci = rewritten(&form(&[], more.clone()));
        assert_eq!(oci.pointer(place), Some(&expected), "{more} gave {oci:#}");
        assert_eq!(oci["process"]["capabilities"].get("ambient"), None);
    }
    // The rest of what nobody has to say.
    let oci = rewritten(&form(&[], json!({"network": {"mode": "host"}})));
    let mounts: Vec<_> =
        oci["mounts"].as_array().unwrap().iter().map(|it| it["destination"].as_str().unwrap()).collect();
    assert_eq!(mounts, ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"]);
    assert!(!oci["linux"]["namespaces"].to_string().contains("network"), "{oci:#}");
}

#[test]
fn the_container_of_a_form_is_as_it_says() {
    only_ours!("no other runtime knows this form");
    let more = json!({
        "hostname": "h", "env": ["A=b c"], "working_dir": "/tmp", "capabilities": ["CAP_KILL"], "network": "none",
        "resources": {"memory": {"limit": 20_000_000}, "pids": {"limit": 50}},
        "mounts": [{"source": "volume", "destination": "/data", "type": "bind", "options": ["rbind", "ro"]}],
    });
    let bundle = form(
        &[
            "env",
            MOUNTINFO,
            "list /data",
            "read /proc/self/cgroup",
            "read /sys/class/net/lo/flags",
            "list /dev",
        ],
        more,
    );
    fs::create_dir(bundle.dir.join("volume")).unwrap();
    fs::write(bundle.dir.join("volume/here"), "").unwrap();
    let facts = bundle.facts();
    assert_eq!((&facts["hostname"], &facts["cwd"], &facts["pid"]), ("h", "/tmp", "1"));
    assert!(facts["env"].split(',').any(|it| it == "A=b c"), "{}", &facts["env"]);
    assert_eq!(&facts["list /data"], "here");
    let data = facts.mounts().0.into_iter().find(|it| it.point == "/data").unwrap();
    assert!(data.has("ro"), "{data:?}");
    let lo = facts["read /sys/class/net/lo/flags"].trim().trim_start_matches("0x").to_string();
    assert_eq!(i64::from_str_radix(&lo, 16).unwrap() & 1, 1, "lo is down");
    for name in
        ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr"]
    {
        assert!(facts["list /dev"].split([' ', ',']).any(|it| it == name), "{name}: {}", &facts["list /dev"]);
    }
}

#[test]
fn its_cgroup_is_below_minirunc() {
    only_ours!("no other runtime knows this form");
    let mut bundle = form(&["sleep 60000"], json!({}));
    bundle.config["namespaces"] = json!([{"type": "pid"}, {"type": "mnt"}]);
    bundle.run_with(&["--detach"]).ok();
    let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid())).unwrap();
    assert!(cgroups.contains(&format!(":/minirunc/{}\n", bundle.id)), "{cgroups}");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_bad_value_is_refused_by_its_own_key() {
    only_ours!("no other runtime knows this form");
    let rows = [
        (json!({"hostname": 5}), "hostname: expected a string"),
        (json!({"hostname": "x".repeat(65)}), "hostname: longer than 64 bytes"),
        (json!({"rootfs": null}), "rootfs: missing"),
        (json!({"rootfs": ""}), "rootfs: is empty"),
        (json!({"cmd": []}), "cmd: must name a program"),
        (json!({"cmd": "/bin/sh"}), "cmd: expected an array"),
        (json!({"cmd": ["/bin/sh", 1]}), "cmd[1]: expected a string"),
        (json!({"env": ["A=b", "C"]}), "env[1]: expected NAME=value"),
        (json!({"working_dir": "tmp"}), "working_dir: must be absolute"),
        (json!({"resources": 1}), "resources: expected an object"),
        (json!({"resources": {"memory": {"limit": "1g"}}}), "resources.memory.limit: expected a number"),
        (json!({"resources": {"memory": {"limit": -2}}}), "resources.memory.limit: "),
        (json!({"resources": {"cpu": {"shares": -1}}}), "resources.cpu.shares: expected a number"),
        (json!({"resources": {"blkio": {"weight": 100_000}}}), "resources.blkio.weight: expected a number"),
        (json!({"namespaces": "pid"}), "namespaces: expected an array"),
        (json!({"namespaces": [{"type": "mnt"}, {"type": "zone"}]}), "namespaces[1].type: unknown namespace"),
        (json!({"namespaces": [{"type": "mnt"}, {"path": "/x"}]}), "namespaces[1].type: missing"),
        (json!({"namespaces": [{"type": "mnt"}, {"type": "mount"}]}), "namespaces[1].type: given twice"),
        (
            json!({"namespaces": [{"type": "mnt"}, {"type": "net", "path": "x"}]}),
            "namespaces[1].path: must be absolute",
        ),
        (json!({"namespaces": [{"type": "pid"}]}), "namespaces: a mount namespace is needed"),
        (json!({"mounts": {}}), "mounts: expected an array"),
        (json!({"mounts": [{"source": "/", "type": "bind"}]}), "mounts[0].destination: missing"),
        (json!({"mounts": [{"destination": "/x"}]}), "mounts[0].type: missing"),
        (
            json!({"mounts": [{"destination": "/x", "type": "tmpfs"}, {"destination": "/x", "type": "bind", "options": ["ro"]}]}),
            "mounts[1].source: missing",
        ),
        (json!({"capabilities": "CAP_KILL"}), "capabilities: expected an array"),
        (json!({"seccomp_profile": 1}), "seccomp_profile: expected a string"),
        (json!({"network": "moon"}), "network: expected none, host, bridge or path"),
        (json!({"network": {"mode": "moon"}}), "network.mode: expected none, host, bridge or path"),
        (json!({"network": {}}), "network.mode: missing"),
        (json!({"network": "path=x"}), "network: must be absolute"),
        (json!({"network": {"mode": "path"}}), "network.path: missing"),
        (json!({"user": "root"}), "user: expected UID or UID:GID"),
        (json!({"user": "1:2:3"}), "user: expected UID or UID:GID"),
        (json!({"image": "a"}), "image: not with a rootfs"),
    ];
    for (more, words) in rows {
        let bundle = form(&[], more.clone());
        let out = bundle.run();
        out.refused(&[&format!(": config.json: {words}")]);
    }
}

#[test]
fn a_key_that_says_nothing_is_told() {
    only_ours!("no other runtime knows this form");
    let out = form(&[], json!({"hostnmae": "x"})).run();
    assert_eq!(&out.facts()["pid"], "1");
    out.says("warning: config.json: hostnmae: not a key of this form, ignored");
}

#[test]
fn what_is_neither_form_is_told_as_oci() {
    only_ours!("no other runtime knows this form");
    let mut bundle = Bundle::new();
    bundle.config = json!({"rootfs": "rootfs"});
    bundle.run().refused(&["config.json: ociVersion: missing"]);
}

#[test]
fn a_seccomp_profile_is_a_file_beside_it() {
    only_ours!("no other runtime knows this form");
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}
    ]});
    let bundle = form(&["sethostname x"], json!({"seccomp_profile": "profile.json"}));
    bundle.run().refused(&["profile.json"]);
    fs::write(bundle.dir.join("profile.json"), profile.to_string()).unwrap();
    assert_eq!(&bundle.facts()["sethostname x"], "!EACCES");
    assert_eq!(rewritten(&bundle)["linux"]["seccomp"], profile);
    fs::write(bundle.dir.join("profile.json"), r#"{"defaultAction": "SCMP_ACT_PANIC"}"#).unwrap();
    bundle.run().refused(&["seccomp_profile: defaultAction: "]);
    assert_eq!(&form(&["sethostname x"], json!({"seccomp_profile": ""})).facts()["sethostname x"], "!EPERM");
}

#[test]
fn networks_are_namespaces() {
    only_ours!("no other runtime knows this form");
    let ours = format!("4 {}", fs::metadata("/proc/self/ns/net").unwrap().ino());
    let at = format!("/proc/{}/ns/net", std::process::id());
    let list = json!([{"type": "pid"}, {"type": "mnt"}, {"type": "net"}]);
    for (more, shared) in [
        (json!({}), false),
        (json!({"network": "none"}), false),
        (json!({"network": {"mode": "none"}, "namespaces": [{"type": "mnt"}]}), false),
        (json!({"network": "host"}), true),
        (json!({"network": "host", "namespaces": list}), true),
        (json!({"namespaces": [{"type": "pid"}, {"type": "mnt"}]}), true),
        (json!({"network": format!("path={at}")}), true),
        (json!({"network": {"mode": "path", "path": at}, "namespaces": list}), true),
    ] {
        let facts = form(&["inode /proc/self/ns/net"], more.clone()).facts();
        let inode = |text: &str| text.split(' ').nth(1).unwrap().to_string();
        assert_eq!(inode(&facts["inode /proc/self/ns/net"]) == inode(&ours), shared, "{more}");
    }
}

#[test]
fn an_ordinary_users_form_is_in_a_user_namespace() {
    only_ours!("no other runtime knows this form");
    let Some(mut bundle) = rootless() else { skip!("an ordinary user cannot reach the runtime") };
    bundle.config =
        json!({"rootfs": "rootfs", "cmd": ["/probe", "read /proc/self/uid_map", "create /tmp/made"]});
    let facts = bundle.facts();
    assert_eq!(facts["read /proc/self/uid_map"].split_whitespace().collect::<Vec<_>>(), ["0", "1000", "1"]);
    assert_eq!((&facts["uid"], &facts["create /tmp/made"]), ("0 0 0", "ok"));
}

#[test]
fn a_form_lives_the_whole_life() {
    only_ours!("no other runtime knows this form");
    let bundle = form(&["sleep 60000"], json!({}));
    bundle.write();
    bundle.runtime(&["create", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).ok();
    bundle.runtime(&["start", &bundle.id]).ok();
    assert_eq!(&bundle.runtime(&["exec", &bundle.id, "/probe"]).facts()["uid"], "0 0 0");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn the_rewritten_text_runs_like_the_form() {
    only_ours!("no other runtime knows this form");
    let mut bundle = form(&["env"], json!({"hostname": "twice", "env": ["A=\"\\"]}));
    bundle.config = rewritten(&bundle);
    assert_eq!(bundle.config["ociVersion"], "1.3.0");
    let facts = bundle.facts();
    assert_eq!(&facts["hostname"], "twice");
    assert!(facts["env"].split(',').any(|it| it == "A=\"\\"), "{}", &facts["env"]);
    // What is OCI's already is printed as it is.
    assert_eq!(rewritten(&bundle), bundle.config);
}

#[test]
fn a_bridge_is_asked_for_as_an_object_or_as_a_string() {
    only_ours!("no other runtime knows this form");
    if !Network::new().add_bridge(c"b0") {
        skip!("no bridges in this kernel");
    }
    let object = json!({"mode": "bridge", "bridge": "b1", "address": "10.1.0.5/24", "gateway": "10.1.0.1"});
    for network in [object, json!("bridge,name=b1,address=10.1.0.5/24,gateway=10.1.0.1")] {
        let mut bundle =
            form(&["links"], json!({"network": network, "namespaces": [{"type": "pid"}, {"type": "mnt"}]}));
        bundle.network = Some(Network::new());
        assert_eq!(&bundle.facts()["links"], "eth0 10.1.0.5/24 up, lo 127.0.0.1/8 up", "{network}");
    }
    for network in [json!({"mode": "bridge", "address": "x"}), json!("bridge,moon")] {
        form(&[], json!({"network": network})).run().refused(&["config.json: network: expected "]);
    }
}
