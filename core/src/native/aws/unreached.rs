//! Why a request got no answer: there was no connection, or no TLS on it.

use std::error::Error as StdError;
use std::io;

use super::{causes, root_cause};
use crate::error::{Error, ErrorKind};

/// Why a request got no answer.
#[derive(Debug)]
pub(in crate::native) struct Unreached {
    kind: ErrorKind,
    reason: String,
}

impl Unreached {
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let kind = if causes(error).any(is_of_tls) { ErrorKind::Tls } else { ErrorKind::Connection };
        Self { kind, reason: root_cause(error) }
    }

    /// Returns the error that says so. `what` is what could not be done, such as "cannot reach STS".
    pub(in crate::native) fn error(self, what: &str) -> Error {
        Error::new(self.kind, format!("{what}: {}", self.reason))
    }
}

/// Whether an error is one of TLS. Those reach us in an [`io::Error`], or in two, which do not return what they wrap as
/// their source.
fn is_of_tls(error: &(dyn StdError + 'static)) -> bool {
    let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| is_of_tls(wrapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_for_its_tls_is_distinguished_from_one_that_fails_otherwise() {
        let kind = |error: &(dyn StdError + 'static)| Unreached::of(error).error("cannot reach it").kind();
        let untrusted = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(kind(&untrusted()), ErrorKind::Tls);
        let of_stream = io::Error::new(io::ErrorKind::InvalidData, untrusted());
        assert_eq!(kind(&of_stream), ErrorKind::Tls);
        let of_connector = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, untrusted()));
        assert_eq!(kind(&of_connector), ErrorKind::Tls);
        let of_client = Error::new(ErrorKind::Internal, "client error (Connect)").with_source(of_connector);
        assert_eq!(kind(&of_client), ErrorKind::Tls);
        for other in [io::ErrorKind::ConnectionRefused.into(), io::Error::other("no TLS, it says")] {
            assert_eq!(kind(&other), ErrorKind::Connection);
        }
    }

    #[test]
    fn the_error_says_what_could_not_be_done_and_why() {
        let reset = io::Error::other("reset");
        assert_eq!(Unreached::of(&reset).error("cannot reach STS").to_string(), "cannot reach STS: reset");
    }
}
