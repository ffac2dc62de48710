//! What answers of the service mean.

use std::time::SystemTime;

use crate::error::{Error, ErrorKind};
use crate::fetched::{Extension, Fetched, Value};
use crate::id::is_of_another_secret;

/// The largest answer for one secret, in bytes. A secret has at most 65,536, which JSON escapes can make six times as long.
pub(crate) const LARGEST_ANSWER: usize = 1 << 20;

/// A successful answer to a [`FetchPermit`](crate::host::FetchPermit).
#[derive(Debug)]
#[must_use]
pub struct Answer {
    pub(crate) value: Option<Fetched>,
    pub(crate) description: Option<Description>,
    pub(crate) describe_denied: bool,
    /// The secret's other ids are not to share the entry of the one that was asked for: they are read as somebody else.
    pub(crate) is_for_one_id: bool,
    pub(crate) replica: Option<Replica>,
}

/// Where an answer comes from, if not from the secret's own Region.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The Region of the replica.
    pub(crate) region: String,
    /// Why the secret's own Region did not answer.
    pub(crate) error: Error,
}

impl Answer {
    /// The version asked for.
    pub fn value(value: Fetched) -> Self {
        Self { value: Some(value), ..Self::unchanged() }
    }

    /// The version held is still the one asked for.
    pub fn unchanged() -> Self {
        Self { value: None, description: None, describe_denied: false, is_for_one_id: false, replica: None }
    }

    /// The same answer with what `DescribeSecret` said on the way: it confirms the secret's other versions as well.
    pub fn with_description(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }

    /// The secret's ARN, if it tells.
    #[cfg(feature = "aws")]
    pub(crate) fn arn(&self) -> Option<&str> {
        self.value.as_ref().and_then(|value| value.arn.as_deref())
    }

    /// Says that a replica gave it.
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

    /// The answer, if it may be believed: it has a value where one was asked for, and is about the secret that was known.
    /// A test's double may have one ARN for every secret, so the first answer is taken as it is; our own transport looks
    /// at that too.
    pub(crate) fn checked(self, id: &str, known_arn: Option<&str>) -> Result<Self, Error> {
        let value = self.value.as_ref();
        if let Some(known_arn) = known_arn {
            check_arn(known_arn, value.and_then(|value| value.arn.as_deref()))?;
            check_arn(known_arn, self.description.as_ref().and_then(|described| described.arn.as_deref()))?;
        }
        check_size(id, value.map_or(0, |value| value.value.bytes().len()))?;
        // A binding that hands back its host's own response knows what to make of one without a value.
        let is_empty = |value: &Fetched| matches!(value.value, Value::Absent) && value.extension.is_none();
        if value.is_some_and(is_empty) {
            let text = format!("the response for secret {id:?} has neither SecretString nor SecretBinary");
            return Err(Error::new(ErrorKind::InvalidResponse, text));
        }
        Ok(self)
    }

    /// The same answer, with the remark that `DescribeSecret` was denied: it is not tried again for an hour, since
    /// denied calls raise alarms.
    pub fn describe_denied(mut self) -> Self {
        self.describe_denied = true;
        self
    }
}

/// Whether a source's answer of so many bytes may be one secret's. For bindings that keep values in a form of their own.
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

/// Whether a response is about the secret that was asked for by this id.
///
/// A secret that was deleted and made again has the same name and another ARN, and is the same secret to its readers.
pub(crate) fn check_arn(id: &str, arn: Option<&str>) -> Result<(), Error> {
    match arn.filter(|arn| is_of_another_secret(id, arn)) {
        None => Ok(()),
        Some(arn) => {
            let text = format!("the response for secret {id:?} is for another secret: {arn:?}");
            Err(Error::new(ErrorKind::InvalidResponse, text))
        }
    }
}

/// The fields of a `DescribeSecret` answer, as the service names them, for [`Description::from_service`].
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

/// What `DescribeSecret` says about a secret.
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
    /// The next rotation is due on or before this. It may have passed: a rotation that failed is tried again.
    pub next_rotation_date: Option<SystemTime>,
    /// When the secret was last rotated.
    pub last_rotated_date: Option<SystemTime>,
    /// When it rotates.
    pub rotation_rules: RotationRules,
    /// The binding's own rendering of the answer.
    pub extension: Option<Extension>,
}

/// When a secret rotates, as the service writes it (API reference, `RotationRulesType`).
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
    /// What an answer means. A secret that is marked for deletion is still described, but no version of it can be read:
    /// it has none here, so that the refresh asks for the value and is told. A rotation that is switched off keeps its
    /// dates and rules, which then mean nothing.
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
