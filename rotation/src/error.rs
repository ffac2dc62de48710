//! Errors of a rotation.

use std::error::Error as StdError;
use std::fmt;

/// A rotation step's failure.
///
/// Neither `Display` nor `Debug` ever contains secret bytes. The same is required of any attached cause.
///
/// ```
/// use secretcache_rotation::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Conflict, "another rotation holds the lock");
/// assert!(error.kind().is_worth_retrying());
/// ```
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What Secrets Manager's error means, if the error comes from there.
    service: Option<secretcache::ErrorKind>,
}

impl Error {
    /// Creates an error. `message` says what is wrong and what to do about it, and never contains a secret.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, service: None }
    }

    /// Attaches the cause, whose text must not contain secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Appends to the message what was done about the error.
    #[must_use]
    pub fn and(mut self, addition: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(addition);
        self
    }

    /// Marks the error as coming from Secrets Manager.
    #[cfg(feature = "aws")]
    pub(crate) fn of_service(self, kind: secretcache::ErrorKind) -> Self {
        Self { service: Some(kind), ..self }
    }

    /// Whether the error comes from Secrets Manager rather than the resource.
    pub fn is_of_service(&self) -> bool {
        self.service.is_some()
    }

    /// Whether Secrets Manager has no such secret, in this account and Region. A missing version is something else.
    pub fn is_of_missing_secret(&self) -> bool {
        self.service == Some(secretcache::ErrorKind::SecretNotFound)
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the message followed by its root cause, unless the message already contains that.
    ///
    /// ```
    /// use secretcache_rotation::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Unavailable, "could not log in").with_source("the server does not support TLS");
    /// assert_eq!(error.in_full(), "could not log in: the server does not support TLS");
    /// ```
    pub fn in_full(&self) -> String {
        let root = std::iter::successors(self.source(), |&cause| cause.source()).last();
        match root.map(ToString::to_string).filter(|root| !self.message.contains(root.as_str())) {
            Some(root) => format!("{self}: {root}"),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The rotation event is malformed.
    InvalidEvent,
    /// The secret or the settings are incomplete or contradictory. Fix them.
    Misconfigured,
    /// The staging labels do not allow this step: rotation is disabled, the version is not `AWSPENDING`, or the secret
    /// is a replica.
    NotStaged,
    /// A newer version became current during this rotation, so the rotation was abandoned.
    Abandoned,
    /// The resource refuses the credential.
    Refused,
    /// The resource does not accept the new value, for example because of its password policy.
    Rejected,
    /// The new user has fewer privileges than the current one.
    Underprivileged,
    /// The user to change is not known to belong to this secret: it is neither declared, nor created for it, nor the
    /// user of a version that logs in.
    NotOurs,
    /// The provider already holds the maximum number of keys.
    LimitReached,
    /// Something else changed the secret or the resource at the same time.
    Conflict,
    /// The store or the resource is unreachable, or its response was lost, so the effect is unknown.
    Unavailable,
    /// The caller lacks a permission.
    Denied,
    /// The target does not support what the strategy needs.
    Unsupported,
    /// The resource does not support TLS, and TLS is not turned off.
    Unencrypted,
    /// The resource's certificate is not from a trusted authority, has expired, or is for another name.
    Untrusted,
}

impl ErrorKind {
    /// Whether running the rotation again can succeed without fixing anything first.
    pub fn is_worth_retrying(self) -> bool {
        matches!(self, Self::Conflict | Self::Unavailable | Self::Refused | Self::Underprivileged)
    }
}
