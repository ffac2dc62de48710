//! UpdateSecret.

use serde::Deserialize;

use super::put::add_version;
use super::read::check_key_access;
use super::{Call, Done, Named, Operation};
use crate::arn::Scope;
use crate::error::ServiceError;
use crate::labels::{CURRENT, PENDING, PREVIOUS};
use crate::secret::Secret;
use crate::store::Store;
use crate::validate::{client_request_token, one_value};
use crate::value::{SecretBlob, SecretText};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecret {
    secret_id: Option<String>,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<SecretBlob>,
    secret_string: Option<SecretText>,
    r#type: Option<String>,
}

impl Operation for UpdateSecret {
    type Output = Named;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Named>, ServiceError> {
        let token = client_request_token(self.client_request_token)?;
        let value = one_value(self.secret_string, self.secret_binary)?;
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;

        let is_key_alone = value.is_none() && self.description.is_none() && self.r#type.is_none();
        if let (true, Some(key)) = (is_key_alone, &self.kms_key_id)
            && let Some((at, primary)) = primary_with_key(store, &scope, secret, key)
        {
            return Ok(Done::putting(Named::of(secret, None), at, primary));
        }
        if value.is_some() {
            check_key_access(call, &scope, secret)?;
        }
        let version_id = value.is_some().then(|| token.clone());
        let added = match value {
            Some(value) => add_version(secret, &token, value, &[CURRENT.to_owned()], call.now)?,
            None => None,
        };
        let (mut secret, event) = added.unwrap_or_else(|| (secret.as_ref().clone(), None));
        if let Some(key) = self.kms_key_id {
            set_key(&mut secret, (!key.is_empty()).then_some(key));
        }
        for (field, given) in [(&mut secret.description, self.description), (&mut secret.kind, self.r#type)] {
            if let Some(given) = given {
                *field = (!given.is_empty()).then_some(given);
            }
        }
        secret.changed = call.now;
        let output = Named::of(&secret, version_id);
        Ok(Done::putting(output, scope, secret).with_events(event))
    }
}

/// Returns the primary of a replica, changed so that the replica has another key; `None` if the secret is not a replica
/// in another Region.
///
/// "A replica secret can't be updated independently from its primary secret, except for its encryption key" (user
/// guide, "Promote a replica secret to a standalone secret").
fn primary_with_key(store: &Store, scope: &Scope, replica: &Secret, key: &str) -> Option<(Scope, Secret)> {
    let primary = replica.primary.as_ref().filter(|primary| primary.cross_account.is_none())?;
    let at = Scope { region: primary.region.clone(), ..scope.clone() };
    let mut primary = store.by_arn(&at, &primary.arn)?.as_ref().clone();
    let known = primary.replicas.iter_mut().find(|known| known.region == scope.region)?;
    known.kms_key_id = (!key.is_empty()).then(|| key.to_owned());
    Some((at, primary))
}

/// Changes the KMS key. "Secrets Manager re-encrypts versions that have the staging labels AWSCURRENT, AWSPENDING, and
/// AWSPREVIOUS" (API reference, UpdateSecret, KmsKeyId); all others keep their key.
fn set_key(secret: &mut Secret, key: Option<String>) {
    let old = secret.key().to_owned();
    secret.kms_key_id = key;
    let is_other = old != secret.key();
    for version in &mut secret.versions {
        if [CURRENT, PENDING, PREVIOUS].iter().any(|label| version.labels.contains(*label)) {
            version.former_key = None;
        } else if is_other && version.former_key.is_none() {
            version.former_key = Some(old.clone());
        }
    }
}
