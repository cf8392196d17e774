use super::*;
use nsenter::attr::{Message, Writer};
use std::format;
use std::string::{String, ToString};
use std::vec;

use crate::plan::hook::{POSTSTOP, PRESTART};

/// The first failure ends it.
fn run(stage: u32, plan: &Plan<'_>, state: &[u8]) -> Result<()> {
    each(stage, plan, state, None, &mut Err)
}

/// Emits hooks of the stage `prestart` that are shell scripts.
fn with_hooks<T>(scripts: &[(&str, Option<u32>)], use_it: impl FnOnce(&Plan<'_>) -> T) -> T {
    let mut buffer = vec![0; 65536];
    let mut writer = Writer::new(&mut buffer, 0x11);
    for (index, (script, timeout)) in scripts.iter().enumerate() {
        let script = std::ffi::CString::new(*script).unwrap();
        writer.nest(crate::plan::kind::HOOK, |hook| {
            hook.u32(1, PRESTART);
            hook.u32(2, index as u32);
            hook.string(3, c"/bin/sh");
            hook.nest(4, |args| {
                [c"hook", c"-c", script.as_c_str()].iter().for_each(|arg| args.string(1, arg))
            });
            hook.nest(5, |env| env.string(1, c"GIVEN=yes"));
            if let Some(timeout) = timeout {
                hook.u64(6, u64::from(*timeout));
            }
        });
    }
    let message = writer.finish().unwrap();
    use_it(&Plan::new(Message::parse(message).unwrap().0))
}

fn run_scripts(scripts: &[(&str, Option<u32>)], state: &[u8]) -> core::result::Result<(), String> {
    with_hooks(scripts, |plan| run(PRESTART, plan, state)).map_err(|error| error.to_string())
}

#[test]
fn a_hook_reads_the_state_on_stdin() {
    let state = b"{\"id\":\"c1\"}";
    assert_eq!(run_scripts(&[("test \"$(cat)\" = '{\"id\":\"c1\"}'", None)], state), Ok(()));
    assert_eq!(run_scripts(&[("test \"$(cat /dev/stdin)\" = '{\"id\":\"c1\"}'", None)], state), Ok(()));
}

#[test]
fn a_state_larger_than_a_pipe_arrives_whole() {
    let state = vec![b'x'; 300_000];
    assert_eq!(run_scripts(&[("test $(wc -c) = 300000", Some(20))], &state), Ok(()));
}

#[test]
fn a_hook_that_never_reads_neither_blocks_nor_kills_us() {
    let state = vec![b'x'; 300_000];
    assert_eq!(run_scripts(&[("exit 0", Some(20)), ("exec <&-; sleep 0.1", Some(20))], &state), Ok(()));
}

#[test]
fn a_hook_has_its_own_environment_and_name_only() {
    let script = "test \"$GIVEN\" = yes && test -z \"$HOME$CARGO_MANIFEST_DIR\" && test $0 = hook";
    // With -c, $0 is the shell's name for itself: argv[0].
    assert_eq!(run_scripts(&[(script, None)], b""), Ok(()));
}

#[test]
fn a_failing_hook_is_named_with_its_status_and_what_it_said() {
    let error = run_scripts(&[("exit 0", None), ("echo oh no >&2; exit 3", None)], b"").unwrap_err();
    assert_eq!(error, "error running prestart hook #1: /bin/sh: exit status 3: oh no");
}

#[test]
fn after_a_failure_the_rest_do_not_run() {
    let mark = std::env::temp_dir().join(format!("hook-ran-{}", std::process::id()));
    let script = format!("touch {}", mark.display());
    assert!(run_scripts(&[("exit 1", None), (&script, None)], b"").is_err());
    assert!(!mark.exists());
}

#[test]
fn each_goes_on_after_a_failure_where_the_caller_says_so() {
    let mut failures = 0;
    let all = with_hooks(&[("exit 1", None), ("exit 2", None)], |plan| {
        each(PRESTART, plan, b"", None, &mut |_| {
            failures += 1;
            Ok(())
        })
    });
    assert_eq!((all, failures), (Ok(()), 2));
}

#[test]
fn hooks_of_other_stages_do_not_run() {
    with_hooks(&[("exit 1", None)], |plan| {
        assert_eq!(run(POSTSTOP, plan, b""), Ok(()));
        assert_eq!((any(PRESTART, plan), any(POSTSTOP, plan)), (Ok(true), Ok(false)));
    });
}

#[test]
fn a_hook_past_its_timeout_is_killed() {
    let begin = std::time::Instant::now();
    let error = run_scripts(&[("echo waiting; exec sleep 30", Some(1))], b"").unwrap_err();
    assert_eq!(error, "error running prestart hook #0: /bin/sh: timed out after 1 s: waiting");
    assert!((1..10).contains(&begin.elapsed().as_secs()));
}

#[test]
fn a_hook_that_prints_for_ever_has_its_timeout_too() {
    let error = run_scripts(&[("exec yes", Some(1))], b"").unwrap_err();
    assert!(error.starts_with("error running prestart hook #0: /bin/sh: timed out after 1 s: y"), "{error}");
}

#[test]
fn a_daemon_that_a_hook_leaves_behind_does_not_hold_us() {
    let begin = std::time::Instant::now();
    assert_eq!(run_scripts(&[("sleep 5 & exit 0", None)], b""), Ok(()));
    assert!(begin.elapsed().as_secs() < 4);
}

#[test]
fn a_hook_killed_by_a_signal_is_told_so() {
    let error = run_scripts(&[("kill -TERM $$", None)], b"").unwrap_err();
    assert_eq!(error, "error running prestart hook #0: /bin/sh: killed by signal 15");
}

#[test]
fn a_hook_that_is_not_there_is_named() {
    let mut buffer = vec![0; 4096];
    let mut writer = Writer::new(&mut buffer, 0x11);
    writer.nest(crate::plan::kind::HOOK, |hook| {
        hook.u32(1, PRESTART);
        hook.u32(2, 0);
        hook.string(3, c"/nowhere/hook");
    });
    let message = writer.finish().unwrap();
    let error = run(PRESTART, &Plan::new(Message::parse(message).unwrap().0), b"").unwrap_err().to_string();
    let expected = "error running prestart hook #0: /nowhere/hook: exit status 127: execve: ENOENT (no such file or directory)";
    assert_eq!(error, expected);
}

#[test]
fn a_hook_has_no_descriptor_of_ours() {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let _inherited = rustix::fs::openat(rustix::fs::CWD, c"/", flags, rustix::fs::Mode::empty()).unwrap();
    // The glob's own descriptor of the directory is the fourth.
    assert_eq!(
        run_scripts(&[("set -- /proc/self/fd/*; test $# -le 4 || { echo $*; exit 1; }", None)], b""),
        Ok(())
    );
}
