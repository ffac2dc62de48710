//! Rotates one secret and exits, for tests that kill it: `secretcache-rotate-once URL SECRET STRATEGY`. Reads the
//! description of a provider of keys from standard input.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use secretcache_rotation::{AwsStore, StrategyName};
use secretcache_tests::rotations::{connect_options, rotate};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, secret, strategy] = &arguments[..] else {
        return Err("usage: secretcache-rotate-once URL SECRET STRATEGY".to_owned());
    };
    let strategy = StrategyName::from_name(strategy).ok_or("no such strategy")?;
    let mut provider = String::new();
    io::stdin().read_to_string(&mut provider).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let store = AwsStore::connect(&connect_options(url)).await.map_err(|error| error.to_string())?;
        rotate(&store, secret, strategy, Some(provider).filter(|text| !text.is_empty())).await.map(drop)
    })
}
