//! Which account a login to MariaDB or MySQL opens, and in which database an administrator's session runs an operator's
//! statements.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use secretcache::AWSCURRENT;
use secretcache_rotation::StrategyName::{AlternatingUsers, DualPassword, SingleUser};
use secretcache_rotation::operate::RecoveryMethod;
use secretcache_rotation::targets::{MySql, Statements, Tls};
use secretcache_rotation::*;

use crate::mariadb::{admin, session};
use crate::support::{Database, Kind, ServerTls, Store, context, secret, start};

const KINDS: [Kind; 2] = [Kind::MariaDb, Kind::MySql];

/// Starts a server with an administrator `keeper`, and runs statements on it.
async fn server(kind: Kind, statements: &[&str]) -> (Database, Conn, Document) {
    let database = start(kind, ServerTls::Off);
    let mut root = session(&admin(&database.address)).await.unwrap();
    let keeper = [
        // At this host, so that no account without a name comes before it.
        "CREATE USER keeper@'127.0.0.1' IDENTIFIED BY 'keeper'",
        "GRANT ALL ON *.* TO keeper@'127.0.0.1' WITH GRANT OPTION",
    ];
    for statement in keeper.iter().chain(statements) {
        root.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let keeper = secret(&database.address, "keeper", "keeper", "");
    (database, root, keeper)
}

async fn made(root: &mut Conn, account: &str) -> String {
    let made: Vec<String> = root.query(format!("SHOW CREATE USER {account}")).await.unwrap();
    made.join(" ")
}

/// At the host that the rotation comes from, a login as `victim` opens the account without a name, and so proves
/// nothing about `victim`.
#[tokio::test]
async fn a_login_that_opens_another_account_proves_nothing() {
    for kind in KINDS {
        let (database, mut root, keeper) = server(
            kind,
            &[
                "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'first'",
                "CREATE USER victim@'%' IDENTIFIED BY 'theirs'",
                "CREATE USER ''@'127.0.0.1' IDENTIFIED BY 'known'",
            ],
        )
        .await;
        let before = made(&mut root, "victim@'%'").await;
        let statements = "protocol = \"mysql\"\n\
             apply = [\"ALTER USER {username:identifier}@'%' IDENTIFIED BY {password:literal}\"]";
        let (mysql, statements) =
            (MySql::new(Tls::off()), Statements::from_toml(statements, Tls::off()).unwrap());
        let settings = Settings::default();
        let all: [&dyn Target; 2] = [&mysql, &statements];
        for (target, strategy) in
            [(all[0], SingleUser), (all[0], AlternatingUsers), (all[0], DualPassword), (all[1], SingleUser)]
        {
            for more in [r#","masterarn":"master""#, ""] {
                let way = format!("{kind:?} {strategy:?} {target:?} {more}");
                let victim = secret(&database.address, "victim", "known", more);
                let store = Store::new(victim.clone(), Some(keeper.clone()));
                let cx = context(&store, &settings, strategy, target);
                let error =
                    store.rotate(cx.backend.strategy(strategy).as_ref(), &settings).await.unwrap_err();
                assert_eq!(made(&mut root, "victim@'%'").await, before, "{way}");
                if strategy != AlternatingUsers || !more.is_empty() {
                    let message = error.message();
                    assert!(!error.kind().is_worth_retrying(), "{way}: {error:?}");
                    assert!(
                        message.contains("\"victim\"") && message.contains("``@`127.0.0.1`"),
                        "{way}: {message}"
                    );
                }
                drop(store.runner(cx.backend.strategy(strategy).as_ref(), &settings).revert("s").await);
                for method in [RecoveryMethod::LabelsFollow, RecoveryMethod::ResourceFollows] {
                    if let Ok(found) = cx.search(method).await {
                        drop(cx.carry_out(&found, &Unobserved).await);
                    }
                }
                // The second of two users, too, must have logged in as itself.
                let app = secret(&database.address, "app", "first", more);
                let second = Store::new(victim.clone(), Some(keeper.clone()));
                second.store_by_hand(app);
                drop(second.rotate(cx.backend.strategy(strategy).as_ref(), &settings).await);
                assert_eq!(made(&mut root, "victim@'%'").await, before, "{way}");
                if !more.is_empty() || strategy != AlternatingUsers {
                    let forecast = cx.forecast(Some(strategy), None).await.unwrap();
                    let found =
                        forecast.findings.iter().any(|finding| finding.problem.contains("``@`127.0.0.1`"));
                    assert!(found, "{way}: {:?}", forecast.findings);
                }
            }
        }
        // No lock counts as a proof either.
        let victim = secret(&database.address, "victim", "known", "");
        assert_eq!(
            mysql.lock(&victim, "arn").await.unwrap_err().kind(),
            ErrorKind::Misconfigured,
            "{kind:?}"
        );
    }
}

/// Names that are spelled unusually, and users with roles, are themselves.
#[tokio::test]
async fn a_user_is_recognized_whatever_its_name_and_roles() {
    for kind in KINDS {
        let (default, of) = match kind {
            Kind::MySql => ("SET DEFAULT ROLE reader TO 'App@shop'@'127.%'", "reader@'%'"),
            _ => ("SET DEFAULT ROLE reader FOR 'App@shop'@'127.%'", "reader"),
        };
        let grant = format!("GRANT {of} TO 'App@shop'@'127.%'");
        let (database, _root, keeper) = server(
            kind,
            &[
                "CREATE USER 'App@shop'@'127.%' IDENTIFIED BY 'first'",
                "CREATE USER 'app@shop'@'%' IDENTIFIED BY 'another'",
                "CREATE ROLE reader",
                &grant,
                default,
            ],
        )
        .await;
        for more in [r#","masterarn":"master""#, ""] {
            let target = MySql::new(Tls::off());
            let own = secret(&database.address, "App@shop", "first", more);
            let store = Store::new(own.clone(), Some(keeper.clone()));
            let strategy = secretcache_rotation::SingleUser { target: &target };
            store.rotate(&strategy, &Settings::default()).await.unwrap();
            let current = store.value(AWSCURRENT).unwrap();
            assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted, "{kind:?}");
            let back = Change { login: &current, credential: &own, keep: None };
            assert_eq!(target.apply(back).await.unwrap(), Applied::Done);
        }
    }
}

