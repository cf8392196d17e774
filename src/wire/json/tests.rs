use super::*;
use crate::limits;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

const CONFIG: &str = r#"{
  "ociVersion": "1.2.0", "process": {"terminal": true, "user": {"uid": 0, "gid": 5}, "cwd": "/", "args": ["sh", "-c", "echo \u00e9\ud83d\ude00\n"],
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}], "oomScoreAdj": -1000},
  "root": {"path": "rootfs"}, "mounts": [{"destination": "/proc", "type": "proc", "options": null}, {"destination": "/x"}],
  "annotations": {"a.b": "c", "": "\u0000"},
  "linux": {"resources": {"memory": {"limit": 1.5e3}, "cpu": null}, "namespaces": []}
}"#;

fn refusal(text: &str) -> String {
    match Document::parse("config.json", text.as_bytes()) {
        Ok(_) => String::from("accepted"),
        Err(error) => error.to_string(),
    }
}

fn document(text: &str) -> Document<'_> {
    Document::parse("config.json", text.as_bytes()).unwrap()
}

/// Reads every value as what it is; what comes out does not matter, that it comes to an end does.
fn read_all(node: Node<'_>) {
    match node.value().map(Value::kind) {
        Some(Kind::Object) => {
            for (key, member) in node.members().unwrap() {
                let _ = (key.len(), key.decode(&mut [0; 64]));
                read_all(member);
            }
        }
        Some(Kind::Array) => node.list().unwrap().for_each(read_all),
        Some(Kind::String) => {
            let text: Text = node.read().unwrap();
            let _ = (text.len(), text.has_nul(), text.decode(&mut [0; 8]), text == "sh");
        }
        Some(Kind::Number) => {
            let _ = (node.read::<u64>(), node.read::<i32>());
        }
        Some(Kind::Bool | Kind::Null) | None => {
            let _ = (node.read::<bool>(), node.is_empty());
        }
    }
}

#[test]
fn a_syntax_error_names_line_and_column() {
    assert_eq!(refusal(""), "config.json: the file is empty");
    assert_eq!(refusal(" \n "), "config.json: line 2, column 2: expected a value, found the end of the file");
    assert_eq!(refusal("{\n \"a\": 1\n \"b\""), "config.json: line 3, column 2: expected ',' or '}'");
    assert_eq!(refusal("[\"é\" 1]"), "config.json: line 1, column 6: expected ',' or ']'");
    assert_eq!(refusal("{\"a\" 1}"), "config.json: line 1, column 6: expected ':'");
    assert_eq!(refusal("{,}"), "config.json: line 1, column 2: expected a key or '}'");
    assert_eq!(refusal("{\"a\":1,}"), "config.json: line 1, column 8: expected a key");
    assert_eq!(refusal("{} x"), "config.json: line 1, column 4: expected nothing more");
    assert_eq!(refusal("\u{feff}{}"), "config.json: line 1, column 1: expected a value");
    let error = Document::parse("config.json", b"[\"\xff\"]").err().unwrap();
    assert_eq!(error.to_string(), "config.json: line 1, column 3: invalid UTF-8");
}

#[test]
fn the_syntax_is_that_of_rfc_8259() {
    let good = [
        "{}",
        "[]",
        " null ",
        "\"\"",
        "0",
        "-0",
        "1.5E+10",
        "[0,-1.0e-2]",
        "{\"a\":{},\"a\":[[]]}",
        "\"\\ud800\"",
        "\t\r\n[true, false]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00Ff\"",
        "\"\u{7f}\u{2028}\"",
    ];
    for text in good {
        assert_eq!(refusal(text), "accepted", "{text}");
    }
    let bad = [
        "[1,]",
        "[,1]",
        "[1 2]",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1 \"b\":2}",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "-",
        "tru",
        "nulll",
        "True",
        "NaN",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\n\"",
        "\"\0\"",
        "[}",
        "{]",
        "]",
        "[",
        "{",
        "{\"a\":[}",
        "'a'",
        "//",
        "[] []",
        "\u{a0}1",
        "1\u{c}",
    ];
    for text in bad {
        assert_ne!(refusal(text), "accepted", "{text}");
    }
}

