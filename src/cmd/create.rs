//! `create`: makes a container, whose process then waits for `start`.

use super::{Command, run};

pub const COMMAND: Command = Command {
    name: "create",
    operands: "ID",
    help: "make the container of a bundle, to be started",
    flags: run::OF_CREATE,
    run: |globals, parser| run::launch(globals, parser, true),
};
