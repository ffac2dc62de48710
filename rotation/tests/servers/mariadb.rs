//! Rotations on a real MariaDB.

use std::time::Duration;

use crate::support::{Address, Database, Kind, ServerTls, Store, secret, start, trust};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{MySql, Tls};
use secretcache_rotation::*;

pub(crate) async fn session(document: &Document) -> Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::default()
        .ip_or_hostname(document.field("host").unwrap().to_string())
        .tcp_port(document.field("port").unwrap().parse().unwrap())
        .user(Some(document.username().unwrap().to_string()))
        .pass(Some(document.password().unwrap().to_string()))
        .prefer_socket(false);
    Conn::new(options).await
}

pub(crate) fn admin(address: &Address) -> Document {
    secret(address, address.user, &address.password, "")
}

/// Starts a server with an application's user `app`, which has the grant option on an audit table.
pub(crate) async fn server() -> (Database, Conn) {
    let database = start(Kind::MariaDb, ServerTls::Off);
    let mut root = session(&admin(&database.address)).await.unwrap();
    for statement in [
        "CREATE DATABASE shop",
        "CREATE DATABASE audit",
        "CREATE TABLE audit.l (id int)",
        "CREATE TABLE shop.orders (id int)",
        "CREATE USER app@'%' IDENTIFIED BY 'first'",
        "GRANT ALL ON shop.* TO app@'%'",
        "GRANT INSERT, SELECT ON audit.l TO app@'%' WITH GRANT OPTION",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    (database, root)
}

fn mastered(address: &Address) -> Store {
    let first = secret(address, "app", "first", r#","masterarn":"master""#);
    Store::new(first, Some(admin(address)))
}

#[tokio::test]
async fn a_single_user_changes_its_own_password_by_its_hash() {
    let (database, mut root) = server().await;
    root.query_drop("SET GLOBAL general_log = ON").await.unwrap();
    root.query_drop("SET GLOBAL log_output = 'TABLE'").await.unwrap();
    let first = secret(&database.address, "app", "first", "");
    let store = Store::new(first.clone(), None);
    let target = MySql::new(Tls::off());
    store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
    let current = store.value(AWSCURRENT).unwrap();
    assert!(session(&current).await.is_ok());
    assert!(session(&first).await.is_err());
    let logged: Vec<String> =
        root.query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log").await.unwrap();
    assert!(logged.iter().any(|line| line.contains("SET PASSWORD")), "the log shows the change");
    assert!(!logged.iter().any(|line| line.contains(current.password().unwrap().as_str())));
}

#[tokio::test]
async fn two_passwords_leave_no_window() {
    let (database, _root) = server().await;
    let store = mastered(&database.address);
    let target = MySql::new(Tls::off());
    let strategy = DualPassword { target: &target };
    for _ in 0..3 {
        store
            .steps(&strategy, &Settings::default(), &[Step::CreateSecret, Step::SetSecret, Step::SetSecret])
            .await
            .unwrap();
        for label in [AWSCURRENT, AWSPENDING] {
            assert!(session(&store.value(label).unwrap()).await.is_ok(), "{label} between set and finish");
        }
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        for label in [AWSCURRENT, AWSPREVIOUS] {
            assert!(session(&store.value(label).unwrap()).await.is_ok(), "{label} after the rotation");
        }
    }
    assert!(session(&secret(&database.address, "app", "first", "")).await.is_err());
}

#[tokio::test]
async fn users_alternate_with_all_their_grants() {
    let (database, _root) = server().await;
    let store = mastered(&database.address);
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..4 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(current.username().unwrap().ends_with("_clone"), round % 2 == 0);
        let mut client = session(&current).await.unwrap();
        client.query_drop("INSERT INTO audit.l VALUES (1)").await.unwrap();
        client.query_drop(format!("CREATE TABLE shop.made_{round} (id int)")).await.unwrap();
        let grants: Vec<String> = client.query("SHOW GRANTS").await.unwrap();
        assert!(grants.iter().any(|grant| grant.contains("audit") && grant.ends_with("WITH GRANT OPTION")));
        session(&store.value(AWSPREVIOUS).unwrap()).await.unwrap();
    }
}

/// `SHOW GRANTS` has one line per object. If whole lines were compared, the user with more privileges would always lack
/// one.
#[tokio::test]
async fn what_was_taken_from_the_user_in_use_is_taken_from_the_other_at_its_turn() {
    let (database, mut root) = server().await;
    let store = mastered(&database.address);
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    for statement in [
        "REVOKE DROP ON shop.* FROM app_clone@'%'",
        "REVOKE INSERT ON audit.l FROM app_clone@'%'",
        "REVOKE GRANT OPTION ON audit.l FROM app_clone@'%'",
        "GRANT UPDATE (id) ON audit.l TO app_clone@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    for user in ["app", "app_clone"] {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(*current.username().unwrap(), user);
        let mut client = session(&current).await.unwrap();
        client.query_drop("UPDATE audit.l SET id = 1").await.unwrap();
        for refused in ["DROP TABLE shop.orders", "INSERT INTO audit.l VALUES (1)"] {
            assert!(client.query_drop(refused).await.is_err(), "{refused}");
        }
        let grants: Vec<String> = client.query("SHOW GRANTS").await.unwrap();
        assert!(!grants.iter().any(|grant| grant.contains("GRANT OPTION")), "{grants:?}");
    }
}

/// AWS's function for alternating users lets the second user log in before it has its grants, and treats a login as
/// proof. So after a refused grant, the service's own retry makes that user current.
#[tokio::test]
async fn a_refused_grant_never_leads_to_a_user_that_may_do_less() {
    let (database, mut root) = server().await;
    // An administrator that can create users, and grant everything except `audit.l`.
    for statement in [
        "CREATE USER limited@'%' IDENTIFIED BY 'limited'",
        "GRANT CREATE USER, RELOAD ON *.* TO limited@'%' WITH GRANT OPTION",
        "GRANT ALL ON shop.* TO limited@'%' WITH GRANT OPTION",
        "GRANT SELECT ON mysql.* TO limited@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(secret(&database.address, "limited", "limited", "")));
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Denied && store.value(AWSPENDING).is_none(), "{error}");
    // That was found before anything was stored. Now the administrator loses the privilege afterwards.
    let grant = "INSERT, SELECT ON audit.l";
    root.query_drop(format!("GRANT {grant} TO limited@'%' WITH GRANT OPTION")).await.unwrap();
    store.steps(&strategy, &Settings::default(), &[Step::CreateSecret]).await.unwrap();
    root.query_drop(format!("REVOKE {grant} FROM limited@'%'")).await.unwrap();
    root.query_drop("REVOKE GRANT OPTION ON audit.l FROM limited@'%'").await.unwrap();
    for _ in 0..3 {
        let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app");
        let pending = store.value(AWSPENDING).unwrap();
        assert!(session(&pending).await.is_err(), "able to log in before it may do its work");
    }
    root.query_drop("GRANT INSERT, SELECT ON audit.l TO limited@'%' WITH GRANT OPTION").await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let mut client = session(&store.value(AWSCURRENT).unwrap()).await.unwrap();
    client.query_drop("INSERT INTO audit.l VALUES (1)").await.unwrap();
}

#[tokio::test]
async fn somebody_elses_user_is_refused_and_left_alone() {
    let (database, mut root) = server().await;
    root.query_drop("CREATE USER app_clone@'%' IDENTIFIED BY 'theirs'").await.unwrap();
    let store = mastered(&database.address);
    let target = MySql::new(Tls::off());
    let error = store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOurs);
    assert!(session(&secret(&database.address, "app_clone", "theirs", "")).await.is_ok());
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_no_password() {
    let database = start(Kind::MariaDb, ServerTls::On);
    let admin = admin(&database.address);
    let verified = MySql::new(trust(&database.address));
    assert_eq!(verified.probe(&admin).await.unwrap(), Probe::Accepted);
    assert_eq!(verified.probe(&admin.with("password", "wrong").unwrap()).await.unwrap(), Probe::Refused);
    let another = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
    let unverified = MySql::new(Tls::with_authorities(&another).unwrap());
    assert_eq!(unverified.probe(&admin).await.unwrap_err().kind(), ErrorKind::Untrusted);
    let (plain, _root) = server().await;
    let app = secret(&plain.address, "app", "first", "");
    assert_eq!(verified.probe(&app).await.unwrap_err().kind(), ErrorKind::Unencrypted);
}

#[tokio::test]
async fn a_lock_keeps_others_away_and_ends_with_its_guard() {
    let (database, _root) = server().await;
    let app = secret(&database.address, "app", "first", "");
    let target = MySql::new(Tls::off());
    let held = target.lock(&app, "arn").await.unwrap();
    assert!(matches!(held, Lock::Held(_)));
    assert!(matches!(target.lock(&app, "arn").await.unwrap(), Lock::Busy));
    drop(held);
    assert!(matches!(target.lock(&app, "arn").await.unwrap(), Lock::Held(_)));
}

/// The previous holder of the lock could have changed the password and been killed before the labels moved.
#[tokio::test]
async fn who_waited_for_the_lock_proves_the_login_once_more() {
    let (database, mut root) = server().await;
    let target = MySql::new(Tls::off());
    let app = secret(&database.address, "app", "first", "");
    for (password, is_good) in [("first", true), ("second", false)] {
        let held = target.lock(&app, "arn").await.unwrap();
        assert!(matches!(held, Lock::Held(_)));
        let meanwhile = async {
            let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'";
            while root.query_first::<i64, _>(waits).await.unwrap() == Some(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            root.query_drop(format!("ALTER USER app@'%' IDENTIFIED BY '{password}'")).await.unwrap();
            drop(held);
        };
        let waited = tokio::join!(target.lock(&app, "arn"), meanwhile).0.unwrap();
        match is_good {
            true => assert!(matches!(waited, Lock::Held(_)), "{waited:?}"),
            false => assert!(matches!(waited, Lock::LoginRefused), "{waited:?}"),
        }
    }
}
