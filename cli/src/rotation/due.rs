//! `secretcache rotate --config FILE --due`: rotates every listed secret that is due.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use secretcache_rotation::AwsStore;
use secretcache_rotation::operate::{Entry, Inventory};
use serde::Serialize;
use tokio::task::{JoinError, JoinSet};

use super::arguments::RotationArgs;
use super::prepared::{Intent, Prepared, connect};
use super::report::{Steps, line, note, print};
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
        let mut jobs = Vec::new();
        for entry in inventory.entries {
            // Check every entry before the first secret rotates.
            let arguments = RotationArgs::from_entry(&entry).map_err(|failure| wrong(&failure))?;
            arguments.settings().map_err(|failure| wrong(&format!("{}: {failure}", entry.id)))?;
            arguments.options().map_err(|failure| wrong(&format!("{}: {failure}", entry.id)))?;
            jobs.push(Job { entry, arguments, service: service.clone() });
        }
        let store = connect(service).await?;
        let now = Timestamp::now();
        let jobs = jobs.into_iter().map(|job| {
            let store = store.clone();
            (job.entry.id.clone(), async move { job.run(&store, now, dry_run).await })
        });
        let concurrency = self.concurrency.map_or(inventory.concurrency, usize::from);
        let stop_after = self.stop_after.map(usize::from).or(inventory.stop_after).unwrap_or(usize::MAX);
        let (secrets, failures) = all(jobs.collect(), concurrency, stop_after).await;
        let summary = summary(&secrets);
        let result = Summary { secrets, summary };
        print(json, &result, &lines(&result))?;
        Ok(if failures > 0 { Exit::Partly } else { Exit::Done })
    }
}

/// Runs the jobs, each with the id of its secret, `concurrency` at a time. Starts none after `stop_after` failures.
/// Returns a line for every job, in their order, and the number of failures.
async fn all<F>(mut jobs: VecDeque<(String, F)>, concurrency: usize, stop_after: usize) -> (Vec<Line>, usize)
where
    F: Future<Output = Line> + Send + 'static,
{
    let count = jobs.len();
    let mut running = JoinSet::new();
    let mut started = HashMap::new();
    let mut done: Vec<(usize, Line)> = Vec::new();
    let mut failures = 0;
    loop {
        while failures < stop_after
            && running.len() < concurrency
            && let Some((id, job)) = jobs.pop_front()
        {
            let place = count - jobs.len() - 1;
            started.insert(running.spawn(job).id(), (place, id));
        }
        let Some(ended) = running.join_next_with_id().await else { break };
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some((place, id)) = started.remove(&task) else { continue };
        // A defect that one secret shows must not keep the others from rotating.
        let line = ended.map_or_else(|_| Line::of_defect(id), |(_, line)| line);
        failures += usize::from(line.outcome == Outcome::Failed);
        if line.outcome == Outcome::Failed {
            note(&format!("{}: failed: {}", line.secret_id, line.reason));
        }
        done.push((place, line));
    }
    let reason = format!("not started after {failures} failures");
    let place = |rest: usize| count - jobs.len() + rest;
    done.extend(
        jobs.iter()
            .enumerate()
            .map(|(rest, (id, _))| (place(rest), Line::new(id.clone(), Outcome::NotStarted, reason.clone()))),
    );
    done.sort_by_key(|(place, _)| *place);
    (done.into_iter().map(|(_, line)| line).collect(), failures)
}

struct Job {
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

    /// Makes the line of a secret whose rotation panicked. The panic's own message is on the standard error already.
    fn of_defect(secret_id: String) -> Self {
        let reason = format!(
            "a defect in secretcache ended the rotation halfway; report the message about a panic, and find out what state the secret is in: secretcache status {secret_id}"
        );
        Self::new(secret_id, Outcome::Failed, reason)
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
    let shown =
        |it: &Line| line(&format!("{:<9} {:<width$}  {}", it.outcome.name(), it.secret_id, it.reason));
    result.secrets.iter().map(shown).collect::<String>() + &result.summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcomes: &[(&str, Outcome)], stop_after: usize) -> (Vec<(String, Outcome)>, usize) {
        let job = |(id, outcome): &(&str, Outcome)| {
            let (id, outcome) = ((*id).to_owned(), *outcome);
            (id.clone(), async move {
                assert!(id != "broken", "a defect");
                Line::new(id, outcome, String::new())
            })
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (lines, failures) = runtime.block_on(all(outcomes.iter().map(job).collect(), 2, stop_after));
        (lines.into_iter().map(|line| (line.secret_id, line.outcome)).collect(), failures)
    }

    #[test]
    fn a_secret_that_shows_a_defect_fails_and_the_others_rotate() {
        use Outcome::{Failed, NotDue, NotStarted, Rotated};

        let jobs = [("one", Rotated), ("broken", Rotated), ("two", NotDue), ("three", Rotated)];
        let named = |outcomes: [Outcome; 4]| -> Vec<_> {
            jobs.iter().zip(outcomes).map(|((id, _), outcome)| ((*id).to_owned(), outcome)).collect()
        };
        assert_eq!(run(&jobs, usize::MAX), (named([Rotated, Failed, NotDue, Rotated]), 1));
        let (lines, failures) = run(&jobs, 1);
        assert_eq!((lines.last(), failures), (named([Rotated, Failed, NotDue, NotStarted]).last(), 1));
    }
}
