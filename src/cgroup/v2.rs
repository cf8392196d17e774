//! Limits as cgroup v2 takes them (Documentation/admin-guide/cgroup-v2.rst), controllers, delegation.

use rustix::fs::{AtFlags, CWD, Uid, chownat};
use rustix::io::Errno;

use super::create::levels;
use super::set::{Knob, Text, impossible, knob, limit, missing, named, text};
use super::v1::ONLY_V1;
use super::{Cgroups, Hierarchy, Mode, device};
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::convert::{Limit, cpu_weight, io_weight, swap_max};
use crate::plan::resources::{Cpu, Memory, Unified};
use crate::sys::bpf;
use crate::sys::fd::{read_at, write_at};
use crate::text::{Bytes, PathBuf, shown};
use crate::wire::cgroupfs::words;

impl Cgroups {
    /// Hands all controllers down to our directory, as runc does: who reads a container's statistics
    /// expects them, also where no limit was set. What cannot be had is told when a limit needs it.
    pub(super) fn enable_controllers(&self) -> Result<()> {
        let Some(hierarchy) = self.hierarchies.first() else { return Ok(()) };
        let whole = self.place(hierarchy);
        let top = self.names.bytes(hierarchy.mountpoint).len();
        // `+cpu +memory ...`
        let mut all = Text::new();
        let mut buffer = [0; 256];
        let root = self.names.bytes(hierarchy.mountpoint);
        for name in words(controllers(root, &mut buffer)?) {
            let fits = all.push_str(if all.is_empty() { "+" } else { " +" }).is_ok();
            if !fits || all.push_str(core::str::from_utf8(name).unwrap_or_default()).is_err() {
                break;
            }
        }
        // Each level but ours hands them to the next. To write what is set already is cheap.
        for end in givers(whole.as_bytes(), top) {
            let giver = whole.as_bytes().get(..end).unwrap_or_default();
            let file = subtree_control(giver)?;
            // One that is refused (by a limit above, by who delegated) takes the others with it.
            if write_at(CWD, file.as_cstr(), all.as_bytes()).is_err() && !(end != top && has_processes(giver))
            {
                for one in words(all.as_bytes()) {
                    let _ = write_at(CWD, file.as_cstr(), one);
                }
            }
        }
        Ok(())
    }

    /// Why a controller's file is not there; `None` when the controller is.
    pub(super) fn disabled(&self, hierarchy: &Hierarchy, field: &str, controller: &str) -> Option<Error> {
        let whole = self.place(hierarchy);
        let mut buffer = [0; 256];
        let ours = controllers(whole.as_bytes(), &mut buffer).ok()?;
        if words(ours).any(|name| name == controller.as_bytes()) {
            return None;
        }
        let root = self.names.get(hierarchy.mountpoint);
        let available = controllers(root.to_bytes(), &mut buffer).ok()?;
        if !words(available).any(|name| name == controller.as_bytes()) {
            return Some(missing(field, controller, "is not available here"));
        }
        // Which level does not hand it down, and why: asked again.
        let top = root.count_bytes();
        for end in givers(whole.as_bytes(), top) {
            let giver = whole.as_bytes().get(..end)?;
            let file = subtree_control(giver).ok()?;
            let one = text(format_args!("+{}", Bytes(controller.as_bytes())));
            let asked = match end != top && has_processes(giver) {
                true => Err(Errno::BUSY),
                false => write_at(CWD, file.as_cstr(), one.as_bytes()),
            };
            let Err(errno) = asked else { continue };
            let hint = match errno {
                Errno::BUSY => {
                    " (that cgroup has processes of its own: choose linux.cgroupsPath below another)"
                }
                Errno::NOENT => " (no cgroup above it has the controller)",
                Errno::OPNOTSUPP => " (that cgroup is threaded)",
                _ => "",
            };
            let subject = format_args!("{one} to {file}{hint}");
            return Some(Error::system("write", subject, errno).within(&named(field)));
        }
        Some(missing(field, controller, "is not enabled"))
    }

