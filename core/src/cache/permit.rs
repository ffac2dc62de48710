//! The right, and the duty, to ask the source once for everyone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::flight::{Flight, Outcome, Waiter};
use crate::cache::policy::{self, Decision, decide};
use crate::cache::shared::{Purpose, Shared};
use crate::cache::state::{Described, Failure, Line, Record, RecordId, State};
use crate::cache::validity::Freshness;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::id::{AWSCURRENT, OwnedSelector, Selector, aliases};
use crate::secret::{Fetched, Secret};
use crate::time::Now;
use crate::wire::{Answer, Description};

/// How long a denied `DescribeSecret` is left alone at first, and at most: denied calls raise alarms, and cost.
const DENIED_FOR: Duration = Duration::from_secs(3600);
const DENIED_FOR_LONG: Duration = Duration::from_secs(7 * 86_400);

/// One request to the source, on behalf of every reader who wants the same thing.
///
/// Ask the source for [`FetchPermit::id`] and [`FetchPermit::selector`], and [`complete`](FetchPermit::complete) the permit with
/// what it says. A permit that is dropped uncompleted wakes those who wait, and one of them leads anew; so complete
/// it in every case, errors and cancellation included.
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
    record: RecordId,
    id: Arc<str>,
    selector: OwnedSelector,
    flight: Arc<Flight>,
    known: Option<Secret>,
    /// When `known` was last confirmed.
    confirmed: Now,
    description: Option<Arc<Description>>,
    may_describe: bool,
    /// The other versions of this secret that are held.
    siblings: Vec<Secret>,
    purpose: Purpose,
}

