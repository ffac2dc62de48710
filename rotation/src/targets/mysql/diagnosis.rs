//! The checks before a rotation: finds what a MariaDB or MySQL server would refuse.

use mysql_async::Conn;

use super::accounts::check_length;
use super::dialect::{Account, Dialect};
use super::grants::Grant;
use super::passwords::has_history;
use super::{MySql, account, made, own_account, quoted, rows};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::error::{Error, ErrorKind};

impl MySql {
    pub(super) async fn look(&self, requirements: Requirements<'_>) -> Result<Diagnosis, Error> {
        let (mut connection, dialect) = self.session(requirements.login).await?;
        let connection = &mut connection;
        let (mut findings, mut warnings) = (Vec::new(), Vec::new());
        let held = grants(connection, "CURRENT_USER").await?;
        let asks = current_user(connection).await?;
        let may_change_users = covers(&held, "CREATE USER", "*.*");
        let lacks = |privilege: &str, problem: String| {
            Finding::new(problem).fixed_by(format!("GRANT {privilege} ON *.* TO {asks};"))
        };
        let mut used = None;
        if requirements.is_own() {
            match own_account(connection, dialect, requirements.login).await {
                Ok(name) => {
                    if !covers(&held, "SELECT", "`mysql`.*") && !covers(&held, "SELECT", "`mysql`.`user`") {
                        warnings.push(format!(
                            "{asks} cannot see whether it has accounts at other hosts; their passwords would not change"
                        ));
                    }
                    used = Some(name);
                }
                Err(error) => findings.push(Finding::new(error.message())),
            }
            let second = dialect.privilege_for_second_password();
            if requirements.keeps_former && !may_change_users && !covers(&held, second, "*.*") {
                let problem = format!(
                    "{asks} cannot give itself a second password; name an administrator's secret instead, or grant this"
                );
                findings.push(lacks(second, problem));
            }
            findings.extend(connections(connection, &asks).await?);
        } else {
            if !may_change_users {
                findings.push(lacks("CREATE USER", format!("{asks} can neither create nor change users")));
            }
            if covers(&held, "SELECT", "`mysql`.*") {
                let user = requirements.user.username()?;
                match account(connection, dialect, &user).await {
                    Ok(Some(name)) => {
                        findings.extend(at_user(connection, requirements, &asks, &held, &name).await?);
                        used = Some(name);
                    }
                    Ok(None) => {
                        let text =
                            format!("the server has no user {:?}; the secret is for another server", *user);
                        return Err(Error::new(ErrorKind::Misconfigured, text));
                    }
                    Err(error) => findings.push(Finding::new(error.message())),
                }
                if let Some(other) = requirements.other
                    && let Err(error) = check_other(connection, dialect, &other.username()?).await
                {
                    findings.push(Finding::new(error.message()));
                }
            } else {
                let problem = format!("{asks} cannot look up users");
                findings
                    .push(Finding::new(problem).fixed_by(format!("GRANT SELECT ON `mysql`.* TO {asks};")));
            }
        }
        if let Some(name) = used {
            let account = made(connection, name, requirements.is_own()).await?;
            let conditions = self.conditions(connection, dialect, requirements.login).await?;
            let keep = requirements.keeps_former.then_some("");
            if let Err(error) = dialect.change_password(&account, "", keep, conditions) {
                findings.push(Finding::new(error.message()));
            }
            if conditions.wants_clear {
                warnings.push(
                    "the server refuses hashes of passwords (strict_password_validation): the new password itself is sent inside TLS, with the session's logs off where permitted"
                        .to_owned(),
                );
            }
            if requirements.keeps_former {
                findings.extend(history(connection, dialect, &account, &held).await?);
            }
        }
        findings.extend(writes(connection, dialect, &held).await?);
        let dual_passwords = dialect.has_dual_passwords();
        Ok(Diagnosis { server: dialect.to_string(), dual_passwords, findings, warnings })
    }
}

/// Returns the account that the session is logged in to, quoted.
async fn current_user(connection: &mut Conn) -> Result<String, Error> {
    let answers = rows::<String>(connection, "SELECT CURRENT_USER()").await?;
    let account = answers.first().and_then(|account| account.rsplit_once('@'));
    Ok(account.map_or_else(String::new, |(user, host)| format!("{}@{}", quoted(user), quoted(host))))
}

