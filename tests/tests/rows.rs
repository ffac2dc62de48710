//! Rotations in a row on real servers, while two plain clients keep logging in.

use std::io::Write;

use secretcache_tests::databases;
use secretcache_tests::rotations::{Kind, in_a_row};

async fn nobody_is_locked_out(kind: Kind) {
    for row in in_a_row(kind, 10, |_, _| ()).await.unwrap_or_else(|problem| panic!("{problem}")) {
        let _ = writeln!(std::io::stderr(), "{row:?}");
        assert_eq!(row.refused, 0, "{row:?}");
        assert!(row.current_logins > row.rotations, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_of_postgres() {
    nobody_is_locked_out(Kind::Database(databases::Kind::Postgres15)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_of_mariadb() {
    nobody_is_locked_out(Kind::Database(databases::Kind::MariaDb)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_of_mysql() {
    nobody_is_locked_out(Kind::Database(databases::Kind::MySql)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_of_redis() {
    nobody_is_locked_out(Kind::Database(databases::Kind::Redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_of_a_provider_of_keys() {
    nobody_is_locked_out(Kind::Keys).await;
}
