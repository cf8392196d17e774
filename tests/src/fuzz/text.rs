//! What people and callers write: config.json, command lines.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

use minirunc::cmd::lex::{Item, Parser, flags};
use minirunc::cmd::{COMMANDS, FLAGS};
use minirunc::container::id;
use minirunc::form;
use minirunc::plan::{self, Plan, names, translate};
use minirunc::seccomp;
use minirunc::sys::arguments::Strings;
use minirunc::wire::json::{Document, Node, Rewriter, Text};
use nsenter::attr::{Fault, Message, Writer};
use serde_json::Value;

/// Deeper than serde_json follows.
const DEPTH: usize = 127;

/// The syntax, and what is read of it, as serde_json has both.
pub fn json(text: &[u8]) {
    let ours = Document::parse("config.json", text);
    let Ok(utf8) = std::str::from_utf8(text) else {
        assert!(ours.is_err(), "invalid UTF-8 is taken");
        return;
    };
    let depth = utf8.bytes().filter(|byte| b"[{".contains(byte)).count();
    if depth < DEPTH {
        // What is ignored is checked for its syntax only: not for the size of a number, nor for surrogates that are alone.
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(utf8);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}, {:?}", ours.err(), theirs.err());
    }
    match (&ours, serde_json::from_str::<Value>(utf8)) {
        (Ok(document), Ok(value)) => same(&document.root(), &value),
        (Err(error), _) => assert!(!error.to_string().is_empty()),
        _ => {}
    }
}

fn string(text: &Text<'_>) -> String {
    let whole: String = text.chars().collect();
    let mut buffer = vec![0; whole.len()];
    assert_eq!(text.decode(&mut buffer).expect("fits"), whole);
    assert_eq!(text.len(), whole.len());
    whole
}

fn same(node: &Node<'_>, value: &Value) {
    match value {
        Value::Null => assert!(!node.is_present()),
        Value::Bool(value) => assert_eq!(node.read::<bool>().as_ref(), Ok(value)),
        Value::String(value) => assert_eq!(string(&node.read::<Text<'_>>().expect("a string")), *value),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                assert_eq!(node.read::<u64>(), Ok(number));
            } else if let Some(number) = number.as_i64() {
                assert_eq!(node.read::<i64>(), Ok(number));
            } else if node.value().is_some_and(|value| value.raw() != "-0") {
                assert!(node.read::<u64>().is_err() && node.read::<i64>().is_err());
            }
        }
        Value::Array(values) => {
            let nodes: Vec<_> = node.list().expect("an array").collect();
            assert_eq!(nodes.len(), values.len());
            nodes.iter().zip(values).for_each(|(node, value)| same(node, value));
        }
        Value::Object(values) => {
            // Of equal keys the last wins.
            let members = node.members().expect("an object");
            let members: BTreeMap<String, Node<'_>> =
                members.map(|(key, node)| (string(&key), node)).collect();
            assert_eq!(members.len(), values.len());
            members.iter().zip(values).for_each(|((ours, node), (theirs, value))| {
                assert_eq!(ours, theirs);
                same(node, value);
            });
        }
    }
}

/// config.json to plan, by each of the doors that lead there: a container's, a process's (`exec --process`), limits' alone
/// (`update --resources`).
pub fn config(text: &[u8]) {
    let Ok(document) = Document::parse("config.json", text) else { return };
    accepted(&document, text.len());
    let mut room = vec![0; 3 * text.len() + 4096];
    let mut scratch = vec![0; translate::SCRATCH];
    let done = translate::resources(&document, Writer::new(&mut room, 0x11), &mut scratch);
    if let Some(message) = fits(done) {
        super::message::print(message).expect("what was written can be read");
    }
}

