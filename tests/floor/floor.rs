//! The floor: the kernel calls that `runc spec`'s default container is made of, one after another.
//!
//! Nothing is read, parsed, chosen or stored; what a runtime has to find out comes as arguments. So its time is
//! what the kernel asks for the container, and a runtime's ratio to it is what the runtime adds.
//!
//!     floor ROOTFS NAME PROGRAM DIR...
//!
//! `DIR`s are the directories in which the cgroup `NAME` is made: one per v1 hierarchy, then `unified`'s where there
//! is one; a single DIR that is the root of cgroup v2 means v2. `sh tests/bench.sh --verify` compares what is inside
//! with what runc makes of the same bundle.

#![no_main]
#![allow(unsafe_code)]
// One call a line reads better than a safety comment a call. SAFETY, for all of them: every pointer is a string
// literal or a buffer that outlives its call, and the process is single-threaded.
#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "device_program.rs"]
mod device_program;
#[path = "process.rs"]
mod process;

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::ptr::null;

use process::{Path, confine, ok};

use libc::{
    MNT_DETACH, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT,
    MS_SLAVE, MS_STRICTATIME,
};

/// More v1 hierarchies than the kernel has.
const HIERARCHIES: usize = 16;
const NO: c_ulong = MS_NOSUID | MS_NOEXEC | MS_NODEV;
fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: c_ulong, data: Option<&CStr>) {
    let data = data.map_or(null(), CStr::as_ptr);
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.cast()) };
    ok(done, target);
}

/// A bind mount that is then given its flags: the kernel ignores them on the first call.
fn bind(source: *const c_char, target: *const c_char, flags: c_ulong) -> c_int {
    unsafe {
        let done = libc::mount(source, target, null(), MS_BIND | MS_REC, null());
        if done < 0 {
            return done;
        }
        ok(libc::mount(null(), target, null(), MS_BIND | MS_REMOUNT | flags, null()), c"remount")
    }
}

fn write(directory: &[u8], file: &[u8], values: &[&[u8]]) {
    let path = Path::new(&[directory, file]);
    let fd = ok(unsafe { libc::open(path.at(), libc::O_WRONLY | libc::O_CLOEXEC) }, c"open cgroup file");
    for value in values {
        ok(unsafe { libc::write(fd, value.as_ptr().cast(), value.len()) } as i64, c"write cgroup file");
    }
    unsafe { libc::close(fd) };
}

/// A new cpuset cgroup is empty and takes no task before it has processors and memory.
fn inherit(parent: &[u8], child: &[u8], file: &[u8]) {
    let mut value = [0u8; 256];
    let path = Path::new(&[parent, file]);
    let fd = ok(unsafe { libc::open(path.at(), libc::O_RDONLY | libc::O_CLOEXEC) }, c"open cpuset");
    let length = ok(unsafe { libc::read(fd, value.as_mut_ptr().cast(), 256) } as i64, c"read cpuset");
    unsafe { libc::close(fd) };
    write(child, file, &[&value[..length as usize]]);
}

struct Cgroups<'a> {
    parents: &'a [*const c_char],
    name: &'a [u8],
    v2: bool,
    /// v1: each hierarchy's `tasks`, for the child to write `0` into.
    tasks: [c_int; HIERARCHIES],
    /// v2 and `unified`: for CLONE_INTO_CGROUP.
    into: c_int,
}

