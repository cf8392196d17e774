//! A state directory that a disk, or somebody, has spoilt: every command says so, others are not disturbed, and `delete --force`
//! removes the container all the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::fuzz::mutate::Random;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::{Output, rounds};
use serde_json::{Value, json};

use crate::kill::sleeping;
use crate::life::{create, status};

fn directory(bundle: &Bundle) -> PathBuf {
    bundle.state().join(&bundle.id)
}

/// Writes as many bytes into a file, at this place.
fn put(file: &Path, at: usize, bytes: &[u8]) {
    let mut text = fs::read(file).unwrap();
    text.splice(at..at + bytes.len(), bytes.iter().copied());
    fs::write(file, text).unwrap();
}

fn cut(file: &Path, len: usize) {
    let text = fs::read(file).unwrap();
    fs::write(file, &text[..len]).unwrap();
}

/// One error with one of these words.
#[track_caller]
fn told(out: &Output, words: &[&str]) {
    let lines = out.stderr.lines().count();
    let known = words.iter().any(|word| out.stderr.contains(word));
    assert!([1, 255].contains(&out.code()) && lines == 1 && known, "expected one of {words:?}: {out:?}");
}

/// The ids that `list` has, and its warnings.
fn listed(bundle: &Bundle) -> (Vec<String>, String) {
    let out = bundle.runtime(&["list", "--quiet"]);
    (out.ok().stdout.lines().map(str::to_string).collect(), out.stderr)
}

/// Spoils a running container's directory: all commands tell it by one of these words, and it can be removed.
#[track_caller]
fn spoilt(words: &[&str], spoil: impl Fn(&Path)) {
    let bundle = sleeping();
    // Another one, in the same state root.
    let other = format!("{}-other", bundle.id);
    bundle.runtime(&["run", "--detach", "--bundle", &bundle.path(""), &other]).ok();
    spoil(&directory(&bundle));
    let id = &*bundle.id;
    for args in [
        &["state", id][..],
        &["kill", id, "USR1"],
        &["exec", id, "/probe"],
        &["pause", id],
        &["resume", id],
        &["ps", id],
        &["update", "--pids-limit", "7", id],
        &["events", "--stats", id],
        &["start", id],
        &["delete", id],
    ] {
        told(&bundle.runtime(args), words);
    }
    let (ids, warnings) = listed(&bundle);
    assert_eq!(ids, [&*other]);
    assert!(warnings.contains(id) && words.iter().any(|word| warnings.contains(word)), "{warnings}");
    create(&bundle, &[]).refused(&["exists"]);
    bundle.delete();
    assert_eq!(listed(&bundle), (vec![other.clone()], String::new()));
    // The id is free.
    create(&bundle, &[]).ok();
    assert_eq!(status(&bundle), "created");
    bundle.delete();
    bundle.runtime(&["delete", "--force", &other]).ok();
    bundle.nothing_left();
}

const STATE: &[&str] = &["state.json: "];
const PLAN: &[&str] = &["plan: "];

#[test]
fn a_state_that_is_none_is_told_and_its_container_removed() {
    only_ours!("it is about our files");
    spoilt(STATE, |dir| cut(&dir.join("state.json"), 0));
    spoilt(STATE, |dir| cut(&dir.join("state.json"), 20));
    spoilt(STATE, |dir| fs::write(dir.join("state.json"), vec![b'{'; 2000]).unwrap());
    spoilt(STATE, |dir| File::create(dir.join("state.json")).unwrap().set_len(1 << 30).unwrap());
    spoilt(STATE, |dir| fs::write(dir.join("state.json"), noise(300)).unwrap());
    spoilt(STATE, |dir| put(&dir.join("state.json"), 30, b"\xff\xfe"));
}

#[test]
fn a_plan_that_is_none_is_told_and_its_container_removed() {
    only_ours!("it is about our files");
    for len in [0, 1, 15, 16, 20, 1000] {
        spoilt(PLAN, |dir| cut(&dir.join("plan"), len));
    }
    spoilt(PLAN, |dir| fs::write(dir.join("plan"), noise(3000)).unwrap());
    spoilt(PLAN, |dir| File::create(dir.join("plan")).unwrap().set_len(1 << 30).unwrap());
    spoilt(PLAN, |dir| fs::remove_file(dir.join("plan")).unwrap());
    // Of nothing but a header, which is whole: of the kind that a plan is, and of another.
    for kind in [0x11, 0x77] {
        spoilt(PLAN, |dir| {
            let mut header = [0; 16];
            (header[0], header[4]) = (16, kind);
            fs::write(dir.join("plan"), header).unwrap();
        });
    }
}

