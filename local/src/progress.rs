//! The state transitions of a rotation: it begins, succeeds, fails, is abandoned or cancelled.
//!
//! Each function changes the state of a secret and returns the event for it. These functions do not depend on what runs
//! the steps.

use std::collections::BTreeSet;

use crate::events::{Event, EventName};
use crate::labels::{self, CURRENT, PENDING};
use crate::rotation::{Purpose, Underway};
use crate::secret::{Secret, Version};
use crate::time::Timestamp;

/// The delays in seconds before a failed rotation is retried. The service does that "multiple times", but has not
/// published how often, or after which delays.
const RETRIES: [i64; 4] = [2, 10, 60, 300];

/// Begins a rotation: creates the version `token` without a value and labels it `AWSPENDING`. For a test, the version
/// gets a copy of the current value.
///
/// If the version already exists, from a rotation that was never completed, that rotation continues.
pub(crate) fn begin(secret: &mut Secret, token: &str, purpose: Purpose, now: Timestamp) -> Event {
    if secret.version(token).is_none() {
        let current = secret.labelled(CURRENT).and_then(|version| version.value.clone());
        secret.versions.push(Version {
            id: token.to_owned(),
            value: current.filter(|_| purpose == Purpose::Test),
            labels: BTreeSet::new(),
            created: now,
            accessed: None,
            former_key: None,
        });
    }
    labels::attach(&mut secret.versions, token, PENDING);
    let rotation = secret.rotation.get_or_insert_default();
    rotation.underway = Some(Underway { token: token.to_owned(), purpose, failures: 0, due: Some(now) });
    let name = match purpose {
        Purpose::Rotate => EventName::RotationStarted,
        Purpose::Test => EventName::TestRotationStarted,
    };
    Event::new(name, secret, token, now)
}

/// Returns the version that an incomplete rotation left `AWSPENDING`: it has this label but not `AWSCURRENT`.
pub(crate) fn unfinished(secret: &Secret) -> Option<&Version> {
    secret.labelled(PENDING).filter(|version| !version.labels.contains(CURRENT))
}

/// Ends a rotation whose steps all succeeded.
pub(crate) fn completed(secret: &mut Secret, token: &str, notes: &str, now: Timestamp) -> Option<Event> {
    let purpose = underway(secret, token)?.purpose;
    if purpose == Purpose::Test {
        end(secret, token);
        return Some(Event::new(EventName::TestRotationSucceeded, secret, token, now).because(notes));
    }
    if !has(secret, token, CURRENT) {
        let why = "the step was reported as done, but AWSCURRENT is not on the new version";
        return failed(secret, token, "finishSecret", why, now);
    }
    end(secret, token);
    let rotation = secret.rotation.get_or_insert_default();
    rotation.last_rotated = Some(now);
    rotation.reschedule(now);
    rotation.fill_in_days(now);
    secret.changed = now;
    Some(Event::new(EventName::RotationSucceeded, secret, token, now).because(notes))
}

/// Records that a step failed. The whole rotation is retried later with the same version, unless the function itself
/// removed the label from the version.
pub(crate) fn failed(
    secret: &mut Secret,
    token: &str,
    step: &'static str,
    why: &str,
    now: Timestamp,
) -> Option<Event> {
    let (purpose, failures) =
        underway(secret, token).map(|underway| (underway.purpose, underway.failures))?;
    let name = match purpose {
        Purpose::Rotate => EventName::RotationFailed,
        Purpose::Test => EventName::TestRotationFailed,
    };
    let mut event = Event::new(name, secret, token, now).because(why);
    event.step = Some(step);
    if purpose == Purpose::Test || !(has(secret, token, PENDING) || has(secret, token, CURRENT)) {
        end(secret, token);
        return Some(event);
    }
    let rotation = secret.rotation.get_or_insert_default();
    // After the last of these, it is retried in the next window.
    let delay = RETRIES.get(failures as usize).map(|seconds| now.plus_millis(seconds * 1000));
    event.retry_at = delay;
    let due = delay.or_else(|| rotation.window_after(now).map(|window| window.opens));
    rotation.underway =
        Some(Underway { token: token.to_owned(), purpose, failures: failures.saturating_add(1), due });
    Some(event)
}

