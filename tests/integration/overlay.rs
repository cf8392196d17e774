//! Roots made of layers: `--image` and the annotation `org.minirunc.overlay`.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::facts::MOUNTINFO;
use minirunc_tests::kernel::{Lacks, lacking};
use minirunc_tests::{host, only_ours, skip};

use crate::bare::{layer, run};
use crate::rootless::rootless;

macro_rules! needs_overlay {
    () => {
        only_ours!("no other runtime runs without a bundle");
        if !fs::read_to_string("/proc/filesystems").unwrap().lines().any(|line| line.ends_with("\toverlay")) {
            skip!("no overlayfs here");
        }
    };
}

#[test]
fn layers_are_seen_through_and_written_above() {
    needs_overlay!();
    let bundle = Bundle::new();
    let above = layer(&bundle, "above", &["data/file", "data/above"]);
    // A whiteout, and a directory that hides those below it.
    layer(&bundle, "middle", &["data/middle", "opaque/seen"]);
    layer(&bundle, "rootfs", &["data/gone", "opaque/hidden"]);
    host::whiteout(&above.join("data/gone"));
    host::opaque(&bundle.dir.join("middle/opaque"), "trusted.overlay.opaque");
    mode(&above, 0o751);
    chown(&above, Some(3), Some(4)).unwrap();
    let questions = [
        "read /data/file",
        "list /data",
        "list /opaque",
        "write /data/middle x",
        "unlink /data/file",
        "create /new",
        "stat /",
    ];
    let mut arguments = vec!["--image", "above:middle:rootfs", "/probe"];
    arguments.extend(questions);
    let facts = run(&bundle, &arguments).facts();
    assert_eq!(&facts["read /data/file"], "above");
    assert_eq!(words(&facts["list /data"]), ["above", "file", "middle"]);
    assert_eq!(words(&facts["list /opaque"]), ["seen"]);
    assert_eq!((&facts["unlink /data/file"], &facts["create /new"]), ("ok", "ok"));
    assert!(facts["stat /"].contains("0751 3:4"), "{}", &facts["stat /"]);
    // Nothing of that has changed the layers.
    assert_eq!(fs::read_to_string(bundle.dir.join("middle/data/middle")).unwrap(), "middle");
    assert!(
        above.join("data/file").exists()
            && !bundle.rootfs().join("new").exists()
            && !above.join("new").exists()
    );
    bundle.nothing_left();
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<_> = text.split([' ', ',', '\n']).filter(|it| !it.is_empty()).collect();
    words.sort_unstable();
    words
}

#[test]
fn a_layers_name_may_have_colons_commas_and_backslashes() {
    needs_overlay!();
    let bundle = Bundle::new();
    layer(&bundle, "a:b,c\\d e", &["data/odd"]);
    let facts =
        run(&bundle, &["--image", "a\\:b,c\\\\d e:rootfs", "/probe", "read /data/odd", MOUNTINFO]).facts();
    assert_eq!(&facts["read /data/odd"], "a:b,c\\d e");
    // Nor does the container learn where on the host they are.
    assert!(!facts[MOUNTINFO].contains(bundle.dir.to_str().unwrap()), "{}", &facts[MOUNTINFO]);
    bundle.nothing_left();
}

#[test]
fn there_may_be_as_many_layers_as_there_are_names_for() {
    needs_overlay!();
    let bundle = Bundle::new();
    let long = "x".repeat(200);
    let mut layers: Vec<String> = (0..61).map(|n| format!("{long}/{n}")).collect();
    layers.iter().for_each(|name| {
        drop(layer(&bundle, name, &[&format!("data/{}", name.rsplit('/').next().unwrap())]))
    });
    layers.push("rootfs".into());
    let facts = run(&bundle, &["--image", &layers.join(":"), "/probe", "list /data"]).facts();
    assert_eq!(words(&facts["list /data"]).len(), 62);
    layers.push("rootfs".into());
    run(&bundle, &["--image", &layers.join(":"), "/probe"]).refused(&["image: expected 1 to 62 directories"]);
    bundle.nothing_left();
}

