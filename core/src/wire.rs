//! The service's responses, and how they are checked and interpreted.

use std::time::SystemTime;

use crate::error::{Error, ErrorKind};
use crate::fetched::{Extension, Fetched, Value};
use crate::id::is_of_another_secret;

/// The largest response for one secret, in bytes. A secret has at most 65,536 bytes, and JSON escapes can make it six
/// times as long.
pub(crate) const LARGEST_ANSWER: usize = 1 << 20;

/// A successful answer to a [`FetchPermit`](crate::host::FetchPermit).
#[derive(Debug)]
#[must_use]
pub struct Answer {
    pub(crate) value: Option<Fetched>,
    pub(crate) description: Option<Description>,
    pub(crate) describe_denied: bool,
    /// Whether the secret's other ids must not share the entry of the requested id, because they are read with another
    /// role.
    pub(crate) is_for_one_id: bool,
    pub(crate) replica: Option<Replica>,
}

/// The replica that gave an answer, if it was not the secret's own Region.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The Region of the replica.
    pub(crate) region: String,
    /// Why the secret's own Region did not answer.
    pub(crate) error: Error,
}

impl Answer {
    /// An answer with the requested version.
    pub fn value(value: Fetched) -> Self {
        Self { value: Some(value), ..Self::unchanged() }
    }

    /// An answer that the cached version is still the requested one.
    pub fn unchanged() -> Self {
        Self { value: None, description: None, describe_denied: false, is_for_one_id: false, replica: None }
    }

    /// Adds the `DescribeSecret` response received along the way. It confirms the secret's other versions as well.
    pub fn with_description(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }

    /// The secret's ARN, if the answer contains it.
    #[cfg(feature = "aws")]
    pub(crate) fn arn(&self) -> Option<&str> {
        self.value.as_ref().and_then(|value| value.arn.as_deref())
    }

    /// Marks the answer as given by a replica.
    #[cfg(feature = "aws")]
    pub(crate) fn of_replica(mut self, replica: Replica) -> Self {
        self.replica = Some(replica);
        self
    }

    #[cfg(feature = "aws")]
    pub(crate) fn for_this_id_alone(mut self) -> Self {
        self.is_for_one_id = true;
        self
    }

    /// Checks the answer: a version must have a value, and everything must be about the known secret. A test double may
    /// have one ARN for every secret, so the ARN of the first answer is not checked here; our own transport checks that
    /// too.
    pub(crate) fn checked(self, id: &str, known_arn: Option<&str>) -> Result<Self, Error> {
        let value = self.value.as_ref();
        if let Some(known_arn) = known_arn {
            check_arn(known_arn, value.and_then(|value| value.arn.as_deref()))?;
            check_arn(known_arn, self.description.as_ref().and_then(|described| described.arn.as_deref()))?;
        }
        check_size(id, value.map_or(0, |value| value.value.bytes().len()))?;
        // A binding that passes its host's own response through handles one without a value itself.
        let is_empty = |value: &Fetched| matches!(value.value, Value::Absent) && value.extension.is_none();
        if value.is_some_and(is_empty) {
            let text = format!("the response for secret {id:?} has neither SecretString nor SecretBinary");
            return Err(Error::new(ErrorKind::InvalidResponse, text));
        }
        Ok(self)
    }

    /// Notes that `DescribeSecret` was denied. It is not called again for an hour at first, and longer after further
    /// denials, because denied calls raise alarms.
    pub fn describe_denied(mut self) -> Self {
        self.describe_denied = true;
        self
    }
}

/// Checks that a response of this size can be one secret's. For bindings that keep values in their own form.
///
/// # Errors
///
/// [`ErrorKind::InvalidResponse`] above 1 MiB.
pub fn check_size(id: &str, size: usize) -> Result<(), Error> {
    if size <= LARGEST_ANSWER {
        return Ok(());
    }
    let text = format!(
        "the response for secret {id:?} has {size} bytes, more than any secret can have ({LARGEST_ANSWER})"
    );
    Err(Error::new(ErrorKind::InvalidResponse, text))
}

/// Checks that a response is about the secret requested by this id.
///
/// A secret that was deleted and re-created has the same name and another ARN. To its readers it is the same secret.
pub(crate) fn check_arn(id: &str, arn: Option<&str>) -> Result<(), Error> {
    match arn.filter(|arn| is_of_another_secret(id, arn)) {
        None => Ok(()),
        Some(arn) => {
            let text = format!("the response for secret {id:?} is for another secret: {arn:?}");
            Err(Error::new(ErrorKind::InvalidResponse, text))
        }
    }
}

