//! `linux.resources`: what the container may use. The same object comes to `update`.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// All limits.
    Resources {
        /// Rdma by device name: [`Rdma`]
        "rdma" rdma: Node<'a>,
        /// Strings by file name
        "unified" unified: Node<'a>,
        /// List of [`DeviceRule`]
        "devices" devices: Node<'a>,
        /// [`Memory`]
        "memory" memory: Node<'a>,
        /// [`Cpu`]
        "cpu" cpu: Node<'a>,
        /// [`Pids`]
        "pids" pids: Node<'a>,
        /// [`BlockIo`]
        "blockIO" block_io: Node<'a>,
        /// List of [`HugepageLimit`]
        "hugepageLimits" hugepage_limits: Node<'a>,
        /// [`Network`]
        "network" network: Node<'a>,
    }
}

view! {
    /// One line of the device cgroup.
    DeviceRule {
        "allow" allow: bool,
        "type" kind: Option<Text<'a>>,
        "major" major: Option<i64>,
        "minor" minor: Option<i64>,
        "access" access: Option<Text<'a>>,
    }
}

view! {
    /// Bytes; -1 is no limit.
    Memory {
        "limit" limit: Option<i64>,
        "reservation" reservation: Option<i64>,
        "swap" swap: Option<i64>,
        "kernel" kernel: Option<i64>,
        "kernelTCP" kernel_tcp: Option<i64>,
        "swappiness" swappiness: Option<u64>,
        "disableOOMKiller" disable_oom_killer: Option<bool>,
        "useHierarchy" use_hierarchy: Option<bool>,
        "checkBeforeUpdate" check_before_update: bool,
    }
}

view! {
    /// Processor time in µs, and which processors and memory nodes.
    Cpu {
        "shares" shares: Option<u64>,
        "quota" quota: Option<i64>,
        "burst" burst: Option<u64>,
        "period" period: Option<u64>,
        "realtimeRuntime" realtime_runtime: Option<i64>,
        "realtimePeriod" realtime_period: Option<u64>,
        "cpus" cpus: Option<Text<'a>>,
        "mems" mems: Option<Text<'a>>,
        "idle" idle: Option<i64>,
    }
}

view! {
    /// Number of tasks.
    Pids {
        "limit" limit: Option<i64>,
    }
}

view! {
    /// Weights and throttles of block devices.
    BlockIo {
        "weight" weight: Option<u16>,
        "leafWeight" leaf_weight: Option<u16>,
        /// List of [`WeightDevice`]
        "weightDevice" weight_device: Node<'a>,
        /// List of [`ThrottleDevice`]
        "throttleReadBpsDevice" throttle_read_bps_device: Node<'a>,
        /// List of [`ThrottleDevice`]
        "throttleWriteBpsDevice" throttle_write_bps_device: Node<'a>,
        /// List of [`ThrottleDevice`]
        "throttleReadIOPSDevice" throttle_read_iops_device: Node<'a>,
        /// List of [`ThrottleDevice`]
        "throttleWriteIOPSDevice" throttle_write_iops_device: Node<'a>,
    }
}

view! {
    /// One device's weights.
    WeightDevice {
        "major" major: i64,
        "minor" minor: i64,
        "weight" weight: Option<u16>,
        "leafWeight" leaf_weight: Option<u16>,
    }
}

view! {
    /// One device's bytes or operations per second.
    ThrottleDevice {
        "major" major: i64,
        "minor" minor: i64,
        "rate" rate: u64,
    }
}

view! {
    /// Huge pages of one size.
    HugepageLimit {
        "pageSize" page_size: Text<'a>,
        "limit" limit: u64,
    }
}

view! {
    /// Marks on packets, and priorities of interfaces.
    Network {
        "classID" class_id: Option<u32>,
        /// List of [`InterfacePriority`]
        "priorities" priorities: Node<'a>,
    }
}

view! {
    /// One interface's priority.
    InterfacePriority {
        "name" name: Text<'a>,
        "priority" priority: u32,
    }
}

view! {
    /// Limits of one RDMA device.
    Rdma {
        "hcaHandles" hca_handles: Option<u32>,
        "hcaObjects" hca_objects: Option<u32>,
    }
}
