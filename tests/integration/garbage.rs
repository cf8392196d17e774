//! A state directory that a disk, or somebody, has spoilt: every command says so, others are not disturbed, and `delete --force`
//! removes the container all the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use minirunc::plan::Noun;
use minirunc::plan::record::Record;
use minirunc_tests::bundle::Bundle;
use minirunc_tests::fuzz::mutate::Random;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::{Output, rounds};
use nsenter::attr::Writer;
use nsenter::sync::Kind;

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

const PLAN: &[&str] = &["plan: "];

#[test]
fn a_plan_that_is_none_is_told_and_its_container_removed() {
    only_ours!("it is about our files");
    for len in [1, 15, 16, 20, 1000] {
        spoilt(PLAN, |dir| cut(&dir.join("plan"), len));
    }
    spoilt(PLAN, |dir| fs::write(dir.join("plan"), noise(3000)).unwrap());
    spoilt(PLAN, |dir| File::create(dir.join("plan")).unwrap().set_len(1 << 30).unwrap());
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
    // Where its cgroups are, and which process it is: begun and not ended; of another kind.
    for which in [0, 1] {
        spoilt(PLAN, |dir| cut(&dir.join("plan"), ends(dir)[which] + 20));
        spoilt(PLAN, |dir| put(&dir.join("plan"), ends(dir)[which] + 4, &[0x77]));
    }
    spoilt(PLAN, |dir| put(&dir.join("plan"), ends(dir)[1] + 16, &[0xff; 8]));
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Where the messages in the plan's file end: the plan, the set-up, the record.
fn ends(dir: &Path) -> Vec<usize> {
    let text = fs::read(dir.join("plan")).unwrap();
    let mut ends = vec![];
    let mut at = 0;
    while at < text.len() {
        at += u32::from_ne_bytes(text[at..at + 4].try_into().unwrap()).next_multiple_of(4) as usize;
        ends.push(at);
    }
    assert_eq!((ends.len(), at), (3, text.len()));
    ends
}

#[test]
fn wherever_the_file_ends_its_container_can_be_removed() {
    only_ours!("it is about our files");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    let known = ends(&directory(&bundle));
    bundle.delete();
    // Each 61st byte, and of the record each 5th.
    let record = (known[1]..known[2]).step_by(50 / rounds(10));
    for at in (61..known[1]).step_by(610 / rounds(10)).chain([known[0]]).chain(record) {
        bundle.run_with(&["--detach"]).ok();
        cut(&directory(&bundle).join("plan"), at);
        let state = bundle.runtime(&["state", &bundle.id]);
        // Just the plan, or the plan and the set-up, is what a killed runtime leaves.
        if !known.contains(&at) {
            told(&state, PLAN);
        }
        let (ids, warnings) = listed(&bundle);
        assert!(ids.is_empty() == warnings.contains(&bundle.id), "at {at}: {ids:?} {warnings}");
        bundle.delete();
        bundle.nothing_left();
    }
}

#[test]
fn a_container_without_its_plan_is_none() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    let file = directory(&bundle).join("plan");
    let plan = fs::read(&file).unwrap();
    let gone: [fn(&Path); 2] = [|file| fs::remove_file(file).unwrap(), |file| cut(file, 0)];
    for spoil in gone {
        spoil(&file);
        for verb in ["state", "ps", "pause", "start", "delete"] {
            bundle.runtime(&[verb, &bundle.id]).refused(&["container does not exist"]);
        }
        assert_eq!(listed(&bundle), (vec![], String::new()));
        // Its directory goes; what its process is, and its cgroups, nobody knows.
        bundle.runtime(&["delete", "--force", &bundle.id]).ok();
        assert!(!directory(&bundle).exists());
        fs::create_dir(directory(&bundle)).unwrap();
        fs::write(&file, &plan).unwrap();
        assert_eq!(status(&bundle), "running");
    }
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_container_of_which_no_process_is_known_is_removed_with_its_processes() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    let dir = directory(&bundle);
    cut(&dir.join("plan"), ends(&dir)[1]);
    // As if the runtime had been killed before it wrote it.
    assert_eq!(status(&bundle), "stopped");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_record_of_somebody_elses_process_does_not_end_that() {
    only_ours!("it is about our files");
    let bundle = sleeping();
    let file = directory(&bundle).join("plan");
    let plan = fs::read(&file).unwrap();
    let record = ends(&directory(&bundle))[1];
    for (pid, start) in [(std::process::id(), 1), (1, 0), (0, 0), (u32::MAX, u64::MAX)] {
        let mut room = [0; 256];
        let mut writer = Writer::new(&mut room, Kind::Pid as u16);
        Record { pid, start, created: c"now" }.emit(&mut writer);
        fs::write(&file, [&plan[..record], writer.finish().unwrap()].concat()).unwrap();
        assert_eq!(status(&bundle), "stopped", "{pid} {start}");
        bundle.runtime(&["kill", &bundle.id, "KILL"]).refused(&["not running"]);
    }
    fs::write(&file, plan).unwrap();
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
