//! config.json's mounts: each option read back, the order, and that mount points stay inside the root.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::{MOUNTINFO, Mount};
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{host, not_for, only_ours, skip};
use serde_json::json;

use crate::namespaces::user_namespace;

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
        if option.ends_with("iversion") && Runtime::get().name() == "crun" {
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

fn mount(source: &str, point: &Path, kind: &str, flags: libc::c_ulong) {
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

#[test]
fn a_file_is_bound_on_a_mount_point_made_inside() {
    let mut bundle = Bundle::new();
    fs::write(bundle.dir.join("source"), "from outside").unwrap();
    bundle.add_mount(json!({"destination": "/data/new/deep", "type": "bind", "source": bundle.path("source"), "options": ["bind"]}));
    let facts = bundle.ask(&["read /data/new/deep"]).facts_keep();
    assert_eq!(&facts.1["read /data/new/deep"], "from outside");
    let made = fs::metadata(facts.0.rootfs().join("data/new/deep")).unwrap();
    assert!(made.is_file() && made.len() == 0);
}

trait FactsKeep: Sized {
    fn facts_keep(self) -> (Self, minirunc_tests::facts::Facts);
}

impl FactsKeep for Bundle {
    #[track_caller]
    fn facts_keep(self) -> (Self, minirunc_tests::facts::Facts) {
        let facts = self.facts();
        (self, facts)
    }
}

#[test]
fn a_directory_is_bound_and_writable_through() {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    bundle.add_mount(json!({"destination": "/srv/made", "type": "bind", "source": bundle.path("source"), "options": ["rbind", "rw"]}));
    let (bundle, facts) = bundle.ask(&["create /srv/made/new"]).facts_keep();
    assert_eq!(&facts["create /srv/made/new"], "ok");
    assert!(bundle.dir.join("source/new").exists());
}

#[test]
fn a_read_only_bind_cannot_be_written() {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": ["bind", "ro"]}));
    let (bundle, facts) = bundle.ask(&["create /mnt/new"]).facts_keep();
    assert_eq!(&facts["create /mnt/new"], "!EROFS");
    fs::write(bundle.dir.join("source/new"), "the host still can").unwrap();
}

#[test]
fn a_relative_source_is_relative_to_the_bundle() {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    fs::write(bundle.dir.join("source/x"), "beside").unwrap();
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": "source", "options": ["bind"]}));
    assert_eq!(&bundle.ask(&["read /mnt/x"]).facts()["read /mnt/x"], "beside");
}

#[test]
fn a_relative_destination_is_relative_to_the_root() {
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "mnt/relative", "type": "tmpfs", "source": "tmpfs"}));
    assert_eq!(&bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt/relative").kind, "tmpfs");
}

#[test]
fn a_bind_needs_no_bind_option_when_its_type_says_so() {
    not_for!("crun", "1.8.1 wants the option");
    not_for!("runc", "1.1 wants the option");
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    fs::write(bundle.dir.join("source/x"), "typed").unwrap();
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source")}));
    assert_eq!(&bundle.ask(&["read /mnt/x"]).facts()["read /mnt/x"], "typed");
}

#[test]
fn a_bind_needs_no_type_when_its_option_says_so() {
    for kind in [json!("none"), json!("ext4"), json!(null)] {
        let mut bundle = Bundle::new();
        fs::create_dir(bundle.dir.join("source")).unwrap();
        fs::write(bundle.dir.join("source/x"), "by option").unwrap();
        bundle.add_mount(json!({"destination": "/mnt", "type": kind, "source": bundle.path("source"), "options": ["rbind"]}));
        assert_eq!(&bundle.ask(&["read /mnt/x"]).facts()["read /mnt/x"], "by option");
    }
}

#[test]
fn mounts_are_made_in_the_listed_order() {
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    fs::write(bundle.dir.join("source/x"), "").unwrap();
    bundle.add_mount(json!({"destination": "/mnt", "type": "tmpfs", "source": "first"}));
    bundle.add_mount(json!({"destination": "/mnt/on/top", "type": "bind", "source": bundle.path("source"), "options": ["bind"]}));
    bundle.add_mount(json!({"destination": "/mnt/on", "type": "tmpfs", "source": "covers"}));
    let facts = bundle.ask(&["list /mnt", "list /mnt/on"]).facts();
    assert_eq!(&facts["list /mnt"], "on");
    assert_eq!(&facts["list /mnt/on"], "");
}

#[test]
fn a_symlinked_destination_is_resolved_in_the_root() {
    let mut bundle = Bundle::new();
    // Absolute, so that a resolution outside of the root would find the host's directory of that name.
    symlink("/data/target", bundle.rootfs().join("way")).unwrap();
    fs::create_dir(bundle.rootfs().join("data/target")).unwrap();
    bundle.add_mount(json!({"destination": "/way", "type": "tmpfs", "source": "tmpfs"}));
    let facts = bundle.ask(&[MOUNTINFO]).facts();
    assert_eq!(&facts.mounts().at("/data/target").kind, "tmpfs");
}

