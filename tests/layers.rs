//! The architecture as a test: imports go downwards only (the table of the README's map), and each kind of effect has
//! its one place. Reads the source as text; code under `#[cfg(test)]` and files named `tests.rs` may import anything.

use std::fs;
use std::path::{Path, PathBuf};

/// Every module of the program with its level. A module may import what is below it; siblings never import siblings,
/// except on the ground floor.
const LEVELS: &[(&str, u8)] = &[
    ("main", 8),
    ("copy", 0),
    ("cmd", 7),
    ("pid1", 7),
    ("container", 6),
    ("init", 5),
    ("rootfs", 4),
    ("cgroup", 4),
    ("confine", 4),
    ("net", 4),
    ("terminal", 4),
    ("hooks", 4),
    ("plan", 3),
    ("form", 3),
    ("seccomp", 3),
    ("oci", 2),
    ("wire", 1),
    ("sys", 1),
    ("trace", 1),
    ("error", 0),
    ("limits", 0),
    ("text", 0),
];

/// Below the line between pure and effect: host-testable and fuzzable, so no system calls, whatever their level.
const PURE: &[&str] = &["plan", "form", "seccomp", "oci", "wire"];

/// Who may speak to the bootstrap crate, apart from its netlink codec, which everybody above the ground floor may use.
/// `sys` takes its raw descriptors over, `trace` names its marks; init and container are the two ends of its dialogue.
const BOOTSTRAP: &[&str] = &["sys", "init", "container", "main", "trace"];

/// A word of the code, and the modules that may use it. `sys` is always one: its gates are what the words name.
const PLACES: &[(&str, &[&str])] = &[
    // A program of its own: the process's, a hook's in a child, and the shell of a machine that was told no bundle.
    ("execve(", &["init", "hooks", "pid1"]),
    ("execveat(", &["init"]),
    // A child made for one step, such as a failed hook's, has nobody to return to.
    // A reaper exits as who it stands in front of.
    ("process::exit(", &["main", "hooks", "container", "init", "pid1"]),
    ("exit_group(", &["main"]),
    // The terminal's relay passes the process's bytes on; it prints nothing.
    ("stdout()", &["cmd", "terminal"]),
    ("println!", &[]),
    ("print!", &[]),
];

/// Where raw system calls may be made.
const RAW: &[&str] = &["syscall!", "sc::"];

