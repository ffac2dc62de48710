//! Checks schedules against the documentation, and against an independent implementation of the day rules.

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn next(expression: &str, after: &str) -> String {
    let after = at(after);
    let window = Schedule::new(expression, None).unwrap().next_after(after, after).unwrap();
    window.opens.to_zoned(TimeZone::UTC).strftime("%a %F %R").to_string()
}

#[test]
fn invalid_schedules_are_refused_with_the_reason() {
    for (expression, duration, why) in [
        ("rate(3 hours)", None, "shortest interval"),
        ("rate(0 days)", None, "at least 1"),
        ("rate(+5 days)", None, "at least 1"),
        ("rate(10 minutes)", None, "unit"),
        ("rate(10)", None, "unit"),
        ("rate(1000 days)", None, "999"),
        ("every day", None, "neither"),
        ("cron(15 8 * * ? *)", None, "minutes"),
        ("cron(0 8 * * ? 2027)", None, "year"),
        ("cron(0 8 * * * *)", None, "must be ?"),
        ("cron(0 8 ? * ? *)", None, "set one of them"),
        ("cron(0 * * * ? *)", None, "4 hours"),
        ("cron(0 1/3 * * ? *)", None, "4 hours"),
        ("cron(0 24 * * ? *)", None, "hours"),
        ("cron(0 8 32 * ? *)", None, "day of month"),
        ("cron(0 8 * 13 ? *)", None, "month"),
        ("cron(0 8 ? * MON#6 *)", None, "1 to 5"),
        ("cron(0 8 ? * 8 *)", None, "day of week"),
        ("cron(0 8 * * ?)", None, "six fields"),
        ("cron(0 8 */0 * ? *)", None, "step"),
        ("rate(4 hours)", Some("5h"), "next one"),
        ("cron(0 20 * * ? *)", Some("5h"), "next day"),
        ("cron(0 0/8 * * ? *)", Some("9h"), "next one"),
        ("rate(1 day)", Some("25h"), "1h to 24h"),
        ("rate(1 day)", Some("3"), "1h to 24h"),
    ] {
        let error = Schedule::new(expression, duration).unwrap_err();
        assert!(error.message().contains(why), "{expression}: {error}");
    }
    assert!(Schedule::after_days(0).is_err() && Schedule::after_days(1001).is_err());
}

#[test]
fn the_examples_of_the_documentation_fire_when_it_says() {
    let monday = "2026-11-23T12:30:00Z";
    assert_eq!(next("rate(10 days)", monday), "Thu 2026-12-03 00:00");
    assert_eq!(next("cron(0 8 * * ? *)", monday), "Tue 2026-11-24 08:00");
    assert_eq!(next("cron(0 8/8 * * ? *)", monday), "Mon 2026-11-23 16:00");
    assert_eq!(next("cron(0 8/8 * * ? *)", "2026-11-23T16:00:00Z"), "Tue 2026-11-24 08:00");
    assert_eq!(next("cron(0 2/10 * * ? *)", "2026-11-23T22:00:00Z"), "Tue 2026-11-24 02:00");
    assert_eq!(next("cron(0 16 ? * SUN *)", monday), "Sun 2026-11-29 16:00");
    assert_eq!(next("cron(0 4 1 */3 ? *)", monday), "Fri 2027-01-01 04:00");
    assert_eq!(next("cron(0 0 L * ? *)", monday), "Mon 2026-11-30 00:00");
    assert_eq!(next("cron(0 0 SUNL * ? *)", monday), "Sun 2026-11-29 00:00");
    assert_eq!(next("cron(0 0 ? * 1L *)", monday), "Sun 2026-11-29 00:00");
    assert_eq!(next("cron(0 0 ? * L *)", monday), "Sat 2026-11-28 00:00");
    assert_eq!(next("cron(0 1 ? * 2#1 *)", monday), "Mon 2026-12-07 01:00");
    assert_eq!(next("cron(0 12 29 FEB ? *)", monday), "Tue 2028-02-29 12:00");
    assert_eq!(next("cron(0 0 ? * FRI-MON *)", monday), "Fri 2026-11-27 00:00");
}

#[test]
fn a_day_that_does_not_exist_never_comes() {
    let schedule = Schedule::new("cron(0 0 31 FEB ? *)", None).unwrap();
    let now = at("2026-11-23T00:00:00Z");
    assert_eq!(schedule.next_after(now, now), None);
    assert!(!schedule.is_due(now, now));
}

#[test]
fn windows_close_after_their_duration_or_with_the_hour_or_day() {
    let now = at("2026-11-23T12:30:00Z");
    let closes = |expression, duration| {
        let window = Schedule::new(expression, duration).unwrap().next_after(now, now).unwrap();
        window.closes.duration_since(window.opens).as_hours()
    };
    assert_eq!(closes("rate(4 hours)", None), 1);
    assert_eq!(closes("rate(4 hours)", Some("4h")), 4);
    assert_eq!(closes("rate(1 day)", None), 24);
    assert_eq!(closes("cron(0 8 * * ? *)", None), 16);
    assert_eq!(closes("cron(0 8/8 * * ? *)", None), 1);
    assert_eq!(closes("cron(0 21/8 * * ? *)", None), 3); // its step leads into the next day: one window per day
    assert_eq!(closes("cron(0 21 * * ? *)", Some("3h")), 3);
}

