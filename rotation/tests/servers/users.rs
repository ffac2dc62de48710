//! How a rotation deals with the ways in which MariaDB and MySQL can be set up: kinds of passwords, policies, several
//! accounts, read-only servers.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use secretcache_rotation::operate::{Backend, RotationContext};
use secretcache_rotation::targets::{MySql, Tls};
use secretcache_rotation::*;

use crate::mariadb::{admin, session};
use crate::support::{Database, Kind, ServerTls, Store, secret, start};

async fn server(kind: Kind, statements: &[&str]) -> (Database, Conn) {
    let database = start(kind, ServerTls::Off);
    let mut root = session(&admin(&database.address)).await.unwrap();
    for statement in statements {
        root.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    (database, root)
}

/// Returns a store with the secret of `app`. The password is changed by an administrator if `has_admin`, or by `app`.
fn store(database: &Database, has_admin: bool) -> Store {
    let more = if has_admin { r#","masterarn":"master""# } else { "" };
    let first = secret(&database.address, "app", "First-password-1", more);
    Store::new(first, has_admin.then(|| admin(&database.address)))
}

fn target() -> MySql {
    MySql::new(Tls::off())
}

async fn made(root: &mut Conn, user: &str) -> String {
    let rows: Vec<String> = root.query(format!("SHOW CREATE USER {user}@'%'")).await.unwrap();
    rows.join(" ")
}

/// Rotates twice, and checks that the current value logs in and the first one does not.
async fn rotates(store: &Store, target: &MySql, strategy: &dyn Strategy) {
    let first = store.value(AWSCURRENT).unwrap();
    for _ in 0..2 {
        store.rotate(strategy, &Settings::default()).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted, "{strategy:?}");
    }
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Refused, "{strategy:?}");
}

/// Returns the problems that a dry run finds, and the statements that fix them.
async fn problems(store: &Store, target: &MySql, strategy: StrategyName) -> (String, Vec<String>) {
    let settings = Settings::default();
    let context = RotationContext {
        store,
        pause: store,
        settings: &settings,
        secret_id: "s",
        strategy,
        backend: Backend::Target(target),
    };
    let forecast = context.forecast(Some(strategy), None).await.unwrap();
    let problems: Vec<_> = forecast.findings.iter().map(|finding| finding.problem.as_str()).collect();
    (problems.join("\n"), forecast.findings.iter().filter_map(|finding| finding.fix.clone()).collect())
}

#[tokio::test]
async fn r4_a_password_keeps_its_kind_and_other_methods_stay() {
    let (database, mut root) = server(Kind::MariaDb, &["INSTALL SONAME 'auth_ed25519'"]).await;
    let target = target();
    for (methods, kept) in [
        ("ed25519 USING PASSWORD('First-password-1')", "VIA ed25519 USING '"),
        (
            "unix_socket USING 'root' OR mysql_native_password USING PASSWORD('First-password-1')",
            "VIA unix_socket USING 'root' OR mysql_native_password USING '",
        ),
    ] {
        let make = format!("CREATE OR REPLACE USER app@'%' IDENTIFIED VIA {methods}");
        let strategies: [(&dyn Strategy, bool); 4] = [
            (&SingleUser { target: &target }, false),
            (&SingleUser { target: &target }, true),
            (&DualPassword { target: &target }, true),
            (&AlternatingUsers { target: &target }, true),
        ];
        for (strategy, has_admin) in strategies {
            root.query_drop(&make).await.unwrap();
            let store = store(&database, has_admin);
            let name = if has_admin { "by an administrator" } else { "by itself" };
            let strategy_name = StrategyName::from_name(strategy.name()).unwrap();
            let (problem, _) = problems(&store, &target, strategy_name).await;
            if strategy_name == StrategyName::DualPassword {
                assert!(problem.contains("by a second password"), "{problem}");
                let error = store.rotate(strategy, &Settings::default()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Denied);
                continue;
            }
            assert_eq!(problem, "", "{methods} {name}");
            rotates(&store, &target, strategy).await;
            for user in ["app", "app_clone"] {
                if user == "app" || strategy.name() == "alternating-users" {
                    let made = made(&mut root, user).await;
                    assert!(made.contains(kept), "{} {name}: {made}", strategy.name());
                }
            }
        }
        root.query_drop("DROP USER app_clone@'%'").await.unwrap();
    }
}

