//! Defects of AWS's own rotation functions that this engine does not have. `docs/official-functions.md` lists all of
//! them, with the tests that prove it.

use mysql_async::prelude::Queryable;
use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::operate::RecoveryMethod;
use secretcache_rotation::targets::{MySql, Postgres, Tls};
use secretcache_rotation::*;

use crate::support::{Address, Database, Kind, ServerTls, Store, context, secret, start};

const POSTGRES: [Kind; 3] = [Kind::Postgres15, Kind::Postgres16, Kind::Postgres18];

/// Starts a PostgreSQL with a user `app`. Also returns an administrator's session and credential.
async fn postgres(kind: Kind) -> (Database, tokio_postgres::Client, Document) {
    let database = start(kind, ServerTls::Off);
    let admin = secret(&database.address, database.address.user, &database.address.password, "");
    let root = crate::postgres::session(&admin).await.unwrap();
    root.batch_execute("CREATE ROLE app LOGIN PASSWORD 'first'").await.unwrap();
    (database, root, admin)
}

/// The rotation is killed after the change, and then `AWSPENDING` is removed, as the usual advice for stuck rotations
/// says. After that, AWS's function never finds a password that works.
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

/// AWS's function sends the password in the statement, and `log_statement = ddl` writes statements to the log.
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

/// For a secret of `billing_clone`, AWS's function takes `billing` as the second user, even if it is someone else's.
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

/// The same on MariaDB.
#[tokio::test]
async fn a_user_of_mariadb_is_not_hijacked_for_its_name_either() {
    let (database, mut root) = crate::mariadb::server().await;
    root.query_drop("CREATE USER app_clone@'%' IDENTIFIED BY 'second'").await.unwrap();
    let ours = secret(&database.address, "app_clone", "second", r#","masterarn":"master""#);
    let store = Store::new(ours.clone(), Some(crate::mariadb::admin(&database.address)));
    let target = MySql::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOurs, "{error}");
    let theirs = secret(&database.address, "app", "first", "");
    for credential in [ours, theirs] {
        assert_eq!(target.probe(&credential).await.unwrap(), Probe::Accepted);
    }
}

/// A membership conveys privileges, but not the role's attributes and settings. AWS's function copies neither.
#[tokio::test]
async fn settings_and_attributes_come_along_with_the_privileges() {
    for kind in POSTGRES {
        let (database, root, admin) = postgres(kind).await;
        root.batch_execute(
            "ALTER ROLE app BYPASSRLS CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2099-01-01'; \
             ALTER ROLE app SET search_path TO shop, \"o'brien\"; ALTER ROLE app SET statement_timeout TO '5s'",
        )
        .await
        .unwrap();
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(admin));
        let target = Postgres::new(Tls::off());
        store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
        let own = "SELECT concat_ws(' ', rolbypassrls, rolcreatedb, rolconnlimit, rolvaliduntil, \
             (SELECT array_agg(s ORDER BY s) FROM unnest(setconfig) s WHERE s NOT LIKE 'role=%')) \
             FROM pg_roles r JOIN pg_db_role_setting ON setrole = r.oid WHERE rolname = $1";
        let (first, second) =
            (root.query_one(own, &[&"app"]).await, root.query_one(own, &[&"app_clone"]).await);
        let (first, second): (String, String) = (first.unwrap().get(0), second.unwrap().get(0));
        assert_eq!(first, second, "{kind:?}");
        assert!(first.starts_with("t t 7 2099"), "{first}");
    }
}

/// AWS's function treats grants as text: it cuts them at ` TO `, and it leaves out default roles.
#[tokio::test]
async fn default_roles_and_names_that_look_like_grammar_come_along() {
    let (database, mut root) = crate::mariadb::server().await;
    for statement in [
        "CREATE DATABASE `a TO b`",
        "CREATE TABLE `a TO b`.`x WITH GRANT OPTION` (id int)",
        "GRANT SELECT ON `a TO b`.`x WITH GRANT OPTION` TO app@'%' WITH GRANT OPTION",
        "CREATE ROLE `reader FOR all`",
        "GRANT INSERT ON `a TO b`.* TO `reader FOR all`",
        "GRANT `reader FOR all` TO app@'%'",
        "SET DEFAULT ROLE `reader FOR all` FOR app@'%'",
    ] {
        root.query_drop(statement).await.unwrap();
    }
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(crate::mariadb::admin(&database.address)));
    let target = MySql::new(Tls::off());
    store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
    let mut client = crate::mariadb::session(&store.value(AWSCURRENT).unwrap()).await.unwrap();
    client.query_drop("INSERT INTO `a TO b`.`x WITH GRANT OPTION` VALUES (1)").await.unwrap();
    client.query_drop("SELECT * FROM `a TO b`.`x WITH GRANT OPTION`").await.unwrap();
    let grants: Vec<String> = client.query("SHOW GRANTS").await.unwrap();
    let is_handed_on =
        |grant: &String| grant.contains("`x WITH GRANT OPTION` TO ") && grant.ends_with(" WITH GRANT OPTION");
    assert!(grants.iter().any(is_handed_on), "{grants:?}");
}

