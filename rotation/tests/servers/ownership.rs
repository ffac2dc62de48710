//! On PostgreSQL, both users can use and change what either creates, in any database and session, after the next flip.

use crate::postgres::{admin, session, session_in};
use crate::support::{Database, Kind, ServerTls, Store, secret, start};
use secretcache::AWSCURRENT;
use secretcache_rotation::targets::{Postgres, Tls};
use secretcache_rotation::*;
use tokio_postgres::Client;

/// Creates objects of every kind that has an owner, in a separate schema.
const MAKE: &str = "CREATE SCHEMA NAME; CREATE TABLE NAME.t (id serial PRIMARY KEY); CREATE VIEW NAME.v AS SELECT * FROM NAME.t; \
     CREATE MATERIALIZED VIEW NAME.m AS SELECT * FROM NAME.t; CREATE SEQUENCE NAME.s; CREATE TYPE NAME.e AS ENUM ('a'); \
     CREATE DOMAIN NAME.d AS int; CREATE FUNCTION NAME.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
     CREATE TABLE NAME.p (id int) PARTITION BY RANGE (id); CREATE TABLE NAME.p1 PARTITION OF NAME.p DEFAULT; \
     REVOKE ALL ON FUNCTION NAME.f() FROM PUBLIC";
/// Changes those objects in ways that only their owner may.
const CHANGE: &str = "ALTER TABLE NAME.t ADD more int; CREATE OR REPLACE VIEW NAME.v AS SELECT id FROM NAME.t; \
     REFRESH MATERIALIZED VIEW NAME.m; ALTER SEQUENCE NAME.s RESTART; ALTER TYPE NAME.e ADD VALUE 'b'; \
     ALTER DOMAIN NAME.d SET DEFAULT 1; SELECT NAME.f(); ALTER TABLE NAME.p ADD more int; DROP SCHEMA NAME CASCADE";

/// Statements that a session runs first: none, or one after which it can act as the user that logged in.
const WAYS: [&str; 3] = ["", "SET ROLE NONE", "DISCARD ALL"];

