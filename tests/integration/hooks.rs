//! The six kinds of hooks: order, state, environment, namespaces, timeout, and what a failure means.

use std::fs;
use std::time::{Duration, Instant};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::{Output, Runtime, probe};
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

use crate::life::{create, start, until};

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The log as a hook of this kind sees it: startContainer runs behind the pivot.
fn log(bundle: &Bundle, kind: &str) -> String {
    if kind == "startContainer" { "/hooks.log".into() } else { bundle.path("hooks.log") }
}

fn program(kind: &str) -> String {
    if kind == "startContainer" { "/probe".into() } else { probe().to_str().unwrap().into() }
}

/// Adds a hook that writes the answers to these questions to the log.
fn hook(bundle: &mut Bundle, kind: &str, questions: &[&str]) {
    let log = log(bundle, kind);
    let mut args = vec!["hook".to_string(), format!("report {log} label {kind}")];
    args.extend(questions.iter().map(|q| q.replace("LOG", &log)));
    raw(bundle, kind, json!({"path": program(kind), "args": args}));
}

fn raw(bundle: &mut Bundle, kind: &str, hook: Value) {
    let hooks = &mut bundle.config["hooks"][kind];
    if !hooks.is_array() {
        *hooks = json!([]);
    }
    hooks.as_array_mut().unwrap().push(hook);
}

/// A bundle whose process writes to the log too.
fn bundle() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.config["hooks"] = json!({});
    fs::write(bundle.dir.join("hooks.log"), "").unwrap();
    minirunc_tests::bundle::mode(&bundle.dir.join("hooks.log"), 0o666);
    let source = bundle.path("hooks.log");
    bundle.add_mount(
        json!({"destination": "/hooks.log", "type": "bind", "source": source, "options": ["bind", "rw"]}),
    );
    bundle.ask(&["report /hooks.log label process"])
}

fn labels(bundle: &Bundle) -> Vec<String> {
    let log = fs::read_to_string(bundle.dir.join("hooks.log")).unwrap();
    log.lines()
        .filter_map(|l| l.strip_prefix("label "))
        .map(|l| l.trim_end_matches('=').to_string())
        .collect()
}

/// What a hook reported under a question.
#[track_caller]
fn reports(bundle: &Bundle, question: &str) -> Vec<String> {
    let log = fs::read_to_string(bundle.dir.join("hooks.log")).unwrap();
    let found: Vec<_> =
        log.lines().filter_map(|l| l.strip_prefix(question)?.strip_prefix('=')).map(str::to_string).collect();
    assert!(!found.is_empty(), "no {question} in {log}");
    found
}

#[test]
fn hooks_run_in_the_specs_order() {
    let mut bundle = bundle();
    for kind in KINDS {
        hook(&mut bundle, kind, &[]);
        hook(&mut bundle, kind, &[&format!("report LOG label {kind} again")]);
    }
    // poststart runs beside the process, which therefore waits a moment before it writes.
    bundle.config["process"]["args"] = json!(["/probe", "sleep 1500", "report /hooks.log label process"]);
    bundle.run().ok();
    let mut expected = vec![];
    for kind in KINDS {
        if kind == "poststop" {
            expected.push("process".to_string());
        }
        expected.extend([kind.to_string(), kind.to_string(), format!("{kind} again")]);
    }
    let mut found = labels(&bundle);
    if !Runtime::get().ours() {
        // runc runs poststart before startContainer (runc#4347).
        found.retain(|l| !l.starts_with("poststart"));
        expected.retain(|l| !l.starts_with("poststart"));
    }
    assert_eq!(found, expected);
}

