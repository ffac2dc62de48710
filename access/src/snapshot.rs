//! A snapshot of an account: everything that the evaluator and the checks use, and no secret value.
//!
//! Fields have the names of the AWS API where it has them. A field missing from a file takes its default, so a snapshot
//! can be written by hand.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Document, without_mark};

pub use consumers::{Database, Function, Proxy, TaskDefinition};
pub use identity::{NamedPolicy, PolicyLevel, Principal};
pub use network::{Place, SecurityGroup, SecurityRule, Subnet, Vpc, VpcEndpoint, Workload};
pub use secrets::{Content, Key, Replica, RotationRules, Secret, Version, VersionRead};
pub use watch::{
    AdvancedEventSelector, AlarmSettings, EventRule, EventSelector, FieldSelector, MetricAlarm, Trail,
};

/// The format that this version writes. It also reads older ones.
pub const FORMAT: u32 = 1;

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    };
}

mod consumers;
mod identity;
mod network;
mod secrets;
mod watch;

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
        /// When the snapshot was taken.
        taken_at: Option<Timestamp>,
        /// The account's 12 digits.
        account: String,
        /// The Region of the secrets, such as `eu-central-1`.
        region: String,
        /// `aws`, `aws-cn` or `aws-us-gov`; empty means `aws`.
        partition: String,
        /// The organization id, such as `o-a1b2c3d4e5`, if the account is in one.
        organization_id: Option<String>,
        /// Whether this is the organization's management account, which no service control policy restricts.
        is_management_account: bool,
        /// Whether the account can have other secrets in this Region that were not requested.
        is_partial: bool,
        /// The requested secrets.
        secrets: Vec<Secret>,
        /// The KMS keys that those secrets name.
        keys: Vec<Key>,
        /// Roles and users.
        principals: Vec<Principal>,
        /// Managed policies that principals refer to, by ARN.
        managed_policies: BTreeMap<String, Document>,
        /// The versions of managed policies that are not in use, oldest first. A policy that is not listed was not
        /// collected.
        unused_policy_versions: BTreeMap<String, Vec<String>>,
        /// Service control policies: one list per level, from the organization's root down to the account.
        service_control_policies: Vec<PolicyLevel>,
        /// Resource control policies, in the same way.
        resource_control_policies: Vec<PolicyLevel>,
        /// CloudTrail trails that record in this Region.
        trails: Vec<Trail>,
        /// EventBridge rules on the default bus.
        event_rules: Vec<EventRule>,
        /// CloudWatch Logs metric filters, with the alarms on their metrics.
        metric_alarms: Vec<MetricAlarm>,
        /// VPCs with an endpoint for Secrets Manager.
        vpcs: Vec<Vpc>,
        /// VPC endpoints for Secrets Manager.
        vpc_endpoints: Vec<VpcEndpoint>,
        /// Security groups of endpoints, functions and workloads.
        security_groups: Vec<SecurityGroup>,
        /// Subnets of endpoints, functions and workloads.
        subnets: Vec<Subnet>,
        /// ECS services and EC2 instances that run in a subnet and have a role.
        workloads: Vec<Workload>,
        /// Lambda functions.
        functions: Vec<Function>,
        /// ECS task definitions that inject secrets (the newest active revision of each family).
        task_definitions: Vec<TaskDefinition>,
        /// RDS instances and clusters.
        databases: Vec<Database>,
        /// RDS proxies.
        proxies: Vec<Proxy>,
        /// Reads of versions other than the current one, if CloudTrail's event history was searched.
        version_reads: Vec<VersionRead>,
        /// The start of the searched history.
        reads_since: Option<Timestamp>,
        /// The addresses to which the service's name resolved on the collecting machine, if requested.
        resolved_addresses: Vec<String>,
        /// Regions in which secrets are allowed, if the operator named them.
        allowed_regions: Vec<String>,
        /// ARNs of roles and users that rotate secrets without a function, as named by the person who audits.
        rotated_by: Vec<String>,
        /// What could not be collected. Checks that need it report that.
        not_collected: Vec<NotCollected>,
        /// The number of calls that filled the snapshot, by name.
        calls: BTreeMap<String, u64>,
    }
}

record! {
    /// Something that could not be collected.
    NotCollected {
        /// The permission of the call, such as `kms:GetKeyPolicy`.
        permission: String,
        /// The resource, if the call was for one; `None` means all of them.
        resource: Option<String>,
        /// The error, in the service's own words.
        error: String,
    }
}

/// The reason why a snapshot cannot be read.
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
    /// Fails if the text is not such JSON, names no account or Region, or has a newer format.
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        let snapshot: Self = serde_json::from_str(without_mark(text))
            .map_err(|error| SnapshotError(format!("not a snapshot: {error}")))?;
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

    /// Returns the snapshot as JSON for a file. It contains no secret value.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        prune(&mut json);
        format!("{json:#}\n")
    }

    /// Returns the partition, `aws` if none is set.
    pub fn partition(&self) -> &str {
        if self.partition.is_empty() { "aws" } else { &self.partition }
    }
}

/// Removes null fields, except in policy documents, which stay unchanged.
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
