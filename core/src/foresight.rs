//! When a secret's next rotation is expected, and how often to look until it has come: what `DescribeSecret` tells on
//! the way, made into refresh times. Pure, like `policy`, and a hint only: nothing breaks if all of it is wrong.
//!
//! The looks saved at other times pay for those at the expected time. They are counted in an account: plain refreshing,
//! which looks after three quarters of the time to live on average, is the budget, and whoever looks less often saves.
//! So a secret with a schedule costs no more calls than one without (docs/design.md, "Freshness").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::answer::Description;
use crate::id::{AWSCURRENT, AWSPENDING};
use crate::policy;
use crate::time::Now;

// Distances of looks are in times to live.

/// What plain refreshing looks after, on average.
const PLAIN: f64 = 0.75;
/// At the expected time.
const CLOSE: f64 = 0.076;
/// While saving, on average and at most. The jitter is narrower than that of plain refreshing, so that in spite of the
/// longer average, a rotation that nobody expected is noticed as soon in 99 of 100 cases.
const WIDE: f64 = 0.9;
const WIDEST: f64 = 0.95;
/// While the account is empty, on average.
const RESTORING: f64 = PLAIN + 0.1;
/// How much is saved for a usual time, in terms of what looking closely all through it takes: the rotation may be late.
const RESERVE: f64 = 2.0;

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
const MARGIN: Duration = Duration::from_secs(20);
/// Past rotations that are remembered. Most of them may be nobody's plan.
const MOST_OFFSETS: usize = 16;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// One secret's expectations.
#[derive(Default)]
pub(crate) struct Foresight {
    window: Option<Window>,
    last_rotated: Option<Duration>,
    /// Where in their windows past rotations were, latest last.
    offsets: Vec<Duration>,
    under_way: Option<UnderWay>,
    /// Looks saved so far, of those that plain refreshing would have made.
    saved: f64,
    looked: Option<Now>,
}

/// A time of the wall clock, since the epoch, within which a rotation is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    open: Duration,
    close: Duration,
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

impl Foresight {
    /// Takes in what the service says.
    pub(crate) fn observe(&mut self, description: &Description, now: &Now) {
        self.window = Window::of(description);
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
    ) -> Duration {
        let plain = policy::refresh_after(ttl, draw);
        if self.under_way.as_ref().is_some_and(|known| Some(&*known.current) != current) {
            self.under_way = None;
        }
        if ttl < SHORTEST_TTL {
            return plain;
        }
        self.enter_look(ttl, now);
        let planned = match self.by_schedule(ttl, draw, now) {
            Some(distance) => ttl.mul_f64(distance.min(1.0)).max(SOONEST),
            None if self.saved < -0.5 => ttl.mul_f64(saving(RESTORING, draw)),
            None => plain,
        };
        self.while_under_way(ttl, draw, now).map_or(planned, |urgent| urgent.min(planned))
    }

    fn enter_look(&mut self, ttl: Duration, now: &Now) {
        if let Some(looked) = self.looked.replace(*now) {
            // Time without readers, when nobody looks, saves nothing.
            let passed = now.since(&looked).min(ttl).div_duration_f64(ttl);
            self.saved = (self.saved + passed / PLAIN - 1.0).max(-1.0);
        }
    }

    /// Looks follow each other closely until the rotation ends, wider the longer it takes: it may have been abandoned.
    fn while_under_way(&self, ttl: Duration, draw: f64, now: &Now) -> Option<Duration> {
        let UnderWay { since, sign, .. } = self.under_way.as_ref()?;
        let closest = match sign {
            // Programs are turned away, which is worth more than the budget. That the distances grow bounds it.
            Sign::Refused => SOON,
            Sign::Pending if self.saved <= 0.0 => return None,
            Sign::Pending => ttl.mul_f64(CLOSE).max(SOONEST),
        };
        Some(closest.max(now.since(since) / 4).mul_f64(0.75 + 0.5 * draw))
    }

    /// How far the next look is by the schedule, if there is one.
    fn by_schedule(&self, ttl: Duration, draw: f64, now: &Now) -> Option<f64> {
        let window = self.window?;
        let usual = self.usual_time(window);
        let end = window.close.saturating_add(SLACK);
        let until = |time: Duration| time.saturating_sub(now.wall).div_duration_f64(ttl);
        if now.wall >= end {
            return None; // it has not come, or nobody has told yet
        }
        let distance = if now.wall < usual.open {
            return Some(self.before(
                until(usual.open),
                usual.length().div_duration_f64(ttl),
                usual != window,
                draw,
            ));
        } else if now.wall < usual.close {
            self.closeness(until(usual.close))
        } else {
            // It is late: it will come soon, or at any time until the end.
            let late = now.wall.saturating_sub(usual.close).div_duration_f64(ttl);
            self.closeness(CLOSE).max(late / 3.0).min(self.closeness(until(end)))
        };
        Some(distance * (0.95 + 0.1 * draw))
    }

