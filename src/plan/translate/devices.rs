//! Device nodes to make, and the rules of the device controller; the defaults of both.

use core::ffi::CStr;

use super::strings::{climbs, put, said};
use super::{Translation, rows};
use crate::error::Result;
use crate::plan::device::{Device, DeviceRule, MKNOD, READ, WRITE};
use crate::wire::json::{Node, Text};

const CHAR: u32 = libc::S_IFCHR;
const BLOCK: u32 = libc::S_IFBLK;
const FIFO: u32 = libc::S_IFIFO;

/// Made in every container (config-linux.md, "Default Devices"), in runc's order, mode 0666, owned by root.
/// /dev/console and /dev/ptmx are not nodes: a bind of the terminal and a link into devpts.
const NODES: [(&CStr, u32, u32); 6] = [
    (c"/dev/null", 1, 3),
    (c"/dev/random", 1, 8),
    (c"/dev/full", 1, 7),
    (c"/dev/tty", 5, 0),
    (c"/dev/zero", 1, 5),
    (c"/dev/urandom", 1, 9),
];

const ALL: u32 = MKNOD | READ | WRITE;

const fn rule(file_type: u8, major: Option<u32>, minor: Option<u32>, access: u32) -> DeviceRule {
    DeviceRule { allow: true, file_type: file_type as u32, major, minor, access }
}

/// The rule that a list starts from where its author did not write it: nothing is allowed.
const DENY: DeviceRule =
    DeviceRule { allow: false, file_type: b'a' as u32, major: None, minor: None, access: ALL };

/// Allowed last, and so in every container, as under runc: images count on making any node (which
/// grants nothing while it cannot be opened), on the default devices, and on terminals.
const RULES: [DeviceRule; 10] = [
    rule(b'c', None, None, MKNOD),
    rule(b'b', None, None, MKNOD),
    rule(b'c', Some(1), Some(3), ALL),
    rule(b'c', Some(1), Some(8), ALL),
    rule(b'c', Some(1), Some(7), ALL),
    rule(b'c', Some(5), Some(0), ALL),
    rule(b'c', Some(1), Some(5), ALL),
    rule(b'c', Some(1), Some(9), ALL),
    // Terminals of devpts, and /dev/pts/ptmx.
    rule(b'c', Some(136), None, ALL),
    rule(b'c', Some(5), Some(2), ALL),
];

impl Translation<'_, '_> {
    /// The default nodes that `linux.devices` does not replace, then its own.
    #[inline(never)]
    pub(super) fn devices(&mut self, devices: &Node<'_>) -> Result<()> {
        let mut replaced = [false; NODES.len()];
        for node in devices.list()? {
            let path = node.get::<Text<'_>>("path")?;
            for (replaced, (default, ..)) in replaced.iter_mut().zip(NODES) {
                *replaced |= path == default.to_str().unwrap_or("");
            }
        }
        for ((path, major, minor), _) in NODES.into_iter().zip(replaced).filter(|(_, replaced)| !replaced) {
            let device = Device { path, file_type: CHAR, major, minor, mode: 0o666, uid: 0, gid: 0 };
            put(&mut self.writer, devices, device)?;
        }
        devices.list()?.try_for_each(|node| self.device(&node))
    }

    #[inline(never)]
    fn device(&mut self, node: &Node<'_>) -> Result<()> {
        let mut device = Device::default();
        rows::read(&mut device, node, &mut &mut *self.scratch)?;
        if climbs(device.path.to_bytes()) {
            return Err(node.at("path")?.refuse("leads out of the root"));
        }
        let [kind, major, minor, file_mode, uid, gid] = node.pick("type major minor fileMode uid gid")?;
        let name = kind.read::<Text<'_>>()?;
        device.file_type = match () {
            // `u` is a character device without a buffer, which Linux does not tell apart.
            () if name == "c" || name == "u" => CHAR,
            () if name == "b" => BLOCK,
            () if name == "p" => FIFO,
            () => return Err(kind.refuse("expected c, b, u or p")),
        };
        if device.file_type != FIFO {
            (device.major, device.minor) = (major.read()?, minor.read()?);
        }
        // Callers write st_mode as they found it, type bits included.
        device.mode = file_mode.read::<Option<u32>>()?.unwrap_or(0o666) & 0o7777;
        self.namespaces.check_uid(&uid, device.uid)?;
        self.namespaces.check_gid(&gid, device.gid)?;
        put(&mut self.writer, node, device)
    }

    /// `linux.resources.devices`, from nothing allowed to the defaults.
    #[inline(never)]
    pub(super) fn device_rules(&mut self, rules: &Node<'_>) -> Result<()> {
        let mut first = true;
        for node in rules.list()? {
            let rule = device_rule(&node)?;
            if first && rule != DENY {
                put(&mut self.writer, &node, DENY)?;
            }
            first = false;
            // No access is nobody's: devices.allow takes no such rule.
            if rule.access != 0 {
                put(&mut self.writer, &node, rule)?;
            }
        }
        if first {
            put(&mut self.writer, rules, DENY)?;
        }
        RULES.into_iter().try_for_each(|rule| put(&mut self.writer, rules, rule))
    }
}

fn device_rule(node: &Node<'_>) -> Result<DeviceRule> {
    let mut rule = DeviceRule::default();
    rows::read(&mut rule, node, &mut &mut [][..])?;
    let [kind, access] = node.pick("type access")?;
    rule.file_type = match kind.read::<Option<Text<'_>>>()? {
        None => b'a',
        Some(name) if name.is_empty() || name == "a" => b'a',
        Some(name) if name == "b" => b'b',
        Some(name) if name == "c" => b'c',
        Some(_) => return Err(kind.refuse("expected a, c or b")),
    }
    .into();
    if let Some(letters) = said(&access)? {
        for letter in letters.chars() {
            rule.access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                // Says nothing, as under runc.
                'a' => 0,
                _ => return Err(access.refuse("expected letters of rwm")),
            };
        }
    }
    // As under runc: what is denied of every device is all, whatever the letters; else no letters are no access.
    if rule.access == 0 && !rule.allow && rule.file_type == u32::from(b'a') {
        rule.access = ALL;
    }
    Ok(rule)
}
