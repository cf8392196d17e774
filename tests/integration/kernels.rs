//! Lesser kernels: what happens where a system call is missing. Each that came after Linux 4.4 is either done without, or named.

use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::{Facts, MOUNTINFO};
use minirunc_tests::kernel::{Lacks, lacking};
use minirunc_tests::{host, only_ours};
use serde_json::json;

/// Calls without which no container is made: the error names them.
const REQUIRED: &[(&str, i64)] = &[
    ("open_tree", libc::SYS_open_tree),
    ("move_mount", libc::SYS_move_mount),
    ("fsopen", libc::SYS_fsopen),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("openat2", libc::SYS_openat2),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("execveat", libc::SYS_execveat),
];

/// Calls that there is another way for.
const OPTIONAL: &[(&str, i64)] = &[
    ("clone3", libc::SYS_clone3),
    ("close_range", libc::SYS_close_range),
    ("copy_file_range", libc::SYS_copy_file_range),
    ("faccessat2", libc::SYS_faccessat2),
    ("getrandom", libc::SYS_getrandom),
    ("keyctl", libc::SYS_keyctl),
    ("memfd_create", libc::SYS_memfd_create),
    ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    // Younger architectures have no other.
    #[cfg(not(target_arch = "riscv64"))]
    ("renameat2", libc::SYS_renameat2),
    ("seccomp", libc::SYS_seccomp),
    ("statx", libc::SYS_statx),
];

/// The first system call that came after Linux 5.12: landlock_create_ruleset.
const AFTER_5_12: i64 = 444;
/// `MFD_EXEC` (Linux 6.3), of memfd_create's second argument.
const MFD_EXEC: Lacks = Lacks::Flags(libc::SYS_memfd_create, 1, 0x10);

const QUESTIONS: &[&str] = &[
    MOUNTINFO,
    "read /proc/1/cmdline",
    "list /",
    "write /proc/sys/kernel/hostname x",
    "read /proc/kcore",
    "create /data/new",
    "stat /dev/null",
    "sethostname x",
];

/// The default container, behind a kernel that lacks these.
fn run_without(bundle: &Bundle, lacks: &[Lacks]) -> minirunc_tests::runtime::Output {
    bundle.write();
    let mut command = bundle.run_command(&[]);
    lacking(&mut command, lacks);
    bundle.start(command).finish()
}

/// As isolated as `runc spec` has it.
#[track_caller]
fn isolated(facts: &Facts, bundle: &Bundle) {
    assert_eq!(&facts["pid"], "1");
    assert_eq!(&facts["hostname"], "runc");
    assert_eq!(&facts["list /"], "bin data dev etc mnt probe proc run sys tmp");
    assert!(facts["read /proc/1/cmdline"].starts_with("/probe"));
    assert_eq!(&facts["write /proc/sys/kernel/hostname x"], "!EROFS");
    assert_eq!(&facts["create /data/new"], "!EROFS");
    assert_eq!(&facts["sethostname x"], "!EPERM");
    assert_eq!(&facts["stat /dev/null"], "chr 0666 0:0 1:3");
    assert!(["", "!ENOENT"].contains(&&facts["read /proc/kcore"]), "{}", &facts["read /proc/kcore"]);
    assert_eq!(&facts["fds"], "0 1 2");
    assert_eq!(&facts["cap.effective"], "5 10 29");
    assert_eq!(&facts["no_new_privs"], "1");
    assert_eq!(&facts["blocked"], "");
    for name in ["pid", "net", "mnt", "ipc", "uts", "cgroup"] {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(&facts[&format!("ns.{name}")], ours.to_str().unwrap(), "{name}");
    }
    let mounts = facts.mounts();
    assert!(mounts.at("/").has("ro"));
    assert!(!mounts.0.iter().any(|mount| mount.propagates().contains(&"shared")), "{mounts:#?}");
    bundle.nothing_left();
}

#[test]
fn without_an_optional_call_the_container_is_the_same() {
    only_ours!("the oracles need others");
    for &(name, number) in OPTIONAL {
        let bundle = Bundle::new().ask(QUESTIONS);
        let out = run_without(&bundle, &[Lacks::Call(number)]);
        assert!(out.code() == 0, "without {name}: status {}\n{}", out.code(), out.stderr);
        isolated(&out.facts(), &bundle);
    }
}

