//! AWS Secrets Manager as a source, through the AWS SDK.

use std::env;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, FrameworkMetadata, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::config::{Credentials as SdkCredentials, SharedHttpClient};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use zeroize::Zeroizing;

use super::options::{Options, TIMEOUT};
use crate::error::{Error, ErrorKind, ServiceFault};
use crate::id::Selector;
use crate::secret::{Fetched, Value};
use crate::source::{Batch, BoxFuture, SecretSource};
use crate::wire::Description;

/// How long an idle connection is kept. A secrets client is idle most of the time, and middleboxes forget idle
/// connections after a minute or so.
const IDLE: Duration = Duration::from_secs(20);

/// A client of the service.
pub(super) struct AwsSource(Client);

impl AwsSource {
    pub(super) async fn connect(options: &Options) -> Result<Self, Error> {
        Ok(Self(Client::new(&options.sdk_config().await?)))
    }
}

impl Options {
    /// The AWS SDK's configuration that these options and the environment come to, for clients of other services or
    /// operations: Region, endpoint, credentials, proxy, trusted certificates and timeouts are found as for the cache.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), secretcache::Error> {
    /// let config = secretcache::host::Options::default().sdk_config().await?;
    /// println!("{:?}", config.region());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoRegion`] if no Region is configured, [`ErrorKind::InvalidConfiguration`] if the CA bundle or the
    /// proxy cannot be used.
    pub async fn sdk_config(&self) -> Result<SdkConfig, Error> {
        let options = self;
        options.validate()?;
        let ca_bundle = read_ca_bundle(options)?;
        let timeout = options.timeout.unwrap_or(TIMEOUT);
        // One attempt must leave room for another within the whole.
        let attempt = timeout.mul_f64(0.4);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(attempt.min(Duration::from_secs(1)))
            .operation_attempt_timeout(attempt)
            .operation_timeout(timeout)
            .build();
        let http_client = http_client(ca_bundle.as_deref(), proxy(options)?);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .http_client(http_client.clone());
        if let Ok(metadata) = FrameworkMetadata::new("secretcache", Some(env!("CARGO_PKG_VERSION"))) {
            loader = loader.framework_metadata(metadata);
        }
        if let Some(region) = options.region.clone().or_else(legacy_region) {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(use_fips) = options.use_fips {
            loader = loader.use_fips(use_fips);
        }
        if let Some(credentials) = &options.credentials {
            let token = credentials.session_token.as_ref().map(|token| token.to_string());
            let (id, key) = (credentials.access_key_id.clone(), credentials.secret_access_key.to_string());
            loader =
                loader.credentials_provider(SdkCredentials::new(id, key, token, None, "secretcache options"));
        }
        let mut config: SdkConfig = loader.load().await;
        if let (Some(profile), None) = (&options.profile, &options.credentials) {
            let credentials = credentials_of_profile(profile, &config, http_client);
            config = config.into_builder().credentials_provider(credentials).build();
        }
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(Error::new(
                ErrorKind::NoRegion,
                "no AWS Region is configured: set AWS_REGION, give the profile a region, or pass one",
            ));
        }
        if let Some(role_arn) = &options.role_arn {
            let mut role =
                AssumeRoleProvider::builder(role_arn).configure(&config).session_name("secretcache");
            if let Some(external_id) = &options.external_id {
                role = role.external_id(external_id);
            }
            let credentials = SharedCredentialsProvider::new(role.build().await);
            config = config.into_builder().credentials_provider(credentials).build();
        }
        Ok(config)
    }

    /// What carries requests to services for which there is no client: over the proxy and by the trusted certificates
    /// that these options and the environment come to, as for the cache. It knows nothing of Regions and signs nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] if the CA bundle or the proxy cannot be used.
    pub fn http_connector(&self) -> Result<SharedHttpConnector, Error> {
        let trust = trust_store(read_ca_bundle(self)?.as_deref());
        Ok(SharedHttpConnector::new(connector(&trust, &proxy(self)?, None, None)))
    }
}

/// The credentials of a profile that the program named: as in boto3, they go before those of the environment, which
/// this SDK would prefer. Where the profile has none, those of the container or the machine do.
fn credentials_of_profile(
    profile: &str,
    config: &SdkConfig,
    http_client: SharedHttpClient,
) -> SharedCredentialsProvider {
    let settings = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_use_fips(config.use_fips())
        .with_http_client(http_client);
    let of_profile =
        ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(profile).build();
    let of_container = EcsCredentialsProvider::builder().configure(&settings).build();
    let of_machine = ImdsCredentialsProvider::builder().configure(&settings).build();
    let chain = CredentialsProviderChain::first_try("Profile", of_profile)
        .or_else("Container", of_container)
        .or_else("InstanceMetadata", of_machine);
    SharedCredentialsProvider::new(chain)
}

/// The proxy of the options; otherwise that of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
fn proxy(options: &Options) -> Result<ProxyConfig, Error> {
    let Some(url) = &options.proxy_url else { return Ok(ProxyConfig::from_env()) };
    ProxyConfig::all(url.as_str()).map_err(|error| {
        Error::new(ErrorKind::InvalidConfiguration, format!("the proxy URL cannot be used: {error}"))
    })
}

/// `AWS_DEFAULT_REGION`, which botocore and the AWS command line read and this SDK does not. `AWS_REGION` goes first.
fn legacy_region() -> Option<String> {
    let set = |name| env_var(name).filter(|value| !value.is_empty());
    if set("AWS_REGION").is_some() { None } else { set("AWS_DEFAULT_REGION") }
}

