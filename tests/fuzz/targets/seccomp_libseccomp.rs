//! The compiler of seccomp filters against libseccomp, in this process: the same profile, the same verdicts.
//!
//! Profiles are what libseccomp 2.5 gets right, as in src/seccomp/tests: one action per call, of several rules for a call only
//! such as want a number of the same argument, 32 bits where x86 or x32 are in.

#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Write;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::OnceLock;

use minirunc::wire::json::Document;
use minirunc_tests::fuzz::filter::{Data, Machine, Memory};

/// `struct scmp_arg_cmp`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Compare {
    argument: u32,
    operator: c_int,
    a: u64,
    b: u64,
}

#[link(name = "seccomp")]
unsafe extern "C" {
    fn seccomp_init(action: u32) -> *mut c_void;
    fn seccomp_release(filter: *mut c_void);
    fn seccomp_arch_add(filter: *mut c_void, arch: u32) -> c_int;
    fn seccomp_rule_add_array(
        filter: *mut c_void,
        action: u32,
        call: c_int,
        count: u32,
        tests: *const Compare,
    ) -> c_int;
    fn seccomp_export_bpf(filter: *const c_void, fd: c_int) -> c_int;
    fn seccomp_syscall_resolve_num_arch(arch: u32, number: c_int) -> *mut c_char;
    fn seccomp_syscall_resolve_name_arch(arch: u32, name: *const c_char) -> c_int;
    fn seccomp_syscall_resolve_name(name: *const c_char) -> c_int;
    fn memfd_create(name: *const c_char, flags: u32) -> c_int;
    fn free(memory: *mut c_void);
}

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
/// SCMP_ARCH_X32: EM_X86_64 and little-endian, but 32 bits. Its calls have this bit.
const X32: u32 = 0x4000_003e;
const X32_BIT: u32 = 0x4000_0000;

const ACTIONS: [(&str, u32); 6] = [
    ("ALLOW", 0x7fff_0000),
    ("ERRNO", 0x0005_0001),
    ("KILL_PROCESS", 0x8000_0000),
    ("LOG", 0x7ffc_0000),
    ("TRAP", 0x0003_0000),
    ("TRACE", 0x7ff0_0001),
];
const ENOSYS: u32 = 0x0005_0026;

/// With `enum scmp_compare`.
const OPERATORS: [(&str, c_int); 7] =
    [("EQ", 4), ("NE", 1), ("LT", 2), ("LE", 3), ("GE", 5), ("GT", 6), ("MASKED_EQ", 7)];

const VALUES: [u64; 11] =
    [0, 1, 2, 5, 0xff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0xff_0000_0005, u64::MAX];

/// Calls that x86 also has behind a number of many, where a rule with arguments cannot follow them.
const MULTIPLEXED: &str = "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown \
     setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg semop semget semctl semtimedop msgsnd msgrcv msgget msgctl \
     shmat shmdt shmget shmctl socketcall ipc";

/// Calls of x86_64 that both know: ours in the numbers that libseccomp 2.5.4 has.
fn names() -> &'static [CString] {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let name = |number| {
            // SAFETY: a string of its own, or none.
            unsafe {
                let text = seccomp_syscall_resolve_num_arch(X86_64, number);
                let name = (!text.is_null()).then(|| CStr::from_ptr(text).to_owned());
                free(text.cast());
                name
            }
        };
        (0..335).chain(424..449).filter_map(name).collect()
    })
}

/// What the fuzzer says, a byte at a time; in the end zeros.
struct Bytes<'d>(std::slice::Iter<'d, u8>);

impl Bytes<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let wide = usize::from(self.0.next().copied().unwrap_or(0));
        let wide =
            if bound > 256 { wide << 8 | usize::from(self.0.next().copied().unwrap_or(0)) } else { wide };
        wide % bound
    }
}

