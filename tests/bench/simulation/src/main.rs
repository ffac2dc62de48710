//! Simulates a month of rotations: how long after a rotation a process holds the new version, and what that costs, with
//! the policy of this cache and with the policy of AWS's library for Python. Prints the figures as JSON.
//!
//! Processes do not influence each other, so large fleets are sampled and their calls scaled up. The sampled processes
//! live in twenty worlds, each with its own rotations, because one month has only one monthly rotation.

mod process;
mod world;

use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde::Serialize;

use process::{Access, Month, official, ours};
use world::{Habit, MONTH, SCHEDULES, Schedule, Secret};

const FLEETS: [u64; 3] = [1, 100, 10_000];
const WORLDS: u64 = 20;
/// Share of all rotations.
const UNSCHEDULED: f64 = 0.2;
/// Dollars per call (the service's price list: $0.05 for 10,000).
const PRICE: f64 = 0.05 / 10_000.0;

#[derive(Serialize)]
struct Row {
    habit: &'static str,
    access: &'static str,
    ttl: u64,
    fleet: u64,
    sampled: u64,
    policy: &'static str,
    /// Calls of the whole fleet in the month.
    calls: f64,
    /// The same calls, by the secrets' schedules.
    calls_of: Vec<Calls>,
    dollars: f64,
    staleness: Vec<Staleness>,
}

#[derive(Serialize)]
struct Calls {
    schedule: &'static str,
    /// Share of the time that is inside a window.
    share: f64,
    calls: f64,
}

/// Seconds from the end of a rotation until a process holds its version.
#[derive(Serialize)]
struct Staleness {
    /// `scheduled` or `unscheduled`, for all secrets or for those with one schedule.
    rotations: String,
    count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

/// How the processes of a fleet refresh.
#[derive(Clone, Copy)]
enum Policy {
    Official,
    Ours(Access),
    /// Ours, with a separate process for each secret.
    Alone(Access),
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let most: u64 = arguments.next().map_or(20, |count| count.parse().expect("how many processes to sample"));
    let only: Option<u64> = arguments.next().map(|ttl| ttl.parse().expect("the only interval to look at"));
    let known = Access { may_describe: true, has_schedule: true };
    let unknown = Access { has_schedule: false, ..known };
    let may_not = Access { may_describe: false, ..unknown };
    let mut rows = Vec::new();
    for (habit, habit_name) in [(Habit::Regular, "regular"), (Habit::Anywhere, "anywhere")] {
        let worlds: Vec<_> = (0..WORLDS).map(|number| world(habit, number)).collect();
        let mut cases = vec![
            ("schedule known", Policy::Ours(known)),
            ("schedule known, one secret", Policy::Alone(known)),
            ("both permissions", Policy::Official),
        ];
        if habit == Habit::Anywhere {
            cases.push(("no schedule known", Policy::Ours(unknown)));
            cases.push(("GetSecretValue alone", Policy::Ours(may_not)));
        }
        for ttl in [60, 300, 3600].into_iter().filter(|ttl| only.is_none_or(|only| only == *ttl)) {
            for (access, policy) in &cases {
                for fleet in FLEETS {
                    eprintln!("{habit_name}, {access}, {ttl} s, {fleet}");
                    let sampled = fleet.min(match policy {
                        Policy::Official => most * 20,
                        _ => most * u64::min(ttl / 60, 5),
                    });
                    rows.push(Row {
                        habit: habit_name,
                        access,
                        ..row(&worlds, *policy, ttl, fleet, sampled)
                    });
                }
            }
        }
    }
    println!("{}", serde_json::to_string(&rows).expect("plain data"));
}

fn world(habit: Habit, number: u64) -> Vec<Secret> {
    let mut random = Rng::with_seed(20_260_801 + number);
    let two_each = SCHEDULES.iter().flat_map(|schedule| [schedule, schedule]);
    two_each.map(|schedule| Secret::new(schedule, habit, UNSCHEDULED, &mut random)).collect()
}

fn row(worlds: &[Vec<Secret>], policy: Policy, ttl: u64, fleet: u64, sampled: u64) -> Row {
    let span = Duration::from_secs(ttl);
    let live = |number: u64| {
        let secrets = &*worlds[number as usize % worlds.len()];
        let start = Rng::with_seed(number).f64() * ttl as f64;
        let month = match policy {
            Policy::Official => official(secrets, span, start, number + 1),
            Policy::Ours(access) => ours(secrets, access, span, start, number + 1),
            Policy::Alone(access) => {
                let each = secrets.chunks(1).map(|secret| ours(secret, access, span, start, number + 1));
                each.reduce(Month::and).expect("there are secrets")
            }
        };
        Life { secrets, start, month }
    };
    let lives: Vec<_> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let spawned: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || (first..sampled).step_by(threads).map(live).collect::<Vec<_>>()))
            .collect();
        spawned.into_iter().flat_map(|thread| thread.join().expect("a life ends")).collect()
    });
    let scale = fleet as f64 / sampled as f64;
    let calls_of: Vec<_> = SCHEDULES
        .iter()
        .map(|schedule| Calls {
            schedule: schedule.name,
            share: schedule.window / schedule.period,
            calls: scale * lives.iter().map(|life| life.calls_of(schedule)).sum::<u64>() as f64,
        })
        .collect();
    let calls = calls_of.iter().map(|of| of.calls).sum::<f64>();
    Row {
        habit: "",
        access: "",
        ttl,
        fleet,
        sampled,
        policy: if matches!(policy, Policy::Official) { "official" } else { "ours" },
        calls,
        calls_of,
        dollars: calls * PRICE,
        staleness: staleness(&lives, ttl as f64),
    }
}

/// One process and its world.
struct Life<'a> {
    secrets: &'a [Secret],
    start: f64,
    month: Month,
}

impl Life<'_> {
    fn calls_of(&self, schedule: &Schedule) -> u64 {
        let calls = self.secrets.iter().zip(&self.month.calls);
        calls.filter(|(secret, _)| secret.schedule.name == schedule.name).map(|(_, calls)| calls).sum()
    }
}

fn staleness(lives: &[Life<'_>], ttl: f64) -> Vec<Staleness> {
    let mut all: Vec<(String, Vec<f64>)> = Vec::new();
    for Life { secrets, start, month } in lives {
        for (secret, seen) in secrets.iter().zip(&month.seen) {
            for (number, rotation) in secret.rotations.iter().enumerate() {
                // The month can end before the last ones are noticed.
                if rotation.ends <= *start || rotation.ends > MONTH - 2.0 * ttl {
                    continue;
                }
                let first = seen.partition_point(|(_, version)| *version <= number);
                let noticed = seen[first].0 - rotation.ends;
                let kind = if rotation.is_scheduled { "scheduled" } else { "unscheduled" };
                for name in [kind.to_owned(), format!("{kind}, {}", secret.schedule.name)] {
                    match all.iter_mut().find(|(other, _)| *other == name) {
                        Some((_, times)) => times.push(noticed),
                        None => all.push((name, vec![noticed])),
                    }
                }
            }
        }
    }
    all.into_iter()
        .map(|(rotations, mut times)| {
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
            Staleness { rotations, count: times.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
        })
        .collect()
}
