//! The state of each secret, except what hits read. The cache's one lock guards it.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cache::brake::Pacer;
use crate::cache::flight::Flight;
use crate::cache::policy::{self, EntrySnapshot};
use crate::cache::schedule::{PollBudget, RefreshSchedule};
use crate::cache::stats::LoginStats;
use crate::cache::watch::Watches;
use crate::config::Config;
use crate::connect::history::LoginHistory;
use crate::error::Error;
use crate::iam_login::IamLogin;
use crate::id::{OwnedSelector, Selector, aliases, without_suffix};
use crate::labels::VersionLabels;
use crate::secret::Secret;
use crate::time::{Moment, Now, Span};

/// The most versions of one secret that are kept, as in the official libraries.
const MOST_VERSIONS: usize = 10;

pub(crate) struct State {
    /// Boxed: a hash table keeps spare slots, and twice as many while it grows.
    pub(crate) entries: HashMap<EntryId, Box<SecretEntry>>,
    /// Entries by the hash of each id they were requested with, and of the last of [`SecretEntry::aliases`], from which
    /// their other ids follow. The ids themselves are stored once, in the entry.
    by_name: HashMap<u64, EntryId>,
    pub(crate) random: fastrand::Rng,
    pub(crate) closed: bool,
    pub(crate) counters: Counters,
    /// Limits polls across all secrets.
    pub(crate) budget: PollBudget,
    /// Slows down refreshes while the endpoint fails or throttles.
    pub(crate) pacer: Pacer,
    order: Sieve,
    flights_started: u64,
    entries_made: EntryId,
}

pub(crate) type EntryId = u64;

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) misses_absent: u64,
    pub(crate) misses_expired: u64,
    pub(crate) coalesced: u64,
    pub(crate) refreshes: u64,
    pub(crate) rotations_observed: u64,
    pub(crate) replica_reads: u64,
    pub(crate) evictions: u64,
    pub(crate) api_calls: BTreeMap<&'static str, u64>,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    pub(crate) logins: LoginStats,
}

/// One secret, under every id it is known by. There can be many, so fields that few of them need are boxed.
pub(crate) struct SecretEntry {
    /// The id it was first requested with, which is also the id that sources get.
    pub(crate) name: Arc<str>,
    /// The other ids it was requested with.
    pub(crate) other_names: Vec<Arc<str>>,
    /// The ARN, from which more ids follow.
    pub(crate) arn: Option<Arc<str>>,
    pub(crate) versions: Vec<VersionEntry>,
    pub(crate) described: Option<Described>,
    pub(crate) describe_denied: Option<Box<DescribeDenied>>,
    logins: Option<Box<LoginHistory>>,
    /// `None` if nothing is known about its rotations.
    pub(crate) schedule: Option<Box<RefreshSchedule>>,
}

pub(crate) struct DescribeDenied {
    pub(crate) until: Moment,
    /// Consecutive denials.
    pub(crate) count: u32,
}

/// The last description, and when it was received.
pub(crate) struct Described {
    pub(crate) labels: Arc<VersionLabels>,
    pub(crate) at: Moment,
    pub(crate) refresh_after: Span,
}

/// One requested version, by stage or by id.
pub(crate) struct VersionEntry {
    pub(crate) selector: OwnedSelector,
    pub(crate) secret: Option<Secret>,
    /// The creation date of the newest version held so far; see [`crate::cache::replica`].
    pub(crate) newest: Option<SystemTime>,
    pub(crate) confirmed: Moment,
    pub(crate) refresh_after: Span,
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) flight: Option<Arc<Flight>>,
    /// The number of the flight that delivered or confirmed the value, in the order flights started.
    pub(crate) answered: u64,
    /// A reader has given up waiting for the flight.
    pub(crate) overdue: bool,
    /// When readers were last served, or could have been without a lookup, while a flight was in progress or after it
    /// failed.
    pub(crate) served: Moment,
    /// Listeners have been notified of the current spell of staleness.
    pub(crate) stale_notified: bool,
    /// The program reads it, or it is the current version. Otherwise only logins have requested it, to find a version
    /// that works.
    pub(crate) is_read: bool,
    /// The secret was last confirmed by a replica. The same in all versions of a secret; it is here because there is a
    /// byte to spare.
    is_at_replica: bool,
}

pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) count: u32,
    pub(crate) retry_at: Moment,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: HashMap::new(),
            by_name: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
            closed: false,
            counters: Counters::default(),
            budget: PollBudget::default(),
            pacer: Pacer::default(),
            order: Sieve::default(),
            flights_started: 0,
            entries_made: 0,
        }
    }

    /// The number of flights started so far, which is a mark in their order.
    pub(crate) fn flights_started(&self) -> u64 {
        self.flights_started
    }

    pub(crate) fn start_flight(&mut self) -> Arc<Flight> {
        self.flights_started += 1;
        Flight::new(self.flights_started)
    }

    /// Finds the entry of a secret, by any id it is known by.
    pub(crate) fn find(&self, id: &str) -> Option<EntryId> {
        [Some(id), without_suffix(id)].into_iter().flatten().find_map(|key| {
            let entry_id = *self.by_name.get(&self.hash(key))?;
            self.entries.get(&entry_id)?.is_known_as(id).then_some(entry_id)
        })
    }

    pub(crate) fn entry(&self, id: &str) -> Option<&SecretEntry> {
        self.entries.get(&self.find(id)?).map(Box::as_ref)
    }

    pub(crate) fn entry_mut(&mut self, id: &str) -> Option<&mut SecretEntry> {
        let entry_id = self.find(id)?;
        self.entries.get_mut(&entry_id).map(Box::as_mut)
    }

    /// Makes an entry findable by one of the ids it is known by.
    pub(crate) fn index(&mut self, entry_id: EntryId, id: &str) {
        self.by_name.insert(self.hash(id), entry_id);
    }

    pub(crate) fn unindex(&mut self, id: &str) {
        self.by_name.remove(&self.hash(id));
    }

    fn hash(&self, id: &str) -> u64 {
        self.by_name.hasher().hash_one(id)
    }

    /// Returns the entry of a secret, creating it if necessary.
    pub(crate) fn entry_for(&mut self, id: &str) -> EntryId {
        if let Some(entry) = self.find(id) {
            return entry;
        }
        self.entries_made += 1;
        let entry_id = self.entries_made;
        let entry = SecretEntry {
            name: id.into(),
            other_names: Vec::new(),
            arn: None,
            versions: Vec::new(),
            described: None,
            describe_denied: None,
            logins: None,
            schedule: None,
        };
        self.entries.insert(entry_id, Box::new(entry));
        self.index(entry_id, id);
        self.order.push(entry_id);
        entry_id
    }

    /// Removes and returns an entry if there are more than `max_size`. Never evicts `keep`, and evicts watched secrets
    /// only if there are no others.
    pub(crate) fn evict(&mut self, max_size: usize, keep: EntryId, watches: &Watches) -> Option<SecretEntry> {
        if self.entries.len() <= max_size {
            return None;
        }
        let (entries, watched) = (&self.entries, watches.current());
        let victim = self.order.victim(keep, |id| {
            // No short circuit: every version's mark must be cleared.
            entries[&id].secrets().fold(entries[&id].is_among(&watched), |visited, secret| {
                secret.version().validity.take_visited() | visited
            })
        })?;
        self.counters.evictions += 1;
        self.remove(victim)
    }

    pub(crate) fn remove(&mut self, id: EntryId) -> Option<SecretEntry> {
        let entry = self.entries.remove(&id)?;
        entry.names().map(|name| &**name).chain(entry.aliases().last()).for_each(|id| self.unindex(id));
        self.order.remove(id);
        Some(*entry)
    }
}

