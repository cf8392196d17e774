//! What a profile says, by call: for each number of each architecture the list of rules for it.

#![allow(unsafe_code)]

use super::emit::{Code, RANGES, Range};
use super::{
    ACTIONS, ALLOW, ARCHITECTURES, BY_NUMBER, ERRNO, LOG, NEW_LISTENER, NOTIFY, OPERATORS, TRACE, known,
    place, table,
};
use crate::error::Result;
use crate::oci::{self, seccomp};
use crate::wire::json::{Node, Text};

/// Rules, and looks at arguments. Each makes an instruction at least, of which a filter has 4096 at most (`BPF_MAXINSNS`); but the
/// same rule may be for calls that are then found to be alike.
pub(super) const MOST: usize = 8192;

/// Longest name of a call that may be known.
const NAME: usize = 32;

/// What an argument is compared by, in the order of [`OPERATORS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
    MaskedEqual,
    NotEqual,
}

const BY_NAME: [Operator; 7] = {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MaskedEqual, NotEqual};
    [Equal, GreaterOrEqual, Greater, LessOrEqual, Less, MaskedEqual, NotEqual]
};

/// A look at one argument.
#[derive(Clone, Copy)]
pub(super) struct Test {
    /// 0 to 5.
    pub argument: u32,
    operator: u32,
    pub value: u64,
    /// Which bits are compared.
    pub mask: u64,
}

impl Test {
    /// Whether the argument is this number.
    pub(super) fn equal(argument: u32, value: u64) -> Self {
        Self { argument, operator: Operator::Equal as u32, value, mask: u64::MAX }
    }

    pub(super) fn is_equal(&self) -> bool {
        self.operator() == Operator::Equal
    }

    pub(super) fn operator(&self) -> Operator {
        BY_NAME.get(self.operator as usize).copied().unwrap_or(Operator::Equal)
    }
}

/// What to do with a call if all of its tests hold.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// `SECCOMP_RET_*`.
    pub action: u32,
    first: u16,
    count: u16,
    /// The rule that was given before this one; 0: none.
    pub before: u16,
    /// Where a call is one of many that share a number: what the first argument must be instead of what the test says. 0: it is not.
    call: u16,
}

impl Rule {
    /// Whether it matches whatever the arguments are.
    pub(super) fn is_plain(&self) -> bool {
        self.count == 0 && self.call == 0
    }
}

/// The first places among the rules are no rules of the profile, but verdicts for what it does not name.
pub(super) const DEFAULT: u16 = 1;
pub(super) const NO_CALL: u16 = 2;
pub(super) const NO_ARCHITECTURE: u16 = 3;
const FIRST: u16 = 4;

/// A profile that has been read.
pub(super) struct Profile {
    /// The last rule of each call; 0: none.
    pub(super) calls: [[u16; table::PLACES]; 3],
    /// The highest number named by architecture; 0: none.
    pub(super) last: [u32; 3],
    /// Which architectures, one bit each.
    pub(super) architectures: u32,
    /// Where the last name was found.
    found: u16,
    rules: [Rule; MOST],
    rule_count: u16,
    tests: [Test; MOST],
    test_count: u16,
}

/// Where a profile is kept while it is compiled, and its code.
pub struct Work {
    pub(super) profile: Profile,
    pub(super) ranges: [Range; RANGES],
    pub(super) code: Code,
}

impl Work {
    /// Bytes of memory that it takes.
    pub const SIZE: usize = size_of::<Self>();

    /// In memory of zeros. `None`: it is not as large, or not aligned to eight bytes.
    pub fn place(memory: &mut [u8]) -> Option<&mut Self> {
        let place = memory.as_mut_ptr().cast::<Self>();
        if memory.len() < Self::SIZE || !place.is_aligned() {
            return None;
        }
        // SAFETY: large enough, aligned, borrowed as long as what is made of it; all of its fields are integers, which any bytes are.
        Some(unsafe { &mut *place })
    }
}

