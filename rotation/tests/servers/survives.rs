//! Everything about a user survives its rotations on PostgreSQL. Compares all columns of the catalogs before and after.

use std::collections::BTreeSet;

use secretcache::AWSCURRENT;
use secretcache_rotation::targets::{Postgres, Tls};
use secretcache_rotation::*;
use tokio_postgres::Client;

use crate::postgres::{admin, session, session_in};
use crate::support::{Database, Kind, ServerTls, Store, secret, start};

/// The rows of the catalogs about users, as text, with names instead of numbers.
const ROWS: &str = "
SELECT 'authid ' || (to_jsonb(a) - 'oid')::text FROM pg_authid a WHERE rolname !~ '^pg_'
UNION ALL SELECT 'member ' || (to_jsonb(m) - 'oid' || jsonb_build_object('roleid', m.roleid::regrole,
    'member', m.member::regrole, 'grantor', m.grantor::regrole))::text FROM pg_auth_members m
    WHERE m.member::regrole::text !~ '^pg_'
UNION ALL SELECT 'setting ' || coalesce(d.datname, '*') || ' ' || s.setrole::regrole || ' ' || c
    FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c WHERE s.setrole <> 0
UNION ALL SELECT 'comment ' || objoid::regrole || ' ' || description FROM pg_shdescription
    WHERE classoid = 'pg_authid'::regclass
UNION ALL SELECT 'depend ' || coalesce(d.datname, '*') || ' ' || s.classid::regclass || ' ' || s.objid || ' ' || s.objsubid
    || ' ' || s.refobjid::regrole || ' ' || s.deptype::text FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass
UNION ALL SELECT 'label ' || to_jsonb(l)::text FROM pg_shseclabel l
UNION ALL SELECT 'database ' || datname || ' ' || datdba::regrole || ' ' || coalesce(datacl::text, '') FROM pg_database
UNION ALL SELECT 'default acl ' || defaclrole::regrole || ' ' || defaclobjtype::text || ' ' || defaclacl::text FROM pg_default_acl
UNION ALL SELECT 'policy ' || polname || ' ' || polrelid::regclass || ' ' || polcmd::text || ' ' || polroles::regrole[]::text FROM pg_policy
UNION ALL SELECT 'object ' || oid::regclass || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') FROM pg_class
    WHERE relnamespace = 'shop'::regnamespace
UNION ALL SELECT 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '') FROM pg_namespace";

