//! The obligation to fetch once, for all readers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::flight::{Flight, Outcome, Waiter};
use crate::cache::shared::Shared;
use crate::cache::state::{EntryId, SecretEntry, State, VersionEntry};
use crate::error::Error;
use crate::iam_login::IamLogin;
use crate::id::{OwnedSelector, Selector};
use crate::labels::VersionLabels;
use crate::secret::Secret;
use crate::time::{Moment, Now};
use crate::wire::Answer;

mod answered;
mod failed;
mod names;

/// The obligation to make one request to the source, for every reader of the same version.
///
/// Ask the source for [`FetchPermit::id`] and [`FetchPermit::selector`], and [`complete`](FetchPermit::complete) the
/// permit with the result. Complete it in every case, including errors and cancellation: dropping a permit wakes the
/// readers that wait, and one of them must start again.
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
    /// When the request began, counted from boot.
    begun: Duration,
    known: Option<Secret>,
    /// When `known` was last confirmed.
    confirmed: Moment,
    description: Option<Arc<VersionLabels>>,
    may_describe: bool,
    /// The cached versions of this secret, unless the refresh is forced.
    siblings: Vec<Secret>,
    purpose: Purpose,
    is_elsewhere: bool,
}

/// Why a permit was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A reader waits for it.
    Read,
    /// It is due; no reader waits.
    Refresh,
    /// It is a forced refresh.
    Force,
    /// A login with the cached version was refused.
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
        if !state.entries.get(&entry_id).is_some_and(|entry| entry.is_signed_here()) {
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
            is_elsewhere: false,
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

    /// The id to request: the one this secret was first requested with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version to request.
    pub fn selector(&self) -> Selector<'_> {
        self.selector.as_selector()
    }

    /// The cached version, which the source can confirm with [`Answer::unchanged`] instead of sending it again. `None`
    /// if nothing is cached, and for forced refreshes, which need the value itself.
    pub fn known(&self) -> Option<&Secret> {
        self.known.as_ref().filter(|_| self.purpose != Purpose::Force)
    }

    /// Finds a cached version of this secret by its id, even if it is cached for another selector. Versions never
    /// change, so it need not be fetched again. `None` for forced refreshes.
    pub fn held(&self, version_id: &str) -> Option<&Secret> {
        self.siblings.iter().find(|secret| secret.version_id() == Some(version_id))
    }

    /// The labels from a description that is still fresh and need not be requested again.
    pub fn description(&self) -> Option<&VersionLabels> {
        // A due refresh must renew the description.
        self.description.as_deref().filter(|_| self.known.is_none())
    }

    /// Whether `DescribeSecret` can be called. After a denial it cannot, for an hour at first and then longer.
    pub fn may_describe(&self) -> bool {
        self.may_describe
    }

    /// Returns a waiter for the outcome.
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
            match result.and_then(|answer| self.not_backwards(&state, answer)) {
                Ok(answer) => self.succeed(&mut state, answer, &now, &mut events),
                Err(error) => self.fail(&mut state, error, &now, &mut events),
            }
        };
        self.flight.end(outcome);
        self.shared.notify(&events);
    }

    /// Whether this is a forced refresh.
    #[cfg(feature = "aws")]
    pub(crate) fn is_forced(&self) -> bool {
        self.purpose == Purpose::Force
    }

    /// Sets whether the request goes to an endpoint other than the cache's usual one, so that its result says nothing
    /// about the usual one.
    #[cfg(feature = "aws")]
    pub(crate) fn elsewhere(mut self, is_elsewhere: bool) -> Self {
        self.is_elsewhere = is_elsewhere;
        self
    }

    fn is_signed_here(&self) -> bool {
        IamLogin::has_id(&self.id)
    }

    fn is_of_endpoint(&self) -> bool {
        !self.is_elsewhere && !self.is_signed_here()
    }

    fn ttl(&self) -> Duration {
        self.shared.config.ttl_for(&self.id)
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    fn version_of<'a>(&self, entry: &'a mut SecretEntry) -> Option<&'a mut VersionEntry> {
        entry.versions.iter_mut().find(|version| self.flies_for(version))
    }

    fn is_for(&self, version: &VersionEntry) -> bool {
        version.selector == self.selector
    }

    /// Whether the version still waits for this very request: not if it was invalidated or evicted and cached again.
    fn flies_for(&self, version: &VersionEntry) -> bool {
        self.is_for(version)
            && version.flight.as_ref().is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
    }
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
