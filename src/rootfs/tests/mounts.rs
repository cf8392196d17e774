//! Mounts, one kind after the other.

use super::*;

#[test]
fn binds_take_attributes_and_make_their_mount_points() {
    if !root_or_skip("binds") {
        return;
    }
    let image = Image::new();
    fs::create_dir_all(image.0.join("data/deep")).unwrap();
    fs::write(image.0.join("file"), "content").unwrap();
    let (data, file) = (image.outside("data"), image.outside("file"));
    let wish = Wish {
        mounts: vec![
            Mount { set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV, ..bound(&data, c"/a/b/c/") },
            Mount { propagation: libc::MS_SHARED as u32 | libc::MS_REC as u32, ..bound(&file, c"/etc/file") },
            Mount { bind: BIND, set: libc::MOUNT_ATTR_NOATIME, ..bound(&data, c"/noatime") },
            Mount {
                destination: c"/noatime",
                remount: true,
                bind: BIND,
                set: libc::MOUNT_ATTR_RDONLY,
                ..BLANK
            },
            Mount { recursive_set: libc::MOUNT_ATTR_RDONLY, ..bound(&data, c"/rro") },
        ],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        let line = |path: &str| mountinfo(root.join(path).to_str().unwrap()).unwrap();
        assert!(line("a/b/c").contains(" ro,nodev"), "{}", line("a/b/c"));
        assert!(line("etc/file").contains(" shared:"), "{}", line("etc/file"));
        assert!(line("noatime").contains(" ro,noatime"), "{}", line("noatime"));
        assert!(readonly(&line("rro")), "{}", line("rro"));
        assert_eq!(fs::read_to_string(root.join("etc/file")).unwrap(), "content");
        assert!(root.join("a/b/c/deep").is_dir());
    })
    .unwrap();
}

#[test]
fn nothing_is_mounted_over_proc_or_into_it() {
    if !root_or_skip("nothing_is_mounted_over_proc") {
        return;
    }
    let image = Image::new();
    fs::create_dir(image.0.join("fake")).unwrap();
    symlink("proc/self", image.root().join("way-in")).unwrap();
    let fake = image.outside("fake");
    let proc = new(c"proc", c"/proc", None);
    for (mounts, reason) in [
        (vec![bound(&fake, c"/proc")], "/proc: must be procfs"),
        (vec![new(c"tmpfs", c"/./proc", None)], "/./proc: must be procfs"),
        (vec![proc, bound(&fake, c"/proc/self/attr")], "/proc/self/attr: must not be inside /proc"),
        (vec![proc, bound(&fake, c"/way-in/attr")], "/way-in/attr: must not be inside /proc"),
        (vec![bound(&fake, c"/x/../proc")], "/x/../proc: must not contain \"..\""),
        (vec![bound(&fake, c"/")], "/: is the rootfs itself"),
    ] {
        let text = refusal(&Wish { mounts, ..Wish::default() }, &image);
        assert_eq!(text, format!("mount: {reason}"));
    }
}

#[test]
fn numbers_in_proc_may_be_covered_and_procfs_may_be_bound() {
    if !root_or_skip("numbers_in_proc") {
        return;
    }
    let image = Image::new();
    fs::write(image.0.join("uptime"), "1 1\n").unwrap();
    let uptime = image.outside("uptime");
    let wish =
        Wish { mounts: vec![bound(c"/proc", c"/proc"), bound(&uptime, c"/proc/uptime")], ..Wish::default() };
    let inside =
        build(&image, &wish, Until::Devices, |root| fs::read_to_string(root.join("proc/uptime")).unwrap());
    assert_eq!(inside.unwrap(), "1 1\n");
}

