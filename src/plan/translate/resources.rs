//! `linux.cgroupsPath` and `linux.resources`.
//!
//! Neutral: what v1 and v2 make of a number is their business. A 0 that Go callers write for "not
//! given" is absent from here on; where 0 means something (swappiness, pids, burst, idle) it stays.

use super::strings::{PATH, put, said, sound};
use super::{MOST, Translation};
use crate::error::Result;
use crate::oci;
use crate::plan::kind;
use crate::plan::resources::{
    BlockDevice, BlockIo, Cpu, Cpuset, HugePage, LEAF_WEIGHT, Memory, Network, NetworkPriority, Pids,
    READ_BPS, READ_IOPS, Rdma, Unified, WEIGHT, WRITE_BPS, WRITE_IOPS,
};
use crate::text::PathBuf;
use crate::wire::json::{Node, Read, Text};

/// Longest name of a file, and so of anything that becomes one.
const NAME: usize = 255;

impl Translation<'_, '_> {
    #[inline(never)]
    pub(super) fn cgroup(&mut self, linux: &oci::Linux<'_>) -> Result<()> {
        if self.request.cgroups_disabled {
            self.writer.flag(kind::CGROUP_MANAGER_DISABLED);
        }
        self.cgroups_path(linux.cgroups_path())?;
        let mut resources = oci::Resources::of(linux.resources());
        self.limits(&mut resources)?;
        self.device_rules(resources.devices())
    }

    #[inline(never)]
    pub(super) fn limits(&mut self, resources: &mut oci::Resources<'_>) -> Result<()> {
        resources.locate()?;
        self.memory(resources.memory())?;
        self.cpu(resources.cpu())?;
        let mut pids = oci::resources::Pids::of(resources.pids());
        pids.locate()?;
        if let Some(limit) = pids.limit().read::<Option<i64>>()? {
            put(&mut self.writer, pids.limit(), Pids { limit: limit.max(-1) })?;
        }
        self.block_io(resources.block_io())?;
        resources.hugepage_limits().list()?.try_for_each(|node| self.huge_page(&node))?;
        self.network(resources.network())?;
        self.rdma(resources.rdma())?;
        self.unified(resources.unified())
    }

    /// Absolute from the cgroup mount; relative means the same (config-linux.md leaves it to us, as
    /// long as it is always the same place).
    #[inline(never)]
    fn cgroups_path(&mut self, node: &Node<'_>) -> Result<()> {
        let mut path = PathBuf::new();
        let long = |_| node.refuse(format_args!("longer than {PATH} bytes"));
        match said(node)? {
            None => {
                path.push(b"/minirunc-").map_err(long)?;
                path.push(self.request.id.to_bytes()).map_err(long)?;
            }
            Some(text) => {
                if !text.starts_with('/') && text.chars().filter(|&c| c == ':').count() == 2 {
                    return Err(
                        node.refuse("the systemd form slice:prefix:name is not supported by this build yet")
                    );
                }
                let mut raw = &mut *self.scratch;
                let raw = text.c_str(PATH, &mut raw)?.to_bytes();
                for component in raw.split(|&byte| byte == b'/') {
                    match component {
                        b"" | b"." => {}
                        b".." => return Err(node.refuse("has a component ..")),
                        _ => {
                            path.push(b"/").map_err(long)?;
                            path.push(component).map_err(long)?;
                        }
                    }
                }
            }
        }
        // The root cgroup has no limits, and deleting the container would empty it.
        if path.as_bytes().is_empty() {
            return Err(node.refuse("must not be the root cgroup"));
        }
        self.writer.string(kind::CGROUPS_PATH, path.as_cstr());
        sound(&self.writer, node)
    }

