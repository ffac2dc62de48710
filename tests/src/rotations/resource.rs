//! The resources that rotations under test change, and what they must leave alone.

use std::fmt::{self, Debug};
use std::sync::Arc;

use secretcache_rotation::{BoxFuture, Document, StrategyName, Target};

use super::message::Protocol;
use super::resources::{Keys, MySql, Postgres, Redis};
use crate::databases::{self, Pooler};

/// A kind of resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A database or cache.
    Database(databases::Kind),
    /// PostgreSQL 15 behind PgBouncer in transaction mode, for rotations and for clients.
    Pooled,
    /// A provider of API keys.
    Keys,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Database(databases::Kind::Postgres15),
        Self::Database(databases::Kind::Postgres16),
        Self::Database(databases::Kind::Postgres18),
        Self::Database(databases::Kind::MariaDb),
        Self::Database(databases::Kind::MySql),
        Self::Database(databases::Kind::Redis),
        Self::Pooled,
        Self::Keys,
    ];

    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Database(kind) => kind.name(),
            Self::Pooled => "pgbouncer",
            Self::Keys => "http-provider",
        }
    }

    /// Returns the ways in which credentials can rotate there.
    pub fn subjects(self) -> Vec<Subject> {
        use StrategyName::{AlternatingUsers, ApiKey, DualPassword, SingleUser};
        let ways: &[_] = match self {
            Self::Keys => &[(ApiKey, false)],
            Self::Database(databases::Kind::Redis) => {
                &[(SingleUser, false), (SingleUser, true), (DualPassword, false)]
            }
            Self::Database(databases::Kind::MariaDb | databases::Kind::MySql) => {
                &[(SingleUser, false), (SingleUser, true), (AlternatingUsers, true), (DualPassword, true)]
            }
            Self::Database(_) | Self::Pooled => {
                &[(SingleUser, false), (SingleUser, true), (AlternatingUsers, true)]
            }
        };
        let subject = |&(strategy, has_administrator)| Subject { kind: self, strategy, has_administrator };
        ways.iter().map(subject).collect()
    }

    pub(super) async fn start(self) -> Result<Arc<dyn Resource>, String> {
        let kind = match self {
            Self::Database(kind) => kind,
            Self::Pooled => databases::Kind::Postgres15,
            Self::Keys => return Ok(Arc::new(Keys::start().await?)),
        };
        let starting = tokio::task::spawn_blocking(move || {
            let database = databases::Database::start(kind, databases::Tls::Off)?;
            let pooler = match self {
                Self::Pooled => Some(Pooler::start(&database.address, SESSIONS)?),
                _ => None,
            };
            Ok::<_, String>((database, pooler))
        });
        let (database, pooler) = starting.await.map_err(|error| error.to_string())??;
        Ok(match kind {
            databases::Kind::MariaDb | databases::Kind::MySql => Arc::new(MySql::new(database).await?),
            databases::Kind::Redis => Arc::new(Redis::new(database).await?),
            _ => Arc::new(Postgres::new(database, pooler).await?),
        })
    }
}

/// How many sessions per user a pooler has at the server: a rotation holds a lock with one and makes its change with
/// another, and the checking client has the third.
const SESSIONS: u32 = 3;

/// A way to rotate a credential on a kind of resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The kind of resource.
    pub kind: Kind,
    /// The strategy.
    pub strategy: StrategyName,
    /// Whether an administrator makes the changes.
    pub has_administrator: bool,
}

impl Subject {
    /// Whether the current credential must work at every moment.
    pub(super) fn has_no_window(self) -> bool {
        self.strategy != StrategyName::SingleUser
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strategy.name())?;
        let is_remarkable = self.has_administrator && self.strategy == StrategyName::SingleUser;
        f.write_str(if is_remarkable { ", by an administrator" } else { "" })
    }
}

/// A change of credentials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare<'a> {
    pub(super) subject: Subject,
    /// The credential that makes the change.
    pub(super) login: &'a Document,
    pub(super) current: &'a Document,
    pub(super) pending: &'a Document,
}

/// A server with users. The names of users that rotate begin with `app_`.
pub(super) trait Resource: Debug + Send + Sync {
    fn protocol(&self) -> Protocol;

    /// Returns the port it listens on.
    fn port(&self) -> u16;

    /// Creates a user with some work to do, and returns the value of its secret. Rotations reach the server at `port`.
    fn prepare<'a>(&'a self, user: &'a str, port: u16) -> BoxFuture<'a, Result<String, String>>;

    /// Whether a credential logs in, directly at the server, and can do its work there.
    fn works<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>>;

    /// Like [`Resource::works`], but only logs in.
    fn logs_in<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        self.works(credential)
    }

    /// Returns everything about the other users: hashes, attributes, privileges.
    fn others(&self) -> BoxFuture<'_, Result<Vec<String>, String>>;

    /// Makes the bare change, without any checks: only the commands that make the new credential valid. Like rotations,
    /// it sends no password over the wire where the server accepts a hash.
    fn change<'a>(&'a self, change: Bare<'a>) -> BoxFuture<'a, Result<(), String>>;

    /// Returns the product's own target for the server, if users can alternate.
    fn target(&self) -> Option<Box<dyn Target>> {
        None
    }

    /// For a provider of keys: revokes the previous key, creates a new one, and returns the secret's new value.
    fn make<'a>(
        &'a self,
        current: &'a Document,
        previous: Option<&'a Document>,
    ) -> BoxFuture<'a, Result<Option<Document>, String>> {
        let _ = (current, previous);
        Box::pin(async { Ok(None) })
    }

    /// Returns the administrator's user name and password.
    fn administrator(&self) -> Option<(String, String)> {
        None
    }

    /// Returns the description of a provider of keys, with requests sent to `port`.
    fn description(&self, port: u16) -> Option<String> {
        let _ = port;
        None
    }
}
