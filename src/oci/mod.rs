//! What they wrote: config.json's nouns, as the OCI runtime specification 1.3 names them.
//!
//! A view is one walk over an object: a name per property, each a located value ([`Node`]), there or
//! absent. Nothing is decoded and nothing judged: what type a property has, whether it is required and
//! whether it makes sense is the plan's to say when it reads it. An object that becomes one noun of the plan
//! has no view: the noun's table names its properties. A property that neither names is unknown, and ignored.

pub mod config;
pub mod linux;
pub mod mount;
pub mod process;
pub mod resources;
pub mod seccomp;
pub mod state;

#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::wire::json::Node;
pub use config::Config;
pub use linux::Linux;
pub use mount::Mount;
pub use process::Process;
pub use resources::Resources;
pub use seccomp::Seccomp;
pub use state::State;

/// The version of the specification that is spoken.
pub const VERSION: &str = "1.3.0";

/// Most properties that a view has.
const MOST: usize = 17;

/// The properties of any view: one type for all, so that one function reads them.
#[derive(Clone, Copy)]
pub struct Places<'a>([Node<'a>; MOST]);

impl<'a> Places<'a> {
    #[inline(never)]
    fn of(node: &Node<'a>) -> Self {
        Self([*node; MOST])
    }

    #[inline(never)]
    fn locate(&mut self, names: &'static str) -> Result<()> {
        // Nothing has been located yet: each place is the whole.
        let [whole, ..] = self.0;
        whole.locate(names, &mut self.0)
    }
}

/// Declares a view: its properties' names, an array of located values, and a name for each place in it.
/// (As a struct of fields it would be copied apart at every use: 10 KB of code.)
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>($crate::oci::Places<'a>);

        const _: () = {
            assert!([$($key),*].len() <= $crate::oci::MOST);

            #[allow(non_camel_case_types)]
            enum Place { $($field),* }

            impl<'a> $name<'a> {
                $(
                    $(#[$field_doc])*
                    #[doc = concat!("`", $key, "`")]
                    pub fn $field(&self) -> &$crate::wire::json::Node<'a> {
                        &self.0.0[Place::$field as usize]
                    }
                )*

                /// Where to look: `locate` looks. Apart, because a `Result` of half a kilobyte would be copied
                /// twice at every use.
                pub fn of(node: &$crate::wire::json::Node<'a>) -> Self {
                    Self($crate::oci::Places::of(node))
                }

                /// Finds the properties that are there.
                pub fn locate(&mut self) -> $crate::error::Result<()> {
                    self.0.locate(concat!($($key, " "),*))
                }
            }

            #[cfg(test)]
            impl<'a> $crate::wire::json::Read<'a> for $name<'a> {
                fn read(node: &$crate::wire::json::Node<'a>) -> $crate::error::Result<Self> {
                    let mut view = Self::of(node);
                    view.locate().map(|()| view)
                }
            }
        };
    };
}

pub(crate) use view;
