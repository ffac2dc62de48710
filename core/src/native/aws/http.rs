//! HTTP: proxy, trusted certificates, and responses of bounded size in memory that is wiped.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_sdk_secretsmanager::config::http::HttpRequest;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::profile::unreadable;
use super::unreached::Unreached;
use crate::error::{Error, ErrorKind};
use crate::native::{Options, PerProcess};
use crate::wire::LARGEST_ANSWER;

/// How long an idle connection is kept. A secrets client is idle most of the time, middleboxes forget idle connections
/// after a minute or so, and the connection's buffer still holds the last response.
const IDLE: Duration = Duration::from_secs(20);

/// The largest response for a batch of twenty.
const MOST_FOR_BATCH: usize = 2 * LARGEST_ANSWER;

/// Returns the proxy of the options, or the one in `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
pub(super) fn proxy(options: &Options) -> Result<ProxyConfig, Error> {
    let Some(url) = &options.proxy_url else { return Ok(ProxyConfig::from_env()) };
    ProxyConfig::all(url.as_str()).map_err(|error| {
        Error::new(ErrorKind::InvalidConfiguration, format!("the proxy URL cannot be used: {error}"))
    })
}

/// Returns the certificates to trust: those in the file if there is one, and the system's otherwise.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfiguration`] naming the file and the first certificate that is broken. The SDK itself would
/// panic at the first connection.
pub(super) fn trust_store(ca_bundle: Option<&Path>) -> Result<TrustStore, Error> {
    let Some(path) = ca_bundle else { return Ok(system_trust_store()) };
    let invalid = |problem: String| {
        let text = format!("the CA bundle {} {problem}", path.display());
        Error::new(ErrorKind::InvalidConfiguration, text)
    };
    let bundle = std::fs::read(path).map_err(|error| unreadable("the CA bundle", path, &error))?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&bundle).enumerate() {
        let broken = |problem: String| {
            let place = match line_of_certificate(&bundle, index) {
                Some(line) => format!("certificate {} (line {line})", index + 1),
                None => format!("the text after certificate {index}"),
            };
            invalid(format!("is broken: {place}: {problem}; fix or remove it"))
        };
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("contains no PEM certificate".into()));
    }
    Ok(TrustStore::empty().with_pem_certificate(bundle))
}

/// Returns the certificates that the system trusts. The SDK's own loader cannot be used: it keeps its first result
/// forever, even if it found nothing because no file could be opened, and a fork during the load hangs the child.
fn system_trust_store() -> TrustStore {
    static SYSTEM: PerProcess<TrustStore> = PerProcess::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        let mut bundle = String::new();
        for certificate in rustls_native_certs::load_native_certs().certs {
            let text = base64::encode(&certificate);
            if roots.add(certificate).is_ok() {
                let _ = writeln!(bundle, "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----");
            }
        }
        if roots.is_empty() { Err(()) } else { Ok(TrustStore::empty().with_pem_certificate(bundle)) }
    };
    // Without any, only plain HTTP works: TLS fails with an unknown issuer.
    SYSTEM.get_or_try_make(load).cloned().unwrap_or_else(|()| TrustStore::empty())
}

/// Returns the line on which a certificate begins, counted from 1.
fn line_of_certificate(bundle: &[u8], index: usize) -> Option<usize> {
    let begins = |line: &[u8]| line.trim_ascii_start().starts_with(b"-----BEGIN CERTIFICATE-----");
    let mut lines = bundle.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| begins(line));
    lines.nth(index).map(|(line, _)| line + 1)
}

/// Creates a client with its own pool of connections.
pub(super) fn client(trust: TrustStore, proxy: ProxyConfig) -> SharedHttpClient {
    let client = HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        tls_connector(&trust, &proxy, settings, components)
    });
    SharedHttpClient::new(Bounded(client))
}

