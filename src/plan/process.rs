//! Who the process is and what it may do.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// `process.user` without its groups (those are [`kind::GROUP`]).
    kind::USER => User {
        /// User id inside.
        1 uid: u32 = Zero "uid",
        /// Group id inside.
        2 gid: u32 = Zero "gid",
        /// File mode creation mask; none: as inherited.
        3 umask: Option<u32> as Umask = Plain "umask",
    }
}

noun! {
    /// The five sets, one bit per capability (capabilities(7)).
    kind::CAPABILITIES => Capabilities {
        1 bounding: u64 as Capabilities,
        2 effective: u64 as Capabilities,
        3 inheritable: u64 as Capabilities,
        4 permitted: u64 as Capabilities,
        5 ambient: u64 as Capabilities,
    }
}

noun! {
    /// A resource limit (getrlimit(2)).
    kind::RLIMIT => Rlimit {
        /// `RLIMIT_*`.
        1 resource: u32 as Resource = Name "type",
        /// Soft limit; `u64::MAX` is infinity.
        2 soft: u64 as Limit = Plain "soft",
        /// Hard limit.
        3 hard: u64 as Limit = Plain "hard",
    }
}

noun! {
    /// `process.terminal`, and the console's first size.
    kind::TERMINAL => Terminal {
        /// Rows.
        1 height: Option<u32> = Plain "height",
        /// Columns.
        2 width: Option<u32> = Plain "width",
    }
}

noun! {
    /// One annotation.
    kind::ANNOTATION => Annotation<'a> {
        1 key: &'a CStr,
        2 value: &'a CStr,
    }
}

noun! {
    /// Who answers for calls under SCMP_ACT_NOTIFY.
    kind::SECCOMP_LISTENER => Listener<'a> {
        /// The agent's socket.
        1 path: &'a CStr,
        /// What it is told besides.
        2 metadata: Option<&'a CStr>,
    }
}
