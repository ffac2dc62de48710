//! A login with an IAM token in place of a stored password, and its id in a cache.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, ErrorKind};

/// A user who logs in with an IAM token: to RDS or Aurora, ElastiCache or MemoryDB.
///
/// Pass its text to a cache in place of a secret's id. A read returns a JSON object with `username` and `password`,
/// like the secret of a database. The password is a token, signed locally without a call to AWS and replaced before it
/// expires after fifteen minutes. If the token is for a host, the object has `host` and `port` too.
///
/// ```
/// use secretcache::IamLogin;
///
/// let login = IamLogin::rds("app", "shop.abc123.eu-central-1.rds.amazonaws.com", 5432).region("eu-central-1");
/// let id = login.to_string();
/// assert_eq!(id, "rds-db://app@shop.abc123.eu-central-1.rds.amazonaws.com:5432?region=eu-central-1");
/// assert_eq!(id.parse::<IamLogin>()?, login);
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IamLogin {
    pub(crate) service: Service,
    pub(crate) user: String,
    /// A host with its port, or the name of a cache.
    pub(crate) resource: String,
    pub(crate) region: Option<String>,
    pub(crate) is_serverless: bool,
}

/// The service that accepts the token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Service {
    Rds,
    ElastiCache,
    MemoryDb,
}

impl Service {
    const ALL: [Self; 3] = [Self::Rds, Self::ElastiCache, Self::MemoryDb];

    /// The service's name in signatures and in ids.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rds => "rds-db",
            Self::ElastiCache => "elasticache",
            Self::MemoryDb => "memorydb",
        }
    }

    fn split(id: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = id.split_once("://")?;
        Self::ALL.into_iter().find(|service| service.name() == scheme).map(|service| (service, rest))
    }
}

impl IamLogin {
    /// A user of RDS or Aurora, for PostgreSQL, MySQL or MariaDB. `host` is the endpoint of the instance, cluster or proxy, even
    /// where the program connects by another name: RDS checks the token against it.
    pub fn rds(user: impl Into<String>, host: &str, port: u16) -> Self {
        Self::new(Service::Rds, user, &format!("{host}:{port}"))
    }

    /// A user of ElastiCache for Valkey or Redis. `cache` is the name of the replication group, or of the serverless cache.
    pub fn elasticache(user: impl Into<String>, cache: &str) -> Self {
        Self::new(Service::ElastiCache, user, cache)
    }

    /// A user of MemoryDB. `cluster` is the cluster's name.
    pub fn memorydb(user: impl Into<String>, cluster: &str) -> Self {
        Self::new(Service::MemoryDb, user, cluster)
    }

    fn new(service: Service, user: impl Into<String>, resource: &str) -> Self {
        let resource = resource.to_ascii_lowercase();
        Self { service, user: user.into(), resource, region: None, is_serverless: false }
    }

    /// The Region of the database or cache. Default: the Region of the cache of secrets.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Marks the ElastiCache cache as serverless.
    #[must_use]
    pub fn serverless(mut self) -> Self {
        self.is_serverless = true;
        self
    }

    /// Whether an id is an IAM login. No secret has such a name.
    pub(crate) fn has_id(id: &str) -> bool {
        Service::split(id).is_some()
    }

    /// Parses the id of an IAM login; `None` for the id of a secret.
    pub(crate) fn of_id(id: &str) -> Option<Result<Self, Error>> {
        let (service, rest) = Service::split(id)?;
        Some(Self::read(service, rest).map_err(|problem| {
            let text = format!("{id:?} is not a valid IAM login: {problem}");
            Error::new(ErrorKind::InvalidArgument, text)
        }))
    }

