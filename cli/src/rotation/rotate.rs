//! `secretcache rotate`: rotates one secret, or all that are due.

use clap::{Args, ValueEnum};
use secretcache_rotation::operate::{Clients, Forecast};
use secretcache_rotation::{AwsStore, Described, StrategyName};

use super::arguments::RotationArgs;
use super::due::Due;
use super::next::Asked;
use super::prepared::{Intent, Prepared, connect};
use super::report::{Steps, add_options, findings, line, note, print};
use super::rotated::Rotated;
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;

/// Rotate a secret, or every listed secret that is due
///
/// Runs the four steps of a rotation itself, without a rotation function. If it is interrupted, run it again to
/// continue. Two runs at the same time work on the same rotation.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct Rotate {
    /// The secret's name or ARN
    #[arg(value_name = "ID", required_unless_present_any = ["config", "check"])]
    secret_id: Option<String>,

    /// Check a file for --provider or --statements; rotate nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_id", "config"])]
    check: Option<String>,

    /// Change nothing: show what would happen, what prevents it, and which strategy fits
    #[arg(long)]
    dry_run: bool,

    /// How clients connect; --dry-run uses it to recommend a strategy
    #[arg(long, value_name = "HOW", requires = "dry_run")]
    clients: Option<HowClients>,

    /// Resume an interrupted rotation; do not start a new one
    #[arg(long, conflicts_with_all = ["revert", "dry_run"])]
    resume: bool,

    /// Undo the rotation in progress: the AWSCURRENT password works again, AWSPENDING is removed
    #[arg(long, conflicts_with = "dry_run")]
    revert: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    due: Due,

    #[command(flatten)]
    arguments: RotationArgs,

    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HowClients {
    /// Clients read the secret again when a login is refused
    Retrying,
    /// Clients have a connection pool that logs in with a password read earlier
    Pooled,
    /// The user's name is configured in the clients or in a proxy
    FixedUser,
}

impl Rotate {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        if let Some(file) = &self.check {
            return check(file, self.json);
        }
        let Some(id) = self.secret_id.as_deref() else {
            return self.due.run(&self.service, self.dry_run, self.json).await;
        };
        let store = connect(&self.service).await?;
        if self.dry_run {
            return self.look_ahead(&store, id).await;
        }
        let prepared = Prepared::prepare(&store, id, &self.arguments, Intent::Rotation).await;
        let prepared = match prepared {
            // Any strategy that fits the versions can finish or revert a rotation in progress.
            Err(_) if (self.resume || self.revert) && self.arguments.strategy.is_none() => {
                Prepared::prepare(&store, id, &self.arguments, Intent::Repair).await?
            }
            prepared => prepared?,
        };
        prepared.warnings.iter().for_each(|warning| note(&format!("{id}: {warning}")));
        let strategy = prepared.rotator.strategy();
        let runner = prepared.runner(strategy.as_ref());
        let watch = Steps { id };
        let (outcome, rotation) = if self.revert {
            ("reverted", runner.revert(id).await?)
        } else if self.resume {
            ("rotated", runner.resume(id, &watch).await?)
        } else {
            ("rotated", Some(runner.rotate_observed(id, &watch).await?))
        };
        let done = Rotated::new(&prepared, outcome, rotation);
        print(self.json, &done, &done.sentence())?;
        Ok(Exit::Done)
    }

    async fn look_ahead(&self, store: &AwsStore, id: &str) -> Result<Exit, Failure> {
        let prepared = Prepared::prepare(store, id, &self.arguments, Intent::Repair).await?;
        prepared.warnings.iter().for_each(|warning| note(&format!("{id}: {warning}")));
        let by_function = prepared.details.function.as_deref().and_then(secretcache_rotation::from_function);
        let chosen = self.arguments.strategy.or(by_function.map(|(_, strategy)| strategy));
        let clients = self.clients.map(|clients| match clients {
            HowClients::Retrying => Clients::Retrying,
            HowClients::Pooled => Clients::Pooled,
            HowClients::FixedUser => Clients::FixedUser,
        });
        let mut forecast = prepared.context().forecast(chosen, clients).await?;
        add_options(&mut forecast.findings);
        Asked::of_process().complete_fixes(&mut forecast.findings);
        print(self.json, &forecast, &lines(id, &forecast))?;
        Ok(if forecast.findings.is_empty() { Exit::Done } else { Exit::Attention })
    }
}

/// Checks a description, parsing it as a rotation would.
fn check(file: &str, json: bool) -> Result<Exit, Failure> {
    let text = super::arguments::read(file)?;
    let described = Described::check(&text).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
    let option = if described.kind == "provider" { "--provider" } else { "--statements" };
    let strategy = described.strategy.map_or("single-user", StrategyName::name);
    let lines = format!("{file} is valid; use it with: --strategy {strategy} {option} {file}");
    print(json, &serde_json::json!({ "File": file, "Option": option, "Strategy": strategy }), &lines)?;
    Ok(Exit::Done)
}

fn lines(id: &str, forecast: &Forecast) -> String {
    let strategy = forecast.strategy.name();
    let on = if forecast.server.is_empty() { String::new() } else { format!(" on {}", forecast.server) };
    let mut text = line(&format!("{id}: nothing was changed. With {strategy}{on}, a rotation would"));
    for step in &forecast.steps {
        text += &line(&format!("  {:<13} {}", step.step, step.what));
    }
    if forecast.findings.is_empty() {
        text += "No obstacle found.\n";
    } else {
        text += "Obstacles:\n";
        text += &findings(&forecast.findings);
    }
    for warning in &forecast.warnings {
        text += &line(&format!("Note: {warning}"));
    }
    let recommendation = &forecast.recommendation;
    if !recommendation.is_known {
        return text + &line(&format!("Cannot tell which strategy fits: {}", recommendation.reason));
    }
    let verb = if recommendation.strategy == forecast.strategy { "fits" } else { "would fit better" };
    text + &line(&format!("{} {verb}: {}", recommendation.strategy.name(), recommendation.reason))
}

const EXAMPLES: &str = "\
Examples:
  secretcache rotate prod/checkout/db --dry-run
  secretcache rotate prod/checkout/db --strategy single-user
  secretcache rotate prod/checkout/db \\
    --strategy alternating-users --master-secret prod/checkout/admin
  secretcache rotate prod/mail/key --strategy api-key --provider mail.toml
  secretcache rotate --check mail.toml
  secretcache rotate prod/checkout/db --strategy single-user --resume
  secretcache rotate --config secrets.toml --due --concurrency 4 --stop-after 3";
