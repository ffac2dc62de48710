//! PostgreSQL, from version 10.

use std::sync::Arc;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::kept::Kept;
use super::tls::Trust;
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Guard, Lock, Probe, Target};

mod accounts;
mod diagnosis;
mod ownership;

/// PostgreSQL.
///
/// Of two alternating users, the first is the owner of everything: the second is a member of it and acts as it by
/// default (`ALTER ROLE … SET role`), so that objects made under either belong to both.
#[derive(Clone, Debug)]
pub struct Postgres {
    link: Link,
    kept: Kept<Client>,
}

/// The longest name that PostgreSQL keeps whole.
const LONGEST_NAME: usize = 63;

impl Postgres {
    /// A target whose servers are trusted as `tls` says.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls), kept: Kept::default() }
    }

    /// The same, reaching its servers by another route.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link }, ..self }
    }

    /// Logs in; `None` if the server refuses the credential.
    pub(super) async fn login(&self, document: &Document) -> Result<Option<Client>, Error> {
        let host = document.require("host")?;
        let mut config = Config::new();
        config
            .user(&**document.username()?)
            .password(document.password()?.as_bytes())
            .dbname(document.field("dbname").as_ref().map_or("postgres", |name| name))
            .application_name("secretcache rotation")
            .connect_timeout(CONNECT_TIMEOUT);
        within(CONNECT_TIMEOUT, "the login", async {
            let server = self.link.server(document, 5432).await?;
            for address in &server.addresses {
                config.host(&**host).hostaddr(address.ip()).port(address.port());
            }
            match connect(config, server.trust).await {
                Ok(client) => Ok(Some(client)),
                Err(error) if is_refusal(&error) => Ok(None),
                Err(error) => Err(fault("log in", error)),
            }
        })
        .await
    }

    /// An administrator's session: the one kept, if it is still good, or a new one; `None` if the server refuses the
    /// credential.
    async fn open(&self, admin: &Document) -> Result<Option<Client>, Error> {
        if let Some(client) = self.kept.take(admin)
            && within(CONNECT_TIMEOUT, "a sign of life", async { Ok(client.batch_execute("").await) })
                .await
                .is_ok_and(|answer| answer.is_ok())
        {
            return Ok(Some(client));
        }
        self.login(admin).await
    }

    /// A session with a credential that must work.
    async fn session(&self, admin: &Document) -> Result<Client, Error> {
        self.open(admin).await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "PostgreSQL refuses the administrator's credential")
        })
    }
}

impl Target for Postgres {
    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, LONGEST_NAME)?;
        credential.require("host").map(drop)
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            Ok(if self.login(credential).await?.is_some() { Probe::Accepted } else { Probe::Refused })
        })
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let name = change.credential.username()?;
            let is_own = *change.login.username()? == *name;
            let login =
                if is_own { self.login(change.login).await? } else { self.open(change.login).await? };
            let Some(client) = login else { return Ok(Applied::LoginRefused) };
            // A verifier, made here: the password itself would be in the server's log, its statistics and its history.
            let verifier = scram_sha_256(change.credential.password()?.as_bytes());
            let (user, verifier) = (escape_identifier(&name), escape_literal(&verifier));
            // A user may change its own password, but not whether it may log in.
            let attributes = if is_own { "" } else { "LOGIN " };
            let statement = format!("ALTER ROLE {user} WITH {attributes}PASSWORD {verifier}");
            run(&client, "change the password", &statement).await?;
            if !is_own {
                self.kept.put(change.login, client);
            }
            Ok(Applied::Done)
        })
    }

    fn lock<'a>(&'a self, login: &'a Document, name: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        Box::pin(async move {
            let Some(client) = self.login(login).await? else { return Ok(Lock::LoginRefused) };
            run(&client, "wait for the lock", "SET lock_timeout = '5s'").await?;
            let key = format!("SELECT pg_advisory_lock(hashtextextended({}, 0))", escape_literal(name));
            match within(STATEMENT_TIMEOUT, "the lock", async { Ok(client.batch_execute(&key).await) })
                .await?
            {
                Ok(()) => Ok(Lock::Held(Guard::new(client))),
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(Lock::Busy),
                Err(error) => Err(fault("take the lock", error)),
            }
        })
    }

    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(self.look(requirements))
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

async fn connect(mut config: Config, trust: Option<Trust>) -> Result<Client, tokio_postgres::Error> {
    match trust {
        None => {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        Some(trust) => {
            let tls = MakeRustlsConnect::new((*trust.config).clone());
            let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

/// Runs statements; several are one transaction.
async fn run(client: &Client, what: &str, statements: &str) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, what, async {
        client.batch_execute(statements).await.map_err(|error| fault(what, error))
    })
    .await
}

/// Whether the server answered and does not let the user in.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let refusals = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
    error.code().is_some_and(|code| refusals.contains(code))
}

/// What the server or the way to it has against a statement. The server's message is about the statement's objects and
/// does not quote it; its detail and context may, and stay here.
fn fault(what: &str, error: tokio_postgres::Error) -> Error {
    let Some(answer) = error.as_db_error() else {
        // The chain of causes holds addresses and certificates, nothing of the statement.
        return Error::new(ErrorKind::Unavailable, format!("could not {what} at PostgreSQL"))
            .with_source(error);
    };
    let kind = match answer.code() {
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Denied,
        code if *code == SqlState::INVALID_PARAMETER_VALUE => ErrorKind::Rejected,
        code if *code == SqlState::SYNTAX_ERROR => {
            return Error::new(
                ErrorKind::Unsupported,
                format!("PostgreSQL does not understand how to {what}"),
            );
        }
        _ => ErrorKind::Unavailable,
    };
    let (message, code) = (answer.message(), answer.code().code());
    Error::new(kind, format!("could not {what}: PostgreSQL says {message:?} ({code})"))
}
