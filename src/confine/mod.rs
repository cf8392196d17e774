//! What the process gives up before it is somebody else's: limits, identity, capabilities.

pub mod capability;
pub mod label;
pub mod oom;
pub mod procfs;
pub mod resctrl;
pub mod rlimit;
pub mod scheduling;
pub mod sysctl;
pub mod user;

#[cfg(test)]
mod tests;
