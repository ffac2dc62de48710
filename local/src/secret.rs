//! Secrets and their versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::replica::{CrossAccountReplica, Primary, Replica};
use crate::rotation::Rotation;
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::SecretValue;

/// A secret: metadata and versions. The serialized form does not contain the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Secret {
    /// The complete ARN.
    pub arn: String,
    /// The friendly name.
    pub name: String,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The KMS key the caller chose; `None` means the account's `aws/secretsmanager` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The type of a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The tags; `None` until the first one is added. After that, the service returns a list even if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// The resource policy, exactly as the caller wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When the secret was created.
    pub created: Timestamp,
    /// When anything about the secret last changed.
    pub changed: Timestamp,
    /// The day a value was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessed: Option<Timestamp>,
    /// When the secret is permanently deleted; set while it is marked for deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Timestamp>,
    /// The rotation configuration and state; `None` until rotation is first configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Its replicas in other Regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Its replica in another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_account: Option<CrossAccountReplica>,
    /// The primary secret, if this is a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Primary>,
    /// The versions, oldest first.
    pub versions: Vec<Version>,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// The version id: the `ClientRequestToken` it was created with.
    pub id: String,
    /// The value; `None` while a rotation has only reserved the id.
    #[serde(skip)]
    pub value: Option<SecretValue>,
    /// The staging labels. A version without any is deprecated.
    pub labels: BTreeSet<String>,
    /// When it was created.
    pub created: Timestamp,
    /// The day its value was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessed: Option<Timestamp>,
    /// The KMS key it is encrypted with, if that is not the secret's key any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_key: Option<String>,
}

impl Secret {
    /// Returns the version with this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Returns the version that has this staging label.
    pub fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    /// Returns the KMS key as ListSecretVersionIds shows it.
    pub(crate) fn key(&self) -> &str {
        self.kms_key_id.as_deref().unwrap_or(DEFAULT_KEY)
    }

    /// Returns whether the account's `aws/secretsmanager` key encrypts it.
    pub(crate) fn has_default_key(&self) -> bool {
        self.kms_key_id.as_deref().is_none_or(|key| key.ends_with("alias/aws/secretsmanager"))
    }

    /// Returns the Region of the primary, if the secret has replicas or is one.
    pub(crate) fn primary_region(&self) -> Option<&str> {
        let own = || (!self.replicas.is_empty()).then(|| self.arn.split(':').nth(3).unwrap_or_default());
        self.primary.as_ref().map(|primary| primary.region.as_str()).or_else(own)
    }

    /// Returns whether the secret is marked for deletion.
    pub fn is_deleted(&self) -> bool {
        self.deletion.is_some()
    }

    /// Returns whether its recovery window is over, so that no request finds it any more.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.deletion.is_some_and(|at| at <= now)
    }

    /// Returns the labels by version id, as DescribeSecret and ListSecrets show them; `None` if no version has any.
    pub(crate) fn labels_by_version(&self) -> Option<BTreeMap<&str, &BTreeSet<String>>> {
        let labels: BTreeMap<_, _> = self
            .versions
            .iter()
            .filter(|version| !version.labels.is_empty())
            .map(|version| (version.id.as_str(), &version.labels))
            .collect();
        (!labels.is_empty()).then_some(labels)
    }

    /// Drops the deprecated versions that the service would drop: unlabeled ones if there are more than 100 versions,
    /// but never within 24 hours of their creation (user guide, "Secret versions").
    pub(crate) fn drop_old_versions(&mut self, now: Timestamp) {
        let mut excess = self.versions.len().saturating_sub(KEPT_VERSIONS);
        let day_ago = now.plus_days(-1);
        self.versions.retain(|version| {
            let drop = excess > 0 && version.labels.is_empty() && version.created < day_ago;
            excess -= usize::from(drop);
            !drop
        });
    }
}

/// The service's name for the account's `aws/secretsmanager` key in ListSecretVersionIds.
const DEFAULT_KEY: &str = "DefaultEncryptionKey";

/// The number of versions above which deprecated ones are dropped.
const KEPT_VERSIONS: usize = 100;
