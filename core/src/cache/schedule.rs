//! When to refresh a secret whose rotation is expected: more often around the expected time, and less often until then.
//! Pure, like `policy`, and only a hint: nothing breaks if all of it is wrong.
//!
//! The rule: a refresh that comes sooner than with plain refreshing, which waits three quarters of the TTL on average,
//! is paid for with refreshes saved before. So the secrets of a cache that have a schedule never cost more than plain
//! refreshing, plus the few refreshes that the budget starts with (docs/design.md, "Freshness").

use std::time::Duration;

use crate::cache::policy;
use crate::id::{AWSCURRENT, AWSPENDING};
use crate::time::{Moment, Now};
use crate::wire::Description;

mod window;
use window::{Window, since_epoch};

// Intervals between refreshes are in TTLs.

/// The average interval of plain refreshing.
const PLAIN: f64 = 0.75;
/// The shortest interval while a rotation is expected: a tenth of the time that an unexpected rotation can take to be
/// noticed.
const CLOSE: f64 = 0.1;
/// The longest and the shortest interval while saving. In 99 of 100 cases, an unexpected rotation is then noticed as
/// soon as with plain refreshing, whose jitter is wider.
const SAVING: (f64, f64) = (0.95, 0.87);
/// The refreshes that the budget starts with: enough to poll closely for a fifth of a TTL.
const START: f64 = 2.0;
/// The shortest TTL with a schedule. A shorter one needs no help.
const SHORTEST_TTL: Duration = Duration::from_secs(10);
/// The shortest time between two refreshes.
const SOONEST: Duration = Duration::from_secs(1);
/// The shortest time between two refreshes while the current version does not log in. Programs that connect refresh
/// too, and sooner.
const SOON: Duration = Duration::from_secs(2);
/// How long after its window a rotation can end, because clocks differ and rotations take time.
const SLACK: Duration = Duration::from_secs(30);
/// While a rotation is in progress, the interval is its age divided by this, so its end is noticed late by about a
/// quarter of what it took.
const PARTS_OF_AGE: u32 = 4;
/// After the usual time of a rotation, the interval is the delay so far divided by this, for the same reason.
const PARTS_OF_DELAY: f64 = 3.0;
/// Rotations in different windows that differ by no more than this came at the same time.
const AGREEING: Duration = Duration::from_secs(90);
/// The number of past rotations remembered: enough that some at odd times do not hide the usual one.
const REMEMBERED: usize = 16;

/// The refreshes saved so far by all secrets of a cache that have a schedule. At least `-START`, unless a program
/// refreshes on its own.
#[derive(Debug, Default)]
pub(crate) struct PollBudget(f64);

/// The rotations of one secret, as far as they are known.
#[derive(Default)]
pub(crate) struct RefreshSchedule {
    window: Option<Window>,
    last_rotated: Option<Duration>,
    /// The offsets of past rotations in their windows, latest last.
    offsets: Vec<Duration>,
    under_way: Option<UnderWay>,
    /// The last refresh that the budget accounts for, and the interval planned to the next one, in TTLs.
    planned: Option<(Moment, f64)>,
}

/// A rotation in progress.
struct UnderWay {
    /// The version that is current until it ends.
    current: Box<str>,
    since: Moment,
    /// The current version does not log in. If false, another version is labelled `AWSPENDING`.
    refused: bool,
}

impl RefreshSchedule {
    /// Whether a description says anything about rotations.
    pub(crate) fn is_described_by(description: &Description) -> bool {
        description.next_rotation_date.is_some()
            || description.last_rotated_date.is_some()
            || description.version_with_stage(AWSPENDING).is_some()
    }

    /// Updates the schedule from a description.
    pub(crate) fn observe(&mut self, description: &Description, now: &Now) {
        self.window = Window::of(description);
        let rotated = description.last_rotated_date.and_then(since_epoch);
        if rotated != self.last_rotated {
            self.last_rotated = rotated;
            let offset = self.window.zip(rotated).and_then(|(window, rotated)| window.offset_of(rotated));
            self.offsets.extend(offset);
            if self.offsets.len() > REMEMBERED {
                self.offsets.remove(0);
            }
        }
        let current = description.version_with_stage(AWSCURRENT);
        let pending = description.version_with_stage(AWSPENDING).filter(|version| current != Some(version));
        match (&self.under_way, pending, current) {
            (None, Some(_), Some(current)) => self.begin(current, false, now),
            (Some(UnderWay { refused: false, .. }), None, _) => self.under_way = None,
            _ => {}
        }
    }

    /// Records that the resource refused the current version, which is being rotated or wrong. Returns the time until
    /// the next refresh.
    pub(crate) fn refused(&mut self, current: &str, now: &Now) -> Duration {
        if !matches!(self.under_way, Some(UnderWay { refused: true, .. })) {
            self.begin(current, true, now);
        }
        SOON
    }

    /// Records that the resource accepted this version.
    pub(crate) fn accepted(&mut self, version_id: &str) {
        self.under_way.take_if(|known| known.refused && *known.current == *version_id);
    }

    fn begin(&mut self, current: &str, refused: bool, now: &Now) {
        self.under_way = Some(UnderWay { current: current.into(), since: now.moment(), refused });
    }

