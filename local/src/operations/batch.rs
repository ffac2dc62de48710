//! BatchGetSecretValue.

use serde::{Deserialize, Serialize};

use super::list::by_creation;
use super::read::{ValueEntry, check_key_access, note_access};
use super::{Call, Done, Operation};
use crate::arn::Scope;
use crate::error::ServiceError;
use crate::filter::Filter;
use crate::labels::CURRENT;
use crate::secret::Secret;
use crate::store::{Change, Store};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchGetSecretValue {
    secret_id_list: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    secret_values: Vec<ValueEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    errors: Vec<Failure>,
}

/// The error of one secret in the batch. The others are still returned.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    secret_id: String,
    error_code: &'static str,
    message: String,
}

impl Operation for BatchGetSecretValue {
    type Output = Batch;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Batch>, ServiceError> {
        match (self.secret_id_list, self.filters) {
            (Some(ids), None) => {
                if self.max_results.is_some() {
                    return Err(ServiceError::invalid_parameter("MaxResults can only be used with Filters."));
                }
                Ok(by_id(store, call, ids))
            }
            (None, Some(filters)) => {
                by_filter(store, call, &filters, self.max_results, self.next_token.as_deref())
            }
            _ => Err(ServiceError::invalid_parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            )),
        }
    }
}

fn by_id(store: &Store, call: &Call<'_>, ids: Vec<String>) -> Done<Batch> {
    let mut done = Done::reading(Batch::default());
    for id in ids {
        let found = store.find_live(&call.scope, &id, call.now);
        match found.and_then(|found| check_key_access(call, &found.0, found.1).map(|()| found)) {
            Ok((scope, secret)) => add(&mut done, call, scope, secret, id),
            Err(error) => fail(&mut done, id, &error),
        }
    }
    done
}

fn by_filter(
    store: &Store,
    call: &Call<'_>,
    filters: &[Filter],
    most: Option<i64>,
    token: Option<&str>,
) -> Result<Done<Batch>, ServiceError> {
    Filter::check(filters)?;
    let passes =
        |secret: &&Secret| !secret.is_deleted() && filters.iter().all(|filter| filter.passes(secret));
    let most = most.map_or(20, |most| most as usize);
    let (page, next_token) = by_creation(store, call, passes, "BatchGetSecretValue", token, most, false)?;
    let mut done = Done::reading(Batch { next_token, ..Batch::default() });
    for secret in page {
        add(&mut done, call, call.scope.clone(), secret, secret.arn.clone());
    }
    Ok(done)
}

fn add(done: &mut Done<Batch>, call: &Call<'_>, scope: Scope, secret: &Secret, id: String) {
    let version = secret.labelled(CURRENT);
    match version.and_then(|version| ValueEntry::new(secret, version)) {
        Some(entry) => {
            done.output.secret_values.push(entry);
            let change = version.and_then(|version| note_access(scope, secret, &version.id, call.now));
            // The same secret requested twice is one change, because both start from the stored state.
            done.changes.extend(change.filter(|change: &Change| !done.changes.contains(change)));
        }
        None => fail(done, id, &ServiceError::no_such_value(&format!("staging label: {CURRENT}"))),
    }
}

fn fail(done: &mut Done<Batch>, secret_id: String, error: &ServiceError) {
    done.output.errors.push(Failure {
        secret_id,
        error_code: error.code().name(),
        message: error.message().to_owned(),
    });
}
