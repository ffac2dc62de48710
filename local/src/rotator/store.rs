//! The store of the rotation engine: this endpoint's own operations, called without the network.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secretcache_rotation::{
    BoxFuture, Document, Error, ErrorKind, Moved, PasswordPolicy, Pending, Put, SecretState, SecretStore,
    Selector, StageMove, Version, VersionState,
};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::arn::Scope;
use crate::engine::Engine;
use crate::error::{ErrorCode, ServiceError};
use crate::time::Timestamp;
use crate::value::SecretText;

/// The secrets of one account and Region.
#[derive(Clone)]
pub(super) struct EngineStore {
    pub(super) engine: Arc<Engine>,
    pub(super) scope: Scope,
}

impl EngineStore {
    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        operation: &'static str,
        parameters: Zeroizing<Vec<u8>>,
    ) -> Result<T, ServiceError> {
        let scope = self.scope.clone();
        let run = move |engine: &Engine| engine.execute(scope, operation, &parameters);
        let answer = Zeroizing::new(self.engine.run(run).await?);
        serde_json::from_slice(&answer)
            .map_err(|_| ServiceError::new(ErrorCode::InternalServiceError, "The answer could not be read."))
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        operation: &'static str,
        parameters: Value,
    ) -> Result<T, ServiceError> {
        self.call(operation, Zeroizing::new(parameters.to_string().into_bytes())).await
    }
}

impl SecretStore for EngineStore {
    fn describe<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<SecretState, Error>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            #[serde(rename = "ARN")]
            arn: String,
            rotation_enabled: Option<bool>,
            #[serde(default)]
            version_ids_to_stages: std::collections::BTreeMap<String, Vec<String>>,
        }
        Box::pin(async move {
            let answer: Answer =
                self.ask("DescribeSecret", json!({ "SecretId": secret_id })).await.map_err(meaning)?;
            let versions = answer.version_ids_to_stages.into_iter();
            Ok(SecretState {
                arn: answer.arn,
                rotation_enabled: answer.rotation_enabled,
                is_replica: false,
                versions: versions.map(|(id, stages)| VersionState { id, stages }).collect(),
            })
        })
    }

    fn get<'a>(
        &'a self,
        secret_id: &'a str,
        version: Selector<'a>,
    ) -> BoxFuture<'a, Result<Option<Version>, Error>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            version_id: String,
            created_date: Timestamp,
            secret_string: Option<SecretText>,
        }
        Box::pin(async move {
            let parameters = json!({
                "SecretId": secret_id,
                "VersionStage": version.as_stage(),
                "VersionId": version.as_version_id(),
            });
            let answer: Answer = match self.ask("GetSecretValue", parameters).await {
                Ok(answer) => answer,
                Err(error) if error.code() == ErrorCode::ResourceNotFound => return Ok(None),
                Err(error) => return Err(meaning(error)),
            };
            let Some(SecretText(value)) = answer.secret_string else {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    "the secret is binary; a secret that rotates must be a string with a JSON object",
                ));
            };
            let millis = u64::try_from(answer.created_date.millis()).unwrap_or_default();
            Ok(Some(Version {
                id: answer.version_id,
                created: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
                document: Document::parse(value.as_text().unwrap_or_default())?,
            }))
        })
    }

    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Parameters<'a> {
            secret_id: &'a str,
            client_request_token: &'a str,
            secret_string: &'a str,
            version_stages: [&'a str; 1],
            #[serde(skip_serializing_if = "Option::is_none")]
            rotation_token: Option<&'a str>,
        }
        Box::pin(async move {
            let parameters = Parameters {
                secret_id: pending.secret_id,
                client_request_token: pending.token,
                secret_string: pending.document.text(),
                version_stages: [crate::labels::PENDING],
                rotation_token: pending.rotation_token.map(|token| token.expose()),
            };
            let body = serde_json::to_vec(&parameters).map_err(|_| {
                Error::new(ErrorKind::Misconfigured, "the new value cannot be written as JSON")
            })?;
            match self.call::<Value>("PutSecretValue", Zeroizing::new(body)).await {
                Ok(_) => Ok(Put::Stored),
                Err(error) if error.code() == ErrorCode::ResourceExists => Ok(Put::Exists),
                Err(error) => Err(meaning(error)),
            }
        })
    }

    fn move_stage<'a>(
        &'a self,
        secret_id: &'a str,
        stage: StageMove<'a>,
    ) -> BoxFuture<'a, Result<Moved, Error>> {
        Box::pin(async move {
            let parameters = json!({
                "SecretId": secret_id,
                "VersionStage": stage.stage,
                "RemoveFromVersionId": stage.from,
                "MoveToVersionId": stage.to,
            });
            let Err(error) = self.ask::<Value>("UpdateSecretVersionStage", parameters).await else {
                return Ok(Moved::Done);
            };
            if error.code() != ErrorCode::InvalidParameter {
                return Err(meaning(error));
            }
            let state = self.describe(secret_id).await?;
            stage.outcome(&state).ok_or_else(|| Error::new(ErrorKind::Conflict, error.message()))
        })
    }

    fn random_password<'a>(
        &'a self,
        policy: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            random_password: SecretText,
        }
        Box::pin(async move {
            let parameters = json!({
                "PasswordLength": policy.length,
                "ExcludeCharacters": policy.exclude_characters,
                "ExcludeNumbers": policy.exclude_numbers,
                "ExcludePunctuation": policy.exclude_punctuation,
                "ExcludeUppercase": policy.exclude_uppercase,
                "ExcludeLowercase": policy.exclude_lowercase,
                "RequireEachIncludedType": policy.require_each_included_type,
            });
            let answer: Answer = self.ask("GetRandomPassword", parameters).await.map_err(meaning)?;
            Ok(Zeroizing::new(answer.random_password.0.as_text().unwrap_or_default().to_owned()))
        })
    }

    fn list_versions<'a>(&'a self, secret_id: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            versions: Vec<Entry>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Entry {
            version_id: String,
            #[serde(default)]
            version_stages: Vec<String>,
        }
        Box::pin(async move {
            let mut versions = Vec::new();
            let mut next_token: Option<String> = None;
            loop {
                let parameters =
                    json!({ "SecretId": secret_id, "IncludeDeprecated": true, "NextToken": next_token });
                let page: Answer = self.ask("ListSecretVersionIds", parameters).await.map_err(meaning)?;
                let state =
                    |entry: Entry| VersionState { id: entry.version_id, stages: entry.version_stages };
                versions.extend(page.versions.into_iter().map(state));
                next_token = page.next_token;
                if next_token.is_none() {
                    // Pages are sorted oldest first.
                    versions.reverse();
                    return Ok(versions);
                }
            }
        })
    }
}

impl fmt::Debug for EngineStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EngineStore").field(&self.scope).finish()
    }
}

/// Converts an error of an operation to one of the rotation engine.
fn meaning(error: ServiceError) -> Error {
    let kind = match error.code() {
        ErrorCode::InternalServiceError => ErrorKind::Unavailable,
        ErrorCode::AccessDenied => ErrorKind::Denied,
        _ => ErrorKind::Misconfigured,
    };
    Error::new(kind, error.message())
}
