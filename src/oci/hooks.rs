//! `hooks`: programs run at six moments of the container's life.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// Lists of [`Hook`], by moment.
    Hooks {
        "prestart" prestart: Node<'a>,
        "createRuntime" create_runtime: Node<'a>,
        "createContainer" create_container: Node<'a>,
        "startContainer" start_container: Node<'a>,
        "poststart" poststart: Node<'a>,
        "poststop" poststop: Node<'a>,
    }
}

view! {
    /// One program.
    Hook {
        "path" path: Text<'a>,
        /// List of strings
        "args" args: Node<'a>,
        /// List of strings
        "env" env: Node<'a>,
        /// Seconds.
        "timeout" timeout: Option<i64>,
    }
}
