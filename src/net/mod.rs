//! The container's network: what it has to itself, and what is moved into it.

pub mod bridge;
pub mod device;
pub mod link;
pub mod netlink;
