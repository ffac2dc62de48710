//! The cache as a pure state machine: no I/O, no clock, no runtime, no waiting.
//!
//! A driver calls [`Cache::lookup`], does what the result says, and passes the result of a fetch to
//! [`FetchPermit::complete`]. The native driver is part of this crate; bindings have drivers for their hosts' clients.
//!
//! One lock guards everything except hits. It is held for microseconds of bookkeeping, and never while a source is
//! called, a listener runs or a reader waits.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use papaya::LocalGuard;

use crate::cache::brake::Brake;
use crate::cache::flight::Waiter;
use crate::cache::hit::Hit;
use crate::cache::permit::{FetchPermit, Purpose};
use crate::cache::policy::{Decision, EntrySnapshot, decide};
use crate::cache::shared::Shared;
use crate::cache::state::{EntryId, SecretEntry, State, VersionEntry};
use crate::cache::stats::{Operation, SecretStatus, Stats};
use crate::cache::validity::Freshness;
use crate::cache::watch::Watches;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Listener};
use crate::id::{self, KeyRef, Selector};
use crate::secret::Secret;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::time::{Coarse, Now};

/// A bounded cache of secrets that decides when to fetch each one again, and which caller must do it.
///
/// ```
/// use std::time::Duration;
/// use secretcache::host::{Answer, Cache, Lookup, Now};
/// use secretcache::{Config, Fetched, Selector};
///
/// let cache = Cache::new(Config::default(), 7)?;
/// let now = Now::default().plus(Duration::from_secs(1));
/// let Lookup::Leader(permit, _) = cache.lookup("prod/db", Selector::CURRENT, now) else { unreachable!() };
/// permit.complete(Ok(Answer::value(Fetched::string("v-1", "hunter2"))), now);
/// assert_eq!(cache.hit("prod/db", Selector::CURRENT, now.coarse).unwrap().string()?, "hunter2");
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone)]
pub struct Cache(pub(crate) Arc<Shared>);

