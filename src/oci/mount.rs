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
        /// List of objects
        "uidMappings" uid_mappings,
        /// List of objects
        "gidMappings" gid_mappings,
    }
}
