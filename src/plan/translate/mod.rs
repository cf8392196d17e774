//! From what they wrote to what we accepted: config.json and the command line become the plan.
//!
//! One walk over the located document. Each value is checked, decoded into `scratch` and emitted at once;
//! nothing is kept but the facts that later values are judged by (namespaces, id maps). A refusal names
//! the JSON path. What this build does not do is refused by name, never skipped; properties that the
//! specification does not know (or that are another platform's: `windows`, `vm`, `zos` ...) are ignored,
//! as it demands. Go callers write `""`, `0`, `[]` and `null` for "not given", and are understood.
//!
//! The steps are kept out of line: inlined into one, their common frame is so large that each access to it is a
//! longer instruction, and the whole a kilobyte.

mod devices;
mod hooks;
pub(super) mod mounts;
mod namespaces;
mod network;
mod process;
mod resources;
mod rows;
mod scheduling;
mod strings;
#[cfg(test)]
mod tests;

use core::ffi::CStr;

use nsenter::attr::Writer;

use super::{Plan, kind};
use crate::error::{Error, Result};
use crate::oci;
use crate::wire::json::{Document, Node, Text};
use namespaces::Namespaces;
use strings::{MOST, put, said, sound};

/// Bytes of scratch that a translation needs: the strings of one value at a time, which together have to
/// fit an attribute (64 KiB) anyway, with room to tell which of them does not.
pub const SCRATCH: usize = 160 << 10;

/// Hears the beginning of a plan.
pub type Begun<'a> = &'a dyn Fn(Plan<'_>) -> Result<()>;

/// What the command line and the caller's situation say.
#[derive(Default)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a CStr,
    /// The bundle's absolute path.
    pub bundle: &'a CStr,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// The host's directory with the socket for sd_notify(3).
    pub notify: Option<&'a CStr>,
    /// `--cgroup-manager disabled`.
    pub cgroups_disabled: bool,
    /// `--init`.
    pub reaper: bool,
    /// The runtime's effective user is not root.
    pub rootless: bool,
    /// `linux.seccomp` as code, if there is any, and its flags.
    pub filter: Option<(&'a [u8], u32)>,
    /// Hears the beginning of the plan when all is in it that a child is born with: namespaces and priorities.
    pub begun: Option<Begun<'a>>,
}

/// A translation on its way.
struct Translation<'t, 'm> {
    request: &'t Request<'t>,
    /// Takes what is odd but no reason to refuse.
    warn: &'t mut dyn FnMut(&Error),
    writer: Writer<'m>,
    scratch: &'t mut [u8],
    namespaces: Namespaces,
}

/// Translates `config` into the message that `writer` has begun. `scratch` has [`SCRATCH`] bytes; `warn` is
/// told, in the form of an error, what was passed over (an unknown capability).
pub fn translate<'m>(
    config: &Document<'_>,
    request: &Request<'_>,
    warn: &mut dyn FnMut(&Error),
    writer: Writer<'m>,
    scratch: &mut [u8],
) -> Result<&'m [u8]> {
    let namespaces = Namespaces::default();
    let mut translation = Translation { request, warn, writer, scratch, namespaces };
    translation.config(&config.root())?;
    translation.writer.finish().map_err(super::broken)
}

/// Translates `process`, a file of its own, that is to run in the container of the plan `stored`.
pub fn process<'m>(
    process: &Document<'_>,
    request: &Request<'_>,
    stored: &Plan<'_>,
    warn: &mut dyn FnMut(&Error),
    writer: Writer<'m>,
    scratch: &mut [u8],
) -> Result<Writer<'m>> {
    let namespaces = Namespaces::of(stored)?;
    let mut translation = Translation { request, warn, writer, scratch, namespaces };
    let node = process.root();
    let mut process = oci::Process::of(&node);
    process.locate()?;
    translation.priorities(&process)?;
    translation.process(&node, &process)?;
    Ok(translation.writer)
}

