//! Fetching a version now, whatever its age: forced refreshes, and what the plan of a login wants.

use std::sync::Arc;

use super::clock::SystemClock;
use super::secret_cache::{Live, SecretCache, forbid_own_thread, stopped};
use super::{runtime, wait};
use crate::cache::cache::{Cache, Forced};
use crate::cache::flight::Outcome;
use crate::error::Error;
use crate::id::{OwnedSelector, Selector};
use crate::secret::Secret;
use crate::time::Now;

/// [`Cache::force`] or [`Cache::look`].
type Asking = fn(&Cache, &str, Selector<'_>, u64, Now) -> Forced;

impl SecretCache {
    /// Fetches the secret's current version now, whatever its age, and clears its backoffs.
    ///
    /// # Errors
    ///
    /// Why it could not be fetched. The last-known value, if there is one, goes on being served.
    pub async fn refresh(&self, id: &str) -> Result<Secret, Error> {
        self.refresh_version(id, Selector::CURRENT).await
    }

    /// As [`SecretCache::refresh`], for another version.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::refresh`].
    pub async fn refresh_version(&self, id: &str, selector: Selector<'_>) -> Result<Secret, Error> {
        self.start_refresh(id, selector)?.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// As [`SecretCache::refresh`], waiting on this thread.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::refresh`].
    pub fn refresh_wait(&self, id: &str) -> Result<Secret, Error> {
        self.refresh_version_wait(id, Selector::CURRENT)
    }

    /// As [`SecretCache::refresh_version`], waiting on this thread.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::refresh`].
    pub fn refresh_version_wait(&self, id: &str, selector: Selector<'_>) -> Result<Secret, Error> {
        let mut task = self.start_refresh(id, selector)?;
        forbid_own_thread()?;
        wait::wait_for(&mut task, None)
            .unwrap_or_else(|| Ok(Err(stopped())))
            .unwrap_or_else(|_| Err(stopped()))
    }

    /// Begins a forced refresh, for drivers that wait in their own way.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    pub fn start_refresh(
        &self,
        id: &str,
        selector: Selector<'_>,
    ) -> Result<tokio::task::JoinHandle<Result<Secret, Error>>, Error> {
        self.start_asking(id, selector, Cache::force)
    }

    /// Does what a [`Plan`](crate::Plan) wants by [`Next::Refresh`](crate::Next::Refresh).
    ///
    /// # Errors
    ///
    /// Why the version could not be had.
    pub async fn look(&self, id: &str, selector: Selector<'_>) -> Result<Secret, Error> {
        self.start_look(id, selector)?.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Begins what a [`Plan`](crate::Plan) wants by [`Next::Refresh`](crate::Next::Refresh), for drivers that wait in their own way.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    pub fn start_look(
        &self,
        id: &str,
        selector: Selector<'_>,
    ) -> Result<tokio::task::JoinHandle<Result<Secret, Error>>, Error> {
        self.start_asking(id, selector, Cache::look)
    }

    fn start_asking(
        &self,
        id: &str,
        selector: Selector<'_>,
        how: Asking,
    ) -> Result<tokio::task::JoinHandle<Result<Secret, Error>>, Error> {
        let live = Arc::clone(self.live()?);
        let (id, selector) = (id.to_owned(), OwnedSelector::from(selector));
        Ok(runtime::handle()?.spawn(async move { live.ask_now(&id, selector.as_ref(), how).await }))
    }
}

impl Live {
    async fn ask_now(
        self: &Arc<Self>,
        id: &str,
        selector: Selector<'_>,
        how: Asking,
    ) -> Result<Secret, Error> {
        let mark = self.cache.mark();
        loop {
            let (waiter, is_ours) = match how(&self.cache, id, selector, mark, SystemClock::now()) {
                Forced::Lead(ticket, waiter) => {
                    self.spawn(ticket);
                    (waiter, true)
                }
                Forced::Follow(waiter) => (waiter, true),
                Forced::Behind(waiter) => (waiter, false),
                Forced::Failed(error) => return Err(error),
            };
            match waiter.await {
                Outcome::Value(secret) if is_ours => return Ok(secret),
                Outcome::Failed { error, .. } if is_ours => return Err(error),
                _ => {}
            }
        }
    }
}
