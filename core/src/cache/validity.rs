//! The time until which a version can be served without a lookup. It is all that a hit reads.

use std::time::Duration;

use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::time::Coarse;

/// The hit path's half of a cached version.
///
/// Every reason for a lookup (due for refresh, replaced, evicted, invalidated, cache closed) works the same way: the
/// deadline moves into the past. A hit therefore needs no lock: it compares two numbers and sets a bit if it is clear.
/// All orderings are relaxed; a reader that sees a deadline a moment late serves what was right a moment ago.
#[derive(Default)]
pub(crate) struct Validity {
    until_monotonic: AtomicU64,
    until_wall: AtomicU64,
    /// The number of the cache that serves the version.
    owner: AtomicU32,
    marks: AtomicU8,
}

/// Read since its last background refresh.
const USED: u8 = 1;
/// Read since the eviction hand last passed it.
const VISITED: u8 = 2;
/// The marks that a read sets.
const READ: u8 = USED | VISITED;
/// Expired, and served as the last known value.
const STALE: u8 = 4;

impl Validity {
    /// Returns whether the version is fresh or stale if it can be served now, and marks it as read.
    #[inline]
    pub(crate) fn read(&self, now: Coarse) -> Option<Freshness> {
        if now.monotonic >= self.until_monotonic.load(Relaxed) || now.wall >= self.until_wall.load(Relaxed) {
            return None;
        }
        Some(self.mark_used())
    }

    /// Marks the version as read. Writes only if a bit is clear, so that readers share the cache line.
    #[inline]
    pub(crate) fn mark_used(&self) -> Freshness {
        let marks = self.marks.load(Relaxed);
        if marks & READ != READ {
            self.marks.fetch_or(READ, Relaxed);
        }
        if marks & STALE == 0 { Freshness::Fresh } else { Freshness::Stale }
    }

    #[inline]
    pub(crate) fn belongs_to(&self, cache: u32) -> bool {
        self.owner.load(Relaxed) == cache
    }

    pub(crate) fn belong_to(&self, cache: u32) {
        self.owner.store(cache, Relaxed);
    }

    pub(crate) fn serve_until(&self, until: Coarse, freshness: Freshness) {
        match freshness {
            Freshness::Fresh => self.marks.fetch_and(!STALE, Relaxed),
            Freshness::Stale => self.marks.fetch_or(STALE, Relaxed),
        };
        self.until_monotonic.store(until.monotonic, Relaxed);
        self.until_wall.store(until.wall, Relaxed);
    }

    /// Returns how long it can still be served without a lookup.
    pub(crate) fn servable_for(&self, now: Coarse) -> Duration {
        let monotonic = self.until_monotonic.load(Relaxed).saturating_sub(now.monotonic);
        let wall = self.until_wall.load(Relaxed).saturating_sub(now.wall);
        Duration::from_nanos(monotonic.min(wall))
    }

    /// Makes every reader need a lookup.
    pub(crate) fn invalidate(&self) {
        self.until_monotonic.store(0, Relaxed);
    }

    /// Records a read that did not come through here, by a reader that waited for the value.
    pub(crate) fn note_use(&self) {
        self.marks.fetch_or(USED, Relaxed);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.marks.load(Relaxed) & USED != 0
    }

    pub(crate) fn clear_used(&self) {
        self.marks.fetch_and(!USED, Relaxed);
    }

    /// Returns whether it was read since the last call, and clears the mark.
    pub(crate) fn take_visited(&self) -> bool {
        self.marks.fetch_and(!VISITED, Relaxed) & VISITED != 0
    }
}

/// Whether a served value is fresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Freshness {
    Fresh,
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanoseconds: u64) -> Coarse {
        Coarse { monotonic: nanoseconds, wall: nanoseconds }
    }

    #[test]
    fn a_version_that_was_stale_is_fresh_once_confirmed_and_still_counts_as_read() {
        let validity = Validity::default();
        validity.serve_until(at(10), Freshness::Stale);
        assert_eq!(validity.read(at(9)), Some(Freshness::Stale));
        validity.serve_until(at(20), Freshness::Fresh);
        assert!(validity.is_used() && validity.take_visited());
        assert_eq!(validity.read(at(19)), Some(Freshness::Fresh));
        assert_eq!(validity.read(at(20)), None);
    }

    #[test]
    fn the_eviction_hand_takes_its_own_mark_and_no_other() {
        let validity = Validity::default();
        validity.serve_until(at(10), Freshness::Stale);
        validity.read(at(9));
        assert!(validity.take_visited());
        assert!(!validity.take_visited(), "nobody has read it since");
        assert!(validity.is_used());
        assert_eq!(validity.read(at(9)), Some(Freshness::Stale));
        assert!(validity.take_visited(), "it was read again");
    }
}
