//! One value into one control file, and what to say when the kernel does not take it.

use rustix::fs::CWD;
use rustix::io::Errno;

use super::{Cgroups, Hierarchy, Mode};
use crate::error::{Error, Result};
use crate::plan::convert::Limit;
use crate::sys::fd::write_at;
use crate::text::Bytes;

pub(super) use crate::text::{Short as Text, short as text};

/// A limit: its name below `linux.resources`, and the file that takes it.
#[derive(Clone, Copy)]
pub(super) struct Knob<'a> {
    pub field: &'a str,
    pub file: &'a str,
}

/// A table's row.
pub(super) const fn knob(field: &'static str, file: &'static str) -> Knob<'static> {
    Knob { field, file }
}

/// A control file's controller is its name up to the first dot.
fn controller_of(file: &str) -> &str {
    let end = file.bytes().position(|byte| byte == b'.').unwrap_or(file.len());
    file.get(..end).unwrap_or(file)
}

/// A number as v1 takes it.
#[inline(never)]
pub(super) fn plain(value: i64) -> Text {
    text(format_args!("{value}"))
}

/// A limit as v2 takes it.
#[inline(never)]
pub(super) fn limit(value: i64) -> Text {
    text(format_args!("{}", Limit(value)))
}

impl Cgroups {
    /// Writes one value.
    #[inline(never)]
    pub(super) fn set(&self, knob: &Knob<'_>, value: &[u8]) -> Result<()> {
        self.set_first(knob.field, &[knob.file], value)
    }

    /// Writes one value to the first of these files that there is: their names changed with the kernel.
    #[inline(never)]
    pub(super) fn set_first(&self, field: &str, files: &[&str], value: &[u8]) -> Result<()> {
        for (at, file) in files.iter().enumerate() {
            let hierarchy = self.controller(field, controller_of(file))?;
            match self.write(hierarchy, file, value) {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) if at + 1 < files.len() => {}
                Err(errno) => return Err(self.refused(hierarchy, &Knob { field, file }, value, errno)),
            }
        }
        Ok(())
    }

    /// Values that do not depend on each other; those that are not given are left alone.
    #[inline(never)]
    pub(super) fn set_all(
        &self,
        knobs: &[Knob<'_>],
        values: &[Option<i64>],
        number: fn(i64) -> Text,
    ) -> Result<()> {
        for (knob, value) in knobs.iter().zip(values) {
            if let Some(value) = value {
                self.set(knob, number(*value).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes values of which one limits the other, so that the order in which the kernel takes them
    /// depends on what was there before: memory and memory with swap; quota, period and burst. What is
    /// refused as invalid is tried again after the others, as long as one of them is taken. `first`: the first value,
    /// where it is more than a number.
    #[inline(never)]
    pub(super) fn settle(
        &self,
        knobs: &[Knob<'_>],
        values: &[Option<i64>],
        first: Option<&Text>,
    ) -> Result<()> {
        let mut taken = 0u32;
        loop {
            let (before, mut refused) = (taken, None);
            for (at, (knob, value)) in knobs.iter().zip(values).enumerate() {
                let value = match (at, first, value) {
                    (0, Some(first), _) => first.clone(),
                    (_, _, Some(value)) => plain(*value),
                    _ => continue,
                };
                if before & 1 << at != 0 {
                    continue;
                }
                let hierarchy = self.controller(knob.field, controller_of(knob.file))?;
                match self.write(hierarchy, knob.file, value.as_bytes()) {
                    Ok(()) => taken |= 1 << at,
                    Err(errno) => {
                        let again = errno == Errno::INVAL;
                        if !again || refused.is_none() {
                            let error = self.refused(hierarchy, knob, value.as_bytes(), errno);
                            if !again {
                                return Err(error);
                            }
                            refused = Some(error);
                        }
                    }
                }
            }
            match refused {
                None => return Ok(()),
                Some(error) if taken == before => return Err(error),
                Some(_) => {}
            }
        }
    }

    fn write(&self, hierarchy: &Hierarchy, file: &str, value: &[u8]) -> core::result::Result<(), Errno> {
        write_at(CWD, self.file(hierarchy, file.as_bytes()).as_cstr(), value)
    }

    /// The hierarchy of a controller that `field` needs.
    pub(super) fn controller(&self, field: &str, controller: &str) -> Result<&Hierarchy> {
        self.holding(controller).ok_or_else(|| missing(field, controller, "is not mounted"))
    }

    #[cold]
    pub(super) fn refused(
        &self,
        hierarchy: &Hierarchy,
        knob: &Knob<'_>,
        value: &[u8],
        errno: Errno,
    ) -> Error {
        let controller = controller_of(knob.file);
        if errno == Errno::NOENT && self.mode == Mode::V2 && controller != "cgroup" {
            if let Some(error) = self.disabled(hierarchy, knob.field, controller) {
                return error;
            }
        }
        let hint = match errno {
            Errno::NOENT => " (this kernel has no such file)",
            Errno::BUSY if controller == "memory" => " (below what is in use)",
            _ => "",
        };
        let directory = self.place(hierarchy);
        let subject = format_args!("{} to {directory}/{}{hint}", Bytes(value), Bytes(knob.file.as_bytes()));
        Error::system("write", subject, errno).within(&named(knob.field))
    }
}

/// The whole name of what `field` is below `linux.resources`.
#[cold]
pub(super) fn named(field: &str) -> Text {
    text(format_args!("linux.resources.{field}"))
}

/// `linux.resources.network.classID: cgroup controller net_cls is not mounted`.
#[cold]
pub(super) fn missing(field: &str, controller: &str, how: &str) -> Error {
    let reason = format_args!("cgroup controller {} {how}", Bytes(controller.as_bytes()));
    Error::refused(&named(field), reason)
}

/// What only the other version of cgroups can do.
#[cold]
pub(super) fn impossible(field: &str, reason: &str) -> Error {
    Error::refused(&named(field), reason)
}
