//! config.json's mounts: sources, destinations, order, and that mount points stay inside the root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::not_for;
use serde_json::json;

use crate::mount_options::mount;
use crate::namespaces::user_namespace;

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

pub trait FactsKeep: Sized {
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
