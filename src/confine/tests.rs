//! What is given up is given up for good, so each test does it in a process of its own. They need root, as the runtime's
//! users mostly are; the test for the rest is in the integration ring.

use nsenter::attr::{Message, Writer};
use rustix::process::{Gid, Pid, Uid, WaitOptions, waitpid};
use rustix::thread::{self, CapabilitySet};
use std::vec;

use super::*;
use crate::plan::process::{Capabilities, Rlimit, User};
use crate::plan::{Noun, Plan, kind, namespace::Sysctl};
use crate::sys::process;

const NET_BIND_SERVICE: u64 = 1 << 10;
const KILL: u64 = 1 << 5;
const NOFILE: u32 = libc::RLIMIT_NOFILE as u32;
const CORE: u32 = libc::RLIMIT_CORE as u32;

/// Runs `steps` in a child. A closure that panics there aborts it.
fn in_child(steps: impl FnOnce() -> bool) {
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    match process::fork().unwrap() {
        None => process::exit(if steps() { 0 } else { 1 }),
        Some(child) => {
            let (_, status) = waitpid(Pid::from_raw(child.pid), WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(0), "{status:?}");
        }
    }
}

fn with_plan<T>(fill: impl FnOnce(&mut Writer<'_>), use_it: impl FnOnce(&Plan<'_>) -> T) -> T {
    let mut buffer = vec![0; 4096];
    let mut writer = Writer::new(&mut buffer, 0x11);
    fill(&mut writer);
    let message = writer.finish().unwrap();
    use_it(&Plan::new(Message::parse(message).unwrap().0))
}

/// Bounding and ambient set.
fn prctl_sets() -> (u64, u64) {
    let one = |number: u32| CapabilitySet::from_bits_retain(1 << number);
    let collect = |is_in: &dyn Fn(CapabilitySet) -> bool| {
        (0..64).filter(|&number| is_in(one(number))).fold(0, |all, number| all | 1 << number)
    };
    (
        collect(&|one| thread::capability_is_in_bounding_set(one) == Ok(true)),
        collect(&|one| thread::capability_is_in_ambient_set(one) == Ok(true)),
    )
}

/// init's order: see `init::create`.
fn become_user(user: &User, wanted: &Capabilities, plan: &Plan<'_>) -> crate::error::Result<()> {
    capability::limit(wanted)?;
    capability::keep(true)?;
    user::assume(user, plan)?;
    capability::keep(false)?;
    capability::apply(wanted, 0)
}

const USER: User = User { uid: 1234, gid: 5678, umask: None };

#[test]
fn a_user_has_the_capabilities_that_were_asked_for_and_no_other() {
    let wanted = Capabilities {
        bounding: NET_BIND_SERVICE | KILL,
        effective: NET_BIND_SERVICE,
        inheritable: NET_BIND_SERVICE,
        permitted: NET_BIND_SERVICE | KILL,
        ambient: NET_BIND_SERVICE,
    };
    with_plan(
        |_| (),
        |plan| {
            in_child(|| {
                become_user(&USER, &wanted, plan).unwrap();
                let sets = thread::capabilities(None).unwrap();
                sets.effective.bits() == NET_BIND_SERVICE
                    && sets.permitted.bits() == NET_BIND_SERVICE | KILL
                    && sets.inheritable.bits() == NET_BIND_SERVICE
                    && prctl_sets() == (NET_BIND_SERVICE | KILL, NET_BIND_SERVICE)
            });
        },
    );
}

#[test]
fn root_without_capabilities_has_none_left_in_any_set() {
    let root = User { uid: 0, gid: 0, umask: None };
    with_plan(
        |_| (),
        |plan| {
            in_child(|| {
                become_user(&root, &capability::NONE, plan).unwrap();
                let sets = thread::capabilities(None).unwrap();
                sets.effective.is_empty()
                    && sets.permitted.is_empty()
                    && sets.inheritable.is_empty()
                    && prctl_sets() == (0, 0)
            });
        },
    );
}

#[test]
fn a_capability_that_the_kernel_does_not_know_is_no_failure() {
    let wanted =
        Capabilities { bounding: u64::MAX, permitted: u64::MAX, effective: u64::MAX, ..capability::NONE };
    with_plan(|_| (), |plan| in_child(|| become_user(&USER, &wanted, plan).is_ok()));
}

