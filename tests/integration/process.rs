//! The process: identity, limits, environment, what it inherits and what it does not.

use crate::inherit;
use minirunc_tests::bundle::Bundle;
use minirunc_tests::runtime::Runtime;
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::json;

#[test]
fn the_default_container_runs_and_leaves_nothing() {
    let facts = Bundle::new().facts();
    assert_eq!(&facts["uid"], "0 0 0");
    assert_eq!(&facts["pid"], "1");
    assert_eq!(&facts["hostname"], "runc");
}

#[test]
fn arguments_arrive_as_they_were_written() {
    let facts = Bundle::new().ask(&["label a \"b\" 'c' $d \\e", "label é\u{1F600}\tend", "label "]).facts();
    assert_eq!(&facts["arg.0"], "/probe");
    assert_eq!(&facts["arg.1"], "label a \"b\" 'c' $d \\e");
    assert_eq!(&facts["arg.2"], "label é\u{1F600}\tend");
    assert_eq!(&facts["args"], "4");
}

#[test]
fn json_escapes_in_arguments_are_decoded() {
    let bundle = Bundle::new().ask(&["label X"]);
    let text = bundle.config.to_string().replace("label X", r"label \u0041\ud83d\ude00\/\b\f\r\u00e9");
    bundle.write_text(&text);
    let facts = bundle.run_as_written().facts();
    assert_eq!(&facts["arg.1"], "label A\u{1F600}/\u{8}\u{c}\ré");
}

#[test]
fn the_environment_is_the_configs_and_nothing_of_the_callers() {
    let mut bundle = Bundle::with(|c| c["process"]["env"] = json!(["A=1", "EMPTY=", "WITH=a=b c"]));
    bundle.env.push(("LEAK".into(), "1".into()));
    let facts = bundle.facts();
    let mut keys: Vec<&str> = facts.keys().filter_map(|k| k.strip_prefix("env.")).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["A", "EMPTY", "HOME", "WITH"]);
    assert_eq!(&facts["env.WITH"], "a=b c");
    assert_eq!(&facts["env.EMPTY"], "");
}

#[test]
fn home_comes_from_the_containers_passwd() {
    let bundle = Bundle::with(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    assert_eq!(&bundle.facts()["env.HOME"], "/home/someone");
    let bundle = Bundle::with(|c| c["process"]["user"] = json!({"uid": 0, "gid": 0}));
    assert_eq!(&bundle.facts()["env.HOME"], "/root");
}

#[test]
fn home_of_an_unknown_user_is_the_root() {
    not_for!("crun", "1.8.1 sets no HOME then");
    let bundle = Bundle::with(|c| c["process"]["user"] = json!({"uid": 4242, "gid": 1}));
    assert_eq!(&bundle.facts()["env.HOME"], "/");
}

#[test]
fn home_that_the_config_gives_is_left_alone() {
    let bundle = Bundle::with(|c| c["process"]["env"] = json!(["HOME=/elsewhere"]));
    assert_eq!(&bundle.facts()["env.HOME"], "/elsewhere");
}

#[test]
fn of_several_homes_the_last_counts() {
    not_for!("crun", "1.8.1 takes the first");
    not_for!("runc", "1.1 takes the empty one");
    for (env, home) in [(json!(["HOME=/x", "HOME="]), "/root"), (json!(["HOME=", "HOME=/x"]), "/x")] {
        let bundle = Bundle::with(|c| c["process"]["env"] = env);
        assert_eq!(&bundle.facts()["env.HOME"], home);
    }
}

#[test]
fn the_program_is_searched_in_the_containers_path() {
    let bundle = Bundle::with(|c| {
        c["process"]["args"] = json!(["named"]);
        c["process"]["env"] = json!(["PATH=/nowhere:/etc:/bin"]);
    });
    assert_eq!(&bundle.facts()["arg.0"], "named");
}

#[test]
fn a_relative_program_is_searched_from_cwd() {
    let bundle = Bundle::with(|c| {
        c["process"]["args"] = json!(["bin/named"]);
        c["process"]["cwd"] = json!("/");
    });
    assert_eq!(&bundle.facts()["arg.0"], "bin/named");
}

#[test]
fn user_and_groups_are_exactly_those_asked_for() {
    let bundle = Bundle::with(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7000, 10]})
    });
    let facts = bundle.facts();
    assert_eq!(&facts["uid"], "1000 1000 1000");
    assert_eq!(&facts["gid"], "1001 1001 1001");
    let mut groups: Vec<u32> = facts["groups"].split_whitespace().map(|g| g.parse().unwrap()).collect();
    groups.sort_unstable();
    // Linux adds nothing; some runtimes list the primary group too.
    groups.retain(|&g| g != 1001);
    assert_eq!(groups, [5, 10, 7000]);
}

