//! A fleet of processes with many secrets each, through an outage, throttling and recovery: the calls that the endpoint
//! gets, and what readers get.

use std::time::Duration;

use proptest::prelude::*;
use secretcache::host::{Answer, Brake, Cache, FetchPermit, Forced, Lookup, Now};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};

use crate::timeline::failure;

const TICK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: usize = 4;

/// How the endpoint handles the calls of one tick.
#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Answers,
    Fails(ErrorKind),
    /// Answers this many calls in a tick and throttles the rest.
    Limits(usize),
}

struct Fleet {
    caches: Vec<Cache>,
    ids: Vec<String>,
    ttl: Duration,
    now: Now,
    /// The calls in progress since the last tick.
    calls: Vec<FetchPermit>,
    /// Readers that had to wait.
    waits: usize,
    ticks: usize,
}

impl Fleet {
    /// Creates processes with the same number of secrets each, and lets them run for a while.
    fn new(processes: u64, secrets: usize, ttl: u64) -> Self {
        let ttl = Duration::from_secs(ttl);
        let config = || Config { ttl, ..Config::default() };
        let caches = (0..processes).map(|seed| Cache::new(config(), seed).unwrap()).collect();
        let ids = (0..secrets).map(|number| format!("s{number}")).collect();
        let now = Now::default().plus(Duration::from_secs(1_000));
        let mut fleet = Self { caches, ids, ttl, now, calls: Vec::new(), waits: 0, ticks: 0 };
        fleet.pass(fleet.ttl.mul_f64(3.3), Endpoint::Answers);
        fleet.waits = 0;
        fleet
    }

    /// Lets time pass, and returns the endpoint's calls per second.
    fn pass(&mut self, span: Duration, endpoint: Endpoint) -> Vec<usize> {
        let ticks = (span.as_secs_f64() / TICK.as_secs_f64()) as usize;
        let calls: Vec<usize> = (0..ticks).map(|_| self.tick(endpoint)).collect();
        calls.chunks(TICKS_A_SECOND).map(|second| second.iter().sum()).collect()
    }

    fn tick(&mut self, endpoint: Endpoint) -> usize {
        self.now = self.now.plus(TICK);
        let now = self.now;
        let count = self.calls.len();
        // No call is always first.
        let mut calls = std::mem::take(&mut self.calls);
        let first = self.ticks % calls.len().max(1);
        calls.rotate_left(first);
        for (place, permit) in calls.into_iter().enumerate() {
            let answer = match endpoint {
                Endpoint::Fails(kind) => failure(kind),
                Endpoint::Limits(most) if place >= most => failure(ErrorKind::Throttled),
                _ if permit.known().is_some() => Ok(Answer::unchanged()),
                _ => Ok(Answer::value(Fetched::string("v1", "one"))),
            };
            permit.complete(answer, now);
        }
        self.ticks += 1;
        for cache in &self.caches {
            // The refresher comes before the readers in every third tick.
            let refresher_is_first = self.ticks.is_multiple_of(3);
            if refresher_is_first {
                self.calls.extend(cache.due(now).permits);
            }
            // Each secret is read once a second.
            for id in self.ids.iter().skip(self.ticks % TICKS_A_SECOND).step_by(TICKS_A_SECOND) {
                match cache.lookup(id, Selector::CURRENT, now) {
                    Lookup::Hit(_) => {}
                    Lookup::HitDue(_, permit) => self.calls.push(permit),
                    Lookup::Leader(permit, _) => {
                        self.calls.push(permit);
                        self.waits += 1;
                    }
                    Lookup::Follower(_) => self.waits += 1,
                    Lookup::Failed(error) => panic!("a reader got {error}"),
                }
            }
            if !refresher_is_first {
                self.calls.extend(cache.due(now).permits);
            }
        }
        count
    }

    fn ages(&self) -> Vec<Duration> {
        let now = self.now;
        let of = |cache: &Cache| cache.stats(now).secrets.into_iter().filter_map(|secret| secret.age);
        let mut ages: Vec<_> = self.caches.iter().flat_map(of).collect();
        ages.sort_unstable();
        ages
    }

