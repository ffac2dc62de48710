//! `secretcache local`: runs the local endpoint.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use secretcache_local::{
    DEFAULT_HOST, DEFAULT_PORT, ExportError, Extension, FunctionStrategy, FunctionVariable, Log, Options,
    RotationOptions, Scope, Server, StandIn, Tls, export_data, export_running,
};

use crate::exit::Failure;
use crate::lines::{Lines, say};
use crate::service::endpoint_of_environment;

/// Run an AWS Secrets Manager endpoint on this machine, for development and tests
///
/// It accepts any credentials and encrypts nothing: never put production secrets in it. Without --data it
/// forgets everything when it stops.
#[derive(Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Local {
    #[command(subcommand)]
    task: Option<Task>,

    #[command(flatten)]
    endpoint: Endpoint,
}

/// Tasks other than running an endpoint.
#[derive(Subcommand)]
enum Task {
    Export(Export),
}

/// Write an endpoint's secrets as a JSON file for --seed, with their values in the clear
#[derive(Args)]
#[command(after_help = EXPORT_EXAMPLES)]
struct Export {
    /// URL of a running endpoint that was started with --control [default: AWS_ENDPOINT_URL_SECRETS_MANAGER,
    /// AWS_ENDPOINT_URL or http://127.0.0.1:4584]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Trust only the certificates in this PEM file, for an https:// endpoint [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    ca_file: Option<PathBuf>,

    /// Export this data file instead, even if an endpoint has it open
    #[arg(long, value_name = "FILE", conflicts_with = "endpoint_url")]
    data: Option<PathBuf>,

    /// Write to FILE, readable by its owner only [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    async fn run(self) -> Result<(), Failure> {
        let seed = match &self.data {
            Some(path) => export_data(path),
            None => export_running(&self.endpoint_url(), self.ca_file.as_deref()).await,
        };
        let seed = seed.map_err(not_exported)?;
        match &self.output {
            Some(path) => write_private(path, &seed)
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display()))),
            None => Ok(io::stdout().lock().write_all(&seed)?),
        }
    }

    fn endpoint_url(&self) -> String {
        let or_usual = || endpoint_of_environment().unwrap_or_else(|| DEFAULT_URL.to_owned());
        self.endpoint_url.clone().unwrap_or_else(or_usual)
    }
}

fn not_exported(error: ExportError) -> Failure {
    let text = error.to_string();
    match error {
        ExportError::Unreachable { .. } => Failure::temporary(text),
        _ => Failure::new(text),
    }
}

/// How to run an endpoint.
#[derive(Args)]
struct Endpoint {
    /// Address to listen on; unless it is a loopback address, other machines can read the secrets
    #[arg(long, default_value = DEFAULT_HOST)]
    host: String,

    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,

    /// Also answer requests whose Host header is NAME; loopback names are always accepted; repeat for several
    #[arg(long, value_name = "NAME")]
    accept_host: Vec<String>,

    /// Start with the secrets in FILE, JSON or TOML
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,

    /// Also emulate AWS's Parameters and Secrets Lambda extension, on PORT or, without one, on 2773
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "2773")]
    extension: Option<u16>,

    /// Token that requests to the extension must have [default: any]
    #[arg(long, value_name = "TOKEN", requires = "extension")]
    extension_token: Option<String>,

    /// Keep the secrets in FILE, in the clear, readable by its owner only
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Account of requests whose access key id is not an account number [default: 123456789012; on port 4566, as with
    /// LocalStack, 000000000000]
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,

    /// Region of unsigned requests
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    region: String,

    /// Serve HTTPS with this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Let requests under /_control/ inject faults and move the clock
    #[arg(long)]
    control: bool,

    /// Print one line per request (account, operation, secret, outcome) and per rotation event; never a value
    #[arg(long, short)]
    verbose: bool,

    /// Print the lines of --verbose as text, or as one JSON object each; implies --verbose [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,

    #[command(flatten)]
    rotation: Rotations,
}

/// Options for rotations: which servers they can change, and what runs them.
#[derive(Args)]
#[command(next_help_heading = "Rotation")]
struct Rotations {
    /// Connect to the second address when a secret names the first; the certificate must be for the first
    #[arg(long, value_name = "HOST:PORT=HOST:PORT")]
    map_host: Vec<StandIn>,