/// Translates the limits of a `linux.resources` that stands alone, without its device rules.
pub fn resources<'m>(resources: &Document<'_>, writer: Writer<'m>, scratch: &mut [u8]) -> Result<&'m [u8]> {
    let request = &Request::default();
    let namespaces = Namespaces::default();
    let mut translation = Translation { request, warn: &mut |_| {}, writer, scratch, namespaces };
    translation.limits(&mut oci::Resources::of(&resources.root()))?;
    translation.writer.finish().map_err(super::broken)
}

impl Translation<'_, '_> {
    fn config(&mut self, config: &Node<'_>) -> Result<()> {
        let mut config = oci::Config::of(config);
        config.locate()?;
        let mut linux = oci::Linux::of(config.linux());
        linux.locate()?;
        self.identity(config.oci_version(), config.annotations())?;
        // The namespaces first: what else may be asked for depends on them.
        self.namespaces(&linux)?;
        config.process().required()?;
        let mut process = oci::Process::of(config.process());
        process.locate()?;
        self.priorities(&process)?;
        if let Some(begun) = self.request.begun {
            begun(Plan::new(self.writer.so_far()))?;
        }
        self.names(config.hostname(), config.domainname())?;
        self.sysctl(linux.sysctl())?;
        self.net_devices(linux.net_devices())?;
        self.bridge(config.annotations())?;
        self.overlay(config.annotations())?;
        let root = self.root(config.root(), linux.rootfs_propagation())?;
        self.mounts(config.mounts(), &root)?;
        if let Some(label) = said(linux.mount_label())? {
            self.string(kind::MOUNT_LABEL, &label)?;
        }
        self.devices(linux.devices())?;
        self.hidden(&linux)?;
        self.process(config.process(), &process)?;
        self.memory_policy(linux.memory_policy())?;
        self.personality(linux.personality())?;
        self.seccomp(linux.seccomp())?;
        self.hooks(config.hooks())?;
        self.cgroup(&linux)
    }

    /// Whose plan it is.
    #[inline(never)]
    fn identity(&mut self, version: &Node<'_>, annotations: &Node<'_>) -> Result<()> {
        self.writer.string(kind::ID, self.request.id);
        self.writer.string(kind::BUNDLE, self.request.bundle);
        let text = version.read::<Text<'_>>()?;
        let mut buffer = [0; 64];
        if !is_supported(text.decode(&mut buffer)?) {
            return Err(version.refuse("expected version 1.x of the specification"));
        }
        self.string(kind::OCI_VERSION, &text)?;
        let mut reaper = self.request.reaper;
        for (key, node) in annotations.members()? {
            if key.is_empty() {
                return Err(annotations.refuse("a key is empty"));
            }
            let mut room = &mut *self.scratch;
            let key = key.c_str(MOST, &mut room)?;
            let value = node.read::<Text<'_>>()?.c_str(MOST, &mut room)?;
            if key == c"org.minirunc.init" {
                reaper |= match value.to_bytes() {
                    b"true" => true,
                    b"false" => false,
                    _ => return Err(node.refuse("expected true or false")),
                };
            }
            put(&mut self.writer, &node, super::process::Annotation { key, value })?;
        }
        if reaper {
            self.writer.flag(kind::REAPER);
        }
        Ok(())
    }

    /// A string as an attribute of its own.
    #[inline(never)]
    fn string(&mut self, kind: u16, text: &Text<'_>) -> Result<()> {
        let string = text.c_str(MOST, &mut &mut *self.scratch)?;
        self.writer.string(kind, string);
        sound(&self.writer, text.node())
    }
}

/// Whether `version` is 1.MINOR.PATCH, perhaps with a pre-release or build behind it (semver.org).
fn is_supported(version: &str) -> bool {
    let core = version.as_bytes().split(|byte| matches!(byte, b'-' | b'+')).next().unwrap_or(b"");
    let mut numbers = core.split(|&byte| byte == b'.');
    let number = |text: Option<&[u8]>| {
        text.is_some_and(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit))
    };
    numbers.next() == Some(b"1")
        && number(numbers.next())
        && number(numbers.next())
        && numbers.next().is_none()
}