impl FetchPermit {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        record_id: RecordId,
        record: Option<&mut Record>,
        place: usize,
        flight: Arc<Flight>,
        now: &Now,
        purpose: Purpose,
    ) -> Self {
        let mut permit = Self {
            shared: Arc::clone(shared),
            record: record_id,
            id: Arc::from(""),
            selector: Selector::CURRENT.into(),
            flight: Arc::clone(&flight),
            known: None,
            confirmed: Now::default(),
            description: None,
            may_describe: true,
            siblings: Vec::new(),
            purpose,
        };
        if let Some(record) = record {
            permit.id = Arc::clone(record.name());
            permit.description = record.fresh_description(now).filter(|_| purpose != Purpose::Force);
            permit.may_describe =
                record.describe_denied_until.is_none_or(|until| now.until(&until).is_zero());
            if purpose != Purpose::Force {
                permit.siblings = record.secrets().cloned().collect();
            }
            let line = &mut record.lines[place];
            line.flight = Some(flight);
            line.overdue = false;
            permit.selector = line.selector.clone();
            permit.known.clone_from(&line.secret);
            permit.confirmed = line.confirmed;
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

    /// A description of the secret that is still fresh: it need not be asked for again.
    pub fn description(&self) -> Option<&Arc<Description>> {
        // A due refresh is there to renew exactly that knowledge.
        self.description.as_ref().filter(|_| self.known.is_none())
    }

    /// Whether `DescribeSecret` may be tried; no for an hour after it was denied.
    pub fn may_describe(&self) -> bool {
        self.may_describe
    }

    /// A place in the queue for the outcome.
    pub fn waiter(&self) -> Waiter {
        Waiter::new(Arc::clone(&self.flight), None)
    }

    /// Ends the request with what the source said.
    pub fn complete(mut self, result: Result<Answer, Error>, now: Now) {
        let mut events = Vec::new();
        let outcome = {
            let shared = Arc::clone(&self.shared);
            let mut state = shared.lock();
            match result {
                Ok(answer) => self.succeed(&mut state, answer, &now, &mut events),
                Err(error) => self.fail(&mut state, error, &now, &mut events),
            }
        };
        self.flight.end(outcome);
        self.shared.tell(&events);
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    fn succeed(&mut self, state: &mut State, answer: Answer, now: &Now, events: &mut Vec<Event>) -> Outcome {
        let Answer { value, description, describe_denied } = answer;
        self.renew_description(state, description, describe_denied, now);
        let description = state.records.get(&self.record).and_then(|record| record.described.as_ref());
        let description = description.map(|described| Arc::clone(&described.description));
        let Some(secret) = self.secret_from(value, description.as_deref()) else {
            // "Unchanged" with nothing held: the source broke its contract.
            let error = Error::new(ErrorKind::Internal, "a source confirmed a version that nobody holds");
            return self.fail(state, error, now, events);
        };
        state.counters.refreshes += u64::from(self.known.is_some());
        self.reveal_aliases(state, &secret);
        let draw = state.random.f64();
        let Some(record) = state.records.get_mut(&self.record) else { return Outcome::Value(secret) };
        let names = record.names.clone();
        let refresh_after = if self.selector() == Selector::CURRENT {
            let current = secret.version_id();
            record.foresight.refresh_after(current, record.ttl, draw, now, &mut state.budget)
        } else {
            policy::refresh_after(record.ttl, draw)
        };
        let Some(line) = self.line_of(record) else { return Outcome::Value(secret) };
        line.flight = None;
        if let Some(old) = line.secret.take().filter(|old| old.as_ptr() != secret.as_ptr()) {
            self.shared.retire(&old);
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
        confirm(line, secret.clone(), refresh_after, now);
        line.answered = self.flight.started;
        match self.purpose {
            Purpose::Refresh => secret.version().serving.clear_used(),
            // Whoever waited for it is about to read it.
            Purpose::Read | Purpose::Force | Purpose::Recheck => secret.version().serving.note_use(),
        }
        self.shared.publish(&names, line);
        self.confirm_siblings(record, description.as_deref(), refresh_after, now);
        Outcome::Value(secret)
    }

    fn fail(&mut self, state: &mut State, error: Error, now: &Now, events: &mut Vec<Event>) -> Outcome {
        *state.counters.failures.entry(error.kind().name()).or_default() += 1;
        // That a label besides the current one is not there, or not for this caller, is what a login looks to find out.
        let is_answer = self.purpose == Purpose::Recheck
            && self.selector() != Selector::CURRENT
            && matches!(error.kind(), ErrorKind::VersionNotFound | ErrorKind::AccessDenied);
        if !is_answer {
            events.push(Event::Error { secret_id: Arc::clone(&self.id), error: error.clone() });
        }
        let draw = state.random.f64();
        let shared = Arc::clone(&self.shared);
        // A label that has moved away leaves nothing behind that could stand in for it. AWSCURRENT cannot go.
        let gone = error.kind() == ErrorKind::VersionNotFound && self.selector() != Selector::CURRENT;
        let record = state.records.get_mut(&self.record);
        let found = record.and_then(|record| {
            let place = record.lines.iter().position(|line| self.flies_for(line))?;
            Some((record, place))
        });
        let Some((record, place)) = found else {
            // Evicted or forgotten meanwhile: only this permit still knows the value.
            let (age, denied) = (now.since(&self.confirmed), error.kind().is_denial());
            let may_serve = !gone && policy::may_fall_back(age, denied, &shared.config);
            let last_known = self.known.clone().filter(|_| may_serve);
            return Outcome::Failed { error, last_known };
        };
        let ttl = record.ttl;
        let line = &mut record.lines[place];
        line.flight = None;
        let count = line.failure.as_ref().map_or(0, |failure| failure.count);
        let cap = Some(ttl).filter(|ttl| !ttl.is_zero());
        let retry_at = now.plus(shared.config.backoff.jittered(count, cap, draw));
        line.failure = Some(Failure { error: error.clone(), count: count.saturating_add(1), retry_at });

        let last_known = line.last_known(&shared.config, now).filter(|_| !gone);
        let Some(secret) = last_known else {
            shared.unpublish_line(&record.names, &record.lines[place]);
            record.lines[place].secret = None;
            return Outcome::Failed { error, last_known: None };
        };
        let facts = line.facts(ttl, now);
        match decide(&facts, &shared.config) {
            Decision::Serve { span } => {
                line.served = now.plus(span);
                secret.version().serving.serve_until(now.coarse.plus(span), Freshness::Fresh);
            }
            Decision::ServeLastKnown { span } => {
                line.served = now.plus(span);
                secret.version().serving.serve_until(now.coarse.plus(span), Freshness::Stale);
                shared.tell_stale(record, place, now, events);
            }
            _ => shared.retire(&secret),
        }
        Outcome::Failed { error, last_known: Some(secret) }
    }

    /// The version that the answer stands for; the one held, if it is the same.
    fn secret_from(&self, value: Option<Fetched>, description: Option<&Description>) -> Option<Secret> {
        let Some(fetched) = value else {
            let known = self.known.clone()?;
            let stages = known.version_id().and_then(|id| description?.stages_of(id));
            return Some(stages.map_or_else(|| known.clone(), |stages| known.relabelled(stages)));
        };
        match &self.known {
            // Keeping the old one keeps what bindings have made of it.
            Some(known) if fetched.slot.is_none() && known.is_same_as(&fetched) => Some(known.clone()),
            _ => Some(Secret::from(fetched)),
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
        let Some(record) = state.records.get_mut(&self.record) else { return };
        if denied {
            let span = DENIED_FOR.saturating_mul(1 << record.describe_denials.min(10)).min(DENIED_FOR_LONG);
            record.describe_denials = record.describe_denials.saturating_add(1);
            record.describe_denied_until = Some(now.plus(span));
        }
        if let Some(description) = description {
            let refresh_after = policy::refresh_after(record.ttl, draw);
            record.describe_denials = 0;
            record.foresight.observe(&description, now);
            record.described =
                Some(Described { description: Arc::new(description), at: *now, refresh_after });
        }
    }

    /// Lets the secret's other ids share its record, now that its ARN is known.
    fn reveal_aliases(&mut self, state: &mut State, secret: &Secret) {
        let Some(arn) = secret.arn() else { return };
        let aliases = aliases(&self.id, arn);
        if !aliases.is_empty() {
            self.drop_names_of_another_arn(state, arn);
        }
        for alias in aliases {
            match state.by_name.get(alias.as_str()).copied() {
                None => self.add_name(state, alias.into()),
                Some(other) if other != self.record => self.join(state, other),
                Some(_) => {}
            }
        }
    }

    /// A secret deleted and made anew keeps its name and gets another ARN; the old one is nobody's now.
    fn drop_names_of_another_arn(&self, state: &mut State, arn: &str) {
        let Some(record) = state.records.get_mut(&self.record) else { return };
        let is_outdated =
            |name: &Arc<str>| name.starts_with("arn:") && !arn.starts_with(&**name) && *name != self.id;
        let outdated: Vec<_> = record.names.extract_if(.., |name| is_outdated(name)).collect();
        for line in &record.lines {
            self.shared.unpublish_line(&outdated, line);
        }
        for name in outdated {
            state.by_name.remove(&name);
        }
    }

    fn add_name(&self, state: &mut State, name: Arc<str>) {
        let Some(record) = state.records.get_mut(&self.record) else { return };
        record.names.push(Arc::clone(&name));
        for line in &record.lines {
            self.shared.publish(std::slice::from_ref(&name), line);
        }
        state.by_name.insert(name, self.record);
    }

    /// The secret turns out to be cached under another id already: the two become one, there.
    fn join(&mut self, state: &mut State, other: RecordId) {
        let Some(mut mine) = state.remove(self.record) else { return };
        self.shared.unpublish(&mine);
        self.record = other;
        let Some(place) = mine.lines.iter().position(|line| self.flies_for(line)) else { return };
        let line = mine.lines.swap_remove(place);
        let Some(record) = state.records.get_mut(&other) else { return };
        match record.line_mut(self.selector.as_selector()) {
            // A request that began later knows better, and one under way will know soon: this answer is then only
            // for those who wait for it.
            Some(existing) if existing.flight.is_some() || existing.answered > self.flight.started => {}
            Some(existing) => existing.flight = Some(Arc::clone(&self.flight)),
            None => record.lines.push(line),
        }
        for name in mine.names {
            record.names.push(Arc::clone(&name));
            for line in &record.lines {
                self.shared.publish(std::slice::from_ref(&name), line);
            }
            state.by_name.insert(name, other);
        }
    }

    /// One description confirms every version of the secret that still carries its label.
    fn confirm_siblings(
        &self,
        record: &mut Record,
        description: Option<&Description>,
        refresh_after: Duration,
        now: &Now,
    ) {
        let described_now = record.described.as_ref().is_some_and(|described| described.at == *now);
        let Some(description) = description.filter(|_| described_now) else { return };
        for line in record.lines.iter_mut().filter(|line| line.flight.is_none() && !self.is_for(line)) {
            let (Some(secret), Some(stage)) = (line.secret.clone(), line.selector.as_selector().as_stage())
            else {
                continue;
            };
            let labelled = description.version_with_stage(stage).filter(|id| secret.version_id() == Some(id));
            if let Some(stages) = labelled.and_then(|version_id| description.stages_of(version_id)) {
                let relabelled = secret.relabelled(stages);
                let is_another = relabelled.as_ptr() != secret.as_ptr();
                confirm(line, relabelled, refresh_after, now);
                if is_another {
                    self.shared.retire(&secret);
                    self.shared.publish(&record.names, line);
                }
            } else if stage != AWSCURRENT && description.version_with_stage(stage).is_none() {
                // No version carries the label any more, as `AWSPENDING` after each rotation: nothing to ask for.
                self.shared.unpublish_line(&record.names, line);
                line.secret = None;
            } else {
                // Known to have moved: due at the next look, and served until then as any due value.
                line.refresh_after = Duration::ZERO;
                self.shared.retire(&secret);
            }
        }
    }

    fn line_of<'a>(&self, record: &'a mut Record) -> Option<&'a mut Line> {
        record.lines.iter_mut().find(|line| self.flies_for(line))
    }

    fn is_for(&self, line: &Line) -> bool {
        line.selector == self.selector
    }

    /// Whether the line still waits for this very request; not after it was invalidated or evicted and made anew.
    fn flies_for(&self, line: &Line) -> bool {
        self.is_for(line) && line.flight.as_ref().is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
    }
}

/// Notes that a value is right as of now, and lets hits have it until its next refresh.
fn confirm(line: &mut Line, secret: Secret, refresh_after: Duration, now: &Now) {
    secret.version().serving.serve_until(now.coarse.plus(refresh_after), Freshness::Fresh);
    line.confirmed = *now;
    line.refresh_after = refresh_after;
    line.failure = None;
    line.overdue = false;
    line.stale_told = false;
    line.secret = Some(secret);
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        // After `complete` the flight has ended and the line no longer points to it: both are then no-ops.
        if let Some(record) = self.shared.lock().records.get_mut(&self.record)
            && let Some(line) = self.line_of(record)
        {
            line.flight = None;
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
