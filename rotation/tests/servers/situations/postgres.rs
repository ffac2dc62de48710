//! Situations on PostgreSQL, with and without PgBouncer.

use secretcache_rotation::StrategyName::{AlternatingUsers, DualPassword};

use super::Administrator::{Keeper, Super};
use super::Expected::{Refused, RefusedForNow};
use super::{Resource, Situation, USUAL, Way};
use crate::postgres::{admin, session};
use crate::support::{Address, Kind};

/// Returns the catalog rows about users, their memberships and their settings.
pub(super) async fn snapshot(address: &Address) -> String {
    let client = session(&admin(address)).await.unwrap();
    let statement = "SELECT string_agg(t, chr(10) ORDER BY t) FROM (SELECT a::text FROM pg_authid a \
         UNION ALL SELECT (m.roleid, m.member, m.grantor, m.admin_option)::text FROM pg_auth_members m \
         UNION ALL SELECT s::text FROM pg_db_role_setting s UNION ALL SELECT d::text FROM pg_shdescription d) AS x(t)";
    client.query_one(statement, &[]).await.unwrap().get(0)
}

const KEEPER: &str = "CREATE ROLE KEEPER LOGIN CREATEROLE PASSWORD 'keeper'";
const GRANTED: &str = "GRANT APP TO KEEPER WITH ADMIN OPTION";
/// Returns a statement that adds a rule before all others in `pg_hba.conf`.
macro_rules! rule {
    ($rule:literal) => {
        concat!(
            "DO $$ DECLARE f text := current_setting('hba_file'); BEGIN CREATE TEMP TABLE h (n serial, l text); \
             EXECUTE format('COPY h(l) FROM %L (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')', f); \
             EXECUTE format('COPY (SELECT ''",
            $rule,
            "'' UNION ALL (SELECT l FROM h ORDER BY n)) TO %L (FORMAT csv, DELIMITER E''\\x01'', QUOTE E''\\x02'')', f); \
             END $$"
        )
    };
}

/// Reloads the configuration, and waits until it takes effect.
const RELOAD: &str = "SELECT pg_reload_conf(), pg_sleep(0.5)";
const NEWER: &[Kind] = &[Kind::Postgres16, Kind::Postgres18];

