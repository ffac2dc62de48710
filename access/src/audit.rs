//! Runs the checks on a snapshot and reports their findings.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::audited::{Audit, NARROWING};
use crate::checks::{CHECKS, Check, Find};
use crate::finding::Findings;
use crate::snapshot::{Secret, Snapshot};

pub use crate::finding::{Finding, Severity};

/// A check that could not be made because a permission was missing.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotChecked {
    /// The check's id.
    pub check: &'static str,
    /// The missing permission.
    pub permission: String,
    /// The number of resources it was missing for; `None` for the whole account.
    pub resources: Option<usize>,
    /// The reason. A request that failed is described in the service's own words.
    pub reason: String,
    /// The kind of reason.
    pub cause: Cause,
}

/// Why a check could not be made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum Cause {
    /// A request failed, or was not sent.
    NotCollected,
    /// The snapshot does not contain the answer, although no request is known to have failed.
    NotKnown,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// The account id.
    pub account: String,
    /// The Region.
    pub region: String,
    /// The number of secrets in the snapshot.
    pub secrets: usize,
    /// The ids of the checks that were made: on at least one secret, or, for checks of the account, on everything that
    /// could be read.
    pub checked: Vec<&'static str>,
    /// The findings, most severe first.
    pub findings: Vec<Finding>,
    /// The checks that could not be made.
    pub not_checked: Vec<NotChecked>,
}

impl Report {
    /// Returns the highest severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Runs every check.
///
/// ```
/// use secretcache_access::{Snapshot, audit::audit};
///
/// let snapshot = Snapshot::parse(
///     r#"{"Account": "111122223333", "Region": "eu-central-1", "TakenAt": "2026-03-01T12:00:00Z",
///         "Secrets": [{"Name": "prod/db", "ARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-AbCdEf"}]}"#,
/// )?;
/// let report = audit(&snapshot);
/// assert!(report.findings.iter().any(|finding| finding.check == "key.default"));
/// # Ok::<(), secretcache_access::snapshot::SnapshotError>(())
/// ```
pub fn audit(snapshot: &Snapshot) -> Report {
    let audit = Audit::new(snapshot);
    let mut findings = Findings::default();
    let mut not_checked = BTreeMap::new();
    let mut checked = Vec::new();
    for check in CHECKS.iter().copied().flatten() {
        findings.check = (check.id, check.severity);
        let missing = |permission: &&&str| audit.denied.contains(&(**permission, ""));
        // A permission whose absence rules out a check is reported before one whose absence only narrows it.
        let mut needs = check.needs.iter().filter(missing);
        let first = needs.clone().find(|permission| !NARROWING.contains(permission)).or_else(|| needs.next());
        if let Some(permission) = first {
            not_checked.insert((check.id, *permission), None);
            if !NARROWING.contains(permission) {
                continue;
            }
        }
        match check.find {
            Find::Account(find) => {
                findings.secret = None;
                // Resources that could not be read, such as a rule's targets, yield no findings.
                for permission in check.needs {
                    let count =
                        audit.denied.iter().filter(|(it, at)| it == permission && !at.is_empty()).count();
                    if count > 0 {
                        not_checked.entry((check.id, *permission)).or_insert(Some(count));
                    }
                }
                checked.push(check.id);
                find(&audit, &mut findings);
            }
            Find::Secret(find) => {
                // Nobody can read or change a secret that is scheduled for deletion.
                let is_open =
                    |secret: &&Secret| secret.deleted_date.is_none() || check.id.starts_with("usage.");
                for secret in snapshot.secrets.iter().filter(is_open) {
                    if let Some(permission) = missing_for(&audit, check, secret) {
                        *not_checked.entry((check.id, permission)).or_insert(Some(0)).get_or_insert(0) += 1;
                        continue;
                    }
                    findings.secret = Some(secret);
                    if checked.last() != Some(&check.id) {
                        checked.push(check.id);
                    }
                    find(&audit, secret, &mut findings);
                }
            }
        }
    }
    let Findings { all, not_known, .. } = findings;
    // The same problem can be found twice, for example in two statements that are alike.
    let mut findings: Vec<Finding> = Vec::new();
    let mut known = HashMap::<_, Vec<usize>>::new();
    for finding in all {
        let same = known.entry((finding.check, finding.resource.clone())).or_default();
        if !same.iter().any(|at| findings[*at] == finding) {
            same.push(findings.len());
            findings.push(finding);
        }
    }
    // The sort is stable: findings of equal severity stay in the order of the checks, then the secrets.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut not_checked: Vec<_> = not_checked
        .into_iter()
        .map(|((check, permission), resources)| {
            let (cause, reason) = reason(snapshot, permission);
            NotChecked { check, permission: permission.to_owned(), resources, reason, cause }
        })
        .collect();
    not_checked.extend(not_known.into_iter().map(|(check, permission, reason)| NotChecked {
        check,
        permission: permission.to_owned(),
        resources: Some(1),
        reason,
        cause: Cause::NotKnown,
    }));
    not_checked.sort();
    Report {
        account: snapshot.account.clone(),
        region: snapshot.region.clone(),
        secrets: snapshot.secrets.len(),
        checked,
        findings,
        not_checked,
    }
}

/// Returns the missing permission that prevents a check on one secret.
fn missing_for(audit: &Audit<'_>, check: &Check, secret: &Secret) -> Option<&'static str> {
    const DESCRIBE: &str = "secretsmanager:DescribeSecret";
    if !audit.account.is_described(secret) {
        return Some(DESCRIBE);
    }
    let key = secret.kms_key_id.as_deref().unwrap_or_default();
    let is_denied = |permission: &&&'static str| {
        [secret.arn.as_str(), key]
            .iter()
            .any(|resource| !resource.is_empty() && audit.denied.contains(&(**permission, *resource)))
    };
    check.needs.iter().find(is_denied).copied()
}

/// Returns the first error for a missing permission or, without one, what the snapshot lacks.
fn reason(snapshot: &Snapshot, permission: &str) -> (Cause, String) {
    if let Some(failed) = snapshot.not_collected.iter().find(|it| it.permission == permission) {
        return (Cause::NotCollected, failed.error.clone());
    }
    let of_key = permission.strip_prefix("kms:").map(|_| "the snapshot lacks the key or its policy");
    (Cause::NotKnown, of_key.unwrap_or("the snapshot contains no roles or users").to_owned())
}
