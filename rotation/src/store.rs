//! The port through which the engine reaches Secrets Manager.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector};
use zeroize::Zeroizing;

use crate::document::Document;
use crate::error::Error;
use crate::event::RotationToken;
use crate::password::PasswordPolicy;

/// A boxed future, as returned by the ports.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Secrets Manager, or something that behaves the same.
///
/// An implementation makes one request per call and decides nothing. It must return in bounded time and keep secret
/// bytes out of `Debug` output and errors. A lost response is [`ErrorKind::Unavailable`]: the engine then treats the
/// effect as unknown.
///
/// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
pub trait SecretStore: Debug + Send + Sync {
    /// Returns a secret's metadata (`DescribeSecret`).
    fn describe<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<SecretState, Error>>;

    /// Reads one version with its value (`GetSecretValue`). `None` if there is no such version, or it has no value yet.
    fn get<'a>(
        &'a self,
        secret_id: &'a str,
        version: Selector<'a>,
    ) -> BoxFuture<'a, Result<Option<Version>, Error>>;

    /// Stores the value of a version and labels it `AWSPENDING` (`PutSecretValue`).
    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>>;

    /// Moves a staging label, if it is still where the caller last saw it (`UpdateSecretVersionStage`).
    fn move_stage<'a>(
        &'a self,
        secret_id: &'a str,
        stage: StageMove<'a>,
    ) -> BoxFuture<'a, Result<Moved, Error>>;

    /// Generates a random password (`GetRandomPassword`).
    fn random_password<'a>(
        &'a self,
        policy: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>>;

    /// Lists every version that still has a value, labelled or not, newest first (`ListSecretVersionIds` with
    /// `IncludeDeprecated`).
    fn list_versions<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>>;
}

/// Delays, passed to the engine so that tests need not wait.
pub trait Pause: Debug + Send + Sync {
    /// Waits for this long.
    fn pause(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// The part of `DescribeSecret` that a rotation step needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretState {
    /// The full ARN.
    pub arn: String,
    /// Whether rotation is enabled. Absent for secrets that another service manages.
    pub rotation_enabled: Option<bool>,
    /// Whether this is a replica, whose value comes from another Region.
    pub is_replica: bool,
    /// The versions with staging labels, in no particular order.
    pub versions: Vec<VersionState>,
}

impl SecretState {
    /// Returns the version that has a staging label.
    pub fn labelled(&self, stage: &str) -> Option<&VersionState> {
        self.versions.iter().find(|version| version.has(stage))
    }

    /// Returns the version with an id.
    pub fn version(&self, id: &str) -> Option<&VersionState> {
        self.versions.iter().find(|version| version.id == id)
    }
}

/// A version's id and labels.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VersionState {
    /// The version id.
    pub id: String,
    /// The staging labels.
    pub stages: Vec<String>,
}

impl VersionState {
    /// Whether the version has a staging label.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|label| label == stage)
    }

    /// Whether the version has one of the service's three labels.
    pub fn is_in_use(&self) -> bool {
        [AWSCURRENT, AWSPENDING, AWSPREVIOUS].iter().any(|stage| self.has(stage))
    }
}

/// A version with its value.
#[derive(Clone, Debug)]
pub struct Version {
    /// The version id.
    pub id: String,
    /// When it was created, to the millisecond.
    pub created: Option<SystemTime>,
    /// The value.
    pub document: Document,
}

/// A value to store as `AWSPENDING`.
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    /// The secret.
    pub secret_id: &'a str,
    /// The version's id (`ClientRequestToken`).
    pub token: &'a str,
    /// The value.
    pub document: &'a Document,
    /// The service's proof of the rotation, if the event had one.
    pub rotation_token: Option<&'a RotationToken>,
}

/// The outcome of [`SecretStore::put_pending`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Put {
    /// The value is stored, by this call or by an identical earlier one.
    Stored,
    /// The version already has a different value (`ResourceExistsException`), and keeps it.
    Exists,
}

/// The move of a staging label from one version to another.
#[derive(Clone, Copy, Debug)]
pub struct StageMove<'a> {
    /// The label.
    pub stage: &'a str,
    /// The version that must have the label now, or the move fails. `None` if none must.
    pub from: Option<&'a str>,
    /// The version that gets the label. `None` only removes it.
    pub to: Option<&'a str>,
}

impl StageMove<'_> {
    /// Returns the outcome of a move that the service rejected, as the labels show it. `None` if they do not explain
    /// it.
    pub fn outcome(&self, state: &SecretState) -> Option<Moved> {
        let holder = state.labelled(self.stage).map(|version| version.id.as_str());
        match holder {
            holder if holder == self.to => Some(Moved::Done),
            holder if holder != self.from => Some(Moved::Conflict),
            _ => None,
        }
    }
}

/// The outcome of [`SecretStore::move_stage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Moved {
    /// The label is where it should be.
    Done,
    /// The label was not where the caller last saw it, and has not been moved.
    Conflict,
}
