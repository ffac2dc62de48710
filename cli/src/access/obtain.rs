//! Obtains the snapshot, from a file or from AWS.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use secretcache_access::Snapshot;
use secretcache_access::collect::{CollectError, Collected, Options, Selection, Variable, collect};

use crate::exit::Failure;
use crate::service::Service;

/// Options to read a snapshot from a file, or write one.
#[derive(Args, Debug)]
#[command(next_help_heading = "Snapshot")]
pub(crate) struct Files {
    /// Use a snapshot that --save wrote; do not call AWS
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save", "region", "profile", "endpoint_url"])]
    offline: Option<PathBuf>,

    /// Save what was collected as a JSON snapshot; it contains no secret values
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// What to collect in addition to the secrets.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) look_back: Option<u32>,
    pub(crate) from_inside: bool,
    pub(crate) allowed_regions: Vec<String>,
}

/// A snapshot, with texts of functions' variables to compare values with.
pub(crate) struct Obtained {
    pub(crate) snapshot: Snapshot,
    pub(crate) variables: Vec<Variable>,
    /// The requested secrets that were not found, each with the reason.
    pub(crate) missing: Vec<String>,
}

impl Files {
    /// Reads from a file if one is given, otherwise from AWS.
    pub(crate) fn offline(offline: Option<PathBuf>) -> Self {
        Self { offline, save: None }
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }

    /// Returns the snapshot, restricted to the requested secrets.
    pub(crate) async fn obtain(
        &self,
        selection: Selection,
        extras: Extras,
        service: &Service,
    ) -> Result<Obtained, Failure> {
        if let Some(file) = &self.offline {
            let mut snapshot = read(file)?;
            let missing = select(&mut snapshot, &selection)?;
            if !extras.allowed_regions.is_empty() {
                snapshot.allowed_regions = extras.allowed_regions;
            }
            return Ok(Obtained { snapshot, variables: Vec::new(), missing });
        }
        let options = service.options();
        let config = options.sdk_config().await.map_err(failed)?;
        let endpoint_url = options.endpoint_url.clone(); // for all services
        let connector = options.http_connector().await.map_err(failed)?;
        let options = Options {
            selection,
            now: Timestamp::now(),
            look_back: extras.look_back,
            from_inside: extras.from_inside,
            allowed_regions: extras.allowed_regions,
            endpoint_url,
        };
        let progress = Progress { is_terminal: io::stderr().is_terminal() };
        let collected =
            collect(&config, connector, &options, &|what, done, count| progress.show(what, done, count))
                .await;
        progress.clear();
        let Collected { snapshot, variables, missing } = collected.map_err(not_collected)?;
        Ok(Obtained { snapshot, variables, missing })
    }

    /// Writes the snapshot, if requested.
    pub(crate) fn keep(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        let Some(file) = &self.save else { return Ok(()) };
        fs::write(file, snapshot.to_json()).map_err(|error| failed(format!("{}: {error}", file.display())))
    }
}

fn failed(error: impl ToString) -> Failure {
    Failure::from(Box::<dyn std::error::Error>::from(error.to_string()))
}

fn not_collected(error: CollectError) -> Failure {
    if error.is_temporary() { Failure::temporary(error.to_string()) } else { failed(error) }
}

fn read(file: &Path) -> Result<Snapshot, Failure> {
    let text = fs::read_to_string(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
    Snapshot::parse(&text).map_err(|error| failed(format!("{}: {error}", file.display())))
}

/// Keeps only the requested secrets, and returns those that were not found. Fails if none was found.
fn select(snapshot: &mut Snapshot, selection: &Selection) -> Result<Vec<String>, Failure> {
    let all = snapshot.secrets.len();
    let mut missing = Vec::new();
    match selection {
        Selection::All => {}
        Selection::Prefix(prefix) => {
            snapshot.secrets.retain(|secret| secret.name.starts_with(prefix.as_str()))
        }
        Selection::Ids(ids) => {
            let is = |secret: &secretcache_access::snapshot::Secret, id: &str| {
                secret.name == id
                    || secret.arn == id
                    || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
            };
            let is_there = |id: &&String| snapshot.secrets.iter().any(|secret| is(secret, id));
            let absent = ids.iter().filter(|id| !is_there(id));
            missing.extend(absent.map(|id| format!("{id}: not in the snapshot")));
            if let Some(first) = missing.first().filter(|_| missing.len() == ids.len()) {
                return Err(failed(first));
            }
            snapshot.secrets.retain(|secret| ids.iter().any(|id| is(secret, id)));
        }
    }
    snapshot.is_partial |= snapshot.secrets.len() < all;
    Ok(missing)
}

/// Progress: one line that is overwritten on a terminal; elsewhere, a line per thousand secrets.
struct Progress {
    is_terminal: bool,
}

impl Progress {
    fn show(&self, what: &str, done: usize, count: usize) {
        let mut error = io::stderr().lock();
        // If standard error is closed, nobody wants the progress.
        let _ = if !self.is_terminal {
            if done > 0 && done.is_multiple_of(1000) {
                writeln!(error, "reading {what}: {done} of {count}")
            } else {
                Ok(())
            }
        } else if count > 0 {
            write!(error, "\r\x1b[Kreading {what}: {done} of {count}").and_then(|()| error.flush())
        } else {
            write!(error, "\r\x1b[Kreading {what}").and_then(|()| error.flush())
        };
    }

    fn clear(&self) {
        if self.is_terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
