//! Random histories of a cache, compared with a very small model of it.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use secretcache::host::{Answer, Cache, FetchPermit, Forced, Lookup, Now, Outcome};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};

const IDS: [&str; 3] = ["a", "b", "c"];
const STAGES: [&str; 2] = ["AWSCURRENT", "AWSPENDING"];
const TTL: Duration = Duration::from_secs(100);
const GRACE: Duration = Duration::from_secs(10);
const MAX_STALE: Duration = Duration::from_secs(400);

/// A secret and a stage, by their indexes above.
type Line = (usize, usize);

#[derive(Clone, Copy, Debug)]
enum Step {
    Read(Line),
    Peek(Line),
    Force(Line),
    /// Ends one of the requests in progress: with the version it read when it began, or otherwise.
    End {
        which: usize,
        how: End,
    },
    Refresher,
    Rotate(Line),
    Invalidate(usize),
    Pass(u64),
    Suspend(u64),
    SetWall(i64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Value,
    Unchanged,
    Fail(ErrorKind),
    Drop,
}

/// A request in progress.
struct Request {
    permit: FetchPermit,
    line: Line,
    /// The version the source had when the request began.
    version: u64,
    /// Whether the line it began for still exists.
    alive: bool,
}

#[derive(Default)]
struct Model {
    /// The versions in the source.
    versions: HashMap<Line, u64>,
    /// The versions that the cache must hold, which are those of the last answers, and when these arrived.
    held: HashMap<Line, (u64, Now)>,
    /// The endpoint has failed or throttled, so other refreshes may be held back for a while.
    has_seen_outage: bool,
    /// Lines whose last request failed.
    failed: HashMap<Line, ErrorKind>,
    requests: Vec<Request>,
}

struct World {
    cache: Cache,
    now: Now,
    model: Model,
}

impl World {
    fn new(seed: u64) -> Self {
        let config =
            Config { ttl: TTL, max_stale: Some(MAX_STALE), stale_on_denied: false, ..Config::default() };
        let mut now = Now::default().plus(Duration::from_secs(1_000_000));
        now.wall += Duration::from_secs(1_800_000_000);
        now.coarse.wall += 1_800_000_000 * 1_000_000_000;
        Self { cache: Cache::new(config, seed).unwrap(), now, model: Model::default() }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Read(line) => self.read(line)?,
            Step::Peek(line) => self.peek(line)?,
            Step::Force(line) => self.force(line)?,
            Step::End { which, how } => self.end(which, how)?,
            Step::Refresher => {
                for permit in self.cache.due(self.now).permits {
                    let line = line_of(&permit);
                    prop_assert!(self.model.held.contains_key(&line), "a refresh of nothing");
                    self.begin(line, permit)?;
                }
            }
            Step::Rotate(line) => *self.model.versions.entry(line).or_default() += 1,
            Step::Invalidate(id) => {
                self.cache.invalidate(IDS[id]);
                self.model.held.retain(|line, _| line.0 != id);
                self.model.failed.retain(|line, _| line.0 != id);
                self.model.requests.iter_mut().filter(|it| it.line.0 == id).for_each(|it| it.alive = false);
            }
            Step::Pass(seconds) => self.now = self.now.plus(Duration::from_secs(seconds)),
            Step::Suspend(seconds) => {
                let monotonic = self.now.coarse.monotonic;
                self.now = self.now.plus(Duration::from_secs(seconds));
                self.now.coarse.monotonic = monotonic;
            }
            Step::SetWall(change) => {
                let wall = self.now.wall.as_secs().saturating_add_signed(change);
                self.now.wall = Duration::from_secs(wall);
                self.now.coarse.wall = wall * 1_000_000_000;
            }
        }
        Ok(())
    }

