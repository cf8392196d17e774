//! `linux.resources`: what the container may use. The same object comes to `update`.

use super::view;

view! {
    /// All limits.
    Resources {
        /// [`Rdma`] by device name
        "rdma" rdma,
        /// Strings by file name
        "unified" unified,
        /// List of [`DeviceRule`]
        "devices" devices,
        /// [`Memory`]
        "memory" memory,
        /// [`Cpu`]
        "cpu" cpu,
        /// [`Pids`]
        "pids" pids,
        /// [`BlockIo`]
        "blockIO" block_io,
        /// List of [`HugepageLimit`]
        "hugepageLimits" hugepage_limits,
        /// [`Network`]
        "network" network,
    }
}

view! {
    /// One line of the device cgroup.
    DeviceRule {
        "allow" allow,
        "type" kind,
        "major" major,
        "minor" minor,
        "access" access,
    }
}

view! {
    /// Bytes; -1 is no limit.
    Memory {
        "limit" limit,
        "reservation" reservation,
        "swap" swap,
        "kernel" kernel,
        "kernelTCP" kernel_tcp,
        "swappiness" swappiness,
        "disableOOMKiller" disable_oom_killer,
        "useHierarchy" use_hierarchy,
        "checkBeforeUpdate" check_before_update,
    }
}

view! {
    /// Processor time in µs, and which processors and memory nodes.
    Cpu {
        "shares" shares,
        "quota" quota,
        "burst" burst,
        "period" period,
        "realtimeRuntime" realtime_runtime,
        "realtimePeriod" realtime_period,
        "cpus" cpus,
        "mems" mems,
        "idle" idle,
    }
}

view! {
    /// Number of tasks.
    Pids {
        "limit" limit,
    }
}

view! {
    /// Weights and throttles of block devices.
    BlockIo {
        "weight" weight,
        "leafWeight" leaf_weight,
        /// List of [`WeightDevice`]
        "weightDevice" weight_device,
        /// List of [`ThrottleDevice`]
        "throttleReadBpsDevice" throttle_read_bps_device,
        /// List of [`ThrottleDevice`]
        "throttleWriteBpsDevice" throttle_write_bps_device,
        /// List of [`ThrottleDevice`]
        "throttleReadIOPSDevice" throttle_read_iops_device,
        /// List of [`ThrottleDevice`]
        "throttleWriteIOPSDevice" throttle_write_iops_device,
    }
}

view! {
    /// One device's weights.
    WeightDevice {
        "major" major,
        "minor" minor,
        "weight" weight,
        "leafWeight" leaf_weight,
    }
}

view! {
    /// One device's bytes or operations per second.
    ThrottleDevice {
        "major" major,
        "minor" minor,
        "rate" rate,
    }
}

view! {
    /// Huge pages of one size.
    HugepageLimit {
        "pageSize" page_size,
        "limit" limit,
    }
}

view! {
    /// Marks on packets, and priorities of interfaces.
    Network {
        "classID" class_id,
        /// List of [`InterfacePriority`]
        "priorities" priorities,
    }
}

view! {
    /// One interface's priority.
    InterfacePriority {
        "name" name,
        "priority" priority,
    }
}

view! {
    /// Limits of one RDMA device.
    Rdma {
        "hcaHandles" hca_handles,
        "hcaObjects" hca_objects,
    }
}
