//! How a server is started, and why it may not start.

mod rotation;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::arn::Scope;
use crate::journal::DataError;
use crate::log::Log;

pub use rotation::{FunctionStrategy, FunctionVariable, RotationOptions, ServerName, StandIn};

/// How a server is started.
///
/// ```
/// use secretcache_local::Options;
///
/// let options = Options { port: 0, control: true, ..Options::default() };
/// assert_eq!(options.host, "127.0.0.1");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or address to bind. Anything but a loopback address lets others read the secrets.
    pub host: String,
    /// Port to bind; 0 picks a free one.
    pub port: u16,
    /// A file that keeps the secrets, in the clear and readable by its owner only; `None` keeps them in
    /// memory.
    pub data: Option<PathBuf>,
    /// A file of secrets to start with, JSON or TOML.
    pub seed: Option<PathBuf>,
    /// Serves what AWS's Parameters and Secrets Lambda extension does, on a port of its own.
    pub extension: Option<Extension>,
    /// Names, beside loopback names and addresses and [`host`](Self::host), that a request's `Host` header may have. All
    /// other requests are refused, so that no web page reaches the secrets by DNS rebinding.
    pub accepted_hosts: Vec<String>,
    /// Whether HTTP requests under `/_control/` may make trouble and move the clock.
    pub control: bool,
    /// Certificate and key to serve HTTPS with; `None` serves HTTP.
    pub tls: Option<Tls>,
    /// Account and region of callers that do not say theirs.
    pub defaults: Scope,
    /// Gets one line per request, and one per event of a rotation.
    pub log: Option<Log>,
    /// Who rotates, and which servers may be touched.
    pub rotation: RotationOptions,
}

/// How requests of functions are answered.
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
    /// What the header `X-Aws-Parameters-Secrets-Token` must be; `None` takes anything but nothing.
    pub token: Option<String>,
}

/// The token is not shown.
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
    /// Its private key.
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

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken.
    #[error(
        "port {port} on {host} is in use: stop what listens there, or choose another port (0 picks a free one)"
    )]
    PortInUse {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {host}:{port}: {source}")]
    Bind {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The data file cannot be used.
    #[error("cannot use the data file {}: {source}", path.display())]
    Data {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        source: DataError,
    },
    /// The seed file cannot be used.
    #[error("cannot use the seed file {}: {reason}", path.display())]
    Seed {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A name that requests may have in their `Host` header is none.
    #[error(
        "cannot accept requests for the host {name:?}: give a name or an address, without http:// and port"
    )]
    AcceptedHost {
        /// The name asked for.
        name: String,
    },
    /// Certificate or key cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Tls {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What was said of a rotation function makes no sense.
    #[error("cannot run the function {function}: {reason}")]
    Function {
        /// Its name.
        function: String,
        /// Why not.
        reason: String,
    },
    /// The endpoint for Lambda functions cannot be used.
    #[error("cannot use {url:?} as the endpoint for Lambda functions: {reason}")]
    LambdaEndpoint {
        /// The URL asked for.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// The system gave no randomness.
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

/// Loopback, so that nobody else can reach it.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The port clients expect it on.
pub const DEFAULT_PORT: u16 = 4584;

/// Where functions expect the extension.
pub const DEFAULT_EXTENSION_PORT: u16 = 2773;
