//! Secrets Manager, through the AWS SDK.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use secretcache::host::{Options, service_error};
use secretcache::{AWSPENDING, Selector};
use zeroize::Zeroizing;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::password::PasswordPolicy;
use crate::store::{
    BoxFuture, Moved, Pending, Put, SecretState, SecretStore, StageMove, Version, VersionState,
};

mod details;

/// Secrets Manager, or a compatible endpoint.
///
/// ```no_run
/// # async fn example() -> Result<(), secretcache_rotation::Error> {
/// use secretcache_rotation::{AwsStore, SecretStore};
///
/// let store = AwsStore::connect(&secretcache::host::Options::default()).await?;
/// let state = store.describe("prod/checkout/db").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AwsStore {
    client: Client,
    /// The URL of the endpoint, for messages; empty if it is unknown.
    endpoint: String,
}

impl AwsStore {
    /// Connects, with Region, endpoint and credentials resolved as the cache does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the setting that is missing or wrong.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let (client, endpoint) = options.client().await?;
        Ok(Self { client, endpoint })
    }

    /// Uses an existing client.
    pub fn new(client: Client) -> Self {
        Self { client, endpoint: String::new() }
    }

    /// Returns the client, for calls that a rotation does not make.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Converts the error of a failed call.
    fn failed<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> secretcache::Error
    where
        E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
    {
        service_error(operation, &self.endpoint, error)
    }
}

impl SecretStore for AwsStore {
    fn describe<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<SecretState, Error>> {
        Box::pin(async move {
            let answer = self.client.describe_secret().secret_id(secret_id).send().await;
            let answer = answer.map_err(|error| self.failed("DescribeSecret", error))?;
            Ok(state(answer))
        })
    }

    fn get<'a>(
        &'a self,
        secret_id: &'a str,
        version: Selector<'a>,
    ) -> BoxFuture<'a, Result<Option<Version>, Error>> {
        Box::pin(async move {
            let call = self
                .client
                .get_secret_value()
                .secret_id(secret_id)
                .set_version_stage(version.as_stage().map(str::to_owned))
                .set_version_id(version.as_version_id().map(str::to_owned));
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(SdkError::ServiceError(context))
                    if matches!(context.err(), GetSecretValueError::ResourceNotFoundException(_)) =>
                {
                    // A missing secret is reported by DescribeSecret, which every step calls first.
                    return Ok(None);
                }
                Err(error) => return Err(self.failed("GetSecretValue", error).into()),
            };
            let Some(text) = answer.secret_string.map(Zeroizing::new) else {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    "the secret is binary; a secret that rotates must be a string with a JSON object",
                ));
            };
            Ok(Some(Version {
                id: answer.version_id.unwrap_or_default(),
                created: answer.created_date.and_then(details::timestamp).map(Into::into),
                document: Document::parse(&text)?,
            }))
        })
    }

    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>> {
        Box::pin(async move {
            let call = self
                .client
                .put_secret_value()
                .secret_id(pending.secret_id)
                .client_request_token(pending.token)
                .secret_string(pending.document.text())
                .version_stages(AWSPENDING)
                .set_rotation_token(pending.rotation_token.map(|token| token.expose().to_owned()));
            match call.send().await {
                Ok(_) => Ok(Put::Stored),
                Err(SdkError::ServiceError(context))
                    if matches!(context.err(), PutSecretValueError::ResourceExistsException(_)) =>
                {
                    Ok(Put::Exists)
                }
                Err(error) => Err(self.failed("PutSecretValue", error).into()),
            }
        })
    }

    fn move_stage<'a>(
        &'a self,
        secret_id: &'a str,
        stage: StageMove<'a>,
    ) -> BoxFuture<'a, Result<Moved, Error>> {
        Box::pin(async move {
            let call = self
                .client
                .update_secret_version_stage()
                .secret_id(secret_id)
                .version_stage(stage.stage)
                .set_remove_from_version_id(stage.from.map(str::to_owned))
                .set_move_to_version_id(stage.to.map(str::to_owned));
            let Err(error) = call.send().await else { return Ok(Moved::Done) };
            let error = self.failed("UpdateSecretVersionStage", error);
            // The service rejects a move if `RemoveFromVersionId` does not have the label, with the same code as for
            // any other invalid parameter. Only the labels show which it was.
            if !matches!(error.kind(), secretcache::ErrorKind::InvalidRequest) {
                return Err(error.into());
            }
            let state = self.describe(secret_id).await?;
            // If the labels do not explain the rejection, this read may be stale, so report a conflict, which is
            // retried.
            stage.outcome(&state).ok_or_else(|| Error::new(ErrorKind::Conflict, error.to_string()))
        })
    }

    fn random_password<'a>(
        &'a self,
        policy: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>> {
        Box::pin(async move {
            let call = self
                .client
                .get_random_password()
                .password_length(i64::try_from(policy.length).unwrap_or(i64::MAX))
                .exclude_characters(policy.exclude_characters.as_str())
                .exclude_numbers(policy.exclude_numbers)
                .exclude_punctuation(policy.exclude_punctuation)
                .exclude_uppercase(policy.exclude_uppercase)
                .exclude_lowercase(policy.exclude_lowercase)
                .require_each_included_type(policy.require_each_included_type);
            let answer = call.send().await.map_err(|error| match &error {
                SdkError::ServiceError(context)
                    if matches!(context.err(), GetRandomPasswordError::InvalidParameterException(_)) =>
                {
                    Error::new(
                        ErrorKind::Misconfigured,
                        format!(
                            "Secrets Manager cannot generate a password under this policy: {}",
                            context.err()
                        ),
                    )
                }
                _ => self.failed("GetRandomPassword", error).into(),
            })?;
            answer.random_password.map(Zeroizing::new).ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, "GetRandomPassword: the response contains no password")
            })
        })
    }

    fn list_versions<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>> {
        Box::pin(async move {
            let mut pages = self
                .client
                .list_secret_version_ids()
                .secret_id(secret_id)
                .include_deprecated(true)
                .into_paginator()
                .send();
            let mut versions = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| self.failed("ListSecretVersionIds", error))?;
                versions.extend(page.versions.unwrap_or_default());
            }
            versions.sort_by_key(|version| std::cmp::Reverse(version.created_date));
            let state = |version: aws_sdk_secretsmanager::types::SecretVersionsListEntry| VersionState {
                id: version.version_id.unwrap_or_default(),
                stages: version.version_stages.unwrap_or_default(),
            };
            Ok(versions.into_iter().map(state).collect())
        })
    }
}

