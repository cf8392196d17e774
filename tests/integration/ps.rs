//! `ps`: pids as JSON, and a table as ps(1) would make it.

use minirunc_tests::bundle::Bundle;
use minirunc_tests::host;
use minirunc_tests::only_ours;

use crate::kill::{detached, sleeping, until};

/// Header and rows of the table, in words.
fn table(bundle: &Bundle, options: &[&str]) -> Vec<Vec<String>> {
    let out = bundle.runtime(&[&["ps", &bundle.id], options].concat());
    out.ok().stdout.lines().map(|line| line.split_whitespace().map(str::to_string).collect()).collect()
}

#[test]
fn ps_lists_every_process_of_the_cgroup_by_its_pid_here() {
    let bundle = detached(Bundle::new(), &["children 3"]);
    until(|| host::cgroup_pids(&bundle.id).len() == 4);
    let out = bundle.runtime(&["ps", "--format", "json", &bundle.id]);
    let mut pids: Vec<i32> = serde_json::from_str(&out.ok().stdout).expect("a list of numbers");
    assert!(out.stdout.ends_with("]\n") && !out.stdout.contains(' '), "{:?}", out.stdout);
    pids.sort_unstable();
    let mut expected = host::cgroup_pids(&bundle.id);
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(pids.contains(&bundle.pid()));
    bundle.delete();
}

#[test]
fn ps_without_options_shows_the_columns_of_ps_ef() {
    let bundle = sleeping();
    let rows = table(&bundle, &[]);
    assert_eq!(rows[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let pid = bundle.pid().to_string();
    assert_eq!((rows.len(), rows[1][0].as_str(), &rows[1][1]), (2, "root", &pid));
    assert_eq!(rows[1][5..], ["?", "00:00:00", "/probe", "sleep", "60000"]);
    bundle.delete();
}

#[test]
fn ps_takes_options_as_one_argument_or_as_several() {
    let bundle = sleeping();
    let pid = bundle.pid().to_string();
    for options in [&["-o", "pid,comm"][..], &["-opid,comm"], &["-eo", "pid,comm"]] {
        assert_eq!(table(&bundle, options), [["PID", "COMMAND"], [&pid, "probe"]], "{options:?}");
    }
    for options in [&["x"][..], &["ax"], &["-e", "-x"]] {
        assert_eq!(table(&bundle, options)[0], ["PID", "TTY", "STAT", "TIME", "COMMAND"], "{options:?}");
    }
    let rows = table(&bundle, &["aux"]);
    assert_eq!(rows[0][..4], ["USER", "PID", "%CPU", "%MEM"]);
    assert_eq!(rows[1][..2], ["root", &pid]);
    assert!(rows[1][4].parse::<u64>().is_ok_and(|size| size > 0), "VSZ {}", rows[1][4]);
    bundle.delete();
}

#[test]
fn one_argument_may_hold_all_options_and_headers_can_be_chosen() {
    only_ours!("it hands the argument to ps(1) as it is");
    let bundle = sleeping();
    let pid = bundle.pid().to_string();
    let rows = table(&bundle, &["-e -o pid=ID,uid,nlwp,ppid"]);
    assert_eq!(rows[0], ["ID", "UID", "NLWP", "PPID"]);
    assert_eq!(rows[1][..3], [pid.as_str(), "0", "1"]);
    bundle.delete();
}

#[test]
fn ps_of_a_stopped_container_is_empty() {
    let bundle = sleeping();
    bundle.runtime(&["kill", &bundle.id, "9"]).ok();
    until(|| crate::kill::status(&bundle) == "stopped");
    assert_eq!(bundle.runtime(&["ps", "-f", "json", &bundle.id]).ok().stdout, "null\n");
    assert_eq!(table(&bundle, &[]).len(), 1);
    bundle.delete();
}

#[test]
fn what_ps_does_not_know_is_refused_by_name() {
    let bundle = sleeping();
    bundle.runtime(&["ps", "--format", "yaml", &bundle.id]).refused(&["invalid format option"]);
    bundle.runtime(&["ps", &bundle.id, "-Q"]).refused(&["-Q"]);
    bundle.runtime(&["ps", &bundle.id, "-o", "pid,nope"]).refused(&["nope"]);
    bundle.delete();
}
