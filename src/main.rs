//! The program: hand the arguments to `cmd`, exit with its status.
fn main() {}
