//! The statements that change a password on MariaDB and MySQL.
//!
//! Nothing here talks to a server, so every decision can be tested without one.

use zeroize::Zeroizing;

use super::dialect::{Account, Dialect, Version};
use super::grants::find;
use super::methods::{Methods, PasswordKind};
use super::quoted;
use crate::error::{Error, ErrorKind};

/// A statement that changes a password.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: Zeroizing<String>,
    /// Whether the change is complete even if the server denies this statement.
    pub(super) may_be_denied: bool,
}

/// Facts about the server and the connection that decide how a password is changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    /// MariaDB validates new passwords, and so refuses hashes (`strict_password_validation` and a plugin).
    pub(super) wants_clear: bool,
    /// No one on the network can read a statement: the connection uses TLS, or the server is on this host.
    pub(super) is_private: bool,
    /// The general log is on and cannot be turned off for the session.
    pub(super) is_logged: bool,
}

impl Dialect {
    /// Returns the statements that give an account the new password and, if given, the kept one, and no others. Running
    /// them again after stopping at any point gives the same result, and the kept password works throughout.
    pub(super) fn change_password(
        self,
        account: &Account,
        new: &str,
        keep: Option<&str>,
        conditions: Conditions,
    ) -> Result<Vec<Statement>, Error> {
        match self {
            Self::MariaDb(version) => on_mariadb(version, account, new, keep, conditions),
            Self::MySql(version) => on_mysql(version, account, new, keep),
        }
    }

    /// Checks whether an account has this password. Always false if the server does not show it in a comparable form.
    pub(super) fn has_password(self, account: &Account, password: &str) -> bool {
        let kind = Methods::of(&account.made).password(account);
        matches!(self, Self::MariaDb(_))
            && kind.is_ok_and(|kind| account.made.contains(&format!("'{}'", kind.stored(password))))
    }
}

fn on_mariadb(
    version: Version,
    account: &Account,
    new: &str,
    keep: Option<&str>,
    conditions: Conditions,
) -> Result<Vec<Statement>, Error> {
    if version < (10, 4, 0) {
        return Err(Error::new(ErrorKind::Unsupported, "this needs MariaDB 10.4 or newer"));
    }
    let (name, methods) = (&account.name, Methods::of(&account.made));
    let kind = methods.password(account)?;
    if conditions.wants_clear {
        return in_the_clear(account, &methods, new, keep, conditions);
    }
    if keep.is_some() && (kind == PasswordKind::Ed25519 || methods.has_others()) {
        // To check the second password, the server sends another challenge. Many drivers, ours included, treat that
        // as an error.
        let what = format!(
            "{name} logs in by ed25519 or by several methods, and drivers then cannot log in by a second password; choose alternating-users or single-user"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    // Only hashes, never the password: statements are logged, replicated and shown to administrators.
    let text = match keep {
        // Both in one statement, so the kept password always works, and repeating it changes nothing.
        Some(keep) => {
            let both = methods.with_passwords(kind, &[kind.stored(new), kind.stored(keep)]);
            format!("ALTER USER {name} IDENTIFIED VIA {both}")
        }
        // Changing one's own password needs no privilege. SET PASSWORD changes only the first password, so there must
        // be no other.
        None if account.is_own && methods.passwords() == 1 => {
            format!("SET PASSWORD = '{}'", kind.stored(new))
        }
        None => {
            let one = methods.with_passwords(kind, &[kind.stored(new)]);
            format!("ALTER USER {name} IDENTIFIED VIA {one} ACCOUNT UNLOCK")
        }
    };
    Ok(vec![Statement { text: text.into(), may_be_denied: false }])
}

/// Returns the statements for a server that validates passwords. `SET PASSWORD … = PASSWORD(…)` is the only one that it
/// both accepts and writes to its binary log as a hash. The session's own logs are turned off if that is permitted.
fn in_the_clear(
    account: &Account,
    methods: &Methods,
    new: &str,
    keep: Option<&str>,
    conditions: Conditions,
) -> Result<Vec<Statement>, Error> {
    let unsupported = |what: &str| {
        let why = "the server has strict_password_validation and a password plugin, so it refuses hashes";
        Err(Error::new(ErrorKind::Unsupported, format!("{why}; {what}")))
    };
    if keep.is_some() || methods.passwords() > 1 {
        return unsupported(
            "a second password could only be set by a statement that puts it into the binary log; choose single-user or \
             alternating-users, or SET GLOBAL strict_password_validation = OFF",
        );
    }
    if !conditions.is_private {
        return unsupported(
            "the password itself may only be sent inside TLS; turn TLS on, or SET GLOBAL strict_password_validation = OFF",
        );
    }
    if conditions.is_logged {
        return unsupported(
            "the password itself would be in its general log, which only a user with SUPER can turn off for a session; turn \
             general_log off, or SET GLOBAL strict_password_validation = OFF",
        );
    }
    let (password, name) = (string(new), &account.name);
    let whose = if account.is_own { String::new() } else { format!("FOR {name} ") };
    let slow = "SET SESSION slow_query_log = 0".to_owned();
    let mut statements = vec![Statement { text: slow.into(), may_be_denied: true }];
    let set = Zeroizing::new(format!("SET PASSWORD {whose}= PASSWORD({})", *password));
    statements.push(Statement { text: set, may_be_denied: false });
    if !account.is_own {
        statements.push(Statement {
            text: format!("ALTER USER {name} ACCOUNT UNLOCK").into(),
            may_be_denied: false,
        });
    }
    Ok(statements)
}

/// Returns the statements for MySQL, which takes the password in the clear: it accepts no hash from a user that changes
/// its own password, and retains a second password only with a new one in the clear. The server keeps the password out
/// of its logs (see "Passwords and Logging" in its manual); on the network, TLS protects it.
fn on_mysql(
    version: Version,
    account: &Account,
    new: &str,
    keep: Option<&str>,
) -> Result<Vec<Statement>, Error> {
    const PLUGINS: [&str; 3] = ["caching_sha2_password", "mysql_native_password", "sha256_password"];
    if version < (5, 7, 6) {
        return Err(Error::new(ErrorKind::Unsupported, "this needs MySQL 5.7.6 or newer"));
    }
    let has_dual_passwords = Dialect::MySql(version).has_dual_passwords();
    if keep.is_some() && !has_dual_passwords {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "two passwords per user need MySQL 8.0.14 or newer; choose single-user",
        ));
    }
    let found = plugin(&account.made);
    let plugin = found.filter(|plugin| PLUGINS.contains(plugin)).ok_or_else(|| {
        let (name, by) = (&account.name, found.unwrap_or("more than one method"));
        let what = format!("{name} logs in by {by}; only passwords of {} can be rotated", PLUGINS.join(", "));
        Error::new(ErrorKind::Unsupported, what)
    })?;
    // Names the plugin, because switching to another one, such as the server's default, discards the second password.
    let set = |password: &str| {
        let password = string(password);
        let before = if account.is_own {
            "SET PASSWORD = ".to_owned()
        } else {
            format!("ALTER USER {} IDENTIFIED WITH {} BY ", account.name, quoted(plugin))
        };
        before + &password
    };
    let statement = |text: String| Statement { text: text.into(), may_be_denied: false };
    Ok(match keep {
        // RETAIN keeps the primary password, which need not be the one to keep: on a repeated run it would be the new
        // one, and after an abandoned rotation the abandoned one. So the kept password is made the primary one first,
        // which leaves the secondary one as it is.
        Some(keep) => vec![statement(set(keep)), statement(format!("{} RETAIN CURRENT PASSWORD", set(new)))],
        None => {
            let unlocked = if account.is_own { "" } else { " ACCOUNT UNLOCK" };
            let mut statements = vec![statement(format!("{}{unlocked}", set(new)))];
            if has_dual_passwords {
                // The secondary password survives a change of the primary one. A user that may not discard its own
                // secondary password cannot have set one.
                let whose = if account.is_own { "USER()" } else { &account.name };
                let discard = format!("ALTER USER {whose} DISCARD OLD PASSWORD");
                statements.push(Statement { text: discard.into(), may_be_denied: account.is_own });
            }
            statements
        }
    })
}

