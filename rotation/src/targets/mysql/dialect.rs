//! What MariaDB and MySQL say differently: which statements change a password.
//!
//! Nothing here talks to a server, so that every decision can be tested without one.

use std::fmt::{self, Display};

use zeroize::Zeroizing;

use super::grants::find;
use super::methods::{Methods, PasswordKind};
use super::quoted;
use crate::error::{Error, ErrorKind};

/// Which server it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    /// MariaDB and its version.
    MariaDb(Version),
    /// MySQL (also Percona's, and Aurora) and its version.
    MySql(Version),
}

type Version = (u32, u32, u32);

/// An account whose password is to change.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// User and host, quoted.
    pub(super) name: String,
    /// Whether the session is logged in to it.
    pub(super) is_own: bool,
    /// What `SHOW CREATE USER` says.
    pub(super) made: String,
}

/// A statement that changes a password.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: Zeroizing<String>,
    /// Whether a server that does not permit it has nothing that it would have changed.
    pub(super) may_be_denied: bool,
}

/// What else decides how a password is changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    /// MariaDB checks each new password, and so refuses hashes (`strict_password_validation` and a plugin).
    pub(super) wants_clear: bool,
    /// Nobody on the way can read a statement: TLS, or a server on this host.
    pub(super) is_private: bool,
    /// The general log is on and cannot be turned off for the session.
    pub(super) is_logged: bool,
}

impl Dialect {
    /// The server that calls its version so.
    pub(super) fn of(version: &str) -> Result<Self, Error> {
        let is_mariadb = version.contains("MariaDB");
        // MariaDB behind a proxy says 5.5.5- first, for the sake of old replicas.
        let number = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
        let mut numbers = number.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the server calls its version {version:?}, which is neither MariaDB's nor MySQL's"),
            ));
        };
        // Aurora names its own version in place of the third number; these are the ones it began with.
        let aurora = if major >= 8 { 23 } else { 12 };
        let third = numbers.next().unwrap_or(if version.contains("mysql_aurora") { aurora } else { 0 });
        let version = (major, minor, third);
        Ok(if is_mariadb { Self::MariaDb(version) } else { Self::MySql(version) })
    }

    /// Whether a user may have two passwords.
    pub(super) fn has_dual_passwords(self) -> bool {
        match self {
            Self::MariaDb(version) => version >= (10, 4, 0),
            Self::MySql(version) => version >= (8, 0, 14),
        }
    }

    /// What a user needs to give itself a second password.
    pub(super) fn privilege_for_second_password(self) -> &'static str {
        match self {
            Self::MariaDb(_) => "CREATE USER",
            Self::MySql(_) => "APPLICATION_PASSWORD_ADMIN",
        }
    }

    /// How the accounts of a user are found, given the user's name as it stands in a statement.
    pub(super) fn hosts_of(self, user: &str) -> String {
        let roles = if let Self::MariaDb(_) = self { " AND is_role <> 'Y'" } else { "" };
        format!("SELECT Host FROM mysql.user WHERE User = {user}{roles}")
    }

    /// The statements after which an account has the new password, and beside it only the kept one. Repeating them,
    /// whichever of them ran last, gives the same result, and the kept password works all the time.
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

    /// Whether an account has this password, where the server shows it in a form that can be compared.
    pub(super) fn has_password(self, account: &Account, password: &str) -> bool {
        let kind = Methods::of(&account.made).password(account);
        matches!(self, Self::MariaDb(_))
            && kind.is_ok_and(|kind| account.made.contains(&format!("'{}'", kind.stored(password))))
    }

    /// The statement that makes a session read and write SQL as this module does, whatever the server's settings and
    /// those of the database are.
    pub(super) fn pin(self) -> &'static str {
        match self {
            // Else GRANT makes users that do not exist.
            Self::MariaDb(_) => {
                "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER', SESSION sql_quote_show_create = 1"
            }
            Self::MySql(version) if version < (8, 0, 0) => {
                "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER', SESSION sql_quote_show_create = 1"
            }
            Self::MySql(version) if version < (8, 0, 17) => {
                "SET SESSION sql_mode = '', SESSION sql_quote_show_create = 1"
            }
            // In digits, since a hash may hold quotes.
            Self::MySql(_) => {
                "SET SESSION sql_mode = '', SESSION sql_quote_show_create = 1, SESSION print_identified_with_as_hex = 1"
            }
        }
    }

    /// How many characters a user's name may have.
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

