//! Against the machine's own cgroups: as root, in directories named after this process. What the machine
//! has not, a test skips aloud. Cgroup v2 is tried on a hybrid host's `unified`, which has all but limits; its root
//! goes on handing down its controllers afterwards, as it does after any runtime.

mod v1;
mod v2;

use std::ffi::CString;
use std::format;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::string::{String, ToString};
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;

use nsenter::attr::{Message, Writer};

use super::{Cgroups, Mode, Mounted};
use crate::plan::device::{DeviceRule, MKNOD, READ, WRITE};
use crate::plan::namespace::Hierarchy;
use crate::plan::resources::{BlockIo, Cpu, Cpuset, Memory, Network, Pids};
use crate::plan::{Noun, Plan};

/// A message of the values that `fill` writes.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(fill: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut buffer = std::vec![0; 16 * 1024];
        let mut writer = Writer::new(&mut buffer, 1);
        fill(&mut writer);
        Self(writer.finish().unwrap().to_vec())
    }

    fn plan(&self) -> Plan<'_> {
        Plan::new(Message::parse(&self.0).unwrap().0)
    }
}

fn nothing() -> Bytes {
    Bytes::new(|_| {})
}

/// Kills and removes what a test leaves, also when it fails.
struct Guard(Cgroups);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.destroy();
    }
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("minirunc-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn path(text: &str) -> CString {
    CString::new(text).unwrap()
}

const SKIPPED: &str = "skipped: not root, or no such cgroup hierarchy here";

/// The machine's v1 hierarchies.
fn v1() -> Option<Cgroups> {
    let cgroups = Cgroups::discover(Mounted::look()).unwrap();
    let root = rustix::process::geteuid().is_root();
    if !root || cgroups.mode() != Mode::V1 {
        std::eprintln!("{SKIPPED}");
        return None;
    }
    Some(cgroups)
}

/// Its unified one as if it were alone.
fn v2() -> Option<Cgroups> {
    let places = [c"/sys/fs/cgroup/unified", c"/sys/fs/cgroup"];
    let there = |place: &&std::ffi::CStr| {
        rustix::fs::statfs(*place).is_ok_and(|found| found.f_type == libc::CGROUP2_SUPER_MAGIC as _)
    };
    let place = places.into_iter().find(there).filter(|_| rustix::process::geteuid().is_root());
    let Some(mountpoint) = place else {
        std::eprintln!("{SKIPPED}");
        return None;
    };
    let mut cgroups = Cgroups::none();
    cgroups.mode = Mode::V2;
    cgroups.add(b"", &[mountpoint.to_bytes()], 0).unwrap();
    Some(cgroups)
}

fn read(controller: &str, name: &str, file: &str) -> String {
    fs::read_to_string(format!("/sys/fs/cgroup/{controller}/{name}/{file}")).unwrap().trim().into()
}

/// A shell that waits for a line, and then does what it says.
fn shell() -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r line; eval \"$line\""]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn tell(shell: &mut Child, line: &str) {
    shell.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
}

const MEMORY: Memory = Memory {
    limit: None,
    reservation: None,
    swap: None,
    swappiness: None,
    disable_oom_killer: None,
    use_hierarchy: None,
    check_before_update: false,
    kernel: None,
    kernel_tcp: None,
};

const CPU: Cpu = Cpu {
    shares: None,
    quota: None,
    burst: None,
    period: None,
    realtime_runtime: None,
    realtime_period: None,
    idle: None,
};

#[test]
fn what_create_makes_destroy_removes_and_nothing_else() {
    let Some(cgroups) = v1() else { return };
    let mut guard = Guard(cgroups);
    let name = unique();
    // One hierarchy has a parent of somebody else's already.
    let others = format!("/sys/fs/cgroup/pids/{name}");
    fs::create_dir(&others).unwrap();
    guard.0.create(&path(&format!("/{name}/a/b")), &nothing().plan(), || false).unwrap();
    for hierarchy in &guard.0.hierarchies {
        let place = guard.0.place(hierarchy).to_string();
        assert!(Path::new(&place).join("tasks").exists(), "{place}");
    }
    assert!(guard.0.hierarchies.len() > 1);
    guard.0.destroy().unwrap();
    let left: Vec<_> = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .filter(|d| d.as_ref().unwrap().path().join(&name).exists())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!Path::new(&others).join("a").exists());
    fs::remove_dir(&others).unwrap();
}