/// The result of a lookup.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// The value.
    Hit(Hit<'a>),
    /// The value. Its refresh is due, and this reader must start it, without waiting for it.
    HitDue(Hit<'a>, FetchPermit),
    /// Nothing to serve now. This reader must start the fetch, and may wait for it.
    Leader(FetchPermit, Waiter),
    /// Nothing to serve now. Another reader has started the fetch; wait for it.
    Follower(Waiter),
    /// The read fails for now.
    Failed(Error),
}

/// The result of [`Cache::force`].
#[derive(Debug)]
pub enum Forced {
    /// Start the fetch, and wait for it.
    Leader(FetchPermit, Waiter),
    /// A fetch that began after the mark is in progress: wait for it.
    Follower(Waiter),
    /// A fetch that began before the mark is in progress: wait for it, then ask again.
    Superseded(Waiter),
    /// The refresh fails.
    Failed(Error),
}

impl Cache {
    /// Creates an empty cache. `seed` determines the jitter: processes of one fleet must not share it.
    ///
    /// # Errors
    ///
    /// As [`Config::validate`].
    pub fn new(config: Config, seed: u64) -> Result<Self, Error> {
        Self::with_watches(config, seed, Watches::default())
    }

    /// Like [`Cache::new`], with a list of secrets that count as in use without being read.
    ///
    /// # Errors
    ///
    /// As [`Config::validate`].
    pub fn with_watches(config: Config, seed: u64, watches: Watches) -> Result<Self, Error> {
        config.validate()?;
        let map = papaya::HashMap::builder()
            .hasher(foldhash::fast::RandomState::default())
            // A replaced value is wiped at once, or with the next change if readers are in the map, rather than in batches.
            .collector(seize::Collector::new().batch_size(1))
            .build();
        let state = Mutex::new(State::new(seed));
        let (hits, listeners, changes) = Default::default();
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let shared = Shared { config, map, hits, state, listeners, watches, changes, number };
        Ok(Self(Arc::new(shared)))
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the cached value if it is still fresh. Takes no lock, allocates nothing, copies nothing.
    // Always inlined, here and in its callers: returning the result through memory takes as long as the lookup.
    #[inline(always)]
    pub fn hit(&self, id: &str, selector: Selector<'_>, now: Coarse) -> Option<Hit<'_>> {
        let guard: LocalGuard<'_> = self.0.map.guard();
        let secret = self.0.map.get(&KeyRef { id, selector }, &guard)?;
        let freshness = secret.version().validity.read(now)?;
        self.0.hits.count(freshness);
        let version = secret.as_ptr();
        // SAFETY: read from the map under this guard; the map's own clone is only dropped by the collector, once
        // the guard is gone.
        Some(unsafe { Hit::guarded(version, guard) })
    }

    /// Whether a value that this cache returned earlier can be served again without a lookup; if so, this counts as a
    /// hit.
    #[inline]
    pub fn hit_again(&self, secret: &Secret, now: Coarse) -> bool {
        let validity = &secret.version().validity;
        let freshness = if validity.belongs_to(self.0.number) { validity.read(now) } else { None };
        if let Some(freshness) = freshness {
            self.0.hits.count(freshness);
        }
        freshness.is_some()
    }

    /// Counts hits that a binding served itself, with a value from [`Cache::hit`] or [`Cache::lookup`], and marks the
    /// secret as used. [`SecretExt::servable_for`](crate::host::SecretExt::servable_for) says how long a binding can do so.
    ///
    /// ```
    /// # use secretcache::host::Cache;
    /// # use secretcache::{Config, Selector};
    /// let cache = Cache::new(Config::default(), 7)?;
    /// cache.note_hits("prod/db", Selector::CURRENT, 3);
    /// assert_eq!(cache.stats(secretcache::host::Now::default()).hits, 3);
    /// # Ok::<(), secretcache::Error>(())
    /// ```
    pub fn note_hits(&self, id: &str, selector: Selector<'_>, count: u64) {
        let guard = self.0.map.guard();
        let secret = self.0.map.get(&KeyRef { id, selector }, &guard);
        // It may have been evicted since; the hits still count.
        let freshness = secret.map_or(Freshness::Fresh, |secret| secret.version().validity.mark_used());
        self.0.hits.add(freshness, count);
    }

    /// Increments one of the binding's counters whenever a value returned earlier must not be served again without a
    /// lookup, because it was replaced, invalidated or evicted, or the cache was closed. [`SecretExt::change_slot`](crate::host::SecretExt::change_slot) says
    /// which one; the more counters there are, the fewer values share one. A value that becomes due increments none:
    /// [`SecretExt::servable_for`](crate::host::SecretExt::servable_for) says when that is.
    ///
    /// A binding that keeps values reads a value's counter, then its [`SecretExt::servable_for`](crate::host::SecretExt::servable_for), and the counter again
    /// before it serves the value. The counters are forgotten when their last [`Arc`] is dropped.
    pub fn count_changes_in(&self, counters: &Arc<[AtomicU32]>) {
        self.0.changes.count_in(counters);
    }

    /// Looks a version up: returns the value, or what the reader must do.
    pub fn lookup(&self, id: &str, selector: Selector<'_>, now: Now) -> Lookup<'_> {
        if let Some(hit) = self.hit(id, selector, now.coarse) {
            return Lookup::Hit(hit);
        }
        if let Err(error) = id::validate_secret_id(id).and_then(|()| selector.validate()) {
            return Lookup::Failed(error);
        }
        let mut events = Vec::new();
        let lookup = self.decide(id, selector, &now, &mut events);
        self.0.notify(&events);
        lookup
    }

    fn decide(&self, id: &str, selector: Selector<'_>, now: &Now, events: &mut Vec<Event>) -> Lookup<'_> {
        let shared = &self.0;
        let mut guard = shared.lock();
        let state = &mut *guard;
        if state.closed {
            return Lookup::Failed(closed());
        }
        let (entry_id, index) = shared.index_of(state, id, selector);
        let (held_back, why) = (state.pacer.holds_readers_back(now), state.pacer.error());
        let Some(entry) = state.entries.get_mut(&entry_id) else { return Lookup::Failed(closed()) };
        shared.note_read(entry, index);
        let (held_back, why) = if entry.is_signed_here() { (false, None) } else { (held_back, why) };
        let ttl = shared.config.ttl_for(&entry.name);
        let snapshot = entry.versions[index].snapshot(ttl, &shared.config, now);
        // With a TTL of zero, every read asks the source.
        let held_back = held_back && !ttl.is_zero();
        // If the refresher is late, a reader starts the refresh; readers that kept reading do not wait for it.
        let failing = snapshot.failing || why.is_some();
        let snapshot = EntrySnapshot { held_back, failing, ..snapshot };
        let secret = entry.versions[index].secret.clone();
        let decision = decide(&snapshot, &shared.config);
        match decision {
            Decision::Await { .. } | Decision::Fail => {}
            // No reader needs another lookup before the backoff ends.
            Decision::Serve { span } | Decision::ServeLastKnown { span }
                if snapshot.backing_off.is_some() =>
            {
                entry.versions[index].served = now.plus(span).moment();
            }
            _ => entry.versions[index].served = now.moment(),
        }
        match (decision, secret) {
            (Decision::Serve { span }, Some(secret)) => {
                Lookup::Hit(shared.serve(secret, span, Freshness::Fresh, now))
            }
            (Decision::ServeAndRefresh { span }, Some(secret)) => {
                let permit = FetchPermit::lead(shared, state, entry_id, index, now, Purpose::Refresh);
                Lookup::HitDue(shared.serve(secret, span, Freshness::Fresh, now), permit)
            }
            (Decision::ServeLastKnown { span }, Some(secret)) => {
                shared.notify_stale(entry, index, now, why, events);
                Lookup::Hit(shared.serve(secret, span, Freshness::Stale, now))
            }
            (Decision::ServeLastKnownAndRefresh { span }, Some(secret)) => {
                shared.notify_stale(entry, index, now, why, events);
                let permit = FetchPermit::lead(shared, state, entry_id, index, now, Purpose::Refresh);
                Lookup::HitDue(shared.serve(secret, span, Freshness::Stale, now), permit)
            }
            (Decision::Await { fallback }, _) => {
                let counters = &mut state.counters;
                *(if snapshot.age.is_some() {
                    &mut counters.misses_expired
                } else {
                    &mut counters.misses_absent
                }) += 1;
                let patience = fallback.then_some(shared.config.max_wait);
                if let Some(flight) = &entry.versions[index].flight {
                    counters.coalesced += 1;
                    return Lookup::Follower(Waiter::new(Arc::clone(flight), patience));
                }
                let permit = FetchPermit::lead(shared, state, entry_id, index, now, Purpose::Read);
                let waiter = Waiter::new(Arc::clone(permit.flight()), patience);
                Lookup::Leader(permit, waiter)
            }
            (_, _) => match &entry.versions[index].failure {
                Some(failure) => Lookup::Failed(failure.error.clone()),
                None => Lookup::Failed(Error::new(ErrorKind::Internal, "no failure to return")),
            },
        }
    }

    /// Returns the last known value if the policy allows serving it, fresh or not. Neither waits nor starts a fetch. It
    /// counts as use, so the refresher keeps the value fresh.
    pub fn peek(&self, id: &str, selector: Selector<'_>, now: Now) -> Option<Hit<'_>> {
        if let Some(hit) = self.hit(id, selector, now.coarse) {
            return Some(hit);
        }
        let mut state = self.0.lock();
        let entry = state.entry_mut(id)?;
        let index = entry.position(selector)?;
        let secret = entry.versions[index].last_known(&self.0.config, &now)?;
        self.0.note_read(entry, index);
        self.0.hits.count(secret.version().validity.mark_used());
        Some(Hit::owned(secret))
    }

    /// Returns the last known value to a reader that has waited long enough. All readers then get it at once, until the
    /// request in progress ends. `None` if there is nothing to serve.
    pub fn give_up(&self, id: &str, selector: Selector<'_>, waiter: &Waiter, now: Now) -> Option<Secret> {
        let mut events = Vec::new();
        let secret = {
            let mut state = self.0.lock();
            let why = state.pacer.error();
            let entry = state.entry_mut(id)?;
            let why = why.filter(|_| !entry.is_signed_here());
            let index = entry.position(selector)?;
            let version = &mut entry.versions[index];
            if version.flight.as_ref().is_some_and(|flight| flight.started == waiter.started()) {
                version.overdue = true;
            }
            let secret = version.last_known(&self.0.config, &now)?;
            // The answer may have arrived just as the reader gave up: then this is the fresh value.
            if version.answered >= waiter.started() {
                self.0.hits.count(Freshness::Fresh);
            } else {
                self.0.hits.count(Freshness::Stale);
                self.0.notify_stale(entry, index, &now, why, &mut events);
            }
            secret
        };
        secret.version().validity.mark_used();
        self.0.notify(&events);
        Some(secret)
    }

    /// Returns a mark in the order of requests. Take it before the first [`Cache::force`] of a forced refresh.
    pub fn mark(&self) -> u64 {
        self.0.lock().flights_started()
    }

    /// Refreshes a version now, whatever its age. Clears every backoff of this secret. Requests that began before
    /// `mark` do not count, because they may return the old value.
    pub fn force(&self, id: &str, selector: Selector<'_>, mark: u64, now: Now) -> Forced {
        self.ask_now(id, selector, mark, now, Purpose::Force)
    }

    /// Like [`Cache::force`], for a login that was refused ([`Action::Refresh`](crate::host::Action::Refresh)): a
    /// version that still has its label is not fetched again, and the secret's other versions stay valid.
    pub fn recheck(&self, id: &str, selector: Selector<'_>, mark: u64, now: Now) -> Forced {
        self.ask_now(id, selector, mark, now, Purpose::Recheck)
    }

    fn ask_now(&self, id: &str, selector: Selector<'_>, mark: u64, now: Now, purpose: Purpose) -> Forced {
        if let Err(error) = id::validate_secret_id(id).and_then(|()| selector.validate()) {
            return Forced::Failed(error);
        }
        let mut guard = self.0.lock();
        let state = &mut *guard;
        if state.closed {
            return Forced::Failed(closed());
        }
        let (entry_id, index) = self.0.index_of(state, id, selector);
        let Some(entry) = state.entries.get_mut(&entry_id) else { return Forced::Failed(closed()) };
        if purpose == Purpose::Force {
            self.0.invalidate_all(entry);
            self.0.note_read(entry, index);
        }
        if let Some(flight) = &entry.versions[index].flight {
            let waiter = Waiter::new(Arc::clone(flight), None);
            return if flight.started > mark { Forced::Follower(waiter) } else { Forced::Superseded(waiter) };
        }
        let permit = FetchPermit::lead(&self.0, state, entry_id, index, &now, purpose);
        let waiter = permit.waiter();
        Forced::Leader(permit, waiter)
    }

    /// Whether a read with `max_age` must refresh the value first. False if nothing is cached, because a read then
    /// fetches it anyway, and for a version id, whose value never changes.
    pub fn is_older(&self, id: &str, selector: Selector<'_>, max_age: Duration, now: Now) -> bool {
        let state = self.0.lock();
        let age = state.entry(id).and_then(|entry| entry.version(selector)?.age(&now));
        selector.as_stage().is_some() && age.is_some_and(|age| age >= max_age)
    }

    /// Whether to replace a connection made with this version when it is idle, because another version is current or
    /// this one was refused. For pools, at each check-in.
    pub fn is_outdated(&self, id: &str, version_id: &str) -> bool {
        let state = self.0.lock();
        state.entry(id).and_then(SecretEntry::login_version).is_some_and(|preferred| preferred != version_id)
    }

    /// Forgets a secret with all its versions. Requests in progress still serve the readers that wait for them, but
    /// their results are not cached.
    pub fn invalidate(&self, id: &str) {
        let mut state = self.0.lock();
        if let Some(entry) = state.find(id).and_then(|entry_id| state.remove(entry_id)) {
            self.0.unpublish(&entry);
        }
    }

    /// Forgets everything and refuses further reads.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let entries: Vec<EntryId> = state.entries.keys().copied().collect();
        for entry in entries.into_iter().filter_map(|entry_id| state.remove(entry_id)) {
            self.0.unpublish(&entry);
        }
    }

    /// Whether [`Cache::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Returns the statistics of the cache.
    pub fn stats(&self, now: Now) -> Stats {
        let state = self.0.lock();
        let (hits, stale_served) = self.0.hits.totals();
        let counters = &state.counters;
        let mut secrets: Vec<_> = state
            .entries
            .values()
            .flat_map(|entry| entry.versions.iter().map(|version| status(entry, version, &now)))
            .collect();
        secrets.sort_by(|a, b| a.secret_id.cmp(&b.secret_id));
        Stats {
            hits,
            misses_absent: counters.misses_absent,
            misses_expired: counters.misses_expired,
            stale_served,
            coalesced: counters.coalesced,
            refreshes: counters.refreshes,
            rotations_observed: counters.rotations_observed,
            replica_reads: counters.replica_reads,
            evictions: counters.evictions,
            api_calls: counters.api_calls.clone(),
            failures: counters.failures.clone(),
            logins: counters.logins,
            secrets,
        }
    }

    /// Slows down this cache's refreshes together with those of other caches that use the same endpoint; see [`Brake`].
    /// Until then the cache has its own brake.
    pub fn share_brake(&self, brake: &Brake) {
        self.0.lock().pacer.share(brake);
    }

    /// Counts a call to the service.
    pub fn count_call(&self, operation: Operation) {
        *self.0.lock().counters.api_calls.entry(operation.name()).or_default() += 1;
    }

    /// Calls a listener with every event from now on.
    pub fn listen(&self, listener: Listener) {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}

/// The next cache's number; zero means no cache.
static NUMBERS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);

fn status(entry: &SecretEntry, version: &VersionEntry, now: &Now) -> SecretStatus {
    SecretStatus {
        secret_id: entry.name.to_string(),
        version_stage: version.selector.as_selector().as_stage().map(str::to_owned),
        version_id: version.secret.as_ref().and_then(Secret::version_id).map(str::to_owned),
        age: version.age(now),
        next_refresh_in: version.due_in(now),
        last_error: version.failure.as_ref().map(|failure| failure.error.kind()),
        failures: version.failure.as_ref().map_or(0, |failure| failure.count),
    }
}

/// Returns the error of every call to a cache that has been closed.
pub fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the cache has been closed; make a new one to read secrets again")
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("config", &self.0.config).finish_non_exhaustive()
    }
}
