//! `soak RUNS [WORKERS]`: containers made, used and removed by many workers at once, while runtimes are killed at random; and
//! then what of all that is left on the machine: nothing.
//!
//! It works in namespaces of its own (pid, mount, network, ipc), so that every process, mount, link and socket that is counted
//! in them is of its own making. What can only be counted for the whole machine is told, and not judged.

#![allow(unsafe_code)]

mod count;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use count::Counts;
use minirunc_tests::bundle::Bundle;
use minirunc_tests::fuzz::mutate::Random;
use minirunc_tests::runtime::{Runtime, check};

/// The ids of a worker, used again and again.
const IDS: usize = 16;
/// Failures that are told.
const TOLD: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |nth: usize| arguments.get(nth).and_then(|text| text.parse::<usize>().ok());
    let done = match std::env::var("SOAK").as_deref() {
        Err(_) if number(1).is_none() => Err("usage: soak RUNS [WORKERS]".into()),
        Err(_) => outside(&arguments),
        Ok("init") => first(&arguments),
        Ok(prefix) => inside(prefix, number(1).unwrap_or(0), number(2).unwrap_or(4)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("soak: {error}");
        ExitCode::FAILURE
    })
}

type Result<T> = std::result::Result<T, String>;

fn again(arguments: &[String], role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments.iter().skip(1)).env("SOAK", role);
    command
}

