//! MariaDB, from version 10.4, and MySQL, from 5.7.6.

use std::net::SocketAddr;
use std::sync::Arc;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder, SslOpts};
use sha1::{Digest, Sha1};

use super::kept::Kept;
use super::tls::Trust;
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Server, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Guard, Lock, Probe, Target};

mod accounts;
mod diagnosis;
mod dialect;
mod grants;
mod mark;

use dialect::{Account, Dialect};

/// MariaDB and MySQL.
///
/// MariaDB gets a password's hash and never the password. MySQL has no statement for that, so that the password stands in
/// one in the clear: inside TLS, and left out of the server's logs by the server.
#[derive(Clone, Debug)]
pub struct MySql {
    link: Link,
    kept: Kept<Conn>,
}

/// The longest name that MariaDB takes.
const LONGEST_NAME: usize = 80;
/// How long an answer may be, in bytes; as servers have it by default.
const LONGEST_ANSWER: usize = 16 << 20;

impl MySql {
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
    pub(super) async fn login(&self, document: &Document) -> Result<Option<Conn>, Error> {
        let host = document.require("host")?;
        let options = OptsBuilder::default()
            .user(Some(document.username()?.to_string()))
            .pass(Some(document.password()?.to_string()))
            .db_name(document.field("dbname").map(|name| name.to_string()))
            // Else the driver goes on over a socket of its own choice, where other accounts may apply.
            .prefer_socket(false)
            // Else it asks for these two after each login. The first bounds what it reads, the second is for its pools.
            .max_allowed_packet(Some(LONGEST_ANSWER))
            .wait_timeout(Some(usize::from(u16::MAX)));
        within(CONNECT_TIMEOUT, "the login", async {
            let Server { addresses, trust } = self.link.server(document, 3306).await?;
            // The driver takes one port for all addresses, as every route gives it.
            let port = addresses.first().map_or(3306, SocketAddr::port);
            let ssl = trust.map(|Trust { authorities, .. }| {
                let authorities = authorities.iter().map(|authority| authority.to_vec().into());
                SslOpts::default().with_root_certs(authorities.collect()).with_disable_built_in_roots(true)
            });
            let options = options
                .ip_or_hostname(host.to_string())
                .resolved_ips(Some(addresses.iter().map(SocketAddr::ip).collect::<Vec<_>>()))
                .tcp_port(port)
                .ssl_opts(ssl);
            match Conn::new(options).await {
                Ok(connection) => Ok(Some(connection)),
                Err(mysql_async::Error::Server(error)) if REFUSALS.contains(&error.code) => Ok(None),
                Err(error) => Err(fault("log in", error)),
            }
        })
        .await
    }

    /// An administrator's session: the one kept, if it is still good, or a new one; `None` if the server refuses the
    /// credential. The question for the version tells whether it is.
    async fn open(&self, admin: &Document) -> Result<Option<(Conn, Dialect)>, Error> {
        if let Some(mut connection) = self.kept.take(admin)
            && let Ok(dialect) = within(CONNECT_TIMEOUT, "a sign of life", dialect_of(&mut connection)).await
        {
            return Ok(Some((connection, dialect)));
        }
        let Some(mut connection) = self.login(admin).await? else { return Ok(None) };
        let dialect = dialect_of(&mut connection).await?;
        Ok(Some((connection, dialect)))
    }

    /// A session with a credential that must work.
    async fn session(&self, admin: &Document) -> Result<(Conn, Dialect), Error> {
        self.open(admin).await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the server refuses the administrator's credential")
        })
    }
}

/// Access denied, by password or by plugin.
const REFUSALS: [u16; 2] = [1045, 1698];

impl Target for MySql {
    fn has_dual_passwords(&self) -> bool {
        true
    }

    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, LONGEST_NAME)?;
        credential.require("host").map(drop)
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let Some(connection) = self.login(credential).await? else { return Ok(Probe::Refused) };
            drop(connection.disconnect().await);
            Ok(Probe::Accepted)
        })
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let name = change.credential.username()?;
            let is_own = *change.login.username()? == *name;
            let (mut connection, dialect, account) = if is_own {
                let Some(mut connection) = self.login(change.login).await? else {
                    return Ok(Applied::LoginRefused);
                };
                let (dialect, account) = own_dialect_and_account(&mut connection).await?;
                (connection, dialect, account)
            } else {
                let Some((mut connection, dialect)) = self.open(change.login).await? else {
                    return Ok(Applied::LoginRefused);
                };
                let account = account(&mut connection, dialect, &name).await?.ok_or_else(|| {
                    Error::new(ErrorKind::Refused, format!("the server has no user {:?}", *name))
                })?;
                (connection, dialect, account)
            };
            let account = made(&mut connection, account, is_own).await?;
            let has_escapes = match dialect {
                // It gets hashes, which have nothing to escape.
                Dialect::MariaDb(_) => true,
                Dialect::MySql(_) => {
                    let modes = rows::<String>(&mut connection, "SELECT @@SESSION.sql_mode").await?;
                    !modes.iter().any(|modes| modes.contains("NO_BACKSLASH_ESCAPES"))
                }
            };
            let keep = change.keep.map(Document::password).transpose()?;
            let (new, keep) = (change.credential.password()?, keep.as_deref().map(String::as_str));
            for statement in dialect.change_password(&account, &new, keep, has_escapes)? {
                match run(&mut connection, "change the password", &statement.text).await {
                    Err(error) if statement.may_be_denied && error.kind() == ErrorKind::Denied => {}
                    done => done?,
                }
            }
            if is_own {
                drop(connection.disconnect().await);
            } else {
                self.kept.put(change.login, connection);
            }
            Ok(Applied::Done)
        })
    }

    fn lock<'a>(&'a self, login: &'a Document, name: &'a str) -> BoxFuture<'a, Result<Lock, Error>> {
        Box::pin(async move {
            let Some(mut connection) = self.login(login).await? else { return Ok(Lock::LoginRefused) };
            // Names of locks have at most 64 characters.
            let statement = format!("SELECT GET_LOCK('secretcache {}', 5)", hex(&Sha1::digest(name)));
            Ok(match rows::<Option<i64>>(&mut connection, &statement).await?.first() {
                Some(Some(1)) => Lock::Held(Guard::new(connection)),
                _ => Lock::Busy,
            })
        })
    }

    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(self.look(requirements))
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

