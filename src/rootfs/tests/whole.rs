//! Whole containers, with every step.

use super::*;

#[test]
fn a_usual_container_sees_its_own_root_and_nothing_of_the_host() {
    if !root_or_skip("a_usual_container") {
        return;
    }
    for no_pivot in [false, true] {
        let image = Image::new();
        fs::create_dir(image.root().join("etc")).unwrap();
        fs::write(image.root().join("etc/name"), "inside").unwrap();
        let wish = Wish {
            mounts: usual(),
            devices: nodes(),
            masked: vec![
                c"/proc/interrupts",
                c"/proc/acpi",
                c"/sys/firmware",
                c"/proc/nothing-there",
                c"/etc",
                c"/proc/scsi",
            ],
            readonly_paths: vec![c"/proc/sys", c"/proc/bus", c"/none"],
            readonly: true,
            no_pivot,
            ..Wish::default()
        };
        build(&image, &wish, Until::Sealed, |_| {
            let mut names: Vec<_> =
                fs::read_dir("/").unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["dev", "etc", "proc", "sys"]);
            assert_eq!(fs::write("/new", "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
            assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
            assert_eq!(fs::metadata("/dev/null").unwrap().permissions().mode() & 0o7777, 0o666);
            assert_eq!(fs::read_link("/dev/ptmx").unwrap(), Path::new("pts/ptmx"));
            assert_eq!(fs::read_link("/dev/fd").unwrap(), Path::new("/proc/self/fd"));
            assert_eq!(fs::metadata("/dev/shm").unwrap().permissions().mode() & 0o7777, 0o1777);
            // Masked: nothing to read in the file, nothing in the directory, not even what was there.
            assert_eq!(fs::read("/proc/interrupts").unwrap(), b"");
            assert_eq!(fs::read_dir("/etc").unwrap().count(), 0);
            assert_eq!(fs::write("/etc/x", "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
            let sysctl = fs::OpenOptions::new().write(true).open("/proc/sys/kernel/domainname");
            assert_eq!(sysctl.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
            if !no_pivot {
                // Every mount of the namespace that can be seen is ours: the old root is gone.
                let all = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
                assert!(!all.contains("/sys/fs/cgroup"), "{all}");
            }
        })
        .unwrap();
        // Mount points were made in the image; the host's mounts have not changed.
        assert!(image.root().join("proc").is_dir());
        assert!(mountinfo(image.root().to_str().unwrap()).is_none());
    }
}

#[test]
fn a_false_null_device_masks_nothing() {
    if !root_or_skip("a_false_null_device") {
        return;
    }
    let image = Image::new();
    fs::create_dir(image.root().join("dev")).unwrap();
    symlink("/proc/sysrq-trigger", image.root().join("dev/null")).unwrap();
    let wish = Wish { mounts: vec![usual()[0]], masked: vec![c"/proc/interrupts"], ..Wish::default() };
    let text = build(&image, &wish, Until::Sealed, |_| ()).unwrap_err().to_string();
    assert_eq!(text, "/dev/null: is not the null device");
}

#[test]
fn a_read_only_dev_still_gets_its_devices() {
    if !root_or_skip("a_read_only_dev") {
        return;
    }
    let image = Image::new();
    let mut mounts = usual();
    mounts[1].set |= libc::MOUNT_ATTR_RDONLY;
    build(&image, &Wish { mounts, devices: nodes(), ..Wish::default() }, Until::Sealed, |_| {
        assert!(fs::metadata("/dev/zero").unwrap().file_type().is_char_device());
        assert_eq!(fs::write("/dev/x", "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        fs::write("/dev/shm/x", "").unwrap();
    })
    .unwrap();
}

#[test]
fn cgroup_mounts_show_the_containers_own() {
    if !root_or_skip("cgroup_mounts") {
        return;
    }
    // The hierarchies of this host, each seen from where we are.
    let cgroups = fs::read_to_string("/proc/thread-self/cgroup").unwrap();
    let mounted = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let mut found: Vec<[CString; 3]> = vec![];
    for line in cgroups.lines() {
        let [_, controllers, path]: [&str; 3] = line.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
        let mountpoint = mounted.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (fstype, options) = (after.next()?, after.nth(1)?);
            let this = match controllers {
                "" => fstype == "cgroup2",
                _ => {
                    fstype == "cgroup"
                        && controllers.split(',').all(|one| options.split(',').any(|two| one == two))
                }
            };
            if this { before.split(' ').nth(4) } else { None }
        });
        if let Some(mountpoint) = mountpoint {
            found.push([controllers, path, mountpoint].map(|text| CString::new(text).unwrap()));
        }
    }
    if found.is_empty() {
        std::eprintln!("cgroup_mounts: skipped, no cgroups");
        return;
    }
    let hierarchies: Vec<_> = found
        .iter()
        .map(|[controllers, path, mountpoint]| Hierarchy { controllers, path, mountpoint, made: 0 })
        .collect();
    for namespaces in [libc::CLONE_NEWNS, libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP] {
        let image = Image::new();
        let mut mounts = usual();
        let set = libc::MOUNT_ATTR_RDONLY;
        mounts.push(Mount { set, ..new(c"cgroup", c"/sys/fs/cgroup", None) });
        let wish = Wish { mounts, namespaces, hierarchies: hierarchies.clone(), ..Wish::default() };
        build(&image, &wish, Until::Sealed, |_| {
            for [controllers, _, mountpoint] in &found {
                let alone = controllers.is_empty() && found.len() == 1;
                let name = mountpoint.to_str().unwrap().rsplit('/').next().unwrap();
                let at = if alone { "/sys/fs/cgroup".to_string() } else { format!("/sys/fs/cgroup/{name}") };
                assert!(Path::new(&at).join("cgroup.procs").exists(), "{at}");
                let line = mountinfo(&at).unwrap();
                assert!(readonly(&line), "{line}");
                for controller in controllers.to_str().unwrap().split(',').filter(|name| !name.is_empty()) {
                    let controller = controller.trim_start_matches("name=");
                    assert!(Path::new("/sys/fs/cgroup").join(controller).join("cgroup.procs").exists());
                }
            }
            assert!(fs::create_dir("/sys/fs/cgroup/x").is_err());
        })
        .unwrap();
    }
}

/// Runs one test of this program again, as root of a user namespace; true when this already is that run.
fn in_user_namespace(test: &str) -> bool {
    if std::env::var_os("ROOTFS_IN_USER_NAMESPACE").is_some() {
        return true;
    }
    let done = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("ROOTFS_IN_USER_NAMESPACE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    if text.contains("unshare failed") {
        std::eprintln!("{test}: skipped, no user namespaces: {text}");
    } else {
        let out = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && out.contains("1 passed"), "{out}{text}");
    }
    false
}

#[test]
fn a_user_namespace_gets_the_hosts_nodes_and_an_unwritable_sys() {
    if !in_user_namespace("rootfs::tests::whole::a_user_namespace_gets_the_hosts_nodes_and_an_unwritable_sys")
    {
        return;
    }
    let image = Image::new();
    fs::create_dir(image.0.join("data")).unwrap();
    let data = image.outside("data");
    let mut mounts = usual();
    // procfs wants a pid namespace of the same owner; mqueue an ipc namespace. A thread can't have them.
    mounts.retain(|mount| !matches!(mount.fstype.map(CStr::to_bytes), Some(b"proc" | b"mqueue")));
    mounts.push(Mount { set: libc::MOUNT_ATTR_RDONLY, ..bound(&data, c"/data") });
    // Came with the namespace and is locked: kept, where nothing says otherwise.
    mounts.push(bound(c"/proc", c"/proc"));
    let wish = Wish {
        mounts,
        devices: nodes(),
        masked: vec![c"/proc/interrupts", c"/sys/kernel"],
        readonly_paths: vec![c"/proc/sys"],
        namespaces: libc::CLONE_NEWNS | libc::CLONE_NEWUSER,
        ..Wish::default()
    };
    build(&image, &wish, Until::Sealed, |_| {
        let null = fs::metadata("/dev/null").unwrap();
        assert!(null.file_type().is_char_device() && null.rdev() == 0x103);
        fs::write("/dev/null", "x").unwrap();
        assert!(readonly(&mountinfo("/sys").unwrap()));
        assert!(readonly(&mountinfo("/data").unwrap()));
        assert!(mountinfo("/dev/pts").unwrap().contains(" devpts "));
        assert_eq!(fs::read("/proc/interrupts").unwrap(), b"");
        assert_eq!(fs::read_dir("/sys/kernel").unwrap().count(), 0);
        // Nothing that is mounted below /sys, cgroups least of all, can be written (CVE-2023-25809).
        let all = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        for line in all.lines() {
            let mut words = line.split(' ').skip(4);
            let (at, options) = (words.next().unwrap(), words.next().unwrap());
            assert!(!at.starts_with("/sys") || options.starts_with("ro"), "{line}");
        }
    })
    .unwrap();
}
