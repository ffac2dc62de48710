//! AWS Secrets Manager as a source, through the AWS SDK.

use std::error::Error as StdError;
use std::fmt;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::primitives::DateTime;
use zeroize::Zeroizing;

use self::iam_token::TokenSigner;
use super::exhausted;
use super::options::Options;
use crate::error::{Error, ErrorKind, ServiceFault};
use crate::fetched::{Fetched, Value};
use crate::iam_login::IamLogin;
use crate::id::Selector;
use crate::source::{Batch, BoxFuture, SecretSource};
use crate::wire::{DescribeAnswer, Description, check_arn};

mod config;
mod credential_process;
mod credentials;
mod http;
mod iam_token;
mod profile;
mod unreached;

pub use credential_process::parse_credentials;
pub(super) use http::watched;
pub use iam_token::sign_token;
pub(super) use unreached::Unreached;

/// A client of the service.
pub(super) struct AwsSource {
    client: Client,
    /// The endpoint's URL.
    pub(super) endpoint: String,
    tokens: TokenSigner,
    /// The configuration that the client was built from.
    settings: SdkConfig,
    endpoint_url: Option<String>,
}

impl AwsSource {
    pub(super) async fn connect(options: &Options) -> Result<Self, Error> {
        options.reach().await
    }

    /// The client's Region.
    pub(super) fn region(&self) -> &str {
        self.settings.region().map_or("", Region::as_ref)
    }

    /// Makes a call; `operation` is the API's name for it.
    async fn ask<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Sent<T, E>>,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
    {
        let (answer, missed) = http::watched(call).await;
        answer.map_err(|error| meaning(operation, error, &self.endpoint, missed))
    }
}

type Sent<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// Converts a response of `GetSecretValue`, or an entry of `BatchGetSecretValue`, to a version. They are two types of
/// the SDK with the same fields.
macro_rules! fetched {
    ($answer:expr) => {{
        let answer = $answer;
        let mut fetched = Fetched::default();
        fetched.arn = answer.arn;
        fetched.name = answer.name;
        fetched.version_id = answer.version_id;
        fetched.version_stages = answer.version_stages.unwrap_or_default();
        fetched.created_date = answer.created_date.and_then(system_time);
        fetched.value = match (answer.secret_string, answer.secret_binary) {
            (Some(string), _) => Value::String(Zeroizing::new(string)),
            (None, Some(binary)) => Value::Binary(Zeroizing::new(binary.into_inner())),
            (None, None) => Value::Absent,
        };
        fetched
    }};
}

impl SecretSource for AwsSource {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        Box::pin(async move {
            let call = self.client.describe_secret().secret_id(id).send();
            let answer = self.ask("DescribeSecret", call).await?;
            check_arn(id, answer.arn.as_deref())?;
            let rules = answer.rotation_rules;
            Ok(Description::from_service(DescribeAnswer {
                arn: answer.arn,
                versions: answer.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
                is_deleted: answer.deleted_date.is_some(),
                rotation_enabled: answer.rotation_enabled,
                next_rotation_date: answer.next_rotation_date.and_then(system_time),
                last_rotated_date: answer.last_rotated_date.and_then(system_time),
                schedule_expression: rules.as_ref().and_then(|rules| rules.schedule_expression.clone()),
                duration: rules.and_then(|rules| rules.duration),
            }))
        })
    }

    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            if let Some(login) = IamLogin::of_id(id) {
                return self.tokens.fetch(&login?, selector).await;
            }
            // The stage is always sent, even AWSCURRENT, because policies can have conditions on it.
            let call = self
                .client
                .get_secret_value()
                .secret_id(id)
                .set_version_stage(selector.as_stage().map(str::to_owned))
                .set_version_id(selector.as_version_id().map(str::to_owned));
            let answer = self.ask("GetSecretValue", call.send()).await?;
            check_arn(id, answer.arn.as_deref())?;
            Ok(fetched!(answer))
        })
    }

    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, Error>> {
        const OPERATION: &str = "BatchGetSecretValue";
        Box::pin(async move {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            let call = self.client.batch_get_secret_value().set_secret_id_list(Some(ids)).send();
            let answer = self.ask(OPERATION, call).await?;
            let found =
                answer.secret_values.unwrap_or_default().into_iter().map(|entry| fetched!(entry)).collect();
            let mut batch = Batch { found, failed: Vec::new() };
            for entry in answer.errors.unwrap_or_default() {
                let code = entry.error_code.unwrap_or_default();
                let message = entry.message.unwrap_or_default();
                let kind = ErrorKind::from_service(&code, &message, None);
                let error =
                    Error::new(kind, message.clone()).with_fault(ServiceFault::new(OPERATION, code, message));
                batch.failed.push((entry.secret_id.unwrap_or_default(), error));
            }
            Ok(batch)
        })
    }
}

