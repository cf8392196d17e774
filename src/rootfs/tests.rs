//! The real calls, on a temporary root, in a thread that has a mount namespace of its own: unshare(2) and
//! pivot_root(2) change that thread only. Without root's rights they say that they are skipped.

use std::ffi::{CStr, CString};
use std::format;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec;
use std::vec::Vec;

use nsenter::attr::{Message, Writer};

use super::*;
use crate::error::Result;
use crate::plan::device::Device;
use crate::plan::mount::{BIND, Mount, NO_BIND, RBIND};
use crate::plan::namespace::{Hierarchy, Namespace};
use crate::plan::{Noun, Plan, kind};

/// A directory to be a root, removed at the end.
struct Image(PathBuf);

impl Image {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rootfs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::create_dir(path.join("root")).unwrap();
        Self(path)
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn outside(&self, name: &str) -> CString {
        CString::new(self.0.join(name).as_os_str().as_bytes()).unwrap()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a test wants of the plan.
struct Wish<'a> {
    mounts: Vec<Mount<'a>>,
    devices: Vec<Device<'a>>,
    masked: Vec<&'a CStr>,
    readonly_paths: Vec<&'a CStr>,
    readonly: bool,
    no_pivot: bool,
    propagation: i32,
    namespaces: i32,
    hierarchies: Vec<Hierarchy<'a>>,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            mounts: vec![],
            devices: vec![],
            masked: vec![],
            readonly_paths: vec![],
            readonly: false,
            no_pivot: false,
            propagation: 0,
            namespaces: libc::CLONE_NEWNS,
            hierarchies: vec![],
        }
    }
}

const NEW: Mount<'_> = Mount {
    destination: c"/",
    fstype: None,
    source: None,
    bind: NO_BIND,
    remount: false,
    set: 0,
    clear: 0,
    recursive_set: 0,
    recursive_clear: 0,
    superblock: 0,
    superblock_clear: 0,
    propagation: 0,
    data: None,
    copy_up: false,
    copy_symlink: false,
    source_nofollow: false,
    destination_nofollow: false,
};

fn filesystem<'a>(fstype: &'a CStr, destination: &'a CStr, data: Option<&'a CStr>) -> Mount<'a> {
    Mount { destination, fstype: Some(fstype), source: Some(fstype), data, ..NEW }
}

fn bound<'a>(source: &'a CStr, destination: &'a CStr) -> Mount<'a> {
    Mount { destination, source: Some(source), bind: RBIND, ..NEW }
}

fn device(path: &CStr, major: u32, minor: u32) -> Device<'_> {
    Device { path, file_type: libc::S_IFCHR, major, minor, mode: 0o666, uid: 0, gid: 0 }
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Devices,
    Sealed,
}

fn root_or_skip(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        std::eprintln!("{test}: skipped, needs root");
    }
    root
}

/// Does it all in a thread of its own, then runs `look` there: in the root if sealed, else outside with its path.
fn build<T: Send>(
    image: &Image,
    wish: &Wish<'_>,
    until: Until,
    look: impl FnOnce(&Path) -> T + Send,
) -> Result<T> {
    let path = CString::new(image.root().as_os_str().as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut writer = Writer::new(&mut buffer, 1);
    crate::plan::root::Root {
        path: &path,
        readonly: wish.readonly,
        propagation: wish.propagation as u32,
        no_pivot: wish.no_pivot,
    }
    .emit(&mut writer);
    for bit in 0..32 {
        let flag = 1u32 << bit;
        if wish.namespaces as u32 & flag != 0 {
            Namespace { flag, path: None }.emit(&mut writer);
        }
    }
    wish.mounts.iter().for_each(|mount| mount.emit(&mut writer));
    wish.devices.iter().for_each(|device| device.emit(&mut writer));
    wish.masked.iter().for_each(|path| writer.string(kind::MASKED_PATH, path));
    wish.readonly_paths.iter().for_each(|path| writer.string(kind::READONLY_PATH, path));
    let message = writer.finish().unwrap();
    let mut setup = vec![0; 1 << 12];
    let mut writer = Writer::new(&mut setup, 2);
    wish.hierarchies.iter().for_each(|hierarchy| hierarchy.emit(&mut writer));
    let setup = writer.finish().unwrap();
    let (plan, setup) =
        (Plan::new(Message::parse(message).unwrap().0), Plan::new(Message::parse(setup).unwrap().0));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let flags = wish.namespaces & (libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP) | libc::CLONE_FS;
            unshare(flags);
            let root = isolate(&plan)?;
            mounts(&root, &plan, &setup)?;
            devices(&root, &plan)?;
            if until == Until::Devices {
                return Ok(look(&image.root()));
            }
            enter(root, &plan)?;
            seal(&plan)?;
            Ok(look(Path::new("/")))
        });
        thread.join().unwrap()
    })
}

#[allow(unsafe_code)]
fn unshare(flags: i32) {
    // SAFETY: the thread's own descriptors and memory are not unshared, so nothing that it borrows goes away.
    let done = unsafe { sc::syscall!(UNSHARE, flags) };
    crate::sys::check(done).unwrap();
}

