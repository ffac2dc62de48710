//! The statements sent to the server, for each dialect and authentication method.

use super::*;

const SHA2: &str = "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x' REQUIRE NONE";

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

/// Simulates MySQL's two passwords as its manual describes them, with a crash after each statement.
#[test]
fn the_kept_password_works_at_every_moment_and_saying_it_again_changes_nothing() {
    let statements = said("8.0.36", &account(true, SHA2), Some("current")).unwrap();
    let say = |(first, second): (String, String), statement: &str| {
        let password = statement.split('\'').nth(1).unwrap();
        let password = if password == "current" { "current" } else { "new" }.to_owned();
        (password, if statement.ends_with("RETAIN CURRENT PASSWORD") { first } else { second })
    };
    for begin in [("current", "old"), ("new", "current"), ("given up", "current"), ("current", "current")] {
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
