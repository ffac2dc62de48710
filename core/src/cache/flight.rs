//! Single flight: one request for all readers that want the same version at the same time.
//!
//! The first reader is the leader and holds the [`FetchPermit`](crate::host::FetchPermit); the others are followers and
//! hold a [`Waiter`]. A flight ends exactly once: with an outcome that every waiter gets, or abandoned, because its
//! permit was dropped by a panic or a cancelled task. That wakes the waiters, and one of them becomes the next leader.
//! Nothing here blocks; the driver waits with its host's primitives.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::Error;
use crate::secret::Secret;
use crate::sync::{Mutex, MutexGuard};

/// The outcome of a request, for every reader that waited for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The source answered: this is the value.
    Value(Secret),
    /// The source failed.
    Failed {
        /// The failure.
        error: Error,
        /// The last known value, if the policy allows serving it.
        last_known: Option<Secret>,
    },
    /// The request was dropped unfinished. Ask the cache again.
    Abandoned,
}

impl Outcome {
    /// The result for a plain reader, which accepts the last known value. `None`: ask the cache again.
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
    /// The flight's number among those of its cache, in the order they started.
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
        // Every critical section leaves the state consistent, so a panic elsewhere does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader's handle on a request in progress. As a future, it resolves to the [`Outcome`].
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

    /// How long to wait before falling back to the last known value. `None`: there is none, so wait for the outcome.
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

    /// The number of the request among those of its cache, in the order they started.
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