impl Profile {
    /// Reads it. If it has some agent told of calls, the flags that say so.
    pub(super) fn read(&mut self, profile: &oci::Seccomp<'_>) -> Result<u32> {
        let default = action(profile.default_action(), profile.default_errno_ret(), true)?;
        if default == NOTIFY {
            return Err(profile.default_action().refuse("SCMP_ACT_NOTIFY cannot be used as default action"));
        }
        // What runs on this machine for sure is in, said or not (Docker leaves ppc64le out).
        self.architectures = 1;
        for node in profile.architectures().list()? {
            let name = ARCHITECTURES.get(place(ARCHITECTURES, &node)?);
            let ours = table::ARCHS.iter().position(|arch| Some(&arch.name) == name);
            self.architectures |= ours.map_or(0, |at| 1 << at);
        }
        // A newer call than the profile's author knew does not exist, unless it is allowed: a program that gets EPERM would not try
        // the older one instead.
        let is_open = matches!(default & 0xffff_0000, ALLOW | LOG | TRACE);
        let enosys = if is_open { default } else { ERRNO | libc::ENOSYS as u32 };
        self.rule_count = FIRST;
        for (at, action) in [(DEFAULT, default), (NO_CALL, enosys), (NO_ARCHITECTURE, super::KILL_THREAD)] {
            if let Some(rule) = self.rules.get_mut(usize::from(at)) {
                *rule = Rule { action, first: 0, count: 0, before: 0, call: 0 };
            }
        }
        let mut flags = 0;
        for node in profile.syscalls().list()? {
            flags |= self.entry(&node, default)?;
        }
        Ok(flags)
    }

