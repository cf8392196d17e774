//! The pid file: a number without a newline, there whole or not at all.

use core::ffi::CStr;
use core::fmt::Write;

use rustix::fs::{self, CWD, Mode, OFlags};

use crate::error::{Context, Error, Result};
use crate::text::PathBuf;

/// The file's path. Relative ones stay so: we never change our directory.
pub fn locate(path: &CStr) -> Result<PathBuf> {
    PathBuf::from_bytes(path.to_bytes())
        .map_err(|_| Error::refused("--pid-file", "longer than a path may be"))
}

/// Writes `pid` under a hidden name beside it, and renames that.
pub fn write(path: &PathBuf, pid: i32) -> Result<()> {
    let bytes = path.as_bytes();
    let cut = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (folder, name) = bytes.split_at(cut);
    let mut hidden = PathBuf::new();
    [folder, b".", name]
        .iter()
        .try_for_each(|part| hidden.push(part))
        .map_err(|_| Error::refused("--pid-file", "longer than a path may be"))?;
    // Of a runtime that was killed here.
    let _ = fs::unlink(hidden.as_cstr());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file =
        fs::openat(CWD, hidden.as_cstr(), flags, Mode::from_raw_mode(0o644)).context("open", &hidden)?;
    let mut text = heapless::String::<12>::new();
    let _ = write!(text, "{pid}");
    let written = rustix::io::write(&file, text.as_bytes()).context("write", &hidden);
    let renamed = written.and_then(|_| fs::rename(hidden.as_cstr(), path.as_cstr()).context("rename", path));
    if renamed.is_err() {
        let _ = fs::unlink(hidden.as_cstr());
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_alone_and_nothing_hidden_stays() {
        let dir = std::env::temp_dir().join(std::format!("minirunc-pid-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(".pid"), "17 of a runtime that was killed").unwrap();
        let file = dir.join("pid");
        write(&PathBuf::from_bytes(file.to_str().unwrap().as_bytes()).unwrap(), 4711).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"4711");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