    /// How far the next look is before a time that begins in `left` and lasts for `length`.
    fn before(&self, left: f64, length: f64, is_usual: bool, draw: f64) -> f64 {
        let needed = (length / CLOSE - length / PLAIN) * if is_usual { RESERVE } else { 1.0 };
        let missing = needed - self.saved;
        let rate = if missing > 0.0 { (1.0 / PLAIN - missing / left).max(1.0 / WIDE) } else { 1.0 / PLAIN };
        if left > 3.0 * WIDEST {
            let average = if self.saved <= 0.0 { (1.0 / rate).max(RESTORING) } else { 1.0 / rate };
            return if missing > 0.0 { saving(average, draw) } else { 0.5 + 0.5 * draw };
        }
        // The first look of that time; after all of it, if it is shorter than the distance of looks.
        let closest = if length <= CLOSE { CLOSE } else { self.closeness(length) };
        let (early, late) = (if length < closest { left + length } else { left }, left + closest);
        // From one short time to the next, a process may keep its phase, which is its own.
        let keeps_phase = length <= CLOSE && early <= 1.0 && late >= 1.0;
        let first = if keeps_phase { 1.0 } else { early + (late - early) * draw };
        // Those until then evenly, so that none is wasted shortly before.
        let fewest = (first * rate).round().max(first.ceil()).max(1.0);
        let has_more = missing < -1.0 && first / (fewest + 1.0) > 0.4;
        let looks = if has_more { fewest + 1.0 } else { fewest };
        let distance = if looks <= 1.0 { first } else { first / looks * (0.9 + 0.2 * draw) };
        if self.saved <= 0.0 { distance.max(PLAIN) } else { distance }
    }

    /// How close looks can be for so long: as close as is of use, if the account allows it.
    fn closeness(&self, length: f64) -> f64 {
        if self.saved <= 0.0 {
            return RESTORING;
        }
        (length / (self.saved + length / PLAIN)).clamp(CLOSE, PLAIN)
    }

    /// The part of a window where rotations were in former windows, if enough of them agree; otherwise all of it.
    fn usual_time(&self, window: Window) -> Window {
        let mut offsets = self.offsets.clone();
        offsets.sort_unstable();
        let enough = (offsets.len() * 2).div_ceil(5).max(2);
        let closest = offsets.windows(enough).min_by_key(|some| some[enough - 1] - some[0]);
        let Some([first, .., last]) = closest.filter(|some| some[enough - 1] - some[0] <= AGREEING) else {
            return window;
        };
        let near =
            || offsets.iter().filter(|offset| **offset + AGREEING >= *last && **offset <= *first + AGREEING);
        let (first, last) = (near().min().unwrap_or(first), near().max().unwrap_or(last));
        Window {
            open: window.open.saturating_add(first.saturating_sub(MARGIN)),
            close: window.open.saturating_add(*last).saturating_add(MARGIN),
        }
    }
}

impl Window {
    /// The window that ends with the date on or before which the next rotation is due. Its length is given by the rules;
    /// by default it is an hour for schedules in hours, and the rest of the UTC day for others (API reference,
    /// `RotationRulesType`).
    fn of(description: &Description) -> Option<Self> {
        let close = since_epoch(description.next_rotation_date?)?;
        let rules = &description.rotation_rules;
        if let Some(hours) = rules.duration.as_deref().and_then(|text| text.strip_suffix('h')?.parse().ok()) {
            let length = HOUR.saturating_mul(hours).min(DAY);
            return Some(Self { open: close.saturating_sub(length), close });
        }
        let expression = rules.schedule_expression.as_deref().unwrap_or_default();
        // Of a cron expression the hour is enough: a number, or else several times a day.
        let hour = expression.strip_prefix("cron(").and_then(|fields| fields.split_whitespace().nth(1));
        let start = hour.map_or(Some(0), |hour| hour.parse::<u32>().ok());
        let is_in_hours = expression.starts_with("rate(") && expression.contains("hour");
        let open = match start.filter(|_| !is_in_hours) {
            None => close.saturating_sub(HOUR),
            Some(start) => {
                // A date at the very end of a day belongs to it.
                let days = close.saturating_sub(SOONEST).as_secs() / DAY.as_secs();
                (DAY * u32::try_from(days).unwrap_or_default())
                    .saturating_add(HOUR.saturating_mul(start))
                    .min(close)
            }
        };
        Some(Self { open, close })
    }

    fn length(self) -> Duration {
        self.close.saturating_sub(self.open)
    }

    /// Where in its window a past rotation was. Windows begin on the hour, and those longer than an hour at the same time
    /// of each day; so the former windows themselves need not be known.
    fn offset_of(self, rotated: Duration) -> Option<Duration> {
        let cycle = if self.length() <= HOUR { HOUR } else { DAY }.as_secs_f64();
        let offset = (rotated.as_secs_f64() - self.open.as_secs_f64()).rem_euclid(cycle);
        Some(Duration::from_secs_f64(offset)).filter(|offset| *offset <= self.length())
    }
}

/// A look after more than plain refreshing's time on average, but never after much more.
fn saving(average: f64, draw: f64) -> f64 {
    let least = 2.0 * average - WIDEST;
    least + (WIDEST - least) * draw
}

fn since_epoch(time: SystemTime) -> Option<Duration> {
    time.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests;