#[tokio::test]
async fn r4_methods_that_cannot_be_kept_are_refused_by_name_before_anything_changes() {
    let (database, mut root) = server(Kind::MariaDb, &["INSTALL SONAME 'auth_ed25519'"]).await;
    root.query_drop(
        "CREATE USER app@'%' IDENTIFIED VIA ed25519 USING PASSWORD('First-password-1') \
         OR mysql_native_password USING PASSWORD('First-password-1')",
    )
    .await
    .unwrap();
    let (store, target) = (store(&database, true), target());
    let before = made(&mut root, "app").await;
    let (problem, _) = problems(&store, &target, StrategyName::SingleUser).await;
    assert!(problem.contains("several kinds (ed25519, mysql_native_password)"), "{problem}");
    let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(made(&mut root, "app").await, before);
}

/// MySQL's password history forbids setting a password again.
#[tokio::test]
async fn r5_two_passwords_work_beside_a_password_history() {
    let make = "CREATE USER app@'%' IDENTIFIED BY 'First-password-1' PASSWORD HISTORY 5";
    let (database, mut root) = server(Kind::MySql, &[make]).await;
    let target = target();
    let strategy = DualPassword { target: &target };
    // An administrator alone cannot do it, and the dry run says so.
    let by_admin = store(&database, true);
    let (problem, fixes) = problems(&by_admin, &target, StrategyName::DualPassword).await;
    assert!(problem.contains("password history") && problem.contains("single-user"), "{problem}");
    let error = by_admin.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    for fix in fixes {
        root.query_drop(fix).await.unwrap();
    }
    for has_admin in [true, false] {
        root.query_drop("DROP USER app@'%'").await.unwrap();
        root.query_drop(make).await.unwrap();
        root.query_drop("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO app@'%'").await.unwrap();
        let store = store(&database, has_admin);
        assert_eq!(problems(&store, &target, StrategyName::DualPassword).await.0, "");
        for _ in 0..3 {
            let steps = [Step::CreateSecret, Step::SetSecret, Step::SetSecret];
            store.steps(&strategy, &Settings::default(), &steps).await.unwrap();
            for label in [AWSCURRENT, AWSPENDING] {
                let value = store.value(label).unwrap();
                assert_eq!(target.probe(&value).await.unwrap(), Probe::Accepted, "{label}");
            }
            store.rotate(&strategy, &Settings::default()).await.unwrap();
            for label in [AWSCURRENT, AWSPREVIOUS] {
                let value = store.value(label).unwrap();
                assert_eq!(target.probe(&value).await.unwrap(), Probe::Accepted, "{label}");
            }
        }
    }
}

#[tokio::test]
async fn r6_a_user_with_two_accounts_is_refused_by_whoever_can_see_both() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let (database, mut root) = server(
            kind,
            &[
                "CREATE USER app@'%' IDENTIFIED BY 'First-password-1'",
                "CREATE USER app@'10.%' IDENTIFIED BY 'First-password-1'",
                "GRANT SELECT ON mysql.* TO app@'%'",
            ],
        )
        .await;
        let target = target();
        for has_admin in [false, true] {
            let store = store(&database, has_admin);
            let (problem, _) = problems(&store, &target, StrategyName::SingleUser).await;
            assert!(
                problem.contains("several accounts") && problem.contains("`app`@`10.%`"),
                "{kind:?}: {problem}"
            );
            let error =
                store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{kind:?}: {error}");
            assert_eq!(target.probe(&store.value(AWSCURRENT).unwrap()).await.unwrap(), Probe::Accepted);
        }
        root.query_drop("DROP USER app@'10.%'").await.unwrap();
        rotates(&store(&database, true), &target, &SingleUser { target: &target }).await;
    }
}

