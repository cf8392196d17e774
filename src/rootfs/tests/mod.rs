//! The real calls, on a temporary root, in a thread that has a mount namespace of its own: unshare(2) and
//! pivot_root(2) change that thread only. Without root's rights they say that they are skipped.

mod links;
mod mounts;
mod propagation;
mod whole;

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
use crate::plan::mount::{BIND, BLANK, Mount, RBIND};
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

fn new<'a>(fstype: &'a CStr, destination: &'a CStr, data: Option<&'a CStr>) -> Mount<'a> {
    Mount { destination, fstype: Some(fstype), source: Some(fstype), data, ..BLANK }
}

fn bound<'a>(source: &'a CStr, destination: &'a CStr) -> Mount<'a> {
    Mount { destination, source: Some(source), bind: RBIND, ..BLANK }
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
            rustix::process::umask(rustix::fs::Mode::empty());
            let root = isolate(&plan, None, false)?;
            mounts(&root, &plan, &setup, &mut || Ok(None))?;
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

fn open(path: &str) -> OwnedFd {
    use rustix::fs::{CWD, Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, CString::new(path).unwrap().as_c_str(), flags, Mode::empty()).unwrap()
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
        new(c"proc", c"/proc", None),
        Mount { set: libc::MOUNT_ATTR_NOSUID, ..new(c"tmpfs", c"/dev", Some(c"mode=755,size=65536k")) },
        new(c"devpts", c"/dev/pts", Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5")),
        Mount { set: quiet, ..new(c"tmpfs", c"/dev/shm", Some(c"mode=1777,size=65536k")) },
        Mount { set: quiet, ..new(c"mqueue", c"/dev/mqueue", None) },
        Mount { set: quiet | libc::MOUNT_ATTR_RDONLY, ..new(c"sysfs", c"/sys", None) },
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

/// Whether a line of mountinfo tells of a read-only mount.
fn readonly(line: &str) -> bool {
    line.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro")
}

fn refusal(wish: &Wish<'_>, image: &Image) -> String {
    build(image, wish, Until::Devices, |_| ()).unwrap_err().to_string()
}
