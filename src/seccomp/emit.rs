//! From rules to code, which is written from its end: a jump only goes forwards, so that where it leads is there already.
//!
//! A conditional jump reaches 255 instructions. What is farther is repeated nearby if it is a verdict, or gone to by an unconditional
//! jump, which has 32 bits for the distance.

use super::rules::{DEFAULT, NO_ARCHITECTURE, NO_CALL, Operator, Profile, Test, Work};
use super::table::{ARCHS, PLACES};

/// Instructions in a filter (`BPF_MAXINSNS`).
pub(super) const MOST: usize = 4096;

/// Memory for code: `struct sock_filter` each (linux/filter.h).
pub(super) type Code = [[u8; 8]; MOST];

/// Numbers from `start` to the next range's, with one rule for all of them.
#[derive(Clone, Copy)]
pub(super) struct Range {
    start: u32,
    rule: u16,
}

/// As many as there can be: each place may differ from its neighbour.
pub(super) const RANGES: usize = 3 * PLACES;

// Instructions (linux/bpf_common.h). The register is A; numbers are 32 bits wide.
const LOAD: u8 = 0x20;
const AND: u8 = 0x54;
const RETURN: u8 = 0x06;
const JUMP: u8 = 0x05;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_GREATER: u8 = 0x25;
const JUMP_IF_NOT_LESS: u8 = 0x35;

// `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// How far a jump goes at most, with room for what may yet come between.
const NEAR: usize = 250;

/// An instruction, by its place. What is there stays there.
type Label = usize;

/// The code in the making; `None` from any of its steps: it is full.
struct Emitter<'w> {
    profile: &'w Profile,
    code: &'w mut Code,
    start: Label,
    /// Where verdicts were written last.
    verdicts: heapless::Vec<(u32, Label), 8>,
}

/// The whole filter. `None`: more than [`MOST`] instructions.
pub(super) fn program(work: &mut Work) -> Option<&[u8]> {
    let Work { profile, ranges, code } = work;
    let mut emitter = Emitter { profile, code, start: MOST, verdicts: heapless::Vec::new() };
    emitter.verdict(emitter.profile.rule(DEFAULT).action)?;
    let mut other = emitter.verdict(emitter.profile.rule(NO_ARCHITECTURE).action)?;
    // The native one, which is the first in the list, comes last: right behind the question.
    for (index, arch) in ARCHS.iter().enumerate().rev() {
        // Those with the same audit number are in the same search.
        let is_asked_for = arch.base == 0 && profile.architectures & 1 << index != 0;
        if is_asked_for {
            let used = find_ranges(profile, arch.audit, ranges);
            let found = emitter.search(ranges.get(..used)?)?;
            // One verdict for all may be one that is there already, and needs no number.
            let here = if found == emitter.start { emitter.load(NUMBER)? } else { found };
            other = emitter.jump_if(JUMP_IF_EQUAL, arch.audit, here, other)?;
        }
    }
    emitter.load(ARCHITECTURE)?;
    let start = emitter.start;
    Some(code.get(start..)?.as_flattened())
}

/// The ranges of all numbers that calls with this audit number can have, and how many ranges that makes.
fn find_ranges(profile: &Profile, audit: u32, ranges: &mut [Range; RANGES]) -> usize {
    let mut used = 0_usize;
    let mut begin = |start: u32, rule: u16| {
        let last = used.checked_sub(1).and_then(|last| ranges.get(last));
        if !last.is_some_and(|last| is_same(profile, last.rule, rule))
            && let Some(place) = ranges.get_mut(used)
        {
            *place = Range { start, rule };
            used += 1;
        }
    };
    for (index, arch) in ARCHS.iter().enumerate().filter(|(_, arch)| arch.audit == audit) {
        if profile.architectures & 1 << index == 0 {
            begin(arch.base, NO_ARCHITECTURE);
            // A tracer skips a call by this number.
            begin(u32::MAX, DEFAULT);
            continue;
        }
        let calls = profile.calls.get(index).map_or(&[][..], |calls| calls);
        let last = profile.last.get(index).copied().unwrap_or(0);
        let mut next = arch.base;
        for (place, &rule) in calls.iter().enumerate() {
            let number = arch.number(place as u16);
            if rule != 0 {
                // What the profile does not name between those that it does.
                if number > next {
                    begin(next, DEFAULT);
                }
                begin(number, rule);
                next = number + 1;
            }
        }
        // Named, but with the default's action.
        if last >= next {
            begin(next, DEFAULT);
            next = last + 1;
        }
        begin(next, if last == 0 { DEFAULT } else { NO_CALL });
    }
    used
}

