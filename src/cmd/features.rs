//! `features`: what this build can do, for callers that ask before they ask for it.
//!
//! Names come from the tables that the translation reads. That the rest is true, too, is a test: each feature is asked
//! for, and either taken or refused as it is said here.

use core::fmt::Write;

use super::lex::{Parser, usage};
use super::output::print;
use super::pieces::Piece::{self, MountOptions, Names, Strings, Text};
use super::pieces::{Variant, write};
use super::{Command, Globals};
use crate::error::Result;
use crate::oci;
use crate::plan::hook::STAGES;
use crate::plan::names::{CAPABILITIES, MEMORY_FLAGS, MEMORY_MODES, NAMESPACES};
use crate::seccomp;

pub const COMMAND: Command =
    Command { name: "features", operands: "", help: "print what this build can do as JSON", flags: "", run };

/// features.md and features-linux.md of the specification.
static FEATURES: &[Piece] = &[
    Text(r#"{"ociVersionMin":"1.0.0","ociVersionMax":""#),
    Text(oci::VERSION),
    Text(r#"","hooks":["#),
    Strings(&STAGES),
    Text(r#"],"mountOptions":["#),
    MountOptions,
    Text(r#"],"linux":{"namespaces":["#),
    Names(NAMESPACES),
    Text(r#"],"capabilities":["#),
    Names(CAPABILITIES),
    Text(concat!(
        r#"],"cgroup":{"v1":true,"v2":true,"systemd":false,"systemdUser":false,"rdma":true},"#,
        r#""seccomp":{"enabled":true,"actions":["#,
    )),
    Names(seccomp::ACTIONS),
    Text(r#"],"operators":["#),
    Strings(seccomp::OPERATORS),
    Text(r#"],"archs":["#),
    Strings(seccomp::ARCHITECTURES),
    Text(r#"],"knownFlags":["#),
    Names(seccomp::FLAGS),
    Text(r#"],"supportedFlags":["#),
    Names(seccomp::FLAGS),
    Text(concat!(
        r#"]},"apparmor":{"enabled":true},"selinux":{"enabled":true},"#,
        r#""intelRdt":{"enabled":true,"schemata":true,"monitoring":true},"memoryPolicy":{"modes":["#,
    )),
    Names(MEMORY_MODES),
    Text(r#"],"flags":["#),
    Names(MEMORY_FLAGS),
    Text(concat!(
        r#"]},"#,
        r#""mountExtensions":{"idmap":{"enabled":true}},"netDevices":{"enabled":true}},"annotations":{"#,
        r#""io.github.minirunc-static.commit":""#,
        env!("MINIRUNC_COMMIT"),
        r#"","io.github.minirunc-static.version":""#,
        env!("CARGO_PKG_VERSION"),
        // The key that callers know; the specification has none.
        r#"","org.opencontainers.runc.checkpoint.enabled":"false"},"potentiallyUnsafeConfigAnnotations":[]}"#,
    )),
];

fn run(_: &Globals, mut parser: Parser) -> Result<u8> {
    if parser.advance()?.is_some() {
        return Err(usage("no operand is expected"));
    }
    print(|out| {
        write(FEATURES, Variant::default(), "    ", out)?;
        out.write_char('\n')
    })?;
    Ok(0)
}