fn usual<'a>() -> Vec<Mount<'a>> {
    let quiet = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_NODEV;
    vec![
        filesystem(c"proc", c"/proc", None),
        Mount {
            set: libc::MOUNT_ATTR_NOSUID,
            ..filesystem(c"tmpfs", c"/dev", Some(c"mode=755,size=65536k"))
        },
        filesystem(c"devpts", c"/dev/pts", Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5")),
        Mount { set: quiet, ..filesystem(c"tmpfs", c"/dev/shm", Some(c"mode=1777,size=65536k")) },
        Mount { set: quiet, ..filesystem(c"mqueue", c"/dev/mqueue", None) },
        Mount { set: quiet | libc::MOUNT_ATTR_RDONLY, ..filesystem(c"sysfs", c"/sys", None) },
    ]
}

fn nodes<'a>() -> Vec<Device<'a>> {
    vec![device(c"/dev/null", 1, 3), device(c"/dev/zero", 1, 5), device(c"/dev/tty", 5, 0)]
}

/// The line of mountinfo whose mount point it is, topmost.
fn mountinfo(mountpoint: &str) -> Option<String> {
    let all = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    all.lines().rfind(|line| line.split(' ').nth(4) == Some(mountpoint)).map(str::to_string)
}

fn refusal(wish: &Wish<'_>, image: &Image) -> String {
    build(image, wish, Until::Devices, |_| ()).unwrap_err().to_string()
}

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
                ..NEW
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
        assert!(line("rro").contains(" ro,"), "{}", line("rro"));
        assert_eq!(fs::read_to_string(root.join("etc/file")).unwrap(), "content");
        assert!(root.join("a/b/c/deep").is_dir());
    })
    .unwrap();
}

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
            filesystem(c"tmpfs", c"/absolute/made", None),
            filesystem(c"tmpfs", c"/climbing/top", None),
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
        let text = refusal(&Wish { mounts: vec![filesystem(fstype, at, None)], ..Wish::default() }, &image);
        assert_eq!(
            text,
            format!("mount: {}: must not be a symbolic link in the rootfs", at.to_str().unwrap())
        );
    }
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
    let proc = filesystem(c"proc", c"/proc", None);
    for (mounts, reason) in [
        (vec![bound(&fake, c"/proc")], "/proc: must be procfs"),
        (vec![filesystem(c"tmpfs", c"/./proc", None)], "/./proc: must be procfs"),
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
    assert_eq!(text, "open_tree /does/not/exist: ENOENT (No such file or directory)");
    let text = refusal(&Wish { mounts: vec![filesystem(c"nofs", c"/x", None)], ..Wish::default() }, &image);
    assert_eq!(text, "fsopen /x (nofs): ENODEV (No such device)");
    let wrong = filesystem(c"tmpfs", c"/x", Some(c"size=wide"));
    let text = refusal(&Wish { mounts: vec![wrong], ..Wish::default() }, &image);
    assert_eq!(text, "fsconfig /x: tmpfs: Bad value for 'size': EINVAL (Invalid argument)");
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
            ..filesystem(c"tmpfs", c"/var", Some(c"mode=700"))
        }],
        ..Wish::default()
    };
    build(&image, &wish, Until::Devices, |root| {
        let var = root.join("var");
        assert!(mountinfo(var.to_str().unwrap()).unwrap().contains(" ro,"));
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
            Mount { set: libc::MOUNT_ATTR_RDONLY, ..filesystem(c"tmpfs", c"/tmp", None) },
            filesystem(c"tmpfs", c"/tmp/below", None),
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
    assert_eq!(refusal(&wish, &image), "mknodat /dev/x: EEXIST (File exists)");
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

#[test]
fn without_a_mount_namespace_no_mount_is_made() {
    if !root_or_skip("without_a_mount_namespace") {
        return;
    }
    let image = Image::new();
    let wish = Wish { mounts: usual(), namespaces: 0, ..Wish::default() };
    assert!(refusal(&wish, &image).starts_with("mounts: need a mount namespace"));
    let wish = Wish { namespaces: 0, ..Wish::default() };
    let names = build(&image, &wish, Until::Sealed, |_| fs::read_dir("/").unwrap().count()).unwrap();
    assert_eq!(names, 1); // dev
    let wish = Wish { namespaces: 0, readonly: true, ..Wish::default() };
    assert!(build(&image, &wish, Until::Sealed, |_| ()).is_err());
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
    let overlay = Mount { set: libc::MOUNT_ATTR_NOSUID, ..filesystem(c"overlay", c"/merged", Some(&data)) };
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
        mounts.push(Mount { set, ..filesystem(c"cgroup", c"/sys/fs/cgroup", None) });
        let wish = Wish { mounts, namespaces, hierarchies: hierarchies.clone(), ..Wish::default() };
        build(&image, &wish, Until::Sealed, |_| {
            for [controllers, _, mountpoint] in &found {
                let alone = controllers.is_empty() && found.len() == 1;
                let name = mountpoint.to_str().unwrap().rsplit('/').next().unwrap();
                let at = if alone { "/sys/fs/cgroup".to_string() } else { format!("/sys/fs/cgroup/{name}") };
                assert!(Path::new(&at).join("cgroup.procs").exists(), "{at}");
                let line = mountinfo(&at).unwrap();
                assert!(line.contains(" ro,"), "{line}");
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
    if !in_user_namespace("rootfs::tests::a_user_namespace_gets_the_hosts_nodes_and_an_unwritable_sys") {
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
        assert!(mountinfo("/sys").unwrap().contains(" ro,"));
        assert!(mountinfo("/data").unwrap().contains(" ro,"));
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
