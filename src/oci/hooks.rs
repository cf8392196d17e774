//! `hooks`: programs run at six stages of the container's life, a list for each.

use super::view;

view! {
    /// One program.
    Hook {
        "path" path,
        /// List of strings
        "args" args,
        /// List of strings
        "env" env,
        /// Seconds.
        "timeout" timeout,
    }
}
