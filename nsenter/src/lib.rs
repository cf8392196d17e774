//! Enter and create namespaces in three stages, told what to do by netlink messages.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod attr;
