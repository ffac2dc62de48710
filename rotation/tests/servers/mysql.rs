//! Rotations on a real MySQL. The tests for MariaDB cover what both have in common.

use crate::mariadb::{admin, session};
use crate::support::{Database, Kind, ServerTls, Store, secret, start, trust};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{MySql, Tls};
use secretcache_rotation::*;

/// Starts a server with a user `app` that has privileges, roles, limits and attributes.
async fn server() -> (Database, Conn) {
    let database = start(Kind::MySql, ServerTls::Off);
    let mut root = session(&admin(&database.address)).await.unwrap();
    for statement in [
        "CREATE DATABASE shop",
        "CREATE DATABASE audit",
        "CREATE TABLE audit.l (id int, who int)",
        "CREATE TABLE shop.orders (id int)",
        "CREATE ROLE reader, writer",
        "GRANT SELECT ON audit.* TO reader",
        "CREATE USER app@'%' IDENTIFIED BY 'first' WITH MAX_USER_CONNECTIONS 9 ATTRIBUTE '{\"team\": \"shop\"}'",
        "GRANT ALL ON shop.* TO app@'%'",
        "GRANT INSERT (id), UPDATE (id, who) ON audit.l TO app@'%' WITH GRANT OPTION",
        "GRANT BACKUP_ADMIN, PROCESS ON *.* TO app@'%'",
        "GRANT reader, writer TO app@'%'",
        "SET DEFAULT ROLE reader TO app@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    (database, root)
}

fn mastered(database: &Database) -> Store {
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    Store::new(first, Some(admin(&database.address)))
}

/// Returns the statements in the general log.
async fn logged(root: &mut Conn) -> Vec<String> {
    root.query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log").await.unwrap()
}

async fn log(root: &mut Conn) {
    root.query_drop("SET GLOBAL log_output = 'TABLE'").await.unwrap();
    root.query_drop("SET GLOBAL general_log = ON").await.unwrap();
}

#[tokio::test]
async fn a_single_user_changes_its_own_password_and_the_log_does_not_hold_it() {
    let (database, mut root) = server().await;
    log(&mut root).await;
    let first = secret(&database.address, "app", "first", "");
    let store = Store::new(first.clone(), None);
    let target = MySql::new(Tls::off());
    let strategy = SingleUser { target: &target };
    for _ in 0..2 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_ok());
        assert!(session(&store.value(AWSPREVIOUS).unwrap()).await.is_err());
    }
    assert!(session(&first).await.is_err());
    let current = store.value(AWSCURRENT).unwrap();
    let lines = logged(&mut root).await;
    assert!(lines.iter().any(|line| line.starts_with("SET PASSWORD")), "the log shows the change: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains(current.password().unwrap().as_str())));

    // A user that must name its current password gets the advice to use an administrator.
    root.query_drop("ALTER USER app@'%' PASSWORD REQUIRE CURRENT").await.unwrap();
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("administrator"), "{error}");
    assert!(session(&current).await.is_ok());
}

#[tokio::test]
async fn two_passwords_leave_no_window_whoever_changes_them() {
    let (database, mut root) = server().await;
    root.query_drop("CREATE USER own@'%' IDENTIFIED BY 'first'").await.unwrap();
    root.query_drop("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO own@'%'").await.unwrap();
    let target = MySql::new(Tls::off());
    let strategy = DualPassword { target: &target };
    for (user, store) in [
        ("app", mastered(&database)),
        ("own", Store::new(secret(&database.address, "own", "first", ""), None)),
    ] {
        for _ in 0..3 {
            let steps = [Step::CreateSecret, Step::SetSecret, Step::SetSecret];
            store.steps(&strategy, &Settings::default(), &steps).await.unwrap();
            for label in [AWSCURRENT, AWSPENDING] {
                assert!(session(&store.value(label).unwrap()).await.is_ok(), "{user} {label} before finish");
            }
            store.rotate(&strategy, &Settings::default()).await.unwrap();
            for label in [AWSCURRENT, AWSPREVIOUS] {
                assert!(session(&store.value(label).unwrap()).await.is_ok(), "{user} {label} after it");
            }
        }
        assert!(session(&secret(&database.address, user, "first", "")).await.is_err());
    }
}

#[tokio::test]
async fn users_alternate_with_all_their_grants_roles_and_limits() {
    let (database, mut root) = server().await;
    log(&mut root).await;
    let store = mastered(&database);
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..4 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(current.username().unwrap().ends_with("_clone"), round % 2 == 0);
        let mut client = session(&current).await.unwrap();
        client.query_drop("INSERT INTO audit.l (id) VALUES (1)").await.unwrap();
        client.query_drop(format!("CREATE TABLE shop.made_{round} (id int)")).await.unwrap();
        // Allowed by its default role.
        client.query_drop("SELECT * FROM audit.l").await.unwrap();
        session(&store.value(AWSPREVIOUS).unwrap()).await.unwrap();
        let passwords =
            [AWSCURRENT, AWSPREVIOUS].map(|label| store.value(label).unwrap().password().unwrap());
        assert!(
            !logged(&mut root).await.iter().any(|line| passwords.iter().any(|it| line.contains(it.as_str())))
        );
    }
    let mut made = Vec::new();
    for user in ["app", "app_clone"] {
        let grants: Vec<String> = root.query(format!("SHOW GRANTS FOR {user}@'%'")).await.unwrap();
        let user_made: Option<String> =
            root.query_first(format!("SHOW CREATE USER {user}@'%'")).await.unwrap();
        let user_made = user_made.unwrap();
        let rest = &user_made[user_made.find(" DEFAULT ROLE ").unwrap()..];
        let rest = rest[..rest.find(" ATTRIBUTE ").unwrap()].to_owned();
        assert!(rest.contains("MAX_USER_CONNECTIONS 9"), "{rest}");
        made.push((grants.join("\n").replace(&format!("`{user}`"), "it"), rest));
    }
    assert_eq!(made[0], made[1]);
    let team = "SELECT ATTRIBUTE->>'$.team' FROM information_schema.USER_ATTRIBUTES WHERE USER = 'app'";
    assert_eq!(
        root.query_first::<String, _>(team).await.unwrap().as_deref(),
        Some("shop"),
        "what is there stays"
    );
}