#[test]
fn nesting_is_taken_to_its_limit_and_refused_beyond() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nest = |depth| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(refusal(&nest(limits::JSON_DEPTH)), "accepted");
        assert!(refusal(&nest(limits::JSON_DEPTH + 1)).ends_with("nested too deeply"));
        let text = nest(limits::JSON_DEPTH);
        let document = document(&text);
        let (mut node, mut levels) = (document.root(), 0);
        loop {
            let inner = match node.value().map(Value::kind) {
                Some(Kind::Array) => node.list().unwrap().next(),
                Some(Kind::Object) => node.members().unwrap().next().map(|(_, value)| value),
                _ => None,
            };
            let Some(inner) = inner else { break };
            (node, levels) = (inner, levels + 1);
        }
        assert_eq!(levels, limits::JSON_DEPTH);
        assert!(node.refuse("x").subject().ends_with("...: x"));
    }
    let mixed = "[{\"a\":".repeat(limits::JSON_DEPTH / 2) + &"}]".repeat(limits::JSON_DEPTH / 2);
    assert!(refusal(&mixed).ends_with("expected a value"), "{}", refusal(&mixed));
    assert_eq!(refusal(&mixed.replace(":}", ":0}")), "accepted");
}

#[test]
fn a_million_brackets_are_an_error() {
    for bracket in ["[", "{\"a\":", "]", "[{\"a\":"] {
        assert_ne!(refusal(&bracket.repeat(1_000_000)), "accepted");
    }
}

