//! PutSecretValue, and adding a version, which UpdateSecret does too.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::create::token_in_use;
use super::read::check_key_access;
use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::events::Event;
use crate::labels::{self, CURRENT};
use crate::progress;
use crate::secret::{Secret, Version};
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::validate::{client_request_token, one_value};
use crate::value::{SecretBlob, SecretText, SecretValue};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutSecretValue {
    secret_id: Option<String>,
    client_request_token: Option<String>,
    secret_binary: Option<SecretBlob>,
    secret_string: Option<SecretText>,
    version_stages: Option<Vec<String>>,
    /// Validated but not used, because there are no rotations by other services here.
    #[serde(rename = "RotationToken")]
    _rotation_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    version_stages: BTreeSet<String>,
}

impl Operation for PutSecretValue {
    type Output = Put;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Put>, ServiceError> {
        let token = client_request_token(self.client_request_token)?;
        let Some(value) = one_value(self.secret_string, self.secret_binary)? else {
            return Err(ServiceError::invalid_request(
                "You must provide either SecretString or SecretBinary.",
            ));
        };
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        check_key_access(call, &scope, secret)?;
        let stages = self.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);

        let (changed, event) = add_version(secret, &token, value, &stages, call.now)?.unzip();
        let secret = changed.as_ref().unwrap_or(secret);
        let output = Put {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            version_stages: secret.version(&token).map(|version| version.labels.clone()).unwrap_or_default(),
            version_id: token,
        };
        let changes = changed.map(|secret| Change::Put(scope, Arc::new(secret)));
        Ok(Done::with(output, Vec::from_iter(changes)).with_events(event.flatten()))
    }
}

/// Returns the secret with a new version `token`, and the event if this affects a rotation in progress; `None` if the
/// version already exists.
///
/// The same token with the same value is ignored, labels included; with another value it is an error. A version that a
/// rotation has reserved gets its value here.
pub(super) fn add_version(
    secret: &Secret,
    token: &str,
    value: SecretValue,
    stages: &[String],
    now: Timestamp,
) -> Result<Option<(Secret, Option<Event>)>, ServiceError> {
    let mut secret = secret.clone();
    // "If this operation creates the first version for the secret then Secrets Manager automatically attaches
    // the staging label AWSCURRENT" (API reference, PutSecretValue).
    let is_first = secret.versions.iter().all(|version| version.value.is_none());
    match secret.versions.iter_mut().find(|version| version.id == token) {
        Some(Version { value: Some(existing), .. }) if *existing == value => return Ok(None),
        Some(Version { value: Some(_), .. }) => return Err(token_in_use(&secret, token)),
        Some(reserved) => reserved.value = Some(value),
        None => secret.versions.push(Version {
            id: token.to_owned(),
            value: Some(value),
            labels: BTreeSet::new(),
            created: now,
            accessed: None,
            former_key: None,
        }),
    }
    let first = is_first.then_some(CURRENT);
    labels::store(&mut secret.versions, token, stages.iter().map(String::as_str).chain(first));
    labels::check_quota(&secret.versions)?;
    let event = progress::value_stored(&mut secret, token, now);
    secret.changed = now;
    secret.drop_old_versions(now);
    Ok(Some((secret, event)))
}
