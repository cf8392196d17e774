//! Standard output, in few writes.

use core::fmt;

use rustix::fd::BorrowedFd;

use crate::error::{Context, Errno, Error, Result};
use crate::sys::stdio::stdout;

/// Collects text and writes it out when full, and at [`Output::flush`].
pub struct Output {
    buffer: heapless::Vec<u8, 4096>,
    failed: Option<Errno>,
}

impl Output {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { buffer: heapless::Vec::new(), failed: None }
    }

    /// Writes out what is left. What went wrong on the way is told here.
    pub fn flush(mut self) -> Result<()> {
        self.spill();
        self.failed.map_or(Ok(()), Err).context("write", "standard output")
    }

    fn spill(&mut self) {
        if self.failed.is_none() {
            self.failed = write_all(stdout(), &self.buffer).err();
        }
        self.buffer.clear();
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for chunk in text.as_bytes().chunks(1024) {
            if self.buffer.capacity() - self.buffer.len() < chunk.len() {
                self.spill();
            }
            let _ = self.buffer.extend_from_slice(chunk);
        }
        Ok(())
    }
}

/// Writes all of `text`, in as many writes as it takes.
pub fn write_all(file: BorrowedFd<'_>, mut text: &[u8]) -> core::result::Result<(), Errno> {
    while !text.is_empty() {
        match rustix::io::write(file, text) {
            Ok(written) => text = text.get(written..).unwrap_or(&[]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Prints what `fill` writes.
pub fn print(mut fill: impl FnMut(&mut Output) -> fmt::Result) -> Result<()> {
    print_all(&mut fill)
}

#[inline(never)]
fn print_all(fill: &mut dyn FnMut(&mut Output) -> fmt::Result) -> Result<()> {
    let mut output = Output::new();
    fill(&mut output).map_err(|_| Error::refused("write", "standard output: not formatted"))?;
    output.flush()
}
