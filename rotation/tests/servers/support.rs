//! Helpers for tests on real servers: the servers, an in-memory secret store, and whole rotations.

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the crate of the cross-crate tests")]
#[path = "../../../tests/src"]
mod shared {
    pub mod databases;
    pub mod provider;
}

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use mysql_async::prelude::Queryable;
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector};
use secretcache_rotation::operate::{Backend, RotationContext};
use secretcache_rotation::targets::Tls;
use secretcache_rotation::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

pub(crate) use self::shared::databases::{Address, Database, Kind, Pooler, Tls as ServerTls};
pub(crate) use self::shared::provider::KeyProvider;

/// Starts a server.
pub(crate) fn start(kind: Kind, tls: ServerTls) -> Database {
    Database::start(kind, tls).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Returns the TLS settings with which clients trust a server.
pub(crate) fn trust(address: &Address) -> Tls {
    match &address.ca_file {
        Some(file) => Tls::with_authorities(&std::fs::read_to_string(file).unwrap()).unwrap(),
        None => Tls::off(),
    }
}

/// Returns a user's secret for a server.
pub(crate) fn secret(address: &Address, user: &str, password: &str, more: &str) -> Document {
    let Address { host, port, .. } = address;
    Document::parse(&format!(
        r#"{{"host":"{host}","port":{port},"username":"{user}","password":"{password}"{more}}}"#
    ))
    .unwrap()
}

/// Runs a statement or command as the administrator.
pub(crate) async fn run(address: &Address, kind: Kind, statement: &str) {
    match kind {
        Kind::MariaDb | Kind::MySql => {
            let mut client = crate::mariadb::session(&crate::mariadb::admin(address)).await.unwrap();
            client.query_drop(statement).await.unwrap();
        }
        Kind::Redis => {
            let mut client = TcpStream::connect((address.host.as_str(), address.port)).await.unwrap();
            let commands = format!("AUTH {} {}\r\n{statement}\r\nQUIT\r\n", address.user, address.password);
            client.write_all(commands.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "+OK\r\n+OK\r\n+OK\r\n");
        }
        Kind::Ldap => crate::ldap::modify(address, statement),
        _ => crate::postgres::session(&crate::postgres::admin(address))
            .await
            .unwrap()
            .batch_execute(statement)
            .await
            .unwrap(),
    }
}

/// Returns the context for an operator's commands: a secret with its strategy and resource.
pub(crate) fn context<'a>(
    store: &'a Store,
    settings: &'a Settings,
    strategy: StrategyName,
    target: &'a dyn Target,
) -> RotationContext<'a> {
    let backend = Backend::Target(target);
    RotationContext { store, pause: store, settings, secret_id: "s", strategy, backend }
}

/// A store with one secret, which follows the service's rules, and optionally a master secret.
#[derive(Debug)]
pub(crate) struct Store {
    versions: Mutex<Vec<(String, Document, Vec<&'static str>)>>,
    master: Mutex<Option<Document>>,
}

impl Store {
    pub(crate) fn new(current: Document, master: Option<Document>) -> Self {
        Self {
            versions: Mutex::new(vec![("first".into(), current, vec![AWSCURRENT])]),
            master: Mutex::new(master),
        }
    }

    /// Returns the value with a label.
    pub(crate) fn value(&self, label: &str) -> Option<Document> {
        let versions = self.versions.lock().unwrap();
        versions.iter().find(|(_, _, labels)| labels.contains(&label)).map(|(_, value, _)| value.clone())
    }

    /// Replaces the master secret.
    pub(crate) fn change_master(&self, master: Document) {
        *self.master.lock().unwrap() = Some(master);
    }

    /// Runs all four steps of one rotation.
    pub(crate) async fn rotate(&self, strategy: &dyn Strategy, settings: &Settings) -> Result<(), Error> {
        self.steps(strategy, settings, &Step::ALL).await
    }

    /// Stores a value as a manual `PutSecretValue` does: as a new version that becomes current at once.
    pub(crate) fn store_by_hand(&self, value: Document) {
        let mut versions = self.versions.lock().unwrap();
        for (_, _, labels) in versions.iter_mut() {
            labels.retain(|label| *label != AWSPREVIOUS);
            labels.iter_mut().filter(|label| **label == AWSCURRENT).for_each(|label| *label = AWSPREVIOUS);
        }
        let id = format!("by-hand-{}", versions.len());
        versions.push((id, value, vec![AWSCURRENT]));
    }

    /// Runs all steps for the rotation in progress.
    pub(crate) async fn resume(&self, strategy: &dyn Strategy, settings: &Settings) -> Result<(), Error> {
        let token = self.describe("s").await?.labelled(AWSPENDING).map(|version| version.id.clone());
        let engine = Engine { store: self, strategy, pause: self, settings, driver: Driver::Runner };
        for step in Step::ALL {
            let event = Event {
                step,
                secret_id: "s".into(),
                client_request_token: token.clone().unwrap_or_default(),
                rotation_token: None,
            };
            engine.step(&event).await?;
        }
        Ok(())
    }

