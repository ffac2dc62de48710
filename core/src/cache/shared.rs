//! The state that a cache and its permits share, and the bookkeeping that both do under its lock.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::changes::Changes;
use crate::cache::hit::Hit;
use crate::cache::state::{EntryId, SecretEntry, State, VersionEntry};
use crate::cache::stats::Hits;
use crate::cache::validity::Freshness;
use crate::cache::watch::Watches;
use crate::config::Config;
use crate::error::Error;
use crate::event::{Event, Listener};
use crate::id::{Key, KeyRef, Selector};
use crate::secret::Secret;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Now, Span};

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The map that hits read. The versions in `state` share its values; see `validity` for how a value is invalidated.
    pub(crate) map: papaya::HashMap<Key, Secret, foldhash::fast::RandomState>,
    pub(crate) hits: Hits,
    pub(crate) state: Mutex<State>,
    pub(crate) listeners: Mutex<Vec<Listener>>,
    pub(crate) watches: Watches,
    pub(crate) changes: Changes,
    /// The cache's number, unique in this process and the processes it was forked from.
    pub(crate) number: u32,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be our bug; serving readers is still better than failing every read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the entry of a secret and the index of the version. Creates what is missing, and evicts others to make
    /// room.
    pub(crate) fn index_of(&self, state: &mut State, id: &str, selector: Selector<'_>) -> (EntryId, usize) {
        let entry_id = state.entry_for(id);
        while let Some(evicted) = state.evict(self.config.max_size, entry_id, &self.watches) {
            self.unpublish(&evicted);
        }
        let Some(entry) = state.entries.get_mut(&entry_id) else { return (entry_id, 0) };
        let (index, out) = entry.index_of(selector);
        if let Some(version) = out {
            self.unpublish_version(entry.names(), &version);
        }
        if !entry.names().any(|name| **name == *id) {
            self.add_name(entry, id.into());
        }
        (entry_id, index)
    }

    /// Serves a value, and lets other readers get it for `span` without a lookup.
    pub(crate) fn serve(&self, secret: Secret, span: Duration, freshness: Freshness, now: &Now) -> Hit<'_> {
        let validity = &secret.version().validity;
        validity.serve_until(now.coarse.plus(span), freshness);
        validity.mark_used();
        self.hits.count(freshness);
        Hit::owned(secret)
    }

    /// Records that the program reads a version, rather than only logins that look for one that works.
    pub(crate) fn note_read(&self, entry: &mut SecretEntry, index: usize) {
        if !std::mem::replace(&mut entry.versions[index].is_read, true) {
            self.publish(entry.names(), &entry.versions[index]);
        }
    }

    /// Inserts a version's value into the map that hits read, under each of the names. Not before the program reads the
    /// version: hits are not seen here, and its first read must be.
    pub(crate) fn publish<'a>(&self, names: impl Iterator<Item = &'a Arc<str>>, version: &VersionEntry) {
        let Some(secret) = version.secret.as_ref().filter(|_| version.is_read) else { return };
        secret.version().validity.belong_to(self.number);
        let guard = self.map.guard();
        for name in names {
            self.map.insert(Key::new(name, version.selector.as_selector()), secret.clone(), &guard);
        }
    }

    /// Adds another id of the secret, so that hits find its versions by it.
    pub(crate) fn add_name(&self, entry: &mut SecretEntry, name: Arc<str>) {
        for version in &entry.versions {
            self.publish(std::iter::once(&name), version);
        }
        entry.other_names.push(name);
    }

    pub(crate) fn unpublish(&self, entry: &SecretEntry) {
        for version in &entry.versions {
            self.unpublish_version(entry.names(), version);
        }
    }

    pub(crate) fn unpublish_version<'a>(
        &self,
        names: impl Iterator<Item = &'a Arc<str>>,
        version: &VersionEntry,
    ) {
        if let Some(secret) = &version.secret {
            self.invalidate(secret);
        }
        let guard = self.map.guard();
        for name in names {
            self.map.remove(&KeyRef { id: name, selector: version.selector.as_selector() }, &guard);
        }
    }

    /// Invalidates a version: every reader needs a lookup before it is served again.
    pub(crate) fn invalidate(&self, secret: &Secret) {
        secret.version().validity.invalidate();
        self.changes.bump(secret);
    }

    /// Forgets a secret's description and failures, which makes every version due at its next read.
    pub(crate) fn invalidate_all(&self, entry: &mut SecretEntry) {
        entry.described = None;
        entry.describe_denied = None;
        for version in &mut entry.versions {
            version.failure = None;
            version.refresh_after = Span::default();
            if let Some(secret) = &version.secret {
                self.invalidate(secret);
            }
        }
    }

    /// Reports that a version is served stale, once per spell of staleness. `brake` is the error for which its refresh
    /// is held back, if any.
    pub(crate) fn notify_stale(
        &self,
        entry: &mut SecretEntry,
        index: usize,
        now: &Now,
        brake: Option<Error>,
        events: &mut Vec<Event>,
    ) {
        let secret_id = Arc::clone(&entry.name);
        let version = &mut entry.versions[index];
        if !std::mem::replace(&mut version.stale_notified, true) {
            events.push(Event::Stale {
                secret_id,
                age: version.age(now).unwrap_or_default(),
                error: version.failure.as_ref().map(|failure| failure.error.clone()).or(brake),
            });
        }
    }

    /// Notifies the listeners. Must be called without the lock.
    pub(crate) fn notify(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (event, listener) in
            events.iter().flat_map(|event| listeners.iter().map(move |each| (event, each)))
        {
            listener(event);
        }
    }
}
