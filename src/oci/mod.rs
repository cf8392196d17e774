//! What they wrote: config.json's nouns, as the OCI runtime specification 1.3 names them.
//!
//! A view is one walk over an object: a name per property, each a located value ([`Node`]), there or
//! absent. Nothing is decoded and nothing judged: what type a property has, whether it is required and
//! whether it makes sense is the plan's to say when it reads it. A property that no view names is
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
pub use linux::Linux;
pub use mount::Mount;
pub use process::Process;
pub use resources::Resources;
pub use state::State;

/// The version of the specification that is spoken.
pub const VERSION: &str = "1.3.0";

/// Declares a view: its properties' names, an array of located values, and a name for each place in it.
/// (As a struct of fields it would be copied apart at every use: 10 KB of code.)
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>([$crate::wire::json::Node<'a>; [$($key),*].len()]);

        const _: () = {
            #[allow(non_camel_case_types)]
            enum Place { $($field),* }

            impl<'a> $name<'a> {
                $(
                    $(#[$field_doc])*
                    #[doc = concat!("`", $key, "`")]
                    pub fn $field(&self) -> &$crate::wire::json::Node<'a> {
                        &self.0[Place::$field as usize]
                    }
                )*
            }

            impl<'a> $crate::wire::json::Read<'a> for $name<'a> {
                fn read(node: &$crate::wire::json::Node<'a>) -> $crate::error::Result<Self> {
                    node.locate(&[$($key),*]).map(Self)
                }
            }
        };
    };
}

pub(crate) use view;
