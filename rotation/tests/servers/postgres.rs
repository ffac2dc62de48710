//! Rotations on a real PostgreSQL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Address, Database, Kind, ServerTls, Store, secret, start, trust};
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::targets::{Postgres, Route, SystemRoute, Tls};
use secretcache_rotation::*;
use tokio_postgres::{Client, NoTls};

/// Opens a session as a user, without TLS.
pub(crate) async fn session(document: &Document) -> Result<Client, tokio_postgres::Error> {
    session_in(document, "postgres").await
}

/// Opens a session in another database.
pub(crate) async fn session_in(document: &Document, name: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(document.field("host").unwrap().as_str());
    config.port(document.field("port").unwrap().parse().unwrap());
    config.user(document.username().unwrap().as_str()).password(document.password().unwrap().as_bytes());
    config.dbname(name);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) fn admin(address: &Address) -> Document {
    secret(address, address.user, &address.password, "")
}

/// Starts a server with an application's user `app` that owns a table.
async fn server(kind: Kind) -> (Database, Client) {
    let database = start(kind, ServerTls::Off);
    let root = session(&admin(&database.address)).await.unwrap();
    root.batch_execute(
        "CREATE ROLE app LOGIN PASSWORD 'first' CONNECTION LIMIT 7; ALTER ROLE app SET search_path TO \"$user\", shop, public; \
         CREATE SCHEMA shop AUTHORIZATION app; SET ROLE app; CREATE TABLE shop.orders (id int); RESET ROLE",
    )
    .await
    .unwrap();
    (database, root)
}

#[tokio::test]
async fn a_single_user_gets_a_new_password_and_loses_the_old() {
    let (database, root) = server(Kind::Postgres15).await;
    let first = secret(&database.address, "app", "first", r#","team":"shop""#);
    let store = Store::new(first.clone(), None);
    let target = Postgres::new(Tls::off());
    store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();

    let current = store.value(AWSCURRENT).unwrap();
    assert!(session(&current).await.is_ok());
    assert!(session(&first).await.is_err());
    assert!(store.value(AWSPENDING).is_none());
    assert_eq!(current.with("password", "first").unwrap().text(), first.text());
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
    let stored: String = root.query_one(stored, &[]).await.unwrap().get(0);
    assert!(stored.starts_with("SCRAM-SHA-256$"));
}

#[tokio::test]
async fn a_rotation_killed_after_the_change_rolls_forward() {
    let (database, _root) = server(Kind::Postgres15).await;
    let store = Store::new(secret(&database.address, "app", "first", ""), None);
    let target = Postgres::new(Tls::off());
    let strategy = SingleUser { target: &target };
    store.steps(&strategy, &Settings::default(), &[Step::CreateSecret, Step::SetSecret]).await.unwrap();
    assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_err());
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_ok());
}

#[tokio::test]
async fn two_runners_at_once_make_one_rotation() {
    let (database, _root) = server(Kind::Postgres15).await;
    let store = Store::new(secret(&database.address, "app", "first", ""), None);
    let target = Postgres::new(Tls::off());
    let (strategy, settings) = (SingleUser { target: &target }, Settings::default());
    let runner = store.runner(&strategy, &settings);
    let expected = runner.find("s").await.unwrap();
    let (one, other) = tokio::join!(runner.rotate("s"), runner.rotate("s"));
    assert_eq!(one.unwrap().token, expected.token);
    assert_eq!(other.unwrap().token, expected.token);
    assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_rotation_can_be_taken_back_and_then_begins_afresh() {
    let (database, _root) = server(Kind::Postgres15).await;
    let first = secret(&database.address, "app", "first", "");
    let store = Store::new(first.clone(), None);
    let target = Postgres::new(Tls::off());
    let (strategy, settings) = (SingleUser { target: &target }, Settings::default());
    let runner = store.runner(&strategy, &settings);
    assert_eq!(runner.revert("s").await.unwrap(), None);
    store.steps(&strategy, &settings, &[Step::CreateSecret, Step::SetSecret]).await.unwrap();
    assert!(session(&first).await.is_err());
    let reverted = runner.revert("s").await.unwrap().expect("one was under way");
    assert!(session(&first).await.is_ok());
    assert!(store.value(AWSPENDING).is_none());
    // A version's value never changes, so the next attempt has a new id.
    assert_ne!(runner.rotate("s").await.unwrap().token, reverted.token);
    assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_ok());
}

