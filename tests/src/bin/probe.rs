//! The guest probe: the process that the tests put into a container.
//!
//! Without arguments it prints every cheap fact about itself. Each argument is one more question, a verb and its
//! operands separated by single spaces; they are answered in order, so that an answer can also be an effect (`write`,
//! `exit`). One line each: `key=value`, newline and backslash escaped; a failed call answers `!` and the errno's name.
//! It believes system calls rather than /proc, because a container may have no /proc.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::zeroed;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use minirunc_tests::names::{ERRNO, RLIMITS};

type Answer = Result<String, io::Error>;

const SLOTS: usize = 1024;
static FDS: [AtomicU64; SLOTS / 64] = [const { AtomicU64::new(0) }; SLOTS / 64];
static IGNORED: AtomicU64 = AtomicU64::new(0);
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Rust's start-up code opens missing descriptors and ignores SIGPIPE: look before it runs.
#[used]
#[unsafe(link_section = ".init_array")]
static EARLY: extern "C" fn() = early;

extern "C" fn early() {
    for fd in 0..SLOTS {
        // SAFETY: F_GETFD takes any number and touches no memory.
        if unsafe { libc::fcntl(fd as i32, libc::F_GETFD) } >= 0 {
            FDS[fd / 64].fetch_or(1 << (fd % 64), Ordering::Relaxed);
        }
    }
    for signal in 1..=64u64 {
        // The raw call with its own struct: musl hides signals 32 to 34. { handler, flags, restorer, mask }
        let mut action = [0u64; 4];
        // SAFETY: `action` is the kernel's sigaction on 64-bit machines, and 8 is its mask's size.
        let r = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, ptr::null::<u64>(), action.as_mut_ptr(), 8)
        };
        if r == 0 && action[0] == libc::SIG_IGN as u64 {
            IGNORED.fetch_or(1 << (signal - 1), Ordering::Relaxed);
        }
    }
    let mut mask = 0u64;
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, ptr::null::<u64>(), &mut mask, 8) };
    BLOCKED.store(mask, Ordering::Relaxed);
}

fn main() {
    let args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    facts(&args);
    for question in args.iter().skip(1) {
        match answer(question) {
            Ok(text) => fact(question, text),
            Err(error) => fact(question, errno(&error)),
        }
    }
}

fn fact(key: &str, value: impl AsRef<str>) {
    let value = value.as_ref().replace('\\', "\\\\").replace('\n', "\\n");
    let line = format!("{}={value}\n", key.replace('=', "%3d").replace('\n', "\\n"));
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
}