/// How MariaDB stores a password: the one form of it that may stand in a statement.
pub(super) fn hash(password: &str) -> String {
    format!("*{}", hex(&Sha1::digest(Sha1::digest(password.as_bytes()))).to_uppercase())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as it stands in a statement, in whichever SQL mode: its bytes.
fn literal(text: &str) -> String {
    format!("CONVERT(x'{}' USING utf8mb4)", hex(text.as_bytes()))
}

/// Which server a session is at, and the account that it is logged in to, quoted. Its host may be a pattern.
async fn own_dialect_and_account(connection: &mut Conn) -> Result<(Dialect, String), Error> {
    let answers = rows::<(String, String)>(connection, "SELECT VERSION(), CURRENT_USER()").await?;
    let answer = answers.first().and_then(|(version, account)| Some((version, account.rsplit_once('@')?)));
    let Some((version, (user, host))) = answer else {
        return Err(Error::new(ErrorKind::Unavailable, "the server gave no answer"));
    };
    Ok((Dialect::of(version)?, format!("{}@{}", quoted(user), quoted(host))))
}

/// The one account with a user name, quoted.
async fn account(connection: &mut Conn, dialect: Dialect, user: &str) -> Result<Option<String>, Error> {
    let hosts = rows::<String>(connection, &dialect.hosts_of(&literal(user))).await?;
    match &hosts[..] {
        [] => Ok(None),
        [host] => Ok(Some(format!("{}@{}", quoted(user), quoted(host)))),
        _ => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("there are several accounts of the user {user:?}, which differ by host; keep one"),
        )),
    }
}

/// An account with what the server says of it.
async fn made(connection: &mut Conn, name: String, is_own: bool) -> Result<Account, Error> {
    let whose = if is_own { "CURRENT_USER" } else { &name };
    let made = rows::<String>(connection, &format!("SHOW CREATE USER {whose}")).await?;
    Ok(Account { made: made.into_iter().next().unwrap_or_default(), name, is_own })
}

/// Refuses accounts that log in by something other than the usual hash, which a change would silently weaken.
async fn check_plugin(connection: &mut Conn, account: &str, is_own: bool) -> Result<(), Error> {
    let dialect = dialect_of(connection).await?;
    let account = made(connection, account.to_owned(), is_own).await?;
    dialect.change_password(&account, "", None, true).map(drop)
}

async fn dialect_of(connection: &mut Conn) -> Result<Dialect, Error> {
    let version = rows::<String>(connection, "SELECT VERSION()").await?;
    Dialect::of(version.first().map_or("", String::as_str))
}

async fn run(connection: &mut Conn, what: &str, statement: &str) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, what, async {
        connection.query_drop(statement).await.map_err(|error| fault(what, error))
    })
    .await
}

async fn rows<T: FromRow + Send + 'static>(connection: &mut Conn, statement: &str) -> Result<Vec<T>, Error> {
    within(STATEMENT_TIMEOUT, "a question", async {
        connection.query(statement).await.map_err(|error| fault("look at the users", error))
    })
    .await
}

/// What the server or the way to it has against a statement. Syntax errors stay here.
fn fault(what: &str, error: mysql_async::Error) -> Error {
    let mysql_async::Error::Server(answer) = error else {
        return Error::new(ErrorKind::Unavailable, format!("could not {what} at the server"))
            .with_source(error);
    };
    let kind = kind(answer.code);
    if kind == ErrorKind::Unsupported {
        return Error::new(kind, format!("the server does not understand how to {what}"));
    }
    let said = format!("could not {what}: the server says {:?} ({})", answer.message, answer.code);
    let error = Error::new(kind, said);
    if answer.code == MUST_NAME_CURRENT {
        return error.and("an administrator need not: name its secret, or let the user be with PASSWORD REQUIRE CURRENT OPTIONAL");
    }
    error
}

/// MySQL's `PASSWORD REQUIRE CURRENT`. Which of two passwords it takes for the current one, a login does not tell.
const MUST_NAME_CURRENT: u16 = 3892;

/// What a server's error code means. Syntax errors quote the statement.
pub(super) fn kind(code: u16) -> ErrorKind {
    match code {
        1044 | 1142 | 1227 | 1370 | 1410 | MUST_NAME_CURRENT => ErrorKind::Denied,
        // The policy of a password plugin; at MySQL also that of its password history.
        1819 | 3638 => ErrorKind::Rejected,
        1064 => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}
