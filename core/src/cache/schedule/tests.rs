//! When polls are due: by the schedule, by what was observed, and never more of them than the budget allows.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::window::{DAY, HOUR};
use super::*;

const TTL: Duration = Duration::from_secs(300);

/// A secret that is polled again and again.
#[derive(Default)]
struct Poller {
    schedule: RefreshSchedule,
    budget: PollBudget,
    now: Now,
    current: String,
    count: u32,
}

impl Poller {
    fn at(seconds: u64) -> Self {
        let now = Now::default().plus(Duration::from_secs(1_800_000_000 / 86_400 * 86_400 + seconds));
        Self { now, current: "v1".to_owned(), ..Self::default() }
    }

    /// Describes the secret now, and returns the time until the next poll.
    fn poll(&mut self, description: &Description, draw: f64) -> Duration {
        self.count += 1;
        self.schedule.observe(description, &self.now);
        self.schedule.refresh_after(Some(&self.current), TTL, draw, &self.now, &mut self.budget)
    }

    /// Polls until then, and returns the intervals.
    fn until(
        &mut self,
        wall: Duration,
        description: &Description,
        random: &mut fastrand::Rng,
    ) -> Vec<Duration> {
        let mut distances = Vec::new();
        while self.now.wall < wall {
            let distance = self.poll(description, random.f64());
            distances.push(distance);
            self.now = self.now.plus(distance);
        }
        distances
    }
}

fn described(close: Duration, expression: &str, duration: Option<&str>) -> Description {
    let mut description = Description {
        versions: vec![("v1".into(), vec![AWSCURRENT.into()])],
        next_rotation_date: Some(UNIX_EPOCH + close),
        ..Description::default()
    };
    description.rotation_rules.schedule_expression = Some(expression.to_owned());
    description.rotation_rules.duration = duration.map(str::to_owned);
    description
}

fn longest(distances: &[Duration]) -> Duration {
    distances.iter().copied().max().unwrap()
}

#[test]
fn a_window_is_what_the_rules_say_and_by_default_an_hour_or_the_rest_of_the_day() {
    let day = DAY * 20_000;
    for (close, expression, duration, opens) in [
        (HOUR * 8, "rate(4 hours)", None, HOUR * 7),
        (HOUR * 8, "rate(4 hours)", Some("2h"), HOUR * 6),
        (HOUR * 24, "rate(10 days)", None, Duration::ZERO),
        (HOUR * 24, "cron(0 16 1,15 * ? *)", None, HOUR * 16),
        (HOUR * 18, "cron(0 16 1,15 * ? *)", Some("2h"), HOUR * 16),
        (HOUR * 9, "cron(0 8/8 * * ? *)", None, HOUR * 8),
        (HOUR * 9, "", None, Duration::ZERO),
        (HOUR * 9, "rate(7 days)", Some("many hours"), Duration::ZERO),
    ] {
        let window = Window::of(&described(day + close, expression, duration)).unwrap();
        assert_eq!(window, Window { open: day + opens, close: day + close }, "{expression} {duration:?}");
    }
    assert_eq!(Window::of(&Description::default()), None);
}

#[test]
fn looks_are_close_within_the_window_and_far_before_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut poller = Poller::at(0);
    let (open, close) = (poller.now.wall + DAY - HOUR, poller.now.wall + DAY);
    let description = described(close, "cron(0 23 * * ? *)", Some("1h"));
    let before = poller.until(open - HOUR, &description, &mut random);
    assert!(before.iter().sum::<Duration>() > TTL.mul_f64(0.8) * poller.count);
    poller.until(open, &description, &mut random);
    assert!(poller.now.wall - open < TTL.mul_f64(0.2), "the first poll comes soon after the window opens");
    // On average a rotation comes halfway, so more is spent on the first half.
    let within = poller.until(close - HOUR / 2, &description, &mut random);
    assert!(longest(&within) < TTL / 6, "{within:?}");
    let late = poller.until(close - HOUR / 10, &description, &mut random);
    assert!(longest(&late) < TTL / 2, "{late:?}");
}

