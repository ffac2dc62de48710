//! How staging labels move between the versions of one secret.
//!
//! A label is attached to at most one version. Moving `AWSCURRENT` to another version also moves `AWSPREVIOUS` to the
//! version that had it (API reference, UpdateSecretVersionStage and PutSecretValue). No other label moves
//! automatically; in particular, `AWSPENDING` stays where it is.

use crate::error::{ErrorCode, ServiceError};
use crate::secret::Version;

/// The label of the version that reads return by default.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation is preparing.
pub const PENDING: &str = "AWSPENDING";
/// The label of the previously current version.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// Attaches `label` to the version `id`, which must exist, and detaches it from the version that had it.
pub(crate) fn attach(versions: &mut [Version], id: &str, label: &str) {
    let holder = versions.iter_mut().find(|version| version.labels.contains(label));
    let loser = match holder {
        Some(version) if version.id == id => return,
        Some(version) => {
            version.labels.remove(label);
            Some(version.id.clone())
        }
        None => None,
    };
    if let Some(version) = versions.iter_mut().find(|version| version.id == id) {
        version.labels.insert(label.to_owned());
    }
    if let (CURRENT, Some(loser)) = (label, loser) {
        attach(versions, &loser, PREVIOUS);
    }
}

/// Attaches several labels. `AWSCURRENT` comes last, so that the automatic move of `AWSPREVIOUS` wins over an
/// explicit one in the same request.
pub(crate) fn attach_all<'a>(
    versions: &mut [Version],
    id: &str,
    labels: impl Iterator<Item = &'a str> + Clone,
) {
    for label in labels.clone().filter(|label| *label != CURRENT) {
        attach(versions, id, label);
    }
    for label in labels.filter(|label| *label == CURRENT) {
        attach(versions, id, label);
    }
}

/// Attaches several labels to a version that was just stored. If `AWSCURRENT` moves, the version that had it also loses
/// an `AWSPENDING` left over from its own rotation (recorded from the service).
pub(crate) fn store<'a>(versions: &mut [Version], id: &str, labels: impl Iterator<Item = &'a str> + Clone) {
    let current = versions.iter().find(|version| version.labels.contains(CURRENT));
    let loser = current.map(|version| version.id.clone()).filter(|loser| loser != id);
    attach_all(versions, id, labels.clone());
    if let Some(loser) = loser.filter(|_| labels.clone().any(|label| label == CURRENT)) {
        detach(versions, &loser, PENDING);
    }
}

/// Detaches `label` from the version `id`.
pub(crate) fn detach(versions: &mut [Version], id: &str, label: &str) {
    for version in versions.iter_mut().filter(|version| version.id == id) {
        version.labels.remove(label);
    }
}

/// Checks the quota of labels: at most 20 across all versions of a secret (quotas page).
pub(crate) fn check_quota(versions: &[Version]) -> Result<(), ServiceError> {
    match versions.iter().map(|version| version.labels.len()).sum::<usize>() {
        0..=MOST_LABELS => Ok(()),
        _ => Err(ServiceError::new(
            ErrorCode::LimitExceeded,
            "You can't have more than 20 staging labels attached to the versions of a secret.",
        )),
    }
}

const MOST_LABELS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn versions(labels: &[&[&str]]) -> Vec<Version> {
        let version = |(i, labels): (usize, &&[&str])| Version {
            id: format!("v{}", i + 1),
            value: None,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            created: Timestamp::from_secs(0),
            accessed: None,
            former_key: None,
        };
        labels.iter().enumerate().map(version).collect()
    }

    fn shown(versions: &[Version]) -> Vec<Vec<&str>> {
        versions.iter().map(|version| version.labels.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn previous_follows_current() {
        let mut list = versions(&[&[PREVIOUS], &[CURRENT], &[PENDING]]);
        attach(&mut list, "v3", CURRENT);
        assert_eq!(shown(&list), [vec![], vec![PREVIOUS], vec![CURRENT, PENDING]]);
    }

    #[test]
    fn going_back_swaps_the_two() {
        let mut list = versions(&[&[PREVIOUS], &[CURRENT]]);
        attach(&mut list, "v1", CURRENT);
        assert_eq!(shown(&list), [[CURRENT], [PREVIOUS]]);
    }

    #[test]
    fn attaching_what_is_there_changes_nothing() {
        let mut list = versions(&[&[PREVIOUS], &[CURRENT]]);
        attach(&mut list, "v2", CURRENT);
        assert_eq!(shown(&list), [[PREVIOUS], [CURRENT]]);
    }

    #[test]
    fn other_labels_move_alone() {
        let mut list = versions(&[&[CURRENT, "blue"], &[]]);
        attach(&mut list, "v2", "blue");
        assert_eq!(shown(&list), [[CURRENT], ["blue"]]);
    }

    #[test]
    fn what_was_current_and_pending_is_previous_alone_after_a_new_value() {
        let mut list = versions(&[&[PREVIOUS], &[CURRENT, PENDING], &[]]);
        store(&mut list, "v3", [CURRENT].into_iter());
        assert_eq!(shown(&list), [vec![], vec![PREVIOUS], vec![CURRENT]]);
        let mut list = versions(&[&[CURRENT, PENDING], &[]]);
        store(&mut list, "v2", ["blue"].into_iter());
        assert_eq!(shown(&list), [vec![CURRENT, PENDING], vec!["blue"]]);
    }

    #[test]
    fn the_automatic_move_of_previous_wins() {
        let mut list = versions(&[&[CURRENT], &[]]);
        attach_all(&mut list, "v2", [CURRENT, PREVIOUS].into_iter());
        assert_eq!(shown(&list), [[PREVIOUS], [CURRENT]]);
    }
}
