//! `process`: what runs, as whom, with what rights.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// The container's process, or one that `exec` adds.
    Process {
        "terminal" terminal: bool,
        /// [`ConsoleSize`]
        "consoleSize" console_size: Node<'a>,
        "cwd" cwd: Text<'a>,
        /// List of strings
        "env" env: Node<'a>,
        /// List of strings
        "args" args: Node<'a>,
        /// List of [`Rlimit`]
        "rlimits" rlimits: Node<'a>,
        "apparmorProfile" apparmor_profile: Option<Text<'a>>,
        /// [`Capabilities`]
        "capabilities" capabilities: Node<'a>,
        "noNewPrivileges" no_new_privileges: bool,
        "oomScoreAdj" oom_score_adj: Option<i32>,
        "scheduler" scheduler: Node<'a>,
        "selinuxLabel" selinux_label: Option<Text<'a>>,
        "ioPriority" io_priority: Node<'a>,
        "execCPUAffinity" exec_cpu_affinity: Node<'a>,
        /// [`User`]
        "user" user: Node<'a>,
    }
}

view! {
    /// The console's size in characters.
    ConsoleSize {
        "height" height: u32,
        "width" width: u32,
    }
}

view! {
    /// A resource limit (getrlimit(2)).
    Rlimit {
        "type" kind: Text<'a>,
        "soft" soft: u64,
        "hard" hard: u64,
    }
}

view! {
    /// Sets of capability names (capabilities(7)), each a list of strings.
    Capabilities {
        "effective" effective: Node<'a>,
        "bounding" bounding: Node<'a>,
        "inheritable" inheritable: Node<'a>,
        "permitted" permitted: Node<'a>,
        "ambient" ambient: Node<'a>,
    }
}

view! {
    /// Identity. Docker leaves out what is 0, and the schema lets it.
    User {
        "uid" uid: Option<u32>,
        "gid" gid: Option<u32>,
        "umask" umask: Option<u32>,
        /// List of numbers
        "additionalGids" additional_gids: Node<'a>,
    }
}
