//! `mounts[]`.

use super::view;

view! {
    /// One mount.
    Mount {
        "destination" destination,
        "source" source,
        /// List of strings
        "options" options,
        "type" kind,
        /// List of [`super::linux::IdMapping`]
        "uidMappings" uid_mappings,
        /// List of [`super::linux::IdMapping`]
        "gidMappings" gid_mappings,
    }
}
