//! What is known about a secret without its values, beyond what a rotation step needs.

use jiff::Timestamp;
use secretcache::{AWSCURRENT, AWSPENDING};

use crate::error::Error;
use crate::schedule::Schedule;
use crate::store::{SecretState, VersionState};

/// A secret as `DescribeSecret` tells of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Details {
    /// The name.
    pub name: String,
    /// ARN, labels, and whether it rotates.
    pub state: SecretState,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When its value or anything else of it last changed.
    pub changed: Option<Timestamp>,
    /// When a rotation last succeeded. The service forgets it when rotation is turned off.
    pub rotated: Option<Timestamp>,
    /// On or before when the service rotates it next. In the past if rotations fail.
    pub next_rotation: Option<Timestamp>,
    /// When it was deleted, for the time until it is gone.
    pub deleted: Option<Timestamp>,
    /// The ARN of the rotation function.
    pub function: Option<String>,
    /// The service that manages the secret, such as `rds`, and then rotates it itself.
    pub managed_by: Option<String>,
    /// The schedule at the service.
    pub rules: Rules,
}

/// A schedule as the service keeps it: `AutomaticallyAfterDays`, or an expression.
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
    /// The schedule, if there is one.
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
    /// The version being rotated in: the one labelled `AWSPENDING`, unless it is current already.
    pub fn under_way(&self) -> Option<&VersionState> {
        self.state.labelled(AWSPENDING).filter(|version| !version.has(AWSCURRENT))
    }

    /// The moment from which a schedule counts: the last rotation, else the last change.
    pub fn last_turn(&self) -> Option<Timestamp> {
        // A value stored by hand counts as a rotation for the service as well.
        self.rotated.or(self.changed).or(self.created)
    }
}