fn facts(args: &[String]) {
    // SAFETY (all of this function): getters that write into the locals handed to them, or nowhere.
    unsafe {
        let (mut r, mut e, mut s) = (0, 0, 0);
        libc::getresuid(&mut r, &mut e, &mut s);
        fact("uid", format!("{r} {e} {s}"));
        libc::getresgid(&mut r, &mut e, &mut s);
        fact("gid", format!("{r} {e} {s}"));
        let mut groups = vec![0; 65536];
        let n = libc::getgroups(65536, groups.as_mut_ptr()).max(0) as usize;
        groups.truncate(n);
        fact("groups", join(groups.iter()));
        let mask = libc::umask(0);
        libc::umask(mask);
        fact("umask", format!("{mask:04o}"));
        fact("pid", libc::getpid().to_string());
        fact("ppid", libc::getppid().to_string());
        fact("pgid", libc::getpgid(0).to_string());
        fact("sid", libc::getsid(0).to_string());
        let mut uts: libc::utsname = zeroed();
        libc::uname(&mut uts);
        fact("hostname", text(&uts.nodename));
        fact("domainname", text(&uts.domainname));
        fact("machine", text(&uts.machine));
        for (name, number) in RLIMITS {
            let mut limit: libc::rlimit = zeroed();
            libc::getrlimit(*number as _, &mut limit);
            fact(
                &format!("rlimit.{name}"),
                format!("{} {}", limited(limit.rlim_cur), limited(limit.rlim_max)),
            );
        }
        fact("no_new_privs", libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0).to_string());
        fact("dumpable", libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0).to_string());
        fact("keepcaps", libc::prctl(libc::PR_GET_KEEPCAPS, 0, 0, 0, 0).to_string());
        fact("pdeathsig", {
            let mut signal = 0;
            libc::prctl(libc::PR_GET_PDEATHSIG, &mut signal, 0, 0, 0);
            signal.to_string()
        });
        capabilities();
        for fd in 0..3 {
            fact(&format!("tty.{fd}"), libc::isatty(fd).to_string());
        }
    }
    fact("cwd", std::env::current_dir().map_or_else(|e| errno(&e), |d| d.display().to_string()));
    fact("ignored", bits(IGNORED.load(Ordering::Relaxed), 1));
    fact("blocked", bits(BLOCKED.load(Ordering::Relaxed), 1));
    let open: Vec<usize> =
        (0..SLOTS).filter(|fd| FDS[fd / 64].load(Ordering::Relaxed) & (1 << (fd % 64)) != 0).collect();
    for fd in &open {
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{fd}")) {
            fact(&format!("fd.{fd}"), target.to_string_lossy());
        }
    }
    fact("fds", join(open.iter()));
    for (i, arg) in args.iter().enumerate() {
        fact(&format!("arg.{i}"), arg);
    }
    fact("args", args.len().to_string());
    for (key, value) in std::env::vars_os() {
        fact(&format!("env.{}", key.to_string_lossy()), value.to_string_lossy());
    }
    for name in ["pid", "net", "mnt", "ipc", "uts", "user", "cgroup", "time"] {
        if let Ok(link) = fs::read_link(format!("/proc/self/ns/{name}")) {
            fact(&format!("ns.{name}"), link.to_string_lossy());
        }
    }
    if let Ok(score) = fs::read_to_string("/proc/self/oom_score_adj") {
        fact("oom_score_adj", score.trim());
    }
}

unsafe fn capabilities() {
    // SAFETY: capget(2), version 3: a header and two data elements; prctl getters.
    unsafe {
        let header = [0x2008_0522u32, 0];
        let mut data = [0u32; 6];
        libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr());
        let set = |i: usize| u64::from(data[i]) | u64::from(data[i + 3]) << 32;
        fact("cap.effective", bits(set(0), 0));
        fact("cap.permitted", bits(set(1), 0));
        fact("cap.inheritable", bits(set(2), 0));
        let asked = |option: i32, which: u64| {
            (0..64u64)
                .filter(|&n| libc::prctl(option, if which == 0 { n } else { which }, n, 0, 0) == 1)
                .fold(0, |s, n| s | 1 << n)
        };
        fact("cap.bounding", bits(asked(libc::PR_CAPBSET_READ, 0), 0));
        fact("cap.ambient", bits(asked(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as u64), 0));
    }
}

