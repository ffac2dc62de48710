//! The links between a primary and its replicas, as stored in their secrets.

use serde::{Deserialize, Serialize};

use crate::arn::Scope;

/// A replica in another Region, as recorded in its primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Replica {
    /// The Region of the replica.
    pub region: String,
    /// The KMS key of the replica; `None` means the account's `aws/secretsmanager` key in that Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Why replication failed; `None` if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The replica in another account, as recorded in its primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CrossAccountReplica {
    /// The ARN of the replica.
    pub arn: String,
    /// The role for replication to assume; stored but not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The status of the replication, which the replica's account can stop.
    pub status: ReplicationStatus,
}

/// The primary, as recorded in its replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Primary {
    /// The ARN of the primary.
    pub arn: String,
    /// The Region of the primary.
    pub region: String,
    /// The status of the replication, for a replica in another account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_account: Option<ReplicationStatus>,
}

/// The status of a replication (service model, `StatusType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplicationStatus {
    /// The replica is identical to its primary.
    InSync,
    /// The replica could not be created.
    Failed,
    /// The replica has been created but not yet associated with its primary.
    Pending,
    /// The replica has been separated from its primary.
    Detached,
}

impl Replica {
    /// Returns the scope of the replica of a secret in `scope`.
    pub(crate) fn scope(&self, scope: &Scope) -> Scope {
        Scope::new(&scope.account, &self.region)
    }
}
