//! Commands as people type them: runs without a bundle, on a root or on layers.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use minirunc_tests::bundle::Bundle;
use minirunc_tests::facts::{Facts, MOUNTINFO};
use minirunc_tests::host;
use minirunc_tests::network::Network;
use minirunc_tests::runtime::Output;
use minirunc_tests::{only_ours, skip};

/// A run without a bundle under the id of `bundle`, that begins with these flags.
#[track_caller]
pub fn run(bundle: &Bundle, arguments: &[&str]) -> Output {
    let mut all = vec!["run", "--id", &bundle.id];
    all.extend(arguments);
    let mut command = bundle.command(&all);
    command.current_dir(&bundle.dir);
    bundle.start(command).finish()
}

/// On the bundle's root, the probe with these questions behind more flags.
#[track_caller]
fn on_rootfs(flags: &[&str], questions: &[&str]) -> Facts {
    let bundle = Bundle::new();
    let mut arguments = vec!["--rootfs", "rootfs"];
    arguments.extend(flags);
    arguments.extend(["--", "/probe"]);
    arguments.extend(questions);
    let facts = run(&bundle, &arguments).facts();
    bundle.nothing_left();
    facts
}

/// The directory `name` of the bundle, with these files.
pub fn layer(bundle: &Bundle, name: &str, files: &[&str]) -> PathBuf {
    let layer = bundle.dir.join(name);
    for file in files {
        let file = layer.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, name).unwrap();
    }
    layer
}

