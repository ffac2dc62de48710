//! Fetching many secrets before they are read, in as few calls as the service allows.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::clock::SystemClock;
use super::fetch;
use super::inner::Inner;
use super::process::PerProcess;
use crate::cache::cache::Lookup;
use crate::cache::flight::Outcome;
use crate::cache::permit::FetchPermit;
use crate::cache::stats::Operation;
use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;
use crate::place::Place;
use crate::source::Batch;
use crate::wire::Answer;

/// The time between batches. Their quota is 100 calls a second for the whole account and Region, compared to 10,000 for
/// single reads, and one process must not use it up.
const PACE: Duration = Duration::from_millis(1000 / 30);

/// The number of batches sent at once before the pace applies, so that a starting program has its secrets at once.
const BURST: u32 = 10;

/// How long `BatchGetSecretValue` is not called after it was refused.
const DENIED_FOR: Duration = Duration::from_secs(3600);

/// When this process can send its next batch.
static NEXT_BATCH: PerProcess<Mutex<Instant>> = PerProcess::new();

impl Inner {
    /// Fetches the secrets that are not cached or due, and returns the errors.
    pub(super) async fn prefetch(self: Arc<Self>, ids: Vec<String>) -> Vec<(String, Error)> {
        let mut places = HashMap::<Place, Vec<FetchPermit>>::new();
        let (mut waiting, mut failed) = (Vec::new(), Vec::new());
        for id in ids {
            match self.cache.prefetch(&id, SystemClock::now()) {
                Some(Lookup::Leader(permit, waiter)) => {
                    if IamLogin::has_id(&id) {
                        self.spawn(permit)
                    } else {
                        places.entry(self.places.place_of(permit.id())).or_default().push(permit)
                    }
                    waiting.push((id, waiter));
                }
                Some(Lookup::Follower(waiter)) => waiting.push((id, waiter)),
                Some(Lookup::Failed(error)) => failed.push((id, error)),
                _ => {}
            }
        }
        let mut asking = JoinSet::new();
        for (place, permits) in places {
            let inner = Arc::clone(&self);
            asking.spawn(async move { inner.fetch_batches(&place, permits).await });
        }
        while asking.join_next().await.is_some() {}
        for (id, waiter) in waiting {
            if let Outcome::Failed { error, last_known: None } = waiter.await {
                failed.push((id, error));
            }
        }
        failed
    }

    /// Fetches secrets of one place.
    async fn fetch_batches(self: Arc<Self>, place: &Place, permits: Vec<FetchPermit>) {
        let mut permits = permits.into_iter();
        let mut next =
            || Some(permits.by_ref().take(Batch::MOST).collect()).filter(|batch: &Vec<_>| !batch.is_empty());
        // The first one goes alone to find out whether batches are allowed: denied calls raise alarms.
        if let Some(first) = next() {
            self.fetch_batch(place, first).await;
        }
        let mut asking = JoinSet::new();
        while let Some(batch) = next() {
            if asking.len() >= BURST as usize {
                asking.join_next().await;
            }
            let (inner, place) = (Arc::clone(&self), place.clone());
            asking.spawn(async move { inner.fetch_batch(&place, batch).await });
        }
        while asking.join_next().await.is_some() {}
    }

    async fn fetch_batch(self: &Arc<Self>, place: &Place, permits: Vec<FetchPermit>) {
        let answer = if permits.len() < 2 { None } else { self.ask_batch(place, &permits).await };
        let Some(mut batch) = answer else {
            return permits.into_iter().for_each(|permit| self.spawn(permit));
        };
        let now = SystemClock::now();
        for permit in permits {
            match batch.take(permit.id()) {
                Some(result) => {
                    let result = result.map(|value| self.with_names(&permit, Answer::value(value)));
                    let is_elsewhere = self.places.is_elsewhere(permit.id(), &result);
                    permit.elsewhere(is_elsewhere).complete(result, now);
                }
                None => self.spawn(permit),
            }
        }
        self.wake.notify_one();
    }

    /// Requests a batch. `None` if it was not answered, whatever the reason; the secrets are then fetched one by one.
    async fn ask_batch(&self, place: &Place, permits: &[FetchPermit]) -> Option<Batch> {
        let there = self.places.connect(place, &self.cache).await.ok()?;
        if SystemClock::now().boot.as_secs() < there.no_batch_until.load(Ordering::Relaxed) {
            return None;
        }
        pace().await;
        let ids: Vec<&str> = permits.iter().map(FetchPermit::id).collect();
        self.cache.count_call(Operation::BatchGetSecretValue);
        let asked = self.bounded(&there, false, there.source.fetch_batch(&ids));
        match fetch::caught(asked).await {
            Ok(batch) => Some(batch),
            Err(error) => {
                if matches!(error.kind(), ErrorKind::AccessDenied | ErrorKind::InvalidRequest) {
                    // Not allowed, or not supported by the source: not called again for a while, because denied calls
                    // raise alarms.
                    let until = SystemClock::now().boot.saturating_add(DENIED_FOR).as_secs();
                    there.no_batch_until.store(until, Ordering::Relaxed);
                }
                None
            }
        }
    }
}

async fn pace() {
    let now = Instant::now();
    let Ok(next) = NEXT_BATCH.get_or_try_make(|| Ok::<_, Infallible>(Mutex::new(burst_before(now))));
    let turn = take_turn(&mut *next.lock().await, now);
    sleep_until(turn).await;
}

/// Returns when the next batch can go: one pace after the last. Unused turns add up to one burst at most.
fn take_turn(next: &mut Instant, now: Instant) -> Instant {
    let turn = (*next).max(burst_before(now));
    *next = turn + PACE;
    turn
}

fn burst_before(now: Instant) -> Instant {
    now.checked_sub(PACE * (BURST - 1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_secrets_go_at_once_and_the_rest_at_the_pace() {
        let now = Instant::now() + Duration::from_secs(3600);
        let mut next = burst_before(now);
        let mut turns = (0..14).map(|_| take_turn(&mut next, now));
        assert!(turns.by_ref().take(BURST as usize).all(|turn| turn <= now), "ten batches of twenty");
        assert!(turns.eq((1..=4).map(|place| now + PACE * place)));
        let later = now + Duration::from_secs(60);
        assert!(take_turn(&mut next, later) < later, "a burst is available again");
    }
}