fn answer(question: &str) -> Answer {
    let mut words = question.splitn(4, ' ');
    let verb = words.next().unwrap_or("");
    let a = words.next().unwrap_or("");
    let b = words.next().unwrap_or("");
    let c = words.next().unwrap_or("");
    let path = || CString::new(a).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    let number = |s: &str| s.parse::<i64>().map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    match verb {
        "print" | "label" => Ok(String::new()),
        "read" => fs::read(a).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "write" => {
            let rest = question.splitn(3, ' ').nth(2).unwrap_or("");
            fs::OpenOptions::new().write(true).open(a)?.write_all(rest.as_bytes()).map(|()| "ok".into())
        }
        "create" => fs::OpenOptions::new().write(true).create_new(true).open(a).map(|_| "ok".into()),
        "open" => {
            let mut options = fs::OpenOptions::new();
            options.read(b.contains('r') || b.is_empty()).write(b.contains('w'));
            options.open(a).map(|_| "ok".into())
        }
        "stat" => fs::symlink_metadata(a).map(|m| metadata(&m)),
        "follow" => fs::metadata(a).map(|m| metadata(&m)),
        "inode" => fs::metadata(a).map(|m| format!("{} {}", m.dev(), m.ino())),
        "atime" => fs::metadata(a).map(|m| m.atime().to_string()),
        "readlink" => fs::read_link(a).map(|l| l.to_string_lossy().into_owned()),
        "list" => {
            let mut names = Vec::new();
            for entry in fs::read_dir(a)? {
                names.push(String::from_utf8_lossy(entry?.file_name().as_bytes()).into_owned());
            }
            names.sort();
            Ok(names.join(" "))
        }
        "mkdir" => fs::create_dir(a).map(|()| "ok".into()),
        "unlink" => fs::remove_file(a).map(|()| "ok".into()),
        "symlink" => std::os::unix::fs::symlink(a, b).map(|()| "ok".into()),
        "mknod" => {
            let (kind, rest) = (b, c);
            let (major, minor) = rest.split_once(' ').unwrap_or((rest, "0"));
            let mode = if kind == "b" { libc::S_IFBLK } else { libc::S_IFCHR } | 0o600;
            let device = libc::makedev(number(major)? as _, number(minor)? as _);
            // SAFETY: a NUL-terminated path.
            done(unsafe { libc::mknod(path()?.as_ptr(), mode, device) })
        }
        "exec" => match std::process::Command::new(a)
            .args([b].iter().filter(|b| !b.is_empty()))
            .output()?
            .status
            .code()
        {
            Some(code) => Ok(code.to_string()),
            None => Ok("killed".into()),
        },
        // What the set-uid root program at `a` (this probe) becomes when run by us.
        "becomes" => {
            let out = std::process::Command::new(a).output()?;
            let out = String::from_utf8_lossy(&out.stdout).into_owned();
            Ok(out.lines().find_map(|l| l.strip_prefix("uid=")).unwrap_or("?").to_string())
        }
        // For hooks, whose stdout nobody sees: the answer to the rest goes to the end of a file, on a line of its own.
        "report" => {
            let rest = question.splitn(3, ' ').nth(2).unwrap_or("");
            let said = answer(rest).unwrap_or_else(|e| errno(&e)).replace('\n', " ");
            let mut file = fs::OpenOptions::new().append(true).create(true).open(a)?;
            file.write_all(format!("{rest}={said}\n").as_bytes()).map(|()| "ok".into())
        }
        "env" => Ok(std::env::vars().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")),
        "arg0" => Ok(std::env::args().next().unwrap_or_default()),
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(
                (b.len() as u64) + a.parse::<u64>().unwrap_or(0),
            ));
            Ok("ok".into())
        }
        "exit" => std::process::exit(number(a)? as i32),
        "raise" => {
            // SAFETY: our own pid; the answer is only seen if the signal does not kill.
            done(unsafe { libc::kill(libc::getpid(), number(a)? as i32) })
        }
        "fork" => fork(number(a)?),
        // So many children that do nothing, and us with them.
        "children" => {
            for _ in 0..number(a)? {
                // SAFETY: one thread.
                if unsafe { libc::fork() } == 0 {
                    break;
                }
            }
            loop {
                // SAFETY: no memory.
                unsafe { libc::pause() };
            }
        }
        // A file that grows as long as we run.
        "count" => loop {
            fs::OpenOptions::new().append(true).create(true).open("/tmp/count")?.write_all(b".")?;
            std::thread::sleep(std::time::Duration::from_millis(5));
        },
        "allocate" => allocate(number(a)? as usize),
        "stdin" => {
            let mut all = String::new();
            io::stdin().read_to_string(&mut all).map(|_| all)
        }
        "line" => {
            let mut all = String::new();
            io::stdin().read_line(&mut all).map(|_| all)
        }
        "stderr" => io::stderr().write_all(a.as_bytes()).map(|()| "ok".into()),
        "clock" => {
            let which = if a == "boottime" { libc::CLOCK_BOOTTIME } else { libc::CLOCK_MONOTONIC };
            // SAFETY: room for the answer.
            unsafe {
                let mut time: libc::timespec = zeroed();
                done(libc::clock_gettime(which, &mut time))?;
                Ok(time.tv_sec.to_string())
            }
        }
        "winsize" => {
            // SAFETY: TIOCGWINSZ fills a winsize.
            unsafe {
                let mut size: libc::winsize = zeroed();
                done(libc::ioctl(0, libc::TIOCGWINSZ, &mut size))?;
                Ok(format!("{}x{}", size.ws_row, size.ws_col))
            }
        }
        "foreground" => {
            // SAFETY: no memory.
            let group = unsafe { libc::tcgetpgrp(0) };
            if group < 0 { Err(io::Error::last_os_error()) } else { Ok(group.to_string()) }
        }
        "signals" => signals(),
        "sethostname" => {
            // SAFETY: pointer and length of one string.
            done(unsafe { libc::sethostname(a.as_ptr().cast(), a.len()) })
        }
        // SAFETY: no memory.
        "setuid" => done(unsafe { libc::setuid(number(a)? as u32) }),
        "mount" => {
            let (source, fstype) = (CString::new(b)?, CString::new(c)?);
            // SAFETY: NUL-terminated strings.
            done(unsafe { libc::mount(source.as_ptr(), path()?.as_ptr(), fstype.as_ptr(), 0, ptr::null()) })
        }
        "cpus" => {
            // SAFETY: room for the answer.
            unsafe {
                let mut set: libc::cpu_set_t = zeroed();
                done(libc::sched_getaffinity(0, size_of_val(&set), &mut set))?;
                Ok(join((0..1024usize).filter(|&n| libc::CPU_ISSET(n, &set))))
            }
        }
        "personality" => {
            // SAFETY: 0xffffffff asks and changes nothing.
            Ok(format!("{:x}", unsafe { libc::personality(0xffff_ffff) }))
        }
        "scheduler" => scheduler(),
        "ioprio" => {
            // SAFETY: numbers only; 1 is IOPRIO_WHO_PROCESS.
            let r = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) };
            done(r as i32)?;
            Ok(format!("{} {}", r >> 13, r & 0x1fff))
        }
        "mempolicy" => {
            let (mut mode, mut nodes) = (0i32, [0u64; 16]);
            // SAFETY: one number and a bitmap of the size that is told.
            let r = unsafe {
                libc::syscall(libc::SYS_get_mempolicy, &raw mut mode, nodes.as_mut_ptr(), 1024, 0, 0)
            };
            done(r as i32)?;
            let set = (0..1024).filter(|n| nodes[n / 64] >> (n % 64) & 1 == 1);
            Ok(format!("{mode:#x} {}", join(set)).trim_end().into())
        }
        "swap" => minirunc_tests::attack::swap(a, b),
        "prowl" => Ok(minirunc_tests::attack::prowl(number(a)? as u64)),
        "links" => minirunc_tests::network::links(),
        "connect" => {
            let address = a.parse().map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            let patience = std::time::Duration::from_secs(10);
            std::net::TcpStream::connect_timeout(&address, patience).map(|_| "ok".into())
        }
        "notify" => {
            let address = std::env::var("NOTIFY_SOCKET").map_err(|_| io::Error::other("no NOTIFY_SOCKET"))?;
            let said = question.strip_prefix("notify ").unwrap_or("").replace(',', "\n");
            let socket = std::os::unix::net::UnixDatagram::unbound()?;
            socket.send_to(said.as_bytes(), address).map(|_| "ok".into())
        }
        "fdopen" => {
            // SAFETY: no memory.
            let r = unsafe { libc::fcntl(number(a)? as i32, libc::F_GETFD) };
            done(r)
        }
        _ => Ok("? unknown verb".into()),
    }
}

