//! What comes from outside, malformed: a body for each format, which reads any bytes and checks what must then be true.
//!
//! Two drive them: libFuzzer (`tests/fuzz.sh`, with a nightly toolchain), and the ring `unit`, which needs nothing: it replays the
//! seeds and what [`mutate`] makes of them, the same each time (`tests/malformed.rs`). A case that was found becomes a unit test
//! beside the code that it broke.

pub mod filter;
mod kernel;
mod message;
pub mod mutate;
pub mod seeds;
mod text;

/// A format.
pub struct Target {
    pub name: &'static str,
    /// Reads it, whatever it is. A panic is a bug.
    pub body: fn(&[u8]),
    /// What is well-formed, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: &[Target] = &[
    Target { name: "json", body: text::json, seeds: seeds::documents },
    Target { name: "config", body: text::config, seeds: seeds::documents },
    Target { name: "form", body: text::form, seeds: seeds::forms },
    Target { name: "state", body: message::stored, seeds: seeds::states },
    Target { name: "argv", body: text::argv, seeds: seeds::command_lines },
    Target { name: "plan", body: message::plan, seeds: seeds::plans },
    Target { name: "boot", body: message::boot, seeds: seeds::boots },
    Target { name: "sync", body: message::sync, seeds: seeds::dialogues },
    Target { name: "rtnetlink", body: message::rtnetlink, seeds: seeds::replies },
    Target { name: "mountinfo", body: kernel::mountinfo, seeds: seeds::mountinfos },
    Target { name: "cgroup", body: kernel::cgroup, seeds: seeds::cgroup_files },
    Target { name: "proc", body: kernel::proc, seeds: seeds::proc_files },
    Target { name: "seccomp", body: filter::seccomp, seeds: seeds::profiles },
];

/// The format of this name.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name}"))
}
