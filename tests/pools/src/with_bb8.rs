//! bb8, with redis.

use bb8::ManageConnection;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError};
use secretcache::{ConnectError, Credential, SecretCache};

/// Opens connections with the version of the secret that works.
pub struct Manager {
    pub cache: SecretCache,
    pub id: String,
    pub address: ConnectionAddr,
}

/// A connection, and the version of the secret it was made with.
pub struct Connection {
    pub redis: MultiplexedConnection,
    version: String,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = ConnectError<RedisError>;

    async fn connect(&self) -> Result<Connection, ConnectError<RedisError>> {
        let open = async |credential: Credential| {
            let login = RedisConnectionInfo::default()
                .set_username(credential.username().unwrap_or_default())
                .set_password(credential.password().unwrap_or_default());
            let info = self.address.clone().into_connection_info()?.set_redis_settings(login);
            let redis = Client::open(info)?.get_multiplexed_async_connection().await?;
            Ok(Connection { redis, version: credential.version_id().unwrap_or_default().to_owned() })
        };
        self.cache.connect(&self.id).run(open, is_refused).await
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), ConnectError<RedisError>> {
        redis::cmd("PING").exec_async(&mut connection.redis).await.map_err(ConnectError::Resource)
    }

    /// Decides whether to close a connection that is returned to the pool: yes, if its version is outdated.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.cache.is_outdated(&self.id, &connection.version)
    }
}

/// Checks the error kind, because the redis crate does not expose the server's error code, `WRONGPASS`.
fn is_refused(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
}
