//! ReplicateSecretToRegions, RemoveRegionsFromReplication, StopReplicationToReplica, and the two operations on the
//! replica in another account.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Call, Done, Operation};
use crate::arn::Scope;
use crate::error::{ErrorCode, ServiceError};
use crate::replica::{CrossAccountReplica, Replica, ReplicationStatus};
use crate::replication::replica_arn;
use crate::secret::Secret;
use crate::store::{Change, Store};
use crate::time::Timestamp;

/// A Region to replicate to, as in requests.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplicaRegion {
    region: Option<String>,
    kms_key_id: Option<String>,
}

/// The status of a replica, as listed in responses.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Status {
    region: String,
    kms_key_id: String,
    status: ReplicationStatus,
    status_message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Timestamp>,
}

/// The ARN of the primary and the status of its replicas.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Replicated {
    #[serde(rename = "ARN")]
    arn: String,
    replication_status: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplicateSecretToRegions {
    secret_id: Option<String>,
    add_replica_regions: Option<Vec<ReplicaRegion>>,
    force_overwrite_replica_secret: Option<bool>,
}

impl Operation for ReplicateSecretToRegions {
    type Output = Replicated;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Replicated>, ServiceError> {
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        refuse_replica(secret)?;
        let mut secret = secret.as_ref().clone();
        let regions = self.add_replica_regions.unwrap_or_default();
        let force = self.force_overwrite_replica_secret.unwrap_or_default();
        let mut changes = add_regions(store, call, &scope, &mut secret, regions, force)?;
        let output = Replicated {
            arn: secret.arn.clone(),
            replication_status: statuses(store, &scope, &secret).unwrap_or_default(),
        };
        changes.push(Change::Put(scope, Arc::new(secret)));
        Ok(Done::with(output, changes))
    }
}

/// Adds new replicas to a primary. Returns the changes that remove existing secrets with the same name.
pub(super) fn add_regions(
    store: &Store,
    call: &Call<'_>,
    scope: &Scope,
    secret: &mut Secret,
    regions: Vec<ReplicaRegion>,
    force: bool,
) -> Result<Vec<Change>, ServiceError> {
    let mut gone = Vec::new();
    for ReplicaRegion { region, kms_key_id } in regions {
        let region = region.unwrap_or_default();
        let known = secret.replicas.iter().any(|known| known.region == region && known.failure.is_none());
        // The model's pattern accepts one word and a number, but every Region has at least two words, as in
        // `eu-west-1`.
        if region == scope.region || region.split('-').count() < 3 {
            return Err(ServiceError::invalid_parameter("Invalid replica region."));
        }
        if known {
            return Err(ServiceError::invalid_parameter(format!(
                "The secret is already replicated to region {region}."
            )));
        }
        let mut replica =
            Replica { region, kms_key_id: kms_key_id.filter(|key| !key.is_empty()), failure: None };
        let there = replica.scope(scope);
        if let Ok((_, taken)) = store.find(&there, &secret.name, call.now) {
            if force {
                gone.push(Change::Remove(there, taken.arn.clone()));
            } else {
                replica.failure = Some(format!(
                    "Replication failed: Secret name {} already exists in region {}.",
                    secret.name, replica.region
                ));
            }
        }
        secret.replicas.retain(|known| known.region != replica.region);
        secret.replicas.push(replica);
        secret.changed = call.now;
    }
    Ok(gone)
}

