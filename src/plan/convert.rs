//! Cgroup v1's numbers as cgroup v2 counts them. Pure, so that the formulas can be read and tested alone.
//!
//! `linux.resources` speaks v1; the kernel's Documentation/admin-guide/cgroup-v2.rst names v2's ranges.
//! Absent values have been sorted out by the translation: a `Some(0)` that Go callers write for "not
//! given" never comes here.

use core::fmt;

use crate::error::{Error, Result};

/// Kernel default of a CPU bandwidth period, in µs.
pub const CPU_PERIOD: u64 = 100_000;

/// `cpu.shares` (2 to 262144, default 1024) as `cpu.weight` (1 to 10000, default 100).
///
/// The quadratic in the logarithm, `10^((l² + 125·l - 126) / 612)` with `l = log2(shares)`, rounded up. It
/// meets both ends *and* the defaults: 1024 shares are weight 100. The straight line that runtimes used
/// before (`1 + (shares - 2) * 9999 / 262142`) made 39 of it, so that a container with default shares lost
/// against one without any. runc 1.3.2, crun 1.23 and Kubernetes 1.35 count so, and compare what they read.
pub fn cpu_weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = log2(shares);
    let wanted = log2(10) * (((log * log) >> FRACTION) + 125 * log - (126 << FRACTION));
    // Rounding up without floating point: the smallest weight whose logarithm reaches it.
    let (mut low, mut high) = (1, 10_000);
    while low < high {
        let middle = (low + high) / 2;
        if ((612 * log2(middle)) << FRACTION) + SLACK >= wanted { high = middle } else { low = middle + 1 }
    }
    low
}

/// Bits behind the point of [`log2`]: two weights are so close at 11372 shares that 24 would not tell them apart.
const FRACTION: u32 = 40;
/// What rounding in the logarithms may cost `wanted`, so that 1024 shares stay 100 and not 101.
const SLACK: u128 = 1 << (2 * FRACTION - 28);

/// Binary logarithm of `number` > 0 with [`FRACTION`] bits: squaring doubles a logarithm, a bit at a time.
fn log2(number: u64) -> u128 {
    let whole = 63 - (number | 1).leading_zeros();
    let mut log = u128::from(whole) << FRACTION;
    // Between 1 and 2, with 63 bits behind the point: its square fits.
    let mut rest = u128::from(number) << (63 - whole);
    for bit in (0..FRACTION).rev() {
        rest = (rest * rest) >> 63;
        if rest >> 64 != 0 {
            rest >>= 1;
            log |= 1 << bit;
        }
    }
    log
}

/// `blkio.weight` (10 to 1000) as `io.weight` (1 to 10000). `io.bfq.weight` takes 1 to 1000: the number as it is.
pub fn io_weight(weight: u32) -> u32 {
    1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
}

/// Memory and swap together (v1's `memsw`) as `memory.swap.max`; -1: no limit, none: leave it alone.
pub fn swap_max(limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>> {
    match (limit, swap) {
        // An unlimited v1 group would have unlimited swap, too.
        (Some(-1), None) => Ok(Some(-1)),
        (_, None) => Ok(None),
        (_, Some(-1)) => Ok(Some(-1)),
        (None | Some(-1), Some(_)) => Err(Error::refused(
            "linux.resources.memory.swap",
            "needs a memory limit: it counts memory and swap together",
        )),
        (Some(limit), Some(swap)) if swap < limit => Err(Error::refused(
            "linux.resources.memory.swap",
            "below linux.resources.memory.limit, which it includes",
        )),
        (Some(limit), Some(swap)) => Ok(Some(swap.saturating_sub(limit))),
    }
}

/// A v2 limit: -1 is `max`.
pub struct Limit(pub i64);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { f.write_str("max") } else { self.0.fmt(f) }
    }
}

/// What `cpu.max` takes: `quota period` in µs. Only to be written when one of them is given.
pub struct CpuMax {
    /// µs per period; none or -1: no limit.
    pub quota: Option<i64>,
    /// µs; none: [`CPU_PERIOD`].
    pub period: Option<u64>,
}

impl fmt::Display for CpuMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Limit(self.quota.unwrap_or(-1)), self.period.unwrap_or(CPU_PERIOD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn default_shares_are_the_default_weight_and_the_ends_meet() {
        assert_eq!([2, 1024, 262_144].map(cpu_weight), [1, 100, 10_000]);
        assert_eq!([0, 1, u64::MAX].map(cpu_weight), [1, 1, 10_000]);
    }

    #[test]
    fn every_share_has_the_weight_of_the_floating_point_formula() {
        for shares in 3..262_144u64 {
            let log = (shares as f64).log2();
            let exact = 10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0);
            // The formula itself rounds 100.00000000000001 up on some machines: whole numbers are whole here.
            let expected = (exact - 1e-9).ceil() as u64;
            assert_eq!(cpu_weight(shares), expected, "{shares} shares, {exact}");
        }
    }

    #[test]
    fn io_weights_fill_their_range() {
        assert_eq!([10, 500, 1000].map(io_weight), [1, 4950, 10_000]);
        assert_eq!([0, 5000].map(io_weight), [1, 10_000]);
    }

    #[test]
    fn swap_is_what_goes_beyond_memory() {
        assert_eq!(swap_max(Some(100), Some(150)), Ok(Some(50)));
        assert_eq!(swap_max(Some(100), Some(100)), Ok(Some(0)));
        assert_eq!(swap_max(Some(100), Some(-1)), Ok(Some(-1)));
        assert_eq!(swap_max(Some(100), None), Ok(None));
        assert_eq!(swap_max(Some(-1), None), Ok(Some(-1)));
        assert_eq!(swap_max(None, None), Ok(None));
    }

    #[test]
    fn swap_without_or_below_its_memory_is_refused() {
        for limit in [None, Some(-1), Some(200)] {
            assert!(
                swap_max(limit, Some(150))
                    .unwrap_err()
                    .to_string()
                    .starts_with("linux.resources.memory.swap: ")
            );
        }
    }

    #[test]
    fn cpu_max_names_quota_and_period() {
        assert_eq!(CpuMax { quota: Some(50_000), period: None }.to_string(), "50000 100000");
        assert_eq!(CpuMax { quota: Some(-1), period: Some(20_000) }.to_string(), "max 20000");
        assert_eq!(CpuMax { quota: None, period: Some(20_000) }.to_string(), "max 20000");
    }
}