/// Makes the rotation in progress due now, and resets its count of failures.
pub(crate) fn expedite(secret: &mut Secret, now: Timestamp) {
    let Some(rotation) = secret.rotation.as_mut().filter(|rotation| rotation.enabled) else { return };
    if let Some(underway) = &mut rotation.underway {
        (underway.due, underway.failures) = (Some(now), 0);
    }
}

/// Turns rotation off. The version in progress stays, with its label, except for a test's. Returns its id.
pub(crate) fn cancel(secret: &mut Secret) -> Option<String> {
    let rotation = secret.rotation.as_mut()?;
    rotation.enabled = false;
    let underway = rotation.underway.clone()?;
    if underway.purpose == Purpose::Test {
        end(secret, &underway.token);
        return None;
    }
    rotation.underway = None;
    Some(underway.token)
}

/// Records that a value was stored as the version `token`. If that is not the version of the rotation in progress, the
/// rotation is abandoned: "Secrets Manager abandons a rotation attempt and removes the AWSPENDING label … when you
/// create a new version of a secret during rotation" (user guide, "Secrets Manager events").
pub(crate) fn value_stored(secret: &mut Secret, token: &str, now: Timestamp) -> Option<Event> {
    let rotation = secret.rotation.as_mut()?;
    if rotation.underway.as_ref().is_some_and(|underway| underway.token == token) {
        return None;
    }
    // "Manually updating the secret value by calling PutSecretValue or UpdateSecret is considered a valid rotation."
    let is_current = secret.versions.iter().any(|v| v.id == token && v.labels.contains(CURRENT));
    if rotation.enabled && is_current {
        rotation.reschedule(now);
    }
    abandon(secret, "a new version of the secret was created meanwhile", now)
}

/// Abandons the rotation in progress, if there is one.
pub(crate) fn abandon(secret: &mut Secret, why: &str, now: Timestamp) -> Option<Event> {
    let Underway { token, purpose, .. } = secret.rotation.as_ref()?.underway.clone()?;
    let name = match purpose {
        Purpose::Rotate => EventName::RotationAbandoned,
        Purpose::Test => EventName::TestRotationFailed,
    };
    end(secret, &token);
    Some(Event::new(name, secret, &token, now).because(why))
}

/// Returns the rotation in progress, if it is for this version.
fn underway<'a>(secret: &'a Secret, token: &str) -> Option<&'a Underway> {
    secret.rotation.as_ref()?.underway.as_ref().filter(|underway| underway.token == token)
}

/// Removes the label and the rotation's state. Also removes a version without a value, and the copy made for a test.
fn end(secret: &mut Secret, token: &str) {
    let test = underway(secret, token).is_some_and(|underway| underway.purpose == Purpose::Test);
    labels::detach(&mut secret.versions, token, PENDING);
    let is_idle = |version: &Version| version.id == token && version.labels.is_empty();
    secret.versions.retain(|version| !(is_idle(version) && (test || version.value.is_none())));
    if let Some(rotation) = &mut secret.rotation {
        rotation.underway = None;
    }
}