/// R8: clients might not support anything newer. But a server that asks for SCRAM could not check an MD5 hash.
#[tokio::test]
async fn passwords_are_stored_as_the_server_is_set() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        let (database, root) = server(kind).await;
        let stored = async |user: &str| -> String {
            let stored = "SELECT left(rolpassword, 3) FROM pg_authid WHERE rolname = $1";
            root.query_one(stored, &[&user]).await.unwrap().get(0)
        };
        let rotate = async |strategy: StrategyName| {
            let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
            root.batch_execute("ALTER ROLE app PASSWORD 'first'").await.unwrap();
            let store = Store::new(first, Some(admin(&database.address)));
            let target = Postgres::new(Tls::off());
            let strategy = operate::Backend::Target(&target).strategy(strategy);
            store.rotate(strategy.as_ref(), &Settings::default()).await.unwrap();
        };
        root.batch_execute("ALTER SYSTEM SET password_encryption TO md5").await.unwrap();
        root.batch_execute(
            "SELECT pg_reload_conf(), pg_sleep(0.5); SET password_encryption TO 'scram-sha-256'",
        )
        .await
        .unwrap();
        rotate(StrategyName::SingleUser).await;
        assert_eq!(stored("app").await, "SCR", "{kind:?}: the server asks for SCRAM");
        let rules = "DO $$ DECLARE f text := current_setting('hba_file'); BEGIN \
             EXECUTE format('COPY (SELECT ''host all all all md5'') TO %L', f); END $$";
        root.batch_execute(rules).await.unwrap();
        root.batch_execute("SELECT pg_reload_conf(), pg_sleep(0.5); SET password_encryption TO md5")
            .await
            .unwrap();
        for (strategy, user) in
            [(StrategyName::SingleUser, "app"), (StrategyName::AlternatingUsers, "app_clone")]
        {
            rotate(strategy).await;
            assert_eq!(stored(user).await, "md5", "{kind:?}");
        }
    }
}

