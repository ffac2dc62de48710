//! Runs the shared scenarios on the I/O-free cache. The scenario sets the time, and when each request is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secretcache::host::{
    Action, Answer, Cache, ConnectAttempt, ConnectFailure, FetchPermit, Forced, Lookup, Now, Outcome, Waiter,
};
use secretcache::{
    Config, Credential, Description, Error, ErrorKind, Event, Fetched, Secret, Selector, ServiceFault, Stage,
};
use secretcache_tests::scenario::{self, AtMost, Fault, Held, Resource, Scenario, Step, Value};
use serde_json::{Map, Value as Json};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))
}

#[test]
fn every_scenario_holds() {
    let scenarios = scenario::load(folder()).unwrap();
    let mut failed = BTreeMap::new();
    for (name, scenario) in scenarios.into_iter().filter(|(_, scenario)| scenario.runs_in("rust")) {
        if let Err(problem) = World::new(&scenario).run(&scenario) {
            failed.insert(name, problem);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_a_runner_does_not_understand_is_an_error() {
    let good = r#"{"title": "t", "runs": {"rust": true, "python": "why", "c": true, "node": true}, "store": {}, "steps": [{"read": "a", "error": "x"}]}"#;
    assert!(scenario::parse(good).is_ok());
    for (from, to) in [
        ("\"title\"", "\"titel\""),
        ("\"store\": {}", "\"store\": {\"a\": {\"version\": {}}}"),
        (", \"error\"", ", \"eror\""),
        ("\"error\": \"x\"", "\"pass\": 1"),
        ("\"read\": \"a\", \"error\": \"x\"", "\"peek\": \"a\", \"error\": \"x\""),
        ("\"read\": \"a\", \"error\": \"x\"", ""),
        ("\"read\": \"a\", \"error\": \"x\"", "\"connect\": \"a\""),
        ("\"error\": \"x\"", "\"error\": \"x\", \"tried\": []"),
        ("\"error\": \"x\"", "\"error\": \"x\", \"after\": 1"),
        ("\"read\": \"a\", \"error\": \"x\"", "\"resource\": {\"accept\": []}"),
        ("\"python\": \"why\"", "\"python\": false"),
        (", \"python\": \"why\"", ""),
        ("\"python\"", "\"cobol\": true, \"python\""),
    ] {
        assert!(good.contains(from));
        assert!(scenario::parse(&good.replace(from, to)).is_err(), "{to} was accepted");
    }
    assert!(scenario::load(Path::new(env!("CARGO_MANIFEST_DIR"))).is_err(), "an empty folder passed");
}

struct World {
    cache: Cache,
    now: Now,
    store: BTreeMap<String, Held>,
    fault: Option<Fault>,
    is_held: bool,
    /// Requests that the service has not answered.
    waiting: Vec<FetchPermit>,
    calls: Vec<String>,
    resource: Resource,
    logins: Vec<String>,
    /// Steps scheduled for later, each with its time.
    later: Vec<(Now, Step)>,
    events: Arc<Mutex<Vec<Event>>>,
}

type Got = Result<Value, Error>;

/// How a login at the resource fails.
enum Turned {
    Refused,
    Failed,
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let given = &scenario.config;
        let mut config = Config::default();
        config.ttl = given.ttl.map_or(config.ttl, Duration::from_secs);
        config.max_wait = given.max_wait.map_or(config.max_wait, Duration::from_secs);
        config.max_stale = given.max_stale.map(Duration::from_secs);
        config.max_size = given.max_size.unwrap_or(config.max_size);
        config.stale_on_denied = given.stale_on_denied.unwrap_or(config.stale_on_denied);
        let cache = Cache::new(config, 7).unwrap();
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let inbox = Arc::clone(&events);
        cache.listen(Arc::new(move |event| inbox.lock().unwrap().push(event.clone())));
        Self {
            cache,
            now: Now::default().plus(Duration::from_secs(1_000_000)),
            store: scenario.store.clone(),
            fault: None,
            is_held: false,
            waiting: Vec::new(),
            calls: Vec::new(),
            resource: Resource::default(),
            logins: Vec::new(),
            later: Vec::new(),
            events,
        }
    }

    fn run(&mut self, scenario: &Scenario) -> Result<(), String> {
        for (place, step) in scenario.steps.iter().enumerate() {
            self.step(step).map_err(|problem| format!("step {}: {problem}", place + 1))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.catch_up();
        if let Some(seconds) = step.after {
            let at = self.now.plus(Duration::from_secs(seconds));
            self.later.push((at, Step { after: None, ..step.clone() }));
        } else if let Some(id) = &step.read {
            let selector = match (&step.stage, &step.version_id) {
                (_, Some(version_id)) => Selector::version_id(version_id),
                (Some(stage), None) => Selector::stage(stage),
                (None, None) => Selector::CURRENT,
            };
            let expected = step.value.clone().ok_or_else(|| step.error.clone().unwrap_or_default());
            for got in self.read(id, selector, step.readers.unwrap_or(1)) {
                same(&got.map_err(kind), &expected)?;
            }
        } else if let Some(id) = &step.refresh {
            same(&self.ask_now(id, Selector::CURRENT, Cache::force).err().map(kind), &step.error)?;
        } else if let Some(id) = &step.peek {
            let hit = self.cache.peek(id, Selector::CURRENT, self.now);
            same(&hit.map(|hit| value(&hit)), &step.value)?;
        } else if let Some(id) = &step.invalidate {
            self.cache.invalidate(id);
        } else if step.close.is_some() {
            self.cache.close();
        } else if let Some(id) = &step.connect {
            let (got, tried) = self.connect(id, step);
            let expected = step.connected.clone().ok_or_else(|| step.error.clone().unwrap_or_default());
            same(&got, &expected)?;
            if let Some(expected) = &step.tried {
                same(&tried, expected)?;
            }
        } else if let Some(resource) = &step.resource {
            self.resource = resource.clone();
        } else if let Some(changes) = &step.store {
            for (name, change) in changes {
                let held = self.store.entry(name.clone()).or_default();
                held.versions.extend(change.versions.clone());
                held.stages.extend(change.stages.clone());
            }
        } else if let Some(fault) = &step.fail {
            self.fault = Some(fault.clone());
        } else if step.restore.is_some() {
            self.fault = None;
        } else if let Some(is_held) = step.hold {
            self.is_held = is_held;
            for permit in std::mem::take(&mut self.waiting) {
                self.have_done(permit);
            }
        } else if let Some(seconds) = step.pass {
            self.pass(Duration::from_secs(seconds));
        } else if let Some(seconds) = step.suspend {
            let monotonic = self.now.coarse.monotonic;
            self.now = self.now.plus(Duration::from_secs(seconds));
            self.now.coarse.monotonic = monotonic;
        } else if let Some(change) = step.set_wall {
            let wall = self.now.wall.as_secs().saturating_add_signed(change);
            self.now.wall = Duration::from_secs(wall);
            self.now.coarse.wall = wall * 1_000_000_000;
        } else if let Some(calls) = &step.calls {
            let native = calls.get("native").ok_or("no calls of the native driver")?;
            same(&std::mem::take(&mut self.calls), native)?;
        } else if let Some(expected) = &step.logins {
            same(&std::mem::take(&mut self.logins), expected)?;
        } else if let Some(AtMost { logins, calls }) = step.at_most {
            let (logged_in, called) = (std::mem::take(&mut self.logins), std::mem::take(&mut self.calls));
            if logged_in.len() > logins || called.len() > calls {
                return Err(format!("{logged_in:?}, {called:?}"));
            }
        } else if let Some(expected) = &step.events {
            let events = std::mem::take(&mut *self.events.lock().unwrap());
            let mut seen = BTreeSet::new();
            let events: Vec<_> =
                events.iter().map(short).filter(|event| seen.insert(event.clone())).collect();
            same(&events, expected)?;
        } else if let Some(expected) = &step.stats {
            let stats = self.cache.stats(self.now);
            for (name, expected) in expected {
                let counter = match name.as_str() {
                    "hits" => stats.hits,
                    "misses_absent" => stats.misses_absent,
                    "refreshes" => stats.refreshes,
                    "rotations_observed" => stats.rotations_observed,
                    "evictions" => stats.evictions,
                    _ => return Err(format!("there is no counter {name}")),
                };
                same(&(name, counter), &(name, *expected))?;
            }
        }
        Ok(())
    }

    /// Reads with this many readers at the same moment.
    fn read(&mut self, id: &str, selector: Selector<'_>, readers: usize) -> Vec<Got> {
        let (mut got, mut waiters, mut permits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..readers {
            match self.cache.lookup(id, selector, self.now) {
                Lookup::Hit(hit) => got.push(Ok(value(&hit))),
                Lookup::HitDue(hit, permit) => {
                    got.push(Ok(value(&hit)));
                    permits.push(permit);
                }
                Lookup::Leader(permit, waiter) => {
                    permits.push(permit);
                    waiters.push(waiter);
                }
                Lookup::Follower(waiter) => waiters.push(waiter),
                Lookup::Failed(error) => got.push(Err(error)),
            }
        }
        permits.into_iter().for_each(|permit| self.have_done(permit));
        got.extend(waiters.iter().map(|waiter| self.wait(id, selector, waiter)).collect::<Vec<_>>());
        got
    }

    fn wait(&mut self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Got {
        if let Some(outcome) = waiter.outcome() {
            return outcome.for_reader().expect("nobody goes away").map(|secret| value(&secret));
        }
        self.now = self.now.plus(waiter.patience().expect("it waits for ever"));
        let secret = self.cache.give_up(id, selector, waiter, self.now);
        Ok(value(&secret.expect("there is something to give up for")))
    }

    fn ask_now(
        &mut self,
        id: &str,
        selector: Selector<'_>,
        how: fn(&Cache, &str, Selector<'_>, u64, Now) -> Forced,
    ) -> Result<(), Error> {
        let mark = self.cache.mark();
        match how(&self.cache, id, selector, mark, self.now) {
            Forced::Leader(permit, waiter) => {
                self.have_done(permit);
                match waiter.outcome() {
                    Some(Outcome::Value(_)) => Ok(()),
                    Some(Outcome::Failed { error, .. }) => Err(error),
                    other => panic!("{other:?}"),
                }
            }
            Forced::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// Runs one connection attempt. Returns the label and version that logged in, or the kind of its failure, and the
    /// versions that were refused.
    fn connect(&mut self, id: &str, step: &Step) -> (Result<String, String>, Vec<String>) {
        let is_wanted = |stage: &Stage| {
            step.stages.as_ref().is_none_or(|stages| stages.iter().any(|each| each == stage.as_str()))
        };
        let stages: Vec<_> = Stage::ALL.into_iter().filter(is_wanted).collect();
        let timeout = Duration::from_secs(step.timeout.unwrap_or(30));
        let mut attempt = ConnectAttempt::new(&self.cache, id, &stages, timeout, self.now);
        loop {
            match attempt.next(self.now) {
                Action::Try(secret, stage) => {
                    let credential = match Credential::new(secret, stage) {
                        Ok(credential) => credential,
                        Err(error) => return (Err(kind(error)), Vec::new()),
                    };
                    match self.log_in(&credential) {
                        Ok(()) => {
                            attempt.accepted(credential.secret());
                            return (Ok(named(&credential)), Vec::new());
                        }
                        Err(Turned::Refused) => attempt.rejected(credential.secret(), stage, self.now),
                        Err(Turned::Failed) => return (Err("resource".to_owned()), Vec::new()),
                    }
                }
                Action::Read(stage) => {
                    let got = self.read(id, stage.into(), 1).remove(0);
                    attempt.read(stage, got.err(), self.now);
                }
                Action::Refresh(stage) => {
                    let got = self.ask_now(id, stage.into(), Cache::recheck);
                    attempt.read(stage, got.err(), self.now);
                }
                Action::Wait(span) => self.pass(span),
                Action::Stop => break,
            }
        }
        match attempt.failure() {
            ConnectFailure::Rejected { tried, .. } => {
                (Err("login_rejected".to_owned()), tried.iter().map(ToString::to_string).collect())
            }
            ConnectFailure::Secret(error) => (Err(kind(error)), Vec::new()),
        }
    }

    fn log_in(&mut self, credential: &Credential) -> Result<(), Turned> {
        self.catch_up();
        let login =
            |fields: &Map<String, Json>| (fields.get("username").cloned(), fields.get("password").cloned());
        let given = (credential.field("username").cloned(), credential.field("password").cloned());
        let is_taken = self.store.values().flat_map(|held| &held.versions).any(|(version, value)| {
            let fields = match value {
                Value::Text(text) => serde_json::from_str(text).ok(),
                Value::Binary { .. } => None,
            };
            self.resource.accepts.contains(version) && fields.is_some_and(|fields| login(&fields) == given)
        });
        let (result, word) = match () {
            () if self.resource.fails => (Err(Turned::Failed), "failed"),
            () if is_taken => (Ok(()), "accepted"),
            () => (Err(Turned::Refused), "refused"),
        };
        self.logins.push(format!("{} {word}", named(credential)));
        result
    }

    /// Runs the steps that are due by now.
    fn catch_up(&mut self) {
        let now = self.now;
        for (_, step) in self.later.extract_if(.., |(at, _)| now.until(&*at).is_zero()).collect::<Vec<_>>() {
            self.step(&step).expect("a change");
        }
    }

    /// Lets time pass. The refresher runs whatever is due, as soon as it is.
    fn pass(&mut self, mut left: Duration) {
        loop {
            self.catch_up();
            let due = self.cache.due(self.now);
            due.permits.into_iter().for_each(|permit| self.have_done(permit));
            if left.is_zero() {
                return;
            }
            let step =
                due.next.unwrap_or(left).clamp(Duration::from_millis(10), Duration::from_secs(1)).min(left);
            self.now = self.now.plus(step);
            left -= step;
        }
    }

    fn have_done(&mut self, permit: FetchPermit) {
        if self.is_held {
            self.waiting.push(permit);
        } else {
            let result = self.ask(&permit);
            permit.complete(result, self.now);
        }
    }

    /// Makes the calls that the native driver would make.
    fn ask(&mut self, permit: &FetchPermit) -> Result<Answer, Error> {
        let (id, selector) = (permit.id(), permit.selector());
        let known = permit.known().and_then(Secret::version_id).filter(|_| permit.may_describe());
        let Some(known) = known else { return self.fetch(id, selector).map(Answer::value) };
        match self.describe(id) {
            Ok(description) => {
                let unmoved = match selector.as_stage() {
                    Some(stage) => description.version_with_stage(stage) == Some(known),
                    None => description.stages_of(known).is_some(),
                };
                let answer =
                    if unmoved { Answer::unchanged() } else { Answer::value(self.fetch(id, selector)?) };
                Ok(answer.with_description(description))
            }
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                Ok(Answer::value(self.fetch(id, selector)?).describe_denied())
            }
            Err(error) => Err(error),
        }
    }

    fn describe(&mut self, id: &str) -> Result<Description, Error> {
        let held = self.call("DescribeSecret", id)?;
        let mut description = Description::default();
        for version in held.versions.keys() {
            let labels = labels(&held, version);
            if !labels.is_empty() {
                description.versions.push((version.clone(), labels));
            }
        }
        description.arn = held.arn;
        Ok(description)
    }

    fn fetch(&mut self, id: &str, selector: Selector<'_>) -> Result<Fetched, Error> {
        let held = self.call("GetSecretValue", id)?;
        if let Some(Fault { code, message, of, .. }) = &self.fault
            && is_of(&held, selector, of)
        {
            return Err(fault("GetSecretValue", code, message));
        }
        let by_stage = |stage| held.stages.get(stage).cloned().flatten();
        let version = selector.as_version_id().map(str::to_owned).or_else(|| by_stage(selector.as_stage()?));
        let Some((version, held_value)) = version.and_then(|version| held.versions.get_key_value(&version))
        else {
            let message = "Secrets Manager can't find the specified secret value for staging label: it";
            return Err(fault("GetSecretValue", "ResourceNotFoundException", message));
        };
        let mut fetched = match held_value {
            Value::Text(text) => Fetched::string(version, text),
            Value::Binary { bytes } => Fetched::binary(version, bytes),
        };
        fetched.version_stages = labels(&held, version);
        fetched.arn = held.arn;
        Ok(fetched)
    }

    fn call(&mut self, operation: &'static str, id: &str) -> Result<Held, Error> {
        self.calls.push(operation.to_owned());
        self.catch_up();
        if let Some(Fault { code, message, on, of }) = &self.fault
            && of.is_empty()
            && (on.is_empty() || on.iter().any(|name| name == operation))
        {
            return Err(fault(operation, code, message));
        }
        let by_arn =
            |held: &&Held| held.arn.as_deref().is_some_and(|arn| arn == id || arn[..arn.len() - 7] == *id);
        let held = self.store.get(id).or_else(|| self.store.values().find(by_arn));
        let message = "Secrets Manager can't find the specified secret.";
        held.cloned().ok_or_else(|| fault(operation, "ResourceNotFoundException", message))
    }
}

/// Checks whether a request asks for one of these labels, or for a version that has one.
fn is_of(held: &Held, selector: Selector<'_>, of: &[String]) -> bool {
    let asked = |label: &String| {
        selector.as_stage() == Some(label)
            || (selector
                .as_version_id()
                .is_some_and(|id| held.stages.get(label) == Some(&Some(id.to_owned()))))
    };
    of.iter().any(asked)
}

fn labels(held: &Held, version: &str) -> Vec<String> {
    let carries = |id: &Option<String>| id.as_deref() == Some(version);
    held.stages.iter().filter(|(_, id)| carries(id)).map(|(label, _)| label.clone()).collect()
}

fn fault(operation: &'static str, code: &str, message: &str) -> Error {
    let kind = ErrorKind::from_service(code, message, Some(400));
    Error::new(kind, message).with_fault(ServiceFault::new(operation, code, message))
}

fn kind(error: Error) -> String {
    error.kind().name().to_owned()
}

fn named(credential: &Credential) -> String {
    format!("{} {}", credential.version_stage(), credential.version_id().unwrap_or_default())
}

fn value(secret: &Secret) -> Value {
    match secret.binary() {
        Ok(bytes) => Value::Binary { bytes: bytes.to_vec() },
        Err(_) => Value::Text(secret.string().expect("a string").to_owned()),
    }
}

fn short(event: &Event) -> String {
    let id = event.secret_id();
    match event {
        Event::NewVersion { old_version_id, new_version_id, .. } => {
            let version = |version: &Option<String>| version.clone().unwrap_or_default();
            format!("new_version {id} {} {}", version(old_version_id), version(new_version_id))
        }
        Event::Stale { .. } => format!("stale {id}"),
        Event::Error { error, .. } => format!("error {id} {}", error.kind().name()),
        other => format!("{other:?}"),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(got: &T, expected: &T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}")) }
}