    fn read(service: Service, rest: &str) -> Result<Self, String> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, resource) = place.split_once('@').ok_or("the user's name and @ are missing")?;
        let user = percent_decode_str(user).decode_utf8().map_err(|_| "the user's name is not UTF-8")?;
        let mut login = Self::new(service, user, resource);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=').unwrap_or((parameter, "")) {
                ("region", region) if is_plain(region) => login.region = Some(region.to_owned()),
                ("serverless", "true") => login.is_serverless = true,
                _ => {
                    return Err(format!("{parameter:?} is unknown; use region=NAME or serverless=true"));
                }
            }
        }
        login.problem().map_or(Ok(login), Err)
    }

    /// Checks what can be checked offline. A cache makes the same checks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] saying what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        self.to_string().parse::<Self>().map(drop)
    }

    fn problem(&self) -> Option<String> {
        if self.user.is_empty() {
            return Some("the user's name is empty".into());
        }
        let (name, port) = match self.resource.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (self.resource.as_str(), None),
        };
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        match self.service {
            Service::Rds if !has_port => {
                return Some("host and port (such as db.example:5432) are missing".into());
            }
            Service::ElastiCache | Service::MemoryDb if port.is_some() => {
                return Some("name the cache itself, without host or port".into());
            }
            _ => {}
        }
        if !is_plain(name) {
            return Some(format!("{name:?} is not a name"));
        }
        if self.is_serverless && self.service != Service::ElastiCache {
            return Some("serverless=true is for ElastiCache".into());
        }
        None
    }
}

/// Whether this can be the name of a host, a cache or a Region.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// The characters to encode: all but RFC 3986's unreserved ones, as AWS's signatures require.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a value for a URL and for AWS's signatures.
pub(crate) fn encoded(value: &str) -> impl fmt::Display {
    utf8_percent_encode(value, RESERVED)
}

impl fmt::Display for IamLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}@{}", self.service.name(), encoded(&self.user), self.resource)?;
        let region = self.region.as_ref().map(|region| format!("region={region}"));
        let serverless = self.is_serverless.then(|| "serverless=true".to_owned());
        let query: Vec<_> = region.into_iter().chain(serverless).collect();
        if query.is_empty() { Ok(()) } else { write!(f, "?{}", query.join("&")) }
    }
}

impl From<IamLogin> for String {
    fn from(login: IamLogin) -> Self {
        login.to_string()
    }
}

impl FromStr for IamLogin {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] saying what is wrong.
    fn from_str(id: &str) -> Result<Self, Error> {
        Self::of_id(id).unwrap_or_else(|| {
            let known = Service::ALL.map(|service| format!("{}://", service.name())).join(", ");
            let text = format!("{id:?} is not an IAM login, which starts with one of {known}");
            Err(Error::new(ErrorKind::InvalidArgument, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_that_is_wrong_says_why() {
        for (id, word) in [
            ("rds-db://app@db.example", "host and port"),
            ("rds-db://app@db.example:0", "host and port"),
            ("rds-db://db.example:5432", "@"),
            ("rds-db://@db.example:5432", "empty"),
            ("rds-db://app@db/example:5432", "is not a name"),
            ("rds-db://app@db.example:5432?regoin=x", "regoin"),
            ("rds-db://app@db.example:5432?serverless=true", "ElastiCache"),
            ("elasticache://app@sessions.abc.cache.amazonaws.com:6379", "without host or port"),
            ("memorydb://app@", "is not a name"),
            ("prod/db", "starts with"),
        ] {
            let error = id.parse::<IamLogin>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(word), "{error}");
        }
    }

    #[test]
    fn secrets_are_no_logins() {
        for id in
            ["prod/db", "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds-db-a1B2c3", "rds-db:x"]
        {
            assert!(!IamLogin::has_id(id), "{id}");
        }
    }

    proptest! {
        #[test]
        fn an_id_says_everything(user in ".{1,20}", name in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., region in prop::option::of("[a-z0-9-]{1,12}"), serverless: bool) {
            let mut logins = vec![IamLogin::rds(user.clone(), &name, port), IamLogin::memorydb(user.clone(), &name)];
            let cache = IamLogin::elasticache(user, &name);
            logins.push(if serverless { cache.serverless() } else { cache });
            for mut login in logins {
                login.region.clone_from(&region);
                prop_assert_eq!(login.to_string().parse::<IamLogin>().unwrap(), login);
            }
        }
    }
}