async fn alternates(kind: Kind) {
    let (database, root) = server(kind).await;
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(admin(&database.address)));
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..4 {
        let before = session(&store.value(AWSCURRENT).unwrap()).await.unwrap();
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let (current, previous) = (store.value(AWSCURRENT).unwrap(), store.value(AWSPREVIOUS).unwrap());
        assert_eq!(current.username().unwrap().ends_with("_clone"), round % 2 == 0);
        let client = session(&current).await.unwrap();
        // Both users can use and change what either creates. The copied search path finds the names.
        client
            .batch_execute(&format!(
                "CREATE TABLE made_{round} (id int); INSERT INTO orders VALUES ({round})"
            ))
            .await
            .unwrap();
        before.batch_execute(&format!("ALTER TABLE made_{round} ADD COLUMN more int")).await.unwrap();
        session(&previous).await.unwrap().batch_execute("SELECT * FROM orders").await.unwrap();
    }
    let owners =
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'shop' OR tablename LIKE 'made%'";
    let owners: Vec<String> = root.query(owners, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(owners, ["app"]);
    let clone = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app_clone'";
    assert_eq!(root.query_one(clone, &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn users_alternate_and_share_what_either_makes() {
    alternates(Kind::Postgres15).await;
}

#[tokio::test]
async fn users_alternate_at_postgres_16() {
    alternates(Kind::Postgres16).await;
}

#[tokio::test]
async fn users_alternate_at_postgres_18() {
    alternates(Kind::Postgres18).await;
}

#[tokio::test]
async fn somebody_elses_user_is_refused_and_left_alone() {
    let (database, root) = server(Kind::Postgres15).await;
    root.batch_execute("CREATE ROLE app_clone LOGIN PASSWORD 'theirs'").await.unwrap();
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(admin(&database.address)));
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOurs);
    assert!(store.value(AWSPENDING).is_none(), "nothing was stored that could only be given up");
    assert!(session(&secret(&database.address, "app_clone", "theirs", "")).await.is_ok());

    let mut declared = Settings::default();
    declared.users = Some(["app".into(), "app_clone".into()]);
    store.rotate(&strategy, &declared).await.unwrap();
    assert!(session(&store.value(AWSCURRENT).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_right_that_cannot_be_copied_stops_the_flip() {
    let (database, root) = server(Kind::Postgres15).await;
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(admin(&database.address)));
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    // Granted only to the second user, and the first is not a member of it.
    root.batch_execute("CREATE TABLE audit (id int); GRANT INSERT ON audit TO app_clone").await.unwrap();
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Underprivileged);
    assert!(error.message().contains("INSERT ON public.audit"), "{error}");
    assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app_clone");
    root.batch_execute("GRANT INSERT ON audit TO app").await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app");
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_no_password() {
    let database = start(Kind::Postgres15, ServerTls::On);
    let admin = admin(&database.address);
    let verified = Postgres::new(trust(&database.address));
    assert_eq!(verified.probe(&admin).await.unwrap(), Probe::Accepted);
    assert_eq!(verified.probe(&admin.with("password", "wrong").unwrap()).await.unwrap(), Probe::Refused);

    let another = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
    let unverified = Postgres::new(Tls::with_authorities(&another).unwrap());
    assert_eq!(unverified.probe(&admin).await.unwrap_err().kind(), ErrorKind::Untrusted);

    // A client that requires TLS does not fall back if the server has none.
    let (plain, _root) = server(Kind::Postgres15).await;
    let error = verified.probe(&secret(&plain.address, "app", "first", "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unencrypted);
    let opted_out = secret(&plain.address, "app", "first", r#","ssl":false"#);
    assert_eq!(verified.probe(&opted_out).await.unwrap(), Probe::Accepted);
}

#[tokio::test]
async fn a_lock_keeps_others_away_and_ends_with_its_guard() {
    let (database, _root) = server(Kind::Postgres15).await;
    let app = secret(&database.address, "app", "first", "");
    let target = Postgres::new(Tls::off());
    let held = target.lock(&app, "arn").await.unwrap();
    assert!(matches!(held, Lock::Held(_)));
    assert!(matches!(target.lock(&app, "another arn").await.unwrap(), Lock::Held(_)));
    assert!(matches!(target.lock(&app, "arn").await.unwrap(), Lock::Busy));
    drop(held);
    assert!(matches!(target.lock(&app, "arn").await.unwrap(), Lock::Held(_)));
}

/// The previous holder of the lock could have changed the password and been killed before the labels moved.
#[tokio::test]
async fn who_waited_for_the_lock_proves_the_login_once_more() {
    let (database, root) = server(Kind::Postgres15).await;
    let target = Postgres::new(Tls::off());
    let app = secret(&database.address, "app", "first", "");
    let change = async |password: &str, more: &str| {
        let held = target.lock(&app, "arn").await.unwrap();
        assert!(matches!(held, Lock::Held(_)));
        let meanwhile = async {
            is_waiting(&root).await;
            root.batch_execute(&format!("ALTER ROLE app PASSWORD '{password}' {more}")).await.unwrap();
            drop(held);
        };
        tokio::join!(target.lock(&app, "arn"), meanwhile).0.unwrap()
    };
    assert!(matches!(change("first", "").await, Lock::Held(_)));
    assert!(matches!(change("first", "CONNECTION LIMIT 1").await, Lock::Held(_)), "its one session");
    root.batch_execute("ALTER ROLE app CONNECTION LIMIT 7").await.unwrap();
    assert!(matches!(change("second", "").await, Lock::LoginRefused));
    let second = secret(&database.address, "app", "second", "");
    assert!(matches!(target.lock(&second, "arn").await.unwrap(), Lock::Held(_)), "and nobody holds it");
}

/// Returns once a session is waiting for the lock of a rotation.
async fn is_waiting(root: &Client) {
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while root.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A route that counts the connections to a server.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Route for Counted {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemRoute.addresses(host, port)
    }
}

/// A login takes longer than everything else that a rotation does on the server.
#[tokio::test]
async fn a_rotation_logs_in_three_times_and_once_more_as_an_administrator() {
    let (database, _root) = server(Kind::Postgres15).await;
    for (more, most) in [("", 3), (r#","masterarn":"master""#, 4)] {
        let logins = Arc::new(Counted::default());
        let target = Postgres::new(Tls::off()).via(logins.clone());
        let first = secret(&database.address, "app", "first", more);
        let store = Store::new(first, Some(admin(&database.address)));
        let (strategy, settings) = (SingleUser { target: &target }, Settings::default());
        store.runner(&strategy, &settings).rotate("s").await.unwrap();
        assert_eq!(logins.0.load(Ordering::Relaxed), most, "{more}");
        let current = store.value(AWSCURRENT).unwrap();
        let client = session(&current).await.unwrap();
        client.batch_execute("ALTER ROLE app PASSWORD 'first'").await.unwrap();
    }
}
