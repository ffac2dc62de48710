//! PostgreSQL 10 and later.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::{md5, scram_sha_256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use zeroize::Zeroizing;

use super::kept::Kept;
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Guard, Lock, Probe, Target};

mod accounts;
mod connection;
mod diagnosis;
mod greeting;
mod missing;
mod named;
mod ownership;
mod pooler;
mod session;
mod settings;

use connection::{Attempt, connect};
use greeting::{Greeting, greet};
use session::{
    Encryption, begin, begin_and_ask_for_encryption, change, commit, fault, is_accepted_but_full, is_refusal,
};

/// PostgreSQL 10 and later.
///
/// With two alternating users, the first owns everything. The second is a member of the first and acts as it by default
/// (`ALTER ROLE … SET role`), so both can use the objects that either creates.
#[derive(Clone, Debug)]
pub struct Postgres {
    link: Link,
    kept: Kept<Client>,
    held: Held,
}

/// The session that holds a rotation's lock, with the credential that opened it. A user whose connection limit allows
/// no second session changes its password in this one.
type Held = Arc<Mutex<Option<(Zeroizing<String>, Weak<Client>)>>>;

/// The outcome of a login.
enum Login {
    Open(Client),
    Refused,
    /// The server accepted the password, but the user has reached its connection limit.
    Full,
}

/// The longest name, in bytes, that PostgreSQL does not truncate.
const LONGEST_NAME: usize = 63;

