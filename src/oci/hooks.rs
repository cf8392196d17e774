//! `hooks`: programs run at six moments of the container's life.

use super::view;

view! {
    /// Lists of [`Hook`], by moment.
    Hooks {
        "prestart" prestart,
        "createRuntime" create_runtime,
        "createContainer" create_container,
        "startContainer" start_container,
        "poststart" poststart,
        "poststop" poststop,
    }
}

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
