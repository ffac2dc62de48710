//! Servers that ask for no password: `trust` in `pg_hba.conf`, and poolers that let everybody in. A login there proves
//! nothing, so it must not decide whose password an administrator changes.

use jiff::Timestamp;
use secretcache::{AWSCURRENT, AWSPENDING};
use secretcache_rotation::operate::{Backend, Health, RecoveryMethod};
use secretcache_rotation::targets::{Postgres, Statements, Tls};
use secretcache_rotation::*;
use tokio_postgres::Client;

use crate::postgres::{admin, session};
use crate::support::{Database, Kind, Pooler, ServerTls, Store, context, secret, start};

/// Starts a server with the user `app` and a superuser `victim`, neither of whom has anything to do with the other.
async fn server(kind: Kind) -> (Database, Client) {
    let database = start(kind, ServerTls::Off);
    let root = session(&admin(&database.address)).await.unwrap();
    let users =
        "CREATE ROLE app LOGIN PASSWORD 'first'; CREATE ROLE victim SUPERUSER LOGIN PASSWORD 'theirs'";
    root.batch_execute(users).await.unwrap();
    (database, root)
}

/// Replaces the server's rules (`pg_hba.conf`), and waits until they take effect.
async fn rules(root: &Client, lines: &[&str]) {
    let lines: Vec<_> = lines.iter().map(|line| format!("(''{line}'')")).collect();
    let lines = lines.join(", ");
    root.batch_execute(&format!(
        "DO $$ BEGIN EXECUTE format('COPY (VALUES {lines}) TO %L', current_setting('hba_file')); END $$"
    ))
    .await
    .unwrap();
    root.batch_execute("SELECT pg_reload_conf(), pg_sleep(0.5)").await.unwrap();
}

const SCRAM: &str = "host all all all scram-sha-256";

/// Everything that a server stores about its users, with their passwords.
async fn users(root: &Client) -> String {
    let statement = "SELECT string_agg(t, chr(10) ORDER BY t) FROM (SELECT a::text FROM pg_authid a \
         UNION ALL SELECT (m.roleid, m.member)::text FROM pg_auth_members m \
         UNION ALL SELECT d::text FROM pg_shdescription d) AS x(t)";
    root.query_one(statement, &[]).await.unwrap().get(0)
}

/// Rotates, and runs every command that does not say that its operator decides who is changed. Returns the rotation's
/// error.
async fn refused(store: &Store, strategy: StrategyName, target: &dyn Target) -> Error {
    let settings = Settings::default();
    let cx = context(store, &settings, strategy, target);
    let strategy_object = cx.backend.strategy(strategy);
    let mut details = Details::default();
    details.state = store.describe("s").await.unwrap();
    let outcome = store.rotate(strategy_object.as_ref(), &settings).await;
    drop(store.steps(strategy_object.as_ref(), &settings, &[Step::SetSecret]).await);
    drop(store.runner(strategy_object.as_ref(), &settings).revert("s").await);
    for method in [RecoveryMethod::LabelsFollow, RecoveryMethod::ResourceFollows] {
        if let Ok(found) = cx.search(method).await {
            drop(cx.carry_out(&found, &Unobserved).await);
        }
    }
    if let Ok(adoption) = cx.inspect_adoption(&details, true).await {
        drop(cx.adopt(&details, &adoption).await);
    }
    outcome.expect_err("a rotation that nothing was proven for")
}

