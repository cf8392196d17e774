//! A volume whose other user renames while the container is being made. Each race has some two thousand rounds.

use std::fs;
use std::os::unix::fs::symlink;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::only_ours;
use minirunc_tests::runtime::rounds;
use serde_json::json;

use super::{Swapper, on_the_images_dev};

/// Chances for the attacker in one run, and runs.
const CHANCES: usize = 40;
const RUNS: usize = 50;

#[test]
fn cve_2021_30465_a_destination_exchanged_for_a_link_stays_inside() {
    // Without: RESOLVE_IN_ROOT in rootfs/resolve.rs. Mounts are missing inside.
    only_ours!("the oracles installed here are older than the fix, or give up otherwise");
    // Also CVE-2024-45310: the directories that are made for the mounts.
    let mut bundle = Bundle::with(|c| c["root"]["readonly"] = json!(false)).ask(&[MOUNTINFO]);
    let volume = bundle.rootfs().join("data/volume");
    fs::create_dir_all(volume.join("real")).unwrap();
    symlink("../../../outside", volume.join("link")).unwrap();
    let outside = bundle.dir.join("outside");
    fs::create_dir_all(outside.join("there")).unwrap();
    for nth in 0..CHANCES {
        // What is there on the host, and what would have to be made.
        let name = if nth % 2 == 0 { "there".into() } else { format!("new{nth}") };
        let destination = format!("/data/volume/real/{name}");
        bundle.add_mount(
            json!({"destination": destination, "type": "tmpfs", "source": format!("chance{nth}")}),
        );
    }
    let swapper = Swapper::new(&volume, "real", "link");
    for _ in 0..rounds(RUNS) {
        let out = bundle.run();
        if out.code() == 0 {
            let mounts = out.facts().mounts();
            let inside = mounts.0.iter().filter(|mount| mount.source.starts_with("chance")).count();
            assert_eq!(inside, CHANCES, "the others are mounted somewhere else");
        }
        let made: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(made, ["there"], "made on the host");
    }
    swapper.stop();
}

#[test]
fn cve_2025_31133_a_dev_null_exchanged_for_a_link_masks_nothing() {
    // Without: O_NOFOLLOW and the look at the device in rootfs/mask.rs. The planted file is read. Also CVE-2025-62161.
    only_ours!("the oracles installed here are older than the fix");
    let masked: Vec<_> = (0..CHANCES).map(|nth| format!("/data/secret{nth}")).collect();
    let mut bundle = Bundle::with(|c| c["linux"]["maskedPaths"] = json!(masked));
    on_the_images_dev(&mut bundle);
    for path in &masked {
        fs::write(bundle.rootfs().join(&path[1..]), "secret").unwrap();
    }
    fs::write(bundle.rootfs().join("data/planted"), "planted").unwrap();
    let dev = bundle.rootfs().join("dev");
    make_null(&dev.join("null"));
    symlink("/data/planted", dev.join("link")).unwrap();
    let questions: Vec<_> = masked.iter().map(|path| format!("read {path}")).collect();
    let bundle = bundle.ask(&questions);
    let swapper = Swapper::new(&dev, "null", "link");
    for _ in 0..rounds(RUNS) {
        let out = bundle.run();
        for question in questions.iter().filter(|_| out.code() == 0) {
            assert_eq!(&out.facts()[question], "", "{question}");
        }
    }
    swapper.stop();
}

/// Makes a node like /dev/null.
fn make_null(path: &std::path::Path) {
    let made = std::process::Command::new("mknod").arg("-m666").arg(path).args(["c", "1", "3"]).status();
    assert!(made.expect("mknod").success());
}

#[test]
fn cve_2025_52881_a_sysctl_is_written_to_the_kernel_whatever_is_mounted() {
    // Without: rootfs/mount.rs asks whether the place that was found is in procfs. The planted value is read.
    // Also CVE-2019-19921 and CVE-2025-62596: writes to /proc were led to files of the attacker's choice.
    only_ours!("the oracles installed here are older than the fix");
    let mut bundle = Bundle::with(|c| {
        c["root"]["readonly"] = json!(false);
        c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    })
    .ask(&["read /proc/sys/net/ipv4/ip_forward", MOUNTINFO]);
    let volume = bundle.rootfs().join("data/volume");
    fs::create_dir_all(volume.join("real/ipv4")).unwrap();
    symlink("/proc/sys/net", volume.join("link")).unwrap();
    fs::create_dir(bundle.dir.join("planted")).unwrap();
    fs::write(bundle.dir.join("planted/ip_forward"), "0").unwrap();
    let source = bundle.path("planted");
    for _ in 0..CHANCES {
        let destination = "/data/volume/real/ipv4";
        bundle.add_mount(
            json!({"destination": destination, "type": "bind", "source": source, "options": ["bind"]}),
        );
    }
    let swapper = Swapper::new(&volume, "real", "link");
    for _ in 0..rounds(RUNS) {
        let out = bundle.run();
        if out.code() == 0 {
            let facts = out.facts();
            assert_eq!(facts["read /proc/sys/net/ipv4/ip_forward"].trim(), "1");
            let covered = facts.mounts().0.into_iter().find(|mount| mount.point.starts_with("/proc/sys/net"));
            assert!(covered.is_none(), "{covered:?}");
        }
        assert_eq!(fs::read(bundle.dir.join("planted/ip_forward")).unwrap(), b"0", "written to the volume");
    }
    swapper.stop();
}