    fn read(&mut self, line: Line) -> Result<(), TestCaseError> {
        let (in_flight, failed) = (self.in_flight(line), self.model.failed.get(&line).copied());
        match self.cache.clone().lookup(IDS[line.0], selector(line), self.now) {
            Lookup::Hit(hit) => {
                self.served(line, hit.string().unwrap())?;
                let old = self.visible_age(line) >= TTL + GRACE;
                let doubt = in_flight || failed.is_some() || self.model.has_seen_outage;
                prop_assert!(!old || doubt, "an old value served without a reason");
            }
            Lookup::HitDue(hit, permit) => {
                self.served(line, hit.string().unwrap())?;
                let old = self.age(line) >= TTL + GRACE;
                // A reader does not wait if its refresh was held back in an outage and can go now.
                let doubt = failed.is_some() || self.model.has_seen_outage;
                prop_assert!(!old || doubt, "an old value served during a background refresh");
                self.begin(line, permit)?;
            }
            Lookup::Leader(permit, waiter) => {
                let usable = self.model.held.contains_key(&line) && self.age(line) < MAX_STALE;
                prop_assert_eq!(
                    waiter.patience().is_some(),
                    usable,
                    "patience without a value to fall back to"
                );
                self.begin(line, permit)?;
            }
            Lookup::Follower(_) => prop_assert!(in_flight, "follows nobody"),
            Lookup::Failed(error) => prop_assert_eq!(Some(error.kind()), failed, "a failure without a cause"),
        }
        Ok(())
    }

    fn peek(&self, line: Line) -> Result<(), TestCaseError> {
        match self.cache.peek(IDS[line.0], selector(line), self.now) {
            Some(hit) => self.served(line, hit.string().unwrap()),
            None => {
                let usable = self.model.held.contains_key(&line) && self.age(line) < MAX_STALE;
                prop_assert!(!usable, "a value that can be served was not");
                Ok(())
            }
        }
    }

    fn force(&mut self, line: Line) -> Result<(), TestCaseError> {
        let mark = self.cache.mark();
        let forced = self.cache.force(IDS[line.0], selector(line), mark, self.now);
        self.model.failed.retain(|other, _| other.0 != line.0);
        match forced {
            Forced::Leader(permit, waiter) => {
                prop_assert!(permit.known().is_none() && waiter.patience().is_none());
                self.begin(line, permit)?;
            }
            Forced::Superseded(_) => prop_assert!(self.in_flight(line)),
            Forced::Follower(_) => prop_assert!(false, "joined a request from before"),
            Forced::Failed(error) => prop_assert!(false, "{}", error),
        }
        Ok(())
    }

    fn begin(&mut self, line: Line, permit: FetchPermit) -> Result<(), TestCaseError> {
        prop_assert!(!self.in_flight(line), "two requests for one version of a secret");
        prop_assert_eq!(line_of(&permit), line);
        let version = self.version(line);
        self.model.requests.push(Request { permit, line, version, alive: true });
        Ok(())
    }

    fn end(&mut self, which: usize, how: End) -> Result<(), TestCaseError> {
        if self.model.requests.is_empty() {
            return Ok(());
        }
        let Request { permit, line, version, alive } =
            self.model.requests.swap_remove(which % self.model.requests.len());
        let waiter = permit.waiter();
        let value = value(line, version);
        let known = permit.known().and_then(|known| known.version_id().map(str::to_owned));
        match how {
            End::Drop => {
                drop(permit);
                prop_assert!(matches!(waiter.outcome(), Some(Outcome::Abandoned)));
            }
            End::Fail(kind) => {
                permit.complete(Err(Error::new(kind, "as scripted")), self.now);
                self.model.has_seen_outage |= matches!(kind, ErrorKind::Throttled | ErrorKind::Timeout);
                let Some(Outcome::Failed { error, last_known }) = waiter.outcome() else {
                    return Err(TestCaseError::fail("a failure got lost"));
                };
                prop_assert_eq!(error.kind(), kind);
                let gone = matches!(kind, ErrorKind::VersionNotFound | ErrorKind::AccessDenied);
                if gone || (alive && self.age(line) >= MAX_STALE) {
                    prop_assert!(last_known.is_none(), "a value past max_stale was returned");
                }
                if alive {
                    if let Some(last_known) = &last_known {
                        self.served(line, last_known.string().unwrap())?;
                    } else {
                        self.model.held.remove(&line);
                    }
                    self.model.failed.insert(line, kind);
                }
            }
            End::Value | End::Unchanged => {
                let unchanged = matches!(how, End::Unchanged) && known == Some(format!("v{version}"));
                let answer = if unchanged {
                    Answer::unchanged()
                } else {
                    Answer::value(Fetched::string(&format!("v{version}"), &value))
                };
                permit.complete(Ok(answer), self.now);
                let Some(Outcome::Value(secret)) = waiter.outcome() else {
                    return Err(TestCaseError::fail("an answer got lost"));
                };
                prop_assert_eq!(secret.string().unwrap(), &value);
                if alive {
                    self.model.held.insert(line, (version, self.now));
                    self.model.failed.remove(&line);
                    let hit = self.cache.hit(IDS[line.0], selector(line), self.now.coarse).unwrap();
                    prop_assert_eq!(hit.string().unwrap(), &value, "not served after success");
                }
            }
        }
        Ok(())
    }

