//! DescribeSecret, and the description ListSecrets shares.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::rotation::{Rotation, RotationRules};
use crate::secret::{Secret, Tag};
use crate::store::Store;
use crate::time::Timestamp;
use crate::validate::Constraints;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecret {
    secret_id: Option<String>,
}

/// Everything about a secret but its values. A member without a value is left out, as the service does.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Description {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(flatten)]
    rotation: Option<RotationDescription>,
    last_changed_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    /// DescribeSecret and ListSecrets name the same map differently.
    #[serde(flatten)]
    labels: Option<Labels>,
    created_date: Timestamp,
}

/// What is shown of a rotation that was ever configured. While it is off, its dates are not.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RotationDescription {
    rotation_enabled: bool,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    rotation_lambda_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_metadata: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Timestamp>,
}

impl RotationDescription {
    fn new(rotation: &Rotation) -> Self {
        Self {
            rotation_enabled: rotation.enabled,
            rotation_lambda_arn: rotation.function.clone(),
            rotation_rules: rotation.rules.clone(),
            external_secret_rotation_metadata: rotation.external_metadata.clone(),
            external_secret_rotation_role_arn: rotation.external_role.clone(),
            last_rotated_date: rotation.last_rotated.filter(|_| rotation.enabled),
            next_rotation_date: rotation.next_date(),
        }
    }
}

#[derive(Serialize)]
enum Labels {
    #[serde(rename = "VersionIdsToStages")]
    Described(BTreeMap<String, BTreeSet<String>>),
    #[serde(rename = "SecretVersionsToStages")]
    Listed(BTreeMap<String, BTreeSet<String>>),
}

impl Operation for DescribeSecret {
    type Output = Description;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Description>, ServiceError> {
        Constraints::default().secret_id(self.secret_id.as_ref()).check()?;
        let (_, secret) = store.find(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        Ok(Done::reading(Description::new(secret, Labels::Described)))
    }
}

impl Description {
    pub(super) fn listed(secret: &Secret) -> Self {
        Self::new(secret, Labels::Listed)
    }

    fn new(secret: &Secret, labels: fn(BTreeMap<String, BTreeSet<String>>) -> Labels) -> Self {
        let owned = |map: BTreeMap<&str, &BTreeSet<String>>| {
            map.into_iter().map(|(id, labels)| (id.to_owned(), labels.clone())).collect()
        };
        Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            r#type: secret.kind.clone(),
            description: secret.description.clone(),
            kms_key_id: secret.kms_key_id.clone(),
            rotation: secret.rotation.as_ref().map(RotationDescription::new),
            last_changed_date: secret.changed,
            last_accessed_date: secret.accessed,
            deleted_date: secret.deletion,
            tags: secret.tags.clone(),
            labels: secret.labels_by_version().map(owned).map(labels),
            created_date: secret.created,
        }
    }
}
