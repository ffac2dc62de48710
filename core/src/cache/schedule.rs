//! When a secret's next rotation is expected, and how often to look until it has come: what `DescribeSecret` tells on
//! the way, made into refresh times. Pure, like `policy`, and a hint only: nothing breaks if all of it is wrong.
//!
//! The looks saved at other times pay for those at the expected time. They are counted in an account: plain refreshing,
//! which looks after three quarters of the time to live on average, is the budget, and whoever looks less often saves.
//! So a secret with a schedule costs no more calls than one without (docs/design.md, "Freshness").

use std::time::Duration;

use crate::cache::policy;
use crate::id::{AWSCURRENT, AWSPENDING};
use crate::time::Now;
use crate::wire::Description;

mod budget;
mod window;

pub(crate) use budget::Budget;
use budget::PLAIN;
use window::{DAY, Window, since_epoch};

// Distances of looks are in times to live.

/// At the expected time.
const CLOSE: f64 = 0.078;
/// While saving, at least, on average and at most. The jitter is narrower than that of plain refreshing, so that in
/// spite of the longer average, a rotation that nobody expected is noticed as soon in 99 of 100 cases.
const WIDE: f64 = 0.91;
const WIDEST: f64 = 0.95;
/// How much of what is saved from one window to the next is spent there in any case. Of the rest more is spent the more
/// of it there is, within so long a time that windows are watched equally well.
const SPENT: f64 = 0.85;
const HORIZON: Duration = Duration::from_secs(8 * 86_400);
/// What is kept for a rotation that comes late, in terms of what looking closely all through its time takes; and looks
/// that are kept in any case.
const RESERVE: f64 = 2.0;
const KEPT: f64 = 64.0;

/// A shorter time to live needs no help.
const SHORTEST_TTL: Duration = Duration::from_secs(10);
/// The closest looks of all.
const SOONEST: Duration = Duration::from_secs(1);
/// The closest while the current version does not log in: whoever logs in asks as well, and more urgently.
const SOON: Duration = Duration::from_secs(2);
/// Clocks differ, and a rotation takes its time: so long after its window it may still end.
const SLACK: Duration = Duration::from_secs(30);
/// Rotations that came within so long of each other, in different windows, have a usual time: theirs, give or take a
/// margin.
const AGREEING: Duration = Duration::from_secs(90);
/// A usual time is that short; whatever it takes, watching it is cheap.
const SHORT: Duration = Duration::from_secs(900);
/// As soon as so many past rotations are known, that many have to agree on a usual time. Before, any may be a sign of it.
const FEW: usize = 3;
/// Past rotations that are remembered. Some of them may be nobody's plan.
const MOST_OFFSETS: usize = 16;

/// One secret's expectations.
#[derive(Default)]
pub(crate) struct Foresight {
    window: Option<Window>,
    /// From one window to the next, once it was seen.
    period: Option<Duration>,
    last_rotated: Option<Duration>,
    /// Where in their windows past rotations were, latest last.
    offsets: Vec<Duration>,
    under_way: Option<UnderWay>,
    /// The last look that the account knows of.
    looked: Option<Now>,
    /// The current version, and when it was first seen.
    seen: Option<(Box<str>, Now)>,
}

/// A rotation between its first step and its last.
struct UnderWay {
    /// The version that is current until then.
    current: Box<str>,
    since: Now,
    sign: Sign,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Sign {
    /// Another version is labelled `AWSPENDING`.
    Pending,
    /// The current version does not log in.
    Refused,
}

/// When it is, and what can be spent.
struct View<'a> {
    ttl: Duration,
    now: &'a Now,
    draw: f64,
    budget: &'a Budget,
}

impl Foresight {
    /// Takes in what the service says.
    pub(crate) fn observe(&mut self, description: &Description, now: &Now) {
        let window = Window::of(description);
        if let (Some(known), Some(next)) = (self.window, window)
            && known.close < next.close
        {
            self.period = Some(next.close.saturating_sub(known.close));
        }
        self.window = window;
        let rotated = description.last_rotated_date.and_then(since_epoch);
        if rotated != self.last_rotated {
            self.last_rotated = rotated;
            let offset = self.window.zip(rotated).and_then(|(window, rotated)| window.offset_of(rotated));
            self.offsets.extend(offset);
            if self.offsets.len() > MOST_OFFSETS {
                self.offsets.remove(0);
            }
        }
        let current = description.version_with_stage(AWSCURRENT);
        let pending = description.version_with_stage(AWSPENDING).filter(|version| current != Some(version));
        match (&self.under_way, pending, current) {
            (None, Some(_), Some(current)) => self.begin(current, Sign::Pending, now),
            (Some(UnderWay { sign: Sign::Pending, .. }), None, _) => self.under_way = None,
            _ => {}
        }
    }

    /// The resource refused the current version: it is being rotated, or wrong. The first look is to follow after the
    /// time returned.
    pub(crate) fn refused(&mut self, current: &str, now: &Now) -> Duration {
        if self.under_way.as_ref().is_none_or(|known| known.sign != Sign::Refused) {
            self.begin(current, Sign::Refused, now);
        }
        SOON
    }

