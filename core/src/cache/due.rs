//! Fetches that no reader waits for: refreshes that are due, and prefetching.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::cache::{Cache, Lookup, closed};
use crate::cache::flight::Waiter;
use crate::cache::permit::{FetchPermit, Purpose};
use crate::cache::policy::{self, Decision, decide};
use crate::id::{self, Selector};
use crate::time::Now;

/// The work for the refresher.
#[derive(Debug)]
pub struct Due {
    /// Permits for the secrets in use whose refresh is due.
    pub permits: Vec<FetchPermit>,
    /// When to ask again; `None` if nothing is cached.
    pub next: Option<Duration>,
}

impl Cache {
    /// Returns what the refresher must do now: refresh the secrets that are due and in use (read since their last
    /// refresh, or watched).
    pub fn due(&self, now: Now) -> Due {
        let watched = self.0.watches.current();
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let mut due = Vec::new();
        let (mut next, mut usual): (Option<Duration>, f64) = (None, 0.0);
        if state.closed {
            return Due { permits: Vec::new(), next: None };
        }
        for (entry_id, entry) in &state.entries {
            let ttl = self.0.config.ttl_for(&entry.name);
            if ttl.is_zero() {
                continue; // every read asks the source: no background refreshes
            }
            let (is_watched, is_signed_here) = (entry.is_among(&watched), entry.is_signed_here());
            for (index, version) in entry.versions.iter().enumerate() {
                let (Some(wait), Some(secret)) = (version.due_in(&now), &version.secret) else { continue };
                let is_in_use = secret.version().validity.is_used()
                    || is_watched && version.selector.as_selector() == Selector::CURRENT;
                if is_in_use && !is_signed_here {
                    usual += (policy::USUALLY * ttl.as_secs_f64()).recip();
                }
                if version.flight.is_some() {
                    continue;
                }
                if !wait.is_zero() {
                    next = Some(next.map_or(wait, |next| next.min(wait)));
                } else if is_in_use {
                    due.push((now.since(version.confirmed), *entry_id, index, is_signed_here));
                }
            }
        }
        state.pacer.expect(usual);
        if due.is_empty() {
            state.pacer.note_nothing_due();
        }
        // If not all of them can go, those that have waited longest go first.
        due.sort_unstable_by(|a, b| b.cmp(a));
        let mut permits = Vec::new();
        for (_, entry_id, index, is_signed_here) in due {
            if !is_signed_here && let Some(wait) = state.pacer.held_back(&now) {
                next = Some(next.map_or(wait, |next| next.min(wait)));
                continue;
            }
            permits.push(FetchPermit::lead(&self.0, state, entry_id, index, &now, Purpose::Refresh));
        }
        Due { permits, next }
    }

    /// Starts to fetch a secret's current version before it is read. `None` if it is cached and not due. This does not
    /// count as a read, so a secret that is never read is not kept fresh.
    pub fn prefetch(&self, id: &str, now: Now) -> Option<Lookup<'_>> {
        if let Err(error) = id::validate_secret_id(id) {
            return Some(Lookup::Failed(error));
        }
        let mut guard = self.0.lock();
        let state = &mut *guard;
        if state.closed {
            return Some(Lookup::Failed(closed()));
        }
        let (entry_id, index) = self.0.index_of(state, id, Selector::CURRENT);
        let entry = state.entries.get(&entry_id)?;
        let version = &entry.versions[index];
        let ttl = self.0.config.ttl_for(&entry.name);
        let decision = decide(&version.snapshot(ttl, &self.0.config, &now), &self.0.config);
        match (decision, &version.flight, &version.failure) {
            (Decision::Await { .. } | Decision::ServeAndRefresh { .. }, Some(flight), _) => {
                Some(Lookup::Follower(Waiter::new(Arc::clone(flight), None)))
            }
            (
                Decision::Await { .. }
                | Decision::ServeAndRefresh { .. }
                | Decision::ServeLastKnownAndRefresh { .. },
                None,
                _,
            ) => {
                let permit = FetchPermit::lead(&self.0, state, entry_id, index, &now, Purpose::Refresh);
                let waiter = permit.waiter();
                Some(Lookup::Leader(permit, waiter))
            }
            (Decision::Fail, _, Some(failure)) => Some(Lookup::Failed(failure.error.clone())),
            _ => None,
        }
    }
}