#[test]
fn imports_go_downwards_only() {
    let violations: Vec<String> = sources("src")
        .iter()
        .flat_map(|(path, text)| imports_of(path, text).into_iter().filter_map(|i| judge(&i)))
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_module_has_a_level() {
    for (path, _) in sources("src") {
        let module = module(&path);
        assert!(module == "lib" || level(&module).is_some(), "{}: {module} has no level", path.display());
    }
}

#[test]
fn each_effect_has_its_one_place() {
    let violations: Vec<String> =
        sources("src").iter().flat_map(|(path, text)| misplaced(path, text)).collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn raw_system_calls_are_made_in_sys_only() {
    for (path, text) in sources("src") {
        let module = module(&path);
        for word in RAW.iter().filter(|_| module != "sys") {
            assert!(!has_word(&code(&text), word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn the_bootstrap_crate_knows_nothing_of_ours() {
    let files = sources("nsenter/src");
    assert!(!files.is_empty());
    for (path, text) in files {
        assert!(!has_word(&code(&text), "minirunc::"), "{}", path.display());
    }
    let manifest = fs::read_to_string(workspace().join("nsenter/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or("");
    assert!(!dependencies.contains("minirunc") && !dependencies.contains("path ="), "{dependencies}");
}

#[test]
fn neither_std_nor_alloc_is_linked() {
    for (path, text) in sources("src").into_iter().chain(sources("nsenter/src")) {
        for word in ["std::", "alloc::", "extern crate alloc"] {
            assert!(!has_word(&code(&text), word), "{}: {word}", path.display());
        }
    }
}

// The parser must be able to fail.

#[test]
fn an_upward_import_is_found() {
    let found = imports("rootfs/mount.rs", "use crate::container::Store;\nfn f() { crate::init::run() }");
    assert_eq!(found, ["rootfs imports container", "rootfs imports init"]);
}

#[test]
fn a_sibling_is_found_in_a_group() {
    let text = "use crate::{\n    error::{Error, Result},\n    cgroup::{self, v1},\n    sys,\n};";
    assert_eq!(imports("rootfs/mod.rs", text), ["rootfs imports cgroup"]);
}

#[test]
fn a_pure_module_may_not_import_sys() {
    assert_eq!(imports("plan/mount.rs", "use crate::sys::mount;"), ["plan imports sys"]);
    assert_eq!(imports("rootfs/mount.rs", "use crate::sys::mount;"), [""; 0]);
}

#[test]
fn a_way_around_by_super_is_found() {
    assert_eq!(imports("rootfs.rs", "use super::cgroup::v1;"), ["rootfs imports cgroup"]);
    assert_eq!(imports("rootfs/mount.rs", "use super::super::cgroup::v1;"), ["rootfs imports cgroup"]);
    assert_eq!(imports("rootfs/mount.rs", "use super::resolve;"), [""; 0]);
}

#[test]
fn the_bootstrap_crate_is_for_the_two_ends_of_its_dialogue() {
    assert_eq!(imports("rootfs/mod.rs", "use nsenter::stage;"), ["rootfs imports nsenter::stage"]);
    assert_eq!(
        imports("plan/mod.rs", "use nsenter::attr::Writer; use nsenter::{attr, sync};"),
        ["plan imports nsenter::sync"]
    );
    assert_eq!(imports("text.rs", "use nsenter::attr::Writer;"), ["text imports nsenter::attr"]);
    assert_eq!(imports("container/spawn.rs", "use nsenter::boot::Boot;"), [""; 0]);
}

#[test]
fn an_unknown_module_is_found() {
    assert_eq!(imports("cmd/run.rs", "use crate::utils::x;"), ["cmd imports utils"]);
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let text = r##"
        // use crate::container::A;
        /* use crate::container::B; /* nested */ use crate::container::C; */
        const T: &str = "use crate::container::D; \" crate::container::E";
        const R: &str = r#"crate::container::F " "#;
        const Q: char = '"'; const L: &'static str = "x";
        #[cfg(test)] use crate::container::G;
        #[cfg(test)]
        mod tests { use crate::container::H; mod inner { fn f() {} } }
        fn after() { crate::cgroup::v1() }
    "##;
    assert_eq!(imports("rootfs/mod.rs", text), ["rootfs imports cgroup"]);
}

#[test]
fn a_misplaced_effect_is_found() {
    let found = |path: &str, text: &str| misplaced(Path::new(path), text);
    assert_eq!(
        found("src/container/spawn.rs", "fn f() { sys::execve(p, a, e); }"),
        ["container uses execve("]
    );
    assert_eq!(found("src/cgroup/v1.rs", "fn f() { write(stdout(), b) }"), ["cgroup uses stdout()"]);
    assert_eq!(found("src/net/link.rs", "fn f() { sys::process::exit(1) }"), ["net uses process::exit("]);
    assert_eq!(found("src/init/create.rs", "fn f() { sys::execve(p, a, e); }"), [""; 0]);
    assert_eq!(found("src/cgroup/v1.rs", "fn my_execve(p: P) {} // execve("), [""; 0]);
}

/// What one file of this text would be accused of.
fn imports(path: &str, text: &str) -> Vec<String> {
    imports_of(&Path::new("src").join(path), text).iter().filter_map(judge).collect()
}

struct Import {
    from: String,
    to: String,
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

fn judge(import: &Import) -> Option<String> {
    let Import { from, to } = import;
    // lib.rs names its modules, no more.
    let from_level = if from == "lib" { 9 } else { level(from).unwrap_or(0) };
    let allowed = if let Some(part) = to.strip_prefix("nsenter::") {
        from_level >= 1 && (part == "attr" || BOOTSTRAP.contains(&from.as_str()))
    } else if from == to {
        true
    } else {
        match level(to) {
            None => false,
            Some(0) => true,
            Some(to_level) => to_level < from_level && !(to == "sys" && PURE.contains(&from.as_str())),
        }
    };
    (!allowed).then(|| format!("{from} imports {to}"))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// All files of program code below a directory of the workspace, by their path in it.
fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let (root, mut pending, mut found) = (workspace(), vec![workspace().join(below)], vec![]);
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
            let path = entry.path();
            let is = |name: &str| path.file_name().is_some_and(|n| n == name);
            if path.is_dir() && !is("tests") {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !is("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}

/// The top module of a file: `src/rootfs/mount.rs` and `src/rootfs.rs` are both `rootfs`.
fn module(path: &Path) -> String {
    let first = path.components().nth(1).expect("src/...").as_os_str().to_str().expect("utf-8");
    first.trim_end_matches(".rs").to_string()
}

/// How many `super`s lead from a file to the crate's root.
fn depth(path: &Path) -> usize {
    let parts = path.components().count() - 1;
    if path.file_name().is_some_and(|n| n == "mod.rs") { parts - 1 } else { parts }
}

fn imports_of(path: &Path, text: &str) -> Vec<Import> {
    let (code, from) = (code(text), module(path));
    let mut found = Vec::new();
    let supers = "super::".repeat(depth(path));
    for (root, prefix) in [("crate::", ""), ("minirunc::", ""), (&*supers, ""), ("nsenter::", "nsenter::")] {
        for at in words(&code, root) {
            // `a::crate::` is no path, and of `super::super::` only the whole chain counts.
            if code[..at].ends_with("::") {
                continue;
            }
            for name in heads(&code[at + root.len()..]) {
                if name != "super" && name != "self" {
                    found.push(Import { from: from.clone(), to: format!("{prefix}{name}") });
                }
            }
        }
    }
    // Macros and types of the crate's root are not modules.
    found.retain(|i| i.to.trim_start_matches("nsenter::").starts_with(|c: char| c.is_lowercase()));
    found
}

/// The first names of a path or of a group of paths: `a::b` gives a, `{a::b, c::{d}, e}` gives a, c, e.
fn heads(text: &str) -> Vec<String> {
    let name =
        |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                found.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.retain(|n| !n.is_empty());
    found
}

fn misplaced(path: &Path, text: &str) -> Vec<String> {
    let (code, module) = (code(text), module(path));
    let wrong = |(word, places): &&(&str, &[&str])| {
        module != "sys" && !places.contains(&module.as_str()) && has_word(&code, word)
    };
    PLACES.iter().filter(wrong).map(|(word, _)| format!("{module} uses {word}")).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    !words(code, word).is_empty()
}

/// Where `word` stands in the code, not as the end of a longer one.
fn words(code: &str, word: &str) -> Vec<usize> {
    let starts = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if word.is_empty() {
        return vec![];
    }
    code.match_indices(word).map(|(at, _)| at).filter(|&at| starts(at)).collect()
}

/// The text without comments, string and character literals, and items under `#[cfg(test)]`.
fn code(text: &str) -> String {
    let mut bare = without_literals(text);
    while let Some(start) = bare.find("#[cfg(test)]") {
        let rest = &bare[start..];
        let end = match rest.find(['{', ';']) {
            None => rest.len(),
            Some(at) if rest[at..].starts_with(';') => at + 1,
            Some(at) => {
                let mut depth = 0;
                let close = rest[at..].char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                });
                close.map_or(rest.len(), |(n, _)| at + n + 1)
            }
        };
        bare.replace_range(start..start + end, "");
    }
    bare
}

fn without_literals(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if raw_hashes(rest).is_some() && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            let hashes = raw_hashes(rest).unwrap_or(0);
            let (open, close) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
            rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
        } else if c == '"' {
            quoted(rest)
        } else if c == '\'' && is_character(rest) {
            let mut it = rest[1..].char_indices();
            let first = it.next().map_or(' ', |(_, c)| c);
            if first == '\\' { 3 + rest[3..].find('\'').unwrap_or(0) + 1 } else { 2 + first.len_utf8() }
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

/// The length of a block comment, which may hold others.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match (escaped, c) {
            (false, '"') => return at + 1,
            (false, '\\') => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// `r"`, `r#"`, ...: how many hashes.
fn raw_hashes(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// A character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}
