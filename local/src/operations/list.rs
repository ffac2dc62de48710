//! ListSecrets, and the choice by filters BatchGetSecretValue shares.

use serde::{Deserialize, Serialize};

use super::describe::Description;
use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::filter::Filter;
use crate::paging::{Key, page};
use crate::secret::Secret;
use crate::store::Store;
use crate::validate::Constraints;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecrets {
    include_planned_deletion: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
    filters: Option<Vec<Filter>>,
    sort_order: Option<String>,
    sort_by: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    secret_list: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Operation for ListSecrets {
    type Output = Listing;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Listing>, ServiceError> {
        let (sort_by, sort_order) = (self.sort_by.as_deref(), self.sort_order.as_deref());
        Constraints::default()
            .range("maxResults", self.max_results, 1, 100)
            .length("nextToken", self.next_token.as_deref(), 1, 4096)
            .one_of("sortOrder", sort_order, &["asc", "desc"])
            .one_of("sortBy", sort_by, &["created-date", "last-accessed-date", "last-changed-date", "name"])
            .check()?;
        let filters = self.filters.unwrap_or_default();
        Filter::check(&filters)?;
        let include_deleted = self.include_planned_deletion.unwrap_or_default();
        let descending = sort_order == Some("desc");

        let found = choose(store, call, &filters, include_deleted)
            .map(|secret| (sort_key(secret, sort_by.unwrap_or("created-date")), secret));
        let most = self.max_results.map_or(100, |most| most as usize);
        let (secrets, next_token) = page(found, self.next_token.as_deref(), most, descending)?;
        Ok(Done::reading(Listing {
            secret_list: secrets.into_iter().map(Description::listed).collect(),
            next_token,
        }))
    }
}

/// The secrets of the caller's account and region that pass every filter.
pub(super) fn choose<'a>(
    store: &'a Store,
    call: &Call<'_>,
    filters: &'a [Filter],
    include_deleted: bool,
) -> impl Iterator<Item = &'a Secret> {
    store
        .secrets(&call.scope, call.now)
        .filter(move |secret| include_deleted || !secret.is_deleted())
        .filter(move |secret| filters.iter().all(|filter| filter.passes(secret)))
}

/// A key that sorts as asked.
pub(super) fn sort_key<'a>(secret: &'a Secret, by: &str) -> Key<'a> {
    match by {
        "name" => Key::name(&secret.name, &secret.arn),
        "last-accessed-date" => Key::date(secret.accessed, &secret.arn),
        "last-changed-date" => Key::date(Some(secret.changed), &secret.arn),
        _ => Key::date(Some(secret.created), &secret.arn),
    }
}
