//! One value into one control file, and what to say when the kernel does not take it.

use core::fmt::{self, Write};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::{Cgroups, Hierarchy, Mode};
use crate::error::{Error, Result};
use crate::sys::fd::write_at;
use crate::text::Bytes;

/// A number, or a few with their key.
pub(super) type Text = heapless::String<128>;

/// A value among others that it depends on.
pub(super) struct Setting {
    /// Below `linux.resources`.
    pub field: &'static str,
    pub file: &'static str,
    pub value: Text,
}

impl Setting {
    pub(super) fn new(field: &'static str, file: &'static str, value: impl fmt::Display) -> Self {
        Self { field, file, value: text(format_args!("{value}")) }
    }
}

/// Cut off when it is too long: the kernel then refuses it, and the error shows it.
#[inline(never)]
pub(super) fn text(value: fmt::Arguments<'_>) -> Text {
    let mut text = Text::new();
    let _ = text.write_fmt(value);
    text
}

impl Cgroups {
    /// Writes one value. `field` is below `linux.resources`.
    #[inline(never)]
    pub(super) fn set(&self, field: &str, controller: &str, file: &str, value: &[u8]) -> Result<()> {
        self.set_first(field, controller, &[file], value)
    }

    /// Writes one value to the first of these files that there is: their names changed with the kernel.
    #[inline(never)]
    pub(super) fn set_first(
        &self,
        field: &str,
        controller: &str,
        files: &[&str],
        value: &[u8],
    ) -> Result<()> {
        let hierarchy = self.controller(field, controller)?;
        for (at, file) in files.iter().enumerate() {
            let path = self.file(hierarchy, file.as_bytes());
            match write_at(CWD, path.as_cstr(), value) {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) if at + 1 < files.len() => {}
                Err(errno) => return Err(self.refused(hierarchy, field, controller, file, value, errno)),
            }
        }
        Ok(())
    }

    /// Writes values of which one limits the other, so that the order in which the kernel takes them
    /// depends on what was there before: memory and memory with swap; quota, period and burst. What is
    /// refused as invalid is tried again after the others, as long as one of them is taken.
    #[inline(never)]
    pub(super) fn settle(&self, controller: &str, settings: &[Setting]) -> Result<()> {
        let Some(first) = settings.first() else { return Ok(()) };
        let hierarchy = self.controller(first.field, controller)?;
        let mut taken = 0u32;
        loop {
            let (before, mut refused) = (taken, None);
            for (at, setting) in settings.iter().enumerate().filter(|(at, _)| before & 1 << at == 0) {
                let path = self.file(hierarchy, setting.file.as_bytes());
                match write_at(CWD, path.as_cstr(), setting.value.as_bytes()) {
                    Ok(()) => taken |= 1 << at,
                    Err(Errno::INVAL) if settings.len() > 1 => {
                        refused.get_or_insert(setting);
                    }
                    Err(errno) => {
                        let value = setting.value.as_bytes();
                        return Err(self.refused(
                            hierarchy,
                            setting.field,
                            controller,
                            setting.file,
                            value,
                            errno,
                        ));
                    }
                }
            }
            match refused {
                None => return Ok(()),
                Some(setting) if taken == before => {
                    let value = setting.value.as_bytes();
                    let errno = Errno::INVAL;
                    return Err(self.refused(
                        hierarchy,
                        setting.field,
                        controller,
                        setting.file,
                        value,
                        errno,
                    ));
                }
                Some(_) => {}
            }
        }
    }

    /// The hierarchy of a controller that `field` needs.
    pub(super) fn controller(&self, field: &str, controller: &str) -> Result<&Hierarchy> {
        self.holding(controller).ok_or_else(|| missing(field, controller, "is not mounted"))
    }

    #[cold]
    pub(super) fn refused(
        &self,
        hierarchy: &Hierarchy,
        field: &str,
        controller: &str,
        file: &str,
        value: &[u8],
        errno: Errno,
    ) -> Error {
        if errno == Errno::NOENT && self.mode == Mode::V2 && controller != "cgroup" {
            if let Some(error) = self.disabled(hierarchy, field, controller) {
                return error;
            }
        }
        let hint = match errno {
            Errno::NOENT => " (this kernel has no such file)",
            Errno::BUSY if controller == "memory" => " (below what is in use)",
            _ => "",
        };
        let directory = self.place(hierarchy);
        let subject = format_args!("{} to {directory}/{}{hint}", Bytes(value), Bytes(file.as_bytes()));
        Error::system("write", subject, errno).within(text(format_args!("linux.resources.{field}")).as_str())
    }
}

/// `linux.resources.network.classID: cgroup controller net_cls is not mounted`.
#[cold]
pub(super) fn missing(field: &str, controller: &str, how: &str) -> Error {
    let reason = format_args!("cgroup controller {} {how}", Bytes(controller.as_bytes()));
    Error::refused(text(format_args!("linux.resources.{field}")).as_str(), reason)
}

/// What only the other version of cgroups can do.
#[cold]
pub(super) fn impossible(field: &str, reason: &str) -> Error {
    Error::refused(text(format_args!("linux.resources.{field}")).as_str(), reason)
}
