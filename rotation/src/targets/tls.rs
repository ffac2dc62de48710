//! Trust in servers: whether connections use TLS, and which certificate authorities are trusted.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// Whether connections use TLS, and which certificate authorities are trusted.
///
/// There is no unverified mode: a server that offers no TLS, or whose certificate cannot be verified, is refused and
/// never receives a password.
#[derive(Clone)]
pub struct Tls {
    trust: Option<Trust>,
    /// Whether connections to loopback addresses are unencrypted.
    is_off_on_loopback: bool,
}

/// The trusted certificate authorities, in the forms that drivers take.
#[derive(Clone)]
pub(crate) struct Trust {
    /// The client configuration that trusts these authorities.
    pub(crate) config: Arc<ClientConfig>,
    /// The authorities' certificates, for drivers that build their own configuration.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// Requires TLS, with a certificate from an authority that this system trusts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the system has no trusted authorities.
    pub fn system() -> Result<Self, Error> {
        let tls = Self::trusting(rustls_native_certs::load_native_certs().certs)?;
        tls.that_trusts_anybody(
            "no certificate authorities found on this system; name a file of certificate authorities",
        )
    }

    /// Requires TLS, with a certificate from one of the authorities in this PEM text. No others are trusted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the text contains no certificate.
    pub fn with_authorities(pem: &str) -> Result<Self, Error> {
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        let tls = Self::trusting(authorities.collect())?;
        tls.that_trusts_anybody("the file of certificate authorities contains no certificate")
    }

    /// Combines [`Tls::system`] and [`Tls::off_on_loopback`], and accepts a system without trusted authorities, as in
    /// minimal containers: servers on this machine then still work, and all others are refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if TLS cannot be set up at all.
    pub fn system_off_on_loopback() -> Result<Self, Error> {
        Self::trusting(rustls_native_certs::load_native_certs().certs).map(Self::off_on_loopback)
    }

    /// Turns TLS off, which exposes passwords to anyone on the network path. Use it only for servers on this machine.
    pub fn off() -> Self {
        Self { trust: None, is_off_on_loopback: false }
    }

    /// Turns TLS off for servers whose addresses are all loopback addresses, so that nothing unencrypted leaves this
    /// machine. TLS stays on for a secret that has `"ssl": true`.
    #[must_use]
    pub fn off_on_loopback(self) -> Self {
        Self { is_off_on_loopback: true, ..self }
    }

    fn trusting(mut authorities: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        authorities.retain(|authority| roots.add(authority.clone()).is_ok());
        // Explicit, because another library could have set the process's default provider.
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

    /// Returns the trust settings for a server at these addresses; `None` means no encryption. The operator's options
    /// apply, unless the secret has `"ssl": false`, as in AWS's own functions. A missing `ssl` does not turn TLS off.
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

/// Returns the error to report if the driver failed because the server offers no TLS or its certificate is not trusted.
/// Retrying does not help.
pub(super) fn not_trusted(error: &(dyn StdError + 'static)) -> Option<Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(tls_failure)
}

fn tls_failure(error: &(dyn StdError + 'static)) -> Option<Error> {
    // Messages of the PostgreSQL and MySQL drivers. Their error types are private, or differ between the two.
    const WORDS: [&str; 2] =
        ["server does not support TLS", "Client asked for SSL but server does not have this capability"];
    let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
    let rustls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref());
    match rustls {
        Some(rustls::Error::InvalidCertificate(_)) => {
            let text = format!("the server's certificate cannot be verified ({})", rustls?);
            return Some(Error::new(ErrorKind::Untrusted, text));
        }
        // The first bytes of the response belong to another protocol.
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
    fn a_server_without_tls_or_with_somebody_elses_is_distinguished_from_one_that_is_away() {
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
