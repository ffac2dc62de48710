//! Logins are retried between the steps of a single-user rotation, in every possible interleaving.

use std::time::Duration;

use secretcache::host::{Action, Answer, Cache, ConnectAttempt, FetchPermit, Forced, Lookup};
use secretcache::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, Description, Error, ErrorKind, Fetched, Selector, Stage,
};

use crate::timeline::Timeline;

/// How the caller's policy and client find a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// Our own transport: describes, then fetches by staging label.
    Native,
    /// Our own transport, if `DescribeSecret` is denied.
    GetSecretValueAlone,
    /// The program's own client: always describes first, then fetches by version id.
    Supplied,
}

/// The secret, and the database that accepts the password of one version.
struct World {
    time: Timeline,
    source: Source,
    labels: Vec<(&'static str, u32)>,
    /// The version whose password the database accepts.
    password: u32,
    /// The steps of the rotation, each with the number of the call or login, since its beginning, before which it
    /// happens.
    steps: Vec<(usize, Step)>,
    events: usize,
    calls: usize,
    refused: usize,
    waited: Duration,
}

#[derive(Clone, Copy)]
enum Step {
    Create,
    Set,
    Finish,
}

impl World {
    fn new(source: Source) -> Self {
        let (time, labels) = (Timeline::new(), vec![(AWSCURRENT, 0)]);
        let (events, calls, refused, waited) = Default::default();
        Self { time, source, labels, password: 0, steps: Vec::new(), events, calls, refused, waited }
    }

    fn rotate(&mut self, moments: [usize; 3]) {
        self.steps = moments.into_iter().zip([Step::Create, Step::Set, Step::Finish]).collect();
        (self.events, self.calls, self.refused) = (0, 0, 0);
    }

    fn version(&self, stage: &str) -> Option<u32> {
        self.labels.iter().find(|(label, _)| *label == stage).map(|(_, version)| *version)
    }

    fn label(&mut self, stage: &'static str, version: Option<u32>) {
        self.labels.retain(|(label, _)| *label != stage);
        self.labels.extend(version.map(|version| (stage, version)));
    }

    /// Makes time for a call or login, and runs the steps that come before it.
    fn event(&mut self) {
        self.time.pass_for(Duration::from_millis(2));
        while self.steps.first().is_some_and(|(moment, _)| *moment <= self.events) {
            let current = self.version(AWSCURRENT).unwrap();
            match self.steps.remove(0).1 {
                Step::Create => self.label(AWSPENDING, Some(current + 1)),
                Step::Set => self.password = current + 1,
                Step::Finish => {
                    self.label(AWSCURRENT, Some(current + 1));
                    self.label(AWSPREVIOUS, Some(current));
                    self.label(AWSPENDING, None);
                }
            }
        }
        self.events += 1;
    }

    fn describe(&mut self) -> Description {
        self.event();
        self.calls += 1;
        let mut description = Description::default();
        for (stage, version) in &self.labels {
            description.versions.push((version.to_string(), vec![(*stage).to_owned()]));
        }
        description
    }

