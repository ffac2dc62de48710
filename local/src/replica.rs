//! What a secret knows of its replicas, and a replica of its primary.

use serde::{Deserialize, Serialize};

use crate::arn::Scope;

/// A replica in another region, as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Replica {
    /// Its region.
    pub region: String,
    /// The key chosen for it there; `None` means that account's `aws/secretsmanager` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Why there is no replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The replica in another account, as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CrossAccountReplica {
    /// Its ARN.
    pub arn: String,
    /// The role that replication would assume; kept, not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether it follows; not once the replica's account stopped that.
    pub status: ReplicationStatus,
}

/// The primary, as its replica knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Primary {
    /// The ARN of the primary.
    pub arn: String,
    /// The region where the secret originated.
    pub region: String,
    /// For a replica in another account: whether it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_account: Option<ReplicationStatus>,
}

/// How far a replica has come (service model, `StatusType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplicationStatus {
    /// It has what its primary has.
    InSync,
    /// There is none.
    Failed,
    /// It waits to be associated.
    Pending,
    /// It was separated from its primary.
    Detached,
}

impl Replica {
    /// Where the replica of a secret in `scope` is.
    pub(crate) fn scope(&self, scope: &Scope) -> Scope {
        Scope::new(&scope.account, &self.region)
    }
}
