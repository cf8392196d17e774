//! `start`: lets the process of a created container run.

use super::lex::{Item, Parser};
use super::{Command, Globals, only_id, report, trace};
use crate::container::gate;
use crate::error::{Error, Result};

pub const COMMAND: Command = Command {
    name: "start",
    operands: "ID",
    help: "start the process of a created container",
    flags: "trace FILE: write when each phase began and how long it took (-: a table)\n",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let id = only_id(parser, |item| {
        if let Item::Flag(_, path) = item {
            trace::begin(globals, path);
        }
    })?;
    let mut warn = |warning: &Error| report::warning(globals, warning);
    gate::start(&globals.store(id)?, id, globals.notify(), &mut warn)?;
    Ok(0)
}
