//! Targets on real servers.
//!
//! They run on a tokio runtime, and verify the server's certificate unless configured otherwise. If the server accepts
//! it, statements contain a password's hash instead of the password.

#[cfg(feature = "http")]
mod api_key;
#[cfg(feature = "http")]
mod derived;
#[cfg(feature = "http")]
mod http_target;
#[cfg(any(feature = "postgres", all(feature = "ldap", unix)))]
mod inspected;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod kept;
#[cfg(feature = "ldap")]
mod ldap;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod route;
#[cfg(all(feature = "postgres", feature = "mysql", feature = "http"))]
mod statements;
#[cfg(feature = "http")]
mod template;
mod tls;

#[cfg(feature = "http")]
pub use api_key::HttpProvider;
#[cfg(feature = "iam")]
pub use api_key::IamProvider;
#[cfg(feature = "http")]
pub use http_target::HttpTarget;
#[cfg(feature = "ldap")]
pub use ldap::Ldap;
#[cfg(feature = "mysql")]
pub use mysql::MySql;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use route::{Route, SystemRoute};
#[cfg(all(feature = "postgres", feature = "mysql", feature = "http"))]
pub use statements::Statements;
pub use tls::Tls;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use tls::Trust;

/// The time limit of a login. Three logins fit into a rotation function's usual timeout, with room to report.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// How a target reaches its servers: at which addresses, and whether over TLS.
#[derive(Clone, Debug)]
struct Link {
    tls: Tls,
    route: Arc<dyn Route>,
}

/// One server, with its addresses resolved.
struct Server {
    addresses: Vec<SocketAddr>,
    /// `None` means no encryption.
    trust: Option<Trust>,
}

impl Link {
    fn new(tls: Tls) -> Self {
        Self { tls, route: Arc::new(SystemRoute) }
    }

    /// Resolves the server that a document names.
    async fn server(&self, document: &Document, usual_port: u16) -> Result<Server, Error> {
        let (host, port) = (document.require("host")?, port(document, usual_port)?);
        let addresses = self.route.addresses(&host, port).await?;
        let trust = self.tls.trust(document, &addresses).cloned();
        Ok(Server { addresses, trust })
    }
}

/// Runs `work` with a time limit. Some drivers panic on responses they do not understand; a panic becomes an error.
async fn within<T>(
    time: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    // Unwind-safe: the state that the work shares is dropped with it, so it is never seen half-changed.
    let caught = poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))).unwrap_or_else(|_| {
            let text = format!("{what} failed: the driver does not understand the server's response");
            Poll::Ready(Err(Error::new(ErrorKind::Unsupported, text)))
        })
    });
    match tokio::time::timeout(time, caught).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Error::new(ErrorKind::Unavailable, format!("{what} took longer than {} s", time.as_secs())))
        }
    }
}

/// Returns the port in a document, or the usual one.
fn port(document: &Document, usual: u16) -> Result<u16, Error> {
    match document.field("port") {
        None => Ok(usual),
        Some(port) => port.trim().parse().map_err(|_| {
            Error::new(ErrorKind::Misconfigured, "the secret's \"port\" is not a number from 0 to 65535")
        }),
    }
}

/// Rejects credentials that no server accepts: names that are too long, and zero bytes, which end a protocol's strings.
fn check_credential(document: &Document, longest_name: usize) -> Result<(), Error> {
    let (name, password) = (document.username()?, document.password()?);
    if name.len() > longest_name {
        return Err(Error::new(
            ErrorKind::Rejected,
            format!("the user name {:?} is longer than {longest_name} bytes", *name),
        ));
    }
    if name.contains('\0') || password.contains('\0') {
        return Err(Error::new(ErrorKind::Rejected, "the user name or the password contains a zero byte"));
    }
    Ok(())
}
