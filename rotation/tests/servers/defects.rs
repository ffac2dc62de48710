//! The defects of AWS's own rotation functions, each with a test that ours does not have it.
//!
//! | defect of theirs | test |
//! |---|---|
//! | a second user that may do less is promoted | `mariadb::a_refused_grant_never_leads_to_a_user_that_may_do_less`, `postgres::a_right_that_cannot_be_copied_stops_the_flip` |
//! | `WITH GRANT OPTION` is lost, and so are roles and limits | `mariadb::users_alternate_with_all_their_grants`, `postgres::users_alternate_…` |
//! | what one user makes, the other cannot use | `postgres::users_alternate_…`, on 15, 16 and 18 |
//! | without TLS, or with a certificate nobody can verify, they go on in the clear | `wire::nothing_is_said_…` |
//! | everything else | below |

use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::targets::{MySql, Postgres, Tls};
use secretcache_rotation::*;

use crate::support::{Database, Kind, ServerTls, Store, secret, start};

const POSTGRES: [Kind; 3] = [Kind::Postgres15, Kind::Postgres16, Kind::Postgres18];

/// A PostgreSQL with a user `app`, and the administrator's credential.
async fn postgres(kind: Kind) -> (Database, tokio_postgres::Client, Document) {
    let database = start(kind, ServerTls::Off);
    let admin = secret(&database.address, database.address.user, &database.address.password, "");
    let root = crate::postgres::session(&admin).await.unwrap();
    root.batch_execute("CREATE ROLE app LOGIN PASSWORD 'first'").await.unwrap();
    (database, root, admin)
}

/// Killed after the change, and `AWSPENDING` taken away, as the usual advice for stuck rotations has it: their function
/// then finds no password that works, ever.
async fn is_not_stranded(target: &dyn Target, first: Document) {
    let (store, strategy, settings) =
        (Store::new(first.clone(), None), SingleUser { target }, Settings::default());
    store.steps(&strategy, &settings, &[Step::CreateSecret, Step::SetSecret]).await.unwrap();
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Refused);
    let token = store.runner(&strategy, &settings).find("s").await.unwrap().token;
    let take = StageMove { stage: AWSPENDING, from: Some(&token), to: None };
    assert_eq!(store.move_stage("s", take).await.unwrap(), Moved::Done);
    assert_ne!(store.runner(&strategy, &settings).rotate("s").await.unwrap().token, token);
    assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
}

#[tokio::test]
async fn a_single_user_is_not_stranded_when_awspending_is_taken_away_after_the_change() {
    for kind in POSTGRES {
        let (database, _root, _) = postgres(kind).await;
        is_not_stranded(&Postgres::new(Tls::off()), secret(&database.address, "app", "first", "")).await;
    }
    let database = start(Kind::MariaDb, ServerTls::Off);
    let admin = secret(&database.address, database.address.user, &database.address.password, "");
    is_not_stranded(&MySql::new(Tls::off()), admin).await;
}

/// Their function sends the password in the statement, and `log_statement = ddl` writes statements to the log.
#[tokio::test]
async fn no_password_is_in_the_log_of_a_postgres_that_logs_statements() {
    for kind in POSTGRES {
        let (database, root, admin) = postgres(kind).await;
        root.batch_execute("ALTER SYSTEM SET log_statement = 'ddl'").await.unwrap();
        root.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let target = Postgres::new(Tls::off());
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(admin));
        let mut passwords = Vec::new();
        for strategy in
            [&SingleUser { target: &target } as &dyn Strategy, &AlternatingUsers { target: &target }]
        {
            store.rotate(strategy, &Settings::default()).await.unwrap();
            passwords.push(store.value(AWSCURRENT).unwrap().password().unwrap().to_string());
        }
        let log = "SELECT pg_read_file(current_setting('data_directory') || '/../log')";
        let log: String = root.query_one(log, &[]).await.unwrap().get(0);
        assert!(
            log.contains("ALTER ROLE \"app_clone\" WITH LOGIN PASSWORD 'SCRAM-SHA-256$"),
            "{kind:?}: {log}"
        );
        assert!(!passwords.iter().any(|password| log.contains(password)), "{kind:?}");
    }
}