#[test]
fn the_hosts_root_can_be_thrown_away() {
    needs_overlay!();
    let bundle = Bundle::new();
    let mark = format!("/{}", bundle.id);
    // A layer is one mount, and the bundle may be on another than the root.
    let probe = format!("{mark}.probe");
    fs::copy(bundle.path("rootfs/probe"), &probe).unwrap();
    let out = run(&bundle, &["--image", "/", &probe, &format!("mkdir {mark}"), MOUNTINFO]);
    fs::remove_file(&probe).unwrap();
    let facts = out.facts();
    assert_eq!(&facts[&*format!("mkdir {mark}")], "ok");
    assert!(!Path::new(&mark).exists());
    assert_eq!(facts.mounts().0.iter().find(|it| it.point == "/").unwrap().kind, "overlay");
    bundle.nothing_left();
}

#[test]
fn what_was_written_is_kept_when_asked_until_delete() {
    needs_overlay!();
    let bundle = Bundle::new();
    run(&bundle, &["--keep", "--image", "rootfs", "/probe", "write /data/file changed"]).ok();
    let upper = bundle.state().join(&bundle.id).join("overlay/upper");
    assert_eq!(fs::read_to_string(upper.join("data/file")).unwrap(), "changedroot");
    assert_eq!(bundle.state_json()["status"], "stopped");
    bundle.runtime(&["delete", &bundle.id]).ok();
    bundle.nothing_left();
}

#[test]
fn what_was_written_goes_with_a_container_whose_runtime_was_killed() {
    needs_overlay!();
    let bundle = Bundle::new();
    let mut command = bundle.command(&[
        "run",
        "--id",
        &bundle.id,
        "--image",
        "rootfs",
        "/probe",
        "mkdir /data/made",
        "sleep 60000",
    ]);
    command.current_dir(&bundle.dir);
    let mut running = bundle.start(command);
    running.until("mkdir /data/made=ok");
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code(), -(128 + 9));
    assert!(bundle.state().join(&bundle.id).join("overlay/upper/data/made").exists());
    // Only while it runs, and only inside, is there a mount.
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(bundle.dir.to_str().unwrap()));
    bundle.delete();
    bundle.nothing_left();
}

#[test]
fn whatever_a_container_has_left_is_removed() {
    needs_overlay!();
    let bundle = Bundle::new();
    let outside = layer(&bundle, "outside", &["file"]);
    run(&bundle, &["--keep", "--image", "rootfs", "/probe", "create /made"]).ok();
    let upper = bundle.state().join(&bundle.id).join("overlay/upper");
    // Deeper than a path can be, links that lead out, directories that deny, and the names that moving takes.
    let mut deep = upper.clone();
    for round in 0..60 {
        let mut tower = upper.join("tower");
        for _ in 0..40 {
            tower.push("x".repeat(60));
        }
        fs::create_dir_all(&tower).unwrap();
        fs::write(tower.join("file"), "").unwrap();
        if round > 0 {
            fs::rename(&deep, tower.join("deeper")).unwrap();
        }
        deep = upper.join(format!("round-{round}"));
        fs::rename(upper.join("tower"), &deep).unwrap();
    }
    symlink(&outside, upper.join("link")).unwrap();
    symlink(&outside, deep.join("link")).unwrap();
    for name in [".moved.1", ".moved.2"] {
        fs::create_dir_all(upper.parent().unwrap().join(name).join("denied/inside")).unwrap();
        mode(&upper.parent().unwrap().join(name).join("denied"), 0);
    }
    bundle.runtime(&["delete", &bundle.id]).ok();
    assert!(outside.join("file").exists());
    bundle.nothing_left();
}

#[test]
fn a_root_in_a_user_namespace_sees_through_layers_as_root_does() {
    needs_overlay!();
    let bundle = Bundle::new();
    layer(&bundle, "above", &["data/seen"]);
    host::opaque(&bundle.dir.join("above/data"), "trusted.overlay.opaque");
    let questions = ["list /data", "create /data/new", "read /proc/self/uid_map", "inode /proc/self/ns/user"];
    let mut arguments = vec!["--image", "above:rootfs", "--userns", "/probe"];
    arguments.extend(questions);
    let facts = run(&bundle, &arguments).facts();
    assert_eq!((&facts["list /data"], &facts["create /data/new"]), ("seen", "ok"));
    let ours = fs::metadata("/proc/self/ns/user").unwrap().ino().to_string();
    assert!(!facts["inode /proc/self/ns/user"].ends_with(&ours));
    bundle.nothing_left();
}

