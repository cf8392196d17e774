//! What they wrote: config.json's nouns, as the OCI runtime specification 1.3 names them.
//!
//! A view has one field per property, in the order of the specification. A leaf is decoded to the JSON
//! type it must have; what has properties or elements of its own stays a [`Node`], there or absent, and
//! is viewed when its turn comes. `T` is REQUIRED, `Option<T>` OPTIONAL, and a `bool` that is absent is
//! false. Nothing is judged beyond that: whether a path must be absolute or a limit makes sense is the
//! plan's to say, and it refuses by `view.node`. What no view names is an unknown property, to be ignored.

pub mod config;
pub mod hooks;
pub mod linux;
pub mod mount;
pub mod process;
pub mod resources;
pub mod state;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use hooks::Hooks;
pub use linux::Linux;
pub use mount::Mount;
pub use process::Process;
pub use resources::Resources;
pub use state::State;

/// Declares a view: its struct, and how it is read from its node in one walk.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            /// The object itself, for errors.
            pub node: $crate::wire::json::Node<'a>,
            $($(#[$field_doc])* #[doc = concat!("`", $key, "`")] pub $field: $type,)*
        }

        impl<'a> $crate::wire::json::Read<'a> for $name<'a> {
            fn read(node: &$crate::wire::json::Node<'a>) -> $crate::error::Result<Self> {
                let [$($field),*] = node.pick([$($key),*])?;
                Ok(Self { node: *node, $($field: $field.read()?,)* })
            }
        }
    };
}

pub(crate) use view;