    pub(super) fn memory_v2(&self, memory: &Memory) -> Result<()> {
        let of_v1 = [
            ("memory.kernelTCP", memory.kernel_tcp.is_some()),
            ("memory.swappiness", memory.swappiness.is_some()),
            ("memory.disableOOMKiller", memory.disable_oom_killer == Some(1)),
        ];
        for (field, given) in of_v1 {
            if given {
                return Err(impossible(field, ONLY_V1));
            }
        }
        if memory.check_before_update {
            self.check_usage(memory.limit, "memory.current")?;
        }
        let swap = swap_max(memory.limit, memory.swap)?;
        const LIMITS: [Knob<'_>; 2] =
            [knob("memory.reservation", "memory.low"), knob("memory.limit", "memory.max")];
        const SWAP: [Knob<'_>; 1] = [knob("memory.swap", "memory.swap.max")];
        self.set_all(&LIMITS, &[memory.reservation, memory.limit], limit)?;
        match self.set_all(&SWAP, &[swap], limit) {
            // A kernel that does not count swap does not limit it either.
            Err(error) if swap == Some(-1) && error.errno() == Some(Errno::NOENT) => Ok(()),
            done => done,
        }
    }

    pub(super) fn cpu_v2(&self, cpu: &Cpu) -> Result<()> {
        for (field, given) in [
            ("cpu.realtimeRuntime", cpu.realtime_runtime.is_some()),
            ("cpu.realtimePeriod", cpu.realtime_period.is_some()),
        ] {
            if given {
                return Err(impossible(field, ONLY_V1));
            }
        }
        let max = if cpu.quota.is_some() || cpu.period.is_some() { Some(self.cpu_max(cpu)?) } else { None };
        let field = if cpu.quota.is_some() { "cpu.quota" } else { "cpu.period" };
        let bandwidth = [knob(field, "cpu.max"), knob("cpu.burst", "cpu.max.burst")];
        self.settle(&bandwidth, &[None, cpu.burst.map(|burst| burst as i64)], max.as_ref())?;
        self.cpu_share(cpu, "cpu.weight", cpu.shares.map(|shares| cpu_weight(shares) as i64))
    }

    /// `quota period`. A quota alone is taken alone; a period alone keeps the quota that is there.
    fn cpu_max(&self, cpu: &Cpu) -> Result<Text> {
        let hierarchy = self.controller("cpu.quota", "cpu")?;
        let mut buffer = [0; 64];
        Ok(match (cpu.quota, cpu.period) {
            (Some(quota), None) => limit(quota),
            (Some(quota), Some(period)) => text(format_args!("{} {period}", Limit(quota))),
            (None, period) => {
                let file = self.file(hierarchy, b"cpu.max");
                let before = read_at(CWD, file.as_cstr(), &mut buffer).unwrap_or(b"max");
                let quota = words(before).next().unwrap_or(b"max");
                text(format_args!("{} {}", Bytes(quota), period.unwrap_or(crate::plan::convert::CPU_PERIOD)))
            }
        })
    }

    /// BFQ counts as v1 did, the cost model (`io.weight`) does not. Both are there only when they are
    /// configured; the one that is used.
    pub(super) fn io_weight(&self, field: &str, device: &str, weight: u32) -> Result<()> {
        let hierarchy = self.controller(field, "io")?;
        let bfq = self.file(hierarchy, b"io.bfq.weight");
        let value = text(format_args!("{device}{weight}"));
        match write_at(CWD, bfq.as_cstr(), value.as_bytes()) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => {
                let key = if device.is_empty() { "default " } else { device };
                let value = text(format_args!("{key}{}", io_weight(weight)));
                self.set(&Knob { field, file: "io.weight" }, value.as_bytes())
            }
            Err(errno) => {
                let knob = Knob { field, file: "io.bfq.weight" };
                Err(self.refused(hierarchy, &knob, value.as_bytes(), errno))
            }
        }
    }

    /// Any file of the cgroup by its name; also one that we have never heard of.
    pub(super) fn unified(&self, file: &Unified<'_>) -> Result<()> {
        let name = core::str::from_utf8(file.file.to_bytes()).unwrap_or_default();
        if name.is_empty() || name.starts_with('.') || name.as_bytes().contains(&b'/') {
            let reason = format_args!("{}: not a cgroup file's name", shown(file.file));
            return Err(Error::refused("linux.resources.unified", reason));
        }
        self.set(&Knob { field: "unified", file: name }, file.value.to_bytes())
    }

    // Out of line, as is each step with a large buffer: the frame of a caller is touched whole at every start.
    #[inline(never)]
    pub(super) fn device_rules_v2(&self, plan: &Plan<'_>) -> Result<()> {
        let Some(program) = device::assemble(plan)? else { return Ok(()) };
        let field = "linux.resources.devices";
        let loaded = match bpf::load_device_program(program.code(), None) {
            Ok(loaded) => loaded,
            // It takes CAP_BPF or CAP_SYS_ADMIN in the first user namespace. Without them no device can be made, and who
            // may open those that are there, their permissions say.
            Err(Errno::PERM) if (self.rootless)() => return Ok(()),
            Err(errno) => {
                let mut log = [0; 400];
                let _ = bpf::load_device_program(program.code(), Some(&mut log));
                let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
                let why = Bytes(log.get(..end).unwrap_or_default());
                return Err(Error::system("bpf(PROG_LOAD)", why, errno).within(field));
            }
        };
        let Some(directory) = self.directory()? else { return Ok(()) };
        match bpf::attach_device_program(&directory, &loaded) {
            Err(Errno::PERM) if (self.rootless)() => Ok(()),
            done => done.context("bpf(PROG_ATTACH)", shown(self.path())).map_err(|error| error.within(field)),
        }
    }

    /// Gives the cgroup to the container's root (`uid` on the host), so that it can make its own below:
    /// the directory and the files that the kernel lists for this, and no limit (config-linux.md,
    /// Cgroup ownership). To be asked only with a new cgroup namespace and a writable mount. Files
    /// that are not there are none. On v1 delegation is not safe, and nothing happens.
    pub fn delegate(&self, uid: u32) -> Result<()> {
        let (Mode::V2, Some(hierarchy)) = (self.mode, self.entered().first()) else { return Ok(()) };
        let owner = Some(Uid::from_raw(uid));
        let directory = self.open(hierarchy)?;
        let mut buffer = [0; 1024];
        let names = read_at(CWD, c"/sys/kernel/cgroup/delegate", &mut buffer)
            .unwrap_or(b"cgroup.procs cgroup.subtree_control cgroup.threads");
        for name in words(names) {
            let name = PathBuf::from_bytes(name).unwrap_or_default();
            match chownat(&directory, name.as_cstr(), owner, None, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(errno).context("chown", format_args!("{}/{name}", shown(self.path())));
                }
            }
        }
        chownat(&directory, c"", owner, None, AtFlags::EMPTY_PATH).context("chown", shown(self.path()))
    }
}