#[test]
fn a_value_is_located_without_its_white_space() {
    let value = Value::of("\n { \"a\" : [ 1 , \"]}\\\"\" , {\"b\":{}} ] , \"c\":-2 } ");
    let members: Vec<_> = value.members().map(|(key, value)| (key, value.raw())).collect();
    assert_eq!(members, [("a", "[ 1 , \"]}\\\"\" , {\"b\":{}} ]"), ("c", "-2")]);
    let elements: Vec<_> = Value::of("[1,[2,3] ,null]").elements().map(Value::raw).collect();
    assert_eq!(elements, ["1", "[2,3]", "null"]);
    assert_eq!(Value::of("[1]").members().count() + Value::of("{\"a\":1}").elements().count(), 0);
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    let document = document(r#"{"a": 1, "b": 2, "\u0061": 3, "b": null}"#);
    assert_eq!(document.root().get::<u32>("a").unwrap(), 3);
    assert_eq!(document.root().get::<Option<u32>>("b").unwrap(), None);
}

#[test]
fn an_escaped_key_is_the_key() {
    let document = document(r#"{"\u0072oo\u0074": 1, "a\/b": 2, "roots": 3, "\ud83d\ude00": 4}"#);
    let [root, slash, face] = document.root().pick("root a/b 😀").unwrap();
    assert_eq!(root.read::<u64>().unwrap(), 1);
    assert_eq!(slash.read::<u64>().unwrap(), 2);
    assert_eq!(face.read::<u64>().unwrap(), 4);
    assert!(!document.root().at("roo").unwrap().is_present());
}

#[test]
fn a_key_of_several_names_or_of_part_of_one_is_none_of_them() {
    let document = document(r#"{"a b": 1, "": 2, " ": 3, "b c": 4, "lon": 5, "a\u0020b": 6, "c": 7}"#);
    let nodes: [_; 4] = document.root().pick("a b long c").unwrap();
    assert_eq!(nodes.map(|node| node.read::<Option<u32>>().unwrap()), [None, None, None, Some(7)]);
}

#[test]
fn null_is_absent_everywhere() {
    let document = document(r#"{"o": null, "l": [null], "s": null}"#);
    let root = document.root();
    assert_eq!(root.at("o").unwrap().list().unwrap().count(), 0);
    assert_eq!(root.at("o").unwrap().members().unwrap().count(), 0);
    assert_eq!(root.at("o").unwrap().get::<Option<u32>>("deeper").unwrap(), None);
    assert!(root.at("s").unwrap().is_empty() && !root.at("s").unwrap().is_present());
    let element = root.at("l").unwrap().list().unwrap().next().unwrap();
    assert_eq!(element.read::<u32>().unwrap_err().to_string(), "config.json: l[0]: missing");
}

#[test]
fn a_required_member_that_is_missing_is_named_by_the_outermost_that_lacks() {
    let document = document(r#"{"linux": {"devices": [{}, {"path": 1}]}}"#);
    let root = document.root();
    let error = root.at("process").unwrap().at("user").unwrap().get::<u32>("uid").unwrap_err();
    assert_eq!(error.to_string(), "config.json: process: missing");
    let device = root.at("linux").unwrap().at("devices").unwrap().list().unwrap().next().unwrap();
    assert_eq!(
        device.get::<Text>("path").err().unwrap().to_string(),
        "config.json: linux.devices[0].path: missing"
    );
}

#[test]
fn a_wrong_value_is_refused_by_its_path() {
    let document = document(CONFIG);
    let root = document.root();
    let memory = root.at("linux").unwrap().at("resources").unwrap().at("memory").unwrap();
    let says = |error: crate::error::Error| error.to_string();
    assert_eq!(
        says(memory.get::<i64>("limit").unwrap_err()),
        "config.json: linux.resources.memory.limit: expected an integer"
    );
    let mounts = root.at("mounts").unwrap();
    let second = mounts.list().unwrap().nth(1).unwrap();
    let destination: Text = second.get("destination").unwrap();
    assert_eq!(says(destination.node().refuse("is odd")), "config.json: mounts[1].destination: is odd");
    assert_eq!(
        says(destination.decode(&mut [0; 1]).unwrap_err()),
        "config.json: mounts[1].destination: longer than 1 bytes"
    );
    assert_eq!(says(mounts.at("x").err().unwrap()), "config.json: mounts: expected an object");
    assert_eq!(says(root.list().err().unwrap()), "config.json: expected an array");
    assert_eq!(says(root.get::<u32>("root").unwrap_err()), "config.json: root: expected a number");
    assert_eq!(says(root.get::<bool>("root").unwrap_err()), "config.json: root: expected true or false");
    assert_eq!(says(root.get::<Text>("root").err().unwrap()), "config.json: root: expected a string");
    let (key, value) = root.at("annotations").unwrap().members().unwrap().nth(1).unwrap();
    assert!(key.is_empty() && value.read::<Text>().unwrap().has_nul());
    assert_eq!(says(key.node().refuse("empty key")), "config.json: annotations.: empty key");
}

#[test]
fn a_path_past_its_bound_leaves_room_for_the_reason() {
    let long = "k".repeat(2 * limits::JSON_PATH);
    let text = format!("{{\"a\": {{\"{long}\": 1}}}}");
    let document = document(&text);
    let (_, value) = document.root().at("a").unwrap().members().unwrap().next().unwrap();
    let error = value.read::<bool>().unwrap_err();
    assert!(error.subject().len() < limits::JSON_PATH + 40);
    assert!(
        error.subject().starts_with("a.kkk") && error.subject().ends_with("kkk...: expected true or false")
    );
}

#[test]
fn numbers_are_taken_at_their_limits_and_refused_beyond() {
    let document = document(
        "[18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809, \
         4294967295, 4294967296, 65535, 65536, 2147483647, 2147483648, -0, -1, 1.0, 1e3, 9223372036854775807]",
    );
    let at: Vec<_> = document.root().list().unwrap().collect();
    assert_eq!(at[0].read::<u64>().unwrap(), u64::MAX);
    assert!(
        at[1]
            .read::<u64>()
            .unwrap_err()
            .subject()
            .ends_with("expected a number from 0 to 18446744073709551615")
    );
    assert_eq!(at[2].read::<i64>().unwrap(), i64::MIN);
    assert!(at[3].read::<i64>().is_err());
    assert_eq!(at[4].read::<u32>().unwrap(), u32::MAX);
    assert_eq!(at[5].read::<u32>().unwrap_err().subject(), "[5]: expected a number from 0 to 4294967295");
    assert_eq!(at[6].read::<u16>().unwrap(), u16::MAX);
    assert!(at[7].read::<u16>().is_err());
    assert_eq!(at[8].read::<i32>().unwrap(), i32::MAX);
    assert_eq!(
        at[9].read::<i32>().unwrap_err().subject(),
        "[9]: expected a number from -2147483648 to 2147483647"
    );
    assert_eq!(at[10].read::<i64>().unwrap(), 0);
    assert!(at[11].read::<u64>().is_err());
    assert_eq!(at[11].read::<i32>().unwrap(), -1);
    assert_eq!(at[12].read::<i64>().unwrap_err().subject(), "[12]: expected an integer");
    assert_eq!(at[13].read::<u64>().unwrap_err().subject(), "[13]: expected an integer");
    assert_eq!(at[14].read::<i64>().unwrap(), i64::MAX);
}

#[test]
fn escapes_are_decoded_and_surrogate_pairs_are_one_character() {
    for (escaped, plain) in [
        (r#""""#, ""),
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u00e9\u4E2d""#, "é中"),
        (r#""x\ud83d\ude00y""#, "x😀y"),
        (r#""\uDBFF\uDFFF""#, "\u{10ffff}"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ude00\ud83d-""#, "\u{fffd}\u{fffd}-"),
    ] {
        let document = document(escaped);
        let text: Text = document.root().read().unwrap();
        let mut buffer = [0; 64];
        assert_eq!(text.decode(&mut buffer).unwrap(), plain);
        assert_eq!(text.chars().collect::<String>(), plain);
        assert_eq!(text.len(), plain.len());
        assert!(text == plain && !(text == "another"));
        assert_eq!(text.as_plain().is_none(), escaped.contains('\\'));
        let mut pieces = String::new();
        text.try_for_each(|piece| {
            pieces.push_str(piece);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(pieces, plain);
    }
}

#[test]
fn a_decoded_string_fills_its_buffer_and_not_more() {
    let document = document(r#"["abcd", "ab\u00e9"]"#);
    for element in document.root().list().unwrap() {
        let text: Text = element.read().unwrap();
        assert_eq!(text.decode(&mut [0; 4]).unwrap().len(), 4);
        assert!(text.decode(&mut [0; 3]).is_err());
    }
}

#[test]
fn strings_for_the_kernel_are_taken_off_one_scratch_buffer() {
    let document = document(r#"["/a", "\u00e9", "", "x\u0000", "/abc"]"#);
    let texts: Vec<Text> = document.root().list().unwrap().map(|node| node.read().unwrap()).collect();
    let mut buffer = [0xff; 14];
    let mut scratch = &mut buffer[..];
    let first = texts[0].c_str(2, &mut scratch).unwrap();
    let second = texts[1].c_str(2, &mut scratch).unwrap();
    let third = texts[2].c_str(0, &mut scratch).unwrap();
    assert_eq!((first, second, third), (c"/a", c"é", c""));
    assert_eq!(texts[3].c_str(9, &mut scratch).unwrap_err().subject(), "[3]: has a NUL in it");
    assert_eq!(texts[4].c_str(2, &mut scratch).unwrap_err().subject(), "[4]: longer than 2 bytes");
    assert_eq!(texts[4].c_str(9, &mut scratch).unwrap_err().subject(), "[4]: longer than 3 bytes");
}

#[test]
fn a_slash_may_be_escaped() {
    let document = document(r#"["\/abs", "rel", ""]"#);
    let found: Vec<_> =
        document.root().list().unwrap().map(|e| e.read::<Text>().unwrap().starts_with('/')).collect();
    assert_eq!(found, [true, false, false]);
}

#[test]
fn no_truncation_of_a_document_is_accepted() {
    read_all(document(CONFIG).root());
    for end in 0..CONFIG.len() {
        assert!(Document::parse("config.json", &CONFIG.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn no_corrupted_byte_can_make_the_reader_misbehave() {
    let mut bytes = CONFIG.as_bytes().to_vec();
    let mut accepted = 0;
    for at in 0..bytes.len() {
        let kept = bytes[at];
        for with in *b"\"\\{}[]:,0.eun \n\0\xe9" {
            bytes[at] = with;
            if let Ok(document) = Document::parse("config.json", &bytes) {
                read_all(document.root());
                accepted += 1;
            }
        }
        bytes[at] = kept;
        // The walkers also stand a text that nobody checked.
        let value = Value::of(CONFIG.get(at..CONFIG.len() - at / 2).unwrap_or(""));
        let _ = value.members().map(|(_, value)| value.elements().count()).sum::<usize>();
    }
    assert!(accepted > 0);
}

#[test]
fn a_thousand_mounts_are_walked_in_linear_time() {
    let walk = |count: usize| {
        let text = format!(
            "{{\"mounts\": [{}0]}}",
            "{\"destination\": \"/x\", \"options\": [\"ro\"]},".repeat(count)
        );
        let document = document(&text);
        let start = std::time::Instant::now();
        assert_eq!(document.root().at("mounts").unwrap().list().unwrap().count(), count + 1);
        start.elapsed()
    };
    let fastest = |count| (0..10).map(|_| walk(count)).min().unwrap();
    // 100 times as much takes some 100 times as long; quadratic would be 10,000, a busy machine is in between.
    assert!(fastest(20_000) < 2_000 * fastest(200));
}