fn on_mariadb(
    version: Version,
    account: &Account,
    new: &str,
    keep: Option<&str>,
    conditions: Conditions,
) -> Result<Vec<Statement>, Error> {
    if version < (10, 4, 0) {
        return Err(Error::new(ErrorKind::Unsupported, "MariaDB must be of version 10.4 or newer"));
    }
    let (name, methods) = (&account.name, Methods::of(&account.made));
    let kind = methods.password(account)?;
    if conditions.wants_clear {
        return in_the_clear(account, &methods, new, keep, conditions);
    }
    if keep.is_some() && (kind == PasswordKind::Ed25519 || methods.has_others()) {
        // For the second password the server asks once more, which drivers take for an error; ours does.
        let what = format!(
            "{name} logs in by ed25519 or by several methods, and drivers do not get in by a second password then; choose \
             alternating-users or single-user"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    // The hash and never the password: statements are logged, replicated and shown to administrators.
    let text = match keep {
        // Both in one statement: neither is ever without effect, and repeating it changes nothing.
        Some(keep) => {
            let both = methods.with_passwords(kind, &[kind.stored(new), kind.stored(keep)]);
            format!("ALTER USER {name} IDENTIFIED VIA {both}")
        }
        // Nobody needs a privilege to change his own. It changes the first password alone, so there must be no other.
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

/// The one statement that a server which checks each password accepts, and that reaches its binary log as a hash. The
/// session's own logs are turned off where that is permitted.
fn in_the_clear(
    account: &Account,
    methods: &Methods,
    new: &str,
    keep: Option<&str>,
    conditions: Conditions,
) -> Result<Vec<Statement>, Error> {
    let unsupported = |what: &str| {
        let why = "the server has strict_password_validation and a password plugin, and so refuses hashes";
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

/// MySQL takes the password in the clear: it has no hash from a user that changes its own, and retains a second
/// password only beside one in the clear. The server leaves it out of its logs (Passwords and Logging); on the way it is
/// inside TLS.
fn on_mysql(
    version: Version,
    account: &Account,
    new: &str,
    keep: Option<&str>,
) -> Result<Vec<Statement>, Error> {
    const PLUGINS: [&str; 3] = ["caching_sha2_password", "mysql_native_password", "sha256_password"];
    if version < (5, 7, 6) {
        return Err(Error::new(ErrorKind::Unsupported, "MySQL must be of version 5.7.6 or newer"));
    }
    let has_dual_passwords = Dialect::MySql(version).has_dual_passwords();
    if keep.is_some() && !has_dual_passwords {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "MySQL has two passwords per user from version 8.0.14; choose single-user",
        ));
    }
    let found = plugin(&account.made);
    let plugin = found.filter(|plugin| PLUGINS.contains(plugin)).ok_or_else(|| {
        let (name, by) = (&account.name, found.unwrap_or("more than one method"));
        let what = format!("{name} logs in by {by}; only passwords of {} can be rotated", PLUGINS.join(", "));
        Error::new(ErrorKind::Unsupported, what)
    })?;
    // Another plugin, which is what the server's default would be, would discard the second password.
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
        // RETAIN keeps whichever password is the first one, and that need not be the one to keep: said twice, it would
        // keep the new one, and after a rotation that was given up, the one given up. So the kept one is made the first
        // before, which leaves the second as it is.
        Some(keep) => vec![statement(set(keep)), statement(format!("{} RETAIN CURRENT PASSWORD", set(new)))],
        None => {
            let unlocked = if account.is_own { "" } else { " ACCOUNT UNLOCK" };
            let mut statements = vec![statement(format!("{}{unlocked}", set(new)))];
            if has_dual_passwords {
                // A second password outlives a change of the first. A user that may not discard its own cannot have
                // made one.
                let whose = if account.is_own { "USER()" } else { &account.name };
                let discard = format!("ALTER USER {whose} DISCARD OLD PASSWORD");
                statements.push(Statement { text: discard.into(), may_be_denied: account.is_own });
            }
            statements
        }
    })
}

/// What MySQL asks of a user's sessions besides the password, as it stands in `ALTER USER`: all of it, so that what
/// another user was asked for is asked for no more. Takes what the server says of the user, hashes in digits.
pub(super) fn conditions(made: &str) -> String {
    const NO_LIMITS: &str = "WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0";
    let Some(start) = find(made, " REQUIRE ") else { return String::new() };
    let end = [" ATTRIBUTE ", " COMMENT "].iter().filter_map(|word| find(made, word)).min();
    let said = made[start..end.unwrap_or(made.len())].trim_start();
    // Whether it may log in is no condition but what comes last.
    let said = said.replace(" ACCOUNT UNLOCK", "").replace(" ACCOUNT LOCK", "");
    let limits = find(&said, " WITH ").or_else(|| find(&said, " PASSWORD ")).unwrap_or(said.len());
    let (required, more) = said.split_at(limits);
    let more = more.trim_start();
    // A limit that is said twice is what it is said to be last.
    let more = more.strip_prefix("WITH ").unwrap_or(more);
    let attempts = if find(more, "FAILED_LOGIN_ATTEMPTS ").is_some() {
        ""
    } else {
        " FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"
    };
    format!("{required} {NO_LIMITS} {more}{attempts}")
}

/// The one plugin in what MySQL says of a user.
pub(super) fn plugin(made: &str) -> Option<&str> {
    const WITH: &str = " IDENTIFIED WITH ";
    let after = &made[made.find(WITH)? + WITH.len()..];
    // A second factor would be lost.
    if after.contains(WITH) {
        return None;
    }
    let quote = after.chars().next().filter(|quote| "'`\"".contains(*quote))?;
    after[1..].split_once(quote).map(|(plugin, _)| plugin)
}

/// MySQL's statement for a server whose password history forbids to set the kept password again: it succeeds only where
/// the kept one is the first, and by the user itself.
pub(super) fn retain_beside(new: &str, keep: &str) -> Zeroizing<String> {
    format!("SET PASSWORD = {} REPLACE {} RETAIN CURRENT PASSWORD", *string(new), *string(keep)).into()
}

/// Whether MySQL remembers former passwords of a user, given what it says of the user and its defaults.
pub(super) fn has_history(made: &str, default_count: i64, default_days: i64) -> bool {
    let asks = |word: &str, default: i64| match find(made, word) {
        Some(at) if made[at + word.len()..].starts_with("DEFAULT") => default > 0,
        Some(at) => !made[at + word.len()..].starts_with("0 "),
        None => default > 0,
    };
    asks(" PASSWORD HISTORY ", default_count) || asks(" PASSWORD REUSE INTERVAL ", default_days)
}

/// A string as it stands in a statement of a pinned session, in which a backslash begins an escape.
fn string(text: &str) -> Zeroizing<String> {
    let doubled = Zeroizing::new(text.replace('\'', "''"));
    let escaped = Zeroizing::new(doubled.replace('\\', "\\\\"));
    format!("'{}'", *escaped).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA2: &str =
        "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x' REQUIRE NONE";

    fn account(is_own: bool, made: &str) -> Account {
        Account { name: "`app`@`%`".into(), is_own, made: made.into() }
    }

    fn said(version: &str, account: &Account, keep: Option<&str>) -> Result<Vec<String>, ErrorKind> {
        let server = Dialect::of(version).unwrap();
        let statements = server.change_password(account, r"n'e\w", keep, Conditions::default());
        statements
            .map(|statements| statements.iter().map(|statement| statement.text.to_string()).collect())
            .map_err(|error| error.kind())
    }

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

    #[test]
    fn mysql_keeps_the_kept_password_from_whichever_state() {
        assert_eq!(
            said("8.0.36", &account(false, SHA2), Some("current")).unwrap(),
            [
                "ALTER USER `app`@`%` IDENTIFIED WITH `caching_sha2_password` BY 'current'",
                r"ALTER USER `app`@`%` IDENTIFIED WITH `caching_sha2_password` BY 'n''e\\w' RETAIN CURRENT PASSWORD",
            ]
        );
        assert_eq!(
            said("8.0.36", &account(true, SHA2), Some("current")).unwrap(),
            ["SET PASSWORD = 'current'", r"SET PASSWORD = 'n''e\\w' RETAIN CURRENT PASSWORD"]
        );
    }

    /// MySQL's two passwords as its manual describes them, through every order of crashes.
    #[test]
    fn the_kept_password_works_at_every_moment_and_saying_it_again_changes_nothing() {
        let statements = said("8.0.36", &account(true, SHA2), Some("current")).unwrap();
        let say = |(first, second): (String, String), statement: &str| {
            let password = statement.split('\'').nth(1).unwrap();
            let password = if password == "current" { "current" } else { "new" }.to_owned();
            (password, if statement.ends_with("RETAIN CURRENT PASSWORD") { first } else { second })
        };
        for begin in [("current", "old"), ("new", "current"), ("given up", "current"), ("current", "current")]
        {
            for crash in 0..=statements.len() {
                let mut state = (begin.0.to_owned(), begin.1.to_owned());
                for statement in statements[..crash].iter().chain(&statements) {
                    state = say(state, statement);
                    assert!(state.0 == "current" || state.1 == "current", "{begin:?} {crash} {state:?}");
                }
                assert_eq!(state, ("new".to_owned(), "current".to_owned()));
            }
        }
    }

    #[test]
    fn a_single_password_ends_the_second_one_too() {
        let statements = said("8.4.3", &account(false, SHA2), None).unwrap();
        assert_eq!(
            statements,
            [
                r"ALTER USER `app`@`%` IDENTIFIED WITH `caching_sha2_password` BY 'n''e\\w' ACCOUNT UNLOCK",
                "ALTER USER `app`@`%` DISCARD OLD PASSWORD",
            ]
        );
        let native = "CREATE USER 'app'@'%' IDENTIFIED WITH 'mysql_native_password' AS '*00' REQUIRE NONE";
        assert_eq!(said("5.7.44-log", &account(true, native), None).unwrap(), [r"SET PASSWORD = 'n''e\\w'"]);
    }

    #[test]
    fn of_two_passwords_at_mariadb_both_end() {
        let one = "CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*00'";
        let two = "CREATE USER `app`@`%` IDENTIFIED VIA mysql_native_password USING '*00' OR mysql_native_password USING '*01'";
        let said = |made| said("10.11.14-MariaDB", &account(true, made), None).unwrap().remove(0);
        assert!(said(one).starts_with("SET PASSWORD = '*"));
        assert!(said(two).starts_with("ALTER USER `app`@`%` IDENTIFIED VIA mysql_native_password USING '*"));
    }

    #[test]
    fn what_a_server_cannot_do_is_refused_before_anything_is_said() {
        let unsupported = Err(ErrorKind::Unsupported);
        assert_eq!(said("8.0.13", &account(false, SHA2), Some("current")), unsupported);
        assert_eq!(said("5.6.51", &account(true, SHA2), None), unsupported);
        assert_eq!(said("10.3.39-MariaDB", &account(true, ""), None), unsupported);
        for made in [
            "CREATE USER `app`@`%` IDENTIFIED WITH 'authentication_ldap_sasl' AS 'x'",
            "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 'x' AND IDENTIFIED WITH 'authentication_fido'",
            "",
        ] {
            assert_eq!(said("8.0.36", &account(false, made), None), unsupported, "{made}");
        }
        let pam = "CREATE USER `app`@`%` IDENTIFIED VIA pam";
        assert_eq!(said("10.11.14-MariaDB", &account(false, pam), None), unsupported);
    }

    #[test]
    fn what_is_asked_of_one_user_is_asked_of_another_and_nothing_else() {
        let plain = "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 DEFAULT ROLE `r`@`%` \
             REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT \
             ATTRIBUTE '{\"team\": \"a REQUIRE b\"}'";
        let none = "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 \
             MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE DEFAULT PASSWORD HISTORY DEFAULT FAILED_LOGIN_ATTEMPTS 0 \
             PASSWORD_LOCK_TIME 0";
        assert_eq!(conditions(plain), none);
        let strict = plain
            .replace("REQUIRE NONE", "REQUIRE SSL WITH MAX_USER_CONNECTIONS 3")
            .replace(" ATTRIBUTE", " FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2 ATTRIBUTE");
        assert_eq!(
            conditions(&strict),
            none.replace("REQUIRE NONE", "REQUIRE SSL")
                .replace("MAX_USER_CONNECTIONS 0", "MAX_USER_CONNECTIONS 0 MAX_USER_CONNECTIONS 3")
                .replace("ATTEMPTS 0 PASSWORD_LOCK_TIME 0", "ATTEMPTS 3 PASSWORD_LOCK_TIME 2")
        );
    }

    #[test]
    fn a_server_that_checks_passwords_gets_one_in_private_and_in_no_binary_log() {
        let native = "CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*00'";
        let server = Dialect::of("10.11.14-MariaDB").unwrap();
        let said = |is_own, keep, is_private| {
            let conditions = Conditions { wants_clear: true, is_private, is_logged: false };
            let statements = server.change_password(&account(is_own, native), "n'e", keep, conditions);
            statements
                .map(|all| all.iter().map(|statement| statement.text.to_string()).collect::<Vec<_>>())
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(said(true, None, true).unwrap()[1..], ["SET PASSWORD = PASSWORD('n''e')"]);
        assert_eq!(
            said(false, None, true).unwrap()[1..],
            ["SET PASSWORD FOR `app`@`%` = PASSWORD('n''e')", "ALTER USER `app`@`%` ACCOUNT UNLOCK"]
        );
        assert!(said(true, None, false).unwrap_err().contains("TLS"));
        assert!(said(false, Some("current"), true).unwrap_err().contains("single-user"));
    }

    #[test]
    fn a_password_history_is_the_users_or_else_the_servers() {
        let made = |clause: &str| {
            format!("CREATE USER `app`@`%` ACCOUNT UNLOCK {clause} PASSWORD REQUIRE CURRENT DEFAULT")
        };
        let default = made("PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT");
        assert!(!has_history(&default, 0, 0) && has_history(&default, 3, 0) && has_history(&default, 0, 90));
        assert!(has_history(&made("PASSWORD HISTORY 5 PASSWORD REUSE INTERVAL DEFAULT"), 0, 0));
        assert!(!has_history(&made("PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY"), 3, 90));
    }

    #[test]
    fn strings_stay_inside_of_their_quotes() {
        assert_eq!(*string(r"a'\"), r"'a''\\'");
    }
}