    fn fetch(&mut self, version: impl Fn(&Self) -> Option<String>) -> Result<Fetched, Error> {
        self.event();
        self.calls += 1;
        match version(self) {
            Some(version) => Ok(Fetched::string(&version, &format!(r#"{{"password": {version}}}"#))),
            None => Err(Error::new(ErrorKind::VersionNotFound, "no version has the label")),
        }
    }

    /// Answers a permit as a driver does.
    fn answer(&mut self, permit: &FetchPermit) -> Result<Answer, Error> {
        let stage = permit.selector().as_stage().unwrap().to_owned();
        let by_stage = move |world: &Self| world.version(&stage).map(|version| version.to_string());
        let known = permit.known().and_then(|known| known.version_id()).map(str::to_owned);
        match self.source {
            Source::GetSecretValueAlone => {
                let denied = known.is_some() && permit.may_describe();
                let answer = Answer::value(self.fetch(by_stage)?);
                Ok(if denied { answer.describe_denied() } else { answer })
            }
            Source::Native if known.is_none() => Ok(Answer::value(self.fetch(by_stage)?)),
            Source::Native | Source::Supplied => {
                let fresh = permit.description().filter(|_| self.source == Source::Supplied);
                let described = if fresh.is_none() { Some(self.describe()) } else { None };
                let stage = permit.selector().as_stage().unwrap();
                let wanted = match (fresh, &described) {
                    (Some(labels), _) => labels.version_with_stage(stage),
                    (None, described) => described.as_ref().unwrap().version_with_stage(stage),
                };
                let wanted = wanted.map(str::to_owned);
                let answer = if wanted.is_some() && wanted == known {
                    Answer::unchanged()
                } else if self.source == Source::Native {
                    Answer::value(self.fetch(by_stage)?)
                } else {
                    Answer::value(self.fetch(|_| wanted.clone())?)
                };
                Ok(match described {
                    Some(description) => answer.with_description(description),
                    None => answer,
                })
            }
        }
    }

    fn complete(&mut self, permit: FetchPermit) -> Option<Error> {
        let answer = self.answer(&permit);
        let waiter = permit.waiter();
        permit.complete(answer, self.time.now);
        waiter.outcome().unwrap().for_reader().unwrap().err()
    }

    fn connect(&mut self, cache: &Cache) {
        let begun = self.time.now;
        let mut attempt =
            ConnectAttempt::new(cache, "db", &Stage::ALL, Duration::from_secs(30), self.time.now);
        loop {
            match attempt.next(self.time.now) {
                Action::Try(secret, stage) => {
                    self.event();
                    if secret.version_id() == Some(&*self.password.to_string()) {
                        attempt.accepted(&secret);
                        self.waited = self.waited.max(self.time.now.since(&begun));
                        return;
                    }
                    self.refused += 1;
                    attempt.rejected(&secret, stage, self.time.now);
                }
                Action::Read(stage) => {
                    let error = match cache.lookup("db", stage.into(), self.time.now) {
                        Lookup::Leader(permit, _) => self.complete(permit),
                        Lookup::Failed(error) => Some(error),
                        other => panic!("{other:?}"),
                    };
                    attempt.read(stage, error, self.time.now);
                }
                Action::Refresh(stage) => {
                    let looked = cache.recheck("db", stage.into(), cache.mark(), self.time.now);
                    let Forced::Leader(permit, _) = looked else { panic!("{looked:?}") };
                    let error = self.complete(permit);
                    attempt.read(stage, error, self.time.now);
                }
                Action::Wait(span) => self.time.pass_for(span),
                Action::Stop => panic!("gave up, with {:?} refused", attempt.tried()),
            }
        }
    }

    /// Runs the refresher between connections.
    fn refresh(&mut self, cache: &Cache) {
        let _hit = cache.peek("db", Selector::CURRENT, self.time.now);
        for permit in cache.due(self.time.now).permits {
            self.complete(permit);
        }
    }
}

/// The maximum over all interleavings: the wait of one connection, and the refused logins and calls of one rotation.
#[derive(Debug, Default)]
struct Worst {
    waited: Duration,
    refused: usize,
    calls: usize,
}

/// Three rotations in a row, with every interleaving of their steps and a program's logins and calls.
fn mix(source: Source, has_refresher: bool) -> Worst {
    const MOMENTS: usize = 9;
    let mut worst = Worst::default();
    for create in 0..MOMENTS {
        for set in create..MOMENTS {
            for finish in set..MOMENTS {
                let mut world = World::new(source);
                let cache = world.time.cache.clone();
                world.connect(&cache);
                for _ in 0..3 {
                    // Refresh before the rotation, so that the cache knows if describing is denied.
                    world.time.pass(101);
                    world.refresh(&cache);
                    world.time.pass(2);
                    world.rotate([create, set, finish]);
                    while !world.steps.is_empty() {
                        world.connect(&cache);
                    }
                    world.connect(&cache);
                    if has_refresher {
                        for _ in 0..5 {
                            world.time.pass(1);
                            world.refresh(&cache);
                        }
                        world.connect(&cache);
                    }
                    worst.refused = worst.refused.max(world.refused);
                    worst.calls = worst.calls.max(world.calls);
                }
                worst.waited = worst.waited.max(world.waited);
            }
        }
    }
    worst
}

#[test]
fn no_mixture_of_a_rotation_and_logins_makes_a_program_wait() {
    for source in [Source::Native, Source::GetSecretValueAlone, Source::Supplied] {
        for has_refresher in [true, false] {
            let worst = mix(source, has_refresher);
            // The calls and logins themselves take 2 ms each.
            assert!(worst.waited <= Duration::from_millis(50), "{source:?}: {worst:?}");
            // The calls include the refresher's.
            assert!(worst.refused == 1 && worst.calls <= 4, "{source:?}: {worst:?}");
        }
    }
}
