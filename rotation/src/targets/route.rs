//! The addresses at which a server is reached. They can differ from what its name resolves to.

use std::fmt::Debug;
use std::net::SocketAddr;

use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;

/// Maps the server that a secret names to the addresses at which it is reached.
///
/// Certificates are still verified against the name. Targets connect only to the addresses returned here, so an
/// implementation that refuses an address keeps passwords from being sent to it.
pub trait Route: Debug + Send + Sync {
    /// Returns the addresses to try in turn, at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the name does not resolve, [`ErrorKind::Denied`] if the server is off limits.
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>>;
}

/// The default route: the addresses that the system's resolver returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRoute;

impl Route for SystemRoute {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        Box::pin(async move {
            let unknown =
                || Error::new(ErrorKind::Unavailable, format!("the host name {host:?} does not resolve"));
            let found = tokio::net::lookup_host((host, port)).await;
            let found: Vec<_> = found.map_err(|error| unknown().with_source(error))?.collect();
            if found.is_empty() { Err(unknown()) } else { Ok(found) }
        })
    }
}