#[test]
fn where_rotations_came_at_the_same_time_the_looks_gather_there() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut poller = Poller::at(0);
    let start = poller.now.wall;
    for hour in 1..=6 {
        let opens = start + HOUR * (hour - 1);
        let mut description = described(opens + HOUR, "rate(1 hour)", None);
        let rotation = opens + Duration::from_secs(1_800 + u64::from(hour) * 7);
        description.last_rotated_date = Some(UNIX_EPOCH + rotation - HOUR);
        let distances = poller.until(rotation, &description, &mut random);
        if hour > 2 {
            assert!(*distances.last().unwrap() < TTL.mul_f64(0.11), "hour {hour}: {distances:?}");
        }
    }
}

#[test]
fn a_description_announces_rotations_by_either_date_or_a_pending_label() {
    let nothing = Description::default();
    assert!(!RefreshSchedule::is_described_by(&nothing));
    let next = Description { next_rotation_date: Some(UNIX_EPOCH), ..Description::default() };
    let last = Description { last_rotated_date: Some(UNIX_EPOCH), ..Description::default() };
    let pending = Description { versions: vec![("v2".into(), vec![AWSPENDING.into()])], ..nothing };
    for description in [next, last, pending] {
        assert!(RefreshSchedule::is_described_by(&description), "{description:?}");
    }
}

#[test]
fn as_many_rotations_are_remembered_as_it_says_and_the_oldest_is_forgotten() {
    let mut poller = Poller::at(0);
    for rotation in 1..=REMEMBERED as u64 + 3 {
        let mut description = described(poller.now.wall + HOUR, "rate(1 hour)", None);
        // Each one comes later in its hour, so that the offsets show which are kept.
        description.last_rotated_date =
            Some(UNIX_EPOCH + poller.now.wall - HOUR + Duration::from_secs(rotation));
        poller.poll(&description, 0.5);
        assert_eq!(poller.schedule.offsets.len(), REMEMBERED.min(rotation as usize));
        poller.now = poller.now.plus(HOUR);
    }
    assert!(poller.schedule.offsets[0] < poller.schedule.offsets[REMEMBERED - 1]);
    assert_eq!(
        poller.schedule.offsets[REMEMBERED - 1] - poller.schedule.offsets[0],
        Duration::from_secs(REMEMBERED as u64 - 1)
    );
}

#[test]
fn only_the_refused_version_itself_being_accepted_ends_the_close_polls() {
    let mut poller = Poller::at(0);
    let quiet = Description::default();
    poller.schedule.refused("v1", &poller.now);
    poller.schedule.accepted("v0");
    assert!(poller.poll(&quiet, 0.5) < TTL / 4, "another version was accepted");
    poller.schedule.accepted("v1");
    assert!(poller.poll(&quiet, 0.5) >= TTL / 2);
    // While another version is pending, the current one still works, so an accepted login proves nothing.
    let rotating = Description {
        versions: vec![("v1".into(), vec![AWSCURRENT.into()]), ("v2".into(), vec![AWSPENDING.into()])],
        ..Description::default()
    };
    poller.poll(&rotating, 0.5);
    poller.schedule.accepted("v1");
    assert!(poller.poll(&rotating, 0.5) < TTL / 4, "the rotation is still in progress");
}

#[test]
fn a_date_in_the_past_is_no_reason_to_look_more_often() {
    let mut poller = Poller::at(100_000);
    let past = described(poller.now.wall - HOUR, "rate(1 day)", Some("1h"));
    assert_eq!(poller.poll(&past, 0.5), policy::refresh_after(TTL, 0.5));
}

#[test]
fn while_the_current_version_is_refused_looks_are_closest_and_then_ever_wider() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut poller = Poller::at(0);
    let quiet = Description::default();
    assert_eq!(poller.schedule.refused("v1", &poller.now), SOON);
    let (now, start) = (poller.now, poller.count);
    poller.until(now.wall + Duration::from_secs(8), &quiet, &mut random);
    assert!(poller.count - start >= 3, "{}", poller.count);
    poller.until(now.wall + HOUR, &quiet, &mut random);
    assert!(poller.count - start < 50, "{}", poller.count);
    poller.current = "v2".to_owned();
    assert!(poller.poll(&quiet, 0.5) >= TTL / 2, "the version has moved");

    poller.schedule.refused("v2", &poller.now);
    assert!(poller.poll(&quiet, 0.5) < TTL / 4);
    poller.schedule.accepted("v2");
    assert!(poller.poll(&quiet, 0.5) >= TTL / 2, "it was accepted after all");
}

