//! Links of the image, and what is made where they point: devices, the console, copies.

use super::*;

#[test]
fn links_in_the_image_lead_nowhere_but_into_the_image() {
    if !root_or_skip("links") {
        return;
    }
    let image = Image::new();
    let victim = image.0.join("victim");
    fs::create_dir(&victim).unwrap();
    let root = image.root();
    fs::create_dir(root.join("etc")).unwrap();
    // Absolute, climbing, and dangling links; all of them name something on the host or would make it there.
    symlink(&victim, root.join("absolute")).unwrap();
    symlink("../../../../../../../../../..", root.join("climbing")).unwrap();
    symlink("../run/resolve/stub.conf", root.join("etc/resolv.conf")).unwrap();
    fs::write(image.0.join("file"), "content").unwrap();
    let file = image.outside("file");
    let wish = Wish {
        mounts: vec![
            new(c"tmpfs", c"/absolute/made", None),
            new(c"tmpfs", c"/climbing/top", None),
            bound(&file, c"/etc/resolv.conf"),
        ],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        assert!(mountinfo(root.join("top").to_str().unwrap()).is_some());
        assert_eq!(fs::read_to_string(root.join("run/resolve/stub.conf")).unwrap(), "content");
        let inside = root.join(victim.strip_prefix("/").unwrap()).join("made");
        assert!(mountinfo(inside.to_str().unwrap()).is_some());
    })
    .unwrap();
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    assert!(!Path::new("/top").exists() && !Path::new("/run/resolve").exists());
}

#[test]
fn a_link_at_proc_or_sys_is_refused() {
    if !root_or_skip("a_link_at_proc_or_sys") {
        return;
    }
    for (fstype, at, name) in
        [(c"proc", c"/proc", "proc"), (c"sysfs", c"/sys", "sys"), (c"proc", c"/a/proc", "a")]
    {
        let image = Image::new();
        fs::create_dir(image.root().join("tmp")).unwrap();
        symlink("tmp", image.root().join(name)).unwrap();
        let text = refusal(&Wish { mounts: vec![new(fstype, at, None)], ..Wish::default() }, &image);
        assert_eq!(
            text,
            format!(
                "mount: {}: must be mounted on ordinary directory, not on a symbolic link",
                at.to_str().unwrap()
            )
        );
    }
}

#[test]
fn devices_are_exact_and_what_is_there_is_checked() {
    if !root_or_skip("devices") {
        return;
    }
    let image = Image::new();
    let special = Device { mode: 0o4, uid: 3, gid: 4, ..device(c"/dev/deep/special", 1, 8) };
    let fifo = Device { file_type: libc::S_IFIFO, major: 0, minor: 0, ..device(c"/srv/fifo", 0, 0) };
    let ptmx = device(c"/dev/ptmx", 5, 2);
    let wish = Wish { mounts: usual(), devices: vec![special, fifo, special, ptmx], ..Wish::default() };
    build(&image, &wish, Until::Devices, |root| {
        let node = fs::metadata(root.join("dev/deep/special")).unwrap();
        assert_eq!((node.uid(), node.gid(), node.mode(), node.rdev()), (3, 4, libc::S_IFCHR | 0o4, 0x108));
        assert!(fs::metadata(root.join("srv/fifo")).unwrap().file_type().is_fifo());
        assert_eq!(fs::read_link(root.join("dev/ptmx")).unwrap(), Path::new("pts/ptmx"));
    })
    .unwrap();
    let wish = Wish {
        mounts: usual(),
        devices: vec![device(c"/dev/x", 1, 3), device(c"/dev/x", 1, 5)],
        ..Wish::default()
    };
    assert_eq!(refusal(&wish, &image), "mknodat /dev/x: EEXIST (file exists)");
    // What a bind leaves behind.
    fs::create_dir_all(image.root().join("dev")).unwrap();
    fs::write(image.root().join("dev/null"), "").unwrap();
    let wish = Wish { devices: vec![device(c"/dev/null", 1, 3)], ..Wish::default() };
    build(&image, &wish, Until::Devices, |root| {
        assert!(fs::metadata(root.join("dev/null")).unwrap().file_type().is_char_device());
    })
    .unwrap();
}

#[test]
fn a_link_at_dev_touches_nothing_on_the_host() {
    if !root_or_skip("a_link_at_dev") {
        return;
    }
    let image = Image::new();
    let victim = image.0.join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("ptmx"), "keep").unwrap();
    symlink(&victim, image.root().join("dev")).unwrap();
    let _ = build(&image, &Wish { devices: nodes(), ..Wish::default() }, Until::Devices, |_| ());
    assert_eq!(fs::read_to_string(victim.join("ptmx")).unwrap(), "keep");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

