//! What is well-formed: captured from callers (tests/data), or written by our own hand.

use minirunc::plan::namespace::Hierarchy;
use minirunc::plan::record::Record;
use minirunc::plan::{Noun, translate};
use minirunc::wire::json::Document;
use nsenter::attr::Writer;
use nsenter::boot::{Boot, Offset, Target};

const DOCUMENTS: [&str; 6] = [
    include_str!("../../data/docker.json"),
    include_str!("../../data/podman.json"),
    include_str!("../../data/containerd.json"),
    include_str!("../../data/buildah.json"),
    include_str!("../../../src/plan/translate/golden/everything.json"),
    include_str!("../../../src/plan/translate/golden/runc-spec.json"),
];

/// What is in `everything.json` as a document, is in these on its own.
const SMALL: [&str; 4] = [
    r#"{"ociVersion":"1.0.2","process":{"cwd":"/","args":["a"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"mount"}]}}"#,
    r#"{"cwd":"/","args":["a"],"user":{"uid":1,"gid":2,"additionalGids":[3,4,5,6,7,8,9]},"rlimits":[{"type":"RLIMIT_CPU","hard":1,"soft":1}]}"#,
    r#"{"memory":{"limit":-1,"swap":-1},"cpu":{"shares":1024,"cpus":"0-3"},"pids":{"limit":0},"unified":{"memory.high":"1"}}"#,
    r#"{"a":"é😀\ud83d\u0000","a":[-0,1.5e3,{},[],null,true],"":"\/\b\f"}"#,
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn documents() -> Vec<Vec<u8>> {
    [bytes(&SMALL), bytes(&DOCUMENTS)].concat()
}

pub fn forms() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"hostname": "my-container", "rootfs": "./rootfs", "cmd": ["/bin/sh"], "env": ["PATH=/bin:/usr/bin"], "working_dir": "/w",
            "namespaces": [{"type": "pid"}, {"type": "net", "path": "/n"}, {"type": "mnt"}, {"type": "user"}],
            "mounts": [{"source": "/a", "destination": "/a", "type": "bind", "options": ["ro", "bind"]}],
            "resources": {"memory": {"limit": 268435456}, "cpu": {"shares": 1024, "quota": 100000, "period": 100000, "cpus": "0"},
            "pids": {"limit": 9}, "blkio": {"weight": 100}}, "capabilities": ["CAP_CHOWN", "CAP_KILL"], "seccomp_profile": "s"}"#,
        r#"{"image": "/a:/b\u00e9", "cmd": ["a", "\"b"], "network": {"mode": "bridge", "name": "m0", "address": "10.0.0.2/24",
            "gateway": "10.0.0.1"}, "user": "1:2", "read_only": true, "terminal": false, "userns": true, "other": [{}]}"#,
        r#"{"rootfs": "/", "cmd": [], "network": "host"}"#,
    ])
}

/// The same with who it is.
pub fn states() -> Vec<Vec<u8>> {
    let record = Record { pid: 4711, start: 987_654, created: c"2026-11-22T00:55:18.0421Z" };
    let record = message(0x14, |writer| record.emit(writer));
    plans().into_iter().map(|plan| [plan, record.clone()].concat()).collect()
}

pub fn command_lines() -> Vec<Vec<u8>> {
    bytes(&[
        "--bundle\0/b\0--pid-file=/p\0-d\0--\0c1\0sh",
        "--root\0/r\0--log=/l\0--log-format\0json\0--systemd-cgroup=false\0run",
        "--user\x001:2\0-e\0A=b\0--cap=CAP_KILL\0-t\0c1\0-x\0--help",
        "c1\0SIGRTMIN+1\0KILL\x0064\0--all",
        "--memory\x0010mib\0--cpuset-cpus=0-3,7\0--pids-limit\0-1\0c1",
        "-h",
    ])
}

fn translated(text: &str) -> Option<Vec<u8>> {
    let document = Document::parse("config.json", text.as_bytes()).ok()?;
    let mut room = vec![0; 3 * text.len() + 4096];
    let mut scratch = vec![0; translate::SCRATCH];
    let filter = Some((&[6, 0, 0, 0, 0, 0, 0xff, 0x7f][..], 4));
    let request = translate::Request { id: c"c1", bundle: c"/b", filter, ..Default::default() };
    let writer = Writer::new(&mut room, 0x11);
    translate::translate(&document, &request, &mut |_| {}, writer, &mut scratch).map(<[u8]>::to_vec).ok()
}

