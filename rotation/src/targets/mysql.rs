//! MariaDB 10.4 and later, and MySQL 5.7.6 and later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, DriverError, OptsBuilder, SslOpts};
use secretcache::login_refused;
use sha1::{Digest, Sha1};
use tokio::io::AsyncReadExt as _;

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
mod fault;
mod grants;
mod mark;
mod methods;
mod named;
mod own;
mod passwords;

use dialect::{Account, Dialect};
use fault::fault;
pub(super) use fault::kind;
use own::own_account;
use passwords::{Conditions, retain_beside};

/// MariaDB 10.4 and later, and MySQL 5.7.6 and later.
///
/// MariaDB receives only a password's hash, unless it refuses hashes. MySQL has no statement for that, so the password
/// is sent in the clear inside TLS, and the server itself keeps it out of its logs.
///
/// Sessions have no default database and set their own `sql_mode`, and every table is qualified with its database. So
/// objects or settings that others created cannot change the meaning of a statement.
#[derive(Clone, Debug)]
pub struct MySql {
    link: Link,
    kept: Kept<Conn>,
}

/// The longest user name that MariaDB accepts.
const LONGEST_NAME: usize = 80;
/// The size limit of a response, in bytes: the servers' default.
const LONGEST_ANSWER: usize = 16 << 20;

impl MySql {
    /// Creates a target. `tls` decides which servers are trusted.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls), kept: Kept::default() }
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link }, ..self }
    }

    /// Logs in to the secret's database; `None` if the server refuses the credential. The session is the user's own: a
    /// login that opens another account is an error.
    pub(super) async fn login(&self, document: &Document) -> Result<Option<Conn>, Error> {
        let database = document.field("dbname");
        let Some(mut connection) = self.connect(document, database.as_deref()).await? else {
            return Ok(None);
        };
        match own::check(&mut connection, document).await {
            Ok(()) => Ok(Some(connection)),
            Err(error) if error.kind() == ErrorKind::Refused => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Logs in as an administrator, for statements that an operator wrote. The session has no default database: that in
    /// the document comes from the application's secret, whose user may have made what the statements name there.
    #[cfg(all(feature = "postgres", feature = "http"))]
    pub(super) async fn login_for_statements(&self, admin: &Document) -> Result<Option<Conn>, Error> {
        self.connect(admin, None).await
    }

    /// Logs in for changes, without a default database, and pins the session's SQL mode.
    async fn login_pinned(&self, document: &Document) -> Result<Option<(Conn, Dialect)>, Error> {
        let Some(mut connection) = self.connect(document, None).await? else { return Ok(None) };
        let dialect = dialect_of(&mut connection).await?;
        run(&mut connection, "prepare the session", dialect.pin()).await?;
        Ok(Some((connection, dialect)))
    }

    async fn connect(&self, document: &Document, database: Option<&String>) -> Result<Option<Conn>, Error> {
        let host = document.require("host")?;
        let options = OptsBuilder::default()
            .user(Some(document.username()?.to_string()))
            .pass(Some(document.password()?.to_string()))
            .db_name(database.cloned())
            // Otherwise the driver can switch to a Unix socket, where other accounts can apply.
            .prefer_socket(false)
            // Setting these two saves a query after each login. The first limits the size of responses; only the
            // driver's pools use the second.
            .max_allowed_packet(Some(LONGEST_ANSWER))
            .wait_timeout(Some(usize::from(u16::MAX)));
        within(CONNECT_TIMEOUT, "the login", async {
            let Server { addresses, trust } = self.link.server(document, 3306).await?;
            // The driver takes one port for all addresses. Every route returns the same port for all of them.
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
            let mut answer = Conn::new(options.clone()).await;
            for pause in PAUSES {
                if !has_too_many_sessions(&answer) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(pause)).await;
                answer = Conn::new(options.clone()).await;
            }
            // The driver drops a trailing zero byte from the ed25519 challenge, so one login in 256 is refused although
            // the password is right. Only MariaDB uses ed25519; elsewhere a second refusal could lock the account.
            let is_refused =
                matches!(&answer, Err(mysql_async::Error::Server(error)) if is_refusal(error.code));
            if is_refused && greets_as_mariadb(&addresses).await {
                answer = Conn::new(options).await;
            }
            match answer {
                Ok(connection) => Ok(Some(connection)),
                Err(mysql_async::Error::Server(error)) if is_refusal(error.code) => Ok(None),
                // The account has several authentication methods. The server refused the first and asks for the next
                // one, which this driver, like most, does not support.
                Err(mysql_async::Error::Driver(DriverError::UnexpectedPacket { payload }))
                    if payload.first() == Some(&SWITCH_OF_METHOD) =>
                {
                    Ok(None)
                }
                Err(error) => Err(fault("log in", error)),
            }
        })
        .await
    }

    /// Reads the conditions that decide how a password is changed. If the password must be sent in the clear, also
    /// tries to turn off the session's logging.
    async fn conditions(
        &self,
        connection: &mut Conn,
        dialect: Dialect,
        login: &Document,
    ) -> Result<Conditions, Error> {
        let mut conditions = Conditions {
            wants_clear: wants_clear(connection, dialect).await?,
            is_private: self.is_private(login).await?,
            is_logged: false,
        };
        if conditions.wants_clear
            && run(connection, "turn logging off", "SET SESSION sql_log_off = 1").await.is_err()
        {
            let logs = "SELECT CAST(@@GLOBAL.general_log AS SIGNED)";
            conditions.is_logged = rows::<i64>(connection, logs).await? != [0];
        }
        Ok(conditions)
    }

    /// Checks whether no one else can read statements to the server: they go through TLS, or stay on this host.
    async fn is_private(&self, document: &Document) -> Result<bool, Error> {
        let Server { addresses, trust } = self.link.server(document, 3306).await?;
        Ok(trust.is_some() || addresses.iter().all(|address| address.ip().is_loopback()))
    }

    /// Returns an administrator's session: the kept one if it still answers a query for the version, or a new one.
    /// `None` means that the server refuses the credential.
    async fn open(&self, admin: &Document) -> Result<Option<(Conn, Dialect)>, Error> {
        if let Some(mut connection) = self.kept.take(admin)
            && let Ok(dialect) = within(CONNECT_TIMEOUT, "a sign of life", dialect_of(&mut connection)).await
        {
            return Ok(Some((connection, dialect)));
        }
        self.login_pinned(admin).await
    }

    /// Opens an administrator's session; a refused credential is an error.
    async fn session(&self, admin: &Document) -> Result<(Conn, Dialect), Error> {
        self.open(admin).await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the server refuses the administrator's credential")
        })
    }
}