#[test]
fn hooks_get_the_state_on_stdin() {
    not_for!("crun", "1.8.1 tells createContainer hooks pid 0");
    for (kind, statuses) in [
        ("prestart", &["creating", "created"][..]),
        ("createRuntime", &["creating", "created"]),
        ("createContainer", &["creating", "created"]),
        ("startContainer", &["creating", "created"]),
        ("poststart", &["running", "stopped"]),
        ("poststop", &["stopped"]),
    ] {
        let mut bundle = bundle();
        bundle.config["annotations"] = json!({"org.example.key": "value \"quoted\""});
        hook(&mut bundle, kind, &["report LOG stdin"]);
        bundle.run().ok();
        let said = reports(&bundle, "stdin").remove(0);
        let state: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{kind}: {e}: {said}"));
        assert_eq!(state["id"], bundle.id.as_str(), "{kind}");
        assert_eq!(state["bundle"], bundle.dir.to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["org.example.key"], "value \"quoted\"", "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}: {state}");
        if kind == "poststart" && !Runtime::get().ours() {
            continue; // as above
        }
        assert!(statuses.contains(&state["status"].as_str().unwrap()), "{kind}: {state}");
        if kind != "poststop" {
            assert!(state["pid"].as_i64().unwrap() > 0, "{kind}: {state}");
        }
    }
}

#[test]
fn hooks_get_their_own_arguments_and_environment_and_no_more() {
    for kind in KINDS {
        let mut bundle = bundle();
        bundle.env.push(("LEAK".into(), "1".into()));
        let log = log(&bundle, kind);
        let args = json!(["own name", format!("report {log} arg0"), format!("report {log} env")]);
        raw(&mut bundle, kind, json!({"path": program(kind), "args": args, "env": ["A=1", "B=two words"]}));
        bundle.run().ok();
        assert_eq!(reports(&bundle, "arg0"), ["own name"], "{kind}");
        assert_eq!(reports(&bundle, "env"), ["A=1,B=two words"], "{kind}");
    }
}

#[test]
fn hooks_run_in_the_namespaces_of_their_kind() {
    let own = fs::read_link("/proc/self/ns/uts").unwrap().to_string_lossy().into_owned();
    for kind in KINDS {
        let mut bundle = bundle();
        hook(&mut bundle, kind, &["report LOG readlink /proc/self/ns/uts"]);
        bundle.run().ok();
        let inside = reports(&bundle, "readlink /proc/self/ns/uts").remove(0) != own;
        assert_eq!(inside, matches!(kind, "createContainer" | "startContainer"), "{kind}");
    }
}

#[test]
fn hooks_before_the_pivot_see_the_hosts_root_and_start_container_the_containers() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut bundle = bundle();
        fs::write(bundle.dir.join("only-outside"), "").unwrap();
        let outside = bundle.path("only-outside");
        hook(&mut bundle, kind, &[&format!("report LOG stat {outside}")]);
        bundle.run().ok();
        let seen = reports(&bundle, &format!("stat {outside}")).remove(0);
        assert_eq!(seen == "!ENOENT", kind == "startContainer", "{kind}: {seen}");
    }
}

/// The hook fails; the process must not run, poststop must, and nothing is left.
#[track_caller]
fn fails(kind: &str, hook_json: Value) -> (Bundle, Output) {
    let mut bundle = bundle();
    raw(&mut bundle, kind, hook_json);
    let out = bundle.run();
    assert!(!labels(&bundle).contains(&"process".to_string()), "{kind}: the process ran");
    (bundle, out)
}

#[test]
fn a_failing_hook_before_the_process_fails_the_run() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let (_, out) = fails(kind, json!({"path": program(kind), "args": ["hook", "exit 7"]}));
        out.refused(&["hook", kind, "7"]);
    }
}

#[test]
fn a_hook_that_cannot_be_executed_fails_the_run() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let (_, out) = fails(kind, json!({"path": "/no/such/program", "args": ["hook"]}));
        out.refused(&[kind, "/no/such/program"]);
    }
}

