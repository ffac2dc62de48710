//! An attempt to connect, which works even while the secret rotates.
//!
//! A rotation changes the password at the resource before it moves `AWSCURRENT` (single user), or makes the current
//! version name another user (alternating users). Either way, there are moments when the cached version does not log in
//! and another one does. The attempt finds that one. It tries the cached current version; the version that is current
//! by now, if it is another; `AWSPENDING`, which works while a single-user rotation is between its steps; and
//! `AWSPREVIOUS`. Then it waits and starts again, until its deadline.
//!
//! Requesting one label after another can miss a rotation that ends in between: the first response is from before, and
//! by the second the label is gone. So the attempt has the secret described, which shows all labels at one moment, and
//! fetches the versions that are not cached. If describing is denied, it requests `AWSPENDING` before `AWSCURRENT`,
//! which cannot miss the rotation either.
//!
//! It only decides. A driver reads, logs in and waits, and reports the results to the attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::cache::Cache;
use crate::cache::shared::Shared;
use crate::cache::state::SecretEntry;
use crate::connect::failure::{ConnectFailure, RejectedVersion, rejection};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::iam_login::IamLogin;
use crate::id::{Selector, Stage};
use crate::secret::Secret;
use crate::time::{Moment, Now};

/// The first wait after a round without success; later ones are longer.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The number of waits that end early, as soon as the service can be asked again. Later ones run their full length.
const IMPATIENT: u32 = 3;
/// The time between two checks of a fetch that another caller makes.
const A_MOMENT: Duration = Duration::from_millis(10);

/// One attempt to connect, from its first credential to success or its deadline.
///
/// ```
/// use std::time::Duration;
/// use secretcache::host::{Action, Answer, Cache, ConnectAttempt, Lookup, Now};
/// use secretcache::{Config, Fetched, Selector, Stage};
///
/// let cache = Cache::new(Config::default(), 7)?;
/// let now = Now::default().plus(Duration::from_secs(1));
/// let mut attempt = ConnectAttempt::new(&cache, "prod/db", &Stage::ALL, Duration::from_secs(30), now);
/// assert!(matches!(attempt.next(now), Action::Read(Stage::Current)));
/// # let Lookup::Leader(permit, _) = cache.lookup("prod/db", Selector::CURRENT, now) else { unreachable!() };
/// # permit.complete(Ok(Answer::value(Fetched::string("v-1", "{}"))), now);
/// attempt.read(Stage::Current, None, now); // the driver has read it into the cache
/// let Action::Try(secret, _) = attempt.next(now) else { unreachable!() };
/// attempt.accepted(&secret);
/// # Ok::<(), secretcache::Error>(())
/// ```
pub struct ConnectAttempt {
    shared: Arc<Shared>,
    id: Box<str>,
    stages: Vec<Stage>,
    begun: Now,
    deadline: Now,
    rounds: u32,
    /// The stages that this round has requested from the source.
    done: Vec<bool>,
    /// The staging label of the version that is being tried, its id, and since when.
    trying: Option<(Stage, String, Now)>,
    tried: Vec<RejectedVersion>,
    /// Why a label could not be read: the current one, or else the first.
    last_error: Option<Error>,
    /// A label was read in this round. If no version is cached all the same, the program has invalidated it meanwhile,
    /// or others have taken its place.
    has_read: bool,
    is_each_once: bool,
}

/// The next step for a driver.
#[derive(Debug)]
pub enum Action {
    /// Log in with this version, found by this staging label, and report to [`ConnectAttempt::accepted`] or [`ConnectAttempt::rejected`].
    Try(Secret, Stage),
    /// Read this staging label through the cache, and report to [`ConnectAttempt::read`].
    Read(Stage),
    /// Request this staging label now ([`Cache::recheck`]), and report to [`ConnectAttempt::read`].
    Refresh(Stage),
    /// Wait: there is nothing to try now.
    Wait(Duration),
    /// Give up: the time is up, or waiting cannot help.
    Stop,
}

