//! Rotation schedules, exactly as Secrets Manager defines them.
//!
//! All times are UTC, rotation windows open on the hour, and nothing here reads a clock.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::error::{Error, ErrorKind};

mod cron;

use cron::Cron;

/// A rotation schedule: `AutomaticallyAfterDays`, or a `ScheduleExpression` with an optional `Duration`.
///
/// ```
/// use secretcache_rotation::Schedule;
///
/// let schedule = Schedule::new("cron(0 16 ? * TUE#1 *)", Some("2h"))?;
/// let after = "2026-11-23T12:00:00Z".parse()?;
/// let window = schedule.next_after(after, after).expect("a first Tuesday");
/// assert_eq!(window.opens.to_string(), "2026-12-01T16:00:00Z");
/// assert_eq!(window.closes.to_string(), "2026-12-01T18:00:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    rule: Rule,
    /// Hours that a window stays open. Defaults to one hour for schedules in hours, otherwise to the end of the day.
    duration: Option<i8>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rule {
    Hours(i32),
    Days(i32),
    Cron(Box<Cron>),
}

/// The time window in which a rotation can take place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Window {
    /// When it opens.
    pub opens: Timestamp,
    /// When it closes (exclusive).
    pub closes: Timestamp,
}

impl Schedule {
    /// Parses a `ScheduleExpression`, `rate(…)` or `cron(…)`, and its `Duration`, such as `3h`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the reason.
    pub fn new(expression: &str, duration: Option<&str>) -> Result<Self, Error> {
        if expression.len() > 256 {
            return Err(invalid(expression, "it is longer than 256 characters"));
        }
        let rule = match (inside(expression, "rate("), inside(expression, "cron(")) {
            (Some(rate), _) => parse_rate(expression, rate)?,
            (_, Some(cron)) => {
                Rule::Cron(Box::new(Cron::from_str(cron).map_err(|why| invalid(expression, &why))?))
            }
            _ => return Err(invalid(expression, "it is neither rate(…) nor cron(…)")),
        };
        let duration = duration.map(parse_duration).transpose()?;
        let schedule = Self { rule, duration };
        schedule.check_window(expression)?;
        Ok(schedule)
    }

    /// Makes an `AutomaticallyAfterDays` schedule: that many days after the last rotation, at any time of the day.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] unless `days` is from 1 to 1000.
    pub fn after_days(days: i32) -> Result<Self, Error> {
        if !(1..=1000).contains(&days) {
            let why = format!("AutomaticallyAfterDays must be from 1 to 1000, not {days}");
            return Err(Error::new(ErrorKind::Misconfigured, why));
        }
        Ok(Self { rule: Rule::Days(days), duration: None })
    }

    /// Returns the first window that opens after `after`, for a secret last rotated (or put on this schedule) at
    /// `anchor`.
    ///
    /// `None` if there is none in the calendar: a cron expression can name a day that does not exist.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Window> {
        let opens = match &self.rule {
            Rule::Hours(hours) => {
                let step = SignedDuration::from_hours((*hours).into());
                repeat(midnight(date_of(anchor))?, step, after)?
            }
            Rule::Days(days) => {
                let step = SignedDuration::from_hours(24 * i64::from(*days));
                // Not on the day of the anchor: that would rotate twice in one window.
                repeat(midnight(date_of(anchor))?, step, after.max(anchor))?
            }
            Rule::Cron(cron) => cron.next_after(after)?,
        };
        let closes = match (self.duration, &self.rule) {
            (Some(hours), _) => opens.checked_add(i64::from(hours).hours()).ok()?,
            (None, rule) if rule.is_in_hours() => opens.checked_add(1.hours()).ok()?,
            _ => midnight(date_of(opens).tomorrow().ok()?)?,
        };
        Some(Window { opens, closes })
    }

    /// Whether a secret last rotated at `last` should be rotated now.
    pub fn is_due(&self, now: Timestamp, last: Timestamp) -> bool {
        self.next_after(last, last).is_some_and(|window| window.opens <= now)
    }

    /// "The rotation window must not go into the next rotation window or the next UTC day."
    fn check_window(&self, expression: &str) -> Result<(), Error> {
        let Some(hours) = self.duration else { return Ok(()) };
        let hours = i32::from(hours);
        let (latest_start, step) = match &self.rule {
            Rule::Hours(step) => (0, *step),
            Rule::Days(_) => (0, 24),
            Rule::Cron(cron) => (cron.last_hour(), cron.hour_step()),
        };
        if hours > step {
            return Err(invalid(expression, &format!("its window of {hours} h runs into the next one")));
        }
        // If the interval in hours does not divide a day, windows wander, so only the running schedule shows it.
        if latest_start + hours > 24 {
            return Err(invalid(
                expression,
                &format!("its window of {hours} h runs into the next day (UTC)"),
            ));
        }
        Ok(())
    }
}

