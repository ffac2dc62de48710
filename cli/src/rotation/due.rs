//! `secretcache rotate --config FILE --due`: rotates every listed secret that is due.

use std::collections::VecDeque;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use secretcache_rotation::AwsStore;
use secretcache_rotation::operate::{Entry, Inventory};
use serde::Serialize;
use tokio::task::JoinSet;

use super::arguments::RotationArgs;
use super::prepared::{Intent, Prepared, connect};
use super::report::{Steps, note, print};
use super::rotated::Rotated;
use crate::exit::{Exit, Failure};
use crate::service::Service;

/// Options for bulk rotation.
#[derive(Args)]
#[command(next_help_heading = "Many secrets")]
pub(crate) struct Due {
    /// TOML file that lists secrets and their schedules
    #[arg(
        long,
        value_name = "FILE",
        requires = "due",
        conflicts_with_all = [
            "secret_id", "resume", "revert", "clients", "strategy", "engine", "master_secret", "master_host", "users", "ca_file",
            "no_tls", "provider", "statements", "password_length", "exclude_characters", "exclude_numbers",
            "exclude_punctuation", "exclude_uppercase", "exclude_lowercase", "require_each_included_type",
        ]
    )]
    config: Option<PathBuf>,

    /// Rotate every listed secret whose schedule is due, and finish interrupted rotations
    #[arg(long, requires = "config", conflicts_with = "secret_id")]
    due: bool,

    /// How many secrets to rotate at the same time [default: as the file says, or 1]
    #[arg(long, value_name = "N", requires = "config", conflicts_with = "secret_id", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,

    /// Start no more rotations after this many failures [default: as the file says, or no limit]
    #[arg(long, value_name = "N", requires = "config", conflicts_with = "secret_id", value_parser = clap::value_parser!(u16).range(1..))]
    stop_after: Option<u16>,
}

/// The outcome for one listed secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    secret_id: String,
    outcome: Outcome,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotated>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Outcome {
    Rotated,
    Due,
    NotDue,
    Failed,
    NotStarted,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Rotated, Self::Due, Self::NotDue, Self::Failed, Self::NotStarted];

    fn name(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Due => "due",
            Self::NotDue => "not due",
            Self::Failed => "failed",
            Self::NotStarted => "not started",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    secrets: Vec<Line>,
    summary: String,
}

impl Due {
    pub(super) async fn run(&self, service: &Service, dry_run: bool, json: bool) -> Result<Exit, Failure> {
        let path = self.config.as_deref().unwrap_or_else(|| "".as_ref());
        let wrong = |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let inventory = Inventory::from_toml(&text).map_err(|error| wrong(&error))?;
        let mut jobs = VecDeque::new();
        for entry in inventory.entries {
            // Check every entry before the first secret rotates.
            let arguments = RotationArgs::from_entry(&entry).map_err(|failure| wrong(&failure))?;
            arguments.settings().map_err(|failure| wrong(&format!("{}: {failure}", entry.id)))?;
            arguments.options().map_err(|failure| wrong(&format!("{}: {failure}", entry.id)))?;
            jobs.push_back(Job { place: jobs.len(), entry, arguments, service: service.clone() });
        }
        let store = connect(service).await?;
        let now = Timestamp::now();
        let concurrency = self.concurrency.map_or(inventory.concurrency, usize::from);
        let stop_after = self.stop_after.map(usize::from).or(inventory.stop_after).unwrap_or(usize::MAX);
        let mut running = JoinSet::new();
        let mut done: Vec<(usize, Line)> = Vec::new();
        let mut failures = 0;
        loop {
            while failures < stop_after
                && running.len() < concurrency
                && let Some(job) = jobs.pop_front()
            {
                let store = store.clone();
                running.spawn(async move { (job.place, job.run(&store, now, dry_run).await) });
            }
            let Some(ended) = running.join_next().await else { break };
            let (place, line) = ended.map_err(|error| Failure::from(std::io::Error::other(error)))?;
            failures += usize::from(line.outcome == Outcome::Failed);
            if line.outcome == Outcome::Failed {
                note(&format!("{}: failed: {}", line.secret_id, line.reason));
            }
            done.push((place, line));
        }
        let reason = format!("not started after {failures} failures");
        done.extend(
            jobs.into_iter()
                .map(|job| (job.place, Line::new(job.entry.id, Outcome::NotStarted, reason.clone()))),
        );
        done.sort_by_key(|(place, _)| *place);
        let secrets: Vec<_> = done.into_iter().map(|(_, line)| line).collect();
        let summary = summary(&secrets);
        let result = Summary { secrets, summary };
        print(json, &result, &lines(&result))?;
        Ok(if failures > 0 { Exit::Partly } else { Exit::Done })
    }
}

struct Job {
    place: usize,
    entry: Entry,
    arguments: RotationArgs,
    service: Service,
}

impl Job {
    async fn run(&self, store: &AwsStore, now: Timestamp, dry_run: bool) -> Line {
        match self.rotate(store, now, dry_run).await {
            Ok(line) => line,
            Err(failure) => {
                let failure = self.service.explain(failure).await;
                Line::new(self.entry.id.clone(), Outcome::Failed, failure.to_string())
            }
        }
    }

    async fn rotate(&self, store: &AwsStore, now: Timestamp, dry_run: bool) -> Result<Line, Failure> {
        let id = self.entry.id.as_str();
        let due = self.entry.judge(&store.details(id).await?, now)?;
        let reason = due.sentence(now);
        if !due.is_now() || dry_run {
            let outcome = if due.is_now() { Outcome::Due } else { Outcome::NotDue };
            return Ok(Line::new(id.to_owned(), outcome, reason));
        }
        let prepared = Prepared::prepare(store, id, &self.arguments, Intent::Rotation).await?;
        prepared.warnings.iter().for_each(|warning| note(&format!("{id}: {warning}")));
        let strategy = prepared.rotator.strategy();
        let rotation = prepared.runner(strategy.as_ref()).rotate_observed(id, &Steps { id }).await?;
        let rotated = Rotated::new(&prepared, "rotated", Some(rotation));
        Ok(Line { rotation: Some(rotated), ..Line::new(id.to_owned(), Outcome::Rotated, reason) })
    }
}

impl Line {
    fn new(secret_id: String, outcome: Outcome, reason: String) -> Self {
        Self { secret_id, outcome, reason, rotation: None }
    }
}

fn summary(lines: &[Line]) -> String {
    let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
    let counts = Outcome::ALL.iter().map(|outcome| (count(*outcome), outcome.name()));
    let parts: Vec<_> = counts.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let plural = if lines.len() == 1 { "" } else { "s" };
    format!("{} secret{plural}: {}", lines.len(), parts.join(", "))
}

fn lines(result: &Summary) -> String {
    let width = result.secrets.iter().map(|line| line.secret_id.chars().count()).max().unwrap_or(0);
    let line =
        |line: &Line| format!("{:<9} {:<width$}  {}\n", line.outcome.name(), line.secret_id, line.reason);
    result.secrets.iter().map(line).collect::<String>() + &result.summary
}
