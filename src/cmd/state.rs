//! `state`: what a container is doing.

use core::fmt;

use super::lex::Parser;
use super::{Command, Globals, only_id, output};
use crate::container::query;
use crate::error::Result;
use crate::wire::json::Writer;

pub const COMMAND: Command = Command {
    name: "state",
    operands: "ID",
    help: "print the state of a container as JSON",
    flags: &[],
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let id = only_id(parser, |_| {})?;
    let store = globals.store(id)?;
    let mut outcome = Ok(Ok(()));
    output::print(|out| {
        outcome = query::state(&store, id, &mut Writer::indented(out));
        fmt::Result::Ok(())
    })?;
    outcome?.map_err(|_| crate::error::Error::refused("state", "not formatted"))?;
    Ok(0)
}
