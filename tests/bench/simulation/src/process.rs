//! One process of the fleet, which reads all its secrets all the time, over the simulated month.

use std::time::Duration;

use fastrand::Rng;
use secretcache::host::{Answer, Cache, FetchPermit, Now, Watches};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};

use crate::world::{MONTH, Secret, version_id, wall};

/// Whether the process may call `DescribeSecret`, and whether the response contains the rotation schedule.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Access {
    pub may_describe: bool,
    pub has_schedule: bool,
}

/// The calls and versions that a process has seen in the month.
pub struct Month {
    /// Number of calls for each secret.
    pub calls: Vec<u64>,
    /// For each secret, the versions the process held, each with the time it was first held.
    pub seen: Vec<Vec<(f64, usize)>>,
}

impl Month {
    fn of(secrets: usize) -> Self {
        Self { calls: vec![0; secrets], seen: vec![Vec::new(); secrets] }
    }

    /// Combines the secrets of both.
    pub fn and(mut self, other: Self) -> Self {
        self.calls.extend(other.calls);
        self.seen.extend(other.seen);
        self
    }

    fn see(&mut self, secret: usize, at: f64, version: usize) {
        if self.seen[secret].last().is_none_or(|(_, last)| *last != version) {
            self.seen[secret].push((at, version));
        }
    }
}

/// Our cache, refreshed as the native refresher does it.
pub fn ours(secrets: &[Secret], access: Access, ttl: Duration, start: f64, seed: u64) -> Month {
    let watches = Watches::default();
    let config = Config { ttl, ..Config::default() };
    let cache = Cache::with_watches(config, seed, watches.clone()).expect("the settings are good");
    let mut month = Month::of(secrets.len());
    let names: Vec<_> = (0..secrets.len()).map(|number| number.to_string()).collect();
    let _in_use: Vec<_> = names.iter().map(|name| watches.add(name)).collect();
    let mut at = start;
    for name in &names {
        let secretcache::host::Lookup::Leader(permit, _) = cache.lookup(name, Selector::CURRENT, now(at))
        else {
            panic!("nothing is cached yet");
        };
        answer(permit, secrets, access, at, &mut month);
    }
    // The shortest sleep of the native refresher.
    let least = (ttl / 256).clamp(Duration::from_millis(5), Duration::from_secs(1));
    while at < MONTH {
        let due = cache.due(now(at));
        let wait = due.next.map_or(least, |next| next.clamp(least, Duration::from_secs(60)));
        if due.permits.is_empty() {
            at += wait.as_secs_f64();
        }
        for permit in due.permits {
            answer(permit, secrets, access, at, &mut month);
        }
    }
    month
}

fn answer(permit: FetchPermit, secrets: &[Secret], access: Access, at: f64, month: &mut Month) {
    let number: usize = permit.id().parse().expect("a number");
    let secret = &secrets[number];
    let known = permit.known().and_then(|known| known.version_id()).map(str::to_owned);
    let fetched = |month: &mut Month| {
        let version = secret.version(at);
        month.calls[number] += 1;
        month.see(number, at, version);
        Answer::value(Fetched::string(&version_id(version), "value"))
    };
    let result = match known.filter(|_| permit.may_describe()) {
        None => fetched(month),
        Some(known) => {
            month.calls[number] += 1;
            if access.may_describe {
                let description = secret.describe(at, access.has_schedule);
                let is_same = description.version_with_stage("AWSCURRENT") == Some(&known);
                let answer = if is_same { Answer::unchanged() } else { fetched(month) };
                answer.with_description(description)
            } else {
                let _denied = Error::new(ErrorKind::AccessDenied, "not allowed");
                fetched(month).describe_denied()
            }
        }
    };
    permit.complete(Ok(result), now(at));
}

fn now(at: f64) -> Now {
    let mut now = Now::default().plus(Duration::from_secs_f64(at + 1.0));
    now.wall = wall(at);
    now.coarse.wall = u64::try_from(now.wall.as_nanos()).expect("not that late");
    now
}

/// AWS's library for Python (1.2.0). It describes the secret at the first read, and again at the first read after a
/// random number of whole seconds between half the interval and all of it. It fetches the value if the version is new.
/// It needs both permissions.
pub fn official(secrets: &[Secret], ttl: Duration, start: f64, seed: u64) -> Month {
    let mut random = Rng::with_seed(seed);
    let mut month = Month::of(secrets.len());
    let ttl = ttl.as_secs();
    for (number, secret) in secrets.iter().enumerate() {
        let (mut at, mut held) = (start, None);
        while at < MONTH {
            let version = secret.version(at);
            month.calls[number] += 1;
            if held.replace(version) != Some(version) {
                month.calls[number] += 1;
                month.see(number, at, version);
            }
            at += random.u64(ttl.div_ceil(2)..=ttl) as f64;
        }
    }
    month
}