    /// The resource took this version.
    pub(crate) fn taken(&mut self, version_id: &str) {
        let is_over = |known: &UnderWay| known.sign == Sign::Refused && *known.current == *version_id;
        if self.under_way.as_ref().is_some_and(is_over) {
            self.under_way = None;
        }
    }

    fn begin(&mut self, current: &str, sign: Sign, now: &Now) {
        self.under_way = Some(UnderWay { current: current.into(), since: *now, sign });
    }

    /// The refresh time of the current version, which was confirmed just now. Never longer than its time to live; with
    /// nothing to expect, that of plain refreshing. `draw` is in [0, 1).
    pub(crate) fn refresh_after(
        &mut self,
        current: Option<&str>,
        ttl: Duration,
        draw: f64,
        now: &Now,
        budget: &mut Budget,
    ) -> Duration {
        let plain = policy::refresh_after(ttl, draw);
        if self.under_way.as_ref().is_some_and(|known| Some(&*known.current) != current) {
            self.under_way = None;
        }
        if ttl < SHORTEST_TTL {
            return plain;
        }
        self.enter_look(ttl, now, budget);
        self.enter_version(current, ttl, now, budget);
        let view = View { ttl, now, draw, budget };
        let planned = match self.by_schedule(&view) {
            Some(distance) => ttl.mul_f64(distance.min(1.0)).max(SOONEST),
            None if self.window.is_some() && budget.saved() < -0.5 => ttl.mul_f64(saving(draw)),
            None => plain,
        };
        self.while_under_way(&view).map_or(planned, |urgent| urgent.min(planned))
    }

    fn enter_look(&mut self, ttl: Duration, now: &Now, budget: &mut Budget) {
        let counts = match &self.under_way {
            // Programs are turned away, which is worth more than the budget.
            Some(known) if known.sign == Sign::Refused => false,
            under_way => under_way.is_some() || self.window.is_some(),
        };
        let looked = std::mem::replace(&mut self.looked, counts.then_some(*now));
        if let Some(looked) = looked.filter(|_| counts) {
            // Time without readers, when nobody looks, saves nothing.
            budget.enter(now.since(&looked).min(ttl).div_duration_f64(ttl));
        }
    }

    /// Fetching a new version takes a call. Plain refreshing, which may sleep through one version that is soon followed by
    /// another, saves some of them.
    fn enter_version(&mut self, current: Option<&str>, ttl: Duration, now: &Now, budget: &mut Budget) {
        let Some(current) =
            current.filter(|current| self.seen.as_ref().is_none_or(|(seen, _)| **seen != **current))
        else {
            return;
        };
        if let Some((_, since)) = self.seen.replace((current.into(), *now)).filter(|_| self.looked.is_some())
        {
            budget.spend(1.0 - now.since(&since).min(ttl).div_duration_f64(ttl));
        }
    }

    /// Looks follow each other closely until the rotation ends, wider the longer it takes: it may have been abandoned.
    fn while_under_way(&self, view: &View<'_>) -> Option<Duration> {
        let UnderWay { since, sign, .. } = self.under_way.as_ref()?;
        let closest = match sign {
            // That the distances grow bounds it.
            Sign::Refused => SOON,
            Sign::Pending if view.budget.is_empty() => return None,
            Sign::Pending => view.ttl.mul_f64(CLOSE).max(SOONEST),
        };
        Some(closest.max(view.now.since(since) / 4).mul_f64(0.75 + 0.5 * view.draw))
    }

    /// How far the next look is by the schedule, if there is one.
    fn by_schedule(&self, view: &View<'_>) -> Option<f64> {
        let window = self.window?;
        let usual = self.usual_time(window);
        let end = window.close.saturating_add(SLACK);
        let now = view.now.wall;
        if now >= end {
            return None; // it has not come, or nobody has told yet
        }
        let distance = if now < usual.open {
            return Some(self.before(window, usual, view));
        } else if now < usual.close {
            self.within(window, usual, view)
        } else {
            // It is late: it will come soon, or at any time until the end.
            let late = view.length(now.saturating_sub(usual.close));
            let rest = Window { close: end, ..window };
            let closest = if view.budget.is_empty() { PLAIN } else { CLOSE };
            closest.max(late / 3.0).min(self.spacing(rest, view, 0.0))
        };
        Some(distance * (0.95 + 0.1 * view.draw))
    }

    /// How far the next look is at an expected time.
    fn within(&self, window: Window, expected: Window, view: &View<'_>) -> f64 {
        let Some(guess) = self.guess(window, expected, view) else {
            return self.spacing(expected, view, 0.0);
        };
        let length = view.length(guess.length());
        if view.now.wall >= guess.open && length >= CLOSE {
            return CLOSE;
        }
        let (early, late) = landing(guess, CLOSE, view);
        // What that takes is not spent before.
        self.spacing(expected, view, 2.0 + length / CLOSE).min(early + (late - early) * view.draw)
    }

