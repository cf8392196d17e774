//! A resctrl file system for machines whose processor has none: the kernel's interface, over FUSE (fuse(4)), in a mount
//! namespace of its own.
//!
//! As the kernel does: a new directory has its files at once and goes with them, `schemata` takes whole lines about
//! resources that it knows, and there are only so many classes of service.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::runtime::check;

/// Files by their path, `None` for a directory.
type Tree = Vec<Option<(String, Option<String>)>>;

/// How many groups there can be beside the root's.
const MOST: usize = 2;

pub struct Resctrl {
    tree: Arc<Mutex<Tree>>,
    /// Of a process that sleeps in the mount namespace.
    sleeper: Child,
}

impl Resctrl {
    /// Mounted, with the root's group alone; none where that cannot be done.
    pub fn new() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let mut tree = Tree::default();
        add(&mut tree, "");
        add(&mut tree, "info/");
        let tree = Arc::new(Mutex::new(tree));
        let script = "set -e; mount --make-rprivate /; mkdir -p $1; mount --rbind /sys/fs/cgroup $1; mount -t tmpfs none /sys/fs
            mkdir /sys/fs/cgroup /sys/fs/resctrl; mount --move $1 /sys/fs/cgroup; rmdir $1
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0,allow_other resctrl /sys/fs/resctrl
            exec 9>&-; echo ready; exec sleep 600";
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("mrt-resctrl-{}-{number}", std::process::id()));
        let mut sleeper = Command::new("unshare");
        sleeper.args(["-m", "sh", "-c", script, "sh"]).arg(place).stdout(std::process::Stdio::piped());
        let fd = device.as_raw_fd();
        // SAFETY: one system call between fork and exec.
        unsafe { sleeper.pre_exec(move || check(libc::dup2(fd, 9)).map(drop)) };
        let mut sleeper = sleeper.spawn().ok()?;
        let mut said = [0; 6];
        let ready = sleeper.stdout.as_mut()?.read_exact(&mut said).is_ok();
        // Who reads before it is mounted gets EPERM; mount(2) itself does not wait for an answer.
        let files = Arc::clone(&tree);
        std::thread::spawn(move || serve(device, &files));
        let this = Self { tree, sleeper };
        ready.then_some(this)
    }

    /// Has the command run where it is mounted.
    pub fn enter(&self, command: &mut Command) {
        let home = File::open(format!("/proc/{}/ns/mnt", self.sleeper.id())).expect("ns");
        // SAFETY: one system call between fork and exec.
        unsafe { command.pre_exec(move || check(libc::setns(home.as_raw_fd(), libc::CLONE_NEWNS))) };
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> Option<String> {
        let tree = self.tree.lock().expect("lock");
        tree.iter().flatten().find(|(name, _)| name == path)?.1.clone()
    }

    /// Makes a group by hand.
    pub fn make(&self, path: &str) {
        add(&mut self.tree.lock().expect("lock"), &format!("{path}/"));
    }

    /// The directories, sorted, without those that every group has.
    pub fn groups(&self) -> Vec<String> {
        let tree = self.tree.lock().expect("lock");
        let mut all: Vec<_> = tree
            .iter()
            .flatten()
            .filter(|(name, text)| {
                text.is_none() && !matches!(name.rsplit('/').next(), Some("" | "info" | "mon_groups"))
            })
            .map(|(name, _)| name.clone())
            .collect();
        all.sort();
        all
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
    }
}

/// A group with its files; `prefix` ends with a slash, or is the root's `""`.
fn add(tree: &mut Tree, prefix: &str) {
    let mut put = |name: &str, text: Option<&str>| {
        tree.push(Some((
            format!("{prefix}{name}").trim_end_matches('/').to_string(),
            text.map(str::to_string),
        )));
    };
    put("", None);
    if prefix != "info/" {
        put("tasks", Some(""));
    }
    if !prefix.contains("mon_groups/") && prefix != "info/" {
        put("schemata", Some("    L3:0=fffff\n    MB:0=100\n"));
        put("mon_groups", None);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string()
}

/// `struct fuse_attr`. Files look large, since FUSE asks nothing beyond their end.
fn attributes(id: usize, directory: bool) -> Vec<u8> {
    let mut out = vec![];
    [id as u64, 4096, 8, 0, 0, 0].iter().for_each(|n| out.extend(n.to_ne_bytes()));
    let mode = if directory { 0o040_755 } else { 0o100_644 };
    [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0_u32].iter().for_each(|n| out.extend(n.to_ne_bytes()));
    out
}

/// `struct fuse_entry_out`, nothing of it cached.
fn entry(index: usize, directory: bool) -> Vec<u8> {
    let mut out = vec![0; 40];
    out[..8].copy_from_slice(&(index as u64 + 1).to_ne_bytes());
    out.extend(attributes(index + 1, directory));
    out
}

fn serve(mut device: File, tree: &Mutex<Tree>) {
    let mut buffer = vec![0; 1 << 18];
    // ENODEV: unmounted.
    while let Ok(len) = device.read(&mut buffer) {
        let request = &buffer[..len];
        let Some(answer) = answer(request, &mut tree.lock().expect("lock")) else { continue };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(errno) => (-errno, vec![]),
        };
        let mut out = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        out.extend(error.to_ne_bytes());
        out.extend(&request[8..16]);
        out.extend(body);
        let _ = device.write(&out);
    }
}

