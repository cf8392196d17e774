//! Id-mapped mounts, and binds whose source only the host's root can reach.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::sync::OnceLock;

use minirunc_tests::bundle::{Bundle, mode};
use minirunc_tests::{not_for, only_ours, skip};
use serde_json::{Value, json};

/// A bundle with `source`, a directory of user 0's that has a file of user 7's, bound to /mnt.
fn bound(options: &[&str], extra: Value) -> Bundle {
    let mut bundle = Bundle::new();
    let source = bundle.dir.join("source");
    fs::create_dir(&source).unwrap();
    mode(&source, 0o777);
    fs::write(source.join("seven"), "7").unwrap();
    chown(source.join("seven"), Some(7), Some(8)).unwrap();
    let mut mount =
        json!({"destination": "/mnt", "type": "bind", "source": bundle.path("source"), "options": options});
    for (key, value) in extra.as_object().into_iter().flatten() {
        mount[key] = value.clone();
    }
    bundle.add_mount(mount);
    bundle
}

fn maps(outside: u32) -> Value {
    let map = json!([{"containerID": 0, "hostID": outside, "size": 1000}]);
    json!({"uidMappings": map, "gidMappings": map})
}

/// A user namespace that has the host's ids from 100000 on for its own.
fn in_user_namespace(mut bundle: Bundle) -> Bundle {
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    bundle
}

/// Whether the filesystem that bundles are on can be mapped: tmpfs since Linux 6.3, overlayfs since 5.19.
fn can_be_mapped() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let out = bound(&["bind", "idmap"], maps(5000)).run();
        !out.stderr.contains("(MOUNT_ATTR_IDMAP): EINVAL")
    })
}

macro_rules! mapped {
    () => {
        not_for!("runc", "1.1 has no id-mapped mounts");
        not_for!("crun", "1.8 has other options for them");
        if !can_be_mapped() {
            skip!("the filesystem of the bundles cannot be mapped by this kernel");
        }
    };
}

#[test]
fn the_owners_of_an_idmapped_mount_are_mapped() {
    mapped!();
    let bundle = bound(&["bind", "idmap"], maps(5000)).ask(&["stat /mnt/seven", "stat /mnt"]);
    let facts = bundle.facts();
    assert_eq!(&facts["stat /mnt/seven"], "file 0644 5007:5008");
    assert_eq!(&facts["stat /mnt"], "dir 0777 5000:5000");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(bundle.dir.join("source/seven")).unwrap().uid(), 7);
}

#[test]
fn a_map_without_the_option_is_as_good() {
    mapped!();
    let facts = bound(&["bind"], maps(5000)).ask(&["stat /mnt/seven"]).facts();
    assert_eq!(&facts["stat /mnt/seven"], "file 0644 5007:5008");
}

#[test]
fn an_idmapped_mount_has_its_other_options_too() {
    mapped!();
    let facts = bound(&["bind", "idmap", "ro", "nosuid"], maps(5000))
        .ask(&["create /mnt/new", minirunc_tests::facts::MOUNTINFO])
        .facts();
    assert_eq!(&facts["create /mnt/new"], "!EROFS");
    let mount = facts.mounts().at("/mnt").clone();
    assert!(mount.has("nosuid") && mount.has("idmapped"), "{mount:?}");
}

#[test]
fn idmap_maps_one_mount_and_ridmap_all_below() {
    mapped!();
    for (option, below) in [("idmap", "9:9"), ("ridmap", "5009:5009")] {
        let bundle = bound(&["rbind", option], maps(5000)).ask(&["stat /mnt/inner", "stat /mnt/seven"]);
        let inner = bundle.dir.join("source/inner");
        fs::create_dir(&inner).unwrap();
        let other = bundle.dir.join("other");
        fs::create_dir(&other).unwrap();
        chown(&other, Some(9), Some(9)).unwrap();
        bind(&other, &inner);
        let facts = bundle.facts();
        assert_eq!(facts["stat /mnt/inner"], format!("dir 0755 {below}"), "{option}");
        assert_eq!(&facts["stat /mnt/seven"], "file 0644 5007:5008", "{option}");
    }
}

#[test]
fn the_map_of_the_user_namespace_serves_where_the_mount_has_none() {
    mapped!();
    let questions = ["stat /mnt/seven", "create /mnt/new", "stat /mnt/new"];
    let bundle = in_user_namespace(bound(&["bind", "idmap"], json!({}))).ask(&questions);
    let facts = bundle.facts();
    assert_eq!(&facts["stat /mnt/seven"], "file 0644 7:8");
    assert_eq!(&facts["create /mnt/new"], "ok");
    // What root makes inside is root's on the disk.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(bundle.dir.join("source/new")).unwrap().uid(), 0);
}