    /// Returns the time until 99 of 100 secrets have been confirmed again, and the calls per second until all of them
    /// have.
    fn recovery(&mut self) -> (Duration, Vec<usize>) {
        let (start, mut calls, mut p99) = (self.now, Vec::new(), None);
        loop {
            calls.extend(self.pass(Duration::from_secs(1), Endpoint::Answers));
            let (ages, since) = (self.ages(), self.now.since(&start));
            if p99.is_none() && ages[ages.len() * 99 / 100] <= since {
                p99 = Some(since);
            }
            match p99 {
                Some(p99) if ages.last() <= Some(&since) => return (p99, calls),
                _ => assert!(since < self.ttl * 3, "no recovery in sight"),
            }
        }
    }
}

fn mean(calls: &[usize]) -> f64 {
    calls.iter().sum::<usize>() as f64 / calls.len() as f64
}

/// The busiest period of this many seconds, in calls per second.
fn peak(calls: &[usize], seconds: usize) -> f64 {
    calls.windows(seconds.min(calls.len())).map(mean).fold(0.0, f64::max)
}

#[test]
fn x3_an_outage_costs_fewer_calls_than_before_and_its_end_no_flood() {
    for kind in [ErrorKind::ServiceUnavailable, ErrorKind::Throttled, ErrorKind::Timeout] {
        let mut fleet = Fleet::new(4, 100, 100);
        let before = mean(&fleet.pass(Duration::from_secs(150), Endpoint::Answers));
        let outage = fleet.pass(Duration::from_secs(300), Endpoint::Fails(kind));
        assert!(mean(&outage) < before * 0.3, "{} against {before} a second", mean(&outage));
        assert!(peak(&outage, 5) <= before * 1.2, "{} against {before} a second", peak(&outage, 5));
        let (p99, recovery) = fleet.recovery();
        assert!(p99 <= Duration::from_secs(100), "{p99:?}");
        assert!(peak(&recovery, 10) <= 2.0 * before, "{} against {before}", peak(&recovery, 10));
        assert_eq!(fleet.waits, 0, "readers never wait");
        let after = fleet.pass(Duration::from_secs(250), Endpoint::Answers);
        assert!(peak(&after, 10) <= 2.0 * before, "{} against {before}", peak(&after, 10));
        assert_eq!(fleet.waits, 0);
    }
}

#[test]
fn x3_throttling_to_half_of_the_load_is_met_by_asking_less() {
    let mut fleet = Fleet::new(6, 100, 100);
    let before = mean(&fleet.pass(Duration::from_secs(150), Endpoint::Answers));
    // One call in each tick.
    assert!((7.0..9.0).contains(&before), "{before} calls a second");
    let throttled = fleet.pass(Duration::from_secs(400), Endpoint::Limits(1));
    assert!(mean(&throttled) <= before, "{} against {before} a second", mean(&throttled));
    // The allowed calls are used: no value gets much older than the limit makes it.
    let oldest = *fleet.ages().last().unwrap();
    assert!(oldest < Duration::from_secs(350), "{oldest:?}");
    assert_eq!(fleet.waits, 0);
    let (p99, recovery) = fleet.recovery();
    assert!(p99 <= Duration::from_secs(100), "{p99:?}");
    assert!(peak(&recovery, 10) <= 2.0 * before, "{} against {before}", peak(&recovery, 10));
}

#[test]
fn x3_one_secret_that_fails_keeps_no_other_from_being_fresh() {
    let mut fleet = Fleet::new(1, 100, 100);
    let cache = fleet.caches[0].clone();
    for _ in 0..400 * TICKS_A_SECOND {
        let (broken, calls) =
            std::mem::take(&mut fleet.calls).into_iter().partition(|call| call.id() == "s0");
        fleet.calls = calls;
        let broken: Vec<FetchPermit> = broken;
        broken.into_iter().for_each(|call| call.complete(failure(ErrorKind::ServiceUnavailable), fleet.now));
        fleet.tick(Endpoint::Answers);
    }
    let secrets = cache.stats(fleet.now).secrets;
    let oldest =
        secrets.iter().filter(|secret| secret.secret_id != "s0").filter_map(|secret| secret.age).max();
    assert!(oldest < Some(Duration::from_secs(110)), "{oldest:?}");
}

