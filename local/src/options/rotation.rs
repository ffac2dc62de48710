//! The options for rotations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secretcache_rotation::{PasswordPolicy, StrategyName, from_function};

/// What runs rotation functions, and which servers rotations can change.
///
/// By default, rotations only reach servers on this machine, over verified TLS, and only functions with the names of
/// AWS's own templates exist.
///
/// ```
/// use secretcache_local::RotationOptions;
///
/// let mut options = RotationOptions::default();
/// options.stand_ins.push("checkout.abc123.us-east-1.rds.amazonaws.com:5432=127.0.0.1:54321".parse()?);
/// options.is_plaintext_on_loopback = true;
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RotationOptions {
    /// The `http://` URL of an endpoint that runs Lambda functions, for all functions except AWS's templates.
    pub lambda_endpoint: Option<String>,
    /// The host names of servers that can be changed although they are not on this machine.
    pub allowed_hosts: BTreeSet<String>,
    /// Servers that replace others.
    pub stand_ins: Vec<StandIn>,
    /// A PEM file with the only authorities to trust for servers; `None` trusts the system's.
    pub authorities: Option<PathBuf>,
    /// Whether connections to loopback addresses do not use TLS, unless the secret contains `"ssl": true`.
    pub is_plaintext_on_loopback: bool,
    /// Functions with other names that also run in-process.
    pub strategies: Vec<FunctionStrategy>,
    /// Environment variables of AWS's functions.
    pub variables: Vec<FunctionVariable>,
    /// Functions described by files: by name, a TOML file with SQL statements for a target or with a provider of keys.
    pub described: BTreeMap<String, PathBuf>,
}

/// An environment variable of a function from AWS's templates, which defines how passwords are generated.
///
/// ```
/// use secretcache_local::FunctionVariable;
///
/// let text = "SecretsManagerRDSPostgreSQLRotationSingleUser:EXCLUDE_CHARACTERS=/@:\"";
/// let variable: FunctionVariable = text.parse()?;
/// assert_eq!((variable.name.as_str(), variable.value.as_str()), ("EXCLUDE_CHARACTERS", "/@:\""));
/// assert!("SecretsManagerRDSPostgreSQLRotationSingleUser:EXCLUDE_CHARACTER=/".parse::<FunctionVariable>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionVariable {
    /// The function's name, the last part of its ARN.
    pub function: String,
    /// The name of a variable that AWS's functions read.
    pub name: String,
    /// The value of the variable.
    pub value: String,
}

/// A function with any name, and the strategy with which it runs in-process. The kind of server is taken from the
/// secret's `engine`.
///
/// ```
/// use secretcache_local::FunctionStrategy;
///
/// let mine: FunctionStrategy = "my-rotator=single-user".parse()?;
/// assert_eq!(mine.function, "my-rotator");
/// assert!("my-rotator=my-strategy".parse::<FunctionStrategy>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionStrategy {
    /// The function's name, the last part of its ARN.
    pub function: String,
    /// The strategy of the function.
    pub strategy: StrategyName,
}

/// Parses `FUNCTION=STRATEGY`.
impl FromStr for FunctionStrategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (function, strategy) = text.split_once('=').ok_or("it is not of the form FUNCTION=STRATEGY")?;
        if function.is_empty() || !function.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(format!("{function:?} is not the name of a function"));
        }
        let strategy = StrategyName::from_name(strategy).filter(|strategy| *strategy != StrategyName::ApiKey);
        let strategy =
            strategy.ok_or("the strategy must be single-user, alternating-users or dual-password")?;
        Ok(Self { function: function.to_owned(), strategy })
    }
}

/// A server to connect to instead of the one in secrets. Its certificate must be valid for the server in secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The server in secrets.
    pub named: ServerName,
    /// The server to connect to instead.
    pub real: ServerName,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Parses `HOST:PORT=HOST:PORT`.
impl FromStr for StandIn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (named, real) = text.split_once('=').ok_or("it is not of the form HOST:PORT=HOST:PORT")?;
        Ok(Self { named: named.parse()?, real: real.parse()? })
    }
}

/// Parses `FUNCTION:VARIABLE=VALUE`.
impl FromStr for FunctionVariable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(scope, value)| Some((scope.rsplit_once(':')?, value)));
        let ((function, name), value) = parts.ok_or("it is not of the form FUNCTION:VARIABLE=VALUE")?;
        if from_function(function).is_none() {
            return Err(format!("{function:?} is not the name of a function of AWS's templates"));
        }
        if !PasswordPolicy::VARIABLES.contains(&name) {
            let known = PasswordPolicy::VARIABLES.join(", ");
            return Err(format!("{name:?} is not one of the variables that AWS's functions read: {known}"));
        }
        Ok(Self { function: function.to_owned(), name: name.to_owned(), value: value.to_owned() })
    }
}

/// Parses `HOST:PORT`, with an IPv6 address in brackets.
impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not of the form HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(wrong());
        }
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        Ok(Self { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_read_as_they_are_written() {
        let stand_in: StandIn = "db.example:5432=[::1]:15432".parse().unwrap();
        assert_eq!(
            (stand_in.named.to_string(), stand_in.real.to_string()),
            ("db.example:5432".into(), "[::1]:15432".into())
        );
        assert_eq!(stand_in.real.host, "::1");
        for wrong in ["", "a:1", "a=b", "a:1=b", "a:1=:2", "a:1=b:0", "a:1=b:x", "a:1=::1:5", "a:1=b:70000"] {
            assert!(wrong.parse::<StandIn>().is_err(), "{wrong}");
        }
    }
}
