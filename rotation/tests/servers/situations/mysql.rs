//! Situations on MariaDB and MySQL.

use secretcache_rotation::StrategyName::{AlternatingUsers, DualPassword};

use super::Administrator::{Keeper, Super};
use super::Expected::{Refused, RefusedForNow};
use super::{Resource, Situation, USUAL};
use crate::mariadb::{admin, session};
use crate::support::{Address, Kind};
use crate::survival::every_row;

/// Returns every row, with all columns, of the tables about users.
pub(super) async fn snapshot(address: &Address, kind: Kind) -> String {
    every_row(&mut session(&admin(address)).await.unwrap(), kind).await
}

const KEEPER: &str = "CREATE USER KEEPER@'%' IDENTIFIED BY 'keeper'";
const MARIADB: &[Kind] = &[Kind::MariaDb];
const MYSQL: &[Kind] = &[Kind::MySql];
const SOCKET: &str = "CREATE OR REPLACE USER APP@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('first')";
const ED25519_PLUGIN: &str = "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'";
const ED25519: &str = "CREATE OR REPLACE USER APP@'%' IDENTIFIED VIA ed25519 USING PASSWORD('first')";
const CHECKS: &str = "INSTALL SONAME 'simple_password_check'";
const NO_CHECKS: &str = "UNINSTALL SONAME 'simple_password_check'";

