//! Marks on users that show which secret they belong to, so that rotation never takes over someone else's user.
//!
//! MariaDB users have no comments. A role without privileges marks them; until they get a password, the placeholder
//! hash does. MySQL users have attributes since version 8.0.21. The mark is one of them; the others are left alone.

use sha1::{Digest, Sha1};

use super::dialect::Dialect;
use super::{hash, hex, literal, quoted};

/// The mark of one secret, in the form that a kind of server supports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark<'a> {
    pub(super) dialect: Dialect,
    pub(super) text: &'a str,
}

impl Mark<'_> {
    /// Returns the query for the number of marks on a user.
    pub(super) fn count(self, user: &str) -> String {
        let user = literal(user);
        match self.dialect {
            Dialect::MariaDb(_) => format!(
                "SELECT (SELECT COUNT(*) FROM mysql.roles_mapping WHERE User = {user} AND Role = {}) \
                 + (SELECT COUNT(*) FROM mysql.user WHERE User = {user} AND authentication_string IN ('{}', '{}'))",
                literal(&self.role()),
                self.hash(),
                hash(&self.throwaway())
            ),
            Dialect::MySql(_) => format!(
                "SELECT COUNT(*) FROM information_schema.USER_ATTRIBUTES WHERE USER = {user} \
                 AND ATTRIBUTE->>'$.{ATTRIBUTE}' = {}",
                literal(self.text)
            ),
        }
    }

    /// Returns the query for how many of two users have the mark that [`Mark::leave`] sets.
    pub(super) fn left_on(self, users: [&str; 2]) -> String {
        let users = users.map(literal).join(", ");
        match self.dialect {
            Dialect::MariaDb(_) => format!(
                "SELECT COUNT(DISTINCT User) FROM mysql.roles_mapping WHERE User IN ({users}) AND Role = {}",
                literal(&self.role())
            ),
            Dialect::MySql(_) => format!(
                "SELECT COUNT(DISTINCT USER) FROM information_schema.USER_ATTRIBUTES WHERE USER IN ({users}) \
                 AND ATTRIBUTE->>'$.{ATTRIBUTE}' = {}",
                literal(self.text)
            ),
        }
    }

    /// Returns the statement that creates a user that is marked and cannot log in. It does both at once, so that a run
    /// that stops after it leaves no unmarked user behind.
    ///
    /// A server that validates passwords gets a throwaway one. The account stays locked until the real password is set.
    pub(super) fn make(self, account: &str, wants_clear: bool) -> String {
        match self.dialect {
            Dialect::MariaDb(_) if wants_clear => {
                format!(
                    "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{}' ACCOUNT LOCK",
                    self.throwaway()
                )
            }
            Dialect::MariaDb(_) => format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED VIA mysql_native_password USING '{}' ACCOUNT LOCK",
                self.hash()
            ),
            // A random password, because a policy could refuse an empty one.
            Dialect::MySql(_) => format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY RANDOM PASSWORD ACCOUNT LOCK ATTRIBUTE '{}'",
                self.attribute()
            ),
        }
    }

    /// Returns the statements that mark existing users.
    pub(super) fn leave(self, accounts: &[&str]) -> Vec<String> {
        match self.dialect {
            Dialect::MariaDb(_) => {
                let role = quoted(&self.role());
                let grants = accounts.iter().map(|account| format!("GRANT {role} TO {account}"));
                std::iter::once(format!("CREATE ROLE IF NOT EXISTS {role}")).chain(grants).collect()
            }
            Dialect::MySql(_) => {
                let mark = |account: &&str| format!("ALTER USER {account} ATTRIBUTE '{}'", self.attribute());
                accounts.iter().map(mark).collect()
            }
        }
    }

    fn role(self) -> String {
        format!("secretcache_{}", &hex(&Sha1::digest(self.text))[..16])
    }

    /// Returns the placeholder for a password's hash until the user gets a password. No password matches it: a real
    /// hash is the SHA-1 of a 20-byte digest, and this is the SHA-1 of a longer text.
    fn hash(self) -> String {
        format!("*{}", hex(&Sha1::digest(format!("not a password: {}", self.text))).to_uppercase())
    }

    /// Returns a placeholder password. It is not secret.
    fn throwaway(self) -> String {
        format!("Not-A-Password-{}", hex(&Sha1::digest(self.text)))
    }

    /// Returns the attribute as JSON for use in an SQL string. ARNs contain no characters that need more escaping.
    fn attribute(self) -> String {
        let text: String = self.text.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
        format!(r#"{{"{ATTRIBUTE}": "{text}"}}"#)
    }
}

const ATTRIBUTE: &str = "secretcache";

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "secretcache arn:aws:secretsmanager:eu-central-1:1:secret:shop/db-AbCdEf";

    #[test]
    fn a_user_is_marked_in_the_statement_that_makes_it() {
        let mark = |dialect| Mark { dialect, text: ARN };
        let mysql = mark(Dialect::MySql((8, 4, 3)));
        assert!(
            mysql
                .make("`a`@`%`", false)
                .starts_with("CREATE USER IF NOT EXISTS `a`@`%` IDENTIFIED BY RANDOM")
        );
        assert!(
            mysql
                .make("`a`@`%`", false)
                .ends_with(&format!(r#"ACCOUNT LOCK ATTRIBUTE '{{"secretcache": "{ARN}"}}'"#))
        );
        assert!(mysql.count("a").contains("USER_ATTRIBUTES"));
        let mariadb = mark(Dialect::MariaDb((10, 11, 14)));
        assert!(mariadb.make("`a`@`%`", false).ends_with(" ACCOUNT LOCK"));
        assert_eq!(mariadb.leave(&["`a`@`%`", "`b`@`%`"]).len(), 3);
        assert_eq!(mysql.leave(&["`a`@`%`"]).len(), 1);
    }
}
