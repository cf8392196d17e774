//! Who is compared: ours, the bare calls, and every other runtime that this machine has.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Options, machine};

/// A command that makes one container and removes it, and what is around it.
#[derive(Clone)]
pub struct Contender {
    pub name: String,
    pub command: Vec<String>,
    /// crun refuses a machine with v1 controllers and a cgroup2 mount beside them; it is shown one without.
    pub hide_unified: bool,
    /// An ordinary user's number.
    pub user: Option<u32>,
    /// On the first processor only.
    pub one_core: bool,
    /// The bench has failed where it does not run.
    pub required: bool,
}

/// An OCI runtime.
#[derive(Clone)]
pub struct Runtime {
    pub name: &'static str,
    pub path: PathBuf,
    pub hide_unified: bool,
}

impl Runtime {
    /// A call of it on its own state.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--root").arg(state_root(self.name)).args(arguments);
        Surroundings { hide_unified: self.hide_unified, user: None, one_core: false }.of(&mut command);
        command
    }

    pub fn is_ours(&self) -> bool {
        self.name == "minirunc-static"
    }
}

/// Ours first, then those that are found.
pub fn runtimes(options: &Options) -> Vec<Runtime> {
    let ours = Runtime { name: "minirunc-static", path: options.runtime.clone(), hide_unified: false };
    let others = ["crun", "runc", "youki"].into_iter().filter_map(|name| {
        Some(Runtime { name, path: machine::which(name)?, hide_unified: name == "crun" && machine::hybrid() })
    });
    [ours].into_iter().chain(others).filter(|one| options.wants(one.name)).collect()
}

/// What a command finds when it starts.
#[derive(Clone, Copy)]
struct Surroundings {
    hide_unified: bool,
    user: Option<u32>,
    one_core: bool,
}

impl Surroundings {
    fn of(self, command: &mut Command) {
        // SAFETY: a few system calls on static strings and numbers, between fork and exec.
        unsafe { command.pre_exec(move || self.enter()) };
    }

    fn enter(self) -> std::io::Result<()> {
        let check = |result: i32| if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
        let none = std::ptr::null();
        // SAFETY: static C strings, and a set that lives here.
        unsafe {
            if self.hide_unified {
                check(libc::unshare(libc::CLONE_NEWNS))?;
                let flags = libc::MS_REC | libc::MS_PRIVATE;
                check(libc::mount(none, c"/".as_ptr(), none, flags, none.cast()))?;
                check(libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH))?;
            }
            if self.one_core {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                check(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set))?;
                let first = (0..1024).find(|&cpu| libc::CPU_ISSET(cpu, &set)).unwrap_or(0);
                libc::CPU_ZERO(&mut set);
                libc::CPU_SET(first, &mut set);
                check(libc::sched_setaffinity(0, size_of_val(&set), &raw const set))?;
            }
            if let Some(user) = self.user {
                check(libc::setgroups(0, none.cast()))?;
                check(libc::setresgid(user, user, user))?;
                check(libc::setresuid(user, user, user))?;
            }
        }
        Ok(())
    }
}

impl Contender {
    pub fn new(name: &str, command: Vec<String>) -> Self {
        let (hide_unified, required) = (false, name == "bare calls" || name.starts_with("minirunc-static"));
        Self { name: name.into(), command, hide_unified, user: None, one_core: false, required }
    }

    /// Gives a command this contender's surroundings.
    pub fn surround(&self, command: &mut Command) {
        Surroundings { hide_unified: self.hide_unified, user: self.user, one_core: self.one_core }
            .of(command);
    }

    /// `RUNTIME run` of a bundle.
    pub fn of(runtime: &Runtime, bundle: &Path) -> Self {
        let id = format!("bench-{}-{}", std::process::id(), runtime.name);
        let command =
            [&*runtime.path.display().to_string(), "--root", &state_root(runtime.name), "run", "--bundle"]
                .map(String::from);
        let command = command.into_iter().chain([bundle.display().to_string(), id]).collect();
        Self { hide_unified: runtime.hide_unified, ..Self::new(runtime.name, command) }
    }
}

/// On a tmpfs, as /run is on every distribution: a journal's moods are none of the runtimes' doing.
pub fn state_root(name: &str) -> String {
    format!("/dev/shm/minirunc-bench-{}-{name}", std::process::id())
}

/// Removes what the runtimes kept.
pub fn forget(options: &Options) {
    for runtime in runtimes(options) {
        let _ = std::fs::remove_dir_all(state_root(runtime.name));
    }
}

fn bubblewrap(rootfs: &str) -> Option<Contender> {
    let mut command = vec![machine::which("bwrap")?.display().to_string()];
    let flags = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --hostname minirunc --cap-drop ALL \
                 --cap-add CAP_KILL --cap-add CAP_NET_BIND_SERVICE --cap-add CAP_AUDIT_WRITE --new-session --ro-bind";
    command.extend(flags.split_whitespace().map(String::from));
    command.push(rootfs.into());
    let mounts = "/ --proc /proc --dev /dev --mqueue /dev/mqueue --ro-bind /sys /sys --chdir / /bin/true";
    command.extend(mounts.split_whitespace().map(String::from));
    Some(Contender::new("bubblewrap", command))
}

/// Everybody, on the bundle of `runc spec`.
pub fn all(options: &Options) -> Vec<Contender> {
    let rootfs = options.bundle.join("rootfs").display().to_string();
    let mut floor = vec![options.programs.join("floor").display().to_string(), rootfs.clone()];
    floor.extend([format!("bench-{}-floor", std::process::id()), "/bin/true".into()]);
    floor.extend(machine::cgroup_directories("self"));
    let mut all = vec![Contender::new("bare calls", floor)];
    all.extend(runtimes(options).iter().map(|runtime| Contender::of(runtime, &options.bundle)));
    all.extend(bubblewrap(&rootfs));
    all.retain(|one| options.wants(&one.name));
    all
}

/// The same as an ordinary user, whom another bundle and other places belong to.
pub fn rootless(options: &Options, place: &Path, user: u32) -> Vec<Contender> {
    let mut all: Vec<_> = runtimes(options)
        .into_iter()
        .map(|mut runtime| {
            if runtime.is_ours() {
                runtime.path = place.join("minirunc-static");
            }
            let mut one = Contender::of(&runtime, place);
            one.command[2] = place.join(format!("state-{}", runtime.name)).display().to_string();
            one
        })
        .collect();
    all.extend(
        bubblewrap(&place.join("rootfs").display().to_string()).filter(|one| options.wants(&one.name)),
    );
    all.iter_mut().for_each(|one| one.user = Some(user));
    all
}

/// podman on a root filesystem, in which it makes files, with each runtime below it. Its own wish for limits takes CAP_SYS_RESOURCE.
pub fn podman(options: &Options, rootfs: &Path) -> Vec<Contender> {
    const FLAGS: &str = "--cgroup-manager cgroupfs run --rm --network none --log-driver none --ulimit nofile=1024:1024 \
                         --ulimit nproc=1024:1024 --rootfs";
    let Some(podman) = machine::which("podman") else { return Vec::new() };
    let one = |runtime: Runtime| {
        let mut command =
            vec![podman.display().to_string(), "--runtime".into(), runtime.path.display().to_string()];
        command.extend(FLAGS.split_whitespace().map(String::from));
        command.extend([rootfs.display().to_string(), "/bin/true".into()]);
        let name = format!("podman, {}", runtime.name);
        Contender { hide_unified: runtime.hide_unified, ..Contender::new(&name, command) }
    };
    runtimes(options).into_iter().map(one).collect()
}
