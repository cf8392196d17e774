//! The compiler against its rules, and against libseccomp.

mod machine;
mod oracle;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::wire::json::Document;
use machine::{Data, Machine};
use oracle::{Argument, Profile, X32, X86, X86_64};

const DOCKER: &str = include_str!("../../../tests/data/docker.json");
const PODMAN: &str = include_str!("../../../tests/data/podman.json");

const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// What becomes of `linux.seccomp`, or the error.
fn compiled(json: &str) -> core::result::Result<Option<(Machine, u32)>, String> {
    let document = Document::parse("seccomp", json.as_bytes()).unwrap();
    let mut memory = vec![0; Work::SIZE + 8];
    let aligned = memory.as_ptr().align_offset(8);
    let work = Work::place(&mut memory[aligned..]).unwrap();
    let filter = compile(&document.root(), work).map_err(|error| error.to_string())?;
    Ok(filter.map(|filter| (Machine::new(filter.program), filter.flags)))
}

fn machine(json: &str) -> Machine {
    compiled(json).unwrap().unwrap().0
}

fn call(audit: u32, number: u32) -> Data {
    Data { number, audit, args: [0; 6] }
}

fn verdict(machine: &Machine, audit: u32, number: u32) -> u32 {
    machine.run(&call(audit, number)).0
}

/// One rule on `getpid` (39), given its `args`, else the default.
fn with_args(args: &str) -> Machine {
    machine(&format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {{"names":["getpid"],"action":"SCMP_ACT_ALLOW","args":[{args}]}}, {{"names":["mseal"],"action":"SCMP_ACT_ALLOW"}}]}}"#
    ))
}

fn matches(machine: &Machine, args: [u64; 6]) -> bool {
    match machine.run(&Data { args, ..call(X86_64, 39) }).0 {
        ALLOW => true,
        EPERM => false,
        other => panic!("{other:#x}"),
    }
}

#[test]
fn each_action_is_the_kernels() {
    for (action, errno, expected) in [
        ("ALLOW", "", 0x7fff_0000),
        ("ERRNO", "", 0x0005_0001),
        ("ERRNO", ",\"errnoRet\":22", 0x0005_0016),
        ("KILL", "", 0),
        ("KILL_THREAD", "", 0),
        ("KILL_PROCESS", "", 0x8000_0000),
        ("LOG", "", 0x7ffc_0000),
        ("NOTIFY", "", 0x7fc0_0000),
        ("TRACE", "", 0x7ff0_0001),
        ("TRACE", ",\"errnoRet\":7", 0x7ff0_0007),
        ("TRAP", "", 0x0003_0000),
    ] {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":5,"listenerPath":"/a","syscalls":[
                {{"names":["read","getpid"],"action":"SCMP_ACT_{action}"{errno}}}]}}"#
        );
        let machine = machine(&json);
        assert_eq!(verdict(&machine, X86_64, 0), expected, "{action}");
        assert_eq!(verdict(&machine, X86_64, 1), ERRNO | 5);
    }
}

#[test]
fn what_is_beyond_the_profile_does_not_exist_unless_the_default_lets_it_through() {
    for (default, beyond) in
        [("ERRNO", ENOSYS), ("KILL_PROCESS", ENOSYS), ("ALLOW", ALLOW), ("LOG", LOG), ("TRACE", TRACE | 1)]
    {
        let machine = machine(&format!(
            r#"{{"defaultAction":"SCMP_ACT_{default}","syscalls":[{{"names":["getpid"],"action":"SCMP_ACT_TRAP"}}]}}"#
        ));
        assert_eq!(verdict(&machine, X86_64, 39), 0x0003_0000);
        assert_eq!(verdict(&machine, X86_64, 40), beyond, "{default}");
    }
}

