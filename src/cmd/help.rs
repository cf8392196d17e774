//! `help` and `version`, from the tables that the parser reads.

use core::ffi::CStr;
use core::fmt::{self, Write};

use super::lex::{self, usage};
use super::{COMMANDS, FLAGS, Globals, NAME, output};
use crate::error::Result;
use crate::oci;
use crate::text::shown;

/// What the program is and what it can be told. The first two lines are as runc's callers know them.
pub fn overview(globals: &Globals) -> Result<u8> {
    let name = globals.name;
    output::print(|out| {
        writeln!(out, "NAME:\n  {name} - Open Container Initiative runtime in one small static file")?;
        writeln!(out, "\nUsage: {name} [global flags] COMMAND [flags] [operands]\n\nCommands:")?;
        for command in COMMANDS {
            writeln!(out, "  {:<8} {:<18} {}", command.name, command.operands, command.help)?;
        }
        writeln!(out, "  {:<8} {:<18} print the help of a command", "help", "[COMMAND]")?;
        flags(out, "Global flags", FLAGS)
    })?;
    Ok(0)
}

/// What one command can be told.
pub fn about(globals: &Globals, verb: Option<&CStr>) -> Result<u8> {
    let Some(verb) = verb else { return overview(globals) };
    let Some(command) = COMMANDS.iter().find(|command| command.name.as_bytes() == verb.to_bytes()) else {
        return Err(usage(format_args!("No help topic for '{}'", shown(verb))));
    };
    output::print(|out| {
        let (program, name) = (globals.name, command.name);
        writeln!(out, "NAME:\n  {program} {name} - {}", command.help)?;
        writeln!(out, "\nUsage: {program} {name} [flags] {}", command.operands)?;
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

/// What to be called by who called us `path`: `runc` where the program stands in for that.
pub fn name(path: &CStr) -> &'static str {
    let base = path.to_bytes().rsplit(|&byte| byte == b'/').next();
    if base == Some(b"runc") { "runc" } else { NAME }
}

/// The version, in the form that callers parse: go-runc looks for `runc` as the first word.
pub fn version(globals: &Globals) -> Result<u8> {
    output::print(|out| {
        writeln!(out, "{} version {}", globals.name, env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "commit: {}\nspec: {}", env!("MINIRUNC_COMMIT"), oci::VERSION)
    })?;
    Ok(0)
}
