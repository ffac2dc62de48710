//! Time as the cache sees it: callers always pass it in, and the cache reads no clock.

use std::time::Duration;

/// The time at one moment, on three clocks, each with its own origin.
///
/// One clock is not enough. The monotonic clock stops while a machine is suspended or restored from a snapshot, and the
/// wall clock can be set. A value is old as soon as one of them says so.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// The clocks that a hit can read in a few nanoseconds.
    pub coarse: Coarse,
    /// Time since boot, including suspension (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    /// Time since the Unix epoch.
    pub wall: Duration,
}

/// The clocks that a hit reads, in nanoseconds. They can lag by a few milliseconds, but cost next to nothing to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Coarse {
    /// Monotonic time.
    pub monotonic: u64,
    /// Time since the Unix epoch.
    pub wall: u64,
}

/// A point in time to be stored: [`Now`] without the clocks that only hits read. In nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    boot: u64,
    wall: u64,
}

impl From<&Now> for Moment {
    fn from(now: &Now) -> Self {
        now.moment()
    }
}

/// A [`Duration`] to be stored, in half the space.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span(u64);

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(nanoseconds(span))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.0)
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Now {
    /// This moment in the form to be stored.
    pub fn moment(&self) -> Moment {
        Moment { boot: nanoseconds(self.boot), wall: nanoseconds(self.wall) }
    }

    /// Returns the time that has passed since an earlier moment, by the clock that shows the most.
    ///
    /// ```
    /// use std::time::Duration;
    /// use secretcache::host::Now;
    ///
    /// let start = Now { boot: Duration::from_secs(5), wall: Duration::from_secs(1_000), ..Now::default() };
    /// let restored = Now { boot: Duration::from_secs(6), wall: Duration::from_secs(9_000), ..Now::default() };
    /// assert_eq!(restored.since(&start), Duration::from_secs(8_000));
    /// ```
    pub fn since(&self, earlier: impl Into<Moment>) -> Duration {
        let (now, earlier) = (self.moment(), earlier.into());
        let boot = now.boot.saturating_sub(earlier.boot);
        let wall = now.wall.saturating_sub(earlier.wall);
        Duration::from_nanos(boot.max(wall))
    }

    /// This moment, later by `span` on every clock.
    #[must_use]
    pub fn plus(&self, span: Duration) -> Now {
        Now {
            coarse: self.coarse.plus(span),
            boot: self.boot.saturating_add(span),
            wall: self.wall.saturating_add(span),
        }
    }

    /// Returns the time until `later`, by the clock that gets there first; zero if one of them has reached it.
    pub fn until(&self, later: impl Into<Moment>) -> Duration {
        let (now, later) = (self.moment(), later.into());
        let boot = later.boot.saturating_sub(now.boot);
        let wall = later.wall.saturating_sub(now.wall);
        Duration::from_nanos(boot.min(wall))
    }
}

impl Coarse {
    /// This moment, later by `span`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Coarse {
        let span = nanoseconds(span);
        Coarse { monotonic: self.monotonic.saturating_add(span), wall: self.wall.saturating_add(span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_counts_as_nothing() {
        let start = Now { boot: Duration::from_secs(10), wall: Duration::from_secs(5_000), ..Now::default() };
        let later = Now { boot: Duration::from_secs(12), wall: Duration::from_secs(100), ..Now::default() };
        assert_eq!(later.since(&start), Duration::from_secs(2));
    }
}