/// The pauses before retrying a login when the user has too many sessions. A closed session counts until the server
/// notices, and a user may be limited to one.
const PAUSES: [u64; 4] = [100, 200, 400, 800]; // milliseconds

fn has_too_many_sessions(answer: &Result<Conn, mysql_async::Error>) -> bool {
    let Err(mysql_async::Error::Server(error)) = answer else { return false };
    error.code == 1203 || error.code == 1226 && error.message.contains("max_user_connections")
}

/// The first byte of the server's request to switch to another authentication method.
const SWITCH_OF_METHOD: u8 = 0xfe;

/// The server let the user in, but its password has expired, so that it refuses every statement.
const MUST_CHANGE_PASSWORD: u16 = 1820;

/// Checks whether an error code means that the credential does not work.
fn is_refusal(code: u16) -> bool {
    code == MUST_CHANGE_PASSWORD || login_refused(Some(&code.to_string()), "")
}

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
            let opened =
                if is_own { self.login_pinned(change.login).await? } else { self.open(change.login).await? };
            let Some((mut connection, dialect)) = opened else { return Ok(Applied::LoginRefused) };
            let account = if is_own {
                own_account(&mut connection, dialect, change.login).await?
            } else {
                account(&mut connection, dialect, &name).await?.ok_or_else(|| {
                    Error::new(ErrorKind::Refused, format!("the server has no user {:?}", *name))
                })?
            };
            let account = made(&mut connection, account, is_own).await?;
            let conditions = self.conditions(&mut connection, dialect, change.login).await?;
            let keep = change.keep.map(Document::password).transpose()?;
            let (new, keep) = (change.credential.password()?, keep.as_deref().map(String::as_str));
            let mut has_changed = false;
            for statement in dialect.change_password(&account, &new, keep, conditions)? {
                match run(&mut connection, "change the password", &statement.text).await {
                    Err(error) if statement.may_be_denied && error.kind() == ErrorKind::Denied => {}
                    // Without a binary log, MariaDB changes the password and then reports an error for the method
                    // listed before it.
                    Err(error) if error.kind() == ErrorKind::Unsupported => {
                        let whose = made(&mut connection, account.name.clone(), is_own).await?;
                        if !dialect.has_password(&whose, &new) {
                            return Err(error);
                        }
                        has_changed = true;
                    }
                    Err(error) if has_changed => {
                        // Part of the change is in effect, so the original kind of error would mislead the caller.
                        return Err(Error::new(ErrorKind::Unavailable, error.message()));
                    }
                    Err(error)
                        if error.kind() == ErrorKind::Rejected
                            && keep.is_some()
                            && !conditions.wants_clear =>
                    {
                        self.change_beside_history(change, &account, error).await?;
                        break;
                    }
                    done => {
                        done?;
                        has_changed = !statement.may_be_denied;
                    }
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
            let Some(mut connection) = self.connect(login, None).await? else {
                return Ok(Lock::LoginRefused);
            };
            // Lock names have at most 64 characters.
            let name = hex(&Sha1::digest(name));
            // The holder of the lock may be changing the password, so the login is tested again after a wait.
            for seconds in [0, 5] {
                let statement = format!("SELECT CURRENT_USER(), GET_LOCK('secretcache {name}', {seconds})");
                let answers = rows::<(String, Option<i64>)>(&mut connection, &statement).await?;
                let Some((who, answer)) = answers.first() else { continue };
                own::check_user(who, login)?;
                if *answer == Some(1) {
                    return Ok(match seconds > 0 && self.probe(login).await? == Probe::Refused {
                        true => Lock::LoginRefused,
                        false => Lock::Held(Guard::new(connection)),
                    });
                }
            }
            Ok(Lock::Busy)
        })
    }

    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(self.look(requirements))
    }

    fn namesakes<'a>(
        &'a self,
        login: &'a Document,
        user: &'a Document,
    ) -> BoxFuture<'a, Result<Option<Vec<String>>, Error>> {
        Box::pin(async move {
            let Some((mut connection, dialect)) = self.login_pinned(login).await? else { return Ok(None) };
            let user = user.username()?;
            let hosts = rows::<String>(&mut connection, &dialect.hosts_of(&literal(&user))).await;
            drop(connection.disconnect().await);
            match hosts {
                Ok(hosts) if hosts.len() > 1 => Ok(Some(named(&user, &hosts))),
                Ok(_) => Ok(Some(Vec::new())),
                Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        Some(self)
    }
}

/// Checks whether the server's greeting, the first packet of a connection, names MariaDB.
async fn greets_as_mariadb(addresses: &[SocketAddr]) -> bool {
    let mut greeting = [0; 128];
    let read = async {
        let mut connection = tokio::net::TcpStream::connect(addresses).await?;
        connection.read(&mut greeting).await
    };
    let length = read.await.unwrap_or(0);
    greeting[..length].windows(7).any(|part| part == b"MariaDB")
}

/// Returns the hash that `mysql_native_password` stores for a password.
pub(super) fn hash(password: &str) -> String {
    format!("*{}", hex(&Sha1::digest(Sha1::digest(password.as_bytes()))).to_uppercase())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Quotes a name for use in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Returns a literal for a text. It is written as hexadecimal bytes, so it does not depend on the SQL mode, and compared
/// byte by byte: names of users that differ in case or accents are different.
fn literal(text: &str) -> String {
    format!("CONVERT(x'{}' USING utf8mb4) COLLATE utf8mb4_bin", hex(text.as_bytes()))
}

/// Returns the only account with a user name, quoted; `None` if there is none.
async fn account(connection: &mut Conn, dialect: Dialect, user: &str) -> Result<Option<String>, Error> {
    let hosts = rows::<String>(connection, &dialect.hosts_of(&literal(user))).await?;
    match &hosts[..] {
        [] => Ok(None),
        [host] => Ok(Some(format!("{}@{}", quoted(user), quoted(host)))),
        _ => Err(several(user, &hosts)),
    }
}

/// Returns a user's accounts, one for each host, quoted.
fn named(user: &str, hosts: &[String]) -> Vec<String> {
    hosts.iter().map(|host| format!("{}@{}", quoted(user), quoted(host))).collect()
}

fn several(user: &str, hosts: &[String]) -> Error {
    let accounts = named(user, hosts);
    Error::new(
        ErrorKind::Misconfigured,
        format!(
            "the user {user:?} has several accounts ({}), each with its own password, but the secret has only one password; drop all accounts but one",
            accounts.join(", ")
        ),
    )
}

/// Checks whether a MariaDB server validates passwords, and so refuses hashes.
async fn wants_clear(connection: &mut Conn, dialect: Dialect) -> Result<bool, Error> {
    const STRICT: &str = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' \
         AND PLUGIN_STATUS = 'ACTIVE' AND @@GLOBAL.strict_password_validation";
    Ok(matches!(dialect, Dialect::MariaDb(_)) && rows::<i64>(connection, STRICT).await? != [0])
}

/// Returns an account with the output of `SHOW CREATE USER`.
async fn made(connection: &mut Conn, name: String, is_own: bool) -> Result<Account, Error> {
    let whose = if is_own { "CURRENT_USER" } else { &name };
    let made = rows::<String>(connection, &format!("SHOW CREATE USER {whose}")).await?;
    // MariaDB shows the password expiry in a second row.
    Ok(Account { made: made.join(" "), name, is_own })
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
    within(STATEMENT_TIMEOUT, "a query", async {
        connection.query(statement).await.map_err(|error| fault("query the users", error))
    })
    .await
}

impl MySql {
    /// Adds a password when MySQL's password history forbids setting the kept one again. Only the user itself can then
    /// retain the kept password, and only if that is the primary one.
    async fn change_beside_history(
        &self,
        change: Change<'_>,
        account: &Account,
        history: Error,
    ) -> Result<(), Error> {
        let Some(kept) = change.keep else { return Err(history) };
        let (new, keep) = (change.credential.password()?, kept.password()?);
        let name = &account.name;
        if let Some((mut connection, Dialect::MySql(_))) = self.login_pinned(kept).await? {
            match run(&mut connection, "add a password", &retain_beside(&new, &keep)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Denied => {
                    let what = format!(
                        "because of the password history, only {name} itself can keep its password while a new one is added: GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {name}, or choose single-user"
                    );
                    return Err(Error::new(ErrorKind::Unsupported, what));
                }
                // A repeated run of the same change: the new password is already in the history, and both work.
                Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::Rejected) => {
                    if self.login(change.credential).await?.is_some() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(history.and(
            "because of the password history, the current password cannot stay while a new one is added (it is not the user's first); choose single-user",
        ))
    }
}
