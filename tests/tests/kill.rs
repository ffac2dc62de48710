//! Rotations on real servers, killed with SIGKILL before and after every effect, and then simply run again.

use std::io::Write;
use std::path::Path;

use secretcache_rotation::StrategyName;
use secretcache_tests::databases;
use secretcache_tests::rotations::{Kind, matrix};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_killed_anywhere_is_completed_by_the_next_run_and_locks_nobody_out() {
    // One PostgreSQL for everything, the newest for its rules on granting roles, and one with pooled sessions.
    // `make soak PARTS=kill` runs all.
    let subjects: Vec<_> = Kind::ALL
        .into_iter()
        .flat_map(Kind::subjects)
        .filter(|subject| match subject.kind {
            Kind::Database(databases::Kind::Postgres16) => false,
            Kind::Database(databases::Kind::Postgres18) => subject.strategy == StrategyName::AlternatingUsers,
            Kind::Pooled => !subject.has_administrator,
            _ => true,
        })
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_secretcache-rotate-once"));
    let matrix = matrix(&subjects, program).await.unwrap_or_else(|problem| panic!("{problem}"));
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kill-matrix.md");
    std::fs::write(&written, format!("{}\n{}", matrix.table(), matrix.details())).unwrap();
    // Bypasses the test harness's capture, because the table is the result.
    let _ = writeln!(std::io::stderr(), "{}", matrix.table());
    assert_eq!(matrix.faults(), Vec::<String>::new());
}
