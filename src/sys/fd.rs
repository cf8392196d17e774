//! Kernel files that hold a number or a line: opened, used once, closed.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

/// openat(2) and one write(2): control files take their value whole or not at all.
pub fn write_at(directory: impl AsFd, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let file = openat(directory, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, value).map(drop)
}

/// openat(2) and one read(2): kernel files give what they have, up to the size of the buffer, at once.
pub fn read_at<'b>(directory: impl AsFd, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let len = rustix::io::read(file, &mut *buffer)?;
    Ok(buffer.get(..len).unwrap_or_default())
}