/// For a secret of `billing_clone`, theirs takes `billing` for the second user, whosever it is.
#[tokio::test]
async fn a_user_is_not_hijacked_for_being_named_like_a_second_one() {
    for kind in POSTGRES {
        let (database, root, admin) = postgres(kind).await;
        root.batch_execute("CREATE ROLE app_clone LOGIN PASSWORD 'second'").await.unwrap();
        let hash = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
        let before: String = root.query_one(hash, &[]).await.unwrap().get(0);
        let ours = secret(&database.address, "app_clone", "second", r#","masterarn":"master""#);
        let store = Store::new(ours.clone(), Some(admin));
        let target = Postgres::new(Tls::off());
        let strategy = AlternatingUsers { target: &target };
        for _ in 0..2 {
            let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotOurs, "{kind:?}: {error}");
        }
        assert_eq!(root.query_one(hash, &[]).await.unwrap().get::<_, String>(0), before);
        assert_eq!(target.probe(&ours).await.unwrap(), Probe::Accepted);
        assert!(store.value(AWSPENDING).is_none());
    }
}

/// Since PostgreSQL 16 an administrator that may make users may not grant those it did not make. Theirs fails there
/// with the server's message alone.
#[tokio::test]
async fn an_administrator_without_the_admin_option_is_told_the_statement_that_mends_it() {
    for kind in [Kind::Postgres16, Kind::Postgres18] {
        let (database, root, _) = postgres(kind).await;
        root.batch_execute("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper'").await.unwrap();
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(secret(&database.address, "keeper", "keeper", "")));
        let target = Postgres::new(Tls::off());
        let (strategy, settings) = (AlternatingUsers { target: &target }, Settings::default());
        let error = store.rotate(&strategy, &settings).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{kind:?}");
        let (_, statement) = error.message().split_once("run: ").expect("a statement");
        assert_eq!(target.probe(&store.value(AWSPENDING).unwrap()).await.unwrap(), Probe::Refused);
        root.batch_execute(statement).await.unwrap();
        for _ in 0..2 {
            store.rotate(&strategy, &settings).await.unwrap();
            assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
        }
    }
}

/// The administrator's own secret rotates as well, also between two steps, and while a session is open.
#[tokio::test]
async fn an_administrator_rotated_meanwhile_is_read_anew() {
    for kind in POSTGRES {
        let (database, root, admin) = postgres(kind).await;
        root.batch_execute("CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'one'").await.unwrap();
        let keeper = |password| secret(&database.address, "keeper", password, "");
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(keeper("one")));
        let target = Postgres::new(Tls::off());
        let (strategy, settings) = (AlternatingUsers { target: &target }, Settings::default());
        store.steps(&strategy, &settings, &[Step::CreateSecret]).await.unwrap();
        root.batch_execute("ALTER ROLE keeper PASSWORD 'two'").await.unwrap();
        // Its secret lags behind: nothing of the rotation is given up for that.
        let error = store.steps(&strategy, &settings, &[Step::SetSecret]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind:?}: {error}");
        assert!(store.value(AWSPENDING).is_some());
        store.change_master(keeper("two"));
        store.rotate(&strategy, &settings).await.unwrap();
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app_clone");
        // Somebody else altogether.
        root.batch_execute("ALTER ROLE keeper NOLOGIN").await.unwrap();
        store.change_master(admin);
        store.rotate(&strategy, &settings).await.unwrap();
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app");
    }
}

/// A stored version never changes, so that a password the server rejects is tried for ever by theirs.
#[tokio::test]
async fn a_password_that_the_server_rejects_is_given_up_for_another() {
    let (database, root, _) = postgres(Kind::Postgres15).await;
    // This module of PostgreSQL's own rejects a user's name as its password, which even a verifier gives away.
    root.batch_execute("ALTER SYSTEM SET session_preload_libraries = 'passwordcheck'").await.unwrap();
    root.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let first = secret(&database.address, "app", "first", "");
    let store = Store::new(first.clone(), None);
    let target = Postgres::new(Tls::off());
    let (strategy, settings) = (SingleUser { target: &target }, Settings::default());
    let token = store.runner(&strategy, &settings).find("s").await.unwrap().token;
    let document = &first.with("password", "app").unwrap();
    let poison = Pending { secret_id: "s", token: &token, document, rotation_token: None };
    store.put_pending(poison).await.unwrap();
    let error = store.rotate(&strategy, &settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(store.value(AWSPENDING).is_none(), "it would bar every later rotation");
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Accepted);
    assert_ne!(store.runner(&strategy, &settings).rotate("s").await.unwrap().token, token);
    assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
}