impl<'a> Cgroups<'a> {
    fn make(parents: &'a [*const c_char], name: &'a [u8]) -> Self {
        let root = unsafe { libc::access(c"/sys/fs/cgroup/cgroup.controllers".as_ptr(), libc::F_OK) } == 0;
        let mut made = Self { parents, name, v2: root, tasks: [-1; HIERARCHIES], into: -1 };
        for (index, &parent) in parents.iter().enumerate() {
            let parent = unsafe { CStr::from_ptr(parent) }.to_bytes();
            let parts = [parent, b"/", name];
            let path = Path::new(&parts);
            ok(unsafe { libc::mkdir(path.at(), 0o755) }, c"mkdir cgroup");
            let directory = &path.0[..path.1];
            if root || made.controller(index) == b"unified" {
                made.into =
                    ok(unsafe { libc::open(path.at(), libc::O_PATH | libc::O_CLOEXEC) }, c"open cgroup");
                if root {
                    device_program::attach(path.at());
                }
                continue;
            }
            match made.controller(index) {
                b"cpuset" => {
                    inherit(parent, directory, b"/cpuset.cpus");
                    inherit(parent, directory, b"/cpuset.mems");
                }
                b"devices" => {
                    write(directory, b"/devices.deny", &[b"a"]);
                    write(directory, b"/devices.allow", &device_program::RULES.map(|rule| rule.text));
                }
                _ => {}
            }
            let tasks = Path::new(&[directory, b"/tasks"]);
            made.tasks[index] =
                ok(unsafe { libc::open(tasks.at(), libc::O_WRONLY | libc::O_CLOEXEC) }, c"tasks");
        }
        made
    }

    /// `cpu` of `/sys/fs/cgroup/cpu/below`.
    fn controller(&self, index: usize) -> &'a [u8] {
        let path = unsafe { CStr::from_ptr(self.parents[index]) }.to_bytes();
        path[b"/sys/fs/cgroup".len()..].split(|&byte| byte == b'/').nth(1).unwrap_or(b"")
    }

    /// In the child: cheap, because a thread that moves itself takes no lock of all threads.
    fn enter(&self) {
        for &tasks in self.tasks.iter().filter(|&&tasks| tasks >= 0) {
            ok(unsafe { libc::write(tasks, c"0".as_ptr().cast(), 1) } as i64, c"tasks");
        }
        if self.v2 {
            ok(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }, c"unshare cgroup");
        }
    }

    /// In the child, in the new root before it is pivoted to.
    fn mount(&self) {
        if self.v2 {
            return mount(c"cgroup", c"sys/fs/cgroup", c"cgroup2", NO | MS_RELATIME | MS_RDONLY, None);
        }
        mount(c"tmpfs", c"sys/fs/cgroup", c"tmpfs", NO, Some(c"mode=755"));
        for (index, &parent) in self.parents.iter().enumerate() {
            if self.tasks[index] < 0 {
                continue;
            }
            let source = Path::new(&[unsafe { CStr::from_ptr(parent) }.to_bytes(), b"/", self.name]);
            let target = Path::new(&[b"sys/fs/cgroup/", self.controller(index)]);
            ok(unsafe { libc::mkdir(target.at(), 0o755) }, c"mkdir controller");
            ok(bind(source.at(), target.at(), NO | MS_RELATIME | MS_RDONLY), c"bind controller");
        }
    }

    fn remove(&self) {
        for &parent in self.parents {
            let path = Path::new(&[unsafe { CStr::from_ptr(parent) }.to_bytes(), b"/", self.name]);
            ok(unsafe { libc::rmdir(path.at()) }, c"rmdir cgroup");
        }
    }
}

fn spawn(into: c_int) -> c_int {
    // clone_args of clone3(2).
    let mut arguments = [0u64; 11];
    let namespaces =
        libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    arguments[0] = namespaces as u64;
    arguments[4] = libc::SIGCHLD as u64;
    if into >= 0 {
        arguments[0] |= 0x2_0000_0000; // CLONE_INTO_CGROUP
        arguments[10] = into as u64;
    }
    ok(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) }, c"clone3")
}

fn loopback_up() {
    unsafe {
        let socket = ok(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0), c"socket");
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as c_char;
        request.ifr_name[1] = b'o' as c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        ok(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request), c"SIOCSIFFLAGS");
        libc::close(socket);
    }
}

fn devices() {
    unsafe {
        libc::umask(0);
        for (path, major, minor) in [
            (c"dev/null", 1, 3),
            (c"dev/zero", 1, 5),
            (c"dev/full", 1, 7),
            (c"dev/random", 1, 8),
            (c"dev/urandom", 1, 9),
            (c"dev/tty", 5, 0),
        ] {
            ok(libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor)), path);
        }
        libc::umask(0o022);
        for (target, link) in [
            (c"/proc/self/fd", c"dev/fd"),
            (c"/proc/self/fd/0", c"dev/stdin"),
            (c"/proc/self/fd/1", c"dev/stdout"),
            (c"/proc/self/fd/2", c"dev/stderr"),
            (c"pts/ptmx", c"dev/ptmx"),
        ] {
            ok(libc::symlink(target.as_ptr(), link.as_ptr()), link);
        }
    }
}

