//! Each mount option, read back from mountinfo or from what it does.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::path::Path;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::{MOUNTINFO, Mount};
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{host, not_for};
use serde_json::json;

/// The mount that a tmpfs with these options at /mnt becomes.
#[track_caller]
fn tmpfs(options: &[&str]) -> Mount {
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options}));
    bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt").clone()
}

/// The mount that a bind of a directory at /mnt becomes.
#[track_caller]
fn bind(options: &[&str]) -> Mount {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    bundle.add_mount(
        json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": options}),
    );
    bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt").clone()
}

/// option, what must be there, what must not.
const FLAGS: &[(&str, &str, &str)] = &[
    ("ro", "ro", "rw"),
    ("rw", "rw", "ro"),
    ("nosuid", "nosuid", ""),
    ("suid", "", "nosuid"),
    ("nodev", "nodev", ""),
    ("dev", "", "nodev"),
    ("noexec", "noexec", ""),
    ("exec", "", "noexec"),
    ("noatime", "noatime", "relatime"),
    ("atime", "", "noatime"),
    ("nodiratime", "nodiratime", ""),
    ("diratime", "", "nodiratime"),
    ("relatime", "relatime", "noatime"),
    ("strictatime", "", "relatime"),
    ("defaults", "rw", "ro"),
];

#[test]
fn per_mount_options_are_read_back_from_a_new_filesystem() {
    for (option, there, not_there) in FLAGS {
        if *option == "defaults" && Runtime::get().name() == "runc" {
            continue; // 1.1 hands it to the filesystem.
        }
        let mount = tmpfs(&[option]);
        assert!(there.is_empty() || mount.has(there), "{option}: {mount:?}");
        assert!(not_there.is_empty() || !mount.has(not_there), "{option}: {mount:?}");
    }
}

#[test]
fn per_mount_options_are_read_back_from_a_bind() {
    for (option, there, not_there) in FLAGS.iter().filter(|(o, ..)| *o != "defaults") {
        let mount = bind(&["bind", option]);
        assert!(there.is_empty() || mount.has(there), "{option}: {mount:?}");
        assert!(not_there.is_empty() || !mount.has(not_there), "{option}: {mount:?}");
    }
}

/// The mount at /mnt that a bind of a tmpfs becomes, which has some flags.
fn bind_of_a_restricted_mount(options: &[&str]) -> Mount {
    let mut bundle = Bundle::new();
    let source = bundle.dir.join("source");
    fs::create_dir(&source).unwrap();
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME;
    mount("tmpfs", &source, "tmpfs", flags);
    bundle.add_mount(
        json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": options}),
    );
    bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt").clone()
}

#[test]
fn a_bind_with_a_flag_has_only_the_flags_that_are_named() {
    not_for!("crun", "1.8.1 keeps them");
    for options in [&["bind", "ro"][..], &["bind", "exec"], &["bind", "nodev", "suid"]] {
        let mount = bind_of_a_restricted_mount(options);
        for flag in ["ro", "nosuid", "nodev", "noexec"] {
            assert_eq!(mount.has(flag), options.contains(&flag), "{flag} of {options:?}: {mount:?}");
        }
        // mount(2): no access time mode is no change of it.
        assert!(mount.has("noatime"), "{mount:?}");
    }
    for (options, mode) in [
        // Nor is taking one back (mount(8) does the same).
        (&["bind", "dev", "atime", "diratime", "nostrictatime"][..], "noatime"),
        (&["bind", "relatime"], "relatime"),
        (&["bind", "nodiratime"], "nodiratime relatime"),
        (&["bind", "nodiratime", "noatime"], "noatime nodiratime"),
        (&["bind", "strictatime"], ""),
    ] {
        let mount = bind_of_a_restricted_mount(options);
        for flag in ["noatime", "nodiratime", "relatime"] {
            let wanted = mode.split(' ').any(|one| one == flag);
            assert_eq!(mount.has(flag), wanted, "{flag} of {options:?}: {mount:?}");
        }
    }
    for options in [&["bind"][..], &["rbind", "rprivate"]] {
        let mount = bind_of_a_restricted_mount(options);
        for flag in ["nosuid", "nodev", "noexec", "noatime"] {
            assert!(mount.has(flag), "{flag} of {options:?}: {mount:?}");
        }
    }
}

