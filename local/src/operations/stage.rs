//! UpdateSecretVersionStage: the compare-and-swap that ends a rotation.

use serde::Deserialize;

use super::{Call, Done, Named, Operation};
use crate::error::ServiceError;
use crate::labels::{self, CURRENT};
use crate::secret::Secret;
use crate::store::Store;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecretVersionStage {
    secret_id: Option<String>,
    version_stage: Option<String>,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

impl Operation for UpdateSecretVersionStage {
    type Output = Named;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Named>, ServiceError> {
        let (from, to) = (self.remove_from_version_id.as_deref(), self.move_to_version_id.as_deref());
        let label = self.version_stage.as_deref().unwrap_or_default();
        let (scope, secret) =
            store.find_live(&call.scope, self.secret_id.as_deref().unwrap_or_default(), call.now)?;
        check(secret, label, from, to)?;

        let mut secret = secret.as_ref().clone();
        match (from, to) {
            (_, Some(to)) => labels::attach(&mut secret.versions, to, label),
            (Some(from), None) => labels::detach(&mut secret.versions, from, label),
            (None, None) => {}
        }
        labels::check_quota(&secret.versions)?;
        secret.changed = call.now;
        secret.drop_old_versions(call.now);
        Ok(Done::putting(Named::of(&secret, None), scope, secret))
    }
}

/// Checks the versions of a request. "If the label is attached and you either do not specify this parameter, or the
/// version ID does not match, then the operation fails" (API reference, RemoveFromVersionId).
fn check(secret: &Secret, label: &str, from: Option<&str>, to: Option<&str>) -> Result<(), ServiceError> {
    if from.is_none() && to.is_none() {
        return Err(ServiceError::invalid_parameter(
            "You must specify MoveToVersionId, RemoveFromVersionId, or both.",
        ));
    }
    for id in [from, to].into_iter().flatten() {
        if secret.version(id).is_none() {
            return Err(ServiceError::no_such_value(&format!("VersionId: {id}")));
        }
    }
    if label == CURRENT && to.is_none() {
        return Err(ServiceError::invalid_parameter(
            "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
        ));
    }
    if label == CURRENT && to.and_then(|id| secret.version(id)).is_some_and(|version| version.value.is_none())
    {
        return Err(ServiceError::invalid_request(
            "You can't move staging label AWSCURRENT to a version that has no secret value.",
        ));
    }
    let holder = secret.labelled(label).map(|version| version.id.as_str());
    match (holder, from) {
        (Some(holder), None) if to != Some(holder) => Err(ServiceError::invalid_parameter(format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version \
             {holder}, so you must explicitly reference that version in RemoveFromVersionId."
        ))),
        (holder, Some(from)) if holder != Some(from) => Err(ServiceError::invalid_parameter(format!(
            "The parameter RemoveFromVersionId must name the version that staging label {label} is currently attached \
             to. It is attached to {}, not to version {from}.",
            holder.map_or_else(|| "no version".to_owned(), |holder| format!("version {holder}")),
        ))),
        _ => Ok(()),
    }
}
