//! A small HTTP client: one request, one response.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::description::Method;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::targets::tls::not_trusted;
use crate::targets::{Route, SystemRoute, Tls, within};

/// The time limit of a request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// The size limit of a response, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Sends each request over a new connection. Does not follow redirects, so that the key is sent only where the
/// description says.
#[derive(Clone, Debug)]
pub(in crate::targets) struct Client {
    tls: Tls,
    route: Arc<dyn Route>,
}

/// A response.
pub(in crate::targets) struct Answer {
    pub(in crate::targets) status: u16,
    /// Scheme, host and port of the request.
    pub(super) origin: String,
    /// The URL of the next page, from the header `Link`.
    pub(super) next_link: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

impl Client {
    pub(in crate::targets) fn new(tls: Tls) -> Self {
        Self { tls, route: Arc::new(SystemRoute) }
    }

    /// Returns this client with another route to its servers.
    pub(in crate::targets) fn via(self, route: Arc<dyn Route>) -> Self {
        Self { route, ..self }
    }

    pub(in crate::targets) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, Zeroizing<String>)],
        body: Option<Zeroizing<String>>,
    ) -> Result<Answer, Error> {
        let wrong = |what: &str| Error::new(ErrorKind::Misconfigured, format!("the provider's {what}"));
        let uri: Uri = url.parse().map_err(|_| wrong("address is not a valid URL"))?;
        let host = uri.host().ok_or_else(|| wrong("address has no host"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("address is neither https nor http")),
        };
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        // An https URL uses TLS even for a server on this host.
        let wanted = Document::parse(if is_tls { r#"{"ssl":true}"# } else { "{}" })?;
        let addresses = within(TIMEOUT, "resolving the host name", self.route.addresses(host, port)).await?;
        let tls = self.tls.trust(&wanted, &addresses).map(|trust| Arc::clone(&trust.config));
        if !is_tls && tls.is_some() {
            return Err(wrong("address is not https, and keys are only sent over TLS"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = hyper::Request::builder().method(method.name()).uri(path);
        request = request.header(HOST, uri.authority().map_or(host, |authority| authority.as_str()));
        request = request.header(USER_AGENT, "secretcache-rotation");
        if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            let name: HeaderName =
                name.parse().map_err(|_| wrong("description has an invalid header name"))?;
            let mut value: HeaderValue =
                value.parse().map_err(|_| wrong("description has a header with an invalid value"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let scheme = if is_tls { "https" } else { "http" };
        let origin = format!("{scheme}://{}", uri.authority().map_or(host, |authority| authority.as_str()));
        let body = body.map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.as_bytes()));
        let request = request.body(Full::new(body)).map_err(|_| wrong("request is invalid"))?;

        let answer = within(TIMEOUT, "the provider's answer", async {
            let stream = TcpStream::connect(addresses.as_slice()).await.map_err(lost)?;
            match tls.filter(|_| is_tls) {
                None => exchange(stream, request).await,
                Some(config) => {
                    let name = ServerName::try_from(host.to_owned())
                        .map_err(|_| wrong("host is not a host name"))?;
                    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(lost)?;
                    exchange(stream, request).await
                }
            }
        });
        answer.await.map(|answer| Answer { origin, ..answer })
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: hyper::Request<Full<Bytes>>,
) -> Result<Answer, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(lost)?;
    let status = answer.status().as_u16();
    let links = answer.headers().get_all("link").iter().filter_map(|link| link.to_str().ok());
    let next_link = links.flat_map(|links| links.split(',')).find_map(next);
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, "the provider's response was cut off or is too long")
            .with_source(error)
    })?;
    Ok(Answer { status, origin: String::new(), next_link, body: Zeroizing::new(body.to_bytes().to_vec()) })
}

/// Returns the URL of a link, if it is to the next page.
fn next(link: &str) -> Option<String> {
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next")).then(|| url.to_owned())
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    not_trusted(&error).filter(|error| error.kind() == ErrorKind::Untrusted).unwrap_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the provider is unreachable").with_source(error)
    })
}

impl Answer {
    /// Returns this response with the status of a refused credential.
    pub(super) fn refused(self) -> Self {
        Self { status: 401, ..self }
    }

    /// Checks whether the body contains a text.
    pub(in crate::targets) fn says(&self, text: &str) -> bool {
        self.body.windows(text.len().max(1)).any(|part| part == text.as_bytes())
    }

    /// Returns the response if it is a success, or an error. The error leaves out the provider's text, which could
    /// quote a key.
    pub(in crate::targets) fn succeeded(self, what: &str) -> Result<Self, Error> {
        let kind = match self.status {
            200..300 => return Ok(self),
            401 | 403 => ErrorKind::Refused,
            _ => ErrorKind::Unavailable,
        };
        Err(Error::new(kind, format!("the provider answered {} when asked to {what}", self.status)))
    }

    pub(in crate::targets) fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Error::new(ErrorKind::Unavailable, "the provider's response is not JSON"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}
