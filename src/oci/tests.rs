use super::*;
use crate::wire::json::{Document, Node, Text, Writer};
use std::string::{String, ToString};
use std::vec::Vec;

/// As `runc spec` writes it, shortened, with a bit of everything else.
const CONFIG: &str = r#"{
	"ociVersion": "1.2.0",
	"process": {
		"terminal": true, "user": {"uid": 7, "gid": 0, "additionalGids": [1, 2]}, "args": ["sh"], "env": null, "cwd": "/",
		"capabilities": {"bounding": ["CAP_KILL"]}, "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2048, "soft": 1024}],
		"noNewPrivileges": true, "scheduler": {"policy": "SCHED_IDLE"}, "apparmorProfile": "", "unknown": [[{}]]
	},
	"root": {"path": "rootfs", "readonly": true},
	"hostname": "runc",
	"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/x", "options": ["rbind"], "uidMappings": [{"containerID": 0, "hostID": 5, "size": 6}]}],
	"linux": {
		"resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": -1, "disableOOMKiller": false},
			"pids": {"limit": 0}, "blockIO": {"weight": 65536}},
		"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}], "maskedPaths": ["/proc/acpi"]
	}
}"#;

fn strings(node: &Node<'_>) -> Vec<String> {
    node.list().unwrap().map(|node| node.read::<Text>().unwrap().chars().collect()).collect()
}

fn is(node: &Node<'_>, expected: &str) -> bool {
    node.read::<Text>().unwrap() == expected
}

#[test]
fn a_configuration_is_viewed_noun_by_noun() {
    let document = Document::parse("config.json", CONFIG.as_bytes()).unwrap();
    let config: Config = document.root().read().unwrap();
    assert!(
        is(config.oci_version(), "1.2.0")
            && is(config.hostname(), "runc")
            && !config.domainname().is_present()
    );
    let root: config::Root = config.root().read().unwrap();
    assert!(is(root.path(), "rootfs") && root.readonly().read().unwrap());

    let process: Process = config.process().read().unwrap();
    assert!(process.terminal().read().unwrap() && is(process.cwd(), "/"));
    assert_eq!((strings(process.args()), strings(process.env()).len()), (Vec::from(["sh".to_string()]), 0));
    let [uid, gid, umask, groups] = process.user().pick("uid gid umask additionalGids").unwrap();
    assert_eq!((uid.read(), gid.read(), umask.read()), (Ok(7_u32), Ok(0_u32), Ok(None::<u32>)));
    assert_eq!(groups.list().unwrap().map(|gid| gid.read::<u32>().unwrap()).sum::<u32>(), 3);
    let rlimit = process.rlimits().list().unwrap().next().unwrap();
    assert!(is(&rlimit.at("type").unwrap(), "RLIMIT_NOFILE"));
    assert_eq!((rlimit.get("soft"), rlimit.get("hard")), (Ok(1024_u64), Ok(2048_u64)));
    assert_eq!(strings(&process.capabilities().at("bounding").unwrap()), ["CAP_KILL"]);

    let linux: Linux = config.linux().read().unwrap();
    let resources: Resources = linux.resources().read().unwrap();
    let memory = resources.memory();
    assert_eq!((memory.get("limit"), memory.get("disableOOMKiller")), (Ok(-1_i64), Ok(Some(false))));
    let error = resources.block_io().get::<u16>("weight").unwrap_err().to_string();
    assert_eq!(error, "config.json: linux.resources.blockIO.weight: expected a number from 0 to 65535");
}

#[test]
fn what_is_not_built_is_there_to_be_refused_by_name() {
    let document = Document::parse("config.json", CONFIG.as_bytes()).unwrap();
    let config: Config = document.root().read().unwrap();
    let process: Process = config.process().read().unwrap();
    assert!(process.io_priority().is_empty() && process.apparmor_profile().is_empty());
    assert!(!process.scheduler().is_empty());
    let error = process.scheduler().refuse("not supported").to_string();
    assert_eq!(error, "config.json: process.scheduler: not supported");
    let mounts: Vec<Mount> = config.mounts().list().unwrap().map(|mount| mount.read().unwrap()).collect();
    assert!(mounts[0].uid_mappings().is_empty() && !mounts[1].uid_mappings().is_empty());
    let error = mounts[1].uid_mappings().refuse("not supported").to_string();
    assert_eq!(error, "config.json: mounts[1].uidMappings: not supported");
}

#[test]
fn an_absent_noun_is_empty_and_what_is_missed_in_it_names_it() {
    let document = Document::parse("config.json", br#"{"ociVersion": "1.0.0", "linux": null}"#).unwrap();
    let config: Config = document.root().read().unwrap();
    let linux: Linux = config.linux().read().unwrap();
    let resources: Resources = linux.resources().read().unwrap();
    assert_eq!(resources.memory().get::<Option<i64>>("limit"), Ok(None));
    assert_eq!(linux.namespaces().list().unwrap().count(), 0);
    let process: Process = config.process().read().unwrap();
    assert_eq!(process.cwd().read::<Text>().err().unwrap().to_string(), "config.json: process: missing");
    assert_eq!(config.root().required().err().unwrap().to_string(), "config.json: root: missing");
}

const STATE: State<'_> = State { id: b"a", status: b"running", pid: 42, bundle: b"/b\xff\"" };

#[test]
fn hooks_read_the_state_on_one_line() {
    let mut text = String::new();
    STATE.write([(&b"k"[..], &b"v\n"[..])].into_iter(), &mut text).unwrap();
    assert_eq!(
        text,
        r#"{"ociVersion":"1.3.0","id":"a","status":"running","pid":42,"bundle":"/b�\"","annotations":{"k":"v\n"}}"#
    );
    text.clear();
    State { pid: 0, ..STATE }.write([].into_iter(), &mut text).unwrap();
    assert!(!text.contains("pid") && !text.contains("annotations"));
}

#[test]
fn state_is_printed_as_runc_prints_it() {
    let mut text = String::new();
    let annotations = [(&b"k"[..], &b"v"[..])].into_iter();
    STATE.print(b"/r", "2026-01-02T03:04:05Z", annotations, "", &mut Writer::indented(&mut text, 2)).unwrap();
    let lines = [
        "{",
        "  \"ociVersion\": \"1.3.0\",",
        "  \"id\": \"a\",",
        "  \"pid\": 42,",
        "  \"status\": \"running\",",
        "  \"bundle\": \"/b\u{fffd}\\\"\",",
        "  \"rootfs\": \"/r\",",
        "  \"created\": \"2026-01-02T03:04:05Z\",",
        "  \"annotations\": {",
        "    \"k\": \"v\"",
        "  },",
        "  \"owner\": \"\"",
        "}",
    ];
    assert_eq!(text, lines.join("\n"));
    let document = Document::parse("state.json", text.as_bytes()).unwrap();
    let [pid, status] = document.root().pick("pid status").unwrap();
    assert!(pid.read::<i32>().unwrap() == 42 && status.read::<Text>().unwrap() == "running");
}