/// One request of include/uapi/linux/fuse.h; none where there is nothing to say.
fn answer(request: &[u8], tree: &mut Tree) -> Option<Result<Vec<u8>, i32>> {
    let (opcode, index, body) =
        (u32_at(request, 4), (u32_at(request, 16) as usize).wrapping_sub(1), &request[40..]);
    let (path, content) = tree.get(index).cloned().flatten().unwrap_or_default();
    let child = |name: String| if path.is_empty() { name } else { format!("{path}/{name}") };
    let find = |tree: &Tree, path: &str| {
        tree.iter().position(|it| it.as_ref().is_some_and(|(name, _)| name == path))
    };
    Some(match opcode {
        // FORGET, INTERRUPT, BATCH_FORGET
        2 | 36 | 42 => return None,
        // LOOKUP
        1 => match find(tree, &child(text(body))) {
            Some(index) => Ok(entry(index, tree[index].as_ref().is_some_and(|it| it.1.is_none()))),
            None => Err(libc::ENOENT),
        },
        // GETATTR, SETATTR
        3 | 4 => {
            let mut out = vec![0; 16];
            out.extend(attributes(index + 1, content.is_none()));
            Ok(out)
        }
        // MKDIR
        9 => {
            let path = child(text(&body[8..]));
            let groups = tree.iter().flatten().filter(|(name, _)| name.ends_with("/schemata")).count();
            let monitor = path.starts_with("mon_groups/") || path.contains("/mon_groups/");
            if find(tree, &path).is_some() {
                Err(libc::EEXIST)
            } else if !monitor && groups >= MOST {
                Err(libc::ENOSPC)
            } else if !monitor && path.contains('/') {
                Err(libc::EPERM)
            } else {
                let index = tree.len();
                add(tree, &format!("{path}/"));
                Ok(entry(index, true))
            }
        }
        // RMDIR
        11 => {
            let path = child(text(body));
            let below = format!("{path}/");
            for it in tree.iter_mut() {
                if it.as_ref().is_some_and(|(name, _)| *name == path || name.starts_with(&below)) {
                    *it = None;
                }
            }
            Ok(vec![])
        }
        // OPEN, OPENDIR: FOPEN_DIRECT_IO
        14 | 27 => Ok([0_u64.to_ne_bytes(), 1_u64.to_ne_bytes()].concat()),
        // READ
        15 => Ok(if u32_at(body, 8) == 0 { content.unwrap_or_default().into_bytes() } else { vec![] }),
        // WRITE
        16 => {
            let size = u32_at(body, 16);
            let line = text(&body[40..]);
            let now = content.unwrap_or_default();
            let new = if path.ends_with("schemata") {
                schemata(&now, &line)
            } else {
                Some(format!("{now}{line}\n"))
            };
            match (new, tree.get_mut(index)) {
                (Some(new), Some(Some(file))) => {
                    file.1 = Some(new);
                    Ok([size.to_ne_bytes(), [0; 4]].concat())
                }
                _ => Err(libc::EINVAL),
            }
        }
        // RELEASE, FLUSH, RELEASEDIR, ACCESS, DESTROY
        18 | 25 | 29 | 34 | 38 => Ok(vec![]),
        // INIT
        26 => {
            let mut out = vec![0; 64];
            for (at, number) in [(0, 7_u32), (4, 31), (8, 4096), (20, 4096)] {
                out[at..at + 4].copy_from_slice(&number.to_ne_bytes());
            }
            Ok(out)
        }
        _ => Err(libc::ENOSYS),
    })
}

/// The file after a write of `line`.
fn schemata(now: &str, line: &str) -> Option<String> {
    let line = line.strip_suffix('\n')?;
    let (resource, value) = line.split_once(":0=")?;
    if !matches!(resource, "L3" | "MB") || value.is_empty() || !value.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let lines = now
        .lines()
        .map(|it| if it.trim().starts_with(resource) { format!("    {line}\n") } else { format!("{it}\n") });
    Some(lines.collect())
}
