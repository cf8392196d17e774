//! What runs inside: the lists of steps that turn the last stage into the container's process.
//!
//! Init prints nothing. What fails is told to the runtime over the socket, and the process ends.

mod create;
mod cwd;
mod environment;
mod execute;

use nsenter::stage;

use crate::sys::arguments::Strings;

/// Whether the program was started as a stage.
pub fn is_stage(arguments: Strings) -> bool {
    arguments.stage().is_some()
}

/// The program's part as a stage. Comes back only when it has failed, with the status to exit with; the
/// runtime knows why.
pub fn main(arguments: Strings) -> u8 {
    let Some((socket, name)) = arguments.stage() else { return 1 };
    let channel = stage::enter(socket, name);
    let Err(error) = create::create(channel);
    // When this fails as well, the runtime is gone and there is nobody to tell.
    let _ = channel.send_error(error.op(), error.subject(), error.errno().map(|errno| errno.raw_os_error()));
    1
}
