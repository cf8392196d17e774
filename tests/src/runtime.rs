//! The runtime under test as a process: how it is called, what it said, how it ended.

#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::facts::Facts;

/// How long a run may take: `PATIENCE` in seconds, or longer than any honest run on a loaded machine.
pub fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let given = std::env::var("PATIENCE").ok().and_then(|text| text.parse().ok());
        Duration::from_secs(given.unwrap_or(40))
    })
}

/// Whether this processor is software, and slow.
pub fn emulated() -> bool {
    std::env::var_os("EMULATED").is_some()
}

/// How many rounds of what may need many to show: all, or a tenth where `EMULATED` says that this processor is software
/// (tests/vm/init): each costs ten times as much there.
pub fn rounds(all: usize) -> usize {
    if emulated() { all.div_ceil(10) } else { all }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Runc,
    Crun,
}

/// The program that `RUNTIME` names.
#[derive(Debug)]
pub struct Runtime {
    pub path: PathBuf,
    pub kind: Kind,
}

impl Runtime {
    pub fn get() -> &'static Self {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| {
            let path = std::env::var_os("RUNTIME").map_or_else(built, PathBuf::from);
            let path = fs::canonicalize(&path).unwrap_or_else(|e| panic!("RUNTIME {}: {e}", path.display()));
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or("").to_string();
            let kind = match () {
                () if name.contains("minirunc") => Kind::Ours,
                () if name.contains("crun") => Kind::Crun,
                () => Kind::Runc,
            };
            Self { path, kind }
        })
    }

    pub fn ours(&self) -> bool {
        self.kind == Kind::Ours
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ours => "minirunc-static",
            Kind::Runc => "runc",
            Kind::Crun => "crun",
        }
    }

    /// The program with a small environment, in a session of its own.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let hide_unified = self.kind == Kind::Crun && Path::new("/sys/fs/cgroup/unified").exists();
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                if hide_unified {
                    // crun refuses hybrid machines outright.
                    check(libc::unshare(libc::CLONE_NEWNS))?;
                    let flags = libc::MS_REC | libc::MS_SLAVE;
                    check(libc::mount(
                        c"none".as_ptr(),
                        c"/".as_ptr(),
                        c"".as_ptr(),
                        flags,
                        std::ptr::null(),
                    ))?;
                    libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH);
                }
                Ok(())
            });
        }
        command
    }
}

/// The executable that `cargo build --release` made, found from the test's own place in the target directory.
fn built() -> PathBuf {
    let exe = std::env::current_exe().expect("current_exe");
    let triple = exe.ancestors().nth(3).expect("target/<triple>/<profile>/deps/<test>");
    let target = triple.parent().expect("target");
    let name = "release/minirunc-static";
    let places = [
        triple.join(name),
        target.join("x86_64-unknown-linux-musl").join(name),
        target.join("x86_64-unknown-linux-gnu").join(name),
        target.join(name),
    ];
    places.iter().find(|p| p.exists()).cloned().unwrap_or_else(|| {
        panic!(
            "no runtime: run `cargo build --release` first, or name one in RUNTIME (looked for {})",
            places[0].display()
        )
    })
}

/// The guest probe: `PROBE`, or the one that was built along with this test.
pub fn probe() -> PathBuf {
    std::env::var_os("PROBE").map_or_else(
        || {
            let exe = std::env::current_exe().expect("current_exe");
            exe.ancestors().nth(2).expect("target/<triple>/<profile>").join("probe")
        },
        PathBuf::from,
    )
}

/// A finished run.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit status, or 128 + signal as a shell would have it, negative to tell it from a status.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| -(128 + self.status.signal().unwrap_or(0)))
    }

    /// The run succeeded.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(self.code() == 0, "status {}, expected 0\n{}", self.code(), self.said());
        self
    }

    /// The run ended with this status.
    #[track_caller]
    pub fn ended(&self, code: i32) -> &Self {
        assert!(self.code() == code, "status {}, expected {code}\n{}", self.code(), self.said());
        self
    }

    /// stderr has this text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "stderr should contain {text:?}\n{}", self.said());
        self
    }

    /// stderr has this text when the runtime is ours: other runtimes have other words.
    #[track_caller]
    pub fn we_say(&self, text: &str) -> &Self {
        if Runtime::get().ours() { self.says(text) } else { self }
    }

    /// A refusal: not a success, not a crash; ours ends with status 1 and one line that has these words.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> &Self {
        // crun answers some failures with 255.
        let crash = 128..255;
        assert!(
            self.code() > 0 && !crash.contains(&self.code()),
            "status {}, expected a refusal\n{}",
            self.code(),
            self.said()
        );
        assert!(!self.stdout.contains("uid="), "the process ran all the same\n{}", self.said());
        assert!(!self.stderr.trim().is_empty(), "refused without a word");
        if Runtime::get().ours() {
            assert!(self.code() == 1, "status {}, expected 1\n{}", self.code(), self.said());
            for word in words {
                self.says(word);
            }
            assert!(!self.stderr.contains("panicked"), "a panic is not a refusal\n{}", self.said());
        }
        self
    }

    /// What the probe reported in a successful run.
    #[track_caller]
    pub fn facts(&self) -> Facts {
        self.ok();
        Facts::parse(&self.stdout)
    }

    fn said(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}---", self.stdout, self.stderr)
    }
}

/// A run that is still going on; its output goes to files, so that what outlives it can go on writing.
#[derive(Debug)]
pub struct Running {
    pub child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Starts `command`. stdin stays as the caller set it (null by `Bundle`).
    pub fn start(command: Command, dir: &Path) -> Self {
        let shown = format!("{command:?}");
        Self::try_start(command, dir).unwrap_or_else(|e| panic!("{shown}: {e}"))
    }

    /// The same where the program may not be executed for want of something.
    pub fn try_start(mut command: Command, dir: &Path) -> io::Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (dir.join(format!("stdout.{n}")), dir.join(format!("stderr.{n}")));
        command.stdout(File::create(&out).expect("stdout file"));
        command.stderr(File::create(&err).expect("stderr file"));
        let child = command.spawn()?;
        Ok(Self { child, out, err })
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What has been written to stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.out)
    }

    /// Waits until stdout has `text`.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let out = self.stdout();
            if out.contains(text) {
                return out;
            }
            let ended = self.child.try_wait().expect("wait").is_some();
            if ended || start.elapsed() > patience() {
                panic!("waited for {text:?}, but stdout is\n{out}--- stderr\n{}---", read(&self.err));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: our own child, not waited for yet.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// The end of it; a hang is a failure.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if start.elapsed() > patience() {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("hung for {:?}\n{}--- stderr\n{}---", patience(), self.stdout(), read(&self.err));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.ended(status)
    }

    /// What it has left, for who has waited for it.
    pub fn ended(self, status: ExitStatus) -> Output {
        let output = Output { status, stdout: self.stdout(), stderr: read(&self.err) };
        // Thousands of runs in one bundle are not to make one large directory.
        let _ = (fs::remove_file(&self.out), fs::remove_file(&self.err));
        output
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The kernel's answer to a call made between fork and exec.
pub fn check(r: i32) -> io::Result<()> {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs `command` to its end with nothing on stdin.
#[track_caller]
pub fn finish(mut command: Command, dir: &Path) -> Output {
    command.stdin(Stdio::null());
    Running::start(command, dir).finish()
}
