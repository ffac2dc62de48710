//! CreateSecret.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::replicate::{ReplicaRegion, Status, add_regions, statuses};
use super::tag::{check_count, check_tags};
use super::{Call, Done, Operation};
use crate::arn::{Scope, is_name};
use crate::error::{ErrorCode, ServiceError};
use crate::labels::CURRENT;
use crate::replica::{Primary, ReplicationStatus};
use crate::secret::{Secret, Version};
use crate::store::{Change, Store, invalid_name};
use crate::tag::Tag;
use crate::validate::{client_request_token, one_value};
use crate::value::{SecretBlob, SecretText, SecretValue};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecret {
    name: Option<String>,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<SecretBlob>,
    secret_string: Option<SecretText>,
    tags: Option<Vec<Tag>>,
    add_replica_regions: Option<Vec<ReplicaRegion>>,
    force_overwrite_replica_secret: Option<bool>,
    #[serde(rename = "CrossAccountPrimaryARN")]
    cross_account_primary_arn: Option<String>,
    r#type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Created {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<Status>>,
}

impl Operation for CreateSecret {
    type Output = Created;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Created>, ServiceError> {
        let name = self.name.unwrap_or_default();
        if !is_name(&name) {
            return Err(invalid_name());
        }
        let token = client_request_token(self.client_request_token)?;
        let value = one_value(self.secret_string, self.secret_binary)?;
        check_tags(self.tags.as_deref().unwrap_or_default())?;
        check_count(self.tags.as_ref().map_or(0, Vec::len), ErrorCode::LimitExceeded)?;
        let regions = self.add_replica_regions.unwrap_or_default();
        let primary = match self.cross_account_primary_arn {
            Some(arn) => Some(cross_account_primary(
                call,
                arn,
                value.is_some() || !regions.is_empty(),
                self.kms_key_id.as_deref(),
            )?),
            None => None,
        };

        let mut changes = Vec::new();
        // The name must be free in the caller's own scope. An expired secret that is still in the store is removed.
        match store.find(&call.scope, &name, call.now) {
            Ok((_, existing)) => return repeated(existing, token, value).map(Done::reading),
            Err(_) => changes.extend(
                store
                    .all()
                    .filter(|(scope, secret)| **scope == call.scope && secret.name == name)
                    .map(|(scope, secret)| Change::Remove(scope.clone(), secret.arn.clone())),
            ),
        }
        let version = value.map(|value| Version {
            id: token,
            value: Some(value),
            labels: BTreeSet::from([CURRENT.to_owned()]),
            created: call.now,
            accessed: None,
            former_key: None,
        });
        let mut secret = Secret {
            arn: call.scope.new_arn(&name, call.random),
            name,
            description: self.description.filter(|text| !text.is_empty()),
            kms_key_id: self.kms_key_id.filter(|key| !key.is_empty()),
            kind: self.r#type.filter(|kind| !kind.is_empty()),
            tags: self.tags,
            policy: None,
            created: call.now,
            changed: call.now,
            accessed: None,
            deletion: None,
            rotation: None,
            replicas: Vec::new(),
            cross_account: None,
            primary,
            versions: Vec::from_iter(version),
        };
        let force = self.force_overwrite_replica_secret.unwrap_or_default();
        changes.extend(add_regions(store, call, &call.scope, &mut secret, regions, force)?);
        let output = Created {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            version_id: secret.versions.first().map(|version| version.id.clone()),
            replication_status: statuses(store, &call.scope, &secret),
        };
        changes.push(Change::Put(call.scope.clone(), Arc::new(secret)));
        Ok(Done::with(output, changes))
    }
}

/// Returns the primary in another account that a new secret is a replica of. It must be "in the same Amazon Web
/// Services Region", and neither may use the default key (API reference, CrossAccountPrimaryARN).
fn cross_account_primary(
    call: &Call<'_>,
    arn: String,
    has_more: bool,
    key: Option<&str>,
) -> Result<Primary, ServiceError> {
    let scope = Scope::of_arn(&arn).ok_or_else(|| {
        ServiceError::invalid_parameter("CrossAccountPrimaryARN is not the ARN of a secret.")
    })?;
    if scope.region != call.scope.region || scope.account == call.scope.account {
        return Err(ServiceError::invalid_parameter(
            "The primary secret must be in another account and in the same Region as its cross-account replica.",
        ));
    }
    if has_more {
        return Err(ServiceError::invalid_parameter(
            "A cross-account replica gets its value from its primary: leave out SecretString, SecretBinary and \
             AddReplicaRegions.",
        ));
    }
    if key.is_none_or(|key| key.is_empty() || key.ends_with("alias/aws/secretsmanager")) {
        return Err(ServiceError::invalid_parameter(
            "A cross-account replica must be encrypted with a customer managed KMS key: give KmsKeyId.",
        ));
    }
    Ok(Primary { arn, region: scope.region, cross_account: Some(ReplicationStatus::Pending) })
}

/// Answers a request for an existing name. It succeeds only if the same request created the secret, according to its
/// token.
fn repeated(existing: &Secret, token: String, value: Option<SecretValue>) -> Result<Created, ServiceError> {
    if existing.is_deleted() {
        return Err(ServiceError::invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ));
    }
    let Some(version) = existing.version(&token) else {
        return Err(ServiceError::new(
            ErrorCode::ResourceExists,
            format!("The operation failed because the secret {} already exists.", existing.name),
        ));
    };
    if version.value != value {
        return Err(token_in_use(existing, &token));
    }
    let (arn, name) = (existing.arn.clone(), existing.name.clone());
    Ok(Created { arn, name, version_id: Some(token), replication_status: None })
}

/// The error for a token that is reused with another value, because versions never change.
pub(super) fn token_in_use(secret: &Secret, token: &str) -> ServiceError {
    ServiceError::new(
        ErrorCode::ResourceExists,
        format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
            secret.arn
        ),
    )
}
