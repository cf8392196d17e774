//! What crosses sockets, and what is stored: netlink messages.

#![allow(unsafe_code)]

use std::cell::Cell;

use minirunc::cgroup::Cgroups;
use minirunc::container::record::Stored;
use minirunc::error::{Error, Result};
use minirunc::net::{bridge, device, netlink::Netlink};
use minirunc::plan::hook::Hook;
use minirunc::plan::mount::Mount;
use minirunc::plan::namespace::{Bridge, Hierarchy, IdMap, Namespace, NetDevice, Sysctl, TimeOffset};
use minirunc::plan::process::{Annotation, Capabilities, Listener, Rlimit, Terminal, User};
use minirunc::plan::resources::*;
use minirunc::plan::root::Root;
use minirunc::plan::scheduling::{ExecAffinity, IoPriority, MemoryPolicy, Scheduler};
use minirunc::plan::{self, Noun, Plan, device::Device, device::DeviceRule, exec, kind};
use nsenter::attr::{Message, Writer};
use nsenter::boot::Boot;
use nsenter::sync::{Answer, Channel, Fds, Kind};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair};

/// The plan for people.
pub fn print(message: &[u8]) -> Result<String> {
    let mut text = String::new();
    let (message, _) = Message::parse(message).map_err(plan::broken)?;
    plan::print::print(&Plan::new(message), &mut text)?;
    Ok(text)
}

fn emitted<'r, 'w>(value: &impl Noun<'w>, room: &'r mut [u8]) -> &'r [u8] {
    let mut writer = Writer::new(room, 0x11);
    value.emit(&mut writer);
    writer.finish().expect("what was read can be written")
}

/// Reads all values of each noun; what can be read is the same after it was written and read again.
macro_rules! again {
    ($plan:ident, $($noun:ty,)*) => {{
        let mut room = vec![0; 128 << 10];
        $(for value in $plan.each::<$noun>().map_while(Result::ok) {
            let message = Message::parse(emitted(&value, &mut room)).expect("a message").0;
            assert_eq!(Plan::new(message).one::<$noun>(), Ok(Some(value)));
        })*
    }};
}

/// The stored plan, as `run --dry-run` prints it, as init, `delete` and `exec` read it.
pub fn plan(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let _ = print(rest).map_err(|error| error.to_string());
        let Ok((message, behind)) = Message::parse(rest) else { break };
        values(&Plan::new(message), bytes.len());
        rest = behind;
    }
}

/// The file of a container: the plan, and what is behind it.
pub fn stored(bytes: &[u8]) {
    match Stored::parse(bytes, 0) {
        Ok(stored) => {
            assert!(stored.plan.has(kind::ID).unwrap());
            assert!(stored.record.is_none() || stored.setup.is_some());
            let _ = stored.setup.map(|setup| Cgroups::restore(&setup, Some("freezer")).map(drop));
        }
        Err(error) => assert!(error.to_string().starts_with("plan: "), "{error}"),
    }
}

