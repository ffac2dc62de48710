//! Everything about a user survives its rotations on MariaDB and MySQL. Compares all columns of the system tables
//! before and after.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use secretcache_rotation::targets::{MySql, Tls};
use secretcache_rotation::*;

use crate::mariadb::{admin, session};
use crate::support::{Database, Kind, ServerTls, Store, secret, start};

/// The tables about users, with the column that holds the user's name.
const MARIADB: [(&str, &str); 7] = [
    ("global_priv", "User"),
    ("db", "User"),
    ("tables_priv", "User"),
    ("columns_priv", "User"),
    ("procs_priv", "User"),
    ("proxies_priv", "User"),
    ("roles_mapping", "User"),
];
const MYSQL: [(&str, &str); 9] = [
    ("user", "User"),
    ("db", "User"),
    ("tables_priv", "User"),
    ("columns_priv", "User"),
    ("procs_priv", "User"),
    ("proxies_priv", "User"),
    ("global_grants", "USER"),
    ("role_edges", "TO_USER"),
    ("default_roles", "USER"),
];

/// Columns that a rotation changes on purpose, or that record who granted something and when.
const EXPECTED: [&str; 5] =
    ["authentication_string", "password_last_changed", "Password", "Grantor", "Timestamp"];

/// Returns every row about a user, without what is expected to differ.
async fn rows_about(root: &mut Conn, kind: Kind, user: &str) -> BTreeMap<String, Vec<String>> {
    let tables = if kind == Kind::MariaDb { &MARIADB[..] } else { &MYSQL[..] };
    let mut all = BTreeMap::new();
    for (table, name) in tables {
        let columns = columns(root, table).await;
        let shown = columns.iter().filter(|column| !EXPECTED.contains(&column.as_str()));
        let shown: Vec<_> = shown
            .map(|column| match (*table, column.as_str()) {
                // The expected columns, as fields of a document.
                ("global_priv", "Priv") => {
                    "JSON_REMOVE(Priv, '$.authentication_string', '$.password_last_changed', '$.auth_or', '$.account_locked')"
                        .to_owned()
                }
                // Our mark is expected to differ, and so is a second password. Other attributes must stay.
                ("user", "User_attributes") => {
                    "JSON_REMOVE(COALESCE(User_attributes, '{\"metadata\": {}}'), '$.metadata.secretcache', '$.additional_password')"
                        .to_owned()
                }
                (_, column) => format!("`{column}`"),
            })
            .collect();
        let columns: Vec<_> =
            shown.iter().map(|column| format!("COALESCE(CAST({column} AS CHAR), 'NULL')")).collect();
        // On MariaDB, the mark is a role.
        let but = if *table == "roles_mapping" { " AND Role NOT LIKE 'secretcache%'" } else { "" };
        let question = format!(
            "SELECT CONCAT_WS(' | ', {}) FROM mysql.{table} WHERE {name} = '{user}'{but}",
            columns.join(", ")
        );
        let rows: Vec<String> =
            root.query(&question).await.unwrap_or_else(|error| panic!("{question}: {error}"));
        let mut rows: Vec<_> = rows.iter().map(|row| in_order(row, user)).collect();
        rows.sort();
        all.insert((*table).to_owned(), rows);
    }
    all
}

/// Returns every row of these tables, with all columns, as one text.
pub(crate) async fn every_row(root: &mut Conn, kind: Kind) -> String {
    let tables = if kind == Kind::MariaDb { &MARIADB[..] } else { &MYSQL[..] };
    let mut text = String::new();
    for (table, _) in tables {
        let columns = columns(root, table).await;
        let shown: Vec<_> =
            columns.iter().map(|column| format!("COALESCE(CAST(`{column}` AS CHAR), 'NULL')")).collect();
        let question = format!(
            "SELECT CONCAT_WS(' | ', {}) AS row_text FROM mysql.{table} ORDER BY 1",
            shown.join(", ")
        );
        let rows: Vec<String> =
            root.query(&question).await.unwrap_or_else(|error| panic!("{question}: {error}"));
        text += &format!("{table}:\n{}\n", rows.join("\n"));
    }
    text
}

async fn columns(root: &mut Conn, table: &str) -> Vec<String> {
    let columns: Vec<String> = root
        .exec(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            (table,),
        )
        .await
        .unwrap();
    assert!(columns.len() > 1, "{table}");
    columns
}

/// Normalizes a row: replaces the user's name, sorts the fields of documents, and drops their empty fields.
fn in_order(row: &str, user: &str) -> String {
    let says = |value: &serde_json::Value| *value != 0 && *value != "";
    let column = |column: &str| match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(column) {
        _ if column == user => "it".to_owned(),
        Ok(fields) => {
            let fields: Vec<_> = fields.into_iter().filter(|(_, value)| says(value)).collect();
            format!("{fields:?}")
        }
        Err(_) => column.to_owned(),
    };
    row.split(" | ").map(column).collect::<Vec<_>>().join(" | ")
}

