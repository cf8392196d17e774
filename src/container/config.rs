//! A bundle: a directory with a config.json.

use core::ffi::CStr;

use rustix::fs::{self, Access, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{chdir, fchdir, getegid, geteuid};

use super::launch::is_rootless;
use super::store::read_full;
use crate::error::{Context, Error, Result};
use crate::form::{self, Request};
use crate::text::{PathBuf, shown};
use crate::wire::json::{Document, Rewriter, Rewritten, Text};
use crate::{limits, sys};

/// The name that errors about its content begin with.
pub const NAME: &str = "config.json";

/// The bundle's directory as an absolute path: as it was given, or, when relative, where it leads.
pub fn locate(bundle: &CStr) -> Result<PathBuf> {
    let given = bundle.to_bytes();
    if given.starts_with(b"/") {
        let end = given.iter().rposition(|&byte| byte != b'/').map_or(1, |last| last + 1);
        let path = PathBuf::from_bytes(given.get(..end).unwrap_or(given));
        return path.map_err(|_| Error::system("bundle", shown(bundle), Errno::NAMETOOLONG));
    }
    // By going there and back: for a descriptor's name /proc would first have to make an entry of it, ten times the price.
    let here = fs::openat(CWD, c".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .context("open", ".")?;
    let mut buffer = [0; limits::PATH];
    let found =
        chdir(bundle).and_then(|()| sys::process::getcwd(&mut buffer)).context("bundle", shown(bundle));
    fchdir(&here).context("fchdir", ".")?;
    PathBuf::from_bytes(found?.to_bytes())
        .map_err(|_| Error::system("bundle", shown(bundle), Errno::NAMETOOLONG))
}

/// The text of config.json, in memory of its own.
pub fn read(bundle: &PathBuf) -> Result<&'static [u8]> {
    let mut path = bundle.clone();
    path.join(NAME.as_bytes()).map_err(|_| Error::system("open", bundle, Errno::NAMETOOLONG))?;
    match text(path.as_cstr(), NAME) {
        Err(error) if error.errno() == Some(Errno::NOENT) => {
            Err(Error::refused("JSON specification file config.json not found", bundle))
        }
        done => done,
    }
}

/// The text of a file, or of a pipe until its end (`--process <(...)`), in memory of its own; `name` is what errors call it.
pub fn text(path: &CStr, name: &str) -> Result<&'static [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::openat(CWD, path, flags, Mode::empty()).context("open", shown(path))?;
    let stat = fs::fstat(&file).context("fstat", shown(path))?;
    let size = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => usize::try_from(stat.st_size).unwrap_or(usize::MAX),
        FileType::Fifo => {
            // Opening one did not wait for a writer; reading waits for what those who are there will write.
            fs::fcntl_setfl(&file, OFlags::empty()).context("fcntl", shown(path))?;
            limits::CONFIG
        }
        _ => return Err(Error::refused(name, "neither a regular file nor a pipe")),
    };
    if size > limits::CONFIG {
        return Err(Error::refused(name, format_args!("larger than {} MiB", limits::CONFIG >> 20)));
    }
    let buffer = sys::memory::anonymous(size.max(1)).context("mmap", name)?;
    let read = read_full(&file, buffer).context("read", shown(path))?;
    Ok(buffer.get(..read).unwrap_or(&[]))
}

/// Hands `take` a configuration as OCI has it: as it is, or what it says in the minirunc form. `name` stands in its errors; without
/// an `id` of a container it has no cgroup of its own.
pub fn as_oci<T>(
    (name, text): (&'static str, &'static [u8]),
    bundle: &PathBuf,
    id: Option<&CStr>,
    warn: &mut dyn FnMut(&Error),
    take: impl FnOnce(&Document<'_>, &mut dyn FnMut(&Error)) -> Result<T>,
) -> Result<T> {
    let document = Document::parse(name, text)?;
    if !form::is_written(&document.root())? {
        return take(&document, warn);
    }
    let profile = profile(&document, bundle)?;
    let (text, origins) = rewrite(&document, profile.as_ref(), id, warn)?;
    take(&Document::rewritten(name, text, &origins)?, warn)
}

/// What `seccomp_profile` of a configuration in the minirunc form names, relative to the bundle.
fn profile(written: &Document<'_>, bundle: &PathBuf) -> Result<Option<Document<'static>>> {
    const NAME: &str = "seccomp_profile";
    let node = written.root().at(NAME)?;
    if node.is_empty() {
        return Ok(None);
    }
    let mut path = bundle.clone();
    let text = node.read::<Text<'_>>()?;
    if text.starts_with('/') {
        path.truncate(0);
    }
    let joined = path.join(b"").and_then(|()| text.try_for_each(|piece| path.push(piece.as_bytes())));
    joined.map_err(|_| node.refuse("longer than a path may be"))?;
    Document::parse(NAME, self::text(path.as_cstr(), NAME)?).map(Some)
}

/// Memory for what is written around the values of a form.
const FRAME: usize = 16 << 10;

/// What a configuration in the minirunc form says, as OCI text and where its parts come from.
fn rewrite<'a>(
    written: &'a Document<'a>,
    profile: Option<&'a Document<'a>>,
    id: Option<&'a CStr>,
    warn: &mut dyn FnMut(&Error),
) -> Result<Rewritten<'static, 'a>> {
    let owner = is_rootless().then(|| (geteuid().as_raw(), getegid().as_raw()));
    // A list may be written three times, a profile once.
    let memory = sys::memory::anonymous(4 * limits::CONFIG + FRAME).context("mmap", NAME)?;
    let mut out = Rewriter::new(written, memory);
    let no_cgroups = fs::access(c"/proc/self/ns/cgroup", Access::EXISTS) == Err(Errno::NOENT);
    form::rewrite(written, &Request { id, owner, no_cgroups, profile }, &mut out, warn)?;
    out.finish(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_bundle_is_taken_by_its_name_and_a_relative_one_found() {
        assert_eq!(locate(c"/some/bundle//").unwrap().as_bytes(), b"/some/bundle");
        assert_eq!(locate(c"/").unwrap().as_bytes(), b"/");
        let here = std::env::current_dir().unwrap();
        assert_eq!(locate(c".").unwrap().as_bytes(), here.to_str().unwrap().as_bytes());
    }
}
