//! Cron expressions in the dialect of Secrets Manager: `Minutes Hours Day-of-month Month Day-of-week Year`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday, time};
use jiff::tz::TimeZone;

use super::{date_of, whole};

/// A parsed cron expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cron {
    text: String,
    /// Bit `h` for hour `h`.
    hours: u32,
    hour_step: Option<u8>,
    /// Bit `m` for month `m`, from 1.
    months: u16,
    day: Day,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Day {
    /// Days of the month, where bit `d` is day `d`, and whether to add the last day of the month.
    OfMonth { days: u32, last: bool },
    /// Days of the week, where bit 1 is Sunday.
    OfWeek(u8),
    /// The nth such weekday of the month.
    Nth(Weekday, i8),
    /// The last such weekday of the month.
    Last(Weekday),
}

impl Cron {
    /// Returns the latest hour of the day at which a window opens.
    pub(crate) fn last_hour(&self) -> i32 {
        self.hours.checked_ilog2().unwrap_or(0) as i32
    }

    /// Returns the hours between two windows of a day, or 24 if there is only one.
    pub(crate) fn hour_step(&self) -> i32 {
        if self.hours.count_ones() > 1 { self.hour_step.map_or(24, i32::from) } else { 24 }
    }

    /// Returns the first match after `after`.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut date = date_of(after);
        // Every weekday falls on a leap day again within 40 years, even across centuries without one.
        for _ in 0..=40 * 366 {
            if self.months >> date.month() & 1 == 1 && self.day.matches(date) {
                for hour in (0..24).filter(|hour| self.hours >> hour & 1 == 1) {
                    let moment = date.to_datetime(time(hour, 0, 0, 0)).to_zoned(TimeZone::UTC).ok()?;
                    if moment.timestamp() > after {
                        return Some(moment.timestamp());
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

impl Day {
    fn matches(&self, date: Date) -> bool {
        match *self {
            Self::OfMonth { days, last } => {
                days >> date.day() & 1 == 1 || last && date == date.last_of_month()
            }
            Self::OfWeek(days) => days >> date.weekday().to_sunday_one_offset() & 1 == 1,
            Self::Nth(weekday, nth) => date.weekday() == weekday && (date.day() - 1) / 7 + 1 == nth,
            Self::Last(weekday) => date.weekday() == weekday && date.day() > date.days_in_month() - 7,
        }
    }
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<_> = text.split(' ').collect();
        let [minutes, hours, of_month, months, of_week, year] = fields[..] else {
            return Err("it needs six fields: minutes, hours, day of month, month, day of week, year".into());
        };
        if minutes != "0" {
            return Err("the minutes must be 0: windows open on the hour".into());
        }
        if year != "*" {
            return Err("the year must be *".into());
        }
        let (hours, hour_step) = parse_hours(hours)?;
        let months = bits(months, &MONTHS).map_err(|why| format!("month: {why}"))?;
        let day = match (of_month, of_week) {
            ("?", "?") => return Err("day of month and day of week are both ?; set one of them".into()),
            (of_month, "?") => parse_day_of_month(of_month).map_err(|why| format!("day of month: {why}"))?,
            ("?", of_week) => parse_day_of_week(of_week).map_err(|why| format!("day of week: {why}"))?,
            _ => return Err("day of month and day of week are both set; one of them must be ?".into()),
        };
        Ok(Self { text: text.to_owned(), hours, hour_step, months: months as u16, day })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses an hour, or an hour and a step. The step starts over each day.
fn parse_hours(text: &str) -> Result<(u32, Option<u8>), String> {
    let hour = |text: &str| whole(text).filter(|hour| *hour < 24).map(|hour| hour as u32);
    match text.split_once('/') {
        None if text == "*" => Err("hours: the shortest interval is 4 hours".into()),
        None => hour(text)
            .map(|hour| (1 << hour, None))
            .ok_or_else(|| "hours: either an hour from 0 to 23, or an hour and a step, as in 2/8".into()),
        Some((start, step)) => {
            let start = if start == "*" { Some(0) } else { hour(start) };
            match (start, whole(step)) {
                (Some(_), Some(..4)) => Err("hours: the shortest interval is 4 hours".into()),
                (Some(start), Some(step @ 4..24)) => {
                    let hours = (start..24).step_by(step as usize).map(|hour| 1 << hour).sum();
                    Ok((hours, Some(step as u8)))
                }
                _ => Err("hours: a step is an hour from 0 to 23 and a number from 4 to 23".into()),
            }
        }
    }
}

fn parse_day_of_month(text: &str) -> Result<Day, String> {
    // `SUNL`: the last Sunday of the month.
    if let Some(weekday) = text.strip_suffix('L').and_then(|name| WEEKDAYS.by_name(name)) {
        return Ok(Day::Last(weekday_of(weekday)));
    }
    let (mut days, mut last) = (0, false);
    for part in text.split(',') {
        if part == "L" {
            last = true;
        } else {
            days |= bits(part, &DAYS)?;
        }
    }
    Ok(Day::OfMonth { days, last })
}

fn parse_day_of_week(text: &str) -> Result<Day, String> {
    if let Some((day, nth)) = text.split_once('#') {
        let day = WEEKDAYS.value(day)?;
        let nth = whole(nth)
            .filter(|nth| (1..=5).contains(nth))
            .ok_or("# must be followed by a number from 1 to 5")?;
        return Ok(Day::Nth(weekday_of(day), nth as i8));
    }
    match text.strip_suffix('L') {
        // The last day of the week.
        Some("") => Ok(Day::OfWeek(1 << 7)),
        Some(day) => Ok(Day::Last(weekday_of(WEEKDAYS.value(day)?))),
        None => Ok(Day::OfWeek(bits(text, &WEEKDAYS)? as u8)),
    }
}

/// Returns a day of the week, where 1 is Sunday.
fn weekday_of(number: u32) -> Weekday {
    Weekday::from_sunday_one_offset(number as i8).unwrap_or(Weekday::Sunday)
}

/// The possible values of a field.
struct Values {
    last: u32,
    names: &'static [&'static str],
}

const DAYS: Values = Values { last: 31, names: &[] };
const MONTHS: Values = Values {
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAYS: Values = Values { last: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Values {
    fn by_name(&self, text: &str) -> Option<u32> {
        let place = self.names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
        Some(place as u32 + 1)
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let number = whole(text).map(|number| number as u32).filter(|n| (1..=self.last).contains(n));
        number
            .or_else(|| self.by_name(text))
            .ok_or_else(|| format!("{text:?} is not between 1 and {}", self.last))
    }
}

/// Parses lists, ranges and steps into a bit set, where bit 1 is the value 1.
fn bits(text: &str, values: &Values) -> Result<u32, String> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step =
                    whole(step).filter(|step| *step >= 1).ok_or("a step must be a number of at least 1")?;
                (range, Some(step as usize))
            }
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (1, values.last),
            Some((first, last)) => (values.value(first)?, values.value(last)?),
            // A start with a step runs to the end; a start without one is a single value.
            None => {
                let first = values.value(range)?;
                (first, if step.is_some() { values.last } else { first })
            }
        };
        let step = step.unwrap_or(1);
        // `FRI-MON` wraps around the end of the week.
        let (end, wrapped_end) = if last < first { (values.last, last) } else { (last, 0) };
        for value in (first..=end).chain(1..=wrapped_end).step_by(step) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}