    /// Checks a served value: it must be the one of the last answer, and not too old.
    fn served(&self, line: Line, served: &str) -> Result<(), TestCaseError> {
        let held = self.model.held.get(&line).map(|(version, _)| value(line, *version));
        prop_assert_eq!(Some(served), held.as_deref());
        prop_assert!(self.visible_age(line) < MAX_STALE, "served past max_stale");
        Ok(())
    }

    fn age(&self, line: Line) -> Duration {
        self.model.held.get(&line).map_or(Duration::ZERO, |(_, confirmed)| self.now.since(confirmed))
    }

    /// The age as far as a hit can see it. A hit does not read the time since boot, so if the wall clock is set back
    /// after a suspension, only the next lookup notices.
    fn visible_age(&self, line: Line) -> Duration {
        self.model.held.get(&line).map_or(Duration::ZERO, |(_, confirmed)| {
            let monotonic = self.now.coarse.monotonic.saturating_sub(confirmed.coarse.monotonic);
            let wall = self.now.coarse.wall.saturating_sub(confirmed.coarse.wall);
            Duration::from_nanos(monotonic.max(wall))
        })
    }

    fn in_flight(&self, line: Line) -> bool {
        self.model.requests.iter().any(|request| request.line == line && request.alive)
    }

    fn version(&self, line: Line) -> u64 {
        self.model.versions.get(&line).copied().unwrap_or_default()
    }
}

fn selector(line: Line) -> Selector<'static> {
    Selector::stage(STAGES[line.1])
}

fn line_of(permit: &FetchPermit) -> Line {
    let place = |names: &[&str], name: &str| names.iter().position(|it| *it == name).unwrap();
    (place(&IDS, permit.id()), place(&STAGES, permit.selector().as_stage().unwrap()))
}

fn value(line: Line, version: u64) -> String {
    format!("{} {} {version}", IDS[line.0], STAGES[line.1])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let line = || (0..IDS.len(), 0..STAGES.len());
    let kinds =
        vec![ErrorKind::Throttled, ErrorKind::AccessDenied, ErrorKind::VersionNotFound, ErrorKind::Timeout];
    let end = prop_oneof![
        6 => Just(End::Value),
        3 => Just(End::Unchanged),
        3 => prop::sample::select(kinds).prop_map(End::Fail),
        1 => Just(End::Drop),
    ];
    let step = prop_oneof![
        10 => line().prop_map(Step::Read),
        2 => line().prop_map(Step::Peek),
        2 => line().prop_map(Step::Force),
        10 => (0..12_usize, end).prop_map(|(which, how)| Step::End { which, how }),
        2 => Just(Step::Refresher),
        3 => line().prop_map(Step::Rotate),
        1 => (0..IDS.len()).prop_map(Step::Invalidate),
        6 => (0..70_u64).prop_map(Step::Pass),
        1 => (0..500_u64).prop_map(Step::Suspend),
        1 => (-100_000..100_000_i64).prop_map(Step::SetWall),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_events_breaks_a_promise(steps in steps(), seed: u64) {
        let mut world = World::new(seed);
        for step in steps {
            world.step(step)?;
        }
    }
}