#[test]
fn without_any_optional_call_the_container_is_the_same() {
    only_ours!("the oracles need others");
    let bundle = Bundle::new().ask(QUESTIONS);
    let lacks: Vec<Lacks> = OPTIONAL.iter().map(|&(_, number)| Lacks::Call(number)).collect();
    isolated(&run_without(&bundle, &lacks).facts(), &bundle);
}

#[test]
fn a_required_call_that_is_missing_is_named() {
    only_ours!("the oracles need others");
    for &(name, number) in REQUIRED {
        let bundle = Bundle::new();
        let out = run_without(&bundle, &[Lacks::Call(number)]);
        out.refused(&["ENOSYS", "this kernel is older than Linux 5.12"]);
        assert!(out.stderr.contains(&format!(" {name} ")), "{}", out.stderr);
        bundle.nothing_left();
    }
}

/// What is newer than Linux 5.12 and asked for here: system calls, MFD_EXEC. (`cgroup.kill`, of 5.14, no v1 hierarchy has; inode
/// numbers of pidfds, of 6.9, not the kernel of the VM ring.)
#[test]
fn linux_5_12_is_enough() {
    only_ours!("the oracles need others");
    let bundle = Bundle::new().ask(QUESTIONS);
    let out = run_without(&bundle, &[Lacks::CallsFrom(AFTER_5_12), MFD_EXEC]);
    isolated(&out.facts(), &bundle);

    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    let dir = bundle.dir.to_str().unwrap();
    for verb in [
        &["create", "--bundle", dir, &bundle.id][..],
        &["start", &bundle.id],
        &["exec", &bundle.id, "/probe", "exit 0"],
        &["ps", &bundle.id],
        &["kill", &bundle.id, "KILL"],
        &["delete", "--force", &bundle.id],
    ] {
        let mut command = bundle.command(verb);
        lacking(&mut command, &[Lacks::CallsFrom(AFTER_5_12), MFD_EXEC]);
        bundle.start(command).finish().ok();
    }
    bundle.nothing_left();
}

#[test]
fn a_container_that_cannot_be_looked_at_is_not_taken_for_stopped() {
    only_ours!("the oracles need others");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    bundle.runtime(&["create", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).ok();
    for verb in [&["state"][..], &["start"], &["kill"], &["delete"], &["delete", "--force"]] {
        let mut command = bundle.command(&[verb, &[bundle.id.as_str()]].concat());
        lacking(&mut command, &[Lacks::Call(libc::SYS_pidfd_open)]);
        bundle.start(command).finish().refused(&["pidfd_open init: ENOSYS"]);
    }
    assert_eq!(bundle.state_json()["status"], "created");
    bundle.delete();
    bundle.nothing_left();
}

/// In `namespaces`, the kernel having no `flag` for clone and unshare: what is said.
#[track_caller]
fn without_namespace(bundle: &Bundle, flag: i32, words: &[&str]) {
    // clone3 has its flags in memory, where no filter sees them.
    let lacks = [
        Lacks::Call(libc::SYS_clone3),
        Lacks::Flags(libc::SYS_clone, 0, flag as u32),
        Lacks::Flags(libc::SYS_unshare, 0, flag as u32),
    ];
    run_without(bundle, &lacks).refused(words);
    bundle.nothing_left();
}

#[test]
fn a_namespace_that_the_kernel_lacks_is_named() {
    only_ours!("the oracles name no namespace");
    let hint = "this kernel has no such namespaces";
    for (flag, words) in [
        (libc::CLONE_NEWPID, "clone3 child in a pid namespace: EINVAL"),
        (libc::CLONE_NEWNET, "unshare network namespace: EINVAL"),
        (libc::CLONE_NEWIPC, "unshare ipc namespace: EINVAL"),
        (libc::CLONE_NEWUTS, "unshare uts namespace: EINVAL"),
        (libc::CLONE_NEWNS, "unshare mount namespace: EINVAL"),
        (libc::CLONE_NEWCGROUP, "unshare cgroup namespace: EINVAL"),
    ] {
        without_namespace(&Bundle::new(), flag, &[words, hint]);
    }
    let mut bundle = Bundle::new();
    bundle.add_namespace(json!({"type": "user"}));
    bundle.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    bundle.config["linux"]["gidMappings"] = bundle.config["linux"]["uidMappings"].clone();
    without_namespace(&bundle, libc::CLONE_NEWUSER, &["unshare user namespace: EINVAL", hint]);
}

#[test]
fn a_namespace_that_is_not_asked_for_may_be_missing() {
    only_ours!("the oracles need others");
    let bundle = Bundle::new().ask(QUESTIONS);
    let flags = (libc::CLONE_NEWUSER | 0x80) as u32; // CLONE_NEWTIME
    let lacks = [Lacks::Call(libc::SYS_clone3), Lacks::Flags(libc::SYS_unshare, 0, flags)];
    isolated(&run_without(&bundle, &lacks).facts(), &bundle);
}

#[test]
fn a_profile_without_seccomp_in_the_kernel_is_refused_by_name() {
    only_ours!("the words are ours");
    let bundle = Bundle::with(|c| {
        c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]});
    });
    let out = run_without(&bundle, &[Lacks::Call(libc::SYS_seccomp)]);
    out.refused(&["seccomp linux.seccomp: ENOSYS", "built without it"]);
    bundle.nothing_left();
}

