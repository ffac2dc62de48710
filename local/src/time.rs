//! Timestamps in the service's format: seconds since the epoch, with a fraction.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time with millisecond precision, serialized in JSON as (fractional) epoch seconds.
///
/// The `timestamp` members of the service model do not specify a format, so the JSON 1.1 protocol uses epoch seconds:
/// `1523477145.713`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Creates a timestamp from whole seconds since the epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns this time plus `millis` milliseconds, which can be negative.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns this time plus `days` days, which can be negative.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_millis(days.saturating_mul(DAY))
    }

    /// Returns the start of the UTC day. The service stores access dates only by day.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(DAY))
    }
}

/// Formats the time like `2026-11-28T12:00:00.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", jiff::Timestamp::from_millisecond(self.0).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !seconds.is_finite() {
            return Err(D::Error::custom("a time must be a finite number of seconds"));
        }
        Ok(Self((seconds * 1000.0).round() as i64))
    }
}

const DAY: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_epoch_seconds_and_read_back_exactly() {
        let moment = Timestamp::from_millis(1_523_477_145_713);
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(text, "1523477145.713");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), moment);
    }

    #[test]
    fn a_day_starts_at_midnight_utc_before_the_epoch_too() {
        assert_eq!(Timestamp::from_secs(86_399).day(), Timestamp::from_secs(0));
        assert_eq!(Timestamp::from_secs(-1).day(), Timestamp::from_secs(-86_400));
    }
}
