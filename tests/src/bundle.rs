//! One container's bundle, from the default config to the proof that nothing of it is left.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::facts::Facts;
use crate::host;
use crate::network::Network;
use crate::runtime::{Output, Running, Runtime, probe};

/// A bundle in a directory of its own, with its own state root and id.
pub struct Bundle {
    pub id: String,
    /// Holds `config.json`, `rootfs`, `state` and whatever a test adds; world-searchable.
    pub dir: PathBuf,
    pub config: Value,
    /// The runtime runs as this user.
    user: Option<u32>,
    /// What lies over files of /etc for that user, in a mount namespace of the runtime's own.
    etc: Vec<(CString, CString)>,
    /// The `cgroup.procs` of the cgroup that such a runtime is started in.
    pub cgroup: Option<CString>,
    /// The network namespace that the runtime is started in; none: ours.
    pub network: Option<Network>,
    /// More environment for the runtime.
    pub env: Vec<(String, String)>,
    /// Sessions that were started for it.
    sessions: Mutex<BTreeSet<i32>>,
}

impl Bundle {
    /// `runc spec`'s default container, without a terminal, with the probe as its process.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Of one width: what is looked for by an id (cgroups, arguments) must not be found in another's.
        let id = format!("mrt-{}-{:04}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(&id);
        let root = dir.join("rootfs");
        for sub in ["", "proc", "dev", "sys", "etc", "tmp", "bin", "mnt", "run", "data"] {
            fs::create_dir_all(root.join(sub)).expect("rootfs");
        }
        mode(&dir, 0o755);
        mode(&root, 0o755);
        mode(&root.join("tmp"), 0o1777);
        let (from, to) = (probe(), root.join("probe"));
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).unwrap_or_else(|e| panic!("probe {}: {e}", from.display()));
        }
        symlink("/probe", root.join("bin/named")).expect("symlink");
        fs::write(root.join("etc/passwd"), PASSWD).expect("passwd");
        fs::write(root.join("etc/group"), GROUP).expect("group");
        fs::write(root.join("data/file"), "in the root").expect("file");
        let sessions = Mutex::default();
        Self {
            id,
            dir,
            config: default_config(),
            user: None,
            etc: vec![],
            cgroup: None,
            network: None,
            env: vec![],
            sessions,
        }
    }

    /// The default container with this change.
    pub fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut bundle = Self::new();
        change(&mut bundle.config);
        bundle
    }

    /// Questions for the probe.
    pub fn ask<S: AsRef<str>>(mut self, questions: &[S]) -> Self {
        let mut args = vec![json!("/probe")];
        args.extend(questions.iter().map(|q| json!(q.as_ref())));
        self.config["process"]["args"] = Value::Array(args);
        self
    }

    /// The runtime runs as user and group `uid`, in a user namespace that maps only it, to 0 inside.
    pub fn unprivileged(mut self, uid: u32) -> Self {
        self.user = Some(uid);
        self.add_namespace(json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
        self.config["linux"]["uidMappings"] = map.clone();
        self.config["linux"]["gidMappings"] = map;
        fs::create_dir_all(self.state()).expect("state");
        for path in [self.dir.clone(), self.state(), self.rootfs()] {
            chown(path, Some(uid), Some(uid)).expect("chown");
        }
        for name in ["dev", "proc", "sys", "etc", "tmp", "mnt", "run", "data"] {
            chown(self.rootfs().join(name), Some(uid), Some(uid)).expect("chown");
        }
        self
    }

    /// The runtime's user has 65536 subordinate ids from `first` on (subuid(5)), for as long as the runtime runs.
    pub fn subordinate(mut self, first: u32) -> Self {
        let etc = self.dir.join("etc");
        fs::create_dir_all(&etc).expect("etc");
        for (name, text) in [
            ("passwd", PASSWD),
            ("subuid", &format!("someone:{first}:65536\n")),
            ("subgid", &format!("someone:{first}:65536\n")),
        ] {
            let file = etc.join(name);
            fs::write(&file, text).expect("etc");
            mode(&file, 0o644);
            let file = CString::new(file.to_str().expect("utf-8")).expect("path");
            self.etc.push((file, CString::new(format!("/etc/{name}")).expect("path")));
        }
        self
    }

    pub fn add_mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().expect("mounts").push(mount);
    }

    pub fn add_namespace(&mut self, namespace: Value) {
        self.config["linux"]["namespaces"].as_array_mut().expect("namespaces").push(namespace);
    }

    pub fn drop_namespace(&mut self, kind: &str) {
        self.config["linux"]["namespaces"].as_array_mut().expect("namespaces").retain(|n| n["type"] != kind);
    }

    pub fn drop_mount(&mut self, destination: &str) {
        self.config["mounts"].as_array_mut().expect("mounts").retain(|m| m["destination"] != destination);
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// A path in the bundle as text.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("utf-8").to_string()
    }

    /// Writes `config.json`.
    pub fn write(&self) {
        self.write_text(&serde_json::to_string_pretty(&self.config).expect("json"));
    }

    pub fn write_text(&self, text: &str) {
        fs::write(self.dir.join("config.json"), text).expect("config.json");
    }

    /// `RUNTIME --root STATE args...`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Runtime::get().command();
        command.arg("--root").arg(self.state()).args(args);
        self.as_its_user(command)
    }

    /// A command as the runtime's user runs it.
    pub fn as_its_user(&self, mut command: Command) -> Command {
        command.stdin(Stdio::null()).envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(network) = &self.network {
            network.enter(&mut command);
        }
        if let Some(uid) = self.user {
            command.env("XDG_RUNTIME_DIR", &self.dir);
            let (etc, cgroup) = (self.etc.clone(), self.cgroup.clone());
            // SAFETY: only system calls between fork and exec, the last ones in the order that leaves no way back.
            unsafe {
                command.pre_exec(move || {
                    if let Some(file) = &cgroup {
                        let fd = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                        crate::runtime::check(libc::write(fd, c"0".as_ptr().cast(), 1) as i32)?;
                    }
                    let mount = |from: &CStr, to: &CStr, flags| {
                        let none = std::ptr::null();
                        let done = libc::mount(from.as_ptr(), to.as_ptr(), none, flags, none.cast());
                        crate::runtime::check(done)
                    };
                    if !etc.is_empty() {
                        crate::runtime::check(libc::unshare(libc::CLONE_NEWNS))?;
                        mount(c"", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
                    }
                    for (file, place) in &etc {
                        mount(file, place, libc::MS_BIND)?;
                    }
                    crate::runtime::check(libc::setgroups(0, std::ptr::null()))?;
                    crate::runtime::check(libc::setresgid(uid, uid, uid))?;
                    crate::runtime::check(libc::setresuid(uid, uid, uid))
                });
            }
        }
        command
    }

    /// The command line of a foreground run, with more flags.
    pub fn run_command(&self, flags: &[&str]) -> Command {
        let dir = self.dir.to_str().expect("utf-8").to_string();
        let mut args = vec!["run", "--bundle", &dir];
        args.extend(flags);
        args.push(&self.id);
        self.command(&args)
    }

    /// Starts a command on this container.
    pub fn start(&self, command: Command) -> Running {
        let running = Running::start(command, &self.dir);
        self.sessions.lock().expect("lock").insert(running.pid());
        running
    }

    /// Counts a process of this session among those that must not be left.
    pub fn watch(&self, session: i32) {
        self.sessions.lock().expect("lock").insert(session);
    }

    /// What was started so far has ended: the numbers of its sessions may come to be others'.
    pub fn forget_sessions(&self) {
        self.sessions.lock().expect("lock").clear();
    }

    /// Starts a foreground run of the config as it is now.
    pub fn spawn(&self) -> Running {
        self.write();
        self.start(self.run_command(&[]))
    }

    /// Runs any command on this container to its end.
    #[track_caller]
    pub fn runtime(&self, args: &[&str]) -> Output {
        self.start(self.command(args)).finish()
    }

    /// Runs the container in the foreground, then checks that nothing is left of it.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.write();
        self.run_as_written()
    }

    /// As `run`, with the config.json that is there, or is not.
    #[track_caller]
    pub fn run_as_written(&self) -> Output {
        let out = self.start(self.run_command(&[])).finish();
        self.nothing_left();
        out
    }

    /// Runs in the foreground with more flags.
    #[track_caller]
    pub fn run_with(&self, flags: &[&str]) -> Output {
        self.write();
        self.start(self.run_command(flags)).finish()
    }

    /// Runs and gives what the probe reported.
    #[track_caller]
    pub fn facts(&self) -> Facts {
        self.run().facts()
    }

    /// The container's pid as `state` tells it.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let state = self.state_json();
        i32::try_from(state["pid"].as_i64().expect("pid")).expect("pid")
    }

    #[track_caller]
    pub fn state_json(&self) -> Value {
        let out = self.runtime(&["state", &self.id]);
        serde_json::from_str(&out.ok().stdout).unwrap_or_else(|e| panic!("state: {e}: {}", out.stdout))
    }

    #[track_caller]
    pub fn delete(&self) {
        self.runtime(&["delete", "--force", &self.id]).ok();
    }

    /// No state, cgroup, mount or process of the container is left.
    #[track_caller]
    pub fn nothing_left(&self) {
        let left = self.left();
        assert!(left.is_empty(), "{left}");
    }

    /// What is left of the container, though it had a moment to go; empty: nothing.
    pub fn left(&self) -> String {
        let rootfs = self.rootfs();
        let below = || {
            let mounts = host::mounts().0.into_iter();
            mounts.filter(|m| Path::new(&m.point).starts_with(&rootfs)).collect::<Vec<_>>()
        };
        let state = || {
            fs::read_dir(self.state()).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>()
        };
        let sessions = self.sessions.lock().expect("lock").clone();
        let mut left = String::new();
        let mut add = |what: &str, found: &dyn Debug, empty: bool| {
            if !empty {
                left += &format!("{what} left: {found:?} ");
            }
        };
        let found = host::eventually_nothing(state);
        add("state is", &found, found.is_empty());
        let found = host::eventually_nothing(|| host::cgroup_directories(&self.id));
        add("cgroups are", &found, found.is_empty());
        let links = || self.network.as_ref().map(Network::links).unwrap_or_default();
        let found =
            host::eventually_nothing(|| links().into_iter().filter(|it| it.starts_with("v")).collect());
        add("links are", &found, found.is_empty());
        let found = host::eventually_nothing(below);
        add("mounts are", &found, found.is_empty());
        let found = host::eventually_nothing(|| host::processes(&sessions, &self.id, &self.dir));
        add("processes are", &found, found.is_empty());
        left
    }
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bundle {
    /// Clears up after a failed test too; what the runtime cannot remove, the test removes by hand.
    fn drop(&mut self) {
        if fs::read_dir(self.state()).is_ok_and(|mut d| d.next().is_some()) {
            let _ = self.start(self.command(&["delete", "--force", &self.id])).child.wait();
        }
        for dir in host::cgroup_directories(&self.id).iter().rev() {
            for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
                if let Ok(pid) = pid.parse() {
                    // SAFETY: a process in this container's own cgroup.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
            }
            let _ = fs::remove_dir(dir);
        }
        if host::unmount_below(&self.dir) && std::env::var_os("KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\n# a comment\nsomeone:x:1000:1000::/home/someone:/bin/sh\n";
const GROUP: &str = "root:x:0:\nsomeone:x:1000:\n";

/// What `runc spec` writes, with the probe for `sh` and no terminal.
pub fn default_config() -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let tmpfs = json!(["nosuid", "strictatime", "mode=755", "size=65536k"]);
    let pts = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["/probe"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "runc",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": tmpfs},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
