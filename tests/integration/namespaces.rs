//! The eight namespaces: new, inherited, joined, and refused.

#![allow(unsafe_code)]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Runtime, check, probe};
use minirunc_tests::{host, not_for, only_ours, skip};
use serde_json::json;

/// The spec's word, the word of /proc/<pid>/ns, the flag.
const NAMESPACES: &[(&str, &str, i32)] = &[
    ("pid", "pid", libc::CLONE_NEWPID),
    ("network", "net", libc::CLONE_NEWNET),
    ("mount", "mnt", libc::CLONE_NEWNS),
    ("ipc", "ipc", libc::CLONE_NEWIPC),
    ("uts", "uts", libc::CLONE_NEWUTS),
    ("cgroup", "cgroup", libc::CLONE_NEWCGROUP),
];

fn own(name: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{name}")).unwrap().to_string_lossy().into_owned()
}

/// A process that keeps namespaces of its own alive.
struct Holder(Child);

impl Holder {
    fn new(flags: i32) -> Self {
        let mut command = Command::new(probe());
        command.arg("sleep 600000").stdout(Stdio::null()).stdin(Stdio::null());
        // SAFETY: one system call.
        unsafe { command.pre_exec(move || check(libc::unshare(flags))) };
        let child = command.spawn().expect("holder");
        if flags & libc::CLONE_NEWPID != 0 {
            panic!("a pid namespace needs an init: use `with_init`");
        }
        Self(child)
    }

    /// A pid namespace with a live init; the holder is that init.
    fn with_init() -> Self {
        let mut command = Command::new("/proc/self/exe");
        command.args(["--list", "no-such-test"]).stdout(Stdio::null());
        let file = std::ffi::CString::new(probe().to_str().unwrap()).unwrap();
        // SAFETY: unshare, then the child of this fork is the init, and this process waits for it, all without memory.
        unsafe {
            command.pre_exec(move || {
                check(libc::unshare(libc::CLONE_NEWPID))?;
                let init = libc::fork();
                check(init)?;
                if init == 0 {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    let argv = [file.as_ptr(), c"sleep 600000".as_ptr(), std::ptr::null()];
                    libc::execv(file.as_ptr(), argv.as_ptr());
                    libc::_exit(1);
                }
                let argv = [file.as_ptr(), c"sleep 600000".as_ptr(), std::ptr::null()];
                libc::execv(file.as_ptr(), argv.as_ptr());
                Ok(())
            });
        }
        Self(command.spawn().expect("holder"))
    }

    fn path(&self, name: &str) -> String {
        let name = if name == "pid" { "pid_for_children" } else { name };
        format!("/proc/{}/ns/{name}", self.0.id())
    }

