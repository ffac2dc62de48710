//! What an account looks like: everything the evaluator and the checks work on, and no secret value.
//!
//! Fields are named as the AWS API names them wherever it has them. Of a field that is missing from a file the default is
//! taken, so a snapshot may be written by hand.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::Document;

pub use network::{SecurityGroup, SecurityRule, Subnet, Vpc, VpcEndpoint, Workload};

/// The format that this version writes. It reads this one and older ones.
pub const FORMAT: u32 = 1;

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    };
}

mod network;

record! {
    /// An account in one Region, as far as it concerns secrets.
    ///
    /// ```
    /// use secretcache_access::Snapshot;
    ///
    /// let text = r#"{"Account": "111122223333", "Region": "eu-central-1", "Secrets": [{"Name": "prod/checkout/db"}]}"#;
    /// let snapshot = Snapshot::parse(text)?;
    /// assert_eq!(snapshot.secrets[0].name, "prod/checkout/db");
    /// # Ok::<(), secretcache_access::snapshot::SnapshotError>(())
    /// ```
    Snapshot {
        /// [`FORMAT`] at the time of writing.
        format: u32,
        /// When it was taken.
        taken_at: Option<Timestamp>,
        /// The account's 12 digits.
        account: String,
        /// The Region of the secrets, such as `eu-central-1`.
        region: String,
        /// `aws`, `aws-cn` or `aws-us-gov`; empty is `aws`.
        partition: String,
        /// Organization id, such as `o-a1b2c3d4e5`, if the account is in one.
        organization_id: Option<String>,
        /// Whether it is the organization's management account, which no SCP restricts.
        is_management_account: bool,
        /// Whether the account has other secrets in this Region that were not asked for.
        is_partial: bool,
        /// The secrets that were asked for.
        secrets: Vec<Secret>,
        /// The KMS keys that those secrets name.
        keys: Vec<Key>,
        /// Roles and users.
        principals: Vec<Principal>,
        /// Managed policies that principals refer to, by ARN.
        managed_policies: BTreeMap<String, Document>,
        /// Service control policies: one list per level, from the organization's root down to the account.
        service_control_policies: Vec<PolicyLevel>,
        /// Resource control policies, in the same way.
        resource_control_policies: Vec<PolicyLevel>,
        /// CloudTrail trails that record in this Region.
        trails: Vec<Trail>,
        /// EventBridge rules on the default bus.
        event_rules: Vec<EventRule>,
        /// CloudWatch Logs metric filters and what alarms on their metric.
        metric_alarms: Vec<MetricAlarm>,
        /// VPCs with an endpoint for secrets or with a function that reads or rotates.
        vpcs: Vec<Vpc>,
        /// VPC endpoints for Secrets Manager.
        vpc_endpoints: Vec<VpcEndpoint>,
        /// Security groups of endpoints, functions and workloads.
        security_groups: Vec<SecurityGroup>,
        /// Subnets of endpoints, functions and workloads.
        subnets: Vec<Subnet>,
        /// ECS services and EC2 instances that run in a subnet with a role of their own.
        workloads: Vec<Workload>,
        /// Lambda functions.
        functions: Vec<Function>,
        /// ECS task definitions that inject secrets (newest active revision of each family).
        task_definitions: Vec<TaskDefinition>,
        /// RDS instances and clusters.
        databases: Vec<Database>,
        /// RDS proxies.
        proxies: Vec<Proxy>,
        /// Reads of versions other than the current one, if CloudTrail's event history was looked through.
        version_reads: Vec<VersionRead>,
        /// How far back it was.
        reads_since: Option<Timestamp>,
        /// Where the name of the service resolved on the machine that collected, if it was asked to try.
        resolved_addresses: Vec<String>,
        /// Regions that secrets may be in, if the operator named them.
        allowed_regions: Vec<String>,
        /// What could not be collected. Checks that need it say so.
        not_collected: Vec<NotCollected>,
        /// The calls that filled it, by name.
        calls: BTreeMap<String, u64>,
    }
}

record! {
    /// A secret: its description, never its value.
    Secret {
        /// With the six random characters.
        #[serde(rename = "ARN")]
        arn: String,
        /// Without them.
        name: String,
        /// Key id, key ARN or alias; none is `aws/secretsmanager`.
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
        /// Times of the description.
        created_date: Option<Timestamp>,
        /// Last change of any kind.
        last_changed_date: Option<Timestamp>,
        /// Midnight of the day of the last read.
        last_accessed_date: Option<Timestamp>,
        /// Last rotation that ended well.
        last_rotated_date: Option<Timestamp>,
        /// On or before this time the service rotates.
        next_rotation_date: Option<Timestamp>,
        /// Set while the secret waits to be deleted.
        deleted_date: Option<Timestamp>,
        /// The service that manages the secret, such as `rds`.
        owning_service: Option<String>,
        /// Of a replica: the Region of its primary.
        primary_region: Option<String>,
        /// Copies in other Regions.
        replication_status: Vec<Replica>,
        /// Versions and their staging labels.
        versions: Vec<Version>,
        /// The resource policy.
        resource_policy: Option<Document>,
        /// What the value looks like, if the collector was allowed to read it.
        content: Option<Content>,
    }
}

