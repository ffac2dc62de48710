//! Counters that readers can increment without contention.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::cache::validity::Freshness;
use crate::error::ErrorKind;

/// An operation of the service that costs a call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Operation {
    /// `GetSecretValue`
    GetSecretValue,
    /// `DescribeSecret`
    DescribeSecret,
    /// `BatchGetSecretValue`
    BatchGetSecretValue,
}

impl Operation {
    /// The operation's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetSecretValue => "GetSecretValue",
            Self::DescribeSecret => "DescribeSecret",
            Self::BatchGetSecretValue => "BatchGetSecretValue",
        }
    }
}

/// The statistics of a cache.
///
/// ```
/// let cache = secretcache::SecretCache::builder().build()?;
/// let stats = cache.stats();
/// assert_eq!((stats.hits, stats.api_calls.get("GetSecretValue")), (0, None));
/// # Ok::<(), secretcache::Error>(())
/// ```
///
/// Counters start at zero with the process and only grow.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered from memory, stale ones included.
    pub hits: u64,
    /// Reads that found nothing cached.
    pub misses_absent: u64,
    /// Reads that found an expired value and waited for the source.
    pub misses_expired: u64,
    /// Reads answered with the last known value, because it could not be refreshed in time.
    pub stale_served: u64,
    /// Reads that waited for another reader's request.
    pub coalesced: u64,
    /// Refreshes that succeeded, with or without a new version.
    pub refreshes: u64,
    /// New versions found by refreshes; see [`Event::NewVersion`](crate::Event::NewVersion).
    pub rotations_observed: u64,
    /// Fetches and refreshes that a replica in another Region answered.
    pub replica_reads: u64,
    /// Secrets evicted to make room.
    pub evictions: u64,
    /// Calls to the service, by operation.
    pub api_calls: BTreeMap<&'static str, u64>,
    /// Failed fetches, by [`ErrorKind::name`].
    pub failures: BTreeMap<&'static str, u64>,
    /// Logins by [`ConnectAttempt`](crate::host::ConnectAttempt)s.
    pub logins: LoginStats,
    /// The versions that are cached now.
    pub secrets: Vec<SecretStatus>,
}

/// The results of logins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoginStats {
    /// Logins accepted.
    pub accepted: u64,
    /// Accepted logins with a version other than the current one.
    pub fallback_logins: u64,
    /// Logins refused. A rotation costs one, and one more for each login in progress at that moment.
    pub rejected: u64,
}

/// One cached version of a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretStatus {
    /// The id, as reads use it.
    pub secret_id: String,
    /// The staging label, if reads use one.
    pub version_stage: Option<String>,
    /// The id of the cached version, if there is one.
    pub version_id: Option<String>,
    /// The time since its last successful refresh.
    pub age: Option<Duration>,
    /// The time until the next refresh is due; zero if it is due now.
    pub next_refresh_in: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<ErrorKind>,
    /// Consecutive failures.
    pub failures: u32,
}

/// Counters of hits, in stripes. Threads share a stripe only if there are more threads than stripes.
pub(crate) struct Hits([CachePadded<Stripe>; STRIPES]);

const STRIPES: usize = 64;

#[derive(Default)]
struct Stripe {
    fresh: AtomicU64,
    stale: AtomicU64,
}

impl Default for Hits {
    fn default() -> Self {
        Self(std::array::from_fn(|_| CachePadded::default()))
    }
}

impl Hits {
    #[inline]
    pub(crate) fn count(&self, freshness: Freshness) {
        self.add(freshness, 1);
    }

    #[inline]
    pub(crate) fn add(&self, freshness: Freshness, count: u64) {
        let stripe = &self.0[stripe_of_this_thread() % STRIPES];
        let counter = match freshness {
            Freshness::Fresh => &stripe.fresh,
            Freshness::Stale => &stripe.stale,
        };
        counter.fetch_add(count, Relaxed);
    }

    /// All hits, and the stale ones among them.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let sum =
            |pick: fn(&Stripe) -> &AtomicU64| self.0.iter().map(|stripe| pick(stripe).load(Relaxed)).sum();
        let (fresh, stale): (u64, u64) = (sum(|stripe| &stripe.fresh), sum(|stripe| &stripe.stale));
        (fresh + stale, stale)
    }
}

#[inline]
fn stripe_of_this_thread() -> usize {
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(NONE) });
    let mine = MINE.get();
    if mine != NONE {
        return mine;
    }
    let mine = NEXT.fetch_add(1, Relaxed) % STRIPES;
    MINE.set(mine);
    mine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hit_of_any_thread_is_lost() {
        let hits = Hits::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| (0..1000).for_each(|_| hits.count(Freshness::Fresh)));
                }
            });
        }
        hits.count(Freshness::Stale);
        assert_eq!(hits.totals(), (300_001, 1));
    }
}