#[test]
fn per_filesystem_options_are_read_back() {
    for (option, there) in [("sync", "sync"), ("dirsync", "dirsync"), ("lazytime", "lazytime")] {
        let mount = tmpfs(&[option]);
        assert!(mount.super_has(there), "{option}: {mount:?}");
    }
    for (option, not_there) in [("async", "sync"), ("nolazytime", "lazytime")] {
        let mount = tmpfs(&[option]);
        assert!(!mount.super_has(not_there), "{option}: {mount:?}");
    }
}

#[test]
fn options_without_a_trace_are_known() {
    not_for!("crun", "1.8.1 passes some on");
    // They change nothing that mountinfo tells of a tmpfs, but must not reach it as data, which would be refused.
    for option in
        ["norelatime", "nostrictatime", "iversion", "noiversion", "loud", "silent", "mand", "nomand"]
    {
        if matches!(option, "mand" | "nomand") && Runtime::get().name() != "runc" {
            continue; // MAY, and Linux 5.15 dropped it.
        }
        if option.ends_with("iversion") && Runtime::get().name() != "runc" {
            continue; // tmpfs refuses MS_I_VERSION when it comes by fsconfig(2)
        }
        tmpfs(&[option]);
    }
}

#[test]
fn the_later_of_two_contrary_options_wins() {
    not_for!("crun", "1.8.1 adds flags up");
    assert!(tmpfs(&["ro", "rw"]).has("rw"));
    assert!(tmpfs(&["rw", "ro"]).has("ro"));
    assert!(!tmpfs(&["nosuid", "suid"]).has("nosuid"));
}

#[test]
fn remount_is_a_known_option() {
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"}));
    bundle.add_mount(json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["remount", "ro", "nosuid"]}));
    let facts = bundle.ask(&["create /mnt/new"]).facts();
    assert_eq!(&facts["create /mnt/new"], "!EROFS");
}

#[test]
fn symlinks_are_not_followed_under_nosymfollow() {
    not_for!("runc", "1.1 has no nosymfollow");
    not_for!("crun", "1.8.1 has no nosymfollow");
    assert!(bind(&["bind", "nosymfollow"]).has("nosymfollow"));
    assert!(tmpfs(&["nosymfollow"]).has("nosymfollow"));
    assert!(!tmpfs(&["nosymfollow", "symfollow"]).has("nosymfollow"));
}

#[test]
fn recursive_options_reach_the_mounts_below() {
    not_for!("crun", "1.8.1 gets EINVAL for the atime family");
    let table = [
        ("rro", "ro"),
        ("rnosuid", "nosuid"),
        ("rnodev", "nodev"),
        ("rnoexec", "noexec"),
        ("rnoatime", "noatime"),
        ("rnodiratime", "nodiratime"),
        ("rnosymfollow", "nosymfollow"),
    ];
    for (option, there) in table {
        if option == "rnosymfollow" && !Runtime::get().ours() {
            continue; // younger than the oracles
        }
        let (top, below) = tree(&["rbind", option]);
        assert!(top.has(there), "{option}: {top:?}");
        assert!(below.has(there), "{option}: {below:?}");
    }
    for (option, not_there) in [
        ("rrw", "ro"),
        ("rsuid", "nosuid"),
        ("rdev", "nodev"),
        ("rexec", "noexec"),
        ("rstrictatime", "relatime"),
    ] {
        if option == "rstrictatime" && Runtime::get().name() == "runc" {
            continue; // 1.1 sets it without clearing the others.
        }
        let (top, below) = tree(&["rbind", option]);
        assert!(!top.has(not_there), "{option}: {top:?}");
        assert!(!below.has(not_there), "{option}: {below:?}");
    }
    for option in ["ratime", "rdiratime", "rrelatime", "rnorelatime", "rnostrictatime"] {
        if Runtime::get().name() == "runc" {
            continue; // as above
        }
        tree(&["rbind", option]);
    }
}

#[test]
fn options_that_are_not_recursive_leave_the_mounts_below_alone() {
    let (top, below) = tree(&["rbind", "ro", "noexec"]);
    assert!(top.has("ro") && top.has("noexec"), "{top:?}");
    assert!(below.has("rw") && !below.has("noexec"), "{below:?}");
}

#[test]
fn bind_takes_one_mount_and_rbind_the_tree() {
    let mut bundle = tree_bundle(&["rbind"]);
    assert!(Bundle::facts(&bundle).mounts().find("/mnt/below").is_some());
    let last = bundle.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
    last["options"] = json!(["bind"]);
    let facts = bundle.facts();
    assert!(facts.mounts().find("/mnt").is_some() && facts.mounts().find("/mnt/below").is_none());
}

