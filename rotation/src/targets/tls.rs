//! Whom to believe that a server is the right one.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// Whether connections are encrypted, and by whose word the server is trusted.
///
/// There is nothing in between: a server that offers no TLS, or a certificate that cannot be verified, is refused, and
/// no password reaches it.
#[derive(Clone)]
pub struct Tls {
    trust: Option<Trust>,
    /// Whether servers at loopback addresses are spoken to without encryption.
    is_off_on_loopback: bool,
}

/// Whom to believe.
#[derive(Clone)]
pub(crate) struct Trust {
    /// The client configuration for a server.
    pub(crate) config: Arc<ClientConfig>,
    /// The certificates of the authorities, for drivers that make their own configuration.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// Encrypted; the certificate must come from an authority that this system trusts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the system has no list of authorities.
    pub fn system() -> Result<Self, Error> {
        let tls = Self::trusting(rustls_native_certs::load_native_certs().certs)?;
        tls.that_trusts_anybody(
            "no certificate authorities found on this system; name a file of certificate authorities",
        )
    }

    /// Encrypted; the certificate must come from one of the authorities in this PEM text, and from no other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if there is none in it.
    pub fn with_authorities(pem: &str) -> Result<Self, Error> {
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        let tls = Self::trusting(authorities.collect())?;
        tls.that_trusts_anybody("the file of certificate authorities contains no certificate")
    }

    /// As [`Tls::system`] and [`Tls::off_on_loopback`] together. A system that names no authorities, as small containers
    /// do, is then good enough for servers on this machine, and every other server is refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if TLS cannot be set up at all.
    pub fn system_off_on_loopback() -> Result<Self, Error> {
        Self::trusting(rustls_native_certs::load_native_certs().certs).map(Self::off_on_loopback)
    }

    /// Not encrypted: whoever is on the way reads along. For servers on this very machine.
    pub fn off() -> Self {
        Self { trust: None, is_off_on_loopback: false }
    }

    /// The same, but not encrypted where every address of the server is a loopback address, so that nothing leaves this
    /// machine. A secret that says `"ssl": true` is still held to it.
    #[must_use]
    pub fn off_on_loopback(self) -> Self {
        Self { is_off_on_loopback: true, ..self }
    }

    fn trusting(mut authorities: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        authorities.retain(|authority| roots.add(authority.clone()).is_ok());
        // Named, not the process's default, which some other library may have set.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorKind::Unsupported, "TLS is not usable").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let trust = Some(Trust { config: Arc::new(config), authorities });
        Ok(Self { trust, is_off_on_loopback: false })
    }

    fn that_trusts_anybody(self, problem: &str) -> Result<Self, Error> {
        match &self.trust {
            Some(trust) if trust.authorities.is_empty() => Err(Error::new(ErrorKind::Misconfigured, problem)),
            _ => Ok(self),
        }
    }

    /// Whom to believe about a server at these addresses, or `None` for no encryption: the operator's options, unless the
    /// secret itself says `"ssl": false`, as AWS's own functions understand it. A missing `ssl` is no permission.
    pub(crate) fn trust(&self, document: &Document, addresses: &[SocketAddr]) -> Option<&Trust> {
        let ssl = document.field("ssl");
        let says = |wanted: &str| ssl.as_ref().is_some_and(|ssl| ssl.eq_ignore_ascii_case(wanted));
        let is_local = !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback());
        if says("false") || (self.is_off_on_loopback && is_local && !says("true")) {
            return None;
        }
        self.trust.as_ref()
    }
}

/// What a driver reports, if that is that there is no TLS with the server, or none to be trusted: a new attempt does not
/// help.
pub(super) fn not_trusted(error: &(dyn StdError + 'static)) -> Option<Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(told_of_tls)
}

fn told_of_tls(error: &(dyn StdError + 'static)) -> Option<Error> {
    // What the drivers for PostgreSQL and MySQL say; their types are private, or not the same for both.
    const WORDS: [&str; 2] =
        ["server does not support TLS", "Client asked for SSL but server does not have this capability"];
    let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
    let rustls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref());
    match rustls {
        Some(rustls::Error::InvalidCertificate(_)) => {
            let text = format!("the server's certificate cannot be verified ({})", rustls?);
            return Some(Error::new(ErrorKind::Untrusted, text));
        }
        // The first bytes of its answer belong to another protocol.
        Some(rustls::Error::InvalidMessage(_)) => {}
        _ if WORDS.contains(&error.to_string().as_str()) => {}
        _ => return None,
    }
    let text =
        "the server offers no TLS: turn it on there, or say in the secret that it has none (\"ssl\": false)";
    Some(Error::new(ErrorKind::Unencrypted, text))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self { trust: None, .. } => "Tls(off)",
            Self { is_off_on_loopback: true, .. } => "Tls(verified, off on loopback)",
            _ => "Tls(verified)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_tls_or_with_somebody_elses_is_told_from_one_that_is_away() {
        use std::io;

        let kind = |error: rustls::Error| {
            let said = not_trusted(&io::Error::new(io::ErrorKind::InvalidData, error));
            said.map(|error| error.kind())
        };
        let other_protocol = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert_eq!(kind(other_protocol), Some(ErrorKind::Unencrypted));
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert_eq!(kind(expired), Some(ErrorKind::Untrusted));
        assert_eq!(kind(rustls::Error::HandshakeNotComplete), None);
        assert!(not_trusted(&io::Error::from(io::ErrorKind::ConnectionReset)).is_none());
    }

    #[test]
    fn only_servers_on_this_machine_are_spoken_to_in_the_clear_and_only_if_the_secret_does_not_mind() {
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = Tls::with_authorities(&authority.cert.pem()).unwrap();
        let encrypts = |tls: &Tls, secret: &str, addresses: &[&str]| {
            let addresses: Vec<SocketAddr> =
                addresses.iter().map(|address| address.parse().unwrap()).collect();
            tls.trust(&Document::parse(secret).unwrap(), &addresses).is_some()
        };
        assert!(encrypts(&tls, "{}", &["127.0.0.1:1"]));
        assert!(!encrypts(&tls, r#"{"ssl": "False"}"#, &["10.0.0.1:1"]));
        let lenient = tls.off_on_loopback();
        assert!(!encrypts(&lenient, "{}", &["127.0.0.1:1", "[::1]:1"]));
        assert!(encrypts(&lenient, r#"{"ssl": true}"#, &["127.0.0.1:1"]));
        assert!(encrypts(&lenient, "{}", &["127.0.0.1:1", "10.0.0.1:1"]));
        assert!(encrypts(&lenient, "{}", &[]));
    }
}
