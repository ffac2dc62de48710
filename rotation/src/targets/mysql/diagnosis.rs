//! What a MariaDB or MySQL server would object to, asked beforehand.

use mysql_async::Conn;

use super::dialect::Dialect;
use super::grants::Grant;
use super::{MySql, account, check_plugin, dialect_of, own_dialect_and_account, rows};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::error::{Error, ErrorKind};

impl MySql {
    pub(super) async fn look(&self, requirements: Requirements<'_>) -> Result<Diagnosis, Error> {
        let (mut connection, dialect) = self.session(requirements.login).await?;
        let mut findings = Vec::new();
        let asks = own_dialect_and_account(&mut connection).await?.1;
        let held = grants(&mut connection, "CURRENT_USER").await?;
        let may_change_users = covers(&held, "CREATE USER", "*.*");
        let lacks = |privilege: &str, problem: String| {
            Finding::new(problem).mended_by(format!("GRANT {privilege} ON *.* TO {asks};"))
        };
        if requirements.is_own() {
            if let Err(error) = check_plugin(&mut connection, &asks, true).await {
                findings.push(Finding::new(error.message()));
            }
            let second = dialect.privilege_for_second_password();
            if requirements.keeps_former && !may_change_users && !covers(&held, second, "*.*") {
                let problem = format!(
                    "{asks} may not give itself a second password; name an administrator's secret instead, or allow it"
                );
                findings.push(lacks(second, problem));
            }
        } else {
            if !may_change_users {
                findings.push(lacks("CREATE USER", format!("{asks} may neither make nor change users")));
            }
            if covers(&held, "SELECT", "`mysql`.*") {
                findings.extend(self.look_at_user(&mut connection, requirements, &asks, &held).await?);
            } else {
                let problem = format!("{asks} may not look users up");
                findings
                    .push(Finding::new(problem).mended_by(format!("GRANT SELECT ON `mysql`.* TO {asks};")));
            }
        }
        let strict = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' \
             AND PLUGIN_STATUS = 'ACTIVE' AND @@strict_password_validation";
        let is_mariadb = matches!(dialect, Dialect::MariaDb(_));
        if is_mariadb && rows::<i64>(&mut connection, strict).await? != [0] {
            let problem = "a password validation plugin is active and strict, so the server refuses hashes of passwords";
            findings.push(Finding::new(problem).mended_by("SET GLOBAL strict_password_validation = OFF;"));
        }
        let dual_passwords = dialect.has_dual_passwords();
        Ok(Diagnosis { server: dialect.to_string(), dual_passwords, findings })
    }

    /// What an administrator would meet at the user in use.
    async fn look_at_user(
        &self,
        connection: &mut Conn,
        requirements: Requirements<'_>,
        asks: &str,
        held: &[Grant],
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let user = requirements.user.username()?;
        let dialect = dialect_of(connection).await?;
        let Some(used) = account(connection, dialect, &user).await? else {
            let text = format!("the server has no user {:?}; the secret is for another server", *user);
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        if let Err(error) = check_plugin(connection, &used, false).await {
            findings.push(Finding::new(error.message()));
        }
        if requirements.other.is_none() {
            return Ok(findings);
        }
        let wanted = grants(connection, &used).await?;
        let mut lacking: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, object) in wanted.iter().filter_map(Grant::privilege).filter(|(name, _)| *name != "USAGE")
        {
            // The grant option itself can only be handed on by those who hold the privilege with it, too.
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
            let problem = format!("{asks} may not grant {names} ON {object}, which {used} has");
            Finding::new(problem).mended_by(format!("GRANT {names} ON {object} TO {asks} WITH GRANT OPTION;"))
        }));
        Ok(findings)
    }
}

async fn grants(connection: &mut Conn, account: &str) -> Result<Vec<Grant>, Error> {
    let lines = rows::<String>(connection, &format!("SHOW GRANTS FOR {account}")).await?;
    Ok(lines.iter().filter_map(|line| Grant::parse(line)).flatten().collect())
}

/// Whether the grants together give a privilege on an object.
fn covers<'a>(grants: impl IntoIterator<Item = &'a Grant>, privilege: &str, object: &str) -> bool {
    let privileges = grants.into_iter().filter_map(Grant::privilege);
    let held: Vec<_> = privileges.filter(|(_, on)| contains(on, object)).map(|(name, _)| name).collect();
    held.contains(&ALL)
        || held.contains(&privilege)
        // MySQL names each privilege on everything, and those on a database by one word.
        || privilege == ALL && OF_A_DATABASE.iter().all(|name| held.contains(name))
        // What is on a table is on its columns.
        || privilege.split_once(" (").is_some_and(|(name, _)| held.contains(&name))
}

const ALL: &str = "ALL PRIVILEGES";
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

/// Whether `on`, such as `*.*`, holds `object`, such as `` `shop`.`orders` ``.
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
    }
}
