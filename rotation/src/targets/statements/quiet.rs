//! Keeps statements that show a secret value out of the server's log.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::error::{Error, ErrorKind};
use crate::targets::{STATEMENT_TIMEOUT, within};

fn would_be_logged(way: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the server logs statements, and this one contains a secret value: use a type that hashes it, or {way}"
        ),
    )
}

/// Turns the session's logging off, or makes sure that it is off. A server without these settings is accepted: its
/// operator has to know what it logs.
pub(super) async fn at_postgres(client: &Client) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, "a query", async {
        let off = "SET log_statement = 'none'; SET log_min_duration_statement = -1";
        let is_off = client.batch_execute(off).await;
        // By default, statements that fail are logged as well, and only a superuser can change that.
        drop(client.batch_execute("SET log_min_error_statement = 'panic'").await);
        match is_off {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {}
            _ => return Ok(()),
        }
        for (setting, off) in [("log_statement", "none"), ("log_min_duration_statement", "-1")] {
            let answers = client.simple_query(&format!("SHOW {setting}")).await.unwrap_or_default();
            let value = answers.iter().find_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            if value.is_some_and(|value| value != off) {
                return Err(would_be_logged(&format!("set {setting} to {off} for the user that changes it")));
            }
        }
        Ok(())
    })
    .await
}

/// Turns the session's logging off, or makes sure that it is off. MySQL itself keeps passwords out of its log; MariaDB
/// does not.
pub(super) async fn at_mysql(connection: &mut Conn) -> Result<(), Error> {
    within(STATEMENT_TIMEOUT, "a query", async {
        if connection.query_drop("SET SESSION sql_log_off = 1").await.is_ok() {
            return Ok(());
        }
        let logs = "SELECT CAST(@@GLOBAL.general_log AND VERSION() LIKE '%MariaDB%' AS SIGNED)";
        match connection.query_first::<i64, _>(logs).await {
            Ok(Some(1)) => Err(would_be_logged("turn general_log off, or let a user with SUPER change it")),
            _ => Ok(()),
        }
    })
    .await
}
