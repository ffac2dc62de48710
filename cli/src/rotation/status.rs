//! `secretcache status`: shows the status of secrets.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use secretcache::AWSCURRENT;
use secretcache_rotation::operate::{Health, Inspection, Login, Outcome};
use secretcache_rotation::{AwsStore, Error, ErrorKind, SecretStore};
use serde::Serialize;

use super::arguments::RotationArgs;
use super::batch::each;
use super::next::Asked;
use super::prepared::{Intent, Prepared, connect};
use super::report::{note, print};
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;
use crate::terminal::on_one_line;

/// Show a secret's labels, versions, which of them log in, its rotation, and any problem
///
/// Logs in once with each labelled version; a password that no longer works counts as one refused login. With --no-login,
/// checks only the labels.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct Status {
    /// The secret's name or ARN
    #[arg(value_name = "ID", required_unless_present = "prefix", conflicts_with = "prefix")]
    secret_id: Option<String>,

    /// All secrets whose names start with this prefix
    #[arg(long, value_name = "P", conflicts_with_all = ["wait", "version_id"])]
    prefix: Option<String>,

    /// Do not log in
    #[arg(long)]
    no_login: bool,

    /// Wait for the rotation to finish; exit with 0 if it succeeded, 1 if it failed, 3 if it is still in progress
    #[arg(long)]
    wait: bool,

    /// Version to wait for, as `aws secretsmanager rotate-secret` prints it [default: the one labelled AWSPENDING]
    #[arg(long, value_name = "ID", requires = "wait")]
    version_id: Option<String>,

    /// Maximum time to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    timeout: u64,

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
struct Report {
    #[serde(flatten)]
    inspection: Inspection,
    /// The outcome of the rotation, with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// The failure, if the exit status is one.
    #[serde(rename = "error", skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
}

impl Status {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let store = connect(&self.service).await?;
        if let Some(prefix) = &self.prefix {
            return self.batch(&store, prefix).await;
        }
        let id = self.secret_id.as_deref().unwrap_or_default();
        let outcome = if self.wait { self.wait_for(&store, id).await? } else { None };
        let inspection = match self.inspect(&store, id).await {
            // The outcome is known from the labels.
            Err(failure) if outcome.is_some() && !failure.is_of_service && failure.exit != Exit::Usage => {
                note(&format!("{id}: could not log in: {failure}"));
                Inspection::of_labels(&store.details(id).await?, None, Timestamp::now())?
            }
            inspection => inspection?,
        };
        let exit = match outcome {
            Some(Outcome::Succeeded) => Exit::Done,
            Some(Outcome::Failed) => Exit::Failed,
            Some(Outcome::Pending) => Exit::NotYet,
            // Nothing had to be waited for, and a login that could not be tried says nothing about a rotation.
            None if self.wait && exit(&inspection) == Exit::NotYet && !is_under_way(&inspection) => {
                Exit::Done
            }
            None => exit(&inspection),
        };
        let mut text = lines(&inspection);
        if let Some(outcome) = outcome {
            text += match outcome {
                Outcome::Succeeded => "The rotation succeeded.\n",
                Outcome::Failed => {
                    "The rotation failed: its version lost AWSPENDING without becoming current.\n"
                }
                Outcome::Pending => "The rotation is still pending.\n",
            };
        }
        let sentence = inspection.verdict.sentence.as_str();
        let failure = match (outcome, exit) {
            (Some(Outcome::Failed), _) => Some(Failure::new("the rotation failed")),
            (None, Exit::Failed) => Some(Failure::new(sentence)),
            (None, Exit::NotYet) if inspection.verdict.health == Health::Unknown => {
                Some(Error::new(ErrorKind::Unavailable, sentence).into())
            }
            _ => None,
        };
        let asked = Asked::of_process();
        if let Some(next) = failure.as_ref().and_then(|failure| asked.after(failure)) {
            text += &format!("  run: {next}\n");
        }
        let error = failure.map(|failure| asked.json(&failure)["error"].take());
        print(self.json, &Report { inspection, outcome, error }, &text)?;
        Ok(exit)
    }

    async fn batch(&self, store: &AwsStore, prefix: &str) -> Result<Exit, Failure> {
        each(store, &self.service, prefix, self.json, async |name| {
            let inspection = self.inspect(store, name).await?;
            Ok((exit(&inspection), lines(&inspection), Report { inspection, outcome: None, error: None }))
        })
        .await
    }

    async fn inspect(&self, store: &AwsStore, id: &str) -> Result<Inspection, Failure> {
        let mut inspection = inspect_as(store, id, &self.arguments, self.no_login).await?;
        if let Some(remedy) =
            inspection.verdict.remedy.as_mut().filter(|remedy| remedy.starts_with("secretcache "))
        {
            *remedy = Asked::of_process().complete(remedy);
        }
        Ok(inspection)
    }

    /// Waits for a rotation to finish. `None` if none is in progress.
    async fn wait_for(&self, store: &AwsStore, id: &str) -> Result<Option<Outcome>, Failure> {
        let mut watched = self.version_id.clone();
        if watched.is_none() {
            watched = store.details(id).await?.under_way().map(|version| version.id.clone());
        }
        let Some(watched) = watched else {
            note(&format!("{id}: no rotation is in progress"));
            return Ok(None);
        };
        let begin = tokio::time::Instant::now();
        let deadline = begin + Duration::from_secs(self.timeout);
        let mut is_known = false;
        loop {
            let state = store.describe(id).await?;
            let mut outcome = Outcome::of(&watched, &state);
            let now = tokio::time::Instant::now();
            is_known = is_known || state.version(&watched).is_some() || is_listed(store, id, &watched).await;
            // `rotate-secret` can return an id that the service does not show yet.
            if !is_known && now < begin + UNSEEN {
                outcome = Outcome::Pending;
            }
            if outcome != Outcome::Pending || now >= deadline {
                return Ok(Some(outcome));
            }
            tokio::time::sleep(POLL.min(deadline - now)).await;
        }
    }
}