#[test]
fn a_pending_label_has_looks_follow_closely_until_it_is_gone_or_long_forgotten() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut poller = Poller::at(0);
    let quiet = described(poller.now.wall + DAY, "rate(1 day)", Some("1h"));
    poller.until(poller.now.wall + HOUR * 2, &quiet, &mut random);
    let mut rotating = described(poller.now.wall + DAY, "rate(1 day)", Some("1h"));
    rotating.versions.push(("v2".into(), vec![AWSPENDING.into()]));
    assert!(poller.poll(&rotating, 0.5) < TTL / 8);
    assert!(poller.poll(&quiet, 0.5) >= TTL / 2);
    let start = (poller.now.wall, poller.count);
    poller.until(start.0 + HOUR * 10, &rotating, &mut random);
    let plain = HOUR.as_secs() * 10 / (TTL.as_secs() * 3 / 4);
    assert!(u64::from(poller.count - start.1) < plain + 10, "an abandoned rotation is not polled forever");
    let mut on_both = quiet;
    on_both.versions[0].1.push(AWSPENDING.into());
    poller.schedule = RefreshSchedule::default();
    poller.budget = PollBudget(3.0);
    assert!(
        poller.poll(&on_both, 0.5) >= TTL / 2,
        "the current version keeps the label after some rotations"
    );
}

prop_compose! {
    fn any_schedule()(
        period in 1u32..100, length in 1u32..30, opens in 0u32..48, usual in 0.0..1.0f64, spread in 0.0..1.0f64,
        leaves_pending: bool, expression in prop::sample::select(vec!["rate(4 hours)", "rate(7 days)", "cron(0 3 * * ? *)"]),
    ) -> Schedule {
        let length = length.min(period).min(24);
        Schedule { period: HOUR * period, length, opens: HOUR * opens, usual, spread, leaves_pending, expression }
    }
}

#[derive(Clone, Debug)]
struct Schedule {
    period: Duration,
    /// In hours.
    length: u32,
    opens: Duration,
    usual: f64,
    spread: f64,
    leaves_pending: bool,
    expression: &'static str,
}

impl Schedule {
    fn rotation(&self, number: u32, random: &mut fastrand::Rng) -> (Duration, Duration) {
        let opens = self.opens + self.period * number;
        let within = self.usual * (1.0 - self.spread) + random.f64() * self.spread;
        (opens + HOUR * self.length, opens + (HOUR * self.length).mul_f64(within))
    }
}

