//! Limits in the order of the spec, and as cgroup v1 takes them (Documentation/admin-guide/cgroup-v1).

use core::fmt::Write;

use rustix::fs::{Access, Mode as Permissions, OFlags, access, open};
use rustix::io::Errno;

use super::device::{Exceptions, Rule};
use super::set::{Knob, impossible, knob, limit, plain, text};
use super::{Cgroups, Mode};
use crate::error::{Context, Error, Result};
use crate::plan::resources::{
    BlockDevice, BlockIo, Cpu, Cpuset, HugePage, LEAF_WEIGHT, Memory, Network, NetworkPriority, Pids,
    READ_BPS, READ_IOPS, Rdma, Unified, WEIGHT, WRITE_BPS, WRITE_IOPS,
};
use crate::plan::{Plan, device::DeviceRule};
use crate::text::PathBuf;
use crate::wire::cgroupfs::number;

/// Devices' knobs by their number: the field, v1's files (the first that there is), v2's key in `io.max`.
const DEVICES: [(&str, &[&str], &str); 6] = [
    ("blockIO.weightDevice", &["blkio.weight_device", "blkio.bfq.weight_device"], ""),
    ("blockIO.weightDevice", &["blkio.leaf_weight_device"], ""),
    ("blockIO.throttleReadBpsDevice", &["blkio.throttle.read_bps_device"], "rbps"),
    ("blockIO.throttleWriteBpsDevice", &["blkio.throttle.write_bps_device"], "wbps"),
    ("blockIO.throttleReadIOPSDevice", &["blkio.throttle.read_iops_device"], "riops"),
    ("blockIO.throttleWriteIOPSDevice", &["blkio.throttle.write_iops_device"], "wiops"),
];

const _: () = assert!(WEIGHT == 0 && LEAF_WEIGHT == 1 && READ_BPS == 2);
const _: () = assert!(WRITE_BPS == 3 && READ_IOPS == 4 && WRITE_IOPS == 5);

/// What v1 had and v2 does not.
pub(super) const ONLY_V1: &str = "this host has cgroup v2, which knows nothing like it";