#[test]
fn groups_of_the_caller_that_cannot_be_shed_are_a_refusal() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    inherit::keep_groups(&mut command, &[5]);
    bundle.start(command).finish().refused(&["setgroups"]);
    bundle.nothing_left();
}

#[test]
fn supplementary_groups_of_the_caller_are_dropped() {
    let facts = Bundle::new().facts();
    assert!(matches!(&facts["groups"], "" | "0"), "groups {}", &facts["groups"]);
}

#[test]
fn umask_is_set_when_given() {
    let bundle = Bundle::with(|c| c["process"]["user"]["umask"] = json!(0o027));
    assert_eq!(&bundle.facts()["umask"], "0027");
}

#[test]
fn umask_is_0022_when_not_given() {
    assert_eq!(&Bundle::new().facts()["umask"], "0022");
}

#[test]
fn rlimits_are_set_as_given() {
    let bundle = Bundle::with(|c| {
        c["process"]["rlimits"] = json!([
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
            {"type": "RLIMIT_NPROC", "soft": 50, "hard": 60},
            {"type": "RLIMIT_RTTIME", "soft": 5_000_000, "hard": 6_000_000},
            {"type": "RLIMIT_CPU", "soft": 100, "hard": 18_446_744_073_709_551_615u64},
        ]);
    });
    let facts = bundle.facts();
    assert_eq!(&facts["rlimit.NOFILE"], "100 200");
    assert_eq!(&facts["rlimit.CORE"], "0 4096");
    assert_eq!(&facts["rlimit.NPROC"], "50 60");
    assert_eq!(&facts["rlimit.RTTIME"], "5000000 6000000");
    assert_eq!(&facts["rlimit.CPU"], "100 unlimited");
}

#[test]
fn every_rlimit_name_is_known() {
    let names = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let inside = Bundle::new().facts();
    let inherited = |name: &str| inside[&format!("rlimit.{name}")].to_string();
    let number = |s: &str| if s == "unlimited" { u64::MAX } else { s.parse().unwrap() };
    let limits: Vec<_> = names
        .iter()
        .map(|name| {
            let (soft, hard) = inherited(name).split_once(' ').map(|(s, h)| (number(s), number(h))).unwrap();
            json!({"type": format!("RLIMIT_{name}"), "soft": soft, "hard": hard})
        })
        .collect();
    let facts = Bundle::with(|c| c["process"]["rlimits"] = json!(limits)).facts();
    for name in names {
        assert_eq!(facts[&format!("rlimit.{name}")], inherited(name), "{name}");
    }
}

#[test]
fn oom_score_is_set_exactly() {
    let bundle = Bundle::with(|c| c["process"]["oomScoreAdj"] = json!(321));
    assert_eq!(&bundle.facts()["oom_score_adj"], "321");
}

#[test]
fn oom_score_is_not_touched_when_absent() {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(&Bundle::new().facts()["oom_score_adj"], own.trim());
}