impl SecretEntry {
    /// The ids it was requested with.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.name).chain(&self.other_names)
    }

    /// Whether its values are tokens signed in this process, which do not depend on the state of the service.
    pub(crate) fn is_signed_here(&self) -> bool {
        IamLogin::has_id(&self.name)
    }

    /// Records whether a replica confirmed it, and returns the previous record.
    pub(crate) fn replace_is_at_replica(&mut self, is_at_replica: bool) -> bool {
        let flags = self.versions.iter_mut().map(|version| &mut version.is_at_replica);
        flags.fold(false, |before, flag| std::mem::replace(flag, is_at_replica) | before)
    }

    /// The ids that follow from its ARN, if that is known. The others follow from the last one.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.arn.iter().flat_map(|arn| aliases(&self.name, arn))
    }

    pub(crate) fn is_known_as(&self, id: &str) -> bool {
        self.names().any(|name| **name == *id) || self.aliases().any(|alias| alias == id)
    }

    /// Whether it is known by one of these ids.
    pub(crate) fn is_among(&self, ids: &[Arc<str>]) -> bool {
        ids.iter().any(|id| self.is_known_as(id))
    }

    pub(crate) fn logins(&self) -> &LoginHistory {
        self.logins.as_deref().unwrap_or(LoginHistory::NONE)
    }

    pub(crate) fn logins_mut(&mut self) -> &mut LoginHistory {
        self.logins.get_or_insert_default()
    }

    pub(crate) fn is_describe_denied(&self, now: &Now) -> bool {
        self.describe_denied.as_ref().is_some_and(|denied| !now.until(denied.until).is_zero())
    }

    pub(crate) fn version(&self, selector: Selector<'_>) -> Option<&VersionEntry> {
        self.versions.iter().find(|version| version.selector.as_selector() == selector)
    }

    pub(crate) fn version_mut(&mut self, selector: Selector<'_>) -> Option<&mut VersionEntry> {
        self.versions.iter_mut().find(|version| version.selector.as_selector() == selector)
    }

    pub(crate) fn position(&self, selector: Selector<'_>) -> Option<usize> {
        self.versions.iter().position(|version| version.selector.as_selector() == selector)
    }

    /// Returns the index of a version, creating it if necessary, and the version that was evicted to make room.
    pub(crate) fn index_of(&mut self, selector: Selector<'_>) -> (usize, Option<VersionEntry>) {
        if let Some(index) = self.position(selector) {
            return (index, None);
        }
        let full = self.versions.len() >= MOST_VERSIONS;
        let oldest = |version: &VersionEntry| {
            version.flight.is_none() && version.selector.as_selector() != Selector::CURRENT
        };
        let out = if full { self.versions.iter().position(oldest) } else { None };
        let out = out.map(|index| self.versions.remove(index));
        // Most secrets have one version; `push` alone would allocate room for four.
        self.versions.reserve_exact(1);
        self.versions.push(VersionEntry::new(selector.into()));
        (self.versions.len() - 1, out)
    }

    /// The version that a login would try first and that is expected to work: the current one unless it was refused,
    /// and then the one that the resource accepted last.
    pub(crate) fn login_version(&self) -> Option<&str> {
        let current = self.version(Selector::CURRENT)?.secret.as_ref()?.version_id()?;
        if self.logins().is_rejected(current) { self.logins().accepted() } else { Some(current) }
    }

    /// Records that the resource refused a version. If it is the current one, another is about to replace it: the
    /// refresher polls for it soon, and keeps polling.
    pub(crate) fn expect_change(&mut self, version_id: &str, now: &Now) {
        if self.is_signed_here() {
            return;
        }
        let Some(version) =
            self.versions.iter_mut().find(|version| version.selector.as_selector() == Selector::CURRENT)
        else {
            return;
        };
        if version.secret.as_ref().and_then(Secret::version_id) == Some(version_id) {
            let soon = self.schedule.get_or_insert_default().refused(version_id, now);
            let soon = now.since(version.confirmed).saturating_add(soon);
            version.refresh_after = soon.min(version.refresh_after.into()).into();
        }
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.versions.iter().filter_map(|version| version.secret.as_ref())
    }

    /// The last description, if it is fresh enough to be used without asking again.
    pub(crate) fn fresh_description(&self, now: &Now) -> Option<Arc<VersionLabels>> {
        let described = self.described.as_ref()?;
        (now.since(described.at) < Duration::from(described.refresh_after))
            .then(|| Arc::clone(&described.labels))
    }
}

