//! Starts a database server for tests in any language, prints its address as one line of JSON, and stops it when
//! standard input ends: `secretcache-databases postgres-16 --tls`.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use secretcache_tests::databases::{Database, Kind, Tls};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "secretcache-databases: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let (kind, tls) = arguments(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let database = Database::start(kind, tls)?;
    let address = serde_json::to_string(&database.address).map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "{address}").map_err(|error| error.to_string())?;
    // Waits for the end of standard input, ignoring its content.
    io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink()).map(drop).map_err(|error| error.to_string())
}

fn arguments(arguments: &[String]) -> Result<(Kind, Tls), String> {
    let (name, tls) = match arguments {
        [name] => (name, Tls::Off),
        [name, option] if option == "--tls" => (name, Tls::On),
        _ => (&String::new(), Tls::Off),
    };
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    kind.map(|kind| (kind, tls)).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        format!("usage: secretcache-databases KIND [--tls], where KIND is one of {names}")
    })
}
