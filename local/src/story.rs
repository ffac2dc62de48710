//! The recent history that the page shows: requests, rotations and their steps, and labels that moved.
//!
//! It contains no values, only what `--verbose` prints and which version has which label.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::arn::Scope;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Keeps the latest entries of each kind, and notifies listeners.
pub(crate) struct Story {
    latest: Mutex<Latest>,
    notifications: broadcast::Sender<Notification>,
}

#[derive(Default)]
struct Latest {
    /// The number of entries so far, which is also the number of the latest one.
    total: u64,
    requests: VecDeque<Arc<str>>,
    rotations: VecDeque<Arc<str>>,
}

/// A notification for listeners.
#[derive(Clone, Debug)]
pub(crate) enum Notification {
    /// The name of a server-sent event and its data, JSON on one line.
    Event(&'static str, Arc<str>),
    /// So much has changed that listeners must reload everything.
    Reload,
}

/// An entry in the history of rotations.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry<'a> {
    /// One of the service's own events.
    Event(&'a crate::events::Event),
    /// A step started or ended.
    Step { time: Timestamp, secret_arn: &'a str, version_id: &'a str, step: &'static str, state: StepState },
    /// A staging label moved.
    Moved(Move<'a>),
}

/// The state of a step.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    Started,
    Done,
    Failed,
}

/// A staging label that moved from one version to another, or was attached or detached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Move<'a> {
    time: Timestamp,
    secret_arn: &'a str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
}

impl Default for Story {
    fn default() -> Self {
        Self { latest: Mutex::default(), notifications: broadcast::Sender::new(CAPACITY) }
    }
}

impl Story {
    /// Adds an entry about a rotation.
    pub(crate) fn rotation(&self, entry: &Entry<'_>) {
        self.keep("rotation", entry, |latest| (&mut latest.rotations, KEPT_ROTATIONS));
    }

    /// Adds a request and its outcome.
    pub(crate) fn request(&self, line: &impl Serialize) {
        self.keep("request", line, |latest| (&mut latest.requests, KEPT_REQUESTS));
    }

    /// Notifies the current listeners of a new state.
    pub(crate) fn notify(&self, event: &'static str, state: impl FnOnce() -> serde_json::Value) {
        if self.has_listeners() {
            let _ = self.notifications.send(Notification::Event(event, state().to_string().into()));
        }
    }

    /// Clears the history.
    pub(crate) fn forget(&self) {
        let mut latest = self.latest();
        latest.requests.clear();
        latest.rotations.clear();
        let _ = self.notifications.send(Notification::Reload);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Notification> {
        self.notifications.subscribe()
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.notifications.receiver_count() > 0
    }

    /// Returns the latest requests and the latest rotation entries, each as a JSON array, oldest first.
    pub(crate) fn latest_json(&self) -> (String, String) {
        let latest = self.latest();
        let array = |entries: &VecDeque<Arc<str>>| {
            let entries: Vec<_> = entries.iter().map(AsRef::as_ref).collect();
            format!("[{}]", entries.join(","))
        };
        (array(&latest.requests), array(&latest.rotations))
    }

    /// Numbers an entry, keeps it and notifies listeners in one step, so that notifications are in order.
    fn keep<T: Serialize>(
        &self,
        event: &'static str,
        entry: &T,
        place: impl FnOnce(&mut Latest) -> (&mut VecDeque<Arc<str>>, usize),
    ) {
        #[derive(Serialize)]
        struct Numbered<'a, T> {
            number: u64,
            #[serde(flatten)]
            entry: &'a T,
        }
        let mut latest = self.latest();
        latest.total += 1;
        let numbered = Numbered { number: latest.total, entry };
        let Ok(text) = serde_json::to_string(&numbered) else { return };
        let text: Arc<str> = text.into();
        let (entries, most) = place(&mut latest);
        entries.push_back(Arc::clone(&text));
        while entries.len() > most {
            entries.pop_front();
        }
        // It is not an error if there are no listeners.
        let _ = self.notifications.send(Notification::Event(event, text));
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the labels that a change of a secret moves.
pub(crate) fn moves<'a>(before: Option<&'a Secret>, after: &'a Secret, time: Timestamp) -> Vec<Move<'a>> {
    let versions = || before.into_iter().flat_map(|secret| &secret.versions).chain(&after.versions);
    let mut labels: Vec<_> = versions().flat_map(|version| &version.labels).map(String::as_str).collect();
    labels.sort_unstable();
    labels.dedup();
    let holder = |secret: &'a Secret, label: &str| Some(secret.labelled(label)?.id.as_str());
    let moved = labels.into_iter().map(|label| Move {
        time,
        secret_arn: &after.arn,
        label,
        from: before.and_then(|before| holder(before, label)),
        to: holder(after, label),
    });
    moved.filter(|moved| moved.from != moved.to).collect()
}

/// Returns a secret as JSON, without its values.
pub(crate) fn shown(scope: &Scope, secret: &Secret) -> serde_json::Value {
    let mut shown = serde_json::to_value(secret).unwrap_or_default();
    shown["account"] = scope.account.as_str().into();
    shown["region"] = scope.region.as_str().into();
    shown
}

const KEPT_REQUESTS: usize = 200;

const KEPT_ROTATIONS: usize = 500;

/// A listener that falls behind by more than this reloads everything.
const CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secret::Version;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn secret(versions: &[(&str, &[&str])]) -> Secret {
        let json = r#"{"arn":"arn","name":"db","created":1,"changed":1,"versions":[]}"#;
        let mut secret: Secret = serde_json::from_str(json).unwrap();
        secret.versions = versions
            .iter()
            .map(|(id, labels)| Version {
                id: (*id).to_owned(),
                value: None,
                labels: BTreeSet::from_iter(labels.iter().map(|label| (*label).to_owned())),
                created: NOW,
                accessed: None,
                former_key: None,
            })
            .collect();
        secret
    }

    #[test]
    fn labels_that_move_come_and_go_are_reported() {
        let before = secret(&[("one", &["AWSCURRENT"]), ("two", &["AWSPENDING", "blue"])]);
        let after = secret(&[("one", &["AWSPREVIOUS"]), ("two", &["AWSCURRENT", "blue"])]);
        let moved: Vec<_> =
            moves(Some(&before), &after, NOW).into_iter().map(|m| (m.label, m.from, m.to)).collect();
        assert_eq!(
            moved,
            [
                ("AWSCURRENT", Some("one"), Some("two")),
                ("AWSPENDING", Some("two"), None),
                ("AWSPREVIOUS", None, Some("one")),
            ]
        );
        assert_eq!(moves(Some(&after), &after, NOW), []);
        assert_eq!(moves(None, &after, NOW).len(), 3);
    }

    #[test]
    fn the_latest_are_kept_in_their_order_and_forgotten_on_request() {
        let story = Story::default();
        let mut notifications = story.listen();
        for n in 0..KEPT_REQUESTS + 3 {
            story.request(&serde_json::json!({ "n": n }));
        }
        let requests: Vec<serde_json::Value> = serde_json::from_str(&story.latest_json().0).unwrap();
        assert_eq!(requests.len(), KEPT_REQUESTS);
        assert_eq!((&requests[0]["n"], &requests[0]["number"]), (&3.into(), &4.into()));
        let first = notifications.try_recv();
        assert!(matches!(first, Ok(Notification::Event("request", text)) if text.contains("\"number\":1")));
        story.forget();
        assert_eq!(story.latest_json(), ("[]".to_owned(), "[]".to_owned()));
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let story = Story::default();
        story.notify("clock", || unreachable!("nobody listens"));
    }
}