#[test]
fn a_process_as_ordinary_user_still_gets_its_oom_score() {
    let bundle = Bundle::with(|c| {
        c["process"]["oomScoreAdj"] = json!(100);
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    assert_eq!(&bundle.facts()["oom_score_adj"], "100");
}

#[test]
fn cwd_is_entered() {
    let bundle = Bundle::with(|c| c["process"]["cwd"] = json!("/data"));
    assert_eq!(&bundle.facts()["cwd"], "/data");
}

#[test]
fn a_missing_cwd_is_made() {
    let bundle = Bundle::with(|c| {
        c["process"]["cwd"] = json!("/made/by/us");
        c["root"]["readonly"] = json!(false);
    });
    assert_eq!(&bundle.facts()["cwd"], "/made/by/us");
    assert!(bundle.rootfs().join("made/by/us").is_dir());
}

#[test]
fn cwd_through_a_symlink_stays_inside_the_root() {
    let bundle = Bundle::with(|c| c["process"]["cwd"] = json!("/way"));
    std::os::unix::fs::symlink("/data", bundle.rootfs().join("way")).unwrap();
    assert_eq!(&bundle.facts()["cwd"], "/data");
}

#[test]
fn no_new_privileges_is_set_as_asked() {
    assert_eq!(&Bundle::new().facts()["no_new_privs"], "1");
    let bundle = Bundle::with(|c| c["process"]["noNewPrivileges"] = json!(false));
    assert_eq!(&bundle.facts()["no_new_privs"], "0");
}

#[test]
fn a_setuid_program_gains_nothing_under_no_new_privileges() {
    for (denied, expected) in [(true, "1000 1000 1000"), (false, "1000 0 0")] {
        let bundle = Bundle::with(|c| {
            c["process"]["noNewPrivileges"] = json!(denied);
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        });
        let setuid = bundle.rootfs().join("setuid");
        std::fs::copy(minirunc_tests::runtime::probe(), &setuid).unwrap();
        minirunc_tests::bundle::mode(&setuid, 0o4755);
        let facts = bundle.ask(&["becomes /setuid"]).facts();
        assert_eq!(&facts["becomes /setuid"], expected, "noNewPrivileges {denied}");
    }
}

#[test]
fn nothing_above_2_is_open_inside() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    // Two descriptors that a careless caller leaves open for everybody, one of them a host directory.
    inherit::leak(&mut command, "/", 7);
    inherit::leak(&mut command, "/etc/hostname", 500);
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["fds"], "0 1 2");
}

#[test]
fn preserved_descriptors_and_no_others_pass() {
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&["--preserve-fds", "2"]);
    for fd in [3, 4, 5, 9] {
        inherit::leak(&mut command, "/dev/zero", fd);
    }
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["fds"], "0 1 2 3 4");
}

#[test]
fn a_preserved_descriptor_that_is_not_open_is_an_error() {
    only_ours!("runc 1.1 passes descriptors of its own instead (runc#5474), crun does not look");
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&["--preserve-fds", "3"]);
    inherit::close(&mut command, &[3, 4, 5]);
    bundle.start(command).finish().refused(&["preserve-fds"]);
    bundle.nothing_left();
}

#[test]
fn listen_fds_pass_and_the_process_is_told() {
    not_for!("crun", "1.8.1 hands LISTEN_FDS on without LISTEN_PID=1");
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    for fd in [3, 4, 5] {
        inherit::leak(&mut command, "/dev/zero", fd);
    }
    inherit::listen(&mut command, 2);
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["fds"], "0 1 2 3 4");
    assert_eq!(&facts["env.LISTEN_FDS"], "2");
    assert_eq!(&facts["env.LISTEN_PID"], "1");
}

#[test]
fn listen_fds_for_another_pid_are_not_ours() {
    only_ours!("runc 1.1 does not look at LISTEN_PID");
    let mut bundle = Bundle::new();
    bundle.env.push(("LISTEN_FDS".into(), "2".into()));
    bundle.env.push(("LISTEN_PID".into(), "1".into()));
    bundle.write();
    let mut command = bundle.run_command(&[]);
    for fd in [3, 4] {
        inherit::leak(&mut command, "/dev/zero", fd);
    }
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["fds"], "0 1 2");
    assert!(!facts.has("env.LISTEN_FDS"));
}

#[test]
fn signal_dispositions_and_mask_are_clean() {
    let facts = Bundle::new().facts();
    assert_eq!(&facts["blocked"], "");
    // 32 and 33 belong to libc and Go's runtime, which leave them behind in runc.
    let ignored: Vec<&str> =
        facts["ignored"].split_whitespace().filter(|s| !matches!(*s, "32" | "33")).collect();
    assert!(ignored.is_empty(), "ignored: {ignored:?}");
}

#[test]
fn signals_blocked_by_the_caller_are_unblocked_inside() {
    only_ours!("the oracles hand the caller's mask on");
    let bundle = Bundle::new();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    inherit::block_signals(&mut command);
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["blocked"], "");
}

#[test]
fn the_process_leads_its_own_session() {
    let facts = Bundle::new().facts();
    assert_eq!((&facts["sid"], &facts["pgid"]), ("1", "1"));
}

#[test]
fn the_process_has_no_parent_death_signal() {
    assert_eq!(&Bundle::new().facts()["pdeathsig"], "0");
}

