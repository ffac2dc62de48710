//! Which secrets are due, given their schedules and what the store reports.

use super::*;
use crate::store::{SecretState, VersionState};

fn at(text: &str) -> Timestamp {
    format!("{text}Z").parse().unwrap()
}

fn inventory(text: &str) -> Result<Inventory, String> {
    Inventory::from_toml(text).map_err(|error| error.message().to_owned())
}

fn entry(schedule: &str, duration: Option<&str>) -> Entry {
    Entry {
        id: "db".into(),
        schedule: Some(schedule.into()),
        duration: duration.map(str::to_owned),
        ..Entry::default()
    }
}

fn rotated(at: Timestamp) -> Details {
    Details { rotated: Some(at), changed: Some(at), ..Details::default() }
}

#[test]
fn a_secret_is_due_from_the_opening_of_its_window() {
    let (monthly, last) = (entry("rate(30 days)", None), rotated(at("2026-10-01T13:00:00")));
    let judge = |now| monthly.judge(&last, at(now)).unwrap();
    assert_eq!(judge("2026-10-30T23:59:59"), Due::Later(at("2026-10-31T00:00:00")));
    assert_eq!(judge("2026-10-31T00:00:00"), Due::Since(at("2026-10-31T00:00:00")));
    assert_eq!(judge("2027-10-31T00:00:00"), Due::Since(at("2026-10-31T00:00:00")));
}

#[test]
fn a_window_with_a_duration_is_not_made_up_for() {
    let sundays = entry("cron(0 3 ? * SUN *)", Some("2h"));
    let last = rotated(at("2026-11-15T03:10:00"));
    let judge = |now| sundays.judge(&last, at(now)).unwrap();
    assert_eq!(judge("2026-11-22T02:59:59"), Due::Later(at("2026-11-22T03:00:00")));
    assert_eq!(judge("2026-11-22T04:59:59"), Due::Since(at("2026-11-22T03:00:00")));
    let missed = Due::Missed { opened: at("2026-11-22T03:00:00"), next: at("2026-11-29T03:00:00") };
    assert_eq!(judge("2026-11-22T05:00:00"), missed);
    assert_eq!(judge("2026-12-06T04:00:00"), Due::Since(at("2026-12-06T03:00:00")));
    // Not due twice in one window.
    let again = rotated(at("2026-12-06T03:30:00"));
    assert!(!sundays.judge(&again, at("2026-12-06T04:00:00")).unwrap().is_now());
}

#[test]
fn a_secret_that_never_rotated_counts_from_its_last_change() {
    let daily = entry("rate(1 day)", None);
    let mut details = Details { changed: Some(at("2026-11-20T10:00:00")), ..Details::default() };
    assert!(daily.judge(&details, at("2026-11-21T00:00:00")).unwrap().is_now());
    assert!(!daily.judge(&details, at("2026-11-20T23:00:00")).unwrap().is_now());
    details.changed = None;
    assert!(daily.judge(&details, at("2026-11-20T23:00:00")).is_err());
}

#[test]
fn a_rotation_that_stopped_half_way_is_gone_on_with_at_any_time() {
    let version = |id: &str, stages: &[&str]| VersionState {
        id: id.into(),
        stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
    };
    let now = at("2026-11-20T10:00:00");
    let mut details = rotated(now);
    details.state = SecretState {
        versions: vec![version("c", &["AWSCURRENT"]), version("p", &["AWSPENDING"])],
        ..SecretState::default()
    };
    assert_eq!(entry("rate(30 days)", None).judge(&details, now).unwrap(), Due::UnderWay);
    details.state.versions = vec![version("c", &["AWSCURRENT", "AWSPENDING"])];
    assert!(!entry("rate(30 days)", None).judge(&details, now).unwrap().is_now());
}

#[test]
fn without_a_schedule_in_the_file_that_of_the_service_counts() {
    let bare = Entry { id: "db".into(), ..Entry::default() };
    let now = at("2026-11-20T10:00:00");
    let mut details = rotated(at("2026-11-01T10:00:00"));
    let error = bare.judge(&details, now).unwrap_err();
    assert!(error.message().contains("no schedule"), "{error}");
    details.rules.days = Some(7);
    assert_eq!(bare.judge(&details, now).unwrap(), Due::Since(at("2026-11-08T00:00:00")));
    details.managed_by = Some("rds".into());
    assert!(bare.judge(&details, now).is_err());
}

#[test]
fn defaults_are_filled_in_where_a_secret_says_nothing() {
    let inventory = inventory(
        r#"
        [run]
        concurrency = 3
        [defaults]
        schedule = "cron(0 3 ? * SUN *)"
        duration = "2h"
        ca_file = "ca.pem"
        password = { length = 40, exclude_numbers = true }
        [[secret]]
        id = "a"
        [[secret]]
        id = "b"
        schedule = "rate(7 days)"
        tls = false
        password.length = 12
        "#,
    )
    .unwrap();
    let [a, b] = &inventory.entries[..] else { panic!("{inventory:?}") };
    assert_eq!((a.duration.as_deref(), a.ca_file.as_deref()), (Some("2h"), Some("ca.pem")));
    assert_eq!((b.duration.as_deref(), b.ca_file.as_deref()), (None, None));
    assert_eq!((a.password.length, b.password.length), (Some(40), Some(12)));
    assert_eq!(b.password.variable("EXCLUDE_NUMBERS").as_deref(), Some("true"));
    assert_eq!((inventory.concurrency, inventory.stop_after), (3, None));
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    for (text, named) in [
        ("", "lists no secret"),
        ("[[secret]]\nschedule = \"rate(1 day)\"", "no id"),
        ("[[secret]]\nid = \"a\"\n[[secret]]\nid = \"a\"", "\"a\" is listed twice"),
        ("[[secret]]\nid = \"a\"\nschedule = \"rate(1 hour)\"", "a: the schedule"),
        ("[[secret]]\nid = \"a\"\nduration = \"2h\"", "a: a duration needs a schedule"),
        ("[[secret]]\nid = \"a\"\nschedul = \"rate(1 day)\"", "schedul"),
        ("[run]\nconcurrency = 0\n[[secret]]\nid = \"a\"", "concurrency must be 1"),
        ("[defaults]\nid = \"x\"\n[[secret]]\nid = \"a\"", "[defaults] cannot have an id"),
        ("[[secret]]\nid = \"a\"\ntls = false\nca_file = \"x\"", "tls = false"),
        ("[[secret]]\nid = \"a\"\nusers = [\"one\"]", "users"),
    ] {
        let problem = inventory(text).unwrap_err();
        assert!(problem.contains(named), "{text:?} gives {problem:?}");
    }
}