/// Creates a user with two databases and an administrator that is not a superuser. Returns a store with the secret.
async fn prepared(database: &Database, root: &Client, user: &str, more: &str) -> Store {
    let statements = [
        format!("CREATE ROLE {user} LOGIN PASSWORD 'first' {more}"),
        format!("CREATE ROLE {user}_admin LOGIN CREATEROLE PASSWORD 'admin'"),
        format!("GRANT {user} TO {user}_admin WITH ADMIN OPTION"),
        format!("CREATE DATABASE {user}_one OWNER {user}"),
        format!("CREATE DATABASE {user}_two OWNER {user}"),
    ];
    for statement in statements {
        root.batch_execute(&statement).await.unwrap();
    }
    let keeper = secret(&database.address, &format!("{user}_admin"), "admin", "");
    Store::new(secret(&database.address, user, "first", r#","masterarn":"master""#), Some(keeper))
}

async fn in_order(kind: Kind) {
    let database = start(kind, ServerTls::Off);
    let root = session(&admin(&database.address)).await.unwrap();
    either_changes_what_the_other_made(&database, &root).await;
    a_user_that_inherits_nothing(&database, &root).await;
    rights_in_another_database(&database, &root).await;
    the_first_user_dropped(&database, &root).await;
    extensions_and_default_privileges(&database, &root).await;
    what_asks_for_names(&database, &root).await;
    r1_a_user_that_acts_as_another_role(&database, &root).await;
}

async fn either_changes_what_the_other_made(database: &Database, root: &Client) {
    let store = prepared(database, root, "app", "").await;
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..4 {
        let current = store.value(AWSCURRENT).unwrap();
        let mut made = Vec::new();
        for name in ["app_one", "app_two"] {
            for (number, way) in WAYS.iter().enumerate() {
                let schema = format!("made_{round}_{number}");
                let client = session_in(&current, name).await.unwrap();
                client.batch_execute(way).await.unwrap();
                client.batch_execute(&MAKE.replace("NAME", &schema)).await.unwrap();
                made.push((name, schema, client));
            }
        }
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let next = store.value(AWSCURRENT).unwrap();
        for (name, schema, before) in made {
            // Sessions that were open before the rotation still work.
            before.batch_execute(&format!("INSERT INTO {schema}.t DEFAULT VALUES")).await.unwrap();
            let client = session_in(&next, name).await.unwrap();
            client
                .batch_execute(&CHANGE.replace("NAME", &schema))
                .await
                .unwrap_or_else(|error| panic!("{round} {name} {schema}: {error:?}"));
        }
    }
    let members = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
         JOIN pg_roles u ON u.oid = m.member WHERE r.rolname = 'app_clone' AND u.rolname = 'app_admin' \
         AND to_jsonb(m) ->> 'inherit_option' IS DISTINCT FROM 'false' AND m.grantor = u.oid";
    assert_eq!(
        root.query_one(members, &[]).await.unwrap().get::<_, i64>(0),
        0,
        "the administrator left again"
    );
}

async fn a_user_that_inherits_nothing(database: &Database, root: &Client) {
    let store = prepared(database, root, "strict", "NOINHERIT").await;
    root.batch_execute("CREATE ROLE strict_reader; GRANT strict_reader TO strict").await.unwrap();
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..3 {
        let client = session_in(&store.value(AWSCURRENT).unwrap(), "strict_one").await.unwrap();
        client.batch_execute(&MAKE.replace("NAME", &format!("made_{round}"))).await.unwrap();
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let client = session_in(&store.value(AWSCURRENT).unwrap(), "strict_one").await.unwrap();
        client.batch_execute(&CHANGE.replace("NAME", &format!("made_{round}"))).await.unwrap();
        client.batch_execute("SET ROLE strict_reader").await.unwrap();
    }
    let inherits = "SELECT rolinherit FROM pg_roles WHERE rolname = 'strict'";
    assert!(!root.query_one(inherits, &[]).await.unwrap().get::<_, bool>(0), "the first user is as it was");
}

async fn rights_in_another_database(database: &Database, root: &Client) {
    let store = prepared(database, root, "wide", "").await;
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let there = session_in(&admin(&database.address), "wide_two").await.unwrap();
    there.batch_execute("CREATE TABLE audit (id int); GRANT INSERT ON audit TO wide_clone").await.unwrap();
    let error = store.rotate(&strategy, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Underprivileged);
    assert!(error.message().contains("INSERT ON public.audit (in database wide_two)"), "{error}");
    there.batch_execute("GRANT INSERT ON audit TO wide").await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "wide");
}

/// Someone drops the first user as a leftover while the second is in use.
async fn the_first_user_dropped(database: &Database, root: &Client) {
    let store = prepared(database, root, "gone", "").await;
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let client = session_in(&store.value(AWSCURRENT).unwrap(), "gone_one").await.unwrap();
    client.batch_execute(&MAKE.replace("NAME", "made")).await.unwrap();
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert!(root.batch_execute("DROP ROLE gone").await.is_err(), "it owns everything");
    for name in ["gone_one", "gone_two"] {
        let there = session_in(&admin(&database.address), name).await.unwrap();
        there.batch_execute("REASSIGN OWNED BY gone TO gone_clone; DROP OWNED BY gone").await.unwrap();
    }
    root.batch_execute("DROP ROLE gone").await.unwrap();
    for _ in 0..3 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let client = session_in(&store.value(AWSCURRENT).unwrap(), "gone_one").await.unwrap();
        client.batch_execute(&CHANGE.replace("NAME", "made")).await.unwrap();
        client.batch_execute(&MAKE.replace("NAME", "made")).await.unwrap();
    }
}

async fn extensions_and_default_privileges(database: &Database, root: &Client) {
    let store = prepared(database, root, "rich", "").await;
    root.batch_execute("CREATE ROLE rich_reader LOGIN PASSWORD 'first'").await.unwrap();
    let client = session_in(&store.value(AWSCURRENT).unwrap(), "rich_one").await.unwrap();
    client
        .batch_execute(
            "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO rich_reader; \
             ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO rich_reader",
        )
        .await
        .unwrap();
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let trusted = "SELECT DISTINCT name FROM pg_available_extension_versions WHERE trusted AND NOT installed \
         AND name IN ('hstore', 'citext', 'pgcrypto')";
    let trusted = client.query(trusted, &[]).await.unwrap();
    for round in 0..2 {
        store.rotate(&strategy, &Settings::default()).await.unwrap();
        let client = session_in(&store.value(AWSCURRENT).unwrap(), "rich_one").await.unwrap();
        client.batch_execute(&format!("CREATE TABLE s.made_{round} (id int)")).await.unwrap();
        let reader =
            session_in(&secret(&database.address, "rich_reader", "first", ""), "rich_one").await.unwrap();
        reader.batch_execute(&format!("SELECT * FROM s.made_{round}")).await.unwrap();
        // Created by one user and dropped by the other, even if the creating session was reset.
        for row in &trusted {
            let name: &str = row.get(0);
            client.batch_execute(&format!("DROP EXTENSION IF EXISTS {name}")).await.unwrap();
            client.batch_execute("DISCARD ALL").await.unwrap();
            client.batch_execute(&format!("CREATE EXTENSION {name}")).await.unwrap();
        }
    }
    assert!(!trusted.is_empty() || !database.address.kind.ends_with("15"), "Debian's server has extensions");
}