/// Returns MySQL's requirements on a user's sessions, other than the password, in the syntax of `ALTER USER`. Names
/// every requirement, so that those the other user had before are reset. `made` is the output of `SHOW CREATE USER`,
/// with hashes in hexadecimal.
pub(super) fn conditions(made: &str) -> String {
    const NO_LIMITS: &str = "WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0";
    let Some(start) = find(made, " REQUIRE ") else { return String::new() };
    let end = [" ATTRIBUTE ", " COMMENT "].iter().filter_map(|word| find(made, word)).min();
    let said = made[start..end.unwrap_or(made.len())].trim_start();
    // The account lock is not copied: setting the password unlocks the account as the last step.
    let said = said.replace(" ACCOUNT UNLOCK", "").replace(" ACCOUNT LOCK", "");
    let limits = find(&said, " WITH ").or_else(|| find(&said, " PASSWORD ")).unwrap_or(said.len());
    let (required, more) = said.split_at(limits);
    let more = more.trim_start();
    // If a limit appears twice, the last one counts.
    let more = more.strip_prefix("WITH ").unwrap_or(more);
    let attempts = if find(more, "FAILED_LOGIN_ATTEMPTS ").is_some() {
        ""
    } else {
        " FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"
    };
    format!("{required} {NO_LIMITS} {more}{attempts}")
}

/// Returns the authentication plugin in the output of MySQL's `SHOW CREATE USER`; `None` if there is not exactly one.
pub(super) fn plugin(made: &str) -> Option<&str> {
    const WITH: &str = " IDENTIFIED WITH ";
    let after = &made[made.find(WITH)? + WITH.len()..];
    // A change would lose the second factor.
    if after.contains(WITH) {
        return None;
    }
    let quote = after.chars().next().filter(|quote| "'`\"".contains(*quote))?;
    after[1..].split_once(quote).map(|(plugin, _)| plugin)
}

/// Returns MySQL's statement for adding a password when the password history forbids setting the kept one again. It
/// succeeds only if the user itself runs it and the kept password is the primary one.
pub(super) fn retain_beside(new: &str, keep: &str) -> Zeroizing<String> {
    format!("SET PASSWORD = {} REPLACE {} RETAIN CURRENT PASSWORD", *string(new), *string(keep)).into()
}

/// Checks whether MySQL keeps a password history for a user. `made` is the output of `SHOW CREATE USER`; the defaults
/// are the server's.
pub(super) fn has_history(made: &str, default_count: i64, default_days: i64) -> bool {
    let asks = |word: &str, default: i64| match find(made, word) {
        Some(at) if made[at + word.len()..].starts_with("DEFAULT") => default > 0,
        Some(at) => !made[at + word.len()..].starts_with("0 "),
        None => default > 0,
    };
    asks(" PASSWORD HISTORY ", default_count) || asks(" PASSWORD REUSE INTERVAL ", default_days)
}

/// Returns a string literal for a session with the pinned SQL mode, in which a backslash starts an escape.
fn string(text: &str) -> Zeroizing<String> {
    let doubled = Zeroizing::new(text.replace('\'', "''"));
    let escaped = Zeroizing::new(doubled.replace('\\', "\\\\"));
    format!("'{}'", *escaped).into()
}

#[cfg(test)]
mod tests;
