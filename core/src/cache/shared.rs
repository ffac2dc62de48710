//! What a cache and its permits share, and the bookkeeping that both do under its lock.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::changes::Changes;
use crate::cache::hit::Hit;
use crate::cache::permit::FetchPermit;
use crate::cache::state::{Line, Record, RecordId, State};
use crate::cache::stats::Hits;
use crate::cache::validity::Freshness;
use crate::cache::watch::Watches;
use crate::config::Config;
use crate::event::{Event, Listener};
use crate::id::{Key, KeyRef, Selector};
use crate::secret::Secret;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Now;

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// What hits read. Its values also hang on the lines of the state; see `serving` for how they are taken back.
    pub(crate) map: papaya::HashMap<Key, Secret, foldhash::fast::RandomState>,
    pub(crate) hits: Hits,
    pub(crate) state: Mutex<State>,
    pub(crate) listeners: Mutex<Vec<Listener>>,
    pub(crate) watches: Watches,
    pub(crate) changes: Changes,
    /// Which cache this is, among those of the process and of the processes it was forked from.
    pub(crate) number: u32,
}

/// Why a permit was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A reader waits for it.
    Read,
    /// It is due; nobody waits.
    Refresh,
    /// Somebody asked for it to be done now.
    Force,
    /// A login with what is held was refused.
    Recheck,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a defect of ours; readers are still better served than poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of a secret and selector, made if there is none, and room for it.
    pub(crate) fn place_of(&self, state: &mut State, id: &str, selector: Selector<'_>) -> (RecordId, usize) {
        let record_id = state.record_for(id, &self.config);
        while let Some(evicted) = state.evict(self.config.max_size, record_id, &self.watches) {
            self.unpublish(&evicted);
        }
        let Some(record) = state.records.get_mut(&record_id) else { return (record_id, 0) };
        let (place, out) = record.place_of(selector);
        if let Some(line) = out {
            self.unpublish_line(&record.names, &line);
        }
        (record_id, place)
    }

    /// Starts a request for a line.
    pub(crate) fn lead(
        self: &Arc<Self>,
        state: &mut State,
        record_id: RecordId,
        place: usize,
        now: &Now,
        purpose: Purpose,
    ) -> FetchPermit {
        let flight = state.start_flight();
        let record = state.records.get_mut(&record_id);
        FetchPermit::new(self, record_id, record, place, flight, now, purpose)
    }

    /// Hands a value out and lets further readers have it for `span` without a look.
    pub(crate) fn serve(&self, secret: Secret, span: Duration, freshness: Freshness, now: &Now) -> Hit<'_> {
        let serving = &secret.version().serving;
        serving.serve_until(now.coarse.plus(span), freshness);
        serving.touch();
        self.hits.count(freshness);
        Hit::owned(secret)
    }

    /// Puts a line's value where hits find it, under every name of the secret.
    pub(crate) fn publish(&self, names: &[Arc<str>], line: &Line) {
        let Some(secret) = &line.secret else { return };
        secret.version().serving.belong_to(self.number);
        let guard = self.map.guard();
        for name in names {
            self.map.insert(Key::new(name, line.selector.as_selector()), secret.clone(), &guard);
        }
    }

    pub(crate) fn unpublish(&self, record: &Record) {
        for line in &record.lines {
            self.unpublish_line(&record.names, line);
        }
    }

    pub(crate) fn unpublish_line(&self, names: &[Arc<str>], line: &Line) {
        if let Some(secret) = &line.secret {
            self.retire(secret);
        }
        let guard = self.map.guard();
        for name in names {
            self.map.remove(&KeyRef { id: name, selector: line.selector.as_selector() }, &guard);
        }
    }

    /// From now on every reader looks again before it is handed out.
    pub(crate) fn retire(&self, secret: &Secret) {
        secret.version().serving.retire();
        self.changes.bump();
    }

    /// Forgets what is known about a secret and its failures: every version is due at its next read.
    pub(crate) fn doubt(&self, record: &mut Record) {
        record.described = None;
        record.describe_denied_until = None;
        record.describe_denials = 0;
        for line in &mut record.lines {
            line.failure = None;
            line.refresh_after = Duration::ZERO;
            if let Some(secret) = &line.secret {
                self.retire(secret);
            }
        }
    }

    /// Notes that a line is served past its freshness, once per spell.
    pub(crate) fn tell_stale(&self, record: &mut Record, place: usize, now: &Now, events: &mut Vec<Event>) {
        let secret_id = Arc::clone(record.name());
        let line = &mut record.lines[place];
        if !std::mem::replace(&mut line.stale_told, true) {
            events.push(Event::Stale {
                secret_id,
                age: line.age(now).unwrap_or_default(),
                error: line.failure.as_ref().map(|failure| failure.error.clone()),
            });
        }
    }

    /// Tells the listeners. Must be called without the lock.
    pub(crate) fn tell(&self, events: &[Event]) {
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
