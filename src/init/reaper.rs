//! A process of ours in front of another one: it reaps what nobody waits for, hands signals on, and ends as the other does.
//!
//! What the kernel asks of the first process of a pid namespace (pid_namespaces(7)) few programs are written for: orphans become its
//! children and stay zombies until it waits for them, and a signal that it has no handler for does nothing to it.
//!
//! Only what other processes can see of it stays: no descriptor, no capability but to signal, no core dump. It has no file in
//! the container, being the stage that forked.

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, WaitOptions, WaitStatus, set_child_subreaper, set_dumpable_behavior, setpgid, wait,
};
use rustix::thread::CapabilitySet;

use super::execute;
use crate::confine::capability;
use crate::error::{Context, Result};
use crate::sys::process::{self, Child};
use crate::sys::{signal, signalfd, stdio};

/// Comes back in a child, with all signals blocked; this process stays in front of it.
pub fn stand_in_front() -> Result<()> {
    signalfd::block_all().context("rt_sigprocmask", "")?;
    let Some(child) = process::fork().context("clone", "behind the reaper")? else {
        // What is typed on a terminal (^C) is for the processes in front of it: it would come a second time from the reaper.
        // SIGTTOU is blocked, or this would stop who is not among them yet (tcsetpgrp(3)).
        let _ = setpgid(None, None);
        let _ = rustix::termios::tcsetpgrp(stdio::stdin(), rustix::process::getpid());
        return Ok(());
    };
    attend(child)
}

fn attend(child: Child) -> ! {
    let pid = child.pid;
    // Without a pid namespace of its own, orphans would go to another.
    if !rustix::process::getpid().is_init() {
        let _ = set_child_subreaper(Some(rustix::process::getpid()));
    }
    // Changing users may have set it as fs.suid_dumpable says (proc(5)).
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = capability::shed(CapabilitySet::KILL);
    core::mem::forget(child);
    execute::close(0, u32::MAX);
    let mut how = WaitOptions::NOHANG;
    loop {
        match signal::wait() {
            Ok(libc::SIGCHLD) | Err(Errno::INTR) => {}
            // It may have ended meanwhile.
            Ok(signal) => drop(signal::send(pid, signal)),
            // A filter that does not let us: then at least its end is seen.
            Err(_) => how = WaitOptions::empty(),
        }
        loop {
            match wait(how) {
                Ok(Some((ended, status))) if Pid::from_raw(pid) == Some(ended) => {
                    process::exit(exit_status(status).into())
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // What we must not wait for we cannot stand in front of.
                Err(_) => process::exit(u8::MAX.into()),
            }
        }
    }
}

/// As a shell tells it: 128 and more for a signal.
pub fn exit_status(status: WaitStatus) -> u8 {
    let code = match status.terminating_signal() {
        Some(signal) => 128 + signal,
        None => status.exit_status().unwrap_or(0),
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
