//! Delivers messages from the core's threads to the JavaScript of one environment.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use secretcache::host::OwnedSelector;
use secretcache::{Error, Event, Secret};

use crate::changes::Changes;
use crate::errors::Failure;
use crate::events::CacheEvent;
use crate::value::Version;

/// Calls one function of one environment, from any thread. It does not keep the process alive; the JavaScript side does
/// that while it waits for a result.
pub(crate) struct Sender(ThreadsafeFunction<Message, (), FnArgs<(Delivery,)>, Status, false, true>);

pub(crate) type Receiver<'env> = Function<'env, FnArgs<(Delivery,)>, ()>;

/// A message to JavaScript.
pub(crate) enum Message {
    /// The result of a read or a forced refresh.
    Version(u32, Result<Secret, Error>),
    /// The result of a prefetch.
    Prefetched(u32, Result<Vec<(String, Error)>, Error>),
    /// An event of a cached secret, and whether to warn about it.
    Event(Event, bool),
    /// A request for the program's client.
    Ask(Question),
}

/// A request for the program's client: for the value if there is a selector, otherwise for the description.
pub(crate) struct Question {
    pub(crate) number: u32,
    pub(crate) secret_id: String,
    pub(crate) selector: Option<OwnedSelector>,
}

impl Sender {
    pub(crate) fn new(receiver: &Receiver<'_>, changes: Changes) -> napi::Result<Self> {
        let function = receiver
            .build_threadsafe_function::<Message>()
            .weak::<true>()
            .callee_handled::<false>()
            .build_callback(move |context| Ok(FnArgs::from((Delivery::new(context.value, &changes),))))?;
        Ok(Self(function))
    }

    /// Sends a message. If the environment has ended, it is dropped.
    pub(crate) fn send(&self, message: Message) {
        self.0.call(message, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// A message to the package. Besides `number`, one field is set.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Delivery {
    /// The number that the package gave to the operation that has ended.
    pub number: u32,
    /// The version that was read or fetched.
    pub version: Option<Version>,
    /// The failure, if it could not be fetched.
    pub failure: Option<Failure>,
    /// The secrets that could not be prefetched.
    pub unfetched: Option<Vec<Unfetched>>,
    /// An event of a cached secret.
    pub event: Option<CacheEvent>,
    /// A request for the program's client.
    pub ask: Option<Ask>,
}

/// A secret that could not be prefetched, and why.
#[napi(object, object_from_js = false)]
pub struct Unfetched {
    pub secret_id: String,
    pub failure: Failure,
}

/// A request that the program's client must make.
#[napi(object, object_from_js = false)]
pub struct Ask {
    /// `GetSecretValue` or `DescribeSecret`.
    pub operation: String,
    pub secret_id: String,
    pub version_stage: Option<String>,
    pub version_id: Option<String>,
}

impl Delivery {
    fn new(message: Message, changes: &Changes) -> Self {
        let mut delivery = Self::default();
        match message {
            Message::Version(number, result) => {
                delivery.number = number;
                match result {
                    Ok(secret) => delivery.version = Some(Version::new(secret, changes)),
                    Err(error) => delivery.failure = Some(Failure::from(&error)),
                }
            }
            Message::Prefetched(number, result) => {
                delivery.number = number;
                match result {
                    Ok(unfetched) => {
                        delivery.unfetched = Some(unfetched.into_iter().map(Into::into).collect())
                    }
                    Err(error) => delivery.failure = Some(Failure::from(&error)),
                }
            }
            Message::Event(event, should_warn) => delivery.event = Some(CacheEvent::new(&event, should_warn)),
            Message::Ask(question) => {
                delivery.number = question.number;
                delivery.ask = Some(question.into());
            }
        }
        delivery
    }
}

impl From<(String, Error)> for Unfetched {
    fn from((secret_id, error): (String, Error)) -> Self {
        Self { secret_id, failure: Failure::from(&error) }
    }
}

impl From<Question> for Ask {
    fn from(question: Question) -> Self {
        let selector = question.selector.as_ref().map(OwnedSelector::as_selector);
        Self {
            operation: if selector.is_some() { "GetSecretValue" } else { "DescribeSecret" }.to_owned(),
            version_stage: selector.and_then(|selector| selector.as_stage().map(str::to_owned)),
            version_id: selector.and_then(|selector| selector.as_version_id().map(str::to_owned)),
            secret_id: question.secret_id,
        }
    }
}

/// A sender that the threads of the core share.
pub(crate) type SharedSender = Arc<Sender>;
