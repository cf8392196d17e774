//! What cannot be run: a clear error, status 1, and nothing left behind (`Bundle::run` checks that each time).

#![allow(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::runtime::{Runtime, check};
use minirunc_tests::{not_for, only_ours};
use serde_json::{Value, json};

/// The default container with one thing wrong is refused, in words that name it.
#[track_caller]
pub fn refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    Bundle::with(change).run().refused(words);
}

#[test]
fn a_missing_bundle_is_refused() {
    let bundle = Bundle::new();
    let out = bundle.runtime(&["run", "--bundle", "/no/such/bundle", &bundle.id]);
    out.refused(&["/no/such/bundle"]);
    bundle.nothing_left();
}

#[test]
fn a_missing_process_is_refused() {
    refused(|c| drop(c.as_object_mut().unwrap().remove("process")), &["process"]);
}

#[test]
fn empty_arguments_are_refused() {
    refused(|c| c["process"]["args"] = json!([]), &["process.args"]);
    refused(|c| drop(c["process"].as_object_mut().unwrap().remove("args")), &["process.args"]);
    refused(|c| c["process"]["args"] = json!(null), &["process.args"]);
}

#[test]
fn an_empty_program_is_refused() {
    let out = Bundle::with(|c| c["process"]["args"] = json!([""])).run();
    assert!(out.code() > 0 && !out.stderr.is_empty());
}

#[test]
fn a_relative_cwd_is_refused() {
    not_for!("crun", "takes it");
    refused(|c| c["process"]["cwd"] = json!("data"), &["process.cwd"]);
    refused(|c| c["process"]["cwd"] = json!(""), &["process.cwd"]);
    refused(|c| drop(c["process"].as_object_mut().unwrap().remove("cwd")), &["process.cwd"]);
}

#[test]
fn a_cwd_that_is_a_file_is_refused() {
    refused(|c| c["process"]["cwd"] = json!("/data/file"), &["/data/file"]);
}

#[test]
fn a_nul_in_a_string_is_refused() {
    not_for!("crun", "ends the string there");
    refused(|c| c["process"]["args"] = json!(["/probe", "a\u{0}b"]), &["process.args"]);
    refused(|c| c["process"]["env"] = json!(["A=\u{0}"]), &["process.env"]);
    refused(|c| c["mounts"][0]["destination"] = json!("/pr\u{0}oc"), &["mounts[0]"]);
}

#[test]
fn a_path_that_is_too_long_is_refused_by_name() {
    let long = format!("/{}", "x".repeat(5000));
    refused(|c| c["mounts"][0]["destination"] = json!(long), &["mounts[0].destination"]);
    refused(|c| c["process"]["cwd"] = json!(long), &["process.cwd"]);
    refused(|c| c["root"]["path"] = json!(long), &["root.path"]);
}

#[test]
fn a_missing_root_is_refused() {
    refused(|c| drop(c.as_object_mut().unwrap().remove("root")), &["root"]);
    refused(|c| c["root"] = json!({"path": "missing"}), &["missing"]);
    refused(|c| c["root"] = json!({}), &["root.path"]);
    refused(|c| c["root"] = json!({"path": ""}), &["root.path"]);
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    refused(|c| c["root"]["path"] = json!("rootfs/data/file"), &["rootfs/data/file"]);
}

#[test]
fn a_missing_mount_source_is_refused_by_name() {
    let source = "/no/such/source";
    let change = |c: &mut Value| {
        let mount = json!({"destination": "/mnt", "type": "bind", "source": source, "options": ["bind"]});
        c["mounts"].as_array_mut().unwrap().push(mount);
    };
    refused(change, &[source]);
}

#[test]
fn a_mount_without_destination_is_refused() {
    not_for!("crun", "takes it");
    refused(
        |c| drop(c["mounts"][4].as_object_mut().unwrap().remove("destination")),
        &["mounts[4].destination"],
    );
}

