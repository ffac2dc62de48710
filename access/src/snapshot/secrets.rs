//! Secrets and their keys: descriptions, never values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::document::Document;

record! {
    /// A secret: its description, never its value.
    Secret {
        /// The ARN, with its six random characters.
        #[serde(rename = "ARN")]
        arn: String,
        /// The name, without them.
        name: String,
        /// Key id, key ARN or alias; `None` means `aws/secretsmanager`.
        kms_key_id: Option<String>,
        /// Tags.
        tags: BTreeMap<String, String>,
        /// Whether rotation is on.
        rotation_enabled: bool,
        /// The rotation function.
        #[serde(rename = "RotationLambdaARN")]
        rotation_lambda_arn: Option<String>,
        /// The schedule.
        rotation_rules: RotationRules,
        /// When the secret was created.
        created_date: Option<Timestamp>,
        /// When the secret last changed in any way.
        last_changed_date: Option<Timestamp>,
        /// Midnight of the day of the last read.
        last_accessed_date: Option<Timestamp>,
        /// The last successful rotation.
        last_rotated_date: Option<Timestamp>,
        /// The time by which the service will rotate it.
        next_rotation_date: Option<Timestamp>,
        /// When the secret will be deleted, while it waits for that.
        deleted_date: Option<Timestamp>,
        /// The service that manages the secret, such as `rds`.
        owning_service: Option<String>,
        /// For a replica, the Region of its primary.
        primary_region: Option<String>,
        /// Copies in other Regions.
        replication_status: Vec<Replica>,
        /// Versions and their staging labels.
        versions: Vec<Version>,
        /// The resource policy.
        resource_policy: Option<Document>,
        /// A description of the value, if the collector was allowed to read it.
        content: Option<Content>,
    }
}

impl Secret {
    /// Whether a managing service, or the primary in another Region, rotates it.
    pub fn is_rotated_elsewhere(&self) -> bool {
        self.owning_service.is_some() || self.primary_region.is_some()
    }

    /// Whether its key is `aws/secretsmanager`, which lets in every principal that the secret does. Also true for a
    /// secret that was not described.
    pub(crate) fn has_default_key(&self) -> bool {
        self.kms_key_id.as_deref().is_none_or(|id| id.is_empty() || id.ends_with("alias/aws/secretsmanager"))
    }
}

record! {
    /// The schedule by which the service rotates a secret.
    RotationRules {
        /// The interval in days, 1 to 1000.
        automatically_after_days: Option<u32>,
        /// `rate(…)` or `cron(…)`.
        schedule_expression: Option<String>,
        /// Length of the window, such as `3h`.
        duration: Option<String>,
    }
}

record! {
    /// A copy of a secret in another Region.
    Replica {
        /// Its Region.
        region: String,
        /// Its key; `None` means `aws/secretsmanager`.
        kms_key_id: Option<String>,
        /// `InSync`, `InProgress` or `Failed`.
        status: String,
        /// Its resource policy, if it was collected.
        resource_policy: Option<Document>,
    }
}

record! {
    /// A version of a secret.
    Version {
        /// Version id.
        version_id: String,
        /// Staging labels.
        version_stages: Vec<String>,
        /// Creation time; the service has none for a version without a value.
        created_date: Option<Timestamp>,
        /// Whether it has no value yet.
        is_empty: bool,
    }
}

record! {
    /// A description of the current value. Nothing here reveals it.
    Content {
        /// Names of the fields, if the value is a JSON object.
        fields: Vec<String>,
        /// The field `engine`.
        engine: Option<String>,
        /// A keyed hash of user and host. The key is random, made for one collection, and never stored.
        credential_fingerprint: Option<String>,
        /// Whether the current version can log in; `None` if it was not tried.
        current_logs_in: Option<bool>,
        /// Why it cannot log in.
        login_failure: Option<String>,
    }
}

record! {
    /// A KMS key.
    Key {
        /// Key ARN.
        arn: String,
        /// The names that secrets use for it: ids, ARNs and aliases.
        known_as: Vec<String>,
        /// `CUSTOMER` or `AWS`.
        key_manager: String,
        /// `Enabled`, `Disabled`, `PendingDeletion` …; [`Key::MISSING`] if KMS knows no such key.
        key_state: String,
        /// `SYMMETRIC_DEFAULT` is what secrets need.
        key_spec: String,
        /// `AWS_KMS`, `EXTERNAL` …; only the first supports automatic rotation.
        origin: String,
        /// When it will be deleted.
        deletion_date: Option<Timestamp>,
        /// Whether KMS rotates the key material every year.
        rotation_enabled: Option<bool>,
        /// Key policy.
        policy: Option<Document>,
        /// Its grants, each as an equivalent statement with the grant's id as Sid; `None` if they were not read.
        grants: Option<Document>,
    }
}

impl Key {
    /// The state of a key that a secret names but that does not exist. KMS has no name for it.
    pub const MISSING: &str = "Missing";
}

record! {
    /// Reads of a secret by a label other than `AWSCURRENT`, or by a version id.
    VersionRead {
        /// The secret.
        #[serde(rename = "SecretARN")]
        secret_arn: String,
        /// The role or user that read.
        principal: String,
        /// The label that was asked for.
        version_stage: Option<String>,
        /// The version that was asked for.
        version_id: Option<String>,
        /// The number of reads.
        count: u64,
        /// The last time.
        last_read: Option<Timestamp>,
    }
}
