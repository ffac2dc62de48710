//! RotateSecret and CancelRotateSecret.

use serde::Deserialize;

use super::{Call, Done, Named, Operation};
use crate::error::{ErrorCode, ServiceError};
use crate::progress;
use crate::rotation::{Purpose, Rotation, RotationRules};
use crate::secret::Secret;
use crate::store::Store;
use crate::tag::Tag;
use crate::validate::client_request_token;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RotateSecret {
    secret_id: Option<String>,
    client_request_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<RotationRules>,
    external_secret_rotation_metadata: Option<Vec<Tag>>,
    external_secret_rotation_role_arn: Option<String>,
    rotate_immediately: Option<bool>,
}

impl Operation for RotateSecret {
    type Output = Named;

    fn run(mut self, store: &Store, call: &mut Call<'_>) -> Result<Done<Named>, ServiceError> {
        self.rotation_rules.as_ref().map_or(Ok(()), RotationRules::check)?;
        let token = client_request_token(self.client_request_token.take())?;
        let id = self.secret_id.take().unwrap_or_default();
        let (scope, secret) = store.find_live(&call.scope, &id, call.now)?;
        let known = secret.rotation.as_ref();
        if known.is_some_and(|rotation| rotation.last_token.as_ref() == Some(&token)) {
            return Ok(Done::reading(Named::of(secret, Some(token))));
        }
        check_token(secret, &token)?;

        let is_immediate = self.rotate_immediately.unwrap_or(true);
        let rotation = self.configured(known, call)?;
        let purpose = if is_immediate { Purpose::Rotate } else { Purpose::Test };
        let mut secret = secret.as_ref().clone();
        secret.changed = call.now;
        if rotation.function.is_none() {
            if is_immediate {
                return Err(ServiceError::new(
                    ErrorCode::UnsupportedOperation,
                    "secretcache local has no partner that could rotate a managed external secret. To store only the \
                     configuration, set RotateImmediately=false.",
                ));
            }
            secret.rotation = Some(rotation);
            let output = Named::of(&secret, None);
            return Ok(Done::putting(output, scope, secret));
        }
        // Another request removed the label from the version; otherwise `check_token` would have refused this call.
        let abandoned = progress::abandon(&mut secret, "AWSPENDING was taken from the version", call.now);
        secret.rotation = Some(Rotation { last_token: Some(token.clone()), underway: None, ..rotation });
        let started = progress::begin(&mut secret, &token, purpose, call.now);
        crate::labels::check_quota(&secret.versions)?;
        let output = Named::of(&secret, Some(token));
        let done = Done::putting(output, scope, secret);
        Ok(done.with_events(abandoned.into_iter().chain([started])))
    }
}

impl RotateSecret {
    /// Returns the configuration after this request: "If you don't include the configuration parameters, the operation
    /// starts a rotation with the values already stored in the secret" (API reference, RotateSecret).
    fn configured(self, known: Option<&Rotation>, call: &Call<'_>) -> Result<Rotation, ServiceError> {
        let mut rotation = known.cloned().unwrap_or_default();
        let was_enabled = std::mem::replace(&mut rotation.enabled, true);
        if let Some(function) = self.rotation_lambda_arn.filter(|function| !function.is_empty()) {
            rotation.function = Some(function);
        }
        if let Some(metadata) = self.external_secret_rotation_metadata {
            rotation.external_metadata = Some(metadata);
        }
        if let Some(role) = self.external_secret_rotation_role_arn {
            rotation.external_role = Some(role);
        }
        let has_new_rules = self.rotation_rules.is_some();
        rotation.rules = self.rotation_rules.or(rotation.rules);
        if has_new_rules || !was_enabled {
            rotation.reschedule(call.now);
        }
        match &rotation.function {
            Some(function) if call.functions.can_invoke(function) => Ok(rotation),
            Some(_) => Err(ServiceError::cannot_invoke()),
            None if rotation.external_metadata.is_some() || rotation.external_role.is_some() => Ok(rotation),
            None => Err(no_function()),
        }
    }
}

/// Refuses a rotation while another is unfinished, or with the token of an existing version.
fn check_token(secret: &Secret, token: &str) -> Result<(), ServiceError> {
    // "If the AWSPENDING staging label is present but not attached to the same version as AWSCURRENT, then any later
    // invocation of RotateSecret assumes that a previous rotation request is still in progress and returns an error"
    // (API reference, RotateSecret).
    if progress::unfinished(secret).is_some() {
        return Err(ServiceError::invalid_request(
            "A previous rotation isn't complete. That rotation will be reattempted.",
        ));
    }
    if secret.version(token).is_some() {
        return Err(ServiceError::invalid_request(format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
            secret.arn
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelRotateSecret {
    secret_id: Option<String>,
}

impl Operation for CancelRotateSecret {
    type Output = Named;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Named>, ServiceError> {
        let id = self.secret_id.unwrap_or_default();
        let (scope, secret) = store.find_live(&call.scope, &id, call.now)?;
        if secret.rotation.is_none() {
            return Err(no_function());
        }
        let mut secret = secret.as_ref().clone();
        let version = progress::cancel(&mut secret);
        secret.changed = call.now;
        let output = Named::of(&secret, version);
        Ok(Done::putting(output, scope, secret))
    }
}

fn no_function() -> ServiceError {
    ServiceError::invalid_request("No Lambda rotation function ARN is associated with this secret.")
}
