//! The slow proofs of rotation, for `make bench`: `secretcache-proofs kill|rows|overhead [COUNT]`. Prints figures to
//! standard output as JSON, and tables to standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use secretcache_tests::databases;
use secretcache_tests::rotations::{Kind, Subject, in_a_row, matrix, overhead};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(figures) => {
            let _ = writeln!(io::stdout(), "{figures}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "secretcache-proofs: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let usage = "usage: secretcache-proofs kill|rows|overhead [COUNT]";
    let count = |usual| match arguments.get(1) {
        Some(count) => count.parse().map_err(|_| usage.to_owned()),
        None => Ok(usual),
    };
    runtime.block_on(async {
        match arguments.first().map(String::as_str) {
            Some("kill") => kill().await,
            Some("rows") => rows(count(1000)?).await,
            Some("overhead") => overheads(count(40)?).await,
            _ => Err(usage.to_owned()),
        }
    })
}

/// Runs the kill matrix on every server.
async fn kill() -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let subjects: Vec<_> = Kind::ALL.into_iter().flat_map(Kind::subjects).collect();
    let matrix = matrix(&subjects, &program.with_file_name("secretcache-rotate-once")).await?;
    let _ = writeln!(io::stderr(), "{}", matrix.table());
    Ok(
        json!({ "kills": matrix.kills(), "faults": matrix.faults(), "table": matrix.table(), "details": matrix.details() }),
    )
}

/// One server of each kind that rotates differently.
const KINDS: [Kind; 5] = [
    Kind::Database(databases::Kind::Postgres15),
    Kind::Database(databases::Kind::MariaDb),
    Kind::Database(databases::Kind::MySql),
    Kind::Database(databases::Kind::Redis),
    Kind::Keys,
];

async fn rows(count: usize) -> Result<Value, String> {
    let mut figures = Vec::new();
    // A thousand take half an hour.
    const STEP: usize = 100;
    let progress = move |subject: Subject, number: usize| {
        if number.is_multiple_of(STEP) {
            let server = subject.kind.name();
            let _ = writeln!(io::stderr(), "    {server}, {subject}: {number} of {count} rotations");
        }
    };
    for row in each(move |kind| in_a_row(kind, count, progress)).await? {
        let milliseconds = |percentile| row.window(percentile).as_secs_f64() * 1e3;
        figures.push(json!({
            "server": row.subject.kind.name(),
            "strategy": row.subject.to_string(),
            "rotations": row.rotations,
            "logins": row.current_logins + row.preceding_logins,
            "refused": row.refused,
            "refused in the window": row.refused_in_window,
            "has window": !row.windows.is_empty(),
            "window, median": milliseconds(50),
            "window, 99 of 100": milliseconds(99),
            "slowdown": row.slowdown,
        }));
    }
    Ok(json!(figures))
}

async fn overheads(turns: usize) -> Result<Value, String> {
    let mut figures = Vec::new();
    for kind in KINDS {
        for overhead in overhead(kind, turns).await? {
            figures.push(json!({
                "server": overhead.subject.kind.name(),
                "strategy": overhead.subject.to_string(),
                "full": overhead.full.as_secs_f64() * 1e3,
                "bare": overhead.bare.as_secs_f64() * 1e3,
                "ratio": overhead.ratio(),
            }));
        }
    }
    Ok(json!(figures))
}

async fn each<T: Send + 'static, F>(measure: impl Fn(Kind) -> F) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<Vec<T>, String>> + Send + 'static,
{
    let running = KINDS.map(|kind| tokio::spawn(measure(kind)));
    let mut found = Vec::new();
    for measured in running {
        found.extend(measured.await.map_err(|error| error.to_string())??);
    }
    Ok(found)
}
