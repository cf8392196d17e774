//! `documents bash|zsh|man`: prints what a package installs beside the executable.

use minirunc_tests::documents;

fn main() {
    let text = match std::env::args().nth(1).as_deref() {
        Some("bash") => documents::bash(),
        Some("zsh") => documents::zsh(),
        Some("man") => documents::man(),
        _ => {
            eprintln!("usage: documents bash|zsh|man");
            std::process::exit(1);
        }
    };
    print!("{text}");
}
