//! `state`: what a container is doing.

use super::lex::Parser;
use super::output::Output;
use super::{Command, Globals, only_id};
use crate::container::{query, record};
use crate::error::Result;
use crate::wire::json::Writer;

pub const COMMAND: Command =
    Command { name: "state", operands: "ID", help: "print the state of a container as JSON", flags: "", run };

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let id = only_id(parser, |_| {})?;
    let store = globals.store(id)?;
    let mut out = Output::new();
    query::look(&store, id, record::room()?, &mut |it| it.print("", &mut Writer::indented(&mut out, 2)))?;
    out.flush()?;
    Ok(0)
}
