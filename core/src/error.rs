//! The one error type, which every language maps.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

pub(crate) mod binding;

/// Why a secret could not be read.
///
/// Cheap to clone: every reader that waited gets the same failure. Neither `Display` nor `Debug` ever contains secret
/// bytes.
///
/// ```
/// use secretcache::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::Throttled, "the service asked us to slow down");
/// assert_eq!(error.kind(), ErrorKind::Throttled);
/// assert_eq!(error.retry(), Retry::Later);
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    fault: Option<ServiceFault>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    host: Option<Box<dyn Any + Send + Sync>>,
}

impl Error {
    /// An error of the given kind. `message` says what is wrong and what to do, and must not contain a secret.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), fault: None, source: None, host: None }))
    }

    /// The same error with the service's response attached.
    #[must_use]
    pub fn with_fault(self, fault: ServiceFault) -> Self {
        self.edit(|inner| inner.fault = Some(fault))
    }

    /// The same error with its cause attached. The cause's text must not contain a secret.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        self.edit(|inner| inner.source = Some(source))
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether a retry may help soon. The cache itself always retries.
    pub fn retry(&self) -> Retry {
        self.0.kind.retry()
    }

    /// The message alone, without its causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's response, if it responded.
    pub fn fault(&self) -> Option<&ServiceFault> {
        self.0.fault.as_ref()
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        // Builders run before the error is shared, so the pointer is still unique.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }
}

/// One line: the message, then the service's code and request id if it responded.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.fault {
            Some(ServiceFault { code, request_id: Some(request_id), .. }) => {
                write!(f, " ({code}, request {request_id})")
            }
            Some(ServiceFault { code, .. }) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("fault", &self.0.fault)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The service's response to a failed call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServiceFault {
    /// The error code, such as `ResourceNotFoundException`.
    pub code: String,
    /// The service's own message.
    pub message: String,
    /// The operation that failed, such as `GetSecretValue`.
    pub operation: &'static str,
    /// The HTTP status, if there was an HTTP response.
    pub status: Option<u16>,
    /// The request id to quote to AWS support.
    pub request_id: Option<String>,
}

impl ServiceFault {
    /// A fault of one operation.
    pub fn new(operation: &'static str, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), operation, status: None, request_id: None }
    }

    /// The same fault with its HTTP status and request id.
    #[must_use]
    pub fn with_response(mut self, status: u16, request_id: Option<String>) -> Self {
        self.status = Some(status);
        self.request_id = request_id;
        self
    }
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident => $name:literal, $retry:ident;)*) => {
        /// The kinds of failure. Every language maps each of them; new ones are only ever added.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// All kinds, for tables that must be complete.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind's stable name, as statistics and other languages show it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Whether a retry may help soon.
            pub fn retry(self) -> Retry {
                match self {
                    $(Self::$kind => Retry::$retry,)*
                }
            }
        }
    };
}

error_kinds! {
    /// An argument is wrong: an empty secret id, a negative duration. Fix the call.
    InvalidArgument => "invalid_argument", Never;
    /// The configuration is wrong or incomplete. Fix the configuration.
    InvalidConfiguration => "invalid_configuration", Never;
    /// No AWS Region is configured. Set `AWS_REGION` or pass one.
    NoRegion => "no_region", Never;
    /// No AWS credentials were found in any of the usual places.
    NoCredentials => "no_credentials", Never;
    /// The credentials have expired or the service does not accept them.
    InvalidCredentials => "invalid_credentials", Never;
    /// The caller is not allowed to read this secret, or to use its KMS key.
    AccessDenied => "access_denied", Never;
    /// There is no such secret in this account and Region.
    SecretNotFound => "secret_not_found", Never;
    /// The secret exists, but not the requested version stage or version id.
    VersionNotFound => "version_not_found", Never;
    /// The secret is marked for deletion.
    SecretDeleted => "secret_deleted", Never;
    /// The KMS key is disabled, pending deletion or otherwise unable to decrypt.
    KeyUnavailable => "key_unavailable", Never;
    /// The service refused the request for another reason.
    InvalidRequest => "invalid_request", Never;
    /// Too many requests; retry later.
    Throttled => "throttled", Later;
    /// The service failed (HTTP 5xx).
    ServiceUnavailable => "service_unavailable", Later;
    /// The endpoint is unreachable: DNS, connection refused or reset.
    Connection => "connection", Later;
    /// The response did not arrive in time.
    Timeout => "timeout", Later;
    /// The response is not what the service sends.
    InvalidResponse => "invalid_response", Later;
    /// The secret contains no string (or no binary value), but one was requested.
    WrongType => "wrong_type", Never;
    /// The secret string is not JSON, but a JSON value was requested.
    NotJson => "not_json", Never;
    /// The secret's JSON has no such field.
    FieldNotFound => "field_not_found", Never;
    /// The cache has been closed.
    Closed => "closed", Never;
    /// A source supplied by the host program failed in its own way.
    Source => "source", Later;
    /// A bug in this library. Please report it.
    Internal => "internal", Never;
    /// The process or the system has no thread, file descriptor or memory left. The message says which.
    ResourceExhausted => "resource_exhausted", Later;
    /// The endpoint is reachable, but TLS failed: its certificate is not trusted, or it speaks no TLS.
    Tls => "tls", Later;
}