#[test]
fn a_file_where_a_directory_must_be_mounted_is_refused() {
    let bundle = Bundle::with(|c| {
        c["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/data/file/below", "type": "tmpfs", "source": "tmpfs"}));
    });
    bundle.run().refused(&["/data/file"]);
    let mut bundle = Bundle::new();
    fs::create_dir(bundle.dir.join("source")).unwrap();
    let source = bundle.path("source");
    bundle.add_mount(
        json!({"destination": "/data/file", "type": "bind", "source": source, "options": ["bind"]}),
    );
    bundle.run().refused(&["/data/file"]);
}

#[test]
fn a_missing_executable_is_127() {
    for program in ["/missing", "missing", "./missing", "/data/file/below", "/missing/too"] {
        let out = Bundle::with(|c| c["process"]["args"] = json!([program])).run();
        out.we_say(program);
        if Runtime::get().ours() {
            out.ended(127);
        } else {
            assert!(out.code() > 0);
        }
    }
}

#[test]
fn a_missing_executable_is_told_in_the_callers_words() {
    only_ours!("podman and docker match these, in any case of letters");
    for (program, words) in
        [("missing", "executable file not found in $path"), ("/missing", "no such file or directory")]
    {
        let out = Bundle::with(|c| c["process"]["args"] = json!([program])).run();
        assert!(out.stderr.to_lowercase().contains(words), "{program}: {}", out.stderr);
    }
}

#[test]
fn what_cannot_be_executed_is_126() {
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/data/file"]));
    mode(&bundle.rootfs().join("data/file"), 0o644);
    let out = bundle.run();
    let directory = Bundle::with(|c| c["process"]["args"] = json!(["/data"])).run();
    let not_a_program = {
        let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/data/file"]));
        mode(&bundle.rootfs().join("data/file"), 0o755);
        bundle.run()
    };
    for out in [out, directory, not_a_program] {
        assert!(out.code() > 0 && !out.stderr.is_empty());
        if Runtime::get().ours() {
            out.ended(126).says("/data");
        }
    }
}

#[test]
fn a_script_whose_interpreter_is_missing_is_127() {
    let bundle = Bundle::with(|c| c["process"]["args"] = json!(["/data/file"]));
    fs::write(bundle.rootfs().join("data/file"), "#!/no/interpreter\n").unwrap();
    mode(&bundle.rootfs().join("data/file"), 0o755);
    let out = bundle.run();
    assert!(out.code() > 0 && !out.stderr.is_empty());
    if Runtime::get().ours() {
        out.ended(127);
    }
}

#[test]
fn an_id_that_the_user_namespace_does_not_map_is_refused() {
    let mut bundle = crate::namespaces::user_namespace(100_000);
    bundle.config["process"]["user"] = json!({"uid": 70_000, "gid": 0});
    bundle.run().refused(&["70000"]);
    let mut bundle = crate::namespaces::user_namespace(100_000);
    bundle.config["process"]["user"] = json!({"uid": 0, "gid": 70_001});
    bundle.run().refused(&["70001"]);
}

#[test]
fn overlapping_id_maps_are_refused() {
    not_for!("runc", "1.1 leaves the cgroup behind on v2");
    let mut bundle = crate::namespaces::user_namespace(100_000);
    bundle.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 5, "hostID": 200_000, "size": 10}]);
    bundle.run().refused(&["uid_map"]);
}

#[test]
fn an_rlimit_given_twice_is_refused() {
    not_for!("runc", "1.1 takes it");
    let twice =
        json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}]);
    not_for!("crun", "takes it");
    refused(|c| c["process"]["rlimits"] = twice, &["process.rlimits[1]"]);
}

#[test]
fn an_unknown_rlimit_is_refused() {
    refused(
        |c| c["process"]["rlimits"] = json!([{"type": "RLIMIT_NONSENSE", "soft": 0, "hard": 0}]),
        &["process.rlimits[0].type"],
    );
}

#[test]
fn a_soft_limit_above_the_hard_one_is_refused() {
    refused(
        |c| c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 9, "hard": 5}]),
        &["process.rlimits[0]"],
    );
}

#[test]
fn an_oom_score_out_of_range_is_refused() {
    refused(|c| c["process"]["oomScoreAdj"] = json!(1001), &["oom"]);
}

