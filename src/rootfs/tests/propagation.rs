//! What the host sees of it, and the container of the host.

use super::*;

#[test]
fn the_root_propagates_as_asked() {
    if !root_or_skip("the_root_propagates") {
        return;
    }
    for (propagation, shown) in [
        (0, None),
        (libc::MS_PRIVATE, None),
        (libc::MS_SLAVE, None),
        (libc::MS_SHARED, Some(" shared:")),
        (libc::MS_SHARED | libc::MS_REC, Some(" shared:")),
        (libc::MS_UNBINDABLE, Some(" unbindable")),
    ] {
        let image = Image::new();
        let wish = Wish { mounts: vec![usual()[0]], propagation: propagation as i32, ..Wish::default() };
        let line = build(&image, &wish, Until::Sealed, |_| mountinfo("/").unwrap()).unwrap();
        match shown {
            Some(word) => assert!(line.contains(word), "{line}"),
            None => assert!(!line.contains(" shared:") && !line.contains(" unbindable"), "{line}"),
        }
    }
}

/// As on a host run by systemd, where every mount is shared.
fn on_a_sharing_host<T: Send>(look: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(libc::CLONE_NEWNS | libc::CLONE_FS);
            let host = open("/");
            pivot::propagate(&host, (libc::MS_PRIVATE | libc::MS_REC) as u32).unwrap();
            pivot::propagate(&host, (libc::MS_SHARED | libc::MS_REC) as u32).unwrap();
            look()
        });
        thread.join().unwrap()
    })
}

#[test]
fn nothing_appears_or_vanishes_on_a_host_that_shares_its_mounts() {
    if !root_or_skip("nothing_appears") {
        return;
    }
    for (propagation, no_pivot) in [
        (libc::MS_SLAVE | libc::MS_REC, false),
        (libc::MS_SLAVE | libc::MS_REC, true),
        (libc::MS_PRIVATE, false),
        (libc::MS_SHARED, false),
        (libc::MS_SHARED | libc::MS_REC, false),
        (libc::MS_SHARED | libc::MS_REC, true),
        (libc::MS_UNBINDABLE | libc::MS_REC, false),
    ] {
        let image = Image::new();
        let wish = Wish { mounts: usual(), no_pivot, propagation: propagation as i32, ..Wish::default() };
        on_a_sharing_host(|| {
            let table = || {
                let all = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
                all.lines().map(|line| line.split(' ').nth(4).unwrap().to_string()).collect::<Vec<_>>()
            };
            let before = table();
            build(&image, &wish, Until::Sealed, |_| ()).unwrap();
            assert_eq!(table(), before, "{propagation:#x}");
        });
    }
}

#[test]
fn a_volume_propagates_as_it_asks() {
    if !root_or_skip("a_volume_propagates") {
        return;
    }
    let image = Image::new();
    fs::create_dir_all(image.0.join("volume")).unwrap();
    let volume = image.outside("volume");
    let shared = (libc::MS_SHARED | libc::MS_REC) as u32;
    for (root, asked, seen) in [
        (libc::MS_SHARED, shared, true),
        (libc::MS_SLAVE | libc::MS_REC, shared, false),
        (libc::MS_SHARED, (libc::MS_PRIVATE | libc::MS_REC) as u32, false),
    ] {
        let mounts = vec![Mount { propagation: asked, ..bound(&volume, c"/volume") }];
        let wish = Wish { mounts, propagation: root as i32, ..Wish::default() };
        let line = on_a_sharing_host(|| {
            // A mount of its own: the one that the root is on becomes private.
            let tmpfs = filesystem::Filesystem::open(c"tmpfs", c"/volume").unwrap().mount(0).unwrap();
            crate::sys::mount::attach(&tmpfs, open(volume.to_str().unwrap())).unwrap();
            fs::create_dir(image.0.join("volume/up")).unwrap();
            build(&image, &wish, Until::Sealed, |_| {
                let tmpfs = mask::nowhere(c"/volume/up", None).unwrap();
                crate::sys::mount::attach(&tmpfs, open("/volume/up")).unwrap();
            })
            .unwrap();
            mountinfo(image.0.join("volume/up").to_str().unwrap())
        });
        assert_eq!(line.is_some(), seen, "{root:#x} {asked:#x}: {line:?}");
    }
}
