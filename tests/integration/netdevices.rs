//! `linux.netDevices`: links that a container takes along. They are made in a network namespace of the test's own, where the
//! runtime runs, too; the host's are not touched.

#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Output, check};
use minirunc_tests::{not_for, skip};
use serde_json::{Value, json};

/// A bundle whose network namespace stays until the test ends.
struct Net {
    bundle: Bundle,
    /// Of a process that sleeps in the runtime's network namespace.
    sleeper: std::process::Child,
}

impl Net {
    /// With a pair of links, `one` and `two`, of which the first is to move; `script` sets them up.
    fn new(devices: Value, script: &str) -> Option<Self> {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600");
        // SAFETY: one system call between fork and exec.
        unsafe { sleeper.pre_exec(|| check(libc::unshare(libc::CLONE_NEWNET))) };
        let sleeper = sleeper.spawn().expect("sleep");
        let bundle = Bundle::with(|c| c["linux"]["netDevices"] = devices);
        let net = Self { bundle, sleeper };
        // busybox's ip(8) has no version, and makes no pairs.
        net.ip("-V").then_some(())?;
        net.ip("link add one type veth peer name two").then_some(())?;
        assert!(script.lines().all(|line| net.ip(line)), "{script}");
        Some(net)
    }

    /// ip(8) in the runtime's namespace.
    fn ip(&self, line: &str) -> bool {
        let mut ip = Command::new("nsenter");
        ip.args(["-t", &self.sleeper.id().to_string(), "-n", "ip"]).args(line.split_whitespace());
        ip.status().is_ok_and(|status| status.success())
    }

    /// What ip(8) tells in the namespace of a process.
    fn told(&self, pid: u32, line: &str) -> String {
        let mut ip = Command::new("nsenter");
        ip.args(["-t", &pid.to_string(), "-n", "ip"]).args(line.split_whitespace());
        String::from_utf8(ip.output().expect("ip").stdout).expect("utf-8")
    }

    fn here(&self, line: &str) -> String {
        self.told(self.sleeper.id(), line)
    }

    /// A command of the runtime in the namespace.
    fn runtime(&self, args: &[&str]) -> Output {
        use std::os::fd::AsRawFd;
        self.bundle.write();
        let home = std::fs::File::open(format!("/proc/{}/ns/net", self.sleeper.id())).expect("ns");
        let mut command = self.bundle.command(args);
        // SAFETY: one system call between fork and exec.
        unsafe { command.pre_exec(move || check(libc::setns(home.as_raw_fd(), libc::CLONE_NEWNET))) };
        self.bundle.start(command).finish()
    }

    /// `create`, and the container's pid.
    fn create(&self) -> (Output, u32) {
        let dir = self.bundle.dir.to_str().expect("utf-8");
        let file = self.bundle.path("pid");
        let out = self.runtime(&["create", "--bundle", dir, "--pid-file", &file, &self.bundle.id]);
        let pid = std::fs::read_to_string(file).unwrap_or_default();
        (out, pid.parse().unwrap_or(0))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
    }
}

macro_rules! net {
    ($devices:tt, $script:literal) => {{
        not_for!("runc", "1.1 has no netDevices");
        not_for!("crun", "1.8 has no netDevices");
        match Net::new(json!($devices), $script) {
            Some(net) => net,
            None => skip!("no veth here, or no ip(8)"),
        }
    }};
}

#[test]
fn a_device_moves_with_its_addresses_and_is_up() {
    let net = net!(
        {"one": {"name": "eth0"}},
        "addr add 10.9.8.7/24 broadcast 10.9.8.255 dev one
        addr add 10.9.8.6 peer 10.9.7.1/32 dev one
        addr add 10.9.6.5/24 scope link dev one
        addr add fd00:9::7/64 dev one nodad
        addr add fd00:9::8/64 dev one valid_lft 1000 preferred_lft 1000
        link set one address 02:00:00:00:00:77 mtu 1400
        link set two up
        link set one up"
    );
    let (out, pid) = net.create();
    out.ok();
    let link = net.told(pid, "-o link show eth0");
    for word in ["UP,LOWER_UP", "mtu 1400", "02:00:00:00:00:77", "MULTICAST"] {
        assert!(link.contains(word), "{word}: {link}");
    }
    let addresses = net.told(pid, "-o addr show eth0");
    for word in ["10.9.8.7/24 brd 10.9.8.255 scope global eth0", "10.9.8.6 peer 10.9.7.1/32", "fd00:9::7/64"]
    {
        assert!(addresses.contains(word), "{word}: {addresses}");
    }
    for word in ["10.9.6.5", "fd00:9::8"] {
        assert!(!addresses.contains(word), "{word}: {addresses}");
    }
    assert!(net.told(pid, "route").contains("10.9.8.0/24 dev eth0"), "the connected route is there");
    let left = net.here("-o link");
    assert!(left.contains("two") && !left.contains("one@"), "{left}");
    net.bundle.delete();
    net.bundle.nothing_left();
}

