//! deadpool, with tokio-postgres.

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use secretcache::{ConnectError, Credential, SecretCache, login_refused};
use tokio_postgres::{Client, Config, Error, NoTls};

/// Opens connections with the version of the secret that works.
#[derive(Debug)]
pub struct Manager {
    cache: SecretCache,
    id: String,
    config: Config,
}

/// A connection, and the version of the secret it was made with.
pub struct Connection {
    pub client: Client,
    version: String,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = ConnectError<Error>;

    async fn create(&self) -> Result<Connection, ConnectError<Error>> {
        let open = async |credential: Credential| {
            let mut config = self.config.clone();
            config.user(credential.username().unwrap_or_default());
            config.password(credential.password().unwrap_or_default());
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(Connection { client, version: credential.version_id().unwrap_or_default().to_owned() })
        };
        self.cache.connect(&self.id).run(open, is_refused).await
    }

    /// Checks an idle connection before it is used again: it must be open, and its version current.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Self::Error> {
        if connection.client.is_closed() || self.cache.is_outdated(&self.id, &connection.version) {
            return Err(RecycleError::message("closed, or its version of the secret is outdated"));
        }
        Ok(())
    }
}

fn is_refused(error: &Error) -> bool {
    login_refused(error.code().map(|code| code.code()), &error.to_string())
}

pub type Pool = managed::Pool<Manager>;

/// Returns a pool. Keep the result of `cache.watch(id)` as long as the pool: it refreshes the secret without reads.
pub fn pool(cache: SecretCache, id: &str, config: Config) -> Pool {
    let manager = Manager { cache, id: id.to_owned(), config };
    Pool::builder(manager).max_size(4).build().expect("no timeouts are set, so no runtime is missing")
}
