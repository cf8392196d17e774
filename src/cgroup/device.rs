//! Device rules: as lines for v1, assembled to an eBPF program for v2 (no system call here).
//!
//! The rules are an ordered list and the last one that matches decides, for each kind of access alone:
//! `allow r`, then `allow w` allows both at once. What no rule matches is allowed, as in a new cgroup.

use core::fmt::Write;

use crate::error::{Error, Result};
use crate::limits;
use crate::plan::Plan;
use crate::plan::device::{Device, DeviceRule, MKNOD, READ, WRITE};

use super::set::{Text, text};

/// Every kind of access.
const ALL: u32 = MKNOD | READ | WRITE;

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub allow: bool,
    /// `b` or `c`; none: both.
    class: Option<u8>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl Rule {
    pub(super) fn new(rule: &DeviceRule) -> Self {
        let class = u8::try_from(rule.file_type).ok().filter(|class| *class != b'a');
        let DeviceRule { allow, major, minor, access, .. } = *rule;
        Self { allow, class, major, minor, access: access & ALL }
    }

    /// For every device and every access: nothing that came before it matters.
    fn is_total(&self) -> bool {
        self.class.is_none() && self.is_wild() && self.access == ALL
    }

    fn is_wild(&self) -> bool {
        self.major.is_none() && self.minor.is_none()
    }

    /// The lines for v1's `devices.allow` or `devices.deny`. There `a` means everything, whatever
    /// stands behind it.
    pub(super) fn lines(&self) -> impl Iterator<Item = Text> + use<'_> {
        let classes: &[u8] = match self.class {
            None if self.is_total() => b"a",
            None => b"bc",
            Some(b'b') => b"b",
            Some(_) => b"c",
        };
        classes.iter().map(|&class| self.line(class))
    }

    fn line(&self, class: u8) -> Text {
        if class == b'a' {
            return text(format_args!("a"));
        }
        let mut line = text(format_args!("{} ", char::from(class)));
        for (number, end) in [(self.major, ':'), (self.minor, ' ')] {
            let _ = match number {
                Some(number) => write!(line, "{number}{end}"),
                None => write!(line, "*{end}"),
            };
        }
        for (access, letter) in [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')] {
            if self.access & access != 0 {
                let _ = line.push(letter);
            }
        }
        line
    }

    fn is_same_device(&self, other: &Self) -> bool {
        self.class == other.class && self.major == other.major && self.minor == other.minor
    }

    fn overlaps(&self, other: &Self) -> bool {
        let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        let class = self.class.is_none() || other.class.is_none() || self.class == other.class;
        class
            && meets(self.major, other.major)
            && meets(self.minor, other.minor)
            && self.access & other.access != 0
    }
}

/// v1 keeps a default and a list of exceptions, and takes an exception back only for the very same
/// numbers; what is broader or narrower it accepts and ignores. Such a rule is refused here, because a `deny`
/// without effect is an open door.
pub(super) struct Exceptions {
    default_allow: bool,
    since: usize,
}

impl Exceptions {
    pub(super) fn new() -> Self {
        Self { default_allow: true, since: 0 }
    }

    /// To be asked about each rule in its turn.
    pub(super) fn check(&mut self, plan: &Plan<'_>, at: usize, rule: &Rule) -> Result<()> {
        if rule.is_total() {
            (self.default_allow, self.since) = (rule.allow, at);
            return Ok(());
        }
        if rule.allow != self.default_allow {
            return Ok(());
        }
        for earlier in plan.each::<DeviceRule>().take(at).skip(self.since) {
            let earlier = Rule::new(&earlier?);
            let exception = earlier.allow != self.default_allow && !earlier.is_total();
            if exception && earlier.overlaps(rule) && !earlier.is_same_device(rule) {
                let field = text(format_args!("linux.resources.devices[{at}]"));
                return Err(Error::refused(
                    &field,
                    "cgroup v1 cannot take back a part of what an earlier rule says",
                ));
            }
        }
        Ok(())
    }
}

// The instructions that we need (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_32: u8 = 0x61;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const MOVE_32: u8 = 0xb4;
const MOVE_REGISTER_32: u8 = 0xbc;
const JUMP: u8 = 0x05;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_IF_ANY: u8 = 0x45;
const EXIT: u8 = 0x95;

