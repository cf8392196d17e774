//! The top of config.json.

use super::view;

view! {
    /// The whole configuration.
    Config {
        "ociVersion" oci_version,
        /// [`Root`]
        "root" root,
        /// [`super::Process`]
        "process" process,
        "hostname" hostname,
        "domainname" domainname,
        /// List of [`super::Mount`]
        "mounts" mounts,
        /// Lists of objects by stage
        "hooks" hooks,
        /// Strings by name
        "annotations" annotations,
        /// [`super::Linux`]
        "linux" linux,
    }
}

view! {
    /// The root filesystem.
    Root {
        "path" path,
        "readonly" readonly,
    }
}