pub(crate) const RESOURCE: Resource = Resource {
    name: "PostgreSQL 15, 16, 18, and PgBouncer in transaction mode",
    make_user: "CREATE ROLE APP LOGIN PASSWORD 'first'",
    rows: &[
        Situation { what: "an ordinary user", ..USUAL },
        Situation { what: "an ordinary user, an administrator", administrator: Super, ..USUAL },
        Situation {
            what: "an ordinary user, a superuser",
            strategy: AlternatingUsers,
            administrator: Super,
            ..USUAL
        },
        Situation {
            what: "an administrator with CREATEROLE and the ADMIN option",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED],
            ..USUAL
        },
        Situation {
            what: "no administrator",
            strategy: AlternatingUsers,
            expected: Refused("alternating users need an administrator"),
            ..USUAL
        },
        Situation {
            what: "an administrator without CREATEROLE",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &["CREATE ROLE KEEPER LOGIN PASSWORD 'keeper'", GRANTED],
            expected: Refused("can neither create nor change users"),
            ..USUAL
        },
        Situation {
            what: "an administrator without the ADMIN option (16 and newer)",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER],
            expected: Refused("has no ADMIN option on"),
            only: NEWER,
            ..USUAL
        },
        Situation {
            what: "an administrator without the ADMIN option on the second user (16 and newer)",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, "CREATE ROLE CLONE"],
            expected: Refused("has no ADMIN option on"),
            only: NEWER,
            ..USUAL
        },
        Situation {
            what: "an administrator whose password is wrong",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &["CREATE ROLE KEEPER LOGIN CREATEROLE PASSWORD 'another'"],
            expected: RefusedForNow("refuses the administrator's credential"),
            ..USUAL
        },
        Situation {
            what: "the user is a superuser, the administrator is not",
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, "ALTER ROLE APP SUPERUSER"],
            expected: Refused("whom only a superuser can change"),
            ..USUAL
        },
        Situation {
            what: "the user has REPLICATION, the administrator is not a superuser",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, "ALTER ROLE APP REPLICATION"],
            expected: Refused("cannot give to a second user"),
            ..USUAL
        },
        Situation {
            what: "the user has CREATEDB, the administrator does not",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, "ALTER ROLE APP CREATEDB"],
            expected: Refused("CREATEDB"),
            ..USUAL
        },
        Situation {
            what: "a setting that only a superuser can give",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, "ALTER ROLE APP SET log_statement TO 'all'"],
            expected: Refused("settings that only a superuser can give"),
            ..USUAL
        },
        Situation {
            what: "settings with lists and quotes",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[
                "ALTER ROLE APP SET search_path TO \"$user\", \"a, b\", public",
                "ALTER ROLE APP SET work_mem TO '8MB'",
                "ALTER ROLE APP IN DATABASE postgres SET search_path TO ''",
            ],
            ..USUAL
        },
        Situation {
            what: "somebody else created a user with the second user's name",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE ROLE CLONE LOGIN PASSWORD 'theirs'"],
            expected: Refused("was not created for this secret"),
            ..USUAL
        },
        Situation {
            what: "the user acts as another role (`SET role`)",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE ROLE KEEPER; GRANT KEEPER TO APP; ALTER ROLE APP SET role TO KEEPER"],
            ..USUAL
        },
        Situation {
            what: "the second user acts as a role that the user does not",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[
                "CREATE ROLE KEEPER; CREATE ROLE CLONE; GRANT KEEPER TO CLONE; ALTER ROLE CLONE SET role TO KEEPER",
            ],
            expected: Refused("from the start of every session"),
            ..USUAL
        },
        Situation {
            what: "a long name, so the second user's name is too long",
            strategy: AlternatingUsers,
            administrator: Super,
            name: "_whose_name_has_almost_as_many_characters_as_one_can_have",
            expected: Refused("is longer than 63 bytes"),
            ..USUAL
        },
        Situation { what: "CONNECTION LIMIT 1", prepare: &["ALTER ROLE APP CONNECTION LIMIT 1"], ..USUAL },
        Situation {
            what: "CONNECTION LIMIT 1",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["ALTER ROLE APP CONNECTION LIMIT 1"],
            ..USUAL
        },
        Situation {
            what: "an expired password",
            administrator: Super,
            prepare: &["ALTER ROLE APP VALID UNTIL '2001-01-01'"],
            expected: RefusedForNow("has expired"),
            ..USUAL
        },
        Situation {
            what: "a password that will expire",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["ALTER ROLE APP VALID UNTIL '2101-01-01'"],
            ..USUAL
        },
        Situation {
            what: "transactions that are read-only by the user's own setting",
            prepare: &["ALTER ROLE APP SET default_transaction_read_only TO on"],
            ..USUAL
        },
        Situation {
            what: "transactions that are read-only by the user's own setting",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["ALTER ROLE APP SET default_transaction_read_only TO on"],
            ..USUAL
        },
        Situation {
            what: "a server that is configured as read-only",
            prepare: &["ALTER DATABASE postgres SET default_transaction_read_only TO on"],
            undo: &["BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT"],
            expected: Refused("read-only"),
            ..USUAL
        },
        Situation {
            what: "a standby as the secret's host",
            way: Way::AtStandby,
            expected: Refused("the host is a standby"),
            ..USUAL
        },
        Situation {
            what: "a standby as the secret's host",
            strategy: AlternatingUsers,
            administrator: Super,
            way: Way::AtStandby,
            expected: Refused("the host is a standby"),
            ..USUAL
        },
        Situation {
            what: "`password_encryption = md5`, but the server requires SCRAM",
            prepare: &["ALTER ROLE APP SET password_encryption TO md5"],
            ..USUAL
        },
        Situation {
            what: "`password_encryption = md5`, and the user's password is stored as MD5",
            prepare: &[
                rule!("host all APP all md5"),
                RELOAD,
                "ALTER ROLE APP SET password_encryption TO md5; SET password_encryption TO md5; ALTER ROLE APP PASSWORD 'first'",
            ],
            warns: Some("stores passwords as MD5"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` refuses the second user",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[rule!("host all CLONE all reject"), RELOAD],
            expected: Refused("does not let"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` refuses the second user, an administrator with limited rights",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, rule!("host all CLONE all reject"), RELOAD],
            expected: Refused("does not let"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` asks the user for no password (`trust`)",
            prepare: &[rule!("host all APP all trust"), RELOAD],
            expected: Refused("without a password"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` asks the user for no password (`trust`)",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[rule!("host all APP all trust"), RELOAD],
            expected: Refused("without a password"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` asks the second user for no password (`trust`)",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[rule!("host all CLONE all trust"), RELOAD],
            expected: Refused("without a password"),
            ..USUAL
        },
        Situation {
            what: "`pg_hba.conf` asks the administrator for no password (`trust`)",
            administrator: Keeper,
            prepare: &[KEEPER, GRANTED, rule!("host all KEEPER all trust"), RELOAD],
            expected: Refused("without a password"),
            ..USUAL
        },
        Situation {
            what: "the user has a comment by somebody else",
            prepare: &["COMMENT ON ROLE APP IS 'somebody''s own words'"],
            strategy: AlternatingUsers,
            administrator: Super,
            ..USUAL
        },
        Situation {
            what: "row-level security that names the user (`current_user = 'app'`)",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE TABLE r_APP (id int); ALTER TABLE r_APP ENABLE ROW LEVEL SECURITY; \
                 CREATE POLICY own ON r_APP USING (current_user = 'APP')"],
            undo: &["DROP TABLE r_APP"],
            warns: Some("but not after SET ROLE NONE"),
            ..USUAL
        },
        Situation {
            what: "row-level security that names the user (`session_user = 'app'`)",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE TABLE r_APP (id int); ALTER TABLE r_APP ENABLE ROW LEVEL SECURITY; \
                 CREATE POLICY own ON r_APP USING (true) WITH CHECK (session_user = 'APP')"],
            undo: &["DROP TABLE r_APP"],
            warns: Some("(session_user) changes with every rotation"),
            ..USUAL
        },
        Situation {
            what: "a view that compares `session_user`",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE VIEW v_APP AS SELECT 1 AS one WHERE session_user = 'APP'"],
            undo: &["DROP VIEW v_APP"],
            warns: Some("(session_user) changes with every rotation"),
            ..USUAL
        },
        Situation {
            what: "a function that compares `session_user`",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &[
                "CREATE FUNCTION f_APP() RETURNS bool LANGUAGE sql AS $$ SELECT SESSION_USER = 'APP' $$",
            ],
            undo: &["DROP FUNCTION f_APP"],
            warns: Some("(session_user) changes with every rotation"),
            ..USUAL
        },
        Situation {
            what: "a connection URL in the secret",
            fields: r#","url":"postgres://APP:first@127.0.0.1/postgres""#,
            ..USUAL
        },
        Situation {
            what: "a field that contains the password in another form",
            fields: r#","ado":"Server=db;Uid=APP;Pwd=first""#,
            expected: Refused("in a form that is not recognised"),
            ..USUAL
        },
        Situation {
            what: "two passwords",
            strategy: DualPassword,
            expected: Refused("one password per user"),
            ..USUAL
        },
        Situation {
            what: "behind PgBouncer",
            way: Way::Pooled(5),
            warns: Some("connection pooler"),
            ..USUAL
        },
        Situation {
            what: "behind PgBouncer",
            strategy: AlternatingUsers,
            administrator: Super,
            way: Way::Pooled(5),
            warns: Some("connection pooler"),
            ..USUAL
        },
        Situation {
            what: "behind PgBouncer, with two sessions per user",
            way: Way::Pooled(2),
            warns: Some("connection pooler"),
            ..USUAL
        },
    ],
};