impl ConnectAttempt {
    /// Creates an attempt that ends after `timeout`.
    pub fn new(cache: &Cache, id: &str, stages: &[Stage], timeout: Duration, now: Now) -> Self {
        // A token has no other versions.
        let stages = if IamLogin::has_id(id) { &[Stage::Current] } else { stages };
        Self {
            shared: Arc::clone(&cache.0),
            id: id.into(),
            stages: stages.to_vec(),
            begun: now,
            deadline: now.plus(timeout),
            rounds: 0,
            done: vec![false; stages.len()],
            trying: None,
            tried: Vec::new(),
            last_error: None,
            has_read: false,
            is_each_once: false,
        }
    }

    /// Limits the attempt to one login with each version: it does not wait for a rotation to make one work. If all were
    /// refused before, it logs in with the first all the same. For requests, whose caller wants the service's response
    /// without delay. The time until the service refuses one does not count against the time limit.
    #[must_use]
    pub fn each_version_once(self) -> Self {
        Self { is_each_once: true, ..self }
    }

    /// Returns the next step.
    pub fn next(&mut self, now: Now) -> Action {
        let next = self.decide(now);
        if let Action::Try(secret, stage) = &next {
            self.trying = Some((*stage, secret.version_id().unwrap_or_default().to_owned(), now));
        }
        next
    }

    /// Returns how long the attempt can still take. Abandon a login that takes longer.
    pub fn remaining(&self, now: Now) -> Duration {
        now.until(&self.deadline)
    }

    fn decide(&mut self, now: Now) -> Action {
        if now.until(&self.deadline).is_zero() {
            return Action::Stop;
        }
        let shared = Arc::clone(&self.shared);
        let mut guard = shared.lock();
        let state = &mut *guard;
        let entry_id = state.entry_for(&self.id);
        let Some(entry) = state.entries.get_mut(&entry_id) else { return Action::Stop };
        for index in 0..self.stages.len() {
            if let Some(next) = self.next_at(index, entry, now) {
                return next;
            }
        }
        if let Some(again) = self.try_rested(entry, &now) {
            return again;
        }
        if let Some(last) = self.end_if_each_once(entry, &now) {
            return last;
        }
        let draw = state.random.f64();
        self.done.fill(false);
        if self.is_hopeless(entry, &now) {
            return Action::Stop;
        }
        self.has_read = false;
        self.pause(entry, draw, &now)
    }

    /// Returns what to do about one staging label, by the first rule that applies; `None` to go on to the next label.
    fn next_at(&mut self, index: usize, entry: &mut SecretEntry, now: Now) -> Option<Action> {
        let stage = self.stages[index];
        try_held(entry, stage, &now)
            .or_else(|| self.wait_for_another_caller(entry, stage, &now))
            .or_else(|| if stage == Stage::Current { self.pending_first(entry, now) } else { None })
            .or_else(|| self.ask_once(index, entry, now))
            .or_else(|| if index == 0 { self.try_accepted(entry) } else { None })
    }

    /// If another caller is fetching the label, waits for it: the next label, or a version known to be refused, is no
    /// better choice.
    fn wait_for_another_caller(&self, entry: &SecretEntry, stage: Stage, now: &Now) -> Option<Action> {
        let is_under_way = entry.version(stage.into()).is_some_and(|version| version.flight.is_some());
        let is_patient = now.since(&self.begun) < self.shared.config.max_wait;
        (is_under_way && is_patient).then_some(Action::Wait(A_MOMENT))
    }

    /// Requests the label, at most once in a round.
    fn ask_once(&mut self, index: usize, entry: &mut SecretEntry, now: Now) -> Option<Action> {
        if std::mem::replace(&mut self.done[index], true) {
            None
        } else {
            ask(entry, self.stages[index], now)
        }
    }