#[test]
fn directories_of_the_container_below_its_own_are_removed_at_any_depth() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        let mut guard = Guard(cgroups);
        let name = unique();
        guard.0.create(&path(&name), &nothing().plan(), || false).unwrap();
        let top = guard.0.place(guard.0.primary().unwrap()).to_string();
        fs::create_dir_all(format!("{top}/{}", "x/".repeat(100))).unwrap();
        fs::create_dir_all(format!("{top}/x/y/z")).unwrap();
        guard.0.destroy().unwrap();
        assert!(!Path::new(&top).exists());
    }
}

#[test]
fn an_empty_directory_of_somebody_else_is_used_and_kept() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        let mut guard = Guard(cgroups);
        let name = unique();
        let place =
            format!("{}/{name}", guard.0.names.get(guard.0.hierarchies[0].mountpoint).to_str().unwrap());
        fs::create_dir(&place).unwrap();
        guard.0.create(&path(&name), &nothing().plan(), || false).unwrap();
        guard.0.destroy().unwrap();
        assert!(Path::new(&place).exists());
        fs::remove_dir(&place).unwrap();
    }
}

#[test]
fn a_cgroup_with_processes_is_refused_and_nothing_is_left() {
    for make in [v1, v2] {
        let (Some(cgroups), Some(mut second)) = (make(), make()) else { return };
        let mut guard = Guard(cgroups);
        let name = unique();
        guard.0.create(&path(&name), &nothing().plan(), || false).unwrap();
        let mut shell = shell();
        guard.0.enter(shell.id()).unwrap();
        let error = second.create(&path(&name), &nothing().plan(), || false).unwrap_err();
        assert_eq!(error.to_string(), "container's cgroup is not empty: 1 process(es) found");
        // And who was refused cannot reach who is there.
        second.kill().unwrap();
        assert!(second.freeze().is_err());
        assert!(shell.try_wait().unwrap().is_none());
        guard.0.kill().unwrap();
        shell.wait().unwrap();
        guard.0.destroy().unwrap();
    }
}

#[test]
fn a_frozen_cgroup_is_refused() {
    for make in [v1, v2] {
        let (Some(cgroups), Some(mut second)) = (make(), make()) else { return };
        let mut guard = Guard(cgroups);
        let name = unique();
        guard.0.create(&path(&name), &nothing().plan(), || false).unwrap();
        guard.0.freeze().unwrap();
        assert!(guard.0.frozen().unwrap());
        let error = second.create(&path(&name), &nothing().plan(), || false).unwrap_err();
        assert_eq!(error.op(), "container's cgroup unexpectedly frozen");
        guard.0.thaw().unwrap();
        assert!(!guard.0.frozen().unwrap());
    }
}

#[test]
fn a_frozen_process_stands_still_until_thawed() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        let mut guard = Guard(cgroups);
        guard.0.create(&path(&unique()), &nothing().plan(), || false).unwrap();
        let mut shell = shell();
        guard.0.enter(shell.id()).unwrap();
        guard.0.freeze().unwrap();
        tell(&mut shell, "exit 7");
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(shell.try_wait().unwrap().is_none());
        guard.0.thaw().unwrap();
        assert_eq!(shell.wait().unwrap().code(), Some(7));
    }
}