    /// Let rotations change a server that is not on this machine
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Trust only the certificate authorities in this PEM file for servers [default: the system's]
    #[arg(long, value_name = "FILE")]
    db_ca_file: Option<PathBuf>,

    /// Connect to servers on this machine without TLS, unless the secret has "ssl": true
    #[arg(long)]
    db_plaintext: bool,

    /// Invoke rotation functions other than those of AWS's templates at this http:// endpoint
    #[arg(long, value_name = "URL")]
    lambda_endpoint: Option<String>,

    /// Set an environment variable of a function from AWS's templates, such as PASSWORD_LENGTH; or add a function that
    /// rotates with a strategy (single-user, alternating-users, dual-password), or as described in a TOML file
    #[arg(long, value_name = "NAME:VARIABLE=VALUE|NAME=STRATEGY|NAME=FILE")]
    function: Vec<FunctionOption>,
}

/// A setting for a rotation function.
#[derive(Clone, Debug)]
enum FunctionOption {
    Variable(FunctionVariable),
    Strategy(FunctionStrategy),
    Described(String, PathBuf),
}

impl FromStr for FunctionOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(strategy) = text.parse() {
            return Ok(Self::Strategy(strategy));
        }
        match text.split_once('=') {
            Some((name, file)) if !name.contains(':') && !name.is_empty() && !file.is_empty() => {
                Ok(Self::Described(name.to_owned(), file.into()))
            }
            _ => text.parse().map(Self::Variable),
        }
    }
}

impl Rotations {
    fn options(self) -> RotationOptions {
        let mut options = RotationOptions::default();
        options.stand_ins = self.map_host;
        options.allowed_hosts = self.allow_host.into_iter().collect();
        options.authorities = self.db_ca_file;
        options.is_plaintext_on_loopback = self.db_plaintext;
        options.lambda_endpoint = self.lambda_endpoint;
        for function in self.function {
            match function {
                FunctionOption::Variable(variable) => options.variables.push(variable),
                FunctionOption::Strategy(strategy) => options.strategies.push(strategy),
                FunctionOption::Described(name, file) => drop(options.described.insert(name, file)),
            }
        }
        options
    }
}

impl Local {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        match self.task {
            Some(Task::Export(export)) => runtime.block_on(export.run()),
            None => Ok(runtime.block_on(self.endpoint.serve())?),
        }
    }
}

impl Endpoint {
    async fn serve(self) -> Result<(), Box<dyn Error>> {
        let account = self.account.unwrap_or_else(|| default_account(self.port).to_owned());
        let is_json = self.log_format.as_deref() == Some("json");
        let missing: fn(usize) -> String = match is_json {
            true => |lines| format!("{{\"missing_lines\":{lines}}}"),
            false => |lines| format!("{lines} lines were dropped here, because nothing read them"),
        };
        let log = match self.verbose || self.log_format.is_some() {
            true => {
                let lines = Lines::new(say, missing)?;
                let log = Log::new(move |line| lines.line(line));
                Some(if is_json { log.json() } else { log })
            }
            false => None,
        };
        let options = Options {
            host: self.host,
            port: self.port,
            data: self.data,
            seed: self.seed,
            extension: self.extension.map(|port| Extension { port, token: self.extension_token }),
            accepted_hosts: self.accept_host,
            control: self.control,
            tls: self.tls_cert.zip(self.tls_key).map(|(certificate, key)| Tls { certificate, key }),
            defaults: Scope::new(account, self.region),
            log,
            rotation: self.rotation.options(),
        };
        let server = Server::bind(options).await?;
        // Not earlier: until now, a signal ends the process as usual, even while it waits for a seed from a pipe. And
        // before the start line, so that a program that reads that line can stop the server at once.
        let interrupted = Interrupts::new()?;
        let url = server.url();
        say(&format!("secretcache local listening on {url}"));
        say(&format!("  export AWS_ENDPOINT_URL_SECRETS_MANAGER={url}{}", more_settings(&server.regions())));
        say("  Open it in a browser to see secrets, requests and rotations.");
        say("  For development only: any credentials are accepted, nothing is encrypted. Ctrl-C stops it.");
        if let Some(url) = server.extension_url() {
            say(&format!("  The Lambda extension's paths are at {url}"));
        }
        if let Some(warning) = server.warning() {
            say(&format!("  Warning: {warning}."));
        }
        if !server.address().ip().is_loopback() {
            say("  Warning: anyone who can reach this address can read and change every secret here.");
        }
        if self.port == LOCALSTACK_PORT {
            // Testcontainers' LocalStack modules wait for this line.
            say("Ready.");
        }

        let handle = server.handle();
        tokio::spawn(async move {
            interrupted.wait().await;
            handle.shutdown();
        });
        Ok(server.serve().await?)
    }
}

