//! config.json texts that are no config: a clear error that says where, status 1, and nothing left behind.

use std::fs;
use std::time::{Duration, Instant};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

use crate::bad_input::refused;

#[track_caller]
fn text_refused(text: &str, words: &[&str]) {
    let bundle = Bundle::new();
    bundle.write_text(text);
    bundle.run_as_written().refused(words);
}

#[test]
fn a_missing_config_is_refused() {
    Bundle::new().run_as_written().refused(&["config.json"]);
}

#[test]
fn an_empty_config_is_refused() {
    text_refused("", &["config.json"]);
    text_refused(" \n\t ", &["config.json"]);
}

#[test]
fn a_config_that_is_a_directory_is_refused() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("config.json")).unwrap();
    bundle.run_as_written().refused(&["config.json"]);
}

#[test]
fn a_syntax_error_is_told_with_line_and_column() {
    text_refused("{\n  \"ociVersion\": \"1.0.2\",\n  \"root\": {,}\n}", &["config.json", "line 3, column"]);
    text_refused("{\n  \"process\" }", &["config.json", "line 2, column"]);
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "null",
        "[]",
        "1",
        "\"text\"",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":tru}",
        "{\"a\":NaN}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"line\nbreak\"}",
        "\u{feff}{}",
        "{} {}",
        "{}x",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
    ] {
        text_refused(text, &["config.json"]);
    }
}

#[test]
fn text_behind_the_config_is_refused() {
    not_for!("runc", "Go's decoder stops at the end of the object");
    not_for!("crun", "so does yajl as crun uses it");
    let text = Bundle::new().config.to_string();
    text_refused(&format!("{text} x"), &["config.json"]);
    text_refused(&format!("{text}{text}"), &["config.json"]);
}

#[test]
fn a_truncated_config_is_refused_wherever_it_ends() {
    let text = Bundle::new().config.to_string();
    for end in (1..text.len()).step_by(text.len() / 25) {
        text_refused(&text[..end], &["config.json"]);
    }
}

#[test]
fn invalid_utf8_is_refused() {
    only_ours!("Go puts U+FFFD in its place");
    let bundle = Bundle::with(|c| c["hostname"] = json!("hoXst"));
    let text = bundle.config.to_string();
    let at = text.find("hoXst").unwrap() + 2;
    let mut bytes = text.into_bytes();
    bytes[at] = 0xff;
    fs::write(bundle.dir.join("config.json"), bytes).unwrap();
    bundle.run_as_written().refused(&["config.json"]);
}

#[test]
fn a_wrong_type_is_told_with_its_path() {
    not_for!("crun", "its parser takes some of them");
    type Change = fn(&mut Value);
    let table: &[(&str, Change)] = &[
        ("process.args", |c| c["process"]["args"] = json!("text")),
        ("process.args[1]", |c| c["process"]["args"] = json!(["/probe", 1])),
        ("process.cwd", |c| c["process"]["cwd"] = json!(1)),
        ("process.user.uid", |c| c["process"]["user"]["uid"] = json!("0")),
        ("process.terminal", |c| c["process"]["terminal"] = json!("no")),
        ("process.env[0]", |c| c["process"]["env"] = json!([{}])),
        ("process.noNewPrivileges", |c| c["process"]["noNewPrivileges"] = json!(1)),
        ("process.rlimits[0].soft", |c| {
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": "1", "hard": 1}])
        }),
        ("root.path", |c| c["root"]["path"] = json!([])),
        ("root.readonly", |c| c["root"]["readonly"] = json!("yes")),
        ("hostname", |c| c["hostname"] = json!(7)),
        ("mounts", |c| c["mounts"] = json!({"a": 1})),
        ("mounts[0].destination", |c| c["mounts"][0]["destination"] = json!(1)),
        ("mounts[1].options", |c| c["mounts"][1]["options"] = json!("ro")),
        ("linux.namespaces", |c| c["linux"]["namespaces"] = json!("pid")),
        ("linux.resources.memory.limit", |c| c["linux"]["resources"]["memory"] = json!({"limit": "64m"})),
        ("linux.resources.pids.limit", |c| c["linux"]["resources"]["pids"] = json!({"limit": true})),
        ("linux.maskedPaths", |c| c["linux"]["maskedPaths"] = json!("/proc/kcore")),
        ("linux.sysctl", |c| c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": 1})),
        ("hooks.poststop", |c| c["hooks"] = json!({"poststop": {"path": "/bin/true"}})),
        ("annotations", |c| c["annotations"] = json!({"a": 1})),
    ];
    for (path, change) in table {
        refused(*change, &["config.json", path]);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    not_for!("crun", "takes them");
    refused(|c| c["process"]["user"]["uid"] = json!(-1), &["process.user.uid"]);
    refused(|c| c["process"]["user"]["uid"] = json!(4_294_967_296u64), &["process.user.uid"]);
    refused(|c| c["process"]["user"]["gid"] = json!(1.5), &["process.user.gid"]);
    refused(
        |c| c["linux"]["resources"]["memory"] = json!({"limit": 1e30}),
        &["linux.resources.memory.limit"],
    );
    let text = Bundle::new()
        .config
        .to_string()
        .replace("\"uid\":0", "\"uid\":99999999999999999999999999999999999999");
    text_refused(&text, &["process.user.uid"]);
}

#[test]
fn a_missing_version_is_refused() {
    not_for!("runc", "1.1 does not look");
    not_for!("crun", "does not look");
    refused(|c| drop(c.as_object_mut().unwrap().remove("ociVersion")), &["ociVersion"]);
}

#[test]
fn a_config_of_100_megabytes_is_refused_quickly() {
    only_ours!("the oracles read it all");
    let bundle = Bundle::new();
    let text = bundle.config.to_string();
    let padding = " ".repeat(100 << 20);
    fs::write(bundle.dir.join("config.json"), format!("{}{padding}{}", &text[..1], &text[1..])).unwrap();
    let start = Instant::now();
    bundle.run_as_written().refused(&["config.json"]);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_million_brackets_are_no_crash() {
    for bracket in ["[", "{\"a\":"] {
        let text = Bundle::new().config.to_string();
        let deep = format!("{{\"x\":{},{}", bracket.repeat(1_000_000), &text[1..]);
        text_refused(&deep, &["config.json"]);
        let closed = format!("{{\"x\":{}{},{}", "[".repeat(400), "]".repeat(400), &text[1..]);
        let bundle = Bundle::new();
        bundle.write_text(&closed);
        bundle.run_as_written().ok();
    }
}
