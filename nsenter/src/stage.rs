//! The stages that run in what [`crate::spawn::child`] started. They print nothing: what fails is said over
//! the socket.
//!
//! Why a child *and* an init: a new pid or time namespace takes in only what its maker clones afterwards,
//! and joined pid namespaces likewise; after unshare(CLONE_NEWUSER) someone outside must write the maps
//! before anything else can be made. Init is cloned with CLONE_PARENT, so that it is a child of the
//! runtime, not an orphan for whoever reaps those.
//!
//! What belongs to init's own list and is not done here: setsid, the cgroup namespace (its root is the
//! cgroup its maker is in, and init joins its v1 cgroups first), the signal mask, the parent death signal,
//! everything about mounts.

use core::ffi::CStr;

use crate::boot::{self, Boot, Join, Target};
use crate::error::{Context, Error, Text};
use crate::ids;
use crate::raw::{self, Errno, Fd, Fds, Once, RawFd};
use crate::sync::{Channel, Kind, silent};
use crate::trace;

/// argv[0] of the child. The kernel keeps 15 bytes of it as the process's name.
pub const CHILD: &CStr = c"minirunc:[1:CHILD]";
/// argv[0] of init until execve; not longer than the child's, over which it is written.
pub const INIT: &CStr = c"minirunc:[2:INIT]";

const NEWUSER: u32 = libc::CLONE_NEWUSER as u32;
const NEWPID: u32 = libc::CLONE_NEWPID as u32;
const NEWTIME: u32 = libc::CLONE_NEWTIME as u32;
const NEWCGROUP: u32 = libc::CLONE_NEWCGROUP as u32;

/// Namespace kinds as the OCI spec names them.
const NAMES: [(u32, &str); 8] = [
    (libc::CLONE_NEWNS as u32, "mount"),
    (NEWCGROUP, "cgroup"),
    (libc::CLONE_NEWUTS as u32, "uts"),
    (libc::CLONE_NEWIPC as u32, "ipc"),
    (NEWUSER, "user"),
    (NEWPID, "pid"),
    (libc::CLONE_NEWNET as u32, "network"),
    (NEWTIME, "time"),
];

static BOOT: Once<{ boot::MAX }> = Once::new();

/// Goes through the stages. Returns in init only, in its namespaces, with the channel on which PLAN waits;
/// `name` is argv[0], written over in place. Any failure is sent to the runtime, and the process exits with
/// status 1.
pub fn enter(socket: RawFd, name: &mut [u8]) -> Channel {
    let channel = Channel::new(socket);
    if let Err(error) = child(&channel, name) {
        trace::send(channel);
        let _ = channel.send_error(error.op(), error.subject(), error.errno().map(|errno| errno.0));
        raw::exit(1);
    }
    channel
}

/// Stage 1, from execve to the birth of init, who takes its place: memory, stack and this function.
fn child(channel: &Channel, name: &mut [u8]) -> Result<(), Error> {
    raw::set_cloexec(channel.as_raw()).context("fcntl", b"socket")?;
    raw::set_name(CHILD);

    let mut fds = Fds::default();
    let message =
        channel.recv(BOOT.take().unwrap_or(&mut []), &mut fds)?.ok_or_else(|| silent(c"runtime"))?;
    let boot = Boot::parse(&message)?;
    trace::mark(trace::BOOT);
    // What the child holds (descriptors, host credentials) is not for the processes in the namespaces that
    // it joins (CVE-2016-9962). Not before BOOT, or an ordinary user's runtime could not have set its oom_score_adj.
    raw::set_dumpable(false).context("prctl", b"PR_SET_DUMPABLE")?;
    let offsets =
        if boot.monotonic.is_some() || boot.boottime.is_some() { Some(open_offsets()?) } else { None };

    let user = join(&boot, &fds)?;
    // The descriptors are close-on-exec, but no business of init's.
    drop(fds);
    if boot.joins().next().is_some() {
        trace::mark(trace::SETNS);
    }
    if boot.namespaces & NEWUSER != 0 {
        let root = raw::euid() == 0;
        unshare(NEWUSER)?;
        if boot.maps {
            request_maps(channel, root)?;
        }
    }
    if user || boot.namespaces & NEWUSER != 0 {
        become_root()?;
        trace::mark(trace::USER);
    }
    // Collapsed: the pid namespace was made by the clone3 that made this process.
    let made = NEWUSER | NEWCGROUP | if boot.collapsed { NEWPID } else { 0 };
    unshare(boot.namespaces & !made)?;
    if let Some(file) = offsets {
        ids::write_offsets(&file, boot.monotonic, boot.boottime)?;
    }
    trace::mark(trace::UNSHARE);
    if boot.collapsed {
        return init(name);
    }
    if boot.namespaces & NEWTIME != 0 {
        // Only who gets memory of its own gets into it (vDSO), or, since Linux 6.0, who executes a program.
        fork(channel)?;
    } else {
        let pid = raw::pass_on().context("clone", INIT.to_bytes())?;
        channel.send_pid(pid)?;
    }
    trace::mark(trace::CLONE);
    init(name)
}

