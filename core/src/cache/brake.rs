//! A brake for all refreshes of one endpoint. While the endpoint fails or throttles, all secrets together are refreshed
//! less often, and when it recovers they are not refreshed all at once. Pure, like `policy`: a driver only says which
//! caches use the same endpoint.
//!
//! Each cache knows its usual rate of refreshes. While the brake is on, it refreshes at a share of that rate: half
//! after a failure, half of that after the next one, and a step more with each response, as TCP does. The backlog after
//! an outage is worked off at a share of up to one and a half.
//!
//! Reads of uncached secrets, forced refreshes and rechecks after a refused login are never held back, because a caller
//! waits for them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Now;

/// The smallest share of the usual rate, and the largest, which works off the backlog of an outage.
const LEAST: f64 = 0.125;
const MOST: f64 = 1.5;
/// The share that each response adds.
const STEP: f64 = 0.25;
/// A failure this long after the previous one starts a new outage.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// A driver that polls late by no more than this can catch up.
const CREDIT: Duration = Duration::from_secs(1);

/// The state of an endpoint, shared by all caches of a process that use it. Clones are one brake.
///
/// ```
/// use secretcache::Config;
/// use secretcache::host::{Brake, Cache};
///
/// let brake = Brake::default();
/// let (one, another) = (Cache::new(Config::default(), 7)?, Cache::new(Config::default(), 8)?);
/// one.share_brake(&brake);
/// another.share_brake(&brake); // a failure that one of them meets slows down both
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Brake(Arc<Mutex<Level>>);

#[derive(Default)]
struct Level {
    /// Counts changes of state, to failing and to recovered.
    turns: u64,
    /// When the last change was.
    turned: Now,
    /// When a failure last lowered the share.
    struck: Option<Now>,
    /// Consecutive failures. Those of concurrent requests count once.
    strikes: u32,
    /// The share of the usual rate.
    share: f64,
    /// The longest pause between refreshes, by the backoff of the last failure.
    pause: Duration,
    error: Option<Error>,
}

/// One cache's side of the brake: when it can send its next refresh.
#[derive(Default)]
pub(crate) struct Pacer {
    brake: Brake,
    turns: u64,
    /// Refreshes are held back: the endpoint fails, or the backlog since then is not worked off yet.
    is_on: bool,
    /// The usual number of refreshes per second.
    rate: f64,
    next: Now,
}

impl Pacer {
    /// Joins a shared brake. Changes that the brake has seen before do not affect this cache.
    pub(crate) fn share(&mut self, brake: &Brake) {
        *self = Self { brake: brake.clone(), turns: brake.lock().turns, rate: self.rate, ..Self::default() };
    }

    /// Sets the usual number of refreshes per second. While the brake is on, it only rises.
    pub(crate) fn expect(&mut self, rate: f64) {
        self.rate = if self.is_on { self.rate.max(rate) } else { rate };
    }

    #[cfg(all(test, feature = "aws"))]
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        self.brake.is(&other.brake)
    }

    /// Returns how long the next refresh has to wait; `None` if it can go now.
    pub(crate) fn held_back(&mut self, now: &Now) -> Option<Duration> {
        self.catch_up();
        let wait = now.until(&self.next);
        (self.is_on && !wait.is_zero()).then_some(wait)
    }

    /// Whether readers leave the next refresh to the refresher, which starts with the secrets that have waited longest.
    /// They do unless the refresher is late.
    pub(crate) fn holds_readers_back(&mut self, now: &Now) -> bool {
        self.catch_up();
        self.is_on && !now.until(&self.next.plus(CREDIT)).is_zero()
    }

    /// Records that a request is sent.
    pub(crate) fn note_request(&mut self, now: &Now, random: &mut fastrand::Rng) {
        self.catch_up();
        if self.is_on {
            let jitter = 0.75 + 0.5 * random.f64();
            let gap = self.gap(&self.brake.lock());
            let gap = Duration::try_from_secs_f64(gap.as_secs_f64() * jitter).unwrap_or(gap);
            let from = if now.since(&self.next) > CREDIT { *now } else { self.next };
            self.next = from.plus(gap);
        }
    }

    /// Records that a request found the endpoint failing or throttling. `begun` is when the request began, counted from
    /// boot. `pause` returns how long to leave the endpoint alone after that many earlier failures.
    pub(crate) fn strike(
        &mut self,
        begun: Duration,
        now: &Now,
        error: &Error,
        pause: impl FnOnce(u32) -> Duration,
    ) {
        let mut level = self.brake.lock();
        if !level.says_something_new(begun) {
            return;
        }
        let is_new = level.strikes == 0 && level.struck.is_none_or(|at| now.since(&at) > FORGOTTEN);
        let before = if is_new { 1.0 } else { level.share.min(1.0) };
        level.share = (before / 2.0).max(LEAST);
        level.pause = pause(level.strikes);
        level.strikes = level.strikes.saturating_add(1);
        level.struck = Some(*now);
        level.error = Some(error.clone());
        level.turn(now);
    }

    /// Records that a request that began at `begun`, counted from boot, got a response, whatever it says.
    pub(crate) fn ease(&mut self, begun: Duration, now: &Now) {
        let mut level = self.brake.lock();
        if level.struck.is_none() || !level.says_something_new(begun) {
            return;
        }
        level.share = (level.share + STEP).min(MOST);
        level.pause = Duration::MAX;
        if level.strikes > 0 {
            level.strikes = 0;
            level.turn(now);
        }
    }

    /// Records that nothing is due. If the endpoint responds, refreshes continue as usual.
    pub(crate) fn note_nothing_due(&mut self) {
        self.catch_up();
        self.is_on = self.is_on && self.brake.lock().strikes > 0;
    }

    /// The error for which refreshes are held back.
    pub(crate) fn error(&self) -> Option<Error> {
        if self.is_on { self.brake.lock().error.clone() } else { None }
    }

    /// Catches up with what has happened at the endpoint, to this cache or to another.
    fn catch_up(&mut self) {
        let brake = self.brake.clone();
        let level = brake.lock();
        if self.turns == level.turns {
            return;
        }
        self.turns = level.turns;
        let soon = level.turned.plus(self.gap(&level));
        if level.strikes > 0 {
            (self.is_on, self.next) = (true, soon);
        } else if self.is_on && level.turned.until(&soon) < level.turned.until(&self.next) {
            self.next = soon;
        }
    }

    /// The time from one refresh to the next.
    fn gap(&self, level: &Level) -> Duration {
        if self.rate <= 0.0 {
            return if level.strikes > 0 { level.pause } else { Duration::ZERO };
        }
        let gap = Duration::try_from_secs_f64(1.0 / (self.rate * level.share)).unwrap_or(Duration::MAX);
        // A cache with few secrets pauses no longer than the backoff of a single one.
        gap.min(level.pause)
    }
}

impl Level {
    /// Whether a request that began then says something new: it began after the last failure.
    fn says_something_new(&self, begun: Duration) -> bool {
        self.struck.is_none_or(|struck| begun > struck.boot)
    }

    fn turn(&mut self, now: &Now) {
        self.turns += 1;
        self.turned = *now;
    }
}

impl Brake {
    fn lock(&self) -> MutexGuard<'_, Level> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same brake.
    #[cfg(all(test, feature = "aws"))]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Brake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = self.lock();
        f.debug_struct("Brake").field("strikes", &level.strikes).field("share", &level.share).finish()
    }
}
