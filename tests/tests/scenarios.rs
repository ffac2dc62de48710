//! Runs the shared scenarios on the pure cache: time is given, and every request is answered when the scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secretcache::{
    Answer, Cache, Config, Description, Error, ErrorKind, Event, Fetched, Forced, Lookup, Now, Outcome,
    Secret, Selector, ServiceFault, Ticket, Waiter,
};
use secretcache_tests::scenario::{self, Fault, Held, Scenario, Step, Value};

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
    let good = r#"{"title": "t", "runs": {"rust": true, "python": "why"}, "store": {}, "steps": [{"read": "a", "error": "x"}]}"#;
    assert!(scenario::parse(good).is_ok());
    for (from, to) in [
        ("\"title\"", "\"titel\""),
        ("\"store\": {}", "\"store\": {\"a\": {\"version\": {}}}"),
        (", \"error\"", ", \"eror\""),
        ("\"error\": \"x\"", "\"pass\": 1"),
        ("\"read\": \"a\", \"error\": \"x\"", "\"peek\": \"a\", \"error\": \"x\""),
        ("\"read\": \"a\", \"error\": \"x\"", ""),
        ("\"python\": \"why\"", "\"python\": false"),
        (", \"python\": \"why\"", ""),
        ("\"python\"", "\"cobol\": true, \"python\""),
    ] {
        assert!(good.contains(from));
        assert!(scenario::parse(&good.replace(from, to)).is_err(), "{to} was taken");
    }
    assert!(scenario::load(Path::new(env!("CARGO_MANIFEST_DIR"))).is_err(), "an empty folder was taken");
}

struct World {
    cache: Cache,
    now: Now,
    store: BTreeMap<String, Held>,
    fault: Option<Fault>,
    is_held: bool,
    /// Requests that the service has not answered.
    waiting: Vec<Ticket>,
    calls: Vec<String>,
    told: Arc<Mutex<Vec<Event>>>,
}

