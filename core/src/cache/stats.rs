//! Counters that readers can write without meeting each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// What the cache has done so far.
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
    /// Reads that found a value past its freshness and had to wait for the source.
    pub misses_expired: u64,
    /// Reads answered with a value past its freshness, because it could not be refreshed.
    pub stale_served: u64,
    /// Reads that waited for a request another reader had started.
    pub coalesced: u64,
    /// Refreshes that succeeded, whether or not they brought a new version.
    pub refreshes: u64,
    /// New versions seen in place of old ones.
    pub rotations_observed: u64,
    /// Secrets dropped to keep within the size.
    pub evictions: u64,
    /// Calls to the service, by operation.
    pub api_calls: BTreeMap<&'static str, u64>,
    /// Failed fetches, by [`ErrorKind::name`].
    pub failures: BTreeMap<&'static str, u64>,
    /// LoginHistory by [`ConnectAttempt`](crate::host::ConnectAttempt)s.
    pub logins: LoginStats,
    /// What is cached now.
    pub secrets: Vec<SecretStatus>,
}

/// What resources said to logins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoginStats {
    /// LoginHistory taken.
    pub accepted: u64,
    /// Those among them with another version than the current one.
    pub fallback_logins: u64,
    /// LoginHistory refused. A rotation costs one, and one more for each that was under way at that moment.
    pub rejected: u64,
}

/// One cached version of a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretStatus {
    /// The id it was asked for with.
    pub secret_id: String,
    /// The staging label it was asked for with.
    pub version_stage: Option<String>,
    /// The version held, if one is.
    pub version_id: Option<String>,
    /// Since it was last confirmed.
    pub age: Option<Duration>,
    /// Until the next refresh is due; zero if it is due now.
    pub next_refresh_in: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<ErrorKind>,
    /// Consecutive failures.
    pub failures: u32,
}

/// Counters of hits. Each thread has a stripe of its own as far as stripes go, and so counts without the price of an
/// atomic addition; the threads beyond share the last.
pub(crate) struct Hits([CachePadded<Stripe>; STRIPES]);

const STRIPES: usize = 64;
const SHARED: usize = STRIPES - 1;

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
        let index = stripe::of_this_thread();
        let stripe = &self.0[index];
        let counter = match freshness {
            Freshness::Fresh => &stripe.fresh,
            Freshness::Stale => &stripe.stale,
        };
        if index == SHARED {
            counter.fetch_add(count, Relaxed);
        } else {
            // Nobody else writes this stripe while this thread lives.
            counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
        }
    }

    /// All hits, and the stale ones among them.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let sum =
            |pick: fn(&Stripe) -> &AtomicU64| self.0.iter().map(|stripe| pick(stripe).load(Relaxed)).sum();
        let (fresh, stale): (u64, u64) = (sum(|stripe| &stripe.fresh), sum(|stripe| &stripe.stale));
        (fresh + stale, stale)
    }
}

/// Which stripe belongs to which thread.
mod stripe {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::SHARED;

    const UNASSIGNED: usize = usize::MAX;

    thread_local! {
        // Without a destructor, so that reading it is one instruction.
        static MINE: Cell<usize> = const { Cell::new(UNASSIGNED) };
        static LEASE: Lease = const { Lease };
    }

    #[inline]
    pub(super) fn of_this_thread() -> usize {
        let mine = MINE.get();
        // Compared with the number of stripes, so that no bounds check is left.
        if mine <= SHARED { mine } else { assign() }
    }

    /// The stripes that no thread has.
    static FREE: Mutex<Free> = Mutex::new(Free { next: 0, returned: Vec::new() });

    struct Free {
        next: usize,
        returned: Vec<usize>,
    }

    #[cold]
    fn assign() -> usize {
        // In a forked child another thread may hold this lock for ever; and a thread at its very end has no lease
        // any more. Both then share.
        let lent = LEASE.try_with(|_| ()).is_ok();
        let stripe = match FREE.try_lock() {
            Ok(mut free) if lent => free.returned.pop().unwrap_or_else(|| {
                free.next = (free.next + 1).min(SHARED + 1);
                free.next - 1
            }),
            _ => SHARED,
        };
        MINE.set(stripe);
        stripe
    }

    /// Gives a thread's stripe back when the thread ends.
    struct Lease;

    impl Drop for Lease {
        fn drop(&mut self) {
            let stripe = MINE.replace(SHARED);
            if stripe < SHARED
                && let Ok(mut free) = FREE.lock()
            {
                free.returned.push(stripe);
            }
        }
    }
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