#[test]
fn device_rules_without_bpf_in_the_kernel_are_refused_by_name() {
    only_ours!("the words are ours");
    let bundle = Bundle::new().ask(QUESTIONS);
    let out = run_without(&bundle, &[Lacks::Call(libc::SYS_bpf)]);
    if host::v2() {
        out.refused(&["linux.resources.devices: bpf(PROG_LOAD)", "ENOSYS"]);
    } else {
        // v1 has a controller for them.
        isolated(&out.facts(), &bundle);
    }
    bundle.nothing_left();
}

#[test]
fn a_filesystem_that_the_kernel_lacks_is_named() {
    only_ours!("the words are ours");
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "nosuchfs", "source": "x"}));
    bundle.run().refused(&["fsopen /mnt (nosuchfs): ENODEV", "this kernel has no such filesystem"]);
}

/// In a mount namespace that has no cgroups in sight.
fn without_cgroups(command: &mut Command) {
    #![allow(unsafe_code)]
    use std::os::unix::process::CommandExt;
    let points: Vec<_> = host::hierarchies()
        .into_iter()
        .map(|point| std::ffi::CString::new(point.to_str().unwrap()).unwrap())
        .collect();
    // SAFETY: only system calls between fork and exec, on memory made before.
    unsafe {
        command.pre_exec(move || {
            let none = std::ptr::null();
            minirunc_tests::runtime::check(libc::unshare(libc::CLONE_NEWNS))?;
            let flags = libc::MS_REC | libc::MS_PRIVATE;
            minirunc_tests::runtime::check(libc::mount(
                c"".as_ptr(),
                c"/".as_ptr(),
                none,
                flags,
                none.cast(),
            ))?;
            for point in points.iter().rev() {
                minirunc_tests::runtime::check(libc::umount2(point.as_ptr(), libc::MNT_DETACH))?;
            }
            Ok(())
        });
    }
}

#[test]
fn without_cgroups_a_container_without_limits_runs() {
    only_ours!("the oracles need cgroups");
    let mut bundle = Bundle::new().ask(QUESTIONS);
    bundle.config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    bundle.write();
    let mut command = bundle.run_command(&[]);
    without_cgroups(&mut command);
    isolated(&bundle.start(command).finish().facts(), &bundle);
}

#[test]
fn without_cgroups_a_limit_is_refused_by_name() {
    only_ours!("the words are ours");
    for (resource, limit) in [
        ("memory", json!({"limit": 64 << 20})),
        ("pids", json!({"limit": 10})),
        ("cpu", json!({"shares": 100})),
    ] {
        let bundle = Bundle::with(|c| c["linux"]["resources"] = json!({resource: limit}));
        bundle.write();
        let mut command = bundle.run_command(&[]);
        without_cgroups(&mut command);
        let out = bundle.start(command).finish();
        out.refused(&[&format!("linux.resources.{resource}: no cgroup filesystem is mounted")]);
        bundle.nothing_left();
    }
}

