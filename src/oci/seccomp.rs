//! `linux.seccomp`: which system calls the process may make.

use super::view;

view! {
    /// The filter.
    Seccomp {
        "defaultAction" default_action,
        "defaultErrnoRet" default_errno_ret,
        /// List of strings
        "architectures" architectures,
        /// List of strings
        "flags" flags,
        "listenerPath" listener_path,
        "listenerMetadata" listener_metadata,
        /// List of [`Rule`]
        "syscalls" syscalls,
    }
}

view! {
    /// One rule for some calls.
    Rule {
        /// List of strings
        "names" names,
        "action" action,
        "errnoRet" errno_ret,
        /// List of [`Argument`]
        "args" args,
    }
}

view! {
    /// What one argument must be for a rule to match.
    Argument {
        "index" index,
        "value" value,
        "valueTwo" value_two,
        "op" op,
    }
}
