//! A session at PostgreSQL in which nothing but the system catalog is found by an unqualified name.
//!
//! Everything happens in transactions that begin by pinning `search_path`: whoever may create objects in a database could
//! otherwise overload the operators and functions of a privileged session (CVE-2018-1058). The setting, and locks, last
//! as long as their transaction, because behind a pooler the next one may be on another server connection. For the same
//! reason no statement is prepared by name.

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind};
use crate::targets::tls::{Trust, not_trusted};
use crate::targets::{STATEMENT_TIMEOUT, within};

/// The first statements of every transaction. `pg_temp` comes last, or it would come first.
const BEGIN: &str = "BEGIN; SET LOCAL search_path TO pg_catalog, pg_temp;";

/// A parameter of a statement, with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A text as a parameter.
pub(super) fn text<'a>(value: &'a &'a str) -> Parameter<'a> {
    (value, Type::TEXT)
}

/// A truth value as a parameter.
pub(super) fn flag(value: &bool) -> Parameter<'_> {
    (value, Type::BOOL)
}

/// Logs in.
pub(super) async fn connect(
    mut config: Config,
    trust: Option<Trust>,
) -> Result<Client, tokio_postgres::Error> {
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

/// Begins a transaction.
pub(super) async fn begin(client: &Client) -> Result<(), Error> {
    run(client, "begin a transaction", BEGIN).await
}

/// Commits, so that the session can be used for something else.
pub(super) async fn commit(client: &Client) -> Result<(), Error> {
    run(client, "commit", "COMMIT").await
}

/// Runs statements in the transaction under way.
pub(super) async fn run(client: &Client, what: &str, statements: &str) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, what, async {
        client.batch_execute(statements).await.map_err(|error| fault(what, error))
    })
    .await
}

/// Asks a question in the transaction under way.
pub(super) async fn query(
    client: &Client,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Error> {
    within(STATEMENT_TIMEOUT, "a question", async {
        client.query_typed(statement, parameters).await.map_err(|error| fault("look at the users", error))
    })
    .await
}

/// Begins a transaction with statements that answer one question.
pub(super) async fn begin_and_ask(client: &Client, statements: &str) -> Result<Option<String>, Error> {
    let statements = format!("{BEGIN} {statements}");
    let answers = within(STATEMENT_TIMEOUT, "a question", async {
        client.simple_query(&statements).await.map_err(|error| fault("begin a transaction", error))
    })
    .await?;
    Ok(answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// How the server is set to store passwords, asked while a transaction begins.
pub(super) async fn begin_and_ask_for_encryption(client: &Client) -> Result<Encryption, Error> {
    let setting = begin_and_ask(client, "SHOW password_encryption").await?;
    Ok(Encryption::of(setting.as_deref()))
}

/// The same in a transaction under way.
pub(super) async fn encryption(client: &Client) -> Result<Encryption, Error> {
    let statement = "SELECT pg_catalog.current_setting('password_encryption')";
    let rows = query(client, statement, &[]).await?;
    Ok(Encryption::of(rows.first().map(|row| row.get(0))))
}

/// How a server stores passwords.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encryption {
    Scram,
    Md5,
}

impl Encryption {
    /// By the setting `password_encryption`, which was a switch before version 14.
    pub(super) fn of(setting: Option<&str>) -> Self {
        if setting == Some("scram-sha-256") { Self::Scram } else { Self::Md5 }
    }
}

/// Changes something about a role and commits, also where its transactions are read-only by its own settings, as those of
/// a user for reports are. Where the whole server is read-only, it stays that.
pub(super) async fn change(client: &Client, what: &str, statement: &str) -> Result<(), Error> {
    let statement = format!("{statement}; COMMIT");
    let outcome =
        within(STATEMENT_TIMEOUT, what, async { Ok(client.batch_execute(&statement).await) }).await?;
    let error = match outcome {
        Ok(()) => return Ok(()),
        Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => error,
        Err(error) => return Err(fault(what, error)),
    };
    run(client, "end the transaction", "ROLLBACK").await?;
    begin(client).await?;
    let rows = query(client, READ_ONLY_BY, &[]).await?;
    run(client, "end the transaction", "ROLLBACK").await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Err(fault(what, error));
    }
    run(client, what, &format!("{} {statement}", BEGIN.replace("BEGIN;", "BEGIN READ WRITE;"))).await
}

/// Whether transactions are read-only by the role's own settings alone.
const READ_ONLY_BY: &str = "SELECT s.source IN ('user', 'database user') AND NOT pg_catalog.pg_is_in_recovery() \
     FROM pg_catalog.pg_settings s WHERE s.name = 'default_transaction_read_only'";

/// Whether the server answered and does not let the user in.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let refusals = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
    error.code().is_some_and(|code| refusals.contains(code)) || is_refusal_of_a_pooler(error)
}

/// PgBouncer refuses logins as violations of the protocol, and says in words alone what it means.
fn is_refusal_of_a_pooler(error: &tokio_postgres::Error) -> bool {
    const WORDS: [&str; 4] =
        ["SASL authentication failed", "password authentication failed", "no such user", "auth failed"];
    error.code() == Some(&SqlState::PROTOCOL_VIOLATION)
        && error
            .as_db_error()
            .is_some_and(|answer| WORDS.iter().any(|words| answer.message().contains(words)))
}

/// Whether the server took the password and then found too many sessions of the user or of its database.
pub(super) fn is_accepted_but_full(error: &tokio_postgres::Error) -> bool {
    // Both checks come after authentication; a server that is full altogether says so elsewhere, and before.
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
        && error.as_db_error().is_some_and(|answer| {
            matches!(answer.routine(), Some("InitializeSessionUserId" | "CheckMyDatabase"))
        })
}

/// What the server or the way to it has against a statement. The server's message is about the statement's objects and
/// does not quote it; its detail and context may, and stay here.
pub(super) fn fault(what: &str, error: tokio_postgres::Error) -> Error {
    if let Some(error) = not_trusted(&error) {
        return error;
    }
    let Some(answer) = error.as_db_error() else {
        // The chain of causes holds addresses and certificates, nothing of the statement.
        return Error::new(ErrorKind::Unavailable, format!("PostgreSQL: could not {what}"))
            .with_source(error);
    };
    let kind = match answer.code() {
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Denied,
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => ErrorKind::Denied,
        code if *code == SqlState::INVALID_PARAMETER_VALUE => ErrorKind::Rejected,
        code if *code == SqlState::SYNTAX_ERROR => {
            return Error::new(
                ErrorKind::Unsupported,
                format!("PostgreSQL does not understand the statement to {what}"),
            );
        }
        _ => ErrorKind::Unavailable,
    };
    let (message, code) = (answer.message(), answer.code().code());
    Error::new(kind, format!("could not {what}: PostgreSQL says {message:?} ({code})"))
}

/// `ALTER ROLE`, for all databases or for one.
pub(super) fn alter(user: &str, database: Option<&str>) -> String {
    let user = escape_identifier(user);
    match database {
        Some(database) => format!("ALTER ROLE {user} IN DATABASE {}", escape_identifier(database)),
        None => format!("ALTER ROLE {user}"),
    }
}
