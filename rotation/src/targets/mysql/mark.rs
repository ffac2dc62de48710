//! How a user is marked as a secret's own, so that it is never taken for somebody else's.
//!
//! MariaDB's users carry no comments: a role without privileges marks them, and until they get a password, what stands in
//! its place. MySQL's carry attributes, from version 8.0.21, of which one is ours and the others stay as they are.

use sha1::{Digest, Sha1};

use super::dialect::Dialect;
use super::{hash, hex, literal, quoted};

/// The mark of one secret, in the words of one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark<'a> {
    pub(super) dialect: Dialect,
    pub(super) text: &'a str,
}

impl Mark<'_> {
    /// A question for the number of marks that a user bears.
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

    /// A question for how many of two users bear the mark that [`Mark::leave`] leaves.
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

    /// The statement that makes a marked user who cannot log in. It is one, for it may be the last: whoever comes next
    /// must know whose the user is.
    ///
    /// A server that checks passwords gets one to check, which lets nobody in: the user is locked until it has another.
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
            // An empty password is one that a policy may refuse.
            Dialect::MySql(_) => format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY RANDOM PASSWORD ACCOUNT LOCK ATTRIBUTE '{}'",
                self.attribute()
            ),
        }
    }

    /// The statements that mark users which exist.
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

    /// What a user has in the place of a password's hash until it gets a password. It belongs to no password: that would
    /// have to be the hash of its own hash, which has 20 bytes, and this is the hash of something longer.
    fn hash(self) -> String {
        format!("*{}", hex(&Sha1::digest(format!("not a password: {}", self.text))).to_uppercase())
    }

    /// No secret: a password that stands for none.
    fn throwaway(self) -> String {
        format!("Not-A-Password-{}", hex(&Sha1::digest(self.text)))
    }

    /// JSON in a string of SQL. ARNs have no character that would need more.
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
