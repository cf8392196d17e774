//! `resume`: let a paused container go on.

use super::lex::Parser;
use super::{Command, Globals, only_id};
use crate::container::pause;
use crate::error::Result;

pub const COMMAND: Command =
    Command { name: "resume", operands: "ID", help: "let a paused container go on", flags: "", run };

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let id = only_id(parser, |_| {})?;
    pause::resume(&globals.store(id)?, id).map(|()| 0)
}
