//! `--console-socket` and `--pidfd-socket`: what arrives there, in which form, and when nothing does.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::patience;
use minirunc_tests::{not_for, only_ours};
use serde_json::json;

use crate::life::{create, start, until};

/// A caller's socket.
pub struct Caller {
    listener: UnixListener,
    path: PathBuf,
}

/// What came in one recvmsg(2).
pub struct Message {
    pub payload: Vec<u8>,
    pub fds: Vec<OwnedFd>,
    stream: UnixStream,
}

impl Caller {
    pub fn new(bundle: &Bundle, name: &str) -> Self {
        let path = bundle.dir.join(name);
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, path }
    }

    pub fn flag<'a>(&'a self, name: &'a str) -> [&'a str; 2] {
        [name, self.path.to_str().unwrap()]
    }

    /// What has been sent by now: the runtime has exited.
    pub fn message(&self) -> Option<Message> {
        let (stream, _) = self.listener.accept().ok()?;
        Message::receive(stream, libc::MSG_DONTWAIT)
    }
}

impl Message {
    pub fn receive(stream: UnixStream, flags: i32) -> Option<Self> {
        let mut payload = vec![0u8; 4096];
        let mut control = [0u64; 64];
        let mut iov = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
        // SAFETY: every pointer describes a live buffer; recvmsg fills in what it used of them.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &mut iov;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of_val(&control) as _;
            let flags = flags | libc::MSG_CMSG_CLOEXEC;
            let len = usize::try_from(libc::recvmsg(stream.as_raw_fd(), &mut header, flags)).ok()?;
            payload.truncate(len);
            let mut fds = vec![];
            let mut at = libc::CMSG_FIRSTHDR(&header);
            while let Some(message) = at.as_ref() {
                assert_eq!((message.cmsg_level, message.cmsg_type), (libc::SOL_SOCKET, libc::SCM_RIGHTS));
                let bytes = message.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(message).cast::<i32>();
                fds.extend((0..bytes / 4).map(|n| OwnedFd::from_raw_fd(data.add(n).read_unaligned())));
                at = libc::CMSG_NXTHDR(&header, message);
            }
            (len > 0).then_some(Message { payload, fds, stream })
        }
    }
}

impl Message {
    /// The one descriptor of the one message.
    #[track_caller]
    pub fn only(mut self) -> OwnedFd {
        assert!(!self.payload.is_empty() && self.payload.len() < 4096, "{:?}", self.payload);
        assert_eq!(self.fds.len(), 1);
        self.stream.set_nonblocking(false).unwrap();
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0, "more than one message");
        self.fds.remove(0)
    }
}

fn terminal(questions: &[&str]) -> Bundle {
    let mut bundle = Bundle::new().ask(questions);
    bundle.config["process"]["terminal"] = json!(true);
    bundle
}

/// What the container prints on the other side of its terminal, to the end.
pub fn screen(master: OwnedFd) -> String {
    let (mut master, mut seen, began) = (File::from(master), vec![], Instant::now());
    loop {
        let mut chunk = [0; 4096];
        match master.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => seen.extend_from_slice(&chunk[..n]),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < patience() => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn create_sends_the_terminal_in_one_message_before_it_exits() {
    let mut bundle = terminal(&["line", "winsize", "foreground"]);
    bundle.config["process"]["consoleSize"] = json!({"height": 11, "width": 22});
    let caller = Caller::new(&bundle, "console");
    create(&bundle, &caller.flag("--console-socket")).ok();
    let master = caller.message().expect("a message").only();
    assert!(caller.message().is_none());
    start(&bundle).ok();
    File::from(master.try_clone().unwrap()).write_all(b"typed\r").unwrap();
    let seen = screen(master);
    for line in
        ["line=typed", "tty.0=1", "tty.1=1", "tty.2=1", "fds=0 1 2\r", "winsize=11x22", "foreground=1"]
    {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    until(&bundle, "stopped");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_detached_run_sends_the_terminal_too() {
    let bundle = terminal(&["label here"]);
    let caller = Caller::new(&bundle, "console");
    bundle.run_with(&[&["--detach"], &caller.flag("--console-socket")[..]].concat()).ok();
    let seen = screen(caller.message().expect("a message").only());
    assert!(seen.contains("label here="), "{seen}");
    until(&bundle, "stopped");
    bundle.delete();
}

#[test]
fn a_create_that_fails_sends_nothing() {
    only_ours!("runc sends the terminal first");
    let mut bundle = terminal(&[]);
    bundle.config["process"]["args"] = json!(["/absent"]);
    let (console, pidfd) = (Caller::new(&bundle, "console"), Caller::new(&bundle, "pidfd"));
    let flags = [console.flag("--console-socket"), pidfd.flag("--pidfd-socket")].concat();
    let out = create(&bundle, &flags);
    assert_ne!(out.code(), 0);
    assert!(console.message().is_none() && pidfd.message().is_none());
    bundle.nothing_left();
}

#[test]
fn a_console_socket_has_its_conditions() {
    let bundle = terminal(&[]);
    let words = "cannot allocate tty if runc will detach without setting console socket";
    create(&bundle, &[]).refused(&[]).says(words);
    let caller = Caller::new(&bundle, "console");
    let words = "cannot use console socket if runc will not detach or allocate tty";
    bundle.run_with(&caller.flag("--console-socket")).refused(&[]).says(words);
    let mut bundle = bundle;
    bundle.config["process"]["terminal"] = json!(false);
    create(&bundle, &caller.flag("--console-socket")).refused(&[]).says(words);
    assert!(caller.message().is_none());
    bundle.nothing_left();
}

#[test]
fn a_socket_that_nobody_listens_on_is_refused_before_anything_is_made() {
    let bundle = terminal(&[]);
    create(&bundle, &["--console-socket", "/nowhere"]).refused(&["connect /nowhere: ENOENT"]);
    let caller = Caller::new(&bundle, "console");
    let path = caller.path.clone();
    drop(caller);
    let flags = ["--console-socket", path.to_str().unwrap()];
    create(&bundle, &flags).refused(&["connect ", "ECONNREFUSED"]);
    bundle.nothing_left();
}

#[test]
fn a_path_longer_than_a_socket_address_is_found() {
    not_for!("runc", "gives the path to the kernel as it is");
    let bundle = terminal(&["label here"]);
    let long = bundle.dir.join("x".repeat(150));
    std::fs::create_dir(&long).unwrap();
    let caller = Caller::new(&bundle, "console");
    std::fs::rename(&caller.path, long.join("console")).unwrap();
    create(&bundle, &["--console-socket", long.join("console").to_str().unwrap()]).ok();
    caller.message().expect("a message").only();
    bundle.delete();
}

#[test]
fn the_pidfd_socket_gets_a_pidfd_of_init() {
    not_for!("runc", "1.1 has no --pidfd-socket");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    let caller = Caller::new(&bundle, "pidfd");
    create(&bundle, &caller.flag("--pidfd-socket")).ok();
    let pidfd = caller.message().expect("a message").only();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    assert!(info.contains(&format!("\nPid:\t{}\n", bundle.pid())), "{info}");
    // SAFETY: a descriptor of ours; no memory is handed over.
    assert_eq!(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 9, 0, 0) }, 0);
    until(&bundle, "stopped");
    bundle.delete();
}
