//! Handles an answer: the version that it delivers or confirms, and the secret's other versions that it covers.

use std::sync::Arc;
use std::time::Duration;

use super::{FetchPermit, Purpose};
use crate::cache::flight::Outcome;
use crate::cache::policy;
use crate::cache::schedule::RefreshSchedule;
use crate::cache::state::{DescribeDenied, Described, SecretEntry, State, VersionEntry};
use crate::cache::validity::Freshness;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::fetched::Fetched;
use crate::id::{AWSCURRENT, Selector};
use crate::labels::VersionLabels;
use crate::secret::Secret;
use crate::time::{Now, Span};
use crate::wire::{Answer, Description, Replica};

/// How long `DescribeSecret` is not called after a denial, at first and at most: denied calls raise alarms and cost
/// money.
const DENIED_FOR: Duration = Duration::from_secs(3600);
const DENIED_FOR_LONG: Duration = Duration::from_secs(7 * 86_400);

impl FetchPermit {
    /// Rejects an answer from a replica that is behind the cache.
    pub(super) fn not_backwards(&self, state: &State, answer: Answer) -> Result<Answer, Error> {
        if let (Some(replica), Some(fetched)) = (&answer.replica, &answer.value) {
            let entry = state.entries.get(&self.entry);
            let version = entry.and_then(|entry| entry.version(self.selector()));
            replica.check(fetched, version, self.known.as_ref())?;
        }
        Ok(answer)
    }

    pub(super) fn succeed(
        &mut self,
        state: &mut State,
        answer: Answer,
        now: &Now,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let Answer { value, description, describe_denied, is_for_one_id, replica } = answer;
        if self.is_of_endpoint() {
            state.pacer.ease(self.begun, now);
        }
        self.renew_description(state, description, describe_denied, now);
        let entry = state.entries.get(&self.entry).map(Box::as_ref);
        let described = entry.and_then(|entry| entry.described.as_ref());
        let labels = described.map(|described| Arc::clone(&described.labels));
        let Some(secret) = self.secret_from(value, entry, labels.as_deref()) else {
            // "Unchanged" with nothing cached: the source broke its contract.
            let error = Error::new(ErrorKind::Internal, "a source confirmed a version that is not cached");
            return self.fail(state, error, now, events);
        };
        state.counters.refreshes += u64::from(self.known.is_some());
        state.counters.replica_reads += u64::from(replica.is_some());
        if !is_for_one_id {
            self.reveal_aliases(state, &secret);
        }
        let draw = state.random.f64();
        let Some(entry) = state.entries.get_mut(&self.entry) else { return Outcome::Value(secret) };
        let was_at_replica = entry.replace_is_at_replica(replica.is_some());
        if let Some(Replica { region, error }) = replica.filter(|_| !was_at_replica) {
            events.push(Event::Replica { secret_id: Arc::clone(&self.id), region, error });
        }
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
            // A label that only logins request is none of the program's business.
            if version.is_read && old.version_id() != secret.version_id() {
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
            // A caller waited for it and is about to use it.
            Purpose::Read | Purpose::Force | Purpose::Recheck => secret.version().validity.note_use(),
        }
        if let Some(version) = entry.version(self.selector()) {
            self.shared.publish(entry.names(), version);
        }
        self.confirm_siblings(entry, labels.as_deref(), refresh_after, now);
        Outcome::Value(secret)
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
            if entry.schedule.is_some() || RefreshSchedule::is_described_by(&description) {
                entry.schedule.get_or_insert_default().observe(&description, now);
            }
            let held: Vec<_> = entry.secrets().filter_map(Secret::shared_version_id).collect();
            let labels = Arc::new(VersionLabels::of(description, &held));
            entry.described = Some(Described { labels, at: now.moment(), refresh_after });
        }
    }

    /// Returns the version in the answer, or the cached one if it is the same.
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
            // Keeping the old one keeps the renderings that bindings have made.
            Some(known) if fetched.extension.is_none() && known.is_same_as(&fetched) => Some(known.clone()),
            _ => {
                let arn = entry.and_then(|entry| entry.arn.as_ref());
                let ids = labels.into_iter().flat_map(VersionLabels::ids);
                let kept: Vec<_> = [&self.id].into_iter().chain(arn).chain(ids).collect();
                Some(Secret::new(fetched, &kept))
            }
        }
    }

    /// Applies a new description to the secret's other versions. It confirms each one that still carries its label.
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
                // No version carries the label any more, like `AWSPENDING` after each rotation: nothing to fetch.
                self.shared.unpublish_version(names.iter(), version);
                version.secret = None;
            } else {
                // The label has moved: the version is due now, and served until its refresh like any due value.
                version.refresh_after = Span::default();
                self.shared.invalidate(&secret);
            }
        }
    }
}

/// Records that a value is correct as of now, and lets hits serve it until its next refresh.
fn confirm(version: &mut VersionEntry, secret: Secret, refresh_after: Duration, now: &Now) {
    secret.version().validity.serve_until(now.coarse.plus(refresh_after), Freshness::Fresh);
    version.newest = version.newest.max(secret.created_date());
    version.confirmed = now.moment();
    version.refresh_after = refresh_after.into();
    version.failure = None;
    version.overdue = false;
    version.stale_notified = false;
    version.secret = Some(secret);
}
