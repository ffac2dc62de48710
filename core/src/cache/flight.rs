//! Single flight: one request for any number of readers who want the same thing at the same time.
//!
//! The reader who comes first leads and holds the [`FetchPermit`](crate::host::FetchPermit); all others follow and hold a
//! [`Waiter`]. A flight ends exactly once: with an outcome that every waiter gets, or abandoned (its permit was
//! dropped, by a panic or a cancelled task), which wakes the waiters so that one of them leads anew. Nothing here
//! blocks: waiting is the driver's business, with whatever its host waits with.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::Error;
use crate::secret::Secret;
use crate::sync::{Mutex, MutexGuard};

/// How a request ended, for everyone who waited for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The source answered: this is the value.
    Value(Secret),
    /// The source failed.
    Failed {
        /// Why.
        error: Error,
        /// The value held before, where the policy lets it be served for want of better.
        last_known: Option<Secret>,
    },
    /// Nobody finished the request. Ask the cache again.
    Abandoned,
}

impl Outcome {
    /// The result for a plain reader, to whom the last known value is good enough. `None`: ask the cache again.
    pub fn for_reader(self) -> Option<Result<Secret, Error>> {
        match self {
            Self::Value(secret) | Self::Failed { last_known: Some(secret), .. } => Some(Ok(secret)),
            Self::Failed { error, last_known: None } => Some(Err(error)),
            Self::Abandoned => None,
        }
    }
}

#[derive(Default)]
pub(crate) struct Flight {
    /// Counts flights of one cache in the order they started.
    pub(crate) started: u64,
    state: Mutex<State>,
}

enum State {
    Running(Vec<Option<Waker>>),
    Ended(Outcome),
}

impl Default for State {
    fn default() -> Self {
        Self::Running(Vec::new())
    }
}

impl Flight {
    pub(crate) fn new(started: u64) -> Arc<Self> {
        Arc::new(Self { started, state: Mutex::default() })
    }

    /// Ends the flight; only the first call counts. Wakers run outside the lock.
    pub(crate) fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        if let State::Running(wakers) = &mut *state {
            let wakers = std::mem::take(wakers);
            *state = State::Ended(outcome);
            drop(state);
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader's place in the queue for a request that is under way. As a future it ends with the [`Outcome`].
///
/// ```
/// use secretcache::host::{Answer, Cache, Lookup, Now};
/// use secretcache::{Config, Fetched, Selector};
///
/// let cache = Cache::new(Config::default(), 7)?;
/// let now = Now::default();
/// let Lookup::Leader(permit, first) = cache.lookup("prod/db", Selector::CURRENT, now) else { unreachable!() };
/// let Lookup::Follower(second) = cache.lookup("prod/db", Selector::CURRENT, now) else { unreachable!() };
/// assert!(second.outcome().is_none());
/// permit.complete(Ok(Answer::value(Fetched::string("v-1", "hunter2"))), now);
/// for waiter in [first, second] {
///     let secret = waiter.outcome().and_then(|outcome| outcome.for_reader()).unwrap()?;
///     assert_eq!(secret.string()?, "hunter2");
/// }
/// # Ok::<(), secretcache::Error>(())
/// ```
pub struct Waiter {
    flight: Arc<Flight>,
    index: Option<usize>,
    patience: Option<Duration>,
}

impl Waiter {
    pub(crate) fn new(flight: Arc<Flight>, patience: Option<Duration>) -> Self {
        Self { flight, index: None, patience }
    }

    /// How long to wait before the last-known value is good enough. `None`: there is none, so wait for the end.
    pub fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// The outcome, if the request has ended.
    pub fn outcome(&self) -> Option<Outcome> {
        match &*self.flight.lock() {
            State::Ended(outcome) => Some(outcome.clone()),
            State::Running(_) => None,
        }
    }

    /// When the request began, counted in requests of this cache.
    pub(crate) fn started(&self) -> u64 {
        self.flight.started
    }
}

impl Future for Waiter {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let flight = Arc::clone(&self.flight);
        let mut state = flight.lock();
        match &mut *state {
            State::Ended(outcome) => Poll::Ready(outcome.clone()),
            State::Running(wakers) => {
                let index = *self.index.get_or_insert_with(|| {
                    wakers.push(None);
                    wakers.len() - 1
                });
                match &mut wakers[index] {
                    Some(waker) => waker.clone_from(context.waker()),
                    empty => *empty = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // A reader that stopped waiting (cancelled, out of patience) must not be woken.
        if let (Some(index), State::Running(wakers)) = (self.index, &mut *self.flight.lock()) {
            wakers[index] = None;
        }
    }
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter").field("patience", &self.patience).finish_non_exhaustive()
    }
}
