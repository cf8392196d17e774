//! Limits as cgroup v1 takes them, in the order of the spec (Documentation/admin-guide/cgroup-v1).

use rustix::fs::{Access, CWD, Mode as Permissions, OFlags, access, open};
use rustix::io::{Errno, write};

use super::device::{Exceptions, Rule};
use super::set::{Setting, impossible, text};
use super::{Cgroups, Mode};
use crate::error::{Context, Error, Result};
use crate::plan::resources::{
    BlockDevice, BlockIo, Cpu, Cpuset, HugePage, LEAF_WEIGHT, Memory, Network, NetworkPriority, Pids,
    READ_BPS, READ_IOPS, Rdma, Unified, WEIGHT, WRITE_BPS, WRITE_IOPS,
};
use crate::plan::{Plan, convert::Limit, device::DeviceRule};
use crate::sys::fd::read_at;
use crate::text::PathBuf;
use crate::wire::cgroupfs::number;

impl Cgroups {
    /// Writes the limits that the plan names, and no other.
    pub fn apply(&self, plan: &Plan<'_>) -> Result<()> {
        match self.mode {
            // `create` has refused limits.
            Mode::None => Ok(()),
            Mode::V1 => self.apply_v1(plan),
            Mode::V2 => self.apply_v2(plan),
        }
    }

