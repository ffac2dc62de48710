//! The differences between MariaDB and MySQL. The statements that change passwords are in `passwords`.

use std::fmt::{self, Display};

use crate::error::{Error, ErrorKind};

/// The kind of server, with its version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    /// MariaDB.
    MariaDb(Version),
    /// MySQL, including Percona Server and Aurora.
    MySql(Version),
}

pub(super) type Version = (u32, u32, u32);

/// An account whose password is to change.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// User and host, quoted.
    pub(super) name: String,
    /// Whether the session is logged in to it.
    pub(super) is_own: bool,
    /// The output of `SHOW CREATE USER`.
    pub(super) made: String,
}

impl Dialect {
    /// Parses the version that a server reports.
    pub(super) fn of(version: &str) -> Result<Self, Error> {
        let is_mariadb = version.contains("MariaDB");
        // MariaDB behind a proxy can prefix its version with 5.5.5-, for compatibility with old replicas.
        let number = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
        let mut numbers = number.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("unrecognised server version {version:?}: neither MariaDB nor MySQL"),
            ));
        };
        // Aurora shows its own version instead of the third number. These are the MySQL versions it started with.
        let aurora = if major >= 8 { 23 } else { 12 };
        let third = numbers.next().unwrap_or(if version.contains("mysql_aurora") { aurora } else { 0 });
        let version = (major, minor, third);
        Ok(if is_mariadb { Self::MariaDb(version) } else { Self::MySql(version) })
    }

    /// Checks whether the server lets a user have two passwords.
    pub(super) fn has_dual_passwords(self) -> bool {
        match self {
            Self::MariaDb(version) => version >= (10, 4, 0),
            Self::MySql(version) => version >= (8, 0, 14),
        }
    }

    /// Returns the privilege that a user needs to give itself a second password.
    pub(super) fn privilege_for_second_password(self) -> &'static str {
        match self {
            Self::MariaDb(_) => "CREATE USER",
            Self::MySql(_) => "APPLICATION_PASSWORD_ADMIN",
        }
    }

    /// Returns the query for the hosts of a user's accounts. `user` is the name as an SQL literal.
    pub(super) fn hosts_of(self, user: &str) -> String {
        let roles = if let Self::MariaDb(_) = self { " AND is_role <> 'Y'" } else { "" };
        format!("SELECT Host FROM mysql.user WHERE User = {user}{roles}")
    }

    /// Returns the statement that pins a session's SQL mode and output format to what this module expects, regardless
    /// of the server's settings.
    pub(super) fn pin(self) -> &'static str {
        match self {
            // Otherwise GRANT creates users that do not exist.
            Self::MariaDb(_) => {
                "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER', SESSION sql_quote_show_create = 1"
            }
            Self::MySql(version) if version < (8, 0, 0) => {
                "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER', SESSION sql_quote_show_create = 1"
            }
            Self::MySql(version) if version < (8, 0, 17) => {
                "SET SESSION sql_mode = '', SESSION sql_quote_show_create = 1"
            }
            // Hashes in hexadecimal, because they can contain quotes.
            Self::MySql(_) => {
                "SET SESSION sql_mode = '', SESSION sql_quote_show_create = 1, SESSION print_identified_with_as_hex = 1"
            }
        }
    }

    /// Returns the longest user name that the server accepts, in characters.
    pub(super) fn longest_name(self) -> usize {
        match self {
            Self::MariaDb(_) => 80,
            Self::MySql(_) => 32,
        }
    }
}

impl Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, (major, minor, third)) = match self {
            Self::MariaDb(version) => ("MariaDB", version),
            Self::MySql(version) => ("MySQL", version),
        };
        write!(f, "{name} {major}.{minor}.{third}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_what_they_call_their_version() {
        for (version, server) in [
            ("10.11.14-MariaDB-0+deb12u2", Dialect::MariaDb((10, 11, 14))),
            ("5.5.5-10.6.12-MariaDB-log", Dialect::MariaDb((10, 6, 12))),
            ("8.0.36", Dialect::MySql((8, 0, 36))),
            ("8.4.3-3", Dialect::MySql((8, 4, 3))),
            ("9.1.0", Dialect::MySql((9, 1, 0))),
            ("5.7.44-log", Dialect::MySql((5, 7, 44))),
            ("8.0.mysql_aurora.3.04.0", Dialect::MySql((8, 0, 23))),
        ] {
            assert_eq!(Dialect::of(version).unwrap(), server, "{version}");
        }
        assert!(Dialect::of("TiDB").is_err());
        assert!(Dialect::of("").is_err());
    }
}
