//! PostgreSQL sessions in which unqualified names resolve only to the system catalog.
//!
//! Every transaction starts by pinning `search_path`. Otherwise, any user who can create objects in a database could
//! overload the operators and functions that a privileged session uses (CVE-2018-1058). The setting and all locks are
//! scoped to the transaction, because a pooler can run the next one on another server connection. For the same reason,
//! there are no named prepared statements.

use postgres_protocol::escape::escape_identifier;
use secretcache::login_refused;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use crate::error::{Error, ErrorKind};
use crate::targets::tls::not_trusted;
use crate::targets::{STATEMENT_TIMEOUT, within};

/// The first statements of every transaction. `pg_temp` is listed last; unlisted, it would be searched first.
const BEGIN: &str = "BEGIN; SET LOCAL search_path TO pg_catalog, pg_temp;";

/// A parameter of a statement, with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Returns a text parameter.
pub(super) fn text<'a>(value: &'a &'a str) -> Parameter<'a> {
    (value, Type::TEXT)
}

/// Returns a Boolean parameter.
pub(super) fn flag(value: &bool) -> Parameter<'_> {
    (value, Type::BOOL)
}

/// Begins a transaction.
pub(super) async fn begin(client: &Client) -> Result<(), Error> {
    run(client, "begin a transaction", BEGIN).await
}

/// Commits the current transaction.
pub(super) async fn commit(client: &Client) -> Result<(), Error> {
    run(client, "commit", "COMMIT").await
}

/// Runs statements in the current transaction.
pub(super) async fn run(client: &Client, what: &str, statements: &str) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, what, async {
        client.batch_execute(statements).await.map_err(|error| fault(what, error))
    })
    .await
}

/// Runs a query in the current transaction.
pub(super) async fn query(
    client: &Client,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Error> {
    within(STATEMENT_TIMEOUT, "a query", async {
        client.query_typed(statement, parameters).await.map_err(|error| fault("query the users", error))
    })
    .await
}

/// Returns a column of a row. A server decides which columns it sends, so another answer than was asked for is an error
/// and not a panic.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(unasked)
}

/// Returns the first column of every row.
pub(super) fn first_column(rows: &[Row]) -> Result<Vec<String>, Error> {
    rows.iter().map(|row| column(row, 0)).collect()
}

/// The error for columns that no PostgreSQL sends. The driver names the column, and no value.
fn unasked(error: tokio_postgres::Error) -> Error {
    let text = "the server answered a query with other columns than PostgreSQL; name PostgreSQL's own host and port in the secret";
    Error::new(ErrorKind::Unsupported, text).with_source(error)
}

/// Begins a transaction with these statements, and returns the first column of the first row.
pub(super) async fn begin_and_ask(client: &Client, statements: &str) -> Result<Option<String>, Error> {
    let statements = format!("{BEGIN} {statements}");
    let answers = within(STATEMENT_TIMEOUT, "a query", async {
        client.simple_query(&statements).await.map_err(|error| fault("begin a transaction", error))
    })
    .await?;
    let first = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(match first {
        Some(row) => row.try_get(0).map_err(unasked)?.map(str::to_owned),
        None => None,
    })
}

/// Begins a transaction, and returns how the server is set to store passwords.
pub(super) async fn begin_and_ask_for_encryption(client: &Client) -> Result<Encryption, Error> {
    let setting = begin_and_ask(client, "SHOW password_encryption").await?;
    Ok(Encryption::of(setting.as_deref()))
}

/// Returns how the server is set to store passwords, in the current transaction.
pub(super) async fn encryption(client: &Client) -> Result<Encryption, Error> {
    let statement = "SELECT pg_catalog.current_setting('password_encryption')";
    let rows = query(client, statement, &[]).await?;
    Ok(Encryption::of(rows.first().map(|row| column(row, 0)).transpose()?))
}

/// The form in which a server stores passwords.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encryption {
    Scram,
    Md5,
}

impl Encryption {
    /// Parses the setting `password_encryption`. Before version 14 it could also be a Boolean, which means MD5.
    pub(super) fn of(setting: Option<&str>) -> Self {
        if setting == Some("scram-sha-256") { Self::Scram } else { Self::Md5 }
    }
}

/// Runs a statement that changes a role, and commits. If only the role's own settings make its transactions read-only,
/// as for a reporting user, retries in a read-write transaction. A server that is read-only as a whole is left alone.
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
    if !rows.first().map(|row| column(row, 0)).transpose()?.unwrap_or(false) {
        return Err(fault(what, error));
    }
    run(client, what, &format!("{} {statement}", BEGIN.replace("BEGIN;", "BEGIN READ WRITE;"))).await
}

/// Whether transactions are read-only only because of the role's own settings.
const READ_ONLY_BY: &str = "SELECT s.source IN ('user', 'database user') AND NOT pg_catalog.pg_is_in_recovery() \
     FROM pg_catalog.pg_settings s WHERE s.name = 'default_transaction_read_only'";

/// Checks whether the error is a refused login.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| login_refused(Some(answer.code().code()), answer.message()))
}

/// Checks whether the server accepted the password but the user or its database has too many sessions.
pub(super) fn is_accepted_but_full(error: &tokio_postgres::Error) -> bool {
    // Both routines run after authentication. A server that is full as a whole fails earlier, in another routine.
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
        && error.as_db_error().is_some_and(|answer| {
            matches!(answer.routine(), Some("InitializeSessionUserId" | "CheckMyDatabase"))
        })
}

/// The error for a failed statement or connection. The server's message names the statement's objects but does not
/// quote the statement. Its detail and context can, so they are dropped.
pub(super) fn fault(what: &str, error: tokio_postgres::Error) -> Error {
    if let Some(error) = not_trusted(&error) {
        return error;
    }
    let Some(answer) = error.as_db_error() else {
        // The chain of causes holds addresses and certificates, but no part of the statement.
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

/// Returns the beginning of an `ALTER ROLE` statement, for all databases or for one.
pub(super) fn alter(user: &str, database: Option<&str>) -> String {
    let user = escape_identifier(user);
    match database {
        Some(database) => format!("ALTER ROLE {user} IN DATABASE {}", escape_identifier(database)),
        None => format!("ALTER ROLE {user}"),
    }
}