/// The plan, and the set-up behind it, as they are stored.
pub fn plans() -> Vec<Vec<u8>> {
    let mut room = [0; 512];
    let mut writer = Writer::new(&mut room, 0x19);
    for (controllers, mountpoint) in
        [(c"cpu,cpuacct", c"/sys/fs/cgroup/cpu,cpuacct"), (c"", c"/sys/fs/cgroup")]
    {
        Hierarchy { controllers, path: c"/minirunc-c1", mountpoint, made: 1 }.emit(&mut writer);
    }
    let setup = writer.finish().expect("fits").to_vec();
    let plans = SMALL.iter().chain(&DOCUMENTS).filter_map(|text| translated(text));
    plans.map(|plan| [plan, setup.clone()].concat()).chain([setup.clone()]).collect()
}

pub fn boots() -> Vec<Vec<u8>> {
    let mut all = Boot { namespaces: libc::CLONE_NEWNS as u32, maps: true, ..Boot::default() };
    let _ = all.join(libc::CLONE_NEWNET as u32, Target::Path(c"/run/netns/x"));
    let _ = all.join(libc::CLONE_NEWIPC as u32, Target::Pidfd(0));
    all.monotonic = Some(Offset { seconds: -1, nanoseconds: 999_999_999 });
    all.boottime = Some(Offset { seconds: i64::MAX, nanoseconds: 0 });
    let collapsed = Boot { namespaces: libc::CLONE_NEWNS as u32, collapsed: true, ..Boot::default() };
    [Boot::default(), all, collapsed].map(|boot| boot.emit(&mut [0; 512]).expect("fits").to_vec()).into()
}

fn message(kind: u16, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut room = [0; 512];
    let mut writer = Writer::new(&mut room, kind);
    fill(&mut writer);
    writer.finish().expect("fits").to_vec()
}

pub fn dialogues() -> Vec<Vec<u8>> {
    let simple = |kind| message(kind, |_| {});
    let pid = message(0x14, |writer| writer.u32(1, 77));
    let error = |kind| {
        message(kind, |writer| {
            writer.string(1, c"mount");
            writer.string(2, c"/proc");
            writer.u32(3, 22);
        })
    };
    let all = [simple(0x12), simple(0x1c), simple(0x15), simple(0x17), pid.clone(), error(0x1e), error(0x18)]
        .concat();
    vec![
        [&[0x07][..], &all].concat(),
        [&[0x17][..], &simple(0x1a), &pid].concat(),
        [&[0x27][..], &simple(0x20), &simple(0x17)].concat(),
        [&[0x00][..], &simple(0x13)].concat(),
        [&[0x31][..], &simple(0x1d)].concat(),
        [&[0x01][..], &error(0x18)].concat(),
        [&[0x02][..], &pid, &all].concat(),
    ]
}

