//! The secrets of the simulated month, and when each of them rotates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use secretcache::Description;

pub const MINUTE: f64 = 60.0;
pub const HOUR: f64 = 60.0 * MINUTE;
pub const DAY: f64 = 24.0 * HOUR;
pub const MONTH: f64 = 30.0 * DAY;
/// The start of the simulated time: a midnight in UTC.
const EPOCH: f64 = 20_500.0 * DAY;

/// When a scheduled rotation comes within its window. The service promises only "at any time during this window".
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Habit {
    /// At the same time in each window, give or take a minute, like a job that runs at fixed times.
    Regular,
    /// At a random time in each window.
    Anywhere,
}

/// How often a secret is rotated, and within which window.
pub struct Schedule {
    pub name: &'static str,
    pub period: f64,
    pub window: f64,
    expression: &'static str,
    duration: Option<&'static str>,
}

/// Two secrets have each of these. The service itself rotates every four hours at most; hourly rotation represents jobs
/// outside the service.
pub const SCHEDULES: [Schedule; 5] = [
    Schedule { name: "hourly", period: HOUR, window: HOUR, expression: "rate(1 hour)", duration: None },
    Schedule {
        name: "4 hours",
        period: 4.0 * HOUR,
        window: HOUR,
        expression: "rate(4 hours)",
        duration: None,
    },
    Schedule {
        name: "daily",
        period: DAY,
        window: HOUR,
        expression: "cron(0 3 * * ? *)",
        duration: Some("1h"),
    },
    Schedule {
        name: "weekly",
        period: 7.0 * DAY,
        window: 4.0 * HOUR,
        expression: "rate(7 days)",
        duration: Some("4h"),
    },
    Schedule { name: "monthly", period: MONTH, window: DAY, expression: "rate(30 days)", duration: None },
];

pub struct Rotation {
    /// When its version is labelled `AWSPENDING`.
    begins: f64,
    /// When that version becomes the current one.
    pub ends: f64,
    pub is_scheduled: bool,
}

pub struct Secret {
    pub schedule: &'static Schedule,
    /// In chronological order; rotation n - 1 creates version n.
    pub rotations: Vec<Rotation>,
    first_opening: f64,
    /// The last scheduled rotation before the month.
    former: f64,
}

impl Secret {
    /// `unscheduled` is the share of its rotations that come at any time.
    pub fn new(schedule: &'static Schedule, habit: Habit, unscheduled: f64, random: &mut Rng) -> Self {
        let hours = |random: &mut Rng, length: f64| random.f64() * length / HOUR;
        let first_opening = match schedule.period {
            period if period > DAY => (hours(random, period - schedule.window) * HOUR / DAY).floor() * DAY,
            period => hours(random, period).floor() * HOUR,
        };
        let lasts = |random: &mut Rng| 5.0 + 25.0 * random.f64();
        let room = schedule.window - 2.0 * MINUTE;
        let usual = random.f64() * room;
        let mut rotations = Vec::new();
        let begins_in = |number: f64, random: &mut Rng| {
            let within = match habit {
                Habit::Regular => usual + random.f64() * MINUTE,
                Habit::Anywhere => random.f64() * room,
            };
            first_opening + number * schedule.period + within
        };
        let former = begins_in(-1.0, random);
        for number in 0.. {
            let begins = begins_in(f64::from(number), random);
            if begins > MONTH {
                break;
            }
            rotations.push(Rotation { begins, ends: begins + lasts(random), is_scheduled: true });
        }
        let scheduled = rotations.len();
        let others = (scheduled as f64 * unscheduled / (1.0 - unscheduled)).ceil() as usize;
        while rotations.len() < scheduled + others {
            let begins = random.f64() * MONTH;
            // One rotation at a time.
            if rotations.iter().all(|other| (other.begins - begins).abs() > 2.0 * MINUTE) {
                rotations.push(Rotation { begins, ends: begins + lasts(random), is_scheduled: false });
            }
        }
        rotations.sort_by(|one, other| one.begins.total_cmp(&other.begins));
        Self { schedule, rotations, first_opening, former }
    }

    /// The number of the current version.
    pub fn version(&self, at: f64) -> usize {
        self.rotations.partition_point(|rotation| rotation.ends <= at)
    }

    /// The response of `DescribeSecret`.
    pub fn describe(&self, at: f64, has_schedule: bool) -> Description {
        let current = self.version(at);
        let mut description = Description::default();
        description.versions = vec![(version_id(current), vec!["AWSCURRENT".to_owned()])];
        if self.rotations.get(current).is_some_and(|next| next.begins <= at) {
            description.versions.push((version_id(current + 1), vec!["AWSPENDING".to_owned()]));
        }
        if has_schedule {
            let scheduled = |rotation: &&Rotation| rotation.is_scheduled;
            let done = self.rotations[..current].iter().filter(scheduled).count();
            let close = self.first_opening + done as f64 * self.schedule.period + self.schedule.window - 1.0;
            description.next_rotation_date = Some(date(close));
            let last = current.checked_sub(1).map_or(self.former, |last| self.rotations[last].ends);
            description.last_rotated_date = Some(date(last));
            description.rotation_rules.schedule_expression = Some(self.schedule.expression.to_owned());
            description.rotation_rules.duration = self.schedule.duration.map(str::to_owned);
        }
        description
    }
}

pub fn version_id(number: usize) -> String {
    number.to_string()
}

/// The wall-clock time since the Unix epoch.
pub fn wall(at: f64) -> Duration {
    Duration::from_secs_f64(EPOCH + at)
}

fn date(at: f64) -> SystemTime {
    UNIX_EPOCH + wall(at)
}