#[tokio::test]
async fn what_was_taken_from_one_user_is_taken_from_the_other_and_what_it_got_is_given() {
    let (database, mut root) = server().await;
    let store = mastered(&database);
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    for statement in [
        "REVOKE DROP ON shop.* FROM app_clone@'%'",
        "REVOKE UPDATE (who) ON audit.l FROM app_clone@'%'",
        "REVOKE writer, reader FROM app_clone@'%'",
        "GRANT SELECT ON *.* TO app_clone@'%'",
        "ALTER USER app_clone@'%' REQUIRE NONE WITH MAX_USER_CONNECTIONS 5 FAILED_LOGIN_ATTEMPTS 4 PASSWORD_LOCK_TIME 1",
        "SET GLOBAL partial_revokes = ON",
        "REVOKE SELECT ON audit.* FROM app_clone@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let current = store.value(AWSCURRENT).unwrap();
    assert_eq!(*current.username().unwrap(), "app");
    let mut client = session(&current).await.unwrap();
    client.query_drop("SELECT * FROM shop.orders").await.unwrap();
    client.query_drop("UPDATE audit.l SET id = 1").await.unwrap();
    for refused in
        ["DROP TABLE shop.orders", "UPDATE audit.l SET who = 1", "SELECT * FROM audit.l", "SET ROLE writer"]
    {
        assert!(client.query_drop(refused).await.is_err(), "{refused}");
    }
    let made: Option<String> = root.query_first("SHOW CREATE USER app@'%'").await.unwrap();
    let made = made.unwrap();
    assert!(made.contains("MAX_USER_CONNECTIONS 5") && made.contains("FAILED_LOGIN_ATTEMPTS 4"), "{made}");
    // A partial revoke that only one user still has is lifted.
    root.query_drop("GRANT SELECT ON audit.* TO app@'%'").await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let mut client = session(&store.value(AWSCURRENT).unwrap()).await.unwrap();
    client.query_drop("SELECT * FROM audit.l").await.unwrap();
}

#[tokio::test]
async fn a_refused_grant_never_leads_to_a_user_that_may_do_less() {
    let (database, mut root) = server().await;
    for statement in [
        "CREATE USER limited@'%' IDENTIFIED BY 'limited'",
        "GRANT CREATE USER, ROLE_ADMIN ON *.* TO limited@'%'",
        "GRANT BACKUP_ADMIN, PROCESS ON *.* TO limited@'%' WITH GRANT OPTION",
        "GRANT ALL ON shop.* TO limited@'%' WITH GRANT OPTION",
        "GRANT SELECT ON mysql.* TO limited@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first.clone(), Some(secret(&database.address, "limited", "limited", "")));
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for _ in 0..2 {
        let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app");
        assert!(store.value(AWSPENDING).is_none(), "found before anything is stored");
    }
    // The dry run reports the problems, with the statements that fix them.
    let other = first.with("username", "app_clone").unwrap();
    let admin = secret(&database.address, "limited", "limited", "");
    let requirements = Requirements { other: Some(&other), ..Requirements::new(&admin, &first) };
    let diagnosis = target.diagnose(requirements).await.unwrap();
    assert!(diagnosis.dual_passwords && diagnosis.server.starts_with("MySQL "), "{diagnosis:?}");
    assert!(!diagnosis.findings.is_empty());
    for finding in diagnosis.findings {
        root.query_drop(finding.fix.expect("a statement")).await.unwrap();
    }
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let mut client = session(&store.value(AWSCURRENT).unwrap()).await.unwrap();
    client.query_drop("INSERT INTO audit.l (id) VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn somebody_elses_user_and_a_server_that_cannot_be_verified_are_left_alone() {
    let database = start(Kind::MySql, ServerTls::On);
    let admin = admin(&database.address);
    let target = MySql::new(trust(&database.address));
    assert_eq!(target.probe(&admin).await.unwrap(), Probe::Accepted);
    assert_eq!(target.probe(&admin.with("password", "wrong").unwrap()).await.unwrap(), Probe::Refused);
    let another = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
    let unverified = MySql::new(Tls::with_authorities(&another).unwrap());
    assert_eq!(unverified.probe(&admin).await.unwrap_err().kind(), ErrorKind::Untrusted);

    let mut root = session(&admin).await.unwrap();
    root.query_drop("CREATE USER app@'%' IDENTIFIED BY 'first' REQUIRE SSL").await.unwrap();
    root.query_drop("CREATE USER app_clone@'%' IDENTIFIED BY 'theirs'").await.unwrap();
    let store = mastered(&database);
    let strategy = AlternatingUsers { target: &target };
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOurs);
    let theirs = secret(&database.address, "app_clone", "theirs", "");
    assert_eq!(target.probe(&theirs).await.unwrap(), Probe::Accepted);

    // If declared, the user is taken over, with the same requirements as the other.
    let mut declared = Settings::default();
    declared.users = Some(["app".into(), "app_clone".into()]);
    store.rotate(&strategy, &declared).await.unwrap();
    let current = store.value(AWSCURRENT).unwrap();
    assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted);
    assert!(session(&current).await.is_err(), "let in without TLS");
    assert_eq!(
        store.rotate(&strategy, &Settings::default()).await.map_err(|error| error.to_string()),
        Ok(())
    );
}