pub fn replies() -> Vec<Vec<u8>> {
    let datagram = |bytes: &[u8]| [&(bytes.len() as u16).to_le_bytes()[..], bytes].concat();
    let mut room = [0; 256];
    let mut writer = Writer::request(&mut room, libc::RTM_NEWADDR, 2, &[2, 24, 0x80, 0, 7, 0, 0, 0]);
    writer.bytes(libc::IFA_ADDRESS, &[10, 0, 0, 1]);
    writer.bytes(libc::IFA_LOCAL, &[10, 0, 0, 1]);
    writer.string(libc::IFA_LABEL, c"eth0:1");
    let address = writer.finish().expect("fits").to_vec();
    let end = |kind: i32, errno: i32| {
        let mut room = [0; 64];
        Writer::request(&mut room, kind as u16, 2, &errno.to_ne_bytes()).finish().expect("fits").to_vec()
    };
    let info = [0, 0, 1, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let mut room = [0; 128];
    let mut writer = Writer::request(&mut room, libc::RTM_NEWLINK, 0, &info);
    writer.string(libc::IFLA_IFNAME, c"minirunc0");
    writer.bytes(libc::IFLA_ADDRESS, &[2, b'm', 10, 0, 0, 1]);
    writer.nest(libc::IFLA_LINKINFO, |writer| writer.string(libc::IFLA_INFO_KIND, c"bridge"));
    let link = writer.finish().expect("fits").to_vec();
    vec![
        [&[0][..], &datagram(&[&address[..], &address].concat()), &datagram(&end(libc::NLMSG_DONE, 0))]
            .concat(),
        [&[0][..], &datagram(&end(libc::NLMSG_ERROR, -1))].concat(),
        [&[0][..], &datagram(&address), &datagram(&end(libc::NLMSG_ERROR, 0))].concat(),
        [&[1][..], &datagram(&link), &datagram(&end(libc::NLMSG_ERROR, 0))].concat(),
        [&[1][..], &datagram(&end(libc::NLMSG_ERROR, -libc::ENODEV))].concat(),
    ]
}

pub fn mountinfos() -> Vec<Vec<u8>> {
    const V1: &str = "\
        23 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw\n\
        31 28 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:7 - tmpfs none rw,mode=755\n\
        35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 master:1 - cgroup cgroup rw,cpuacct,cpu\n\
        36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        37 31 0:34 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
        38 31 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 none rw,nsdelegate\n";
    const V2: &str = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
    let long = format!("50 28 0:50 / /m rw - overlay overlay rw,lowerdir={}\n{V1}", "/layer:".repeat(1500));
    vec![V1.into(), V2.into(), long.into_bytes()]
}

pub fn cgroup_files() -> Vec<Vec<u8>> {
    bytes(&[
        "0user 12\nsystem 34\n",
        "1usage_usec 5\nuser_usec 6\nsystem_usec 7\nnr_periods 1\nnr_throttled 2\nthrottled_usec 3\n",
        "1some avg10=0.00 avg60=0.10 avg300=0.00 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "0cpu user system\n0 12 34\n1 56 78\n",
        "0253:0 Read 4096\n253:0 Write 0\nTotal 4096\n",
        "1259:1 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=50 dios=6\n",
        "00-3,5\n",
        "1max\n",
        "1low 0\nhigh 0\nmax 1\noom 3\noom_kill 2\n",
        "0oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    ])
}

pub fn proc_files() -> Vec<Vec<u8>> {
    bytes(&[
        "9:name=systemd:/\n4:cpu,cpuacct:/a:b\n0::/init.scope\n",
        "7 (a) b (c) S 1 7 9 -5 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 12\n",
        "root:x:0:0:root:/root:/bin/sh\nb:x:7:7::/:\nlast:x:9",
        "1\n234\n0\n56\n",
        "low 0\noom 3\noom_kill 2\n",
        "259:1 rbytes=10 wbytes=20 rios=3 wios=4\n8:16 Read 4096\n",
        "0-3,5\n",
    ])
}

pub fn profiles() -> Vec<Vec<u8>> {
    let mut all = bytes(&[
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],
            "flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["read","socket","ipc"],"action":"SCMP_ACT_ALLOW",
            "args":[{"index":0,"value":1,"valueTwo":2,"op":"SCMP_CMP_MASKED_EQ"},{"index":5,"value":4294967296,"op":"SCMP_CMP_GT"}]}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/a","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"},
            {"names":["mkdir","clone"],"action":"SCMP_ACT_TRACE","errnoRet":7,"args":[{"index":1,"value":1,"op":"SCMP_CMP_LE"},
            {"index":1,"value":0,"op":"SCMP_CMP_NE"},{"index":2,"value":9,"op":"SCMP_CMP_LT"},{"index":2,"value":9,"op":"SCMP_CMP_GE"},
            {"index":2,"value":9,"op":"SCMP_CMP_EQ"}]},{"names":["getpid"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#,
    ]);
    for text in DOCUMENTS {
        let document: serde_json::Value = serde_json::from_str(text).expect("a document");
        let profile = &document["linux"]["seccomp"];
        if profile.is_object() {
            all.push(profile.to_string().into_bytes());
        }
    }
    all
}