async fn rows(client: &Client) -> BTreeSet<String> {
    client.query(ROWS, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Starts a server with a user that has attributes, memberships, settings, objects and privileges.
async fn server(kind: Kind) -> (Database, Client) {
    let database = start(kind, ServerTls::Off);
    let root = session(&admin(&database.address)).await.unwrap();
    root.batch_execute(
        "CREATE ROLE app LOGIN PASSWORD 'first' CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2101-01-01'; \
         CREATE ROLE reader; CREATE ROLE writer; GRANT reader TO app; GRANT writer TO app WITH ADMIN OPTION; \
         ALTER ROLE app SET search_path TO \"$user\", \"a, b\", shop; ALTER ROLE app SET work_mem TO '8MB'; \
         ALTER ROLE app SET application_name TO 'it''s'; \
         ALTER ROLE app IN DATABASE postgres SET statement_timeout TO '1min'; \
         COMMENT ON ROLE app IS 'the DBA''s own words'; \
         CREATE SCHEMA shop AUTHORIZATION app; CREATE TABLE shop.orders (id int, owner name); \
         ALTER TABLE shop.orders OWNER TO app; GRANT SELECT ON shop.orders TO reader; \
         ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON shop.orders TO app USING (true); \
         CREATE TABLE shop.audit (id int); GRANT INSERT ON shop.audit TO app WITH GRANT OPTION; \
         GRANT CREATE ON DATABASE postgres TO app; \
         ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA shop GRANT SELECT ON TABLES TO reader",
    )
    .await
    .unwrap();
    if kind != Kind::Postgres15 {
        root.batch_execute("CREATE ROLE asleep; GRANT asleep TO app WITH INHERIT FALSE, SET TRUE")
            .await
            .unwrap();
    }
    (database, root)
}

/// Returns the rows that are gone, and those that are new.
fn differences(before: &BTreeSet<String>, after: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let of = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    (of(before, after), of(after, before))
}

/// Parses a row of `pg_authid`, without the password.
fn role(row: &str) -> serde_json::Value {
    let mut role: serde_json::Value =
        serde_json::from_str(row.strip_prefix("authid ").expect("a role")).unwrap();
    role.as_object_mut().unwrap().remove("rolpassword");
    role
}

fn only_the_password_changed(before: &BTreeSet<String>, after: &BTreeSet<String>, user: &str) {
    let (gone, new) = differences(before, after);
    assert_eq!((gone.len(), new.len()), (1, 1), "{gone:#?} {new:#?}");
    assert_eq!(role(&gone[0]), role(&new[0]));
    assert_eq!(role(&new[0])["rolname"], user);
}

async fn a_single_user(kind: Kind) {
    let (database, root) = server(kind).await;
    for master in [None, Some(admin(&database.address))] {
        root.batch_execute("ALTER ROLE app PASSWORD 'first'").await.unwrap();
        let before = rows(&root).await;
        let more = if master.is_some() { r#","masterarn":"master""# } else { "" };
        let store = Store::new(secret(&database.address, "app", "first", more), master);
        let target = Postgres::new(Tls::off());
        store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
        only_the_password_changed(&before, &rows(&root).await, "app");
    }
}

async fn alternating_users(kind: Kind) {
    let (database, root) = server(kind).await;
    let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
    let store = Store::new(first, Some(admin(&database.address)));
    let target = Postgres::new(Tls::off());
    let strategy = AlternatingUsers { target: &target };
    let before = rows(&root).await;
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    let with_both = rows(&root).await;
    let (gone, new) = differences(&before, &with_both);
    assert!(gone.is_empty(), "nothing of the user in use changes: {gone:#?}");
    // The second user: the role, its membership, its mark, its settings, and the role it acts as.
    let authid = |name: &str| {
        let row = with_both.iter().find(|row| row.contains(&format!("\"rolname\": \"{name}\""))).expect(name);
        let mut role = role(row);
        role.as_object_mut().unwrap().remove("rolname");
        role
    };
    assert_eq!(authid("app"), authid("app_clone"), "every attribute");
    let mut kinds: Vec<_> = new.iter().map(|row| row.split_once(' ').unwrap().0).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["authid", "comment", "member", "setting", "setting", "setting", "setting", "setting"]);
    for row in before.iter().filter(|row| row.starts_with("setting ")) {
        let copied = row.replace(" app ", " app_clone ");
        assert!(new.contains(&copied), "{copied}: {new:#?}");
    }
    assert!(new.contains(&"setting * app_clone role=app".to_owned()), "{new:#?}");

    // What either user creates has the same owner, default privileges and policies.
    let clone = session_in(&store.value(AWSCURRENT).unwrap(), "postgres").await.unwrap();
    clone.batch_execute("CREATE TABLE shop.made (id int); INSERT INTO shop.audit VALUES (1)").await.unwrap();
    clone.batch_execute("SELECT * FROM shop.orders; SET ROLE writer; RESET ROLE").await.unwrap();
    let made = rows(&root).await;
    let (gone, new) = differences(&with_both, &made);
    assert!(gone.is_empty());
    let (depend, new): (Vec<_>, Vec<_>) = new.into_iter().partition(|row| row.starts_with("depend "));
    let whose: Vec<_> =
        depend.iter().map(|row| row.split(' ').skip(5).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(whose, ["app o", "reader a"], "owned by the one, open to the other");
    assert_eq!(
        new,
        ["object shop.made app {app=arwdDxt/app,reader=r/app}".to_owned()].map(|row| {
            // Version 17 added a privilege.
            if kind == Kind::Postgres18 { row.replace("arwdDxt", "arwdDxtm") } else { row }
        })
    );
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    only_the_password_changed(&made, &rows(&root).await, "app");
    store.rotate(&strategy, &Settings::default()).await.unwrap();
    assert_eq!(*store.value(AWSCURRENT).unwrap().username().unwrap(), "app_clone");
}

#[tokio::test]
async fn everything_about_a_single_user_survives_at_postgres() {
    for kind in [Kind::Postgres15, Kind::Postgres16, Kind::Postgres18] {
        a_single_user(kind).await;
    }
}

#[tokio::test]
async fn everything_about_alternating_users_survives_at_postgres_15() {
    alternating_users(Kind::Postgres15).await;
}

#[tokio::test]
async fn everything_about_alternating_users_survives_at_postgres_16() {
    alternating_users(Kind::Postgres16).await;
}

#[tokio::test]
async fn everything_about_alternating_users_survives_at_postgres_18() {
    alternating_users(Kind::Postgres18).await;
}
