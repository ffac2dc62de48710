//! The settings of a cache.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::locked;
use super::options::{Credentials, Options, TIMEOUT};
use super::secret_cache::SecretCache;
use super::transport::Transport;
use crate::cache::backoff::Backoff;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::place::Role;
use crate::source::SecretSource;

/// Settings of a [`SecretCache`]; the defaults are those of [`Config`].
///
/// ```
/// use std::time::Duration;
/// use secretcache::SecretCache;
///
/// let cache = SecretCache::builder()
///     .refresh_interval(Duration::from_secs(60))
///     .max_stale(Duration::from_secs(86_400))
///     .region("eu-central-1")
///     .build()?;
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    config: Config,
    options: Options,
    source: Option<Arc<dyn SecretSource>>,
}

impl SecretCache {
    /// Returns a builder for a cache; end with [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// How long a value counts as fresh; each is refreshed between half of it and all of it. Zero: every read asks
    /// the service first.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.config.ttl = interval;
        self
    }

    /// The refresh interval of one secret, by the id that reads use.
    pub fn refresh_interval_of(mut self, id: impl Into<String>, interval: Duration) -> Self {
        self.config.ttl_of.insert(id.into(), interval);
        self
    }

    /// How long the last known value is served while refreshes fail, counted from the last success. Default: no
    /// limit.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.config.max_stale = Some(max_stale);
        self
    }

    /// How long a read waits for the service if there is a last known value.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.config.max_wait = max_wait;
        self
    }

    /// How many secrets are kept.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.config.max_size = max_size;
        self
    }

    /// Whether the last known value is also served after the service denies access, or the secret is deleted.
    /// Default: yes.
    pub fn stale_on_denied(mut self, stale_on_denied: bool) -> Self {
        self.config.stale_on_denied = stale_on_denied;
        self
    }

    /// The pauses after failures.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.config.backoff = backoff;
        self
    }

    /// Whether to keep values out of swap and core dumps; [`Config::lock_memory`] says what that costs.
    pub fn lock_memory(mut self, lock_memory: bool) -> Self {
        self.config.lock_memory = lock_memory;
        self
    }

    /// The AWS Region.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.options.region = Some(region.into());
        self
    }

    /// The service endpoint, such as that of `secretcache local` or of a VPC endpoint.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.options.endpoint_url = Some(url.into());
        self
    }

    /// The profile in the AWS configuration files.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.options.profile = Some(profile.into());
        self
    }

    /// AWS credentials.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.options.credentials = Some(credentials);
        self
    }

    /// A role to assume with the credentials, for example in the account that owns the secrets.
    pub fn role_arn(mut self, role_arn: impl Into<String>) -> Self {
        self.options.role_arn = Some(role_arn.into());
        self
    }

    /// The external id that the role's trust policy requires.
    pub fn external_id(mut self, external_id: impl Into<String>) -> Self {
        self.options.external_id = Some(external_id.into());
        self
    }

    /// A role to assume for the secrets whose id, name or ARN as you pass it to a read, begins with `prefix`, with the
    /// external id that its trust policy requires. The longest prefix wins; if none matches, a secret is read with the
    /// cache's own credentials. At most 20 roles.
    ///
    /// ```
    /// # use secretcache::SecretCache;
    /// let cache = SecretCache::builder()
    ///     .role_for("billing/", "arn:aws:iam::111122223333:role/reads-secrets", None)
    ///     .build()?;
    /// # Ok::<(), secretcache::Error>(())
    /// ```
    pub fn role_for(
        mut self,
        prefix: impl Into<String>,
        role_arn: impl Into<String>,
        external_id: Option<&str>,
    ) -> Self {
        let role = Role { arn: role_arn.into(), external_id: external_id.map(str::to_owned) };
        self.options.roles.insert(prefix.into(), role);
        self
    }

    /// A Region with replicas of the secrets, to be read while a secret's own Region does not answer; several are tried
    /// in the order in which they were added. If the Region has its own endpoint, write it with the name:
    /// `eu-west-1=https://…`. A replica can lag, so its version replaces a cached one only if it was created later.
    pub fn fallback_region(mut self, region: impl Into<String>) -> Self {
        self.options.fallback_regions.push(region.into());
        self
    }

    /// How long a Region may take to answer before the next one is asked. Default: 2 s.
    pub fn fallback_after(mut self, after: Duration) -> Self {
        self.options.fallback_after = Some(after);
        self
    }

    /// An HTTP proxy, instead of the environment's.
    pub fn proxy_url(mut self, url: impl Into<String>) -> Self {
        self.options.proxy_url = Some(url.into());
        self
    }

    /// A file of PEM certificates to trust instead of the system's.
    pub fn ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.ca_bundle = Some(path.into());
        self
    }

    /// Whether to use the FIPS endpoint.
    pub fn use_fips(mut self, use_fips: bool) -> Self {
        self.options.use_fips = Some(use_fips);
        self
    }

    /// How long one operation may take with all its retries. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// All cache settings at once.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// All connection settings at once.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// A custom source of secrets instead of AWS Secrets Manager.
    pub fn source(mut self, source: impl SecretSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Builds the cache. This starts no thread and sends no request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] naming the setting that is wrong.
    pub fn build(self) -> Result<SecretCache, Error> {
        self.config.validate()?;
        self.options.validate()?;
        let several = !self.options.roles.is_empty() || !self.options.fallback_regions.is_empty();
        if self.source.is_some() && several {
            let text = "roles and fallback Regions cannot be combined with your own source, which chooses its account and Region itself";
            return Err(Error::new(ErrorKind::InvalidConfiguration, text));
        }
        if self.config.lock_memory {
            locked::check()?;
        }
        let transport = match self.source {
            Some(source) => Transport::Source(source, self.options.timeout.unwrap_or(TIMEOUT)),
            None => Transport::Aws(Arc::new(self.options)),
        };
        Ok(SecretCache::over(self.config, transport))
    }
}