#[test]
fn a_hostname_that_is_too_long_is_refused() {
    refused(|c| c["hostname"] = json!("x".repeat(65)), &["hostname"]);
}

#[test]
fn a_state_root_that_is_read_only_is_an_error() {
    let bundle = Bundle::new();
    fs::create_dir(bundle.state()).unwrap();
    bundle.write();
    let mut command = bundle.run_command(&[]);
    let state = std::ffi::CString::new(bundle.state().to_str().unwrap()).unwrap();
    // SAFETY: system calls on a string made before fork.
    unsafe {
        command.pre_exec(move || {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let mount = |flags| {
                check(libc::mount(state.as_ptr(), state.as_ptr(), c"".as_ptr(), flags, std::ptr::null()))
            };
            let slave = libc::MS_REC | libc::MS_SLAVE;
            check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), c"".as_ptr(), slave, std::ptr::null()))?;
            mount(libc::MS_BIND)?;
            mount(libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)
        });
    }
    bundle.start(command).finish().refused(&["EROFS", "state"]);
    bundle.nothing_left();
}

#[test]
fn a_state_root_that_is_a_file_is_an_error() {
    let bundle = Bundle::new();
    fs::write(bundle.dir.join("a-file"), "").unwrap();
    bundle.write();
    let mut command = Runtime::get().command();
    command.arg("--root").arg(bundle.dir.join("a-file")).args([
        "run",
        "--bundle",
        bundle.dir.to_str().unwrap(),
        &bundle.id,
    ]);
    bundle.start(command).finish().refused(&["a-file"]);
    bundle.nothing_left();
}

#[test]
fn a_long_string_is_no_crash() {
    // 64 KB is what one netlink attribute holds; 128 KB (MAX_ARG_STRLEN) what execve(2) takes.
    let long = format!("label {}", "y".repeat(60_000));
    let out = Bundle::new().ask(&[&long]).run();
    assert!(out.ok().stdout.contains(&long));
    let longer = "y".repeat(200_000);
    let out = Bundle::new().ask(&[&longer]).run();
    assert!(out.code() > 0 && !out.stderr.is_empty());
}

#[test]
fn thousands_of_entries_are_no_limit() {
    let bundle = Bundle::with(|c| {
        c["process"]["env"] = (0..3000).map(|n| json!(format!("VARIABLE_{n}=value {n}"))).collect();
        c["annotations"] =
            (0..3000).map(|n| (format!("key.{n}"), json!("value"))).collect::<serde_json::Map<_, _>>().into();
    });
    let facts = bundle.facts();
    assert_eq!(&facts["env.VARIABLE_2999"], "value 2999");
}

#[test]
fn hundreds_of_mounts_are_no_limit() {
    let mut bundle = Bundle::new();
    bundle.add_mount(json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"}));
    for n in 0..300 {
        bundle.add_mount(json!({"destination": format!("/mnt/{n}"), "type": "bind", "source": "rootfs/data", "options": ["bind", "ro"]}));
    }
    let facts = bundle.ask(&["read /mnt/299/file"]).facts();
    assert_eq!(&facts["read /mnt/299/file"], "in the root");
}

#[test]
fn a_dangling_symlink_as_mount_source_is_refused() {
    let mut bundle = Bundle::new();
    symlink("/no/such/target", bundle.dir.join("dangling")).unwrap();
    let source = bundle.path("dangling");
    bundle.add_mount(json!({"destination": "/mnt", "type": "bind", "source": source, "options": ["bind"]}));
    bundle.run().refused(&["dangling"]);
}

#[test]
fn a_failure_late_inside_leaves_nothing() {
    // Everything is made by the time that execve fails.
    let bundle = Bundle::with(|c| {
        c["process"]["args"] = json!(["/missing"]);
        c["linux"]["resources"]["pids"] = json!({"limit": 100});
        c["root"]["readonly"] = json!(false);
    });
    let out = bundle.run();
    assert!(out.code() > 0);
    // Again under the same id: nothing of the first run is in the way.
    assert_eq!(bundle.run().code(), out.code());
}
