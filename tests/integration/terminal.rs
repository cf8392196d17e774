//! process.terminal: a pty inside, relayed in the foreground.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::Facts;
use minirunc_tests::runtime::{check, patience};
use minirunc_tests::{not_for, only_ours};
use serde_json::json;

/// A terminal on the host, with a runtime in its foreground.
pub struct Terminal {
    master: File,
    slave: OwnedFd,
    child: Child,
    pub seen: String,
}

fn size(fd: i32, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &size) }, 0);
}

impl Terminal {
    pub fn new(bundle: &Bundle) -> Self {
        bundle.write();
        Self::of(bundle.run_command(&[]))
    }

    /// With this command in its foreground.
    pub fn of(mut command: Command) -> Self {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: openpty(3) fills both; the other pointers may be null.
        let r = unsafe {
            libc::openpty(
                &mut master,
                &mut slave,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        assert_eq!(r, 0, "openpty: {}", std::io::Error::last_os_error());
        // SAFETY: fresh descriptors. Close-on-exec, so that no other test's runtime keeps the terminal open.
        let (master, slave) = unsafe {
            libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(slave, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(master, libc::F_SETFL, libc::O_NONBLOCK);
            (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
        };
        size(slave.as_raw_fd(), 33, 111);
        command.env("TERM", "xterm");
        command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap());
        // SAFETY: one system call, after setsid(2) by `Runtime::command`.
        unsafe { command.pre_exec(|| check(libc::ioctl(0, libc::TIOCSCTTY, 0))) };
        let child = command.spawn().unwrap();
        Self { master, slave, child, seen: String::new() }
    }

    fn pump(&mut self) {
        let mut buffer = [0; 65536];
        while let Ok(n @ 1..) = self.master.read(&mut buffer) {
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    }

    pub fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let start = Instant::now();
        while !self.seen.contains(text) {
            assert!(start.elapsed() < patience(), "waited for {text:?} in {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
            self.pump();
        }
    }

    fn raw(&self) -> bool {
        // SAFETY: tcgetattr(3) fills the zeroed termios.
        unsafe {
            let mut modes: libc::termios = std::mem::zeroed();
            libc::tcgetattr(self.slave.as_raw_fd(), &mut modes);
            modes.c_lflag & (libc::ICANON | libc::ECHO) == 0
        }
    }

    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let start = Instant::now();
        loop {
            self.pump();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.pump();
                return status.code().unwrap_or(-1);
            }
            if start.elapsed() > patience() {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("hung: {:?}", self.seen);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn facts(&self) -> Facts {
        Facts::parse(&self.seen)
    }
}

fn bundle(questions: &[&str]) -> Bundle {
    let mut bundle = Bundle::new().ask(questions);
    bundle.config["process"]["terminal"] = json!(true);
    bundle
}

#[test]
fn the_process_has_a_terminal_of_the_containers_own() {
    let bundle = bundle(&[
        "foreground",
        "stat /dev/console",
        "readlink /proc/self/fd/0",
        "list /dev/pts",
        "open /dev/tty rw",
    ]);
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    let facts = terminal.facts();
    for fd in 0..3 {
        assert_eq!(&facts[&format!("tty.{fd}")], "1");
    }
    assert!(facts["readlink /proc/self/fd/0"].starts_with("/dev/"), "{}", &facts["readlink /proc/self/fd/0"]);
    assert_eq!(&facts["foreground"], "1", "the process is not its terminal's foreground group");
    assert!(facts["stat /dev/console"].starts_with("chr "), "{}", &facts["stat /dev/console"]);
    assert_eq!(&facts["list /dev/pts"], "0 ptmx");
    assert_eq!(&facts["open /dev/tty rw"], "ok");
    assert_eq!(&facts["fds"], "0 1 2");
    bundle.nothing_left();
}

#[test]
fn the_terminal_belongs_to_the_processes_user() {
    let mut bundle = bundle(&["follow /proc/self/fd/0", "open /dev/console rw"]);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    assert!(terminal.facts()["follow /proc/self/fd/0"].contains(" 1000:"), "{}", terminal.seen);
    assert_eq!(&terminal.facts()["open /dev/console rw"], "ok");
}

#[test]
fn the_window_size_is_the_outer_terminals() {
    not_for!("crun", "1.8.1 does not set it here");
    let bundle = bundle(&["sleep 200", "winsize"]);
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    assert_eq!(&terminal.facts()["winsize"], "33x111");
}

#[test]
fn a_console_size_is_taken_from_the_config_when_there_is_no_outer_terminal() {
    // With an outer terminal its size wins; consoleSize is what a detached terminal starts with.
    let mut bundle = bundle(&["winsize"]);
    bundle.config["process"]["consoleSize"] = json!({"height": 11, "width": 22});
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    assert!(matches!(&terminal.facts()["winsize"], "33x111" | "11x22"));
}

#[test]
fn a_new_window_size_is_passed_on() {
    not_for!("crun", "1.8.1 does not pass it on here");
    let bundle = bundle(&["signals"]);
    let mut terminal = Terminal::new(&bundle);
    terminal.until("ready=1");
    size(terminal.master.as_raw_fd(), 50, 200);
    terminal.until("size=50x200");
    // SAFETY: our own child.
    unsafe { libc::kill(terminal.child.id() as i32, libc::SIGTERM) };
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    bundle.nothing_left();
}

#[test]
fn what_is_typed_arrives_and_the_outer_terminal_is_raw_meanwhile() {
    let bundle = bundle(&["label asking", "line"]);
    let mut terminal = Terminal::new(&bundle);
    terminal.until("label asking=");
    let raw = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        terminal.raw()
    });
    assert!(raw, "the outer terminal is not in raw mode");
    terminal.type_in("typed in\r");
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
    assert_eq!(&terminal.facts()["line"], "typed in\n");
    assert!(!terminal.raw(), "the outer terminal was not restored");
}

#[test]
fn control_c_is_the_containers_not_the_runtimes() {
    let bundle = bundle(&["signals"]);
    let mut terminal = Terminal::new(&bundle);
    terminal.until("ready=1");
    terminal.master.write_all(&[3]).unwrap();
    terminal.until("signal.2=1");
    // SAFETY: our own child.
    unsafe { libc::kill(terminal.child.id() as i32, libc::SIGTERM) };
    assert_eq!(terminal.end(), 0, "{}", terminal.seen);
}

#[test]
fn a_lot_of_output_passes_the_terminal_whole() {
    let bundle = bundle(&[&*format!("label {}", "x".repeat(60_000)), "label the-end"]);
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 0);
    assert!(terminal.seen.contains(&"x".repeat(60_000)) && terminal.seen.contains("label the-end="));
}

#[test]
fn the_status_passes_the_terminal() {
    let bundle = bundle(&["exit 9"]);
    let mut terminal = Terminal::new(&bundle);
    assert_eq!(terminal.end(), 9);
    bundle.nothing_left();
}

#[test]
fn a_terminal_for_a_detached_run_needs_a_console_socket() {
    let bundle = bundle(&[]);
    bundle
        .run_with(&["--detach"])
        .refused(&["cannot allocate tty if runc will detach without setting console socket"]);
    bundle.nothing_left();
}

#[test]
fn output_that_finds_no_room_is_told() {
    only_ours!("others lose it without a word");
    let bundle = bundle(&["label here"]);
    bundle.write();
    let mut command = bundle.run_command(&[]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: write standard output: ENOSPC"), "{said}");
    bundle.nothing_left();
}