#[test]
fn what_is_behind_the_plan_is_checked_as_well() {
    only_ours!("it is about our files");
    // Where its cgroups are: begun and not ended; of another kind.
    spoilt(PLAN, |dir| cut(&dir.join("plan"), len_of_plan(dir) + 20));
    spoilt(PLAN, |dir| put(&dir.join("plan"), len_of_plan(dir) + 4, &[0x77]));
}

#[test]
fn both_may_be_spoilt() {
    only_ours!("it is about our files");
    spoilt(&["plan: ", "state.json: "], |dir| {
        cut(&dir.join("plan"), 100);
        cut(&dir.join("state.json"), 10);
    });
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// The length of the first message in the plan's file.
fn len_of_plan(dir: &Path) -> usize {
    let text = fs::read(dir.join("plan")).unwrap();
    u32::from_ne_bytes(text[..4].try_into().unwrap()) as usize
}

#[test]
fn wherever_a_file_ends_its_container_can_be_removed() {
    only_ours!("it is about our files");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    for (name, stride) in [("state.json", 1), ("plan", 61)] {
        for at in (0..).step_by(stride * 10 / rounds(10)) {
            bundle.run_with(&["--detach"]).ok();
            let (file, setup) = (directory(&bundle).join(name), len_of_plan(&directory(&bundle)));
            if at >= fs::metadata(&file).unwrap().len() as usize {
                bundle.delete();
                break;
            }
            cut(&file, at);
            let state = bundle.runtime(&["state", &bundle.id]);
            // Just the plan is what a killed runtime leaves.
            if (name, at) != ("plan", setup) {
                told(&state, &[&format!("{name}: ")]);
            }
            let (ids, warnings) = listed(&bundle);
            assert!(ids.is_empty() == warnings.contains(&bundle.id), "{name} at {at}: {ids:?} {warnings}");
            bundle.delete();
            bundle.nothing_left();
        }
    }
}

#[test]
fn a_container_without_its_state_is_removed_with_its_processes() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    fs::remove_file(directory(&bundle).join("state.json")).unwrap();
    // As if the runtime had been killed before it wrote it.
    assert_eq!(status(&bundle), "stopped");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_state_of_somebody_elses_process_does_not_end_that() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    let own = std::process::id();
    for spoilt in [
        json!({"id": bundle.id, "pid": own, "start": 1, "created": ""}),
        json!({"id": bundle.id, "pid": 1, "start": 0, "created": 7}),
        json!({"id": 1, "pid": -1, "start": -1}),
        json!({"pid": 1e30}),
        Value::Null,
        json!([]),
    ] {
        fs::write(directory(&bundle).join("state.json"), spoilt.to_string()).unwrap();
        let out = bundle.runtime(&["state", &bundle.id]);
        match out.code() {
            0 => assert!(out.stdout.contains("\"stopped\""), "{spoilt}: {out:?}"),
            _ => told(&out, STATE),
        }
        let out = bundle.runtime(&["kill", &bundle.id, "KILL"]);
        told(&out, &["state.json: ", "not running"]);
    }
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn what_is_not_ours_in_the_state_root_is_left_alone() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    fs::write(bundle.state().join("a-file"), "").unwrap();
    fs::create_dir(bundle.state().join("a-directory")).unwrap();
    std::os::unix::fs::symlink(directory(&bundle), bundle.state().join("a-link")).unwrap();
    assert_eq!(listed(&bundle), (vec![bundle.id.clone()], String::new()));
    for name in ["a-file", "a-link"] {
        let words = ["ENOTDIR", "does not exist", "ELOOP"];
        told(&bundle.runtime(&["state", name]), &words);
        told(&bundle.runtime(&["delete", "--force", name]), &words);
        fs::remove_file(bundle.state().join(name)).unwrap();
    }
    bundle.runtime(&["state", "a-directory"]).refused(&["does not exist"]);
    bundle.runtime(&["delete", "--force", "a-directory"]).ok();
    // What somebody has put into a container's directory is told, and keeps it.
    let strange = directory(&bundle).join("strange");
    fs::write(&strange, "").unwrap();
    bundle.runtime(&["delete", "--force", &bundle.id]).refused(&["ENOTEMPTY", "rmdir"]);
    fs::remove_file(strange).unwrap();
    bundle.delete();
    bundle.nothing_left();
}
