//! The obligation to fetch once, for all readers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::flight::{Flight, Outcome, Waiter};
use crate::cache::policy::{self, Decision, decide};
use crate::cache::schedule::RefreshSchedule;
use crate::cache::shared::Shared;
use crate::cache::state::{DescribeDenied, Described, EntryId, Failure, SecretEntry, State, VersionEntry};
use crate::cache::validity::Freshness;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::fetched::Fetched;
use crate::iam_login::IamLogin;
use crate::id::{AWSCURRENT, OwnedSelector, Selector, aliases};
use crate::labels::VersionLabels;
use crate::secret::Secret;
use crate::time::{Moment, Now, Span};
use crate::wire::{Answer, Description};

/// How long a denied `DescribeSecret` is left alone at first, and at most: denied calls raise alarms, and cost.
const DENIED_FOR: Duration = Duration::from_secs(3600);
const DENIED_FOR_LONG: Duration = Duration::from_secs(7 * 86_400);

/// The obligation to make one request to the source, for every reader of the same version.
///
/// Ask the source for [`FetchPermit::id`] and [`FetchPermit::selector`], and [`complete`](FetchPermit::complete) the
/// permit with the result. Complete it in every case, including errors and cancellation: a permit that is dropped wakes
/// the readers that wait, and one of them must start again.
///
/// ```
/// use secretcache::host::{Answer, Cache, Lookup, Now};
/// use secretcache::{Config, Error, ErrorKind, Fetched, Selector};
/// use std::time::Duration;
///
/// let cache = Cache::new(Config::default(), 7)?;
/// let now = Now::default().plus(Duration::from_secs(1));
/// if let Lookup::Leader(permit, _) = cache.lookup("prod/db", Selector::CURRENT, now) {
///     assert_eq!(permit.id(), "prod/db");
///     permit.complete(Err(Error::new(ErrorKind::Throttled, "slow down")), now);
/// }
/// // Until the backoff ends, readers get the failure and the source is left alone.
/// assert!(matches!(cache.lookup("prod/db", Selector::CURRENT, now), Lookup::Failed(_)));
/// # Ok::<(), Error>(())
/// ```
#[must_use]
pub struct FetchPermit {
    shared: Arc<Shared>,
    entry: EntryId,
    id: Arc<str>,
    selector: OwnedSelector,
    flight: Arc<Flight>,
    /// When, counted from boot.
    begun: Duration,
    known: Option<Secret>,
    /// When `known` was last confirmed.
    confirmed: Moment,
    description: Option<Arc<VersionLabels>>,
    may_describe: bool,
    /// The other versions of this secret that are held.
    siblings: Vec<Secret>,
    purpose: Purpose,
}

/// Why a permit was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A reader waits for it.
    Read,
    /// It is due; no reader waits.
    Refresh,
    /// Somebody asked for it to be done now.
    Force,
    /// A login with what is held was refused.
    Recheck,
}

impl FetchPermit {
    /// Starts a request for a version.
    pub(crate) fn lead(
        shared: &Arc<Shared>,
        state: &mut State,
        entry_id: EntryId,
        index: usize,
        now: &Now,
        purpose: Purpose,
    ) -> Self {
        let flight = state.start_flight();
        if !state.entries.get(&entry_id).is_some_and(|entry| entry.is_signed_here) {
            state.pacer.note_request(now, &mut state.random);
        }
        let mut permit = Self {
            shared: Arc::clone(shared),
            entry: entry_id,
            id: Arc::from(""),
            selector: Selector::CURRENT.into(),
            flight: Arc::clone(&flight),
            begun: now.boot,
            known: None,
            confirmed: Moment::default(),
            description: None,
            may_describe: true,
            siblings: Vec::new(),
            purpose,
        };
        if let Some(entry) = state.entries.get_mut(&entry_id) {
            permit.id = Arc::clone(&entry.name);
            permit.description = entry.fresh_description(now).filter(|_| purpose != Purpose::Force);
            permit.may_describe = !entry.is_describe_denied(now);
            if purpose != Purpose::Force {
                permit.siblings = entry.secrets().cloned().collect();
            }
            let version = &mut entry.versions[index];
            version.flight = Some(flight);
            version.overdue = false;
            permit.selector = version.selector.clone();
            permit.known.clone_from(&version.secret);
            permit.confirmed = version.confirmed;
        }
        permit
    }