    /// The current version does not log in. The one that the resource accepted last does, whatever its label is by now.
    fn try_accepted(&self, entry: &SecretEntry) -> Option<Action> {
        self.stages.iter().find_map(|&stage| {
            let secret = entry.version(stage.into())?.secret.as_ref()?;
            let is_accepted = secret.version_id().is_some_and(|id| entry.logins().is_accepted(id));
            is_accepted.then(|| Action::Try(secret.clone(), stage))
        })
    }

    /// Tries a refused version again that has not been tried for a while.
    fn try_rested(&self, entry: &SecretEntry, now: &Now) -> Option<Action> {
        let is_spent = |secret: &Secret| self.is_each_once && self.has_tried(secret);
        let mut held = self.held(entry, now).filter(|(_, secret, rest)| rest.is_zero() && !is_spent(secret));
        held.next().map(|(stage, secret, _)| Action::Try(secret.clone(), stage))
    }

    /// If each version is to be tried once, ends the attempt, unless nothing could be read. If it has not tried any,
    /// because all were refused before, it tries the first.
    fn end_if_each_once(&self, entry: &SecretEntry, now: &Now) -> Option<Action> {
        let (stage, secret, _) = self.held(entry, now).next().filter(|_| self.is_each_once)?;
        Some(if self.tried.is_empty() { Action::Try(secret.clone(), stage) } else { Action::Stop })
    }

    fn has_tried(&self, secret: &Secret) -> bool {
        self.tried.iter().any(|tried| tried.version_id == secret.version_id().unwrap_or_default())
    }

    /// Whether there is nothing to log in with, and waiting cannot change that.
    fn is_hopeless(&self, entry: &SecretEntry, now: &Now) -> bool {
        let cannot_change = |error: &Error| error.kind().is_final() || error.kind().is_denial();
        self.held(entry, now).next().is_none()
            && !self.has_read
            && self.tried.is_empty()
            && self.last_error.as_ref().is_some_and(cannot_change)
    }

    /// Ends a round: waits until a version or the service can be tried again, longer after each round.
    fn pause(&mut self, entry: &SecretEntry, draw: f64, now: &Now) -> Action {
        self.rounds = self.rounds.saturating_add(1);
        let rest = self.held(entry, now).map(|(_, _, rest)| rest).min().unwrap_or(LONGEST_WAIT);
        let wait = FIRST_WAIT.saturating_mul(1 << self.rounds.min(6)).min(LONGEST_WAIT).min(rest);
        let mut wait = wait.mul_f64(0.5 + 0.5 * draw);
        if self.rounds <= IMPATIENT {
            let until_look = entry.logins().until_refresh(Stage::Current, now);
            wait = if until_look.is_zero() { wait } else { wait.min(until_look) };
        }
        Action::Wait(wait.max(Duration::from_millis(1)).min(now.until(&self.deadline)))
    }

