//! `process`: what runs, as whom, with what rights.

use super::view;

view! {
    /// The container's process, or one that `exec` adds.
    Process {
        "terminal" terminal,
        /// Object
        "consoleSize" console_size,
        "cwd" cwd,
        /// List of strings
        "env" env,
        /// List of strings
        "args" args,
        /// List of objects
        "rlimits" rlimits,
        "apparmorProfile" apparmor_profile,
        /// Object
        "capabilities" capabilities,
        "noNewPrivileges" no_new_privileges,
        "oomScoreAdj" oom_score_adj,
        /// Object
        "scheduler" scheduler,
        "selinuxLabel" selinux_label,
        /// Object
        "ioPriority" io_priority,
        /// Object
        "execCPUAffinity" exec_cpu_affinity,
        /// Object
        "user" user,
    }
}
