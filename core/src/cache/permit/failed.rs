//! Handles a failure: decides when to ask the source again, and what readers get until then.

use std::sync::Arc;

use super::{FetchPermit, Purpose};
use crate::cache::flight::Outcome;
use crate::cache::policy::{self, Decision, decide};
use crate::cache::state::{Failure, State};
use crate::cache::validity::Freshness;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::id::Selector;
use crate::time::Now;

impl FetchPermit {
    pub(super) fn fail(
        &mut self,
        state: &mut State,
        error: Error,
        now: &Now,
        events: &mut Vec<Event>,
    ) -> Outcome {
        *state.counters.failures.entry(error.kind().name()).or_default() += 1;
        // A login rechecks the other labels to find out whether they exist and can be read, so "no" is an answer, not
        // an error.
        let is_answer = self.purpose == Purpose::Recheck
            && self.selector() != Selector::CURRENT
            && matches!(error.kind(), ErrorKind::VersionNotFound | ErrorKind::AccessDenied);
        if !is_answer {
            // Nothing was cached, so the reader or the prefetching caller gets the error.
            let caller_gets_it =
                self.known.is_none() && matches!(self.purpose, Purpose::Read | Purpose::Refresh);
            events.push(Event::Error {
                secret_id: Arc::clone(&self.id),
                error: error.clone(),
                caller_gets_it,
            });
        }
        let draw = state.random.f64();
        let shared = Arc::clone(&self.shared);
        let ttl = self.ttl();
        let pause =
            |failures| shared.config.backoff.jittered(failures, Some(ttl).filter(|ttl| !ttl.is_zero()), draw);
        if !self.is_of_endpoint() {
            // The brake is for another endpoint.
        } else if error.kind().is_outage() {
            state.pacer.strike(self.begun, now, &error, pause);
        } else if error.kind().is_denial() || error.fault().is_some() {
            state.pacer.ease(self.begun, now);
        }
        let why = state.pacer.error().filter(|_| !self.is_signed_here());
        // A removed label leaves no value to fall back to. `AWSCURRENT` cannot be removed.
        let gone = error.kind() == ErrorKind::VersionNotFound && self.selector() != Selector::CURRENT;
        let entry = state.entries.get_mut(&self.entry);
        let found = entry.and_then(|entry| {
            let index = entry.versions.iter().position(|version| self.flies_for(version))?;
            Some((entry, index))
        });
        let Some((entry, index)) = found else {
            // Evicted or invalidated in the meantime: only this permit still holds the value.
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
}