/// The application's secret names a database, and its user has made there what the operator's statements use.
#[tokio::test]
async fn statements_of_an_administrator_find_nothing_that_a_user_made() {
    for kind in KINDS {
        let trap = "SQL SECURITY INVOKER INSERT INTO theirs.seen VALUES (CURRENT_USER())";
        let procedure = |schema: &str, body: &str| {
            format!("CREATE PROCEDURE {schema}.rotate_user(name TEXT, hash TEXT) {body}")
        };
        let change = "SQL SECURITY INVOKER BEGIN INSERT INTO ops.changed VALUES (name); END";
        let (database, mut root, keeper) = server(
            kind,
            &[
                "SET GLOBAL log_bin_trust_function_creators = 1",
                "CREATE DATABASE theirs",
                "CREATE DATABASE ops",
                "CREATE TABLE ops.changed (name TEXT)",
                &procedure("ops", change),
                "CREATE TABLE theirs.seen (who TEXT)",
                "CREATE USER app@'%' IDENTIFIED BY 'first'",
                "GRANT ALL ON theirs.* TO app@'%'",
            ],
        )
        .await;
        let app =
            |more: &str| secret(&database.address, "app", "first", &format!(r#","dbname":"theirs"{more}"#));
        let mut attacker = session(&app("")).await.unwrap();
        for made in [
            procedure("theirs", trap),
            "CREATE FUNCTION theirs.is_there() RETURNS INT SQL SECURITY INVOKER BEGIN \
             INSERT INTO theirs.seen VALUES (CURRENT_USER()); RETURN 1; END"
                .to_owned(),
            "CREATE SQL SECURITY INVOKER VIEW theirs.users AS SELECT 'app_clone' AS name, theirs.is_there() AS it".to_owned(),
        ] {
            attacker.query_drop(made).await.unwrap();
        }
        let description = |call: &str| {
            Statements::from_toml(
                &format!(
                    r#"
                    protocol = "mysql"
                    apply = [{call}]
                    keep = [{call}]
                    [accounts]
                    exists = "SELECT it FROM users WHERE name = {{username:literal}}"
                    is_ours = "SELECT is_there(), {{mark:literal}}"
                    create = [{call}]
                    reconcile = [{call}]
                    mark = [{call}]
                    missing = "SELECT it FROM users WHERE it = 0"
                    "#
                ),
                Tls::off(),
            )
            .unwrap()
        };
        let call = |schema: &str| {
            format!(r#""CALL {schema}rotate_user({{username:literal}}, {{password:native}})""#)
        };
        let mastered = app(r#","masterarn":"master""#);
        let mut settings = Settings::default();
        settings.test_attempts = 1;
        let seen =
            async |root: &mut Conn| root.query::<String, _>("SELECT who FROM theirs.seen").await.unwrap();
        let changed =
            async |root: &mut Conn| root.query::<String, _>("SELECT name FROM ops.changed").await.unwrap();

        let target = description(&call(""));
        for strategy in [SingleUser, DualPassword, AlternatingUsers] {
            let store = Store::new(mastered.clone(), Some(keeper.clone()));
            let cx = context(&store, &settings, strategy, &target);
            drop(cx.forecast(Some(strategy), None).await);
            let error = store.rotate(cx.backend.strategy(strategy).as_ref(), &settings).await.unwrap_err();
            assert_eq!(seen(&mut root).await, Vec::<String>::new(), "{kind:?} {strategy:?}: {error}");
            assert!(error.message().contains("default database"), "{kind:?} {strategy:?}: {error}");
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{kind:?} {strategy:?}: {error}");
        }
        // A second user with the administrator's name does not make the session the user's own.
        let accounts = target.accounts().unwrap();
        let administrator = keeper.with("dbname", "theirs").unwrap();
        drop(accounts.user_status(&administrator, &administrator, "mark").await);
        drop(accounts.mark(&administrator, &administrator, "mark").await);
        assert_eq!(seen(&mut root).await, Vec::<String>::new(), "{kind:?}");

        // The operator writes the schema, or chooses the database with a statement.
        for way in [call("ops."), format!(r#""USE ops", {}"#, call(""))] {
            let target = description(&way);
            let next = mastered.with("password", "second").unwrap();
            let login = keeper.with("dbname", "theirs").unwrap();
            let change = Change { login: &login, credential: &next, keep: None };
            assert_eq!(target.apply(change).await.unwrap(), Applied::Done, "{kind:?} {way}");
            assert_eq!(changed(&mut root).await, ["app"], "{kind:?} {way}");
            root.query_drop("DELETE FROM ops.changed").await.unwrap();
        }
        assert_eq!(seen(&mut root).await, Vec::<String>::new(), "{kind:?}");

        // The user's own session is in the secret's database, as before.
        let (own, next) = (app(""), app("").with("password", "second").unwrap());
        let change = Change { login: &own, credential: &next, keep: None };
        assert_eq!(target.apply(change).await.unwrap(), Applied::Done);
        assert_eq!(seen(&mut root).await, ["app@%"], "{kind:?}");
    }
}