#[test]
fn the_console_is_the_terminal_and_no_link_is_followed() {
    if !root_or_skip("the_console") {
        return;
    }
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, unlockpt};
    let image = Image::new();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    build(&image, &Wish { mounts: usual(), devices: nodes(), ..Wish::default() }, Until::Sealed, |_| {
        let master = open("/dev/ptmx");
        let _ = grantpt(&master);
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        console(slave.as_fd()).unwrap();
        assert_eq!(fs::metadata("/dev/console").unwrap().rdev() >> 8, 136);
        // Again, now that it is there; then a link in its place, then something that is no terminal.
        console(slave.as_fd()).unwrap();
        rustix::mount::unmount(c"/dev/console", rustix::mount::UnmountFlags::DETACH).unwrap();
        rustix::mount::unmount(c"/dev/console", rustix::mount::UnmountFlags::DETACH).unwrap();
        fs::remove_file("/dev/console").unwrap();
        symlink("/proc/sysrq-trigger", "/dev/console").unwrap();
        let error = console(slave.as_fd()).unwrap_err().to_string();
        assert_eq!(error, "open /dev/console: ELOOP (symbolic link loop)");
        let null = open("/dev/null");
        assert!(console(null.as_fd()).unwrap_err().to_string().starts_with("/dev/console: "));
    })
    .unwrap();
}

#[test]
fn links_are_bound_or_copied_as_links_when_asked() {
    if !root_or_skip("links_are_bound") {
        return;
    }
    let image = Image::new();
    fs::write(image.0.join("file"), "content").unwrap();
    symlink("file", image.0.join("link")).unwrap();
    fs::write(image.root().join("old"), "old").unwrap();
    symlink("old", image.root().join("there")).unwrap();
    let (file, link) = (image.outside("file"), image.outside("link"));
    let wish = Wish {
        mounts: vec![
            Mount { copy_symlink: true, ..bound(&link, c"/new/copy") },
            Mount { copy_symlink: true, ..bound(&link, c"/new/copy") },
            Mount { copy_symlink: true, ..bound(&file, c"/file") },
            Mount { source_nofollow: true, bind: BIND, ..bound(&link, c"/bound") },
            Mount { destination_nofollow: true, bind: BIND, ..bound(&file, c"/there") },
        ],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        assert_eq!(fs::read_link(root.join("new/copy")).unwrap(), Path::new("file"));
        assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "content");
        assert_eq!(fs::read_link(root.join("bound")).unwrap(), Path::new("file"));
        assert_eq!(fs::read_to_string(root.join("there")).unwrap(), "content");
        assert_eq!(fs::read_to_string(root.join("old")).unwrap(), "old");
    })
    .unwrap();
}

/// CVE-2021-30465 and CVE-2024-45310: whoever shares a volume exchanges a directory for a link, all the time.
#[test]
fn a_directory_exchanged_for_a_link_leads_nothing_out() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::AtomicBool;
    if !root_or_skip("a_directory_exchanged") {
        return;
    }
    let image = Image::new();
    let victim = image.0.join("victim");
    fs::create_dir(&victim).unwrap();
    fs::create_dir_all(image.root().join("volume/deep")).unwrap();
    symlink("../../victim", image.root().join("volume/link")).unwrap();
    let wish = Wish {
        mounts: vec![
            new(c"tmpfs", c"/volume/deep/a/b", None),
            bound(c"/proc/version", c"/volume/deep/c/file"),
        ],
        devices: vec![device(c"/volume/deep/d/null", 1, 3)],
        ..Wish::default()
    };
    let (deep, link) = (image.outside("root/volume/deep"), image.outside("root/volume/link"));
    let (stop, mut built) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &*deep, CWD, &*link, RenameFlags::EXCHANGE).unwrap();
                std::thread::yield_now();
            }
        });
        for _ in 0..100 {
            // It may fail, in the middle of an exchange; what counts is where it went.
            let looked = build(&image, &wish, Until::Devices, |_| {
                let mounted = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
                (mounted, fs::read_dir(&victim).unwrap().count())
            });
            if let Ok((mounted, made)) = looked {
                built += 1;
                if mounted.contains(victim.to_str().unwrap()) || made != 0 {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{made} made, mounted:\n{mounted}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(built > 0);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}
