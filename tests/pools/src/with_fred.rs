//! fred.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::prelude::*;
use fred::types::config::{CredentialProvider, Server};
use secretcache::{ConnectError, Credential, SecretCache};

/// Provides fred with a version of the secret that works, user name and password together.
#[derive(Debug)]
pub struct Login {
    cache: SecretCache,
    id: String,
    config: Config,
}

#[async_trait]
impl CredentialProvider for Login {
    /// Tries each version with a temporary connection first, because fred does not report whether its own login
    /// succeeds. This costs one more login for each connection, and a client has one connection per server.
    async fn fetch(&self, _: Option<&Server>) -> Result<(Option<String>, Option<String>), Error> {
        let log_in = async |credential: Credential| {
            let username = credential.username().map(str::to_owned);
            let password = credential.password().map(str::to_owned);
            let mut config = self.config.clone();
            (config.username, config.password) = (username.clone(), password.clone());
            let client = Builder::from_config(config).build()?;
            client.init().await?;
            client.quit().await?;
            Ok((username, password))
        };
        match self.cache.connect(&self.id).run(log_in, is_refused).await {
            Err(ConnectError::Resource(error)) => Err(error),
            result => result.map_err(|error| Error::new(ErrorKind::Auth, error.to_string())),
        }
    }

    /// How often open connections log in again, with the version that works then.
    fn refresh_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }
}

fn is_refused(error: &Error) -> bool {
    *error.kind() == ErrorKind::Auth
}

/// Returns a client that logs in with the secret each time it connects. `config` has no user name and no password.
pub fn client(cache: SecretCache, id: &str, config: Config) -> Result<Client, Error> {
    let mut logging_in = config.clone();
    logging_in.credential_provider = Some(Arc::new(Login { cache, id: id.to_owned(), config }));
    Builder::from_config(logging_in).set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2)).build()
}
