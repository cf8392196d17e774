//! Whether memory ran out.

use rustix::io::Errno;

use super::{Cgroups, Mode};
use crate::error::Result;
use crate::wire::cgroupfs::keyed;

impl Cgroups {
    /// How many processes of the cgroup the kernel has killed for want of memory. 0 where nobody counts:
    /// without the memory controller, and on v1 before Linux 4.13.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(hierarchy) = self.holding("memory") else { return Ok(0) };
        let name: &[u8] = if self.mode == Mode::V2 { b"memory.events" } else { b"memory.oom_control" };
        let mut buffer = [0; 512];
        match self.read_file(hierarchy, name, &mut buffer) {
            Ok(text) => Ok(keyed(text, b"oom_kill").unwrap_or(0)),
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}