record! {
    /// How often the service rotates.
    RotationRules {
        /// 1 to 1000.
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
        /// Its key; none is `aws/secretsmanager`.
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
    /// What the current value looks like. Nothing here reveals it.
    Content {
        /// Names of the fields, if the value is a JSON object.
        fields: Vec<String>,
        /// The field `engine`.
        engine: Option<String>,
        /// A keyed hash of user and host. The key is random, made for one collection, and never stored.
        credential_fingerprint: Option<String>,
        /// Whether the current version logs in; none if it was not tried.
        current_logs_in: Option<bool>,
        /// Why it does not.
        login_failure: Option<String>,
    }
}

record! {
    /// A KMS key.
    Key {
        /// Key ARN.
        arn: String,
        /// What secrets call it: ids, ARNs and aliases.
        known_as: Vec<String>,
        /// `CUSTOMER` or `AWS`.
        key_manager: String,
        /// `Enabled`, `Disabled`, `PendingDeletion` …
        key_state: String,
        /// `SYMMETRIC_DEFAULT` is what secrets need.
        key_spec: String,
        /// `AWS_KMS`, `EXTERNAL` …; only the first can rotate by itself.
        origin: String,
        /// When it will be deleted.
        deletion_date: Option<Timestamp>,
        /// Yearly rotation of the key material.
        rotation_enabled: Option<bool>,
        /// Key policy.
        policy: Option<Document>,
    }
}

record! {
    /// A policy with a name.
    NamedPolicy {
        /// Name of an inline policy, ARN of a managed one.
        name: String,
        /// Its document.
        document: Option<Document>,
    }
}

record! {
    /// The policies attached to one level of an organization.
    PolicyLevel {
        /// Root, organizational unit or account: its id.
        target: String,
        /// The policies. A level without any is one where the kind of policy is turned off.
        policies: Vec<NamedPolicy>,
    }
}

record! {
    /// A role or a user.
    Principal {
        /// Its ARN.
        arn: String,
        /// Its unique id, such as `AROA…`.
        id: String,
        /// Inline policies; those of a user's groups are `group/policy`.
        inline_policies: Vec<NamedPolicy>,
        /// ARNs of managed policies, a user's groups' included.
        attached_policies: Vec<String>,
        /// ARN of the permissions boundary.
        permissions_boundary: Option<String>,
        /// Tags.
        tags: BTreeMap<String, String>,
        /// Of a role: who may assume it.
        trust_policy: Option<Document>,
    }
}

record! {
    /// A CloudTrail trail.
    Trail {
        /// Its name.
        name: String,
        /// Its ARN.
        #[serde(rename = "TrailARN")]
        trail_arn: String,
        /// Whether it records in all Regions.
        is_multi_region_trail: bool,
        /// Whether it records for the whole organization.
        is_organization_trail: bool,
        /// The Region it was made in.
        home_region: String,
        /// Whether it is recording.
        is_logging: Option<bool>,
        /// Basic selectors, as the API gives them.
        event_selectors: Vec<EventSelector>,
        /// Advanced selectors, as the API gives them.
        advanced_event_selectors: Vec<AdvancedEventSelector>,
        /// The log group it writes to, for alarms.
        cloud_watch_logs_log_group_arn: Option<String>,
    }
}

record! {
    /// A basic event selector.
    EventSelector {
        /// `All`, `ReadOnly` or `WriteOnly`; empty is `All`.
        read_write_type: String,
        /// Management events; none is true.
        include_management_events: Option<bool>,
        /// Sources left out, such as `kms.amazonaws.com`.
        exclude_management_event_sources: Vec<String>,
    }
}

record! {
    /// An advanced event selector: all fields must match.
    AdvancedEventSelector {
        /// Its name.
        name: String,
        /// Its fields.
        field_selectors: Vec<FieldSelector>,
    }
}

record! {
    /// One field of an advanced event selector.
    FieldSelector {
        /// `eventCategory`, `readOnly`, `eventSource`, …
        field: String,
        /// Any of these.
        equals: Vec<String>,
        /// None of these.
        not_equals: Vec<String>,
        /// Any of these beginnings.
        starts_with: Vec<String>,
        /// None of these beginnings.
        not_starts_with: Vec<String>,
        /// Any of these ends.
        ends_with: Vec<String>,
        /// None of these ends.
        not_ends_with: Vec<String>,
    }
}

record! {
    /// An EventBridge rule.
    EventRule {
        /// Its name.
        name: String,
        /// `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
        state: String,
        /// The pattern; none for a schedule.
        event_pattern: Option<Value>,
        /// How many targets it has; none if they could not be listed.
        targets: Option<u32>,
    }
}

record! {
    /// A metric filter on a log group, with the alarms on its metric.
    MetricAlarm {
        /// The filter's name.
        filter_name: String,
        /// The log group.
        log_group_name: String,
        /// The filter's pattern.
        filter_pattern: String,
        /// Alarms with actions turned on.
        alarms: Vec<String>,
    }
}

record! {
    /// A Lambda function.
    Function {
        /// Its ARN.
        function_arn: String,
        /// Its execution role.
        role: String,
        /// Its subnets; none outside a VPC.
        subnet_ids: Vec<String>,
        /// Its security groups.
        security_group_ids: Vec<String>,
        /// Its VPC.
        vpc_id: Option<String>,
        /// Names of its environment variables.
        variables: Vec<String>,
        /// ARNs of secrets whose value, or a field of it, is in a variable. Found by comparing in memory, if the collector
        /// was allowed to read values.
        injected_secrets: Vec<String>,
        /// The variable `SECRETCACHE_STRATEGY` of our own rotation function.
        strategy: Option<String>,
        /// Its resource policy; collected for rotation functions.
        policy: Option<Document>,
    }
}

record! {
    /// An ECS task definition.
    TaskDefinition {
        /// Its ARN.
        task_definition_arn: String,
        /// The task's own role.
        task_role_arn: Option<String>,
        /// The role that reads the injected secrets.
        execution_role_arn: Option<String>,
        /// Injected secrets: `valueFrom`, as written.
        secrets: Vec<String>,
    }
}

record! {
    /// An RDS instance or cluster.
    Database {
        /// Its ARN.
        arn: String,
        /// Its host names.
        endpoints: Vec<String>,
        /// The secret that RDS manages for its master user.
        master_user_secret_arn: Option<String>,
        /// Whether it takes IAM tokens.
        #[serde(rename = "IAMDatabaseAuthenticationEnabled")]
        iam_database_authentication_enabled: bool,
        /// Whether it belongs to a cluster, which then counts.
        is_cluster_member: bool,
    }
}

record! {
    /// An RDS proxy.
    Proxy {
        /// Its name.
        name: String,
        /// The secrets it logs in with.
        secret_arns: Vec<String>,
    }
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
        /// How often.
        count: u64,
        /// The last time.
        last_read: Option<Timestamp>,
    }
}

