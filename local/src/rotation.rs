//! The rotation of a secret: its configuration, its schedule and its progress.

use secretcache_rotation::{Error, Schedule};
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::tag::Tag;
use crate::time::Timestamp;

/// The configuration and state of a secret's rotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Rotation {
    /// Whether rotation is enabled. The configuration is kept while it is not.
    pub enabled: bool,
    /// The ARN of the rotation function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<RotationRules>,
    /// The metadata that a partner needs to rotate a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_metadata: Option<Vec<Tag>>,
    /// The role with which a partner rotates a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_role: Option<String>,
    /// When a rotation last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rotated: Option<Timestamp>,
    /// The window of the next rotation; in the past if that has not succeeded yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<RotationWindow>,
    /// The `ClientRequestToken` that last started a rotation, to recognize a repeated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_token: Option<String>,
    /// The rotation in progress: it has begun, and has neither succeeded nor been abandoned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underway: Option<Underway>,
}

/// `RotationRules`, as in requests and responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct RotationRules {
    /// The number of days between rotations. With a schedule expression, the service calculates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatically_after_days: Option<i64>,
    /// The length of the rotation window, such as `3h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The schedule, `rate(…)` or `cron(…)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
}

/// The window in which a rotation takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationWindow {
    /// The start of the window.
    pub opens: Timestamp,
    /// The end of the window, exclusive.
    pub closes: Timestamp,
}

/// A rotation in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Underway {
    /// The id of the new version.
    pub token: String,
    /// Whether to rotate or only to test.
    pub purpose: Purpose,
    /// How often the rotation has failed.
    pub failures: u32,
    /// When the rotation is run or retried; `None` if only a request makes it run.
    pub due: Option<Timestamp>,
}

/// The purpose of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Rotate the secret.
    Rotate,
    /// Test the configuration, because `RotateImmediately` is false.
    Test,
}

impl Rotation {
    /// Returns the `NextRotationDate`, which is the last second of the window. "The next rotation is scheduled to occur
    /// on or before this date"; the service shows 23:59:59 UTC for schedules in days.
    pub fn next_date(&self) -> Option<Timestamp> {
        self.next.filter(|_| self.enabled).map(|window| window.closes.plus_millis(-1000))
    }

    /// Sets the next window, for a secret that has just been rotated, or been given a value or a new schedule.
    pub(crate) fn reschedule(&mut self, now: Timestamp) {
        self.next = self.window_after(now);
    }

    /// Returns the first window that opens after now.
    pub(crate) fn window_after(&self, now: Timestamp) -> Option<RotationWindow> {
        // Stored rules were validated with their request.
        let schedule = self.rules.as_ref()?.schedule().ok()??;
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
        let window = schedule.next_after(now, now)?;
        let moment = |at: jiff::Timestamp| Timestamp::from_millis(at.as_millisecond());
        Some(RotationWindow { opens: moment(window.opens), closes: moment(window.closes) })
    }

    /// Calculates the number of days between rotations. "In DescribeSecret and ListSecrets, this value is calculated
    /// from the rotation schedule after every successful rotation" (API reference, AutomaticallyAfterDays).
    pub(crate) fn fill_in_days(&mut self, now: Timestamp) {
        let opens = self.next.map(|window| window.opens);
        if let (Some(rules), Some(opens)) = (&mut self.rules, opens)
            && rules.schedule_expression.is_some()
        {
            // A rate's window opens at midnight, so whole days count.
            let days = (opens.day().millis() - now.day().millis()) / DAY;
            rules.automatically_after_days = Some(days.max(1));
        }
    }
}