    /// Returns a runner on this store.
    pub(crate) fn runner<'a>(&'a self, strategy: &'a dyn Strategy, settings: &'a Settings) -> Runner<'a> {
        Runner { store: self, strategy, pause: self, settings, attempts: 3 }
    }

    /// Runs some steps of a rotation.
    pub(crate) async fn steps(
        &self,
        strategy: &dyn Strategy,
        settings: &Settings,
        steps: &[Step],
    ) -> Result<(), Error> {
        let current = self.describe("s").await?.labelled(AWSCURRENT).unwrap().id.clone();
        let token = derive_token("arn", &current, 0);
        let engine = Engine { store: self, strategy, pause: self, settings, driver: Driver::Runner };
        for step in steps {
            let event = Event {
                step: *step,
                secret_id: "s".into(),
                client_request_token: token.clone(),
                rotation_token: None,
            };
            engine.step(&event).await?;
        }
        Ok(())
    }
}

impl SecretStore for Store {
    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<SecretState, Error>> {
        let versions = self.versions.lock().unwrap();
        let versions = versions.iter().map(|(id, _, labels)| VersionState {
            id: id.clone(),
            stages: labels.iter().map(|label| (*label).to_owned()).collect(),
        });
        let state = SecretState { arn: "arn".into(), versions: versions.collect(), ..SecretState::default() };
        Box::pin(async { Ok(state) })
    }

    fn get<'a>(&'a self, id: &'a str, wanted: Selector<'a>) -> BoxFuture<'a, Result<Option<Version>, Error>> {
        let versions = self.versions.lock().unwrap();
        let found = versions.iter().enumerate().find(|(_, (id, _, labels))| match wanted.as_stage() {
            Some(stage) => labels.contains(&stage),
            None => Some(id.as_str()) == wanted.as_version_id(),
        });
        let version = |place: usize, id: &str, document: &Document| Version {
            id: id.to_owned(),
            created: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(place as u64)),
            document: document.clone(),
        };
        let master = self.master.lock().unwrap();
        let found = match (&*master, id) {
            (Some(master), "master") => Some(version(0, "master", master)),
            _ => found.map(|(place, (id, document, _))| version(place, id, document)),
        };
        Box::pin(async { Ok(found) })
    }

    fn put_pending<'a>(&'a self, pending: Pending<'a>) -> BoxFuture<'a, Result<Put, Error>> {
        let mut versions = self.versions.lock().unwrap();
        let exists = versions.iter().any(|(id, _, _)| id == pending.token);
        if !exists {
            versions.iter_mut().for_each(|(_, _, labels)| labels.retain(|label| *label != AWSPENDING));
            versions.push((pending.token.to_owned(), pending.document.clone(), vec![AWSPENDING]));
        }
        Box::pin(async move { Ok(if exists { Put::Exists } else { Put::Stored }) })
    }

    fn move_stage<'a>(&'a self, _: &'a str, stage: StageMove<'a>) -> BoxFuture<'a, Result<Moved, Error>> {
        let mut versions = self.versions.lock().unwrap();
        let label = if stage.stage == AWSCURRENT { AWSCURRENT } else { AWSPENDING };
        let holder =
            versions.iter().find(|(_, _, labels)| labels.contains(&label)).map(|(id, _, _)| id.clone());
        let matches = holder.as_deref() == stage.from;
        if matches {
            for (id, _, labels) in versions.iter_mut() {
                let had_it = labels.contains(&label);
                labels.retain(|had| *had != label && (label != AWSCURRENT || *had != AWSPREVIOUS));
                if stage.to == Some(id) {
                    labels.push(label);
                } else if had_it && label == AWSCURRENT {
                    labels.push(AWSPREVIOUS);
                }
            }
        }
        Box::pin(async move { Ok(if matches { Moved::Done } else { Moved::Conflict }) })
    }

    fn random_password<'a>(
        &'a self,
        policy: &'a PasswordPolicy,
    ) -> BoxFuture<'a, Result<Zeroizing<String>, Error>> {
        let seed =
            format!("{:?}", std::time::Duration::from_nanos(self.versions.lock().unwrap().len() as u64));
        let token = derive_token(&seed, "a password", std::process::id());
        let mut password = format!("{token}$%'`\"\\Z").replace(['\'', '"', '\\', '@', '/', ':'], "!");
        password.truncate(policy.length.max(8));
        let password = format!("Z!{}", &password[2..]);
        Box::pin(async { Ok(password.into()) })
    }

    fn list_versions<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<VersionState>, Error>> {
        Box::pin(async {
            let mut versions = self.describe("s").await?.versions;
            versions.reverse();
            Ok(versions)
        })
    }
}

impl Pause for Store {
    fn pause(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}
