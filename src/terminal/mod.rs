//! Terminals: the container's, seen from inside and from outside.

pub mod pty;
pub mod relay;