impl VersionEntry {
    fn new(selector: OwnedSelector) -> Self {
        let is_read = selector.as_selector() == Selector::CURRENT;
        Self {
            selector,
            secret: None,
            newest: None,
            confirmed: Moment::default(),
            refresh_after: Span::default(),
            failure: None,
            flight: None,
            answered: 0,
            overdue: false,
            served: Moment::default(),
            stale_notified: false,
            is_read,
            is_at_replica: false,
        }
    }

    pub(crate) fn snapshot(&self, ttl: Duration, config: &Config, now: &Now) -> EntrySnapshot {
        EntrySnapshot {
            age: self.age(now),
            refresh_after: self.refresh_after.into(),
            ttl,
            max_age: self.max_age(config),
            backing_off: self.backing_off(now),
            denied: self.denied(),
            failing: self.failure.is_some(),
            in_flight: self.flight.is_some(),
            overdue: self.overdue,
            held_back: false,
            unread_for: now.since(self.served),
        }
    }

    pub(crate) fn age(&self, now: &Now) -> Option<Duration> {
        self.secret.as_ref().map(|_| now.since(self.confirmed))
    }

    pub(crate) fn backing_off(&self, now: &Now) -> Option<Duration> {
        let failure = self.failure.as_ref()?;
        Some(now.until(failure.retry_at)).filter(|wait| !wait.is_zero())
    }

    fn denied(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.error.kind().is_denial())
    }

    /// The last known value, if the policy allows serving it.
    pub(crate) fn last_known(&self, config: &Config, now: &Now) -> Option<Secret> {
        let age = self.age(now)?;
        let may_serve = policy::may_fall_back(age, self.max_age(config), self.denied(), config);
        self.secret.clone().filter(|_| may_serve)
    }

    fn max_age(&self, config: &Config) -> Option<Duration> {
        policy::max_age(self.secret.as_ref().and_then(Secret::expires_after), config)
    }

    /// The value to log in with, unless it has expired on its own.
    pub(crate) fn for_login(&self, now: &Now) -> Option<&Secret> {
        let secret = self.secret.as_ref()?;
        let has_ended = secret.expires_after().is_some_and(|end| now.since(self.confirmed) >= end);
        (!has_ended).then_some(secret)
    }

    /// The time until the refresher must handle this version: its refresh time, or the end of its backoff.
    pub(crate) fn due_in(&self, now: &Now) -> Option<Duration> {
        let age = self.age(now)?;
        let fresh = Duration::from(self.refresh_after).saturating_sub(age);
        Some(self.backing_off(now).unwrap_or(fresh))
    }
}

/// SIEVE eviction (Zhang et al., NSDI 2024): a hit only has to set a bit, so it needs no lock, and it keeps hot
/// entries at least as well as LRU.
#[derive(Default)]
struct Sieve {
    /// Oldest first.
    queue: Vec<EntryId>,
    hand: usize,
}

impl Sieve {
    fn push(&mut self, id: EntryId) {
        self.queue.push(id);
    }

    fn remove(&mut self, id: EntryId) {
        if let Some(index) = self.queue.iter().position(|entry| *entry == id) {
            self.queue.remove(index);
            if index < self.hand {
                self.hand -= 1;
            }
        }
    }

    /// Returns the next entry that was not visited since the hand last passed it, skipping `keep`.
    fn victim(&mut self, keep: EntryId, mut take_visited: impl FnMut(EntryId) -> bool) -> Option<EntryId> {
        // After one round every mark is clear; the second round finds a victim unless `keep` is the only entry.
        for _ in 0..self.queue.len() * 2 {
            if self.hand >= self.queue.len() {
                self.hand = 0;
            }
            let id = self.queue[self.hand];
            if id != keep && !take_visited(id) {
                return Some(id);
            }
            self.hand += 1;
        }
        // Readers may set marks as fast as the hand clears them.
        self.queue.iter().copied().find(|id| *id != keep)
    }
}
