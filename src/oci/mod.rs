//! What they wrote: config.json's nouns, as the OCI runtime specification 1.3 names them.
//!
//! A view is one walk over an object: a field per property, each a located value ([`Node`]), there or
//! absent. Nothing is decoded and nothing judged: what type a property has, whether it is required and
//! whether it makes sense is the plan's to say when it reads the field. A property that no view names is
//! unknown, and ignored.
//!
//! [`Node`]: crate::wire::json::Node

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

/// Declares a view: its struct, and how it is read from its object.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            $($(#[$field_doc])* #[doc = concat!("`", $key, "`")] pub $field: $crate::wire::json::Node<'a>,)*
        }

        impl<'a> $crate::wire::json::Read<'a> for $name<'a> {
            fn read(node: &$crate::wire::json::Node<'a>) -> $crate::error::Result<Self> {
                let [$($field),*] = node.pick([$($key),*])?;
                Ok(Self { $($field),* })
            }
        }
    };
}

pub(crate) use view;
