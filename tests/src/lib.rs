//! Support for the rings: bundles, the runtime as a process, and what the guest probe reports.
//!
//! - [`bundle`]: `runc spec`'s default container on a small root that holds the probe; tests change its JSON and run it.
//! - [`runtime`]: which runtime is tested (`RUNTIME`), and one run of it.
//! - [`facts`]: the probe's answers, and mountinfo.
//! - [`attack`]: what the probe does where it plays the attacker.
//! - [`fuzz`]: what comes from outside, malformed.
//! - [`kernel`]: a lesser kernel in front of the runtime.
//! - [`names`]: of errors and limits.
//! - [`scarce`]: a machine that lacks something, for one command.
//! - [`trace`]: single system calls of the runtime and its stages, to be listed, failed or made the last.
//! - [`host`]: what this machine offers, and what a run must not leave behind on it.

pub mod attack;
pub mod bundle;
pub mod documents;
pub mod facts;
pub mod fuzz;
pub mod host;
pub mod kernel;
pub mod names;
pub mod network;
pub mod resctrl;
pub mod runtime;
pub mod scarce;
pub mod trace;

/// Leaves the test, saying aloud why.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::host::skipped(std::any::type_name_of_val(&|| ()), &format!($($reason)*));
        return;
    }};
}

/// Leaves the test when the runtime is another one, saying why it cannot serve as oracle here.
#[macro_export]
macro_rules! only_ours {
    ($($reason:tt)*) => {
        if !$crate::runtime::Runtime::get().ours() {
            $crate::skip!("{}: {}", $crate::runtime::Runtime::get().name(), format!($($reason)*));
        }
    };
}

/// Leaves the test when the oracle does not know what is tested.
#[macro_export]
macro_rules! not_for {
    ($name:literal, $($reason:tt)*) => {
        if $crate::runtime::Runtime::get().name() == $name {
            $crate::skip!("{}: {}", $name, format!($($reason)*));
        }
    };
}
