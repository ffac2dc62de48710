//! Replication: copies of a secret in other Regions, and one in another account, that follow every change of it.
//!
//! A replica is a separate secret in the store. The changes of an operation on a primary include those of its replicas,
//! so all are applied in one step, and a replica never lags behind here.

use std::sync::Arc;

use crate::arn::Scope;
use crate::error::ServiceError;
use crate::replica::{Primary, Replica, ReplicationStatus};
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};

/// Returns the ARN of the replica in `to` of the secret in `from`, which differs only in the Region.
pub(crate) fn replica_arn(arn: &str, from: &Scope, to: &Scope) -> String {
    arn.strip_prefix(&from.to_string()).map_or_else(|| arn.to_owned(), |name| format!("{to}{name}"))
}

/// Adds the changes of the replicas of changed secrets.
pub(crate) fn follow(store: &Store, changes: &mut Vec<Change>) {
    let mut more = Vec::new();
    for change in changes.iter() {
        let Change::Put(scope, secret) = change else { continue };
        let here = secret.replicas.iter().filter(|replica| replica.failure.is_none());
        more.extend(here.filter_map(|replica| in_region(store, scope, secret, replica)));
        let there = secret.cross_account.as_ref().filter(|there| there.status == ReplicationStatus::InSync);
        more.extend(there.and_then(|there| in_account(store, changes, secret, &there.arn)));
    }
    changes.extend(more);
}

/// Returns the change of a replica in another Region. The service "replicates the encrypted secret data and metadata
/// such as tags and resource policies" (user guide, "Replicate secrets across Regions"), but not the rotation.
fn in_region(store: &Store, scope: &Scope, primary: &Secret, replica: &Replica) -> Option<Change> {
    let to = replica.scope(scope);
    let arn = replica_arn(&primary.arn, scope, &to);
    let known = store.by_arn(&to, &arn);
    let secret = Secret {
        kms_key_id: replica.kms_key_id.clone(),
        created: known.map_or(primary.changed, |known| known.created),
        accessed: known.and_then(|known| known.accessed),
        rotation: None,
        replicas: Vec::new(),
        cross_account: None,
        primary: Some(Primary {
            arn: primary.arn.clone(),
            region: scope.region.clone(),
            cross_account: None,
        }),
        versions: versions(primary, known),
        arn,
        ..primary.clone()
    };
    known.is_none_or(|known| **known != secret).then(|| Change::Put(to, Arc::new(secret)))
}

/// Returns the change of the replica in another account. Only values and labels are replicated; name, key, policy and
/// tags belong to the other account.
fn in_account(store: &Store, changes: &[Change], primary: &Secret, arn: &str) -> Option<Change> {
    let to = Scope::of_arn(arn)?;
    let changed = changes.iter().find_map(|change| match change {
        Change::Put(_, secret) if secret.arn == arn => Some(secret),
        _ => None,
    });
    let known = changed.or_else(|| store.by_arn(&to, arn))?;
    let secret = Secret {
        versions: versions(primary, Some(known)),
        changed: primary.changed,
        ..known.as_ref().clone()
    };
    (**known != secret).then(|| Change::Put(to, Arc::new(secret)))
}

/// Returns the primary's versions, each with the day it was last read from the replica.
fn versions(primary: &Secret, known: Option<&Arc<Secret>>) -> Vec<Version> {
    let with_value = primary.versions.iter().filter(|version| version.value.is_some());
    with_value
        .map(|version| Version {
            accessed: known.and_then(|known| known.version(&version.id)?.accessed),
            former_key: None,
            ..version.clone()
        })
        .collect()
}

/// Refuses changes of replicas, except by operations that only record a read or that manage the replication itself.
pub(crate) fn check(store: &Store, operation: &str, changes: &[Change]) -> Result<(), ServiceError> {
    if ALLOWED.contains(&operation) {
        return Ok(());
    }
    let primary_of = |scope, arn| store.by_arn(scope, arn).and_then(|secret| secret.primary.as_ref());
    for change in changes {
        let (scope, arn, deletes) = match change {
            Change::Put(scope, secret) => (scope, &secret.arn, secret.deletion.is_some()),
            Change::Remove(scope, arn) => (scope, arn, true),
        };
        let Some(primary) = primary_of(scope, arn) else { continue };
        // A replica in another account can be deleted if it does not follow a primary.
        let is_loose = primary.cross_account.is_some_and(|status| status != ReplicationStatus::InSync);
        if !(deletes && is_loose) {
            return Err(not_permitted());
        }
    }
    Ok(())
}

/// Refuses to delete a secret that has replicas.
pub(crate) fn check_deletable(secret: &Secret, id: &str) -> Result<(), ServiceError> {
    if !secret.replicas.is_empty() {
        let regions: Vec<_> = secret.replicas.iter().map(|replica| replica.region.as_str()).collect();
        return Err(ServiceError::invalid_parameter(format!(
            "You can't delete secret {id} that still has replica regions [{}]",
            regions.join(",")
        )));
    }
    if secret.cross_account.as_ref().is_some_and(|there| there.status == ReplicationStatus::InSync) {
        return Err(ServiceError::invalid_request(
            "You can't delete a secret that still has a cross-account replica. Call DisassociateCrossAccountReplica first.",
        ));
    }
    Ok(())
}

/// The error for an operation on a replica (as found by moto's authors in the service).
pub(crate) fn not_permitted() -> ServiceError {
    ServiceError::invalid_parameter(
        "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
    )
}

const ALLOWED: &[&str] = &[
    "AssociateCrossAccountReplica",
    "BatchGetSecretValue",
    "DisassociateCrossAccountReplica",
    "GetSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "StopReplicationToReplica",
];
