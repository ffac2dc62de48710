//! sqlx's own pool.

use std::sync::{Mutex, PoisonError};

use secretcache::{ConnectError, Credential, SecretCache, login_refused};
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Error, PgPool, Postgres};

/// A pool whose options follow the secret.
pub struct RotatingPool {
    pub pool: PgPool,
    cache: SecretCache,
    id: String,
    version: Mutex<String>,
}

impl RotatingPool {
    pub fn new(pool: PgPool, cache: SecretCache, id: &str) -> Self {
        Self { pool, cache, id: id.to_owned(), version: Mutex::default() }
    }

    /// Returns a connection. sqlx takes the login from the pool's options, so this updates them when another version is
    /// current, and when a login is refused. Give the pool a `max_lifetime`, so that connections of old versions close.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, ConnectError<Error>> {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if version.is_empty() || self.cache.is_outdated(&self.id, &version) {
            self.renew().await?;
        }
        match self.pool.acquire().await {
            Err(error) if is_refused(&error) => self.renew().await?,
            result => return result.map_err(ConnectError::Resource),
        }
        self.pool.acquire().await.map_err(ConnectError::Resource)
    }

    /// Logs in once to find the version that works, and sets it in the pool's options.
    async fn renew(&self) -> Result<(), ConnectError<Error>> {
        let log_in = async |credential: Credential| {
            let options = self.pool.connect_options().as_ref().clone();
            let options = options
                .username(credential.username().unwrap_or_default())
                .password(credential.password().unwrap_or_default());
            options.connect().await?.close().await?;
            Ok((options, credential.version_id().unwrap_or_default().to_owned()))
        };
        let (options, version) = self.cache.connect(&self.id).run(log_in, is_refused).await?;
        self.pool.set_connect_options(options);
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
        Ok(())
    }
}

fn is_refused(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    login_refused(error.code().as_deref(), error.message())
}
