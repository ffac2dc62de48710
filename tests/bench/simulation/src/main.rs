//! A month of rotations, in made-up time: how long after a rotation a process holds its new version, against what that
//! costs, with the policy of this cache and with that of AWS's library for Python. Prints the figures as JSON.
//!
//! Processes do not influence each other, so a fleet is its processes: large ones are sampled, and their calls scaled up.
//! The secrets and their rotations are the same for all of them.

mod process;
mod world;

use std::time::Duration;

use fastrand::Rng;
use serde::Serialize;

use process::{Access, Month, official, ours};
use world::{Habit, MONTH, SCHEDULES, Secret};

const FLEETS: [u64; 3] = [1, 100, 10_000];
/// Of all rotations.
const UNSCHEDULED: f64 = 0.2;
/// Dollars for a call (price list of the service: $0.05 for 10,000).
const PRICE: f64 = 0.05 / 10_000.0;

#[derive(Serialize)]
struct Row {
    habit: &'static str,
    access: &'static str,
    ttl: u64,
    fleet: u64,
    sampled: u64,
    policy: &'static str,
    /// Of the whole fleet in the month.
    calls: f64,
    /// Of those, by how often the secrets are rotated by schedule.
    calls_of: Vec<(&'static str, f64)>,
    dollars: f64,
    staleness: Vec<Staleness>,
}

/// Seconds from the end of a rotation until a process holds its version.
#[derive(Serialize)]
struct Staleness {
    /// `scheduled` or `unscheduled`, of all secrets or those of one schedule.
    rotations: String,
    count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

fn main() {
    let most: u64 =
        std::env::args().nth(1).map_or(20, |count| count.parse().expect("how many processes to sample"));
    let mut rows = Vec::new();
    let both = Access { may_describe: true, tells_schedule: true };
    for (habit, habit_name) in [(Habit::Regular, "regular"), (Habit::Anywhere, "anywhere")] {
        let mut random = Rng::with_seed(20_260_801);
        let secrets: Vec<_> = SCHEDULES
            .iter()
            .flat_map(|schedule| [schedule, schedule])
            .map(|schedule| Secret::new(schedule, habit, UNSCHEDULED, &mut random))
            .collect();
        let mut cases = vec![("schedule told", Some(both)), ("official", None)];
        if habit == Habit::Anywhere {
            cases.push(("no schedule told", Some(Access { tells_schedule: false, ..both })));
            cases.push(("GetSecretValue alone", Some(Access { may_describe: false, tells_schedule: false })));
        }
        for ttl in [60, 300, 3600] {
            for (access_name, access) in &cases {
                for fleet in FLEETS {
                    let sampled =
                        fleet.min(if access.is_none() { most * 20 } else { most * u64::min(ttl / 60, 5) });
                    eprintln!("{habit_name}, {access_name}, {ttl} s, {fleet}");
                    let months: Vec<_> = (0..sampled)
                        .map(|number| {
                            let span = Duration::from_secs(ttl);
                            let start = Rng::with_seed(number).f64() * ttl as f64;
                            let month = match access {
                                Some(access) => ours(&secrets, *access, span, start, number + 1),
                                None => official(&secrets, span, start, number + 1),
                            };
                            (start, month)
                        })
                        .collect();
                    let calls_of: Vec<_> = SCHEDULES
                        .iter()
                        .map(|schedule| {
                            let of_schedule =
                                |number: &usize| secrets[*number].schedule.name == schedule.name;
                            let of_sample: u64 = months
                                .iter()
                                .flat_map(|(_, month)| {
                                    (0..secrets.len()).filter(of_schedule).map(|number| month.calls[number])
                                })
                                .sum();
                            (schedule.name, of_sample as f64 * fleet as f64 / sampled as f64)
                        })
                        .collect();
                    let calls = calls_of.iter().map(|(_, calls)| calls).sum::<f64>();
                    let (policy, access) = if access.is_some() {
                        ("ours", *access_name)
                    } else {
                        ("official", "both permissions")
                    };
                    rows.push(Row {
                        habit: habit_name,
                        access,
                        ttl,
                        fleet,
                        sampled,
                        policy,
                        calls,
                        calls_of,
                        dollars: calls * PRICE,
                        staleness: staleness(&secrets, &months, ttl as f64),
                    });
                }
            }
        }
    }
    println!("{}", serde_json::to_string(&rows).expect("plain data"));
}

fn staleness(secrets: &[Secret], months: &[(f64, Month)], ttl: f64) -> Vec<Staleness> {
    let mut all: Vec<(String, Vec<f64>)> = Vec::new();
    for (start, month) in months {
        for (secret, seen) in secrets.iter().zip(&month.seen) {
            for (number, rotation) in secret.rotations.iter().enumerate() {
                // The last ones may not be noticed before the month ends.
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
