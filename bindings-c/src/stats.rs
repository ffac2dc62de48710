//! Statistics of a cache.

use std::time::Duration;

use secretcache::SecretStatus;

use crate::cache::Cache;
use crate::error::ResultCode;
use crate::text::Str;

/// Statistics of a cache at one moment. They do not change, so any thread may read them.
#[derive(Debug)]
pub struct Stats(secretcache::Stats);

/// The counters of a cache. They start at zero in each process and only grow.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
#[expect(non_camel_case_types, reason = "their names in C")]
pub enum Counter {
    /// Reads answered from memory, stale ones included.
    SECRETCACHE_COUNTER_HITS = 0,
    /// Reads that found nothing cached.
    SECRETCACHE_COUNTER_MISSES_ABSENT = 1,
    /// Reads that found an expired value and waited for the source.
    SECRETCACHE_COUNTER_MISSES_EXPIRED = 2,
    /// Reads answered with the last known value, because it could not be refreshed in time.
    SECRETCACHE_COUNTER_STALE_SERVED = 3,
    /// Reads that waited for another reader's request.
    SECRETCACHE_COUNTER_COALESCED = 4,
    /// Refreshes that succeeded, with or without a new version.
    SECRETCACHE_COUNTER_REFRESHES = 5,
    /// New versions found by refreshes.
    SECRETCACHE_COUNTER_ROTATIONS_OBSERVED = 6,
    /// Secrets evicted to make room.
    SECRETCACHE_COUNTER_EVICTIONS = 7,
    /// Logins of `secretcache_connect` that were accepted.
    SECRETCACHE_COUNTER_LOGINS_ACCEPTED = 8,
    /// Accepted logins with a version other than the current one.
    SECRETCACHE_COUNTER_FALLBACK_LOGINS = 9,
    /// Refused logins. A rotation costs one, and one more for each login in progress at that moment.
    SECRETCACHE_COUNTER_LOGINS_REFUSED = 10,
    /// Fetches and refreshes that a replica in another Region answered.
    SECRETCACHE_COUNTER_REPLICA_READS = 11,
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
            (C::SECRETCACHE_COUNTER_FALLBACK_LOGINS, self.0.logins.fallback_logins),
            (C::SECRETCACHE_COUNTER_LOGINS_REFUSED, self.0.logins.rejected),
            (C::SECRETCACHE_COUNTER_REPLICA_READS, self.0.replica_reads),
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
    /// Returns the statistics of a cache in this process; free them with `secretcache_stats_free`.
    fn secretcache_stats_new(cache: Ref<Cache>) -> Result(stats_out: *mut Stats) {
        Ok(Box::into_raw(Box::new(Stats(cache.core().stats()))))
    }

    /// Frees statistics. NULL is ignored.
    fn secretcache_stats_free(stats: Own<Stats>) {
        drop(stats);
    }

    /// Returns one of the counters of `secretcache_counter`; 0 for other numbers.
    fn secretcache_stats_count(stats: Ref<Stats>, counter: Is<u32>) -> u64 = 0 => {
        stats.counter(counter)
    }

    /// Returns how often an operation of the service was called: GetSecretValue, DescribeSecret or BatchGetSecretValue.
    fn secretcache_stats_api_calls(stats: Ref<Stats>, operation: Text) -> u64 = 0 => {
        stats.0.api_calls.get(operation).copied().unwrap_or(0)
    }

    /// Returns how many fetches failed with a result such as SECRETCACHE_THROTTLED.
    fn secretcache_stats_failures(stats: Ref<Stats>, result: Is<u32>) -> u64 = 0 => {
        let kind = ResultCode::kind(result);
        kind.and_then(|kind| stats.0.failures.get(kind.name()).copied()).unwrap_or(0)
    }

    /// Returns how many versions of secrets the statistics list, including versions without a value.
    fn secretcache_stats_secret_count(stats: Ref<Stats>) -> usize = 0 => {
        stats.0.secrets.len()
    }

    /// Returns the id of the secret, as reads use it; no text if `index` is past the last one. Like the other texts
    /// below, it is valid as long as the statistics.
    fn secretcache_stats_secret_id(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).map(|secret| secret.secret_id.as_str()))
    }

    /// Returns the staging label that reads use; no text if they use a version id.
    fn secretcache_stats_secret_stage(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).and_then(|secret| secret.version_stage.as_deref()))
    }

    /// Returns the id of the cached version; no text if there is none.
    fn secretcache_stats_secret_version_id(stats: Ref<Stats>, index: Is<usize>) -> Str = Str::NONE => {
        Str::of_option(stats.secret(index).and_then(|secret| secret.version_id.as_deref()))
    }

    /// Returns the milliseconds since the last successful refresh; -1 if there was none.
    fn secretcache_stats_secret_age_ms(stats: Ref<Stats>, index: Is<usize>) -> i64 = -1 => {
        milliseconds(stats.secret(index).and_then(|secret| secret.age))
    }

    /// Returns the milliseconds until the next refresh is due; -1 if none is scheduled.
    fn secretcache_stats_secret_next_refresh_ms(stats: Ref<Stats>, index: Is<usize>) -> i64 = -1 => {
        milliseconds(stats.secret(index).and_then(|secret| secret.next_refresh_in))
    }

    /// Returns the error of the last fetch; SECRETCACHE_OK if it succeeded.
    fn secretcache_stats_secret_last_error(
        stats: Ref<Stats>,
        index: Is<usize>,
    ) -> ResultCode = ResultCode::SECRETCACHE_OK => {
        let last_error = stats.secret(index).and_then(|secret| secret.last_error);
        last_error.map_or(ResultCode::SECRETCACHE_OK, ResultCode::of)
    }

    /// Returns how many fetches in a row have failed.
    fn secretcache_stats_secret_failures(stats: Ref<Stats>, index: Is<usize>) -> u32 = 0 => {
        stats.secret(index).map_or(0, |secret| secret.failures)
    }
}
