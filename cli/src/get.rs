//! `secretcache get`: prints one secret to standard output.

use std::error::Error;
use std::io::{self, Write};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use clap::Args;
use secretcache::{Hit, SecretCache, Selector, Value};
use serde_json::json;

use crate::exit::Failure;
use crate::service::Service;

/// Print a secret's value
///
/// Finds Region, credentials and endpoint as the `aws` command does. Prints a string followed by a newline, a binary value
/// unchanged.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The secret's name or ARN
    #[arg(value_name = "ID")]
    secret_id: String,

    /// Staging label of the version to print, such as AWSPREVIOUS [default: AWSCURRENT]
    #[arg(long, short, value_name = "STAGE", conflicts_with = "version_id")]
    stage: Option<String>,

    /// Id of the version to print
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    /// Print one field of a value that is a JSON object, such as password
    #[arg(long, short, value_name = "FIELD", conflicts_with = "json")]
    field: Option<String>,

    /// Print the whole version as JSON: value, ARN, name, version id, staging labels, creation date
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(crate) service: Service,
}

impl Get {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let failed = |error: secretcache::Error| Failure::from(secretcache_rotation::Error::from(error));
        let cache = SecretCache::builder().options(self.service.options()).build().map_err(failed)?;
        let selector = match (&self.version_id, &self.stage) {
            (Some(version_id), _) => Selector::version_id(version_id),
            (None, Some(stage)) => Selector::stage(stage),
            (None, None) => Selector::CURRENT,
        };
        let secret = cache.get(&self.secret_id).selector(selector).wait().map_err(failed)?;
        Ok(self.print(&secret, &mut io::stdout().lock())?)
    }

    fn print(&self, secret: &Hit<'_>, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
        if let Some(field) = &self.field {
            writeln!(out, "{}", secret.field(field)?)?;
        } else if self.json {
            writeln!(out, "{:#}", whole(secret))?;
        } else if let Value::Binary(binary) = secret.value() {
            out.write_all(binary)?;
        } else {
            writeln!(out, "{}", secret.string()?)?;
        }
        Ok(out.flush()?)
    }
}

/// The members of a `GetSecretValue` response, with the names that the `aws` command uses.
fn whole(secret: &Hit<'_>) -> serde_json::Value {
    let created = secret.created_date().and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
    let mut whole = json!({
        "ARN": secret.arn(),
        "Name": secret.name(),
        "VersionId": secret.version_id(),
        "VersionStages": secret.version_stages(),
        "CreatedDate": created.map(|age| age.as_secs_f64()),
    });
    match secret.value() {
        Value::String(string) => whole["SecretString"] = json!(**string),
        Value::Binary(binary) => whole["SecretBinary"] = json!(BASE64.encode(&**binary)),
        _ => {}
    }
    whole
}

const EXAMPLES: &str = "\
Examples:
  secretcache get prod/checkout/db
  secretcache get prod/checkout/db --field password
  secretcache get prod/checkout/db --stage AWSPREVIOUS --json
  PGPASSWORD=$(secretcache get prod/checkout/db --field password) \\
    psql --host db.example --username app

Exit status: 0 printed, 1 failed (the reason is on standard error), 2 wrong usage,
3 not yet (a temporary failure, such as no connection: run it again).";
