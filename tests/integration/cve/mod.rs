//! The holes that runtimes have had, each staged again; a test's name carries the number.
//!
//! Every test was seen to fail with its defence taken out of the program; the line `Without:` at its head says which lines those
//! were and what came of it.

mod image;
mod inside;
mod race;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::probe;

/// A second process that exchanges two names in a directory as fast as it can.
struct Swapper(Child);

impl Swapper {
    fn new(directory: &Path, one: &str, other: &str) -> Self {
        // By descriptor: a command line with the bundle's path in it would be taken for a process of the container.
        let question = format!("swap /proc/self/fd/0/{one} /proc/self/fd/0/{other}");
        let mut command = Command::new(probe());
        command.arg(question).stdin(File::open(directory).expect("directory")).stdout(Stdio::null());
        Self(command.spawn().expect("the probe"))
    }

    /// It has been at it all the time.
    #[track_caller]
    fn stop(mut self) {
        assert!(self.0.try_wait().expect("wait").is_none(), "the attacker gave up");
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The container's /dev is the image's: nothing is mounted on it or below.
fn on_the_images_dev(bundle: &mut Bundle) {
    bundle.config["root"]["readonly"] = serde_json::json!(false);
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.drop_mount(point);
    }
}
