//! Where a server is reached, which need not be what its name resolves to.

use std::fmt::Debug;
use std::net::SocketAddr;

use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;

/// Says at which addresses the server that a secret names is reached.
///
/// The name itself stays what certificates are verified against. Targets connect to no other address than these, so
/// an implementation that refuses some keeps passwords from going there.
pub trait Route: Debug + Send + Sync {
    /// The addresses to try in turn, at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the name does not resolve, [`ErrorKind::Denied`] if the server may not be reached.
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>>;
}

/// The addresses that the system's resolver gives.
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