    /// Where the last rotations were, this one may be too, while too few are known to tell a usual time.
    fn guess(&self, window: Window, expected: Window, view: &View<'_>) -> Option<Window> {
        let may_guess = expected == window && self.offsets.len() < FEW && !view.budget.is_empty();
        let guesses = self.offsets.iter().filter(|_| may_guess);
        let guesses =
            guesses.map(|offset| window.around(offset.saturating_sub(AGREEING), *offset + AGREEING));
        guesses.filter(|guess| view.now.wall < guess.close).min_by_key(|guess| guess.open)
    }

    /// How far the next look is before an expected time.
    fn before(&self, window: Window, expected: Window, view: &View<'_>) -> f64 {
        let (left, length) = (view.until(expected.open), view.length(expected.length()));
        let saved = view.budget.saved();
        if left > 3.0 * WIDEST {
            let enough = (RESERVE * length * (1.0 / CLOSE - 1.0 / PLAIN)).max(KEPT);
            return if saved < enough { saving(view.draw) } else { 0.5 + 0.5 * view.draw };
        }
        let (mut early, mut late) = landing(expected, self.spacing(expected, view, 0.0), view);
        if let Some(guess) = self.guess(window, expected, view) {
            let sooner = landing(guess, CLOSE, view);
            if sooner.1 < late {
                (early, late) = (early.max(sooner.0.min(sooner.1 - 0.02)), sooner.1);
            }
        }
        // The looks until then are spread evenly, so that none is wasted shortly before.
        let widest = if saved <= 0.0 { 1.0 } else { WIDEST };
        let fewest = (early / widest).ceil().max(1.0);
        let late = late.min(fewest * widest).max(early);
        // From one short time to the next, one look is enough if that of the former was late.
        let index = if length < CLOSE && fewest > 1.0 { 1.0 - 0.2 * view.draw } else { view.draw };
        let first = early + (late - early) * index;
        let looks = if saved > KEPT && first / (fewest + 1.0) > 0.4 { fewest + 1.0 } else { fewest };
        if looks <= 1.0 { first } else { (first / looks * (0.95 + 0.1 * view.draw)).min(widest) }
    }

    /// How far looks are from each other at an expected time: as close as that which is saved from one such time to the
    /// next pays for. As a rotation comes somewhere in its window, half of it is watched on average.
    /// `kept` looks are not to be spent.
    fn spacing(&self, expected: Window, view: &View<'_>, kept: f64) -> f64 {
        let saved = view.budget.saved() - kept;
        if saved <= 0.0 {
            return WIDE;
        }
        if expected.length() <= SHORT {
            return CLOSE;
        }
        let left = view.until(expected.close);
        let (length, period) = (view.length(expected.length()), view.length(self.period(expected)));
        // The first look comes early, and the last one late: about one is lost.
        let earned = (SPENT * (1.0 / PLAIN - 1.0 / WIDE) * period - 1.0).max(0.0) / (length / 2.0);
        let spare = saved / (length / period * view.length(HORIZON)).max(left);
        let affordable = 1.0 / PLAIN + 2.0 * saved / left;
        1.0 / (1.0 / WIDE + earned + spare).min(affordable).min(1.0 / CLOSE)
    }

    /// From one window to the next; as long as only one was seen, since the last rotation, which was somewhere in its own.
    fn period(&self, window: Window) -> Duration {
        let since_last = |last| window.close.saturating_sub(last).saturating_sub(window.length() / 2);
        self.period.or(self.last_rotated.map(since_last)).unwrap_or(DAY).max(window.length())
    }

    /// The part of a window where rotations were in former windows, if enough of them agree; otherwise all of it.
    fn usual_time(&self, window: Window) -> Window {
        let mut offsets = self.offsets.clone();
        offsets.sort_unstable();
        let enough = (offsets.len() * 2).div_ceil(5).max(offsets.len().clamp(2, FEW));
        let closest = offsets.windows(enough).min_by_key(|some| some[enough - 1] - some[0]);
        let Some([first, .., last]) = closest.filter(|some| some[enough - 1] - some[0] <= AGREEING) else {
            return window;
        };
        let near =
            || offsets.iter().filter(|offset| **offset + AGREEING >= *last && **offset <= *first + AGREEING);
        let (first, last) = (near().min().unwrap_or(first), near().max().unwrap_or(last));
        window.around(*first, *last)
    }
}

impl View<'_> {
    fn length(&self, span: Duration) -> f64 {
        span.div_duration_f64(self.ttl)
    }

    fn until(&self, time: Duration) -> f64 {
        self.length(time.saturating_sub(self.now.wall))
    }
}

/// When the first look at an expected time may come: soon after its opening; or after all of it, if it is shorter than the
/// distance of looks there.
fn landing(expected: Window, spacing: f64, view: &View<'_>) -> (f64, f64) {
    let (left, length) = (view.until(expected.open), view.length(expected.length()));
    if length < CLOSE { (left + length, left + CLOSE) } else { (left, left + spacing) }
}

/// A look after more than plain refreshing's time on average, but never after much more.
fn saving(draw: f64) -> f64 {
    WIDEST - 2.0 * (WIDEST - WIDE) * draw
}

#[cfg(test)]
mod tests;