/// The end of stage 1 where init needs memory of its own: tells init's pid and exits. Returns in init.
fn fork(channel: &Channel) -> Result<(), Error> {
    let (gate, key) = raw::pipe().context("pipe2", b"")?;
    match raw::fork_sibling().context("clone", INIT.to_bytes())? {
        Some(pid) => {
            // Init is held until its pid is on the socket, so that nothing it says comes before.
            channel.send_pid(pid)?;
            raw::write(key.as_raw(), &[1]).context("write", b"gate of init")?;
            raw::exit(0);
        }
        None => {
            drop(key);
            match raw::read(&gate, &mut [0]) {
                Ok(1) => Ok(()),
                _ => Err(silent(CHILD)),
            }
        }
    }
}

/// Stage 2: all that is nsenter's about it is its name.
fn init(name: &mut [u8]) -> Result<(), Error> {
    let text = INIT.to_bytes().iter().copied().chain(core::iter::repeat(0));
    name.iter_mut().zip(text).for_each(|(place, byte)| *place = byte);
    raw::set_name(INIT);
    Ok(())
}

/// /proc/self belongs to root while the process is not dumpable. Nothing is joined yet, so that nobody new
/// can look.
fn open_offsets() -> Result<Fd, Error> {
    raw::set_dumpable(true).context("prctl", b"PR_SET_DUMPABLE")?;
    let file = ids::open_offsets()?;
    raw::set_dumpable(false).context("prctl", b"PR_SET_DUMPABLE")?;
    Ok(file)
}

/// Has the runtime write the maps. For that /proc/PID/uid_map must belong to the runtime's user, thus the
/// process be dumpable for so long; root's it is anyway.
fn request_maps(channel: &Channel, root: bool) -> Result<(), Error> {
    if !root {
        raw::set_dumpable(true).context("prctl", b"PR_SET_DUMPABLE")?;
    }
    channel.send_simple(Kind::MapPlease)?;
    channel.expect(Kind::MapDone, &mut Fds::default())
}

/// Becomes user and group 0 of the user namespace, as far as it has them, with no other groups.
fn become_root() -> Result<(), Error> {
    match raw::clear_groups() {
        // setgroups was denied when an ordinary user mapped their own group.
        Ok(()) | Err(Errno(libc::EPERM)) => {}
        Err(errno) => return Err(Error::system("setgroups", b"0", errno)),
    }
    for (op, result) in [("setresgid", raw::set_gid(0)), ("setresuid", raw::set_uid(0))] {
        match result {
            // 0 is not mapped: the process stays who it is, with all capabilities until execve.
            Ok(()) | Err(Errno(libc::EINVAL)) => {}
            Err(errno) => return Err(Error::system(op, b"0", errno)),
        }
    }
    // New credentials make the kernel set what fs.suid_dumpable says, and asking for the maps has set 1.
    raw::set_dumpable(false).context("prctl", b"PR_SET_DUMPABLE")
}

