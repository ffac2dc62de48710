//! ListSecretVersionIds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::paging::{Key, page};
use crate::secret::{Secret, Version};
use crate::store::Store;
use crate::time::Timestamp;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecretVersionIds {
    secret_id: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
    include_deprecated: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    versions: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    version_id: String,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    version_stages: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Timestamp>,
    created_date: Timestamp,
    kms_key_ids: [String; 1],
}

impl Operation for ListSecretVersionIds {
    type Output = Listing;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Listing>, ServiceError> {
        let (_, secret) = store.find(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let deprecated = self.include_deprecated.unwrap_or_default();
        // A version that a rotation has only reserved is not listed until it has a value.
        let listed = secret
            .versions
            .iter()
            .filter(|version| version.value.is_some() && (deprecated || !version.labels.is_empty()))
            .map(|version| (Key::date(Some(version.created), &version.id), version));
        let most = self.max_results.map_or(100, |most| most as usize);
        let (versions, next_token) = page(listed, &secret.arn, self.next_token.as_deref(), most, false)?;
        Ok(Done::reading(Listing {
            versions: versions.into_iter().map(|version| Entry::new(secret, version)).collect(),
            next_token,
            arn: secret.arn.clone(),
            name: secret.name.clone(),
        }))
    }
}

impl Entry {
    fn new(secret: &Secret, version: &Version) -> Self {
        Self {
            version_id: version.id.clone(),
            version_stages: version.labels.clone(),
            last_accessed_date: version.accessed,
            created_date: version.created,
            kms_key_ids: [version.former_key.clone().unwrap_or_else(|| secret.key().to_owned())],
        }
    }
}
