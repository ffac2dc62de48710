//! Finds credentials in the same places and order as botocore.
//!
//! 1. The environment's access key, unless the program named a profile.
//! 2. The profile's role, assumed with the credentials of its source profile or source.
//! 3. The profile's web identity (or the environment's), single sign-on, keys in the credentials file,
//!    `credential_process`, keys in the config file.
//! 4. The container's, then the machine's.
//!
//! The first that is configured is used. If it fails, that is an error: falling through to another one would give the
//! program another identity. (botocore, `create_credential_resolver`.)

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::Profile;
use aws_config::provider_config::ProviderConfig;
use aws_config::sso::credentials::Builder as SsoBuilder;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::credential_process::CredentialProcess;
use super::profile::{Profiles, env_var};
use super::unreached::Unreached;
use super::{causes, no_credentials};
use crate::error::{Error, ErrorKind, ServiceFault};
use crate::place::Role;

/// The session name of assumed roles, which CloudTrail shows, unless the profile sets one.
pub(super) const SESSION_NAME: &str = "secretcache";

/// Finds the provider of credentials.
pub(super) struct Finder<'a> {
    pub(super) profiles: &'a Profiles,
    /// Whether the program named the profile.
    pub(super) is_explicit: bool,
    /// The configuration for STS calls: without credentials, and without the endpoint of Secrets Manager.
    pub(super) config: &'a SdkConfig,
    /// The same configuration for providers of `aws-config`.
    pub(super) settings: ProviderConfig,
}

type Found = Result<SharedCredentialsProvider, Error>;