/// What a kernel without cgroups does not have, beyond their filesystems.
const NO_CGROUPS: &[Lacks] = &[
    Lacks::File("/proc/self/cgroup", libc::ENOENT),
    Lacks::File("/proc/self/ns/cgroup", libc::ENOENT),
    Lacks::File("/sys/fs/cgroup", libc::ENOENT),
    // Nobody can make it in sysfs.
    Lacks::File("cgroup", libc::EPERM),
    Lacks::Filesystem("cgroup"),
    Lacks::Filesystem("cgroup2"),
    Lacks::Call(libc::SYS_clone3),
    Lacks::Flags(libc::SYS_unshare, 0, libc::CLONE_NEWCGROUP as u32),
];

/// Behind a kernel without cgroups.
fn on_none(bundle: &Bundle, arguments: &[&str]) -> minirunc_tests::runtime::Output {
    let mut command = bundle.command(arguments);
    command.current_dir(&bundle.dir);
    without_cgroups(&mut command);
    lacking(&mut command, NO_CGROUPS);
    bundle.start(command).finish()
}

#[test]
fn a_kernel_without_cgroups_lives_the_whole_life() {
    only_ours!("the oracles need cgroups");
    let mut bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.drop_namespace("cgroup");
    bundle.write();
    let (dir, id) = (bundle.dir.to_str().unwrap(), bundle.id.as_str());
    on_none(&bundle, &["create", "--bundle", dir, id]).ok();
    on_none(&bundle, &["start", id]).ok();
    let facts = on_none(&bundle, &["exec", id, "/probe", "read /proc/self/cgroup", "stat /dev/null"]).facts();
    assert_eq!(&facts["stat /dev/null"], "chr 0666 0:0 1:3");
    on_none(&bundle, &["pause", id]).refused(&["cgroup"]);
    on_none(&bundle, &["ps", id]).ok();
    on_none(&bundle, &["kill", id, "KILL"]).ok();
    on_none(&bundle, &["delete", "--force", id]).ok();
    bundle.nothing_left();
}

#[test]
fn without_a_bundle_no_cgroups_are_needed_unless_a_limit_is_asked_for() {
    only_ours!("no other runtime runs without a bundle");
    let overlay = std::fs::read_to_string("/proc/filesystems").unwrap().contains("\toverlay\n");
    let bundle = Bundle::new();
    let questions = ["/probe", "write /dev/null x"];
    for root in ["--rootfs", "--image"].iter().filter(|root| overlay || **root == "--rootfs") {
        let mut arguments = vec!["run", "--id", &bundle.id, root, "rootfs"];
        arguments.extend(questions);
        let facts = on_none(&bundle, &arguments).facts();
        assert_eq!(&facts["write /dev/null x"], "ok");
        let arguments = ["run", "--id", &bundle.id, root, "rootfs", "--memory", "64m", "/probe"];
        on_none(&bundle, &arguments).refused(&["memory: no cgroup filesystem is mounted"]);
    }
    bundle.nothing_left();
}

/// A node that the default rules do not allow, /dev/kmsg's.
fn node(at: &std::path::Path) {
    let made = Command::new("mknod").arg(at).args(["c", "1", "11"]).status();
    assert!(made.unwrap().success(), "mknod {at:?}");
}