/// Completes the `export` command with what a client needs in addition to the URL. Secrets exist only in their Region.
fn more_settings(regions: &BTreeSet<String>) -> String {
    let names: Vec<_> = regions.iter().map(String::as_str).collect();
    match names[..] {
        [] => "   # and any AWS credentials and Region".to_owned(),
        [only] => {
            format!(
                " AWS_DEFAULT_REGION={only}   # and any AWS credentials; its secrets are in this Region only"
            )
        }
        _ => format!("   # and any AWS credentials; its secrets are in the Regions {}", names.join(", ")),
    }
}

/// Writes a file that only its owner can read, even if the file already existed.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(content)
}

/// Ctrl-C, and SIGTERM where that exists.
struct Interrupts {
    #[cfg(unix)]
    interrupted: tokio::sync::oneshot::Receiver<()>,
}

impl Interrupts {
    /// Handles the signals from now on.
    ///
    /// tokio's signal feature would also be compiled into this workspace's libraries, where it costs a pipe and a
    /// process-wide handler.
    fn new() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGINT, SIGTERM};
            let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
            let (sender, interrupted) = tokio::sync::oneshot::channel();
            let wait = move || {
                signals.forever().next();
                let _ = sender.send(());
            };
            std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
            Ok(Self { interrupted })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn wait(self) {
        let _ = self.interrupted.await;
    }

    #[cfg(not(unix))]
    async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Returns LocalStack's account id on LocalStack's port, ours otherwise.
fn default_account(port: u16) -> &'static str {
    if port == LOCALSTACK_PORT { "000000000000" } else { "123456789012" }
}

fn account(text: &str) -> Result<String, String> {
    Scope::new(text, "us-east-1").check().map(|()| text.to_owned())
}

fn region(text: &str) -> Result<String, String> {
    Scope::new("123456789012", text).check().map(|()| text.to_owned())
}

const LOCALSTACK_PORT: u16 = 4566;

const DEFAULT_URL: &str = "http://127.0.0.1:4584";

const EXPORT_EXAMPLES: &str = "\
Examples:
  secretcache local export --output tests/secrets.json
  secretcache local export --endpoint-url http://127.0.0.1:4566 > secrets.json
  secretcache local export --data local.jsonl --output tests/secrets.json

Exit status: 0 written, 1 failed (the reason is on standard error), 2 wrong usage,
3 not yet (the endpoint does not answer).";

const EXAMPLES: &str = "Examples:
  secretcache local
  secretcache local --port 0 --verbose
  secretcache local --data ~/.local/share/secretcache/local.jsonl
  secretcache local --tls-cert cert.pem --tls-key key.pem --control
  secretcache local --map-host db.example:5432=127.0.0.1:5432 --db-plaintext
  secretcache local \\
    --function SecretsManagerRDSPostgreSQLRotationSingleUser:PASSWORD_LENGTH=24
  secretcache local --function rotate-mail-keys=mail.toml
  secretcache local export --output tests/secrets.json

In another terminal:
  export AWS_ENDPOINT_URL_SECRETS_MANAGER=http://127.0.0.1:4584
  export AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  aws secretsmanager create-secret --name prod/checkout/db \\
    --secret-string '{\"password\":\"example\"}'
  aws secretsmanager get-secret-value --secret-id prod/checkout/db

Seeds, faults and everything else: https://github.com/secretcache/secretcache/blob/main/docs/local-endpoint.md

Exit status: 0 stopped by Ctrl-C or SIGTERM, 1 could not start, 2 wrong usage.";