    #[inline(never)]
    fn memory(&mut self, node: &Node<'_>) -> Result<()> {
        let mut memory = oci::resources::Memory::of(node);
        memory.locate()?;
        let value = Memory {
            limit: bytes(memory.limit())?,
            reservation: bytes(memory.reservation())?,
            swap: bytes(memory.swap())?,
            // -1 in a Go caller's u64 is "not given".
            swappiness: memory.swappiness().read::<Option<u64>>()?.filter(|&number| number != u64::MAX),
            disable_oom_killer: flag(memory.disable_oom_killer())?,
            use_hierarchy: flag(memory.use_hierarchy())?,
            check_before_update: memory.check_before_update().read()?,
            kernel: bytes(memory.kernel())?,
            kernel_tcp: bytes(memory.kernel_tcp())?,
        };
        if value.swappiness.is_some_and(|number| number > 100) {
            return Err(memory.swappiness().refuse("expected a number from 0 to 100"));
        }
        if value == Memory::default() { Ok(()) } else { put(&mut self.writer, node, value) }
    }

    #[inline(never)]
    fn cpu(&mut self, node: &Node<'_>) -> Result<()> {
        let mut cpu = oci::resources::Cpu::of(node);
        cpu.locate()?;
        let value = Cpu {
            shares: given(cpu.shares())?,
            quota: given(cpu.quota())?,
            burst: cpu.burst().read()?,
            period: given(cpu.period())?,
            realtime_runtime: given(cpu.realtime_runtime())?,
            realtime_period: given(cpu.realtime_period())?,
            idle: cpu.idle().read()?,
        };
        if value != Cpu::default() {
            put(&mut self.writer, node, value)?;
        }
        let mut room = &mut *self.scratch;
        let cpus = said(cpu.cpus())?.map(|text| text.c_str(MOST, &mut room)).transpose()?;
        let mems = said(cpu.mems())?.map(|text| text.c_str(MOST, &mut room)).transpose()?;
        if cpus.is_none() && mems.is_none() {
            return Ok(());
        }
        put(&mut self.writer, node, Cpuset { cpus, mems })
    }

    #[inline(never)]
    fn block_io(&mut self, node: &Node<'_>) -> Result<()> {
        let mut block_io = oci::resources::BlockIo::of(node);
        block_io.locate()?;
        let value = BlockIo {
            weight: weight_of(block_io.weight())?,
            leaf_weight: weight_of(block_io.leaf_weight())?,
        };
        if value != BlockIo::default() {
            put(&mut self.writer, node, value)?;
        }
        for node in block_io.weight_device().list()? {
            let mut view = oci::resources::WeightDevice::of(&node);
            view.locate()?;
            let (major, minor, weight, leaf_weight) =
                (view.major(), view.minor(), view.weight(), view.leaf_weight());
            if !weight.is_present() && !leaf_weight.is_present() {
                return Err(node.refuse("expected weight, leafWeight or both"));
            }
            for (knob, number) in [(WEIGHT, weight_of(weight)?), (LEAF_WEIGHT, weight_of(leaf_weight)?)] {
                if let Some(number) = number {
                    self.block_device(&node, knob, major, minor, number.into())?;
                }
            }
        }
        for (knob, list) in [
            (READ_BPS, block_io.throttle_read_bps_device()),
            (WRITE_BPS, block_io.throttle_write_bps_device()),
            (READ_IOPS, block_io.throttle_read_iops_device()),
            (WRITE_IOPS, block_io.throttle_write_iops_device()),
        ] {
            for node in list.list()? {
                let mut view = oci::resources::ThrottleDevice::of(&node);
                view.locate()?;
                let (major, minor, rate) = (view.major(), view.minor(), view.rate());
                self.block_device(&node, knob, major, minor, rate.read()?)?;
            }
        }
        Ok(())
    }

    fn block_device(
        &mut self,
        node: &Node<'_>,
        knob: u32,
        major: &Node<'_>,
        minor: &Node<'_>,
        value: u64,
    ) -> Result<()> {
        let device = BlockDevice { knob, major: major.read()?, minor: minor.read()?, value };
        put(&mut self.writer, node, device)
    }