/// Makes the namespaces, and a directory for all that is made in them.
fn outside(arguments: &[String]) -> Result<ExitCode> {
    let dir = std::env::temp_dir().join(format!("soak-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut command = again(arguments, "init");
    command.env("TMPDIR", &dir);
    // The child of who unshares is the first process of the pid namespace.
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    // SAFETY: one thread; flags only.
    check(unsafe { libc::unshare(flags) }).map_err(|error| format!("unshare: {error}"))?;
    let status = command.status().map_err(|error| error.to_string());
    let _ = std::fs::remove_dir_all(&dir);
    Ok(if status?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first process there: mounts its /proc, and waits for everything that a killed runtime leaves to it.
fn first(arguments: &[String]) -> Result<ExitCode> {
    let none = std::ptr::null();
    // SAFETY: terminated strings, or none where mount(2) takes none.
    let mounted = unsafe {
        check(libc::mount(c"".as_ptr(), c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))
            .and_then(|()| {
                check(libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, none.cast()))
            })
    };
    mounted.map_err(|error| format!("mount: {error}"))?;
    let prefix = std::env::temp_dir();
    let prefix = prefix.file_name().and_then(|name| name.to_str()).unwrap_or("soak");
    let child = again(arguments, prefix).spawn().map_err(|error| error.to_string())?;
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let pid = unsafe { libc::wait(&mut status) };
        if pid == child.id() as i32 {
            return Ok(if status == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if pid < 0 {
            return Err("lost its child".into());
        }
    }
}

/// What the workers share.
struct Soak {
    prefix: String,
    /// Its process ends at once.
    brief: Bundle,
    /// Its process waits.
    lasting: Bundle,
    state: PathBuf,
    left: AtomicUsize,
    killed: AtomicUsize,
    commands: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

fn inside(prefix: &str, runs: usize, workers: usize) -> Result<ExitCode> {
    let bundle = |question| {
        let bundle = Bundle::new().ask(&[question]);
        bundle.write();
        bundle
    };
    let (brief, lasting) = (bundle("exit 0"), bundle("sleep 600000"));
    let soak = Soak {
        prefix: prefix.to_string(),
        state: lasting.dir.join("state"),
        brief,
        lasting,
        left: AtomicUsize::new(runs),
        killed: AtomicUsize::new(0),
        commands: AtomicUsize::new(0),
        failures: Mutex::default(),
    };
    // One of each before, for what the kernel and the runtime make once.
    for nth in 0..4 {
        soak.run(&mut Random::new(nth + 1), &format!("{prefix}-first"), Some(nth as usize))?;
    }
    let before = Counts::of(&soak.state, prefix).map_err(|error| error.to_string())?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let soak = &soak;
            scope.spawn(move || soak.work(worker));
        }
    });
    let took = start.elapsed();
    // The kernel takes mounts, namespaces and cgroups down behind our backs.
    let mut after = Counts::of(&soak.state, prefix).map_err(|error| error.to_string())?;
    while !after.is_as(&before) && start.elapsed() < took + Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
        after = Counts::of(&soak.state, prefix).map_err(|error| error.to_string())?;
    }
    let failures = soak.failures.lock().map_err(|error| error.to_string())?;
    println!(
        "{runs} runs by {workers} workers in {:.0} s: {} commands, {} of them killed, {} failures",
        took.as_secs_f64(),
        soak.commands.load(Ordering::Relaxed),
        soak.killed.load(Ordering::Relaxed),
        failures.len()
    );
    failures.iter().take(TOLD).for_each(|failure| println!("FAILED: {failure}"));
    print!("{}", after.beside(&before));
    Ok(if after.is_as(&before) && failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Soak {
    fn work(&self, worker: usize) {
        let mut random = Random::new(0x50a4 + worker as u64);
        let next =
            || self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let mut nth = 0;
        while next().is_ok() {
            let id = format!("{}-{worker}-{}", self.prefix, nth % IDS);
            if let Err(failure) = self.run(&mut random, &id, None) {
                if let Ok(mut failures) = self.failures.lock() {
                    failures.push(failure);
                }
                let _ = self.command(&["delete", "--force", &id], None);
            }
            nth += 1;
        }
    }

    /// A container's life, of one of four kinds; in half of them one command is killed, and what is left then is removed.
    fn run(&self, random: &mut Random, id: &str, kind: Option<usize>) -> Result<()> {
        let (brief, lasting) = (self.brief.path(""), self.lasting.path(""));
        let kinds: [&[&[&str]]; 4] = [
            &[&["run", "--bundle", &brief, id]],
            &[
                &["run", "--detach", "--bundle", &lasting, id],
                &["exec", id, "/probe", "exit 0"],
                &["delete", "--force", id],
            ],
            &[
                &["create", "--bundle", &lasting, id],
                &["start", id],
                &["pause", id],
                &["resume", id],
                &["delete", "-f", id],
            ],
            &[
                &["create", "--bundle", &brief, id],
                &["list", "--quiet"],
                &["state", id],
                &["delete", "--force", id],
            ],
        ];
        let commands = kinds[kind.unwrap_or_else(|| random.below(kinds.len()))];
        let fatal = (kind.is_none() && random.below(2) == 0).then(|| random.below(commands.len()));
        for (nth, command) in commands.iter().enumerate() {
            // From a few microseconds to as long as a command may take.
            let patience = Duration::from_micros((random.number() >> 20) % (1 << (3 + random.below(12))));
            if self.command(command, Some(patience).filter(|_| fatal == Some(nth)))? {
                self.command(&["delete", "--force", id], None)?;
                break;
            }
        }
        Ok(())
    }

    /// One command of the runtime. `patience`: how long until it is killed. Whether it was.
    fn command(&self, arguments: &[&str], patience: Option<Duration>) -> Result<bool> {
        let mut command = Command::new(&Runtime::get().path);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").process_group(0);
        command.arg("--root").arg(&self.state).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A pipe would wait for the container, which has it, too.
        let words = self.lasting.dir.join(format!("stderr-{:?}", std::thread::current().id()));
        let file = std::fs::File::create(&words).map_err(|error| error.to_string())?;
        let mut child = command.stderr(file).spawn().map_err(|error| error.to_string())?;
        self.commands.fetch_add(1, Ordering::Relaxed);
        if let Some(patience) = patience {
            std::thread::sleep(patience);
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if patience.is_some() && status.signal() == Some(libc::SIGKILL) {
            self.killed.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        match status.success() {
            true => Ok(false),
            false => {
                let words = std::fs::read_to_string(&words).unwrap_or_default();
                Err(format!("{arguments:?}: {status}: {}", words.trim()))
            }
        }
    }
}
