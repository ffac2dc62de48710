//! What the cache has done so far.

use std::time::Duration;

use secretcache::SecretStatus;

use crate::cache::Cache;
use crate::error::ResultCode;
use crate::text::Str;

/// What a cache had done at one moment, and held then. It does not change, so any thread may look at it.
#[derive(Debug)]
pub struct Stats(secretcache::Stats);

/// The counters. They start at zero with the process and only grow.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum Counter {
    /// Reads answered from memory, stale ones included.
    SECRETCACHE_COUNTER_HITS = 0,
    /// Reads that found nothing cached.
    SECRETCACHE_COUNTER_MISSES_ABSENT = 1,
    /// Reads that found a value past its freshness and had to wait for the source.
    SECRETCACHE_COUNTER_MISSES_EXPIRED = 2,
    /// Reads answered with a value past its freshness, because it could not be refreshed.
    SECRETCACHE_COUNTER_STALE_SERVED = 3,
    /// Reads that waited for a request another reader had started.
    SECRETCACHE_COUNTER_COALESCED = 4,
    /// Refreshes that succeeded, whether or not they brought a new version.
    SECRETCACHE_COUNTER_REFRESHES = 5,
    /// New versions seen in place of old ones.
    SECRETCACHE_COUNTER_ROTATIONS_OBSERVED = 6,
    /// Secrets dropped to keep within the size.
    SECRETCACHE_COUNTER_EVICTIONS = 7,
    /// Logins of `secretcache_connect` that the resource took.
    SECRETCACHE_COUNTER_LOGINS_ACCEPTED = 8,
    /// Those among them with another version than the current one.
    SECRETCACHE_COUNTER_LOGINS_WITH_OTHER_VERSION = 9,
    /// Logins refused. A rotation costs one, and one more for each that was under way at that moment.
    SECRETCACHE_COUNTER_LOGINS_REFUSED = 10,
}

impl Stats {
    fn counter(&self, number: u32) -> u64 {
        use Counter as C;
        let counters = [
            (C::SECRETCACHE_COUNTER_HITS, self.0.hits),
            (C::SECRETCACHE_COUNTER_MISSES_ABSENT, self.0.misses_absent),
            (C::SECRETCACHE_COUNTER_MISSES_EXPIRED, self.0.misses_expired),
            (C::SECRETCACHE_COUNTER_STALE_SERVED, self.0.stale_served),
            (C::SECRETCACHE_COUNTER_COALESCED, self.0.coalesced),
            (C::SECRETCACHE_COUNTER_REFRESHES, self.0.refreshes),
            (C::SECRETCACHE_COUNTER_ROTATIONS_OBSERVED, self.0.rotations_observed),
            (C::SECRETCACHE_COUNTER_EVICTIONS, self.0.evictions),
            (C::SECRETCACHE_COUNTER_LOGINS_ACCEPTED, self.0.logins.accepted),
            (C::SECRETCACHE_COUNTER_LOGINS_WITH_OTHER_VERSION, self.0.logins.fallback_logins),
            (C::SECRETCACHE_COUNTER_LOGINS_REFUSED, self.0.logins.rejected),
        ];
        counters.iter().find(|(counter, _)| *counter as u32 == number).map_or(0, |(_, count)| *count)
    }

    fn secret(&self, index: usize) -> Option<&SecretStatus> {
        self.0.secrets.get(index)
    }
}

fn milliseconds(span: Option<Duration>) -> i64 {
    span.and_then(|span| i64::try_from(span.as_millis()).ok()).unwrap_or(-1)
}

export! {
    /// What the cache has done in this process and holds now, to be freed with `secretcache_stats_free`.
    fn secretcache_stats_new(cache: Ref<Cache>) -> Result(stats_out: *mut Stats) {
        Ok(Box::into_raw(Box::new(Stats(cache.core().stats()))))
    }

    /// Frees statistics. NULL is nothing to free.
    fn secretcache_stats_free(stats: Own<Stats>) {
        drop(stats);
    }

    /// One of the counters of `secretcache_counter`; 0 for other numbers.
    fn secretcache_stats_count(stats: Ref<Stats>, counter: Is<u32>) -> u64 = 0 => {
        stats.counter(counter)
    }

    /// How often an operation of the service was called: GetSecretValue, DescribeSecret or BatchGetSecretValue.
    fn secretcache_stats_api_calls(stats: Ref<Stats>, operation: Text) -> u64 = 0 => {
        stats.0.api_calls.get(operation).copied().unwrap_or(0)
    }

    /// How many fetches failed with a result such as SECRETCACHE_THROTTLED.
    fn secretcache_stats_failures(stats: Ref<Stats>, result: Is<u32>) -> u64 = 0 => {
        let kind = ResultCode::kind(result);
        kind.and_then(|kind| stats.0.failures.get(kind.name()).copied()).unwrap_or(0)
    }

    /// How many versions of secrets are known, whether held or not yet to be had.
    fn secretcache_stats_secret_count(stats: Ref<Stats>) -> usize = 0 => {
        stats.0.secrets.len()
    }

    /// The id that the secret was asked for with; none beyond the last. It lives as long as the statistics; so do the
    /// other texts below.
    fn secretcache_stats_secret_id(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).map(|secret| secret.secret_id.as_str()))
    }

    /// The staging label that it was asked for with; none if it was asked for by version id.
    fn secretcache_stats_secret_stage(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).and_then(|secret| secret.version_stage.as_deref()))
    }

    /// The version held; none if none is.
    fn secretcache_stats_secret_version_id(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).and_then(|secret| secret.version_id.as_deref()))
    }

    /// Milliseconds since it was last confirmed; -1 if it never was.
    fn secretcache_stats_secret_age_ms(stats: Ref<Stats>, index: Is<usize>) -> i64 = -1 => {
        milliseconds(stats.secret(index).and_then(|secret| secret.age))
    }

    /// Milliseconds until the next refresh is due; -1 if none will be.
    fn secretcache_stats_secret_next_refresh_ms(stats: Ref<Stats>, index: Is<usize>) -> i64 = -1 => {
        milliseconds(stats.secret(index).and_then(|secret| secret.next_refresh_in))
    }

    /// Why the last fetch failed; SECRETCACHE_OK if it did not.
    fn secretcache_stats_secret_last_error(
        stats: Ref<Stats>,
        index: Is<usize>,
    ) -> ResultCode = ResultCode::SECRETCACHE_OK => {
        let last_error = stats.secret(index).and_then(|secret| secret.last_error);
        last_error.map_or(ResultCode::SECRETCACHE_OK, ResultCode::of)
    }

    /// How many fetches in a row have failed.
    fn secretcache_stats_secret_failures(stats: Ref<Stats>, index: Is<usize>) -> u32 = 0 => {
        stats.secret(index).map_or(0, |secret| secret.failures)
    }
}
