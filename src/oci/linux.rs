//! `linux`: namespaces, devices and what else only Linux has. Its `resources` are next door.

use super::view;

view! {
    /// The Linux part.
    Linux {
        /// List of objects
        "namespaces" namespaces,
        /// List of objects
        "uidMappings" uid_mappings,
        /// List of objects
        "gidMappings" gid_mappings,
        /// Object
        "timeOffsets" time_offsets,
        /// List of objects
        "devices" devices,
        /// Objects by the interface's name on the host
        "netDevices" net_devices,
        "cgroupsPath" cgroups_path,
        /// [`super::Resources`]
        "resources" resources,
        /// [`IntelRdt`]
        "intelRdt" intel_rdt,
        /// Object
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
        /// Object
        "personality" personality,
    }
}

view! {
    /// A class of service (the kernel's Documentation/filesystems/resctrl.rst).
    IntelRdt {
        "closID" clos_id,
        "l3CacheSchema" l3_cache_schema,
        "memBwSchema" mem_bw_schema,
        /// List of strings
        "schemata" schemata,
        "enableMonitoring" enable_monitoring,
    }
}
