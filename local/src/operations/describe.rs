//! DescribeSecret, and the description of a secret, which ListSecrets returns too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::replicate::{Status, statuses};
use super::{Call, Done, Operation};
use crate::arn::Scope;
use crate::error::ServiceError;
use crate::replica::{CrossAccountReplica, ReplicationStatus};
use crate::rotation::{Rotation, RotationRules};
use crate::secret::Secret;
use crate::store::Store;
use crate::tag::Tag;
use crate::time::Timestamp;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecret {
    secret_id: Option<String>,
}

/// The metadata of a secret. Members without a value are omitted, as by the service.
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
    /// The staging labels by version, in a map that DescribeSecret and ListSecrets name differently.
    #[serde(flatten)]
    labels: Option<Labels>,
    created_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<String>,
    #[serde(flatten)]
    replication: Option<Replication>,
}

/// The replication status, which only DescribeSecret returns.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Replication {
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<Status>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_primary: Option<CrossAccountPrimary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_account_replicas: Option<[CrossAccountReplicaEntry; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CrossAccountPrimary {
    #[serde(rename = "PrimarySecretARN")]
    arn: String,
    replication_status: ReplicationStatus,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CrossAccountReplicaEntry {
    #[serde(rename = "ReplicaSecretARN")]
    arn: String,
    #[serde(rename = "ReplicationRoleARN", skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    replication_status: ReplicationStatus,
}

impl Replication {
    fn of(store: &Store, scope: &Scope, secret: &Secret) -> Self {
        let primary = secret.primary.as_ref();
        let primary = primary.and_then(|primary| Some((primary.arn.clone(), primary.cross_account?)));
        let replica = secret.cross_account.clone();
        Self {
            replication_status: statuses(store, scope, secret),
            cross_account_primary: primary
                .map(|(arn, replication_status)| CrossAccountPrimary { arn, replication_status }),
            cross_account_replicas: replica.map(|CrossAccountReplica { arn, role, status }| {
                [CrossAccountReplicaEntry { arn, role, replication_status: status }]
            }),
        }
    }
}

/// The rotation, if it has ever been configured. Its dates are omitted while it is disabled.
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
        let (scope, secret) = store.find(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let mut description = Description::new(secret, Labels::Described);
        description.replication = Some(Replication::of(store, &scope, secret));
        Ok(Done::reading(description))
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
            primary_region: secret.primary_region().map(str::to_owned),
            replication: None,
        }
    }
}
