//! `help` and `version`, from the tables that the parser reads.

use core::ffi::CStr;
use core::fmt::{self, Write};

use super::lex::{self, usage};
use super::{COMMANDS, FLAGS, NAME, output};
use crate::error::Result;
use crate::oci;
use crate::text::shown;

/// What the program is and what it can be told.
pub fn overview() -> Result<u8> {
    output::print(|out| {
        writeln!(
            out,
            "{NAME} {}: runs OCI containers from one small static file",
            env!("CARGO_PKG_VERSION")
        )?;
        writeln!(out, "\nUsage: {NAME} [global flags] COMMAND [flags] [operands]\n\nCommands:")?;
        for command in COMMANDS {
            writeln!(out, "  {:<8} {:<18} {}", command.name, command.operands, command.help)?;
        }
        writeln!(out, "  {:<8} {:<18} print the help of a command", "help", "[COMMAND]")?;
        flags(out, "Global flags", FLAGS)
    })?;
    Ok(0)
}

/// What one command can be told.
pub fn about(verb: Option<&CStr>) -> Result<u8> {
    let Some(verb) = verb else { return overview() };
    let Some(command) = COMMANDS.iter().find(|command| command.name.as_bytes() == verb.to_bytes()) else {
        return Err(usage(format_args!("No help topic for '{}'", shown(verb))));
    };
    output::print(|out| {
        writeln!(out, "Usage: {NAME} {} [flags] {}\n\n{}", command.name, command.operands, command.help)?;
        flags(out, "Flags", command.flags)
    })?;
    Ok(0)
}

fn flags(out: &mut impl Write, title: &str, flags: &'static str) -> fmt::Result {
    if !flags.is_empty() {
        writeln!(out, "\n{title}:")?;
    }
    for flag in lex::flags(flags) {
        match flag.letter {
            Some(letter) => write!(out, "  -{letter}, ")?,
            None => out.write_str("      ")?,
        }
        let mut shape = heapless::String::<48>::new();
        write!(shape, "--{}", flag.name)?;
        if let Some(value) = flag.value {
            write!(shape, " {value}")?;
        }
        writeln!(out, "{shape:<38} {}", flag.help)?;
    }
    Ok(())
}

/// The version, in the form that callers parse. Where the program stands in for runc (by its name), its first
/// word is `runc`: go-runc looks for that.
pub fn version(name: &CStr) -> Result<u8> {
    let base = name.to_bytes().rsplit(|&byte| byte == b'/').next();
    let name = if base == Some(b"runc") { "runc" } else { NAME };
    output::print(|out| {
        writeln!(out, "{name} version {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "commit: {}\nspec: {}", env!("MINIRUNC_COMMIT"), oci::VERSION)
    })?;
    Ok(0)
}
