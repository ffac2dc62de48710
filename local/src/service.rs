//! Handles one HTTP request: control paths, active faults, and the operation itself.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use crate::answers::{json, plain, response, response_with};
use crate::connection::ConnectionKiller;
use crate::control;
use crate::engine::Engine;
use crate::error::{ErrorCode, ServiceError};
use crate::extension;
use crate::faults::Effect;
use crate::guard::{self, Guard};
use crate::localstack;
use crate::log::Log;
use crate::neighbours;
use crate::options::{Extension, Options};
use crate::page::{self, Feed};
use crate::protocol::{self, Answering, CutOff, Envelope, Reply};
use crate::requests::{self, RequestLine, Subject};
use crate::rotator::functions::Invoker;
use crate::stop::stopped;

/// State shared by all connections.
pub(crate) struct Service {
    engine: Arc<Engine>,
    invoker: Arc<Invoker>,
    guard: Guard,
    has_control: bool,
    extension: Option<Extension>,
    log: Option<Log>,
    stop: watch::Sender<bool>,
}

impl Service {
    pub(crate) fn new(
        engine: Arc<Engine>,
        invoker: Arc<Invoker>,
        options: &Options,
        stop: watch::Sender<bool>,
    ) -> Self {
        Self {
            engine,
            invoker,
            guard: Guard::new(&options.host, &options.accepted_hosts),
            has_control: options.control,
            extension: options.extension.clone(),
            log: options.log.clone(),
            stop,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        killer: &ConnectionKiller,
    ) -> Result<Response<Either<Full<Bytes>, Feed>>, CutOff> {
        let (head, body) = request.into_parts();
        if let Err(reason) = self.guard.check(&head.uri, &head.headers) {
            let request = format_args!("{} {}", head.method, head.uri.path());
            self.note_other(request, "forbidden", Some(&reason));
            return Ok(forbidden(&reason).map(Either::Left));
        }
        if head.method == Method::GET && head.uri.path() == page::FEED {
            let feed = page::feed(Arc::clone(&self.engine), self.has_control, self.stop.subscribe());
            return Ok(response_with("text/event-stream", Either::Right(feed)));
        }
        Ok(self.whole(head, body, killer).await?.map(Either::Left))
    }

    /// Answers a request with a complete response rather than a stream.
    async fn whole(
        &self,
        head: Parts,
        body: Incoming,
        killer: &ConnectionKiller,
    ) -> Result<Response<Full<Bytes>>, CutOff> {
        let body = match Limited::new(body, MOST_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let text = "The request is larger than Secrets Manager accepts.\n";
                return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            Err(error) => {
                let text = format!("The body of the request cannot be read: {error}.\n");
                return Ok(plain(StatusCode::BAD_REQUEST, &text));
            }
        };
        let path = head.uri.path();
        if self.has_control && path.starts_with(control::PREFIX) {
            if !guard::is_deliberate(&head.method, &head.headers) {
                let error = format!(
                    "Send control requests with Content-Type: application/json or with the header {}.",
                    guard::CONTROL_HEADER
                );
                return Ok(json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &serde_json::json!({ "error": error })));
            }
            let (status, answer) = control::respond(&self.engine, &head.method, path, &body).await;
            return Ok(json(status, &answer));
        }
        // For handlers that return a secret in another service's format: the read is subject to the same faults as a
        // GetSecretValue.
        let caller = &head.headers;
        let read = |request: Value| -> Answering<'_> {
            Box::pin(async move {
                let headers = protocol::headers_for("GetSecretValue", caller);
                self.operation(&headers, request.to_string().into(), killer).await
            })
        };
        if let Some(extension) = self.extension.as_ref().filter(|_| extension::serves(path)) {
            let token = head.headers.get(extension::TOKEN_HEADER).and_then(|token| token.to_str().ok());
            let (is_get, query) = (head.method == Method::GET, head.uri.query().unwrap_or_default());
            let extension::Answer(status, body) =
                extension::answer(extension, is_get, path, query, token, &read).await?;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            self.note_other(format_args!("{} {path}", head.method), status.as_str(), None);
            return Ok(response(status, "application/json", body));
        }
        if let Some(answer) = localstack::answer(path, self.engine.now()) {
            return Ok(json(StatusCode::OK, &answer));
        }
        if let Some(answer) = page::respond(&self.engine, &head.method, path, &head.headers, &body) {
            return Ok(answer);
        }
        let envelope = Envelope::of(&head.headers);
        if let Some(reply) = neighbours::answer(&self.engine, &envelope, path, &body, &read).await? {
            let outcome = reply.error.unwrap_or("ok");
            match envelope.target {
                Some(target) => self.note_other(format_args!("{target}"), outcome, None),
                None => self.note_other(format_args!("{} {path}", head.method), outcome, None),
            }
            return Ok(amazon(reply));
        }
        match (head.method, path) {
            (Method::POST, "/") => Ok(amazon(self.operation(&head.headers, body, killer).await?)),
            // Clients and health checks send HEAD to see whether the endpoint is up.
            (Method::GET | Method::HEAD, "/") => Ok(plain(StatusCode::OK, ABOUT)),
            (method, path) => {
                let starts_control = !self.has_control && path.starts_with(control::PREFIX);
                let why = starts_control.then_some("start it with --control for these paths");
                self.note_other(format_args!("{method} {path}"), "not found", why);
                let about = why.map_or_else(|| ABOUT.to_owned(), |why| format!("{why}\n"));
                Ok(plain(StatusCode::NOT_FOUND, &about))
            }
        }
    }

    async fn operation(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        killer: &ConnectionKiller,
    ) -> Result<Reply, CutOff> {
        let envelope = &Envelope::of(headers);
        let verdict = self.engine.judge(envelope, &body);
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        if verdict.applied && verdict.effect.is_some() {
            // The operation takes effect; only its response is lost.
            let _ = self.answer(headers, body.clone(), None).await;
        }
        let reply = match verdict.effect {
            None => self.answer(headers, body.clone(), None).await,
            Some(Effect::Stale { seconds }) => self.answer(headers, body.clone(), Some(seconds)).await,
            Some(Effect::Throttle) => {
                Reply::error(&ServiceError::new(ErrorCode::Throttling, "Rate exceeded"))
            }
            Some(Effect::Deny) => Reply::error(&self.engine.denied(envelope, &body)),
            Some(Effect::Error { r#type, message, status }) => {
                self.note(envelope, &body, &r#type);
                let body = serde_json::json!({ "__type": r#type, "Message": message }).to_string();
                return Ok(Reply { status, ..Reply::ok(body.into()) });
            }
            Some(Effect::Malformed) => {
                self.note(envelope, &body, "malformed");
                return Ok(Reply::ok(b"{\"ARN\": \"arn:aws:secretsma".to_vec()));
            }
            Some(Effect::Reset) => {
                self.note(envelope, &body, "reset");
                killer.kill();
                return Err(CutOff);
            }
            Some(Effect::Hang) => {
                self.note(envelope, &body, "hang");
                stopped(&mut self.stop.subscribe()).await;
                return Err(CutOff);
            }
        };
        self.note(envelope, &body, reply.error.unwrap_or("ok"));
        Ok(reply)
    }

    async fn answer(&self, headers: &HeaderMap, body: Bytes, stale: Option<f64>) -> Reply {
        if stale.is_none()
            && let Some(answer) = self.engine.try_read(&Envelope::of(headers), &body)
        {
            return answer.unwrap_or_else(|error| Reply::error(&error));
        }
        if let Some(function) = self.engine.function_to_invoke(&Envelope::of(headers), &body)
            && let Err(error) = self.invoker.check(&function).await
        {
            return Reply::error(&error);
        }
        let headers = headers.clone();
        let run = move |engine: &Engine| engine.answer(&Envelope::of(&headers), &body, stale);
        self.engine.run(run).await.unwrap_or_else(|error| Reply::error(&error))
    }

    /// Counts a request and logs a line about it.
    fn note(&self, envelope: &Envelope<'_>, body: &[u8], outcome: &str) {
        self.engine.count(envelope, outcome);
        let scope = self.engine.scope_of(envelope);
        let subject = Subject::of(body);
        let is_missing = outcome == ErrorCode::ResourceNotFound.name();
        let why = is_missing.then(|| {
            self.engine.with_store(|store, now| requests::why_missing(store, &scope, &subject, now))
        });
        let line = RequestLine {
            time: self.engine.now(),
            account: &scope.account,
            region: &scope.region,
            operation: envelope.operation().unwrap_or("?"),
            subject,
            outcome,
            why: why.flatten(),
        };
        self.engine.story.request(&line);
        self.write(&line);
    }

    /// Logs a line about a request that is not a Secrets Manager operation.
    fn note_other(&self, operation: fmt::Arguments<'_>, outcome: &str, why: Option<&str>) {
        if self.log.is_none() {
            return;
        }
        let scope = self.engine.scope_of(&Envelope::default());
        self.write(&RequestLine {
            time: self.engine.now(),
            account: &scope.account,
            region: &scope.region,
            operation: &operation.to_string(),
            subject: Subject::default(),
            outcome,
            why: why.map(str::to_owned),
        });
    }

    fn write(&self, line: &RequestLine<'_>) {
        if let Some(log) = &self.log {
            log.line(&if log.is_json() { line.json() } else { line.text() });
        }
    }
}

/// Converts a reply to an SDK into an HTTP response.
fn amazon(reply: Reply) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, reply.content_type, reply.body)
}

/// Returns a 403 response that both SDKs and people can read.
fn forbidden(reason: &str) -> Response<Full<Bytes>> {
    json(StatusCode::FORBIDDEN, &serde_json::json!({ "__type": "AccessDeniedException", "Message": reason }))
}

/// The size limit of a request. A secret of 64 KiB takes at most six times that in JSON; the rest leaves room for
/// values that are far too large, so that they get the service's own error message.
const MOST_BYTES: usize = 8 * 1024 * 1024;

const ABOUT: &str = "secretcache local: an AWS Secrets Manager endpoint for development. \
                     Point AWS_ENDPOINT_URL_SECRETS_MANAGER here and use any AWS SDK or the aws command line. \
                     Open this address in a browser to see secrets, requests and rotations.\n";
