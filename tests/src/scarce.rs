//! A machine that lacks something, for one command of the runtime only: mounts in a namespace of its own, cgroups around it,
//! a disk that is full. Nothing of it is seen by anybody else, and it ends with the command and the test.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use crate::host;
use crate::runtime::check;

/// A change to the command's own mount namespace.
#[derive(Debug)]
pub enum Change {
    /// What is mounted there is gone, with all below it.
    Unmount(CString),
    /// Nobody writes there, nor in what is mounted below it.
    ReadOnly(CString),
    /// What has the first name is there under the second one, too.
    Bind(CString, CString),
    /// This mount, which is attached nowhere, is there.
    Attach(RawFd, CString),
    /// This is the root; as a mount, or else pivot_root(2) would not take it for one.
    Root(CString),
}

/// Gives `command` a mount namespace of its own with these changes.
pub fn privately(command: &mut Command, changes: Vec<Change>) {
    // SAFETY: only system calls between fork and exec, on what was made before.
    unsafe {
        command.pre_exec(move || {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            mount(c"", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
            changes.iter().try_for_each(Change::make)
        });
    }
}

impl Change {
    fn make(&self) -> io::Result<()> {
        // SAFETY (all of this function): terminated strings; numbers.
        match self {
            Self::Unmount(at) => check(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) }),
            Self::ReadOnly(at) => {
                let read_only = libc::mount_attr {
                    attr_set: libc::MOUNT_ATTR_RDONLY,
                    attr_clr: 0,
                    propagation: 0,
                    userns_fd: 0,
                };
                check(unsafe {
                    libc::syscall(
                        libc::SYS_mount_setattr,
                        libc::AT_FDCWD,
                        at.as_ptr(),
                        libc::AT_RECURSIVE,
                        &raw const read_only,
                        size_of_val(&read_only),
                    )
                } as i32)
            }
            Self::Bind(from, to) => mount(from, to, libc::MS_BIND | libc::MS_REC),
            Self::Attach(tree, to) => {
                // A clone, since a mount can be attached once.
                let flags = libc::OPEN_TREE_CLONE | libc::AT_EMPTY_PATH as u32;
                let clone = unsafe { libc::syscall(libc::SYS_open_tree, *tree, c"".as_ptr(), flags) } as i32;
                check(clone)?;
                let (to, flags) = (to.as_ptr(), libc::MOVE_MOUNT_F_EMPTY_PATH);
                check(unsafe {
                    libc::syscall(libc::SYS_move_mount, clone, c"".as_ptr(), libc::AT_FDCWD, to, flags)
                } as i32)?;
                check(unsafe { libc::close(clone) })
            }
            Self::Root(at) => {
                mount(at, at, libc::MS_BIND | libc::MS_REC)?;
                check(unsafe { libc::chroot(at.as_ptr()) })?;
                check(unsafe { libc::chdir(c"/".as_ptr()) })
            }
        }
    }
}

fn mount(from: &CStr, to: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let none = ptr::null();
    // SAFETY: terminated strings, or none where mount(2) takes none.
    check(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, flags, none.cast()) })
}

pub fn c_path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().to_str().expect("utf-8")).expect("path")
}

/// A small file system that is mounted nowhere.
#[derive(Debug)]
pub struct Disk(OwnedFd);