/// Checks that a user who changes its own password may have two connections: one holds the lock, the other logs in.
async fn connections(connection: &mut Conn, asks: &str) -> Result<Option<Finding>, Error> {
    // The server computes for each session whether the global limit or the account's own applies.
    let limit =
        rows::<i64>(connection, "SELECT @@SESSION.max_user_connections").await?.first().copied().unwrap_or(0);
    Ok((limit == 1).then(|| {
        let problem = format!(
            "{asks} can have one connection at a time (MAX_USER_CONNECTIONS), but a rotation needs two; allow more, or name an administrator's secret"
        );
        Finding::new(problem).fixed_by(format!("ALTER USER {asks} WITH MAX_USER_CONNECTIONS 4;"))
    }))
}

/// Checks whether a password history prevents the current password from staying valid beside a new one.
async fn history(
    connection: &mut Conn,
    dialect: Dialect,
    account: &Account,
    held: &[Grant],
) -> Result<Option<Finding>, Error> {
    let problem = |what: &str| format!("a password history is kept for {}, so {what}", account.name);
    match dialect {
        Dialect::MariaDb(_) => {
            let reuse = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'password_reuse_check' \
                 AND PLUGIN_STATUS = 'ACTIVE'";
            let is_active = rows::<i64>(connection, reuse).await? != [0];
            Ok(is_active.then(|| {
                Finding::new(problem(
                    "its password cannot be kept while a new one is added; choose single-user",
                ))
            }))
        }
        Dialect::MySql(version) if version < (8, 0, 14) => Ok(None),
        Dialect::MySql(_) => {
            let defaults = "SELECT @@GLOBAL.password_history, @@GLOBAL.password_reuse_interval";
            let defaults = rows::<(i64, i64)>(connection, defaults).await?;
            let (count, days) = defaults.first().copied().unwrap_or_default();
            if !has_history(&account.made, count, days) {
                return Ok(None);
            }
            let own;
            let of_user = if account.is_own {
                held
            } else {
                own = grants(connection, &account.name).await?;
                &own
            };
            const PRIVILEGE: &str = "APPLICATION_PASSWORD_ADMIN";
            if covers(of_user, PRIVILEGE, "*.*") {
                return Ok(None);
            }
            let what = "only the user itself can keep its password while a new one is added; grant this, or choose single-user";
            let fix = format!("GRANT {PRIVILEGE} ON *.* TO {};", account.name);
            Ok(Some(Finding::new(problem(what)).fixed_by(fix)))
        }
    }
}

/// Checks whether the server accepts writes from the logged-in user.
async fn writes(connection: &mut Conn, dialect: Dialect, held: &[Grant]) -> Result<Option<Finding>, Error> {
    let settings = match dialect {
        Dialect::MariaDb(_) => {
            "SELECT CAST(@@GLOBAL.read_only <> 0 AS SIGNED), 0, CAST(@@GLOBAL.innodb_read_only AS SIGNED)"
        }
        Dialect::MySql(_) => "SELECT @@GLOBAL.read_only, @@GLOBAL.super_read_only, @@GLOBAL.innodb_read_only",
    };
    let settings = rows::<(i64, i64, i64)>(connection, settings).await?;
    let (read_only, strictly, storage) = settings.first().copied().unwrap_or_default();
    let exempt: &[&str] = match dialect {
        Dialect::MariaDb(version) if version >= (10, 11, 0) => &["READ_ONLY ADMIN"],
        Dialect::MariaDb(_) => &["READ_ONLY ADMIN", "SUPER"],
        Dialect::MySql(_) => &["CONNECTION_ADMIN", "SUPER"],
    };
    let is_exempt = exempt.iter().any(|privilege| covers(held, privilege, "*.*"));
    let is_refused = strictly != 0 || storage != 0 || read_only != 0 && !is_exempt;
    Ok(is_refused.then(|| {
        Finding::new(
            "the server is read-only; if it is a replica, set the secret's \"host\" to the server that takes writes",
        )
    }))
}

/// Checks that the second user's name is short enough, and that it has at most one account.
async fn check_other(connection: &mut Conn, dialect: Dialect, user: &str) -> Result<(), Error> {
    check_length(dialect, user)?;
    account(connection, dialect, user).await.map(drop)
}