impl RotationRules {
    /// Checks the meaning of the rules in a request, after the service model has checked their form.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        if self.automatically_after_days.is_some() && self.schedule_expression.is_some() {
            return Err(ServiceError::invalid_parameter(
                "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.",
            ));
        }
        match self.schedule() {
            Ok(None) => Err(ServiceError::invalid_parameter(
                "RotationRules must have either AutomaticallyAfterDays or ScheduleExpression.",
            )),
            Ok(Some(schedule)) if comes(&schedule) => Ok(()),
            Ok(Some(schedule)) => Err(ServiceError::invalid_parameter(format!(
                "RotationRules: the schedule {:?} is invalid: its day never comes.",
                schedule.to_string()
            ))),
            Err(error) => Err(ServiceError::invalid_parameter(format!("RotationRules: {error}."))),
        }
    }

    fn schedule(&self) -> Result<Option<Schedule>, Error> {
        match (&self.schedule_expression, self.automatically_after_days, &self.duration) {
            (Some(expression), _, duration) => Schedule::new(expression, duration.as_deref()).map(Some),
            (None, Some(days), None) => Schedule::after_days(days.try_into().unwrap_or(i32::MAX)).map(Some),
            (None, Some(days), Some(duration)) => {
                Schedule::new(&format!("rate({days} days)"), Some(duration)).map(Some)
            }
            (None, None, _) => Ok(None),
        }
    }
}

/// Returns whether a schedule ever opens a window. One for June 31 never does.
fn comes(schedule: &Schedule) -> bool {
    let start = jiff::Timestamp::UNIX_EPOCH;
    schedule.next_after(start, start).is_some()
}

const DAY: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn rules(json: &str) -> RotationRules {
        serde_json::from_str(json).unwrap()
    }

    fn rotation(json: &str) -> Rotation {
        Rotation { enabled: true, rules: Some(rules(json)), ..Rotation::default() }
    }

    /// 2026-02-03 17:34:02 UTC.
    const NOW: Timestamp = Timestamp::from_secs(1_770_140_042);

    #[test]
    fn the_next_date_is_the_last_second_of_the_window() {
        // Recorded from the service for a value stored at this time.
        let mut thirty = rotation(r#"{"AutomaticallyAfterDays": 30}"#);
        thirty.reschedule(NOW);
        assert_eq!(thirty.next_date(), Some(Timestamp::from_secs(1_772_755_199)), "2026-03-05 23:59:59");
        let mut hours = rotation(r#"{"ScheduleExpression": "rate(4 hours)"}"#);
        hours.reschedule(NOW);
        assert_eq!(hours.next_date(), Some(Timestamp::from_secs(1_770_152_399)), "20:59:59 the same day");
        hours.enabled = false;
        assert_eq!(hours.next_date(), None);
    }

    #[test]
    fn days_are_filled_in_for_expressions_only() {
        for (json, days) in [
            (r#"{"ScheduleExpression": "rate(30 days)"}"#, Some(30)),
            (r#"{"ScheduleExpression": "rate(4 hours)"}"#, Some(1)),
            (r#"{"ScheduleExpression": "cron(0 16 1 * ? *)"}"#, Some(26)),
            (r#"{"AutomaticallyAfterDays": 7}"#, Some(7)),
        ] {
            let mut rotation = rotation(json);
            rotation.reschedule(NOW);
            rotation.fill_in_days(NOW);
            assert_eq!(rotation.rules.unwrap().automatically_after_days, days, "{json}");
        }
    }

    #[test]
    fn rules_the_service_refuses() {
        for (json, reason) in [
            (r#"{"ScheduleExpression": "rate(1 day)", "AutomaticallyAfterDays": 1}"#, "both"),
            (r#"{"Duration": "3h"}"#, "either"),
            (r#"{"ScheduleExpression": "rate(3 hours)"}"#, "4 hours"),
            (r#"{"ScheduleExpression": "every day"}"#, "neither rate"),
            (r#"{"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}"#, "next one"),
            (r#"{"ScheduleExpression": "cron(0 8 31 4,6 ? *)"}"#, "never comes"),
        ] {
            let error = rules(json).check().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidParameter, "{json}: {error}");
            assert!(error.message().contains(reason), "{json}: {error}");
        }
        rules(r#"{"AutomaticallyAfterDays": 30, "Duration": "3h"}"#).check().unwrap();
        rules(r#"{"ScheduleExpression": "cron(0 8 29 2 ? *)"}"#).check().unwrap();
    }
}