/// A bind of a directory with a tmpfs below it.
fn tree_bundle(options: &[&str]) -> Bundle {
    let mut bundle = Bundle::new();
    let below = bundle.dir.join("source/below");
    fs::create_dir_all(&below).unwrap();
    mount("tmpfs", &below, "tmpfs", libc::MS_STRICTATIME);
    bundle.add_mount(
        json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": options}),
    );
    bundle.ask(&[MOUNTINFO])
}

#[track_caller]
fn tree(options: &[&str]) -> (Mount, Mount) {
    let mounts = tree_bundle(options).facts().mounts();
    (mounts.at("/mnt").clone(), mounts.at("/mnt/below").clone())
}

pub fn mount(source: &str, point: &Path, kind: &str, flags: libc::c_ulong) {
    let text = |s: &str| CString::new(s).unwrap();
    let (source, point, kind) = (text(source), text(point.to_str().unwrap()), text(kind));
    // SAFETY: NUL-terminated strings; the bundle unmounts it when it goes away.
    let r = unsafe { libc::mount(source.as_ptr(), point.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    assert_eq!(r, 0, "mount: {}", std::io::Error::last_os_error());
}

#[test]
fn propagation_options_are_read_back() {
    not_for!("crun", "its private mount namespace here has no shared peers");
    let bundle = |options: &[&str]| {
        let mut bundle = Bundle::new();
        let source = bundle.dir.join("source");
        fs::create_dir(&source).unwrap();
        // A shared mount, so that a slave has a master.
        mount("tmpfs", &source, "tmpfs", 0);
        mount("none", &source, "none", libc::MS_SHARED);
        bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": options}));
        bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt").clone()
    };
    for (option, expected) in [
        ("private", vec![]),
        ("rprivate", vec![]),
        ("slave", vec!["master"]),
        ("rslave", vec!["master"]),
        ("unbindable", vec!["unbindable"]),
        ("runbindable", vec!["unbindable"]),
    ] {
        assert_eq!(bundle(&["rbind", option]).propagates(), expected, "{option}");
    }
    for option in ["shared", "rshared"] {
        let mount = bundle(&["rbind", option]);
        assert!(mount.propagates().contains(&"shared"), "{option}: {mount:?}");
    }
}

#[test]
fn a_bind_without_propagation_option_does_not_leak_to_the_host() {
    let mut bundle = Bundle::new();
    let source = bundle.dir.join("source");
    fs::create_dir(&source).unwrap();
    mount("tmpfs", &source, "tmpfs", 0);
    mount("none", &source, "none", libc::MS_SHARED);
    fs::create_dir(source.join("inner")).unwrap();
    bundle.add_mount(
        json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": ["rbind"]}),
    );
    bundle.add_mount(json!({"destination": "/mnt/inner", "type": "tmpfs", "source": "inner"}));
    let mut running = bundle.ask_and_spawn(&["sleep 200"]);
    running.until("oom_score_adj");
    let inner = source.join("inner");
    assert!(host::mounts().find(inner.to_str().unwrap()).is_none());
    running.finish().ok();
}

trait AskAndSpawn {
    fn ask_and_spawn(&mut self, questions: &[&str]) -> minirunc_tests::runtime::Running;
}

impl AskAndSpawn for Bundle {
    fn ask_and_spawn(&mut self, questions: &[&str]) -> minirunc_tests::runtime::Running {
        self.config["process"]["args"] = json!([&["/probe"][..], questions].concat());
        self.spawn()
    }
}

#[test]
fn filesystem_data_reaches_the_filesystem() {
    let mount = tmpfs(&["size=1024k", "mode=0750", "nr_inodes=77", "uid=5"]);
    for option in ["size=1024k", "mode=750", "nr_inodes=77", "uid=5"] {
        assert!(mount.super_has(option), "{option}: {mount:?}");
    }
}

#[test]
fn an_unknown_option_is_the_filesystems_to_refuse() {
    let mut bundle = Bundle::new();
    bundle.add_mount(
        json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["no-such-option"]}),
    );
    bundle.run().refused(&["/mnt"]);
}

#[test]
fn an_unknown_filesystem_is_refused() {
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "no-such-fs", "source": "none"}));
    bundle.run().refused(&["no-such-fs"]);
}
