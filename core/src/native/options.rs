//! How the native driver reaches AWS.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Where the service is and who asks. Whatever is not given is found as the AWS command line finds it: environment,
/// profile, container or instance role.
///
/// ```
/// use secretcache::host::Options;
/// use secretcache::SecretCache;
///
/// let mut options = Options::default();
/// options.role_arn = Some("arn:aws:iam::111122223333:role/reads-secrets".into());
/// let cache = SecretCache::builder().options(options).build()?;
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The AWS Region; otherwise `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's.
    pub region: Option<String>,
    /// The service endpoint; otherwise `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL` or the Region's own.
    pub endpoint_url: Option<String>,
    /// The profile; otherwise `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
    /// Credentials to use as they are.
    pub credentials: Option<Credentials>,
    /// A role to assume with the credentials found, for instance in the account that owns the secrets.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// An HTTP proxy; otherwise `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    pub proxy_url: Option<String>,
    /// A file of PEM certificates to trust instead of the system's; otherwise `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// Whether to use the FIPS endpoint; otherwise `AWS_USE_FIPS_ENDPOINT`.
    pub use_fips: Option<bool>,
    /// How long one operation may take with all its retries. Default: 5 s.
    pub timeout: Option<Duration>,
}

/// The default of [`Options::timeout`].
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

impl Options {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] naming the option.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::new(ErrorKind::InvalidConfiguration, text));
        if let Some(url) = self.endpoint_url.as_deref() {
            let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
                return invalid(format!(
                    "the endpoint URL {url:?} does not start with http:// or https:// and a host name"
                ));
            }
        }
        if self.region.as_deref().is_some_and(|region| region.trim().is_empty()) {
            return invalid("the Region is empty; pass one such as us-east-1, or leave it out".into());
        }
        if let Some(role_arn) = self.role_arn.as_deref().filter(|role_arn| !role_arn.starts_with("arn:")) {
            return invalid(format!(
                "the role {role_arn:?} is not an ARN such as arn:aws:iam::123456789012:role/name"
            ));
        }
        if self.external_id.is_some() && self.role_arn.is_none() {
            return invalid("an external id belongs to a role; pass its ARN too".into());
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return invalid("a timeout of 0 leaves no time for any call".into());
        }
        Ok(())
    }
}

/// An access key. `Debug` shows the key id only.
///
/// ```
/// use secretcache::Credentials;
///
/// let credentials = Credentials::new("AKIDEXAMPLE", "the key itself", None);
/// assert!(!format!("{credentials:?}").contains("the key itself"));
/// ```
#[derive(Clone)]
pub struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Zeroizing<String>,
    pub(super) session_token: Option<Zeroizing<String>>,
}

impl Credentials {
    /// A long-lived access key, or a temporary one with its session token.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Zeroizing::new(secret_access_key.into()),
            session_token: session_token.map(Zeroizing::new),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
