//! The operator's settings for rotations.

use std::str::FromStr;
use std::time::Duration;

use crate::password::PasswordPolicy;

/// The operator's settings for a secret's rotation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The policy for generated passwords.
    pub password: PasswordPolicy,
    /// The secret with the administrator's credential; overrides the secret's own `masterarn`.
    pub master_secret: Option<String>,
    /// The server where the administrator logs in, instead of the one in the master secret. Needed for master secrets
    /// that RDS manages, which have no host; the application's secret must not decide it.
    pub master_host: Option<MasterHost>,
    /// The two users that alternate, if declared. Otherwise the other user is the one of `AWSPREVIOUS`, or has the
    /// suffix `_clone`.
    pub users: Option<[String; 2]>,
    /// How many times to try a new credential that is refused before the test fails. Replicas lag, and new keys take a
    /// while to be known everywhere.
    pub test_attempts: u32,
    /// The first pause between attempts. Each further pause is twice as long.
    pub pause: Duration,
    /// How many unlabelled versions to try if none of the labelled ones logs in. Each try can be a failed login.
    pub recovery_attempts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password: PasswordPolicy::default(),
            master_secret: None,
            master_host: None,
            users: None,
            test_attempts: 6,
            pause: Duration::from_millis(250),
            recovery_attempts: 3,
        }
    }
}

/// The server where an administrator logs in, written `HOST` or `HOST:PORT`.
///
/// ```
/// use secretcache_rotation::MasterHost;
///
/// let server: MasterHost = "checkout.abc123.eu-central-1.rds.amazonaws.com:5433".parse()?;
/// assert_eq!(server.port, Some(5433));
/// assert_eq!("[::1]".parse::<MasterHost>()?.host, "::1");
/// assert!("db:0".parse::<MasterHost>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MasterHost {
    /// The host name or address.
    pub host: String,
    /// The port. Defaults to the one in the master secret, or the engine's usual port.
    pub port: Option<u16>,
}

impl FromStr for MasterHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not HOST or HOST:PORT");
        let text_and_port = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, (!port.is_empty()).then_some(port.strip_prefix(':').unwrap_or("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let (host, port) = text_and_port;
        let port =
            port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}
