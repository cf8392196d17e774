use super::*;
use crate::plan::{Noun, Plan, print};
use nsenter::attr::{HEADER, Message};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const EVERYTHING: &str = include_str!("golden/everything.json");
const RUNC_SPEC: &str = include_str!("golden/runc-spec.json");

const REQUEST: Request<'static> = Request {
    id: c"c1",
    bundle: c"/bundle",
    no_pivot: false,
    no_new_keyring: false,
    preserve_fds: 0,
    reaper: false,
    notify: None,
    cgroups_disabled: false,
    rootless: false,
    filter: None,
    begun: None,
};

/// The message of a configuration and the warnings, or the error.
fn message(config: &str, request: &Request<'_>) -> core::result::Result<(Vec<u8>, Vec<String>), String> {
    let document = Document::parse("config.json", config.as_bytes()).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 3 * config.len() + 4096];
    let mut scratch = vec![0; SCRATCH];
    let mut warnings = Vec::new();
    let mut warn = |error: &Error| warnings.push(error.to_string());
    match translate(&document, request, &mut warn, Writer::new(&mut buffer, 1), &mut scratch) {
        Ok(bytes) => Ok((bytes.to_vec(), warnings)),
        Err(error) => Err(error.to_string()),
    }
}

fn plan(bytes: &[u8]) -> Plan<'_> {
    Plan::new(Message::parse(bytes).unwrap().0)
}

fn printed(bytes: &[u8]) -> Result<String> {
    let (message, _) = Message::parse(bytes).map_err(crate::plan::broken)?;
    let mut text = String::new();
    print::print(&Plan::new(message), &mut text)?;
    Ok(text)
}

fn translated(config: &str) -> String {
    printed(&message(config, &REQUEST).unwrap().0).unwrap()
}

#[test]
fn the_default_of_runc_spec_becomes_its_golden_plan() {
    assert_eq!(translated(RUNC_SPEC), include_str!("golden/runc-spec.plan"));
}

#[test]
fn what_podman_writes_becomes_its_golden_plan() {
    assert_eq!(translated(include_str!("golden/podman.json")), include_str!("golden/podman.plan"));
}

#[test]
fn what_docker_writes_becomes_its_golden_plan() {
    assert_eq!(translated(include_str!("golden/docker.json")), include_str!("golden/docker.plan"));
}

/// Captured from the callers themselves (tests/data/README.md).
#[test]
fn what_callers_write_is_accepted() {
    for config in [
        include_str!("../../../tests/data/containerd.json"),
        include_str!("../../../tests/data/docker.json"),
        include_str!("../../../tests/data/podman.json"),
        include_str!("../../../tests/data/buildah.json"),
    ] {
        assert_eq!(message(config, &REQUEST).unwrap().1, Vec::<String>::new());
    }
}

#[test]
fn a_filter_is_in_the_plan_with_its_agent() {
    let config = BASE.replace(
        "\"namespaces\"",
        "\"seccomp\": {\"listenerPath\": \"/a\", \"listenerMetadata\": \"m\"}, \"namespaces\"",
    );
    let request = Request { filter: Some((&[6, 0, 0, 0, 0, 0, 0, 0], 12)), ..REQUEST };
    let text = printed(&message(&config, &request).unwrap().0).unwrap();
    assert!(text.contains("seccomp instructions=1\nseccomp-flags 12\nseccomp-listener path=/a metadata=m\n"));
    let relative = config.replace("\"/a\"", "\"a\"");
    assert!(message(&relative, &request).unwrap_err().contains("linux.seccomp.listenerPath: "));
    let nowhere = config.replace("\"/a\"", "null");
    assert!(message(&nowhere, &request).unwrap_err().contains("linux.seccomp.listenerMetadata: "));
}

#[test]
fn every_field_that_is_built_becomes_its_golden_plan() {
    assert_eq!(translated(EVERYTHING), include_str!("golden/everything.plan"));
}