/// unshare(2); where it fails, one by one, to know which namespace it was.
fn unshare(flags: u32) -> Result<(), Error> {
    if flags == 0 {
        return Ok(());
    }
    let Err(mut failure) = raw::unshare(flags) else { return Ok(()) };
    let mut culprit = "";
    for (flag, name) in NAMES.iter().filter(|(flag, _)| flags & flag != 0) {
        if let Err(errno) = raw::unshare(*flag) {
            (failure, culprit) = (errno, name);
            break;
        }
    }
    let subject: Text<32> = Text::of(&[culprit.as_bytes(), b" namespace"]);
    Err(Error::system("unshare", subject.as_str().as_bytes(), failure))
}

/// A namespace, or a process whose namespaces, to be joined.
struct Door<'a> {
    fd: RawFd,
    /// Keeps what was opened here open.
    _file: Option<Fd>,
    /// What is still to be joined through it.
    flags: u32,
    target: Target<'a>,
}

/// Joins what BOOT names; whether a user namespace was among it.
///
/// All paths are opened before anything is joined: afterwards they may mean something else, or nothing.
///
/// Which comes first, the user namespace or the rest? A namespace may be joined by who has CAP_SYS_ADMIN in
/// the user namespace that owns it. A container's own namespaces are owned by its user namespace: an
/// ordinary user gets that right only by joining it. A namespace owned by the caller's (such as
/// /run/netns/x) can only be joined before. So what may be joined is joined at once, and what is refused
/// (EPERM) waits until the user namespace has been.
fn join(boot: &Boot<'_>, fds: &Fds) -> Result<bool, Error> {
    let mut doors = [const { None }; boot::JOINS];
    let mut user = false;
    for (place, join) in doors.iter_mut().zip(boot.joins()) {
        *place = Some(open(join, fds)?);
        user |= join.flags & NEWUSER != 0;
    }
    for door in doors.iter_mut().flatten() {
        // Mostly all of a process's namespaces are joined by one call: the kernel takes the user namespace
        // first and checks the others against it. Where this is refused, nothing has been joined.
        if !door.flags.is_power_of_two() && raw::setns(door.fd, door.flags).is_ok() {
            door.flags = 0;
        }
        door.enter(!NEWUSER, user)?;
    }
    for door in doors.iter_mut().flatten() {
        door.enter(NEWUSER, false)?;
    }
    for door in doors.iter_mut().flatten() {
        door.enter(!0, false)?;
    }
    Ok(user)
}

/// Opens one, and makes sure of its type: setns(2) would only say EINVAL.
fn open<'a>(join: &Join<'a>, fds: &Fds) -> Result<Door<'a>, Error> {
    let (flags, target) = (join.flags, join.target);
    let path = match target {
        Target::Pidfd(index) => {
            let fd =
                fds.get(index as usize).ok_or_else(|| Error::refused("message", b"no pidfd came with it"))?;
            return Ok(Door { fd, _file: None, flags, target });
        }
        Target::Path(path) => path,
    };
    // O_NONBLOCK: should it be a fifo.
    let flags_open = libc::O_RDONLY | libc::O_NOCTTY | libc::O_NONBLOCK;
    let file = raw::open(libc::AT_FDCWD, path, flags_open).context("open", path.to_bytes())?;
    if raw::namespace_type(file.as_raw()) != Ok(flags) {
        let subject: Text<512> = Text::of(&[path.to_bytes(), b" is not of type ", name_of(flags).as_bytes()]);
        return Err(Error::system("namespace path", subject.as_str().as_bytes(), Errno(libc::EINVAL)));
    }
    Ok(Door { fd: file.as_raw(), _file: Some(file), flags, target })
}

