//! Settings from the package, converted to the core's types.

use std::collections::HashMap;
use std::time::Duration;

use napi_derive::napi;
use secretcache::host::{Options, Role};
use secretcache::{Config, Credentials};
use zeroize::Zeroizing;

/// Settings of a cache. The package has checked their types; times are in milliseconds and at least 0.
#[napi(object, object_to_js = false)]
pub struct Settings {
    pub refresh_interval_ms: Option<f64>,
    pub refresh_intervals_ms: Option<HashMap<String, f64>>,
    pub max_wait_ms: Option<f64>,
    pub max_stale_ms: Option<f64>,
    pub max_size: Option<u32>,
    pub stale_on_denied: Option<bool>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub profile: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    pub session_token: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    /// For each role: the prefix, the role ARN, and the external id if there is one.
    pub roles: Option<Vec<Vec<String>>>,
    pub fallback_regions: Option<Vec<String>>,
    pub fallback_after_ms: Option<f64>,
    pub proxy_url: Option<String>,
    pub ca_bundle: Option<String>,
    pub use_fips: Option<bool>,
    pub timeout_ms: Option<f64>,
    /// All settings as one text. Threads whose caches have the same text share one cache; without a text, a cache is
    /// not shared.
    pub shared_as: Option<String>,
}

impl Settings {
    pub(crate) fn take_shared_as(&mut self) -> Option<Zeroizing<String>> {
        self.shared_as.take().map(Zeroizing::new)
    }

    pub(crate) fn config(&self) -> Config {
        let defaults = Config::default();
        let each = |(id, interval): (&String, &f64)| (id.clone(), span(*interval));
        Config {
            ttl: self.refresh_interval_ms.map_or(defaults.ttl, span),
            ttl_of: self.refresh_intervals_ms.iter().flatten().map(each).collect(),
            max_wait: self.max_wait_ms.map_or(defaults.max_wait, span),
            max_stale: self.max_stale_ms.map(span).or(defaults.max_stale),
            max_size: self.max_size.map_or(defaults.max_size, |size| size as usize),
            stale_on_denied: self.stale_on_denied.unwrap_or(defaults.stale_on_denied),
            ..defaults
        }
    }

    pub(crate) fn options(self) -> Options {
        let mut options = Options::default();
        options.region = self.region;
        options.endpoint_url = self.endpoint;
        options.profile = self.profile;
        options.role_arn = self.role_arn;
        options.external_id = self.external_id;
        options.roles = self.roles.into_iter().flatten().filter_map(role).collect();
        options.fallback_regions = self.fallback_regions.unwrap_or_default();
        options.fallback_after = self.fallback_after_ms.map(span);
        options.proxy_url = self.proxy_url;
        options.ca_bundle = self.ca_bundle.map(Into::into);
        options.use_fips = self.use_fips;
        options.timeout = self.timeout_ms.map(span);
        if let (Some(id), Some(key)) = (self.access_key_id, self.secret_access_key) {
            options.credentials = Some(Credentials::new(id, key, self.session_token));
        }
        options
    }
}

fn role(texts: Vec<String>) -> Option<(String, Role)> {
    let mut texts = texts.into_iter();
    Some((texts.next()?, Role { arn: texts.next()?, external_id: texts.next() }))
}

/// Converts milliseconds from JavaScript. A time too long for a `Duration` becomes the longest one, which the core
/// refuses.
pub(crate) fn span(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX)
}

/// Converts a duration to milliseconds for JavaScript.
pub(crate) fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