/// AWS's function creates the second user at `%`, regardless of the hosts that the first can connect from.
#[tokio::test]
async fn the_second_user_is_let_in_from_where_the_first_one_is() {
    let (database, mut root) = crate::mariadb::server().await;
    root.query_drop("CREATE USER near@'127.0.0.%' IDENTIFIED BY 'first'").await.unwrap();
    let first = secret(&database.address, "near", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(crate::mariadb::admin(&database.address)));
    let target = MySql::new(Tls::off());
    for user in ["near_clone", "near"] {
        store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), user);
    }
    let hosts: Vec<String> =
        root.query("SELECT Host FROM mysql.user WHERE User LIKE 'near%' AND is_role = 'N'").await.unwrap();
    assert_eq!(hosts, ["127.0.0.%", "127.0.0.%"]);
}

/// Some of AWS's functions put names into statements without quoting them.
#[tokio::test]
async fn a_name_is_never_taken_for_a_part_of_the_statement() {
    let user = "o'brien`; DROP TABLE x; -- \\";
    let document = |address: &Address, user: &str| {
        let first = secret(address, "x", "first", r#","masterarn":"master""#);
        first.with("username", user).unwrap()
    };
    for kind in POSTGRES {
        let (database, root, admin) = postgres(kind).await;
        let user = format!("{user} \"q");
        let quoted = format!("\"{}\"", user.replace('"', "\"\""));
        root.batch_execute(&format!("CREATE ROLE {quoted} LOGIN PASSWORD 'first'")).await.unwrap();
        let target = Postgres::new(Tls::off());
        alternates(&target, &Store::new(document(&database.address, &user), Some(admin)), &user).await;
    }
    let (database, mut root) = crate::mariadb::server().await;
    let quoted = format!("`{}`", user.replace('`', "``"));
    root.query_drop(format!("CREATE USER {quoted}@'%' IDENTIFIED BY 'first'")).await.unwrap();
    let admin = crate::mariadb::admin(&database.address);
    let target = MySql::new(Tls::off());
    alternates(&target, &Store::new(document(&database.address, user), Some(admin)), user).await;
}

async fn alternates(target: &dyn Target, store: &Store, user: &str) {
    let settings = Settings::default();
    for wanted in [format!("{user}_clone"), user.to_owned()] {
        store.rotate(&AlternatingUsers { target }, &settings).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(*current.username().unwrap(), wanted);
        assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted);
    }
    store.rotate(&SingleUser { target }, &settings).await.unwrap();
    assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
}

/// AWS's function tries the new password first. So every rotation makes a failed login as the application's user, and a
/// few of those lock an account.
#[tokio::test]
async fn a_healthy_rotation_makes_no_failed_login() {
    let (database, root, admin) = postgres(Kind::Postgres15).await;
    let target = Postgres::new(Tls::off());
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(admin));
    for strategy in [&SingleUser { target: &target } as &dyn Strategy, &AlternatingUsers { target: &target }]
    {
        for _ in 0..2 {
            store.rotate(strategy, &Settings::default()).await.unwrap();
        }
    }
    let log = "SELECT pg_read_file(current_setting('data_directory') || '/../log')";
    let failed = |log: &str| log.matches("password authentication failed for user \"app").count();
    let before: String = root.query_one(log, &[]).await.unwrap().get(0);
    assert_eq!(failed(&before), 0, "{before}");
    // Check that the log would show a failed login.
    let wrong = secret(&database.address, "app", "wrong", "");
    assert_eq!(target.probe(&wrong).await.unwrap(), Probe::Refused);
    let after: String = root.query_one(log, &[]).await.unwrap().get(0);
    assert_eq!(failed(&after), 1);
}

/// Since PostgreSQL 16, an administrator with CREATEROLE cannot grant roles that it did not create. AWS's function then
/// fails with only the server's message.
#[tokio::test]
async fn an_administrator_without_the_admin_option_gets_the_statement_that_fixes_it() {
    for kind in [Kind::Postgres16, Kind::Postgres18] {
        let (database, root, _) = postgres(kind).await;
        root.batch_execute("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper'").await.unwrap();
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(secret(&database.address, "keeper", "keeper", "")));
        let target = Postgres::new(Tls::off());
        let (strategy, settings) = (AlternatingUsers { target: &target }, Settings::default());
        let error = store.rotate(&strategy, &settings).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{kind:?}");
        let (_, statement) = error.message().split_once("fix: ").expect("a statement");
        assert!(store.value(AWSPENDING).is_none(), "nothing was begun");
        root.batch_execute(statement.trim_end_matches(')')).await.unwrap();
        for _ in 0..2 {
            store.rotate(&strategy, &settings).await.unwrap();
            assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
        }
    }
}

/// The administrator's own secret rotates too, even between two steps and while a session is open.
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
        // The master secret lags behind, which does not abandon the rotation.
        let error = store.steps(&strategy, &settings, &[Step::SetSecret]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind:?}: {error}");
        assert!(store.value(AWSPENDING).is_some());
        store.change_master(keeper("two"));
        store.rotate(&strategy, &settings).await.unwrap();
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app_clone");
        // A different administrator.
        root.batch_execute("ALTER ROLE keeper NOLOGIN").await.unwrap();
        store.change_master(admin);
        store.rotate(&strategy, &settings).await.unwrap();
        assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app");
    }
}

