//! `spec`: writes a config.json to begin with, the same as runc's.

use core::ffi::CStr;
use core::fmt::Write;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};

use super::lex::{Item, Parser, usage};
use super::pieces::Piece::{self, Gid, Rooted, Rootless, Text, Uid, Unified};
use super::pieces::{self, Variant, write};
use super::{Command, Globals, output, report};
use crate::cgroup::{self, Cgroups};
use crate::container::config;
use crate::error::{Context, Errno, Error, Result};
use crate::text::{Into, PathBuf, shown};
use crate::{form, oci, sys};

pub const COMMAND: Command = Command {
    name: "spec",
    operands: "",
    help: "write a config.json to begin with",
    flags: "\
    bundle,b DIR: where to write it\n\
    rootless: for an ordinary user\n\
    from FILE: print FILE, which may be in the minirunc form, as OCI has it\n",
    run,
};

const NAME: &CStr = c"config.json";

/// Bytes that it has at most, with room to spare.
const LONGEST: usize = 16 << 10;

/// The three sets of capabilities are alike. (Up to runc 1.1 the ambient set was, too.)
const CAPABILITIES: Piece = Text(r#"["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]"#);

/// What `runc spec` writes since 1.4, in the order of the specification's Go types.
static CONFIG: &[Piece] = &[
    Text(r#"{"ociVersion":""#),
    Text(oci::VERSION),
    Text(concat!(
        r#"","process":{"terminal":true,"user":{"uid":0,"gid":0},"args":["sh"],"#,
        r#""env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"#,
        r#""cwd":"/","capabilities":{"bounding":"#,
    )),
    CAPABILITIES,
    Text(r#","effective":"#),
    CAPABILITIES,
    Text(r#","permitted":"#),
    CAPABILITIES,
    Text(concat!(
        r#"},"rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],"noNewPrivileges":true},"#,
        r#""root":{"path":"rootfs","readonly":true},"hostname":"runc","mounts":["#,
    )),
    Text(form::FIRST_MOUNTS),
    // A group that an ordinary user's namespace does not have.
    Rooted(r#","gid=5""#),
    Text(form::MORE_MOUNTS),
    // A sysfs belongs to a network namespace, which is the host's there.
    Rooted(r#""type":"sysfs","source":"sysfs","options":["#),
    Rootless(r#""type":"none","source":"/sys","options":["rbind","#),
    Text(concat!(
        r#""nosuid","noexec","nodev","ro"]},{"destination":"/sys/fs/cgroup","type":"cgroup","#,
        r#""source":"cgroup","options":["nosuid","noexec","nodev","relatime","ro"]}],"linux":{"#,
    )),
    Rootless(r#""uidMappings":[{"containerID":0,"hostID":"#),
    Uid,
    Rootless(r#","size":1}],"gidMappings":[{"containerID":0,"hostID":"#),
    Gid,
    Rootless(r#","size":1}],"#),
    Rooted(r#""resources":{"devices":[{"allow":false,"access":"rwm"}]},"#),
    Text(r#""namespaces":[{"type":"pid"},"#),
    Rooted(r#"{"type":"network"},"#),
    Text(r#"{"type":"ipc"},{"type":"uts"},{"type":"mount"}"#),
    Unified(r#",{"type":"cgroup"}"#),
    Rootless(r#",{"type":"user"}"#),
    Text("],"),
    Text(form::HIDDEN),
];

#[cold]
fn run(globals: &Globals, mut parser: Parser) -> Result<u8> {
    let (mut bundle, mut from, mut variant) = (c".", None, Variant::default());
    while let Some(item) = parser.advance()? {
        match item {
            Item::Flag("bundle", dir) => bundle = dir,
            Item::Flag(_, file) => from = Some(file),
            Item::Switch(_, on) => variant.rootless = on,
            Item::Operand(_) => return Err(usage("no operand is expected")),
        }
    }
    if let Some(file) = from {
        return print(globals, file);
    }
    variant.unified =
        Cgroups::discover(cgroup::Mounted::look()).is_ok_and(|cgroups| cgroups.mode() == cgroup::Mode::V2);
    let mut text = Into::new(sys::memory::anonymous(LONGEST).context("mmap", "config.json")?);
    write(CONFIG, variant, "\t", &mut text).map_err(|_| Error::refused("spec", "longer than its memory"))?;

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, bundle, flags, Mode::empty()).context("open", shown(bundle))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = match openat(&dir, NAME, flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) => return Err(Error::refused("spec", "File config.json exists. Remove it first")),
        done => done.context("open", "config.json")?,
    };
    let written = rustix::io::write(&file, text.finish()).context("write", "config.json");
    if written.is_err() {
        let _ = unlinkat(&dir, NAME, AtFlags::empty());
    }
    written.map(|_| 0)
}

/// Prints a configuration as OCI has it.
fn print(globals: &Globals, file: &CStr) -> Result<u8> {
    let text = config::text(file, config::NAME)?;
    let end = file.to_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let mut bundle = PathBuf::from_bytes(file.to_bytes()).unwrap_or_default();
    bundle.truncate(end);
    let mut warn = |warning: &Error| report::warning(globals, warning);
    config::as_oci((config::NAME, text), &bundle, None, &mut warn, |document, _| {
        output::print(|out| {
            pieces::Indented::new("\t", out).write_str(document.text())?;
            out.write_char('\n')
        })
    })?;
    Ok(0)
}