proptest! {
    /// The budget: whatever the service says, there are no more polls than with plain refreshing, plus the two that the
    /// budget starts with, the first one, and the credit for the one in progress. No value gets older than its time to
    /// live.
    #[test]
    fn expectations_never_cost_more_than_plain_refreshing(
        schedule in any_schedule(), ttl in 10u64..5_000, seed: u64,
    ) {
        let ttl = Duration::from_secs(ttl);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut poller = Poller::at(0);
        let (start, mut number) = (poller.now, 0);
        let (mut close, mut rotates) = schedule.rotation(number, &mut random);
        let mut last = None;
        for count in 0u32..3_000 {
            let passed = poller.now.since(&start);
            prop_assert!(f64::from(count) <= passed.div_duration_f64(ttl) / PLAIN + START + 1.0 + 1.0 / 3.0, "{count} polls in {passed:?}");
            while passed > rotates {
                last = Some(rotates);
                number += 1;
                (close, rotates) = schedule.rotation(number, &mut random);
            }
            let mut description = described(start.wall + close, schedule.expression, Some(&format!("{}h", schedule.length)));
            description.last_rotated_date = last.map(|last| UNIX_EPOCH + start.wall + last);
            if schedule.leaves_pending {
                description.versions.push(("v2".into(), vec![AWSPENDING.into()]));
            }
            poller.schedule.observe(&description, &poller.now);
            let distance = {
                let Poller { schedule, budget, now, .. } = &mut poller;
                schedule.refresh_after(Some("v1"), ttl, random.f64(), now, budget)
            };
            prop_assert!(distance <= ttl && distance >= SOONEST.mul_f64(0.7), "{distance:?}");
            poller.now = poller.now.plus(distance);
        }
    }

    /// Processes of one fleet with the same knowledge do not poll at the same moment.
    #[test]
    fn there_is_jitter_everywhere(
        saved in 0.0..50.0f64, left in 1u64..100_000, length in 1u32..24, offset in 0u64..3_600, is_usual: bool,
    ) {
        let mut poller = Poller::at(0);
        let close = poller.now.wall + Duration::from_secs(left);
        let description = described(close, "rate(1 day)", Some(&format!("{length}h")));
        poller.schedule.observe(&description, &poller.now);
        poller.budget = PollBudget(saved - START);
        if is_usual {
            poller.schedule.offsets = vec![Duration::from_secs(offset); 3];
        }
        let mut other = Poller { now: poller.now, current: poller.current.clone(), ..Poller::default() };
        other.schedule.offsets.clone_from(&poller.schedule.offsets);
        other.budget = PollBudget(saved - START);
        let (one, other) = (poller.poll(&description, 0.1), other.poll(&description, 0.9));
        // An interval of a whole TTL keeps the distance that two processes already have.
        prop_assert!(other.abs_diff(one) >= TTL / 400 || (one == TTL && other == TTL), "{one:?} {other:?}");
    }

    /// Without a schedule, refreshing is plain.
    #[test]
    fn without_a_schedule_it_is_plain_refreshing(ttl in 1u64..10_000, draws in prop::collection::vec(0.0..1.0f64, 1..50)) {
        let ttl = Duration::from_secs(ttl);
        let mut poller = Poller::at(0);
        let last_rotated_date = Some(UNIX_EPOCH + poller.now.wall);
        let description = Description { last_rotated_date, ..Description::default() };
        for draw in draws {
            poller.schedule.observe(&description, &poller.now);
            let distance = poller.schedule.refresh_after(Some("v1"), ttl, draw, &poller.now, &mut poller.budget);
            prop_assert!(distance <= ttl && distance >= ttl.mul_f64(0.499_999));
            prop_assert_eq!(distance, policy::refresh_after(ttl, draw));
            poller.now = poller.now.plus(distance);
        }
    }
}

#[test]
fn a_past_rotation_counts_where_it_was_in_its_own_window() {
    let day = DAY * 20_000;
    let afternoon = Window { open: day + HOUR * 16, close: day + HOUR * 24 };
    assert_eq!(afternoon.offset_of(day - DAY * 10 + HOUR * 17), Some(HOUR));
    assert_eq!(afternoon.offset_of(day - DAY * 10 + HOUR * 15), None, "it was rotated manually");
    // Windows of an hour can be at any hour; longer ones are at the same time every day.
    let hour = Window { open: day + HOUR * 5, close: day + HOUR * 6 };
    assert_eq!(hour.offset_of(day - HOUR * 3 + HOUR / 2), Some(HOUR / 2));
    let hours = Window { open: day + HOUR * 5, close: day + HOUR * 7 };
    assert_eq!(hours.offset_of(day - HOUR * 3 + HOUR / 2), None);
}

// The arithmetic, in examples worked out on paper. The TTL is 100 s here, so 1 s is 0.01.

