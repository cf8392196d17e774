//! What runs inside: the lists of steps that turn the last stage into the container's process.
//!
//! Init prints nothing. What fails is told to the runtime over the socket, and the process ends.

mod create;
mod cwd;
mod environment;
mod execute;

use nsenter::stage;

/// The program's part as a stage, with `socket` inherited and `name` its argv[0]. Comes back only when it has
/// failed, with the status to exit with; the runtime knows why.
pub fn main(socket: i32, name: &mut [u8]) -> u8 {
    let channel = stage::enter(socket, name);
    let Err(error) = create::create(channel);
    // When this fails as well, the runtime is gone and there is nobody to tell.
    let _ = channel.send_error(error.op(), error.subject(), error.errno().map(|errno| errno.raw_os_error()));
    1
}
