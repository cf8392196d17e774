//! `mounts[]`.

use super::view;
use crate::wire::json::{Node, Text};

view! {
    /// One mount.
    Mount {
        "destination" destination: Text<'a>,
        "source" source: Option<Text<'a>>,
        /// List of strings
        "options" options: Node<'a>,
        "type" kind: Option<Text<'a>>,
        /// List of [`super::linux::IdMapping`]
        "uidMappings" uid_mappings: Node<'a>,
        /// List of [`super::linux::IdMapping`]
        "gidMappings" gid_mappings: Node<'a>,
    }
}