impl Disk {
    /// A tmpfs that holds so many files (its root is one) and pages.
    pub fn new(files: usize, pages: usize) -> Self {
        let set = |fs: i32, command: u32, key: *const libc::c_char, value: *const libc::c_char| {
            // SAFETY: terminated strings, or none.
            let done = unsafe { libc::syscall(libc::SYS_fsconfig, fs, command, key, value, 0) };
            assert_eq!(done, 0, "fsconfig: {}", io::Error::last_os_error());
        };
        let [files, pages] = [files, pages].map(|number| CString::new(number.to_string()).expect("number"));
        // SAFETY: terminated strings; descriptors that the kernel has just made.
        unsafe {
            let fs = libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), libc::FSOPEN_CLOEXEC) as i32;
            assert!(fs >= 0, "fsopen: {}", io::Error::last_os_error());
            let fs = OwnedFd::from_raw_fd(fs);
            for (key, value) in [(c"nr_inodes", &files), (c"nr_blocks", &pages)] {
                set(fs.as_raw_fd(), libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr());
            }
            set(fs.as_raw_fd(), libc::FSCONFIG_CMD_CREATE, ptr::null(), ptr::null());
            let mount = libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), libc::FSMOUNT_CLOEXEC, 0) as i32;
            assert!(mount >= 0, "fsmount: {}", io::Error::last_os_error());
            Self(OwnedFd::from_raw_fd(mount))
        }
    }

    /// It, for one command, at this place.
    pub fn at(&self, place: &Path) -> Change {
        Change::Attach(self.0.as_raw_fd(), c_path(place))
    }

    /// A name in it, for us.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }

    /// What is in it, but for ballast.
    pub fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("")).expect("disk").flatten().map(|entry| entry.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("ballast"))
            .collect()
    }

    /// Makes files until there is room for this many only; how many were made.
    pub fn leave_files(&self, room: usize) -> usize {
        let ballast = |nth: usize| self.path(&format!("ballast.{nth}"));
        let made = (0..).take_while(|&nth| fs::write(ballast(nth), "").is_ok()).count();
        (made.saturating_sub(room)..made).for_each(|nth| fs::remove_file(ballast(nth)).expect("ballast"));
        made
    }

    /// Fills it until there are this many free pages only; how many there were.
    pub fn leave_pages(&self, room: usize) -> usize {
        let ballast = self.path("ballast");
        let _ = fs::write(&ballast, vec![1; 1 << 20]);
        let pages = fs::metadata(&ballast).expect("ballast").len() as usize / 4096;
        let file = fs::OpenOptions::new().write(true).open(&ballast).expect("ballast");
        file.set_len(4096 * pages.saturating_sub(room) as u64).expect("ballast");
        pages
    }

    /// Takes the ballast away.
    pub fn make_room(&self) {
        for entry in fs::read_dir(self.path("")).expect("disk").flatten() {
            if entry.file_name().to_string_lossy().starts_with("ballast") {
                fs::remove_file(entry.path()).expect("ballast");
            }
        }
    }
}

/// A cgroup around the runtime, with a limit.
#[derive(Debug)]
pub struct Fence {
    dir: PathBuf,
    limit: PathBuf,
    procs: CString,
}

impl Fence {
    /// By `controller`, whose limit has these names in cgroups v1 and v2. None where the machine has no such controller.
    pub fn new(controller: &str, [v1, v2]: [&str; 2]) -> Option<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = host::controller(controller)?.join(format!("fence-{}-{nth}", std::process::id()));
        fs::create_dir(&dir).expect("cgroup");
        let fence = Self {
            limit: dir.join(if host::v2() { v2 } else { v1 }),
            procs: c_path(dir.join("cgroup.procs")),
            dir,
        };
        // Not handed down by the root of cgroup v2.
        fence.limit.exists().then_some(fence)
    }

    pub fn set(&self, limit: usize) {
        fs::write(&self.limit, limit.to_string()).expect("limit");
    }

    /// Starts `command` inside.
    pub fn around(&self, command: &mut Command) {
        let procs = self.procs.clone();
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                check(fd)?;
                check(libc::write(fd, c"0".as_ptr().cast(), 1) as i32)
            });
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let gone = || Vec::from_iter(fs::remove_dir(&self.dir).err());
        let left = host::eventually_nothing(gone);
        if !std::thread::panicking() {
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// Gives `command` a user namespace, with root mapped, where there may be no more namespaces of one kind
/// (`/proc/sys/user/max_*_namespaces`, namespaces(7)).
pub fn without_namespaces(command: &mut Command, kind: &str) {
    let limit = c_path(format!("/proc/sys/user/max_{kind}_namespaces"));
    let put = |path: &CStr, text: &CStr| {
        // SAFETY: only system calls between fork and exec.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            check(fd)?;
            check(libc::write(fd, text.as_ptr().cast(), text.to_bytes().len()) as i32)
        }
    };
    // SAFETY: as above.
    unsafe {
        command.pre_exec(move || {
            check(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
            put(c"/proc/self/setgroups", c"deny")?;
            put(c"/proc/self/uid_map", c"0 0 1")?;
            put(c"/proc/self/gid_map", c"0 0 1")?;
            put(&limit, c"0")
        });
    }
}
