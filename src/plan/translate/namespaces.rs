//! Namespaces, id maps, clocks, names, and the kernel parameters that live in them.

use core::ffi::CStr;

use super::strings::{put, said};
use super::{MOST, Translation, rows};
use crate::error::Result;
use crate::limits;
use crate::oci;
use crate::plan::names;
use crate::plan::namespace::{IdMap, Namespace, NetDevice, Sysctl, TimeOffset};
use crate::plan::{Plan, kind};
use crate::text::PathBuf;
use crate::wire::json::{Node, Text};

/// Longest name of a network interface.
const INTERFACE: usize = libc::IFNAMSIZ - 1;

/// Longest host or domain name (`__NEW_UTS_LEN`).
const NAME: usize = 64;

pub(super) const NEWUSER: u32 = libc::CLONE_NEWUSER as u32;
pub(super) const NEWNS: u32 = libc::CLONE_NEWNS as u32;
const NEWUTS: u32 = libc::CLONE_NEWUTS as u32;
const NEWIPC: u32 = libc::CLONE_NEWIPC as u32;
pub(super) const NEWNET: u32 = libc::CLONE_NEWNET as u32;

/// What is known of the container's namespaces once they are translated.
#[derive(Default)]
pub(super) struct Namespaces {
    /// `CLONE_NEW*` of those to make.
    new: u32,
    /// `CLONE_NEW*` of those to join.
    joined: u32,
    /// First id inside and size of each line of `uid_map`; none at all: not mapped, or not known.
    uids: heapless::Vec<(u32, u32), { limits::ID_MAPS }>,
    /// The same of `gid_map`.
    gids: heapless::Vec<(u32, u32), { limits::ID_MAPS }>,
}

impl Namespaces {
    /// Those of a container that is there.
    pub fn of(plan: &Plan<'_>) -> Result<Self> {
        let mut namespaces = Self::default();
        for namespace in plan.each::<Namespace<'_>>() {
            namespaces.add(&namespace?);
        }
        for map in plan.each::<IdMap>() {
            let map = map?;
            let known = if map.group { &mut namespaces.gids } else { &mut namespaces.uids };
            // As many as were accepted when the plan was made.
            let _ = known.push((map.inside, map.size));
        }
        Ok(namespaces)
    }

    fn add(&mut self, namespace: &Namespace<'_>) {
        let flags = if namespace.path.is_some() { &mut self.joined } else { &mut self.new };
        *flags |= namespace.flag;
    }

    /// Whether the container has such a namespace of its own, or shares another than ours.
    pub fn has(&self, flag: u32) -> bool {
        (self.new | self.joined) & flag != 0
    }

    /// Whether it gets a new one.
    pub fn makes(&self, flag: u32) -> bool {
        self.new & flag != 0
    }

    /// Refuses a user id that does not exist in the container.
    pub fn check_uid(&self, node: &Node<'_>, uid: u32) -> Result<()> {
        check_id(&self.uids, node, uid)
    }

    /// Refuses a group id that does not exist in the container.
    pub fn check_gid(&self, node: &Node<'_>, gid: u32) -> Result<()> {
        check_id(&self.gids, node, gid)
    }
}

fn check_id(map: &[(u32, u32)], node: &Node<'_>, id: u32) -> Result<()> {
    let inside = |&(first, size): &(u32, u32)| id.checked_sub(first).is_some_and(|offset| offset < size);
    if map.is_empty() || map.iter().any(inside) {
        return Ok(());
    }
    Err(node.refuse(format_args!("{id} is not mapped in the user namespace")))
}

