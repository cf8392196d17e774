//! `linux`: namespaces, devices and what else only Linux has. Its `resources` are next door.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// The Linux part.
    Linux {
        /// List of [`Namespace`]
        "namespaces" namespaces: Node<'a>,
        /// List of [`IdMapping`]
        "uidMappings" uid_mappings: Node<'a>,
        /// List of [`IdMapping`]
        "gidMappings" gid_mappings: Node<'a>,
        /// [`TimeOffsets`]
        "timeOffsets" time_offsets: Node<'a>,
        /// List of [`Device`]
        "devices" devices: Node<'a>,
        /// Objects by the interface's name on the host
        "netDevices" net_devices: Node<'a>,
        "cgroupsPath" cgroups_path: Option<Text<'a>>,
        /// [`super::Resources`]
        "resources" resources: Node<'a>,
        "intelRdt" intel_rdt: Node<'a>,
        "memoryPolicy" memory_policy: Node<'a>,
        /// Strings by name
        "sysctl" sysctl: Node<'a>,
        "seccomp" seccomp: Node<'a>,
        "rootfsPropagation" rootfs_propagation: Option<Text<'a>>,
        /// List of strings
        "maskedPaths" masked_paths: Node<'a>,
        /// List of strings
        "readonlyPaths" readonly_paths: Node<'a>,
        "mountLabel" mount_label: Option<Text<'a>>,
        "personality" personality: Node<'a>,
    }
}

view! {
    /// A namespace to make or, with a path, to join.
    Namespace {
        "type" kind: Text<'a>,
        "path" path: Option<Text<'a>>,
    }
}

view! {
    /// A range of ids.
    IdMapping {
        "containerID" container_id: u32,
        "hostID" host_id: u32,
        "size" size: u32,
    }
}

view! {
    /// Offsets of a time namespace's clocks, each a [`TimeOffset`].
    TimeOffsets {
        "monotonic" monotonic: Node<'a>,
        "boottime" boottime: Node<'a>,
    }
}

view! {
    /// One clock's offset.
    TimeOffset {
        "secs" secs: Option<i64>,
        "nanosecs" nanosecs: Option<u32>,
    }
}

view! {
    /// A device node to make.
    Device {
        "type" kind: Text<'a>,
        "path" path: Text<'a>,
        "major" major: Option<i64>,
        "minor" minor: Option<i64>,
        "fileMode" file_mode: Option<u32>,
        "uid" uid: Option<u32>,
        "gid" gid: Option<u32>,
    }
}