    /// The id to ask for: the one this secret was first asked for with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version to ask for.
    pub fn selector(&self) -> Selector<'_> {
        self.selector.as_selector()
    }

    /// The version held, which the source may confirm with [`Answer::unchanged`] instead of sending it again.
    /// `None` if nothing is held, and for forced refreshes, which want the value itself.
    pub fn known(&self) -> Option<&Secret> {
        self.known.as_ref().filter(|_| self.purpose != Purpose::Force)
    }

    /// A version of this secret that is held for another selector, by its id: versions never change, so it need not
    /// be fetched again. `None` for forced refreshes.
    pub fn held(&self, version_id: &str) -> Option<&Secret> {
        self.siblings.iter().find(|secret| secret.version_id() == Some(version_id))
    }

    /// The labels of a description that is still fresh: it need not be asked for again.
    pub fn description(&self) -> Option<&VersionLabels> {
        // A due refresh is there to renew exactly that knowledge.
        self.description.as_deref().filter(|_| self.known.is_none())
    }

    /// Whether `DescribeSecret` may be tried; no for an hour after it was denied.
    pub fn may_describe(&self) -> bool {
        self.may_describe
    }

    /// A waiter for the outcome.
    pub fn waiter(&self) -> Waiter {
        Waiter::new(Arc::clone(&self.flight), None)
    }

    /// Ends the request with the source's result.
    pub fn complete(mut self, result: Result<Answer, Error>, now: Now) {
        let mut events = Vec::new();
        let outcome = {
            let shared = Arc::clone(&self.shared);
            let result =
                result.and_then(|answer| answer.checked(&self.id, self.known.as_ref().and_then(Secret::arn)));
            let mut state = shared.lock();
            match result {
                Ok(answer) => self.succeed(&mut state, answer, &now, &mut events),
                Err(error) => self.fail(&mut state, error, &now, &mut events),
            }
        };
        self.flight.end(outcome);
        self.shared.notify(&events);
    }

    fn is_signed_here(&self) -> bool {
        IamLogin::has_id(&self.id)
    }

    fn ttl(&self) -> Duration {
        self.shared.config.ttl_for(&self.id)
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    fn succeed(&mut self, state: &mut State, answer: Answer, now: &Now, events: &mut Vec<Event>) -> Outcome {
        let Answer { value, description, describe_denied } = answer;
        if !self.is_signed_here() {
            state.pacer.ease(self.begun, now);
        }
        self.renew_description(state, description, describe_denied, now);
        let entry = state.entries.get(&self.entry).map(Box::as_ref);
        let described = entry.and_then(|entry| entry.described.as_ref());
        let labels = described.map(|described| Arc::clone(&described.labels));
        let Some(secret) = self.secret_from(value, entry, labels.as_deref()) else {
            // "Unchanged" with nothing held: the source broke its contract.
            let error = Error::new(ErrorKind::Internal, "a source confirmed a version that nobody holds");
            return self.fail(state, error, now, events);
        };
        state.counters.refreshes += u64::from(self.known.is_some());
        self.reveal_aliases(state, &secret);
        let draw = state.random.f64();
        let Some(entry) = state.entries.get_mut(&self.entry) else { return Outcome::Value(secret) };
        let ttl = self.ttl();
        let schedule = entry.schedule.as_mut().filter(|_| self.selector() == Selector::CURRENT);
        let refresh_after = match schedule {
            Some(known) => known.refresh_after(secret.version_id(), ttl, draw, now, &mut state.budget),
            None => policy::refresh_after(ttl, draw),
        };
        let refresh_after = refresh_after.min(policy::refresh_before(secret.expires_after(), draw));
        let Some(version) = self.version_of(entry) else { return Outcome::Value(secret) };
        version.flight = None;
        if let Some(old) = version.secret.take().filter(|old| old.as_ptr() != secret.as_ptr()) {
            self.shared.invalidate(&old);
            if old.version_id() != secret.version_id() {
                state.counters.rotations_observed += 1;
                events.push(Event::NewVersion {
                    secret_id: Arc::clone(&self.id),
                    version_stage: self.selector().as_stage().map(str::to_owned),
                    old_version_id: old.version_id().map(str::to_owned),
                    new_version_id: secret.version_id().map(str::to_owned),
                });
            }
        }
        confirm(version, secret.clone(), refresh_after, now);
        version.answered = self.flight.started;
        match self.purpose {
            Purpose::Refresh => secret.version().validity.clear_used(),
            // Whoever waited for it is about to read it.
            Purpose::Read | Purpose::Force | Purpose::Recheck => secret.version().validity.note_use(),
        }
        if let Some(version) = entry.version(self.selector()) {
            self.shared.publish(entry.names(), version);
        }
        self.confirm_siblings(entry, labels.as_deref(), refresh_after, now);
        Outcome::Value(secret)
    }

    fn fail(&mut self, state: &mut State, error: Error, now: &Now, events: &mut Vec<Event>) -> Outcome {
        *state.counters.failures.entry(error.kind().name()).or_default() += 1;
        // That a label besides the current one is not there, or not for this caller, is what a login looks to find out.
        let is_answer = self.purpose == Purpose::Recheck
            && self.selector() != Selector::CURRENT
            && matches!(error.kind(), ErrorKind::VersionNotFound | ErrorKind::AccessDenied);
        if !is_answer {
            // Nothing was held: a reader, or who prefetches, gets the error.
            let is_told = self.known.is_none() && matches!(self.purpose, Purpose::Read | Purpose::Refresh);
            events.push(Event::Error { secret_id: Arc::clone(&self.id), error: error.clone(), is_told });
        }
        let draw = state.random.f64();
        let shared = Arc::clone(&self.shared);
        let ttl = self.ttl();
        let pause =
            |failures| shared.config.backoff.jittered(failures, Some(ttl).filter(|ttl| !ttl.is_zero()), draw);
        if self.is_signed_here() {
            // Nobody was asked.
        } else if error.kind().is_outage() {
            state.pacer.strike(self.begun, now, &error, pause);
        } else if error.kind().is_denial() || error.fault().is_some() {
            state.pacer.ease(self.begun, now);
        }
        let why = state.pacer.error().filter(|_| !self.is_signed_here());
        // A label that has moved away leaves nothing behind that could stand in for it. AWSCURRENT cannot go.
        let gone = error.kind() == ErrorKind::VersionNotFound && self.selector() != Selector::CURRENT;
        let entry = state.entries.get_mut(&self.entry);
        let found = entry.and_then(|entry| {
            let index = entry.versions.iter().position(|version| self.flies_for(version))?;
            Some((entry, index))
        });
        let Some((entry, index)) = found else {
            // Evicted or forgotten meanwhile: only this permit still knows the value.
            let (age, denied) = (now.since(self.confirmed), error.kind().is_denial());
            let last_known = self.known.clone().filter(|known| {
                let max_age = policy::max_age(known.expires_after(), &shared.config);
                !gone && policy::may_fall_back(age, max_age, denied, &shared.config)
            });
            return Outcome::Failed { error, last_known };
        };
        let version = &mut entry.versions[index];
        version.flight = None;
        let count = version.failure.as_ref().map_or(0, |failure| failure.count);
        let retry_at = now.plus(pause(count)).moment();
        let count = count.saturating_add(1);
        version.failure = Some(Box::new(Failure { error: error.clone(), count, retry_at }));

        let last_known = version.last_known(&shared.config, now).filter(|_| !gone);
        let Some(secret) = last_known else {
            shared.unpublish_version(entry.names(), &entry.versions[index]);
            entry.versions[index].secret = None;
            return Outcome::Failed { error, last_known: None };
        };
        let snapshot = version.snapshot(ttl, &shared.config, now);
        match decide(&snapshot, &shared.config) {
            Decision::Serve { span } => {
                version.served = now.plus(span).moment();
                secret.version().validity.serve_until(now.coarse.plus(span), Freshness::Fresh);
            }
            Decision::ServeLastKnown { span } => {
                version.served = now.plus(span).moment();
                secret.version().validity.serve_until(now.coarse.plus(span), Freshness::Stale);
                shared.notify_stale(entry, index, now, why, events);
            }
            _ => shared.invalidate(&secret),
        }
        Outcome::Failed { error, last_known: Some(secret) }
    }

    /// The version that the answer stands for; the one held, if it is the same.
    fn secret_from(
        &self,
        value: Option<Fetched>,
        entry: Option<&SecretEntry>,
        labels: Option<&VersionLabels>,
    ) -> Option<Secret> {
        let Some(fetched) = value else {
            let known = self.known.clone()?;
            let stages = known.version_id().and_then(|id| labels?.stages_of(id));
            return Some(stages.map_or_else(|| known.clone(), |stages| known.relabelled(stages)));
        };
        match &self.known {
            // Keeping the old one keeps what bindings have made of it.
            Some(known) if fetched.extension.is_none() && known.is_same_as(&fetched) => Some(known.clone()),
            _ => {
                let arn = entry.and_then(|entry| entry.arn.as_ref());
                let ids = labels.into_iter().flat_map(VersionLabels::ids);
                let kept: Vec<_> = [&self.id].into_iter().chain(arn).chain(ids).collect();
                Some(Secret::new(fetched, &kept))
            }
        }
    }

    fn renew_description(
        &self,
        state: &mut State,
        description: Option<Description>,
        denied: bool,
        now: &Now,
    ) {
        let draw = state.random.f64();
        let Some(entry) = state.entries.get_mut(&self.entry) else { return };
        if denied {
            let before = entry.describe_denied.as_ref().map_or(0, |denied| denied.count);
            let span = DENIED_FOR.saturating_mul(1 << before.min(10)).min(DENIED_FOR_LONG);
            let (until, count) = (now.plus(span).moment(), before.saturating_add(1));
            entry.describe_denied = Some(Box::new(DescribeDenied { until, count }));
        }
        if let Some(description) = description {
            let refresh_after = policy::refresh_after(self.ttl(), draw).into();
            entry.describe_denied = None;
            if entry.schedule.is_some() || RefreshSchedule::is_told_by(&description) {
                entry.schedule.get_or_insert_default().observe(&description, now);
            }
            let held: Vec<_> = entry.secrets().filter_map(Secret::shared_version_id).collect();
            let labels = Arc::new(VersionLabels::of(description, &held));
            entry.described = Some(Described { labels, at: now.moment(), refresh_after });
        }
    }

    /// Lets the secret's other ids share its entry, now that its ARN is known.
    fn reveal_aliases(&mut self, state: &mut State, secret: &Secret) {
        let Some(arn) = secret.shared_arn() else { return };
        let id = Arc::clone(&self.id);
        if aliases(&id, arn).next().is_none() {
            return;
        }
        self.drop_names_of_another_arn(state, arn);
        for alias in aliases(&id, arn) {
            if let Some(other) = state.find(alias).filter(|other| *other != self.entry) {
                self.join(state, other);
            }
        }
        if let Some(entry) = state.entries.get_mut(&self.entry) {
            entry.arn = Some(Arc::clone(arn));
            let name = Arc::clone(&entry.name);
            aliases(&name, arn).last().into_iter().for_each(|alias| state.index(self.entry, alias));
        }
    }

    /// A secret that is deleted and created again keeps its name and gets another ARN; the old ARN means no secret now.
    fn drop_names_of_another_arn(&self, state: &mut State, arn: &str) {
        let Some(entry) = state.entries.get_mut(&self.entry) else { return };
        let is_outdated =
            |name: &str| name.starts_with("arn:") && !arn.starts_with(name) && *name != *self.id;
        let names: Vec<_> = entry.other_names.extract_if(.., |name| is_outdated(name)).collect();
        for version in &entry.versions {
            self.shared.unpublish_version(names.iter(), version);
        }
        let old = entry.arn.take_if(|old| is_outdated(old));
        names.iter().chain(&old).for_each(|name| state.unindex(name));
    }

    /// The secret turns out to be cached under another id already: the two become one, there.
    fn join(&mut self, state: &mut State, other: EntryId) {
        let Some(mut mine) = state.remove(self.entry) else { return };
        self.shared.unpublish(&mine);
        self.entry = other;
        let Some(index) = mine.versions.iter().position(|version| self.flies_for(version)) else { return };
        let version = mine.versions.swap_remove(index);
        let Some(entry) = state.entries.get_mut(&other) else { return };
        match entry.version_mut(self.selector.as_selector()) {
            // A request that began later knows better, and one under way will know soon: this answer is then only
            // for those who wait for it.
            Some(existing) if existing.flight.is_some() || existing.answered > self.flight.started => {}
            Some(existing) => existing.flight = Some(Arc::clone(&self.flight)),
            None => entry.versions.push(version),
        }
        let names: Vec<_> = mine.names().cloned().collect();
        for name in &names {
            self.shared.add_name(entry, Arc::clone(name));
        }
        names.iter().for_each(|name| state.index(other, name));
    }

    /// One description confirms every version of the secret that still carries its label.
    fn confirm_siblings(
        &self,
        entry: &mut SecretEntry,
        labels: Option<&VersionLabels>,
        refresh_after: Duration,
        now: &Now,
    ) {
        let described_now = entry.described.as_ref().is_some_and(|described| described.at == now.moment());
        let Some(labels) = labels.filter(|_| described_now) else { return };
        let names: Vec<_> = entry.names().cloned().collect();
        for version in
            entry.versions.iter_mut().filter(|version| version.flight.is_none() && !self.is_for(version))
        {
            let (Some(secret), Some(stage)) =
                (version.secret.clone(), version.selector.as_selector().as_stage())
            else {
                continue;
            };
            let labelled = labels.version_with_stage(stage).filter(|id| secret.version_id() == Some(id));
            if let Some(stages) = labelled.and_then(|version_id| labels.stages_of(version_id)) {
                let relabelled = secret.relabelled(stages);
                let is_another = relabelled.as_ptr() != secret.as_ptr();
                confirm(version, relabelled, refresh_after, now);
                if is_another {
                    self.shared.invalidate(&secret);
                    self.shared.publish(names.iter(), version);
                }
            } else if stage != AWSCURRENT && labels.version_with_stage(stage).is_none() {
                // No version carries the label any more, as `AWSPENDING` after each rotation: nothing to ask for.
                self.shared.unpublish_version(names.iter(), version);
                version.secret = None;
            } else {
                // Known to have moved: due at the next look, and served until then as any due value.
                version.refresh_after = Span::default();
                self.shared.invalidate(&secret);
            }
        }
    }

    fn version_of<'a>(&self, entry: &'a mut SecretEntry) -> Option<&'a mut VersionEntry> {
        entry.versions.iter_mut().find(|version| self.flies_for(version))
    }

    fn is_for(&self, version: &VersionEntry) -> bool {
        version.selector == self.selector
    }

    /// Whether the version still waits for this very request; not after it was invalidated or evicted and cached again.
    fn flies_for(&self, version: &VersionEntry) -> bool {
        self.is_for(version)
            && version.flight.as_ref().is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
    }
}

/// Notes that a value is right as of now, and lets hits have it until its next refresh.
fn confirm(version: &mut VersionEntry, secret: Secret, refresh_after: Duration, now: &Now) {
    secret.version().validity.serve_until(now.coarse.plus(refresh_after), Freshness::Fresh);
    version.confirmed = now.moment();
    version.refresh_after = refresh_after.into();
    version.failure = None;
    version.overdue = false;
    version.stale_notified = false;
    version.secret = Some(secret);
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        // After `complete` the flight has ended and the version no longer points to it: both are then no-ops.
        if let Some(entry) = self.shared.lock().entries.get_mut(&self.entry)
            && let Some(version) = self.version_of(entry)
        {
            version.flight = None;
        }
        self.flight.end(Outcome::Abandoned);
    }
}

impl fmt::Debug for FetchPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchPermit")
            .field("id", &self.id)
            .field("selector", &self.selector)
            .finish_non_exhaustive()
    }
}
