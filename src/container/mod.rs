//! One container's life, seen from outside.

pub mod id;
pub mod identity;
pub mod store;
