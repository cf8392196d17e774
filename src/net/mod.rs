//! The container's network, from within its namespace.

pub mod link;