    fn link(&self, name: &str) -> String {
        fs::read_link(self.path(name)).unwrap().to_string_lossy().replace("_for_children", "")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Replaces or adds the entry of one type.
fn namespace(bundle: &mut Bundle, kind: &str, path: &str) {
    bundle.drop_namespace(kind);
    bundle.add_namespace(json!({"type": kind, "path": path}));
}

#[test]
fn namespaces_that_are_asked_for_are_new() {
    let facts = Bundle::new().facts();
    for (_, name, _) in NAMESPACES {
        assert_ne!(&facts[&format!("ns.{name}")], own(name), "{name}");
    }
    assert_eq!(&facts["ns.user"], own("user"));
}

#[test]
fn namespaces_that_are_not_asked_for_are_the_callers() {
    for (kind, name, _) in NAMESPACES.iter().filter(|(kind, ..)| *kind != "mount") {
        let mut bundle = Bundle::with(|c| drop(c.as_object_mut().unwrap().remove("hostname")));
        bundle.drop_namespace(kind);
        if *kind == "network" {
            // A sysfs mount needs the network namespace's owner.
            bundle.drop_mount("/sys");
        }
        let facts = bundle.facts();
        assert_eq!(&facts[&format!("ns.{name}")], own(name), "{name}");
    }
}

#[test]
fn namespaces_are_joined_by_path() {
    for (kind, name, flag) in NAMESPACES.iter().filter(|(kind, ..)| !matches!(*kind, "pid" | "mount")) {
        let holder = Holder::new(*flag);
        let mut bundle = Bundle::with(|c| drop(c.as_object_mut().unwrap().remove("hostname")));
        namespace(&mut bundle, kind, &holder.path(name));
        let facts = bundle.facts();
        assert_eq!(&facts[&format!("ns.{name}")], holder.link(name), "{name}");
        assert_ne!(&facts[&format!("ns.{name}")], own(name), "{name}");
    }
}

#[test]
fn a_pid_namespace_is_joined_by_path() {
    let holder = Holder::with_init();
    let mut bundle = Bundle::new();
    namespace(&mut bundle, "pid", &holder.path("pid"));
    let facts = bundle.facts();
    assert_eq!(&facts["ns.pid"], holder.link("pid"));
    assert_ne!(&facts["pid"], "1");
}

#[test]
fn several_namespaces_are_joined_at_once() {
    let holder = Holder::new(libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS);
    let mut bundle = Bundle::new();
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        namespace(&mut bundle, kind, &holder.path(name));
    }
    let facts = bundle.facts();
    for name in ["net", "ipc", "uts"] {
        assert_eq!(&facts[&format!("ns.{name}")], holder.link(name), "{name}");
    }
    assert_eq!(&facts["hostname"], "runc");
}

#[test]
fn a_namespace_path_of_the_wrong_type_is_refused() {
    let holder = Holder::new(libc::CLONE_NEWUTS | libc::CLONE_NEWIPC);
    for (kind, wrong) in
        [("network", "uts"), ("uts", "ipc"), ("ipc", "uts"), ("pid", "uts"), ("cgroup", "ipc")]
    {
        let mut bundle = Bundle::with(|c| drop(c.as_object_mut().unwrap().remove("hostname")));
        namespace(&mut bundle, kind, &format!("/proc/{}/ns/{wrong}", holder.0.id()));
        bundle.run().refused(&[wrong]);
    }
}

#[test]
fn a_namespace_path_that_is_no_namespace_is_refused() {
    for path in ["/etc/hostname", "/nowhere/ns", "/proc/self/status"] {
        let mut bundle = Bundle::new();
        namespace(&mut bundle, "network", path);
        bundle.run().refused(&[path]);
    }
}

#[test]
fn a_duplicate_namespace_is_refused() {
    not_for!("crun", "takes it");
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "uts"}));
    bundle.run().refused(&["linux.namespaces[6]"]);
}

#[test]
fn an_unknown_namespace_is_refused() {
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "moon"}));
    bundle.run().refused(&["linux.namespaces[6].type"]);
}

#[test]
fn a_new_network_namespace_has_loopback_up_and_nothing_else() {
    let facts = Bundle::new().ask(&["read /proc/net/dev", "read /sys/class/net/lo/flags"]).facts();
    let devices: Vec<&str> = facts["read /proc/net/dev"]
        .lines()
        .skip(2)
        .filter_map(|l| Some(l.split_once(':')?.0.trim()))
        .collect();
    assert!(devices.contains(&"lo"));
    // The kernel may give every namespace fallback tunnels (sit0 and the like), never a real device.
    assert!(devices.iter().all(|d| *d == "lo" || d.ends_with('0') && !d.starts_with("eth")), "{devices:?}");
    let flags = facts["read /sys/class/net/lo/flags"].trim().trim_start_matches("0x");
    assert_eq!(u32::from_str_radix(flags, 16).unwrap() & 1, 1, "lo is down");
}

#[test]
fn a_new_cgroup_namespace_hides_where_the_cgroup_is() {
    let facts = Bundle::new().ask(&["read /proc/self/cgroup"]).facts();
    for line in facts["read /proc/self/cgroup"].lines() {
        // A hierarchy without a cgroup of ours shows what it shows.
        assert!(line.ends_with(":/"), "{line}");
    }
}