/// Checks whether an administrator can change the user in use and grant its privileges to the second user.
async fn at_user(
    connection: &mut Conn,
    requirements: Requirements<'_>,
    asks: &str,
    held: &[Grant],
    used: &str,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let wanted = grants(connection, used).await?;
    const SYSTEM_USER: &str = "SYSTEM_USER";
    if covers(&wanted, SYSTEM_USER, "*.*")
        && !covers(&wanted, ALL, "*.*")
        && !covers(held, SYSTEM_USER, "*.*")
    {
        let problem = format!("{used} has {SYSTEM_USER}, so {asks} needs it too to change that user");
        findings.push(Finding::new(problem).fixed_by(format!("GRANT {SYSTEM_USER} ON *.* TO {asks};")));
    }
    if requirements.other.is_none() {
        return Ok(findings);
    }
    let mut lacking: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, object) in wanted.iter().filter_map(Grant::privilege).filter(|(name, _)| *name != "USAGE") {
        // Only those who hold a privilege with GRANT OPTION can grant it.
        if covers(held.iter().filter(|grant| grant.is_grantable()), name, object) {
            continue;
        }
        match lacking.iter_mut().find(|(other, _)| *other == object) {
            Some((_, names)) => names.push(name),
            None => lacking.push((object, vec![name])),
        }
    }
    findings.extend(lacking.into_iter().map(|(object, names)| {
        let names = names.join(", ");
        let problem = format!("{asks} cannot grant {names} ON {object}, which {used} has");
        Finding::new(problem).fixed_by(format!("GRANT {names} ON {object} TO {asks} WITH GRANT OPTION;"))
    }));
    Ok(findings)
}

async fn grants(connection: &mut Conn, account: &str) -> Result<Vec<Grant>, Error> {
    let lines = rows::<String>(connection, &format!("SHOW GRANTS FOR {account}")).await?;
    Ok(lines.iter().filter_map(|line| Grant::parse(line)).flatten().collect())
}

/// Checks whether the grants together give a privilege on an object.
fn covers<'a>(grants: impl IntoIterator<Item = &'a Grant>, privilege: &str, object: &str) -> bool {
    let mut privileges = grants.into_iter().filter_map(Grant::privilege);
    // PROXY is not part of any other privilege. On the empty user name, it covers every user.
    if privilege == PROXY {
        let is_anybody = |on: &str| on.starts_with("''@") || on.starts_with("``@");
        return privileges.any(|(name, on)| name == PROXY && (on == object || is_anybody(on)));
    }
    let held: Vec<_> = privileges.filter(|(_, on)| contains(on, object)).map(|(name, _)| name).collect();
    held.contains(&ALL)
        || held.contains(&privilege)
        // MySQL lists the privileges on `*.*` one by one, but those on a database as ALL PRIVILEGES.
        || privilege == ALL && OF_A_DATABASE.iter().all(|name| held.contains(name))
        // A privilege on a table includes its columns.
        || privilege.split_once(" (").is_some_and(|(name, _)| held.contains(&name))
}

const ALL: &str = "ALL PRIVILEGES";
const PROXY: &str = "PROXY";
const OF_A_DATABASE: [&str; 18] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
    "TRIGGER",
];

/// Checks whether `on`, such as `*.*`, includes `object`, such as `` `shop`.`orders` ``.
fn contains(on: &str, object: &str) -> bool {
    let database = |object: &str| object.split('.').next().map(str::to_owned);
    on == "*.*" || on == object || on.ends_with(".*") && database(on) == database(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_holds() {
        let held = |line: &str| Grant::parse(line).unwrap();
        let all = held("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION");
        assert!(covers(&all, "CREATE USER", "*.*") && all[0].is_grantable());
        let shop = held("GRANT SELECT, INSERT ON `shop`.* TO `a`@`%`");
        assert!(
            covers(&shop, "INSERT", "`shop`.`orders`") && covers(&shop, "INSERT (`id`)", "`shop`.`orders`")
        );
        assert!(!covers(&shop, "DELETE", "`shop`.*") && !covers(&shop, "SELECT", "`audit`.*"));
        assert!(!shop[0].is_grantable());
        let each = held(&format!("GRANT {} ON *.* TO `a`@`%`", OF_A_DATABASE.join(", ")));
        assert!(covers(&each, ALL, "`shop`.*") && !covers(&each[1..], ALL, "`shop`.*"));
        let whom = "`billing`@`%`";
        assert!(!covers(&all, PROXY, whom));
        for (line, does) in [("``@``", true), ("''@'%'", true), (whom, true), ("`audit`@`%`", false)] {
            let proxy = held(&format!("GRANT PROXY ON {line} TO `a`@`%` WITH GRANT OPTION"));
            assert!(covers(&proxy, PROXY, whom) == does && proxy[0].is_grantable(), "{line}");
        }
    }
}
