//! A seed file of what an endpoint holds: of one that is running, or of its data file.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::guard::CONTROL_HEADER;
use crate::journal::{self, DataError};
use crate::seed;
use crate::store::Store;

/// Why there is no seed file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The data file cannot be read.
    #[error("the data file {path}: {source}")]
    Data {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: DataError,
    },
    /// The running endpoint did not give one.
    #[error("{url}: {reason}")]
    Endpoint {
        /// Its URL.
        url: String,
        /// What went wrong, and what to do.
        reason: String,
    },
}

/// What a data file holds, as a seed file in JSON; also while an endpoint has it open. It holds the values in the clear.
///
/// # Errors
/// The file cannot be read, or is no data file.
pub fn export_data(path: &Path) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let (mut store, now) = (Store::new(false), Clock::default().now());
    journal::read(path, &mut store, now)
        .map_err(|source| ExportError::Data { path: path.display().to_string(), source })?;
    Ok(Zeroizing::new(seed::export(&store, now)))
}

/// What a running endpoint holds, as a seed file in JSON. It must have been started with `--control`, and speak HTTP.
///
/// # Errors
/// Nobody answers there, or it does not give what it holds away.
pub async fn export_running(url: &str) -> Result<Zeroizing<Vec<u8>>, ExportError> {
    let failed = |reason: String| ExportError::Endpoint { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|_| failed("it is not a URL".to_owned()))?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(|| {
        failed("its URL must begin with http://; export the data file with --data".to_owned())
    })?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let request = Request::get("/_control/export")
        .header(HOST, authority.as_str())
        .header(CONTROL_HEADER, "export")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let asked = async {
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let talking = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        talking.abort();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head.status, body))
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((StatusCode::OK, body))) => Ok(Zeroizing::new(body.to_vec())),
        Ok(Ok((StatusCode::NOT_FOUND, _))) => Err(failed(
            "it was started without --control; start it with that, or export its data file with --data"
                .to_owned(),
        )),
        Ok(Ok((status, _))) => Err(failed(format!("it answered with status {}", status.as_u16()))),
        Ok(Err(error)) => {
            Err(failed(format!("it cannot be asked ({error}); is secretcache local running there?")))
        }
        Err(_) => Err(failed(format!("it did not answer within {} s", PATIENCE.as_secs()))),
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