    /// Returns the refresh time of the current version, which was confirmed just now. It is at most the TTL, and that
    /// of plain refreshing if no rotation is expected. `draw` is in [0, 1).
    pub(crate) fn refresh_after(
        &mut self,
        current: Option<&str>,
        ttl: Duration,
        draw: f64,
        now: &Now,
        budget: &mut PollBudget,
    ) -> Duration {
        self.under_way.take_if(|known| Some(&*known.current) != current);
        if let Some((at, planned)) = self.planned.take() {
            // A program refreshed on its own. Time without readers, when nothing is refreshed, saves nothing.
            budget.0 -= (planned - now.since(at).div_duration_f64(ttl)).max(0.0) / PLAIN;
        }
        let plain = policy::refresh_after(ttl, draw);
        if ttl < SHORTEST_TTL || (self.window.is_none() && self.under_way.is_none()) {
            return plain;
        }
        let view = View { ttl, wall: now.wall, draw, saved: budget.0 + START };
        let mut planned = self.expected(&view).unwrap_or(plain.div_duration_f64(ttl));
        if let Some(known) = &self.under_way {
            // A long rotation may have been abandoned, so the intervals grow with its age. Many processes see the same
            // rotation, so the draw spreads them.
            let urgent = (now.since(known.since) / PARTS_OF_AGE).mul_f64(0.75 + 0.5 * draw);
            let closest = if known.refused { SOON } else { ttl.mul_f64(CLOSE) };
            planned = view.length(urgent.max(closest)).min(planned);
            if known.refused {
                // Programs cannot log in, which matters more than the budget.
                return view.span(planned);
            }
        }
        let paid = planned.max(PLAIN * (1.0 - view.saved) * (1.0 + 0.1 * draw)).min(1.0);
        budget.0 += paid / PLAIN - 1.0;
        self.planned = Some((now.moment(), paid));
        view.span(paid)
    }

    /// Returns the interval to the next refresh by the schedule, if a rotation is expected.
    fn expected(&self, view: &View) -> Option<f64> {
        let window = self.window?;
        let usual = self.usual_time(window);
        let end = window.close.saturating_add(SLACK);
        if view.wall >= end {
            return None; // it did not happen, or it was not reported yet
        }
        if view.wall < usual.open {
            return Some(view.before(usual));
        }
        // After its usual time, it comes soon, or at any time until the end.
        let late = view.length(view.wall.saturating_sub(usual.close));
        let until = if late > 0.0 { end } else { usual.close };
        Some(view.spacing(view.until(until)).max(late / PARTS_OF_DELAY).min(PLAIN) * (0.95 + 0.1 * view.draw))
    }

    /// Returns the part of a window in which earlier rotations came, if enough of them agree; otherwise all of it.
    fn usual_time(&self, window: Window) -> Window {
        let near = |time: Duration| {
            self.offsets.iter().copied().filter(move |other| other.abs_diff(time) <= AGREEING)
        };
        let usual = self.offsets.iter().copied().max_by_key(|time| near(*time).count());
        let known = self.offsets.len();
        // Two fifths of all, and at least three; or both, if only two are known.
        let enough = |time: &Duration| near(*time).count() >= known.clamp(2, 3).max((known * 2).div_ceil(5));
        usual.filter(enough).map_or(window, |time| window.part(near(time).min(), near(time).max()))
    }
}

/// The time of a refresh, and the budget for planning the next one.
struct View {
    ttl: Duration,
    wall: Duration,
    draw: f64,
    saved: f64,
}

impl View {
    fn length(&self, span: Duration) -> f64 {
        span.div_duration_f64(self.ttl)
    }

    fn span(&self, length: f64) -> Duration {
        self.ttl.mul_f64(length.min(1.0)).max(SOONEST)
    }

    fn until(&self, time: Duration) -> f64 {
        self.length(time.saturating_sub(self.wall))
    }

    /// Returns the interval between refreshes during an expected time, of which `left` remains. It spends the savings
    /// on half of that, because on average the rotation comes halfway.
    fn spacing(&self, left: f64) -> f64 {
        (1.0 / (1.0 / PLAIN + 2.0 * self.saved.max(0.0) / left.max(CLOSE))).max(CLOSE)
    }

    /// Returns the interval to the next refresh before an expected time. One refresh comes soon after the time begins,
    /// or after all of it if it is short. Those until then are spread evenly, so that none is wasted shortly before.
    fn before(&self, expected: Window) -> f64 {
        let (left, length) = (self.until(expected.open), self.length(expected.length()));
        let (early, late) =
            if length < CLOSE { (left + length, left + CLOSE) } else { (left, left + self.spacing(length)) };
        if left > 2.0 && self.saved > 2.0 * length / CLOSE + 2.0 * START {
            return 0.5 + 0.5 * self.draw; // the budget covers all of it: no need to save more
        }
        let saving = SAVING.0 - (SAVING.0 - SAVING.1) * self.draw;
        let refreshes = if early <= SAVING.0 { 1.0 } else { (early / saving).ceil() };
        let late = late.min(refreshes * SAVING.0).max(early);
        (early + (late - early) * self.draw) / refreshes
    }
}

#[cfg(test)]
mod tests;