/// Returns the status of a secret's replicas; `None` if it has none.
pub(super) fn statuses(store: &Store, scope: &Scope, secret: &Secret) -> Option<Vec<Status>> {
    let status = |replica: &Replica| {
        let to = replica.scope(scope);
        let there = store.by_arn(&to, &replica_arn(&secret.arn, scope, &to));
        Status {
            region: replica.region.clone(),
            kms_key_id: replica.kms_key_id.clone().unwrap_or_else(|| "alias/aws/secretsmanager".to_owned()),
            status: if replica.failure.is_some() {
                ReplicationStatus::Failed
            } else {
                ReplicationStatus::InSync
            },
            status_message: replica.failure.clone().unwrap_or_else(|| "Replication succeeded".to_owned()),
            last_accessed_date: there.filter(|_| replica.failure.is_none()).and_then(|there| there.accessed),
        }
    };
    (!secret.replicas.is_empty()).then(|| secret.replicas.iter().map(status).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemoveRegionsFromReplication {
    secret_id: Option<String>,
    remove_replica_regions: Option<Vec<String>>,
}

impl Operation for RemoveRegionsFromReplication {
    type Output = Replicated;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Replicated>, ServiceError> {
        let regions = self.remove_replica_regions.unwrap_or_default();
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        refuse_replica(secret)?;
        let mut secret = secret.as_ref().clone();
        let (gone, kept) = secret.replicas.into_iter().partition(|replica| regions.contains(&replica.region));
        (secret.replicas, secret.changed) = (kept, call.now);
        let gone: Vec<Replica> = gone;
        let mut changes: Vec<_> = gone
            .into_iter()
            .filter(|replica| replica.failure.is_none())
            .map(|replica| replica.scope(&scope))
            .map(|to| Change::Remove(to.clone(), replica_arn(&secret.arn, &scope, &to)))
            .collect();
        let output = Replicated {
            arn: secret.arn.clone(),
            replication_status: statuses(store, &scope, &secret).unwrap_or_default(),
        };
        changes.push(Change::Put(scope, Arc::new(secret)));
        Ok(Done::with(output, changes))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StopReplicationToReplica {
    secret_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Promoted {
    #[serde(rename = "ARN")]
    arn: String,
}

impl Operation for StopReplicationToReplica {
    type Output = Promoted;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Promoted>, ServiceError> {
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let Some(primary) = &secret.primary else {
            return Err(ServiceError::invalid_request(
                "You can only stop replication to a replica secret: this secret is not a replica.",
            ));
        };
        let mut changes = Vec::new();
        let origin = Scope::of_arn(&primary.arn)
            .and_then(|from| Some((store.by_arn(&from, &primary.arn)?.as_ref().clone(), from)));
        if let Some((mut origin, from)) = origin {
            origin
                .replicas
                .retain(|replica| primary.cross_account.is_some() || replica.region != scope.region);
            if let Some(there) = origin.cross_account.as_mut().filter(|there| there.arn == secret.arn) {
                there.status = ReplicationStatus::Detached;
            }
            changes.push(Change::Put(from, Arc::new(origin)));
        }
        let secret = Secret { primary: None, changed: call.now, ..secret.as_ref().clone() };
        let output = Promoted { arn: secret.arn.clone() };
        changes.push(Change::Put(scope, Arc::new(secret)));
        Ok(Done::with(output, changes))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateCrossAccountReplica {
    secret_id: Option<String>,
    #[serde(rename = "CrossAccountReplicaARN")]
    replica_arn: Option<String>,
    /// Validated but not used, because there are no organizations here.
    #[serde(rename = "ReplicaRestriction")]
    _replica_restriction: Option<String>,
    #[serde(rename = "ReplicationRoleARN")]
    role: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Association {
    #[serde(rename = "ARN")]
    arn: String,
    #[serde(rename = "CrossAccountReplicaARN")]
    replica_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<ReplicationStatus>,
}

impl Operation for AssociateCrossAccountReplica {
    type Output = Association;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Association>, ServiceError> {
        let arn = self.replica_arn.unwrap_or_default();
        let (scope, primary) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let invalid = |message: &str| Err(ServiceError::invalid_request(message));
        refuse_replica(primary)?;
        if scope.account != call.scope.account {
            return invalid(
                "You must call AssociateCrossAccountReplica from the account that owns the primary secret.",
            );
        }
        if primary.has_default_key() {
            return invalid(
                "A secret with a cross-account replica must be encrypted with a customer managed KMS key.",
            );
        }
        if primary.cross_account.as_ref().is_some_and(|known| known.arn != arn) {
            return Err(ServiceError::new(
                ErrorCode::LimitExceeded,
                "A primary secret can have at most one cross-account replica.",
            ));
        }
        let (to, replica) = store.find_live(&call.scope, &arn, call.now)?;
        if to.region != scope.region || to.account == scope.account {
            return invalid(
                "The replica must be in another account and in the same Region as the primary secret.",
            );
        }
        let mut replica = replica.as_ref().clone();
        match &mut replica.primary {
            Some(known) if known.cross_account.is_some() && known.arn == primary.arn => {
                known.cross_account = Some(ReplicationStatus::InSync);
            }
            _ => {
                return invalid(
                    "The secret was not created as a cross-account replica of this primary secret.",
                );
            }
        }
        let mut primary = primary.as_ref().clone();
        let status = ReplicationStatus::InSync;
        primary.cross_account = Some(CrossAccountReplica { arn: arn.clone(), role: self.role, status });
        primary.changed = call.now;
        let output =
            Association { arn: primary.arn.clone(), replica_arn: arn, replication_status: Some(status) };
        // The replica follows the primary from here on: `replication::follow` finds it in these changes.
        let changes = vec![Change::Put(to, Arc::new(replica)), Change::Put(scope, Arc::new(primary))];
        Ok(Done::with(output, changes))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisassociateCrossAccountReplica {
    secret_id: Option<String>,
    #[serde(rename = "CrossAccountReplicaARN")]
    replica_arn: Option<String>,
}

impl Operation for DisassociateCrossAccountReplica {
    type Output = Association;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Association>, ServiceError> {
        let arn = self.replica_arn.unwrap_or_default();
        let (scope, primary) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let mut primary = primary.as_ref().clone();
        if primary.cross_account.take_if(|known| known.arn == arn).is_none() {
            return Err(ServiceError::invalid_request(
                "The secret is not the primary of this cross-account replica.",
            ));
        }
        primary.changed = call.now;
        let replica = Scope::of_arn(&arn)
            .and_then(|to| Some((store.by_arn(&to, &arn)?.as_ref().clone(), to)))
            .filter(|(replica, _)| replica.primary.is_some());
        let mut changes = Vec::new();
        if let Some((mut replica, to)) = replica {
            if let Some(known) = &mut replica.primary {
                known.cross_account = Some(ReplicationStatus::Detached);
            }
            changes.push(Change::Put(to, Arc::new(replica)));
        }
        let output = Association { arn: primary.arn.clone(), replica_arn: arn, replication_status: None };
        changes.push(Change::Put(scope, Arc::new(primary)));
        Ok(Done::with(output, changes))
    }
}

fn refuse_replica(secret: &Secret) -> Result<(), ServiceError> {
    match secret.primary {
        None => Ok(()),
        Some(_) => Err(crate::replication::not_permitted()),
    }
}
