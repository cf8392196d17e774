//! The root: devices, links, masked and read-only paths, propagation, and that nothing else of the host is in sight.

use std::fs;
use std::os::unix::fs::symlink;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::{host, not_for, only_ours};
use serde_json::json;

const DEVICES: &[(&str, &str)] = &[
    ("null", "1:3"),
    ("zero", "1:5"),
    ("full", "1:7"),
    ("random", "1:8"),
    ("urandom", "1:9"),
    ("tty", "5:0"),
];

#[test]
fn default_devices_are_there_with_their_numbers() {
    let questions: Vec<String> = DEVICES.iter().map(|(name, _)| format!("stat /dev/{name}")).collect();
    let facts = Bundle::new().ask(&questions).facts();
    for ((_, number), question) in DEVICES.iter().zip(&questions) {
        assert_eq!(facts[question], format!("chr 0666 0:0 {number}"), "{question}");
    }
}

#[test]
fn default_devices_can_be_used() {
    let facts = Bundle::new()
        .ask(&["open /dev/null rw", "open /dev/urandom r", "write /dev/full x", "open /dev/ptmx rw"])
        .facts();
    assert_eq!(&facts["open /dev/null rw"], "ok");
    assert_eq!(&facts["open /dev/urandom r"], "ok");
    assert_eq!(&facts["write /dev/full x"], "!ENOSPC");
    assert_eq!(&facts["open /dev/ptmx rw"], "ok");
}

#[test]
fn device_links_are_there() {
    let links = [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/dev/ptmx", "pts/ptmx"),
    ];
    let facts = Bundle::new().ask(&links.map(|(path, _)| format!("readlink {path}"))).facts();
    for (path, target) in links {
        assert_eq!(&facts[&format!("readlink {path}")], target);
    }
}

#[test]
fn nothing_else_of_the_hosts_dev_is_there() {
    let facts = Bundle::new().ask(&["list /dev"]).facts();
    let known = [
        "console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero", "core",
    ];
    for name in facts["list /dev"].split(' ') {
        assert!(known.contains(&name), "/dev/{name}");
    }
}

#[test]
fn without_a_terminal_there_is_no_console() {
    let facts = Bundle::new().ask(&["stat /dev/console"]).facts();
    assert_eq!(&facts["stat /dev/console"], "!ENOENT");
}

