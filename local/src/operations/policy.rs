//! PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ListResourcePolicies, ValidateResourcePolicy.

use serde::{Deserialize, Serialize};

use super::{Call, Done, Operation};
use crate::error::{ErrorCode, ServiceError};
use crate::policy;
use crate::secret::Secret;
use crate::store::Store;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutResourcePolicy {
    secret_id: Option<String>,
    resource_policy: Option<String>,
    policy_name: Option<String>,
    block_public_policy: Option<bool>,
}

/// The response of the operations on one policy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy: Option<String>,
    policy_name: &'static str,
}

impl Operation for PutResourcePolicy {
    type Output = Answer;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Answer>, ServiceError> {
        only_default(self.policy_name.as_deref())?;
        let text = self.resource_policy.as_deref().unwrap_or_default();
        policy::check(text)?;
        if self.block_public_policy.unwrap_or_default() && policy::is_public(text) {
            return Err(ServiceError::new(
                ErrorCode::PublicPolicy,
                "You can't attach a resource-based policy that allows broad access to the secret.",
            ));
        }
        change(store, call, self.secret_id, self.resource_policy)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteResourcePolicy {
    secret_id: Option<String>,
    policy_name: Option<String>,
}

impl Operation for DeleteResourcePolicy {
    type Output = Answer;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Answer>, ServiceError> {
        only_default(self.policy_name.as_deref())?;
        change(store, call, self.secret_id, None)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetResourcePolicy {
    secret_id: Option<String>,
    policy_name: Option<String>,
}

impl Operation for GetResourcePolicy {
    type Output = Answer;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Answer>, ServiceError> {
        let (_, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        if self.policy_name.is_some_and(|name| name != DEFAULT) {
            return Err(ServiceError::new(
                ErrorCode::ResourceNotFound,
                "Secrets Manager can't find the specified resource policy.",
            ));
        }
        Ok(Done::reading(Answer { resource_policy: secret.policy.clone(), ..Answer::about(secret) }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListResourcePolicies {
    secret_id: Option<String>,
    /// Validated but not used, because there is at most one policy.
    #[serde(rename = "MaxResults")]
    _max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    resource_policies: Vec<Summary>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    policy_name: &'static str,
}

impl Operation for ListResourcePolicies {
    type Output = Listing;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Listing>, ServiceError> {
        if self.next_token.is_some() {
            // There is at most one policy, so there is never a next page.
            return Err(ServiceError::new(ErrorCode::InvalidNextToken, "The NextToken value is invalid."));
        }
        let (_, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;
        let resource_policies = secret.policy.iter().map(|_| Summary { policy_name: DEFAULT }).collect();
        Ok(Done::reading(Listing { resource_policies }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ValidateResourcePolicy {
    secret_id: Option<String>,
    resource_policy: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Validation {
    policy_validation_passed: bool,
    validation_errors: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Finding {
    check_name: &'static str,
    error_message: String,
}

impl Operation for ValidateResourcePolicy {
    type Output = Validation;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Validation>, ServiceError> {
        if let Some(id) = &self.secret_id {
            store.find_live(&call.scope, id, call.now)?;
        }
        let text = self.resource_policy.as_deref().unwrap_or_default();
        policy::check(text)?;
        let public = policy::is_public(text).then(|| Finding {
            check_name: "PublicPolicyCheck",
            error_message: "This resource policy grants broad access to your secret.".to_owned(),
        });
        Ok(Done::reading(Validation {
            policy_validation_passed: public.is_none(),
            validation_errors: Vec::from_iter(public),
        }))
    }
}

impl Answer {
    fn about(secret: &Secret) -> Self {
        Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            resource_policy: None,
            policy_name: DEFAULT,
        }
    }
}

fn change(
    store: &Store,
    call: &Call<'_>,
    id: Option<String>,
    policy: Option<String>,
) -> Result<Done<Answer>, ServiceError> {
    let (scope, secret) = store.find_live(&call.scope, &id.unwrap_or_default(), call.now)?;
    let secret = Secret { policy, changed: call.now, ..secret.as_ref().clone() };
    Ok(Done::putting(Answer::about(&secret), scope, secret))
}

/// Checks the name of a policy. "You can only attach the default policy; if you specify any other name, the operation
/// returns an InvalidParameterException" (service model, PolicyName).
fn only_default(name: Option<&str>) -> Result<(), ServiceError> {
    match name {
        None | Some(DEFAULT) => Ok(()),
        Some(_) => {
            Err(ServiceError::invalid_parameter("You can only attach or delete the policy named default."))
        }
    }
}

const DEFAULT: &str = "default";