/// A stored version never changes, so AWS's function retries a password that the server rejects forever.
#[tokio::test]
async fn a_password_that_the_server_rejects_is_given_up_for_another() {
    let (database, root, _) = postgres(Kind::Postgres15).await;
    // This PostgreSQL module rejects the user's name as its password, which it can detect even from a verifier.
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

/// Someone manually stores a value that does not log in. With one user, the previous version still does, and AWS's
/// function uses it too. With two users, an administrator must not act on a secret whose credential fails.
#[tokio::test]
async fn a_wrong_value_stored_by_hand_is_healed() {
    let (database, root, admin) = postgres(Kind::Postgres15).await;
    let target = Postgres::new(Tls::off());
    let settings = Settings::default();
    for master in [None, Some(admin)] {
        let more = if master.is_some() { r#","masterarn":"master""# } else { "" };
        let first = secret(&database.address, "app", "first", more);
        let store = Store::new(first.clone(), master.clone());
        let single = SingleUser { target: &target };
        store.rotate(&single, &settings).await.unwrap();
        store.store_by_hand(first.with("password", "wrong").unwrap());
        store.rotate(&single, &settings).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted);
        if master.is_some() {
            let alternating = AlternatingUsers { target: &target };
            store.store_by_hand(first.with("password", "wrong").unwrap());
            let error = store.rotate(&alternating, &settings).await.unwrap_err();
            assert!(
                error.message().contains("secretcache recover") && store.value(AWSPENDING).is_none(),
                "{error}"
            );
        } else {
            root.batch_execute("ALTER ROLE app PASSWORD 'first'").await.unwrap();
        }
    }
    let (database, _root) = crate::mariadb::server().await;
    let first = secret(&database.address, "app", "first", "");
    let (target, store) = (MySql::new(Tls::off()), Store::new(first.clone(), None));
    store.rotate(&SingleUser { target: &target }, &settings).await.unwrap();
    store.store_by_hand(first.with("password", "wrong").unwrap());
    store.rotate(&SingleUser { target: &target }, &settings).await.unwrap();
    assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
}

/// The same in the middle of a rotation, where setSecret is the first to notice. With one user, the rotation is
/// abandoned and the stored value is made to work.
async fn a_wrong_value_in_the_middle(target: &dyn Target, first: &Document, admin: &Document) {
    let settings = Settings::default();
    let wrong = first.with("password", "wrong").unwrap();
    let single = SingleUser { target };
    let store = Store::new(first.clone(), Some(admin.clone()));
    for master in [None, Some("master".to_owned())] {
        let mut settings = Settings::default();
        settings.master_secret = master;
        store.rotate(&single, &settings).await.unwrap();
        store.steps(&single, &settings, &[Step::CreateSecret]).await.unwrap();
        store.store_by_hand(wrong.clone());
        let error = store.resume(&single, &settings).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Abandoned, "{error}");
        assert!(store.value(AWSPENDING).is_none());
        assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
    }
    store.rotate(&single, &settings).await.unwrap();
    // With two users, the new one becomes current once it is set. Before that, nothing proves to the administrator
    // that the secret may be changed.
    let current = store.value(AWSCURRENT).unwrap().with("masterarn", "master").unwrap();
    let alternating = AlternatingUsers { target };
    for (steps, heals) in [(&[Step::CreateSecret][..], false), (&[Step::CreateSecret, Step::SetSecret], true)]
    {
        let store = Store::new(current.clone(), Some(admin.clone()));
        store.steps(&alternating, &settings, steps).await.unwrap();
        store.store_by_hand(wrong.with("masterarn", "master").unwrap());
        let resumed = store.resume(&alternating, &settings).await;
        assert_eq!(resumed.is_ok(), heals, "{resumed:?}");
        if !heals {
            let error = store.rotate(&alternating, &settings).await.unwrap_err();
            assert!(error.message().contains("secretcache recover"), "{error}");
            let cx = context(&store, &settings, StrategyName::AlternatingUsers, target);
            let recovery = cx.search(RecoveryMethod::LabelsFollow).await.unwrap();
            cx.carry_out(&recovery, &Unobserved).await.unwrap();
        }
        assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
    }
}

#[tokio::test]
async fn a_wrong_value_stored_by_hand_in_the_middle_is_healed() {
    let (database, _root, admin) = postgres(Kind::Postgres15).await;
    let first = secret(&database.address, "app", "first", "");
    a_wrong_value_in_the_middle(&Postgres::new(Tls::off()), &first, &admin).await;
    let (database, _root) = crate::mariadb::server().await;
    let (first, admin) =
        (secret(&database.address, "app", "first", ""), crate::mariadb::admin(&database.address));
    a_wrong_value_in_the_middle(&MySql::new(Tls::off()), &first, &admin).await;
}