/// Returns a secret's status, with one login per labelled version, and with the resource inferred from the secret.
pub(crate) async fn inspect(store: &AwsStore, id: &str) -> Result<Inspection, Failure> {
    inspect_as(store, id, &RotationArgs::default(), false).await
}

async fn inspect_as(
    store: &AwsStore,
    id: &str,
    arguments: &RotationArgs,
    no_login: bool,
) -> Result<Inspection, Failure> {
    let now = Timestamp::now();
    // Report wrong options as such, not as a problem of the secret.
    arguments.settings()?;
    arguments.options()?.check().map_err(|error| Failure::from(error).before_anything())?;
    let details = store.details(id).await?;
    // The values of a deleted secret cannot be read.
    if no_login || details.deleted.is_some() {
        return Ok(Inspection::of_labels(&details, None, now)?);
    }
    match Prepared::prepare(store, id, arguments, Intent::Repair).await {
        Ok(prepared) => Ok(prepared.context().inspect(&prepared.details, now).await?),
        // A secret that is not a credential still has a status.
        Err(failure)
            if !failure.is_of_service
                && matches!(failure.kind, Some(ErrorKind::Misconfigured | ErrorKind::NotStaged)) =>
        {
            Ok(Inspection::of_labels(&details, Some(&failure.to_string()), now)?)
        }
        Err(failure) => Err(failure),
    }
}

/// How often to poll. Rotations take seconds, and describing a secret is free.
const POLL: Duration = Duration::from_millis(500);

/// How long a version that has not been seen yet may still appear: reads of the service can lag behind writes.
const UNSEEN: Duration = Duration::from_secs(5);

/// Whether a version exists, with or without a label.
async fn is_listed(store: &AwsStore, id: &str, version: &str) -> bool {
    store.list_versions(id).await.is_ok_and(|all| all.iter().any(|listed| listed.id == version))
}

fn is_under_way(inspection: &Inspection) -> bool {
    inspection.verdict.health == Health::Rotating
}

fn exit(inspection: &Inspection) -> Exit {
    match inspection.verdict.health {
        Health::Good => Exit::Done,
        Health::Rotating => Exit::NotYet,
        Health::Ailing | Health::Broken => Exit::Attention,
        Health::Unknown => {
            let nobody_tried = inspection.versions.iter().all(|version| version.login == Login::NotTried);
            let is_unreachable = |login: &Login| matches!(login, Login::Unreachable(_));
            match () {
                () if nobody_tried => Exit::Done,
                () if inspection.versions.iter().any(|version| is_unreachable(&version.login)) => {
                    Exit::NotYet
                }
                () => Exit::Failed,
            }
        }
    }
}

fn lines(inspection: &Inspection) -> String {
    let Inspection { name, verdict, .. } = inspection;
    let mut text = format!("{}: {}\n", on_one_line(name), on_one_line(&verdict.sentence));
    if let Some(remedy) = &verdict.remedy {
        text += &format!("  run: {}\n", on_one_line(remedy));
    }
    for version in &inspection.versions {
        let holder = version.holder.as_deref().unwrap_or("-");
        let login = match &version.login {
            Login::Accepted => format!("logs in as {holder}"),
            Login::Refused => format!("refused as {holder}"),
            Login::NotTried => "login not tried".to_owned(),
            Login::NoValue => "has no value yet".to_owned(),
            Login::Unusable(reason) | Login::Unreachable(reason) => reason.clone(),
            _ => String::new(),
        };
        let line = format!("{:<24} {}  {login}", version.stages.join(" "), version.version_id);
        text += &format!("  {}\n", on_one_line(&line));
    }
    let schedule = inspection.schedule.as_deref().unwrap_or("no schedule");
    let rotation = if inspection.rotation_enabled { "on" } else { "off" };
    // The service has dates only of the rotations that it started itself.
    let last = inspection.last_rotated.as_deref().unwrap_or("never");
    text +=
        &format!("  rotation {rotation} in Secrets Manager, {schedule}; last rotation it started: {last}");
    if let Some(next) = &inspection.next_rotation {
        text += &format!(", next by {next}");
    }
    let current = inspection.versions.iter().find(|version| version.has(AWSCURRENT));
    if let Some(created) = current.and_then(|current| current.created.as_deref()) {
        text += &format!("; AWSCURRENT was created {created}");
    }
    text + "\n"
}

const EXAMPLES: &str = "\
Examples:
  secretcache status prod/checkout/db
  secretcache status --prefix prod/ --no-login
  secretcache status prod/checkout/db --wait --timeout 120
  aws secretsmanager rotate-secret --secret-id prod/checkout/db \\
    --query VersionId --output text |
    xargs -I{} secretcache status prod/checkout/db --wait --version-id {}";
