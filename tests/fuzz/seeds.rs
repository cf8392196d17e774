//! `seeds DIR`: each target's seeds as files in DIR/TARGET, and the words in them as DIR/TARGET.dict, for libFuzzer.

use std::fs;
use std::path::PathBuf;

use minirunc_tests::fuzz::{TARGETS, mutate};

fn main() -> std::io::Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).expect("usage: seeds DIR"));
    for target in TARGETS {
        let seeds = (target.seeds)();
        let place = dir.join(target.name);
        fs::create_dir_all(&place)?;
        for (nth, seed) in seeds.iter().enumerate() {
            fs::write(place.join(format!("seed-{nth:02}")), seed)?;
        }
        let words = mutate::words(&seeds).into_iter().filter(|word| word.iter().all(u8::is_ascii_graphic));
        let lines: Vec<_> = words.map(|word| format!("\"{}\"", word.escape_ascii())).collect();
        fs::write(dir.join(format!("{}.dict", target.name)), lines.join("\n") + "\n")?;
        println!("{}", target.name);
    }
    Ok(())
}