/// Creates a connector for single requests, without a pool.
pub(super) fn connector(trust: &TrustStore, proxy: &ProxyConfig) -> SharedHttpConnector {
    SharedHttpConnector::new(Bounded(SharedHttpConnector::new(tls_connector(trust, proxy, None, None))))
}

fn tls_connector(
    trust: &TrustStore,
    proxy: &ProxyConfig,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut connector = ConnectorBuilder::default().tls_provider(provider);
    // Set here, because the client's builder does not pass its own setting on to connectors made by a function.
    connector.set_pool_idle_timeout(Some(Some(IDLE)));
    if let Ok(context) = TlsContext::builder().with_trust_store(trust.clone()).build() {
        connector.set_tls_context(context);
    }
    connector.set_connector_settings(settings.cloned());
    connector.set_proxy_config(Some(proxy.clone()));
    if let Some(components) = components {
        connector.set_sleep_impl(components.sleep_impl());
    }
    connector.build()
}

/// Reads whole responses, of bounded size, into memory that is wiped when the SDK has parsed them.
#[derive(Debug)]
struct Bounded<T>(T);

impl HttpClient for Bounded<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded(self.0.http_connector(settings, components)))
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for Bounded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_batch = request.headers().get("x-amz-target") == Some("secretsmanager.BatchGetSecretValue");
        let most = if is_batch { MOST_FOR_BATCH } else { LARGEST_ANSWER };
        let _ = MISSED.try_with(Cell::take);
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = response.await.inspect_err(note_missed)?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from(whole(body, most).await?);
            Ok(response)
        })
    }
}

tokio::task_local! {
    /// Why the last attempt of a call got no answer.
    static MISSED: Cell<Option<Unreached>>;
}

/// Makes a call, and also returns why its last attempt got no answer, if that is known. If a call runs out of time
/// between two attempts, the SDK reports only the timeout. A watched call within another uses the outer one's note, so
/// that a caller that cuts the outer call short learns the reason.
pub(in crate::native) async fn watched<T>(call: impl Future<Output = T>) -> (T, Option<Unreached>) {
    let watched = async {
        let answer = call.await;
        (answer, MISSED.with(Cell::take))
    };
    match MISSED.try_with(|_| ()) {
        Ok(()) => watched.await,
        Err(_) => MISSED.scope(Cell::default(), watched).await,
    }
}

fn note_missed(error: &ConnectorError) {
    if !error.is_timeout() {
        let _ = MISSED.try_with(|missed| missed.set(Some(Unreached::of(error))));
    }
}

/// Reads a whole body into one piece of memory that is wiped.
async fn whole(body: SdkBody, most: usize) -> Result<Bytes, ConnectorError> {
    let too_large = || ConnectorError::other(TooLarge(most).into(), None);
    let announced = body.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut content = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(4 << 10)));
    let mut chunks = ByteStream::new(body);
    while let Some(chunk) = chunks.try_next().await.map_err(|error| ConnectorError::io(error.into()))? {
        let length = content.len() + chunk.len();
        if length > most {
            return Err(too_large());
        }
        if length > content.capacity() {
            // A vector that grows on its own leaves its old memory unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            larger.extend_from_slice(&content);
            content = larger;
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Bytes::from_owner(content))
}

/// The error for a response that is larger than any secret.
#[derive(Debug)]
pub(super) struct TooLarge(usize);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response is larger than {} bytes", self.0)
    }
}

impl StdError for TooLarge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_found_by_its_line() {
        let bundle = b"# a\n-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n\n-----BEGIN CERTIFICATE-----\n";
        assert_eq!(line_of_certificate(bundle, 0), Some(2));
        assert_eq!(line_of_certificate(bundle, 1), Some(6));
        assert_eq!(line_of_certificate(bundle, 2), None);
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_the_limit() {
        let body = |length: usize| SdkBody::from(vec![b'x'; length]);
        assert_eq!(whole(body(10), 10).await.unwrap().len(), 10);
        let error = whole(body(11), 10).await.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().is::<TooLarge>());
    }
}