impl ErrorKind {
    /// The kind with this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Maps a Secrets Manager error code to a kind.
    ///
    /// `code` and `message` are what the service sent. The codes are those of the Secrets Manager API reference
    /// ("Common Errors" and the errors of GetSecretValue and DescribeSecret). An unknown code in an HTTP 5xx response
    /// counts as [`ErrorKind::ServiceUnavailable`].
    pub fn from_service(code: &str, message: &str, status: Option<u16>) -> Self {
        match code {
            // The service uses one code for a missing secret and for a missing version of an existing one.
            "ResourceNotFoundException" if message.contains("secret value for") => Self::VersionNotFound,
            "ResourceNotFoundException" => Self::SecretNotFound,
            "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => Self::AccessDenied,
            "InvalidRequestException" if message.contains("marked for deletion") => Self::SecretDeleted,
            "InvalidRequestException" if message.contains("marked deleted") => Self::SecretDeleted,
            "DecryptionFailure" | "DecryptionFailureException" | "EncryptionFailure" => Self::KeyUnavailable,
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "LimitExceededException" => Self::Throttled,
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "InvalidClientTokenId"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "SignatureDoesNotMatch" => Self::InvalidCredentials,
            "InternalServiceError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable" => {
                Self::ServiceUnavailable
            }
            "RequestTimeout" | "RequestTimeoutException" => Self::Timeout,
            _ if status.is_some_and(|status| status >= 500) => Self::ServiceUnavailable,
            _ => Self::InvalidRequest,
        }
    }

    /// Whether the service refused to give this caller the secret, as opposed to a failure to ask.
    pub(crate) fn is_denial(self) -> bool {
        matches!(
            self,
            Self::AccessDenied
                | Self::SecretNotFound
                | Self::VersionNotFound
                | Self::SecretDeleted
                | Self::KeyUnavailable
        )
    }

    /// Whether no response could change the error: the call or the configuration is wrong, or the cache is closed.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::InvalidArgument
                | Self::InvalidConfiguration
                | Self::NoRegion
                | Self::WrongType
                | Self::NotJson
                | Self::FieldNotFound
                | Self::Closed
        )
    }

    /// Whether the service is unavailable, so that other requests would fail too.
    pub(crate) fn is_outage(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::ServiceUnavailable | Self::Connection | Self::Tls | Self::Timeout
        )
    }
}

/// Whether the caller should retry soon. The cache itself retries in either case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// No: the call, the configuration, a permission or the secret has to be fixed first.
    Never,
    /// Yes: the service was busy or unreachable.
    Later,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn test_n13_asking_again_soon_helps_only_where_the_service_was_busy_or_unreachable() {
        let kinds = ErrorKind::ALL.iter().filter(|kind| kind.retry() == Retry::Later);
        let names: Vec<_> = kinds.map(|kind| kind.name()).collect();
        let expected = [
            "throttled",
            "service_unavailable",
            "connection",
            "timeout",
            "invalid_response",
            "source",
            "resource_exhausted",
            "tls",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn one_code_for_a_missing_secret_and_a_missing_version_is_distinguished() {
        let kind = |message| ErrorKind::from_service("ResourceNotFoundException", message, Some(400));
        assert_eq!(kind("Secrets Manager can't find the specified secret."), ErrorKind::SecretNotFound);
        assert_eq!(
            kind("Secrets Manager can't find the specified secret value for staging label: AWSPENDING"),
            ErrorKind::VersionNotFound
        );
    }

    #[test]
    fn an_unknown_code_goes_by_its_status() {
        assert_eq!(ErrorKind::from_service("Odd", "", Some(503)), ErrorKind::ServiceUnavailable);
        assert_eq!(ErrorKind::from_service("Odd", "", Some(400)), ErrorKind::InvalidRequest);
    }
}
