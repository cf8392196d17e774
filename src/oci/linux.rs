//! `linux`: namespaces, devices and what else only Linux has. Its `resources` are next door.

use super::view;

view! {
    /// The Linux part.
    Linux {
        /// List of [`Namespace`]
        "namespaces" namespaces,
        /// List of [`IdMapping`]
        "uidMappings" uid_mappings,
        /// List of [`IdMapping`]
        "gidMappings" gid_mappings,
        /// [`TimeOffsets`]
        "timeOffsets" time_offsets,
        /// List of [`Device`]
        "devices" devices,
        /// [`NetDevice`] by its name on the host
        "netDevices" net_devices,
        "cgroupsPath" cgroups_path,
        /// [`super::Resources`]
        "resources" resources,
        "intelRdt" intel_rdt,
        /// [`MemoryPolicy`]
        "memoryPolicy" memory_policy,
        /// Strings by name
        "sysctl" sysctl,
        "seccomp" seccomp,
        "rootfsPropagation" rootfs_propagation,
        /// List of strings
        "maskedPaths" masked_paths,
        /// List of strings
        "readonlyPaths" readonly_paths,
        "mountLabel" mount_label,
        /// [`Personality`]
        "personality" personality,
    }
}

view! {
    /// A namespace to make or, with a path, to join.
    Namespace {
        "type" kind,
        "path" path,
    }
}

view! {
    /// A range of ids.
    IdMapping {
        "containerID" container_id,
        "hostID" host_id,
        "size" size,
    }
}

view! {
    /// Offsets of a time namespace's clocks, each a [`TimeOffset`].
    TimeOffsets {
        "monotonic" monotonic,
        "boottime" boottime,
    }
}

view! {
    /// One clock's offset.
    TimeOffset {
        "secs" secs,
        "nanosecs" nanosecs,
    }
}

view! {
    /// A device node to make.
    Device {
        "type" kind,
        "path" path,
        "major" major,
        "minor" minor,
        "fileMode" file_mode,
        "uid" uid,
        "gid" gid,
    }
}

view! {
    /// A network device's place in the container.
    NetDevice {
        "name" name,
    }
}

view! {
    /// Which NUMA nodes give memory (set_mempolicy(2)).
    MemoryPolicy {
        "mode" mode,
        "nodes" nodes,
        /// List of strings
        "flags" flags,
    }
}

view! {
    /// Which kernel it seems to be (personality(2)).
    Personality {
        "domain" domain,
        /// List of strings
        "flags" flags,
    }
}