#[test]
fn a_device_keeps_its_name_where_it_gets_no_other() {
    let net = net!({"one": {}, "two": null}, "addr add 10.9.8.7/24 dev one");
    let (out, pid) = net.create();
    out.ok();
    let links = net.told(pid, "-o -4 addr");
    assert!(links.contains("10.9.8.7/24 scope global one"), "{links}");
    assert!(net.told(pid, "-o link").contains("two@one"));
    net.bundle.delete();
}

#[test]
fn a_template_gets_the_first_number_that_is_free() {
    let net = net!({"one": {"name": "net%d"}, "two": {"name": "net%d"}}, "addr add 10.9.8.7/24 dev two");
    let (out, pid) = net.create();
    out.ok();
    let links = net.told(pid, "-o addr");
    assert!(links.contains("10.9.8.7/24 scope global net1"), "{links}");
    assert!(net.told(pid, "-o link").contains("net0@net1"));
    net.bundle.delete();
}

#[test]
fn a_device_is_there_before_any_hook() {
    let mut net = net!({"one": {"name": "eth0"}}, "");
    let file = net.bundle.path("links");
    let script = format!(
        "read state; nsenter -t $(echo \"$state\" | sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/') -n ip link >{file}"
    );
    net.bundle.config["hooks"] = json!({"prestart": [{
        "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    }]});
    let (out, _) = net.create();
    out.ok();
    assert!(std::fs::read_to_string(file).unwrap().contains("eth0"));
    net.bundle.delete();
}

#[test]
fn a_device_comes_into_a_namespace_that_is_joined() {
    let net = net!({"one": {"name": "eth0"}}, "");
    let other = net!({}, "");
    let mut net = net;
    net.bundle.drop_namespace("network");
    let path = format!("/proc/{}/ns/net", other.sleeper.id());
    net.bundle.add_namespace(json!({"type": "network", "path": path}));
    net.create().0.ok();
    assert!(other.here("-o link").contains("eth0"));
    net.bundle.delete();
}

#[test]
fn a_name_that_is_taken_is_refused_and_the_device_stays() {
    let net = net!({"one": {"name": "lo"}}, "addr add 10.9.8.7/24 dev one");
    net.create().0.refused(&["linux.netDevices.one", "lo", "EEXIST"]);
    assert!(net.here("-o addr show one").contains("10.9.8.7/24"));
    net.bundle.nothing_left();
}

#[test]
fn a_device_with_the_name_that_a_bridge_gives_is_refused() {
    let mut net = net!({"one": {"name": "eth0"}}, "");
    net.bundle.config["annotations"] = json!({"org.minirunc.network": "bridge"});
    net.create().0.refused(&["org.minirunc.network", "eth0", "EEXIST"]);
    net.bundle.nothing_left();
}

#[test]
fn a_device_that_is_not_there_or_does_not_move_is_refused_by_name() {
    let mut net = net!({"three": {}}, "");
    net.create().0.refused(&["linux.netDevices.three", "ENODEV"]);
    net.bundle.config["linux"]["netDevices"] = json!({"lo": {"name": "other"}});
    net.create().0.refused(&["linux.netDevices.lo", "RTM_NEWLINK"]);
    net.bundle.nothing_left();
}

#[test]
fn without_a_network_namespace_there_is_nowhere_to_move_to() {
    let mut net = net!({"one": {}}, "");
    net.bundle.drop_namespace("network");
    net.create().0.refused(&["linux.netDevices", "network namespace"]);
    assert!(net.here("-o link").contains("one@"));
}