#[test]
fn a_user_namespace_has_the_maps_that_were_given() {
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([
        {"containerID": 0, "hostID": 100_000, "size": 1000},
        {"containerID": 1000, "hostID": 300_000, "size": 10},
        {"containerID": 70_000, "hostID": 400_000, "size": 1}
    ]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["process"]["user"] = json!({"uid": 1003, "gid": 1004, "additionalGids": [7]});
    own_by(&bundle, 100_000);
    let facts = bundle
        .ask(&[
            "read /proc/self/uid_map",
            "read /proc/self/gid_map",
            "read /proc/self/setgroups",
            "create /tmp/made",
        ])
        .facts_and(|bundle, facts| {
            let made = fs::metadata(bundle.rootfs().join("tmp/made")).unwrap();
            use std::os::unix::fs::MetadataExt;
            assert_eq!((made.uid(), made.gid()), (300_003, 300_004));
            facts
        });
    let words = |key: &str| facts[key].split_whitespace().map(str::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(words("read /proc/self/uid_map"), "0 100000 1000 1000 300000 10 70000 400000 1");
    assert_eq!(words("read /proc/self/gid_map"), "0 100000 1000 1000 300000 10 70000 400000 1");
    assert_ne!(&facts["ns.user"], own("user"));
    assert_eq!(&facts["uid"], "1003 1003 1003");
    assert_eq!(&facts["gid"], "1004 1004 1004");
}

#[test]
fn what_takes_the_hosts_privileges_is_set_in_a_user_namespace_too() {
    let mut bundle = user_namespace(100_000);
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    assert_eq!(&bundle.facts()["oom_score_adj"], "321");
}

#[test]
fn hard_limits_can_be_raised_in_a_user_namespace() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    if u64::from_str_radix(held, 16).unwrap() & 1 << 24 == 0 {
        skip!("this machine's root has no CAP_SYS_RESOURCE");
    }
    let mut bundle = user_namespace(100_000);
    // By default 819200 (mq_overview(7)).
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_MSGQUEUE", "soft": 900_000, "hard": 1_000_000}]);
    assert_eq!(&bundle.facts()["rlimit.MSGQUEUE"], "900000 1000000");
}

#[test]
fn root_of_a_user_namespace_owns_its_namespaces() {
    let bundle = user_namespace(100_000);
    let facts = bundle.ask(&["sethostname other", "read /proc/sys/kernel/hostname"]).facts();
    assert_eq!(&facts["sethostname other"], "ok");
    assert_eq!(&facts["read /proc/sys/kernel/hostname"], "other\n");
    assert_eq!(&facts["uid"], "0 0 0");
}

#[test]
fn devices_in_a_user_namespace_are_the_hosts() {
    // mknod(2) is denied there, so the nodes come in by bind mount.
    let bundle = user_namespace(100_000);
    let facts = bundle
        .ask(&["follow /dev/null", "open /dev/null rw", "open /dev/zero r", "open /dev/full r"])
        .facts();
    assert!(facts["follow /dev/null"].ends_with(" 1:3"), "{}", &facts["follow /dev/null"]);
    for key in ["open /dev/null rw", "open /dev/zero r", "open /dev/full r"] {
        assert_eq!(&facts[key], "ok", "{key}");
    }
}

#[test]
fn a_user_namespace_is_joined_by_path() {
    let holder = Holder::new(libc::CLONE_NEWUSER);
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", holder.0.id()), "0 100000 65536").unwrap();
    }
    let mut bundle = user_namespace(100_000);
    namespace(&mut bundle, "user", &holder.path("user"));
    without_maps(&mut bundle);
    let facts = bundle.ask(&["read /proc/self/uid_map"]).facts();
    assert_eq!(&facts["ns.user"], holder.link("user"));
    assert_eq!(
        facts["read /proc/self/uid_map"].split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
}

#[test]
fn a_user_namespace_and_what_it_owns_are_joined_together() {
    // The user namespace must come first: only its root may enter the others.
    let holder = Holder::new(libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWIPC);
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", holder.0.id()), "0 100000 65536").unwrap();
    }
    let mut bundle = user_namespace(100_000);
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("user", "user")] {
        namespace(&mut bundle, kind, &holder.path(name));
    }
    without_maps(&mut bundle);
    let facts = bundle.facts();
    for name in ["net", "ipc", "user"] {
        assert_eq!(&facts[&format!("ns.{name}")], holder.link(name), "{name}");
    }
}

#[test]
fn a_user_namespace_without_maps_is_refused() {
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    bundle.run().refused(&["uidMappings"]);
}

#[test]
fn maps_without_a_user_namespace_are_refused() {
    not_for!("runc", "1.1 ignores them");
    not_for!("crun", "ignores them");
    let bundle =
        Bundle::with(|c| c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]));
    bundle.run().refused(&["uidMappings"]);
}