#[test]
fn one_positional_is_a_bundle_and_the_id_is_its_name_and_our_pid() {
    only_ours!("the spelling is ours");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.write();
    let named = bundle.dir.join("some bundle");
    symlink(".", &named).unwrap();
    let running = bundle.start(bundle.command(&["run", "--detach", named.to_str().unwrap()]));
    let id = format!("some_bundle-{}", running.pid());
    running.finish().ok();
    assert_eq!(bundle.runtime(&["list", "-q"]).ok().stdout, format!("{id}\n"));
    bundle.runtime(&["kill", &id, "KILL"]).ok();
    bundle.runtime(&["delete", "--force", &id]).ok();
    bundle.runtime(&["run", "--detach", "--id", &bundle.id, named.to_str().unwrap()]).ok();
    assert_eq!(bundle.state_json()["status"], "running");
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn a_directory_without_a_config_is_no_bundle_but_an_id() {
    only_ours!("the spelling is ours");
    let bundle = Bundle::new().ask(&[] as &[&str]);
    bundle.write();
    fs::create_dir(bundle.dir.join(&bundle.id)).unwrap();
    let mut command = bundle.command(&["run", &bundle.id]);
    command.current_dir(&bundle.dir);
    assert_eq!(&bundle.start(command).finish().facts()["pid"], "1");
}

#[test]
fn the_form_of_runc_is_a_bundle_and_an_id() {
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    let out = bundle.runtime(&["exec", &bundle.id, "/probe"]);
    assert_eq!(&out.facts()["uid"], "0 0 0");
    bundle.runtime(&["kill", &bundle.id, "KILL"]).ok();
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn ps_without_an_id_lists_the_containers() {
    only_ours!("the spelling is ours");
    let bundle = Bundle::new().ask(&["sleep 60000"]);
    bundle.run_with(&["--detach"]).ok();
    assert_eq!(bundle.runtime(&["ps"]).ok().stdout, bundle.runtime(&["list"]).ok().stdout);
    let json = bundle.runtime(&["ps", "--format", "json"]);
    assert!(json.ok().stdout.starts_with("[{") && json.stdout.contains(&bundle.id), "{}", json.stdout);
    assert!(bundle.runtime(&["ps", &bundle.id]).ok().stdout.contains("/probe sleep 60000"));
    bundle.delete();
}

#[test]
fn a_root_needs_no_bundle_and_no_command() {
    only_ours!("no other runtime runs without a bundle");
    let facts = on_rootfs(&[], &["arg0"]);
    assert_eq!((&facts["arg0"], &facts["pid"], &facts["uid"]), ("/probe", "1", "0 0 0"));
    assert_eq!(&facts["cwd"], "/");
    let bundle = Bundle::new();
    symlink("/probe", bundle.rootfs().join("bin/sh")).unwrap();
    assert_eq!(&run(&bundle, &["--rootfs", "rootfs"]).facts()["pid"], "1");
    assert_eq!(
        &run(&bundle, &["--rootfs=rootfs", "named", "arg0", "--not", "-ours"]).facts()["arg0"],
        "named"
    );
    bundle.nothing_left();
}

#[test]
fn every_option_says_what_it_says() {
    only_ours!("no other runtime runs without a bundle");
    assert_eq!(&on_rootfs(&["--hostname", "h"], &[])["hostname"], "h");
    assert_eq!(&on_rootfs(&["--cwd", "/tmp"], &[])["cwd"], "/tmp");
    let facts = on_rootfs(&["--env", "A=b \"c\"", "--env=D=", "--env", "A=e"], &["env"]);
    let env: Vec<&str> = facts["env"].split(',').collect();
    assert!(env.contains(&"A=e") && env.contains(&"D=") && !env.contains(&"A=b \"c\""), "{env:?}");
    assert!(env.iter().any(|it| it.starts_with("PATH=/")), "{env:?}");
    let facts = on_rootfs(&["--user", "5:6"], &[]);
    assert_eq!((&facts["uid"], &facts["gid"]), ("5 5 5", "6 6 6"));
    assert_eq!(&on_rootfs(&["--user", "5"], &[])["uid"], "5 5 5");
    assert_eq!(&on_rootfs(&["--read-only"], &["create /new"])["create /new"], "!EROFS");
    assert_eq!(&on_rootfs(&[], &["create /new"])["create /new"], "ok");
    let caps = |flags: &[&str]| on_rootfs(flags, &[])["cap.effective"].to_string();
    assert_eq!(caps(&[]), "0 1 3 4 5 6 7 8 10 18 29");
    assert_eq!(caps(&["--cap", "CAP_NET_RAW", "--cap", "SYS_TIME"]), "0 1 3 4 5 6 7 8 10 13 18 25 29");
}

#[test]
fn mounts_are_source_destination_and_options() {
    only_ours!("no other runtime runs without a bundle");
    let bundle = Bundle::new();
    layer(&bundle, "volume", &["here"]);
    let questions = ["list /mnt", "create /mnt/new", "create /tmp/x/new", MOUNTINFO];
    let mut arguments =
        vec!["--rootfs", "rootfs", "--mount", "volume:/mnt:ro,nosuid", "--mount", "volume:/tmp/x", "/probe"];
    arguments.extend(questions);
    let facts = run(&bundle, &arguments).facts();
    assert_eq!((&facts["list /mnt"], &facts["create /mnt/new"]), ("here", "!EROFS"));
    assert_eq!(&facts["create /tmp/x/new"], "ok");
    let mount = facts.mounts().0.into_iter().find(|it| it.point == "/mnt").unwrap();
    assert!(mount.has("ro") && mount.has("nosuid"), "{mount:?}");
    bundle.nothing_left();
}

#[test]
fn limits_hold() {
    only_ours!("no other runtime runs without a bundle");
    let bundle = Bundle::new();
    let flags = [
        "--rootfs",
        "rootfs",
        "--memory",
        "10m",
        "--cpus",
        "0.2",
        "--pids",
        "7",
        "--detach",
        "/probe",
        "sleep 60000",
    ];
    run(&bundle, &flags).ok();
    let read = |names: &[&str]| {
        let found = host::cgroup_directories(&bundle.id)
            .into_iter()
            .flat_map(|dir| names.iter().map(move |it| dir.join(it)));
        found.filter_map(|file| fs::read_to_string(file).ok()).next().map(|text| text.trim().to_string())
    };
    let memory = read(&["memory.limit_in_bytes", "memory.max"]);
    let pids = read(&["pids.max"]);
    let cpu = read(&["cpu.cfs_quota_us", "cpu.max"]);
    bundle.delete();
    assert_eq!(memory.as_deref(), Some("10485760"));
    assert_eq!(pids.as_deref(), Some("7"));
    assert!(cpu.as_deref().is_some_and(|it| it == "20000" || it == "20000 100000"), "{cpu:?}");
    bundle.nothing_left();
}

#[test]
fn networks_are_none_the_hosts_or_one_that_is_there() {
    only_ours!("no other runtime runs without a bundle");
    let ours = fs::metadata("/proc/self/ns/net").unwrap().ino().to_string();
    let path = format!("path=/proc/{}/ns/net", std::process::id());
    for (flags, shared) in
        [(&[][..], false), (&["--net", "none"], false), (&["--net", "host"], true), (&["--net", &path], true)]
    {
        let facts = on_rootfs(flags, &["inode /proc/self/ns/net"]);
        assert_eq!(facts["inode /proc/self/ns/net"].ends_with(&ours), shared, "{flags:?}");
    }
}

#[test]
fn a_terminal_is_there_when_asked_for() {
    only_ours!("no other runtime runs without a bundle");
    let facts = on_rootfs(&["--tty"], &["env", "follow /dev/console"]);
    assert!(facts["env"].contains("TERM=xterm") && !facts["follow /dev/console"].starts_with('!'));
    assert!(on_rootfs(&[], &["follow /dev/console"])["follow /dev/console"].starts_with('!'));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    only_ours!("no other runtime runs without a bundle");
    let bundle = Bundle::new();
    for (arguments, words) in [
        (&["--rootfs", "rootfs", "--memory", "1x", "/probe"][..], "\"1x\" for -memory"),
        (&["--rootfs", "rootfs", "--cpus", "-1", "/probe"], "\"-1\" for -cpus"),
        (&["--rootfs", "rootfs", "--pids", "many", "/probe"], "\"many\" for -pids"),
        (&["--rootfs", "rootfs", "--mount", "/etc", "/probe"], "--mount: expected SRC:DST"),
        (&["--rootfs", "rootfs", "--mount", "/etc:/a:ro:x", "/probe"], "--mount: expected SRC:DST"),
        (
            &["--rootfs", "rootfs", "--mount", "/etc:../a", "/probe"],
            "mounts[0].destination: leads out of the root",
        ),
        (&["--rootfs", "rootfs", "--cap", "CAP_NONE", "/probe"], "unknown capability \"CAP_NONE\""),
        (&["--rootfs", "rootfs", "--net", "moon", "/probe"], "network: expected none, host, bridge or path"),
        (&["--rootfs", "rootfs", "--user", "root", "/probe"], "user: expected UID or UID:GID"),
        (&["--rootfs", "rootfs", "--env", "NOVALUE", "/probe"], "expected NAME=value"),
        (&["--rootfs", "rootfs", "--bundle", ".", "/probe"], "--rootfs and --image come before the command"),
        (&["/probe", "--rootfs", "rootfs"], "--rootfs and --image come before the command"),
        (&["--rootfs", "rootfs", "--image", "rootfs", "/probe"], "image: not with a rootfs"),
        (&["--hostname", "h", "."], "--hostname: only with --rootfs or --image"),
        (&["--rootfs", "absent", "/probe"], "absent: ENOENT"),
        (&["--image", "rootfs:", "/probe"], "image: expected 1 to 62 directories"),
        (&["--image", "rootfs\\", "/probe"], "image: a backslash at the end"),
        (&["--image", "rootfs:absent", "/probe"], "absent: ENOENT"),
        (&["--image", "rootfs:rootfs/probe", "/probe"], "ENOTDIR"),
    ] {
        run(&bundle, arguments).refused(&[words]);
    }
    bundle.nothing_left();
}

#[test]
fn a_bridge_needs_no_bundle_either() {
    only_ours!("no other runtime runs without a bundle");
    if !Network::new().add_bridge(c"b0") {
        skip!("no bridges in this kernel");
    }
    let mut bundle = Bundle::new();
    bundle.network = Some(Network::new());
    let facts = run(&bundle, &["--rootfs", "rootfs", "--net", "bridge", "/probe", "links"]).facts();
    assert_eq!(&facts["links"], "eth0 172.18.0.2/16 up, lo 127.0.0.1/8 up");
    bundle.nothing_left();
}
