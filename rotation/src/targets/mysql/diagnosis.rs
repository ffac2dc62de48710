//! What a MariaDB server would object to, asked beforehand.

use mysql_async::Conn;

use super::grants::Grant;
use super::{MySql, account, check_plugin, dialect_of, own_account, rows};
use crate::diagnosis::{Diagnosis, Finding, Need};
use crate::error::{Error, ErrorKind};

impl MySql {
    pub(super) async fn look(&self, need: Need<'_>) -> Result<Diagnosis, Error> {
        let mut connection = self.session(need.login).await?;
        let version = rows::<String>(&mut connection, "SELECT VERSION()").await?.pop().unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        let number = version.split('-').next().unwrap_or_default();
        let server = format!("{} {number}", if is_mariadb { "MariaDB" } else { "MySQL" });
        let mut findings = Vec::new();
        let asks = own_account(&mut connection).await?;
        let held = grants(&mut connection, "CURRENT_USER").await?;
        let may_change_users = covers(&held, "CREATE USER", "*.*");
        let create_user =
            |problem: String| Finding::new(problem).mended_by(format!("GRANT CREATE USER ON *.* TO {asks};"));
        if need.is_own() {
            if let Err(error) = check_plugin(&mut connection, &asks, true).await {
                findings.push(Finding::new(error.message()));
            }
            if need.keeps_former && !may_change_users {
                findings.push(create_user(format!(
                    "{asks} may not give itself a second password; name an administrator's secret instead, or let it change users"
                )));
            }
        } else {
            if !may_change_users {
                findings.push(create_user(format!("{asks} may neither make nor change users")));
            }
            if covers(&held, "SELECT", "`mysql`.*") {
                findings.extend(self.look_at_user(&mut connection, need, &asks, &held).await?);
            } else {
                let problem = format!("{asks} may not look users up");
                findings
                    .push(Finding::new(problem).mended_by(format!("GRANT SELECT ON `mysql`.* TO {asks};")));
            }
        }
        let strict = "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' \
             AND PLUGIN_STATUS = 'ACTIVE' AND @@strict_password_validation";
        if is_mariadb && rows::<i64>(&mut connection, strict).await? != [0] {
            let problem = "a password validation plugin is active and strict, so the server refuses hashes of passwords";
            findings.push(Finding::new(problem).mended_by("SET GLOBAL strict_password_validation = OFF;"));
        }
        Ok(Diagnosis { server, dual_passwords: is_mariadb && is_at_least(number, [10, 4]), findings })
    }

    /// What an administrator would meet at the user in use.
    async fn look_at_user(
        &self,
        connection: &mut Conn,
        need: Need<'_>,
        asks: &str,
        held: &[Grant],
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let user = need.user.username()?;
        let dialect = dialect_of(connection).await?;
        let Some(used) = account(connection, dialect, &user).await? else {
            let text = format!("MariaDB has no user {:?}; the secret is for another server", *user);
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        if let Err(error) = check_plugin(connection, &used, false).await {
            findings.push(Finding::new(error.message()));
        }
        if need.other.is_none() {
            return Ok(findings);
        }
        for wanted in grants(connection, &used).await? {
            let Some((privileges, object)) = wanted.privileges().filter(|(names, _)| *names != "USAGE")
            else {
                continue;
            };
            // The grant option itself can only be handed on by those who hold the privilege with it, too.
            let may_grant = held.iter().any(|grant| {
                grant.is_grantable()
                    && grant.privileges().is_some_and(|(names, on)| {
                        contains(on, object) && (names == "ALL PRIVILEGES" || has_all(names, privileges))
                    })
            });
            if !may_grant {
                let problem = format!("{asks} may not grant {privileges} ON {object}, which {used} has");
                let mend = format!("GRANT {privileges} ON {object} TO {asks} WITH GRANT OPTION;");
                findings.push(Finding::new(problem).mended_by(mend));
            }
        }
        Ok(findings)
    }
}

async fn grants(connection: &mut Conn, account: &str) -> Result<Vec<Grant>, Error> {
    let lines = rows::<String>(connection, &format!("SHOW GRANTS FOR {account}")).await?;
    Ok(lines.iter().filter_map(|line| Grant::parse(line)).collect())
}

/// Whether one of the grants gives a privilege on an object.
fn covers(grants: &[Grant], privilege: &str, object: &str) -> bool {
    grants
        .iter()
        .filter_map(Grant::privileges)
        .any(|(names, on)| contains(on, object) && (names == "ALL PRIVILEGES" || has_all(names, privilege)))
}

/// Whether `on`, such as `*.*`, holds `object`, such as `` `shop`.`orders` ``.
fn contains(on: &str, object: &str) -> bool {
    let database = |object: &str| object.split('.').next().map(str::to_owned);
    on == "*.*" || on == object || on.ends_with(".*") && database(on) == database(object)
}

/// Whether a list of privileges holds all of another.
fn has_all(names: &str, wanted: &str) -> bool {
    let held: Vec<_> = names.split(", ").collect();
    wanted.split(", ").all(|name| held.contains(&name))
}

fn is_at_least(version: &str, wanted: [u32; 2]) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)] >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_holds() {
        let held = |line: &str| vec![Grant::parse(line).unwrap()];
        let all = held("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION");
        assert!(covers(&all, "CREATE USER", "*.*") && all[0].is_grantable());
        let shop = held("GRANT SELECT, INSERT ON `shop`.* TO `a`@`%`");
        assert!(covers(&shop, "INSERT, SELECT", "`shop`.`orders`"));
        assert!(!covers(&shop, "DELETE", "`shop`.*") && !covers(&shop, "SELECT", "`audit`.*"));
        assert!(!shop[0].is_grantable());
        assert!(is_at_least("10.11.14", [10, 4]) && !is_at_least("10.3.39", [10, 4]));
    }
}
