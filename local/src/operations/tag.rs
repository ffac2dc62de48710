//! TagResource and UntagResource.

use serde::Deserialize;

use super::{Call, Done, Nothing, Operation};
use crate::error::{ErrorCode, ServiceError};
use crate::store::Store;
use crate::tag::Tag;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    secret_id: Option<String>,
    tags: Option<Vec<Tag>>,
}

impl Operation for TagResource {
    type Output = Nothing;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Nothing>, ServiceError> {
        let given = self.tags.unwrap_or_default();
        check_tags(&given)?;
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let mut secret = secret.as_ref().clone();
        let tags = secret.tags.get_or_insert_default();
        for tag in given {
            match tags.iter_mut().find(|known| known.key == tag.key) {
                Some(known) => known.value = tag.value,
                None => tags.push(tag),
            }
        }
        // In the service model, this operation has no LimitExceededException.
        check_count(tags.len(), ErrorCode::InvalidParameter)?;
        secret.changed = call.now;
        Ok(Done::putting(Nothing {}, scope, secret))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    secret_id: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Operation for UntagResource {
    type Output = Nothing;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Nothing>, ServiceError> {
        let keys = self.tag_keys.unwrap_or_default();
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let mut secret = secret.as_ref().clone();
        if let Some(tags) = &mut secret.tags {
            tags.retain(|tag| !keys.contains(&tag.key));
        }
        secret.changed = call.now;
        Ok(Done::putting(Nothing {}, scope, secret))
    }
}

/// Checks that keys are not empty, do not have the reserved prefix and are unique (tag quotas, AWS General Reference).
pub(super) fn check_tags(tags: &[Tag]) -> Result<(), ServiceError> {
    if tags.iter().any(|tag| tag.key.is_empty()) {
        return Err(ServiceError::invalid_parameter("Every tag must have a key."));
    }
    if tags.iter().any(|tag| tag.key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(ServiceError::invalid_parameter(
            "Tag keys can't start with aws: because that prefix is reserved.",
        ));
    }
    if tags.iter().enumerate().any(|(i, tag)| tags[..i].iter().any(|other| other.key == tag.key)) {
        return Err(ServiceError::invalid_parameter("You can't give the same tag key twice in one request."));
    }
    Ok(())
}

pub(super) fn check_count(tags: usize, code: ErrorCode) -> Result<(), ServiceError> {
    match tags {
        0..=MOST_TAGS => Ok(()),
        _ => Err(ServiceError::new(code, "You can't attach more than 50 tags to a secret.")),
    }
}

const MOST_TAGS: usize = 50;