#[test]
fn linux_devices_are_made_as_described() {
    let bundle = Bundle::with(|c| {
        c["linux"]["devices"] = json!([
            {"type": "c", "path": "/dev/kind-of-null", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
            {"type": "b", "path": "/dev/block", "major": 7, "minor": 200, "fileMode": 0o600},
            {"type": "u", "path": "/dev/below/deeper/unbuffered", "major": 1, "minor": 5, "fileMode": 0o666},
            {"type": "p", "path": "/dev/pipe", "fileMode": 0o622, "uid": 9, "gid": 9}
        ]);
    });
    let facts = bundle
        .ask(&[
            "stat /dev/kind-of-null",
            "stat /dev/block",
            "stat /dev/below/deeper/unbuffered",
            "stat /dev/pipe",
        ])
        .facts();
    assert_eq!(&facts["stat /dev/kind-of-null"], "chr 0640 3:4 1:3");
    assert_eq!(&facts["stat /dev/block"], "blk 0600 0:0 7:200");
    assert_eq!(&facts["stat /dev/below/deeper/unbuffered"], "chr 0666 0:0 1:5");
    assert_eq!(&facts["stat /dev/pipe"], "fifo 0622 9:9");
}

#[test]
fn a_device_path_that_is_another_file_is_refused() {
    only_ours!("the oracles take whatever is there");
    let bundle = Bundle::with(|c| {
        c["root"]["readonly"] = json!(false);
        c["linux"]["devices"] = json!([{"type": "c", "path": "/data/file", "major": 1, "minor": 3}]);
    });
    bundle.run().refused(&["/data/file"]);
    assert_eq!(fs::read(bundle.rootfs().join("data/file")).unwrap(), b"in the root");
}

#[test]
fn a_device_that_is_there_already_is_taken() {
    let bundle = Bundle::with(|c| {
        c["linux"]["devices"] = json!([{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o666, "uid": 0, "gid": 0}]);
        c["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    });
    assert_eq!(&bundle.ask(&["stat /dev/null"]).facts()["stat /dev/null"], "chr 0666 0:0 1:3");
}

#[test]
fn an_unknown_device_type_is_refused() {
    not_for!("crun", "takes it");
    let bundle = Bundle::with(|c| {
        c["linux"]["devices"] = json!([{"type": "x", "path": "/dev/x", "major": 1, "minor": 3}])
    });
    bundle.run().refused(&["linux.devices[0]"]);
}

#[test]
fn a_masked_file_reads_empty_and_takes_nothing() {
    let bundle = Bundle::with(|c| c["linux"]["maskedPaths"] = json!(["/data/file", "/proc/version"]));
    let facts = bundle.ask(&["read /data/file", "read /proc/version", "follow /data/file"]).facts();
    assert_eq!(&facts["read /data/file"], "");
    assert_eq!(&facts["read /proc/version"], "");
    assert!(
        facts["follow /data/file"].ends_with(" 1:3"),
        "not the null device: {}",
        &facts["follow /data/file"]
    );
}

#[test]
fn a_masked_directory_is_empty_and_read_only() {
    let bundle = Bundle::with(|c| {
        c["linux"]["maskedPaths"] = json!(["/data"]);
        c["root"]["readonly"] = json!(false);
    });
    let facts = bundle.ask(&["list /data", "create /data/new"]).facts();
    assert_eq!(&facts["list /data"], "");
    assert_eq!(&facts["create /data/new"], "!EROFS");
}

#[test]
fn a_path_masked_twice_is_covered_once_and_a_relative_one_is_below_the_root() {
    only_ours!("runc masks a path as often as it is named before 1.5");
    let twice = json!(["/data", "data", "/data/", "/proc/version", "/proc/version"]);
    let facts = Bundle::with(|c| c["linux"]["maskedPaths"] = twice).ask(&[MOUNTINFO]).facts();
    let found = facts.mounts();
    let over = |point| found.0.iter().filter(|m| m.point == point).count();
    assert_eq!((over("/data"), over("/proc/version")), (1, 1));
}

#[test]
fn a_masked_path_that_is_missing_is_no_error() {
    let bundle = Bundle::with(|c| c["linux"]["maskedPaths"] = json!(["/nowhere/at/all", "/data/nothing"]));
    bundle.run().ok();
}

#[test]
fn a_masked_path_through_a_symlink_does_not_touch_the_host() {
    let bundle = Bundle::with(|c| c["linux"]["maskedPaths"] = json!(["/way/secret"]));
    fs::create_dir(bundle.dir.join("outside")).unwrap();
    fs::write(bundle.dir.join("outside/secret"), "host").unwrap();
    symlink(bundle.dir.join("outside"), bundle.rootfs().join("way")).unwrap();
    bundle.run();
    assert_eq!(fs::read(bundle.dir.join("outside/secret")).unwrap(), b"host");
}

#[test]
fn the_default_masks_hold() {
    let facts =
        Bundle::new().ask(&["read /proc/keys", "list /sys/firmware", "read /proc/timer_list"]).facts();
    for key in ["read /proc/keys", "list /sys/firmware", "read /proc/timer_list"] {
        assert!(matches!(&facts[key], "" | "!ENOENT"), "{key}: {}", &facts[key]);
    }
}

#[test]
fn read_only_paths_cannot_be_written() {
    let bundle = Bundle::with(|c| {
        c["root"]["readonly"] = json!(false);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys", "/data", "/nowhere"]);
    });
    let facts = bundle
        .ask(&["write /proc/sys/kernel/msgmax 1", "create /data/new", "create /etc/new", "open /data/file w"])
        .facts();
    assert_eq!(&facts["write /proc/sys/kernel/msgmax 1"], "!EROFS");
    assert_eq!(&facts["create /data/new"], "!EROFS");
    assert_eq!(&facts["open /data/file w"], "!EROFS");
    assert_eq!(&facts["create /etc/new"], "ok");
}

#[test]
fn read_only_paths_keep_their_mounts_other_flags() {
    not_for!("crun", "1.8.1 loses them");
    let facts =
        Bundle::with(|c| c["linux"]["readonlyPaths"] = json!(["/sys/kernel"])).ask(&[MOUNTINFO]).facts();
    let mounts = facts.mounts();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mounts.at("/sys/kernel").has(option), "{:?}", mounts.at("/sys/kernel"));
    }
}

#[test]
fn a_read_only_root_is_read_only() {
    let facts = Bundle::new().ask(&["create /new", "create /dev/shm/new", MOUNTINFO]).facts();
    assert_eq!(&facts["create /new"], "!EROFS");
    assert_eq!(&facts["create /dev/shm/new"], "ok");
    assert!(facts.mounts().at("/").has("ro"));
}

#[test]
fn a_writable_root_is_writable() {
    let bundle = Bundle::with(|c| c["root"]["readonly"] = json!(false)).ask(&["create /new"]);
    assert_eq!(&bundle.facts()["create /new"], "ok");
    assert!(bundle.rootfs().join("new").exists());
}

#[test]
fn an_absolute_root_path_is_taken_as_it_is() {
    let mut bundle = Bundle::new();
    bundle.config["root"]["path"] = json!(bundle.path("rootfs"));
    assert_eq!(&bundle.ask(&["read /data/file"]).facts()["read /data/file"], "in the root");
}

#[test]
fn a_root_path_through_a_symlink_is_followed() {
    not_for!("runc", "refuses it");
    let mut bundle = Bundle::new();
    symlink("rootfs", bundle.dir.join("link")).unwrap();
    bundle.config["root"]["path"] = json!("link");
    assert_eq!(&bundle.ask(&["read /data/file"]).facts()["read /data/file"], "in the root");
}

#[test]
fn the_hosts_root_is_out_of_sight() {
    let bundle = Bundle::new().ask(&[MOUNTINFO, "list /"]);
    let facts = bundle.facts();
    let ours = ["/", "/proc", "/dev", "/sys"];
    for mount in facts.mounts().0 {
        let top = format!("/{}", mount.point.split('/').nth(1).unwrap_or(""));
        assert!(ours.contains(&top.as_str()), "{mount:?}");
    }
    assert_eq!(&facts["list /"], "bin data dev etc mnt probe proc run sys tmp");
}

#[test]
fn no_pivot_gives_the_same_root() {
    let bundle = Bundle::new().ask(&["list /", "create /new", "read /data/file"]);
    let facts = bundle.run_with(&["--no-pivot"]).facts();
    bundle.nothing_left();
    assert_eq!(&facts["list /"], "bin data dev etc mnt probe proc run sys tmp");
    assert_eq!(&facts["create /new"], "!EROFS");
    assert_eq!(&facts["read /data/file"], "in the root");
}

#[test]
fn the_root_propagates_as_asked() {
    not_for!("runc", "1.1 leaves the root private when asked for shared");
    for (word, expected) in [
        ("shared", vec!["shared"]),
        ("slave", vec!["master"]),
        ("private", vec![]),
        ("unbindable", vec!["unbindable"]),
    ] {
        let bundle = Bundle::with(|c| c["linux"]["rootfsPropagation"] = json!(word)).ask(&[MOUNTINFO]);
        let facts = bundle.facts();
        let mounts = facts.mounts();
        let found = mounts.at("/").propagates();
        // A slave needs a master: where the host's mounts are private there is none.
        let host_is_private = host::mounts().at("/").propagates().is_empty();
        if word == "slave" && host_is_private {
            assert!(!found.contains(&"shared"), "{word}: {found:?}");
        } else {
            assert_eq!(found, expected, "{word}");
        }
    }
}

#[test]
fn mounts_inside_do_not_show_outside() {
    let before = host::mounts().0.len();
    let bundle = Bundle::new().ask(&["sleep 300"]);
    let mut running = bundle.spawn();
    running.until("oom_score_adj");
    let ours = host::mounts().0.into_iter().filter(|m| m.point.contains(&bundle.id)).count();
    assert_eq!(ours, 0, "of {before} mounts");
    running.finish().ok();
}

#[test]
fn an_unknown_propagation_is_refused() {
    not_for!("crun", "takes it");
    let bundle = Bundle::with(|c| c["linux"]["rootfsPropagation"] = json!("sideways"));
    bundle.run().refused(&["rootfsPropagation"]);
}
