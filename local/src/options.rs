//! The options of a server, and the errors that prevent its start.

mod rotation;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::arn::Scope;
use crate::journal::DataError;
use crate::log::Log;

pub use rotation::{FunctionStrategy, FunctionVariable, RotationOptions, ServerName, StandIn};

/// The options of a server.
///
/// ```
/// use secretcache_local::Options;
///
/// let options = Options { port: 0, control: true, ..Options::default() };
/// assert_eq!(options.host, "127.0.0.1");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The name or address to bind. With anything other than a loopback address, others can read the secrets.
    pub host: String,
    /// The port to bind; 0 picks a free one.
    pub port: u16,
    /// A file that stores the secrets in plain text, readable only by its owner; `None` keeps them in memory.
    pub data: Option<PathBuf>,
    /// A JSON or TOML file with the secrets to start with.
    pub seed: Option<PathBuf>,
    /// Whether to imitate AWS's Parameters and Secrets Lambda extension, on a separate port, and how.
    pub extension: Option<Extension>,
    /// The names that a request's `Host` header can have, in addition to loopback names and addresses and
    /// [`host`](Self::host). All other requests are refused, so that no web page reaches the secrets by DNS rebinding.
    pub accepted_hosts: Vec<String>,
    /// Whether HTTP requests under `/_control/` can inject faults and move the clock.
    pub control: bool,
    /// The certificate and key for HTTPS; `None` serves HTTP.
    pub tls: Option<Tls>,
    /// The account and Region of callers whose requests do not contain them.
    pub defaults: Scope,
    /// A log that gets one line per request and per rotation event.
    pub log: Option<Log>,
    /// What runs rotation functions, and which servers rotations can change.
    pub rotation: RotationOptions,
}

/// Options for requests of functions to the extension.
///
/// ```
/// use secretcache_local::{DEFAULT_EXTENSION_PORT, Extension};
///
/// let extension = Extension { port: DEFAULT_EXTENSION_PORT, token: Some("AWS_SESSION_TOKEN of the function".into()) };
/// assert_eq!(extension.port, 2773);
/// ```
#[derive(Clone)]
pub struct Extension {
    /// The port; 0 picks a free one.
    pub port: u16,
    /// The required value of the header `X-Aws-Parameters-Secrets-Token`; `None` accepts any non-empty value.
    pub token: Option<String>,
}

/// Does not show the token.
impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension").field("port", &self.port).finish_non_exhaustive()
    }
}

/// PEM files for HTTPS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, followed by any intermediates.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: DEFAULT_HOST.to_owned(),
            port: DEFAULT_PORT,
            data: None,
            seed: None,
            extension: None,
            accepted_hosts: Vec::new(),
            control: false,
            tls: None,
            defaults: Scope::new("123456789012", "us-east-1"),
            log: None,
            rotation: RotationOptions::default(),
        }
    }
}

/// An error that prevents the start of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is in use.
    #[error(
        "port {port} on {host} is in use: stop what listens there, or choose another port (0 picks a free one)"
    )]
    PortInUse {
        /// The host from the options.
        host: String,
        /// The port from the options.
        port: u16,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {host}:{port}: {source}")]
    Bind {
        /// The host from the options.
        host: String,
        /// The port from the options.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The data file cannot be used.
    #[error("cannot use the data file {}: {source}", path.display())]
    Data {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        source: DataError,
    },
    /// The seed file cannot be used.
    #[error("cannot use the seed file {}: {reason}", path.display())]
    Seed {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// One of the accepted host names is not a host name.
    #[error(
        "cannot accept requests for the host {name:?}: give a name or an address, without http:// and port"
    )]
    AcceptedHost {
        /// The name from the options.
        name: String,
    },
    /// The certificate or key cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Tls {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The options or the file for a rotation function are invalid.
    #[error("cannot run the function {function}: {reason}")]
    Function {
        /// The name of the function.
        function: String,
        /// The reason.
        reason: String,
    },
    /// The endpoint for Lambda functions cannot be used.
    #[error("cannot use {url:?} as the endpoint for Lambda functions: {reason}")]
    LambdaEndpoint {
        /// The URL from the options.
        url: String,
        /// The reason.
        reason: &'static str,
    },
    /// The system's random number generator failed.
    #[error("the system's random number generator failed: {0}")]
    Random(#[source] io::Error),
}

impl StartError {
    pub(crate) fn bind(host: &str, port: u16, source: io::Error) -> Self {
        let host = host.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { host, port },
            _ => Self::Bind { host, port, source },
        }
    }

    pub(crate) fn data(path: &Path, source: DataError) -> Self {
        Self::Data { path: path.to_owned(), source }
    }

    pub(crate) fn tls(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Tls { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// The default host: loopback, so that other machines cannot reach it.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The default port.
pub const DEFAULT_PORT: u16 = 4584;

/// The port on which functions expect the extension.
pub const DEFAULT_EXTENSION_PORT: u16 = 2773;