#[test]
fn a_thread_that_writes_0_to_each_tasks_is_inside_everywhere() {
    let Some(cgroups) = v1() else { return };
    let mut guard = Guard(cgroups);
    let name = unique();
    guard.0.create(&path(&name), &nothing().plan(), || false).unwrap();
    let files = guard.0.tasks().unwrap();
    assert_eq!(files.len(), guard.0.hierarchies.len());
    let inside = std::thread::spawn(move || {
        files.iter().for_each(|file| assert_eq!(rustix::io::write(file, b"0"), Ok(1)));
        fs::read_to_string("/proc/thread-self/cgroup").unwrap()
    });
    let inside = inside.join().unwrap();
    assert_eq!(
        inside.lines().filter(|line| line.ends_with(&name)).count(),
        guard.0.hierarchies.len(),
        "{inside}"
    );
    // A later process opens them anew.
    assert_eq!(guard.0.tasks().unwrap().len(), guard.0.hierarchies.len());
}

#[test]
fn kill_ends_processes_in_the_cgroup_and_below() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        let mut guard = Guard(cgroups);
        guard.0.create(&path(&unique()), &nothing().plan(), || false).unwrap();
        let below = format!("{}/below/it", guard.0.place(guard.0.primary().unwrap()));
        fs::create_dir_all(&below).unwrap();
        let (mut first, mut second) = (shell(), shell());
        guard.0.enter(first.id()).unwrap();
        fs::write(format!("{below}/cgroup.procs"), second.id().to_string()).unwrap();
        let mut found = Vec::new();
        guard.0.processes(|pid| found.push(pid)).unwrap();
        found.sort();
        let mut expected = [first.id(), second.id()];
        expected.sort();
        assert_eq!(found, expected);
        guard.0.kill().unwrap();
        for child in [&mut first, &mut second] {
            let status = child.wait().unwrap();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        }
        guard.0.destroy().unwrap();
    }
}

#[test]
fn a_later_process_restores_what_this_one_made() {
    let Some(cgroups) = v1() else { return };
    let mut guard = Guard(cgroups);
    let name = unique();
    guard.0.create(&path(&format!("{name}/c")), &nothing().plan(), || false).unwrap();
    let setup = Bytes::new(|writer| guard.0.emit(writer));
    let mut later = Cgroups::restore(&setup.plan(), None).unwrap();
    assert_eq!(later.mode(), Mode::V1);
    assert_eq!(Bytes::new(|writer| later.emit(writer)).0, setup.0);
    later.destroy().unwrap();
    assert!(!Path::new(&format!("/sys/fs/cgroup/pids/{name}")).exists());
}

#[test]
fn v1_device_rules_are_the_kernels_list() {
    let Some(cgroups) = v1() else { return };
    let mut guard = Guard(cgroups);
    let name = unique();
    let rules = device_rules();
    guard.0.create(&path(&name), &rules.plan(), || false).unwrap();
    guard.0.apply(&rules.plan()).unwrap();
    assert_eq!(read("devices", &name, "devices.list"), "c 1:3 rwm\nc 136:* rw");
}

/// All denied but `/dev/null` and terminals.
fn device_rules() -> Bytes {
    let all = READ | WRITE | MKNOD;
    let rule = |allow, file_type: u8, major, minor, access| DeviceRule {
        allow,
        file_type: u32::from(file_type),
        major,
        minor,
        access,
    };
    Bytes::new(|writer| {
        rule(false, b'a', None, None, all).emit(writer);
        rule(true, b'c', Some(1), Some(3), all).emit(writer);
        rule(true, b'c', Some(136), None, all).emit(writer);
        rule(false, b'c', Some(136), None, MKNOD).emit(writer);
    })
}

#[test]
fn device_rules_hold_for_who_is_inside() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        let mut guard = Guard(cgroups);
        let rules = device_rules();
        guard.0.create(&path(&unique()), &rules.plan(), || false).unwrap();
        guard.0.apply(&rules.plan()).unwrap();
        let mut shell = shell();
        guard.0.enter(shell.id()).unwrap();
        tell(&mut shell, "echo null > /dev/null && echo null; (: < /dev/zero) || echo no zero");
        let output = shell.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "null\nno zero\n");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not permitted"));
    }
}

