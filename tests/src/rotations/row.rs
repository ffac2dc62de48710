//! Many rotations in a row, under the eyes of two plain clients that log in all the time and fall back on nothing.

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

/// What became of many rotations in a row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What rotated, and how.
    pub subject: Subject,
    /// How many rotations there were.
    pub rotations: usize,
    /// Logins of the client that reads `AWSCURRENT` before each.
    pub current_logins: usize,
    /// Logins of the client that keeps the preceding version until the next rotation; none with one password per user.
    pub preceding_logins: usize,
    /// Refused logins, save for those of the former client within the window of a single user.
    pub refused: usize,
    /// Refused logins within the window of a single user.
    pub refused_in_window: usize,
    /// How long the windows were, from the change's being sent to the label's having moved, shortest first.
    pub windows: Vec<Duration>,
    /// How much longer a rotation took towards the end than at the beginning: the last tenth's median over the first's.
    pub slowdown: f64,
}

impl Row {
    /// The length of a window that so many of a hundred do not exceed.
    pub fn window(&self, percentile: usize) -> Duration {
        let place = (self.windows.len() * percentile / 100).min(self.windows.len().saturating_sub(1));
        self.windows.get(place).copied().unwrap_or_default()
    }
}

/// Rotates so many times in a row, in each of the ways there are.
///
/// # Errors
///
/// A server could not be started, a rotation failed, or a client met something other than a refused login.
pub async fn in_a_row(kind: Kind, rotations: usize) -> Result<Vec<Row>, String> {
    let mut lane = Lane::start(kind, Secrets::start().await?).await?;
    let store = AwsStore::connect(&connect_options(&lane.url)).await.map_err(text)?;
    let mut rows = Vec::new();
    for subject in kind.subjects() {
        rows.push(row(&mut lane, &store, subject, rotations).await?);
    }
    Ok(rows)
}

async fn row(lane: &mut Lane, store: &AwsStore, subject: Subject, rotations: usize) -> Result<Row, String> {
    let secret = lane.add_user(subject).await?;
    let kept = Arc::new(RwLock::new(current(&lane.secrets, &secret).await?));
    let read_anew =
        Client::start(Arc::clone(&lane.resource), Source::Anew(lane.secrets.clone(), secret.clone()));
    let keep = subject
        .has_no_window()
        .then(|| Client::start(Arc::clone(&lane.resource), Source::Kept(Arc::clone(&kept))));
    let (mut windows, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rotations {
        // Every version is logged in by, both as the current one and as the preceding one.
        for client in [Some(&read_anew), keep.as_ref()].into_iter().flatten() {
            client.until_looked_anew().await?;
        }
        *kept.write().await = current(&lane.secrets, &secret).await?;
        let start = Instant::now();
        windows.extend(rotation(lane, store, subject, &secret).await?);
        times.push(start.elapsed());
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

/// One rotation in this process; gives the window of a single user.
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

/// Where a client has its credential from.
enum Source {
    /// Read before each login.
    Anew(Secrets, String),
    /// Kept for it.
    Kept(Arc<RwLock<Document>>),
}

/// A client that logs in all the time.
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
                    // Held while it is used, so that it is not exchanged in the middle of a login.
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

    /// Returns when a login that begins from now on is over.
    async fn until_looked_anew(&self) -> Result<(), String> {
        let mut looks = self.looks.clone();
        let begun = *looks.borrow() + 1;
        let ended = |_| "a client met something other than a refused login".to_owned();
        looks.wait_for(|looks| *looks > begun).await.map(drop).map_err(ended)
    }

    /// How many logins there were, and those refused.
    async fn end(self) -> Result<(usize, Vec<Span>), String> {
        self.stop.send_replace(true);
        let refused = self.task.await.map_err(|error| error.to_string())??;
        Ok((*self.looks.borrow(), refused))
    }
}
