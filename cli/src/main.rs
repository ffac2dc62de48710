//! The `secretcache` command.

mod access;
#[cfg(test)]
mod documented;
mod exit;
mod generate;
mod get;
mod lines;
mod local;
mod policy;
mod rotation;
mod service;
mod terminal;
mod words;

use clap::{Parser, Subcommand};

use exit::{EXIT_STATUSES, Exit, Failure};

/// Zeroes freed memory, because secrets pass through the buffers of HTTP and TLS too.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;

/// Read, rotate, audit and recover secrets in AWS Secrets Manager, or run a Secrets Manager endpoint on your machine
#[derive(Parser)]
#[command(name = "secretcache", version, after_help = EXIT_STATUSES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Get(get::Get),
    Local(Box<local::Local>),
    Rotate(Box<rotation::Rotate>),
    Status(Box<rotation::Status>),
    Recover(Box<rotation::Recover>),
    Adopt(Box<rotation::Adopt>),
    RevokePrevious(Box<rotation::RevokePrevious>),
    Audit(Box<access::Audit>),
    Access(Box<access::Access>),
    Policy(Box<policy::Policy>),
    Generate(generate::Generate),
}

fn main() -> Exit {
    let asked = rotation::Asked::of_process();
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        if error.use_stderr() && asked.wants_json() {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            fail(&asked, &Failure::usage(first));
        }
        // Help is trusted text. An error quotes the arguments, so it has to be escaped.
        if !error.use_stderr() {
            error.exit();
        }
        for line in error.render().to_string().trim_end().lines() {
            terminal::note(line);
        }
        std::process::exit(error.exit_code());
    });
    let result = match cli.command {
        Command::Get(get) => {
            let done = get.run().map(|()| Exit::Done);
            rotation::run(&get.service, std::future::ready(done))
        }
        Command::Policy(policy) => rotation::run(&policy.service, policy.run()),
        Command::Generate(generate) => generate.run().map(|()| Exit::Done).map_err(Failure::from),
        Command::Local(local) => local.run().map(|()| Exit::Done),
        Command::Rotate(rotate) => rotation::run(&rotate.service, rotate.run()),
        Command::Status(status) => rotation::run(&status.service, status.run()),
        Command::Recover(recover) => rotation::run(&recover.service, recover.run()),
        Command::Adopt(adopt) => rotation::run(&adopt.service, adopt.run()),
        Command::RevokePrevious(revoke) => rotation::run(&revoke.service, revoke.run()),
        Command::Audit(audit) => rotation::run(&audit.service, audit.run()),
        Command::Access(access) => rotation::run(&access.service, access.run()),
    };
    result.unwrap_or_else(|failure| {
        terminal::note(&format!("secretcache: {}", asked.message(&failure)));
        if let Some(next) = asked.after(&failure) {
            terminal::note(&format!("  run: {next}"));
        }
        if asked.wants_json() {
            fail(&asked, &failure);
        }
        failure.exit
    })
}

/// Prints a failure as JSON.
fn fail(asked: &rotation::Asked, failure: &Failure) {
    let _ = terminal::print_json(&asked.json(failure));
}
