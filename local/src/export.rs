//! Exports the secrets of a running endpoint, or of a data file, as a seed file.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::guard::CONTROL_HEADER;
use crate::journal::{self, DataError};
use crate::seed;
use crate::store::Store;
use crate::tls;

/// An error of an export.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The data file cannot be read.
    #[error("the data file {path}: {source}")]
    Data {
        /// The path of the file.
        path: String,
        /// The reason.
        source: DataError,
    },
    /// The running endpoint did not return its secrets.
    #[error("{url}: {reason}")]
    Endpoint {
        /// The URL of the endpoint.
        url: String,
        /// What went wrong, and how to fix it.
        reason: String,
    },
    /// The endpoint did not respond. It may do so later.
    #[error("{url}: {reason}")]
    Unreachable {
        /// The URL of the endpoint.
        url: String,
        /// What went wrong, and what to check.
        reason: String,
    },
}

/// Exports a data file as a seed file in JSON, which contains the values in plain text. An endpoint can have the data
/// file open.
///
/// # Errors
/// The file cannot be read or is not a data file.
pub fn export_data(path: &Path) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let (mut store, now) = (Store::new(false), Clock::default().now());
    journal::read(path, &mut store, now)
        .map_err(|source| ExportError::Data { path: path.display().to_string(), source })?;
    Ok(Zeroizing::new(seed::export(&store, now)))
}

/// Exports the secrets of a running endpoint as a seed file in JSON, which contains the values in plain text. The
/// endpoint must have been started with `--control`. With HTTPS, its certificate must be signed by an authority in the
/// file `authorities`, or by one that the system trusts.
///
/// # Errors
/// The endpoint is unreachable or does not return its secrets.
pub async fn export_running(
    url: &str,
    authorities: Option<&Path>,
) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let failed = |reason: String| ExportError::Endpoint { url: url.to_owned(), reason };
    let unreachable = |reason: String| ExportError::Unreachable { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| failed("it is not a URL".to_owned()))?;
    let is_https = uri.scheme_str() == Some("https");
    let authority = uri.authority().filter(|_| is_https || uri.scheme_str() == Some("http"));
    let authority =
        authority.ok_or_else(|| failed("its URL must begin with http:// or https://".to_owned()))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let connector = is_https.then(|| tls::connector(authorities)).transpose().map_err(failed)?;
    let request = Request::get("/_control/export")
        .header(HOST, authority.as_str())
        .header(CONTROL_HEADER, "export")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let asked = async {
        let stream = TcpStream::connect((host, port)).await?;
        let Some(connector) = connector else { return exchange(stream, request).await };
        exchange(connector.connect(ServerName::try_from(host.to_owned())?, stream).await?, request).await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((StatusCode::OK, body))) => Ok(Zeroizing::new(body.to_vec())),
        Ok(Ok((StatusCode::NOT_FOUND, _))) => Err(failed(
            "it was started without --control; restart it with --control, or export its data file with --data"
                .to_owned(),
        )),
        Ok(Ok((status, _))) => Err(failed(format!("it answered with status {}", status.as_u16()))),
        Ok(Err(error)) if error.to_string().contains("CaUsedAsEndEntity") => Err(failed(
            "it uses the certificate of a certificate authority (CA:TRUE), which is not allowed for a server; create one with the extension basicConstraints=CA:FALSE, and pass it, or the authority that signed it, with --ca-file"
                .to_owned(),
        )),
        Ok(Err(error)) if is_of_tls(&*error) => Err(failed(format!(
            "TLS with it failed ({error}); pass the authority of its certificate with --ca-file, or use http:// if it has none"
        ))),
        Ok(Err(error)) => {
            Err(unreachable(format!("it is unreachable ({error}); is secretcache local running there?")))
        }
        Err(_) => Err(unreachable(format!("it did not answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Whether the handshake of TLS failed: rustls reports that as invalid data.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let talking = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    talking.abort();
    Ok((head.status, body))
}

const PATIENCE: Duration = Duration::from_secs(30);
