//! One container's life, seen from outside.

pub mod config;
pub mod id;
pub mod identity;
pub mod store;
