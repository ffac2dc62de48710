//! Statistics as plain JavaScript objects.

use std::collections::HashMap;

use napi_derive::napi;

use crate::settings::milliseconds;

/// Statistics of a cache in this process.
#[napi(object, object_from_js = false)]
pub struct Stats {
    pub hits: f64,
    pub misses_absent: f64,
    pub misses_expired: f64,
    pub stale_served: f64,
    pub coalesced: f64,
    pub refreshes: f64,
    pub rotations_observed: f64,
    pub replica_reads: f64,
    pub evictions: f64,
    pub api_calls: HashMap<String, f64>,
    pub failures: HashMap<String, f64>,
    pub logins: LoginStats,
    pub secrets: Vec<SecretStatus>,
}

/// Counts of logins.
#[napi(object, object_from_js = false)]
pub struct LoginStats {
    pub accepted: f64,
    pub fallback_logins: f64,
    pub rejected: f64,
}

/// One cached version of a secret.
#[napi(object, object_from_js = false)]
pub struct SecretStatus {
    pub secret_id: String,
    pub version_stage: Option<String>,
    pub version_id: Option<String>,
    pub age_ms: Option<f64>,
    pub next_refresh_ms: Option<f64>,
    pub last_error: Option<String>,
    pub failures: u32,
}

/// Converts a count to a JavaScript number.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, which takes a century at a hundred million a second"
)]
fn count(count: u64) -> f64 {
    count as f64
}

impl From<secretcache::Stats> for Stats {
    fn from(stats: secretcache::Stats) -> Self {
        let named = |(name, number): (&str, u64)| (name.to_owned(), count(number));
        Self {
            hits: count(stats.hits),
            misses_absent: count(stats.misses_absent),
            misses_expired: count(stats.misses_expired),
            stale_served: count(stats.stale_served),
            coalesced: count(stats.coalesced),
            refreshes: count(stats.refreshes),
            rotations_observed: count(stats.rotations_observed),
            replica_reads: count(stats.replica_reads),
            evictions: count(stats.evictions),
            api_calls: stats.api_calls.into_iter().map(named).collect(),
            failures: stats.failures.into_iter().map(named).collect(),
            logins: LoginStats {
                accepted: count(stats.logins.accepted),
                fallback_logins: count(stats.logins.fallback_logins),
                rejected: count(stats.logins.rejected),
            },
            secrets: stats.secrets.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<secretcache::SecretStatus> for SecretStatus {
    fn from(status: secretcache::SecretStatus) -> Self {
        Self {
            secret_id: status.secret_id,
            version_stage: status.version_stage,
            version_id: status.version_id,
            age_ms: status.age.map(milliseconds),
            next_refresh_ms: status.next_refresh_in.map(milliseconds),
            last_error: status.last_error.map(|kind| kind.name().to_owned()),
            failures: status.failures,
        }
    }
}
