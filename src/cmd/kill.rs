//! `kill`: a signal to a container.

use super::lex::{Item, Parser, usage};
use super::{Command, Globals, id_and_rest};
use crate::container::kill::{self, NOT_RUNNING};
use crate::error::{Error, Result};
use crate::plan::names;
use crate::text::shown;

pub const COMMAND: Command = Command {
    name: "kill",
    operands: "ID [SIGNAL]",
    help: "send a signal, by number or name, to a container (SIGTERM)",
    flags: "\
    all,a: no error when it has stopped (its processes end with it anyway)\n",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let mut all = false;
    let (id, mut rest) = id_and_rest(parser, &mut |item| all = matches!(item, Item::Switch(_, true)))?;
    let name = rest.next().unwrap_or(c"TERM");
    if rest.next().is_some() {
        return Err(usage("one signal is expected"));
    }
    let signal = names::signal(name.to_bytes())
        .ok_or_else(|| Error::refused("kill", format_args!("unknown signal \"{}\"", shown(name))))?;
    match kill::kill(&globals.store(id)?, id, signal) {
        Err(error) if all && error.op() == NOT_RUNNING => Ok(0),
        done => done.map(|()| 0),
    }
}