#[test]
fn a_failing_hook_stops_those_after_it() {
    let mut bundle = bundle();
    raw(&mut bundle, "createRuntime", json!({"path": program("createRuntime"), "args": ["hook", "exit 1"]}));
    hook(&mut bundle, "createRuntime", &[]);
    hook(&mut bundle, "createContainer", &[]);
    bundle.run().refused(&["createRuntime"]);
    assert!(labels(&bundle).iter().all(|l| l == "poststop"), "{:?}", labels(&bundle));
}

#[test]
fn poststop_hooks_run_after_a_failed_hook() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        not_for!("crun", "1.8.1 leaves them out");
        let mut bundle = bundle();
        raw(&mut bundle, kind, json!({"path": program(kind), "args": ["hook", "exit 1"]}));
        hook(&mut bundle, "poststop", &[]);
        bundle.run().refused(&[kind]);
        assert_eq!(labels(&bundle), ["poststop"], "{kind}");
    }
}

#[test]
fn a_failing_poststart_hook_ends_the_container_with_an_error() {
    // An error since runtime-spec 1.3.
    let mut bundle = bundle();
    bundle.config["process"]["args"] = json!(["/probe", "sleep 20000"]);
    raw(&mut bundle, "poststart", json!({"path": program("poststart"), "args": ["hook", "exit 1"]}));
    let start = Instant::now();
    let out = bundle.run();
    if Runtime::get().name() != "crun" {
        assert_ne!(out.code(), 0);
        assert!(start.elapsed() < Duration::from_secs(15), "it was left to run");
    }
    out.we_say("poststart");
}

#[test]
fn a_poststart_hook_may_run_other_commands_on_the_container() {
    let runtime = &Runtime::get().path;
    for detached in [false, true] {
        let mut bundle = bundle();
        bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
        let (state, id) = (bundle.state(), bundle.id.clone());
        let args = json!(["hook", "--root", state, "exec", id, "/probe", "report /hooks.log label exec"]);
        raw(&mut bundle, "poststart", json!({"path": runtime, "args": args}));
        if detached {
            bundle.run_with(&["--detach"]).ok();
        } else {
            create(&bundle, &[]).ok();
            start(&bundle).ok();
        }
        assert_eq!(labels(&bundle), ["exec"]);
        bundle.delete();
    }
}

#[test]
fn a_failing_poststop_hook_only_warns() {
    let mut bundle = bundle();
    raw(&mut bundle, "poststop", json!({"path": program("poststop"), "args": ["hook", "exit 1"]}));
    hook(&mut bundle, "poststop", &[]);
    let out = bundle.run();
    out.ok().we_say("poststop");
    if Runtime::get().ours() {
        assert!(labels(&bundle).contains(&"poststop".into()), "the hooks after it still run");
    }
}

#[test]
fn a_hook_that_hangs_is_killed_at_its_timeout() {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        if matches!(kind, "createContainer" | "startContainer") {
            not_for!("crun", "1.8.1 does not come back");
        }
        let start = Instant::now();
        let (_, out) =
            fails(kind, json!({"path": program(kind), "args": ["hook", "sleep 30000"], "timeout": 1}));
        out.refused(&[kind, "1 s"]);
        let took = start.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(10), "{kind}: {took:?}");
    }
}

#[test]
fn a_hook_within_its_timeout_is_no_error() {
    let mut bundle = bundle();
    let log = log(&bundle, "prestart");
    let args = json!(["hook", "sleep 100", format!("report {log} label done")]);
    raw(&mut bundle, "prestart", json!({"path": program("prestart"), "args": args, "timeout": 20}));
    bundle.run().ok();
    assert_eq!(labels(&bundle), ["done", "process"]);
}

#[test]
fn a_hook_path_that_is_relative_is_refused() {
    not_for!("runc", "1.1 takes it");
    not_for!("crun", "takes it");
    let mut bundle = bundle();
    raw(&mut bundle, "createRuntime", json!({"path": "bin/true"}));
    bundle.run().refused(&["hooks.createRuntime[0].path"]);
}

