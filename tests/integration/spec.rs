//! `spec`: a config.json to begin with, the same as runc's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Output, Runtime, finish};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

/// `spec` in the bundle's directory, and what it wrote.
#[track_caller]
fn written(bundle: &Bundle, flags: &[&str]) -> (String, Value) {
    let out = spec(bundle, flags);
    assert_eq!((out.ok().stdout.as_str(), out.stderr.as_str()), ("", ""));
    let text = fs::read_to_string(bundle.dir.join("config.json")).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

fn spec(bundle: &Bundle, flags: &[&str]) -> Output {
    let mut command = bundle.command(&["spec"]);
    command.args(flags).current_dir(&bundle.dir);
    bundle.start(command).finish()
}

#[test]
fn what_it_writes_runs() {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    bundle.config = written(&bundle, &[]).1;
    bundle.config["process"]["args"] = json!(["/probe"]);
    bundle.config["process"]["terminal"] = json!(false);
    assert_eq!(&bundle.facts()["pid"], "1");
}

#[test]
fn what_it_writes_for_an_ordinary_user_runs() {
    not_for!("crun", "wants a cgroup namespace here");
    let mut bundle = Bundle::new().unprivileged(1000);
    let out = bundle.start(bundle.command(&["spec", "--rootless", "-b", bundle.dir.to_str().unwrap()]));
    out.finish().ok();
    let mut config: Value =
        serde_json::from_slice(&fs::read(bundle.dir.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["linux"]["uidMappings"], json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
    assert_eq!(config["linux"]["gidMappings"], json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
    config["process"]["args"] = json!(["/probe"]);
    config["process"]["terminal"] = json!(false);
    bundle.config = config;
    assert_eq!(&bundle.facts()["uid"], "0 0 0");
}

#[test]
fn it_is_indented_by_tabs_and_made_with_the_callers_mask() {
    not_for!("crun", "indents by spaces");
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    let (text, value) = written(&bundle, &["--bundle", bundle.dir.to_str().unwrap()]);
    assert_eq!(text.lines().take(3).collect::<Vec<_>>()[2], "\t\"process\": {");
    assert!(
        text.contains("\n\t\t\"args\": [\n\t\t\t\"sh\"\n\t\t],\n") && text.ends_with("\n\t}\n}"),
        "{text}"
    );
    let mask = fs::read_to_string("/proc/self/status").unwrap();
    let mask = mask.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap().trim().to_string();
    let mode = fs::metadata(bundle.dir.join("config.json")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o666 & !u32::from_str_radix(&mask, 8).unwrap());
    if Runtime::get().ours() {
        let list = bundle.runtime(&["features"]).ok().stdout.clone();
        let features: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(value["ociVersion"], features["ociVersionMax"]);
    }
}

#[test]
fn it_is_runcs_but_for_what_later_versions_of_runc_changed() {
    only_ours!("it compares ours with runc's");
    let runc = Path::new("/usr/sbin/runc");
    if !runc.exists() {
        skip!("no runc here");
    }
    for flags in [&[][..], &["--rootless"]] {
        let (bundle, other) = (Bundle::new(), Bundle::new());
        fs::create_dir(bundle.state()).unwrap();
        let (ours, theirs) = (written(&bundle, flags).1, {
            let mut command = Command::new(runc);
            command.arg("spec").args(flags).current_dir(&other.dir);
            finish(command, &other.dir).ok();
            fs::read_to_string(other.dir.join("config.json")).unwrap()
        });
        let mut theirs: Value = serde_json::from_str(&theirs).unwrap();
        theirs["ociVersion"] = ours["ociVersion"].clone();
        // Since 1.2 there are no ambient capabilities, and since 1.4 the TPM is hidden.
        theirs["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
        let masked = theirs["linux"]["maskedPaths"].as_array_mut().unwrap();
        if !masked.contains(&json!("/sys/devices/virtual/tpm")) {
            masked.push(json!("/sys/devices/virtual/tpm"));
        }
        assert_eq!(ours, theirs, "{flags:?}");
    }
}

#[test]
fn a_config_that_is_there_stays() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    bundle.write_text("mine");
    spec(&bundle, &[]).refused(&["File config.json exists. Remove it first"]);
    assert_eq!(fs::read_to_string(bundle.dir.join("config.json")).unwrap(), "mine");
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    spec(&bundle, &["--bundle", "/no/such/directory"]).refused(&["/no/such/directory", "ENOENT"]);
    spec(&bundle, &["--from", "x"]).refused(&["open x: ENOENT"]);
    assert!(!bundle.dir.join("config.json").exists());
}
