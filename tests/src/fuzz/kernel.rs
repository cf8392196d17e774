//! What the kernel writes into /proc and the cgroup filesystems, as it would if it were somebody else.

use std::cell::OnceCell;
use std::ffi::CString;
use std::fs::{self, File};
use std::path::PathBuf;

use minirunc::cgroup::Cgroups;
use minirunc::plan::namespace::Hierarchy;
use minirunc::plan::{Noun, Plan};
use minirunc::wire::cgroupfs::{CgroupMount, Pids, keyed, lines, memberships, number};
use minirunc::wire::json::Writer as Json;
use minirunc::wire::stat::Stat;
use minirunc::wire::{accounting, passwd};
use nsenter::attr::{Message, Writer};
use rustix::fd::AsFd;

/// A directory that is like a cgroup: all of its files have the same text.
struct Place {
    dir: PathBuf,
    text: File,
}

impl Place {
    /// One for each thread, in memory.
    fn new() -> Self {
        let name = format!("minirunc-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
        let dir = PathBuf::from("/dev/shm").join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("c")).expect("a directory in /dev/shm");
        let text = dir.join("c/text");
        let file = File::create(&text).expect("a file");
        for name in FILES.split_ascii_whitespace() {
            fs::hard_link(&text, dir.join("c").join(name)).expect("a link");
        }
        Self { dir, text: file }
    }

    fn write(&self, text: &[u8]) {
        use std::os::unix::fs::FileExt;
        self.text.set_len(0).expect("truncate");
        self.text.write_all_at(text, 0).expect("write");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

thread_local! {
    static PLACE: OnceCell<Place> = const { OnceCell::new() };
}

/// Those that `events --stats` reads.
const FILES: &str = "cpuacct.usage cpuacct.usage_percpu cpuacct.usage_all cpuacct.stat cpu.stat cpu.pressure cpuset.cpus cpuset.mems \
     cpuset.cpu_exclusive cpuset.sched_relax_domain_level memory.stat memory.usage_in_bytes memory.max memory.current memory.events \
     memory.oom_control memory.pressure pids.current pids.max io.stat io.pressure blkio.bfq.io_service_bytes_recursive \
     blkio.throttle.io_serviced_recursive hugetlb.2MB.usage_in_bytes hugetlb.2MB.rsvd.current hugetlb.2MB.events";

/// Hierarchies of both versions, the container's in the directory.
fn cgroups(place: &Place, unified: bool, with: impl FnOnce(&mut Cgroups)) {
    let mountpoint = CString::new(place.dir.to_str().expect("UTF-8")).expect("no NUL");
    let mut room = [0; 1024];
    let mut writer = Writer::new(&mut room, 0x19);
    let v1 = [c"cpu,cpuacct", c"cpuset", c"memory", c"pids", c"blkio", c"hugetlb"];
    for controllers in if unified { &[c""][..] } else { &v1[..] } {
        Hierarchy { controllers, path: c"/c", mountpoint: &mountpoint, made: 1 }.emit(&mut writer);
    }
    let message = Message::parse(writer.finish().expect("fits")).expect("a message").0;
    with(&mut Cgroups::restore(&Plan::new(message), None).expect("a plan"));
}

/// A cgroup's files. The first byte says of which version.
pub fn cgroup(text: &[u8]) {
    let Some((&how, text)) = text.split_first() else { return };
    PLACE.with(|place| {
        let place = place.get_or_init(Place::new);
        place.write(text);
        cgroups(place, how & 1 == 1, |cgroups| {
            let mut out = String::new();
            let mut writer = Json::compact(&mut out);
            // What is not UTF-8 cannot be written, and is an error.
            let _ = cgroups.stats(&mut writer, &mut [0; 8192]);
            let _ = cgroups.oom_kills();
        });
    });
}

/// /proc/self/mountinfo, by the line and as `Cgroups` looks for its hierarchies.
pub fn mountinfo(text: &[u8]) {
    for line in lines(text) {
        let Some(mount) = CgroupMount::parse(line) else { continue };
        assert!(!mount.mountpoint.contains(&b' ') && !mount.options.contains(&b' '));
        assert!(mount.holds(b"") == mount.unified);
    }
    let file = rustix::fs::memfd_create(c"mountinfo", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest).expect("write")..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).expect("seek");
    PLACE.with(|place| {
        cgroups(place.get_or_init(Place::new), false, |cgroups| {
            let _ = cgroups.locate_in(file.as_fd(), "mountinfo").map_err(|error| error.to_string());
        });
    });
}

/// Files of /proc and of a root that are read by the line.
pub fn proc(text: &[u8]) {
    for membership in memberships(text) {
        assert!(!membership.controllers.contains(&b':'));
    }
    if let Some(stat) = Stat::parse(text) {
        assert!(stat.name.len() + 2 <= text.len());
        let _ = (0..60).map(|field| stat.number(field)).fold(0, i64::wrapping_add);
    }
    let _ = (keyed(text, b"oom_kill"), number(text));
    let _ = lines(text).filter_map(accounting::Operation::parse).count();
    let _ = lines(text).flat_map(|line| accounting::reads_and_writes(line, b"bytes")).count();
    let _ = accounting::ranges(text).take(1 << 20).count();
    for uid in [0, 7] {
        assert!(passwd::name(text, uid).is_none_or(|name| !name.contains(&b':')));
    }
    let (mut pids, mut count) = (Pids::default(), 0);
    pids.feed(text, |_| count += 1);
    assert!(count <= text.len());
}
