//! `linux.cgroupsPath` and `linux.resources`.
//!
//! Neutral: what v1 and v2 make of a number is their business. A 0 that Go callers write for "not
//! given" is absent from here on; where 0 means something (swappiness, pids, burst, idle) it stays.

use super::strings::{PATH, put, said, sound};
use super::{MOST, Translation};
use crate::error::Result;
use crate::oci::{self, Linux, resources as view};
use crate::plan::kind;
use crate::plan::resources::{
    BlockDevice, BlockIo, Cpu, Cpuset, HugePage, LEAF_WEIGHT, Memory, Network, NetworkPriority, Pids,
    READ_BPS, READ_IOPS, Rdma, Unified, WEIGHT, WRITE_BPS, WRITE_IOPS,
};
use crate::text::PathBuf;
use crate::wire::json::{Node, Text};

/// Longest name of a file, and so of anything that becomes one.
const NAME: usize = 255;

impl Translation<'_, '_> {
    pub(super) fn cgroup(&mut self, linux: &Linux<'_>) -> Result<()> {
        if self.request.cgroups_disabled {
            self.writer.flag(kind::CGROUP_MANAGER_DISABLED);
        }
        self.cgroups_path(linux)?;
        let resources = linux.resources.read::<oci::Resources<'_>>()?;
        self.memory(resources.memory.read()?)?;
        self.cpu(resources.cpu.read()?)?;
        if let Some(limit) = resources.pids.read::<view::Pids<'_>>()?.limit {
            put(&mut self.writer, &resources.pids, Pids { limit: limit.max(-1) })?;
        }
        self.block_io(resources.block_io.read()?)?;
        resources.hugepage_limits.list()?.try_for_each(|node| self.huge_page(node.read()?))?;
        self.network(resources.network.read()?)?;
        self.rdma(resources.rdma)?;
        self.unified(resources.unified)?;
        self.device_rules(resources.devices)
    }

    /// Absolute from the cgroup mount; relative means the same (config-linux.md leaves it to us, as
    /// long as it is always the same place).
    fn cgroups_path(&mut self, linux: &Linux<'_>) -> Result<()> {
        let node = linux.node.at("cgroupsPath")?;
        let mut path = PathBuf::new();
        let long = |_| node.refuse(format_args!("longer than {PATH} bytes"));
        match said(linux.cgroups_path) {
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
        sound(&self.writer, &node)
    }

    fn memory(&mut self, memory: view::Memory<'_>) -> Result<()> {
        let bytes = |amount: Option<i64>, member: &'static str| match given(amount) {
            Some(number) if number < -1 => {
                Err(memory.node.at(member)?.refuse("expected a number of bytes, or -1 for no limit"))
            }
            number => Ok(number),
        };
        let value = Memory {
            limit: bytes(memory.limit, "limit")?,
            reservation: bytes(memory.reservation, "reservation")?,
            swap: bytes(memory.swap, "swap")?,
            // -1 in a Go caller's u64 is "not given".
            swappiness: memory.swappiness.filter(|&number| number != u64::MAX),
            // `false` is how the kernel begins, and what Go callers write for "not given".
            disable_oom_killer: given(memory.disable_oom_killer).map(u32::from),
            use_hierarchy: given(memory.use_hierarchy).map(u32::from),
            check_before_update: memory.check_before_update,
            kernel: bytes(memory.kernel, "kernel")?,
            kernel_tcp: bytes(memory.kernel_tcp, "kernelTCP")?,
        };
        if value.swappiness.is_some_and(|number| number > 100) {
            return Err(memory.node.at("swappiness")?.refuse("expected a number from 0 to 100"));
        }
        if value == Memory::default() { Ok(()) } else { put(&mut self.writer, &memory.node, value) }
    }

    fn cpu(&mut self, cpu: view::Cpu<'_>) -> Result<()> {
        let value = Cpu {
            shares: given(cpu.shares),
            quota: given(cpu.quota),
            burst: cpu.burst,
            period: given(cpu.period),
            realtime_runtime: given(cpu.realtime_runtime),
            realtime_period: given(cpu.realtime_period),
            idle: cpu.idle,
        };
        if value != Cpu::default() {
            put(&mut self.writer, &cpu.node, value)?;
        }
        let mut room = &mut *self.scratch;
        let cpus = said(cpu.cpus).map(|text| text.c_str(MOST, &mut room)).transpose()?;
        let mems = said(cpu.mems).map(|text| text.c_str(MOST, &mut room)).transpose()?;
        if cpus.is_none() && mems.is_none() {
            return Ok(());
        }
        put(&mut self.writer, &cpu.node, Cpuset { cpus, mems })
    }

    /// What range of weights is right depends on the kernel's scheduler, and it says so itself.
    fn block_io(&mut self, view: view::BlockIo<'_>) -> Result<()> {
        let value = BlockIo { weight: weight(view.weight), leaf_weight: weight(view.leaf_weight) };
        if value != BlockIo::default() {
            put(&mut self.writer, &view.node, value)?;
        }
        for node in view.weight_device.list()? {
            let device = node.read::<view::WeightDevice<'_>>()?;
            if device.weight.is_none() && device.leaf_weight.is_none() {
                return Err(node.refuse("expected weight, leafWeight or both"));
            }
            for (knob, number) in [(WEIGHT, device.weight), (LEAF_WEIGHT, device.leaf_weight)] {
                if let Some(number) = weight(number) {
                    self.block_device(&node, knob, number.into())?;
                }
            }
        }
        let throttles = [
            (READ_BPS, view.throttle_read_bps_device),
            (WRITE_BPS, view.throttle_write_bps_device),
            (READ_IOPS, view.throttle_read_iops_device),
            (WRITE_IOPS, view.throttle_write_iops_device),
        ];
        for (knob, list) in throttles {
            for node in list.list()? {
                self.block_device(&node, knob, node.read::<view::ThrottleDevice<'_>>()?.rate)?;
            }
        }
        Ok(())
    }

    fn block_device(&mut self, node: &Node<'_>, knob: u32, value: u64) -> Result<()> {
        let device = BlockDevice { knob, major: node.get("major")?, minor: node.get("minor")?, value };
        put(&mut self.writer, node, device)
    }

    fn huge_page(&mut self, view: view::HugepageLimit<'_>) -> Result<()> {
        let size = view.page_size.c_str(32, &mut &mut *self.scratch)?;
        // It becomes part of a file's name.
        let digits = match size.to_bytes() {
            [digits @ .., b'K' | b'M' | b'G', b'B'] => digits,
            _ => &[],
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(view.page_size.node().refuse("expected a size as 64KB, 2MB or 1GB"));
        }
        put(&mut self.writer, &view.node, HugePage { size, limit: view.limit })
    }

    fn network(&mut self, network: view::Network<'_>) -> Result<()> {
        if let Some(class_id) = network.class_id {
            put(&mut self.writer, &network.node, Network { class_id: Some(class_id) })?;
        }
        for node in network.priorities.list()? {
            let view = node.read::<view::InterfacePriority<'_>>()?;
            // Written as `name priority`, and no interface has a blank in its name.
            if view.name.is_empty() || view.name.chars().any(|c| c.is_whitespace() || c == '/') {
                return Err(view.name.node().refuse("not the name of a network interface"));
            }
            let name = view.name.c_str(NAME, &mut &mut *self.scratch)?;
            put(&mut self.writer, &node, NetworkPriority { name, priority: view.priority })?;
        }
        Ok(())
    }

    fn rdma(&mut self, rdma: Node<'_>) -> Result<()> {
        for (key, node) in rdma.members()? {
            let view = node.read::<view::Rdma<'_>>()?;
            if view.hca_handles.is_none() && view.hca_objects.is_none() {
                return Err(node.refuse("expected hcaHandles, hcaObjects or both"));
            }
            if key.is_empty() || key.chars().any(char::is_whitespace) {
                return Err(node.refuse("not the name of a device"));
            }
            let device = key.c_str(NAME, &mut &mut *self.scratch)?;
            put(
                &mut self.writer,
                &node,
                Rdma { device, handles: view.hca_handles, objects: view.hca_objects },
            )?;
        }
        Ok(())
    }

    /// Files of v2 by name, also ones that we have never heard of.
    fn unified(&mut self, unified: Node<'_>) -> Result<()> {
        for (key, node) in unified.members()? {
            if key.is_empty() || key == "." || key == ".." || key.chars().any(|c| c == '/') {
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
fn given<T: Default + PartialEq>(number: Option<T>) -> Option<T> {
    number.filter(|number| *number != T::default())
}

fn weight(number: Option<u16>) -> Option<u32> {
    given(number).map(u32::from)
}
