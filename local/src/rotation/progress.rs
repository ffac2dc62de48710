//! What becomes of a rotation: it begins, fails, is abandoned or cancelled, succeeds.
//!
//! Each function takes a secret from one state to the next and gives the event that tells of it. None knows who runs
//! the steps, or whether they run at all.

use std::collections::BTreeSet;

use super::{Purpose, Underway};
use crate::events::{Event, EventName};
use crate::labels::{self, CURRENT, PENDING};
use crate::secret::{Secret, Version};
use crate::time::Timestamp;

/// How long the service waits before it runs a rotation again, which it does "multiple times"; how often, and how long
/// it waits in between, is not published.
const RETRIES: [i64; 4] = [2, 10, 60, 300];

/// Begins a rotation: labels the version `token`, which has no value yet, `AWSPENDING`. A test gets a copy of the current
/// value instead.
///
/// A version that has the label already, from a rotation that was never completed, is gone on with.
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

/// The version that a rotation left `AWSPENDING` without completing: the label is on a version that is not current.
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

/// Notes that a step failed. The whole rotation is run again with the same version later; if the function took the label
/// from the version itself, there is nothing left to run.
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
    // After the last of these, the next window brings another try.
    let delay = RETRIES.get(failures as usize).map(|seconds| now.plus_millis(seconds * 1000));
    event.retry_at = delay;
    let due = delay.or_else(|| rotation.window_after(now).map(|window| window.opens));
    rotation.underway =
        Some(Underway { token: token.to_owned(), purpose, failures: failures.saturating_add(1), due });
    Some(event)
}

/// Makes the rotation under way due now, with all its tries before it.
pub(crate) fn expedite(secret: &mut Secret, now: Timestamp) {
    let Some(rotation) = secret.rotation.as_mut().filter(|rotation| rotation.enabled) else { return };
    if let Some(underway) = &mut rotation.underway {
        (underway.due, underway.failures) = (Some(now), 0);
    }
}

/// Turns rotation off. What was made so far stays as it is, labels included, except for a mere test.
pub(crate) fn cancel(secret: &mut Secret) -> Option<String> {
    let rotation = secret.rotation.as_mut()?;
    rotation.enabled = false;
    let underway = rotation.underway.take()?;
    if underway.purpose == Purpose::Test {
        end(secret, &underway.token);
        return None;
    }
    Some(underway.token)
}

/// Notes a value that was stored as the version `token`. One that is not the rotation's own abandons it: "Secrets Manager
/// abandons a rotation attempt and removes the AWSPENDING label … when you create a new version of a secret during
/// rotation" (user guide, "Secrets Manager events").
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

/// Gives up the rotation under way, if there is one.
pub(crate) fn abandon(secret: &mut Secret, why: &str, now: Timestamp) -> Option<Event> {
    let Underway { token, purpose, .. } = secret.rotation.as_ref()?.underway.clone()?;
    let name = match purpose {
        Purpose::Rotate => EventName::RotationAbandoned,
        Purpose::Test => EventName::TestRotationFailed,
    };
    end(secret, &token);
    Some(Event::new(name, secret, &token, now).because(why))
}

/// The rotation under way, if it is that of this version.
fn underway<'a>(secret: &'a Secret, token: &str) -> Option<&'a Underway> {
    secret.rotation.as_ref()?.underway.as_ref().filter(|underway| underway.token == token)
}

/// Takes the label away and forgets the rotation. A version without a value, and the copy that a test was made with, go.
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