#[tokio::test]
async fn r9_a_server_that_checks_passwords_gets_one_and_its_logs_do_not() {
    let (database, mut root) = server(
        Kind::MariaDb,
        &[
            "INSTALL SONAME 'simple_password_check'",
            "CREATE DATABASE shop",
            "CREATE USER app@'%' IDENTIFIED BY 'First-password-1'",
            "GRANT SELECT ON shop.* TO app@'%'",
            "SET GLOBAL log_output = 'TABLE'",
            "SET GLOBAL general_log = ON",
        ],
    )
    .await;
    let target = target();
    let policy = || Settings::default();
    for (strategy, name, has_admin) in [
        (&SingleUser { target: &target } as &dyn Strategy, StrategyName::SingleUser, true),
        (&AlternatingUsers { target: &target }, StrategyName::AlternatingUsers, true),
    ] {
        let store = store(&database, has_admin);
        assert_eq!(problems(&store, &target, name).await.0, "");
        for _ in 0..2 {
            store.rotate(strategy, &policy()).await.unwrap();
            let current = store.value(AWSCURRENT).unwrap();
            assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted);
            let logged: Vec<String> =
                root.query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log").await.unwrap();
            let password = current.password().unwrap();
            assert!(!logged.iter().any(|line| line.contains(password.as_str())), "{logged:?}");
        }
        root.query_drop("ALTER USER app@'%' IDENTIFIED BY 'First-password-1'").await.unwrap();
    }
    // A user that cannot turn the log off does not send a password that would be logged.
    let own = store(&database, false);
    let (problem, _) = problems(&own, &target, StrategyName::SingleUser).await;
    assert!(problem.contains("general log"), "{problem}");
    let error = own.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    root.query_drop("SET GLOBAL general_log = OFF").await.unwrap();
    rotates(&store(&database, false), &target, &SingleUser { target: &target }).await;
    root.query_drop("ALTER USER app@'%' IDENTIFIED BY 'First-password-1'").await.unwrap();
    let store = store(&database, true);
    let (problem, _) = problems(&store, &target, StrategyName::DualPassword).await;
    assert!(problem.contains("strict_password_validation") && problem.contains("single-user"), "{problem}");
    let error = store.rotate(&DualPassword { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

/// The dry run finds each limit and missing privilege.
#[tokio::test]
async fn r10_what_a_server_would_refuse_is_found_beforehand() {
    let (database, mut root) = server(
        Kind::MySql,
        &[
            "CREATE USER app@'%' IDENTIFIED BY 'First-password-1'",
            "GRANT SYSTEM_USER ON *.* TO app@'%'",
            "CREATE USER keeper@'%' IDENTIFIED BY 'Keeper-password-1'",
            "GRANT CREATE USER ON *.* TO keeper@'%'",
            "GRANT SELECT ON mysql.* TO keeper@'%'",
        ],
    )
    .await;
    let target = target();
    let keeper = secret(&database.address, "keeper", "Keeper-password-1", "");
    let app = secret(&database.address, "app", "First-password-1", r#","masterarn":"master""#);
    let store = Store::new(app.clone(), Some(keeper.clone()));
    let (problem, fixes) = problems(&store, &target, StrategyName::SingleUser).await;
    assert!(problem.contains("SYSTEM_USER"), "{problem}");
    let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    for fix in fixes {
        root.query_drop(fix).await.unwrap();
    }
    assert_eq!(problems(&store, &target, StrategyName::SingleUser).await.0, "");
    rotates(&Store::new(app, Some(keeper)), &target, &SingleUser { target: &target }).await;

    let long = "a_name_of_twenty_eight_chars";
    root.query_drop(format!("CREATE USER {long}@'%' IDENTIFIED BY 'First-password-1'")).await.unwrap();
    let document = secret(&database.address, long, "First-password-1", r#","masterarn":"master""#);
    let store = Store::new(document, Some(admin(&database.address)));
    let (problem, _) = problems(&store, &target, StrategyName::AlternatingUsers).await;
    assert!(problem.contains("32 characters"), "{problem}");
    let error = store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(store.value(AWSPENDING).is_none());

    for (setting, is_exempt) in [("read_only", true), ("super_read_only", false)] {
        root.query_drop(format!("SET GLOBAL {setting} = ON")).await.unwrap();
        let (problem, _) = problems(&store, &target, StrategyName::SingleUser).await;
        assert_eq!(problem.contains("read-only"), !is_exempt, "{setting}: {problem}");
    }
    let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    root.query_drop("SET GLOBAL super_read_only = OFF").await.unwrap();
    root.query_drop("SET GLOBAL read_only = OFF").await.unwrap();

    root.query_drop("CREATE USER one@'%' IDENTIFIED BY 'First-password-1' WITH MAX_USER_CONNECTIONS 1")
        .await
        .unwrap();
    let store = Store::new(secret(&database.address, "one", "First-password-1", ""), None);
    // A session that ended a moment ago can still count.
    let (problem, _) = problems(&store, &target, StrategyName::SingleUser).await;
    assert!(problem.contains("MAX_USER_CONNECTIONS"), "{problem}");
    root.query_drop("ALTER USER one@'%' WITH MAX_USER_CONNECTIONS 4").await.unwrap();
    assert_eq!(problems(&store, &target, StrategyName::SingleUser).await.0, "");
    rotates(&store, &target, &SingleUser { target: &target }).await;
}

/// An administrator's statements mean the same, regardless of the database's objects and the server's SQL mode.
#[tokio::test]
async fn s2_no_mode_and_no_object_of_others_changes_what_an_administrator_says() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let (database, mut root) = server(
            kind,
            &[
                "CREATE DATABASE shop",
                "CREATE TABLE shop.user (User text, Host text, is_role text)",
                "CREATE TABLE shop.roles_mapping (User text)",
                "CREATE USER app@'%' IDENTIFIED BY 'First-password-1'",
                "GRANT ALL ON shop.* TO app@'%'",
                "GRANT SELECT ON shop.* TO app@'%' WITH GRANT OPTION",
            ],
        )
        .await;
        let app =
            secret(&database.address, "app", "First-password-1", r#","masterarn":"master","dbname":"shop""#);
        let mut client = session(&app).await.unwrap();
        for name in ["`CONVERT`", "`CONCAT`", "`VERSION`", "`COUNT`", "GET_LOCK"] {
            let make = format!(
                "CREATE FUNCTION shop.{name} () RETURNS int DETERMINISTIC SQL SECURITY INVOKER RETURN 1 / 0"
            );
            // The server accepts only some of these.
            let _ = client.query_drop(make).await;
        }
        let modes = if kind == Kind::MariaDb { "ORACLE,ANSI_QUOTES" } else { "ANSI,NO_BACKSLASH_ESCAPES" };
        root.query_drop(format!("SET GLOBAL sql_mode = '{modes}'")).await.unwrap();
        root.query_drop("SET GLOBAL sql_quote_show_create = 0").await.unwrap();
        let target = target();
        let store = Store::new(app, Some(admin(&database.address)));
        assert_eq!(problems(&store, &target, StrategyName::AlternatingUsers).await.0, "", "{kind:?}");
        for _ in 0..2 {
            store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
            for label in [AWSCURRENT, AWSPREVIOUS] {
                assert_eq!(
                    target.probe(&store.value(label).unwrap()).await.unwrap(),
                    Probe::Accepted,
                    "{kind:?}"
                );
            }
        }
        rotates(&store, &target, &SingleUser { target: &target }).await;
    }
}
