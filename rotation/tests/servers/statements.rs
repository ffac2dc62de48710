//! Targets with an operator's own statements, on real servers.

use mysql_async::prelude::Queryable;
use secretcache::{AWSCURRENT, AWSPREVIOUS};
use secretcache_rotation::targets::{MySql, Postgres, Statements, Tls};
use secretcache_rotation::*;

use crate::support::{Database, Kind, ServerTls, Store, secret, start};
use crate::{mariadb, postgres};

/// A user name and a password that would break any statement if they were not quoted.
const NASTY_USER: &str = "a\"p'p`; DROP";
const NASTY_PASSWORD: &str = "p'w\"; DROP TABLE x; --{}";

fn json(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

async fn on_postgres(description: &str) -> (Database, tokio_postgres::Client, Statements) {
    let database = start(Kind::Postgres15, ServerTls::Off);
    let root = postgres::session(&postgres::admin(&database.address)).await.unwrap();
    let quoted = NASTY_USER.replace('"', "\"\"");
    root.batch_execute(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD 'first'")).await.unwrap();
    (database, root, Statements::from_toml(description, Tls::off()).unwrap())
}

#[tokio::test]
async fn a_password_changes_by_the_operators_statement_at_postgres() {
    for kind in ["literal", "scram", "md5"] {
        let (database, root, target) = on_postgres(&format!(
            "protocol = \"postgres\"\nprobe = [\"SELECT 1\", \"SELECT 2\"]\n\
             apply = [\"ALTER ROLE {{username:identifier}} PASSWORD {{password:{kind}}}\", \"SELECT 1\"]"
        ))
        .await;
        let user = json(NASTY_USER);
        let store = Store::new(secret(&database.address, &user, "first", ""), None);
        if kind == "md5" {
            // Do not log in afterwards: this server's pg_hba.conf requires SCRAM, which an MD5 hash cannot answer.
            let stored = target.apply(change(&store, "next")).await.unwrap();
            assert_eq!(stored, Applied::Done);
            let statement = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
            let hash: String = root.query_one(statement, &[&NASTY_USER]).await.unwrap().get(0);
            assert!(hash.starts_with("md5") && hash.len() == 35, "{hash}");
            continue;
        }
        store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
        let current = store.value(AWSCURRENT).unwrap();
        assert_eq!(target.probe(&current).await.unwrap(), Probe::Accepted);
        assert_eq!(target.probe(&store.value(AWSPREVIOUS).unwrap()).await.unwrap(), Probe::Refused);
        let nasty = current.with("password", NASTY_PASSWORD).unwrap();
        let change = Change { login: &current, credential: &nasty, keep: None };
        assert_eq!(target.apply(change).await.unwrap(), Applied::Done);
        assert_eq!(Postgres::new(Tls::off()).probe(&nasty).await.unwrap(), Probe::Accepted);
    }
}

fn change<'a>(store: &Store, password: &str) -> Change<'a> {
    // Leaked: a test process is short-lived.
    let login: &Document = Box::leak(Box::new(store.value(AWSCURRENT).unwrap()));
    let credential: &Document = Box::leak(Box::new(login.with("password", password).unwrap()));
    Change { login, credential, keep: None }
}

#[tokio::test]
async fn statements_of_one_change_are_one_transaction_at_postgres() {
    let (database, _root, target) = on_postgres(
        "protocol = \"postgres\"\n\
         apply = [\"ALTER ROLE {username:identifier} PASSWORD {password:scram}\", \"SELECT 1 / 0\"]",
    )
    .await;
    let first = secret(&database.address, &json(NASTY_USER), "first", "");
    let next = first.with("password", "canary-next").unwrap();
    let error = target.apply(Change { login: &first, credential: &next, keep: None }).await.unwrap_err();
    assert!(error.message().contains("22012"), "{error}");
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Accepted);
}

#[tokio::test]
async fn a_server_that_quotes_the_statement_does_not_get_it_into_the_error() {
    let (database, _root, target) = on_postgres(
        "protocol = \"postgres\"\napply = [\"SELECT {password:literal}::int\", \"NONSENSE {password:literal}\"]",
    )
    .await;
    let first = secret(&database.address, &json(NASTY_USER), "first", "");
    let next = first.with("password", "canary-next").unwrap();
    for target in [
        target,
        Statements::from_toml(
            "protocol = \"postgres\"\napply = [\"SELECT {password:literal}::int\"]",
            Tls::off(),
        )
        .unwrap(),
    ] {
        let error = target.apply(Change { login: &first, credential: &next, keep: None }).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

/// An administrator can turn logging off for the session, so no statement with a secret value is logged, whatever it is for
/// and whether it succeeds.
#[tokio::test]
async fn no_statement_with_a_secret_value_is_in_the_log() {
    let description = |protocol: &str, create: &str| {
        let text = format!(
            r#"
            protocol = "{protocol}"
            apply = ["SELECT {{dsn:literal}}", "NONSENSE {{password:literal}}"]
            [accounts]
            exists = "SELECT 1 FROM (SELECT 1 AS one) AS t WHERE {{password:literal}} = 'x'"
            create = ["{create}"]
            reconcile = ["SELECT 1"]
            missing = "SELECT 1"
            "#
        );
        Statements::from_toml(&text, Tls::off()).unwrap()
    };
    let secret_of = |admin: &Document| {
        admin
            .with("username", "second")
            .unwrap()
            .with("password", "canary-1")
            .unwrap()
            .with("dsn", "canary-2")
            .unwrap()
    };
    let run = async |target: Statements, admin: &Document| {
        let second = secret_of(admin);
        let accounts = target.accounts().unwrap();
        assert_eq!(accounts.user_status(admin, &second, "mark").await.unwrap(), UserStatus::Absent);
        accounts.ensure(admin, &second, &second, "mark").await.unwrap();
        let change = Change { login: admin, credential: &second, keep: None };
        let error = target.apply(change).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    };

    let database = start(Kind::Postgres15, ServerTls::Off);
    let admin = postgres::admin(&database.address);
    let root = postgres::session(&admin).await.unwrap();
    root.batch_execute("ALTER DATABASE postgres SET log_statement = 'all'").await.unwrap();
    let root = postgres::session(&admin).await.unwrap();
    let create = "CREATE ROLE {username:identifier} LOGIN PASSWORD {password:literal}";
    run(description("postgres", create), &admin).await;
    let log = "SELECT pg_read_file(current_setting('data_directory') || '/../log')";
    let log: String = root.query_one(log, &[]).await.unwrap().get(0);
    assert!(log.contains("SELECT pg_read_file") && !log.contains("canary"), "{log}");

    let (database, mut root) = mariadb::server().await;
    root.query_drop("SET GLOBAL general_log = ON").await.unwrap();
    root.query_drop("SET GLOBAL log_output = 'TABLE'").await.unwrap();
    let create = "CREATE USER {username:identifier} IDENTIFIED BY {password:literal}";
    run(description("mysql", create), &mariadb::admin(&database.address)).await;
    let logged: Vec<String> =
        root.query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log").await.unwrap();
    assert!(!logged.is_empty() && !logged.iter().any(|line| line.contains("canary")), "{logged:?}");
}

#[tokio::test]
async fn one_and_two_passwords_by_the_operators_statements_at_mariadb() {
    let (database, mut root) = mariadb::server().await;
    let quoted = NASTY_USER.replace('`', "``");
    root.query_drop(format!("CREATE USER `{quoted}`@'%' IDENTIFIED BY 'first'")).await.unwrap();
    root.query_drop(format!("GRANT CREATE USER ON *.* TO `{quoted}`@'%'")).await.unwrap();
    let target = Statements::from_toml(
        r#"
        protocol = "mysql"
        apply = ["ALTER USER {username:identifier}@'%' IDENTIFIED BY {password:literal}", "DO 1"]
        keep = [
            """ALTER USER {username:identifier}@'%' IDENTIFIED VIA mysql_native_password USING {password:native}
               OR mysql_native_password USING {keep.password:native}""",
        ]
        "#,
        Tls::off(),
    )
    .unwrap();
    let first = secret(&database.address, &json(NASTY_USER), "first", "");
    let store = Store::new(first.clone(), None);
    for _ in 0..2 {
        store.rotate(&DualPassword { target: &target }, &Settings::default()).await.unwrap();
        for label in [AWSCURRENT, AWSPREVIOUS] {
            assert_eq!(target.probe(&store.value(label).unwrap()).await.unwrap(), Probe::Accepted, "{label}");
        }
    }
    assert_eq!(target.probe(&first).await.unwrap(), Probe::Refused);
    store.steps(&SingleUser { target: &target }, &Settings::default(), &Step::ALL).await.unwrap();
    assert_eq!(target.probe(&store.value(AWSPREVIOUS).unwrap()).await.unwrap(), Probe::Refused);
    let current = store.value(AWSCURRENT).unwrap();
    let nasty = current.with("password", NASTY_PASSWORD).unwrap();
    let change = Change { login: &current, credential: &nasty, keep: None };
    assert_eq!(target.apply(change).await.unwrap(), Applied::Done);
    assert_eq!(MySql::new(Tls::off()).probe(&nasty).await.unwrap(), Probe::Accepted);
}

#[tokio::test]
async fn a_password_that_cannot_be_quoted_is_never_stored() {
    let target = Statements::from_toml(
        "protocol = \"mysql\"\napply = [\"ALTER USER {username:identifier} IDENTIFIED BY {password:literal}\"]",
        Tls::off(),
    )
    .unwrap();
    let document =
        Document::parse(r#"{"host":"h","username":"u","password":"canary\\","plan":null}"#).unwrap();
    let error = target.accepts(&document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(!error.message().contains("canary"));
    // Neither is a value without a field that a statement needs.
    let wants = Statements::from_toml(
        "protocol = \"postgres\"\napply = [\"SELECT {password:scram}, {plan:literal}\"]",
        Tls::off(),
    )
    .unwrap();
    assert!(wants.accepts(&document).unwrap_err().message().contains("\"plan\""));
}

#[test]
fn a_description_that_changes_nothing_is_refused() {
    for (description, why) in [
        ("protocol = \"postgres\"\napply = []", "none in \"apply\""),
        ("protocol = \"oracle\"\napply = [\"x\"]", "oracle"),
        ("protocol = \"mysql\"\napply = [\"x\"]\nset = [\"y\"]", "set"),
        ("protocol = \"mysql\"\napply = [\"PASSWORD '{password:literal}'\"]", "inside quotes"),
        ("protocol = \"mysql\"\napply = [\"{keep.password:native}\"]", "no such field"),
    ] {
        let error = Statements::from_toml(description, Tls::off()).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}