#[test]
fn clocks_are_shifted_by_the_time_offsets() {
    only_ours!("runc 1.1 has no time namespace, crun 1.8.1 loses its child here");
    if !Path::new("/proc/self/ns/time").exists() {
        skip!("this kernel has no time namespace");
    }
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "time"}));
    bundle.config["linux"]["timeOffsets"] =
        json!({"monotonic": {"secs": 1_000_000, "nanosecs": 5}, "boottime": {"secs": 2_000_000}});
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: i64 = uptime.split('.').next().unwrap().parse().unwrap();
    let facts = bundle.ask(&["clock monotonic", "clock boottime"]).facts();
    assert_ne!(&facts["ns.time"], own("time"));
    let near = |seconds: i64, expected: i64| (seconds - expected).abs() < 120;
    assert!(near(facts.number("clock monotonic"), uptime + 1_000_000), "{}", &facts["clock monotonic"]);
    assert!(near(facts.number("clock boottime"), uptime + 2_000_000), "{}", &facts["clock boottime"]);
}

#[test]
fn a_time_namespace_is_joined_by_path() {
    only_ours!("runc 1.1 has no time namespace, crun 1.8.1 loses its child here");
    if !Path::new("/proc/self/ns/time").exists() {
        skip!("this kernel has no time namespace");
    }
    let holder = Holder::new(libc::CLONE_NEWTIME);
    let mut bundle = Bundle::new();
    namespace(&mut bundle, "time", &holder.path("time_for_children"));
    assert_eq!(&bundle.facts()["ns.time"], holder.link("time_for_children"));
}

#[test]
fn time_offsets_without_a_time_namespace_are_refused() {
    only_ours!("runc 1.1 has no time namespace, crun 1.8.1 loses its child here");
    let bundle = Bundle::with(|c| c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 5}}));
    bundle.run().refused(&["timeOffsets"]);
}

/// The default container in a user namespace whose root is `first` outside, with a root that it owns.
pub fn user_namespace(first: u32) -> Bundle {
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": first, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    let caps = json!(["CAP_SYS_ADMIN", "CAP_KILL"]);
    bundle.config["process"]["capabilities"] =
        json!({"bounding": caps, "effective": caps, "permitted": caps});
    own_by(&bundle, first);
    bundle
}

/// A joined user namespace has its maps already.
fn without_maps(bundle: &mut Bundle) {
    if Runtime::get().name() == "runc" {
        return; // 1.1 wants them all the same.
    }
    let linux = bundle.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
}

fn own_by(bundle: &Bundle, id: u32) {
    for name in ["", "proc", "dev", "sys", "etc", "mnt", "data"] {
        std::os::unix::fs::chown(bundle.rootfs().join(name), Some(id), Some(id)).unwrap();
    }
}

trait FactsAnd {
    fn facts_and<T>(self, look: impl FnOnce(&Bundle, minirunc_tests::facts::Facts) -> T) -> T;
}

impl FactsAnd for Bundle {
    /// The facts, and a look at the bundle before it goes away.
    fn facts_and<T>(self, look: impl FnOnce(&Bundle, minirunc_tests::facts::Facts) -> T) -> T {
        let facts = self.facts();
        look(&self, facts)
    }
}

#[test]
fn without_a_mount_namespace_the_mounts_are_the_callers() {
    not_for!("crun", "1.8.1 makes none of them");
    let mut bundle = Bundle::new();
    bundle.drop_namespace("mount");
    for list in ["maskedPaths", "readonlyPaths"] {
        bundle.config["linux"].as_object_mut().unwrap().remove(list);
    }
    let root = bundle.rootfs();
    let bundle = bundle.ask(&["list /", "create /x"]);
    let facts = bundle.run_with(&[]).facts();
    assert_eq!(&facts["ns.mnt"], own("mnt"));
    // In its root all the same, which is read-only for it alone.
    assert!(facts["list /"].contains("probe"), "{}", &facts["list /"]);
    assert_eq!(&facts["create /x"], "!EROFS");
    let there = host::mounts();
    for point in ["", "/proc", "/sys", "/dev/pts"] {
        let point = format!("{}{point}", root.display());
        assert!(there.find(&point).is_some(), "{point}");
    }
    // Unmounting is the caller's, too (runc leaves them as well). One is enough.
    let path = std::ffi::CString::new(root.to_str().unwrap()).unwrap();
    // SAFETY: a NUL-terminated path.
    assert_eq!(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }, 0);
    bundle.nothing_left();
}
