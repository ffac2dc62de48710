//! The servers that rotations can reach: those on this machine, stand-ins, and those allowed by name.

use std::net::SocketAddr;

use secretcache_rotation::targets::{Route, SystemRoute};
use secretcache_rotation::{BoxFuture, Error, ErrorKind};

use crate::options::{RotationOptions, ServerName, StandIn};

/// A route that reaches loopback addresses, and other addresses only of allowed hosts.
#[derive(Clone, Debug)]
pub(super) struct LocalRoute {
    stand_ins: Vec<StandIn>,
    allowed: Vec<String>,
}

impl LocalRoute {
    pub(super) fn new(options: &RotationOptions) -> Self {
        Self {
            stand_ins: options.stand_ins.clone(),
            allowed: options.allowed_hosts.iter().cloned().collect(),
        }
    }

    /// Returns the server to connect to: the stand-in for this server, if there is one.
    fn real(&self, named: ServerName) -> ServerName {
        let is_named = |stand_in: &&StandIn| {
            stand_in.named.port == named.port && stand_in.named.host.eq_ignore_ascii_case(&named.host)
        };
        self.stand_ins.iter().find(is_named).map(|stand_in| stand_in.real.clone()).unwrap_or(named)
    }

    fn allows(&self, host: &str, addresses: &[SocketAddr]) -> bool {
        addresses.iter().all(|address| address.ip().is_loopback())
            || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

impl Route for LocalRoute {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        Box::pin(async move {
            let real = self.real(ServerName { host: host.to_owned(), port });
            let way_out = format!(
                "let a server on this machine stand in for it: --map-host {host}:{port}=127.0.0.1:PORT"
            );
            let found = SystemRoute.addresses(&real.host, real.port).await;
            let addresses = found.map_err(|error| error.and(&way_out))?;
            if self.allows(&real.host, &addresses) {
                return Ok(addresses);
            }
            let address = addresses.first().map(|address| address.ip().to_string()).unwrap_or_default();
            Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "{:?} is not this machine (it resolves to {address}), and servers elsewhere are only changed if you allow it; {way_out}, or allow this one: --allow-host {}",
                    real.host, real.host
                ),
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(options: &RotationOptions, host: &str, port: u16) -> Result<Vec<String>, Error> {
        let route = LocalRoute::new(options);
        let found = route.addresses(host, port).await?;
        Ok(found.iter().map(SocketAddr::to_string).collect())
    }

    #[tokio::test]
    async fn loopback_is_reached_and_nothing_else_unless_it_is_named() {
        let mut options = RotationOptions::default();
        assert_eq!(ask(&options, "127.0.0.1", 5432).await.unwrap(), ["127.0.0.1:5432"]);
        assert_eq!(ask(&options, "::1", 5432).await.unwrap(), ["[::1]:5432"]);
        // An address reserved for documentation. A literal address needs no lookup.
        let refused = ask(&options, "192.0.2.7", 5432).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(refused.message().contains("--allow-host 192.0.2.7"), "{refused}");
        options.allowed_hosts.insert("192.0.2.7".to_owned());
        assert_eq!(ask(&options, "192.0.2.7", 5432).await.unwrap(), ["192.0.2.7:5432"]);
    }

    #[tokio::test]
    async fn a_stand_in_takes_the_place_of_one_port_of_one_host() {
        let mut options = RotationOptions::default();
        options.stand_ins.push("db.invalid:5432=127.0.0.1:15432".parse().unwrap());
        assert_eq!(ask(&options, "DB.invalid", 5432).await.unwrap(), ["127.0.0.1:15432"]);
        let unknown = ask(&options, "db.invalid", 5433).await.unwrap_err();
        assert!(unknown.message().contains("--map-host db.invalid:5433="), "{unknown}");
        // A stand-in on another machine must be allowed like any other server.
        options.stand_ins.push("far.invalid:5432=192.0.2.7:5432".parse().unwrap());
        assert_eq!(ask(&options, "far.invalid", 5432).await.unwrap_err().kind(), ErrorKind::Denied);
    }
}
