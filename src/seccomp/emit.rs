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
    /// How soon it is to be found.
    weight: u16,
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

/// `__X32_SYSCALL_BIT` (asm/unistd.h).
const X32: u32 = 0x4000_0000;
/// `__AUDIT_ARCH_64BIT` (linux/audit.h).
const WIDE: u32 = 0x8000_0000;

/// How far a jump goes at most, with room for what may yet come between.
const NEAR: usize = 250;

/// An instruction, by its place. What is there stays there.
type Label = usize;

/// Words of `struct seccomp_data` by their offset, and what is in them.
type Facts = heapless::Vec<(u32, u32), 14>;

/// How much of the code is looked through for a shorter way.
const LOOKS: u32 = 64;

/// The code in the making; `None` from any of its steps: it is full.
struct Emitter<'w> {
    profile: &'w Profile,
    code: &'w mut Code,
    start: Label,
    /// Where verdicts were written last.
    verdicts: heapless::Vec<(u32, Label), 8>,
    /// Calls of 64 bits.
    wide: bool,
    /// What is known where the code in the making runs.
    known: Facts,
}

/// The whole filter. `None`: more than [`MOST`] instructions.
pub(super) fn program(work: &mut Work) -> Option<&[u8]> {
    let Work { profile, ranges, code } = work;
    let mut emitter = Emitter {
        profile,
        code,
        start: MOST,
        verdicts: heapless::Vec::new(),
        wide: true,
        known: Facts::new(),
    };
    emitter.verdict(emitter.profile.rule(DEFAULT).action)?;
    let mut other = emitter.verdict(emitter.profile.rule(NO_ARCHITECTURE).action)?;
    // The native one, which is the first in the list, comes last: right behind the question.
    for (index, arch) in ARCHS.iter().enumerate().rev() {
        // Those with the same audit number are in the same search.
        let is_asked_for = arch.base == 0 && profile.architectures & 1 << index != 0;
        if is_asked_for {
            let used = find_ranges(profile, arch.audit, ranges);
            emitter.wide = arch.audit & WIDE != 0;
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
            *place = Range { start, rule, weight: 0 };
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
    weigh(profile, ranges.get_mut(..used).unwrap_or(&mut []));
    used
}

/// By how many calls there are in it, and by what it takes to find a single one.
fn weigh(profile: &Profile, ranges: &mut [Range]) {
    let mut next = u32::MAX;
    for range in ranges.iter_mut().rev() {
        let calls = match range.rule {
            NO_CALL | NO_ARCHITECTURE => 0,
            _ => (next - range.start).min(PLACES as u32),
        };
        // With looks at arguments yet to come, the way there is to be short.
        let own = if profile.rule(range.rule).is_plain() { 10 } else { 80 };
        // Hardly anybody has programs for x32, which share the search with those for x86_64.
        let share = if range.start < X32 { 2 } else { 1 };
        range.weight = (calls + own) as u16 * share;
        next = range.start;
    }
}

/// Where both sides weigh the same, or nearly.
fn middle(ranges: &[Range]) -> usize {
    let whole: u32 = ranges.iter().map(|range| u32::from(range.weight)).sum();
    let (mut best, mut least, mut low) = (1, u32::MAX, 0);
    for (at, range) in ranges.iter().enumerate() {
        let off = whole.abs_diff(2 * low);
        if at > 0 && off < least {
            (best, least) = (at, off);
        }
        low += u32::from(range.weight);
    }
    best
}

/// Whether two rules do the same.
fn is_same(profile: &Profile, one: u16, other: u16) -> bool {
    let (a, b) = (profile.rule(one), profile.rule(other));
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

    /// Finds the number's range, those that many calls are in sooner than others.
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
                let (low, high) = ranges.split_at_checked(middle(ranges))?;
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
            let mut tests = self.profile.tests(rule);
            next = match (tests.next_back(), tests.next_back()) {
                (Some(test), None) if test.is_equal() => self.one_of(&test, rule.action, next, &mut row)?,
                _ => self.all_of(rule, next)?,
            };
            at = rule.before;
        }
        Some(next)
    }

    /// A rule of which each test must hold.
    fn all_of(&mut self, rule: &super::rules::Rule, no: Label) -> Option<Label> {
        let profile = self.profile;
        let mut yes = self.verdict(rule.action)?;
        let mut before = profile.tests(rule).count();
        for test in profile.tests(rule).rev() {
            before -= 1;
            // Here the tests before this one hold.
            self.known.clear();
            for test in profile.tests(rule).take(before).filter(|it| it.is_equal()) {
                for (offset, value) in halves(test.argument).into_iter().zip([test.value, test.value >> 32]) {
                    let _ = self.known.push((offset, value as u32));
                }
            }
            yes = self.test(&test, yes, no)?;
        }
        self.known.clear();
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
        let high = (test.value >> 32) as u32;
        // Whoever looks at the lower half knows the upper one.
        let _ = self.known.push((upper, high));
        let low = self.compare(code, lower, test.value as u32, test.mask as u32, yes, no)?;
        let _ = self.known.pop();
        if !self.wide {
            // As the kernel: int 0x80 leaves in the registers what a program for x86_64 has put above their 32 bits.
            return Some(low);
        }
        if code == JUMP_IF_EQUAL {
            return self.compare(code, upper, high, (test.mask >> 32) as u32, low, no);
        }
        let same = self.jump_if(JUMP_IF_EQUAL, high, low, no)?;
        self.compare(JUMP_IF_GREATER, upper, high, u32::MAX, yes, same)
    }

    /// Where `label` leads, or its verdict, if that is the same whatever is not known there: `last`, and whether it is so.
    fn shortened(&mut self, label: Label, last: (u32, u32), is_so: bool) -> Option<Label> {
        match self.outcome(label, None, &last, is_so, &mut { LOOKS }) {
            Some(action) => self.verdict(action),
            None => Some(label),
        }
    }

    /// The one verdict that the code from `at` on can come to. `word`: what is in A, if that is known.
    fn outcome(
        &self,
        at: Label,
        word: Option<u32>,
        last: &(u32, u32),
        is_so: bool,
        looks: &mut u32,
    ) -> Option<u32> {
        *looks = looks.checked_sub(1)?;
        let [code, _, yes, no, a, b, c, d] = *self.code.get(at)?;
        let value = u32::from_ne_bytes([a, b, c, d]);
        let mut go = |distance: u32, word| self.outcome(at + 1 + distance as usize, word, last, is_so, looks);
        match code {
            RETURN => Some(value),
            JUMP => go(value, word),
            LOAD => go(0, Some(value)),
            AND => go(0, None),
            _ => {
                let equals = |(offset, known): &(u32, u32)| {
                    (code == JUMP_IF_EQUAL && word == Some(*offset)).then_some(*known == value)
                };
                let answer = match equals(last) {
                    Some(same) if is_so || same => Some(same == is_so),
                    _ => self.known.iter().find_map(equals),
                };
                match answer {
                    Some(true) => go(yes.into(), word),
                    Some(false) => go(no.into(), word),
                    None => go(yes.into(), word).filter(|one| go(no.into(), word) == Some(*one)),
                }
            }
        }
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
        let (mut yes, mut no) = (yes, no);
        if code == JUMP_IF_EQUAL && mask == u32::MAX {
            yes = self.shortened(yes, (offset, value), true)?;
            no = self.shortened(no, (offset, value), false)?;
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
        let mut entry = self.load(lower)?;
        if self.wide {
            self.jump_if(JUMP_IF_EQUAL, high, entry, otherwise)?;
            entry = self.load(upper)?;
        }
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
