//! A read that has not run yet, the same for blocking and for asynchronous code.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::handle::Handle;
use super::inner::ReadState;
use super::runtime;
use super::task::Task;
use super::wait::{forbid_own_thread, stopped, wait_for};
use crate::cache::cache::Cache;
use crate::cache::flight::{Outcome, Waiter};
use crate::cache::hit::Hit;
use crate::error::Error;
use crate::id::Selector;
use crate::secret::Secret;

/// A read of one version of a secret: `.await` it, or [`wait`](Request::wait) for it.
///
/// ```no_run
/// # async fn example(cache: secretcache::SecretCache) -> Result<(), secretcache::Error> {
/// let pending = cache.get("prod/checkout/db").stage("AWSPENDING").await?;
/// let exact = cache.get("prod/checkout/db").version_id("a1b2c3d4-5678-90ab-cdef-EXAMPLE11111").wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a request does nothing until it is awaited or waited for"]
pub struct Request<'a> {
    cache: &'a Handle,
    id: &'a str,
    selector: Selector<'a>,
    max_age: Option<Duration>,
}

impl<'a> Request<'a> {
    pub(super) fn new(cache: &'a Handle, id: &'a str) -> Self {
        Self { cache, id, selector: Selector::CURRENT, max_age: None }
    }

    /// The version with this staging label instead of `AWSCURRENT`.
    pub fn stage(self, stage: &'a str) -> Self {
        self.selector(Selector::stage(stage))
    }

    /// The version with this id, whatever its labels.
    pub fn version_id(self, version_id: &'a str) -> Self {
        self.selector(Selector::version_id(version_id))
    }

    /// The version that a selector names.
    pub fn selector(mut self, selector: Selector<'a>) -> Self {
        self.selector = selector;
        self
    }

    /// Limits the age of the value, counted from its last successful refresh. An older value is refreshed first; if
    /// that fails, the read fails.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let cache = secretcache::SecretCache::default();
    /// let secret = cache.get("prod/checkout/db").max_age(Duration::from_secs(5)).wait()?;
    /// # Ok::<(), secretcache::Error>(())
    /// ```
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Runs the read on this thread, from memory or by waiting for the source.
    ///
    /// # Errors
    ///
    /// The reason why the secret could not be read, if there is no last known value to serve.
    #[inline(always)]
    pub fn wait(self) -> Result<Hit<'a>, Error> {
        match self.cache.hit(self.id, self.selector) {
            Some(hit) if self.max_age.is_none() => Ok(hit),
            _ => self.wait_for_source(),
        }
    }

    /// Returns the last known value, if there is one. Never waits and makes no request.
    pub fn peek(self) -> Option<Hit<'a>> {
        self.cache.peek(self.id, self.selector)
    }

    /// Fetches the version now, whatever its age, and clears the secret's backoffs.
    ///
    /// # Errors
    ///
    /// The reason why it could not be fetched. Reads still get the last known value, if there is one.
    pub async fn refresh(self) -> Result<Secret, Error> {
        self.start_refresh()?.await
    }

    /// Like [`Request::refresh`], but waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`Request::refresh`].
    pub fn refresh_wait(self) -> Result<Secret, Error> {
        let mut task = self.start_refresh()?;
        forbid_own_thread()?;
        wait_for(&mut task, None).unwrap_or_else(|| Err(stopped()))
    }

    fn is_too_old(self) -> bool {
        self.max_age.is_some_and(|max_age| self.cache.is_older(self.id, self.selector, max_age))
    }

    fn start_refresh(self) -> Result<Task<Secret>, Error> {
        self.cache.start_asking(self.id, self.selector, Cache::force)
    }

    #[cold]
    fn wait_for_source(self) -> Result<Hit<'a>, Error> {
        if self.is_too_old() {
            self.refresh_wait()?;
        }
        loop {
            let mut waiter = match self.cache.start(self.id, self.selector) {
                ReadState::Ready(result) => return result,
                ReadState::Wait(waiter) => waiter,
            };
            forbid_own_thread()?;
            let patience = waiter.patience();
            let outcome = wait_for(&mut waiter, patience);
            if outcome.is_none()
                && let Some(secret) = self.cache.give_up(self.id, self.selector, &waiter)
            {
                return Ok(Hit::owned(secret));
            }
            let outcome = outcome.or_else(|| wait_for(&mut waiter, None));
            if let Some(result) = outcome.and_then(Outcome::for_reader) {
                return result.map(Hit::owned);
            }
        }
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Secret, Error>;
    type IntoFuture = Get<'a>;

    fn into_future(self) -> Get<'a> {
        let renewing = self.is_too_old().then(|| self.start_refresh());
        Get { request: self, renewing, waiting: None }
    }
}

/// A read in progress. It runs on any executor. Dropping it does not cancel the fetch, because other readers may wait
/// for it.
#[derive(Debug)]
#[must_use = "futures do nothing until they are awaited"]
pub struct Get<'a> {
    request: Request<'a>,
    renewing: Option<Result<Task<Secret>, Error>>,
    waiting: Option<(Waiter, Option<Timer>)>,
}

impl Future for Get<'_> {
    type Output = Result<Secret, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Request { cache, id, selector, .. } = self.request;
        match self.renewing.take() {
            None => {}
            Some(Err(error)) => return Poll::Ready(Err(error)),
            Some(Ok(mut task)) => match Pin::new(&mut task).poll(context) {
                Poll::Ready(renewed) => return Poll::Ready(renewed),
                Poll::Pending => {
                    self.renewing = Some(Ok(task));
                    return Poll::Pending;
                }
            },
        }
        loop {
            let Some((waiter, timer)) = &mut self.waiting else {
                match cache.start(id, selector) {
                    ReadState::Ready(result) => return Poll::Ready(result.map(|hit| hit.to_secret())),
                    ReadState::Wait(waiter) => {
                        let timer = waiter.patience().and_then(Timer::start);
                        self.waiting = Some((waiter, timer));
                        continue;
                    }
                }
            };
            if let Poll::Ready(outcome) = Pin::new(&mut *waiter).poll(context) {
                self.waiting = None;
                match outcome.for_reader() {
                    Some(result) => return Poll::Ready(result),
                    None => continue,
                }
            }
            let is_over = timer.as_mut().is_some_and(|timer| Pin::new(&mut timer.0).poll(context).is_ready());
            if is_over {
                *timer = None;
                if let Some(secret) = cache.give_up(id, selector, waiter) {
                    return Poll::Ready(Ok(secret));
                }
            }
            return Poll::Pending;
        }
    }
}

/// A timer on our own runtime, because the reader may run on another.
#[derive(Debug)]
struct Timer(JoinHandle<()>);

impl Timer {
    fn start(patience: Duration) -> Option<Self> {
        let sleep = async move { tokio::time::sleep(patience).await };
        Some(Self(runtime::handle().ok()?.spawn(sleep)))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
