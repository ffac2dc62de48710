//! What the cache tells the program without being asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::id::Stage;

/// Something worth knowing happened to a cached secret. Events never hold a value.
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
    /// A refresh brought another version than the one held.
    NewVersion {
        /// The id the secret is asked for with.
        secret_id: Arc<str>,
        /// The staging label it is asked for with.
        version_stage: Option<String>,
        /// The version held before.
        old_version_id: Option<String>,
        /// The version held from now on.
        new_version_id: Option<String>,
    },
    /// Readers get a value past its freshness, because it cannot be refreshed. Told once per spell.
    Stale {
        /// The id the secret is asked for with.
        secret_id: Arc<str>,
        /// Since the value was last confirmed.
        age: Duration,
        /// The failure, if there was one rather than a wait that took too long.
        error: Option<Error>,
    },
    /// A fetch or refresh failed.
    Error {
        /// The id the secret is asked for with.
        secret_id: Arc<str>,
        /// The failure.
        error: Error,
        /// Whoever asked gets it as well, because there is no last-known value: not worth a warning beside.
        is_told: bool,
    },
    /// A login succeeded with another version than the current one, as it does while a rotation is between its steps.
    /// If it goes on, the current version is broken. Told with the first such login, and then once a minute as long as
    /// there are any; [`Stats::logins`](crate::Stats::logins) counts all of them.
    FallbackLogin {
        /// The id the secret is asked for with.
        secret_id: Arc<str>,
        /// The staging label of the version that logged in.
        version_stage: Stage,
        /// Its id.
        version_id: String,
    },
}

impl Event {
    /// The id of the secret concerned, as the program asks for it.
    pub fn secret_id(&self) -> &str {
        match self {
            Self::NewVersion { secret_id, .. }
            | Self::Stale { secret_id, .. }
            | Self::Error { secret_id, .. }
            | Self::FallbackLogin { secret_id, .. } => secret_id,
        }
    }
}

impl Event {
    /// Whether a log should have it as a warning: failures and stale values, and logins with another version than the
    /// current one. Not that a version is new, that the program has closed its own cache, nor what a caller is told.
    pub fn should_warn(&self) -> bool {
        match self {
            Self::NewVersion { .. } => false,
            Self::Error { error, is_told, .. } => !is_told && error.kind() != ErrorKind::Closed,
            Self::Stale { .. } | Self::FallbackLogin { .. } => true,
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

/// Called with each event, outside every lock, on whichever thread noticed it. It must be quick and must not panic.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;