#[test]
fn an_architecture_that_is_not_asked_for_is_killed_and_the_native_one_is_always_there() {
    let machine = machine(r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_S390X"]}"#);
    assert_eq!(verdict(&machine, X86_64, 1), ALLOW);
    for audit in [X86, 0xc000_00b7, 0] {
        assert_eq!(verdict(&machine, audit, 1), KILL_THREAD);
    }
    assert_eq!(verdict(&machine, X86_64, X32), KILL_THREAD);
    assert_eq!(verdict(&machine, X86_64, u32::MAX - 1), KILL_THREAD);
    // By this number a tracer skips a call.
    assert_eq!(verdict(&machine, X86_64, u32::MAX), ALLOW);
}

#[test]
fn a_call_has_the_number_of_each_architecture() {
    let machine = machine(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"],
            "syscalls":[{"names":["execve"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    assert_eq!(
        [59, X32 | 520, 11, X32 | 59].map(|n| verdict(&machine, X86_64, n)),
        [EPERM, EPERM, ALLOW, ALLOW]
    );
    assert_eq!([11, 59].map(|n| verdict(&machine, X86, n)), [EPERM, ALLOW]);
}

#[test]
fn a_call_on_sockets_cannot_go_by_the_multiplexer_of_x86() {
    let machine = machine(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
            "syscalls":[{"names":["socket","shmat"],"action":"SCMP_ACT_ERRNO"}]}"#,
    );
    let run = |number, first| machine.run(&Data { args: [first, 0, 0, 0, 0, 0], ..call(X86, number) }).0;
    assert_eq!([(359, 0), (102, 1), (102, 2)].map(|(n, a)| run(n, a)), [EPERM, EPERM, ALLOW]);
    assert_eq!([(397, 0), (117, 21), (117, 22)].map(|(n, a)| run(n, a)), [EPERM, EPERM, ALLOW]);
}

#[test]
fn arguments_are_compared_as_64_bits() {
    const B: u64 = 0x1_0000_0005;
    let around = [0, 4, 5, 6, B - 1, B, B + 1, B + (1 << 32), B - (1 << 32), u64::MAX];
    type Holds = fn(u64) -> bool;
    let cases: [(&str, Holds); 6] = [
        ("EQ", |a| a == B),
        ("NE", |a| a != B),
        ("LT", |a| a < B),
        ("LE", |a| a <= B),
        ("GT", |a| a > B),
        ("GE", |a| a >= B),
    ];
    for (operator, holds) in cases {
        let machine = with_args(&format!(r#"{{"index":2,"value":{B},"op":"SCMP_CMP_{operator}"}}"#));
        for a in around {
            assert_eq!(matches(&machine, [B, B, a, B, B, B]), holds(a), "{operator} {a:#x}");
        }
    }
    for (mask, value) in
        [(0xff_0000_00ff_u64, 0x01_0000_0005_u64), (0xff, 5), (0xff_0000_0000, 0x1_0000_0000), (0, 0)]
    {
        let machine = with_args(&format!(
            r#"{{"index":0,"value":{mask},"valueTwo":{value},"op":"SCMP_CMP_MASKED_EQ"}}"#
        ));
        for a in around {
            assert_eq!(matches(&machine, [a, 0, 0, 0, 0, 0]), a & mask == value, "{mask:#x} {a:#x}");
        }
    }
}

#[test]
fn all_tests_of_a_rule_must_hold_but_two_on_one_argument_are_two_rules() {
    let machine =
        with_args(r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":5,"value":2,"op":"SCMP_CMP_GT"}"#);
    assert!(matches(&machine, [1, 0, 0, 0, 0, 3]));
    assert!(!matches(&machine, [1, 0, 0, 0, 0, 2]) && !matches(&machine, [2, 0, 0, 0, 0, 3]));
    let machine = with_args(
        r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":7,"op":"SCMP_CMP_EQ"},{"index":1,"value":9,"op":"SCMP_CMP_EQ"}"#,
    );
    for (args, expected) in [([1, 0], true), ([7, 0], true), ([0, 9], true), ([2, 2], false)] {
        assert_eq!(matches(&machine, [args[0], args[1], 0, 0, 0, 0]), expected);
    }
}

#[test]
fn a_rule_without_arguments_beats_the_others_and_the_first_of_its_kind_the_later() {
    let rule = |action: &str, args: &str| {
        format!(r#"{{"names":["getpid"],"action":"SCMP_ACT_{action}","args":[{args}]}}"#)
    };
    let one = r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"}"#;
    for rules in [
        vec![rule("TRAP", one), rule("LOG", "")],
        vec![rule("LOG", ""), rule("TRAP", one)],
        vec![rule("LOG", ""), rule("TRAP", "")],
        // What says no more than the default is as if it were not there.
        vec![rule("ALLOW", ""), rule("LOG", "")],
    ] {
        let json = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, rules.join(","));
        let machine = machine(&json);
        for first in [0, 1] {
            let data = Data { args: [first, 0, 0, 0, 0, 0], ..call(X86_64, 39) };
            assert_eq!(machine.run(&data).0, LOG, "{json}");
        }
    }
}

#[test]
fn names_that_are_no_calls_are_passed_over() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["no_such","","read"],"action":"SCMP_ACT_ALLOW"}]}"#;
    assert_eq!(verdict(&machine(json), X86_64, 0), ALLOW);
}

#[test]
fn flags_are_the_kernels_and_their_absence_is_runcs_default() {
    let flags = |flags: &str| {
        compiled(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW"{flags}}}"#)).unwrap().unwrap().1
    };
    assert_eq!(flags(""), 4);
    assert_eq!(flags(r#","flags":null"#), 4);
    assert_eq!(flags(r#","flags":[]"#), 0);
    assert_eq!(flags(r#","flags":["SECCOMP_FILTER_FLAG_TSYNC"]"#), 0);
    let all = r#","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#;
    assert_eq!(flags(all), 2 | 4 | 32);
    let notify =
        r#","listenerPath":"/a","flags":[],"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]"#;
    assert_eq!(flags(notify), NEW_LISTENER);
    assert_eq!(flags(&notify.replace("mkdir", "sendmsg")), NEW_LISTENER | BY_NUMBER);
}

#[test]
fn what_is_not_known_is_refused_by_its_path() {
    let rule = |rule: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#);
    let arg = |arg: &str| rule(&format!(r#"{{"names":["read"],"action":"SCMP_ACT_TRAP","args":[{arg}]}}"#));
    for (json, path) in [
        (r#"{"defaultAction":"SCMP_ACT_NONE"}"#.to_string(), "defaultAction: not known"),
        (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#.to_string(), "defaultAction: SCMP_ACT_NOTIFY cannot"),
        (
            r#"{"syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP"}]}"#.to_string(),
            "defaultAction: missing",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X"]}"#.to_string(),
            "architectures[0]: not known",
        ),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]}"#.to_string(), "flags[0]: not known"),
        (rule(r#"{"names":["read"],"action":"X"}"#), "syscalls[0].action: not known"),
        (
            rule(r#"{"names":["read"],"action":"SCMP_ACT_TRAP","errnoRet":1}"#),
            "syscalls[0].errnoRet: not for",
        ),
        (
            rule(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":65536}"#),
            "syscalls[0].errnoRet: expected",
        ),
        (
            rule(r#"{"names":["a","write"],"action":"SCMP_ACT_NOTIFY"}"#),
            "syscalls[0].names[1]: SCMP_ACT_NOTIFY cannot",
        ),
        (rule(r#"{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}"#), "listenerPath: must be set"),
        (arg(r#"{"index":6,"value":1,"op":"SCMP_CMP_EQ"}"#), "syscalls[0].args[0].index: expected"),
        (arg(r#"{"index":0,"value":1,"op":"EQ"}"#), "syscalls[0].args[0].op: not known"),
        (arg(r#"{"index":0,"op":"SCMP_CMP_EQ"}"#), "syscalls[0].args[0].value: missing"),
    ] {
        let error = compiled(&json).err().unwrap();
        assert!(error.starts_with(&format!("seccomp: {path}")), "{error}");
    }
    assert!(compiled("{}").unwrap().is_none());
}

#[test]
fn more_than_the_kernel_takes_is_refused() {
    let tests = |count: u64| {
        let all: Vec<_> = (0..count)
            .map(|n| format!(r#"{{"names":["getpid"],"action":"SCMP_ACT_ALLOW","args":[{{"index":0,"value":{},"op":"SCMP_CMP_EQ"}}]}}"#, n << 32))
            .collect();
        format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, all.join(","))
    };
    // Far jumps: four instructions each, and all the same answer.
    let many = machine(&tests(900));
    for n in [0, 1, 450, 899, 900] {
        let expected = if n < 900 { ALLOW } else { EPERM };
        let data = Data { args: [n << 32, 0, 0, 0, 0, 0], ..call(X86_64, 39) };
        assert_eq!(many.run(&data).0, expected, "{n}");
    }
    assert!(compiled(&tests(1100)).err().unwrap().contains("more than 4096 instructions"));
    assert!(compiled(&tests(9000)).err().unwrap().contains("more rules than a filter can hold"));
}

/// Random numbers, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 20) as usize % bound
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Every name that libseccomp 2.5 knows as well.
fn names() -> Vec<String> {
    let mut rest = table::names();
    let mut names = Vec::new();
    while let Some((&length, behind)) = rest.split_first() {
        let (name, behind) = behind.split_at(length.into());
        let name = core::str::from_utf8(name).unwrap().to_string();
        if table::places(table::find(&name, &mut 0).unwrap())
            .iter()
            .flatten()
            .all(|&place| !(335..424).contains(&place) && place < 449 || place >= 512)
        {
            names.push(name);
        }
        rest = &behind[4..];
    }
    names
}

const VALUES: &[u64] =
    &[0, 1, 2, 5, 0xff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0xff_0000_0005, u64::MAX];

/// A profile with one action per call, since libseccomp lets the shape of its tree decide between two that both match. `sound`: only
/// what libseccomp 2.5 gets right. Of several rules for a call that do not all want a number of the same argument, its tree
/// forgets some (getpgrp where argument 0 is not 2^32 - 1 and 2 not 2^31, or 1 not 2, or 0 not 2^31: nothing comes of [3, 2, 2^31]).
fn generated(random: &mut Random, names: &[String], sound: bool) -> Profile {
    let actions = [
        ("SCMP_ACT_ALLOW", ALLOW),
        ("SCMP_ACT_ERRNO", EPERM),
        ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
        ("SCMP_ACT_LOG", LOG),
        ("SCMP_ACT_TRAP", 0x0003_0000),
        ("SCMP_ACT_TRACE", TRACE | 1),
    ];
    let default = random.pick(&actions);
    let wide = random.below(3) == 0;
    let values: Vec<u64> = VALUES.iter().copied().filter(|&value| wide || value < 1 << 32).collect();
    let mut rules = Vec::new();
    let mut free = names.to_vec();
    for _ in 0..1 + random.below(12) {
        let mut names: Vec<String> =
            (0..1 + random.below(8)).map(|_| free.swap_remove(random.below(free.len()))).collect();
        let action = random.pick(&actions);
        let first = random.below(3) as u32;
        let (several, alike) = (random.below(2) == 0, random.below(4) > 0);
        for _ in 0..if several { 1 + random.below(4) } else { 1 } {
            let count = if sound && several { 1 } else { random.pick(&[0, 0, 1, 1, 1, 2, 3]) };
            let argument = |n| {
                let index = if sound || alike { (first + n) % 3 } else { random.below(3) as u32 };
                let operator = if sound && several { "SCMP_CMP_EQ" } else { random.pick(OPERATORS) };
                let mut value = random.pick(&values);
                // Where a mask is 0 it forgets what else there is in the rule.
                if sound && operator == "SCMP_CMP_MASKED_EQ" {
                    value |= 4;
                }
                Argument { index, operator, value, second: random.pick(&values) }
            };
            let args: Vec<_> = (0..count).map(argument).collect();
            if sound && count > 0 {
                names.retain(|name| table::multiplexed(table::find(name, &mut 0).unwrap()).is_none());
            }
            rules.push(oracle::Rule { names: names.clone(), action, errno: None, args });
        }
    }
    // Of x86 and x32, whose pointers have 32 bits, libseccomp compares no more; we do.
    Profile {
        default,
        default_errno: None,
        x86: !wide && random.below(2) == 0,
        x32: !wide && random.below(2) == 0,
        rules,
    }
}

/// Arguments near those that rules speak of.
fn arguments(random: &mut Random) -> [u64; 6] {
    core::array::from_fn(|_| random.pick(VALUES).wrapping_add(random.below(3) as u64).wrapping_sub(1))
}

/// Both filters over calls of every kind. How many instructions either took over all of them.
fn agree(
    profile: &Profile,
    helper: &std::path::PathBuf,
    random: &mut Random,
    unknown: fn(u32) -> bool,
) -> (Machine, oracle::Oracle) {
    let ours = machine(&profile.json());
    let theirs = profile.by_libseccomp(helper);
    for audit in [X86_64, X86, 0xc000_00b7] {
        for base in [0, X32] {
            for number in
                (0..600).chain([X32 - 1, 0x1234_5678]).map(|n| base | n).filter(|n| !unknown(n & !X32))
            {
                for _ in 0..3 {
                    let mut args = arguments(random);
                    if audit == X86 || base == X32 {
                        args = args.map(|arg| arg & 0xffff_ffff);
                    }
                    let data = Data { number, audit, args };
                    let (a, b) = (ours.run(&data).0, theirs.run(&data, profile).0);
                    assert_eq!(a, b, "{a:#x}, libseccomp {b:#x}: {data:x?}{}", profile.about(number));
                }
            }
        }
        let data = call(audit, u32::MAX);
        assert_eq!(ours.run(&data).0, theirs.run(&data, profile).0);
    }
    (ours, theirs)
}

#[test]
fn generated_profiles_do_what_their_words_mean() {
    let mut random = Random(0x5ecc_0456);
    let names = names();
    for _ in 0..300 {
        let profile = generated(&mut random, &names, false);
        let ours = machine(&profile.json());
        let named: Vec<_> = profile.rules.iter().flat_map(|rule| &rule.names).collect();
        // The multiplexers of x86 also get the rules of what they multiplex.
        let named =
            named.into_iter().chain(&names).filter(|name| !["ipc", "socketcall"].contains(&name.as_str()));
        for name in named {
            let places = table::places(table::find(name, &mut 0).unwrap());
            for (arch, place) in table::ARCHS.iter().zip(places) {
                let is_in = [true, profile.x86, profile.x32]
                    [table::ARCHS.iter().position(|it| it.name == arch.name).unwrap()];
                let Some(number) = place.filter(|_| is_in).map(|place| arch.number(place)) else { continue };
                for _ in 0..4 {
                    let data = Data { number, audit: arch.audit, args: arguments(&mut random) };
                    let verdict = ours.run(&data).0;
                    // What is above the 32 bits of such a call is not the kernel's business.
                    let seen = data.args.map(|arg| if data.audit == X86 { arg & 0xffff_ffff } else { arg });
                    let meant = profile.meant(name, &seen);
                    // What nothing is said of may be beyond what the profile knows.
                    let beyond = verdict == ENOSYS && meant == profile.default.1;
                    assert!(
                        verdict == meant || beyond,
                        "{verdict:#x} for {meant:#x}: {data:x?}{}",
                        profile.about(number)
                    );
                }
            }
        }
    }
}

#[test]
fn libseccomp_agrees_about_generated_profiles() {
    let Some(helper) = oracle::build("generated") else { return };
    let mut random = Random(0x5ecc_0123);
    let names = names();
    for _ in 0..300 {
        let profile = generated(&mut random, &names, true);
        agree(&profile, &helper, &mut random, |_| false);
    }
    let _ = std::fs::remove_file(helper);
}

/// Numbers that calls got after libseccomp 2.5.4.
fn is_new(number: u32) -> bool {
    matches!(number, 335..=336 | 449..512)
}

/// What Docker's and Podman's profiles look at, and what lies beside it.
const LOOKED_AT: &[u64] =
    &[0, 1, 2, 8, 9, 16, 0x2_0000, 0x2_0008, 0x7e02_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0010];

#[test]
fn no_call_takes_more_steps_than_with_libseccomp_under_what_callers_write() {
    let Some(helper) = oracle::build("captured") else { return };
    let mut random = Random(0x5ecc_0789);
    for (caller, text) in [("docker", DOCKER), ("podman", PODMAN)] {
        let profile = oracle::captured(text);
        let (ours, theirs) = agree(&profile, &helper, &mut random, is_new);
        assert!(ours.len() < theirs.len(), "{caller}: {} and {} instructions", ours.len(), theirs.len());
        for (audit, base) in [(X86_64, 0), (X86, 0), (X86_64, X32)] {
            let mut steps = (0, 0);
            for number in (0..600).filter(|&number| !is_new(number)) {
                for _ in 0..100 {
                    let mut args = core::array::from_fn(|_| random.pick(LOOKED_AT));
                    if (audit, base) != (X86_64, 0) {
                        args = args.map(|arg| arg & 0xffff_ffff);
                    }
                    let data = Data { args, ..call(audit, base | number) };
                    let ((a, ours), (b, theirs)) = (ours.run(&data), theirs.run(&data, &profile));
                    assert_eq!(a, b, "{caller}: {data:x?}");
                    assert!(ours <= theirs, "{caller}: {ours} and {theirs} steps: {data:x?}");
                    steps = (steps.0 + ours, steps.1 + theirs);
                }
            }
            assert!(steps.0 * 5 < steps.1 * 4, "{caller}, {audit:x} {base:x}: {steps:?}");
        }
    }
    let _ = std::fs::remove_file(helper);
}
