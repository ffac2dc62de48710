//! The secrets: an endpoint in this process, and what tests read from it.

use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Credentials, Selector};
use secretcache_local::{Options, Server};
use secretcache_rotation::{
    AwsStore, Document, RealPause, Rotation, RotationOptions, Rotator, Runner, SecretStore, Settings,
    StrategyName, Verification,
};
use std::time::Duration;

/// A Secrets Manager endpoint that stops with the runtime it was started on, and a client for it.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    pub(super) port: u16,
    pub(super) store: AwsStore,
}

impl Secrets {
    pub(super) async fn start() -> Result<Self, String> {
        let options = Options { port: 0, ..Options::default() };
        let server = Server::bind(options).await.map_err(|error| error.to_string())?;
        let port = server.address().port();
        tokio::spawn(server.serve());
        let options = connect_options(&url(port));
        Ok(Self { port, store: AwsStore::connect(&options).await.map_err(text)? })
    }

    /// Stores a new secret.
    pub(super) async fn create(&self, name: &str, value: &str) -> Result<(), String> {
        let call = self.store.client().create_secret().name(name).secret_string(value);
        call.send().await.map(drop).map_err(|error| format!("CreateSecret: {error:?}"))
    }

    /// Reads the value with a label.
    pub(super) async fn value(&self, name: &str, label: &str) -> Result<Option<Document>, String> {
        let version = self.store.get(name, Selector::stage(label)).await.map_err(text)?;
        Ok(version.map(|version| version.document))
    }

    /// Returns the ids of the versions with the service's labels: current, pending, previous.
    pub(super) async fn labels(&self, name: &str) -> Result<[Option<String>; 3], String> {
        let state = self.store.describe(name).await.map_err(text)?;
        let id = |label| state.labelled(label).map(|version| version.id.clone());
        Ok([AWSCURRENT, AWSPENDING, AWSPREVIOUS].map(id))
    }

    /// Returns everything about a secret, to compare it later.
    pub(super) async fn everything(&self, name: &str) -> Result<String, String> {
        let versions = self.store.list_versions(name).await.map_err(text)?;
        let value = self.value(name, AWSCURRENT).await?;
        Ok(format!("{name} {versions:?} {:?}", value.map(|value| value.text().to_owned())))
    }
}

/// Returns the options to connect to an endpoint. The long timeout keeps slow tests from causing retries.
pub fn connect_options(url: &str) -> secretcache::host::Options {
    let mut options = secretcache::host::Options::default();
    options.endpoint_url = Some(url.to_owned());
    options.region = Some("us-east-1".to_owned());
    options.credentials = Some(Credentials::new("test", "test", None));
    options.timeout = Some(Duration::from_secs(300));
    options
}

pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Rotates a secret once.
///
/// # Errors
///
/// A description of what went wrong.
pub async fn rotate(
    store: &AwsStore,
    secret: &str,
    strategy: StrategyName,
    provider: Option<String>,
) -> Result<Rotation, String> {
    let Some(current) = store.get(secret, Selector::CURRENT).await.map_err(text)? else {
        return Err("the secret has no value".to_owned());
    };
    let mut options = RotationOptions::default();
    options.strategy = Some(strategy);
    options.verification = Verification::Off;
    options.provider = provider;
    let (rotator, _) = Rotator::new(&current.document, &options).map_err(text)?;
    let (strategy, mut settings) = (rotator.strategy(), Settings::default());
    // A server on this machine does not lag, so pauses can be short.
    settings.pause = Duration::from_millis(5);
    let runner = Runner { store, strategy: &*strategy, pause: &RealPause, settings: &settings, attempts: 1 };
    runner.rotate(secret).await.map_err(text)
}

pub(super) fn text(error: secretcache_rotation::Error) -> String {
    format!("{:?}: {error}", error.kind())
}