impl Translation<'_, '_> {
    /// `linux.namespaces`, `uidMappings`, `gidMappings` and `timeOffsets`.
    #[inline(never)]
    pub(super) fn namespaces(&mut self, linux: &oci::Linux<'_>) -> Result<()> {
        let list = linux.namespaces();
        for node in list.list()? {
            let mut namespace = Namespace::default();
            rows::read(&mut namespace, &node, &mut &mut *self.scratch)?;
            if self.namespaces.has(namespace.flag) {
                return Err(node.at("type")?.refuse("given twice"));
            }
            self.namespaces.add(&namespace);
            put(&mut self.writer, &node, namespace)?;
        }
        // Without one its mounts are made in ours, as under runc: for that takes rights over ours.
        if !self.namespaces.has(NEWNS) && (self.request.rootless || self.namespaces.has(NEWUSER)) {
            return Err(list.refuse("a mount namespace is needed"));
        }
        if self.request.rootless && !self.namespaces.has(NEWUSER) {
            return Err(list.refuse("a user namespace is needed when not run by root"));
        }
        self.id_maps(linux.uid_mappings(), linux.gid_mappings())?;
        self.time_offsets(linux.time_offsets())
    }

    /// The lines are told even where a namespace is joined (callers copy them from its owner), to judge ids
    /// by; only a new namespace gets them.
    #[inline(never)]
    fn id_maps(&mut self, uids: &Node<'_>, gids: &Node<'_>) -> Result<()> {
        if !self.namespaces.has(NEWUSER) {
            return match [uids, gids].iter().find(|maps| !maps.is_empty()) {
                Some(maps) => Err(maps.refuse("there is no user namespace in linux.namespaces")),
                None => Ok(()),
            };
        }
        for (group, maps) in [(false, uids), (true, gids)] {
            if self.namespaces.new & NEWUSER != 0 && maps.is_empty() {
                return Err(maps.refuse("missing: a new user namespace needs them"));
            }
            for node in maps.list()? {
                self.id_map(group, &node)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn id_map(&mut self, group: bool, node: &Node<'_>) -> Result<()> {
        let map = IdMap { group, ..id_mapping(node)? };
        let known = if group { &mut self.namespaces.gids } else { &mut self.namespaces.uids };
        if known.push((map.inside, map.size)).is_err() {
            let most = limits::ID_MAPS;
            return Err(node.refuse(format_args!("more than the {most} lines that the kernel takes")));
        }
        if self.namespaces.new & NEWUSER == 0 {
            return Ok(());
        }
        put(&mut self.writer, node, map)
    }

    #[inline(never)]
    fn time_offsets(&mut self, offsets: &Node<'_>) -> Result<()> {
        for (clock, node) in offsets.members()? {
            // A joined one cannot be shifted any more (time_namespaces(7)).
            if self.namespaces.new & names::NEWTIME == 0 {
                return Err(offsets.refuse("there is no new time namespace in linux.namespaces"));
            }
            let clock = match () {
                () if clock == "monotonic" => libc::CLOCK_MONOTONIC,
                () if clock == "boottime" => libc::CLOCK_BOOTTIME,
                () => return Err(node.refuse("expected monotonic or boottime")),
            };
            let mut offset = TimeOffset { clock: clock as u32, ..TimeOffset::default() };
            rows::read(&mut offset, &node, &mut &mut *self.scratch)?;
            if offset.nanosecs >= 1_000_000_000 {
                return Err(node.at("nanosecs")?.refuse("expected less than a second"));
            }
            put(&mut self.writer, &node, offset)?;
        }
        Ok(())
    }

    /// `hostname` and `domainname`.
    #[inline(never)]
    pub(super) fn names(&mut self, hostname: &Node<'_>, domainname: &Node<'_>) -> Result<()> {
        for (kind, node) in [(kind::HOSTNAME, hostname), (kind::DOMAINNAME, domainname)] {
            let Some(text) = said(node)? else { continue };
            if !self.namespaces.has(NEWUTS) {
                return Err(node.refuse("there is no uts namespace in linux.namespaces"));
            }
            let name = text.c_str(NAME, &mut &mut *self.scratch)?;
            self.writer.string(kind, name);
        }
        Ok(())
    }

    /// `linux.netDevices`.
    #[inline(never)]
    pub(super) fn net_devices(&mut self, devices: &Node<'_>) -> Result<()> {
        for (key, node) in devices.members()? {
            if !self.namespaces.has(NEWNET) {
                return Err(devices.refuse("there is no network namespace in linux.namespaces"));
            }
            let mut room = &mut *self.scratch;
            let host = interface(&key, &mut room)?;
            let name = said(&node.at("name")?)?.map_or(Ok(host), |text| interface(&text, &mut room))?;
            put(&mut self.writer, &node, NetDevice { host, name })?;
        }
        Ok(())
    }

    /// `linux.sysctl`: only what belongs to a namespace that is not ours.
    #[inline(never)]
    pub(super) fn sysctl(&mut self, sysctl: &Node<'_>) -> Result<()> {
        for (key, node) in sysctl.members()? {
            let mut path = PathBuf::new();
            sysctl_path(&key, &mut path)?;
            self.check_sysctl(&node, path.as_bytes())?;
            let value = node.read::<Text<'_>>()?.c_str(MOST, &mut &mut *self.scratch)?;
            put(&mut self.writer, &node, Sysctl { path: path.as_cstr(), value })?;
        }
        Ok(())
    }

    fn check_sysctl(&self, node: &Node<'_>, path: &[u8]) -> Result<()> {
        let need = |flag: u32, reason: &str| match self.namespaces.has(flag) {
            true => Ok(()),
            false => Err(node.refuse(reason)),
        };
        // `..` would lead out of the namespaced part: net/../kernel/core_pattern.
        if path.split(|&byte| byte == b'/').any(|component| matches!(component, b"" | b"." | b"..")) {
            return Err(node.refuse("not the name of a kernel parameter"));
        }
        if path.starts_with(b"fs/mqueue/") || names::IPC_SYSCTLS.contains(&path) {
            return need(NEWIPC, "there is no ipc namespace in linux.namespaces");
        }
        if path.starts_with(b"net/") {
            return need(NEWNET, "there is no network namespace in linux.namespaces");
        }
        match path {
            b"kernel/domainname" => need(NEWUTS, "there is no uts namespace in linux.namespaces"),
            b"kernel/hostname" => Err(node.refuse("set by the field hostname")),
            _ => Err(node.refuse("does not belong to a namespace")),
        }
    }
}

fn interface<'r>(text: &Text<'_>, room: &mut &'r mut [u8]) -> Result<&'r CStr> {
    let name = text.c_str(INTERFACE, room)?;
    match is_interface(name.to_bytes()) {
        true => Ok(name),
        false => Err(text.node().refuse("not the name of a network interface")),
    }
}

/// What the kernel takes for an interface's name (`dev_valid_name`), which with `%` in it is a template.
pub(super) fn is_interface(name: &[u8]) -> bool {
    // Its isspace() is that of Latin 1, where 0xa0 is a blank.
    let blank = |byte: u8| matches!(byte, b'/' | b':' | b' ' | b'\t'..=b'\r' | 0xa0);
    !matches!(name, b"" | b"." | b"..") && name.len() <= INTERFACE && !name.iter().any(|&byte| blank(byte))
}

/// A range of ids of users.
#[inline(never)]
pub(super) fn id_mapping(node: &Node<'_>) -> Result<IdMap> {
    let mut map = IdMap::default();
    rows::read(&mut map, node, &mut &mut [][..])?;
    let fits = |first: u32| first.checked_add(map.size).is_some();
    if map.size == 0 || !fits(map.inside) || !fits(map.outside) {
        return Err(node.at("size")?.refuse("expected at least 1, and no id beyond 4294967294"));
    }
    Ok(map)
}

/// `net.ipv4.ip_forward`, or with slashes. As sysctl(8) has it, the first separator tells: where it is the dot,
/// a slash stands for a dot inside a name (`net.ipv4.conf.eno2/100.forwarding`).
fn sysctl_path(key: &Text<'_>, path: &mut PathBuf) -> Result<()> {
    let dotted = key.chars().find(|c| matches!(c, '.' | '/')) == Some('.');
    for char in key.chars() {
        let char = match char {
            '.' if dotted => '/',
            '/' if dotted => '.',
            _ => char,
        };
        if path.push(char.encode_utf8(&mut [0; 4]).as_bytes()).is_err() {
            return Err(key.node().refuse("not the name of a kernel parameter"));
        }
    }
    Ok(())
}