#[test]
fn a_secret_is_due_once_per_window() {
    let schedule = Schedule::after_days(1).unwrap();
    let last = at("2026-11-23T00:00:00Z");
    assert!(!schedule.is_due(at("2026-11-23T23:59:59Z"), last));
    assert!(schedule.is_due(at("2026-11-24T00:00:00Z"), last));
    let schedule = Schedule::new("rate(4 hours)", None).unwrap();
    assert!(!schedule.is_due(at("2026-11-23T03:59:59Z"), last));
    assert!(schedule.is_due(at("2026-11-23T04:00:00Z"), last));
    // Missed windows do not accumulate: after one rotation, nothing is due.
    assert!(!schedule.is_due(at("2026-11-25T09:00:00Z"), at("2026-11-25T08:30:00Z")));
}

/// The day rule reimplemented on jiff's calendar.
fn day_matches(of_month: &str, of_week: &str, date: Date) -> bool {
    let number = |text: &str| text.parse::<i8>().unwrap();
    let weekday = |text: &str| Weekday::from_sunday_one_offset(number(text)).unwrap();
    match (of_month, of_week) {
        ("*", _) | (_, "*") => true,
        ("L", _) => date.tomorrow().unwrap().day() == 1,
        ("?", day) if day.contains('#') => {
            let (day, nth) = day.split_once('#').unwrap();
            date.nth_weekday_of_month(number(nth), weekday(day)).is_ok_and(|found| found == date)
        }
        ("?", day) if day.ends_with('L') => {
            date.nth_weekday_of_month(-1, weekday(&day[..1])).unwrap() == date
        }
        ("?", day) => date.weekday() == weekday(day),
        (day, _) => date.day() == number(day),
    }
}

proptest! {
    #[test]
    fn the_next_window_is_the_first_hour_that_matches(
        start in 0i64..2_000_000_000,
        hour in 0u32..24,
        step in prop::option::of(4u32..24),
        month in prop::option::of(1i8..=12),
        day in prop_oneof![
            Just(("*".to_owned(), "?".to_owned())),
            Just(("L".to_owned(), "?".to_owned())),
            (1i8..=28).prop_map(|day| (day.to_string(), "?".to_owned())),
            (1i8..=7).prop_map(|day| ("?".to_owned(), day.to_string())),
            (1i8..=7, 1i8..=4).prop_map(|(day, nth)| ("?".to_owned(), format!("{day}#{nth}"))),
            (1i8..=7).prop_map(|day| ("?".to_owned(), format!("{day}L"))),
        ],
    ) {
        let hours = step.map_or(hour.to_string(), |step| format!("{hour}/{step}"));
        let months = month.map_or("*".to_owned(), |month| month.to_string());
        let expression = format!("cron(0 {hours} {} {months} {} *)", day.0, day.1);
        let after = Timestamp::from_second(start).unwrap();
        let found = Schedule::new(&expression, None).unwrap().next_after(after, after).unwrap().opens;

        let mut moment = Timestamp::from_second(start - start.rem_euclid(3600)).unwrap();
        loop {
            moment = moment.checked_add(1.hours()).unwrap();
            let civil = moment.to_zoned(TimeZone::UTC).datetime();
            let passed = civil.hour() as i32 - hour as i32;
            let hour_matches = match step {
                None => passed == 0,
                Some(step) => passed >= 0 && passed % step as i32 == 0,
            };
            if hour_matches
                && month.is_none_or(|month| month == civil.month())
                && day_matches(&day.0, &day.1, civil.date())
            {
                break;
            }
        }
        prop_assert_eq!(found, moment, "{}", expression);
    }

    #[test]
    fn rates_keep_their_distance(
        start in 0i64..2_000_000_000,
        later in 0i64..100_000_000,
        number in 4i32..200,
        in_days: bool,
    ) {
        let unit = if in_days { "days" } else { "hours" };
        let schedule = Schedule::new(&format!("rate({number} {unit})"), None).unwrap();
        let anchor = Timestamp::from_second(start).unwrap();
        let after = Timestamp::from_second(start + later).unwrap();
        let window = schedule.next_after(after, anchor).unwrap();
        prop_assert!(window.opens > after && window.opens < window.closes);
        let step = i64::from(number) * if in_days { 86_400 } else { 3600 };
        prop_assert!(window.opens.duration_since(after).as_secs() <= step);
        prop_assert_eq!((window.opens.as_second() - (start - start.rem_euclid(86_400))) % step, 0);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(cron|rate)\\([0-9A-Z#?*/,L -]{0,24}\\)") {
        drop(Schedule::new(&text, Some("3h")));
    }
}