impl Door<'_> {
    /// Joins those of `mask` that are left. `defer`: leaves those that are refused for later.
    fn enter(&mut self, mask: u32, defer: bool) -> Result<(), Error> {
        let due = self.flags & mask;
        for (flag, name) in NAMES.iter().filter(|(flag, _)| due & flag != 0) {
            match raw::setns(self.fd, *flag) {
                Ok(()) => self.flags &= !flag,
                Err(Errno(libc::EPERM)) if defer => {}
                // A user namespace that is ours already cannot be joined (setns(2)), and need not be: podman in its own names it, too.
                Err(Errno(libc::EINVAL)) if *flag == NEWUSER => {}
                Err(errno) => {
                    let subject: Text<512> = match self.target {
                        Target::Path(path) => Text::of(&[path.to_bytes()]),
                        Target::Pidfd(_) => Text::of(&[name.as_bytes(), b" namespace of a process"]),
                    };
                    return Err(Error::system("setns", subject.as_str().as_bytes(), errno));
                }
            }
        }
        Ok(())
    }
}

/// The first of these kinds of namespace.
fn name_of(flags: u32) -> &'static str {
    NAMES.iter().find(|(flag, _)| flags & flag != 0).map_or("", |(_, name)| name)
}

/// The stages for real, in forks of the test program. As root only, skipped aloud elsewhere.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{IdMap, write_maps};
    use crate::sync::Answer;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::string::{String, ToString};

    const NEWNET: u32 = libc::CLONE_NEWNET as u32;
    const NEWUTS: u32 = libc::CLONE_NEWUTS as u32;
    const MAP: [IdMap; 1] = [IdMap { container_id: 0, host_id: 100_000, size: 10 }];

    /// A process that has gone through the stages, says READY and waits for its end.
    #[derive(Debug)]
    struct Init {
        pid: i32,
        _socket: UnixStream,
    }

    impl Drop for Init {
        fn drop(&mut self) {
            raw::kill(self.pid);
            let _ = raw::wait(self.pid);
        }
    }

    impl Init {
        fn namespace(&self, name: &str) -> String {
            link(&std::format!("/proc/{}/ns/{name}", self.pid))
        }

        fn file(&self, name: &str) -> String {
            std::fs::read_to_string(std::format!("/proc/{}/{name}", self.pid)).unwrap()
        }
    }

    fn link(path: &str) -> String {
        std::fs::read_link(path).unwrap().display().to_string()
    }

    /// The runtime's part: what [`crate::spawn::child`] would start is a fork of this program here.
    fn run(boot: &Boot<'_>, fds: &[RawFd]) -> Result<Init, Error> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pid = match raw::fork().unwrap() {
            Some(pid) => pid,
            None => {
                let channel = enter(theirs.as_raw_fd(), &mut [b'x'; 18]);
                let _ = channel.send_simple(Kind::Ready);
                let _ = channel.expect(Kind::HooksDone, &mut Fds::default());
                raw::exit(0);
            }
        };
        drop(theirs);
        let channel = Channel::new(ours.as_raw_fd());
        channel.send_with_fds(boot.emit(&mut [0; 1024])?, fds)?;
        let mut init = None;
        loop {
            match channel.answer() {
                Ok(Answer::MapPlease) => {
                    write_maps(pid, &MAP, &MAP, None)?;
                    channel.send_simple(Kind::MapDone)?;
                }
                Ok(Answer::Pid(pid)) => init = Some(pid),
                Ok(Answer::Ready) => break,
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert_eq!((raw::wait(pid).unwrap(), init), (1 << 8, None));
                    return Err(error);
                }
            }
        }
        if init.is_some() {
            assert_eq!(raw::wait(pid), Ok(0));
        }
        Ok(Init { pid: init.unwrap_or(pid), _socket: ours })
    }

    fn root() -> bool {
        let root = raw::euid() == 0;
        if !root {
            std::println!("skipped: takes root");
        }
        root
    }

    fn everything() -> Boot<'static> {
        let monotonic = Some(boot::Offset { seconds: 86_400, nanoseconds: 0 });
        Boot { namespaces: boot::NAMESPACES, maps: true, monotonic, ..Boot::default() }
    }

    #[test]
    fn every_namespace_but_the_cgroup_one_is_new_and_init_is_the_runtimes_child() {
        if !root() {
            return;
        }
        let init = run(&everything(), &[]).unwrap();
        for name in ["mnt", "uts", "ipc", "user", "pid", "net", "time"] {
            assert_ne!(init.namespace(name), link(&std::format!("/proc/self/ns/{name}")), "{name}");
        }
        assert_eq!(init.namespace("cgroup"), link("/proc/self/ns/cgroup"));
        let status = init.file("status");
        assert!(status.contains(&std::format!("PPid:\t{}\n", std::process::id())));
        assert!(status.contains(&std::format!("NSpid:\t{}\t1\n", init.pid)));
        assert!(status.contains("Uid:\t100000\t100000\t100000\t100000\n"));
        assert!(status.contains("Gid:\t100000\t100000\t100000\t100000\n"));
        assert_eq!(init.file("comm"), "minirunc:[2:INI\n");
        assert!(init.file("timens_offsets").contains("86400"));
    }

    #[test]
    fn all_namespaces_of_a_process_are_joined_through_its_pidfd() {
        if !root() {
            return;
        }
        let first = run(&everything(), &[]).unwrap();
        let pidfd = raw::pidfd_open(first.pid).unwrap();
        let mut boot = Boot::default();
        assert!(boot.join(boot::NAMESPACES, Target::Pidfd(0)));
        let second = run(&boot, &[pidfd.as_raw()]).unwrap();
        for name in ["mnt", "uts", "ipc", "user", "pid", "net", "time", "cgroup"] {
            assert_eq!(second.namespace(name), first.namespace(name), "{name}");
        }
        assert!(second.file("status").contains("Uid:\t100000\t100000\t100000\t100000\n"));
    }

    #[test]
    fn a_network_namespace_of_the_host_is_joined_along_with_a_foreign_user_namespace() {
        if !root() {
            return;
        }
        let first = run(&everything(), &[]).unwrap();
        let net = run(&Boot { namespaces: NEWNET, ..Boot::default() }, &[]).unwrap();
        let paths = [(first.pid, "user"), (net.pid, "net")]
            .map(|(pid, name)| std::ffi::CString::new(std::format!("/proc/{pid}/ns/{name}")).unwrap());
        let mut boot = Boot::default();
        assert!(boot.join(NEWUSER, Target::Path(&paths[0])));
        assert!(boot.join(NEWNET, Target::Path(&paths[1])));
        let second = run(&boot, &[]).unwrap();
        assert_eq!(second.namespace("user"), first.namespace("user"));
        assert_eq!(second.namespace("net"), net.namespace("net"));
    }

    #[test]
    fn collapsed_stages_are_one_process() {
        if !root() {
            return;
        }
        let init = run(&Boot { namespaces: NEWUTS, collapsed: true, ..Boot::default() }, &[]).unwrap();
        assert_ne!(init.namespace("uts"), link("/proc/self/ns/uts"));
        assert_eq!(init.file("comm"), "minirunc:[2:INI\n");
    }

    #[test]
    fn a_path_that_is_no_such_namespace_is_named() {
        let refused = |path: &CStr| {
            let mut boot = Boot::default();
            assert!(boot.join(NEWUTS, Target::Path(path)));
            run(&boot, &[]).unwrap_err()
        };
        let wrong = |subject: &str| Error::system("namespace path", subject.as_bytes(), Errno(libc::EINVAL));
        assert_eq!(refused(c"/proc/self/ns/net"), wrong("/proc/self/ns/net is not of type uts"));
        assert_eq!(refused(c"/etc/passwd"), wrong("/etc/passwd is not of type uts"));
        assert_eq!(refused(c"/none"), Error::system("open", b"/none", Errno(libc::ENOENT)));
    }

    #[test]
    fn a_pidfd_that_did_not_come_is_refused() {
        let mut boot = Boot::default();
        assert!(boot.join(NEWUTS, Target::Pidfd(0)));
        assert_eq!(run(&boot, &[]).unwrap_err(), Error::refused("message", b"no pidfd came with it"));
    }
}