    fn apply_v1(&self, plan: &Plan<'_>) -> Result<()> {
        // Device rules first: what follows may fail, and must not fail open.
        self.device_rules_v1(plan)?;
        if let Some(memory) = plan.one::<Memory>()? {
            self.memory_v1(&memory)?;
        }
        if let Some(cpu) = plan.one::<Cpu>()? {
            self.cpu_v1(&cpu)?;
        }
        self.cpuset(plan)?;
        self.pids(plan)?;
        self.block_io_v1(plan)?;
        for page in plan.each::<HugePage<'_>>() {
            self.huge_page(&page?, "limit_in_bytes")?;
        }
        if let Some(class) = plan.one::<Network>()?.and_then(|network| network.class_id) {
            let value = text(format_args!("{class}"));
            self.set("network.classID", "net_cls", "net_cls.classid", value.as_bytes())?;
        }
        for priority in plan.each::<NetworkPriority<'_>>() {
            let priority = priority?;
            let name = core::str::from_utf8(priority.name.to_bytes()).unwrap_or_default();
            let value = text(format_args!("{name} {}", priority.priority));
            self.set("network.priorities", "net_prio", "net_prio.ifpriomap", value.as_bytes())?;
        }
        self.rdma(plan)?;
        match plan.one::<Unified<'_>>()? {
            Some(_) => Err(impossible("unified", "this host has cgroup v1")),
            None => Ok(()),
        }
    }

    fn memory_v1(&self, memory: &Memory) -> Result<()> {
        if memory.check_before_update {
            self.check_usage(memory.limit, "memory.usage_in_bytes")?;
        }
        let mut limits = heapless::Vec::<Setting, 2>::new();
        if let Some(limit) = memory.limit {
            let _ = limits.push(Setting::new("memory.limit", "memory.limit_in_bytes", limit));
        }
        // Without swap accounting the file is missing, and there is no limit either.
        let swap_file = || -> Result<bool> {
            let file = self.file(self.controller("memory.swap", "memory")?, b"memory.memsw.limit_in_bytes");
            Ok::<_, Error>(access(file.as_cstr(), Access::EXISTS).is_ok())
        };
        match memory.swap {
            Some(-1) if !swap_file()? => {}
            // An unlimited group would be limited by what it was allowed with swap.
            None if memory.limit != Some(-1) || !swap_file()? => {}
            swap => {
                let swap = Setting::new("memory.swap", "memory.memsw.limit_in_bytes", swap.unwrap_or(-1));
                let _ = limits.push(swap);
            }
        }
        self.settle("memory", &limits)?;
        // memory.kernel is accepted and has no effect: kernels since 5.16 ignore it, as the spec allows.
        let others = [
            ("memory.reservation", "memory.soft_limit_in_bytes", memory.reservation),
            ("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp),
            ("memory.swappiness", "memory.swappiness", memory.swappiness.map(|value| value as i64)),
            ("memory.disableOOMKiller", "memory.oom_control", memory.disable_oom_killer.map(i64::from)),
        ];
        self.set_all("memory", &others)
    }

    fn cpu_v1(&self, cpu: &Cpu) -> Result<()> {
        let signed = |value: Option<u64>| value.map(|value| value as i64);
        let bandwidth = [
            ("cpu.period", "cpu.cfs_period_us", signed(cpu.period)),
            ("cpu.quota", "cpu.cfs_quota_us", cpu.quota),
            ("cpu.burst", "cpu.cfs_burst_us", signed(cpu.burst)),
            ("cpu.realtimePeriod", "cpu.rt_period_us", signed(cpu.realtime_period)),
            ("cpu.realtimeRuntime", "cpu.rt_runtime_us", cpu.realtime_runtime),
        ];
        let mut settings = heapless::Vec::<Setting, 5>::new();
        for (field, file, value) in bandwidth {
            if let Some(value) = value {
                let _ = settings.push(Setting::new(field, file, value));
            }
        }
        self.settle("cpu", &settings)?;
        self.set_all(
            "cpu",
            &[("cpu.shares", "cpu.shares", signed(cpu.shares)), ("cpu.idle", "cpu.idle", cpu.idle)],
        )
    }

    /// Values that do not depend on each other; those that are not given are left alone.
    #[inline(never)]
    pub(super) fn set_all(&self, controller: &str, settings: &[(&str, &str, Option<i64>)]) -> Result<()> {
        for (field, file, value) in settings {
            if let Some(value) = value {
                self.set(field, controller, file, text(format_args!("{value}")).as_bytes())?;
            }
        }
        Ok(())
    }

    /// A limit below what is used already makes the kernel kill: `checkBeforeUpdate` asks to be refused.
    pub(super) fn check_usage(&self, limit: Option<i64>, file: &str) -> Result<()> {
        let Some(limit) = limit.and_then(|limit| u64::try_from(limit).ok()) else { return Ok(()) };
        let file = self.file(self.controller("memory.limit", "memory")?, file.as_bytes());
        let mut buffer = [0; 32];
        let usage = match read_at(CWD, file.as_cstr(), &mut buffer) {
            Ok(usage) => number(usage).unwrap_or(0),
            // v2's controller is not enabled: writing the limit will say so.
            Err(Errno::NOENT) => 0,
            Err(errno) => return Err(errno).context("read", &file),
        };
        if limit < usage {
            let reason = format_args!("{limit} is below the {usage} bytes in use");
            return Err(Error::refused("linux.resources.memory.limit", reason));
        }
        Ok(())
    }

    pub(super) fn cpuset(&self, plan: &Plan<'_>) -> Result<()> {
        let Some(cpuset) = plan.one::<Cpuset<'_>>()? else { return Ok(()) };
        let lists = [("cpu.cpus", "cpuset.cpus", cpuset.cpus), ("cpu.mems", "cpuset.mems", cpuset.mems)];
        for (field, file, value) in lists {
            if let Some(value) = value {
                self.set(field, "cpuset", file, value.to_bytes())?;
            }
        }
        Ok(())
    }

    pub(super) fn pids(&self, plan: &Plan<'_>) -> Result<()> {
        let Some(pids) = plan.one::<Pids>()? else { return Ok(()) };
        self.set("pids.limit", "pids", "pids.max", text(format_args!("{}", Limit(pids.limit))).as_bytes())
    }

    fn block_io_v1(&self, plan: &Plan<'_>) -> Result<()> {
        if let Some(block) = plan.one::<BlockIo>()? {
            if let Some(weight) = block.weight {
                let files = ["blkio.weight", "blkio.bfq.weight"];
                self.set_first("blockIO.weight", "blkio", &files, text(format_args!("{weight}")).as_bytes())?;
            }
            let leaf = block.leaf_weight.map(i64::from);
            self.set_all("blkio", &[("blockIO.leafWeight", "blkio.leaf_weight", leaf)])?;
        }
        for device in plan.each::<BlockDevice>() {
            let device = device?;
            let (field, files): (&str, &[&str]) = match device.knob {
                WEIGHT => ("blockIO.weightDevice", &["blkio.weight_device", "blkio.bfq.weight_device"]),
                LEAF_WEIGHT => ("blockIO.weightDevice", &["blkio.leaf_weight_device"]),
                READ_BPS => ("blockIO.throttleReadBpsDevice", &["blkio.throttle.read_bps_device"]),
                WRITE_BPS => ("blockIO.throttleWriteBpsDevice", &["blkio.throttle.write_bps_device"]),
                READ_IOPS => ("blockIO.throttleReadIOPSDevice", &["blkio.throttle.read_iops_device"]),
                WRITE_IOPS => ("blockIO.throttleWriteIOPSDevice", &["blkio.throttle.write_iops_device"]),
                _ => return Err(Error::refused("plan", "unknown knob of a block device")),
            };
            let value = text(format_args!("{}:{} {}", device.major, device.minor, device.value));
            self.set_first(field, "blkio", files, value.as_bytes())?;
        }
        Ok(())
    }

    /// Reservations are limited where the kernel can (5.7), so that a process learns it from mmap(2) and
    /// not from SIGBUS; `last` is how the version names a limit.
    pub(super) fn huge_page(&self, page: &HugePage<'_>, last: &str) -> Result<()> {
        let size = core::str::from_utf8(page.size.to_bytes()).unwrap_or_default();
        let reserved = text(format_args!("hugetlb.{size}.rsvd.{last}"));
        let used = text(format_args!("hugetlb.{size}.{last}"));
        let value = text(format_args!("{}", page.limit));
        self.set_first("hugepageLimits", "hugetlb", &[&reserved, &used], value.as_bytes())
    }

    pub(super) fn rdma(&self, plan: &Plan<'_>) -> Result<()> {
        for limits in plan.each::<Rdma<'_>>() {
            let limits = limits?;
            let mut value = text(format_args!("{}", crate::text::shown(limits.device)));
            for (key, number) in [("hca_handle", limits.handles), ("hca_object", limits.objects)] {
                if let Some(number) = number {
                    let _ = core::fmt::Write::write_fmt(&mut value, format_args!(" {key}={number}"));
                }
            }
            self.set("rdma", "rdma", "rdma.max", value.as_bytes())?;
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
            (Err(Errno::ACCESS), _) if self.rootless => return Ok(()),
            (Err(errno), _) => return Err(errno).context("open", &deny),
            (_, Err(errno)) => return Err(errno).context("open", &allow),
        };
        let mut exceptions = Exceptions::new();
        for (at, rule) in plan.each::<DeviceRule>().enumerate() {
            let rule = Rule::new(&rule?);
            exceptions.check(plan, at, &rule)?;
            let (file, path) = if rule.allow { &allow } else { &deny };
            for line in rule.lines() {
                match write(file, line.as_bytes()) {
                    Ok(_) => {}
                    // It takes CAP_SYS_ADMIN in the first user namespace. Without it no device can be made.
                    Err(Errno::PERM | Errno::ACCESS) if self.rootless => return Ok(()),
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