// The registers. R1 comes with the context (struct bpf_cgroup_dev_ctx).
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const CLASS: u8 = 2;
/// What is asked for and not yet decided.
const ASKED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// One instruction in the machine's own (little-endian) form.
const fn instruction(code: u8, target: u8, source: u8, jump: i16, value: u32) -> u64 {
    code as u64 | ((source << 4 | target) as u64) << 8 | (jump as u16 as u64) << 16 | (value as u64) << 32
}

const fn answer(allow: bool) -> [u64; 2] {
    [instruction(MOVE_32, VERDICT, 0, 0, allow as u32), instruction(EXIT, 0, 0, 0, 0)]
}

/// `access_type` is the class in the lower and the access in the upper half.
const PROLOGUE: [u64; 6] = [
    instruction(LOAD_32, CLASS, CONTEXT, 0, 0),
    instruction(MOVE_REGISTER_32, ASKED, CLASS, 0, 0),
    instruction(AND_32, CLASS, 0, 0, 0xffff),
    instruction(SHIFT_RIGHT_32, ASKED, 0, 0, 16),
    instruction(LOAD_32, MAJOR, CONTEXT, 4, 0),
    instruction(LOAD_32, MINOR, CONTEXT, 8, 0),
];

/// A device program. It is written from its end: the last rule decides, so that it is asked first, and the
/// verifier has one path to follow and not one for each rule that may have matched before.
pub(super) struct Program {
    code: [u64; limits::DEVICE_CODE],
    start: usize,
}

impl Program {
    fn new(default: bool) -> Self {
        let mut program = Self { code: [0; limits::DEVICE_CODE], start: limits::DEVICE_CODE };
        let _ = program.prepend(&answer(default));
        program
    }

    /// What the kernel loads.
    pub(super) fn code(&self) -> &[u64] {
        self.code.get(self.start..).unwrap_or_default()
    }

    fn prepend(&mut self, part: &[u64]) -> Result<()> {
        let start = self.start.checked_sub(part.len());
        match start.and_then(|start| self.code.get_mut(start..self.start)) {
            Some(place) => place.copy_from_slice(part),
            None => {
                return Err(Error::refused("linux.resources.devices", "more rules than a program can hold"));
            }
        }
        self.start -= part.len();
        Ok(())
    }

    /// A block that ends with a verdict, or goes on to what comes behind it.
    fn prepend_rule(&mut self, rule: &Rule) -> Result<()> {
        let verdict = answer(rule.allow);
        if rule.access == ALL {
            self.prepend(&verdict)?;
        } else if rule.allow {
            // This much is allowed; a rule before it, or the default, decides about the rest.
            let undecided = instruction(JUMP_IF_NOT_EQUAL, ASKED, 0, 2, 0);
            self.prepend(&[
                instruction(AND_32, ASKED, 0, 0, !rule.access),
                undecided,
                verdict[0],
                verdict[1],
            ])?;
        } else {
            // One of them is enough to deny all that is asked for at once.
            let denied = instruction(JUMP_IF_ANY, ASKED, 0, 1, rule.access);
            self.prepend(&[denied, instruction(JUMP, 0, 0, 2, 0), verdict[0], verdict[1]])?;
        }
        // BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
        let class = rule.class.map(|class| if class == b'b' { 1 } else { 2 });
        let mut length = if rule.access == ALL { 2 } else { 4 };
        for (register, wanted) in [(MINOR, rule.minor), (MAJOR, rule.major), (CLASS, class)] {
            if let Some(wanted) = wanted {
                self.prepend(&[instruction(JUMP_IF_NOT_EQUAL, register, 0, length, wanted)])?;
                length += 1;
            }
        }
        Ok(())
    }
}

/// Whether the plan's rules, read in order, keep from anything.
pub(super) fn denies(plan: &Plan<'_>) -> Result<bool> {
    let mut denies = false;
    for rule in plan.each::<DeviceRule>() {
        let rule = rule?;
        denies = !rule.allow || denies && !Rule::new(&rule).is_total();
    }
    Ok(denies)
}