    #[inline(never)]
    fn huge_page(&mut self, node: &Node<'_>) -> Result<()> {
        let mut view = oci::resources::HugepageLimit::of(node);
        view.locate()?;
        let (size, limit) = (view.page_size(), view.limit());
        let text = size.read::<Text<'_>>()?;
        let size_name = text.c_str(32, &mut &mut *self.scratch)?;
        // It becomes part of a file's name.
        let [digits @ .., b'K' | b'M' | b'G', b'B'] = size_name.to_bytes() else {
            return Err(size.refuse("expected a size as 64KB, 2MB or 1GB"));
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(size.refuse("expected a size as 64KB, 2MB or 1GB"));
        }
        put(&mut self.writer, node, HugePage { size: size_name, limit: limit.read()? })
    }

    #[inline(never)]
    fn network(&mut self, network: &Node<'_>) -> Result<()> {
        let mut view = oci::resources::Network::of(network);
        view.locate()?;
        let (class_id, priorities) = (view.class_id(), view.priorities());
        let class_id = class_id.read::<Option<u32>>()?;
        if class_id.is_some() {
            put(&mut self.writer, network, Network { class_id })?;
        }
        for node in priorities.list()? {
            let mut view = oci::resources::InterfacePriority::of(&node);
            view.locate()?;
            let (name, priority) = (view.name(), view.priority());
            let name_text = name.read::<Text<'_>>()?;
            // Written as `name priority`, and no interface has a blank in its name.
            if name_text.is_empty() || name_text.has(|c| c.is_whitespace() || c == '/') {
                return Err(name.refuse("not the name of a network interface"));
            }
            let value = NetworkPriority {
                name: name_text.c_str(NAME, &mut &mut *self.scratch)?,
                priority: priority.read()?,
            };
            put(&mut self.writer, &node, value)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn rdma(&mut self, rdma: &Node<'_>) -> Result<()> {
        for (key, node) in rdma.members()? {
            let mut limits = oci::resources::Rdma::of(&node);
            limits.locate()?;
            let handles = limits.hca_handles().read::<Option<u32>>()?;
            let objects = limits.hca_objects().read::<Option<u32>>()?;
            if handles.is_none() && objects.is_none() {
                return Err(node.refuse("expected hcaHandles, hcaObjects or both"));
            }
            if key.is_empty() || key.has(char::is_whitespace) {
                return Err(node.refuse("not the name of a device"));
            }
            let device = key.c_str(NAME, &mut &mut *self.scratch)?;
            put(&mut self.writer, &node, Rdma { device, handles, objects })?;
        }
        Ok(())
    }

    /// Files of v2 by name, also ones that we have never heard of.
    #[inline(never)]
    fn unified(&mut self, unified: &Node<'_>) -> Result<()> {
        for (key, node) in unified.members()? {
            if key.is_empty() || key == "." || key == ".." || key.has(|c| c == '/') {
                return Err(node.refuse("not the name of a file"));
            }
            let mut room = &mut *self.scratch;
            let file = key.c_str(NAME, &mut room)?;
            let value = node.read::<Text<'_>>()?.c_str(MOST, &mut room)?;
            put(&mut self.writer, &node, Unified { file, value })?;
        }
        Ok(())
    }
}

/// A number that is given, and not 0.
fn given<'a, T: Read<'a> + Default + PartialEq>(node: &Node<'a>) -> Result<Option<T>> {
    Ok(node.read::<Option<T>>()?.filter(|number| *number != T::default()))
}

/// An amount of memory; -1 is no limit.
fn bytes(node: &Node<'_>) -> Result<Option<i64>> {
    match given(node)? {
        Some(number) if number < -1 => Err(node.refuse("expected a number of bytes, or -1")),
        number => Ok(number),
    }
}

/// `false` is how the kernel begins, and what Go callers write for "not given".
fn flag(node: &Node<'_>) -> Result<Option<u32>> {
    Ok(given::<bool>(node)?.map(u32::from))
}

/// A weight; what range is right depends on the kernel's scheduler, and it says so itself.
fn weight_of(node: &Node<'_>) -> Result<Option<u32>> {
    Ok(given::<u16>(node)?.map(u32::from))
}
