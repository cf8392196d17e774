//! The machine's first process: `/init` of an initramfs that holds this program and bundles.
//!
//! Mounts what the runtime needs, runs the bundles that the kernel's command line names, reaps orphans, passes signals on, and ends
//! the machine if it is told to. It knows nothing of containers: each runs under a child that carries out `run BUNDLE` like any other
//! command (and has to be one: CLONE_PARENT is EINVAL for the first process of a pid namespace). It goes on past whatever fails, and
//! tells it on the console: if it ended, the kernel would panic.

mod machine;
mod orders;

use core::ffi::CStr;
use core::fmt::{Arguments, Write};

use rustix::fs::sync;
use rustix::process::{Pid, WaitOptions, getpid, ioctl_tiocsctty, setsid, test_kill_process, wait};
use rustix::system::{RebootCommand, reboot};
use rustix::termios::tcdrain;
use rustix::thread::{Timespec, nanosleep};

use crate::error::{Error, Result};
use crate::init::reaper;
use crate::sys::arguments::Strings;
use crate::sys::process::{self, Vector};
use crate::sys::{signal, signalfd, stdio};
use crate::text::shown;
use orders::{Orders, Restart};

/// Between the end of a bundle and its next start, in seconds: one that cannot start must not keep the machine busy.
const PAUSE: i64 = 1;

/// The arguments of the command to carry out: those that were given, unless this is the machine's first process. That one never comes
/// back; its children do, each with the command that runs a bundle.
pub fn main(arguments: Strings, environment: Strings) -> Strings {
    if !getpid().is_init() {
        return arguments;
    }
    if is_the_machines(arguments) {
        return run(environment);
    }
    // The first process of somebody's container (`docker run image minirunc-static run bundle`).
    tell(reaper::stand_in_front());
    let _ = signal::unblock_all();
    arguments
}

/// Whether the kernel has started us, rather than a container runtime: only in the first pid namespace is there a process 2 when the
/// first one starts, kthreadd. The kernel calls it what `rdinit=` or `init=` says, else /init or /sbin/init, and adds as
/// arguments what it does not know itself; any other name with arguments is a command.
fn is_the_machines(mut arguments: Strings) -> bool {
    let name = arguments.next().unwrap_or(c"").to_bytes();
    let is_init = name.rsplit(|&byte| byte == b'/').next() == Some(b"init");
    let kthreadd = Pid::from_raw(2).is_some_and(|pid| test_kill_process(pid).is_ok());
    kthreadd && (is_init || arguments.next().is_none())
}

/// What runs on the machine.
struct Service {
    /// None: a shell, for want of bundles.
    bundle: Option<&'static CStr>,
    /// 0: it does not run.
    pid: i32,
    /// How often it has been started.
    starts: u32,
    /// It is to be started.
    due: bool,
}

struct Machine {
    services: heapless::Vec<Service, { crate::limits::BUNDLES }>,
    orders: Orders,
    /// It has been told to end.
    stopping: bool,
}

#[cold]
fn run(environment: Strings) -> Strings {
    let _ = signalfd::block_all();
    machine::prepare();
    let orders = Orders::read(&mut |error| say(format_args!("{error}")));
    let mut services = heapless::Vec::new();
    let service = |bundle| Service { bundle, pid: 0, starts: 0, due: true };
    for &bundle in &orders.bundles {
        let _ = services.push(service(Some(bundle)));
    }
    if services.is_empty() {
        say(format_args!("no bundle: the kernel's command line has no minirunc.bundle=/PATH"));
        let _ = services.push(service(None));
    }
    let mut machine = Machine { services, orders, stopping: false };
    loop {
        if let Some(service) = machine.start() {
            return service.begin(environment);
        }
        machine.attend();
    }
}

impl Machine {
    /// Starts what is due. Comes back in the children, too, each with what it is to be.
    fn start(&mut self) -> Option<&Service> {
        for service in self.services.iter_mut().filter(|service| service.due) {
            (service.due, service.starts) = (false, service.starts.saturating_add(1));
            match process::fork() {
                Ok(None) => return Some(service),
                Ok(Some(child)) => service.pid = child.pid,
                Err(errno) => tell(Err(Error::system("clone", service.name(), errno))),
            }
        }
        None
    }

