//! Results and errors.

use std::borrow::Cow;

use secretcache::host::ConnectFailure;
use secretcache::{ErrorKind, Retry, ServiceFault};

use crate::text::Str;

macro_rules! result_codes {
    (
        ours { $($(#[$doc:meta])* $name:ident = $number:literal,)* }
        kinds { $($(#[$kind_doc:meta])* $kind_name:ident = $kind_number:literal for $kind:ident,)* }
    ) => {
        /// The result of a function. Numbers never change their meaning; new ones are added at the end of their range.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(non_camel_case_types, reason = "their names in C")]
        pub enum ResultCode {
            $($(#[$doc])* $name = $number,)*
            $($(#[$kind_doc])* $kind_name = $kind_number,)*
        }

        impl ResultCode {
            pub(crate) fn of(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$kind => Self::$kind_name,)*
                    _ => Self::SECRETCACHE_INTERNAL,
                }
            }

            /// The kind of error for a number from C.
            pub(crate) fn kind(number: u32) -> Option<ErrorKind> {
                match number {
                    $($kind_number => Some(ErrorKind::$kind),)*
                    _ => None,
                }
            }

            /// The name of a number, ending in a NUL.
            fn name(number: u32) -> &'static str {
                match number {
                    $($number => concat!(stringify!($name), "\0"),)*
                    $($kind_number => concat!(stringify!($kind_name), "\0"),)*
                    _ => "unknown\0",
                }
            }
        }
    };
}

result_codes! {
    ours {
        /// Success.
        SECRETCACHE_OK = 0,
        /// A pointer is NULL but must not be. Fix the call.
        SECRETCACHE_NULL_ARGUMENT = 1,
        /// A text is not UTF-8. Fix the call.
        SECRETCACHE_INVALID_TEXT = 2,
        /// The secret is not in memory.
        SECRETCACHE_NOT_CACHED = 3,
        /// The login was refused with every version of the secret that could be tried.
        SECRETCACHE_LOGIN_REJECTED = 4,
        /// The login function returned SECRETCACHE_LOGIN_ERROR: the login failed, but was not refused.
        SECRETCACHE_LOGIN_FAILED = 5,
        /// The program cancelled the read.
        SECRETCACHE_CANCELLED = 6,
    }
    kinds {
        /// An argument is wrong: an empty secret id, an unknown number. Fix the call.
        SECRETCACHE_INVALID_ARGUMENT = 100 for InvalidArgument,
        /// The configuration is wrong or incomplete. Fix the configuration.
        SECRETCACHE_INVALID_CONFIGURATION = 101 for InvalidConfiguration,
        /// No AWS Region is configured. Set AWS_REGION or pass one.
        SECRETCACHE_NO_REGION = 102 for NoRegion,
        /// No AWS credentials were found in any of the usual places.
        SECRETCACHE_NO_CREDENTIALS = 103 for NoCredentials,
        /// The credentials have expired or the service does not accept them.
        SECRETCACHE_INVALID_CREDENTIALS = 104 for InvalidCredentials,
        /// The caller is not allowed to read this secret, or to use its KMS key.
        SECRETCACHE_ACCESS_DENIED = 105 for AccessDenied,
        /// There is no such secret in this account and Region.
        SECRETCACHE_SECRET_NOT_FOUND = 106 for SecretNotFound,
        /// The secret exists, but not the requested version stage or version id.
        SECRETCACHE_VERSION_NOT_FOUND = 107 for VersionNotFound,
        /// The secret is marked for deletion.
        SECRETCACHE_SECRET_DELETED = 108 for SecretDeleted,
        /// The KMS key is disabled, pending deletion or otherwise unable to decrypt.
        SECRETCACHE_KEY_UNAVAILABLE = 109 for KeyUnavailable,
        /// The service refused the request for another reason.
        SECRETCACHE_INVALID_REQUEST = 110 for InvalidRequest,
        /// Too many requests; retry later.
        SECRETCACHE_THROTTLED = 111 for Throttled,
        /// The service failed (HTTP 5xx).
        SECRETCACHE_SERVICE_UNAVAILABLE = 112 for ServiceUnavailable,
        /// The endpoint is unreachable: DNS, connection refused or reset.
        SECRETCACHE_CONNECTION = 113 for Connection,
        /// The response did not arrive in time.
        SECRETCACHE_TIMEOUT = 114 for Timeout,
        /// The response is not what the service sends.
        SECRETCACHE_INVALID_RESPONSE = 115 for InvalidResponse,
        /// The secret contains no string (or no binary value), but one was requested.
        SECRETCACHE_WRONG_TYPE = 116 for WrongType,
        /// The secret string is not JSON, but a JSON value was requested.
        SECRETCACHE_NOT_JSON = 117 for NotJson,
        /// The secret's JSON has no such field.
        SECRETCACHE_FIELD_NOT_FOUND = 118 for FieldNotFound,
        /// The cache has been closed.
        SECRETCACHE_CLOSED = 119 for Closed,
        /// The source that the program supplied failed.
        SECRETCACHE_SOURCE = 120 for Source,
        /// A bug in this library. Please report it.
        SECRETCACHE_INTERNAL = 121 for Internal,
        /// The process or the system has no thread, file descriptor or memory left. The message says which.
        SECRETCACHE_RESOURCE_EXHAUSTED = 122 for ResourceExhausted,
        /// The endpoint is reachable, but TLS failed: its certificate is not trusted, or it speaks no TLS.
        SECRETCACHE_TLS = 123 for Tls,
    }
}

/// An error. It never contains a secret. Free it with `secretcache_error_free`, unless it was passed to a callback;
/// then it is valid until the callback returns.
#[derive(Clone, Debug)]
pub struct Error {
    code: ResultCode,
    retry: Retry,
    /// Ends in a NUL.
    message: Box<str>,
    core: Option<secretcache::Error>,
    fault: Option<Box<Terminated>>,
}

/// The service's part of an error; each text ends in a NUL.
#[derive(Clone, Debug)]
struct Terminated {
    code: String,
    request_id: Option<String>,
    operation: String,
}

impl Error {
    pub(crate) fn new(code: ResultCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = terminated(message.into().into_owned()).into();
        Self { code, retry: Retry::Never, message, core: None, fault: None }
    }

    #[cold]
    pub(crate) fn null(name: &str) -> Self {
        Self::new(ResultCode::SECRETCACHE_NULL_ARGUMENT, format!("the argument {name} is NULL"))
    }

    #[cold]
    pub(crate) fn invalid_text(name: &str) -> Self {
        Self::new(ResultCode::SECRETCACHE_INVALID_TEXT, format!("the argument {name} is not valid UTF-8"))
    }

    #[cold]
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ResultCode::SECRETCACHE_INVALID_ARGUMENT, message)
    }

    /// The error for a read whose deadline has passed.
    #[cold]
    pub(crate) fn timed_out(timeout_ms: u64) -> Self {
        let text = format!("no response within {timeout_ms} ms, the timeout of this read");
        secretcache::Error::new(ErrorKind::Timeout, text).into()
    }

    #[cold]
    pub(crate) fn panicked() -> Self {
        let text = "secretcache panicked, which is a bug; the message is on standard error. Please report it";
        Self::new(ResultCode::SECRETCACHE_INTERNAL, text)
    }

    pub(crate) fn code(&self) -> ResultCode {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        self.message.trim_end_matches('\0')
    }
}

impl From<secretcache::Error> for Error {
    fn from(error: secretcache::Error) -> Self {
        let fault = error.fault().map(|fault| {
            let ServiceFault { code, request_id, operation, .. } = fault;
            Box::new(Terminated {
                code: terminated(code.clone()),
                request_id: request_id.clone().map(terminated),
                operation: terminated((*operation).to_owned()),
            })
        });
        let message = terminated(error.message().to_owned()).into();
        let (code, retry) = (ResultCode::of(error.kind()), error.retry());
        Self { code, retry, message, core: Some(error), fault }
    }
}

impl From<ConnectFailure> for Error {
    fn from(failure: ConnectFailure) -> Self {
        let retry = failure.retry();
        match failure {
            ConnectFailure::Rejected { text, .. } => {
                Self { retry, ..Self::new(ResultCode::SECRETCACHE_LOGIN_REJECTED, text) }
            }
            ConnectFailure::Secret(error) => error.into(),
        }
    }
}

fn terminated(mut text: String) -> String {
    text.push('\0');
    text
}

export! {
    /// Returns the kind of error; SECRETCACHE_OK for NULL.
    fn secretcache_error_code(error: Ref<Error>) -> ResultCode = ResultCode::SECRETCACHE_OK => {
        error.code
    }

    /// Returns one line that says what is wrong and what to do. Ends in a NUL, and is valid as long as the error.
    fn secretcache_error_message(error: Ref<Error>) -> Str = Str::NONE => {
        Str::of_terminated(error.message.as_bytes())
    }

    /// Returns whether a retry may help. The cache itself retries, with backoff.
    fn secretcache_error_is_transient(error: Ref<Error>) -> bool = false => {
        error.retry == Retry::Later
    }

    /// Returns the service's error code, such as ResourceNotFoundException; no text if the service did not respond.
    /// Ends in a NUL, and is valid as long as the error.
    fn secretcache_error_service_code(error: Ref<Error>) -> Str = Str::NONE => {
        error.fault.as_ref().map_or(Str::NONE, |fault| Str::of_terminated(fault.code.as_bytes()))
    }

    /// Returns the operation that failed, such as GetSecretValue; no text if the service did not respond. Ends in a
    /// NUL, and is valid as long as the error.
    fn secretcache_error_operation(error: Ref<Error>) -> Str = Str::NONE => {
        error.fault.as_ref().map_or(Str::NONE, |fault| Str::of_terminated(fault.operation.as_bytes()))
    }

    /// Returns the request id to quote to AWS support; no text if there is none. Ends in a NUL, and is valid as long as
    /// the error.
    fn secretcache_error_request_id(error: Ref<Error>) -> Str = Str::NONE => {
        let request_id = error.fault.as_ref().and_then(|fault| fault.request_id.as_ref());
        request_id.map_or(Str::NONE, |request_id| Str::of_terminated(request_id.as_bytes()))
    }

    /// Returns the HTTP status of the response; 0 if there was none.
    fn secretcache_error_http_status(error: Ref<Error>) -> u16 = 0 => {
        error.core.as_ref().and_then(|core| core.fault()?.status).unwrap_or(0)
    }

    /// Returns a copy of an error, for callbacks that keep it; free it with `secretcache_error_free`. Returns NULL for
    /// NULL.
    fn secretcache_error_clone(error: Ref<Error>) -> *mut Error = std::ptr::null_mut() => {
        Box::into_raw(Box::new(error.clone()))
    }

    /// Frees an error. NULL is ignored.
    fn secretcache_error_free(error: Own<Error>) {
        drop(error);
    }

    /// Returns the name of a result, such as "SECRETCACHE_THROTTLED"; "unknown" for other numbers. Ends in a NUL, and
    /// is always valid.
    fn secretcache_result_name(result: Is<u32>) -> Str = Str::NONE => {
        Str::of_terminated(ResultCode::name(result).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_of_error_has_a_code_of_its_own() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| ResultCode::of(*kind) as u32).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            let code = ResultCode::of(*kind) as u32;
            assert_eq!(ResultCode::kind(code), Some(*kind));
            let name = ResultCode::name(code).trim_end_matches('\0').to_lowercase();
            assert_eq!(name.trim_start_matches("secretcache_"), kind.name());
        }
    }

    #[test]
    fn codes_of_the_first_release_keep_their_numbers() {
        // Add to this list; never change it.
        let numbers = [0, 1, 2, 3, 4, 5, 6];
        assert!(numbers.iter().all(|number| ResultCode::name(*number) != "unknown\0"));
        assert_eq!(ResultCode::SECRETCACHE_INVALID_ARGUMENT as u32, 100);
        assert_eq!(ResultCode::SECRETCACHE_INTERNAL as u32, 121);
    }
}