/// Whether two rules do the same.
fn is_same(profile: &Profile, one: u16, other: u16) -> bool {
    let [a, b] = [one, other].map(|at| profile.rule(at));
    one == other || (a.is_plain() && b.is_plain() && a.action == b.action)
}

impl Emitter<'_> {
    fn push(&mut self, code: u8, to: [u8; 2], value: u32) -> Option<Label> {
        self.start = self.start.checked_sub(1)?;
        let [a, b, c, d] = value.to_ne_bytes();
        let [yes, no] = to;
        *self.code.get_mut(self.start)? = [code, 0, yes, no, a, b, c, d];
        Some(self.start)
    }

    fn load(&mut self, offset: u32) -> Option<Label> {
        self.push(LOAD, [0; 2], offset)
    }

    /// A verdict, perhaps one that was there.
    fn verdict(&mut self, action: u32) -> Option<Label> {
        let at = self.verdicts.iter().position(|(known, _)| *known == action);
        let known = at.and_then(|at| self.verdicts.get(at)).map(|&(_, label)| label);
        if let Some(label) = known.filter(|label| label - self.start <= NEAR) {
            return Some(label);
        }
        let label = self.push(RETURN, [0; 2], action)?;
        match at.and_then(|at| self.verdicts.get_mut(at)) {
            Some(known) => known.1 = label,
            None => _ = self.verdicts.push((action, label)),
        }
        Some(label)
    }

    /// The same place, or one nearby that leads there.
    fn near(&mut self, label: Label) -> Option<Label> {
        let distance = label.checked_sub(self.start)?;
        match *self.code.get(label)? {
            _ if distance <= NEAR => Some(label),
            [RETURN, .., a, b, c, d] => self.push(RETURN, [0; 2], u32::from_ne_bytes([a, b, c, d])),
            _ => self.push(JUMP, [0; 2], distance as u32),
        }
    }

    /// Where A compares so with `value`, on to `yes`, else to `no`.
    fn jump_if(&mut self, code: u8, value: u32, yes: Label, no: Label) -> Option<Label> {
        let (yes, no) = (self.near(yes)?, self.near(no)?);
        let start = self.start;
        self.push(code, [yes, no].map(|label| (label - start) as u8), value)
    }

    /// Finds the number's range by halves.
    fn search(&mut self, ranges: &[Range]) -> Option<Label> {
        match ranges {
            [] => None,
            [one] => self.leaf(one.rule),
            // One number among others of one verdict is found in one step.
            [around, one, after]
                if after.start - one.start == 1 && is_same(self.profile, around.rule, after.rule) =>
            {
                let no = self.leaf(around.rule)?;
                let yes = self.leaf(one.rule)?;
                self.jump_if(JUMP_IF_EQUAL, one.start, yes, no)
            }
            _ => {
                let (low, high) = ranges.split_at_checked(ranges.len() / 2)?;
                let at = high.first()?.start;
                let high = self.search(high)?;
                let low = self.search(low)?;
                self.jump_if(JUMP_IF_NOT_LESS, at, high, low)
            }
        }
    }

    /// What is done with a call of which these are the rules.
    fn leaf(&mut self, last: u16) -> Option<Label> {
        let rule = self.profile.rule(last);
        if rule.is_plain() {
            return self.verdict(rule.action);
        }
        let mut next = self.verdict(self.profile.rule(DEFAULT).action)?;
        let mut row = None;
        let mut at = last;
        while at != 0 {
            let rule = self.profile.rule(at);
            let mut tests = self.profile.tests(&rule);
            next = match (tests.next_back(), tests.next_back()) {
                (Some(test), None) if test.operator() == Operator::Equal => {
                    self.one_of(&test, rule.action, next, &mut row)?
                }
                _ => self.all_of(&rule, next)?,
            };
            at = rule.before;
        }
        Some(next)
    }

    /// A rule of which each test must hold.
    fn all_of(&mut self, rule: &super::rules::Rule, no: Label) -> Option<Label> {
        let profile = self.profile;
        let mut yes = self.verdict(rule.action)?;
        for test in profile.tests(rule).rev() {
            yes = self.test(&test, yes, no)?;
        }
        Some(yes)
    }

    /// Both halves of an argument, the upper one first.
    fn test(&mut self, test: &Test, yes: Label, no: Label) -> Option<Label> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MaskedEqual, NotEqual};
        let (code, yes, no) = match test.operator() {
            Equal | MaskedEqual => (JUMP_IF_EQUAL, yes, no),
            NotEqual => (JUMP_IF_EQUAL, no, yes),
            Greater => (JUMP_IF_GREATER, yes, no),
            LessOrEqual => (JUMP_IF_GREATER, no, yes),
            GreaterOrEqual => (JUMP_IF_NOT_LESS, yes, no),
            Less => (JUMP_IF_NOT_LESS, no, yes),
        };
        let [lower, upper] = halves(test.argument);
        let low = self.compare(code, lower, test.value as u32, test.mask as u32, yes, no)?;
        let high = (test.value >> 32) as u32;
        if code == JUMP_IF_EQUAL {
            return self.compare(code, upper, high, (test.mask >> 32) as u32, low, no);
        }
        let same = self.jump_if(JUMP_IF_EQUAL, high, low, no)?;
        self.compare(JUMP_IF_GREATER, upper, high, u32::MAX, yes, same)
    }

    fn compare(
        &mut self,
        code: u8,
        offset: u32,
        value: u32,
        mask: u32,
        yes: Label,
        no: Label,
    ) -> Option<Label> {
        if mask == 0 {
            return Some(yes);
        }
        self.jump_if(code, value, yes, no)?;
        if mask != u32::MAX {
            self.push(AND, [0; 2], mask)?;
        }
        self.load(offset)
    }

    /// A rule that wants one number. Rules in a row that want others of the same upper half look at that once.
    fn one_of(&mut self, test: &Test, action: u32, no: Label, row: &mut Option<Row>) -> Option<Label> {
        let high = (test.value >> 32) as u32;
        let [lower, upper] = halves(test.argument);
        let (mut next, mut otherwise) = (no, no);
        if let Some(row) = row.as_ref().filter(|row| row.is(test.argument, high, no)) {
            // What asks for the upper half is written anew.
            (self.start, next, otherwise) = (row.first, row.first, row.otherwise);
        }
        let yes = self.verdict(action)?;
        let first = self.jump_if(JUMP_IF_EQUAL, test.value as u32, yes, next)?;
        let low = self.load(lower)?;
        self.jump_if(JUMP_IF_EQUAL, high, low, otherwise)?;
        let entry = self.load(upper)?;
        *row = Some(Row { argument: test.argument, high, first, otherwise, entry });
        Some(entry)
    }
}

/// Rules in a row that want a number of one upper half each.
struct Row {
    argument: u32,
    high: u32,
    /// The first comparison of the lower half.
    first: Label,
    /// Where the upper half is another.
    otherwise: Label,
    entry: Label,
}

impl Row {
    /// Whether a rule for such a number before the code at `entry` belongs to it.
    fn is(&self, argument: u32, high: u32, entry: Label) -> bool {
        (self.argument, self.high, self.entry) == (argument, high, entry)
    }
}

/// Where the halves of an argument are, the lower one first: both architectures are little-endian.
fn halves(argument: u32) -> [u32; 2] {
    let lower = ARGUMENTS + 8 * argument;
    [lower, lower + 4]
}
