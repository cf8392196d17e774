//! Pause and resume.

use rustix::io::Errno;

use super::destroy::Patience;
use super::{Cgroups, Hierarchy, Mode};
use crate::error::{Error, Result};
use crate::text::shown;
use crate::wire::cgroupfs::keyed;

impl Cgroups {
    /// Stops every process in the cgroup and below, and waits until they have. On an error they go on.
    pub fn freeze(&self) -> Result<()> {
        let hierarchy = self.freezer()?;
        let done = self.await_frozen(hierarchy);
        if done.is_err() {
            let _ = self.set_frozen(hierarchy, false);
        }
        done
    }

    fn await_frozen(&self, hierarchy: &Hierarchy) -> Result<()> {
        let mut patience = Patience::new();
        self.set_frozen(hierarchy, true)?;
        while !self.has_frozen(hierarchy)? {
            // v1 may miss a process that forks while it is at it: asked again, it looks again.
            if self.mode == Mode::V1 {
                self.set_frozen(hierarchy, true)?;
            }
            if !patience.wait() {
                let reason = format_args!("{}: some process cannot be stopped", shown(self.path()));
                return Err(Error::refused("freeze", reason));
            }
        }
        Ok(())
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(self.freezer()?, false)
    }

    /// Whether somebody froze the cgroup, or is about to. Without a freezer nobody can.
    pub fn frozen(&self) -> Result<bool> {
        self.holding("freezer").map_or(Ok(false), |hierarchy| self.is_frozen(hierarchy))
    }

    /// The same in one hierarchy; no if it has no freezer, or the cgroup is gone.
    pub(super) fn is_frozen(&self, hierarchy: &Hierarchy) -> Result<bool> {
        let (name, thawed): (&[u8], &[u8]) = match self.mode {
            Mode::V2 => (b"cgroup.freeze", b"0"),
            _ => (b"freezer.state", b"THAWED"),
        };
        let mut buffer = [0; 64];
        match self.read_file(hierarchy, name, &mut buffer) {
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(false),
            state => Ok(state?.trim_ascii() != thawed),
        }
    }

    fn freezer(&self) -> Result<&Hierarchy> {
        self.holding("freezer")
            .ok_or_else(|| Error::refused("freeze", "cgroup controller freezer is not mounted"))
    }

    fn set_frozen(&self, hierarchy: &Hierarchy, frozen: bool) -> Result<()> {
        let (name, value): (&[u8], &[u8]) = match (self.mode, frozen) {
            (Mode::V2, true) => (b"cgroup.freeze", b"1"),
            (Mode::V2, false) => (b"cgroup.freeze", b"0"),
            (_, true) => (b"freezer.state", b"FROZEN"),
            (_, false) => (b"freezer.state", b"THAWED"),
        };
        self.write_file(hierarchy, name, value)
    }

    fn has_frozen(&self, hierarchy: &Hierarchy) -> Result<bool> {
        let name: &[u8] = if self.mode == Mode::V2 { b"cgroup.events" } else { b"freezer.state" };
        let mut buffer = [0; 256];
        let text = self.read_file(hierarchy, name, &mut buffer)?;
        Ok(match self.mode {
            Mode::V2 => keyed(text, b"frozen") == Some(1),
            _ => text.trim_ascii() == b"FROZEN",
        })
    }
}