fn has(secret: &Secret, token: &str, label: &str) -> bool {
    secret.version(token).is_some_and(|version| version.labels.contains(label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::{Rotation, RotationRules};
    use crate::value::SecretValue;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Returns a secret with the current version v1 that rotates every day.
    fn secret() -> Secret {
        let rules = RotationRules { automatically_after_days: Some(1), ..RotationRules::default() };
        let version = Version {
            id: "v1".into(),
            value: Some(SecretValue::text("one")),
            labels: [CURRENT.to_owned()].into(),
            created: at(0),
            accessed: None,
            former_key: None,
        };
        Secret {
            arn: "arn:db".into(),
            name: "db".into(),
            description: None,
            kms_key_id: None,
            kind: None,
            tags: None,
            policy: None,
            created: at(0),
            changed: at(0),
            accessed: None,
            deletion: None,
            rotation: Some(Rotation { enabled: true, rules: Some(rules), ..Rotation::default() }),
            replicas: Vec::new(),
            cross_account: None,
            primary: None,
            versions: vec![version],
        }
    }

    /// Returns that secret with a rotation to v2 in progress.
    fn rotating(purpose: Purpose) -> Secret {
        let mut secret = secret();
        begin(&mut secret, "v2", purpose, at(10));
        secret
    }

    fn rotation(secret: &Secret) -> &Rotation {
        secret.rotation.as_ref().unwrap()
    }

    fn ids(secret: &Secret) -> Vec<&str> {
        secret.versions.iter().map(|version| version.id.as_str()).collect()
    }

    #[test]
    fn a_rotation_begins_with_a_version_without_a_value_and_a_test_with_a_copy() {
        let mut secret = secret();
        let event = begin(&mut secret, "v2", Purpose::Rotate, at(10));
        assert_eq!((event.event, event.version_id.as_str()), (EventName::RotationStarted, "v2"));
        assert_eq!(secret.version("v2").unwrap().value, None);
        assert_eq!(unfinished(&secret).unwrap().id, "v2");
        begin(&mut secret, "v2", Purpose::Rotate, at(20));
        assert_eq!(ids(&secret), ["v1", "v2"], "it continues with the existing version");
        assert_eq!(rotation(&secret).underway.as_ref().unwrap().due, Some(at(20)));

        let test = rotating(Purpose::Test);
        assert_eq!(test.version("v2").unwrap().value, test.version("v1").unwrap().value);
    }

    #[test]
    fn a_label_that_is_left_on_the_current_version_is_no_rotation() {
        let mut secret = secret();
        assert_eq!(unfinished(&secret), None);
        labels::attach(&mut secret.versions, "v1", PENDING);
        assert_eq!(unfinished(&secret), None);
    }

    #[test]
    fn a_rotation_succeeds_once_the_new_version_is_current() {
        let mut secret = rotating(Purpose::Rotate);
        assert_eq!(completed(&mut secret, "v1", "", at(20)), None, "that is not the one in progress");
        labels::attach(&mut secret.versions, "v2", CURRENT);
        let event = completed(&mut secret, "v2", "a remark", at(20)).unwrap();
        assert_eq!(event.event, EventName::RotationSucceeded);
        assert_eq!(event.message.as_deref(), Some("a remark"));
        assert_eq!((rotation(&secret).last_rotated, secret.changed), (Some(at(20)), at(20)));
        assert_eq!(rotation(&secret).underway, None);
        assert!(!has(&secret, "v2", PENDING) && has(&secret, "v2", CURRENT));
        assert!(rotation(&secret).next.unwrap().opens > at(20));
    }

    #[test]
    fn a_rotation_that_leaves_the_new_version_without_its_label_has_failed() {
        let mut secret = rotating(Purpose::Rotate);
        let event = completed(&mut secret, "v2", "", at(20)).unwrap();
        assert_eq!((event.event, event.step), (EventName::RotationFailed, Some("finishSecret")));
        assert_eq!(rotation(&secret).last_rotated, None);
    }

    #[test]
    fn a_test_leaves_nothing_behind_however_it_ends() {
        let mut succeeded = rotating(Purpose::Test);
        let event = completed(&mut succeeded, "v2", "", at(20)).unwrap();
        assert_eq!(event.event, EventName::TestRotationSucceeded);
        let mut failing = rotating(Purpose::Test);
        let event = failed(&mut failing, "v2", "testSecret", "no", at(20)).unwrap();
        assert_eq!((event.event, event.retry_at), (EventName::TestRotationFailed, None));
        let mut abandoned = rotating(Purpose::Test);
        assert_eq!(abandon(&mut abandoned, "no", at(20)).unwrap().event, EventName::TestRotationFailed);
        let mut cancelled = rotating(Purpose::Test);
        assert_eq!(cancel(&mut cancelled), None);
        for secret in [succeeded, failing, abandoned, cancelled] {
            assert_eq!(ids(&secret), ["v1"]);
            assert_eq!(rotation(&secret).underway, None);
            assert_eq!(rotation(&secret).last_rotated, None);
        }
    }

    #[test]
    fn a_rotation_that_fails_is_run_again_later_each_time_and_then_in_the_next_window() {
        let mut secret = rotating(Purpose::Rotate);
        for (failures, delay) in (1..).zip(RETRIES) {
            let event = failed(&mut secret, "v2", "setSecret", "no", at(100)).unwrap();
            assert_eq!((event.event, event.step), (EventName::RotationFailed, Some("setSecret")));
            assert_eq!(event.retry_at, Some(at(100 + delay)));
            let underway = rotation(&secret).underway.as_ref().unwrap();
            assert_eq!((underway.failures, underway.due), (failures, Some(at(100 + delay))));
        }
        let event = failed(&mut secret, "v2", "setSecret", "no", at(100)).unwrap();
        assert_eq!(event.retry_at, None);
        let due = rotation(&secret).underway.as_ref().unwrap().due.unwrap();
        assert!(due > at(400) && due <= at(2 * DAY), "{due:?}");
        assert_eq!(
            failed(&mut secret, "v1", "setSecret", "no", at(100)),
            None,
            "that is not the one in progress"
        );

        expedite(&mut secret, at(200));
        let underway = rotation(&secret).underway.as_ref().unwrap();
        assert_eq!((underway.failures, underway.due), (0, Some(at(200))));
    }

    #[test]
    fn a_rotation_is_run_again_as_long_as_its_version_has_either_label() {
        let mut secret = rotating(Purpose::Rotate);
        labels::attach(&mut secret.versions, "v2", CURRENT);
        labels::detach(&mut secret.versions, "v2", PENDING);
        assert!(failed(&mut secret, "v2", "finishSecret", "no", at(20)).unwrap().retry_at.is_some());
        let mut secret = rotating(Purpose::Rotate);
        labels::detach(&mut secret.versions, "v2", PENDING);
        assert_eq!(failed(&mut secret, "v2", "setSecret", "no", at(20)).unwrap().retry_at, None);
        assert_eq!(rotation(&secret).underway, None);
        assert_eq!(ids(&secret), ["v1"], "it never had a value");
    }

    #[test]
    fn what_was_made_so_far_stays_when_rotation_is_turned_off_and_is_not_hurried_then() {
        let mut secret = rotating(Purpose::Rotate);
        let before = rotation(&secret).underway.clone();
        secret.rotation.as_mut().unwrap().enabled = false;
        expedite(&mut secret, at(200));
        assert_eq!(rotation(&secret).underway, before);
        secret.rotation.as_mut().unwrap().enabled = true;
        assert_eq!(cancel(&mut secret).as_deref(), Some("v2"));
        assert!(!rotation(&secret).enabled && rotation(&secret).underway.is_none());
        assert_eq!(unfinished(&secret).unwrap().id, "v2");
    }

    #[test]
    fn a_value_from_elsewhere_abandons_a_rotation_and_one_of_its_own_does_not() {
        let mut secret = rotating(Purpose::Rotate);
        assert_eq!(value_stored(&mut secret, "v2", at(20)), None);
        assert!(rotation(&secret).underway.is_some());
        let event = value_stored(&mut secret, "v1", at(20)).unwrap();
        assert_eq!((event.event, event.version_id.as_str()), (EventName::RotationAbandoned, "v2"));
        assert_eq!(ids(&secret), ["v1"]);
        assert!(rotation(&secret).next.is_some(), "a current value counts as a rotation");
    }

    #[test]
    fn a_value_counts_as_a_rotation_only_if_it_is_current_and_rotation_is_on() {
        let mut secret = secret();
        secret.versions[0].labels = ["OTHER".to_owned()].into();
        assert_eq!(value_stored(&mut secret, "v1", at(20)), None);
        assert_eq!(rotation(&secret).next, None);
        secret.versions[0].labels = [CURRENT.to_owned()].into();
        assert_eq!(value_stored(&mut secret, "another", at(20)), None);
        assert_eq!(rotation(&secret).next, None);
        secret.rotation.as_mut().unwrap().enabled = false;
        assert_eq!(value_stored(&mut secret, "v1", at(20)), None);
        assert_eq!(rotation(&secret).next, None);
    }

    #[test]
    fn what_ends_takes_its_own_version_alone() {
        let mut secret = rotating(Purpose::Rotate);
        let mut idle = secret.version("v2").unwrap().clone();
        idle.id = "v0".into();
        idle.labels.clear();
        secret.versions.insert(0, idle);
        abandon(&mut secret, "no", at(20));
        assert_eq!(ids(&secret), ["v0", "v1"]);
        // A version with a value stays, without its label.
        begin(&mut secret, "v3", Purpose::Rotate, at(30));
        secret.versions.last_mut().unwrap().value = Some(SecretValue::text("three"));
        abandon(&mut secret, "no", at(40));
        assert_eq!(ids(&secret), ["v0", "v1", "v3"]);
        assert!(!has(&secret, "v3", PENDING));
    }
}