impl Rule {
    fn is_in_hours(&self) -> bool {
        match self {
            Self::Hours(_) => true,
            Self::Days(_) => false,
            Self::Cron(cron) => cron.hour_step() < 24,
        }
    }
}

/// Returns the first of `start + step`, `start + 2 * step`, … that is after `after`.
fn repeat(start: Timestamp, step: SignedDuration, after: Timestamp) -> Option<Timestamp> {
    let (elapsed, step) = (after.duration_since(start).as_secs(), step.as_secs());
    let rounds = elapsed.div_euclid(step) + 1;
    start.checked_add(SignedDuration::from_secs(rounds.max(1).checked_mul(step)?)).ok()
}

fn date_of(timestamp: Timestamp) -> Date {
    timestamp.to_zoned(TimeZone::UTC).date()
}

fn midnight(date: Date) -> Option<Timestamp> {
    date.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn inside<'a>(expression: &'a str, opening: &str) -> Option<&'a str> {
    expression.strip_prefix(opening)?.strip_suffix(')')
}

fn parse_rate(expression: &str, rate: &str) -> Result<Rule, Error> {
    let (number, unit) =
        rate.split_once(' ').ok_or_else(|| invalid(expression, "a rate is a number, a space and a unit"))?;
    let value: i32 = whole(number)
        .filter(|value| *value >= 1)
        .ok_or_else(|| invalid(expression, "the number of a rate must be a whole number of at least 1"))?;
    let rule = match unit {
        "hour" | "hours" => Rule::Hours(value),
        "day" | "days" => Rule::Days(value),
        _ => return Err(invalid(expression, "the unit of a rate must be hour, hours, day or days")),
    };
    match rule {
        Rule::Hours(..4) => Err(invalid(expression, "the shortest interval is 4 hours")),
        Rule::Hours(23977..) | Rule::Days(1000..) => {
            Err(invalid(expression, "the longest interval is 999 days"))
        }
        rule => Ok(rule),
    }
}

fn parse_duration(text: &str) -> Result<i8, Error> {
    let hours = text.strip_suffix('h').and_then(whole).and_then(|hours| i8::try_from(hours).ok());
    hours.filter(|hours| (1..=24).contains(hours)).ok_or_else(|| {
        let why = format!("the Duration {text:?} of a rotation window must be from 1h to 24h");
        Error::new(ErrorKind::Misconfigured, why)
    })
}

/// Parses digits only; the standard parser also accepts a sign.
fn whole(text: &str) -> Option<i32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn invalid(expression: &str, why: &str) -> Error {
    Error::new(ErrorKind::Misconfigured, format!("the schedule {expression:?} is invalid: {why}"))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |number: &i32| if *number == 1 { "" } else { "s" };
        match &self.rule {
            Rule::Hours(hours) => write!(f, "rate({hours} hour{})", plural(hours)),
            Rule::Days(days) => write!(f, "rate({days} day{})", plural(days)),
            Rule::Cron(cron) => write!(f, "cron({cron})"),
        }
    }
}

#[cfg(test)]
mod tests;
