//! The events of a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::id::Stage;

/// An event of a cached secret. Events never contain a value.
///
/// ```
/// use secretcache::{Event, SecretCache};
///
/// let cache = SecretCache::builder().build()?;
/// cache.on_event(|event| match event {
///     Event::NewVersion { secret_id, .. } => println!("{secret_id} has rotated"),
///     other => eprintln!("{other}"),
/// });
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A refresh found a new version: of `AWSCURRENT`, or of another staging label that the program reads. Labels that
    /// only `SecretCache::connect` requests are left out.
    NewVersion {
        /// The id of the secret, as reads use it.
        secret_id: Arc<str>,
        /// The staging label that moved.
        version_stage: Option<String>,
        /// The id of the previous version.
        old_version_id: Option<String>,
        /// The id of the new version.
        new_version_id: Option<String>,
    },
    /// Reads now get a value that could not be refreshed in time. Sent once per outage.
    Stale {
        /// The id of the secret, as reads use it.
        secret_id: Arc<str>,
        /// The time since the last successful refresh.
        age: Duration,
        /// The failure; `None` if the source has not responded yet.
        error: Option<Error>,
    },
    /// A fetch or refresh failed.
    Error {
        /// The id of the secret, as reads use it.
        secret_id: Arc<str>,
        /// The failure.
        error: Error,
        /// Whether a caller gets this error too, because there is no last known value; then it is not logged.
        caller_gets_it: bool,
    },
    /// A login succeeded with a version other than the current one, as happens in the middle of a rotation. If it
    /// continues, the current version does not work. Sent with the first such login, then at most once a minute;
    /// [`Stats::logins`](crate::Stats::logins) counts all of them.
    FallbackLogin {
        /// The id of the secret, as reads use it.
        secret_id: Arc<str>,
        /// The staging label of the version that logged in.
        version_stage: Stage,
        /// The id of that version.
        version_id: String,
    },
    /// A secret is now read from its replica in another Region, because its own Region does not answer. Sent once, and
    /// again only after its own Region has answered.
    Replica {
        /// The id of the secret, as reads use it.
        secret_id: Arc<str>,
        /// The Region of the replica.
        region: String,
        /// Why its own Region did not answer.
        error: Error,
    },
}

impl Event {
    /// The id of the secret, as reads use it.
    pub fn secret_id(&self) -> &str {
        match self {
            Self::NewVersion { secret_id, .. }
            | Self::Stale { secret_id, .. }
            | Self::Error { secret_id, .. }
            | Self::FallbackLogin { secret_id, .. }
            | Self::Replica { secret_id, .. } => secret_id,
        }
    }
}

impl Event {
    /// Whether to log it as a warning: failures, stale values, reads from a replica, and logins with a version other than
    /// the current one. Not new versions, the closing of a cache, or errors that a caller gets.
    pub fn should_warn(&self) -> bool {
        match self {
            Self::NewVersion { .. } => false,
            Self::Error { error, caller_gets_it, .. } => !caller_gets_it && error.kind() != ErrorKind::Closed,
            Self::Stale { .. } | Self::FallbackLogin { .. } | Self::Replica { .. } => true,
        }
    }
}

/// One line, fit for a log.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewVersion { secret_id, new_version_id, .. } => {
                let version = new_version_id.as_deref().unwrap_or("unknown");
                write!(f, "secret {secret_id:?} has a new version: {version}")
            }
            Self::Stale { secret_id, age, error: Some(error) } => {
                let age = age.as_secs();
                write!(f, "serving secret {secret_id:?} {age} s past its last successful refresh: {error}")
            }
            Self::Stale { secret_id, age, error: None } => {
                let age = age.as_secs();
                write!(
                    f,
                    "serving secret {secret_id:?} {age} s past its last successful refresh: no response yet"
                )
            }
            Self::Error { secret_id, error, .. } => {
                write!(f, "secret {secret_id:?} could not be fetched: {error}")
            }
            Self::Replica { secret_id, region, error } => {
                write!(f, "secret {secret_id:?} is read from its replica in {region}: {error}")
            }
            Self::FallbackLogin { secret_id, version_stage, version_id } => {
                write!(
                    f,
                    "connected with the {version_stage} version {version_id} of secret {secret_id:?}; outside a \
                     rotation this means that its current version does not log in"
                )
            }
        }
    }
}

/// Called with each event, outside every lock, on any thread. It must return quickly and must not panic.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;
