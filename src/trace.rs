//! The phases of a command, by name, in the runtime, the child and init.
//!
//! nsenter keeps the marks (`nsenter::trace`) and carries them over; here they get their meaning: a phase lasts from one mark of its
//! process to the next. Whoever owns a list of steps marks the end of each.

use core::iter::Peekable;

use nsenter::trace::{CHILD_PID, EXEC, INIT_PID, READY, between, marks};
pub use nsenter::trace::{begin, is_on, mark, send};

/// Numbers and names, one after the other from nsenter's on.
macro_rules! phases {
    ($($number:ident $name:literal)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($number),* }
        $(#[doc = concat!("Done: ", $name)] pub const $number: u8 = nsenter::trace::END + Number::$number as u8;)*
        const NAMES: &[&str] = &[$($name),*];
    };
}

phases! {
    // Init's. With `--debug` they are told as steps; runc's own tests look for the words of the first and of the last.
    PLAN "child process in init()"
    CGROUPS "in the cgroups"
    NAMED "session, keyring, host name"
    SESSION "in a session, with a keyring and a name"
    ROOT "root made private"
    LENT "mounts from outside"
    MOUNT "mounts"
    LATE "all mounts"
    DEVICES "devices"
    HOOKS "createContainer hooks and kernel parameters"
    PIVOT "in the root"
    PATHS "console, masked and read-only paths"
    PROCESS "user, rights and limits of the process"
    GATE ""
    LAST "init: closing the pipe to signal completion"
    // The runtime's.
    BEGIN ""
    CONFIG "config.json read"
    PARSED "config.json parsed"
    FILTER "seccomp filter compiled"
    TRANSLATED "plan made"
    STATE "state directory made"
    STORED "plan stored"
    SEALED "own executable ready"
    FOUND "cgroups found"
    SPAWNED "child cloned"
    LIMITED "cgroups made, limits set"
    MAPPED "id maps written"
    HANDED "plan handed over"
    REMEMBERED "state written"
    LOADED "container found"
    ASKED "init ready for hooks"
    CONNECTED "connected to the bridge"
    HOOKED "hooks, network devices"
    ENDED "process"
    UNGROUPED "cgroups removed"
    DISCONNECTED "link removed"
    FORGOTTEN "state removed"
}

/// Names of nsenter's own, from [`EXEC`] on.
const STAGES: [&str; 8] = [
    "own executable executed",
    "told what to do",
    "namespaces joined",
    "user namespace made and mapped",
    "namespaces made",
    "init cloned",
    "init ready",
    "program executed",
];

/// What ends at a mark of this number, in the words of `--debug`.
pub fn name(number: u8) -> &'static str {
    let own = STAGES.get(usize::from(number.wrapping_sub(EXEC)));
    let ours = NAMES.get(usize::from(number.wrapping_sub(nsenter::trace::END)));
    own.or(ours).copied().unwrap_or("")
}

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The command's own.
    Runtime,
    /// Stage 1.
    Child,
    /// Stage 2, and the container's process later.
    Init,
}

impl Who {
    fn of(number: u8) -> Self {
        match number {
            ..READY => Self::Child,
            PLAN..=LAST => Self::Init,
            _ => Self::Runtime,
        }
    }
}

/// Part of a process's time. In nanoseconds, counted from the command's first mark.
#[derive(Debug)]
pub struct Phase {
    /// Whose.
    pub who: Who,
    /// What is done at its end.
    pub name: &'static str,
    /// For one of many: which.
    pub nth: Option<u32>,
    /// When it began.
    pub start: u64,
    /// How long it took.
    pub duration: u64,
}

/// The pids of child and init, as far as they are known.
pub fn pids() -> [u64; 2] {
    let of = |number| marks().find(|mark| mark.0 == number).map_or(0, |mark| mark.1);
    let child = of(CHILD_PID);
    // They may be one.
    [child, Some(of(INIT_PID)).filter(|&pid| pid != 0).unwrap_or(child)]
}

/// Init's pid is this, where no other process tells it.
pub fn know(pid: i32) {
    nsenter::trace::note(INIT_PID, pid.unsigned_abs().into());
}

/// All phases, by their beginnings.
pub fn phases() -> impl Iterator<Item = Phase> {
    let mut both = [of(true).peekable(), of(false).peekable()];
    core::iter::from_fn(move || {
        let [runtime, stages] = &mut both;
        let start = |side: &mut Peekable<_>| side.peek().map_or(u64::MAX, |phase: &Phase| phase.start);
        if start(stages) < start(runtime) { stages.next() } else { runtime.next() }
    })
}

/// The phases of the runtime, or those of child and init, which follow each other.
fn of(runtime: bool) -> impl Iterator<Item = Phase> {
    let (mut origin, mut before, mut last, mut count) = (None, None, None, 0);
    marks().filter_map(move |(number, time)| {
        if matches!(number, CHILD_PID | INIT_PID) {
            return None;
        }
        let first = *origin.get_or_insert(time);
        let time = between(first, time);
        let who = Who::of(number);
        if (who == Who::Runtime) != runtime {
            // The child begins where the runtime begins to clone it.
            if number == SPAWNED {
                last = before;
            }
            before = Some(time);
            return None;
        }
        let start = last.replace(time).unwrap_or(time);
        let nth = (number == MOUNT).then_some(count);
        count += u32::from(number == MOUNT);
        let name = name(number);
        let phase = Phase { who, name, nth, start, duration: between(start, time) };
        (!name.is_empty()).then_some(phase)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_phase_has_a_name_of_its_own_and_needs_no_escape_in_json() {
        let all = (EXEC..=nsenter::trace::CLOSED).chain(PLAN..=FORGOTTEN).map(name);
        let named: std::vec::Vec<_> = all.filter(|name| !name.is_empty()).collect();
        assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len());
        assert!(named.iter().all(|name| !name.contains(['"', '\\']) && name.len() < 60));
        assert_eq!(name(0), "");
        assert_eq!(name(u8::MAX), "");
    }

    #[test]
    fn numbers_belong_to_the_process_that_sets_them() {
        assert!((EXEC..READY).all(|number| Who::of(number) == Who::Child));
        assert!((PLAN..=LAST).all(|number| Who::of(number) == Who::Init));
        assert!((BEGIN..=FORGOTTEN).all(|number| Who::of(number) == Who::Runtime));
        assert!([READY, nsenter::trace::CLOSED].iter().all(|&number| Who::of(number) == Who::Runtime));
    }

    #[test]
    fn times_are_right_across_the_end_of_what_a_mark_can_hold() {
        let last = u64::MAX >> 8;
        assert_eq!(between(last - 5, 4), 10);
    }
}