#[test]
fn destinations_cannot_leave_the_root() {
    let bundle = Bundle::new();
    let outside = bundle.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    let escapes = [
        ("/../../outside/a".to_string(), None),
        ("/data/../../outside/b".to_string(), None),
        ("/link/c".to_string(), Some("../outside")),
        ("/link/d/e".to_string(), Some("../../../../../../../..")),
    ];
    drop(bundle);
    for (destination, link) in escapes {
        let mut bundle = Bundle::new();
        let outside = bundle.dir.join("outside");
        fs::create_dir(&outside).unwrap();
        if let Some(target) = link {
            symlink(target, bundle.rootfs().join("link")).unwrap();
        }
        bundle.add_mount(json!({"destination": destination, "type": "tmpfs", "source": "escaped"}));
        let out = bundle.run();
        let made: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(made.is_empty(), "{destination} made {made:?} outside");
        assert!(
            !Path::new("/d/e").exists() && !Path::new("/outside").exists(),
            "{destination} made it on the host"
        );
        if out.code() != 0 {
            out.refused(&["mounts[7]"]);
        }
    }
}

#[test]
fn a_magic_link_as_destination_does_not_reach_the_host() {
    let mut bundle = Bundle::new();
    let outside = bundle.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    bundle.add_mount(json!({"destination": "/proc/self/cwd/planted", "type": "tmpfs", "source": "escaped"}));
    bundle.add_mount(json!({"destination": "/proc/1/root/planted", "type": "tmpfs", "source": "escaped"}));
    bundle.run();
    assert!(!Path::new("/planted").exists(), "made on the host");
}

#[test]
fn nothing_but_proc_is_mounted_over_proc() {
    // CVE-2019-16884, CVE-2019-19921: the runtime's own writes to /proc would go where the caller likes.
    not_for!("crun", "1.8.1 checks when it writes");
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    bundle.add_mount(
        json!({"destination": "/proc", "type": "bind", "source": bundle.path("source"), "options": ["bind"]}),
    );
    bundle.run().refused(&["/proc"]);
}

#[test]
fn tmpcopyup_keeps_what_was_there() {
    let mut bundle = Bundle::with(|c| c["root"]["readonly"] = json!(false));
    bundle.add_mount(
        json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}),
    );
    fs::create_dir(bundle.rootfs().join("data/sub")).unwrap();
    fs::write(bundle.rootfs().join("data/sub/inner"), "kept").unwrap();
    symlink("file", bundle.rootfs().join("data/link")).unwrap();
    minirunc_tests::bundle::mode(&bundle.rootfs().join("data/file"), 0o646);
    std::os::unix::fs::chown(bundle.rootfs().join("data/file"), Some(12), Some(34)).unwrap();
    let (bundle, facts) = bundle
        .ask(&[
            "read /data/file",
            "read /data/sub/inner",
            "readlink /data/link",
            "stat /data/file",
            "create /data/new",
            MOUNTINFO,
        ])
        .facts_keep();
    assert_eq!(&facts["read /data/file"], "in the root");
    assert_eq!(&facts["read /data/sub/inner"], "kept");
    assert_eq!(&facts["readlink /data/link"], "file");
    assert_eq!(&facts["stat /data/file"], "file 0646 12:34");
    assert_eq!(&facts["create /data/new"], "ok");
    assert_eq!(&facts.mounts().at("/data").kind, "tmpfs");
    assert!(!bundle.rootfs().join("data/new").exists());
}

#[test]
fn the_default_mounts_are_what_they_claim() {
    let mounts = Bundle::new().ask(&[MOUNTINFO]).facts().mounts();
    for (point, kind) in [
        ("/proc", "proc"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
        ("/sys", "sysfs"),
    ] {
        assert_eq!(mounts.at(point).kind, kind, "{point}");
    }
    assert!(mounts.at("/dev/pts").super_has("ptmxmode=666") && mounts.at("/dev/pts").super_has("gid=5"));
    assert!(mounts.at("/sys").has("ro"));
    assert!(!mounts.at("/dev").has("relatime") && mounts.at("/dev").has("nosuid"));
}

#[test]
fn proc_shows_the_containers_processes_only() {
    let facts = Bundle::new().ask(&["list /proc"]).facts();
    let pids: Vec<&str> = facts["list /proc"].split(' ').filter(|n| n.parse::<u32>().is_ok()).collect();
    assert_eq!(pids, ["1"]);
}

#[test]
fn a_bind_in_a_user_namespace_keeps_what_the_kernel_locks() {
    not_for!("crun", "1.8.1 opens the source outside, where nothing is locked");
    not_for!("runc", "1.1 clears atime flags and gets EPERM");
    // mount(2): flags of a mount that came from a more privileged namespace cannot be cleared, only added to.
    let mut bundle = user_namespace(100_000);
    let source = bundle.dir.join("source");
    fs::create_dir(&source).unwrap();
    mount("tmpfs", &source, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_NOATIME);
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": ["bind", "ro"]}));
    let mount = bundle.ask(&[MOUNTINFO]).facts().mounts().at("/mnt").clone();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mount.has(option), "{option}: {mount:?}");
    }
}

