//! `list`: what is there, in whose hands, in runc's forms.

use std::fs;
use std::time::Duration;

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::runtime::{Output, Runtime};
use minirunc_tests::trace::{self, Tracer};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

/// Two detached containers of one bundle, `<id>-a` and `<id>-b`; removed in the end.
struct Pair(Bundle);

impl Pair {
    fn new() -> Self {
        let mut bundle = Bundle::new();
        bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
        bundle.config["annotations"] = json!({"a.key": "its value"});
        bundle.write();
        let pair = Self(bundle);
        for name in ["b", "a"] {
            let dir = pair.0.dir.to_str().unwrap();
            pair.0.runtime(&["run", "--detach", "--bundle", dir, &pair.id(name)]).ok();
        }
        pair
    }

    fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.0.id)
    }

    fn list(&self, flags: &[&str]) -> Output {
        let mut args = vec!["list"];
        args.extend(flags);
        self.0.runtime(&args)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in ["a", "b"] {
            let id = self.id(name);
            let _ = self.0.start(self.0.command(&["delete", "--force", &id])).child.wait();
        }
        if !std::thread::panicking() {
            self.0.nothing_left();
        }
    }
}

#[test]
fn the_table_has_a_row_for_each_container_in_the_order_of_ids() {
    let pair = Pair::new();
    for flags in [&[][..], &["--format", "table"], &["-f=table"]] {
        let out = pair.list(flags);
        let lines: Vec<&str> = out.ok().stdout.lines().collect();
        let [head, a, b] = lines[..] else { panic!("{}", out.stdout) };
        assert_eq!(
            head.split_whitespace().collect::<Vec<_>>(),
            ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
        );
        for (line, name) in [(a, "a"), (b, "b")] {
            let cells: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(cells[0], pair.id(name));
            assert!(cells[1].parse::<u32>().unwrap() > 1, "{line}");
            assert_eq!((cells[2], cells[3], cells[5]), ("running", pair.0.dir.to_str().unwrap(), "root"));
            // A column begins where its head does.
            for (at, cell) in [("PID", 1), ("STATUS", 2), ("BUNDLE", 3), ("CREATED", 4)] {
                assert!(line[head.find(at).unwrap()..].starts_with(cells[cell]), "{head}\n{line}");
            }
        }
        let width = |from, to| head.find(to).unwrap() - head.find(from).unwrap();
        assert_eq!(width("ID", "PID"), pair.id("a").len() + 3);
        assert_eq!((width("PID", "STATUS"), width("STATUS", "BUNDLE")), (12, 12));
    }
}