impl Cgroups {
    /// Writes the limits that the plan names, and no other.
    pub fn apply(&self, plan: &Plan<'_>) -> Result<()> {
        let unified = match self.mode {
            // `create` has refused limits.
            Mode::None => return Ok(()),
            Mode::V1 => false,
            Mode::V2 => true,
        };
        // Device rules first: what follows may fail, and must not fail open.
        if unified { self.device_rules_v2(plan) } else { self.device_rules_v1(plan) }?;
        if let Some(memory) = plan.one::<Memory>()? {
            if unified { self.memory_v2(&memory) } else { self.memory_v1(&memory) }?;
        }
        if let Some(cpu) = plan.one::<Cpu>()? {
            if unified { self.cpu_v2(&cpu) } else { self.cpu_v1(&cpu) }?;
        }
        self.cpuset(plan)?;
        if let Some(pids) = plan.one::<Pids>()? {
            self.set(const { &knob("pids.limit", "pids.max") }, limit(pids.limit).as_bytes())?;
        }
        self.block_io(plan, unified)?;
        for page in plan.each::<HugePage<'_>>() {
            self.huge_page(&page?, if unified { "max" } else { "limit_in_bytes" })?;
        }
        self.network(plan, unified)?;
        self.rdma(plan)?;
        for file in plan.each::<Unified<'_>>() {
            let file = file?;
            if !unified {
                return Err(impossible("unified", "invalid configuration: this host has cgroup v1"));
            }
            self.unified(&file)?;
        }
        Ok(())
    }

    fn network(&self, plan: &Plan<'_>, unified: bool) -> Result<()> {
        if let Some(class) = plan.one::<Network>()?.and_then(|network| network.class_id) {
            if unified {
                return Err(impossible("network.classID", ONLY_V1));
            }
            self.set(const { &knob("network.classID", "net_cls.classid") }, plain(class.into()).as_bytes())?;
        }
        for priority in plan.each::<NetworkPriority<'_>>() {
            let priority = priority?;
            if unified {
                return Err(impossible("network.priorities", ONLY_V1));
            }
            let name = core::str::from_utf8(priority.name.to_bytes()).unwrap_or_default();
            let value = text(format_args!("{name} {}", priority.priority));
            self.set(const { &knob("network.priorities", "net_prio.ifpriomap") }, value.as_bytes())?;
        }
        Ok(())
    }

    fn memory_v1(&self, memory: &Memory) -> Result<()> {
        const DEPENDENT: [Knob<'_>; 2] = [
            knob("memory.limit", "memory.limit_in_bytes"),
            knob("memory.swap", "memory.memsw.limit_in_bytes"),
        ];
        const OTHERS: [Knob<'_>; 4] = [
            knob("memory.reservation", "memory.soft_limit_in_bytes"),
            knob("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes"),
            knob("memory.swappiness", "memory.swappiness"),
            knob("memory.disableOOMKiller", "memory.oom_control"),
        ];
        if memory.check_before_update {
            self.check_usage(memory.limit, "memory.usage_in_bytes")?;
        }
        // An unlimited group would be limited by what it was allowed with swap.
        let mut swap = memory.swap.or(memory.limit.filter(|&limit| limit == -1));
        if swap == Some(-1) {
            // Without swap accounting the file is missing, and there is no limit either.
            let file = self.file(self.controller("memory.swap", "memory")?, b"memory.memsw.limit_in_bytes");
            swap = swap.filter(|_| access(file.as_cstr(), Access::EXISTS).is_ok());
        }
        self.settle(&DEPENDENT, &[memory.limit, swap], None)?;
        // memory.kernel is accepted and has no effect: kernels since 5.16 ignore it, as the spec allows.
        let swappiness = memory.swappiness.map(|value| value as i64);
        let pause = memory.disable_oom_killer.map(i64::from);
        self.set_all(&OTHERS, &[memory.reservation, memory.kernel_tcp, swappiness, pause], plain)
    }

    fn cpu_v1(&self, cpu: &Cpu) -> Result<()> {
        const BANDWIDTH: [Knob<'_>; 5] = [
            knob("cpu.period", "cpu.cfs_period_us"),
            knob("cpu.quota", "cpu.cfs_quota_us"),
            knob("cpu.burst", "cpu.cfs_burst_us"),
            knob("cpu.realtimePeriod", "cpu.rt_period_us"),
            knob("cpu.realtimeRuntime", "cpu.rt_runtime_us"),
        ];
        let signed = |value: Option<u64>| value.map(|value| value as i64);
        let (period, realtime) = (signed(cpu.period), signed(cpu.realtime_period));
        let bandwidth = [period, cpu.quota, signed(cpu.burst), realtime, cpu.realtime_runtime];
        self.settle(&BANDWIDTH, &bandwidth, None)?;
        // The kernel takes any number for the nearest that there is (MIN_SHARES and MAX_SHARES in kernel/sched/sched.h).
        let bound = match cpu.shares {
            Some(..2) => "the minimum allowed cpu-shares is 2",
            Some(262_145..) => "the maximum allowed cpu-shares is 262144",
            _ => return self.cpu_share(cpu, "cpu.shares", signed(cpu.shares)),
        };
        Err(impossible("cpu.shares", bound))
    }

    /// A group stops to be idle before it takes a share; of one that becomes idle the kernel takes no share any more.
    pub(super) fn cpu_share(&self, cpu: &Cpu, file: &'static str, share: Option<i64>) -> Result<()> {
        let share = share.filter(|_| cpu.idle.unwrap_or(0) == 0);
        self.set_all(&[knob("cpu.idle", "cpu.idle"), knob("cpu.shares", file)], &[cpu.idle, share], plain)
    }

    /// A limit below what is used already makes the kernel kill: `checkBeforeUpdate` asks to be refused.
    pub(super) fn check_usage(&self, limit: Option<i64>, file: &str) -> Result<()> {
        let Some(limit) = limit.and_then(|limit| u64::try_from(limit).ok()) else { return Ok(()) };
        let hierarchy = self.controller("memory.limit", "memory")?;
        let mut buffer = [0; 32];
        let usage = match self.read_file(hierarchy, file.as_bytes(), &mut buffer) {
            Ok(usage) => number(usage).unwrap_or(0),
            // v2's controller is not enabled: writing the limit will say so.
            Err(error) if error.errno() == Some(Errno::NOENT) => 0,
            Err(error) => return Err(error),
        };
        if limit < usage {
            let reason = format_args!("{limit} is below the {usage} bytes in use");
            return Err(Error::refused("linux.resources.memory.limit", reason));
        }
        Ok(())
    }

    fn cpuset(&self, plan: &Plan<'_>) -> Result<()> {
        let Some(cpuset) = plan.one::<Cpuset<'_>>()? else { return Ok(()) };
        const LISTS: [Knob<'_>; 2] = [knob("cpu.cpus", "cpuset.cpus"), knob("cpu.mems", "cpuset.mems")];
        for (knob, value) in LISTS.iter().zip([cpuset.cpus, cpuset.mems]) {
            if let Some(value) = value {
                self.set(knob, value.to_bytes())?;
            }
        }
        Ok(())
    }

    fn block_io(&self, plan: &Plan<'_>, unified: bool) -> Result<()> {
        if let Some(block) = plan.one::<BlockIo>()? {
            if unified && block.leaf_weight.is_some() {
                return Err(impossible("blockIO.leafWeight", ONLY_V1));
            }
            if let Some(weight) = block.weight {
                if unified {
                    self.io_weight("blockIO.weight", "", weight)?;
                } else {
                    let files = ["blkio.weight", "blkio.bfq.weight"];
                    self.set_first("blockIO.weight", &files, plain(weight.into()).as_bytes())?;
                }
            }
            if let Some(weight) = block.leaf_weight {
                let leaf = knob("blockIO.leafWeight", "blkio.leaf_weight");
                self.set(&leaf, plain(weight.into()).as_bytes())?;
            }
        }
        for device in plan.each::<BlockDevice>() {
            let device = device?;
            let Some(&(field, files, key)) = DEVICES.get(device.knob as usize) else {
                return Err(Error::refused("plan", "unknown knob of a block device"));
            };
            let mut value = text(format_args!("{}:{} ", device.major, device.minor));
            let number = device.value;
            if !unified {
                let _ = write!(value, "{number}");
                self.set_first(field, files, value.as_bytes())?;
            } else if device.knob == WEIGHT {
                self.io_weight(field, &value, u32::try_from(number).unwrap_or(u32::MAX))?;
            } else if key.is_empty() {
                return Err(impossible(field, ONLY_V1));
            } else {
                let _ = write!(value, "{key}={number}");
                self.set(&Knob { field, file: "io.max" }, value.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Reservations are limited where the kernel can (5.7), so that a process learns it from mmap(2) and
    /// not from SIGBUS; `last` is how the version names a limit.
    fn huge_page(&self, page: &HugePage<'_>, last: &str) -> Result<()> {
        let size = core::str::from_utf8(page.size.to_bytes()).unwrap_or_default();
        let reserved = text(format_args!("hugetlb.{size}.rsvd.{last}"));
        let used = text(format_args!("hugetlb.{size}.{last}"));
        let value = text(format_args!("{}", page.limit));
        self.set_first("hugepageLimits", &[&reserved, &used], value.as_bytes())
    }

    fn rdma(&self, plan: &Plan<'_>) -> Result<()> {
        for limits in plan.each::<Rdma<'_>>() {
            let limits = limits?;
            let mut value = text(format_args!("{}", crate::text::shown(limits.device)));
            for (key, number) in [("hca_handle", limits.handles), ("hca_object", limits.objects)] {
                if let Some(number) = number {
                    let _ = write!(value, " {key}={number}");
                }
            }
            self.set(const { &knob("rdma", "rdma.max") }, value.as_bytes())?;
        }
        Ok(())
    }

    /// The rules one by one: the kernel keeps the list as we do, a default and its exceptions.
    fn device_rules_v1(&self, plan: &Plan<'_>) -> Result<()> {
        let Some(first) = plan.each::<DeviceRule>().next() else { return Ok(()) };
        first?;
        let hierarchy = self.controller("devices", "devices")?;
        let deny = self.file(hierarchy, b"devices.deny");
        let allow = self.file(hierarchy, b"devices.allow");
        // Open over all rules: there are a dozen and more.
        let open =
            |path: &PathBuf| open(path.as_cstr(), OFlags::WRONLY | OFlags::CLOEXEC, Permissions::empty());
        let (deny, allow) = match (open(&deny), open(&allow)) {
            (Ok(denying), Ok(allowing)) => ((denying, deny), (allowing, allow)),
            (Err(Errno::ACCESS), _) if (self.rootless)() => return Ok(()),
            (Err(errno), _) => return Err(errno).context("open", &deny),
            (_, Err(errno)) => return Err(errno).context("open", &allow),
        };
        let mut exceptions = Exceptions::new();
        for (at, rule) in plan.each::<DeviceRule>().enumerate() {
            let rule = Rule::new(&rule?);
            exceptions.check(plan, at, &rule)?;
            let (file, path) = if rule.allow { &allow } else { &deny };
            for line in rule.lines() {
                match rustix::io::write(file, line.as_bytes()) {
                    Ok(_) => {}
                    // It takes CAP_SYS_ADMIN in the first user namespace. Without it no device can be made.
                    Err(Errno::PERM | Errno::ACCESS) if (self.rootless)() => return Ok(()),
                    Err(errno) => {
                        let error = Error::system("write", format_args!("{line} to {path}"), errno);
                        return Err(error.within(&text(format_args!("linux.resources.devices[{at}]"))));
                    }
                }
            }
        }
        Ok(())
    }
}