    /// One entry of `syscalls`, and what it adds to the flags.
    fn entry(&mut self, node: &Node<'_>, default: u32) -> Result<u32> {
        let mut entry = seccomp::Rule::of(node);
        entry.locate()?;
        let action = action(entry.action(), entry.errno_ret(), false)?;
        let first = self.test_count;
        let mut seen = 0_u32;
        let mut repeated = false;
        for node in entry.args().list()? {
            let test = test(&node)?;
            repeated |= seen & 1 << test.argument != 0;
            seen |= 1 << test.argument;
            let place = self.tests.get_mut(usize::from(self.test_count)).ok_or_else(|| too_many(&node))?;
            *place = test;
            self.test_count += 1;
        }
        let count = self.test_count - first;
        let rule = Rule { action, first, count, before: 0, call: 0 };
        let mut flags = 0;
        for node in entry.names().list()? {
            let text = node.read::<Text<'_>>()?;
            if action == NOTIFY {
                flags |= NEW_LISTENER;
                if text == "sendmsg" {
                    flags |= BY_NUMBER;
                }
                if text == "write" {
                    // Init has to tell of the descriptor before there is somebody to answer. runc's words.
                    return Err(node.refuse("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
                }
            }
            let mut buffer = [0; NAME];
            let name = text.decode(&mut buffer).ok();
            let Some(numbers) = name.and_then(|name| table::find(name, &mut self.found)) else { continue };
            for (arch, place) in table::places(numbers).into_iter().enumerate() {
                if let Some(place) = place {
                    self.name(arch, place);
                    // As if it were not there, with runc: no other rule yields to it.
                    if action != default {
                        self.add(arch, place, rule, repeated).ok_or_else(|| too_many(&node))?;
                    }
                }
            }
            if let Some((arch, place, call)) = table::multiplexed(numbers).filter(|_| action != default) {
                self.add(arch, place, Rule { call, ..rule }, repeated).ok_or_else(|| too_many(&node))?;
            }
        }
        Ok(flags)
    }

    /// Remembers the highest number.
    fn name(&mut self, arch: usize, place: u16) {
        if let (Some(arch), Some(last)) = (table::ARCHS.get(arch), self.last.get_mut(arch)) {
            *last = (*last).max(arch.number(place));
        }
    }

    fn add(&mut self, arch: usize, place: u16, rule: Rule, repeated: bool) -> Option<()> {
        if !repeated {
            return self.add_one(arch, place, rule);
        }
        // Two looks at one argument in the same rule: each is a rule of its own, as runc has it since before an AND was possible.
        for first in rule.first..rule.first + rule.count {
            self.add_one(arch, place, Rule { first, count: 1, ..rule })?;
        }
        Some(())
    }

    fn add_one(&mut self, arch: usize, place: u16, mut rule: Rule) -> Option<()> {
        if self.architectures & 1 << arch == 0 {
            return Some(());
        }
        let before = *self.calls.get(arch)?.get(usize::from(place))?;
        // Nothing beats a rule without tests, and it beats all others.
        if before != 0 && self.rule(before).is_plain() {
            return Some(());
        }
        rule.before = if rule.is_plain() { 0 } else { before };
        let last = self.rule_count.checked_sub(1)?;
        // All names of an entry share the rule, if none of them has rules before it.
        let new = if rule.before == 0 && self.is_same(last, &rule) { last } else { self.rule_count };
        *self.rules.get_mut(usize::from(new))? = rule;
        self.rule_count = new + 1;
        *self.calls.get_mut(arch)?.get_mut(usize::from(place))? = new;
        Some(())
    }

    fn is_same(&self, at: u16, other: &Rule) -> bool {
        let &Rule { action, first, count, before, call } = self.rule(at);
        at >= FIRST
            && (action, count, before, call) == (other.action, other.count, other.before, other.call)
            && (count == 0 || first == other.first)
    }

    /// The rule at a place; a plain one that kills where there is none.
    pub(super) fn rule(&self, at: u16) -> &Rule {
        static NONE: Rule = Rule { action: super::KILL_THREAD, first: 0, count: 0, before: 0, call: 0 };
        self.rules.get(usize::from(at)).unwrap_or(&NONE)
    }

    /// What must hold for a rule.
    pub(super) fn tests(&self, rule: &Rule) -> impl DoubleEndedIterator<Item = Test> + use<'_> {
        let call = rule.call;
        let first = if call == 0 { None } else { Some(Test::equal(0, call.into())) };
        let end = usize::from(rule.first) + usize::from(rule.count);
        let tests = self.tests.get(usize::from(rule.first)..end).unwrap_or(&[]);
        // A multiplexed call's own arguments are in memory, out of a filter's reach; libseccomp looks at the multiplexer's instead.
        first.into_iter().chain(tests.iter().copied().filter(move |test| call == 0 || test.argument != 0))
    }
}

#[cold]
fn too_many(node: &Node<'_>) -> crate::error::Error {
    node.refuse("more rules than a filter can hold")
}

/// An action with the number that goes with it.
fn action(node: &Node<'_>, errno: &Node<'_>, is_default: bool) -> Result<u32> {
    let action = known(ACTIONS, node)?;
    let takes_errno = matches!(action, ERRNO | TRACE);
    match errno.read::<Option<u32>>()? {
        // config-linux.md: MUST fail. Podman gives a default with any action.
        Some(_) if !takes_errno && !is_default => Err(errno.refuse("not for this action")),
        Some(errno_ret) if takes_errno && errno_ret > 0xffff => {
            Err(errno.refuse("expected a number below 65536"))
        }
        Some(errno_ret) if takes_errno => Ok(action | errno_ret),
        None if takes_errno => Ok(action | libc::EPERM as u32),
        _ => Ok(action),
    }
}

fn test(node: &Node<'_>) -> Result<Test> {
    let mut view = seccomp::Argument::of(node);
    view.locate()?;
    let argument = view.index().read()?;
    if argument > 5 {
        return Err(view.index().refuse("expected a number from 0 to 5"));
    }
    let operator = place(OPERATORS, view.op())? as u32;
    let value = view.value().read()?;
    let second = view.value_two().read::<Option<u64>>()?.unwrap_or(0);
    let test = Test { argument, operator, value, mask: u64::MAX };
    // Here the mask comes first. Bits outside of it are not compared, as with libseccomp.
    let is_masked = test.operator() == Operator::MaskedEqual;
    Ok(if is_masked { Test { value: second & value, mask: value, ..test } } else { test })
}