#[test]
fn json_is_an_array_of_states_on_one_line() {
    let pair = Pair::new();
    let out = pair.list(&["--format=json"]);
    let text = &out.ok().stdout;
    assert!(text.ends_with("]\n") && text.lines().count() == 1, "{text:?}");
    let list: Value = serde_json::from_str(text).unwrap();
    for (one, name) in list.as_array().unwrap().iter().zip(["a", "b"]) {
        let state = pair.0.runtime(&["state", &pair.id(name)]);
        let mut state: Value = serde_json::from_str(&state.ok().stdout).unwrap();
        state["owner"] = json!("root");
        assert_eq!(*one, state);
    }
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[test]
fn quiet_prints_the_ids_alone() {
    let pair = Pair::new();
    for flag in ["-q", "--quiet"] {
        assert_eq!(pair.list(&[flag]).ok().stdout, format!("{}\n{}\n", pair.id("a"), pair.id("b")));
    }
}

#[test]
fn one_container_more_costs_few_calls() {
    only_ours!("it is about our calls");
    if !trace::WORKS {
        skip!("calls cannot be traced here");
    }
    let pair = Pair::new();
    let calls = |flags: &[&str]| {
        let command = pair.0.command(&[&["list"], flags].concat());
        let ran = Tracer::default().run(&pair.0, command, None, true, Duration::from_secs(60));
        ran.output.ok();
        ran.calls.len()
    };
    // Its directory, its plan, its process, its freezer, its gate; 3 more before Linux 6.9.
    let ways = [(&[][..], 18), (&["-f", "json"], 18), (&["-q"], 6)];
    let two = ways.map(|(flags, _)| calls(flags));
    pair.0.runtime(&["delete", "--force", &pair.id("b")]).ok();
    for ((flags, most), two) in ways.into_iter().zip(two) {
        let more = two - calls(flags);
        assert!((1..=most).contains(&more), "list {flags:?}: {more} calls");
    }
}

#[test]
fn a_broken_entry_does_not_hide_the_others() {
    let pair = Pair::new();
    let broken = pair.0.state().join("a-broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("plan"), "no plan").unwrap();
    fs::write(pair.0.state().join("a-file"), "").unwrap();
    let out = pair.list(&["-q"]);
    assert_eq!(out.ok().stdout, format!("{}\n{}\n", pair.id("a"), pair.id("b")));
    out.says("a-broken");
    assert!(!out.stderr.contains("a-file"), "{}", out.stderr);
    fs::remove_dir_all(broken).unwrap();
    fs::remove_file(pair.0.state().join("a-file")).unwrap();
}

#[test]
fn an_empty_root_has_no_containers() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    assert_eq!(bundle.runtime(&["list", "-f", "json"]).ok().stdout, "null\n");
    assert_eq!(bundle.runtime(&["list", "-q"]).ok().stdout, "");
    let table = bundle.runtime(&["list"]);
    assert_eq!(table.ok().stdout, "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
}

#[test]
fn a_default_root_that_is_not_there_is_empty_and_one_that_was_named_is_an_error() {
    not_for!("runc", "1.1 makes the root");
    let bundle = Bundle::new();
    bundle.runtime(&["list"]).refused(&["ENOENT", "state"]);
    // An ordinary user's default root is below $XDG_RUNTIME_DIR.
    let mut command = Runtime::get().command();
    command.args(["list", "--format", "json"]).env("XDG_RUNTIME_DIR", bundle.dir.join("runtime"));
    let mut command = as_nobody(command);
    command.current_dir("/");
    assert_eq!(bundle.start(command).finish().ok().stdout, "null\n");
}

#[test]
fn an_unknown_form_is_refused() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    bundle.runtime(&["list", "--format", "yaml"]).refused(&["invalid format option"]);
}

#[test]
fn an_owner_without_a_name_is_a_number() {
    let pair = Pair::new();
    let dir = pair.0.state().join(pair.id("a"));
    let own = |uid| {
        std::os::unix::fs::chown(&dir, Some(uid), None).unwrap();
        fs::read_dir(&dir).unwrap().flatten().for_each(|file| {
            std::os::unix::fs::chown(file.path(), Some(uid), None).unwrap();
        });
    };
    own(54_321);
    let list: Value = serde_json::from_str(&pair.list(&["-f", "json"]).ok().stdout).unwrap();
    own(0);
    assert_eq!((&list[0]["owner"], &list[1]["owner"]), (&json!("#54321"), &json!("root")));
}

#[test]
fn an_ordinary_users_root_is_kept_by_who_tidies_up() {
    not_for!("crun", "does not set it");
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::new().unprivileged(1000);
    let runtime = bundle.dir.join("runtime");
    fs::create_dir(&runtime).unwrap();
    mode(&runtime, 0o777);
    bundle.write();
    let mut command = Runtime::get().command();
    let dir = bundle.dir.to_str().unwrap();
    command.args(["run", "--bundle", dir, &bundle.id]).env("XDG_RUNTIME_DIR", &runtime);
    bundle.start(as_nobody(command)).finish();
    let roots: Vec<_> = fs::read_dir(&runtime).unwrap().flatten().collect();
    let [root] = &roots[..] else { panic!("{roots:?}") };
    assert_eq!(root.metadata().unwrap().permissions().mode() & 0o7777, 0o1700, "{root:?}");
    bundle.nothing_left();
}

/// The same as user 1000.
fn as_nobody(mut command: std::process::Command) -> std::process::Command {
    use std::os::unix::process::CommandExt;
    command.uid(1000).gid(1000);
    command
}