/// Without: `close` in rootfs/mount.rs, or what `isolate` does to the root.
#[test]
fn without_cgroups_the_devices_of_images_and_volumes_stay_closed() {
    only_ours!("the oracles need cgroups");
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": bundle.path("volume"),
        "options": ["rbind", "dev"]}));
    bundle
        .add_mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"]}));
    bundle.add_mount(json!({"destination": "/data", "type": "bind", "source": bundle.path("rootfs/data"),
        "options": ["bind"]}));
    bundle.add_mount(json!({"destination": "/data", "options": ["remount", "dev"]}));
    bundle.drop_namespace("cgroup");
    let bundle = bundle.ask(&[
        "open /etc/node",
        "open /mnt/node",
        "open /tmp/node",
        "open /data/node",
        "open /dev/zero",
        "open /dev/ptmx",
        "mknod /dev/shm/node c 1 11",
    ]);
    std::fs::create_dir(bundle.path("volume")).unwrap();
    for place in ["rootfs/etc/node", "volume/node", "rootfs/tmp/node", "rootfs/data/node"] {
        node(&bundle.dir.join(place));
    }
    bundle.write();
    let run = ["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id];
    let facts = on_none(&bundle, &run).facts();
    for place in ["/etc", "/mnt", "/tmp", "/data"] {
        assert_eq!(&facts[&*format!("open {place}/node")], "!EACCES", "{place}");
    }
    assert_eq!((&facts["open /dev/zero"], &facts["open /dev/ptmx"]), ("ok", "ok"));
    assert_eq!(&facts["mknod /dev/shm/node c 1 11"], "!EPERM");
    bundle.nothing_left();
}

#[test]
fn without_cgroups_who_could_get_around_that_is_refused() {
    only_ours!("the oracles need cgroups");
    let mut bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.drop_namespace("cgroup");
    bundle.write();
    let (dir, id) = (bundle.dir.to_str().unwrap(), bundle.id.as_str());
    on_none(&bundle, &["run", "--detach", "--bundle", dir, id]).ok();
    let words = ["linux.resources.devices: no cgroup filesystem is mounted"];
    for capability in ["CAP_MKNOD", "CAP_SYS_ADMIN"] {
        on_none(&bundle, &["exec", "--cap", capability, id, "/probe"]).ended(255).says(words[0]);
    }
    on_none(&bundle, &["delete", "--force", id]).ok();

    for (pointer, value) in [
        ("/process/capabilities/bounding", json!(["CAP_MKNOD"])),
        ("/process/capabilities/permitted", json!(["CAP_SYS_ADMIN"])),
        ("/linux/devices", json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}])),
    ] {
        let mut bundle = Bundle::with(|config| {
            config["linux"]["devices"] = json!([]);
            *config.pointer_mut(pointer).unwrap() = value;
        });
        bundle.drop_namespace("cgroup");
        bundle.write();
        on_none(&bundle, &["run", "--bundle", bundle.dir.to_str().unwrap(), &bundle.id]).refused(&words);
        bundle.nothing_left();
    }
}

#[test]
fn a_kernel_without_user_namespaces_runs_what_needs_none_and_names_them_else() {
    only_ours!("the words are ours");
    let lacks = &[
        Lacks::File("/proc/self/ns/user", libc::ENOENT),
        Lacks::Call(libc::SYS_clone3),
        Lacks::Flags(libc::SYS_clone, 0, libc::CLONE_NEWUSER as u32),
        Lacks::Flags(libc::SYS_unshare, 0, libc::CLONE_NEWUSER as u32),
    ];
    let bundle = Bundle::new().ask(QUESTIONS);
    isolated(&run_without(&bundle, lacks).facts(), &bundle);
    let mut command =
        bundle.command(&["run", "--id", &bundle.id, "--rootfs", "rootfs", "--userns", "/probe"]);
    command.current_dir(&bundle.dir);
    lacking(&mut command, lacks);
    let out = bundle.start(command).finish();
    out.refused(&["unshare user namespace: EINVAL", "this kernel has no such namespaces"]);
    bundle.nothing_left();
}

/// seccomp(2) may be there for its strict mode alone.
#[test]
fn a_profile_without_filters_in_the_kernel_is_refused_by_name() {
    only_ours!("the words are ours");
    let bundle = Bundle::with(|config| {
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]});
    });
    let filters = libc::SECCOMP_SET_MODE_FILTER;
    run_without(&bundle, &[Lacks::Flags(libc::SYS_seccomp, 0, filters)])
        .refused(&["seccomp linux.seccomp: EINVAL"]);
    bundle.nothing_left();
}
