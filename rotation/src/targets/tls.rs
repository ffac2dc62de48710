//! Whom to believe that a server is the right one.

use std::fmt;
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
pub struct Tls(Option<Trust>);

#[derive(Clone)]
struct Trust {
    config: Arc<ClientConfig>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// Encrypted; the certificate must come from an authority that this system trusts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the system has no list of authorities.
    pub fn system() -> Result<Self, Error> {
        let authorities = rustls_native_certs::load_native_certs().certs;
        Self::trusting(authorities, "this system names no certificate authorities; name a file of your own")
    }

    /// Encrypted; the certificate must come from one of the authorities in this PEM text, and from no other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if there is none in it.
    pub fn with_authorities(pem: &str) -> Result<Self, Error> {
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        Self::trusting(authorities.collect(), "the file of certificate authorities holds no certificate")
    }

    /// Not encrypted: whoever is on the way reads along. For servers on this very machine.
    pub fn off() -> Self {
        Self(None)
    }

    fn trusting(authorities: Vec<CertificateDer<'static>>, problem: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        if roots.is_empty() {
            return Err(Error::new(ErrorKind::Misconfigured, problem));
        }
        // Named, not the process's default, which some other library may have set.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorKind::Unsupported, "TLS is not usable").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(Trust { config: Arc::new(config), authorities })))
    }

    /// The client configuration for a server, or `None` for no encryption: the operator's choice, unless the secret
    /// itself says `"ssl": false`, as AWS's own functions understand it. A missing `ssl` is no permission.
    pub(crate) fn config(&self, document: &Document) -> Option<Arc<ClientConfig>> {
        self.trust(document).map(|trust| Arc::clone(&trust.config))
    }

    /// The same, for drivers that make their own configuration: the certificates of the authorities.
    pub(crate) fn authorities(&self, document: &Document) -> Option<&[CertificateDer<'static>]> {
        self.trust(document).map(|trust| trust.authorities.as_slice())
    }

    fn trust(&self, document: &Document) -> Option<&Trust> {
        let opted_out = document.field("ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case("false"));
        if opted_out { None } else { self.0.as_ref() }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tls(verified)" } else { "Tls(off)" })
    }
}
