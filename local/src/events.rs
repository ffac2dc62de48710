//! Rotation events, named like the service's own.
//!
//! "Secrets Manager generates CloudTrail log entries" with these names (user guide, "Secrets Manager events"). Events
//! contain no secret values.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::log::Log;
use crate::secret::Secret;
use crate::time::Timestamp;

/// An event of a rotation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub event: EventName,
    /// The secret's ARN.
    pub secret_arn: String,
    /// The secret's name.
    pub secret_name: String,
    /// The id of the new version.
    pub version_id: String,
    /// The step that failed, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// The reason, or other information for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the whole rotation is retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// The names of the service's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum EventName {
    /// A rotation started, by request or by schedule.
    RotationStarted,
    /// The new version is current.
    RotationSucceeded,
    /// A step failed.
    RotationFailed,
    /// Another request created a version or moved a label in the meantime.
    RotationAbandoned,
    /// A test of the configuration started, because `RotateImmediately` was false.
    TestRotationStarted,
    /// testSecret succeeded.
    TestRotationSucceeded,
    /// testSecret failed.
    TestRotationFailed,
}

impl EventName {
    /// Returns whether the event ends an attempt.
    pub(crate) fn is_end(self) -> bool {
        !matches!(self, Self::RotationStarted | Self::TestRotationStarted)
    }
}

impl Event {
    pub(crate) fn new(event: EventName, secret: &Secret, version_id: &str, time: Timestamp) -> Self {
        Self {
            time,
            event,
            secret_arn: secret.arn.clone(),
            secret_name: secret.name.clone(),
            version_id: version_id.to_owned(),
            step: None,
            message: None,
            retry_at: None,
        }
    }

    pub(crate) fn because(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into()).filter(|message| !message.is_empty());
        self
    }
}

/// Writes one line for people.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, secret_name, version_id, .. } = self;
        write!(f, "{event:?} {secret_name} version {version_id}")?;
        if let Some(step) = self.step {
            write!(f, " in {step}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(retry_at) = self.retry_at {
            write!(f, " (again in {} s)", (retry_at.millis() - self.time.millis()) / 1000)?;
        }
        Ok(())
    }
}

/// The latest events, and a log to which each is written as a line.
#[derive(Debug, Default)]
pub(crate) struct Events {
    latest: Mutex<VecDeque<Event>>,
    /// The number of events recorded so far, including those no longer kept.
    total: AtomicU64,
    log: Option<Log>,
}

impl Events {
    pub(crate) fn new(log: Option<Log>) -> Self {
        Self { log, ..Self::default() }
    }

    pub(crate) fn record(&self, event: Event) {
        if let Some(log) = &self.log {
            let json = || serde_json::to_string(&event).unwrap_or_default();
            log.line(&if log.is_json() { json() } else { event.to_string() });
        }
        let mut latest = self.latest();
        latest.push_back(event);
        self.total.fetch_add(1, Ordering::Relaxed);
        while latest.len() > KEPT {
            latest.pop_front();
        }
    }

    /// Returns the latest events, oldest first.
    pub(crate) fn all(&self) -> Vec<Event> {
        self.latest().iter().cloned().collect()
    }

    /// Returns the number of events recorded so far.
    pub(crate) fn total(&self) -> u64 {
        let _held = self.latest();
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the events after the first `total`, oldest first.
    pub(crate) fn since(&self, total: u64) -> Vec<Event> {
        let latest = self.latest();
        let new = self.total.load(Ordering::Relaxed).saturating_sub(total) as usize;
        latest.iter().skip(latest.len().saturating_sub(new)).cloned().collect()
    }

    pub(crate) fn forget(&self) {
        self.latest().clear();
    }

    fn latest(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KEPT: usize = 1000;
