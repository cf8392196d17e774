//! `delete`: removes what is left of a container.

use super::lex::{Item, Parser};
use super::{Command, Globals, only_id, report};
use crate::container::destroy;
use crate::container::store::MISSING;
use crate::error::{Error, Result};

pub const COMMAND: Command = Command {
    name: "delete",
    operands: "ID",
    help: "remove a container that has stopped",
    flags: "\
    force,f: kill it first if it still runs\n",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let mut force = false;
    let id = only_id(parser, |item| {
        if let Item::Switch("force", on) = item {
            force = on;
        }
    })?;
    let mut warn = |warning: &Error| report::warning(globals, warning);
    match globals.store(id).and_then(|store| destroy::delete(&store, id, force, &mut warn)) {
        Err(error) if force && error.op() == MISSING => Ok(0),
        done => done.map(|()| 0),
    }
}