/// The fields of a `DescribeSecret` response, as the service names them, for [`Description::from_service`].
#[derive(Clone, Debug, Default)]
pub struct DescribeAnswer {
    /// `ARN`
    pub arn: Option<String>,
    /// `VersionIdsToStages`
    pub versions: Vec<(String, Vec<String>)>,
    /// Whether there is a `DeletedDate`.
    pub is_deleted: bool,
    /// `RotationEnabled`; the service leaves it out where rotation was never configured.
    pub rotation_enabled: Option<bool>,
    /// `NextRotationDate`
    pub next_rotation_date: Option<SystemTime>,
    /// `LastRotatedDate`
    pub last_rotated_date: Option<SystemTime>,
    /// `RotationRules.ScheduleExpression`
    pub schedule_expression: Option<String>,
    /// `RotationRules.Duration`
    pub duration: Option<String>,
}

/// A secret's metadata, as `DescribeSecret` returns it.
///
/// ```
/// use secretcache::Description;
///
/// let mut description = Description::default();
/// description.versions = vec![("v-1".into(), vec!["AWSPREVIOUS".into()]), ("v-2".into(), vec!["AWSCURRENT".into()])];
/// assert_eq!(description.version_with_stage("AWSCURRENT"), Some("v-2"));
/// assert_eq!(description.stages_of("v-3"), None);
/// ```
#[derive(Default)]
#[non_exhaustive]
pub struct Description {
    /// The full ARN.
    pub arn: Option<String>,
    /// The version ids that carry staging labels, each with its labels.
    pub versions: Vec<(String, Vec<String>)>,
    /// The date on or before which the next rotation is due. It can be in the past, while a failed rotation is retried.
    pub next_rotation_date: Option<SystemTime>,
    /// When the secret was last rotated.
    pub last_rotated_date: Option<SystemTime>,
    /// The rotation schedule.
    pub rotation_rules: RotationRules,
    /// The binding's own rendering of the response.
    pub extension: Option<Extension>,
}

/// A secret's rotation schedule, as the service writes it (API reference, `RotationRulesType`).
///
/// Together with [`Description::next_rotation_date`] it makes the refresher poll more often while a rotation is expected,
/// and less often otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RotationRules {
    /// A `rate(…)` or `cron(…)` expression, in UTC.
    pub schedule_expression: Option<String>,
    /// The length of the window, such as `3h`.
    pub duration: Option<String>,
}

impl Description {
    /// Interprets a response. A secret that is marked for deletion is still described, but its versions cannot be read.
    /// It gets no versions here, so that the refresh requests the value and gets the error. When rotation is switched
    /// off, the service keeps its dates and rules, which then mean nothing.
    pub fn from_service(answer: DescribeAnswer) -> Self {
        let is_rotated = answer.rotation_enabled != Some(false);
        let rules = RotationRules {
            schedule_expression: answer.schedule_expression.filter(|_| is_rotated),
            duration: answer.duration.filter(|_| is_rotated),
        };
        Self {
            arn: answer.arn,
            versions: if answer.is_deleted { Vec::new() } else { answer.versions },
            next_rotation_date: answer.next_rotation_date.filter(|_| is_rotated),
            last_rotated_date: answer.last_rotated_date,
            rotation_rules: rules,
            extension: None,
        }
    }

    /// The version that carries a staging label.
    pub fn version_with_stage(&self, stage: &str) -> Option<&str> {
        let carries = |stages: &[String]| stages.iter().any(|label| label == stage);
        self.versions.iter().find(|(_, stages)| carries(stages)).map(|(version_id, _)| version_id.as_str())
    }

    /// The labels of a version; `None` if it carries none or does not exist.
    pub fn stages_of(&self, version_id: &str) -> Option<&[String]> {
        self.versions.iter().find(|(id, _)| id == version_id).map(|(_, stages)| stages.as_slice())
    }
}

impl std::fmt::Debug for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Description")
            .field("arn", &self.arn)
            .field("versions", &self.versions)
            .field("next_rotation_date", &self.next_rotation_date)
            .field("last_rotated_date", &self.last_rotated_date)
            .field("rotation_rules", &self.rotation_rules)
            .finish_non_exhaustive()
    }
}
