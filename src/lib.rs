//! minirunc-static: a tiny static OCI container runtime.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod cgroup;
pub mod cmd;
pub mod confine;
pub mod container;
pub mod error;
pub mod form;
pub mod hooks;
pub mod init;
pub mod limits;
pub mod net;
pub mod oci;
pub mod pid1;
pub mod plan;
pub mod rootfs;
pub mod seccomp;
pub mod sys;
pub mod terminal;
pub mod text;
pub mod trace;
pub mod wire;
