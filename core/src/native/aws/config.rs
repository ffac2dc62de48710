//! Builds the SDK's configuration from the options, the environment and the configuration files.

use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, FrameworkMetadata, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_secretsmanager::config::{Builder, Credentials as SdkCredentials};
use aws_smithy_http_client::tls::TrustStore;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;

use super::AwsSource;
use super::credentials::{Finder, assumed};
use super::http;
use super::iam_token::TokenSigner;
use super::profile::{Profiles, default_region};
use crate::error::{Error, ErrorKind};
use crate::native::Options;
use crate::native::options::TIMEOUT;
use crate::place::Role;

impl AwsSource {
    async fn new(settings: SdkConfig, endpoint_url: Option<String>) -> Self {
        let mut config = Builder::from(&settings);
        config.set_endpoint_url(endpoint_url.clone());
        let place = Params::builder()
            .set_region(settings.region().map(ToString::to_string))
            .set_use_fips(settings.use_fips())
            .set_use_dual_stack(settings.use_dual_stack())
            .set_endpoint(endpoint_url.clone())
            .build();
        let endpoint = match place {
            Ok(place) => DefaultResolver::new().resolve_endpoint(&place).await.ok(),
            Err(_) => None,
        };
        let endpoint = endpoint.map_or_else(String::new, |endpoint| endpoint.url().to_owned());
        let region = settings.region().map(ToString::to_string).unwrap_or_default();
        let patience = settings.timeout_config().and_then(TimeoutConfig::operation_timeout);
        let tokens = TokenSigner::new(settings.credentials_provider(), region, patience.unwrap_or(TIMEOUT));
        Self { client: Client::from_conf(config.build()), endpoint, tokens, settings, endpoint_url }
    }

    /// Returns the same source with a role, which is assumed with this source's credentials.
    pub(in crate::native) async fn with_role(&self, role: &Role) -> Self {
        let settings = self.settings.clone();
        let credentials = match settings.credentials_provider() {
            Some(source) => Some(assumed(role, None, &settings, source).await),
            None => None,
        };
        let mut settings = settings.into_builder();
        settings.set_credentials_provider(credentials);
        Self::new(settings.build(), self.endpoint_url.clone()).await
    }
}

impl Options {
    /// Returns a Secrets Manager client with these options, configured as for the cache, and the URL of its endpoint.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let (client, endpoint) = secretcache::host::Options::default().client().await?;
    /// let secrets = client.list_secrets().send().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::sdk_config`].
    pub async fn client(&self) -> Result<(Client, String), Error> {
        let AwsSource { client, endpoint, .. } = self.reach().await?;
        Ok((client, endpoint))
    }

    /// Creates the client and the token signer.
    pub(super) async fn reach(&self) -> Result<AwsSource, Error> {
        self.validate()?;
        let profiles = Profiles::load(self).await?;
        let settings = self.config(&profiles).await?;
        let url = self.endpoint_url.clone().or_else(|| profiles.endpoint_url());
        Ok(AwsSource::new(settings, url).await)
    }

    /// Returns the AWS SDK's configuration for these options and the environment, for clients of other services.
    /// Region, credentials, proxy, trusted certificates and timeouts are found as for the cache.
    /// [`Options::endpoint_url`] is the endpoint of Secrets Manager and is not part of it.
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
    /// [`ErrorKind::NoRegion`] if no Region is configured; [`ErrorKind::InvalidConfiguration`] if the profile does not
    /// exist or is incomplete, or if the CA bundle or the proxy cannot be used.
    pub async fn sdk_config(&self) -> Result<SdkConfig, Error> {
        self.validate()?;
        self.config(&Profiles::load(self).await?).await
    }

    /// Returns a connector for requests to services for which there is no client. As for the cache, it uses the proxy
    /// and the trusted certificates of these options and the environment. It signs nothing.
    ///
    /// # Errors
    ///
    /// As [`Options::sdk_config`], apart from the Region.
    pub async fn http_connector(&self) -> Result<SharedHttpConnector, Error> {
        Ok(http::connector(&self.trust(&Profiles::load(self).await?)?, &http::proxy(self)?))
    }

    fn trust(&self, profiles: &Profiles) -> Result<TrustStore, Error> {
        let ca_bundle = self.ca_bundle.clone().filter(|path| !path.as_os_str().is_empty());
        http::trust_store(ca_bundle.or_else(|| profiles.ca_bundle()).as_deref())
    }

    async fn config(&self, profiles: &Profiles) -> Result<SdkConfig, Error> {
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        // One attempt must leave time for another one within the whole.
        let attempt = timeout.mul_f64(0.4);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(attempt.min(Duration::from_secs(1)))
            .operation_attempt_timeout(attempt)
            .operation_timeout(timeout)
            .build();
        let http_client = http::client(self.trust(profiles)?, http::proxy(self)?);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .http_client(http_client.clone())
            .profile_files(profiles.files())
            .profile_name(profiles.name())
            .no_credentials();
        if let Ok(metadata) = FrameworkMetadata::new("secretcache", Some(env!("CARGO_PKG_VERSION"))) {
            loader = loader.framework_metadata(metadata);
        }
        if let Some(region) = self.region.clone().or_else(default_region) {
            loader = loader.region(Region::new(region));
        }
        if let Some(use_fips) = self.use_fips {
            loader = loader.use_fips(use_fips);
        }
        let config: SdkConfig = loader.load().await;
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(Error::new(
                ErrorKind::NoRegion,
                "no AWS Region is configured: set AWS_REGION, give the profile a region, or pass one",
            ));
        }
        let mut credentials = match &self.credentials {
            Some(credentials) => {
                let token = credentials.session_token.as_ref().map(|token| token.to_string());
                let (id, key) = (&credentials.access_key_id, credentials.secret_access_key.as_str());
                SharedCredentialsProvider::new(SdkCredentials::new(
                    id,
                    key,
                    token,
                    None,
                    "secretcache options",
                ))
            }
            None => {
                let settings = ProviderConfig::without_region()
                    .with_region(config.region().cloned())
                    .with_use_fips(config.use_fips())
                    .with_use_dual_stack(config.use_dual_stack())
                    .with_http_client(http_client);
                let is_explicit = self.profile.is_some();
                Finder { profiles, is_explicit, config: &config, settings }.find().await?
            }
        };
        if let Some(arn) = self.role_arn.clone() {
            let role = Role { arn, external_id: self.external_id.clone() };
            credentials = assumed(&role, None, &config, credentials).await;
        }
        Ok(config.into_builder().credentials_provider(credentials).build())
    }
}