/// The minirunc form of config.json to OCI text, and that to plan.
pub fn form(text: &[u8]) {
    let Ok(written) = Document::parse("config.json", text) else { return };
    if !form::is_written(&written.root()).unwrap_or(false) {
        return;
    }
    let profile = Document::parse("seccomp_profile", br#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).expect("JSON");
    // As container::config has it.
    let mut memory = vec![0; 4 * text.len() + (16 << 10)];
    let mut out = Rewriter::new(&written, &mut memory);
    let owner = (text.len() % 2 == 1).then_some((1000, 1000));
    let request = form::Request { id: Some(c"c1"), owner, profile: Some(&profile), no_cgroups: false };
    let mut warnings = 0;
    let mut warn = |error: &minirunc::error::Error| warnings += error.to_string().len();
    let done = form::rewrite(&written, &request, &mut out, &mut warn);
    if let Err(error) = done {
        assert!(!error.to_string().is_empty());
        return;
    }
    let (rewritten, origins) = out.finish("config.json").expect("fits");
    let document = Document::rewritten("config.json", rewritten, &origins).expect("JSON again");
    accepted(&document, rewritten.len());
}

/// What becomes of a container's configuration, and of a process of it. `length`: of its text.
fn accepted(document: &Document<'_>, length: usize) {
    let filter = document.root().at("linux").and_then(|linux| linux.at("seccomp"));
    let mut memory = super::filter::Memory::default();
    let filter = filter
        .and_then(|node| if node.is_empty() { Ok(None) } else { seccomp::compile(&node, memory.work()) });
    let Ok(filter) = filter else { return };
    let request = translate::Request {
        id: c"c1",
        bundle: c"/bundle",
        notify: Some(c"/state/notify"),
        filter: filter.map(|filter| (filter.program, filter.flags)),
        ..Default::default()
    };
    // As limits::PLAN has it, and what does not come from the text.
    let mut room = vec![0; 3 * length + (40 << 10)];
    let mut scratch = vec![0; translate::SCRATCH];
    let mut warnings = 0;
    let mut warn = |error: &minirunc::error::Error| warnings += error.to_string().len();
    let writer = Writer::new(&mut room, 0x11);
    let done = translate::translate(document, &request, &mut warn, writer, &mut scratch);
    let Some(message) = fits(done) else { return };
    super::message::print(message).expect("what was written can be read");
    let stored = Plan::new(Message::parse(message).expect("a message").0);
    let mut room = vec![0; 3 * length + (40 << 10)];
    let writer = Writer::new(&mut room, 0x11);
    let done = translate::process(document, &request, &stored, &mut warn, writer, &mut scratch);
    if let Some(message) = fits(done.and_then(|writer| writer.finish().map_err(plan::broken))) {
        super::message::print(message).expect("what was written can be read");
    }
}

/// A message, or none for an error, which must be another than that the room was too small.
fn fits(done: minirunc::error::Result<&[u8]>) -> Option<&[u8]> {
    let error = done.map_err(|error| error.to_string());
    if let Err(error) = &error {
        assert!(!error.is_empty() && !error.contains(&format!("{:?}", Fault::NoSpace)), "{error}");
    }
    error.ok()
}

/// A command line, its arguments behind NULs: each by the flags of each command, and by what reads single arguments.
pub fn argv(text: &[u8]) {
    let arguments: Vec<CString> =
        text.split(|&byte| byte == 0).take(64).map(|it| CString::new(it).expect("no NUL")).collect();
    let mut pointers: Vec<_> = arguments.iter().map(|it| it.as_ptr()).collect();
    pointers.push(std::ptr::null());
    for known in COMMANDS.iter().map(|command| command.flags).chain([FLAGS]) {
        for stop in [false, true] {
            // SAFETY: null-terminated, and nothing of what comes out is kept past the end of this function.
            let parser = Parser::new(unsafe { Strings::new(pointers.as_ptr()) }, known);
            let mut parser = if stop { parser.flags_first() } else { parser };
            let mut taken = 0;
            loop {
                match parser.advance() {
                    Ok(None) => break,
                    Ok(Some(item)) => check(item, &arguments, known),
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        break;
                    }
                }
                taken += 1;
                assert!(taken <= arguments.len(), "more than there are");
            }
        }
    }
    for argument in &arguments {
        let bytes = argument.as_bytes();
        let _ = (minirunc::text::integer(argument), plan::list::bits(bytes));
        assert!(minirunc::text::bytes(argument).is_none_or(|number| number >= -1 << 50));
        assert!(names::signal(bytes).is_none_or(|number| (0..=64).contains(&number)));
        assert!(id::check(argument).is_err() || !bytes.contains(&b'/') && bytes.len() <= 1024);
    }
}

fn check(item: Item, arguments: &[CString], known: &'static str) {
    let is_end = |value: &CStr| arguments.iter().any(|it| it.as_bytes().ends_with(value.to_bytes()));
    let takes_value = |name| flags(known).find(|flag| flag.name == name).map(|flag| flag.value.is_some());
    match item {
        Item::Switch(name, _) => assert_eq!(takes_value(name), Some(false)),
        Item::Flag(name, value) => assert!(takes_value(name) == Some(true) && is_end(value)),
        Item::Operand(value) => assert!(is_end(value)),
    }
}
