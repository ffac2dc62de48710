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

/// A future on the heap, as ports return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Secrets Manager, or something that behaves like it.
///
/// An implementation makes one request per call and decides nothing. It must end in bounded time and keep secret
/// bytes out of `Debug` output and errors. An answer that never came is [`ErrorKind::Unavailable`]: the engine then
/// takes the effect for unknown.
///
/// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
pub trait SecretStore: Debug + Send + Sync {
    /// What is known about a secret without its values (`DescribeSecret`).
    fn describe<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<SecretState, Error>>;

    /// One version with its value (`GetSecretValue`); `None` if there is no such version or it has no value yet.
    fn get<'a>(
        &'a self,
        secret_id: &'a str,
        version: Selector<'a>,
    ) -> BoxFuture<'a, Result<Option<Version>, Error>>;

    /// Stores the value of a version and labels it `AWSPENDING` (`PutSecretValue`).
    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>>;

    /// Moves a staging label, if it is where it is thought to be (`UpdateSecretVersionStage`).
    fn move_stage<'a>(
        &'a self,
        secret_id: &'a str,
        stage: StageMove<'a>,
    ) -> BoxFuture<'a, Result<Moved, Error>>;

    /// A random password (`GetRandomPassword`).
    fn random_password<'a>(
        &'a self,
        policy: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>>;

    /// Every version that still has a value, labelled or not, newest first (`ListSecretVersionIds` with
    /// `IncludeDeprecated`).
    fn list_versions<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>>;
}

/// Waiting, given to the engine so that tests need not wait.
pub trait Pause: Debug + Send + Sync {
    /// Returns after this time.
    fn pause(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// What `DescribeSecret` tells about a secret.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretState {
    /// The full ARN.
    pub arn: String,
    /// Whether rotation is on; absent for secrets that another service manages.
    pub rotation_enabled: Option<bool>,
    /// Whether this is a replica, whose value comes from another Region.
    pub is_replica: bool,
    /// The versions with staging labels, in no order.
    pub versions: Vec<VersionState>,
}

impl SecretState {
    /// The version with a staging label.
    pub fn labelled(&self, stage: &str) -> Option<&VersionState> {
        self.versions.iter().find(|version| version.has(stage))
    }

    /// The version with an id.
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

    /// Whether the version has one of the three labels of the service.
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

/// A value to be stored as `AWSPENDING`.
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    /// The secret.
    pub secret_id: &'a str,
    /// The version's id (`ClientRequestToken`).
    pub token: &'a str,
    /// The value.
    pub document: &'a Document,
    /// The service's proof of the rotation, if it gave one.
    pub rotation_token: Option<&'a RotationToken>,
}

/// What became of a value to be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Put {
    /// It is stored, now or by the same call before.
    Stored,
    /// The version holds another value already (`ResourceExistsException`); that one stays.
    Exists,
}

/// A staging label on its way from one version to another.
#[derive(Clone, Copy, Debug)]
pub struct StageMove<'a> {
    /// The label.
    pub stage: &'a str,
    /// The version that must have it now, for the move to happen.
    pub from: Option<&'a str>,
    /// The version that gets it; none to take it away altogether.
    pub to: Option<&'a str>,
}

impl StageMove<'_> {
    /// What became of a move that the service refused, as the labels tell; `None` if they do not show why it was.
    pub fn outcome(&self, state: &SecretState) -> Option<Moved> {
        let holder = state.labelled(self.stage).map(|version| version.id.as_str());
        match holder {
            holder if holder == self.to => Some(Moved::Done),
            holder if holder != self.from => Some(Moved::Conflict),
            _ => None,
        }
    }
}

/// What became of a label to be moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Moved {
    /// It is where it should be.
    Done,
    /// It was not where it was thought to be, and was left there.
    Conflict,
}
