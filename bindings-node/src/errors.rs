//! Errors of the core, in the form from which the package makes its own.

use napi_derive::napi;
use secretcache::host::ErrorExt as _;
use secretcache::{Error, ErrorKind};

/// A failure.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// The name of the kind of error in the core.
    pub kind: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The service's error code, if the service responded.
    pub service_code: Option<String>,
    /// The HTTP status of its response.
    pub http_status: Option<u16>,
    /// The request id to quote to AWS support.
    pub request_id: Option<String>,
    /// The number under which the package keeps the error, if the program's client failed.
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

/// An error to throw at once; its code is the name of its kind.
pub(crate) type Thrown = napi::Error<&'static str>;

/// Converts an error to one that can be thrown.
pub(crate) fn thrown(error: &Error) -> Thrown {
    napi::Error::new(error.kind().name(), error.message())
}

/// Returns the kind with a name, as the package passes it; an unknown name means `Source`.
pub(crate) fn kind_named(name: &str) -> ErrorKind {
    ErrorKind::from_name(name).unwrap_or(ErrorKind::Source)
}
