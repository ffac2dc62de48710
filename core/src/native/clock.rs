//! The one place that reads clocks.
#![expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use crate::time::{Coarse, Now};

/// The machine's clocks.
///
/// ```
/// use secretcache::host::SystemClock;
///
/// let earlier = SystemClock::now();
/// assert!(SystemClock::now().since(&earlier) < std::time::Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Returns the time that a hit compares with, in about five nanoseconds on Linux.
    #[inline]
    pub fn coarse() -> Coarse {
        thread_local!(static LAST: Cell<Coarse> = const { Cell::new(Coarse { monotonic: 0, wall: 0 }) });
        let monotonic = platform::coarse_monotonic();
        let last = LAST.get();
        if last.monotonic == monotonic {
            // Both clocks move with the same tick: the other one has not moved either. (If it was set since, that
            // is noticed a tick later.)
            return last;
        }
        let now = Coarse { monotonic, wall: platform::coarse_wall() };
        LAST.set(now);
        now
    }

    /// The time on every clock.
    pub fn now() -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { coarse: Self::coarse(), boot: platform::boot(), wall }
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::time::Duration;

    #[inline]
    pub(super) fn coarse_monotonic() -> u64 {
        nanoseconds(read(libc::CLOCK_MONOTONIC_COARSE))
    }

    #[inline]
    pub(super) fn coarse_wall() -> u64 {
        nanoseconds(read(libc::CLOCK_REALTIME_COARSE))
    }

    pub(super) fn boot() -> Duration {
        Duration::from_nanos(nanoseconds(read(libc::CLOCK_BOOTTIME)))
    }

    #[inline]
    fn read(clock: libc::clockid_t) -> libc::timespec {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place to write to, and initialized even if the call fails. It cannot fail for the
        // clocks named above, which every kernel since 2.6.39 has.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time
    }

    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "neither before 1970 nor past 2554")]
    fn nanoseconds(time: libc::timespec) -> u64 {
        (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant, SystemTime};

    pub(super) fn coarse_monotonic() -> u64 {
        u64::try_from(boot().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn coarse_wall() -> u64 {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)
    }

    /// If the monotonic clock stops during sleep, the wall clock still shows it.
    pub(super) fn boot() -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        // Counted from one second, so that the first moment is not mistaken for a deadline that has passed.
        START.get_or_init(Instant::now).elapsed() + Duration::from_secs(1)
    }
}
