//! HTTPS, as a server with a given certificate, and as a client of another endpoint.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::options::{StartError, Tls};

/// Reads the certificate and key, and checks that they match.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, StartError> {
    let bad_certificate = |reason: &dyn std::fmt::Display| StartError::tls(&tls.certificate, reason);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad_certificate(&error))?;
    if chain.is_empty() {
        return Err(bad_certificate(&"it contains no PEM certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| StartError::tls(&tls.key, error))?;
    // The provider is explicit, because a process can have several and no default.
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_certificate(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad_certificate(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Creates a connector for a client that trusts the certificates in a PEM file; without one, the system's authorities.
pub(crate) fn connector(authorities: Option<&Path>) -> Result<TlsConnector, String> {
    let certificates = match authorities {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => {
            let unusable =
                |reason: &dyn std::fmt::Display| format!("{} cannot be used: {reason}", path.display());
            let found: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| unusable(&error))?;
            if found.is_empty() {
                return Err(unusable(&"there is no certificate in it"));
            }
            found
        }
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