async fn server(kind: Kind) -> (Database, Conn) {
    let database = start(kind, ServerTls::Off);
    let mut root = session(&admin(&database.address)).await.unwrap();
    let options = "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 1000 MAX_USER_CONNECTIONS 9";
    let own = match kind {
        Kind::MariaDb => vec![
            format!("CREATE USER app@'%' IDENTIFIED BY 'first' {options} PASSWORD EXPIRE INTERVAL 90 DAY"),
            "CREATE ROLE reader".into(),
            "GRANT SELECT ON audit.* TO reader".into(),
            "GRANT reader TO app@'%' WITH ADMIN OPTION".into(),
            "SET DEFAULT ROLE reader FOR app@'%'".into(),
            "GRANT PROCESS, BINLOG MONITOR ON *.* TO app@'%'".into(),
        ],
        _ => vec![
            format!(
                "CREATE USER app@'%' IDENTIFIED BY 'first' {options} PASSWORD EXPIRE INTERVAL 90 DAY \
                 FAILED_LOGIN_ATTEMPTS 7 PASSWORD_LOCK_TIME 2 ATTRIBUTE '{{\"team\": \"shop\"}}'"
            ),
            "CREATE ROLE reader".into(),
            "GRANT SELECT ON audit.* TO reader".into(),
            "GRANT reader TO app@'%' WITH ADMIN OPTION".into(),
            "SET DEFAULT ROLE reader TO app@'%'".into(),
            "GRANT PROCESS, BACKUP_ADMIN ON *.* TO app@'%'".into(),
        ],
    };
    let common = [
        "CREATE DATABASE shop",
        "CREATE DATABASE audit",
        "CREATE TABLE audit.l (id int, who int)",
        "CREATE PROCEDURE shop.tidy() SELECT 1",
        "CREATE USER billing@'%' IDENTIFIED BY 'theirs'",
        // The right to grant PROXY on any user.
        "INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user, With_grant) VALUES ('%', 'admin', '', '', 1)",
        "FLUSH PRIVILEGES",
    ];
    let grants = [
        "GRANT ALL ON shop.* TO app@'%'",
        "GRANT INSERT (id), UPDATE (id, who) ON audit.l TO app@'%' WITH GRANT OPTION",
        "GRANT EXECUTE ON PROCEDURE shop.tidy TO app@'%'",
        "GRANT PROXY ON billing@'%' TO app@'%' WITH GRANT OPTION",
    ];
    let own = own.iter().map(String::as_str);
    for statement in common.into_iter().chain(own).chain(grants) {
        root.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    (database, root)
}

#[tokio::test]
async fn every_row_about_a_user_is_as_before_but_for_its_password() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let (database, mut root) = server(kind).await;
        let target = MySql::new(Tls::off());
        let before = rows_about(&mut root, kind, "app").await;
        assert!(before.values().filter(|rows| !rows.is_empty()).count() >= 6, "{kind:?}: {before:#?}");
        for strategy in [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }]
        {
            let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
            let store = Store::new(first, Some(admin(&database.address)));
            for _ in 0..2 {
                store.rotate(strategy, &Settings::default()).await.unwrap();
                let after = rows_about(&mut root, kind, "app").await;
                assert_eq!(after, before, "{kind:?} by {}", strategy.name());
            }
            root.query_drop("ALTER USER app@'%' IDENTIFIED BY 'first'").await.unwrap();
        }
    }
}

#[tokio::test]
async fn every_row_about_the_second_user_is_as_that_about_the_first() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let (database, mut root) = server(kind).await;
        let target = MySql::new(Tls::off());
        let before = rows_about(&mut root, kind, "app").await;
        let first = secret(&database.address, "app", "first", r#","masterarn":"master""#);
        let store = Store::new(first, Some(admin(&database.address)));
        for _ in 0..2 {
            store.rotate(&AlternatingUsers { target: &target }, &Settings::default()).await.unwrap();
            assert_eq!(rows_about(&mut root, kind, "app").await, before, "{kind:?}");
            let mut second = rows_about(&mut root, kind, "app_clone").await;
            if kind == Kind::MySql {
                // A user's attributes are not copied.
                let own = |rows: &mut BTreeMap<String, Vec<String>>| {
                    for row in rows.get_mut("user").unwrap() {
                        *row = row.replace(r#""team": String("shop")"#, "");
                    }
                };
                let mut first = before.clone();
                own(&mut first);
                own(&mut second);
                assert_eq!(second, first);
            } else {
                assert_eq!(second, before);
            }
        }
    }
}