impl Postgres {
    /// Creates a target. `tls` decides which servers are trusted.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls), kept: Kept::default(), held: Held::default() }
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link }, ..self }
    }

    /// Logs in. A server that asks for no password is an error, whoever logs in: it would accept any. A user named in the
    /// secret would then pass for its owner, a new password would pass its test, and so would an administrator's secret
    /// that the secret's writer made up.
    async fn try_login(&self, document: &Document) -> Result<Login, Error> {
        let host = document.require("host")?;
        let mut config = Config::new();
        config
            .user(&**document.username()?)
            .password(document.password()?.as_bytes())
            .dbname(document.field("dbname").as_ref().map_or("postgres", |name| name))
            .application_name("secretcache rotation");
        within(CONNECT_TIMEOUT, "the login", async {
            let server = self.link.server(document, 5432).await?;
            // A session that was closed a moment ago can still count toward the limit.
            for pause in [50, 100, 200, 0] {
                let Attempt { outcome, is_asked } = connect(config.clone(), &server, &host).await?;
                match outcome {
                    Err(error) if is_refusal(&error) => return Ok(Login::Refused),
                    Err(error) if !is_accepted_but_full(&error) => return Err(fault("log in", error)),
                    _ if !is_asked => return Err(not_asked(document)),
                    Ok(client) => return Ok(Login::Open(client)),
                    Err(_) if pause > 0 => tokio::time::sleep(Duration::from_millis(pause)).await,
                    Err(_) => return Ok(Login::Full),
                }
            }
            Ok(Login::Full)
        })
        .await
    }

    /// Returns how the server asks this user to authenticate, without sending a password.
    async fn greet(&self, document: &Document) -> Result<Greeting, Error> {
        let (host, user) = (document.require("host")?, document.username()?);
        let database = document.field("dbname");
        let database = database.as_ref().map_or("postgres", |name| name);
        within(CONNECT_TIMEOUT, "the login", async {
            let server = self.link.server(document, 5432).await?;
            greet(&server.addresses, &host, server.trust.as_ref(), &user, database).await
        })
        .await
    }

    /// Chooses how to store a user's next password: as the server is set, except that a user who is asked for SCRAM
    /// never gets an MD5 hash, which the server might not be able to check.
    async fn storing(&self, document: &Document, set: Encryption) -> Result<Encryption, Error> {
        Ok(match set {
            Encryption::Scram => Encryption::Scram,
            Encryption::Md5 if self.greet(document).await? == Greeting::Scram => Encryption::Scram,
            Encryption::Md5 => Encryption::Md5,
        })
    }

    /// Logs in and begins a transaction; `None` if the server refuses the credential.
    async fn login(&self, document: &Document) -> Result<Option<Client>, Error> {
        match self.try_login(document).await? {
            Login::Open(client) => {
                begin(&client).await?;
                Ok(Some(client))
            }
            Login::Refused => Ok(None),
            Login::Full => Err(full(document)),
        }
    }

    /// Opens a session for an operator's own statements. They manage their own transactions, so the search path is
    /// pinned for the whole session: an unqualified name finds only the system catalog.
    pub(super) async fn login_for_statements(&self, document: &Document) -> Result<Option<Client>, Error> {
        match self.try_login(document).await? {
            Login::Open(client) => {
                session::run(&client, "pin the search path", "SET search_path TO pg_catalog, pg_temp")
                    .await?;
                Ok(Some(client))
            }
            Login::Refused => Ok(None),
            Login::Full => Err(full(document)),
        }
    }

    /// Returns an administrator's session with a transaction begun: the kept one if it still works, or a new one.
    /// `None` means that the server refuses the credential.
    async fn open(&self, admin: &Document) -> Result<Option<Client>, Error> {
        if let Some(client) = self.kept.take(admin)
            && within(CONNECT_TIMEOUT, "a sign of life", begin(&client)).await.is_ok()
        {
            return Ok(Some(client));
        }
        self.login(admin).await
    }

    /// Commits, and keeps an administrator's session for the next call.
    async fn keep(&self, admin: &Document, client: Client) -> Result<(), Error> {
        commit(&client).await?;
        self.kept.put(admin, client);
        Ok(())
    }

    /// Returns the session that holds the lock, if this credential opened it and it is still open.
    fn held(&self, login: &Document) -> Option<Arc<Client>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (opened_with, client) = held.as_ref()?;
        client.upgrade().filter(|client| *opened_with.as_str() == *login.text() && !client.is_closed())
    }

    /// Returns the statement that sets a role's password. It contains the verifier that the server stores: a cleartext
    /// password could end up in the server's logs, statistics and history.
    fn statement(change: Change<'_>, encryption: Encryption, is_own: bool) -> Result<String, Error> {
        let (name, password) = (change.credential.username()?, change.credential.password()?);
        let verifier = Zeroizing::new(match encryption {
            Encryption::Scram => scram_sha_256(password.as_bytes()),
            Encryption::Md5 => md5(password.as_bytes(), &name),
        });
        let (user, verifier) = (escape_identifier(&name), escape_literal(&verifier));
        // A user can change its own password, but not its LOGIN attribute.
        let attributes = if is_own { "" } else { "LOGIN " };
        Ok(format!("ALTER ROLE {user} WITH {attributes}PASSWORD {verifier}"))
    }

    /// Changes a user's own password in the session that holds the lock.
    async fn apply_by(&self, held: &Client, wanted: Change<'_>) -> Result<Applied, Error> {
        let encryption = self.storing(wanted.credential, session::encryption(held).await?).await?;
        change(held, "change the password", &Self::statement(wanted, encryption, true)?).await?;
        Ok(Applied::Done)
    }

    async fn apply_own(&self, wanted: Change<'_>) -> Result<Applied, Error> {
        let client = match self.try_login(wanted.login).await? {
            Login::Open(client) => client,
            Login::Refused => return Ok(Applied::LoginRefused),
            // The user's only session is the one that holds the lock. The server has just accepted the password again.
            // The change runs in that session's transaction and releases the lock with it.
            Login::Full => {
                let held = self.held(wanted.login).ok_or_else(|| full(wanted.login))?;
                return self.apply_by(&held, wanted).await;
            }
        };
        let encryption = begin_and_ask_for_encryption(&client).await?;
        let encryption = self.storing(wanted.credential, encryption).await?;
        change(&client, "change the password", &Self::statement(wanted, encryption, true)?).await?;
        Ok(Applied::Done)
    }

    /// Opens an administrator's session; a refused credential is an error.
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
            Ok(match self.try_login(credential).await? {
                Login::Open(_) | Login::Full => Probe::Accepted,
                Login::Refused => Probe::Refused,
            })
        })
    }

    fn apply<'a>(&'a self, wanted: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            if *wanted.login.username()? == *wanted.credential.username()? {
                return self.apply_own(wanted).await;
            }
            let Some(client) = self.open(wanted.login).await? else { return Ok(Applied::LoginRefused) };
            let encryption = self.storing(wanted.credential, session::encryption(&client).await?).await?;
            change(&client, "change the password", &Self::statement(wanted, encryption, false)?).await?;
            self.kept.put(wanted.login, client);
            Ok(Applied::Done)
        })
    }

    fn apply_and_unlock<'a>(
        &'a self,
        wanted: Change<'a>,
        guard: Option<Guard>,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let is_own = *wanted.login.username()? == *wanted.credential.username()?;
            match guard.as_ref().filter(|_| is_own).and_then(Guard::session::<Arc<Client>>) {
                Some(held) => self.apply_by(held, wanted).await,
                None => self.apply(wanted).await,
            }
        })
    }

    fn lock<'a>(&'a self, login: &'a Document, name: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        Box::pin(async move {
            let client = match self.try_login(login).await? {
                Login::Open(client) => client,
                Login::Refused => return Ok(Lock::LoginRefused),
                Login::Full => return Err(full(login)),
            };
            let key = format!("(pg_catalog.hashtextextended({}, 0))", escape_literal(name));
            let begin = format!(
                "SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = 0; \
                 SELECT pg_catalog.pg_try_advisory_xact_lock{key}"
            );
            if session::begin_and_ask(&client, &begin).await?.as_deref() != Some("t") {
                let wait = format!("SELECT pg_catalog.pg_advisory_xact_lock{key}");
                match within(STATEMENT_TIMEOUT, "the lock", async { Ok(client.batch_execute(&wait).await) })
                    .await?
                {
                    // The previous holder of the lock could have changed the password since this login.
                    Ok(()) if self.probe(login).await? == Probe::Refused => return Ok(Lock::LoginRefused),
                    Ok(()) => {}
                    Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                        return Ok(Lock::Busy);
                    }
                    Err(error) => return Err(fault("take the lock", error)),
                }
            }
            let client = Arc::new(client);
            let opened_with = Zeroizing::new(login.text().to_owned());
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((opened_with, Arc::downgrade(&client)));
            Ok(Lock::Held(Guard::new(client)))
        })
    }

    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(self.look(requirements))
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

/// The error for a server that asks a user for no password. Running the rotation again does not help.
fn not_asked(document: &Document) -> Error {
    let text = |field: &str| document.field(field).map(|text| text.to_string()).unwrap_or_default();
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "PostgreSQL at {:?} lets {:?} in without a password, so a login proves nothing: let the first line of \
             pg_hba.conf that applies to this user and to this machine's address say scram-sha-256 (a pooler: its \
             auth_type)",
            text("host"),
            text("username")
        ),
    )
}

/// The error for a user that has reached its connection limit.
fn full(document: &Document) -> Error {
    let user =
        document.field("username").map_or_else(|| "the user".to_owned(), |name| format!("{:?}", *name));
    Error::new(
        ErrorKind::Unavailable,
        format!("PostgreSQL allows {user} no more sessions; raise its CONNECTION LIMIT, or close one"),
    )
}