fn explains(error: &Error, user: &str) {
    // As an obstacle that the dry run found too, it is `Denied`.
    assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied), "{error:?}");
    assert!(!error.kind().is_worth_retrying(), "it stays so until somebody acts");
    for part in ["127.0.0.1", user, "without a password", "scram-sha-256"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

/// Someone who can write the secret names a user whom the server lets in without a password, with any password.
#[tokio::test]
async fn a_user_who_needs_no_password_is_not_the_secrets_own() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        let (database, root) = server(kind).await;
        rules(&root, &["host all victim all trust", SCRAM]).await;
        let target = Postgres::new(Tls::off());
        let before = users(&root).await;
        for strategy in [StrategyName::SingleUser, StrategyName::AlternatingUsers] {
            let chosen = secret(&database.address, "victim", "chosen", r#","masterarn":"master""#);
            let store = Store::new(chosen.clone(), Some(admin(&database.address)));
            let error = refused(&store, strategy, &target).await;
            assert!(users(&root).await == before, "{kind:?} {strategy:?}: a user was changed");
            explains(&error, "victim");

            // The same for a version that is planted in AWSPENDING or that was current once.
            let app = secret(&database.address, "app", "first", r#","masterarn":"master""#);
            let store = Store::new(chosen.clone(), Some(admin(&database.address)));
            store.store_by_hand(app);
            if strategy == StrategyName::AlternatingUsers {
                explains(&refused(&store, strategy, &target).await, "victim");
                assert!(users(&root).await == before, "{kind:?} {strategy:?}: a user was changed");
            }
            let store = Store::new(chosen.clone(), Some(admin(&database.address)));
            let second = chosen.with("username", "victim_clone").unwrap();
            let planted = if strategy == StrategyName::SingleUser { &chosen } else { &second };
            let pending =
                Pending { secret_id: "s", token: "planted", document: planted, rotation_token: None };
            store.put_pending(pending).await.unwrap();
            let strategy = Backend::Target(&target).strategy(strategy);
            explains(&store.resume(strategy.as_ref(), &Settings::default()).await.unwrap_err(), "victim");
            assert!(users(&root).await == before, "{kind:?} {strategy:?}: a user was changed");
        }
    }
}

/// The same for a user who has no more sessions: the server says so after it has let the user in.
#[tokio::test]
async fn a_user_who_needs_no_password_and_has_no_session_left_is_not_the_secrets_own() {
    let (database, root) = server(Kind::Postgres15).await;
    root.batch_execute("ALTER ROLE victim NOSUPERUSER CONNECTION LIMIT 0").await.unwrap();
    rules(&root, &["host all victim all trust", SCRAM]).await;
    let target = Postgres::new(Tls::off());
    let chosen = secret(&database.address, "victim", "chosen", "");
    explains(&target.probe(&chosen).await.unwrap_err(), "victim");
    rules(&root, &[SCRAM]).await;
    assert_eq!(target.probe(&chosen).await.unwrap(), Probe::Refused);
    let theirs = chosen.with("password", "theirs").unwrap();
    assert_eq!(target.probe(&theirs).await.unwrap(), Probe::Accepted, "the server is asked, and is full");
}

/// A pooler can let everybody in, and log in at the server with passwords of its own.
#[tokio::test]
async fn a_pooler_that_lets_everybody_in_proves_nothing() {
    let (database, root) = server(Kind::Postgres15).await;
    let before = users(&root).await;
    for auth_type in ["trust", "any"] {
        let known = [(database.address.user, database.address.password.as_str()), ("victim", "theirs")];
        let pooler = Pooler::start_open(&database.address, auth_type, &known).unwrap();
        let chosen = secret(&pooler.address, "victim", "chosen", r#","masterarn":"master""#);
        for strategy in [StrategyName::SingleUser, StrategyName::AlternatingUsers] {
            let store = Store::new(chosen.clone(), Some(admin(&pooler.address)));
            let error = refused(&store, strategy, &Postgres::new(Tls::off())).await;
            assert!(users(&root).await == before, "{auth_type} {strategy:?}: a user was changed");
            explains(&error, "victim");
        }
    }
}

/// An operator's own statements are run for a user whose login was proven, too.
#[tokio::test]
async fn statements_are_not_run_for_a_user_who_needs_no_password() {
    let (database, root) = server(Kind::Postgres15).await;
    rules(&root, &["host all victim all trust", SCRAM]).await;
    let toml =
        "protocol = \"postgres\"\napply = [\"ALTER ROLE {username:identifier} PASSWORD {password:scram}\"]\n";
    let target = Statements::from_toml(toml, Tls::off()).unwrap();
    let before = users(&root).await;
    let chosen = secret(&database.address, "victim", "chosen", r#","masterarn":"master""#);
    let store = Store::new(chosen, Some(admin(&database.address)));
    explains(&refused(&store, StrategyName::SingleUser, &target).await, "victim");
    assert!(users(&root).await == before, "a user was changed");
}

/// The secret's writer chooses the administrator's secret too. One whom the server asks for no password could be anybody.
#[tokio::test]
async fn an_administrator_is_asked_for_a_password_too() {
    let (database, root) = server(Kind::Postgres15).await;
    rules(&root, &["host all postgres all trust", SCRAM]).await;
    let target = Postgres::new(Tls::off());
    let before = users(&root).await;
    for strategy in [StrategyName::SingleUser, StrategyName::AlternatingUsers] {
        let app = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(app, Some(admin(&database.address).with("password", "any").unwrap()));
        explains(&refused(&store, strategy, &target).await, "postgres");
        assert!(store.value(AWSPENDING).is_none(), "{strategy:?}");
        assert!(users(&root).await == before, "{strategy:?}: a user was changed");
    }
}

/// A test that any password passes is none. Nothing is lost: once the server asks, the rotation goes on.
#[tokio::test]
async fn a_new_password_that_nobody_asks_for_does_not_become_current() {
    let (database, root) = server(Kind::Postgres15).await;
    let target = Postgres::new(Tls::off());
    let (strategy, settings) = (SingleUser { target: &target }, Settings::default());
    let first = secret(&database.address, "app", "first", "");
    let store = Store::new(first.clone(), None);
    store.steps(&strategy, &settings, &[Step::CreateSecret, Step::SetSecret]).await.unwrap();
    rules(&root, &["host all app all trust", SCRAM]).await;
    for step in [Step::TestSecret, Step::FinishSecret] {
        explains(&store.steps(&strategy, &settings, &[step]).await.unwrap_err(), "app");
    }
    assert_eq!(store.value(AWSCURRENT).unwrap().text(), first.text());
    let pending = store.value(AWSPENDING).unwrap();
    rules(&root, &[SCRAM]).await;
    store.resume(&strategy, &settings).await.unwrap();
    assert_eq!(store.value(AWSCURRENT).unwrap().text(), pending.text());
    assert!(session(&pending).await.is_ok());
}

/// `status` and the dry run say what is wrong, instead of calling the secret good or broken.
#[tokio::test]
async fn a_server_that_asks_for_no_password_is_reported() {
    let (database, root) = server(Kind::Postgres15).await;
    rules(&root, &["host all app all trust", SCRAM]).await;
    let (target, settings) = (Postgres::new(Tls::off()), Settings::default());
    let store = Store::new(secret(&database.address, "app", "first", ""), None);
    let cx = context(&store, &settings, StrategyName::SingleUser, &target);
    let mut details = Details::default();
    details.state = store.describe("s").await.unwrap();
    let inspection = cx.inspect(&details, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(inspection.verdict.health, Health::Unknown, "{inspection:?}");
    assert!(inspection.verdict.sentence.contains("without a password"), "{inspection:?}");
    let forecast = cx.forecast(None, None).await.unwrap();
    assert_eq!(forecast.findings.len(), 1, "{forecast:?}");
    assert!(forecast.findings[0].problem.contains("without a password"), "{forecast:?}");
    assert!(
        cx.search(RecoveryMethod::LabelsFollow).await.unwrap_err().message().contains("without a password")
    );
}