/// Everything that is mounted, from the host's view to the container's.
fn root(rootfs: *const c_char, cgroups: &Cgroups<'_>) {
    unsafe {
        ok(libc::mount(null(), c"/".as_ptr(), null(), MS_REC | MS_SLAVE, null()), c"slave /");
        ok(libc::mount(rootfs, rootfs, null(), MS_BIND | MS_REC, null()), c"bind root");
        ok(libc::chdir(rootfs), c"chdir");
        mount(c"proc", c"proc", c"proc", 0, None);
        mount(c"tmpfs", c"dev", c"tmpfs", MS_NOSUID | MS_STRICTATIME, Some(c"mode=755,size=65536k"));
        for directory in [c"dev/pts", c"dev/shm", c"dev/mqueue"] {
            ok(libc::mkdir(directory.as_ptr(), 0o755), directory);
        }
        let pts = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
        mount(c"devpts", c"dev/pts", c"devpts", MS_NOSUID | MS_NOEXEC, Some(pts));
        mount(c"shm", c"dev/shm", c"tmpfs", NO, Some(c"mode=1777,size=65536k"));
        mount(c"mqueue", c"dev/mqueue", c"mqueue", NO, None);
        mount(c"sysfs", c"sys", c"sysfs", NO | MS_RDONLY, None);
        cgroups.mount();
        devices();
        // pivot_root(2), "pivot_root(".", ".")".
        ok(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()), c"pivot_root");
        ok(libc::umount2(c".".as_ptr(), MNT_DETACH), c"umount2");
        ok(libc::chdir(c"/".as_ptr()), c"chdir /");
    }
}

fn hide() {
    for path in [c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"] {
        let flags = MS_RDONLY;
        if bind(path.as_ptr(), path.as_ptr(), flags) < 0 && errno() != libc::ENOENT {
            ok(-1, path);
        }
    }
    for path in [
        c"/proc/acpi",
        c"/proc/asound",
        c"/proc/kcore",
        c"/proc/keys",
        c"/proc/latency_stats",
        c"/proc/timer_list",
        c"/proc/timer_stats",
        c"/proc/sched_debug",
        c"/sys/firmware",
        c"/proc/scsi",
    ] {
        let null_device = c"/dev/null".as_ptr();
        match unsafe { libc::mount(null_device, path.as_ptr(), null(), MS_BIND, null()) } {
            0 => {}
            _ if errno() == libc::ENOENT => {}
            _ if errno() == libc::ENOTDIR => mount(c"tmpfs", path, c"tmpfs", MS_RDONLY, None),
            _ => drop(ok(-1, path)),
        }
    }
    unsafe {
        let flags = MS_BIND | MS_REMOUNT | MS_RDONLY;
        ok(libc::mount(null(), c"/".as_ptr(), null(), flags, null()), c"read-only /");
    }
}

fn errno() -> c_int {
    unsafe { *libc::__errno_location() }
}

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count as usize) };
    let &[_, rootfs, name, program, ref parents @ ..] = arguments else { return 125 };
    let cgroups = Cgroups::make(parents, unsafe { CStr::from_ptr(name) }.to_bytes());

    let child = spawn(cgroups.into);
    if child == 0 {
        cgroups.enter();
        unsafe {
            ok(libc::setsid(), c"setsid");
            // KEYCTL_JOIN_SESSION_KEYRING, anonymous.
            ok(libc::syscall(libc::SYS_keyctl, 1, null::<c_char>()), c"keyctl");
            ok(libc::sethostname(c"minirunc".as_ptr(), 8), c"sethostname");
        }
        loopback_up();
        root(rootfs, &cgroups);
        hide();
        confine();
        process::execute(program);
    }
    let mut status = 0;
    ok(unsafe { libc::waitpid(child, &raw mut status, 0) }, c"waitpid");
    cgroups.remove();
    libc::WEXITSTATUS(status)
}