impl Finder<'_> {
    /// Returns the provider of the credentials to use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] naming the profile and what is wrong with it.
    pub(super) async fn find(&self) -> Found {
        let name = self.profiles.name();
        if !self.is_explicit && env_var("AWS_ACCESS_KEY_ID").is_some() {
            return self.source("Environment", name);
        }
        if let Some(role) = self.role(name).await? {
            return Ok(role);
        }
        if let Some(provider) = self.of_profile(name, !self.is_explicit)? {
            return Ok(provider);
        }
        let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        let is_container = container.iter().any(|name| env_var(name).is_some());
        self.source(if is_container { "EcsContainer" } else { "Ec2InstanceMetadata" }, name)
    }

    /// Returns the credentials of a profile's role, if it has one. The chain of source profiles ends at one with its
    /// own credentials; starting with those, each role is assumed in turn.
    async fn role(&self, first: &str) -> Result<Option<SharedCredentialsProvider>, Error> {
        let (mut roles, mut visited, mut name) = (Vec::new(), HashSet::new(), first);
        let mut provider = loop {
            let profile = self.profiles.profile(name).filter(|profile| is_role(profile));
            let Some(profile) = profile.filter(|profile| roles.is_empty() || !has_keys(profile)) else {
                if roles.is_empty() {
                    return Ok(None);
                }
                break self.of_source_profile(name)?;
            };
            visited.insert(name);
            roles.push(profile);
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(_), Some(_)) => {
                    return Err(invalid(name, "has both source_profile and credential_source; remove one"));
                }
                (None, None) => {
                    return Err(invalid(name, "has role_arn without source_profile or credential_source"));
                }
                (None, Some(source)) => break self.source(source, name)?,
                (Some(source), None) if self.profiles.profile(source).is_none() => {
                    return Err(invalid(
                        name,
                        &format!("has source_profile {source:?}, which does not exist"),
                    ));
                }
                (Some(source), None) if source == name && has_keys(profile) => {
                    break self.of_source_profile(name)?;
                }
                (Some(source), None) if visited.contains(source) => {
                    return Err(invalid(
                        name,
                        &format!("has source_profile {source:?}, which refers back to it"),
                    ));
                }
                (Some(source), None) => name = source,
            }
        };
        for profile in roles.into_iter().rev() {
            provider = self.assumed(profile, provider).await?;
        }
        Ok(Some(provider))
    }

    async fn assumed(&self, profile: &Profile, source: SharedCredentialsProvider) -> Found {
        if profile.get("mfa_serial").is_some() {
            let problem = "asks for an MFA code (mfa_serial), which a library cannot prompt for; use temporary \
                           credentials from `aws sts get-session-token`, or a credential_process";
            return Err(invalid(profile.name(), problem));
        }
        let text = |setting| profile.get(setting).map(str::to_owned);
        let role = Role { arn: text("role_arn").unwrap_or_default(), external_id: text("external_id") };
        Ok(assumed(&role, Some(profile), self.config, source).await)
    }

    fn of_source_profile(&self, name: &str) -> Found {
        let provider = self.of_profile(name, false)?;
        provider.ok_or_else(|| invalid(name, "is the source of a role and has no credentials"))
    }

    /// Returns the credentials that a profile itself configures, apart from a role with a source.
    fn of_profile(
        &self,
        name: &str,
        with_environment: bool,
    ) -> Result<Option<SharedCredentialsProvider>, Error> {
        let profile = self.profiles.profile(name);
        let setting = |setting: &str| profile.and_then(|profile| profile.get(setting)).map(str::to_owned);
        let variable = |name| if with_environment { env_var(name) } else { None };

        let token_file =
            variable("AWS_WEB_IDENTITY_TOKEN_FILE").or_else(|| setting("web_identity_token_file"));
        if let Some(token_file) = token_file {
            let role_arn = variable("AWS_ROLE_ARN").or_else(|| setting("role_arn"));
            let Some(role_arn) = role_arn else {
                return Err(invalid(
                    name,
                    "has a web identity token file without a role; set AWS_ROLE_ARN or role_arn",
                ));
            };
            let session_name = variable("AWS_ROLE_SESSION_NAME").or_else(|| setting("role_session_name"));
            let session_name = session_name.unwrap_or_else(|| SESSION_NAME.to_owned());
            let (token_file, config) = (PathBuf::from(token_file), self.config.clone());
            return Ok(Some(patient(WebIdentity { token_file, role_arn, session_name, config })));
        }
        if setting("sso_account_id").is_some() || setting("sso_role_name").is_some() {
            return self.single_sign_on(name, &setting).map(Some);
        }
        if let Some(keys) = self.profiles.shared_credentials(name).and_then(keys) {
            return Ok(Some(SharedCredentialsProvider::new(keys?)));
        }
        if setting("login_session").is_some() {
            let problem = "uses `aws login`, which is not supported here; use credential_process = \
                           aws configure export-credentials --format process";
            return Err(invalid(name, problem));
        }
        if let Some(command) = setting("credential_process") {
            return Ok(Some(patient(
                CredentialProcess::new(&command).map_err(|problem| invalid(name, problem))?,
            )));
        }
        let keys = profile.and_then(keys).transpose()?;
        Ok(keys.map(SharedCredentialsProvider::new))
    }

    fn single_sign_on(&self, name: &str, setting: &dyn Fn(&str) -> Option<String>) -> Found {
        let session = setting("sso_session");
        if let Some(session) = session.as_deref().filter(|session| !self.profiles.has_sso_session(session)) {
            return Err(invalid(name, &format!("names the sso_session {session:?}, which does not exist")));
        }
        let required = |wanted: &str| {
            let of_session =
                session.as_deref().and_then(|session| self.profiles.sso_session(session, wanted));
            let value = of_session.map(str::to_owned).or_else(|| setting(wanted));
            value.ok_or_else(|| invalid(name, &format!("uses single sign-on and has no {wanted}")))
        };
        let mut provider = SsoBuilder::new()
            .configure(&self.settings)
            .account_id(required("sso_account_id")?)
            .role_name(required("sso_role_name")?)
            .start_url(required("sso_start_url")?)
            .region(Region::new(required("sso_region")?));
        provider.set_session_name(session);
        Ok(patient(provider.build()))
    }

    /// Returns the provider for a `credential_source`.
    fn source(&self, source: &str, profile: &str) -> Found {
        Ok(match source {
            "Environment" => SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
            "EcsContainer" => patient(EcsCredentialsProvider::builder().configure(&self.settings).build()),
            "Ec2InstanceMetadata" => {
                patient(ImdsCredentialsProvider::builder().configure(&self.settings).build())
            }
            _ => {
                let known = "Environment, Ec2InstanceMetadata or EcsContainer";
                return Err(invalid(profile, &format!("has credential_source {source:?}; use {known}")));
            }
        })
    }
}

/// Returns the credentials of a role, assumed with those of `source`. The profile sets the session's name and length,
/// if it has these settings.
pub(super) async fn assumed(
    role: &Role,
    profile: Option<&Profile>,
    config: &SdkConfig,
    source: SharedCredentialsProvider,
) -> SharedCredentialsProvider {
    let setting = |name| profile.and_then(|profile| profile.get(name));
    let mut session = AssumeRoleProvider::builder(&role.arn)
        .configure(config)
        .session_name(setting("role_session_name").unwrap_or(SESSION_NAME));
    if let Some(external_id) = &role.external_id {
        session = session.external_id(external_id);
    }
    if let Some(seconds) = setting("duration_seconds").and_then(|seconds| seconds.parse().ok()) {
        session = session.session_length(Duration::from_secs(seconds));
    }
    let session = session.build_from_provider(source).await;
    patient(AssumedRole { arn: role.arn.clone(), session })
}

/// An assumed role whose errors name it.
#[derive(Debug)]
struct AssumedRole {
    arn: String,
    session: AssumeRoleProvider,
}

