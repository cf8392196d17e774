//! `process`: what runs, as whom, with what rights.

use super::view;

view! {
    /// The container's process, or one that `exec` adds.
    Process {
        "terminal" terminal,
        /// [`ConsoleSize`]
        "consoleSize" console_size,
        "cwd" cwd,
        /// List of strings
        "env" env,
        /// List of strings
        "args" args,
        /// List of [`Rlimit`]
        "rlimits" rlimits,
        "apparmorProfile" apparmor_profile,
        /// [`Capabilities`]
        "capabilities" capabilities,
        "noNewPrivileges" no_new_privileges,
        "oomScoreAdj" oom_score_adj,
        "scheduler" scheduler,
        "selinuxLabel" selinux_label,
        "ioPriority" io_priority,
        "execCPUAffinity" exec_cpu_affinity,
        /// [`User`]
        "user" user,
    }
}

view! {
    /// The console's size in characters.
    ConsoleSize {
        "height" height,
        "width" width,
    }
}

view! {
    /// A resource limit (getrlimit(2)).
    Rlimit {
        "type" kind,
        "soft" soft,
        "hard" hard,
    }
}

view! {
    /// Sets of capability names (capabilities(7)), each a list of strings.
    Capabilities {
        "effective" effective,
        "bounding" bounding,
        "inheritable" inheritable,
        "permitted" permitted,
        "ambient" ambient,
    }
}

view! {
    /// Identity.
    User {
        "uid" uid,
        "gid" gid,
        "umask" umask,
        /// List of numbers
        "additionalGids" additional_gids,
    }
}
