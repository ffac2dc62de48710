//! Rotation as the service keeps it: its configuration, its schedule, and how far it has come.
//!
//! Everything in this file and in `progress` is pure. `driver` runs what is due, `functions` the steps themselves.

pub(crate) mod driver;
pub(crate) mod functions;
mod lambda;
pub(crate) mod options;
pub(crate) mod progress;
mod route;
mod store;

use secretcache_rotation::{Error, Schedule};
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::validate::Constraints;

/// How a secret rotates, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Rotation {
    /// Whether rotation is on. It stays configured while it is off.
    pub enabled: bool,
    /// The ARN of the rotation function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<RotationRules>,
    /// What a partner needs to rotate a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_metadata: Option<Vec<Tag>>,
    /// The role for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_role: Option<String>,
    /// When a rotation last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rotated: Option<Timestamp>,
    /// When the next one is to take place; in the past while it has not succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<RotationWindow>,
    /// The `ClientRequestToken` that last started one, by which a repeated request is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_token: Option<String>,
    /// The one that has begun and neither succeeded nor been given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underway: Option<Underway>,
}

/// `RotationRules`, as requests and answers write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct RotationRules {
    /// Days from one rotation to the next. With a schedule expression, the service fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatically_after_days: Option<i64>,
    /// The length of the window: `3h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// `rate(…)` or `cron(…)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
}

/// The time in which a rotation is to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationWindow {
    /// Its first moment.
    pub opens: Timestamp,
    /// The first moment after it.
    pub closes: Timestamp,
}

/// A rotation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Underway {
    /// The version being rotated in.
    pub token: String,
    /// What is to be done with it.
    pub purpose: Purpose,
    /// How often it has failed.
    pub failures: u32,
    /// When it is tried again; `None` if only a request brings that about.
    pub due: Option<Timestamp>,
}

/// What a rotation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To rotate the secret.
    Rotate,
    /// To test its configuration: `RotateImmediately` is false.
    Test,
}

impl Rotation {
    /// `NextRotationDate`: the last second of the window. "The next rotation is scheduled to occur on or before this
    /// date"; the service shows 23:59:59 UTC for schedules in days.
    pub fn next_date(&self) -> Option<Timestamp> {
        self.next.filter(|_| self.enabled).map(|window| window.closes.plus_millis(-1000))
    }

    /// Works out the next window, for a secret that was rotated, given a value, or put on this schedule now.
    pub(crate) fn reschedule(&mut self, now: Timestamp) {
        self.next = self.window_after(now);
    }

    /// The first window that opens after now.
    pub(crate) fn window_after(&self, now: Timestamp) -> Option<RotationWindow> {
        // What is stored was checked when it came.
        let schedule = self.rules.as_ref()?.schedule().ok()??;
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
        let window = schedule.next_after(now, now)?;
        let moment = |at: jiff::Timestamp| Timestamp::from_millis(at.as_millisecond());
        Some(RotationWindow { opens: moment(window.opens), closes: moment(window.closes) })
    }

    /// Fills in the days between rotations. "In DescribeSecret and ListSecrets, this value is calculated from the
    /// rotation schedule after every successful rotation" (API reference, AutomaticallyAfterDays).
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
    /// Checks the rules of a request: their form, and what they mean.
    ///
    /// # Errors
    ///
    /// `ValidationException` for what the service model forbids, `InvalidParameterException` for the rest.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        let (expression, duration) = (self.schedule_expression.as_deref(), self.duration.as_deref());
        let mut constraints = Constraints::default()
            .range("rotationRules.automaticallyAfterDays", self.automatically_after_days, 1, 1000)
            .length("rotationRules.scheduleExpression", expression, 1, 256)
            .length("rotationRules.duration", duration, 2, 3);
        if let Some(text) = expression {
            let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"()#?*-/, ".contains(&b));
            let pattern = r"[0-9A-Za-z\(\)#\?\*\-\/, ]+";
            constraints = constraints.pattern("rotationRules.scheduleExpression", text, fits, pattern);
        }
        if let Some(text) = duration {
            let fits = text.strip_suffix('h').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
            constraints = constraints.pattern("rotationRules.duration", text, fits, "[0-9]+h");
        }
        constraints.check()?;
        if self.automatically_after_days.is_some() && expression.is_some() {
            return Err(ServiceError::invalid_parameter(
                "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.",
            ));
        }
        match self.schedule() {
            Ok(None) => Err(ServiceError::invalid_parameter(
                "RotationRules must have either AutomaticallyAfterDays or ScheduleExpression.",
            )),
            Ok(Some(_)) => Ok(()),
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
        // As the service answered for a value stored at this moment.
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
        for (json, code, reason) in [
            (r#"{"AutomaticallyAfterDays": 0}"#, ErrorCode::Validation, "greater than or equal to 1"),
            (r#"{"AutomaticallyAfterDays": 1001}"#, ErrorCode::Validation, "less than or equal to 1000"),
            (
                r#"{"ScheduleExpression": "rate(1 day)", "Duration": "three"}"#,
                ErrorCode::Validation,
                "[0-9]+h",
            ),
            (r#"{"ScheduleExpression": "rate(1 day)!"}"#, ErrorCode::Validation, "scheduleExpression"),
            (
                r#"{"ScheduleExpression": "rate(1 day)", "AutomaticallyAfterDays": 1}"#,
                ErrorCode::InvalidParameter,
                "both",
            ),
            (r#"{"Duration": "3h"}"#, ErrorCode::InvalidParameter, "either"),
            (r#"{"ScheduleExpression": "rate(3 hours)"}"#, ErrorCode::InvalidParameter, "four hours"),
            (r#"{"ScheduleExpression": "every day"}"#, ErrorCode::InvalidParameter, "neither rate"),
            (
                r#"{"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}"#,
                ErrorCode::InvalidParameter,
                "next one",
            ),
        ] {
            let error = rules(json).check().unwrap_err();
            assert_eq!(error.code(), code, "{json}: {error}");
            assert!(error.message().contains(reason), "{json}: {error}");
        }
        rules(r#"{"AutomaticallyAfterDays": 30, "Duration": "3h"}"#).check().unwrap();
    }
}
