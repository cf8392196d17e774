//! Enter and create namespaces in three stages, told what to do by netlink messages.
//!
//! The crate knows namespaces and has never heard of containers. The runtime (stage 0) calls
//! [`spawn::child`] with a copy of its own executable; what is started there calls [`stage::enter`],
//! which goes through the child (stage 1) and returns in init (stage 2) only. [`sync`] holds who says
//! what in between, [`boot`] what the child is told, [`ids`] the maps that the runtime writes
//! while the child waits.

#![no_std]

#[cfg(test)]
extern crate std;

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "arch/riscv64.rs")]
mod arch;
pub mod attr;
pub mod boot;
mod error;
pub mod ids;
mod raw;
pub mod spawn;
pub mod stage;
pub mod sync;
pub mod trace;

pub use error::{Decimal, Error, Text};
pub use raw::{Errno, Fd, RawFd};
