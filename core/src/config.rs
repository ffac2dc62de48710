//! Every setting of the cache, its default and its limits.

use std::collections::HashMap;
use std::time::Duration;

use crate::cache::backoff::Backoff;
use crate::error::{Error, ErrorKind};

/// The settings of a cache. All languages have the same defaults, except for the Python drop-in, which has those of
/// AWS's library.
///
/// | setting | default | why |
/// |---|---|---|
/// | `ttl` | 300 s | the interval AWS's own agent and extension use |
/// | grace | a tenth of the ttl, at most 30 s | time to refresh before a read has to wait |
/// | `max_wait` | 2 s | a request can usually spare that long, and then gets the last known value |
/// | `max_stale` | none | an outage of the service should not become one of the program |
/// | `max_size` | 1024 secrets | the same as the official libraries |
/// | `stale_on_denied` | true | a mistaken policy should be an alarm, not an outage |
/// | `lock_memory` | false | locked memory is limited, and core dumps help with diagnosis |
///
/// ```
/// use std::time::Duration;
/// use secretcache::{Backoff, Config};
///
/// let backoff = Backoff { max: Duration::from_secs(30), ..Backoff::default() };
/// let config = Config { ttl: Duration::from_secs(60), backoff, ..Config::default() };
/// config.validate()?;
/// assert_eq!(config.grace(config.ttl), Duration::from_secs(6));
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long a value counts as fresh; it is refreshed at a random moment in the second half. Zero: every read asks
    /// the source.
    pub ttl: Duration,
    /// Per-secret times to live, by the id that reads use.
    pub ttl_of: HashMap<String, Duration>,
    /// How long a read waits for the source if there is a last known value.
    pub max_wait: Duration,
    /// How long the last known value is served while refreshes fail, counted from the last success. `None`: no limit.
    pub max_stale: Option<Duration>,
    /// The most secrets kept. For each one, the versions that were read are kept, at most ten.
    pub max_size: usize,
    /// Whether the last known value is also served after the service denies access, or the secret is deleted.
    pub stale_on_denied: bool,
    /// The pauses after failures.
    pub backoff: Backoff,
    /// Whether to keep the memory of values out of swap (`mlock`) and, on Linux, out of core dumps (`MADV_DONTDUMP`).
    ///
    /// Each value costs two system calls when it is fetched and two when it is freed, and at least one page of the
    /// limit for locked memory (`ulimit -l`, often 8 MiB). A value for which there is no room is not cached, and its
    /// read fails with [`ErrorKind::ResourceExhausted`]. Copies in transit, copies that the program makes, and parsed
    /// fields are not locked. Unix only.
    pub lock_memory: bool,
}

/// The longest time to live accepted: ten years. A longer one is a mistaken unit.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Default for Config {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            ttl_of: HashMap::new(),
            max_wait: Duration::from_secs(2),
            max_stale: None,
            max_size: 1024,
            stale_on_denied: true,
            backoff: Backoff::default(),
            lock_memory: false,
        }
    }
}

impl Config {
    /// How long after its time to live a value is still served while it is refreshed: a tenth of it, at most 30 s.
    pub fn grace(&self, ttl: Duration) -> Duration {
        (ttl / 10).min(Duration::from_secs(30))
    }

    /// The time to live of one secret.
    pub fn ttl_for(&self, id: &str) -> Duration {
        self.ttl_of.get(id).copied().unwrap_or(self.ttl)
    }

    /// Checks the settings, and that they do not contradict each other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] naming the setting and its limits.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::new(ErrorKind::InvalidConfiguration, text));
        if self.max_size == 0 {
            return invalid(
                "max_size is 0, which would cache nothing; it is the number of secrets kept".into(),
            );
        }
        for ttl in self.ttl_of.values().chain([&self.ttl]) {
            if *ttl > LONGEST {
                return invalid(format!("a time to live of {} s is longer than ten years", ttl.as_secs()));
            }
            if let Some(max_stale) = self.max_stale.filter(|max_stale| max_stale < ttl) {
                return invalid(format!(
                    "max_stale ({max_stale:?}) is shorter than a refresh interval ({ttl:?}): values would expire before they are refreshed"
                ));
            }
        }
        let Backoff { growth, .. } = self.backoff;
        if !growth.is_finite() || growth < 1.0 {
            return invalid(format!(
                "the backoff's growth is {growth}; it must be a finite number of at least 1"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let defaults = Config::default;
        for (config, word) in [
            (Config { max_size: 0, ..defaults() }, "max_size"),
            (Config { ttl: Duration::MAX, ..defaults() }, "ten years"),
            (Config { max_stale: Some(Duration::from_secs(1)), ..defaults() }, "max_stale"),
            (Config { backoff: Backoff { growth: 0.5, ..Backoff::default() }, ..defaults() }, "growth"),
        ] {
            let error = config.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
            assert!(error.message().contains(word), "{error}");
        }
    }
}