type Got = Result<Value, String>;

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
        let told = Arc::<Mutex<Vec<Event>>>::default();
        let inbox = Arc::clone(&told);
        cache.listen(Arc::new(move |event| inbox.lock().unwrap().push(event.clone())));
        Self {
            cache,
            now: Now::default().plus(Duration::from_secs(1_000_000)),
            store: scenario.store.clone(),
            fault: None,
            is_held: false,
            waiting: Vec::new(),
            calls: Vec::new(),
            told,
        }
    }

    fn run(&mut self, scenario: &Scenario) -> Result<(), String> {
        for (place, step) in scenario.steps.iter().enumerate() {
            self.step(step).map_err(|problem| format!("step {}: {problem}", place + 1))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Some(id) = &step.read {
            let selector = match (&step.stage, &step.version_id) {
                (_, Some(version_id)) => Selector::version_id(version_id),
                (Some(stage), None) => Selector::stage(stage),
                (None, None) => Selector::CURRENT,
            };
            let expected = step.value.clone().ok_or_else(|| step.error.clone().unwrap_or_default());
            for got in self.read(id, selector, step.readers.unwrap_or(1)) {
                same(&got, &expected)?;
            }
        } else if let Some(id) = &step.refresh {
            same(&self.refresh(id).err(), &step.error)?;
        } else if let Some(id) = &step.peek {
            let hit = self.cache.peek(id, Selector::CURRENT, self.now);
            same(&hit.map(|hit| value(&hit)), &step.value)?;
        } else if let Some(id) = &step.invalidate {
            self.cache.invalidate(id);
        } else if step.close.is_some() {
            self.cache.close();
        } else if let Some(changes) = &step.store {
            for (name, change) in changes {
                let held = self.store.entry(name.clone()).or_default();
                held.versions.extend(change.versions.clone());
                held.stages.extend(change.stages.clone());
            }
        } else if let Some(fault) = &step.fail {
            self.fault = Some(fault.clone());
        } else if step.mend.is_some() {
            self.fault = None;
        } else if let Some(is_held) = step.hold {
            self.is_held = is_held;
            for ticket in std::mem::take(&mut self.waiting) {
                self.have_done(ticket);
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
        } else if let Some(expected) = &step.events {
            let told = std::mem::take(&mut *self.told.lock().unwrap());
            let mut seen = BTreeSet::new();
            let told: Vec<_> = told.iter().map(short).filter(|event| seen.insert(event.clone())).collect();
            same(&told, expected)?;
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

    /// So many readers at the same moment.
    fn read(&mut self, id: &str, selector: Selector<'_>, readers: usize) -> Vec<Got> {
        let (mut got, mut waiters, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..readers {
            match self.cache.lookup(id, selector, self.now) {
                Lookup::Hit(hit) => got.push(Ok(value(&hit))),
                Lookup::HitDue(hit, ticket) => {
                    got.push(Ok(value(&hit)));
                    tickets.push(ticket);
                }
                Lookup::Lead(ticket, waiter) => {
                    tickets.push(ticket);
                    waiters.push(waiter);
                }
                Lookup::Follow(waiter) => waiters.push(waiter),
                Lookup::Failed(error) => got.push(Err(error.kind().name().to_owned())),
            }
        }
        tickets.into_iter().for_each(|ticket| self.have_done(ticket));
        got.extend(waiters.iter().map(|waiter| self.wait(id, selector, waiter)).collect::<Vec<_>>());
        got
    }

    fn wait(&mut self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Got {
        if let Some(outcome) = waiter.outcome() {
            return outcome
                .for_reader()
                .expect("nobody goes away")
                .map(|secret| value(&secret))
                .map_err(|error| error.kind().name().to_owned());
        }
        let patience = waiter.patience().ok_or("it waits for ever")?;
        self.now = self.now.plus(patience);
        let secret = self.cache.give_up(id, selector, waiter, self.now).ok_or("nothing to give up for")?;
        Ok(value(&secret))
    }

    fn refresh(&mut self, id: &str) -> Result<(), String> {
        let mark = self.cache.mark();
        match self.cache.force(id, Selector::CURRENT, mark, self.now) {
            Forced::Lead(ticket, waiter) => {
                self.have_done(ticket);
                match waiter.outcome() {
                    Some(Outcome::Value(_)) => Ok(()),
                    Some(Outcome::Failed { error, .. }) => Err(error.kind().name().to_owned()),
                    other => Err(format!("{other:?}")),
                }
            }
            Forced::Failed(error) => Err(error.kind().name().to_owned()),
            other => Err(format!("{other:?}")),
        }
    }

    /// Time passes, and the refresher does what is due as soon as it is.
    fn pass(&mut self, mut left: Duration) {
        loop {
            let due = self.cache.due(self.now);
            due.tickets.into_iter().for_each(|ticket| self.have_done(ticket));
            if left.is_zero() {
                return;
            }
            let step =
                due.next.unwrap_or(left).clamp(Duration::from_millis(10), Duration::from_secs(1)).min(left);
            self.now = self.now.plus(step);
            left -= step;
        }
    }

    fn have_done(&mut self, ticket: Ticket) {
        if self.is_held {
            self.waiting.push(ticket);
        } else {
            let result = self.ask(&ticket);
            ticket.complete(result, self.now);
        }
    }

    /// The calls that the native driver makes.
    fn ask(&mut self, ticket: &Ticket) -> Result<Answer, Error> {
        let (id, selector) = (ticket.id(), ticket.selector());
        let known = ticket.known().and_then(Secret::version_id).filter(|_| ticket.may_describe());
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
        if let Some(Fault { code, message, on }) = &self.fault
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

fn labels(held: &Held, version: &str) -> Vec<String> {
    let carries = |id: &Option<String>| id.as_deref() == Some(version);
    held.stages.iter().filter(|(_, id)| carries(id)).map(|(label, _)| label.clone()).collect()
}

fn fault(operation: &'static str, code: &str, message: &str) -> Error {
    let kind = ErrorKind::from_service(code, message, Some(400));
    Error::new(kind, message).with_fault(ServiceFault::new(operation, code, message))
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