/// The dry run's warnings are right: `session_user` differs between the two users, and `current_user` differs only in a
/// session that no longer acts as the first.
async fn what_asks_for_names(database: &Database, root: &Client) {
    let store = prepared(database, root, "named", "").await;
    let objects = "CREATE TABLE logged_in (id int, \"user\" name DEFAULT session_user); \
         CREATE TABLE acts_as (id int, CHECK (current_role <> 'session_user')); \
         INSERT INTO logged_in VALUES (1); INSERT INTO acts_as VALUES (1); \
         ALTER TABLE logged_in ENABLE ROW LEVEL SECURITY; ALTER TABLE acts_as ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON logged_in USING (session_user = 'named'); CREATE POLICY own ON acts_as USING (user = 'named'); \
         GRANT SELECT ON logged_in, acts_as TO named; \
         CREATE VIEW seen AS SELECT id FROM acts_as WHERE session_user = current_user; \
         CREATE FUNCTION tree() RETURNS name LANGUAGE sql BEGIN ATOMIC SELECT session_user; END; \
         CREATE FUNCTION source() RETURNS name LANGUAGE plpgsql AS 'BEGIN RETURN Current_User; END'; \
         CREATE FUNCTION definer() RETURNS name SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user'; \
         CREATE FUNCTION my_session_user() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         CREATE FUNCTION row_changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER changed BEFORE UPDATE ON acts_as FOR EACH ROW WHEN (session_user <> 'named') EXECUTE FUNCTION row_changed()";
    root.batch_execute(objects).await.unwrap();
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let (app, keeper) =
        (store.value(AWSCURRENT).unwrap(), secret(&database.address, "named_admin", "admin", ""));
    let warnings = target.accounts().unwrap().depends_on_name(&keeper, &app, &app).await.unwrap();
    let asking = |warning: &String| {
        warning.split(" these use it: ").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(
        warnings.iter().map(asking).collect::<Vec<_>>(),
        [
            "default value for column user of table public.logged_in, function public.tree(), policy own on table public.logged_in, \
             trigger changed on table public.acts_as, view public.seen",
            "constraint acts_as_check on table public.acts_as, function public.source(), policy own on table public.acts_as",
        ]
    );
    for (turn, expected) in [[(1, 1), (1, 1)], [(0, 1), (0, 0)]].into_iter().enumerate() {
        // The result after `DISCARD ALL` depends on the server's release, so it is not checked.
        for (way, rows) in WAYS.iter().zip(expected) {
            let client = session_in(&store.value(AWSCURRENT).unwrap(), "postgres").await.unwrap();
            client.batch_execute(way).await.unwrap();
            let count = "SELECT (SELECT count(*) FROM logged_in), (SELECT count(*) FROM acts_as)";
            let row = client.query_one(count, &[]).await.unwrap();
            assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), rows, "turn {turn}, {way:?}");
        }
        store.rotate(&strategy, &Settings::default()).await.unwrap();
    }
}

async fn r1_a_user_that_acts_as_another_role(database: &Database, root: &Client) {
    let store = prepared(database, root, "acting", "").await;
    let role = "CREATE ROLE acted; GRANT acted TO acting; ALTER ROLE acting SET role TO acted; \
         CREATE SCHEMA acted AUTHORIZATION acted; CREATE TABLE acted.made_0 (id int); ALTER TABLE acted.made_0 OWNER TO acted";
    root.batch_execute(role).await.unwrap();
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    for round in 0..3 {
        let current = store.value(AWSCURRENT).unwrap();
        let client = session_in(&current, "postgres").await.unwrap();
        let work = format!("DROP TABLE acted.made_{round}; CREATE TABLE acted.made_{} (id int)", round + 1);
        client.batch_execute(&work).await.unwrap_or_else(|error| panic!("{round}: {error:?}"));
        store.rotate(&strategy, &Settings::default()).await.unwrap();
    }
}

#[tokio::test]
async fn ownership_at_postgres_15() {
    in_order(Kind::Postgres15).await;
}

#[tokio::test]
async fn ownership_at_postgres_16() {
    in_order(Kind::Postgres16).await;
}

#[tokio::test]
async fn ownership_at_postgres_18() {
    in_order(Kind::Postgres18).await;
}
