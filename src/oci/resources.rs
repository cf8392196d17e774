//! `linux.resources`: what the container may use. The same object comes to `update`.

use super::view;

view! {
    /// All limits.
    Resources {
        /// Objects by device name
        "rdma" rdma,
        /// Strings by file name
        "unified" unified,
        /// List of objects
        "devices" devices,
        /// Object
        "memory" memory,
        /// Object
        "cpu" cpu,
        /// Object
        "pids" pids,
        /// Object
        "blockIO" block_io,
        /// List of objects
        "hugepageLimits" hugepage_limits,
        /// Object
        "network" network,
    }
}
