//! `pause`: stop all processes of a container, until `resume`.

use super::lex::Parser;
use super::{Command, Globals, only_id};
use crate::container::pause;
use crate::error::Result;

pub const COMMAND: Command = Command {
    name: "pause",
    operands: "ID",
    help: "stop all processes of a container until resume",
    flags: "",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let id = only_id(parser, |_| {})?;
    pause::pause(&globals.store(id)?, id).map(|()| 0)
}
