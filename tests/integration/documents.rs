//! Completion and the man page: whole, and free of errors for those who read them.

use std::fs;
use std::process::Command;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::{documents, only_ours, skip};

/// A program's verdict on a file of this text: status and all that was said.
fn judged(bundle: &Bundle, text: &str, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let file = bundle.dir.join("document");
    fs::write(&file, text).unwrap();
    let out = Command::new(program).args(arguments).arg(&file).env("LC_ALL", "C.UTF-8").output().ok()?;
    Some((out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned()))
}

#[test]
fn bash_completes_verbs_flags_and_ids() {
    only_ours!("it is about our command line");
    let bundle = Bundle::new();
    let Some((sound, said)) = judged(&bundle, &documents::bash(), "bash", &["-n"]) else {
        skip!("no bash here");
    };
    assert!(sound && said.is_empty(), "{said}");
    let complete = |line: &str| {
        let script = format!(
            "source {}\nminirunc-static() {{ echo one-id; }}\nCOMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _minirunc_static\necho \"${{COMPREPLY[*]}}\"",
            bundle.path("document")
        );
        let out = Command::new("bash").args(["-c", &script]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_string()
    };
    assert_eq!(complete("minirunc-static fea"), "features");
    assert_eq!(complete("minirunc-static --root /x --log-f"), "--log-format");
    assert_eq!(complete("minirunc-static --root /x list --qu"), "--quiet");
    assert_eq!(complete("minirunc-static state one"), "one-id");
}

#[test]
fn zsh_reads_its_completion() {
    only_ours!("it is about our command line");
    match judged(&Bundle::new(), &documents::zsh(), "zsh", &["-n"]) {
        Some((sound, said)) => assert!(sound && said.is_empty(), "{said}"),
        None => skip!("no zsh here"),
    }
}

#[test]
fn the_man_page_has_no_errors_and_every_flag() {
    only_ours!("it is about our command line");
    let page = documents::man();
    for words in [".SS list", "\\fB\\-\\-quiet\\fR", "\\fB\\-\\-systemd\\-cgroup\\fR", ".SS features"] {
        assert!(page.contains(words), "{words}");
    }
    match judged(&Bundle::new(), &page, "groff", &["-man", "-Tutf8", "-ww", "-z"]) {
        Some((sound, said)) => assert!(sound && said.is_empty(), "{said}"),
        None => skip!("no groff here"),
    }
}
