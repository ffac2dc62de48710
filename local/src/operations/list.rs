//! ListSecrets, and the order by creation, which BatchGetSecretValue uses too.

use serde::{Deserialize, Serialize};

use super::describe::Description;
use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::filter::Filter;
use crate::paging::{Key, date_of, first_page, page};
use crate::secret::Secret;
use crate::store::Store;

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
        let filters = self.filters.unwrap_or_default();
        Filter::check(&filters)?;
        let include_deleted = self.include_planned_deletion.unwrap_or_default();
        let passes = |secret: &&Secret| {
            (include_deleted || !secret.is_deleted()) && filters.iter().all(|filter| filter.passes(secret))
        };
        let descending = sort_order == Some("desc");
        let (most, token) = (self.max_results.map_or(100, |most| most as usize), self.next_token.as_deref());
        let (secrets, next_token) = match sort_by {
            None | Some("created-date") => {
                by_creation(store, call, passes, "ListSecrets", token, most, descending)?
            }
            Some(by) => {
                let found = store.secrets(&call.scope, call.now).filter(passes);
                page(
                    found.map(|secret| (sort_key(secret, by), secret)),
                    "ListSecrets",
                    token,
                    most,
                    descending,
                )?
            }
        };
        Ok(Done::reading(Listing {
            secret_list: secrets.into_iter().map(Description::listed).collect(),
            next_token,
        }))
    }
}

/// Returns a page of the caller's secrets that pass the filter, in order of creation.
pub(super) fn by_creation<'a>(
    store: &'a Store,
    call: &Call<'_>,
    passes: impl Fn(&&'a Secret) -> bool,
    listing: &str,
    token: Option<&str>,
    most: usize,
    descending: bool,
) -> Result<(Vec<&'a Secret>, Option<String>), ServiceError> {
    let after = token.map(|token| date_of(token, listing)).transpose()?;
    let found = store.by_creation(&call.scope, call.now, after, descending).filter(passes);
    Ok(first_page(found.map(|secret| (Key::date(Some(secret.created), &secret.arn), secret)), listing, most))
}

/// Returns the sort key of a secret for any order except creation order.
fn sort_key<'a>(secret: &'a Secret, by: &str) -> Key<'a> {
    match by {
        "name" => Key::name(&secret.name, &secret.arn),
        "last-accessed-date" => Key::date(secret.accessed, &secret.arn),
        _ => Key::date(Some(secret.changed), &secret.arn),
    }
}