#[test]
fn the_cgroup_mount_shows_every_hierarchy_of_v1() {
    if !host::v1() {
        skip!("no cgroup v1 here");
    }
    for namespace in [true, false] {
        let mut bundle = Bundle::new();
        if !namespace {
            bundle.drop_namespace("cgroup");
        }
        let (bundle, facts) =
            bundle.ask(&[MOUNTINFO, "read /proc/self/cgroup", "list /sys/fs/cgroup"]).facts_keep();
        let mounts = facts.mounts();
        assert_eq!(mounts.at("/sys/fs/cgroup").kind, "tmpfs");
        for hierarchy in host::mounts().0.iter().filter(|m| m.kind == "cgroup") {
            let inside = mounts.at(&hierarchy.point);
            assert_eq!(inside.kind, "cgroup");
            assert!(
                inside.has("ro") && inside.has("nosuid") && inside.has("nodev") && inside.has("noexec"),
                "{inside:?}"
            );
            if namespace {
                assert_eq!(inside.root, "/", "{inside:?}");
            } else {
                assert!(inside.root.contains(&bundle.id), "{inside:?}");
            }
        }
    }
}

#[test]
fn cgroup_files_are_seen_at_the_mount_of_v1() {
    if !host::v1() || host::controller("memory").is_none() {
        skip!("no cgroup v1 memory controller here");
    }
    for namespace in [true, false] {
        let mut bundle = Bundle::with(|c| c["linux"]["resources"]["memory"] = json!({"limit": 67_108_864}));
        if !namespace {
            bundle.drop_namespace("cgroup");
        }
        let question = "read /sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(bundle.ask(&[question]).facts().number(question), 67_108_864);
    }
}

#[test]
fn co_mounted_controllers_have_links_of_their_own() {
    if !host::v1() {
        skip!("no cgroup v1 here");
    }
    let shared: Vec<_> =
        host::mounts().0.into_iter().filter(|m| m.kind == "cgroup" && m.point.contains(',')).collect();
    if shared.is_empty() {
        skip!("no hierarchy here has two controllers");
    }
    let facts = Bundle::new().ask(&["list /sys/fs/cgroup"]).facts();
    for mount in shared {
        for name in mount.point.rsplit('/').next().unwrap().split(',') {
            assert!(facts["list /sys/fs/cgroup"].split(' ').any(|n| n == name), "{name}");
        }
    }
}

#[test]
fn the_cgroup_mount_is_cgroup2_under_v2() {
    if !host::v2() {
        skip!("no unified cgroup hierarchy here");
    }
    let facts = Bundle::new()
        .ask(&[MOUNTINFO, "read /sys/fs/cgroup/cgroup.procs", "create /sys/fs/cgroup/x"])
        .facts();
    let mounts = facts.mounts();
    assert_eq!(
        (mounts.at("/sys/fs/cgroup").kind.as_str(), mounts.at("/sys/fs/cgroup").root.as_str()),
        ("cgroup2", "/")
    );
    assert!(mounts.at("/sys/fs/cgroup").has("ro"));
    assert_eq!(&facts["read /sys/fs/cgroup/cgroup.procs"], "1\n");
    assert_eq!(&facts["create /sys/fs/cgroup/x"], "!EROFS");
}

#[test]
fn a_cgroup2_mount_on_a_hybrid_machine_is_the_unified_hierarchy() {
    only_ours!("the oracles cannot");
    let Some(unified) = host::mounts().0.into_iter().find(|m| m.kind == "cgroup2" && host::v1()) else {
        skip!("no cgroup2 beside v1 here");
    };
    let mut bundle = Bundle::new();
    bundle
        .add_mount(json!({"destination": "/mnt", "type": "cgroup2", "source": "cgroup2", "options": ["ro"]}));
    let mounts = bundle.ask(&[MOUNTINFO]).facts().mounts();
    assert_eq!(mounts.at("/mnt").kind, unified.kind);
}

#[test]
fn an_idmapped_mount_without_a_map_is_refused() {
    only_ours!("older than the option");
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": ["bind", "idmap"]}));
    bundle.run().refused(&["mounts[7]"]);
}