/// `cgroup.controllers` of a directory.
fn controllers<'b>(directory: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let mut file = PathBuf::from_bytes(directory).unwrap_or_default();
    let _ = file.join(b"cgroup.controllers");
    read_at(CWD, file.as_cstr(), buffer).context("read", &file)
}

/// Ends of the paths from the root (`whole[..top]`) to the parent of `whole`: each hands controllers down.
fn givers(whole: &[u8], top: usize) -> impl Iterator<Item = usize> {
    core::iter::once(top).chain(levels(whole, top)).filter(|&end| end < whole.len())
}

/// Whether processes are in the directory itself. Below the root such a one cannot hand down controllers
/// (cgroups(7), no internal processes). Some it would take, but only to become the root of a threaded
/// subtree, in which no container can live: so it is not even asked.
fn has_processes(directory: &[u8]) -> bool {
    let mut file = PathBuf::from_bytes(directory).unwrap_or_default();
    let _ = file.join(b"cgroup.procs");
    read_at(CWD, file.as_cstr(), &mut [0; 16]).is_ok_and(|pids| !pids.is_empty())
}

fn subtree_control(directory: &[u8]) -> Result<PathBuf> {
    let mut file = PathBuf::from_bytes(directory).unwrap_or_default();
    file.join(b"cgroup.subtree_control").map_err(|_| Error::refused("linux.cgroupsPath", "too long"))?;
    Ok(file)
}
