//! The program's own client as a source: the core decides what to request, and the client's thread makes the request.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use secretcache::host::{DescribeAnswer, ErrorExt as _, OwnedSelector};
use secretcache::{
    BoxFuture, Description, Error, ErrorKind, Fetched, SecretSource, Selector, ServiceFault, Value,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::delivery::{Message, Question, SharedSender};
use crate::errors::{HostError, kind_named};
use crate::settings::span;

/// How long a client may take for a request, which then counts as failed. The AWS SDK for JavaScript has no limit
/// unless one is set.
const LIMIT: Duration = Duration::from_secs(10);

/// The requests in progress.
#[derive(Clone)]
pub(crate) struct Client {
    sender: SharedSender,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u32,
    answers: HashMap<u32, oneshot::Sender<Result<Reply, Error>>>,
}

/// The response of the client.
pub(crate) enum Reply {
    Value(Fetched),
    Description(Description),
}

impl Client {
    pub(crate) fn new(sender: SharedSender) -> Self {
        Self { sender, waiting: Arc::default() }
    }

    /// Completes a request. A response to a request that nothing waits for is dropped.
    pub(crate) fn answer(&self, number: u32, answer: Result<Reply, Error>) {
        if let Some(sender) = self.lock().answers.remove(&number) {
            let _nobody_waits = sender.send(answer);
        }
    }

    async fn ask(&self, secret_id: &str, selector: Option<Selector<'_>>) -> Result<Reply, Error> {
        let (answer, receiver) = oneshot::channel();
        let number = {
            let mut waiting = self.lock();
            waiting.last = waiting.last.wrapping_add(1);
            let number = waiting.last;
            waiting.answers.insert(number, answer);
            number
        };
        let _forget = Forget { client: self, number };
        let (secret_id, selector) = (secret_id.to_owned(), selector.map(OwnedSelector::from));
        self.sender.send(Message::Ask(Question { number, secret_id, selector }));
        match timeout(LIMIT, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                Err(Error::new(ErrorKind::Closed, "the thread that the client belongs to has ended"))
            }
            Err(_) => {
                let text = format!("the client did not answer within {} s", LIMIT.as_secs());
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a request when its future is dropped.
struct Forget<'a> {
    client: &'a Client,
    number: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.client.lock().answers.remove(&self.number);
    }
}

impl SecretSource for Client {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        Box::pin(async move {
            match self.ask(id, None).await? {
                Reply::Description(description) => Ok(description),
                Reply::Value(_) => Err(unexpected_response()),
            }
        })
    }

    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            match self.ask(id, Some(selector)).await? {
                Reply::Value(fetched) => Ok(fetched),
                Reply::Description(_) => Err(unexpected_response()),
            }
        })
    }
}

fn unexpected_response() -> Error {
    Error::new(ErrorKind::InvalidResponse, "the client returned the response to another request")
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The response of a client to `GetSecretValue`.
#[napi(object, object_to_js = false)]
pub struct ClientValue {
    pub arn: Option<String>,
    pub name: Option<String>,
    pub version_id: Option<String>,
    pub version_stages: Vec<String>,
    pub created_ms: Option<f64>,
    pub string: Option<String>,
    pub binary: Option<Buffer>,
}

impl From<ClientValue> for Fetched {
    fn from(value: ClientValue) -> Self {
        let mut fetched = Self::default();
        fetched.arn = value.arn;
        fetched.name = value.name;
        fetched.version_id = value.version_id;
        fetched.version_stages = value.version_stages;
        if let Some(created) = value.created_ms {
            fetched.created_at_epoch(created / 1000.0);
        }
        fetched.value = match (value.string, value.binary) {
            (Some(string), _) => Value::String(string.into()),
            (None, Some(binary)) => Value::Binary(binary.to_vec().into()),
            (None, None) => Value::Absent,
        };
        fetched
    }
}

/// The response of a client to `DescribeSecret`.
#[napi(object, object_to_js = false)]
pub struct ClientDescription {
    pub arn: Option<String>,
    pub version_ids: Vec<String>,
    /// The staging labels of each version, in the order of `version_ids`.
    pub version_stages: Vec<Vec<String>>,
    /// Whether the response has a `DeletedDate`.
    pub is_deleted: bool,
    pub rotation_enabled: Option<bool>,
    /// Milliseconds since the Unix epoch, like `last_rotated_ms`.
    pub next_rotation_ms: Option<f64>,
    pub last_rotated_ms: Option<f64>,
    /// `ScheduleExpression` of `RotationRules`.
    pub schedule_expression: Option<String>,
    /// `Duration` of `RotationRules`.
    pub duration: Option<String>,
}

impl From<ClientDescription> for Description {
    fn from(described: ClientDescription) -> Self {
        let date = |since_epoch: f64| SystemTime::UNIX_EPOCH.checked_add(span(since_epoch));
        Self::from_service(DescribeAnswer {
            arn: described.arn,
            versions: described.version_ids.into_iter().zip(described.version_stages).collect(),
            is_deleted: described.is_deleted,
            rotation_enabled: described.rotation_enabled,
            next_rotation_date: described.next_rotation_ms.and_then(date),
            last_rotated_date: described.last_rotated_ms.and_then(date),
            schedule_expression: described.schedule_expression,
            duration: described.duration,
        })
    }
}

/// A failure of a client.
#[napi(object, object_to_js = false)]
pub struct ClientFailure {
    /// `GetSecretValue` or `DescribeSecret`.
    pub operation: String,
    /// The service's error code, if the service responded.
    pub code: Option<String>,
    /// The core's kind of error, if the failure has one.
    pub kind: Option<String>,
    pub message: String,
    pub http_status: Option<u16>,
    pub request_id: Option<String>,
    /// The number under which the package keeps the client's error.
    pub host_error: Option<u32>,
}

impl From<ClientFailure> for Error {
    fn from(failure: ClientFailure) -> Self {
        let ClientFailure { operation, code, kind, message, http_status, request_id, host_error } = failure;
        let of_service = |code: &str| ErrorKind::from_service(code, &message, http_status);
        let kind = kind.as_deref().map(kind_named).or(code.as_deref().map(of_service));
        let mut error = Self::new(kind.unwrap_or(ErrorKind::Source), message.as_str());
        if let Some(code) = code {
            let operation = if operation == "DescribeSecret" { "DescribeSecret" } else { "GetSecretValue" };
            let mut fault = ServiceFault::new(operation, code, message);
            if let Some(status) = http_status {
                fault = fault.with_response(status, request_id);
            }
            error = error.with_fault(fault);
        }
        match host_error {
            Some(number) => error.with_host(Box::new(HostError(number))),
            None => error,
        }
    }
}