#[test]
fn limits_without_any_cgroup_are_refused_by_name() {
    let limits = Bytes::new(|writer| Pids { limit: 5 }.emit(writer));
    let error = Cgroups::none().create(c"x", &limits.plan(), || false).unwrap_err();
    assert_eq!(error.to_string(), "linux.resources.pids: no cgroup filesystem is mounted");
    Cgroups::none().create(c"x", &nothing().plan(), || false).unwrap();
}

#[test]
fn the_slow_way_finds_what_the_guess_found() {
    let Some(mut cgroups) = v1() else { return };
    let places = |cgroups: &Cgroups| {
        cgroups
            .hierarchies
            .iter()
            .map(|h| cgroups.names.get(h.mountpoint).to_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    let guessed = places(&cgroups);
    cgroups.locate().unwrap();
    assert_eq!(places(&cgroups), guessed);
}

#[test]
fn a_wrong_guess_is_made_good_and_an_absent_hierarchy_forgotten() {
    let Some(mut cgroups) = v1() else { return };
    let count = cgroups.hierarchies.len();
    // As on a host that mounts them elsewhere, has a plain directory there, and another that is not mounted here.
    let plain = std::env::temp_dir().join(unique());
    fs::create_dir(&plain).unwrap();
    for (at, wrong) in ["/sys/fs/cgroup/nowhere", "/proc/version", plain.to_str().unwrap()].iter().enumerate()
    {
        cgroups.hierarchies[at].mountpoint = cgroups.names.add(&[wrong.as_bytes()]).unwrap();
    }
    cgroups.add(b"absent", &[b"/sys/fs/cgroup/absent"], 0).unwrap();
    let mut guard = Guard(cgroups);
    guard.0.create(&path(&unique()), &nothing().plan(), || false).unwrap();
    assert_eq!(guard.0.hierarchies.len(), count);
    for hierarchy in &guard.0.hierarchies {
        assert!(guard.0.names.get(hierarchy.mountpoint).to_str().unwrap().starts_with("/sys/fs/cgroup/"));
    }
    guard.0.destroy().unwrap();
    fs::remove_dir(&plain).expect("nothing left in it");
}

#[test]
fn an_ordinary_user_goes_without_cgroups_unless_limits_are_asked_for() {
    for make in [v1, v2] {
        let (Some(mut first), Some(mut second), Some(mut third)) = (make(), make(), make()) else { return };
        let user = std::thread::spawn(move || {
            let nobody = rustix::process::Uid::from_raw(65534);
            // This thread's alone: rustix does not do as libc does for all threads.
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            let limits = Bytes::new(|writer| Pids { limit: 5 }.emit(writer));
            first.create(&path(&unique()), &device_rules().plan(), || true).unwrap();
            let unlimited = first.mode();
            let refused = second.create(&path(&unique()), &limits.plan(), || true).unwrap_err();
            let as_root = third.create(&path(&unique()), &nothing().plan(), || false).unwrap_err();
            (unlimited, refused.to_string(), as_root.errno())
        });
        let (unlimited, refused, as_root) = user.join().unwrap();
        assert_eq!(unlimited, Mode::None);
        assert!(
            refused.starts_with("linux.resources.pids: mkdir /sys/fs/cgroup/") && refused.contains("EACCES"),
            "{refused}"
        );
        assert_eq!(as_root, Some(rustix::io::Errno::ACCESS));
    }
}

#[test]
fn without_a_path_of_its_own_nothing_is_reached() {
    for cgroups in [v1(), v2()].into_iter().flatten() {
        assert!(cgroups.primary().is_none());
        assert!(cgroups.holding("memory").is_none());
        assert!(cgroups.directory().unwrap().is_none());
    }
    for path in [c"", c"/"] {
        let mountpoint = c"/sys/fs/cgroup";
        let setup =
            Bytes::new(|writer| Hierarchy { controllers: c"", path, mountpoint, made: 0 }.emit(writer));
        assert!(Cgroups::restore(&setup.plan(), None).is_err());
    }
}