#[test]
fn a_user_cannot_become_root_again() {
    with_plan(
        |writer| [7, 9].iter().for_each(|&gid| writer.u32(kind::GROUP, gid)),
        |plan| {
            in_child(|| {
                become_user(&USER, &capability::NONE, plan).unwrap();
                let ids = (rustix::process::getuid(), rustix::process::geteuid());
                let groups = (rustix::process::getgid(), rustix::process::getegid());
                ids == (Uid::from_raw(1234), Uid::from_raw(1234))
                    && groups == (Gid::from_raw(5678), Gid::from_raw(5678))
                    && thread::set_thread_uid(Uid::ROOT).is_err()
                    && thread::set_thread_gid(Gid::ROOT).is_err()
                    && thread::set_thread_groups(&[]).is_err()
            });
        },
    );
}

#[test]
fn limits_are_set_as_they_are_given() {
    let open = Rlimit { resource: NOFILE, soft: 61, hard: 67 };
    let core = Rlimit { resource: CORE, soft: 0, hard: 4096 };
    with_plan(
        |writer| [open, core].iter().for_each(|limit| limit.emit(writer)),
        |plan| {
            in_child(|| {
                rlimit::apply(plan).unwrap();
                process::limit(None, NOFILE) == Ok((61, 67)) && process::limit(None, CORE) == Ok((0, 4096))
            });
        },
    );
}

#[test]
fn a_limit_that_may_not_be_raised_is_named() {
    let low = Rlimit { resource: NOFILE, soft: 64, hard: 64 };
    let high = Rlimit { resource: NOFILE, soft: 64, hard: 128 };
    with_plan(
        |writer| [low, high].iter().for_each(|limit| limit.emit(writer)),
        |plan| {
            in_child(|| {
                // CAP_SYS_RESOURCE goes first: as in a user namespace.
                thread::set_capabilities(
                    None,
                    thread::CapabilitySets {
                        effective: CapabilitySet::empty(),
                        permitted: CapabilitySet::empty(),
                        inheritable: CapabilitySet::empty(),
                    },
                )
                .unwrap();
                let error = rlimit::apply(plan).unwrap_err();
                error.subject() == "RLIMIT_NOFILE" && error.errno() == Some(rustix::io::Errno::PERM)
            });
        },
    );
}

#[test]
fn the_score_is_set_on_the_process_itself() {
    in_child(|| {
        oom::adjust(None, 321).unwrap();
        let mut text = [0; 8];
        let file = rustix::fs::open(
            c"/proc/self/oom_score_adj",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
        );
        let len = rustix::io::read(file.unwrap(), &mut text).unwrap();
        &text[..len] == b"321\n"
    });
}

#[test]
fn a_parameter_is_written_to_the_namespace_of_the_process() {
    let parameter = Sysctl { path: c"kernel/msgmax", value: c"4321" };
    with_plan(
        |writer| parameter.emit(writer),
        |plan| {
            in_child(|| {
                #[allow(deprecated)]
                thread::unshare(thread::UnshareFlags::NEWIPC).unwrap();
                sysctl::apply(plan, procfs::open(plan).unwrap().as_ref()).unwrap();
                let mut text = [0; 8];
                let file = rustix::fs::open(
                    c"/proc/sys/kernel/msgmax",
                    rustix::fs::OFlags::RDONLY,
                    rustix::fs::Mode::empty(),
                );
                let len = rustix::io::read(file.unwrap(), &mut text).unwrap();
                &text[..len] == b"4321\n"
            });
        },
    );
}

#[test]
fn a_parameter_outside_of_proc_sys_is_out_of_reach() {
    for path in [c"../self/oom_score_adj", c"kernel/../../self/oom_score_adj", c"/proc/self/oom_score_adj"] {
        let parameter = Sysctl { path, value: c"1" };
        let error = with_plan(
            |writer| parameter.emit(writer),
            |plan| sysctl::apply(plan, procfs::open(plan).unwrap().as_ref()).unwrap_err(),
        );
        assert_eq!((error.op(), error.errno()), ("openat2", Some(rustix::io::Errno::XDEV)));
    }
}