pub(crate) const RESOURCE: Resource = Resource {
    name: "MariaDB and MySQL",
    make_user: "CREATE USER APP@'%' IDENTIFIED BY 'first'",
    rows: &[
        Situation { what: "an ordinary user", warns: Some("accounts at other hosts"), ..USUAL },
        Situation { what: "an ordinary user, an administrator", administrator: Super, ..USUAL },
        Situation {
            what: "an ordinary user, an administrator",
            strategy: AlternatingUsers,
            administrator: Super,
            ..USUAL
        },
        Situation {
            what: "an ordinary user, an administrator",
            strategy: DualPassword,
            administrator: Super,
            ..USUAL
        },
        Situation {
            what: "an ordinary user",
            strategy: DualPassword,
            expected: Refused("cannot give itself a second password"),
            ..USUAL
        },
        Situation {
            what: "no administrator",
            strategy: AlternatingUsers,
            expected: Refused("alternating users need an administrator"),
            ..USUAL
        },
        Situation {
            what: "an administrator without CREATE USER",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[KEEPER],
            expected: Refused("can neither create nor change users"),
            ..USUAL
        },
        Situation {
            what: "an administrator that cannot look up users",
            administrator: Keeper,
            prepare: &[KEEPER, "GRANT CREATE USER ON *.* TO KEEPER@'%'"],
            expected: Refused("cannot look up users"),
            ..USUAL
        },
        Situation {
            what: "the user has accounts at two hosts",
            administrator: Super,
            prepare: &["CREATE USER APP@'10.%' IDENTIFIED BY 'first'"],
            expected: Refused("several accounts"),
            ..USUAL
        },
        Situation {
            what: "somebody else created a user with the second user's name",
            strategy: AlternatingUsers,
            administrator: Super,
            prepare: &["CREATE USER CLONE@'%' IDENTIFIED BY 'theirs'"],
            expected: Refused("was not created for this secret"),
            ..USUAL
        },
        Situation {
            what: "a locked account",
            administrator: Super,
            prepare: &["ALTER USER APP@'%' ACCOUNT LOCK"],
            expected: RefusedForNow("refuses AWSCURRENT"),
            ..USUAL
        },
        Situation {
            what: "MAX_USER_CONNECTIONS 1",
            prepare: &["ALTER USER APP@'%' WITH MAX_USER_CONNECTIONS 1"],
            expected: Refused("can have one connection at a time"),
            ..USUAL
        },
        Situation {
            what: "MAX_USER_CONNECTIONS 1",
            administrator: Super,
            strategy: AlternatingUsers,
            prepare: &["ALTER USER APP@'%' WITH MAX_USER_CONNECTIONS 1"],
            ..USUAL
        },
        Situation {
            what: "a view that compares `USER()`",
            administrator: Super,
            strategy: AlternatingUsers,
            prepare: &[
                "CREATE DATABASE d_APP",
                "CREATE VIEW d_APP.v AS SELECT 1 FROM DUAL WHERE USER() LIKE 'APP@%'",
                // Not reported: this function runs as its definer, so the current user is always the same.
                "CREATE FUNCTION d_APP.f() RETURNS INT DETERMINISTIC RETURN CURRENT_USER LIKE 'APP@%'",
            ],
            undo: &["DROP DATABASE d_APP"],
            warns: Some("changes with every rotation, and these use it: view"),
            ..USUAL
        },
        Situation {
            what: "a function that compares `CURRENT_USER` and runs as its caller",
            administrator: Super,
            strategy: AlternatingUsers,
            prepare: &[
                "CREATE DATABASE d_APP",
                "CREATE FUNCTION d_APP.f() RETURNS INT DETERMINISTIC SQL SECURITY INVOKER RETURN CURRENT_USER LIKE 'APP@%'",
            ],
            undo: &["DROP DATABASE d_APP"],
            warns: Some("changes with every rotation, and these use it: function"),
            ..USUAL
        },
        Situation {
            what: "an administrator that cannot grant the user's rights",
            strategy: AlternatingUsers,
            administrator: Keeper,
            prepare: &[
                KEEPER,
                "GRANT CREATE USER ON *.* TO KEEPER@'%'",
                "GRANT SELECT ON mysql.* TO KEEPER@'%'",
                "GRANT PROCESS ON *.* TO APP@'%'",
            ],
            expected: Refused("cannot grant PROCESS"),
            ..USUAL
        },
        Situation {
            what: "MariaDB: the user logs in by `ed25519`",
            prepare: &[ED25519_PLUGIN, ED25519],
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MariaDB: the user logs in by `ed25519`",
            strategy: DualPassword,
            administrator: Super,
            prepare: &[ED25519_PLUGIN, ED25519],
            expected: Refused("by ed25519"),
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MariaDB: the user also logs in by `unix_socket`",
            prepare: &[SOCKET],
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MariaDB: the user also logs in by `unix_socket`",
            strategy: DualPassword,
            administrator: Super,
            prepare: &[SOCKET],
            expected: Refused("by a second password"),
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MariaDB: a password plugin and `strict_password_validation`",
            administrator: Super,
            prepare: &[CHECKS],
            undo: &[NO_CHECKS],
            warns: Some("refuses hashes"),
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MariaDB: a password plugin and `strict_password_validation`",
            strategy: DualPassword,
            administrator: Super,
            prepare: &[CHECKS],
            undo: &[NO_CHECKS],
            expected: Refused("strict_password_validation"),
            only: MARIADB,
            ..USUAL
        },
        Situation {
            what: "MySQL: a password history",
            administrator: Super,
            prepare: &["ALTER USER APP@'%' PASSWORD HISTORY 5"],
            only: MYSQL,
            ..USUAL
        },
        Situation {
            what: "MySQL: a password history",
            strategy: DualPassword,
            administrator: Super,
            prepare: &["ALTER USER APP@'%' PASSWORD HISTORY 5"],
            expected: Refused("a password history is kept"),
            only: MYSQL,
            ..USUAL
        },
        Situation {
            what: "MySQL: a long name, so the second user's name is too long",
            strategy: AlternatingUsers,
            administrator: Super,
            name: "_whose_name_is_quite_long",
            expected: Refused("is too long"),
            only: MYSQL,
            ..USUAL
        },
        Situation {
            what: "MySQL: the user has SYSTEM_USER, the administrator does not",
            administrator: Keeper,
            prepare: &[
                KEEPER,
                "GRANT CREATE USER ON *.* TO KEEPER@'%'",
                "GRANT SELECT ON mysql.* TO KEEPER@'%'",
                "GRANT SYSTEM_USER ON *.* TO APP@'%'",
            ],
            expected: Refused("has SYSTEM_USER"),
            only: MYSQL,
            ..USUAL
        },
        Situation {
            what: "MySQL: a read-only server (`super_read_only`)",
            administrator: Super,
            prepare: &["SET GLOBAL super_read_only = ON"],
            undo: &["SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF"],
            expected: Refused("read-only"),
            only: MYSQL,
            ..USUAL
        },
    ],
};
