//! Staying connected while a secret rotates: the driver of a [`ConnectAttempt`].

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::clock::SystemClock;
use super::handle::Handle;
use super::request::Request;
use super::runtime;
use super::wait::{forbid_own_thread, wait_for};
use crate::cache::cache::Cache;
use crate::connect::attempt::{Action, ConnectAttempt};
use crate::connect::credential::Credential;
use crate::connect::failure::{ConnectFailure, RejectedVersion};
use crate::error::{Error, ErrorKind};
use crate::id::{Selector, Stage};
use crate::secret::Secret;

/// A connection to make with a credential that may be rotating; see
/// [`SecretCache::connect`](super::SecretCache::connect).
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Connect<'a> {
    cache: &'a Handle,
    id: &'a str,
    timeout: Duration,
    stages: &'a [Stage],
}

impl<'a> Connect<'a> {
    pub(super) fn new(cache: &'a Handle, id: &'a str) -> Self {
        Self { cache, id, timeout: Duration::from_secs(30), stages: &Stage::ALL }
    }

    /// How long to try. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The staging labels to try, in this order. Default: [`Stage::ALL`].
    pub fn stages(mut self, stages: &'a [Stage]) -> Self {
        self.stages = stages;
        self
    }

    /// Connects, on any executor. `is_rejected` says whether an error means that the login is refused. When the time is
    /// up, a login in progress is dropped.
    ///
    /// `connect` takes the credential by value, so that its future can move between threads, as pools and
    /// `tokio::spawn` require.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn run<C, E, F>(
        self,
        mut connect: impl FnMut(Credential) -> F,
        is_rejected: impl Fn(&E) -> bool,
    ) -> Result<C, ConnectError<E>>
    where
        F: Future<Output = Result<C, E>>,
    {
        let Self { cache, id, timeout, stages } = self;
        let mut attempt = {
            let inner = cache.inner().map_err(ConnectError::Secret)?;
            ConnectAttempt::new(&inner.cache, id, stages, timeout, SystemClock::now())
        };
        let mut last = None;
        loop {
            match attempt.next(SystemClock::now()) {
                Action::Try(secret, stage) => {
                    let credential = Credential::new(secret.clone(), stage).map_err(ConnectError::Secret)?;
                    let remaining = attempt.remaining(SystemClock::now());
                    match within(remaining, connect(credential)).await {
                        Some(Ok(connection)) => {
                            attempt.accepted(&secret);
                            return Ok(connection);
                        }
                        Some(Err(error)) if is_rejected(&error) => {
                            attempt.rejected(&secret, stage, SystemClock::now());
                            last = Some(error);
                        }
                        Some(Err(error)) => return Err(ConnectError::Resource(error)),
                        None => break, // it hangs, and the time is up
                    }
                }
                Action::Read(stage) => {
                    let result = Request::new(cache, id).selector(stage.into()).await;
                    attempt.read(stage, result.err(), SystemClock::now());
                }
                Action::Refresh(stage) => {
                    let result = recheck(cache, id, stage).await;
                    attempt.read(stage, result.err(), SystemClock::now());
                }
                Action::Wait(span) => sleep(span).await,
                Action::Stop => break,
            }
        }
        Err(match attempt.failure() {
            ConnectFailure::Rejected { tried, text } => ConnectError::Rejected { last, tried, text },
            ConnectFailure::Secret(error) => ConnectError::Secret(error),
        })
    }

    /// Connects on this thread. It cannot interrupt a login that hangs: give your function its own time limit.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn wait<C, E>(
        self,
        mut connect: impl FnMut(&Credential) -> Result<C, E>,
        is_rejected: impl Fn(&E) -> bool,
    ) -> Result<C, ConnectError<E>> {
        forbid_own_thread().map_err(ConnectError::Secret)?;
        let mut connecting =
            Box::pin(self.run(|credential| std::future::ready(connect(&credential)), is_rejected));
        wait_for(&mut connecting, None).unwrap_or_else(|| {
            Err(ConnectError::Secret(Error::new(ErrorKind::Internal, "a wait without a limit has ended")))
        })
    }
}

/// Carries out the [`Action::Refresh`] of an attempt.
async fn recheck(cache: &Handle, id: &str, stage: Stage) -> Result<Secret, Error> {
    cache.start_asking(id, Selector::from(stage), Cache::recheck)?.await
}

/// Returns a future's output, or `None` if it takes longer than `span`.
async fn within<F: Future>(span: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // Most logins of blocking callers finish at the first poll, and need no timer.
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    if let Poll::Ready(output) = first {
        return Some(output);
    }
    let mut timer = pin!(sleep(span));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Sleeps on our own runtime, because the caller may run on any.
async fn sleep(span: Duration) {
    if let Ok(handle) = runtime::handle() {
        let _ended = handle.spawn(async move { tokio::time::sleep(span).await }).await;
    }
}

/// Why no connection was made. `E` is the error of the login function.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError<E> {
    /// The login was refused with every version.
    Rejected {
        /// The last error; `None` if every version was refused earlier and not tried again.
        last: Option<E>,
        /// The versions that were refused, in order.
        tried: Vec<RejectedVersion>,
        /// A message that names the secret and the versions that were tried.
        text: String,
    },
    /// The secret could not be read, or is not a JSON object.
    Secret(Error),
    /// The login failed for another reason than a refusal. The error is passed on; no other version was tried.
    Resource(E),
}

impl<E: fmt::Display> fmt::Display for ConnectError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { last: Some(last), text, .. } => write!(f, "{text}: {last}"),
            Self::Rejected { last: None, text, .. } => f.write_str(text),
            Self::Secret(error) => error.fmt(f),
            Self::Resource(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for ConnectError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Rejected { last, .. } => last.as_ref().map(|last| last as &(dyn StdError + 'static)),
            Self::Secret(error) => Some(error),
            Self::Resource(error) => Some(error),
        }
    }
}