    /// The cached versions with their staging labels, and how long each must not be tried again if it was refused.
    fn held<'a>(
        &'a self,
        entry: &'a SecretEntry,
        now: &'a Now,
    ) -> impl Iterator<Item = (Stage, &'a Secret, Duration)> {
        self.stages.iter().filter_map(|&stage| {
            let secret = entry.version(stage.into())?.for_login(now)?;
            Some((stage, secret, entry.logins().rest(secret.version_id().unwrap_or_default(), now)))
        })
    }

    /// If describing is denied, returns the action that fetches or tries `AWSPENDING`. It comes before another request
    /// for the refused current version.
    fn pending_first(&mut self, entry: &mut SecretEntry, now: Now) -> Option<Action> {
        let index = |stage| self.stages.iter().position(|&each| each == stage);
        let (current, pending) = (index(Stage::Current)?, index(Stage::Pending)?);
        if !entry.is_describe_denied(&now)
            || self.done[current]
            || entry.version(Selector::CURRENT)?.secret.is_none()
        {
            return None;
        }
        if !std::mem::replace(&mut self.done[pending], true) {
            return ask(entry, Stage::Pending, now);
        }
        let secret = entry.version(Stage::Pending.into())?.secret.clone()?;
        let is_rejected = entry.logins().is_rejected(secret.version_id().unwrap_or_default());
        (!is_rejected).then_some(Action::Try(secret, Stage::Pending))
    }

    /// Reports that the driver has read or fetched a staging label, or the `error`.
    pub fn read(&mut self, stage: Stage, error: Option<Error>, now: Now) {
        let Some(error) = error else {
            self.has_read = true;
            return;
        };
        if error.kind() == ErrorKind::VersionNotFound {
            let mut has_moved = false;
            self.with_entry(|entry| {
                let labels = entry.described.as_ref().map(|described| &described.labels);
                has_moved = labels.is_some_and(|labels| labels.version_with_stage(stage.as_str()).is_some());
                if has_moved {
                    entry.logins_mut().note_change(now);
                }
            });
            if has_moved {
                // The label was there a moment ago and is gone now: the rotation has ended in between.
                self.done.fill(false);
            }
        }
        if stage == Stage::Current && error.kind().is_outage() {
            // The service is unavailable, so requests for other labels would fail too.
            self.done.fill(true);
        }
        if error.kind() == ErrorKind::AccessDenied && stage != Stage::Current {
            self.with_entry(|entry| entry.logins_mut().deny(stage, now));
        }
        if stage == Stage::Current || self.last_error.is_none() {
            self.last_error = Some(error);
        }
    }

    /// Reports that the login with this version was accepted. Logins with a label other than `AWSCURRENT` are counted,
    /// and sent as an event at most once a minute ([`Event::FallbackLogin`]): if they continue, the current version
    /// does not work.
    pub fn accepted(&mut self, secret: &Secret) {
        let version_id = secret.version_id().unwrap_or_default();
        let Some((version_stage, _, now)) = self.trying.take() else { return };
        let is_other = version_stage != Stage::Current;
        let mut should_notify = false;
        self.with_entry(|entry| {
            entry.logins_mut().accept(version_id);
            if let Some(schedule) = &mut entry.schedule {
                schedule.accepted(version_id);
            }
            should_notify = is_other && entry.logins_mut().should_notify(version_id, now);
        });
        let mut state = self.shared.lock();
        let logins = &mut state.counters.logins;
        logins.accepted += 1;
        logins.fallback_logins += u64::from(is_other);
        drop(state);
        if should_notify {
            self.shared.notify(&[Event::FallbackLogin {
                secret_id: self.id.as_ref().into(),
                version_stage,
                version_id: version_id.to_owned(),
            }]);
        }
    }

    /// Reports that the login with this version was refused.
    pub fn rejected(&mut self, secret: &Secret, version_stage: Stage, now: Now) {
        let version_id = secret.version_id().unwrap_or_default();
        let since = self.trying.take().map_or(now, |(_, _, since)| since);
        if self.is_each_once {
            self.deadline = self.deadline.plus(now.since(&since));
        }
        self.with_entry(|entry| {
            entry.logins_mut().reject(version_id, version_stage, now);
            entry.expect_change(version_id, &now);
        });
        self.shared.lock().counters.logins.rejected += 1;
        match self.tried.iter_mut().find(|tried| tried.version_id == version_id) {
            Some(tried) => tried.times += 1,
            None => self.tried.push(RejectedVersion {
                version_stage,
                version_id: version_id.to_owned(),
                times: 1,
            }),
        }
    }

    /// Returns the versions that were refused so far, each once. If there are none, returns those that this attempt
    /// skipped because the resource had refused them before.
    pub fn tried(&self) -> Vec<RejectedVersion> {
        if !self.tried.is_empty() {
            return self.tried.clone();
        }
        let mut before = Vec::new();
        self.with_entry(|entry| {
            for &stage in &self.stages {
                let held = entry.version(stage.into()).and_then(|version| version.secret.as_ref());
                let Some(version_id) = held.and_then(Secret::version_id) else { continue };
                if entry.logins().is_rejected(version_id) {
                    let version_id = version_id.to_owned();
                    before.push(RejectedVersion { version_stage: stage, version_id, times: 0 });
                }
            }
        });
        before
    }

    /// Returns how the attempt failed, after [`Action::Stop`] or when its time is up. Every language raises this.
    pub fn failure(&self) -> ConnectFailure {
        let secret_id = &*self.id;
        // A version that was refused before counts as refused, even if the time ran out while it was being tried again.
        if let Some((_, version_id, _)) = &self.trying
            && !self.was_refused(version_id)
        {
            let text =
                format!("the login with version {version_id} of secret {secret_id:?} did not finish in time");
            return ConnectFailure::Secret(Error::new(ErrorKind::Timeout, text));
        }
        let tried = self.tried();
        if !tried.is_empty() {
            return ConnectFailure::Rejected { text: rejection(secret_id, &tried), tried };
        }
        ConnectFailure::Secret(self.last_error.clone().unwrap_or_else(|| {
            let text = format!("no version of secret {secret_id:?} could be tried in time");
            Error::new(ErrorKind::Timeout, text)
        }))
    }

    fn was_refused(&self, version_id: &str) -> bool {
        let mut was_refused = false;
        self.with_entry(|entry| was_refused = entry.logins().is_rejected(version_id));
        was_refused
    }

    fn with_entry(&self, change: impl FnOnce(&mut SecretEntry)) {
        let mut state = self.shared.lock();
        if let Some(entry) = state.entry_mut(&self.id) {
            change(entry);
        }
    }
}