/// Extracts what a rotation step needs from a response.
fn state(answer: DescribeSecretOutput) -> SecretState {
    let versions = answer.version_ids_to_stages.unwrap_or_default();
    SecretState {
        // Only a replica's ARN names a Region other than its primary Region.
        is_replica: match (&answer.primary_region, &answer.arn) {
            (Some(primary), Some(arn)) => arn.split(':').nth(3) != Some(primary.as_str()),
            _ => false,
        },
        arn: answer.arn.unwrap_or_default(),
        rotation_enabled: answer.rotation_enabled,
        versions: versions.into_iter().map(|(id, stages)| VersionState { id, stages }).collect(),
    }
}

impl fmt::Debug for AwsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsStore")
    }
}

/// Maps an error of the store to its meaning for a rotation.
impl From<secretcache::Error> for Error {
    fn from(error: secretcache::Error) -> Self {
        use secretcache::ErrorKind as Cause;
        let kind = match error.kind() {
            Cause::AccessDenied
            | Cause::KeyUnavailable
            | Cause::NoCredentials
            | Cause::InvalidCredentials => ErrorKind::Denied,
            Cause::Timeout
            | Cause::Connection
            | Cause::Throttled
            | Cause::ServiceUnavailable
            | Cause::InvalidResponse => ErrorKind::Unavailable,
            _ => ErrorKind::Misconfigured,
        };
        Self::new(kind, error.to_string()).of_service(error.kind())
    }
}

#[cfg(test)]
mod tests {
    use secretcache::ErrorKind as Cause;

    use super::*;

    #[test]
    fn a_missing_version_is_not_a_missing_secret() {
        let error = |cause| Error::from(secretcache::Error::new(cause, "not found"));
        assert!(error(Cause::SecretNotFound).is_of_missing_secret());
        assert!(error(Cause::VersionNotFound).is_of_service());
        assert!(!error(Cause::VersionNotFound).is_of_missing_secret());
        assert!(!Error::new(ErrorKind::Misconfigured, "not found").is_of_missing_secret());
    }
}
