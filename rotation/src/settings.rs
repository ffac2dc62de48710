//! What the operator decides about rotations.

use std::str::FromStr;
use std::time::Duration;

use crate::password::PasswordPolicy;

/// What the operator decided about a secret's rotation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What generated passwords look like.
    pub password: PasswordPolicy,
    /// The secret with the administrator's credential, in place of the secret's own `masterarn`.
    pub master_secret: Option<String>,
    /// Where the administrator logs in, in place of what the master secret says. A master secret that RDS manages names
    /// no host, and the application's secret must not decide it.
    pub master_host: Option<MasterHost>,
    /// The two users that take turns, if declared. Without it the other user is the one of `AWSPREVIOUS`, or is named
    /// by the suffix `_clone`.
    pub users: Option<[String; 2]>,
    /// How often a refused new credential is tried before the test counts as failed: replicas lag, and new keys take
    /// a while to be known everywhere.
    pub test_attempts: u32,
    /// The first pause between attempts; each further one is twice as long.
    pub pause: Duration,
    /// How many unlabelled versions are tried when none of the labelled ones logs in. Each try is a failed login.
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

/// The server at which an administrator logs in, written `HOST` or `HOST:PORT`.
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
    /// A name or an address.
    pub host: String,
    /// The port; without it, the master secret's own, or the usual one.
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