const HUNDRED: Duration = Duration::from_secs(100);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn view(wall: u64, draw: f64, saved: f64) -> View {
    View { ttl: HUNDRED, wall: seconds(wall), draw, saved }
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[test]
fn what_is_saved_is_spread_over_half_of_the_time_that_is_left() {
    for (saved, left, expected) in [
        (0.0, 1.0, PLAIN),
        (-5.0, 1.0, PLAIN),
        (1.0, 1.0, 0.3),
        (2.0, 4.0, 3.0 / 7.0),
        (1.0, 0.05, CLOSE),
        (0.1, 0.05, 0.3),
        (9.0, 1.0, CLOSE),
    ] {
        assert_near(view(0, 0.5, saved).spacing(left), expected);
    }
}

#[test]
fn refreshes_before_a_window_are_few_and_the_last_comes_soon_after_it_opens() {
    for (opens, length, draw, saved, expected) in [
        // A short window: one refresh, after all of it.
        (50, 5, 0.0, 0.0, 0.55),
        (50, 5, 0.5, 0.0, 0.575),
        // A longer one: one refresh, between its opening and the first of those spread over it.
        (50, 100, 0.0, 1.0, 0.5),
        (50, 100, 0.5, 1.0, 0.65),
        // Exactly as long as can be polled closely.
        (50, 10, 0.5, 0.0, 0.5 + 0.5 * (0.95 - 0.5)),
        // One refresh gets there only with the longest possible interval.
        (95, 100, 0.5, 1.0, 0.95),
        // Two, three and four refreshes, evenly spaced.
        (150, 100, 0.0, 1.0, 0.75),
        (150, 100, 0.5, 1.0, 0.825),
        (180, 100, 0.25, 1.0, 0.9125),
        (180, 100, 0.75, 1.0, (1.8 + 0.3 * 0.75) / 3.0),
        (300, 50, 0.5, 13.0, 0.7625),
        // The budget covers all of the window, which is far away: no need to save.
        (300, 50, 0.5, 15.0, 0.75),
        (300, 50, 0.2, 15.0, 0.6),
        // One fewer does not cover it; and the window must be far away.
        (300, 50, 0.5, 14.0, 0.7625),
        (200, 50, 0.5, 15.0, (2.0 + 0.05) / 3.0),
    ] {
        let window = Window { open: seconds(1_000 + opens), close: seconds(1_000 + opens + length) };
        let found = view(1_000, draw, saved).before(window);
        assert!((found - expected).abs() < 1e-9, "{opens} {length} {draw} {saved}: {found}, not {expected}");
    }
}

#[test]
fn within_a_window_refreshes_are_close_before_and_at_the_usual_time_and_then_ever_wider() {
    let window = Window { open: seconds(10_000), close: seconds(13_600) };
    let mut schedule = RefreshSchedule { window: Some(window), ..RefreshSchedule::default() };
    let expected =
        |schedule: &RefreshSchedule, wall, draw, saved| schedule.expected(&view(wall, draw, saved));
    // Without a usual time, all of the window and its slack count.
    assert_near(expected(&schedule, 9_950, 0.0, 1.0).unwrap(), 0.5);
    assert_near(expected(&schedule, 10_000, 0.0, 36.0).unwrap(), 0.95 * 0.3);
    assert_near(expected(&schedule, 10_000, 0.5, 36.0).unwrap(), 0.3);
    assert_near(expected(&schedule, 13_500, 1.0, 1.0).unwrap(), 1.05 * 0.3);
    assert_near(expected(&schedule, 13_615, 0.5, 0.2).unwrap(), 0.25);
    assert!(expected(&schedule, 13_629, 0.5, 1.0).is_some());
    assert_eq!(expected(&schedule, 13_630, 0.5, 1.0), None);

    // Usually it comes after half an hour: from 1780 to 1820 s after the opening.
    schedule.offsets = vec![seconds(1_800); 3];
    assert_near(expected(&schedule, 11_730, 0.0, 1.0).unwrap(), 0.5);
    assert_near(expected(&schedule, 11_780, 0.5, 0.1).unwrap(), 1.0 / (1.0 / 0.75 + 0.2 / 0.4));
    // 30 s late, with 18.8 TTLs until the end; then so late that the interval is a third of the delay, and at most
    // plain.
    assert_near(expected(&schedule, 11_850, 0.5, 18.0).unwrap(), 1.0 / (1.0 / 0.75 + 36.0 / 17.8));
    assert_near(expected(&schedule, 11_970, 0.5, 100.0).unwrap(), 0.5);
    assert_near(expected(&schedule, 13_000, 0.5, 100.0).unwrap(), PLAIN);
}

#[test]
fn a_time_is_usual_if_enough_of_the_rotations_that_are_known_came_at_it() {
    let window = Window { open: seconds(10_000), close: seconds(13_600) };
    let usual = |offsets: &[u64]| {
        let offsets = offsets.iter().copied().map(seconds).collect();
        let found = RefreshSchedule { offsets, ..RefreshSchedule::default() }.usual_time(window);
        (found != window).then_some((found.open.as_secs(), found.close.as_secs()))
    };
    assert_eq!(usual(&[]), None);
    assert_eq!(usual(&[600]), None, "one is not a pattern");
    assert_eq!(usual(&[600, 600]), Some((10_580, 10_620)));
    assert_eq!(usual(&[600, 690]), Some((10_580, 10_710)));
    assert_eq!(usual(&[600, 691]), None, "too far from each other");
    assert_eq!(usual(&[600, 600, 3_000]), None, "two of three");
    assert_eq!(usual(&[600, 600, 600, 3_000, 2_000]), Some((10_580, 10_620)));
    assert_eq!(usual(&[600, 600, 600, 1_000, 1_500, 2_000, 2_500, 3_000]), None, "three of eight");
    assert_eq!(usual(&[600, 600, 600, 600, 1_500, 2_000, 2_500, 3_000]), Some((10_580, 10_620)));
}

/// A secret with a rotation that has been in progress for 400 s, and no window.
fn rotating(budget: f64) -> Poller {
    let mut poller = Poller { budget: PollBudget(budget), ..Poller::at(0) };
    poller.schedule.begin("v1", false, &poller.now);
    poller.now = poller.now.plus(seconds(400));
    poller
}

impl Poller {
    fn refresh(&mut self, ttl: Duration, draw: f64) -> Duration {
        self.schedule.refresh_after(Some("v1"), ttl, draw, &self.now, &mut self.budget)
    }
}

#[track_caller]
fn assert_close(found: Duration, expected: f64) {
    assert!((found.as_secs_f64() - expected).abs() < 1e-6, "{found:?}, not {expected} s");
}

#[test]
fn a_rotation_under_way_is_followed_at_a_quarter_of_its_age_out_of_the_budget() {
    assert_close(rotating(0.0).refresh(TTL, 0.5), 100.0);
    assert_close(rotating(0.0).refresh(TTL, 0.0), 75.0);
    // A tenth of the TTL is close enough.
    assert_close(rotating(0.0).refresh(seconds(2_000), 0.5), 200.0);
    let mut poller = rotating(0.0);
    poller.refresh(TTL, 0.5);
    assert_near(poller.budget.0, 100.0 / 300.0 / PLAIN - 1.0);
    // With nothing left: plain refreshing, and a little longer, which is saved.
    let mut poller = rotating(-START);
    assert_close(poller.refresh(TTL, 0.5), 300.0 * PLAIN * 1.05);
    assert_near(poller.budget.0, 0.05 - START);
    // With half a refresh left, half of it.
    assert_close(rotating(0.5 - START).refresh(TTL, 0.5), 300.0 * PLAIN * 0.5 * 1.05);
}

#[test]
fn a_program_that_refreshes_by_itself_pays_for_what_was_not_waited() {
    let mut poller = rotating(0.0);
    poller.refresh(TTL, 0.5);
    let paid = 100.0 / 300.0 / PLAIN - 1.0;
    poller.now = poller.now.plus(seconds(40));
    poller.refresh(TTL, 0.5); // 60 s early; the next is 110 s away
    assert_near(poller.budget.0, paid - 60.0 / 300.0 / PLAIN + 110.0 / 300.0 / PLAIN - 1.0);
    // Being late saves nothing.
    let before = poller.budget.0;
    poller.now = poller.now.plus(seconds(1_000));
    poller.refresh(TTL, 0.5); // as far as plain refreshing is
    assert_near(poller.budget.0, before);
}

#[test]
fn a_refused_version_is_asked_for_at_a_quarter_of_the_time_and_costs_nothing() {
    let mut poller = Poller { budget: PollBudget(-START), ..Poller::at(0) };
    poller.schedule.refused("v1", &poller.now);
    assert_close(poller.refresh(TTL, 0.5), 2.0);
    poller.now = poller.now.plus(seconds(40));
    assert_close(poller.refresh(TTL, 0.5), 10.0);
    assert_close(poller.refresh(TTL, 0.0), 7.5);
    assert_near(poller.budget.0, -START);
}

#[test]
fn the_shortest_time_to_live_with_a_schedule_is_ten_seconds() {
    let mut poller = Poller::at(0);
    poller.schedule.begin("v1", false, &poller.now);
    assert_close(poller.refresh(seconds(10), 0.5), 1.0);
    assert_eq!(poller.refresh(seconds(9), 0.5), policy::refresh_after(seconds(9), 0.5));
}