#[test]
fn an_unknown_capability_is_warned_of_and_ignored() {
    let warnings = message(EVERYTHING, &REQUEST).unwrap().1;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    let words = "process.capabilities.bounding[2]: ignoring unknown or unavailable capabilities: [";
    assert!(warning.contains(words), "{warning}");
}

#[test]
fn the_command_line_is_in_the_plan() {
    let request =
        Request { no_pivot: true, no_new_keyring: true, preserve_fds: 3, cgroups_disabled: true, ..REQUEST };
    let text = printed(&message(BASE, &request).unwrap().0).unwrap();
    for line in ["no-new-keyring", "preserve-fds 3", "cgroup-manager-disabled"] {
        assert!(text.lines().any(|printed| printed == line), "{line}");
    }
    assert!(text.contains("root path=/bundle/r propagation=rslave no_pivot\n"));
}

/// Every attribute that a plan can have, read and written again, has the same bytes.
#[test]
fn what_was_emitted_is_parsed_back() {
    use crate::plan::{
        device::*, hook::*, mount::*, namespace::*, process::*, resources::*, root::*, scheduling::*,
    };
    fn again<'a, T: Noun<'a>>(bytes: &'a [u8]) -> usize {
        let plan = plan(bytes);
        let attrs = plan.all(T::KIND).map(Result::unwrap);
        let same = attrs.zip(plan.each::<T>()).map(|(attr, noun)| {
            let mut buffer = vec![0; bytes.len()];
            let mut writer = Writer::new(&mut buffer, 1);
            noun.unwrap().emit(&mut writer);
            let message = writer.finish().unwrap();
            assert_eq!(&message[HEADER + 4..][..attr.bytes().len()], attr.bytes());
        });
        same.count()
    }
    let (bytes, _) =
        message(&EVERYTHING.replace("\"oomScoreAdj\"", "\"terminal\": true, \"oomScoreAdj\""), &REQUEST)
            .unwrap();
    let bytes = &bytes[..];
    let counts = [
        again::<Annotation<'_>>(bytes),
        again::<Namespace<'_>>(bytes),
        again::<IdMap>(bytes),
        again::<TimeOffset>(bytes),
        again::<Sysctl<'_>>(bytes),
        again::<NetDevice<'_>>(bytes),
        again::<Root<'_>>(bytes),
        again::<Mount<'_>>(bytes),
        again::<Device<'_>>(bytes),
        again::<User>(bytes),
        again::<Capabilities>(bytes),
        again::<Rlimit>(bytes),
        again::<Terminal>(bytes),
        again::<Scheduler>(bytes),
        again::<IoPriority>(bytes),
        again::<ExecAffinity<'_>>(bytes),
        again::<MemoryPolicy<'_>>(bytes),
        again::<Hook<'_>>(bytes),
        again::<Memory>(bytes),
        again::<Cpu>(bytes),
        again::<Cpuset<'_>>(bytes),
        again::<Pids>(bytes),
        again::<BlockIo>(bytes),
        again::<BlockDevice>(bytes),
        again::<HugePage<'_>>(bytes),
        again::<Network>(bytes),
        again::<NetworkPriority<'_>>(bytes),
        again::<Rdma<'_>>(bytes),
        again::<Unified<'_>>(bytes),
        again::<DeviceRule>(bytes),
        again::<IntelRdt<'_>>(bytes),
    ];
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
#[cfg(target_endian = "little")]
fn golden_bytes() {
    let mut buffer = [0xff; 128];
    let mut writer = Writer::new(&mut buffer, 1);
    crate::plan::namespace::Namespace { flag: 0x4000_0000, path: Some(c"/n") }.emit(&mut writer);
    crate::plan::device::DeviceRule { allow: true, file_type: 99, major: None, minor: Some(3), access: 7 }
        .emit(&mut writer);
    let expected: &[u8] = &[
        20, 0, 10, 0x80, // NAMESPACE
        8, 0, 1, 0, 0, 0, 0, 0x40, // flag
        7, 0, 2, 0, b'/', b'n', 0, 0, // path
        32, 0, 73, 0x80, // DEVICE_RULE
        4, 0, 1, 0, // allow
        8, 0, 2, 0, 99, 0, 0, 0, // type
        8, 0, 4, 0, 3, 0, 0, 0, // minor
        8, 0, 5, 0, 7, 0, 0, 0, // access
    ];
    assert_eq!(&writer.finish().unwrap()[HEADER..], expected);
}

/// Whatever a disk or a foreign program makes of a stored plan, reading it gives an error or values.
#[test]
fn no_truncated_or_corrupted_plan_makes_the_reader_misbehave() {
    let (bytes, _) = message(EVERYTHING, &REQUEST).unwrap();
    let mut refused = 0;
    for cut in HEADER..bytes.len() {
        let mut short = bytes[..cut].to_vec();
        assert!(printed(&short).is_err());
        short[..4].copy_from_slice(&(cut as u32).to_ne_bytes());
        refused += usize::from(printed(&short).is_err());
    }
    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
    for at in 0..bytes.len() {
        for value in [0, 0xff, bytes[at] ^ 4] {
            let mut bent = bytes.clone();
            bent[at] = value;
            let _ = printed(&bent);
        }
    }
}

#[test]
fn a_thousand_mounts_and_ten_thousand_variables_have_room() {
    let mounts: Vec<String> = (0..1000)
        .map(|i| format!(r#"{{"destination": "/m{i}", "source": "/s{i}", "options": ["rbind", "ro"]}}"#))
        .collect();
    let env: Vec<String> = (0..10_000).map(|i| format!(r#""NAME{i}=value""#)).collect();
    let config = BASE
        .replace(r#""mounts": []"#, &format!(r#""mounts": [{}]"#, mounts.join(",")))
        .replace(r#""cwd""#, &format!(r#""env": [{}], "cwd""#, env.join(",")));
    let (bytes, _) = message(&config, &REQUEST).unwrap();
    let plan = plan(&bytes);
    assert_eq!(plan.each::<crate::plan::mount::Mount<'_>>().count(), 1000);
    assert_eq!(plan.strings(kind::ENV).last().unwrap().unwrap(), c"NAME9999=value");
}

/// Unoptimised, where every `?` keeps its own copy of an error; optimised it takes a quarter.
#[test]
fn a_translation_runs_on_a_small_stack() {
    let run = || message(EVERYTHING, &REQUEST).map(|_| ()).unwrap();
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_buffer_that_is_too_small_is_refused() {
    let document = Document::parse("config.json", BASE.as_bytes()).unwrap();
    for room in 0..200 {
        let (mut buffer, mut scratch) = (vec![0; room], vec![0; SCRATCH]);
        assert!(
            translate(&document, &REQUEST, &mut |_| (), Writer::new(&mut buffer, 1), &mut scratch).is_err()
        );
    }
}

/// The least that is accepted.
const BASE: &str = r#"{"ociVersion": "1.0.0", "root": {"path": "r"}, "process": {"args": ["a"], "cwd": "/"},
"mounts": [], "linux": {"namespaces": [{"type": "mount"}]}}"#;

#[test]
fn the_least_configuration_is_accepted() {
    let text = translated(BASE);
    assert!(text.contains("\nuser uid=0 gid=0\ncapabilities\ncgroups-path /minirunc-c1\n"), "{text}");
}

/// One test per rule: the base with `from` replaced by `to` is refused with `reason`.
macro_rules! refused {
    ($($name:ident: $from:literal => $to:expr, $reason:expr;)*) => {$(
        #[test]
        fn $name() {
            let config = BASE.replace($from, &$to.to_string());
            assert_ne!(config, BASE);
            assert_eq!(message(&config, &REQUEST).err(), Some(format!("config.json: {}", $reason)));
        }
    )*};
}

refused! {
    a_version_that_is_not_1_is_refused: "1.0.0" => "2.0.0", "ociVersion: expected version 1.x of the specification";
    a_missing_version_is_refused: "ociVersion" => "x", "ociVersion: missing";
    a_missing_root_is_refused: "\"root\"" => "\"x\"", "root: missing";
    an_empty_root_path_is_refused: "\"path\": \"r\"" => "\"path\": \"\"", "root.path: is empty";
    a_missing_process_is_refused: "\"process\"" => "\"x\"", "process: missing";
    empty_args_are_refused: "[\"a\"]" => "[]", "process.args: must name a program";
    null_args_are_refused: "[\"a\"]" => "null", "process.args: must name a program";
    a_relative_cwd_is_refused: "\"cwd\": \"/\"" => "\"cwd\": \"tmp\"", "process.cwd: must be absolute";
    an_empty_cwd_is_refused: "\"cwd\": \"/\"" => "\"cwd\": \"\"", "process.cwd: must be absolute";
    a_missing_cwd_is_refused: "\"cwd\"" => "\"x\"", "process.cwd: missing";
    a_wrong_type_is_refused: "[\"a\"]" => "7", "process.args: expected an array";
    a_variable_without_a_value_is_refused: "\"cwd\"" => "\"env\": [\"A=\", \"B\"], \"cwd\"", "process.env[1]: expected NAME=value";
    an_argument_with_a_nul_is_refused: "\"a\"" => "\"a\\u0000b\"", "process.args[0]: has a NUL in it";
    an_overlong_argument_is_refused: "\"a\"" => format!("\"{}\"", "x".repeat(65_531)), "process.args[0]: longer than 65530 bytes";
    an_annotation_without_a_key_is_refused: "\"mounts\"" => "\"annotations\": {\"\": \"x\"}, \"mounts\"", "annotations: a key is empty";
    an_annotation_that_is_no_string_is_refused: "\"mounts\"" => "\"annotations\": {\"a\": 1}, \"mounts\"", "annotations.a: expected a string";

    an_unknown_namespace_is_refused: "\"mount\"" => "\"mnt\"", "linux.namespaces[0].type: unknown namespace";
    a_duplicate_namespace_is_refused: "{\"type\": \"mount\"}" => "{\"type\": \"mount\"}, {\"type\": \"mount\", \"path\": \"/x\"}",
        "linux.namespaces[1].type: given twice";
    a_relative_namespace_path_is_refused: "\"mount\"" => "\"mount\", \"path\": \"x\"", "linux.namespaces[0].path: must be absolute";
    a_user_namespace_without_a_mount_namespace_is_refused: "\"mount\"" => "\"user\"", "linux.namespaces: a mount namespace is needed";
    a_user_namespace_without_maps_is_refused: "{\"type\": \"mount\"}" => "{\"type\": \"mount\"}, {\"type\": \"user\"}",
        "linux.uidMappings: missing: a new user namespace needs them";
    maps_without_a_user_namespace_are_refused: "\"namespaces\"" => "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1}], \"namespaces\"",
        "linux.gidMappings: there is no user namespace in linux.namespaces";
    time_offsets_without_a_time_namespace_are_refused: "\"namespaces\"" => "\"timeOffsets\": {\"boottime\": {\"secs\": 1}}, \"namespaces\"",
        "linux.timeOffsets: there is no new time namespace in linux.namespaces";
    a_hostname_without_a_uts_namespace_is_refused: "\"mounts\"" => "\"hostname\": \"h\", \"mounts\"",
        "hostname: there is no uts namespace in linux.namespaces";
    a_domainname_without_a_uts_namespace_is_refused: "\"mounts\"" => "\"domainname\": \"h\", \"mounts\"",
        "domainname: there is no uts namespace in linux.namespaces";
    an_overlong_hostname_is_refused: "\"mounts\": [], \"linux\": {\"namespaces\": [" =>
        format!("\"hostname\": \"{}\", \"linux\": {{\"namespaces\": [{{\"type\": \"uts\"}}, ", "h".repeat(65)),
        "hostname: longer than 64 bytes";
    an_ipc_sysctl_of_the_host_is_refused: "\"namespaces\"" => "\"sysctl\": {\"kernel.sem\": \"1\"}, \"namespaces\"",
        "linux.sysctl.kernel.sem: there is no ipc namespace in linux.namespaces";
    a_network_sysctl_of_the_host_is_refused: "\"namespaces\"" => "\"sysctl\": {\"net/core/x\": \"1\"}, \"namespaces\"",
        "linux.sysctl.net/core/x: there is no network namespace in linux.namespaces";
    a_sysctl_of_no_namespace_is_refused: "\"namespaces\"" => "\"sysctl\": {\"kernel.core_pattern\": \"|/x\"}, \"namespaces\"",
        "linux.sysctl.kernel.core_pattern: does not belong to a namespace";
    a_sysctl_that_leads_elsewhere_is_refused: "\"namespaces\": [" =>
        "\"sysctl\": {\"net/../kernel/core_pattern\": \"|/x\"}, \"namespaces\": [{\"type\": \"network\"}, ",
        "linux.sysctl.net/../kernel/core_pattern: not the name of a kernel parameter";
    an_unknown_propagation_is_refused: "\"namespaces\"" => "\"rootfsPropagation\": \"x\", \"namespaces\"",
        "linux.rootfsPropagation: expected shared, slave, private or unbindable, or one with r before it";

    an_rlimit_given_twice_is_refused: "\"cwd\"" => "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}], \"cwd\"",
        "process.rlimits[1].type: given twice";
    an_unknown_rlimit_is_refused: "\"cwd\"" => "\"rlimits\": [{\"type\": \"RLIMIT_X\", \"soft\": 1, \"hard\": 1}], \"cwd\"",
        "process.rlimits[0].type: unknown resource limit";
    a_soft_limit_above_the_hard_one_is_refused: "\"cwd\"" => "\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 2, \"hard\": 1}], \"cwd\"",
        "process.rlimits[0].soft: above the hard limit";
    an_impossible_oom_score_is_refused: "\"cwd\"" => "\"oomScoreAdj\": 1001, \"cwd\"", "process.oomScoreAdj: expected a number from -1000 to 1000";
    too_many_groups_are_refused: "\"cwd\"" => format!("\"user\": {{\"additionalGids\": [{}0]}}, \"cwd\"", "0,".repeat(1024)),
        "process.user.additionalGids: more than 1024 groups";

    a_mount_without_a_destination_is_refused: "\"mounts\": []" => "\"mounts\": [{\"type\": \"proc\"}]", "mounts[0].destination: missing";
    a_destination_that_leads_out_is_refused: "\"mounts\": []" => "\"mounts\": [{\"type\": \"proc\", \"destination\": \"/a/../../b\"}]",
        "mounts[0].destination: leads out of the root";
    an_overlong_destination_is_refused: "\"mounts\": []" => format!("\"mounts\": [{{\"type\": \"proc\", \"destination\": \"/{}\"}}]", "x".repeat(4095)),
        "mounts[0].destination: longer than 4095 bytes";
    a_mount_of_no_type_is_refused: "\"mounts\": []" => "\"mounts\": [{\"destination\": \"/a\"}]", "mounts[0].type: missing";
    a_bind_of_nothing_is_refused: "\"mounts\": []" => "\"mounts\": [{\"destination\": \"/a\", \"options\": [\"bind\"]}]", "mounts[0].source: missing";
    filesystem_options_of_a_bind_are_refused: "\"mounts\": []" => "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\", \"size=1\"]}]",
        "mounts[0].options: a bind mount takes no options of a filesystem";
    overlong_filesystem_options_are_refused: "\"mounts\": []" => format!("\"mounts\": [{{\"destination\": \"/a\", \"type\": \"tmpfs\", \"options\": [\"{0}\", \"{0}\"]}}]", "x".repeat(2048)),
        "mounts[0].options: longer than 4095 bytes together";

    a_device_of_no_known_type_is_refused: "\"namespaces\"" => "\"devices\": [{\"path\": \"/dev/x\", \"type\": \"q\"}], \"namespaces\"",
        "linux.devices[0].type: expected c, b, u or p";
    a_device_without_a_number_is_refused: "\"namespaces\"" => "\"devices\": [{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1}], \"namespaces\"",
        "linux.devices[0].minor: missing";
    a_relative_device_is_refused: "\"namespaces\"" => "\"devices\": [{\"path\": \"dev/x\", \"type\": \"p\"}], \"namespaces\"",
        "linux.devices[0].path: must be absolute";
    a_device_rule_of_unknown_access_is_refused: "\"namespaces\"" => "\"resources\": {\"devices\": [{\"access\": \"rx\"}]}, \"namespaces\"",
        "linux.resources.devices[0].access: expected letters of rwm";
    a_device_rule_of_unknown_type_is_refused: "\"namespaces\"" => "\"resources\": {\"devices\": [{\"access\": \"r\", \"type\": \"p\"}]}, \"namespaces\"",
        "linux.resources.devices[0].type: expected a, c or b";

    a_relative_hook_is_refused: "\"mounts\"" => "\"hooks\": {\"poststart\": [{\"path\": \"x\"}]}, \"mounts\"", "hooks.poststart[0].path: must be absolute";
    a_hook_without_time_is_refused: "\"mounts\"" => "\"hooks\": {\"poststop\": [{\"path\": \"/x\", \"timeout\": 0}]}, \"mounts\"",
        "hooks.poststop[0].timeout: expected more than 0 seconds";
    a_hook_with_too_many_arguments_is_refused: "\"mounts\"" => format!("\"hooks\": {{\"prestart\": [{{\"path\": \"/x\", \"args\": [{}\"\"]}}]}}, \"mounts\"", "\"\",".repeat(9000)),
        "hooks.prestart[0].args: longer than 65530 bytes together";
    a_hook_whose_lists_are_too_long_together_is_refused: "\"mounts\"" => format!("\"hooks\": {{\"prestart\": [{{\"path\": \"/x\", \"args\": [\"{0}\"], \"env\": [\"{0}\"]}}]}}, \"mounts\"", "x".repeat(40_000)),
        "hooks.prestart[0]: longer than 65531 bytes together";

    a_cgroups_path_with_dots_is_refused: "\"namespaces\"" => "\"cgroupsPath\": \"/a/../b\", \"namespaces\"", "linux.cgroupsPath: has a component ..";
    the_root_cgroup_is_refused: "\"namespaces\"" => "\"cgroupsPath\": \"/\", \"namespaces\"", "linux.cgroupsPath: must not be the root cgroup";
    a_systemd_cgroups_path_is_refused: "\"namespaces\"" => "\"cgroupsPath\": \"a.slice:b:c\", \"namespaces\"",
        "linux.cgroupsPath: the systemd form slice:prefix:name is not supported by this build yet";
    a_negative_limit_is_refused: "\"namespaces\"" => "\"resources\": {\"memory\": {\"swap\": -2}}, \"namespaces\"",
        "linux.resources.memory.swap: expected a number of bytes, or -1";
    an_impossible_swappiness_is_refused: "\"namespaces\"" => "\"resources\": {\"memory\": {\"swappiness\": 101}}, \"namespaces\"",
        "linux.resources.memory.swappiness: expected a number from 0 to 100";
    a_weight_device_without_a_weight_is_refused: "\"namespaces\"" => "\"resources\": {\"blockIO\": {\"weightDevice\": [{\"major\": 1, \"minor\": 1}]}}, \"namespaces\"",
        "linux.resources.blockIO.weightDevice[0]: expected weight, leafWeight or both";
    an_impossible_huge_page_is_refused: "\"namespaces\"" => "\"resources\": {\"hugepageLimits\": [{\"pageSize\": \"../2MB\", \"limit\": 1}]}, \"namespaces\"",
        "linux.resources.hugepageLimits[0].pageSize: expected a size as 64KB, 2MB or 1GB";
    an_impossible_interface_is_refused: "\"namespaces\"" => "\"resources\": {\"network\": {\"priorities\": [{\"name\": \"a b\", \"priority\": 1}]}}, \"namespaces\"",
        "linux.resources.network.priorities[0].name: not the name of a network interface";
    an_rdma_device_without_limits_is_refused: "\"namespaces\"" => "\"resources\": {\"rdma\": {\"a\": {}}}, \"namespaces\"",
        "linux.resources.rdma.a: expected hcaHandles, hcaObjects or both";
    a_unified_file_elsewhere_is_refused: "\"namespaces\"" => "\"resources\": {\"unified\": {\"../cgroup.procs\": \"1\"}}, \"namespaces\"",
        "linux.resources.unified.../cgroup.procs: not the name of a file";

    an_unknown_memory_policy_is_refused: "\"namespaces\"" => "\"memoryPolicy\": {\"mode\": \"MPOL_NEAR\"}, \"namespaces\"", "linux.memoryPolicy.mode: unknown name: invalid memory policy mode";
    a_memory_policy_without_nodes_that_has_some_is_refused: "\"namespaces\"" => "\"memoryPolicy\": {\"mode\": \"MPOL_LOCAL\", \"nodes\": \"0-7,9\"}, \"namespaces\"",
        "linux.memoryPolicy.nodes: mode requires 0 nodes but got 9";
    an_empty_memory_policy_is_refused: "\"namespaces\"" => "\"memoryPolicy\": {}, \"namespaces\"", "linux.memoryPolicy.mode: missing: invalid memory policy mode";
    a_class_of_service_elsewhere_is_refused: "\"namespaces\"" => "\"intelRdt\": {\"closID\": \"../x\"}, \"namespaces\"", "linux.intelRdt.closID: not the name of a directory";
    a_bandwidth_that_is_none_is_refused: "\"namespaces\"" => "\"intelRdt\": {\"memBwSchema\": \"L3:0=1\"}, \"namespaces\"", "linux.intelRdt.memBwSchema: expected one line that begins with MB:";
    net_devices_without_a_namespace_are_refused: "\"namespaces\"" => "\"netDevices\": {\"eth0\": {}}, \"namespaces\"", "linux.netDevices: there is no network namespace in linux.namespaces";
    an_impossible_net_device_is_refused: "\"namespaces\": [" => "\"netDevices\": {\"a b\": {}}, \"namespaces\": [{\"type\": \"network\"},", "linux.netDevices.a b: not the name of a network interface";
    an_impossible_name_of_a_net_device_is_refused: "\"namespaces\": [" => "\"netDevices\": {\"a\": {\"name\": \"../b\"}}, \"namespaces\": [{\"type\": \"network\"},", "linux.netDevices.a.name: not the name of a network interface";
    a_flag_of_the_personality_is_refused: "\"namespaces\"" => "\"personality\": {\"domain\": \"LINUX32\", \"flags\": [\"X\"]}, \"namespaces\"", "linux.personality.flags[0]: unknown name";
    a_priority_without_a_real_time_policy_is_refused: "\"cwd\"" => "\"scheduler\": {\"policy\": \"SCHED_IDLE\", \"priority\": 1}, \"cwd\"", "process.scheduler.priority: is for SCHED_FIFO and SCHED_RR only";
    an_io_priority_that_there_is_not_is_refused: "\"cwd\"" => "\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}, \"cwd\"", "process.ioPriority.priority: expected a number from 0 to 7";
    an_idmap_without_a_map_is_refused: "\"mounts\": []" => "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\", \"ridmap\"]}]",
        "mounts[0]: without a user namespace, needs uidMappings and gidMappings";
    half_a_map_of_a_mount_is_refused: "\"mounts\": []" => "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", \"options\": [\"bind\"], \"gidMappings\": [{}]}]",
        "mounts[0]: uidMappings and gidMappings only make sense together";
}

#[test]
fn of_two_lines_about_bandwidth_its_own_field_counts() {
    let rdt = |rdt: &str| {
        let text =
            translated(&BASE.replace("\"namespaces\"", &format!("\"intelRdt\": {rdt}, \"namespaces\"")));
        text.lines().find_map(|line| line.strip_prefix("intel-rdt ").map(str::to_string)).unwrap()
    };
    let lines = "\"l3CacheSchema\": \"L3:0=f\\nMB:0=20\"";
    assert_eq!(
        rdt(&format!("{{{lines}, \"memBwSchema\": \"MB:0=30\", \"schemata\": [\" L2:0=1\"]}}")),
        "group=c1 schemata=L3:0=f\\x0aMB:0=30\\x0aL2:0=1\\x0a"
    );
    assert_eq!(rdt(&format!("{{{lines}}}")), "group=c1 schemata=L3:0=f\\x0aMB:0=20\\x0a");
    assert_eq!(
        rdt("{\"closID\": \"/\", \"enableMonitoring\": true}"),
        "group=/ existing schemata= monitored"
    );
    assert_eq!(rdt("{}"), "group=c1 schemata=");
}

const USER: &str = r#"{"ociVersion": "1.0.0", "root": {"path": "r"}, "process": {"args": ["a"], "cwd": "/",
"user": {"uid": 9, "gid": 19, "additionalGids": [10]}}, "linux": {"namespaces": [{"type": "mount"}, {"type": "user"}],
"uidMappings": [{"containerID": 0, "hostID": 0, "size": 10}], "gidMappings": [{"containerID": 10, "hostID": 0, "size": 10}]}}"#;

#[test]
fn an_unmapped_id_is_refused() {
    assert!(message(USER, &REQUEST).is_ok());
    for (from, to, reason) in [
        ("\"uid\": 9", "\"uid\": 10", "process.user.uid: 10"),
        ("\"gid\": 19", "\"gid\": 20", "process.user.gid: 20"),
        ("\"gid\": 19, ", "", "process.user.gid: 0"),
        ("[10]", "[10, 9]", "process.user.additionalGids[1]: 9"),
    ] {
        let error = message(&USER.replace(from, to), &REQUEST).unwrap_err();
        assert_eq!(error, format!("config.json: {reason} is not mapped in the user namespace"));
    }
}

#[test]
fn an_impossible_id_map_is_refused() {
    for size in ["\"size\": 0", "\"size\": 4294967295"] {
        let error = message(&USER.replace("\"size\": 10", size), &REQUEST).unwrap_err();
        assert!(error.starts_with("config.json: linux."), "{error}");
    }
    let line = "{\"containerID\": 10, \"hostID\": 0, \"size\": 10}";
    let many = format!("{line}{}", format!(",{line}").repeat(340));
    let error = message(&USER.replace(line, &many), &REQUEST).unwrap_err();
    assert_eq!(error, "config.json: linux.gidMappings[340]: more than the 340 lines that the kernel takes");
}

#[test]
fn maps_of_a_joined_user_namespace_judge_ids_and_are_not_written() {
    let joined = USER.replace(r#""type": "user""#, r#""type": "user", "path": "/proc/1/ns/user""#);
    assert!(!translated(&joined).contains("id-map"));
    assert!(message(&joined.replace("\"uid\": 9", "\"uid\": 10"), &REQUEST).is_err());
}

#[test]
fn an_ordinary_user_needs_a_user_namespace() {
    let request = Request { rootless: true, ..REQUEST };
    assert!(message(USER, &request).is_ok());
    let error = message(BASE, &request).unwrap_err();
    assert_eq!(error, "config.json: linux.namespaces: a user namespace is needed when not run by root");
}

#[test]
fn a_private_root_without_pivot_is_refused() {
    let config = BASE.replace("\"namespaces\"", "\"rootfsPropagation\": \"rprivate\", \"namespaces\"");
    assert!(message(&config, &REQUEST).is_ok());
    let error = message(&config, &Request { no_pivot: true, ..REQUEST }).unwrap_err();
    assert_eq!(error, "config.json: linux.rootfsPropagation: private is not safe without pivot_root");
}

#[test]
fn only_versions_of_the_first_major_are_supported() {
    for version in ["1.0.0", "1.0.2-dev", "1.3.0-rc.1+dev", "1.99.0"] {
        assert!(is_supported(version), "{version}");
    }
    for version in ["", "1", "1.0", "1.0.0.0", "0.5.0", "2.0.0", "1.x.0", "1..0", "v1.0.0"] {
        assert!(!is_supported(version), "{version}");
    }
}