fn system_time(date: DateTime) -> Option<std::time::SystemTime> {
    date.try_into().ok()
}

/// Converts the error of a failed AWS SDK call, with the service's own message if it answered. `operation` is the API's
/// name for the call, such as `GetSecretValue`; `endpoint` is the URL of the endpoint, or empty if it is unknown.
pub fn service_error<E>(operation: &'static str, endpoint: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
{
    meaning(operation, error, endpoint, None)
}

/// As [`service_error`]; `missed` is why the last attempt got no answer.
fn meaning<E>(
    operation: &'static str,
    error: SdkError<E, HttpResponse>,
    endpoint: &str,
    missed: Option<Unreached>,
) -> Error
where
    E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
{
    let endpoint =
        if endpoint.is_empty() { "the endpoint".to_owned() } else { format!("the endpoint {endpoint}") };
    match &error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            if context.raw().status().is_success() {
                return not_understood(operation, status);
            }
            let metadata = context.err().meta();
            let code = metadata.code().unwrap_or("Unknown");
            let message = metadata.message().unwrap_or("the service gave no reason");
            let kind = ErrorKind::from_service(code, message, Some(status));
            let fault = ServiceFault::new(operation, code, message)
                .with_response(status, context.err().request_id().map(str::to_owned));
            Error::new(kind, message).with_fault(fault)
        }
        SdkError::ConstructionFailure(_) => {
            let text = format!("{operation}: the request could not be built: {}", root_cause(&error));
            Error::new(ErrorKind::InvalidConfiguration, text)
        }
        SdkError::TimeoutError(_) => match missed {
            Some(unreached) => unreached.error(&format!("{operation}: cannot reach {endpoint}")),
            None => {
                Error::new(ErrorKind::Timeout, format!("{operation}: no response from {endpoint} in time"))
            }
        },
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            let text = format!("{operation}: no connection to {endpoint} in time");
            Error::new(ErrorKind::Timeout, text)
        }
        SdkError::DispatchFailure(_) if causes(&error).any(|cause| cause.is::<http::TooLarge>()) => {
            let text = format!("{operation}: {}", root_cause(&error));
            Error::new(ErrorKind::InvalidResponse, text)
        }
        SdkError::ResponseError(context) => not_understood(operation, context.raw().status().as_u16()),
        _ => not_sent(operation, &endpoint, &error),
    }
}

/// The error for a response that does not follow the protocol. The SDK treats a success with a broken body as an error
/// without a code.
fn not_understood(operation: &str, status: u16) -> Error {
    let kind = if status >= 500 { ErrorKind::ServiceUnavailable } else { ErrorKind::InvalidResponse };
    Error::new(kind, format!("{operation}: unexpected response (HTTP {status})"))
}

/// The error for a request that never got an answer: no credentials, or no connection.
fn not_sent(operation: &'static str, endpoint: &str, error: &(dyn StdError + 'static)) -> Error {
    let credentials = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    match credentials {
        Some(credentials) => no_credentials(credentials),
        None => {
            let system = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
            match system.filter_map(exhausted::resource).next() {
                Some(text) => Error::new(ErrorKind::ResourceExhausted, format!("{operation}: {text}")),
                None => Unreached::of(error).error(&format!("{operation}: cannot reach {endpoint}")),
            }
        }
    }
}

fn no_credentials(error: &CredentialsError) -> Error {
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<Error>()) {
        return error.clone(); // of a role that could not be assumed
    }
    let problem = match error {
        CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found".to_owned(),
        _ => format!("no AWS credentials could be loaded ({})", root_cause(error)),
    };
    let text =
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with a profile, or give the machine a role";
    Error::new(ErrorKind::NoCredentials, format!("{problem}: {text}"))
}

/// Returns an error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

impl fmt::Debug for AwsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsSource")
    }
}
