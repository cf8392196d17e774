//! Bytes and values, pure: each file knows one format and nothing of what it is used for.

pub mod accounting;
pub mod cgroupfs;
pub mod json;
pub mod passwd;
pub mod stat;
pub mod time;