/// sched_getattr(2): policy, flags, nice value, priority, and SCHED_DEADLINE's times.
fn scheduler() -> Answer {
    let mut attributes = [0u32; 14];
    // SAFETY: the kernel writes as many bytes as it is told.
    let r = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), 56, 0) };
    done(r as i32)?;
    let [_, policy, flags, _, nice, priority, times @ ..] = attributes;
    // Since Linux 6.12 others have a runtime, too: their slice.
    let count = if policy == libc::SCHED_DEADLINE as u32 { 3 } else { 0 };
    let times = times.chunks(2).take(count).map(|pair| u64::from(pair[1]) << 32 | u64::from(pair[0]));
    Ok(format!("{policy} {flags} {} {priority} {}", nice as i32, join(times)).trim_end().into())
}

/// How many children can exist at a time, up to `wanted`.
fn fork(wanted: i64) -> Answer {
    let mut children = Vec::new();
    let mut error = None;
    for _ in 0..wanted {
        // SAFETY: one thread; the child only pauses until it is killed.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: no memory.
                unsafe { libc::pause() };
            },
            -1 => {
                error = Some(io::Error::last_os_error());
                break;
            }
            pid => children.push(pid),
        }
    }
    for &pid in &children {
        // SAFETY: our own children.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, ptr::null_mut(), 0);
        }
    }
    Ok(format!("{}{}", children.len(), error.map_or(String::new(), |e| format!(" {}", errno(&e)))))
}

