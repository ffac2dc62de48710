//! What can go wrong in a rotation.

use std::error::Error as StdError;
use std::fmt;

/// Why a rotation step did not succeed.
///
/// Neither `Display` nor `Debug` ever contains secret bytes; the same is asked of every cause attached to it.
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
    is_of_service: bool,
}

impl Error {
    /// An error of the given kind. `message` says what is wrong and what to do, and never holds a secret.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, is_of_service: false }
    }

    /// The same error with its cause attached. The cause's text must be free of secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with a sentence added, for what was done about it.
    #[must_use]
    pub fn and(mut self, addition: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(addition);
        self
    }

    /// The same error as one of Secrets Manager.
    #[cfg(feature = "aws")]
    pub(crate) fn of_service(self) -> Self {
        Self { is_of_service: true, ..self }
    }

    /// Whether Secrets Manager failed or refused, rather than the resource.
    pub fn is_of_service(&self) -> bool {
        self.is_of_service
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without its cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message with what is behind it, if that says more.
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

/// The kinds of failure.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The rotation event cannot be understood.
    InvalidEvent,
    /// The secret or the settings lack something, or contradict each other. Mend them.
    Misconfigured,
    /// The staging labels do not allow this step: rotation is off, the version is not `AWSPENDING`, or it is a
    /// replica.
    NotStaged,
    /// A newer version became current while this rotation was under way, so the rotation is given up.
    Abandoned,
    /// The resource does not accept the credential.
    Refused,
    /// The resource does not accept the new value, for instance by its password policy.
    Rejected,
    /// The new user may do less than the one in use.
    Underprivileged,
    /// The user to be changed is neither declared nor marked as ours.
    NotOurs,
    /// The provider holds as many keys as it allows.
    LimitReached,
    /// Somebody else changed the secret or the resource at the same time.
    Conflict,
    /// The store or the resource could not be asked, or its answer was lost: the effect is unknown.
    Unavailable,
    /// The caller may not do this.
    Denied,
    /// The target cannot do what the strategy needs.
    Unsupported,
    /// The resource offers no TLS, and nobody said to do without.
    Unencrypted,
    /// Nobody who is trusted vouches for the resource's certificate, or it has expired, or is for another name.
    Untrusted,
}

impl ErrorKind {
    /// Whether running the rotation again can help without anything being mended first.
    pub fn is_worth_retrying(self) -> bool {
        matches!(self, Self::Conflict | Self::Unavailable | Self::Refused | Self::Underprivileged)
    }
}
