//! Many rotations in a row, observed by two plain clients that log in continuously and have no fallback.

use std::sync::Arc;
use std::time::Duration;

use secretcache::AWSCURRENT;
use secretcache_rotation::{AwsStore, Document};
use tokio::sync::{RwLock, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::lane::Lane;
use super::message::FLIP;
use super::relay::Side;
use super::resource::{Kind, Resource, Subject};
use super::secrets::{Secrets, connect_options, rotate, text};

/// The result of many rotations in a row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The kind of server and the strategy.
    pub subject: Subject,
    /// The number of rotations.
    pub rotations: usize,
    /// Logins of the client that reads `AWSCURRENT` before each.
    pub current_logins: usize,
    /// Logins of the client that keeps the preceding version until the next rotation. Zero with one password per user.
    pub preceding_logins: usize,
    /// Refused logins, except those of the client that reads `AWSCURRENT`, within a single user's window.
    pub refused: usize,
    /// Refused logins within a single user's window.
    pub refused_in_window: usize,
    /// The lengths of the windows, from sending the change to the move of the label, shortest first.
    pub windows: Vec<Duration>,
    /// How much longer a rotation takes at the end than at the start: the median of the last tenth over that of the
    /// first.
    pub slowdown: f64,
}

impl Row {
    /// Returns a percentile of the window's length.
    pub fn window(&self, percentile: usize) -> Duration {
        let place = (self.windows.len() * percentile / 100).min(self.windows.len().saturating_sub(1));
        self.windows.get(place).copied().unwrap_or_default()
    }
}

/// Rotates many times in a row, with every strategy that the kind supports. Calls `progress` after each rotation, with the
/// number of rotations so far.
///
/// # Errors
///
/// If a server cannot be started, a rotation fails, or a client gets an error other than a refused login.
pub async fn in_a_row(
    kind: Kind,
    rotations: usize,
    progress: impl Fn(Subject, usize),
) -> Result<Vec<Row>, String> {
    let mut lane = Lane::start(kind, Secrets::start().await?).await?;
    let store = AwsStore::connect(&connect_options(&lane.url)).await.map_err(text)?;
    let mut rows = Vec::new();
    for subject in kind.subjects() {
        rows.push(row(&mut lane, &store, subject, rotations, &progress).await?);
    }
    Ok(rows)
}

async fn row(
    lane: &mut Lane,
    store: &AwsStore,
    subject: Subject,
    rotations: usize,
    progress: &impl Fn(Subject, usize),
) -> Result<Row, String> {
    let secret = lane.add_user(subject).await?;
    let kept = Arc::new(RwLock::new(current(&lane.secrets, &secret).await?));
    let read_anew =
        Client::start(Arc::clone(&lane.resource), Source::Anew(lane.secrets.clone(), secret.clone()));
    let keep = subject
        .has_no_window()
        .then(|| Client::start(Arc::clone(&lane.resource), Source::Kept(Arc::clone(&kept))));
    let (mut windows, mut times) = (Vec::new(), Vec::new());
    for number in 1..=rotations {
        // Each version is used to log in both as the current one and as the preceding one.
        for client in [Some(&read_anew), keep.as_ref()].into_iter().flatten() {
            client.until_looked_anew().await?;
        }
        *kept.write().await = current(&lane.secrets, &secret).await?;
        let start = Instant::now();
        windows.extend(rotation(lane, store, subject, &secret).await?);
        times.push(start.elapsed());
        progress(subject, number);
    }
    let (current_logins, refused) = read_anew.end().await?;
    let (preceding_logins, refused_preceding) = match keep {
        Some(keep) => keep.end().await?,
        None => (0, Vec::new()),
    };
    let is_in_window = |login: &Span| windows.iter().any(|window| window.0 <= login.1 && login.0 <= window.1);
    let refused_in_window = refused.iter().filter(|login| is_in_window(login)).count();
    let mut lengths: Vec<_> = windows.iter().map(|(start, end)| *end - *start).collect();
    lengths.sort();
    Ok(Row {
        subject,
        rotations,
        current_logins,
        preceding_logins,
        refused: refused.len() - refused_in_window + refused_preceding.len(),
        refused_in_window,
        windows: lengths,
        slowdown: slowdown(&times),
    })
}

fn slowdown(times: &[Duration]) -> f64 {
    let median = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2].as_secs_f64()
    };
    let tenth = times.len().div_ceil(10);
    median(&times[times.len() - tenth..]) / median(&times[..tenth])
}

type Span = (Instant, Instant);

/// Runs one rotation in this process. Returns the window of a single user.
async fn rotation(
    lane: &mut Lane,
    store: &AwsStore,
    subject: Subject,
    secret: &str,
) -> Result<Option<Span>, String> {
    let rotating = rotate(store, secret, subject.strategy, lane.description());
    let mut rotating = std::pin::pin!(rotating);
    let (mut start, mut end) = (None, None);
    loop {
        tokio::select! {
            rotated = &mut rotating => {
                rotated.map_err(|problem| format!("{} {subject}: {problem}", subject.kind.name()))?;
                return Ok(start.zip(end).filter(|_| !subject.has_no_window()));
            }
            halt = lane.halts.recv() => {
                let halt = halt.ok_or("the relays are gone")?;
                match (halt.is_at_resource, halt.side, halt.effect.as_str()) {
                    (true, Side::Before, _) => drop(start.get_or_insert_with(Instant::now)),
                    (false, Side::After, FLIP) => end = Some(Instant::now()),
                    _ => {}
                }
                halt.pass();
            }
        }
    }
}

async fn current(secrets: &Secrets, secret: &str) -> Result<Document, String> {
    secrets.value(secret, AWSCURRENT).await?.ok_or_else(|| "no version is current".to_owned())
}

/// Where a client gets its credential from.
enum Source {
    /// Read before each login.
    Anew(Secrets, String),
    /// Kept in memory.
    Kept(Arc<RwLock<Document>>),
}

/// A client that logs in continuously.
struct Client {
    looks: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Vec<Span>, String>>,
}

impl Client {
    fn start(resource: Arc<dyn Resource>, source: Source) -> Self {
        let (count, looks) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut refused = Vec::new();
            while !*stopped.borrow() {
                let start = Instant::now();
                let works = match &source {
                    Source::Anew(secrets, secret) => resource.works(&current(secrets, secret).await?).await?,
                    // Locked during the login, so that it is not replaced meanwhile.
                    Source::Kept(kept) => resource.works(&*kept.read().await).await?,
                };
                if !works {
                    refused.push((start, Instant::now()));
                }
                count.send_modify(|looks| *looks += 1);
            }
            Ok(refused)
        });
        Self { looks, stop, task }
    }

    /// Waits until a login that starts from now on has finished.
    async fn until_looked_anew(&self) -> Result<(), String> {
        let mut looks = self.looks.clone();
        let begun = *looks.borrow() + 1;
        let ended = |_| "a client met something other than a refused login".to_owned();
        looks.wait_for(|looks| *looks > begun).await.map(drop).map_err(ended)
    }

    /// Stops the client. Returns the number of logins, and the refused ones.
    async fn end(self) -> Result<(usize, Vec<Span>), String> {
        self.stop.send_replace(true);
        let refused = self.task.await.map_err(|error| error.to_string())??;
        Ok((*self.looks.borrow(), refused))
    }
}