#[test]
fn a_map_of_its_own_wins_in_a_user_namespace() {
    mapped!();
    let facts = in_user_namespace(bound(&["bind", "idmap"], maps(100_010))).ask(&["stat /mnt/seven"]).facts();
    assert_eq!(&facts["stat /mnt/seven"], "file 0644 17:18");
}

#[test]
fn a_source_may_be_what_an_earlier_mount_made() {
    mapped!();
    for users in [false, true] {
        let mut bundle = bound(&["bind", "idmap"], maps(100_000));
        let (from, to) = (bundle.path("rootfs/mnt"), bundle.path("rootfs/data"));
        let mount = json!({"destination": to, "source": from, "type": "bind", "options": ["rbind"]});
        bundle.add_mount(mount.clone());
        if users {
            bundle = in_user_namespace(bundle);
        }
        // As the container has it; and the destination is meant inside, though it is written from outside.
        let facts = bundle.ask(&["stat /data/seven"]).facts();
        assert_eq!(
            &facts["stat /data/seven"],
            if users { "file 0644 7:8" } else { "file 0644 100007:100008" }
        );
    }
}

#[test]
fn an_idmap_without_a_map_or_of_no_bind_is_refused() {
    only_ours!("their words differ");
    let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    bound(&["bind", "idmap"], json!({})).run().refused(&["mounts[7]", "needs uidMappings"]);
    bound(&["bind"], json!({"uidMappings": map})).run().refused(&["mounts[7]", "together"]);
    let nothing = json!([{"containerID": 0, "hostID": 1, "size": 0}]);
    bound(&["bind"], json!({"uidMappings": nothing, "gidMappings": nothing}))
        .run()
        .refused(&["mounts[7].uidMappings[0].size"]);
    Bundle::with(|c| {
        c["mounts"][1]["uidMappings"] = map.clone();
        c["mounts"][1]["gidMappings"] = map;
    })
    .run()
    .refused(&["mounts[1]", "bind"]);
}

#[test]
fn a_filesystem_that_cannot_be_mapped_is_named() {
    mapped!();
    let mut bundle = Bundle::new();
    let mut mount =
        json!({"destination": "/mnt", "type": "bind", "source": "/proc", "options": ["bind", "idmap"]});
    mount["uidMappings"] = maps(5000)["uidMappings"].clone();
    mount["gidMappings"] = maps(5000)["gidMappings"].clone();
    bundle.add_mount(mount);
    bundle.run().refused(&["mount_setattr /mnt (MOUNT_ATTR_IDMAP)", "EINVAL"]);
}

#[test]
fn a_source_that_only_the_hosts_root_reaches_is_bound_in_a_user_namespace() {
    not_for!("crun", "1.8 opens it inside");
    let mut bundle = in_user_namespace(Bundle::new()).ask(&["read /mnt/file", "read /data/file"]);
    let secret = bundle.dir.join("secret");
    fs::create_dir_all(secret.join("open")).unwrap();
    fs::write(secret.join("open/file"), "reached").unwrap();
    mode(&secret, 0o700);
    symlink("secret/open", bundle.dir.join("link")).unwrap();
    for (to, from) in [("/mnt", "secret/open"), ("/data", "link")] {
        bundle.add_mount(
            json!({"destination": to, "type": "bind", "source": bundle.path(from), "options": ["rbind", "ro"]}),
        );
    }
    let facts = bundle.facts();
    assert_eq!((&facts["read /mnt/file"], &facts["read /data/file"]), ("reached", "reached"));
}

#[test]
fn a_source_that_is_not_there_is_named_from_outside_too() {
    only_ours!("their words differ");
    let mut bundle = in_user_namespace(Bundle::new());
    bundle
        .add_mount(json!({"destination": "/mnt", "type": "bind", "source": "/no/such", "options": ["bind"]}));
    bundle.run().refused(&["open_tree /no/such: ENOENT"]);
}

#[allow(unsafe_code)]
fn bind(from: &std::path::Path, to: &std::path::Path) {
    let c = |path: &std::path::Path| std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: NUL-terminated paths.
    let r = unsafe {
        libc::mount(c(from).as_ptr(), c(to).as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null())
    };
    assert_eq!(r, 0, "{}", std::io::Error::last_os_error());
}
