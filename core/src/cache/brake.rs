//! One brake for every refresh of an endpoint: while it fails or throttles, all secrets together are refreshed less
//! often than before, and afterwards not all at once. Pure, like `policy`: a driver only says which caches ask the
//! same endpoint.
//!
//! Each cache knows how often it refreshes when all is well. While the brake is on it asks for a share of that:
//! half of it after a failure, half of that after the next, and a step more with each answer, as TCP does. What is
//! overdue when the endpoint answers again is worked off at a share of one and a half.
//!
//! Reads of what is not cached, forced refreshes and those of a login are never held back: somebody waits for them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Now;

/// The least share of the usual refreshes, and the most, which works off what an outage left overdue.
const LEAST: f64 = 0.125;
const MOST: f64 = 1.5;
/// What each answer adds.
const STEP: f64 = 0.25;
/// So long after a failure another one is a new misfortune.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// A driver that looks late may make up for so much.
const CREDIT: Duration = Duration::from_secs(1);

/// What the caches of a process that ask the same endpoint know of its state. Clones are one brake.
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
    /// Counts the turns for the worse and for the better.
    turns: u64,
    /// When the last one was.
    turned: Now,
    /// When a failure last lowered the share.
    struck: Option<Now>,
    /// Failures in a row, those of requests under way at the same time counted once.
    strikes: u32,
    /// Of the usual refreshes.
    share: f64,
    /// How long the last failure asks to leave the endpoint alone, at most.
    pause: Duration,
    error: Option<Error>,
}

/// One cache's part: when it may send its next refresh.
#[derive(Default)]
pub(crate) struct Pacer {
    brake: Brake,
    turns: u64,
    /// Refreshes are held back: the endpoint fails, or what is overdue since then is not worked off yet.
    is_on: bool,
    /// Refreshes a second when all is well.
    rate: f64,
    next: Now,
}

impl Pacer {
    /// From now on shares a brake. What that has seen so far is none of this cache's business.
    pub(crate) fn share(&mut self, brake: &Brake) {
        *self = Self { brake: brake.clone(), turns: brake.lock().turns, rate: self.rate, ..Self::default() };
    }

    /// So many refreshes a second are usual.
    pub(crate) fn expect(&mut self, rate: f64) {
        self.rate = if self.is_on { self.rate.max(rate) } else { rate };
    }

    #[cfg(all(test, feature = "aws"))]
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        self.brake.is(&other.brake)
    }

    /// How long the next refresh has to wait. `None`: it may go.
    pub(crate) fn held_back(&mut self, now: &Now) -> Option<Duration> {
        self.look();
        let wait = now.until(&self.next);
        (self.is_on && !wait.is_zero()).then_some(wait)
    }

    /// Whether readers leave the next refresh to the refresher, which takes first what has waited longest. They do unless
    /// it is late.
    pub(crate) fn holds_readers_back(&mut self, now: &Now) -> bool {
        self.look();
        self.is_on && !now.until(&self.next.plus(CREDIT)).is_zero()
    }

    /// A request goes out.
    pub(crate) fn note_request(&mut self, now: &Now, random: &mut fastrand::Rng) {
        self.look();
        if self.is_on {
            let jitter = 0.75 + 0.5 * random.f64();
            let gap = self.gap(&self.brake.lock());
            let gap = Duration::try_from_secs_f64(gap.as_secs_f64() * jitter).unwrap_or(gap);
            let from = if now.since(&self.next) > CREDIT { *now } else { self.next };
            self.next = from.plus(gap);
        }
    }

    /// A request that began at `begun`, counted from boot, found the endpoint failing or throttling. `pause` tells how long it should be
    /// left alone after so many failures before.
    pub(crate) fn strike(
        &mut self,
        begun: Duration,
        now: &Now,
        error: &Error,
        pause: impl FnOnce(u32) -> Duration,
    ) {
        let mut level = self.brake.lock();
        if !level.is_news(begun) {
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

    /// A request that began at `begun`, counted from boot, was answered, whatever the answer.
    pub(crate) fn ease(&mut self, begun: Duration, now: &Now) {
        let mut level = self.brake.lock();
        if level.struck.is_none() || !level.is_news(begun) {
            return;
        }
        level.share = (level.share + STEP).min(MOST);
        level.pause = Duration::MAX;
        if level.strikes > 0 {
            level.strikes = 0;
            level.turn(now);
        }
    }

    /// Nothing is due: if the endpoint answers, refreshes continue as usual.
    pub(crate) fn note_nothing_due(&mut self) {
        self.look();
        self.is_on = self.is_on && self.brake.lock().strikes > 0;
    }

    /// Why refreshes are held back.
    pub(crate) fn error(&self) -> Option<Error> {
        if self.is_on { self.brake.lock().error.clone() } else { None }
    }

    /// Takes in what has happened at the endpoint, to this cache or to another.
    fn look(&mut self) {
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

    /// From one refresh to the next.
    fn gap(&self, level: &Level) -> Duration {
        if self.rate <= 0.0 {
            return if level.strikes > 0 { level.pause } else { Duration::ZERO };
        }
        let gap = Duration::try_from_secs_f64(1.0 / (self.rate * level.share)).unwrap_or(Duration::MAX);
        // Few secrets leave it alone no longer than one of them would by itself.
        gap.min(level.pause)
    }
}

impl Level {
    /// Whether a request that began then tells more than those before the last failure.
    fn is_news(&self, begun: Duration) -> bool {
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

    /// As an address, to find out whether two are one.
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