#[test]
fn all_cpus_of_the_caller_are_allowed() {
    let own = std::thread::available_parallelism().unwrap().get();
    let facts = Bundle::new().ask(&["cpus"]).facts();
    assert_eq!(facts["cpus"].split_whitespace().count(), own);
}

#[test]
fn stdin_is_the_callers() {
    let bundle = Bundle::new().ask(&["stdin"]);
    bundle.write();
    std::fs::write(bundle.dir.join("in"), "hello\nworld").unwrap();
    let mut command = bundle.run_command(&[]);
    command.stdin(std::fs::File::open(bundle.dir.join("in")).unwrap());
    let facts = bundle.start(command).finish().facts();
    assert_eq!(&facts["stdin"], "hello\nworld");
}

#[test]
fn stdout_and_stderr_stay_apart() {
    let out = Bundle::new().ask(&["stderr apart"]).run();
    assert!(out.ok().stderr.contains("apart"));
    assert!(out.stdout.contains("uid="));
    assert!(!out.stderr.contains("uid="));
}

#[test]
fn a_process_as_ordinary_user_can_reopen_its_stdio() {
    let bundle = Bundle::with(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let facts = bundle.ask(&["open /dev/stdout w", "open /proc/self/fd/2 w"]).facts();
    assert_eq!(&facts["open /dev/stdout w"], "ok");
    assert_eq!(&facts["open /proc/self/fd/2 w"], "ok");
}

#[test]
fn personality_linux32_shows_a_32_bit_machine() {
    not_for!("runc", "1.1 has no personality");
    if cfg!(target_arch = "riscv64") {
        skip!("Debian's kernel runs no 32-bit programs there, and execve makes it PER_LINUX again");
    }
    let bundle = Bundle::with(|c| c["linux"]["personality"] = json!({"domain": "LINUX32"}));
    assert_eq!(&bundle.ask(&["personality"]).facts()["personality"], "8");
}

#[test]
fn null_is_an_absent_value_anywhere() {
    let bundle = Bundle::with(|c| {
        c["process"]["user"]["additionalGids"] = json!(null);
        c["process"]["rlimits"] = json!(null);
        c["hooks"] = json!(null);
        c["annotations"] = json!(null);
        c["linux"]["devices"] = json!(null);
        c["linux"]["sysctl"] = json!(null);
        c["linux"]["resources"]["memory"] = json!(null);
        c["linux"]["maskedPaths"] = json!(null);
        c["mounts"][0]["options"] = json!(null);
    });
    assert_eq!(&bundle.facts()["pid"], "1");
}

#[test]
fn unknown_properties_are_ignored_at_any_depth() {
    let bundle = Bundle::with(|c| {
        c["x-new"] = json!({"deep": [1, {"deeper": [[[]]]}]});
        c["process"]["x-new"] = json!(1.5e10);
        c["linux"]["resources"]["x-new"] = json!([true]);
        c["mounts"][0]["x-new"] = json!("text \u{7f}");
    });
    assert_eq!(&bundle.facts()["pid"], "1");
}

#[test]
fn the_last_of_duplicate_keys_wins() {
    not_for!("crun", "yajl takes the first; Go takes the last");
    let bundle = Bundle::new();
    let text = bundle.config.to_string().replacen(
        "\"hostname\":\"runc\"",
        "\"hostname\":\"first\",\"hostname\":\"second\"",
        1,
    );
    bundle.write_text(&text);
    let facts = bundle.run_as_written().facts();
    assert_eq!(&facts["hostname"], "second");
}

#[test]
fn the_containers_exe_is_not_the_hosts_file() {
    // CVE-2019-5736: what the process sees as its executable is its own program, and the runtime that it could have
    // seen on the way is no file of the host that can be written.
    let facts = Bundle::new().ask(&["readlink /proc/self/exe", "readlink /proc/1/exe"]).facts();
    assert_eq!(&facts["readlink /proc/self/exe"], "/probe");
    assert_eq!(&facts["readlink /proc/1/exe"], "/probe");
    assert!(Runtime::get().path.exists());
}

#[test]
fn a_container_without_any_namespace_runs_on_the_host() {
    let mut bundle = Bundle::with(|c| {
        c["linux"]["namespaces"] = json!([{"type": "mount"}]);
        c.as_object_mut().unwrap().remove("hostname");
    });
    bundle.drop_mount("/sys");
    let facts = bundle.facts();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(&facts["ns.net"], own.to_str().unwrap());
    assert_ne!(&facts["pid"], "1");
}