record! {
    /// Something that could not be collected.
    NotCollected {
        /// The call's permission, such as `kms:GetKeyPolicy`.
        permission: String,
        /// The resource, if it was one; none is all of them.
        resource: Option<String>,
        /// The service's own words.
        error: String,
    }
}

/// Why a snapshot cannot be read.
#[derive(Debug)]
pub struct SnapshotError(String);

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SnapshotError {}

impl Snapshot {
    /// Reads the JSON that [`to_json`](Self::to_json) writes.
    ///
    /// # Errors
    ///
    /// It is not such JSON, names no account or Region, or is of a newer format.
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        let snapshot: Self =
            serde_json::from_str(text).map_err(|error| SnapshotError(format!("not a snapshot: {error}")))?;
        if snapshot.format > FORMAT {
            return Err(SnapshotError(format!(
                "the snapshot has format {}, this version reads formats up to {FORMAT}; use a newer secretcache",
                snapshot.format
            )));
        }
        if snapshot.account.is_empty() || snapshot.region.is_empty() {
            return Err(SnapshotError("not a snapshot: it has no Account or no Region".to_owned()));
        }
        Ok(snapshot)
    }

    /// The snapshot as JSON, to be kept in a file. It contains no secret value.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        prune(&mut json);
        format!("{json:#}\n")
    }

    /// The partition, `aws` if none is set.
    pub fn partition(&self) -> &str {
        if self.partition.is_empty() { "aws" } else { &self.partition }
    }
}

/// Removes what a default stands for, outside of policy documents, which stay as they are.
fn prune(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            let is_document = fields.contains_key("Statement");
            fields.retain(|_, value| is_document || !value.is_null());
            if !is_document {
                fields.values_mut().for_each(prune);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = r#"{"Format": 1, "Account": "111122223333", "Region": "eu-central-1", "TakenAt": "2026-03-01T12:00:00Z",
            "Secrets": [{"ARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:a-AbCdEf", "Name": "a",
                "RotationLambdaARN": "arn:aws:lambda:eu-central-1:111122223333:function:f",
                "ResourcePolicy": {"Version": "2012-10-17", "Statement": [{"Sid": null, "Effect": "Deny",
                    "Principal": "*", "Action": "*", "Resource": "*"}]}}]}"#;
        let snapshot = Snapshot::parse(text).unwrap();
        assert!(snapshot.secrets[0].rotation_lambda_arn.is_some());
        let written = snapshot.to_json();
        assert_eq!(Snapshot::parse(&written).unwrap(), snapshot);
        assert!(!written.contains("KmsKeyId"));
    }

    #[test]
    fn a_newer_format_is_refused() {
        assert!(Snapshot::parse(r#"{"Format": 99}"#).unwrap_err().to_string().contains("99"));
    }

    #[test]
    fn something_else_in_json_is_not_taken_for_an_account_without_secrets() {
        for text in ["{}", "[]", r#"{"Account": "111122223333"}"#, r#"{"Secrets": []}"#] {
            assert!(
                Snapshot::parse(text).unwrap_err().to_string().contains("no Account or no Region"),
                "{text}"
            );
        }
    }
}
