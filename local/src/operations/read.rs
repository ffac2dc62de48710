//! GetSecretValue.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Call, Done, Operation};
use crate::arn::Scope;
use crate::error::ServiceError;
use crate::labels::CURRENT;
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::value::{Encoded, SecretValue};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSecretValue {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
}

/// A secret value, as returned by GetSecretValue and listed by BatchGetSecretValue.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ValueEntry {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "binary")]
    secret_binary: Option<SecretValue>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    secret_string: Option<SecretValue>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    version_stages: BTreeSet<String>,
    created_date: Timestamp,
}

impl Operation for GetSecretValue {
    type Output = ValueEntry;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<ValueEntry>, ServiceError> {
        let (id, stage) = (self.version_id.as_deref(), self.version_stage.as_deref());
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        check_key_access(call, &scope, secret)?;
        let version = select(secret, id, stage)?;
        let output = ValueEntry::new(secret, version).ok_or_else(|| missing(id, stage))?;
        let change = note_access(scope, secret, &version.id, call.now);
        Ok(Done::with(output, Vec::from_iter(change)))
    }
}

impl ValueEntry {
    /// Creates the entry for a version; returns `None` if it has no value yet.
    pub(super) fn new(secret: &Secret, version: &Version) -> Option<Self> {
        let value = version.value.clone()?;
        Some(Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            version_id: version.id.clone(),
            secret_binary: value.as_binary().is_some().then(|| value.clone()),
            secret_string: value.as_text().is_some().then_some(value),
            version_stages: version.labels.clone(),
            created_date: version.created,
        })
    }
}

/// Returns the version that a request selects: by id, by staging label, by both if they match, or the current one.
fn select<'a>(
    secret: &'a Secret,
    id: Option<&str>,
    stage: Option<&str>,
) -> Result<&'a Version, ServiceError> {
    let Some(id) = id else {
        return secret.labelled(stage.unwrap_or(CURRENT)).ok_or_else(|| missing(None, stage));
    };
    let version = secret.version(id).ok_or_else(|| missing(Some(id), stage))?;
    if stage.is_some_and(|stage| !version.labels.contains(stage)) {
        return Err(ServiceError::invalid_request(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        ));
    }
    Ok(version)
}

fn missing(id: Option<&str>, stage: Option<&str>) -> ServiceError {
    match id {
        Some(id) => ServiceError::no_such_value(&format!("VersionId: {id}")),
        None => ServiceError::no_such_value(&format!("staging label: {}", stage.unwrap_or(CURRENT))),
    }
}

/// Refuses callers from other accounts if the secret is encrypted with the default key, because only its own account
/// can decrypt with that (with the service's message).
pub(super) fn check_key_access(call: &Call<'_>, scope: &Scope, secret: &Secret) -> Result<(), ServiceError> {
    if call.scope.account == scope.account || !secret.has_default_key() {
        return Ok(());
    }
    Err(ServiceError::invalid_request(
        "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service \
         key.",
    ))
}

/// Records the day of the access on the secret and the version; returns `None` if it is already recorded.
pub(super) fn note_access(scope: Scope, secret: &Secret, version: &str, now: Timestamp) -> Option<Change> {
    let day = Some(now.day());
    let known =
        secret.accessed == day && secret.version(version).is_some_and(|version| version.accessed == day);
    if known {
        return None;
    }
    let mut secret = secret.clone();
    secret.accessed = day;
    for version in secret.versions.iter_mut().filter(|v| v.id == version) {
        version.accessed = day;
    }
    Some(Change::Put(scope, Arc::new(secret)))
}

fn text<S: serde::Serializer>(value: &Option<SecretValue>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_ref().and_then(SecretValue::as_text).unwrap_or_default())
}

fn binary<S: serde::Serializer>(value: &Option<SecretValue>, serializer: S) -> Result<S::Ok, S::Error> {
    Encoded(value.as_ref().and_then(SecretValue::as_binary).unwrap_or_default()).serialize(serializer)
}
