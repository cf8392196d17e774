//! The same policies by libseccomp (tests/oracle/seccomp.c), as runc hands them over: what equals the default is left out, two looks
//! at one argument are two rules; and before its filter runc's answer to numbers beyond the profile.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs};

use super::super::{ALLOW, LOG, OPERATORS, TRACE, table};
use super::machine::{Data, Machine};

/// `enum scmp_compare` in the order of [`OPERATORS`].
const COMPARE: [u32; 7] = [4, 5, 6, 3, 2, 7, 1];

pub const X86_64: u32 = 0xc000_003e;
pub const X86: u32 = 0x4000_0003;
pub const X32: u32 = 0x4000_0000;

#[derive(Clone, Debug)]
pub struct Argument {
    pub index: u32,
    pub operator: &'static str,
    pub value: u64,
    pub second: u64,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub names: Vec<String>,
    /// By name and as a number, with the number that goes with it.
    pub action: (&'static str, u32),
    pub errno: Option<u32>,
    pub args: Vec<Argument>,
}

#[derive(Clone, Debug)]
pub struct Profile {
    pub default: (&'static str, u32),
    pub default_errno: Option<u32>,
    pub x86: bool,
    pub x32: bool,
    pub rules: Vec<Rule>,
}

pub struct Oracle {
    machine: Machine,
    /// The highest number that the profile has, below and above x32's bit, and for x86. None: numbers beyond are not special.
    last: Option<[u32; 3]>,
}

/// The compiled helper; none where there is no compiler or no libseccomp.
pub fn build(test: &str) -> Option<PathBuf> {
    let out = std::env::temp_dir().join(format!("seccomp-oracle-{test}-{}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/seccomp.c");
    let done = Command::new("cc").args(["-O1", "-o"]).arg(&out).args([source, "-lseccomp"]).output();
    if done.is_ok_and(|done| done.status.success()) {
        return Some(out);
    }
    let _ = fs::remove_file(&out);
    // Past the capture of the test harness: a skipped oracle is to be seen.
    let _ = std::io::stderr().write_all(b"SKIP seccomp oracle: no cc, or no libseccomp-dev\n");
    None
}

impl Profile {
    pub fn json(&self) -> String {
        let mut out =
            format!("{{\"defaultAction\":\"{}\",\"architectures\":[\"SCMP_ARCH_X86_64\"", self.default.0);
        for (there, name) in [(self.x86, "SCMP_ARCH_X86"), (self.x32, "SCMP_ARCH_X32")] {
            if there {
                out += &format!(",\"{name}\"");
            }
        }
        out += "]";
        if let Some(errno) = self.default_errno {
            out += &format!(",\"defaultErrnoRet\":{errno}");
        }
        out += ",\"listenerPath\":\"/agent\",\"syscalls\":[";
        for (n, rule) in self.rules.iter().enumerate() {
            let names: Vec<_> = rule.names.iter().map(|name| format!("\"{name}\"")).collect();
            let comma = if n == 0 { "" } else { "," };
            out += &format!("{comma}{{\"names\":[{}],\"action\":\"{}\"", names.join(","), rule.action.0);
            if let Some(errno) = rule.errno {
                out += &format!(",\"errnoRet\":{errno}");
            }
            let args: Vec<_> = rule
                .args
                .iter()
                .map(|it| {
                    format!(
                        "{{\"index\":{},\"value\":{},\"valueTwo\":{},\"op\":\"{}\"}}",
                        it.index, it.value, it.second, it.operator
                    )
                })
                .collect();
            out += &format!(",\"args\":[{}]}}", args.join(","));
        }
        out + "]}"
    }

    /// The rules for a number of any architecture, to be read after a failure.
    pub fn about(&self, number: u32) -> String {
        let is_it = |name: &String| {
            let numbers = table::find(name, &mut 0);
            let places = numbers.map_or([None; 3], table::places);
            let multiplexed = numbers.and_then(table::multiplexed).map(|(_, place, _)| place);
            places.into_iter().chain([multiplexed]).flatten().any(|place| u32::from(place) == number & !X32)
        };
        let rules = self.rules.iter().filter(|rule| rule.names.iter().any(is_it));
        rules.fold(format!("\ndefault {:?}", self.default), |out, rule| out + &format!("\n{rule:?}"))
    }

    /// What the words of the profile mean for a call by its name, straight from them.
    pub fn meant(&self, name: &str, args: &[u64; 6]) -> u32 {
        let rules = || {
            let about =
                |rule: &&Rule| rule.names.iter().any(|it| it == name) && rule.action.1 != self.default.1;
            self.rules.iter().filter(about)
        };
        let plain = rules().find(|rule| rule.args.is_empty());
        let found = plain.or_else(|| rules().find(|rule| rule.holds(args)));
        found.map_or(self.default.1, |rule| rule.action.1)
    }

    /// What libseccomp makes of it.
    pub fn by_libseccomp(&self, helper: &PathBuf) -> Oracle {
        let mut input = format!("default {:x}\narch {X86_64:x}\n", self.default.1);
        if self.x86 {
            input += &format!("arch {X86:x}\n");
        }
        if self.x32 {
            // SCMP_ARCH_X32: EM_X86_64 and little-endian, but 32 bits.
            input += "arch 4000003e\n";
        }
        let mut last = [0; 3];
        let calls: usize = self.rules.iter().map(|rule| rule.names.len()).sum();
        if calls > 32 {
            input += "optimize 2\n";
        }
        for rule in &self.rules {
            for name in &rule.names {
                for (arch, place) in
                    table::find(name, &mut 0).map_or([None; 3], table::places).iter().enumerate()
                {
                    let number = place.map_or(0, |place| table::ARCHS[arch].number(place));
                    last[arch] = last[arch].max(number);
                }
                if rule.action.1 != self.default.1 {
                    rule.lines(name, &mut input);
                }
            }
        }
        let mut child = Command::new(helper).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let mut code = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut code).unwrap();
        assert!(child.wait().unwrap().success(), "{input}");
        let is_open = [ALLOW, LOG, TRACE].contains(&(self.default.1 & 0xffff_0000));
        Oracle { machine: Machine::new(&code), last: Some(last).filter(|_| !is_open) }
    }
}

impl Rule {
    fn holds(&self, args: &[u64; 6]) -> bool {
        let one = |it: &Argument| {
            let (a, b) = (args[it.index as usize], it.value);
            match it.operator.strip_prefix("SCMP_CMP_").unwrap() {
                "EQ" => a == b,
                "NE" => a != b,
                "LT" => a < b,
                "LE" => a <= b,
                "GT" => a > b,
                "GE" => a >= b,
                _ => a & b == it.second & b,
            }
        };
        if self.is_split() { self.args.iter().any(one) } else { self.args.iter().all(one) }
    }