#[test]
fn a_timeout_that_is_not_positive_is_refused() {
    only_ours!("the oracles take it");
    for timeout in [0, -1] {
        let mut bundle = bundle();
        raw(&mut bundle, "createRuntime", json!({"path": "/bin/true", "timeout": timeout}));
        bundle.run().refused(&["hooks.createRuntime[0].timeout"]);
    }
}

#[test]
fn a_hook_has_no_descriptor_but_its_stdio() {
    for kind in ["prestart", "createRuntime", "startContainer", "poststart", "poststop"] {
        if kind == "startContainer" {
            not_for!("runc", "1.1 leaves the exec fifo open to startContainer hooks");
        }
        let mut bundle = bundle();
        let log = log(&bundle, kind);
        let args = json!([
            "hook",
            format!("report {log} fdopen 3"),
            format!("report {log} fdopen 4"),
            format!("report {log} fdopen 6")
        ]);
        raw(&mut bundle, kind, json!({"path": program(kind), "args": args}));
        bundle.run().ok();
        for fd in [3, 4, 6] {
            // The log itself is opened after the question was answered.
            assert_eq!(reports(&bundle, &format!("fdopen {fd}")), ["!EBADF"], "{kind}");
        }
    }
}

#[test]
fn create_and_start_each_run_the_hooks_of_theirs() {
    let mut bundle = bundle();
    for kind in KINDS {
        hook(&mut bundle, kind, &["report LOG stdin"]);
    }
    create(&bundle, &[]).ok();
    let mut created = vec!["prestart", "createRuntime", "createContainer"];
    if !Runtime::get().ours() {
        // runc runs poststart at create (runc#4347).
        created.push("poststart");
    }
    assert_eq!(labels(&bundle), created);
    start(&bundle).ok();
    until(&bundle, "stopped");
    for label in ["startContainer", "poststart", "process"] {
        assert!(labels(&bundle).contains(&label.to_string()), "{label}: {:?}", labels(&bundle));
    }
    assert!(!labels(&bundle).contains(&"poststop".to_string()));
    bundle.runtime(&["delete", &bundle.id]).ok();
    assert_eq!(labels(&bundle).last().unwrap(), "poststop");
    if Runtime::get().ours() {
        let said = fs::read_to_string(bundle.dir.join("hooks.log")).unwrap();
        let told = said.split("label poststart=").nth(1).unwrap();
        let state: Value =
            told.lines().find_map(|l| serde_json::from_str(l.strip_prefix("stdin=")?).ok()).unwrap();
        assert_eq!(state["status"], "running", "{state}");
    }
    bundle.nothing_left();
}

#[test]
fn a_failing_start_container_hook_fails_the_start_and_leaves_it_stopped() {
    only_ours!("runc's start does not hear of it");
    let mut bundle = bundle();
    raw(&mut bundle, "startContainer", json!({"path": "/probe", "args": ["hook", "exit 7"]}));
    hook(&mut bundle, "poststop", &[]);
    create(&bundle, &[]).ok();
    start(&bundle).refused(&["error running startContainer hook #0", "exit status 7"]);
    until(&bundle, "stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    assert_eq!(labels(&bundle), ["poststop"]);
    bundle.nothing_left();
}

#[test]
fn a_failing_poststart_hook_destroys_the_container_at_start() {
    only_ours!("runc runs poststart at create (runc#4347)");
    let mut bundle = bundle();
    bundle.config["process"]["args"] = json!(["/probe", "sleep 60000"]);
    raw(&mut bundle, "poststart", json!({"path": program("poststart"), "args": ["hook", "exit 7"]}));
    hook(&mut bundle, "poststop", &[]);
    create(&bundle, &[]).ok();
    start(&bundle).refused(&["error running poststart hook #0", "exit status 7"]);
    assert_eq!(labels(&bundle), ["poststop"]);
    bundle.runtime(&["state", &bundle.id]).refused(&["does not exist"]);
    bundle.nothing_left();
}
