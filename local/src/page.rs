//! A page that shows secrets, requests and rotations: its files, its stream of server-sent events, and the request with
//! which it reads a value.
//!
//! The page loads nothing from other sites and runs only its own scripts (`Content-Security-Policy`). The stream
//! contains no values. From a browser, a value is returned only to a request sent by a script of this page.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame};
use hyper::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};

use crate::answers::{json, response};
use crate::engine::Engine;
use crate::guard;
use crate::stop::stopped;
use crate::story::Notification;
use crate::value::Encoded;

/// The path of the stream of events.
pub(crate) const FEED: &str = "/_page/feed";

const VALUE: &str = "/_page/value";

/// The files of the page: path, content type and content.
const FILES: &[(&str, &str, &str)] = &[
    ("/_page/main.js", JAVASCRIPT, include_str!("page/main.js")),
    ("/_page/state.js", JAVASCRIPT, include_str!("page/state.js")),
    ("/_page/dom.js", JAVASCRIPT, include_str!("page/dom.js")),
    ("/_page/secrets.js", JAVASCRIPT, include_str!("page/secrets.js")),
    ("/_page/rotation.js", JAVASCRIPT, include_str!("page/rotation.js")),
    ("/_page/requests.js", JAVASCRIPT, include_str!("page/requests.js")),
    ("/_page/faults.js", JAVASCRIPT, include_str!("page/faults.js")),
    ("/_page/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/_page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Answers a request for the page or a part of it; returns `None` if it is for something else.
pub(crate) fn respond(
    engine: &Engine,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Response<Full<Bytes>>> {
    let is_reading = matches!(*method, Method::GET | Method::HEAD);
    if path == "/" && is_reading && wants_html(headers) {
        return Some(file("text/html; charset=utf-8", include_str!("page/index.html")));
    }
    if let Some((_, kind, content)) = FILES.iter().find(|(known, ..)| *known == path && is_reading) {
        return Some(file(kind, content));
    }
    (path == VALUE && *method == Method::POST).then(|| {
        if let Err(reason) = guard::check_own_page(headers) {
            return json(StatusCode::FORBIDDEN, &json!({ "error": reason }));
        }
        match value(engine, body) {
            Some(value) => json(StatusCode::OK, &value),
            None => json(StatusCode::NOT_FOUND, &json!({ "error": "there is no such value" })),
        }
    })
}

/// Returns the stream of events: the complete state first, then each change as it happens.
pub(crate) fn feed(engine: Arc<Engine>, has_control: bool, mut stop: watch::Receiver<bool>) -> Feed {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut notifications = engine.story.listen();
        let mut next = message("everything", &everything(&engine, has_control));
        // A reader that disconnected is noticed at the next message at the latest.
        while sender.send(next).await.is_ok() {
            next = tokio::select! {
                received = notifications.recv() => match received {
                    Ok(Notification::Event(event, data)) => message(event, &data),
                    Ok(Notification::Reload) | Err(RecvError::Lagged(_)) => {
                        message("everything", &everything(&engine, has_control))
                    }
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep(REMINDER) => Bytes::from_static(b": still here\n\n"),
                () = sender.closed() => break,
                () = stopped(&mut stop) => break,
            };
        }
    });
    Feed(receiver)
}

/// A response body that ends when the server stops or the reader disconnects.
pub(crate) struct Feed(mpsc::Receiver<Bytes>);

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn message(event: &str, data: &str) -> Bytes {
    format!("event: {event}\ndata: {data}\n\n").into()
}

/// Returns the complete state, which a page shows first.
fn everything(engine: &Engine, has_control: bool) -> String {
    let (requests, rotations) = engine.story.latest_json();
    let (secrets, clock, faults) = (engine.secrets_json(), engine.clock_json(), engine.faults_json());
    let (secrets, faults) = (&secrets["secrets"], &faults["faults"]);
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{{\"version\":\"{version}\",\"control\":{has_control},\"clock\":{clock},\"faults\":{faults},\
         \"secrets\":{secrets},\"requests\":{requests},\"rotations\":{rotations}}}"
    )
}

fn value(engine: &Engine, body: &[u8]) -> Option<serde_json::Value> {
    #[derive(Deserialize)]
    struct Wanted {
        arn: String,
        version_id: String,
    }
    let Wanted { arn, version_id } = serde_json::from_slice(body).ok()?;
    engine.with_store(|store, now| {
        let (_, secret) = store.all().find(|(_, secret)| secret.arn == arn && !secret.is_gone(now))?;
        let value = secret.version(&version_id)?.value.as_ref()?;
        let binary = || value.as_binary().map(|bytes| json!({ "binary": Encoded(bytes) }));
        value.as_text().map(|text| json!({ "string": text })).or_else(binary)
    })
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/html"))
}

fn file(kind: &'static str, content: &'static str) -> Response<Full<Bytes>> {
    let mut response = response(StatusCode::OK, kind, content.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
    response
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The interval at which a stream without events sends a comment to keep the connection open.
const REMINDER: Duration = Duration::from_secs(15);
