//! Whose account a login opened. It need not be the one that the login names.
//!
//! A server looks for an account by host before it looks by name. So at a host of its own, an account without a name
//! comes before a user's account for all hosts, and its password lets anybody in under the user's name. An account can
//! also act as another (`PROXY`). Such a login proves nothing about the user.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::dialect::Dialect;
use super::{fault, literal, quoted, rows, several};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::targets::{STATEMENT_TIMEOUT, within};

/// Checks that a session belongs to the user that the login names.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`] if it belongs to another account; [`ErrorKind::Refused`] if the password has expired:
/// MariaDB accepts the login, but then refuses every statement.
pub(super) async fn check(connection: &mut Conn, login: &Document) -> Result<(), Error> {
    let answer = within(STATEMENT_TIMEOUT, "a query", async {
        Ok(connection.query_first::<Option<String>, _>("SELECT CURRENT_USER()").await)
    });
    match answer.await? {
        Ok(who) => who.flatten().map_or(Ok(()), |who| check_user(&who, login)),
        // Only MariaDB and MySQL have such accounts, and they know the function.
        Err(mysql_async::Error::Server(error)) if UNKNOWN.contains(&error.code) => Ok(()),
        Err(error) => Err(fault("test the login", error)),
    }
}

/// The codes with which servers that only speak the protocol answer a function that they do not have: no database, no
/// such syntax, unspecific, not supported, no such function; and the code that ProxySQL's console gives to everything.
const UNKNOWN: [u16; 6] = [1046, 1064, 1105, 1235, 1305, 1045];

/// Checks that the answer to `CURRENT_USER()` has the user that the login names.
pub(super) fn check_user(who: &str, login: &Document) -> Result<(), Error> {
    let named = login.username()?;
    let (user, host) = who.rsplit_once('@').unwrap_or((who, ""));
    // Engines such as StarRocks quote the name.
    if user == *named || user == format!("'{}'", *named) {
        return Ok(());
    }
    let account = format!("{}@{}", quoted(user), quoted(host));
    let fix = if user.is_empty() {
        format!(
            "at this host, the server prefers it to the user's own account; drop it (DROP USER {account};)"
        )
    } else {
        "it acts for the user; name that account in the secret instead".to_owned()
    };
    Err(Error::new(
        ErrorKind::Misconfigured,
        format!(
            "the login as {:?} opens the account {account}, so it proves nothing about {:?}: {fix}",
            *named, *named
        ),
    ))
}

/// Returns the account that the session is logged in to, quoted. Its host can be a pattern.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`] if it is not the user that the login names, or if the user has other accounts, and can
/// see them: the change would not reach those.
pub(super) async fn own_account(
    connection: &mut Conn,
    dialect: Dialect,
    login: &Document,
) -> Result<String, Error> {
    let answers = rows::<String>(connection, "SELECT CURRENT_USER()").await?;
    let unknown = || Error::new(ErrorKind::Unavailable, "the server did not say who is logged in");
    let who = answers.first().ok_or_else(unknown)?;
    check_user(who, login)?;
    let (user, host) = who.rsplit_once('@').ok_or_else(unknown)?;
    if let Ok(hosts) = rows::<String>(connection, &dialect.hosts_of(&literal(user))).await
        && hosts.len() > 1
    {
        return Err(several(user, &hosts));
    }
    Ok(format!("{}@{}", quoted(user), quoted(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_the_users_own_only_by_its_very_name() {
        let login = |name: &str| Document::parse("{}").unwrap().with("username", name).unwrap();
        for (who, name, is_own) in [
            ("app@%", "app", true),
            ("a@b@10.0.%", "a@b", true),
            ("'app'@'%'", "app", true),
            ("app", "app", true),
            ("@10.0.%", "app", false),
            ("App@%", "app", false),
            ("app@b@%", "app", false),
            ("dba@%", "app", false),
        ] {
            let checked = check_user(who, &login(name));
            assert_eq!(checked.is_ok(), is_own, "{who} {name}");
            if let Err(error) = checked {
                assert!(error.message().contains(&format!("{name:?}")), "{error}");
            }
        }
    }
}