    /// Waits for a signal and does what it asks for; what has ended is reaped in any case.
    fn attend(&mut self) {
        let signal = signal::wait().unwrap_or(libc::SIGCHLD);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let (stopping, restart) = (self.stopping, self.orders.restart);
            let service = self.services.iter_mut().find(|service| Pid::from_raw(service.pid) == Some(pid));
            // Else it was an orphan.
            if let Some(service) = service {
                service.end(reaper::exit_status(status), restart, stopping);
            }
        }
        match signal {
            libc::SIGTERM | libc::SIGPWR => self.stop(),
            // As busybox's halt, poweroff and the kernel's Ctrl-Alt-Del (reboot(2), CAD_OFF) ask an init.
            libc::SIGUSR1 => self.end(Some(RebootCommand::Halt)),
            libc::SIGUSR2 => self.end(Some(RebootCommand::PowerOff)),
            libc::SIGINT => self.end(Some(RebootCommand::Restart)),
            _ => {}
        }
        let idle = self.services.iter().all(|service| service.pid == 0 && !service.due);
        if idle && (self.orders.after.is_some() || self.stopping) {
            self.finish();
        }
    }

    fn end(&mut self, after: Option<RebootCommand>) {
        self.orders.after = after;
        self.stop();
    }

    /// Passes SIGTERM on and starts nothing any more. Who asks again, or asks a shell, does not want to wait.
    fn stop(&mut self) {
        let again = core::mem::replace(&mut self.stopping, true);
        for service in &mut self.services {
            service.due = false;
            if service.pid != 0 {
                let _ = signal::send(service.pid, libc::SIGTERM);
            }
        }
        if again || self.orders.bundles.is_empty() {
            self.finish();
        }
    }

    /// Ends the machine, if that is wanted.
    fn finish(&mut self) {
        self.stopping = false;
        let Some(after) = self.orders.after else { return };
        let _ = tcdrain(stdio::stderr());
        sync();
        if let Err(errno) = reboot(after) {
            tell(Err(Error::system("reboot", "", errno)));
            self.orders.after = None;
        }
    }
}

impl Service {
    fn name(&self) -> impl core::fmt::Display {
        shown(self.bundle.unwrap_or(orders::SHELL))
    }

    /// Tells how it has ended.
    fn end(&mut self, status: u8, restart: Restart, stopping: bool) {
        self.pid = 0;
        self.due = !stopping
            && self.bundle.is_some()
            && match restart {
                Restart::Never => false,
                Restart::Always => true,
                Restart::OnFailure => status != 0,
            };
        let next = if self.due { ", to be started again" } else { "" };
        say(format_args!("{}: exit status {status}{next}", self.name()));
    }

    /// In the child: the command that runs the bundle, or the shell.
    fn begin(&self, environment: Strings) -> Strings {
        let _ = signal::unblock_all();
        if self.starts > 1 {
            let _ = nanosleep(&Timespec { tv_sec: PAUSE, tv_nsec: 0 });
        }
        match self.bundle {
            Some(bundle) => command(&[c"minirunc-static", c"run", bundle]),
            None => shell(environment),
        }
    }
}

fn command(words: &[&'static CStr]) -> Strings {
    let Ok(mut vector) = Vector::new(words.len()) else { process::exit(1) };
    for word in words {
        // There is room for as many.
        let _ = vector.push(word);
    }
    vector.into()
}

/// Becomes a shell in a session of its own, so that it has job control.
fn shell(environment: Strings) -> ! {
    let _ = setsid();
    let _ = ioctl_tiocsctty(stdio::stdin());
    let argv = Vector::new(1).and_then(|mut argv| argv.push(orders::SHELL).map(|()| argv));
    let envp = Vector::new(environment.count())
        .and_then(|mut envp| environment.into_iter().try_for_each(|text| envp.push(text)).map(|()| envp));
    if let (Ok(argv), Ok(envp)) = (argv, envp) {
        let errno = process::execve(orders::SHELL, &argv, &envp);
        tell(Err(Error::system("exec", shown(orders::SHELL), errno)));
    }
    process::exit(127)
}

/// What went wrong, on the console.
#[cold]
fn tell(done: Result<()>) {
    if let Err(error) = done {
        say(format_args!("{error}"));
    }
}

/// A line on the console, in one write.
#[cold]
fn say(text: Arguments<'_>) {
    let mut line = heapless::String::<1024>::new();
    let _ = writeln!(line, "minirunc-static: {text}");
    let _ = rustix::io::write(stdio::stderr(), line.as_bytes());
}
