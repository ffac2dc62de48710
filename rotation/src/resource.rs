//! The resource that a secret is for, and the strategy that fits, inferred if not given.

use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// The kinds of resource that have a target.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Resource {
    /// PostgreSQL.
    Postgres,
    /// MariaDB and MySQL.
    MySql,
    /// Redis and Valkey.
    Redis,
    /// LDAP directories, such as OpenLDAP.
    Ldap,
    /// Active Directory.
    ActiveDirectory,
}

/// The name of a strategy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StrategyName {
    /// [`SingleUser`](crate::SingleUser).
    SingleUser,
    /// [`AlternatingUsers`](crate::AlternatingUsers).
    AlternatingUsers,
    /// [`DualPassword`](crate::DualPassword).
    DualPassword,
    /// [`ApiKey`](crate::ApiKey).
    ApiKey,
}

impl StrategyName {
    /// Every strategy.
    pub const ALL: [Self; 4] = [Self::SingleUser, Self::AlternatingUsers, Self::DualPassword, Self::ApiKey];

    /// Returns the name used in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::AlternatingUsers => "alternating-users",
            Self::DualPassword => "dual-password",
            Self::ApiKey => "api-key",
        }
    }

    /// Returns the strategy with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

/// The known values of `engine`, spelled as AWS's functions spell them where those know them.
const ENGINES: [(&str, Resource); 9] = [
    ("postgres", Resource::Postgres),
    ("aurora-postgresql", Resource::Postgres),
    ("mysql", Resource::MySql),
    ("aurora-mysql", Resource::MySql),
    ("mariadb", Resource::MySql),
    ("redis", Resource::Redis),
    ("valkey", Resource::Redis),
    ("ldap", Resource::Ldap),
    ("active-directory", Resource::ActiveDirectory),
];

impl Resource {
    /// Returns the known values of `engine`.
    pub fn engines() -> impl Iterator<Item = &'static str> {
        ENGINES.iter().map(|(name, _)| *name)
    }

    /// Returns the resource for an `engine` value.
    pub fn from_engine(engine: &str) -> Option<Self> {
        ENGINES.iter().find(|(name, _)| name.eq_ignore_ascii_case(engine)).map(|(_, resource)| *resource)
    }

    /// Returns the server's default port.
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
            Self::Redis => 6379,
            Self::Ldap | Self::ActiveDirectory => 636,
        }
    }

    /// Returns the resource that a secret is for, and a warning if it is a guess.
    ///
    /// The secret's own `engine` takes precedence, then the operator's choice, then the name of the rotation function,
    /// then the port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the field and its possible values.
    ///
    /// ```
    /// use secretcache_rotation::{Document, Resource};
    ///
    /// let secret = Document::parse(r#"{"host": "db", "port": 5432}"#)?;
    /// let (resource, warning) = Resource::of(&secret, None, None)?;
    /// assert_eq!(resource, Resource::Postgres);
    /// assert!(warning.expect("a guess").contains("5432"));
    /// # Ok::<(), secretcache_rotation::Error>(())
    /// ```
    pub fn of(
        secret: &Document,
        chosen: Option<Resource>,
        function: Option<&str>,
    ) -> Result<(Self, Option<String>), Error> {
        let accepted = || ENGINES.map(|(name, _)| name).join(", ");
        if let Some(engine) = secret.field("engine") {
            return match Self::from_engine(&engine) {
                Some(resource) => Ok((resource, None)),
                None => Err(Error::new(
                    ErrorKind::Misconfigured,
                    format!("the secret's \"engine\" is {:?}; use one of {}", *engine, accepted()),
                )),
            };
        }
        if let Some(resource) = chosen {
            return Ok((resource, None));
        }
        let guess = |resource, by: String| {
            Ok((resource, Some(format!("the secret has no \"engine\"; assuming {resource:?} from {by}"))))
        };
        if let Some((resource, _)) = function.and_then(from_function) {
            return guess(resource, "the name of its rotation function".to_owned());
        }
        match secret.field("port").as_deref().map(String::as_str) {
            Some("5432") => guess(Self::Postgres, "its port 5432".to_owned()),
            Some("3306") => guess(Self::MySql, "its port 3306".to_owned()),
            Some("6379") => guess(Self::Redis, "its port 6379".to_owned()),
            _ => Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the secret has no \"engine\", and nothing else shows what it is for; set it to one of {}",
                    accepted()
                ),
            )),
        }
    }
}

/// Returns the resource and the strategy of a rotation function that AWS's templates deploy under this name (or ARN).
///
/// ```
/// use secretcache_rotation::{Resource, StrategyName, from_function};
///
/// let arn = "arn:aws:lambda:eu-central-1:123456789012:function:SecretsManagerRDSMariaDBRotationMultiUser";
/// assert_eq!(from_function(arn), Some((Resource::MySql, StrategyName::AlternatingUsers)));
/// assert_eq!(from_function("my-own-function"), None);
/// ```
pub fn from_function(function: &str) -> Option<(Resource, StrategyName)> {
    let name = function.rsplit(':').find(|part| part.contains("SecretsManager"))?;
    let resource = [
        ("RDSPostgreSQLRotation", Resource::Postgres),
        ("RDSMySQLRotation", Resource::MySql),
        ("RDSMariaDBRotation", Resource::MySql),
        ("ElasticacheUserRotation", Resource::Redis),
    ]
    .into_iter()
    .find(|(part, _)| name.contains(part))?
    .1;
    // ElastiCache users can have two passwords, and its function makes use of that.
    let strategy = match resource {
        Resource::Redis => StrategyName::DualPassword,
        _ if name.contains("MultiUser") => StrategyName::AlternatingUsers,
        _ => StrategyName::SingleUser,
    };
    Some((resource, strategy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &str, chosen: Option<Resource>, function: Option<&str>) -> Result<Resource, Error> {
        Resource::of(&Document::parse(secret).unwrap(), chosen, function).map(|(resource, _)| resource)
    }

    #[test]
    fn the_secret_has_the_first_word_and_the_port_the_last() {
        let function = Some("SecretsManagerRDSPostgreSQLRotationSingleUser");
        let mysql = Some(Resource::MySql);
        assert_eq!(of(r#"{"engine":"Redis","port":5432}"#, mysql, function).unwrap(), Resource::Redis);
        assert_eq!(of(r#"{"port":6379}"#, mysql, function).unwrap(), Resource::MySql);
        assert_eq!(of(r#"{"port":6379}"#, None, function).unwrap(), Resource::Postgres);
        assert_eq!(of(r#"{"port":"6379"}"#, None, Some("mine")).unwrap(), Resource::Redis);
    }

    #[test]
    fn an_error_names_the_field_and_what_it_may_be() {
        for secret in [r#"{"engine":"oracle","port":5432}"#, r#"{"port":1521}"#, "{}"] {
            let error = of(secret, None, None).unwrap_err();
            assert!(
                error.message().contains("\"engine\"") && error.message().contains("aurora-mysql"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_template_name_is_mapped() {
        for (name, resource, strategy) in [
            (
                "SecretsManagerRDSPostgreSQLRotationMultiUser",
                Resource::Postgres,
                StrategyName::AlternatingUsers,
            ),
            ("SecretsManagerRDSMySQLRotationSingleUser", Resource::MySql, StrategyName::SingleUser),
            ("SecretsManagerElasticacheUserRotation", Resource::Redis, StrategyName::DualPassword),
        ] {
            assert_eq!(from_function(name), Some((resource, strategy)));
        }
        for strategy in StrategyName::ALL {
            assert_eq!(StrategyName::from_name(strategy.name()), Some(strategy));
        }
    }
}
