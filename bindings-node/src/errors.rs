//! Errors of the core as the package gets them, to make its own of.

use napi_derive::napi;
use secretcache::{Error, ErrorKind};

/// Why something failed.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// The core's name of the kind.
    pub kind: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The service's error code, where it answered.
    pub service_code: Option<String>,
    /// The HTTP status of its answer.
    pub http_status: Option<u16>,
    /// The request id to quote to AWS support.
    pub request_id: Option<String>,
    /// The number of the client's own error, where a client of the program's failed.
    pub host_error: Option<u32>,
    /// The text of the cause, if there is one.
    pub cause: Option<String>,
}

/// The number under which the package keeps an error of the program's client.
pub(crate) struct HostError(pub(crate) u32);

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let fault = error.fault();
        let message = match fault {
            Some(fault) => format!("{} ({})", error.message(), fault.code),
            None => error.message().to_owned(),
        };
        Self {
            kind: error.kind().name().to_owned(),
            message,
            service_code: fault.map(|fault| fault.code.clone()),
            http_status: fault.and_then(|fault| fault.status),
            request_id: fault.and_then(|fault| fault.request_id.clone()),
            host_error: error.host::<HostError>().map(|host| host.0),
            cause: std::error::Error::source(error).map(ToString::to_string),
        }
    }
}

/// An error to be thrown at once: its code is the name of its kind.
pub(crate) type Thrown = napi::Error<&'static str>;

/// As the package is to see it.
pub(crate) fn thrown(error: &Error) -> Thrown {
    napi::Error::new(error.kind().name(), error.message())
}

/// A kind by its name, as the package gives it back.
pub(crate) fn kind_named(name: &str) -> ErrorKind {
    ErrorKind::from_name(name).unwrap_or(ErrorKind::Source)
}