fn values(plan: &Plan<'_>, length: usize) {
    again!(
        plan,
        Annotation<'_>,
        Namespace<'_>,
        IdMap,
        TimeOffset,
        Sysctl<'_>,
        NetDevice<'_>,
        Root<'_>,
        Mount<'_>,
        Device<'_>,
        User,
        Capabilities,
        Rlimit,
        Terminal,
        Scheduler,
        IoPriority,
        ExecAffinity<'_>,
        MemoryPolicy<'_>,
        Listener<'_>,
        Hook<'_>,
        Memory,
        Cpu,
        Cpuset<'_>,
        Pids,
        BlockIo,
        BlockDevice,
        HugePage<'_>,
        Network,
        NetworkPriority<'_>,
        Rdma<'_>,
        Unified<'_>,
        IntelRdt<'_>,
        DeviceRule,
        Bridge<'_>,
        Hierarchy<'_>,
    );
    let _ = Cgroups::restore(plan, None).map(|cgroups| cgroups.mode());
    let mut room = vec![0; length + (8 << 10)];
    let mut writer = Writer::new(&mut room, 0x11);
    let changes = exec::Changes {
        given: Plan::new(
            Message::parse(&[16, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("empty").0,
        ),
        uid: Some(7),
        gid: None,
        capabilities: 1,
        no_new_privileges: Some(true),
        terminal: true,
        preserve_fds: 3,
    };
    if exec::process(plan, &changes, &mut writer).is_ok() {
        writer.finish().expect("a process is no longer than its plan and what is new");
    }
}

/// What the child is told.
pub fn boot(bytes: &[u8]) {
    let Ok((message, _)) = Message::parse(bytes) else { return };
    let Ok(boot) = Boot::parse(&message) else { return };
    let mut room = vec![0; nsenter::boot::MAX.max(bytes.len() + 128)];
    let written = boot.emit(&mut room).expect("what was read can be written");
    let (message, rest) = Message::parse(written).expect("a message");
    assert_eq!((Boot::parse(&message), rest.len()), (Ok(boot), 0));
}

/// What either side may hear, over a real socket. The first byte says how it listens, and how many descriptors come along.
pub fn sync(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    // More than this would wait for a reader.
    let bytes = bytes.get(..32 << 10).unwrap_or(bytes);
    let flags = SocketFlags::CLOEXEC;
    let (stage, runtime) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("socketpair");
    // Not the socket itself: whoever got that would wait for its own end of file.
    let passed = rustix::fs::open(c"/dev/null", OFlags::CLOEXEC, Mode::empty()).expect("/dev/null");
    let fds = vec![passed.as_raw_fd(); usize::from(how >> 4)];
    Channel::new(stage.as_raw_fd()).send_with_fds(bytes, &fds).expect("send");
    drop(stage);
    let channel = Channel::new(runtime.as_raw_fd());
    let mut room = vec![0; 64 << 10];
    let mut fds = Fds::default();
    let mut heard = 0;
    let error = loop {
        let done = match how & 7 {
            0 => channel.expect(Kind::MapDone, &mut fds).map(|()| true),
            1 => channel.expect_mounts().map(|fds| !fds.is_empty()),
            2 => channel.recv(&mut room, &mut fds).map(|message| message.is_some()),
            _ => channel.answer().map(|answer| {
                if let Answer::Step(step) = &answer {
                    assert!(!Error::from(step.clone()).to_string().is_empty());
                }
                answer != Answer::Closed
            }),
        };
        match done {
            Ok(true) => heard += 1,
            Ok(false) => return,
            Err(error) => break error,
        }
        assert!(heard * 16 <= bytes.len(), "more messages than bytes for them");
    };
    assert!(!Error::from(error).to_string().is_empty());
}

thread_local! {
    static ANSWERS: Cell<*mut [u8]> = Cell::new(Box::leak(vec![0; 32 << 10].into_boxed_slice()));
}

/// The kernel's answers about links and addresses: datagrams, each behind its length in two bytes. The first byte says who asks.
pub fn rtnetlink(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let flags = SocketFlags::CLOEXEC;
    let (kernel, ours) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("socketpair");
    let mut rest = bytes;
    // More than these would wait for a reader.
    for _ in 0..8 {
        let Some((length, behind)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_le_bytes(*length) & 0x1fff).min(behind.len());
        let (datagram, behind) = behind.split_at(length);
        send(&kernel, datagram, SendFlags::empty()).expect("send");
        rest = behind;
    }
    shutdown(&kernel, Shutdown::Write).expect("shutdown");
    // SAFETY: leaked memory of this thread, and no conversation goes on past the end of this function.
    let mut conversation = Netlink::on(ours, unsafe { &mut *ANSWERS.get() });
    if how & 1 == 1 {
        let _ = bridge::find(&mut conversation, c"minirunc0").map_err(|error| error.to_string());
        return;
    }
    let mut addresses = [0; 256];
    let mut heard = 0;
    let _ = conversation.ask(Ok(&[0; 16]), &mut |message| {
        heard += 1;
        assert!(heard * 16 <= bytes.len(), "more messages than bytes for them");
        let Ok((fixed, _)) = message.fixed::<8>() else { return Ok(()) };
        let [.., a, b, c, d] = fixed;
        if let Ok(length) = device::address(&mut addresses, message, u32::from_ne_bytes([a, b, c, d])) {
            assert!(length == 0 || Message::parse(&addresses[..length]).is_ok());
        }
        Ok(())
    });
}
