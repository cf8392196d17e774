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
        /// [`Scheduler`]
        "scheduler" scheduler,
        "selinuxLabel" selinux_label,
        /// [`IoPriority`]
        "ioPriority" io_priority,
        /// [`Affinity`]
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

view! {
    /// How the processor is shared out to it (sched(7)).
    Scheduler {
        "policy" policy,
        "nice" nice,
        "priority" priority,
        /// List of strings
        "flags" flags,
        "runtime" runtime,
        "deadline" deadline,
        "period" period,
    }
}

view! {
    /// How disks are (ioprio_set(2)).
    IoPriority {
        "class" class,
        "priority" priority,
    }
}

view! {
    /// Processors of a process that `exec` adds.
    Affinity {
        "initial" initial,
        "final" finally,
    }
}
