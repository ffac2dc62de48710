//! A secret's metadata, beyond what a rotation step needs.

use jiff::Timestamp;
use secretcache::{AWSCURRENT, AWSPENDING};

use crate::error::Error;
use crate::schedule::Schedule;
use crate::store::{SecretState, VersionState};

/// A secret's metadata, as `DescribeSecret` returns it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Details {
    /// The name.
    pub name: String,
    /// The ARN, the versions with their labels, and whether rotation is enabled.
    pub state: SecretState,
    /// When the secret was created.
    pub created: Option<Timestamp>,
    /// When its value or its metadata last changed.
    pub changed: Option<Timestamp>,
    /// When a rotation last succeeded. The service clears this when rotation is turned off.
    pub rotated: Option<Timestamp>,
    /// When the service rotates it next, at the latest. In the past if rotations fail.
    pub next_rotation: Option<Timestamp>,
    /// `DeletedDate`, if the secret is scheduled for deletion.
    pub deleted: Option<Timestamp>,
    /// The ARN of the rotation function.
    pub function: Option<String>,
    /// The service that manages the secret, and rotates it itself, such as `rds`.
    pub managed_by: Option<String>,
    /// The rotation schedule set at the service.
    pub rules: Rules,
}

/// A rotation schedule as the service stores it: `AutomaticallyAfterDays`, or an expression.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// `AutomaticallyAfterDays`.
    pub days: Option<i64>,
    /// `ScheduleExpression`.
    pub expression: Option<String>,
    /// `Duration`.
    pub duration: Option<String>,
}

impl Rules {
    /// Parses the schedule, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured), with the reason.
    pub fn schedule(&self) -> Result<Option<Schedule>, Error> {
        match (&self.expression, self.days) {
            (Some(expression), _) => Schedule::new(expression, self.duration.as_deref()).map(Some),
            (None, Some(days)) => Schedule::after_days(i32::try_from(days).unwrap_or(i32::MAX)).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Details {
    /// Returns the version being rotated in: the one labelled `AWSPENDING`, unless it is already current.
    pub fn under_way(&self) -> Option<&VersionState> {
        self.state.labelled(AWSPENDING).filter(|version| !version.has(AWSCURRENT))
    }

    /// Returns the time from which the schedule counts: that of the last rotation, or else of the last change.
    pub fn last_turn(&self) -> Option<Timestamp> {
        // The service counts a value that is stored manually as a rotation too.
        self.rotated.or(self.changed).or(self.created)
    }
}
