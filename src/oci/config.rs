//! The top of config.json.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// The whole configuration.
    Config {
        "ociVersion" oci_version: Text<'a>,
        /// [`Root`]
        "root" root: Node<'a>,
        /// [`super::Process`]
        "process" process: Node<'a>,
        "hostname" hostname: Option<Text<'a>>,
        "domainname" domainname: Option<Text<'a>>,
        /// List of [`super::Mount`]
        "mounts" mounts: Node<'a>,
        /// [`super::Hooks`]
        "hooks" hooks: Node<'a>,
        /// Strings by name
        "annotations" annotations: Node<'a>,
        /// [`super::Linux`]
        "linux" linux: Node<'a>,
        // Other platforms' properties: not applicable on Linux.
        "solaris" solaris: Node<'a>,
        "windows" windows: Node<'a>,
        "vm" vm: Node<'a>,
        "zos" zos: Node<'a>,
        "freebsd" freebsd: Node<'a>,
    }
}

view! {
    /// The root filesystem.
    Root {
        "path" path: Text<'a>,
        "readonly" readonly: bool,
    }
}
