//! The five sets of capabilities (capabilities(7)).
//!
//! Three moments, because each change must be made while the right to make it is still there: the bounding set needs
//! CAP_SETPCAP and so goes first; the permitted set must survive setresuid(2); the rest is done as the new user.

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use crate::error::{Context, Result};
use crate::plan::process::Capabilities;

/// A process whose configuration names no capabilities has none, as with runc and crun.
pub const NONE: Capabilities =
    Capabilities { bounding: 0, effective: 0, inheritable: 0, permitted: 0, ambient: 0 };

/// Drops from the bounding set what is not wanted in it. CAP_SETPCAP is still in the effective set.
pub fn limit(wanted: &Capabilities) -> Result<()> {
    for number in (0..u64::BITS).filter(|number| wanted.bounding >> number & 1 == 0) {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // One past the last that this kernel knows.
            Err(Errno::INVAL) => break,
            // Without CAP_SETPCAP what is gone already is as good as dropped.
            Err(Errno::PERM) if thread::capability_is_in_bounding_set(one) == Ok(false) => {}
            Err(errno) => return Err(errno).context("PR_CAPBSET_DROP", number),
        }
    }
    Ok(())
}

/// Whether the permitted set survives the coming setresuid(2) away from root.
pub fn keep(keep: bool) -> Result<()> {
    thread::set_keep_capabilities(keep).context("prctl", "PR_SET_KEEPCAPS")
}

/// Makes all that is permitted effective. What was before.
pub fn raise() -> Result<CapabilitySets> {
    let sets = thread::capabilities(None).context("capget", "")?;
    hold(CapabilitySets { effective: sets.permitted, ..sets }).map(|()| sets)
}

/// Sets three of them.
#[inline(never)]
pub fn hold(sets: CapabilitySets) -> Result<()> {
    thread::set_capabilities(None, sets).context("capset", "")
}

/// Keeps of what is permitted only these.
pub fn shed(kept: CapabilitySet) -> Result<()> {
    let held = thread::capabilities(None).context("capget", "")?.permitted & kept;
    let sets = CapabilitySets { effective: held, permitted: held, inheritable: CapabilitySet::empty() };
    hold(sets)
}

/// Sets the other four. What cannot be granted is left out: an old kernel, or a caller who lacks it, is no reason to fail
/// (config.md, "capabilities"); [`ungrantable`] tells beforehand what that will be. Of `more` what is held stays permitted.
pub fn apply(wanted: &Capabilities, more: u64) -> Result<()> {
    let held = thread::capabilities(None).context("capget", "")?;
    // Only inheritable capabilities are bound to that set; mostly there are none.
    let bounding = if wanted.inheritable == 0 { 0 } else { bounding() };
    // What the configuration itself leaves out of it is no old kernel: that is capset(2)'s to refuse, as with runc.
    let granted = within(wanted, held.permitted.bits(), bounding | !wanted.bounding);
    let set = CapabilitySet::from_bits_retain;
    hold(CapabilitySets {
        effective: set(granted.effective),
        permitted: set(granted.permitted | more) & held.permitted,
        inheritable: set(granted.inheritable),
    })?;
    // Linux 4.3. It may hold what root's ambient set held before: an empty one comes first.
    match thread::clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(errno).context("prctl", "PR_CAP_AMBIENT_CLEAR_ALL"),
    }
    for one in set(granted.ambient).iter() {
        thread::configure_capability_in_ambient_set(one, true)
            .context("PR_CAP_AMBIENT_RAISE", number(one))?;
    }
    Ok(())
}

/// Those wanted that the caller cannot hand out, to be warned about. Not meaningful with a new user namespace: there
/// the first process holds all.
pub fn ungrantable(wanted: &Capabilities) -> Result<u64> {
    let held = thread::capabilities(None).context("capget", "")?.permitted.bits();
    Ok((wanted.bounding | wanted.permitted | wanted.effective | wanted.inheritable | wanted.ambient) & !held)
}

/// The wanted sets, each cut to what capset(2) and prctl(2) allow: effective within permitted, inheritable within the
/// bounding set, ambient within permitted and inheritable.
fn within(wanted: &Capabilities, held: u64, bounding: u64) -> Capabilities {
    let permitted = wanted.permitted & held;
    let inheritable = wanted.inheritable & held & bounding;
    Capabilities {
        bounding,
        effective: wanted.effective & permitted,
        inheritable,
        permitted,
        ambient: wanted.ambient & permitted & inheritable,
    }
}

/// The bounding set as it is now.
fn bounding() -> u64 {
    let held =
        |&number: &u32| thread::capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    (0..u64::BITS).filter(|number| held(number) == Ok(true)).fold(0, |all, number| all | 1 << number)
}

fn number(one: CapabilitySet) -> u32 {
    one.bits().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Capabilities = Capabilities {
        bounding: u64::MAX,
        effective: u64::MAX,
        inheritable: u64::MAX,
        permitted: u64::MAX,
        ambient: u64::MAX,
    };

    #[test]
    fn nothing_is_granted_beyond_what_is_held_and_bounding() {
        let granted = within(&ALL, 0b0111, 0b0011);
        assert_eq!((granted.permitted, granted.effective), (0b0111, 0b0111));
        assert_eq!((granted.inheritable, granted.ambient), (0b0011, 0b0011));
    }

    #[test]
    fn effective_is_within_permitted_and_ambient_within_both() {
        let wanted = Capabilities {
            permitted: 0b01,
            effective: 0b11,
            inheritable: 0b10,
            ambient: 0b11,
            bounding: 0b11,
        };
        let granted = within(&wanted, 0b11, 0b11);
        assert_eq!((granted.effective, granted.ambient), (0b01, 0));
    }
}