impl AssumedRole {
    async fn credentials(&self) -> provider::Result {
        let failed = |error| CredentialsError::provider_error(not_assumed(&self.arn, &error));
        self.session.provide_credentials().await.map_err(failed)
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// The error for a role that could not be assumed: STS refuses it or does not answer, or there are no credentials to
/// assume it with.
fn not_assumed(arn: &str, error: &CredentialsError) -> Error {
    let mut below = causes(error).skip(1);
    if let Some(source) = below.find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        return no_credentials(source);
    }
    let text = |why: &str| format!("the role {arn} cannot be assumed: {why}");
    let refused =
        causes(error).find_map(|cause| cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>());
    match refused {
        Some(SdkError::ServiceError(context)) => {
            let (metadata, status) = (context.err().meta(), context.raw().status().as_u16());
            let code = metadata.code().unwrap_or("Unknown");
            let message = text(metadata.message().unwrap_or("STS gave no reason"));
            let fault = ServiceFault::new("AssumeRole", code, message.clone())
                .with_response(status, context.err().request_id().map(str::to_owned));
            Error::new(ErrorKind::from_service(code, &message, Some(status)), message).with_fault(fault)
        }
        Some(SdkError::TimeoutError(_)) => {
            Error::new(ErrorKind::Timeout, text("no response from STS in time"))
        }
        _ => Unreached::of(error).error(&text("cannot reach STS")),
    }
}

fn is_role(profile: &Profile) -> bool {
    profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none()
}

fn has_keys(profile: &Profile) -> bool {
    profile.get("aws_access_key_id").is_some() || profile.get("aws_secret_access_key").is_some()
}

/// The access key in a profile.
fn keys(profile: &Profile) -> Option<Result<Credentials, Error>> {
    let id = profile.get("aws_access_key_id")?;
    let Some(secret) = profile.get("aws_secret_access_key") else {
        return Some(Err(invalid(profile.name(), "has aws_access_key_id without aws_secret_access_key")));
    };
    let token = profile.get("aws_session_token").map(str::to_owned);
    Some(Ok(Credentials::new(id, secret, token, None, "profile")))
}

fn invalid(profile: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, format!("AWS profile {profile:?} {problem}"))
}

/// A role, assumed with a token from a file that something else keeps up to date.
#[derive(Debug)]
struct WebIdentity {
    token_file: PathBuf,
    role_arn: String,
    session_name: String,
    config: SdkConfig,
}

impl WebIdentity {
    async fn credentials(&self) -> provider::Result {
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| {
            let file = self.token_file.display();
            CredentialsError::provider_error(format!("cannot read the web identity token {file}: {error}"))
        })?;
        let call = aws_sdk_sts::Client::new(&self.config)
            .assume_role_with_web_identity()
            .role_arn(&self.role_arn)
            .role_session_name(&self.session_name)
            .web_identity_token(token);
        let answer = call.send().await.map_err(CredentialsError::provider_error)?;
        let Some(keys) = answer.credentials else {
            return Err(CredentialsError::provider_error(
                "AssumeRoleWithWebIdentity: no credentials in the response",
            ));
        };
        let expiry = SystemTime::try_from(keys.expiration).map_err(CredentialsError::provider_error)?;
        let token = Some(keys.session_token);
        Ok(Credentials::new(keys.access_key_id, keys.secret_access_key, token, Some(expiry), "web identity"))
    }
}

impl ProvideCredentials for WebIdentity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// A provider whose loads outlive the request that started them.
///
/// A request gives up after its timeout, and the SDK then drops the load with it. Credentials that take longer, for
/// example from a helper that opens a browser, would never arrive. So the next request takes over the load in progress.
#[derive(Debug)]
struct Patient {
    inner: Arc<dyn ProvideCredentials>,
    running: Mutex<Option<JoinHandle<(provider::Result, Instant)>>>,
}

/// A load that ended longer ago is not used: credentials may have changed since.
const FRESH: Duration = Duration::from_secs(60);

fn patient(provider: impl ProvideCredentials + 'static) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Patient { inner: Arc::new(provider), running: Mutex::default() })
}

impl Patient {
    async fn load(&self) -> provider::Result {
        let mut running = self.running.lock().await;
        loop {
            let task = running.get_or_insert_with(|| tokio::spawn(timed(Arc::clone(&self.inner))));
            let was_finished = task.is_finished();
            let loaded = task.await;
            *running = None;
            let (result, at) = loaded.map_err(CredentialsError::unhandled)?;
            if !was_finished || (result.is_ok() && at.elapsed() < FRESH) {
                return result;
            }
        }
    }
}

async fn timed(provider: Arc<dyn ProvideCredentials>) -> (provider::Result, Instant) {
    (provider.provide_credentials().await, Instant::now())
}

impl ProvideCredentials for Patient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
