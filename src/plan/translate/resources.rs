//! `linux.cgroupsPath` and `linux.resources`.
//!
//! Neutral: what v1 and v2 make of a number is their business. A 0 that Go callers write for "not
//! given" is absent from here on; where 0 means something (swappiness, burst, idle) it stays.

use super::strings::{PATH, put, put_some, said, sound};
use super::{MOST, Translation, rows};
use crate::error::Result;
use crate::oci;
use crate::plan::resources::{
    BlockDevice, BlockIo, Cpu, Cpuset, HugePage, IntelRdt, LEAF_WEIGHT, Memory, Network, NetworkPriority,
    Pids, READ_BPS, Rdma, Unified, WEIGHT,
};
use crate::plan::{DEFAULT_CGROUP, kind};
use crate::text::PathBuf;
use crate::wire::json::{Node, Text};

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
        self.device_rules(resources.devices())?;
        self.intel_rdt(linux.intel_rdt())
    }

    #[inline(never)]
    fn intel_rdt(&mut self, node: &Node<'_>) -> Result<()> {
        if !node.is_present() {
            return Ok(());
        }
        let mut rdt = oci::linux::IntelRdt::of(node);
        rdt.locate()?;
        let bandwidth = said(rdt.mem_bw_schema())?;
        if let Some(text) = bandwidth {
            let line = text.c_str(PATH, &mut &mut *self.scratch)?.to_bytes();
            if !line.starts_with(b"MB:") || line.contains(&b'\n') {
                return Err(text.node().refuse("expected one line that begins with MB:"));
            }
        }
        let mut lines = PathBuf::new();
        // Of two lines about bandwidth, memBwSchema's counts.
        self.lines(&mut lines, said(rdt.l3_cache_schema())?, bandwidth.is_some())?;
        self.lines(&mut lines, bandwidth, false)?;
        for node in rdt.schemata().list()? {
            self.lines(&mut lines, said(&node)?, false)?;
        }
        let clos = said(rdt.clos_id())?;
        let mut group = self.request.id;
        if let Some(text) = clos {
            group = text.c_str(NAME, &mut &mut *self.scratch)?;
            let name = group.to_bytes();
            if matches!(name, b"." | b"..") || name != b"/" && name.iter().any(|byte| b"/\n".contains(byte)) {
                return Err(text.node().refuse("not the name of a directory"));
            }
        }
        let (existing, schemata) = (clos.is_some() && lines.as_bytes().is_empty(), lines.as_cstr());
        let monitored = rdt.enable_monitoring().read()?;
        put(&mut self.writer, node, IntelRdt { group, existing, schemata, monitored })
    }

    /// Adds the lines of `text`. The kernel takes less than a page of them at once, as a path is.
    #[inline(never)]
    fn lines(&mut self, lines: &mut PathBuf, text: Option<Text<'_>>, but_bandwidth: bool) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        let bytes = text.c_str(PATH, &mut &mut *self.scratch)?.to_bytes();
        let each = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        for line in each.filter(|line| !(line.is_empty() || but_bandwidth && line.starts_with(b"MB:"))) {
            let long = |_| text.node().refuse(format_args!("longer than {PATH} bytes together"));
            lines.push(line).and_then(|()| lines.push(b"\n")).map_err(long)?;
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn limits(&mut self, resources: &mut oci::Resources<'_>) -> Result<()> {
        resources.locate()?;
        self.memory(resources.memory())?;
        self.cpu(resources.cpu())?;
        if let Some(limit) = resources.pids().get::<Option<i64>>("limit")? {
            // A container has one process at least: 0 is 1, as under runc.
            let limit = if limit == 0 { 1 } else { limit.max(-1) };
            put(&mut self.writer, resources.pids(), Pids { limit })?;
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
                path.push(DEFAULT_CGROUP).map_err(long)?;
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
        let mut memory = Memory::default();
        rows::read(&mut memory, node, &mut &mut *self.scratch)?;
        // -1 in a Go caller's u64 is "not given".
        memory.swappiness = memory.swappiness.filter(|&number| number != u64::MAX);
        if memory.swappiness.is_some_and(|number| number > 100) {
            return Err(node.at("swappiness")?.refuse("expected a number from 0 to 100"));
        }
        put_some(&mut self.writer, node, memory)
    }

    #[inline(never)]
    fn cpu(&mut self, node: &Node<'_>) -> Result<()> {
        let mut cpu = Cpu::default();
        rows::read(&mut cpu, node, &mut &mut *self.scratch)?;
        put_some(&mut self.writer, node, cpu)?;
        let mut cpuset = Cpuset::default();
        rows::read(&mut cpuset, node, &mut &mut *self.scratch)?;
        put_some(&mut self.writer, node, cpuset)
    }

    #[inline(never)]
    fn block_io(&mut self, block_io: &Node<'_>) -> Result<()> {
        let mut weights = BlockIo::default();
        rows::read(&mut weights, block_io, &mut &mut *self.scratch)?;
        put_some(&mut self.writer, block_io, weights)?;
        for node in block_io.at("weightDevice")?.list()? {
            let mut weights = BlockIo::default();
            rows::read(&mut weights, &node, &mut &mut *self.scratch)?;
            let [weight, leaf_weight, major, minor] = node.pick("weight leafWeight major minor")?;
            if !weight.is_present() && !leaf_weight.is_present() {
                return Err(node.refuse("expected weight, leafWeight or both"));
            }
            for (knob, number) in [(WEIGHT, weights.weight), (LEAF_WEIGHT, weights.leaf_weight)] {
                if let Some(number) = number {
                    let (major, minor) = (major.read()?, minor.read()?);
                    let device = BlockDevice { knob, major, minor, value: number.into() };
                    put(&mut self.writer, &node, device)?;
                }
            }
        }
        let throttles: [_; 4] = block_io.pick(
            "throttleReadBpsDevice throttleWriteBpsDevice throttleReadIOPSDevice throttleWriteIOPSDevice",
        )?;
        for (knob, list) in (READ_BPS..).zip(throttles) {
            for node in list.list()? {
                let mut device = BlockDevice { knob, ..BlockDevice::default() };
                rows::read(&mut device, &node, &mut &mut *self.scratch)?;
                put(&mut self.writer, &node, device)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn huge_page(&mut self, node: &Node<'_>) -> Result<()> {
        let mut room = &mut *self.scratch;
        let mut page = HugePage::default();
        rows::read(&mut page, node, &mut room)?;
        let size = node.at("pageSize")?;
        page.size = size.read::<Text<'_>>()?.c_str(32, &mut room)?;
        // It becomes part of a file's name.
        let [digits @ .., b'K' | b'M' | b'G', b'B'] = page.size.to_bytes() else {
            return Err(size.refuse("expected a size as 64KB, 2MB or 1GB"));
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(size.refuse("expected a size as 64KB, 2MB or 1GB"));
        }
        put(&mut self.writer, node, page)
    }

    #[inline(never)]
    fn network(&mut self, network: &Node<'_>) -> Result<()> {
        let mut marks = Network::default();
        rows::read(&mut marks, network, &mut &mut *self.scratch)?;
        put_some(&mut self.writer, network, marks)?;
        for node in network.at("priorities")?.list()? {
            let name = node.at("name")?;
            let name_text = name.read::<Text<'_>>()?;
            // Written as `name priority`, and no interface has a blank in its name.
            if name_text.is_empty() || name_text.has(|c| c.is_whitespace() || c == '/') {
                return Err(name.refuse("not the name of a network interface"));
            }
            let mut room = &mut *self.scratch;
            let mut priority = NetworkPriority::default();
            rows::read(&mut priority, &node, &mut room)?;
            priority.name = name_text.c_str(NAME, &mut room)?;
            put(&mut self.writer, &node, priority)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn rdma(&mut self, rdma: &Node<'_>) -> Result<()> {
        for (key, node) in rdma.members()? {
            let mut room = &mut *self.scratch;
            let mut limits = Rdma::default();
            rows::read(&mut limits, &node, &mut room)?;
            if limits.handles.is_none() && limits.objects.is_none() {
                return Err(node.refuse("expected hcaHandles, hcaObjects or both"));
            }
            if key.is_empty() || key.has(char::is_whitespace) {
                return Err(node.refuse("not the name of a device"));
            }
            limits.device = key.c_str(NAME, &mut room)?;
            put(&mut self.writer, &node, limits)?;
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