/// The trusted certificates, if the options or `AWS_CA_BUNDLE` name others than the system's. This SDK does not read
/// that variable; botocore and the AWS command line do.
fn read_ca_bundle(options: &Options) -> Result<Option<Vec<u8>>, Error> {
    let path = options.ca_bundle.clone().or_else(|| env_var("AWS_CA_BUNDLE").map(PathBuf::from));
    let Some(path) = path.filter(|path| path != Path::new("")) else { return Ok(None) };
    let invalid = |problem: String| {
        let path = path.display();
        Error::new(ErrorKind::InvalidConfiguration, format!("the CA bundle {path} {problem}"))
    };
    let bundle = std::fs::read(&path).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    let has_certificate = bundle.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
    if has_certificate { Ok(Some(bundle)) } else { Err(invalid("holds no PEM certificate".into())) }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the AWS environment variables that the SDK itself does not read"
)]
fn env_var(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn trust_store(ca_bundle: Option<&[u8]>) -> TrustStore {
    ca_bundle.map_or_else(TrustStore::default, |bundle| TrustStore::empty().with_pem_certificate(bundle))
}

fn http_client(ca_bundle: Option<&[u8]>, proxy: ProxyConfig) -> SharedHttpClient {
    let trust = trust_store(ca_bundle);
    HttpBuilder::new()
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(2)
        .build_with_connector_fn(move |settings, components| connector(&trust, &proxy, settings, components))
}

fn connector(
    trust: &TrustStore,
    proxy: &ProxyConfig,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut connector = ConnectorBuilder::default().tls_provider(provider);
    if let Ok(context) = TlsContext::builder().with_trust_store(trust.clone()).build() {
        connector.set_tls_context(context);
    }
    connector.set_connector_settings(settings.cloned());
    connector.set_proxy_config(Some(proxy.clone()));
    if let Some(components) = components {
        connector.set_sleep_impl(components.sleep_impl());
    }
    connector.build()
}

/// The version in an answer of `GetSecretValue`, or in an entry of `BatchGetSecretValue`: two types of the SDK with
/// the same fields.
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
            let call = self.0.describe_secret().secret_id(id).send();
            let answer = call.await.map_err(|error| service_error("DescribeSecret", error))?;
            let mut description = Description { arn: answer.arn, ..Description::default() };
            description.last_rotated_date = answer.last_rotated_date.and_then(system_time);
            if answer.rotation_enabled != Some(false) {
                description.next_rotation_date = answer.next_rotation_date.and_then(system_time);
                if let Some(rules) = answer.rotation_rules {
                    description.rotation_rules.schedule_expression = rules.schedule_expression;
                    description.rotation_rules.duration = rules.duration;
                }
            }
            if answer.deleted_date.is_none() {
                description.versions = answer.version_ids_to_stages.unwrap_or_default().into_iter().collect();
            } // else it is still described, but no version of it can be read any more: asking for one will say so
            Ok(description)
        })
    }

    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            // The stage is always sent, AWSCURRENT too: policies may be conditioned on it.
            let call = self
                .0
                .get_secret_value()
                .secret_id(id)
                .set_version_stage(selector.as_stage().map(str::to_owned))
                .set_version_id(selector.as_version_id().map(str::to_owned));
            let answer = call.send().await.map_err(|error| service_error("GetSecretValue", error))?;
            Ok(fetched!(answer))
        })
    }

    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, Error>> {
        const OPERATION: &str = "BatchGetSecretValue";
        Box::pin(async move {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            let call = self.0.batch_get_secret_value().set_secret_id_list(Some(ids)).send();
            let answer = call.await.map_err(|error| service_error(OPERATION, error))?;
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

/// What a failed call of the AWS SDK means, with the service's own words where it answered. `operation` is the API's name
/// of the call, such as `GetSecretValue`.
pub fn service_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
{
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
            let text = format!("{operation}: the request could not be made: {}", root_cause(&error));
            Error::new(ErrorKind::InvalidConfiguration, text)
        }
        SdkError::TimeoutError(_) => {
            Error::new(ErrorKind::Timeout, format!("{operation}: no answer in time"))
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            Error::new(ErrorKind::Timeout, format!("{operation}: no connection in time"))
        }
        SdkError::ResponseError(context) => not_understood(operation, context.raw().status().as_u16()),
        _ => not_sent(operation, &error),
    }
}

/// An answer that is none of the protocol's. The SDK takes a broken body of a success for an error without a code.
fn not_understood(operation: &str, status: u16) -> Error {
    let kind = if status >= 500 { ErrorKind::ServiceUnavailable } else { ErrorKind::InvalidResponse };
    Error::new(kind, format!("{operation}: the answer (HTTP {status}) could not be understood"))
}

/// A request that never got an answer: no credentials, or no connection.
fn not_sent(operation: &'static str, error: &(dyn StdError + 'static)) -> Error {
    let credentials = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    let reason = root_cause(error);
    match credentials {
        Some(credentials) => {
            let problem = match credentials {
                CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found".to_owned(),
                _ => format!("no AWS credentials could be loaded ({reason})"),
            };
            let text = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with a profile, or give the machine a role";
            Error::new(ErrorKind::NoCredentials, format!("{problem}: {text}"))
        }
        None => {
            let text = format!("{operation}: the endpoint could not be reached: {reason}");
            Error::new(ErrorKind::Connection, text)
        }
    }
}

/// An error and what caused it, outermost first.
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