    /// Two looks at one argument are two rules.
    fn is_split(&self) -> bool {
        (0..6).any(|n| self.args.iter().filter(|arg| arg.index == n).count() > 1)
    }

    fn lines(&self, name: &str, input: &mut String) {
        let groups =
            if self.is_split() { self.args.chunks(1).collect() } else { Vec::from([&self.args[..]]) };
        for args in groups {
            *input += &format!("rule {:x} {name}", self.action.1);
            for arg in args {
                let operator = OPERATORS.iter().position(|it| *it == arg.operator).unwrap();
                let compare = COMPARE[operator];
                *input += &format!(" {:x} {compare:x} {:x} {:x}", arg.index, arg.value, arg.second);
            }
            input.push('\n');
        }
    }
}

impl Oracle {
    pub fn len(&self) -> usize {
        self.machine.len()
    }

    /// The verdict of runc's answer and libseccomp's filter, and how many instructions the filter took.
    pub fn run(&self, data: &Data, profile: &Profile) -> (u32, usize) {
        let (verdict, steps) = self.machine.run(data);
        let Some([wide, narrow, x32]) = self.last else { return (verdict, steps) };
        let last = match data.audit {
            X86_64 if data.number & X32 == 0 => wide,
            X86_64 if profile.x32 => x32,
            X86 if profile.x86 => narrow,
            _ => 0,
        };
        let is_beyond = last != 0 && data.number > last;
        (if is_beyond { 0x0005_0000 | libc::ENOSYS as u32 } else { verdict }, steps)
    }
}

/// A profile as a caller wrote it.
pub fn captured(text: &str) -> Profile {
    use crate::oci::{self, seccomp};
    use crate::wire::json::{Document, Text};
    let document = Document::parse("captured", text.as_bytes()).unwrap();
    let node = document.root().at("linux").unwrap().at("seccomp").unwrap();
    let view: oci::Seccomp<'_> = node.read().unwrap();
    let plain =
        |node: &crate::wire::json::Node<'_>| node.read::<Text<'_>>().unwrap().as_plain().unwrap().to_string();
    let action = |node: &crate::wire::json::Node<'_>, errno: Option<u32>| {
        let (name, number) = *super::super::ACTIONS.iter().find(|(name, _)| *name == plain(node)).unwrap();
        let takes = [super::super::ERRNO, TRACE].contains(&number);
        (name, if takes { number | errno.unwrap_or(1) } else { number })
    };
    let default_errno = view.default_errno_ret().read().unwrap();
    let has = |name: &str| view.architectures().list().unwrap().any(|node| plain(&node) == name);
    let rules = view
        .syscalls()
        .list()
        .unwrap()
        .map(|node| {
            let rule: seccomp::Rule<'_> = node.read().unwrap();
            let errno = rule.errno_ret().read().unwrap();
            let argument = |node: crate::wire::json::Node<'_>| {
                let view: seccomp::Argument<'_> = node.read().unwrap();
                let operator = plain(view.op());
                Argument {
                    index: view.index().read().unwrap(),
                    operator: OPERATORS.iter().find(|it| **it == operator).unwrap(),
                    value: view.value().read().unwrap(),
                    second: view.value_two().read::<Option<u64>>().unwrap().unwrap_or(0),
                }
            };
            Rule {
                names: rule.names().list().unwrap().map(|node| plain(&node)).collect(),
                action: action(rule.action(), errno),
                errno,
                args: rule.args().list().unwrap().map(argument).collect(),
            }
        })
        .collect();
    Profile {
        default: action(view.default_action(), default_errno),
        default_errno,
        x86: has("SCMP_ARCH_X86"),
        x32: has("SCMP_ARCH_X32"),
        rules,
    }
}
