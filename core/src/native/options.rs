//! How the native driver reaches AWS.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::place::{Role, check_fallback_regions, check_role_arn, check_roles, region_and_url};

/// How to reach AWS: the endpoint, the credentials and the network. What is not set is found as botocore and the AWS
/// command line find it: environment, profile, container or instance role. `Debug` shows neither keys nor the user and
/// password of a proxy.
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
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The AWS Region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, the machine's.
    pub region: Option<String>,
    /// The endpoint of Secrets Manager. Default: `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL`, the profile's
    /// `[services]` section or `endpoint_url`, the Region's own.
    pub endpoint_url: Option<String>,
    /// The profile. Default: `AWS_DEFAULT_PROFILE`, `AWS_PROFILE`, `default`. One that is set here has priority over
    /// access keys in the environment.
    pub profile: Option<String>,
    /// An access key to use.
    pub credentials: Option<Credentials>,
    /// A role to assume with the credentials found, for instance in the account that owns the secrets.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy requires.
    pub external_id: Option<String>,
    /// More roles, for the secrets whose id, as reads write it, begins with the key; the longest key wins. They are
    /// assumed with the credentials that the cache uses otherwise. At most 20 roles.
    pub roles: BTreeMap<String, Role>,
    /// The Regions with replicas of the secrets, in the order in which they are read while a secret's own Region does
    /// not answer. If a Region has its own endpoint, write it with the name: `eu-west-1=https://…`.
    pub fallback_regions: Vec<String>,
    /// How long a Region may take to answer before the next one is asked. Default: [`Options::FALLBACK_AFTER`].
    pub fallback_after: Option<Duration>,
    /// An HTTP proxy. Default: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    pub proxy_url: Option<String>,
    /// A file of PEM certificates to trust instead of the system's. Default: `AWS_CA_BUNDLE`, the profile's `ca_bundle`,
    /// `REQUESTS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// Whether to use the FIPS endpoint. Default: `AWS_USE_FIPS_ENDPOINT`, the profile's `use_fips_endpoint`.
    pub use_fips: Option<bool>,
    /// The time limit of one operation with all its retries. Default: 5 s.
    pub timeout: Option<Duration>,
}

/// The default of [`Options::timeout`].
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

impl Options {
    /// 2 s: the default time limit of an operation's first attempt, so a Region is left after one whole attempt, a slow
    /// connection included. A read that a program waits for then takes little longer than usual; the second and third
    /// attempts would take three more seconds.
    pub const FALLBACK_AFTER: Duration = Duration::from_secs(2);

    /// The same settings for another Region.
    pub(super) fn at(&self, region: &str) -> Self {
        let url = self.fallback_regions.iter().map(|text| region_and_url(text));
        let url = url.filter(|(name, _)| *name == region).find_map(|(_, url)| url);
        let endpoint_url = url.map(str::to_owned).or_else(|| self.endpoint_url.clone());
        Self { region: Some(region.to_owned()), endpoint_url, ..self.clone() }
    }

    /// Checks what can be checked offline.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfiguration`] naming the option.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::new(ErrorKind::InvalidConfiguration, text));
        let fallbacks = self.fallback_regions.iter().filter_map(|text| region_and_url(text).1);
        for url in self.endpoint_url.as_deref().into_iter().chain(fallbacks) {
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
        self.role_arn.as_deref().map_or(Ok(()), check_role_arn)?;
        check_roles(&self.roles)?;
        check_fallback_regions(&self.fallback_regions)?;
        if self.fallback_after.is_some_and(|after| after.is_zero()) {
            return invalid("fallback_after is 0; set the seconds that a Region may take to answer".into());
        }
        if self.external_id.is_some() && self.role_arn.is_none() {
            return invalid("external_id is set without a role; set its ARN too".into());
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return invalid("the timeout is 0; set the seconds that one operation may take".into());
        }
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .field("profile", &self.profile)
            .field("credentials", &self.credentials)
            .field("role_arn", &self.role_arn)
            .field("external_id", &self.external_id)
            .field("roles", &self.roles)
            .field("fallback_regions", &self.fallback_regions)
            .field("fallback_after", &self.fallback_after)
            .field("proxy_url", &self.proxy_url.as_deref().map(without_user))
            .field("ca_bundle", &self.ca_bundle)
            .field("use_fips", &self.use_fips)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Returns a URL without the user name and password before its host.
fn without_user(url: &str) -> String {
    let host = url.find("://").map_or(0, |end| end + 3);
    let end = url[host..].find('/').map_or(url.len(), |end| host + end);
    match url[host..end].rfind('@') {
        Some(at) => format!("{}…{}", &url[..host], &url[host + at..]),
        None => url.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password_of_a_proxy() {
        let shown = |url: &str| {
            let options = Options { proxy_url: Some(url.to_owned()), ..Options::default() };
            format!("{options:?}")
        };
        assert!(shown("http://app:hunter2@proxy:3128").contains(r#"Some("http://…@proxy:3128")"#));
        assert!(shown("app:hun@ter2@proxy:3128").contains(r#"Some("…@proxy:3128")"#));
        assert!(shown("http://proxy:3128/a@b").contains(r#"Some("http://proxy:3128/a@b")"#));
    }
}
