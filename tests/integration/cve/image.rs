//! A hostile root filesystem, as it lies there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::{Facts, MOUNTINFO};
use minirunc_tests::{not_for, only_ours};
use serde_json::json;

use super::on_the_images_dev;
use crate::terminal::Terminal;

/// A directory of the host, beside the root; nothing may come to be in it.
fn outside(bundle: &Bundle) -> PathBuf {
    let outside = bundle.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    outside
}

#[track_caller]
fn nothing_in(directory: &PathBuf) {
    let planted: Vec<_> = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(planted.is_empty(), "on the host: {planted:?}");
}

#[test]
fn cve_2019_16884_proc_is_not_covered_by_way_of_a_link() {
    // Without: rootfs/mount.rs asks whether the place that was found is in procfs. It is mounted, status 0.
    // A volume over /proc takes what the runtime writes there: labels, sysctls. The image hides the destination.
    only_ours!("1.1.5 and crun 1.8.1 check the words only");
    for (link, destination) in
        [("/proc", "/way"), ("proc", "/way"), ("/", "/way/proc"), ("/proc/sys", "/way/net")]
    {
        let mut bundle = Bundle::with(|c| c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"}));
        symlink(link, bundle.rootfs().join("way")).unwrap();
        fs::create_dir_all(bundle.dir.join("source/ipv4")).unwrap();
        let source = bundle.path("source");
        bundle.add_mount(
            json!({"destination": destination, "type": "bind", "source": source, "options": ["bind"]}),
        );
        bundle.run().refused(&["/proc"]);
    }
}

#[test]
fn cve_2019_18837_a_bind_through_the_images_links_stays_inside() {
    // Without: RESOLVE_IN_ROOT in rootfs/resolve.rs. A directory is made on the host.
    let targets = |bundle: &Bundle| [bundle.path("outside"), "../outside".into(), "/../../../outside".into()];
    for nth in 0..3 {
        let mut bundle = Bundle::with(|c| c["root"]["readonly"] = json!(false));
        let outside = outside(&bundle);
        symlink(&targets(&bundle)[nth], bundle.rootfs().join("way")).unwrap();
        let source = bundle.path("rootfs/data");
        bundle.add_mount(
            json!({"destination": "/way/in", "type": "bind", "source": source, "options": ["bind"]}),
        );
        bundle.run();
        nothing_in(&outside);
    }
}

#[test]
fn cve_2021_43784_a_string_too_long_for_the_bootstrap_is_refused() {
    // Without: both looks at the length, `MOST` in plan/translate/strings.rs and `close` in nsenter/src/attr.rs. What
    // follows the lowest 16 bits is read as attributes of its own.
    for length in [65_531, 65_536, 65_536 + 64] {
        let text = format!("{}{}", "x".repeat(length), "\u{8}\u{1}\u{1}");
        let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/probe", text]));
        bundle.run().refused(&["process.args[1]"]);
    }
}

#[test]
fn cve_2023_28642_sys_that_is_a_link_is_refused() {
    // Without: RESOLVE_NO_SYMLINKS for /proc and /sys in rootfs/mount.rs. It runs.
    // Its sisters: CVE-2023-27561, CVE-2019-19921, CVE-2025-54867.
    not_for!("crun", "resolves it in the root instead");
    for name in ["proc", "sys"] {
        let bundle = Bundle::new();
        fs::remove_dir(bundle.rootfs().join(name)).unwrap();
        symlink("/data", bundle.rootfs().join(name)).unwrap();
        bundle.run().refused(&[&format!("/{name}")]);
        assert_eq!(fs::read_dir(bundle.rootfs().join("data")).unwrap().count(), 1);
    }
}

#[test]
fn cve_2025_52565_a_planted_pts_is_not_bound_over_the_console() {
    // Without: the links forbidden and the devpts checked in terminal/pty.rs, and /dev/pts/0 bound by its name.
    only_ours!("the oracles installed here are older than the fix");
    let mut bundle = Bundle::new().ask(&[MOUNTINFO]);
    bundle.config["process"]["terminal"] = json!(true);
    on_the_images_dev(&mut bundle);
    bundle.add_mount(
        json!({"destination": "/dev/real", "type": "devpts", "source": "devpts", "options": ["newinstance"]}),
    );
    let pts = bundle.rootfs().join("dev/pts");
    fs::create_dir(&pts).unwrap();
    // Who trusts names opens ptmx, learns the number, and binds /dev/pts/N over /dev/console.
    symlink("../real/ptmx", pts.join("ptmx")).unwrap();
    symlink("/proc/version", pts.join("0")).unwrap();
    let mut terminal = Terminal::new(&bundle);
    if terminal.end() == 0 {
        let mounts = Facts::parse(&terminal.seen).mounts();
        assert_eq!(mounts.at("/dev/console").kind, "devpts");
    }
    bundle.nothing_left();
}

#[test]
fn cve_2026_88264_a_console_that_is_a_link_is_not_followed() {
    // Without: RESOLVE_NO_SYMLINKS in rootfs/device.rs, `console`. It is bound over the link's target.
    only_ours!("the oracles installed here are older than the fix");
    for target in ["/data/file", "/data/made", "/proc/sysrq-trigger"] {
        let mut bundle = Bundle::new().ask(&["stat /data/file", "read /data/file", MOUNTINFO]);
        bundle.config["process"]["terminal"] = json!(true);
        bundle.config["root"]["readonly"] = json!(false);
        for point in ["/dev", "/dev/shm", "/dev/mqueue"] {
            bundle.drop_mount(point);
        }
        symlink(target, bundle.rootfs().join("dev/console")).unwrap();
        let mut terminal = Terminal::new(&bundle);
        let status = terminal.end();
        assert!(!bundle.rootfs().join("data/made").exists(), "made through the link");
        if status == 0 {
            let mounts = Facts::parse(&terminal.seen).mounts();
            assert!(mounts.find(target).is_none(), "bound through the link: {:?}", mounts.find(target));
        }
        bundle.nothing_left();
    }
}

#[test]
fn cve_2026_41579_dev_that_is_a_link_makes_nothing_on_the_host() {
    // Without: RESOLVE_IN_ROOT in rootfs/resolve.rs. All of /dev is made on the host.
    // Also crun's CVE-2026-47766: without a mount on /dev, its path is the image's to choose.
    only_ours!("the oracles installed here are older than the fix, and do");
    let mut bundle = Bundle::with(|c| {
        c["linux"]["devices"] = json!([{"type": "p", "path": "/dev/planted", "fileMode": 0o600}]);
    });
    on_the_images_dev(&mut bundle);
    let outside = outside(&bundle);
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink(&outside, bundle.rootfs().join("dev")).unwrap();
    // What the old runtime unlinked was the host's.
    let _ = bundle.run();
    nothing_in(&outside);
}

#[test]
fn cve_2026_41579_a_ptmx_of_the_hosts_is_not_unlinked() {
    // Without: the same. The file is gone.
    only_ours!("the oracles installed here are older than the fix");
    let mut bundle = Bundle::new();
    on_the_images_dev(&mut bundle);
    let outside = outside(&bundle);
    fs::write(outside.join("ptmx"), "the host's").unwrap();
    fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink("../outside", bundle.rootfs().join("dev")).unwrap();
    let _ = bundle.run();
    assert_eq!(fs::read(outside.join("ptmx")).unwrap(), b"the host's");
}

#[test]
fn cve_2026_88265_the_hosts_null_device_keeps_its_owner() {
    // Without: the null device is excepted in terminal/pty.rs, `own`. The host's /dev/null belongs to 1000.
    let before = fs::metadata("/dev/null").unwrap();
    let bundle = Bundle::with(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    bundle.write();
    let mut command = bundle.run_command(&[]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    assert!(command.status().unwrap().success());
    let after = fs::metadata("/dev/null").unwrap();
    assert_eq!((before.uid(), before.gid(), before.mode()), (after.uid(), after.gid(), after.mode()));
}