fn allocate(megabytes: usize) -> Answer {
    let mut kept = Vec::new();
    for _ in 0..megabytes {
        let mut block = vec![0u8; 1 << 20];
        for page in block.chunks_mut(4096) {
            page[0] = 1;
        }
        kept.push(std::hint::black_box(block));
    }
    Ok(kept.len().to_string())
}

/// Says every signal's number until SIGTERM.
fn signals() -> Answer {
    // SAFETY: a full set, blocked in the only thread, then waited for.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, ptr::null_mut());
        fact("ready", "1");
        loop {
            let signal = libc::sigwaitinfo(&all, ptr::null_mut());
            if signal > 0 {
                fact(&format!("signal.{signal}"), "1");
            }
            if signal == libc::SIGWINCH {
                let mut size: libc::winsize = zeroed();
                libc::ioctl(0, libc::TIOCGWINSZ, &mut size);
                fact("size", format!("{}x{}", size.ws_row, size.ws_col));
            }
            if signal == libc::SIGTERM {
                return Ok("done".into());
            }
        }
    }
}

fn metadata(m: &fs::Metadata) -> String {
    let t = m.file_type();
    let kind = match () {
        () if t.is_dir() => "dir",
        () if t.is_symlink() => "link",
        () if t.is_char_device() => "chr",
        () if t.is_block_device() => "blk",
        () if t.is_fifo() => "fifo",
        () if t.is_socket() => "sock",
        () => "file",
    };
    let device = if t.is_char_device() || t.is_block_device() {
        format!(" {}:{}", libc::major(m.rdev()), libc::minor(m.rdev()))
    } else {
        String::new()
    };
    format!("{kind} {:04o} {}:{}{device}", m.mode() & 0o7777, m.uid(), m.gid())
}

fn done(r: i32) -> Answer {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok("ok".into()) }
}

fn join<T: ToString>(list: impl Iterator<Item = T>) -> String {
    list.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
}

fn bits(set: u64, first: u32) -> String {
    join((0..64u32).filter(|n| set & (1 << n) != 0).map(|n| n + first))
}

fn limited(n: libc::rlim_t) -> String {
    if n == libc::RLIM_INFINITY { "unlimited".into() } else { n.to_string() }
}

fn text(field: &[libc::c_char]) -> String {
    field.iter().take_while(|&&c| c != 0).map(|&c| c as u8 as char).collect()
}

fn errno(error: &io::Error) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    ERRNO
        .iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| format!("!errno {number} {error}"), |(_, name)| format!("!{name}"))
}
