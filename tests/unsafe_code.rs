//! Unsafe code by file, against a table that may only shrink, each place with its reason. To read them all:
//! `cargo test -p minirunc-tests --test unsafe_code -- --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many blocks, functions, traits and implementations are unsafe. A file that has fewer gets its number lowered here; one
/// that needs more, a good reason.
const TABLE: &[(&str, usize)] = &[
    ("nsenter/src/arch/aarch64.rs", 4),
    ("nsenter/src/arch/riscv64.rs", 4),
    ("nsenter/src/arch/x86_64.rs", 4),
    ("nsenter/src/error/slot.rs", 3),
    ("nsenter/src/raw.rs", 28),
    ("nsenter/src/raw/start.rs", 3),
    ("src/main.rs", 3),
    ("src/plan/noun.rs", 19),
    ("src/seccomp/rules.rs", 1),
    ("src/sys/arguments.rs", 3),
    ("src/sys/bpf.rs", 3),
    ("src/sys/clock.rs", 1),
    ("src/sys/descriptor.rs", 3),
    ("src/sys/link.rs", 1),
    ("src/sys/memory.rs", 3),
    ("src/sys/mount.rs", 1),
    ("src/sys/pidfd.rs", 1),
    ("src/sys/process.rs", 14),
    ("src/sys/scheduling.rs", 5),
    ("src/sys/seccomp.rs", 2),
    ("src/sys/signal.rs", 4),
    ("src/sys/signalfd.rs", 3),
    ("src/sys/stdio.rs", 3),
    ("src/text.rs", 2),
    ("src/text/shelf.rs", 3),
];

struct Place {
    line: usize,
    code: String,
    /// What the comment above says: `SAFETY:` over a block or an implementation, `# Safety` over what is called or implemented.
    reason: Option<String>,
}

/// The unsafe places of a file, but for its tests.
fn places(text: &str) -> Vec<Place> {
    let lines: Vec<&str> = text.lines().take_while(|line| !line.starts_with("mod tests {")).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for (place, _) in code.match_indices("unsafe ") {
            if code[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[place + "unsafe ".len()..];
            // What is declared unsafe tells its callers; what uses or implements such a thing tells why it may.
            let is_declared = ["fn ", "trait ", "extern "].iter().any(|word| rest.starts_with(word));
            let word = if is_declared { "# Safety" } else { "SAFETY:" };
            let reason =
                if rest.starts_with("extern ") { Some("foreign".into()) } else { reason(&lines[..at], word) };
            found.push(Place { line: at + 1, code: code.trim().into(), reason });
        }
    }
    found
}

/// The comment with this word, at most ten lines above: a statement may begin before its block does.
fn reason(above: &[&str], word: &str) -> Option<String> {
    let first = above.iter().rposition(|line| line.trim_start().starts_with("//") && line.contains(word))?;
    let comment = above[first..].iter().take_while(|line| line.trim_start().starts_with("//"));
    let words: Vec<_> = comment.map(|line| line.trim_start().trim_start_matches('/').trim()).collect();
    (above.len() - first <= 10).then(|| words.join(" "))
}

fn sources(dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && name != "tests.rs" {
            found.insert(path.display().to_string(), fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn unsafe_code_only_shrinks_and_each_place_of_it_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = BTreeMap::new();
    ["src", "nsenter/src"].iter().for_each(|dir| sources(&root.join(dir), &mut texts));
    let mut counts = BTreeMap::new();
    for (path, text) in &texts {
        let path = path.strip_prefix(&format!("{}/", root.display())).unwrap();
        let places = places(text);
        for Place { line, code, reason } in &places {
            println!("{path}:{line}: {code}\n    {}", reason.as_deref().unwrap_or("NO REASON"));
            assert!(reason.is_some(), "{path}:{line}: says no reason");
        }
        if !places.is_empty() {
            counts.insert(path, places.len());
        }
    }
    for (path, count) in &counts {
        println!("    (\"{path}\", {count}),");
    }
    println!("{} in {} files of {}", counts.values().sum::<usize>(), counts.len(), texts.len());
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    assert_eq!(counts, table, "unsafe code by file, and TABLE of {}", file!());
}

#[test]
fn an_unsafe_place_is_found_with_its_reason_or_without() {
    let text = "// SAFETY: a\n// b\nlet x = unsafe { f() };\n// unsafe { no }\n#[unsafe(no_mangle)]\nfn not_unsafe () {}\n\n\n\n\n\n\
                \n\nunsafe { g() }\nmod tests {\nunsafe { h() }";
    let found: Vec<_> = places(text).into_iter().map(|it| (it.line, it.reason)).collect();
    assert_eq!(found, [(3, Some("SAFETY: a b".to_string())), (14, None)]);
}
