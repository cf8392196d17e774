//! A second process of a container: what the first one was to be, with what `exec`'s command line changes.

use nsenter::attr::Writer;

use super::process::{Capabilities, Terminal, User};
use super::{Noun, Plan, broken, kind};
use crate::error::Result;

/// What the command line says.
pub struct Changes<'a> {
    /// ARG instead of the stored ones; CWD and labels, if they are to be others; ENV and GROUP on top.
    pub given: Plan<'a>,
    /// Another user.
    pub uid: Option<u32>,
    /// Another group.
    pub gid: Option<u32>,
    /// More capabilities, one bit each.
    pub capabilities: u64,
    /// Set or cleared.
    pub no_new_privileges: Option<bool>,
    /// A terminal: never taken over from the first process.
    pub terminal: bool,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// What the configuration says for every process of the container, not of one. The labels are the last word of who does not
/// give others before: a process is never less confined for not being told.
const EVERYONES: [u16; 8] = [
    kind::NO_NEW_KEYRING,
    kind::MEMORY_POLICY,
    kind::PERSONALITY,
    kind::APPARMOR_PROFILE,
    kind::SELINUX_LABEL,
    kind::SECCOMP,
    kind::SECCOMP_FLAGS,
    kind::SECCOMP_LISTENER,
];

/// Writes what of the plan `stored` is true of a process that is described anew.
pub fn surroundings(stored: &Plan<'_>, writer: &mut Writer<'_>) -> Result<()> {
    for attr in stored.attributes() {
        let attr = attr?;
        if EVERYONES.contains(&attr.kind) {
            writer.bytes(attr.kind, attr.bytes());
        }
    }
    Ok(())
}

/// Writes the process's part of the plan `stored`, changed.
pub fn process(stored: &Plan<'_>, changes: &Changes<'_>, writer: &mut Writer<'_>) -> Result<()> {
    for attr in stored.attributes() {
        let attr = attr?;
        let kept = match attr.kind {
            kind::ARG | kind::PRESERVE_FDS | kind::USER | kind::CAPABILITIES | kind::NO_NEW_PRIVILEGES => {
                false
            }
            kind::CWD | kind::APPARMOR_PROFILE | kind::SELINUX_LABEL => !changes.given.has(attr.kind)?,
            kind::TERMINAL => changes.terminal,
            other => kind::PROCESS.contains(&other) || EVERYONES.contains(&other),
        };
        if kept {
            writer.bytes(attr.kind, attr.bytes());
        }
    }
    for attr in changes.given.attributes() {
        let attr = attr?;
        writer.bytes(attr.kind, attr.bytes());
    }
    let user = stored.one::<User>()?.unwrap_or(User { uid: 0, gid: 0, umask: None });
    let (uid, gid) = (changes.uid.unwrap_or(user.uid), changes.gid.unwrap_or(user.gid));
    User { uid, gid, ..user }.emit(writer);
    if let Some(sets) = stored.one::<Capabilities>()? {
        let more = changes.capabilities;
        Capabilities {
            bounding: sets.bounding | more,
            effective: sets.effective | more,
            permitted: sets.permitted | more,
            // Never more (CVE-2022-29162): a file with inheritable capabilities would hand them on. And so ambient ones
            // only where the configuration had inheritable ones, which they need.
            inheritable: sets.inheritable,
            ambient: if sets.inheritable == 0 { sets.ambient } else { sets.ambient | more },
        }
        .emit(writer);
    }
    if changes.no_new_privileges.unwrap_or(stored.has(kind::NO_NEW_PRIVILEGES)?) {
        writer.flag(kind::NO_NEW_PRIVILEGES);
    }
    if changes.terminal && !stored.has(kind::TERMINAL)? {
        Terminal { height: None, width: None }.emit(writer);
    }
    if changes.preserve_fds > 0 {
        writer.u32(kind::PRESERVE_FDS, changes.preserve_fds);
    }
    writer.error().map_or(Ok(()), |error| Err(broken(error)))
}
