//! Hooks: programs to run around the container's life.

use core::ffi::CStr;

use nsenter::attr::{Attrs, Error};

use super::{kind, noun::noun};

/// `stage` of [`Hook`]: deprecated, before `createRuntime`.
pub const PRESTART: u32 = 0;
/// `stage` of [`Hook`]: after the namespaces exist, before pivot_root; in the runtime's namespaces.
pub const CREATE_RUNTIME: u32 = 1;
/// `stage` of [`Hook`]: the same moment, in the container's namespaces.
pub const CREATE_CONTAINER: u32 = 2;
/// `stage` of [`Hook`]: just before the process, inside.
pub const START_CONTAINER: u32 = 3;
/// `stage` of [`Hook`]: after the process started.
pub const POSTSTART: u32 = 4;
/// `stage` of [`Hook`]: after the container is gone.
pub const POSTSTOP: u32 = 5;

/// Names of the stages, by number: members of `hooks`.
pub const STAGES: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

noun! {
    /// One hook.
    kind::HOOK => Hook<'a> {
        /// Index into [`STAGES`].
        1 stage: u32 as Stage,
        /// Its place in that list, for errors.
        2 index: u32,
        /// Absolute path of the program.
        3 path: &'a CStr = Path "path",
        /// Arguments, name included.
        4 args: Strings<'a> = Plain "args",
        /// Environment; nothing else is passed.
        5 env: Strings<'a> = Plain "env",
        /// Seconds.
        6 timeout: Option<u64> = Plain "timeout",
    }
}

/// A list of strings inside a noun: a nest of repeated attributes, each of type 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strings<'a>(Option<Attrs<'a>>);

impl<'a> Strings<'a> {
    /// Not a single one.
    pub const NONE: Self = Self(None);

    /// Those attributes. Each has to be a string: checked here, so that the iterator has nothing to report.
    pub fn checked(attrs: Attrs<'a>) -> Result<Self, Error> {
        for attr in attrs {
            attr?.string()?;
        }
        Ok(Self(Some(attrs)))
    }

    /// In their order; ends at the first broken one.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        self.0.into_iter().flatten().map_while(|attr| attr.ok()?.string().ok())
    }
}

impl PartialEq for Strings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Strings<'_> {}