struct Rule {
    calls: Vec<CString>,
    action: (&'static str, u32),
    tests: Vec<(&'static str, Compare)>,
}

fn rules(bytes: &mut Bytes<'_>, narrow: bool) -> Vec<Rule> {
    let mut free: Vec<_> = names().to_vec();
    let mut rules = Vec::new();
    for _ in 0..1 + bytes.below(12) {
        let mut calls: Vec<_> =
            (0..1 + bytes.below(8)).map(|_| free.swap_remove(bytes.below(free.len()))).collect();
        let action = ACTIONS[bytes.below(ACTIONS.len())];
        let (first, several) = (bytes.below(6), bytes.below(5));
        for _ in 0..several.max(1) {
            let count = if several > 1 { 1 } else { bytes.below(4) };
            if count > 0 {
                calls.retain(|name| !MULTIPLEXED.split(' ').any(|it| it.as_bytes() == name.to_bytes()));
            }
            let test = |n| {
                let (name, operator) = OPERATORS[if several > 1 { 0 } else { bytes.below(OPERATORS.len()) }];
                let mut value =
                    || VALUES[bytes.below(VALUES.len())] & if narrow { 0xffff_ffff } else { u64::MAX };
                let (mut a, b) = (value(), value());
                if name == "MASKED_EQ" {
                    a |= 4;
                }
                (name, Compare { argument: ((first + n) % 6) as u32, operator, a, b })
            };
            rules.push(Rule { calls: calls.clone(), action, tests: (0..count).map(test).collect() });
        }
    }
    rules
}

fn json(default: &str, narrow: [bool; 2], rules: &[Rule]) -> String {
    let mut out =
        format!("{{\"defaultAction\":\"SCMP_ACT_{default}\",\"architectures\":[\"SCMP_ARCH_X86_64\"");
    for (_, name) in narrow.iter().zip(["X86", "X32"]).filter(|(there, _)| **there) {
        let _ = write!(out, ",\"SCMP_ARCH_{name}\"");
    }
    out += "],\"syscalls\":[";
    for (nth, rule) in rules.iter().enumerate() {
        let names: Vec<_> = rule.calls.iter().map(|name| format!("{name:?}")).collect();
        let tests = rule.tests.iter().map(|(name, it)| {
            let (argument, a, b) = (it.argument, it.a, it.b);
            format!("{{\"index\":{argument},\"value\":{a},\"valueTwo\":{b},\"op\":\"SCMP_CMP_{name}\"}}")
        });
        let (comma, tests) = (if nth == 0 { "" } else { "," }, tests.collect::<Vec<_>>().join(","));
        let (names, action) = (names.join(","), rule.action.0);
        let _ =
            write!(out, "{comma}{{\"names\":[{names}],\"action\":\"SCMP_ACT_{action}\",\"args\":[{tests}]}}");
    }
    out + "]}"
}

fn theirs(default: u32, narrow: [bool; 2], rules: &[Rule]) -> Machine {
    let mut code = Vec::new();
    // SAFETY: as seccomp_init(3) and its fellows have it; the file's descriptor is its own.
    unsafe {
        let filter = seccomp_init(default);
        for (_, arch) in narrow.iter().zip([X86, X32]).filter(|(there, _)| **there) {
            assert_eq!(seccomp_arch_add(filter, arch), 0);
        }
        for rule in rules.iter().filter(|rule| rule.action.1 != default) {
            let tests: Vec<_> = rule.tests.iter().map(|(_, test)| *test).collect();
            for name in &rule.calls {
                let call = seccomp_syscall_resolve_name(name.as_ptr());
                let done =
                    seccomp_rule_add_array(filter, rule.action.1, call, tests.len() as u32, tests.as_ptr());
                // The same rule twice is EEXIST.
                assert!(done == 0 || done == -17, "{name:?}: {done}");
            }
        }
        let mut file = File::from_raw_fd(memfd_create(c"filter".as_ptr(), 1));
        assert_eq!(seccomp_export_bpf(filter, file.as_raw_fd()), 0);
        seccomp_release(filter);
        file.rewind().expect("rewind");
        file.read_to_end(&mut code).expect("read");
    }
    Machine::new(&code)
}

/// What i386 has numbers of its own for, most since Linux 4.3 and 5.1, from the first on, and libseccomp calls by negative ones, since they
/// may also come by socketcall(2) and ipc(2).
const DIRECT: [(u32, &str); 4] = [
    (337, "recvmmsg"),
    (345, "sendmmsg"),
    (
        359,
        "socket socketpair bind connect listen accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg shutdown",
    ),
    (393, "semget semctl shmget shmctl shmat shmdt msgget msgsnd msgrcv msgctl"),
];
const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

/// The numbers by which i386 has such a call: its own or 0, and the one that it shares.
fn direct(name: &CString) -> Option<[u32; 2]> {
    let name = name.to_str().ok().filter(|&name| MULTIPLEXED.split(' ').any(|it| it == name))?;
    let of = |&(first, names): &(u32, &str)| {
        names.split(' ').position(|it| it == name).map(|nth| first + nth as u32)
    };
    let shared = if ["sem", "msg", "shm"].iter().any(|it| name.starts_with(it)) { IPC } else { SOCKETCALL };
    Some([DIRECT.iter().find_map(of).unwrap_or(0), shared])
}

/// The highest number that an architecture has in the profile; 0 without one of its own. (runc does not count those that libseccomp has no
/// positive one for.)
fn last(arch: u32, rules: &[Rule], default: u32) -> u32 {
    let (mut own, mut ruled) = (0, 0);
    for (rule, name) in rules.iter().flat_map(|rule| rule.calls.iter().map(move |name| (rule, name))) {
        // SAFETY: a terminated string; what the architecture lacks has a negative number.
        let number = unsafe { seccomp_syscall_resolve_name_arch(arch, name.as_ptr()) };
        match direct(name) {
            Some([direct, shared]) if arch == X86 && number < 0 => {
                own = own.max(direct);
                if rule.action.1 != default {
                    ruled = ruled.max(shared);
                }
            }
            _ => own = own.max(number.max(0) as u32),
        }
    }
    if own == 0 { 0 } else { own.max(ruled) }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data.iter());
    let (default, action) = ACTIONS[bytes.below(ACTIONS.len())];
    let narrow = [[false, false], [true, false], [false, true], [true, true]][bytes.below(4)];
    let rules = rules(&mut bytes, narrow != [false, false]);
    if rules.iter().all(|rule| rule.calls.is_empty()) {
        return;
    }
    let text = json(default, narrow, &rules);
    let document = Document::parse("seccomp", text.as_bytes()).expect("JSON");
    let mut memory = Memory::default();
    let ours =
        minirunc::seccomp::compile(&document.root(), memory.work()).expect("a profile").expect("not empty");
    let ours = Machine::new(ours.program);
    let theirs = theirs(action, narrow, &rules);
    // Before its filter runc puts an answer to numbers beyond the profile, unless the default lets calls through.
    let is_open = ["ALLOW", "LOG", "TRACE"].contains(&default);
    let beyond = |audit, number: u32| {
        let last = match audit {
            X86_64 if number & X32_BIT == 0 => last(X86_64, &rules, action),
            X86_64 if narrow[1] => last(X32, &rules, action),
            X86 if narrow[0] => last(X86, &rules, action),
            _ => 0,
        };
        !is_open && last != 0 && number > last
    };
    for audit in [X86_64, X86, 0xc000_00b7] {
        for number in
            (0..470).flat_map(|n| [n, X32_BIT | n]).chain((512..550).map(|n| X32_BIT | n)).chain([u32::MAX])
        {
            if matches!(number & !X32_BIT, 335..424 | 449..512) && number != u32::MAX {
                continue;
            }
            let mut args: [u64; 6] = std::array::from_fn(|_| {
                VALUES[bytes.below(VALUES.len())].wrapping_add(bytes.below(3) as u64).wrapping_sub(1)
            });
            if audit == X86 || number & X32_BIT != 0 {
                args = args.map(|arg| arg & 0xffff_ffff);
            }
            let data = Data { number, audit, args };
            let expected = if beyond(audit, number) { ENOSYS } else { theirs.run(&data).0 };
            assert_eq!(ours.run(&data).0, expected, "{data:x?}\n{text}");
        }
    }
});