#[test]
fn x3_caches_that_share_a_brake_slow_down_together() {
    let fleet = Fleet::new(2, 50, 100);
    let brake = Brake::default();
    fleet.caches.iter().for_each(|cache| cache.share_brake(&brake));
    let late = fleet.now.plus(Duration::from_secs(101));
    let (one, other) = (&fleet.caches[0], &fleet.caches[1]);
    let mut due = one.due(late).permits;
    assert_eq!(due.len(), 50, "nothing has failed yet");
    due.pop().unwrap().complete(failure(ErrorKind::Throttled), late.plus(TICK));
    assert!(other.due(late.plus(TICK)).permits.is_empty(), "a failure of one slows down the other");
    let look_again = other.due(late.plus(TICK)).next.unwrap();
    assert_eq!(other.due(late.plus(TICK + look_again)).permits.len(), 1, "then it tries one");
}

#[test]
fn x3_who_asks_for_a_refresh_or_for_what_is_not_cached_is_not_held_back() {
    let fleet = Fleet::new(1, 20, 100);
    let (cache, late) = (&fleet.caches[0], fleet.now.plus(Duration::from_secs(101)));
    cache.due(late).permits.pop().unwrap().complete(failure(ErrorKind::Connection), late.plus(TICK));
    let now = late.plus(TICK);
    assert!(matches!(cache.force("s1", Selector::CURRENT, cache.mark(), now), Forced::Leader(..)));
    assert!(matches!(cache.recheck("s2", Selector::CURRENT, cache.mark(), now), Forced::Leader(..)));
    assert!(matches!(cache.lookup("new", Selector::CURRENT, now), Lookup::Leader(..)));
    assert!(
        matches!(cache.lookup("s3", Selector::CURRENT, now), Lookup::Hit(_)),
        "there is a value to serve"
    );
}

#[test]
fn x3_a_reader_starts_what_the_refresher_leaves_undone_and_does_not_wait_for_it() {
    let fleet = Fleet::new(1, 20, 100);
    let (cache, mut now) = (&fleet.caches[0], fleet.now.plus(Duration::from_secs(120)));
    cache.due(now).permits.pop().unwrap().complete(failure(ErrorKind::Throttled), now.plus(TICK));
    for _ in 0..60 * TICKS_A_SECOND {
        now = now.plus(TICK);
        match cache.lookup("s1", Selector::CURRENT, now) {
            Lookup::Hit(_) => {}
            Lookup::HitDue(..) => return,
            other => panic!("a reader waits, or gets nothing: {other:?}"),
        }
    }
    panic!("no refresh starts");
}

#[test]
fn x3_a_stale_value_whose_refresh_is_held_back_is_reported_with_the_reason() {
    let messages = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let fleet = Fleet::new(1, 20, 100);
    let (cache, inbox) = (&fleet.caches[0], std::sync::Arc::clone(&messages));
    cache.listen(std::sync::Arc::new(move |event| inbox.lock().unwrap().push(event.to_string())));
    let late = fleet.now.plus(Duration::from_secs(120));
    cache
        .due(late)
        .permits
        .pop()
        .unwrap()
        .complete(Err(Error::new(ErrorKind::Throttled, "slow down")), late.plus(TICK));
    cache.lookup("s1", Selector::CURRENT, late.plus(TICK));
    assert!(
        messages.lock().unwrap().iter().any(|text| text.contains("serving") && text.contains("slow down"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn x3_whatever_the_fleet_an_outage_costs_no_more_calls_and_recovery_takes_one_interval(
        processes in 1u64..5, secrets in 20usize..80, ttl in 60u64..120, outage in 30u64..300, draw in any::<bool>(),
    ) {
        let kind = if draw { ErrorKind::Throttled } else { ErrorKind::Connection };
        let mut fleet = Fleet::new(processes, secrets, ttl);
        let before = mean(&fleet.pass(Duration::from_secs(2 * ttl), Endpoint::Answers));
        let calls = fleet.pass(Duration::from_secs(outage), Endpoint::Fails(kind));
        prop_assert!(mean(&calls) <= before, "{} calls a second against {before}", mean(&calls));
        let (p99, recovery) = fleet.recovery();
        prop_assert!(p99 <= Duration::from_secs(ttl), "{p99:?} of {ttl} s");
        let most = peak(&recovery, 20);
        prop_assert!(most <= 2.0 * before + 0.5, "{most} calls a second against {before}");
        prop_assert_eq!(fleet.waits, 0);
    }
}
