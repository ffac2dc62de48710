//! A secret and its versions, as the service keeps them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::replica::{CrossAccountReplica, Primary, Replica};
use crate::rotation::Rotation;
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::SecretValue;

/// A secret: metadata and versions. Its values are not part of its serialised form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Secret {
    /// The complete ARN.
    pub arn: String,
    /// The friendly name.
    pub name: String,
    /// What the secret is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The key the caller chose; `None` means the account's `aws/secretsmanager` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The kind of a managed external secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `None` until a tag was first given: the service then keeps answering an (empty) list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// The resource policy, as the caller wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When the secret was made.
    pub created: Timestamp,
    /// When anything about it last changed.
    pub changed: Timestamp,
    /// The day a value was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessed: Option<Timestamp>,
    /// When the secret goes for good; set while it is marked for deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Timestamp>,
    /// How it rotates; `None` until rotation was first configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Its replicas in other regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Its replica in another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_account: Option<CrossAccountReplica>,
    /// Its primary, if it is a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Primary>,
    /// Oldest first.
    pub versions: Vec<Version>,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// The `ClientRequestToken` it was made with.
    pub id: String,
    /// `None` while a rotation has only reserved the id.
    #[serde(skip)]
    pub value: Option<SecretValue>,
    /// Staging labels. A version without any is deprecated.
    pub labels: BTreeSet<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The day its value was last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessed: Option<Timestamp>,
    /// The key it is encrypted with, where that is no longer the secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_key: Option<String>,
}

impl Secret {
    /// The version with this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The version this staging label is attached to.
    pub fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    /// The key as ListSecretVersionIds names it.
    pub(crate) fn key(&self) -> &str {
        self.kms_key_id.as_deref().unwrap_or(DEFAULT_KEY)
    }

    /// Whether the account's `aws/secretsmanager` key encrypts it.
    pub(crate) fn has_default_key(&self) -> bool {
        self.kms_key_id.as_deref().is_none_or(|key| key.ends_with("alias/aws/secretsmanager"))
    }

    /// The region of the primary, if the secret has replicas or is one.
    pub(crate) fn primary_region(&self) -> Option<&str> {
        let own = || (!self.replicas.is_empty()).then(|| self.arn.split(':').nth(3).unwrap_or_default());
        self.primary.as_ref().map(|primary| primary.region.as_str()).or_else(own)
    }

    /// Whether the secret is marked for deletion.
    pub fn is_deleted(&self) -> bool {
        self.deletion.is_some()
    }

    /// Whether its recovery window is over, so that nothing may find it any more.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.deletion.is_some_and(|at| at <= now)
    }

    /// Labels by version id, as DescribeSecret and ListSecrets show them; `None` if no version has any.
    pub(crate) fn labels_by_version(&self) -> Option<BTreeMap<&str, &BTreeSet<String>>> {
        let labels: BTreeMap<_, _> = self
            .versions
            .iter()
            .filter(|version| !version.labels.is_empty())
            .map(|version| (version.id.as_str(), &version.labels))
            .collect();
        (!labels.is_empty()).then_some(labels)
    }

    /// Drops deprecated versions beyond what the service keeps: unlabelled ones go once there are more than
    /// 100 versions, and never within 24 hours of being made (user guide, "Secret versions").
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

/// What the service calls the account's `aws/secretsmanager` key.
const DEFAULT_KEY: &str = "DefaultEncryptionKey";

/// How many versions a secret has at most before deprecated ones go.
const KEPT_VERSIONS: usize = 100;