/// Tries the cached version with a staging label, unless the resource is known to refuse it.
fn try_held(entry: &SecretEntry, stage: Stage, now: &Now) -> Option<Action> {
    let secret = entry.version(stage.into())?.for_login(now)?;
    if entry.logins().is_rejected_as(secret.version_id().unwrap_or_default(), stage) {
        return None;
    }
    if stage == Stage::Current {
        // A login counts as use, so the refresher keeps the version fresh.
        secret.version().validity.mark_used();
    }
    Some(Action::Try(secret.clone(), stage))
}

/// Returns the request to make for a staging label whose version is not cached, or does not log in. `None` if a
/// response would say nothing new, or if it was requested within the last second.
fn ask(entry: &mut SecretEntry, stage: Stage, now: Now) -> Option<Action> {
    let version = entry.version(Selector::from(stage));
    let held = version.and_then(|version| version.for_login(&now));
    let is_recent = |learned: Moment| entry.logins().is_recent(learned, now);
    let described =
        entry.described.as_ref().filter(|described| stage != Stage::Current && is_recent(described.at));
    if let Some(described) = described {
        let version_id = described.labels.version_with_stage(stage.as_str())?;
        let is_held = entry.secrets().any(|secret| secret.version_id() == Some(version_id));
        if is_held || !entry.logins().rest(version_id, &now).is_zero() {
            return None;
        }
    } else if stage == Stage::Current
        && held.is_none()
        && version.is_none_or(|version| version.failure.is_none())
    {
        return Some(Action::Read(stage));
    } else if held.is_some() && version.is_some_and(|version| is_recent(version.confirmed)) {
        // A version confirmed a moment ago counts as requested now; otherwise the next round could request it within
        // the same second.
        entry.logins_mut().note_refresh(stage, now);
    }
    entry.logins_mut().may_refresh(stage, now).then_some(Action::Refresh(stage))
}

impl fmt::Debug for ConnectAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectAttempt")
            .field("id", &self.id)
            .field("tried", &self.tried)
            .finish_non_exhaustive()
    }
}
