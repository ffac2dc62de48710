//! The part of a cache that forked processes inherit: its settings, its listeners, and the slot for each process's own
//! part.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::clock::SystemClock;
use super::inner::{Inner, ReadState};
use super::listeners::Listeners;
use super::log;
use super::process::{PerProcess, fresh_seed};
use super::task::Task;
use super::transport::Transport;
use crate::cache::cache::{Cache, Forced, closed};
use crate::cache::flight::Waiter;
use crate::cache::hit::Hit;
use crate::cache::watch::Watches;
use crate::config::Config;
use crate::error::Error;
use crate::id::{OwnedSelector, Selector};
use crate::secret::Secret;
use crate::time::Now;

pub(super) struct Handle {
    pub(super) config: Config,
    pub(super) transport: Transport,
    pub(super) listeners: Arc<Listeners>,
    pub(super) watches: Watches,
    inner: PerProcess<Arc<Inner>>,
    closed: AtomicBool,
}

/// [`Cache::force`] or [`Cache::recheck`].
pub(super) type Asking = fn(&Cache, &str, Selector<'_>, u64, Now) -> Forced;

impl Handle {
    pub(super) fn new(config: Config, transport: Transport) -> Self {
        Self {
            config,
            transport,
            listeners: Arc::default(),
            watches: Watches::default(),
            inner: PerProcess::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// This process's part, if it has been created.
    #[inline(always)]
    pub(super) fn made(&self) -> Option<&Arc<Inner>> {
        self.inner.get()
    }

    /// Returns this process's part, creating it if necessary.
    #[inline]
    pub(super) fn inner(&self) -> Result<&Arc<Inner>, Error> {
        match self.inner.get() {
            Some(inner) => Ok(inner),
            None => self.init(),
        }
    }

    #[cold]
    fn init(&self) -> Result<&Arc<Inner>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let inner = self.inner.get_or_try_make(|| {
            let cache = Cache::with_watches(self.config.clone(), fresh_seed(), self.watches.clone())?;
            let listeners = Arc::clone(&self.listeners);
            cache.listen(log::tracing_listener());
            cache.listen(Arc::new(move |event| listeners.notify(event)));
            Ok::<_, Error>(Arc::new(Inner::new(cache, self.transport.clone())))
        })?;
        if self.closed.load(Ordering::Acquire) {
            inner.cache.close(); // closed while it was being created
        }
        Ok(inner)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(inner) = self.made() {
            inner.cache.close();
            inner.wake.notify_one();
        }
    }

    #[inline(always)]
    pub(super) fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        self.made()?.cache.hit(id, selector, SystemClock::coarse())
    }

    pub(super) fn peek(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        self.made()?.cache.peek(id, selector, SystemClock::now())
    }

    pub(super) fn is_older(&self, id: &str, selector: Selector<'_>, max_age: Duration) -> bool {
        self.made().is_some_and(|inner| inner.cache.is_older(id, selector, max_age, SystemClock::now()))
    }

    pub(super) fn start(&self, id: &str, selector: Selector<'_>) -> ReadState<'_> {
        match self.inner() {
            Ok(inner) => inner.start(id, selector),
            Err(error) => ReadState::Ready(Err(error)),
        }
    }

    pub(super) fn give_up(&self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Option<Secret> {
        self.made()?.cache.give_up(id, selector, waiter, SystemClock::now())
    }

    /// Starts to fetch a version now.
    pub(super) fn start_asking(
        &self,
        id: &str,
        selector: Selector<'_>,
        how: Asking,
    ) -> Result<Task<Secret>, Error> {
        let inner = Arc::clone(self.inner()?);
        let (id, selector) = (id.to_owned(), OwnedSelector::from(selector));
        Task::start(async move { inner.ask_now(&id, selector.as_selector(), how).await })
    }

    pub(super) fn start_prefetch(&self, ids: Vec<String>) -> Result<Task<Vec<(String, Error)>>, Error> {
        let inner = Arc::clone(self.inner()?);
        if inner.cache.is_closed() {
            return Err(closed());
        }
        Task::start(async move { Ok(inner.prefetch(ids).await) })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCache")
            .field("config", &self.config)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