#[test]
fn an_ordinary_user_needs_no_bundle_either() {
    needs_overlay!();
    let Some(bundle) = rootless() else { skip!("an ordinary user cannot reach the runtime") };
    let questions = ["/probe", "read /proc/self/uid_map", "create /data/new", "stat /data/new"];
    let mut arguments = vec!["--rootfs", "rootfs"];
    arguments.extend(questions);
    let facts = run(&bundle, &arguments).facts();
    assert_eq!(facts["read /proc/self/uid_map"].split_whitespace().collect::<Vec<_>>(), ["0", "1000", "1"]);
    assert_eq!((&facts["uid"], &facts["create /data/new"]), ("0 0 0", "ok"));
    fs::remove_file(bundle.rootfs().join("data/new")).unwrap();
    let above = layer(&bundle, "above", &["data/seen"]);
    chown(above.join("data"), Some(1000), Some(1000)).unwrap();
    host::opaque(&above.join("data"), "user.overlay.opaque");
    let mut arguments = vec!["--image", "above:rootfs"];
    arguments.extend(["/probe", "list /data", "create /data/new", "mkdir /tmp/a", "create /tmp/a/b"]);
    let facts = run(&bundle, &arguments).facts();
    assert_eq!(
        (&facts["list /data"], &facts["create /data/new"], &facts["create /tmp/a/b"]),
        ("seen", "ok", "ok")
    );
    assert!(!bundle.rootfs().join("data/new").exists());
    bundle.nothing_left();
}

#[test]
fn the_annotation_makes_layers_of_any_bundles_root() {
    needs_overlay!();
    let mut bundle = Bundle::new().ask(&["list /data", "create /new"]);
    layer(&bundle, "above", &["data/above"]);
    bundle.config["annotations"] = serde_json::json!({"org.minirunc.overlay": "above:rootfs"});
    bundle.config["root"]["readonly"] = false.into();
    let facts = bundle.facts();
    assert_eq!((words(&facts["list /data"]), &facts["create /new"]), (vec!["above", "file"], "ok"));
    assert!(!bundle.rootfs().join("new").exists());
    bundle.config["annotations"] = serde_json::json!({"org.minirunc.overlay": ""});
    bundle.run().refused(&["config.json: annotations.org.minirunc.overlay: expected 1 to 62 directories"]);
    bundle.config["annotations"] = serde_json::json!({"org.minirunc.overlay": 1});
    bundle.run().refused(&["config.json: annotations.org.minirunc.overlay: expected a string"]);
    bundle.config["annotations"] = serde_json::json!({"org.minirunc.overlay": "rootfs"});
    bundle.drop_namespace("mount");
    bundle.run().refused(&["overlay: there is no new mount namespace"]);
}

#[test]
fn a_dry_run_of_layers_shows_the_plan_and_makes_nothing() {
    only_ours!("no other runtime runs without a bundle");
    let bundle = Bundle::new();
    let out = run(&bundle, &["--dry-run", "--image", "a:/b", "--hostname", "h", "/probe"]);
    let here = bundle.dir.to_str().unwrap();
    for line in [&format!("overlay {here}/a"), "overlay /b", "hostname h", "arg /probe"] {
        assert!(out.ok().stdout.lines().any(|it| it == line), "{line}: {}", out.stdout);
    }
    bundle.nothing_left();
}

#[test]
fn a_kernel_without_overlayfs_is_told_by_name() {
    only_ours!("no other runtime runs without a bundle");
    let bundle = Bundle::new();
    let mut command = bundle.command(&["run", "--id", &bundle.id, "--image", "rootfs", "/probe"]);
    command.current_dir(&bundle.dir);
    lacking(&mut command, &[Lacks::Filesystem("overlay")]);
    let out = bundle.start(command).finish();
    out.refused(&["fsopen / (overlay): ENODEV", "no such filesystem"]);
    bundle.nothing_left();
}
