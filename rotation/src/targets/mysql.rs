//! MariaDB, from version 10.4.
//!
//! MySQL speaks the same protocol but not the same statements: it takes no hash from a user that changes its own
//! password, and retains a second password only if the new one is in the statement in the clear. It is recognised, and
//! refused before anything is changed.

use std::net::SocketAddr;
use std::sync::Arc;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder, SslOpts};
use sha1::{Digest, Sha1};

use super::tls::Trust;
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Server, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Need};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Guard, Lock, Probe, Target};

mod accounts;
mod diagnosis;
mod grants;

/// MariaDB; MySQL is recognised and refused.
#[derive(Clone, Debug)]
pub struct MySql {
    link: Link,
}

/// The longest name that MariaDB takes.
const LONGEST_NAME: usize = 80;

impl MySql {
    /// A target whose servers are trusted as `tls` says.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls) }
    }

    /// The same, reaching its servers by another route.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link } }
    }

    /// Logs in; `None` if the server refuses the credential.
    async fn login(&self, document: &Document) -> Result<Option<Conn>, Error> {
        let host = document.require("host")?;
        let options = OptsBuilder::default()
            .user(Some(document.username()?.to_string()))
            .pass(Some(document.password()?.to_string()))
            .db_name(document.field("dbname").map(|name| name.to_string()))
            // Else the driver goes on over a socket of its own choice, where other accounts may apply.
            .prefer_socket(false);
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

    /// Logs in with a credential that must work.
    async fn session(&self, admin: &Document) -> Result<Conn, Error> {
        self.login(admin).await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "MariaDB refuses the administrator's credential")
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
            let Some(mut connection) = self.login(change.login).await? else {
                return Ok(Applied::LoginRefused);
            };
            let name = change.credential.username()?;
            let is_own = *change.login.username()? == *name;
            let account = if is_own {
                own_account(&mut connection).await?
            } else {
                account(&mut connection, &name).await?.ok_or_else(|| {
                    Error::new(ErrorKind::Refused, format!("MariaDB has no user {:?}", *name))
                })?
            };
            let has_two = check_plugin(&mut connection, &account, is_own).await?;
            let new = hash(change.credential)?;
            let statement = match change.keep {
                // Both in one statement: neither is ever without effect, and saying it again changes nothing.
                Some(keep) => format!(
                    "ALTER USER {account} IDENTIFIED VIA mysql_native_password USING '{new}' \
                     OR mysql_native_password USING '{}'",
                    hash(keep)?
                ),
                // Nobody needs a privilege to change his own; but of two passwords, this would change the first alone.
                None if is_own && !has_two => format!("SET PASSWORD = '{new}'"),
                None => format!(
                    "ALTER USER {account} IDENTIFIED VIA mysql_native_password USING '{new}' ACCOUNT UNLOCK"
                ),
            };
            run(&mut connection, "change the password", &statement).await?;
            drop(connection.disconnect().await);
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

    fn diagnose<'a>(&'a self, need: Need<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(self.look(need))
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

/// How MariaDB stores a password: the one form of it that may stand in a statement.
fn hash(credential: &Document) -> Result<String, Error> {
    let password = credential.password()?;
    Ok(format!("*{}", hex(&Sha1::digest(Sha1::digest(password.as_bytes()))).to_uppercase()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name as it stands in a statement.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as it stands in a statement, in whichever SQL mode: its bytes.
fn literal(text: &str) -> String {
    format!("CONVERT(x'{}' USING utf8mb4)", hex(text.as_bytes()))
}

/// The account that a session is logged in to, quoted. Its host may be a pattern.
async fn own_account(connection: &mut Conn) -> Result<String, Error> {
    let accounts = rows::<String>(connection, "SELECT CURRENT_USER()").await?;
    let account = accounts.first().and_then(|account| account.rsplit_once('@'));
    let (user, host) = account.ok_or_else(|| Error::new(ErrorKind::Unavailable, "MariaDB gave no answer"))?;
    Ok(format!("{}@{}", quoted(user), quoted(host)))
}

/// The one account with a user name, quoted.
async fn account(connection: &mut Conn, user: &str) -> Result<Option<String>, Error> {
    let statement = format!("SELECT Host FROM mysql.user WHERE User = {} AND is_role <> 'Y'", literal(user));
    let hosts = rows::<String>(connection, &statement).await?;
    match &hosts[..] {
        [] => Ok(None),
        [host] => Ok(Some(format!("{}@{}", quoted(user), quoted(host)))),
        _ => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("MariaDB has several accounts of the user {user:?}, which differ by host; keep one"),
        )),
    }
}

/// Refuses accounts that log in by something other than the usual hash, which a change would silently weaken, and
/// servers that are no MariaDB. Tells whether the account has several passwords.
async fn check_plugin(connection: &mut Conn, account: &str, is_own: bool) -> Result<bool, Error> {
    let version = rows::<String>(connection, "SELECT VERSION()").await?;
    if !version.first().is_some_and(|version| version.contains("MariaDB")) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the server is no MariaDB; MySQL is not supported yet",
        ));
    }
    let whose = if is_own { "CURRENT_USER" } else { account };
    let made = rows::<String>(connection, &format!("SHOW CREATE USER {whose}")).await?;
    let made = made.first().map_or("", String::as_str);
    if made.contains(" VIA ") && !made.contains("mysql_native_password") && !made.contains("USING 'invalid'")
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the user does not log in by mysql_native_password; its plugin would be lost",
        ));
    }
    Ok(made.contains(" OR mysql_native_password"))
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

/// What the server or the way to it has against a statement. Syntax errors quote it, and stay here.
fn fault(what: &str, error: mysql_async::Error) -> Error {
    let mysql_async::Error::Server(answer) = error else {
        return Error::new(ErrorKind::Unavailable, format!("could not {what} at MariaDB")).with_source(error);
    };
    let kind = match answer.code {
        1044 | 1142 | 1227 | 1370 | 1410 => ErrorKind::Denied,
        // The policy of a password plugin.
        1819 => ErrorKind::Rejected,
        1064 => {
            return Error::new(ErrorKind::Unsupported, format!("MariaDB does not understand how to {what}"));
        }
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("could not {what}: MariaDB says {:?} ({})", answer.message, answer.code))
}
