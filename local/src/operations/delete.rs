//! DeleteSecret and RestoreSecret.

use serde::{Deserialize, Serialize};

use super::{Call, Done, Named, Operation};
use crate::error::{ErrorCode, ServiceError};
use crate::replication::check_deletable;
use crate::store::{Change, Store};
use crate::time::Timestamp;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecret {
    secret_id: Option<String>,
    recovery_window_in_days: Option<i64>,
    force_delete_without_recovery: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deleted {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    deletion_date: Timestamp,
}

impl Operation for DeleteSecret {
    type Output = Deleted;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Deleted>, ServiceError> {
        let id = self.secret_id.unwrap_or_default();
        let force = self.force_delete_without_recovery.unwrap_or_default();
        if force && self.recovery_window_in_days.is_some() {
            return Err(ServiceError::invalid_parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        let days = self.recovery_window_in_days.unwrap_or(LONGEST_WINDOW);
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&days) {
            return Err(ServiceError::invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
        if force { delete_now(store, call, id) } else { schedule(store, call, &id, days) }
    }
}

fn schedule(store: &Store, call: &Call<'_>, id: &str, days: i64) -> Result<Done<Deleted>, ServiceError> {
    let (scope, secret) = store.find_live(&call.scope, id, call.now)?;
    check_deletable(secret, id)?;
    let mut secret = secret.as_ref().clone();
    let deletion_date = call.now.plus_days(days);
    secret.deletion = Some(deletion_date);
    let output = Deleted { arn: secret.arn.clone(), name: secret.name.clone(), deletion_date };
    Ok(Done::putting(output, scope, secret))
}

/// Deletes a secret at once. "If you forcibly delete an already deleted or nonexistent secret, the operation does not
/// return ResourceNotFoundException" (API reference, ForceDeleteWithoutRecovery).
fn delete_now(store: &Store, call: &mut Call<'_>, id: String) -> Result<Done<Deleted>, ServiceError> {
    match store.find(&call.scope, &id, call.now) {
        Ok((scope, secret)) => {
            check_deletable(secret, &id)?;
            let output =
                Deleted { arn: secret.arn.clone(), name: secret.name.clone(), deletion_date: call.now };
            Ok(Done::with(output, vec![Change::Remove(scope, secret.arn.clone())]))
        }
        Err(error) if error.code() == ErrorCode::ResourceNotFound => {
            let arn = if id.starts_with("arn:") { id.clone() } else { call.scope.new_arn(&id, call.random) };
            Ok(Done::reading(Deleted { arn, name: id, deletion_date: call.now }))
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestoreSecret {
    secret_id: Option<String>,
}

impl Operation for RestoreSecret {
    type Output = Named;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Named>, ServiceError> {
        let (scope, secret) = store.find(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let output = Named::of(secret, None);
        if !secret.is_deleted() {
            return Ok(Done::reading(output));
        }
        let mut secret = secret.as_ref().clone();
        secret.deletion = None;
        Ok(Done::putting(output, scope, secret))
    }
}

/// In days (API reference, RecoveryWindowInDays).
const SHORTEST_WINDOW: i64 = 7;
/// In days; also the default.
const LONGEST_WINDOW: i64 = 30;
