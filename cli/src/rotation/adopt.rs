//! `secretcache adopt`: takes over secrets that AWS's own functions have rotated so far.

use clap::Args;
use secretcache_rotation::AwsStore;
use secretcache_rotation::operate::Adoption;
use serde::Serialize;

use super::arguments::RotationArgs;
use super::batch::each;
use super::next::{Asked, quoted};
use super::prepared::{Intent, Prepared, connect};
use super::report::{add_options, findings, line, print};
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::service::Service;

/// Take over secrets that AWS's functions have rotated so far
///
/// Checks the secret's fields, its engine, its users and the administrator's grants, and marks the second user as
/// belonging to the secret. Changes the ownership of database objects only with --change-ownership.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub(crate) struct Adopt {
    /// The secret's name or ARN
    #[arg(value_name = "ID", required_unless_present = "prefix", conflicts_with = "prefix")]
    secret_id: Option<String>,

    /// All secrets whose names start with this prefix
    #[arg(long, value_name = "P")]
    prefix: Option<String>,

    /// Change nothing: show what would be done and what prevents it
    #[arg(long)]
    dry_run: bool,

    /// Share ownership: make the first user the owner of objects that the second user created
    #[arg(long)]
    change_ownership: bool,

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
struct Adopted {
    secret_id: String,
    is_done: bool,
    #[serde(flatten)]
    adoption: Adoption,
}

impl Adopt {
    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let store = connect(&self.service).await?;
        let Some(prefix) = &self.prefix else {
            let adopted = self.adopt(&store, self.secret_id.as_deref().unwrap_or_default()).await?;
            print(self.json, &adopted, &lines(&adopted))?;
            return Ok(exit(&adopted));
        };
        each(&store, &self.service, prefix, self.json, async |name| {
            let adopted = self.adopt(&store, name).await?;
            Ok((exit(&adopted), lines(&adopted), adopted))
        })
        .await
    }

    async fn adopt(&self, store: &AwsStore, id: &str) -> Result<Adopted, Failure> {
        let prepared = Prepared::prepare(store, id, &self.arguments, Intent::Repair).await?;
        let context = prepared.context();
        let mut adoption = context.inspect_adoption(&prepared.details, self.change_ownership).await?;
        add_options(&mut adoption.findings);
        Asked::of_process().complete_fixes(&mut adoption.findings);
        let is_done = !self.dry_run && adoption.findings.is_empty();
        if is_done {
            context.adopt(&prepared.details, &adoption).await?;
        }
        Ok(Adopted { secret_id: id.to_owned(), is_done, adoption })
    }
}

fn exit(adopted: &Adopted) -> Exit {
    if adopted.adoption.findings.is_empty() { Exit::Done } else { Exit::Attention }
}

fn lines(adopted: &Adopted) -> String {
    let Adopted { secret_id, is_done, adoption } = adopted;
    let strategy = adoption.strategy.name();
    let mut text = match (is_done, adoption.findings.is_empty()) {
        (true, _) => format!(
            "{secret_id}: adopted; rotate it with: {}\n",
            Asked::of_process()
                .complete(&format!("secretcache rotate {} --strategy {strategy}", quoted(secret_id)))
        ),
        (false, true) => format!("{secret_id}: can be adopted with {strategy}; nothing was changed\n"),
        (false, false) => format!("{secret_id}: cannot be adopted yet; nothing was changed\n"),
    };
    text += &findings(&adoption.findings);
    for action in &adoption.actions {
        text += &line(&format!("  {}: {}", if *is_done { "done" } else { "to do" }, action.sentence()));
    }
    for remark in &adoption.notes {
        text += &line(&format!("  note: {remark}"));
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  secretcache adopt prod/checkout/db --dry-run
  secretcache adopt --prefix prod/ --dry-run --json
  secretcache adopt prod/checkout/db \\
    --strategy alternating-users --change-ownership";
