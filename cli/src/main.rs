//! The command `secretcache`.

mod get;
mod local;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Secrets from AWS Secrets Manager: cached, rotated, and on a laptop.
#[derive(Parser)]
#[command(name = "secretcache", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Get(get::Get),
    Local(local::Local),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Get(get) => get.run(),
        Command::Local(local) => local.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed; there is nothing left to tell then.
            let _ = writeln!(io::stderr().lock(), "secretcache: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// clap itself ends with 2 on a usage error.
const EXIT_CODES: &str = "Exit status: 0 done, 1 failed (the reason is on standard error), 2 wrong usage.";
