//! Limits how often failures are logged.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::event::{Event, Listener};
use crate::native::SystemClock;
use crate::time::Now;

/// The time between warnings about a failure that continues.
const EVERY: Duration = Duration::from_secs(60);
/// The most secrets remembered.
const MOST: usize = 4096;

/// Lets through one warning per secret and minute, whatever the rate of failures.
///
/// ```
/// use std::sync::Arc;
/// use secretcache::host::{LogLimiter, Now};
/// use secretcache::{Error, ErrorKind, Event};
///
/// let error = Error::new(ErrorKind::Throttled, "slow down");
/// let event = Event::Error { secret_id: Arc::from("prod/db"), error, caller_gets_it: false };
/// let limiter = LogLimiter::default();
/// assert!(limiter.admits(&event, Now::default()));
/// assert!(!limiter.admits(&event, Now::default()));
/// ```
#[derive(Debug, Default)]
pub struct LogLimiter {
    last: Mutex<HashMap<Box<str>, Now>>,
}

impl LogLimiter {
    /// Whether to log this event as a warning now; see [`Event::should_warn`].
    pub fn admits(&self, event: &Event, now: Now) -> bool {
        if !event.should_warn() {
            return false;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(event.secret_id()).is_some_and(|last| now.since(last) < EVERY) {
            return false;
        }
        if last.len() >= MOST {
            last.clear();
        }
        last.insert(event.secret_id().into(), now);
        true
    }
}

/// Writes failures to `tracing` as warnings, and new versions as information.
pub(super) fn tracing_listener() -> Listener {
    let limiter = LogLimiter::default();
    std::sync::Arc::new(move |event| {
        if let Event::NewVersion { .. } = event {
            tracing::info!(target: "secretcache", "{event}");
        } else if limiter.admits(event, SystemClock::now()) {
            tracing::warn!(target: "secretcache", "{event}");
        }
    })
}