/// Whether mounts without devices keep to the rules, too: they are the container's own, and what nodes are made for it are only those that
/// every list of rules allows at its end (`plan::translate`): null, zero, full, random, urandom; tty.
pub(super) fn mounts_can_keep(plan: &Plan<'_>) -> Result<bool> {
    const MEMORY: u32 = 1 << 3 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9;
    for device in plan.each::<Device<'_>>() {
        let Device { file_type, major, minor, .. } = device?;
        let common = major == 1 && minor < u32::BITS && MEMORY >> minor & 1 == 1 || major == 5 && minor == 0;
        if !common || file_type != libc::S_IFCHR {
            return Ok(false);
        }
    }
    plan.makes(libc::CLONE_NEWNS)
}

/// The program for the plan's rules; none when all is allowed.
pub(super) fn assemble(plan: &Plan<'_>) -> Result<Option<Program>> {
    let mut program = Program::new(true);
    let mut open = true;
    for rule in plan.each::<DeviceRule>() {
        let rule = Rule::new(&rule?);
        if rule.is_total() {
            program.start = limits::DEVICE_CODE;
            program.prepend(&answer(rule.allow))?;
            open = rule.allow;
        } else {
            program.prepend_rule(&rule)?;
            open = false;
        }
    }
    program.prepend(&PROLOGUE)?;
    Ok(if open { None } else { Some(program) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsenter::attr::{Message, Writer};
    use std::vec::Vec;

    use crate::plan::Noun;

    fn rule(allow: bool, class: u8, major: Option<u32>, minor: Option<u32>, access: u32) -> DeviceRule {
        DeviceRule { allow, file_type: u32::from(class), major, minor, access }
    }

    fn message(rules: &[DeviceRule]) -> Vec<u8> {
        let mut buffer = std::vec![0; 64 * 1024];
        let mut writer = Writer::new(&mut buffer, 1);
        rules.iter().for_each(|rule| rule.emit(&mut writer));
        writer.finish().unwrap().to_vec()
    }

    fn with_plan<T>(rules: &[DeviceRule], f: impl FnOnce(&Plan<'_>) -> T) -> T {
        let bytes = message(rules);
        f(&Plan::new(Message::parse(&bytes).unwrap().0))
    }

    /// The machine, as far as our programs use it; panics on what the verifier would refuse.
    fn interpret(code: &[u64], class: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [class | access << 16, major, minor];
        let mut registers = [0u64; 6];
        let mut at = 0usize;
        loop {
            let word = code[at];
            at += 1;
            let (target, source) = ((word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
            let (jump, value) = ((word >> 16) as i16, (word >> 32) as u32);
            let taken = match word as u8 {
                LOAD_32 => {
                    assert_eq!(source, 1);
                    registers[target] = u64::from(context[jump as usize / 4]);
                    false
                }
                AND_32 => {
                    registers[target] = u64::from(registers[target] as u32 & value);
                    false
                }
                SHIFT_RIGHT_32 => {
                    registers[target] = u64::from(registers[target] as u32 >> value);
                    false
                }
                MOVE_32 => {
                    registers[target] = u64::from(value);
                    false
                }
                MOVE_REGISTER_32 => {
                    registers[target] = u64::from(registers[source] as u32);
                    false
                }
                JUMP => true,
                JUMP_IF_NOT_EQUAL => registers[target] != value as i32 as i64 as u64,
                JUMP_IF_ANY => registers[target] & u64::from(value) != 0,
                EXIT => return registers[0] != 0,
                other => panic!("instruction {other:#x}"),
            };
            if taken && word as u8 & 7 == 5 {
                assert!(jump > 0, "forwards only");
                at += jump as usize;
            }
        }
    }

    /// The meaning, word for word.
    fn expected(rules: &[DeviceRule], class: u8, access: u32, major: u32, minor: u32) -> bool {
        [READ, WRITE, MKNOD].iter().filter(|bit| access & **bit != 0).all(|bit| {
            let last = rules.iter().rev().find(|rule| {
                (rule.file_type == u32::from(b'a') || rule.file_type == u32::from(class))
                    && rule.major.is_none_or(|wanted| wanted == major)
                    && rule.minor.is_none_or(|wanted| wanted == minor)
                    && rule.access & bit != 0
            });
            last.is_none_or(|rule| rule.allow)
        })
    }

    fn agree(rules: &[DeviceRule]) {
        with_plan(rules, |plan| {
            let program = assemble(plan).unwrap();
            for (number, class) in [(1, b'b'), (2, b'c')] {
                for access in 1..=ALL {
                    for (major, minor) in (0..4).flat_map(|major| (0..4).map(move |minor| (major, minor))) {
                        let wanted = expected(rules, class, access, major, minor);
                        let found = match &program {
                            None => true,
                            Some(program) => interpret(program.code(), number, access, major, minor),
                        };
                        assert_eq!(found, wanted, "{rules:?} {number} {access} {major}:{minor}");
                    }
                }
            }
        });
    }

    #[test]
    fn each_access_is_decided_by_the_last_rule_that_names_it() {
        agree(&[]);
        agree(&[rule(false, b'a', None, None, ALL)]);
        agree(&[rule(false, b'a', None, None, ALL), rule(true, b'c', Some(1), Some(3), ALL)]);
        agree(&[
            rule(false, b'a', None, None, ALL),
            rule(true, b'c', Some(1), Some(3), READ),
            rule(true, b'c', Some(1), Some(3), WRITE),
            rule(false, b'c', None, Some(3), MKNOD),
        ]);
        agree(&[rule(false, b'c', Some(1), None, WRITE), rule(true, b'a', None, Some(2), READ | WRITE)]);
    }

    #[test]
    fn random_rules_mean_what_they_say() {
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let count = random(8);
            let rules: Vec<_> = (0..count)
                .map(|_| {
                    let number = |n: u64| u32::try_from(n).ok().filter(|n| *n < 4);
                    let class = [b'a', b'b', b'c'][random(3) as usize];
                    let (major, minor) = (number(random(6)), number(random(6)));
                    rule(random(2) == 0, class, major, minor, 1 + random(7) as u32)
                })
                .collect();
            agree(&rules);
        }
    }

    #[test]
    fn all_allowed_needs_no_program() {
        let rules = [rule(false, b'a', None, None, ALL), rule(true, b'a', None, None, ALL)];
        with_plan(&rules, |plan| assert!(assemble(plan).unwrap().is_none()));
        with_plan(&[], |plan| assert!(assemble(plan).unwrap().is_none()));
    }

    #[test]
    fn too_many_rules_are_refused_by_name() {
        let rules = std::vec![rule(true, b'c', Some(1), Some(3), READ); 800];
        with_plan(&rules, |plan| {
            let error = assemble(plan).err().unwrap();
            assert_eq!(error.op(), "linux.resources.devices");
        });
    }

    #[test]
    fn lines_are_as_the_kernel_reads_them() {
        let lines = |rule: DeviceRule| {
            Rule::new(&rule).lines().map(|line| std::string::String::from(line.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(lines(rule(false, b'a', None, None, ALL)), ["a"]);
        assert_eq!(lines(rule(true, b'c', Some(136), None, ALL)), ["c 136:* rwm"]);
        assert_eq!(lines(rule(true, b'b', None, None, MKNOD)), ["b *:* m"]);
        assert_eq!(lines(rule(false, b'a', Some(8), None, READ)), ["b 8:* r", "c 8:* r"]);
    }

    #[test]
    fn v1_refuses_what_the_kernel_would_silently_ignore() {
        let check = |rules: &[DeviceRule]| {
            with_plan(rules, |plan| {
                let mut exceptions = Exceptions::new();
                rules
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, rule)| exceptions.check(plan, at, &Rule::new(rule)))
            })
        };
        let deny_all = rule(false, b'a', None, None, ALL);
        let null = rule(true, b'c', Some(1), Some(3), ALL);
        assert!(check(&[deny_all, null, rule(false, b'c', Some(1), Some(3), WRITE)]).is_ok());
        assert!(check(&[deny_all, null, rule(false, b'c', Some(1), Some(5), ALL)]).is_ok());
        let error = check(&[deny_all, null, rule(false, b'c', Some(1), None, ALL)]).unwrap_err();
        assert_eq!(error.op(), "linux.resources.devices[2]");
        assert!(
            check(&[deny_all, rule(true, b'c', None, None, ALL), rule(false, b'c', Some(1), Some(3), READ)])
                .is_err()
        );
        assert!(
            check(&[rule(true, b'c', None, None, ALL), deny_all, rule(false, b'c', Some(1), Some(3), READ)])
                .is_ok()
        );
    }
}
