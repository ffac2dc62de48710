//! A cache and the time it is given, so that a test reads as a sequence of moments.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secretcache::host::{Answer, Cache, FetchPermit, Forced, Lookup, Now, Outcome, Waiter, Watches};
use secretcache::{Config, Description, Error, ErrorKind, Event, Fetched, Selector};

pub(crate) const TTL: u64 = 100;
/// Past the time to live of [`Timeline::new`] and its grace, so that a value is certainly old.
pub(crate) const OLD: u64 = 120;

pub(crate) struct Timeline {
    pub(crate) cache: Cache,
    pub(crate) now: Now,
    events: Arc<Mutex<Vec<Event>>>,
}

/// The result of one read, without the borrow.
#[derive(Debug)]
pub(crate) enum Read {
    Hit(String),
    Due(String, FetchPermit),
    Lead(FetchPermit, Waiter),
    Follow(Waiter),
    Failed(ErrorKind),
}

impl Timeline {
    /// A cache with a time to live of 100 s: refreshes become due between 50 s and 100 s, and the grace ends at 110 s.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::seeded(change, 7)
    }

    pub(crate) fn seeded(change: impl FnOnce(&mut Config), seed: u64) -> Self {
        let mut config = Config { ttl: Duration::from_secs(TTL), ..Config::default() };
        change(&mut config);
        Self::around(Cache::new(config, seed).expect("a valid configuration"))
    }

    /// As [`Timeline::new`], with a list of watches.
    pub(crate) fn watched(watches: Watches) -> Self {
        let config = Config { ttl: Duration::from_secs(TTL), ..Config::default() };
        Self::around(Cache::with_watches(config, 7, watches).expect("a valid configuration"))
    }

    fn around(cache: Cache) -> Self {
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let inbox = Arc::clone(&events);
        cache.listen(Arc::new(move |event| inbox.lock().unwrap().push(event.clone())));
        let mut now = Now::default().plus(Duration::from_secs(1_000));
        now.wall += Duration::from_secs(1_800_000_000);
        now.coarse.wall += 1_800_000_000 * 1_000_000_000;
        Self { cache, now, events }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.pass_for(Duration::from_secs(seconds));
    }

    pub(crate) fn pass_for(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    pub(crate) fn read(&self, id: &str) -> Read {
        self.read_version(id, Selector::CURRENT)
    }

    pub(crate) fn read_version(&self, id: &str, selector: Selector<'_>) -> Read {
        let text = |hit: &secretcache::Hit<'_>| hit.string().expect("a string").to_owned();
        match self.cache.lookup(id, selector, self.now) {
            Lookup::Hit(hit) => Read::Hit(text(&hit)),
            Lookup::HitDue(hit, permit) => Read::Due(text(&hit), permit),
            Lookup::Leader(permit, waiter) => Read::Lead(permit, waiter),
            Lookup::Follower(waiter) => Read::Follow(waiter),
            Lookup::Failed(error) => Read::Failed(error.kind()),
        }
    }

    /// Reads a secret that has nothing to serve, and returns the permit.
    pub(crate) fn lead(&self, id: &str) -> FetchPermit {
        self.lead_version(id, Selector::CURRENT)
    }

    pub(crate) fn lead_version(&self, id: &str, selector: Selector<'_>) -> FetchPermit {
        match self.read_version(id, selector) {
            Read::Lead(permit, _) => permit,
            other => panic!("expected to lead, got {other:?}"),
        }
    }

    /// Reads a secret for the first time.
    pub(crate) fn fill(&self, id: &str, version: &str, value: &str) {
        self.lead(id).complete(answer(version, value), self.now);
    }

    pub(crate) fn force(&self, id: &str) -> FetchPermit {
        match self.cache.force(id, Selector::CURRENT, self.cache.mark(), self.now) {
            Forced::Leader(permit, _) => permit,
            other => panic!("expected to lead, got {other:?}"),
        }
    }

    /// Returns the events since the last call, in short form: `new_version v1 v2`, `stale`, `error throttled`.
    pub(crate) fn take_events(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        events.iter().map(short).collect()
    }

    /// Returns the time until the refresh of the only cached secret is due.
    pub(crate) fn due_in(&self) -> Duration {
        self.cache.stats(self.now).secrets[0].next_refresh_in.expect("a value")
    }
}

fn short(event: &Event) -> String {
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    match event {
        Event::NewVersion { old_version_id, new_version_id, .. } => {
            format!("new_version {} {}", id(old_version_id), id(new_version_id))
        }
        Event::Stale { .. } => "stale".to_owned(),
        Event::Error { error, .. } => format!("error {}", error.kind().name()),
        other => format!("{other:?}"),
    }
}

pub(crate) fn answer(version: &str, value: &str) -> Result<Answer, Error> {
    Ok(Answer::value(Fetched::string(version, value)))
}

/// An extension that counts when it is dropped, and with it the version.
struct Tracked(Arc<AtomicUsize>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// As [`answer`], with a version that is counted when it is dropped.
pub(crate) fn tracked(version: &str, dropped: &Arc<AtomicUsize>) -> Result<Answer, Error> {
    let mut fetched = Fetched::string(version, version);
    fetched.extension = Some(Box::new(Tracked(Arc::clone(dropped))));
    Ok(Answer::value(fetched))
}

/// As [`answer`], from a source that sets the secret's ARN.
pub(crate) fn answer_of(arn: &str, version: &str, value: &str) -> Result<Answer, Error> {
    let mut fetched = Fetched::string(version, value);
    fetched.arn = Some(arn.to_owned());
    Ok(Answer::value(fetched))
}

/// A description that gives each version one label.
pub(crate) fn described(versions: &[(&str, &str)]) -> Description {
    let mut description = Description::default();
    for (version, stage) in versions {
        description.versions.push(((*version).to_owned(), vec![(*stage).to_owned()]));
    }
    description
}

pub(crate) fn failure(kind: ErrorKind) -> Result<Answer, Error> {
    Err(Error::new(kind, "as scripted"))
}

/// Returns what a reader gets when its wait ends.
pub(crate) fn outcome(waiter: &Waiter) -> Option<Result<String, ErrorKind>> {
    let result = waiter.outcome()?.for_reader()?;
    Some(result.map(|secret| secret.string().expect("a string").to_owned()).map_err(|error| error.kind()))
}

pub(crate) fn is_abandoned(waiter: &Waiter) -> bool {
    matches!(waiter.outcome(), Some(Outcome::Abandoned))
}
