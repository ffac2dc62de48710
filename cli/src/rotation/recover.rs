//! `secretcache recover`: recovery when the staging labels and the resource disagree.

use clap::Args;
use secretcache_rotation::operate::{Login, Recovery, RecoveryMethod, RecoveryPlan};
use serde::Serialize;

use super::arguments::RotationArgs;
use super::next::{Asked, quoted};
use super::prepared::{Intent, Prepared, connect};
use super::report::{Steps, line, note, print};
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;

/// Find the version that still logs in, and repair labels and server
///
/// If a rotation is interrupted or cancelled, or AWSPENDING is removed, the server may have a password that no label
/// points to. Its version still exists. Tries labelled versions first, then others, newest first.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct Recover {
    /// The secret's name or ARN
    #[arg(value_name = "ID")]
    secret_id: String,

    /// Change nothing: show which version logs in and what would be done
    #[arg(long)]
    dry_run: bool,

    /// Leave the labels as they are, and set the AWSCURRENT password on the server instead
    #[arg(long)]
    keep_current: bool,

    /// If no version logs in, let the administrator set the AWSCURRENT password on the server
    #[arg(long)]
    administrator: bool,

    /// How many versions without a label to try; each may be a refused login
    #[arg(long, value_name = "N", default_value_t = 3)]
    attempts: usize,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    arguments: RotationArgs,

    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Recovered {
    secret_id: String,
    is_done: bool,
    #[serde(flatten)]
    recovery: Recovery,
    /// Why recovery is impossible.
    #[serde(rename = "error", skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
}

impl Recover {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let store = connect(&self.service).await?;
        let id = self.secret_id.as_str();
        let mut prepared = Prepared::prepare(&store, id, &self.arguments, Intent::Repair).await?;
        prepared.settings.recovery_attempts = self.attempts;
        prepared.warnings.iter().for_each(|warning| note(&format!("{id}: {warning}")));
        let method = match () {
            () if self.administrator => RecoveryMethod::Administrator,
            () if self.keep_current => RecoveryMethod::ResourceFollows,
            () => RecoveryMethod::LabelsFollow,
        };
        let recovery = prepared.context().search(method).await?;
        let can = recovery.plan != RecoveryPlan::Impossible;
        let is_done = can && !self.dry_run;
        if is_done {
            note(&format!("{id}: {}", recovery.sentence));
            prepared.context().carry_out(&recovery, &Steps { id }).await?;
        }
        let needed = recovery.plan != RecoveryPlan::None;
        let mut text = line(&format!("{id}: {}", recovery.sentence));
        for version in &recovery.versions {
            let labels = if version.stages.is_empty() { "-".to_owned() } else { version.stages.join(" ") };
            let login = match &version.login {
                Login::Accepted => "logs in",
                Login::Refused => "refused",
                Login::NotTried => "not tried: another user or resource, or a password tried before",
                Login::NoValue => "has no value",
                _ => "is not a credential",
            };
            text += &line(&format!("  {:<24} {}  {login}", labels, version.version_id));
        }
        if is_done && needed {
            text += "Done: AWSCURRENT logs in.\n";
        }
        let asked = Asked::of_process();
        let mut error = None;
        if can && needed && !is_done {
            let command = format!("secretcache recover {}{}", quoted(id), self.method());
            text += &format!("  run: {}\n", asked.complete(&command));
        }
        if !can {
            let mut failure = Failure::new(recovery.sentence.clone());
            failure.advice = self.last_resort(&prepared).await;
            if let Some(next) = asked.after(&failure) {
                text += &format!("  run: {next}\n");
            }
            error = Some(asked.json(&failure)["error"].take());
        }
        print(self.json, &Recovered { secret_id: id.to_owned(), is_done, recovery, error }, &text)?;
        Ok(match (needed, is_done) {
            (false, _) | (true, true) => Exit::Done,
            (true, false) if can => Exit::Attention,
            (true, false) => Exit::Failed,
        })
    }

    /// Returns the option that selects the recovery method.
    fn method(&self) -> &'static str {
        match () {
            () if self.administrator => " --administrator",
            () if self.keep_current => " --keep-current",
            () => "",
        }
    }

    /// Returns the command to run if no version logs in: an administrator, if one is known, can still set the password.
    async fn last_resort(&self, prepared: &Prepared) -> Option<String> {
        let is_known = prepared.context().knows_administrator().await;
        let command = format!("secretcache recover {} --administrator", quoted(&self.secret_id));
        (is_known && !self.administrator).then_some(command)
    }
}

const EXAMPLES: &str = "\
Examples:
  secretcache recover prod/checkout/db --dry-run
  secretcache recover prod/checkout/db
  secretcache recover prod/checkout/db --keep-current
  secretcache recover prod/checkout/db --administrator \\
    --master-secret prod/checkout/admin";
