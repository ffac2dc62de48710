//! When to retry after a failure: pure arithmetic.

use std::time::Duration;

/// How long to wait after consecutive failures: `base · growth^n`, at most `max`.
///
/// ```
/// use std::time::Duration;
/// use secretcache::Backoff;
///
/// let backoff = Backoff::default();
/// assert_eq!(backoff.delay(0, None), Duration::from_secs(1));
/// assert_eq!(backoff.delay(3, None), Duration::from_secs(8));
/// assert_eq!(backoff.delay(4_000_000_000, None), Duration::from_secs(60));
/// assert_eq!(backoff.delay(20, Some(Duration::from_secs(5))), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub base: Duration,
    /// The factor from one failure to the next; values below 1 count as 1.
    pub growth: f64,
    /// The longest wait.
    pub max: Duration,
}

/// One second, doubling, at most a minute.
impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), growth: 2.0, max: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait after `failures + 1` consecutive failures, before jitter. It is never longer than `ttl`: a failure
    /// must not postpone a refresh that was due anyway.
    pub fn delay(&self, failures: u32, ttl: Option<Duration>) -> Duration {
        let cap = ttl.map_or(self.max, |ttl| self.max.min(ttl));
        let growth = if self.growth.is_nan() { 1.0 } else { self.growth.max(1.0) };
        // Past a few dozen steps every growth above 1 has reached any cap, or never will in a lifetime.
        let factor = growth.powi(i32::try_from(failures).unwrap_or(i32::MAX));
        let seconds = self.base.as_secs_f64() * factor;
        if seconds.is_nan() {
            return Duration::ZERO; // 0 · ∞: no base, no wait
        }
        if seconds >= cap.as_secs_f64() { cap } else { Duration::from_secs_f64(seconds) }
    }

    /// The wait with jitter: between half of [`Backoff::delay`] and all of it, by `draw` in [0, 1).
    pub(crate) fn jittered(&self, failures: u32, ttl: Option<Duration>, draw: f64) -> Duration {
        self.delay(failures, ttl).mul_f64(0.5 + 0.5 * draw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_beyond_its_bounds(
            base in 0u64..10_000, growth in prop::num::f64::ANY, max in 0u64..100_000,
            failures in any::<u32>(), ttl in prop::option::of(1u64..100_000), draw in 0.0..1.0f64,
        ) {
            let backoff = Backoff {
                base: Duration::from_millis(base), growth, max: Duration::from_millis(max),
            };
            let ttl = ttl.map(Duration::from_millis);
            let delay = backoff.delay(failures, ttl);
            prop_assert!(delay <= backoff.max);
            prop_assert!(ttl.is_none_or(|ttl| delay <= ttl));
            let jittered = backoff.jittered(failures, ttl, draw);
            prop_assert!(jittered <= delay && jittered >= delay.mul_f64(0.499_999));
        }

        #[test]
        fn grows_with_failures(failures in 0u32..2_000_000) {
            let backoff = Backoff::default();
            prop_assert!(backoff.delay(failures, None) <= backoff.delay(failures + 1, None));
        }
    }
}