#[test]
fn a_missing_source_or_filesystem_is_named() {
    if !root_or_skip("a_missing_source") {
        return;
    }
    let image = Image::new();
    let text = refusal(&Wish { mounts: vec![bound(c"/does/not/exist", c"/x")], ..Wish::default() }, &image);
    assert_eq!(text, "open_tree /does/not/exist: ENOENT (no such file or directory)");
    let text = refusal(&Wish { mounts: vec![new(c"nofs", c"/x", None)], ..Wish::default() }, &image);
    assert_eq!(text, "fsopen /x (nofs): ENODEV (no such device)");
    let wrong = new(c"tmpfs", c"/x", Some(c"size=wide"));
    let text = refusal(&Wish { mounts: vec![wrong], ..Wish::default() }, &image);
    assert_eq!(text, "fsconfig /x: tmpfs: Bad value for 'size': EINVAL (invalid argument)");
}

#[test]
fn tmpcopyup_keeps_what_it_hides() {
    if !root_or_skip("tmpcopyup") {
        return;
    }
    let image = Image::new();
    let var = image.root().join("var");
    fs::create_dir_all(var.join("deep/er")).unwrap();
    fs::write(var.join("deep/file"), vec![7; 100_000]).unwrap();
    symlink("file", var.join("deep/link")).unwrap();
    std::os::unix::fs::chown(var.join("deep/file"), Some(12), Some(34)).unwrap();
    fs::set_permissions(var.join("deep/file"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::set_permissions(&var, PermissionsExt::from_mode(0o1770)).unwrap();
    let wish = Wish {
        mounts: vec![Mount {
            copy_up: true,
            set: libc::MOUNT_ATTR_RDONLY,
            ..new(c"tmpfs", c"/var", Some(c"mode=700"))
        }],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        let var = root.join("var");
        assert!(readonly(&mountinfo(var.to_str().unwrap()).unwrap()));
        let file = fs::metadata(var.join("deep/file")).unwrap();
        assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (12, 34, 0o4751));
        assert_eq!(fs::read(var.join("deep/file")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::read_link(var.join("deep/link")).unwrap(), Path::new("file"));
        assert!(var.join("deep/er").is_dir());
        assert_eq!(fs::metadata(&var).unwrap().mode() & 0o7777, 0o1770);
    })
    .unwrap();
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_hides_and_mount_points_when_read_only() {
    if !root_or_skip("a_tmpfs") {
        return;
    }
    let image = Image::new();
    fs::create_dir(image.root().join("tmp")).unwrap();
    fs::set_permissions(image.root().join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    let wish = Wish {
        mounts: vec![
            Mount { set: libc::MOUNT_ATTR_RDONLY, ..new(c"tmpfs", c"/tmp", None) },
            new(c"tmpfs", c"/tmp/below", None),
        ],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        assert_eq!(fs::metadata(root.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
        assert_eq!(fs::write(root.join("tmp/x"), "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        fs::write(root.join("tmp/below/x"), "").unwrap();
    })
    .unwrap();
}

#[test]
fn options_too_long_for_fsconfig_reach_the_filesystem() {
    if !root_or_skip("options_too_long") {
        return;
    }
    let image = Image::new();
    let mut layers = vec![];
    for index in 0..12 {
        let layer = image.0.join(format!("layer-with-a-long-name-{index}"));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(format!("{index}")), "").unwrap();
        layers.push(layer.to_str().unwrap().to_string());
    }
    let data = CString::new(format!("lowerdir={}", layers.join(":"))).unwrap();
    let overlay = Mount { set: libc::MOUNT_ATTR_NOSUID, ..new(c"overlay", c"/merged", Some(&data)) };
    match build(&image, &Wish { mounts: vec![overlay], ..Wish::default() }, Until::Devices, |root| {
        assert_eq!(fs::read_dir(root.join("merged")).unwrap().count(), 12);
        assert!(mountinfo(root.join("merged").to_str().unwrap()).unwrap().contains("nosuid"));
    }) {
        Err(error) if error.errno() == Some(crate::error::Errno::NODEV) => {
            std::eprintln!("options_too_long: skipped, no overlayfs");
        }
        done => done.unwrap(),
    }
}
