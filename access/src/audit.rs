//! The checks applied to a snapshot, and what they find.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::audited::{Audit, NARROWING};
use crate::checks::{CHECKS, Check, Find};
use crate::finding::Findings;
use crate::snapshot::{Secret, Snapshot};

pub use crate::finding::{Finding, Severity};

/// A check that could not be made, for want of a permission.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotChecked {
    /// The check's id.
    pub check: &'static str,
    /// The permission that is missing.
    pub permission: String,
    /// How many resources it is missing for; none for the whole account.
    pub resources: Option<usize>,
    /// Why, in the service's own words.
    pub reason: String,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// The account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// How many secrets were looked at.
    pub secrets: usize,
    /// The ids of the checks that were made, of one secret at least; of the account, what was not refused.
    pub checked: Vec<&'static str>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
}

impl Report {
    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Makes every check.
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
        // What makes a check impossible is named before what narrows it.
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
                // Of what could not be read, such as a rule's targets, nothing is found.
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
                // Of a secret that waits to be deleted nothing can be changed, and nobody reads it.
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
    // Two places may show one fault, as do two statements that are alike.
    let mut findings: Vec<Finding> = Vec::new();
    let mut known = HashMap::<_, Vec<usize>>::new();
    for finding in all {
        let same = known.entry((finding.check, finding.resource.clone())).or_default();
        if !same.iter().any(|at| findings[*at] == finding) {
            same.push(findings.len());
            findings.push(finding);
        }
    }
    // Stable: within one severity in the order of the checks and of the secrets.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut not_checked: Vec<_> = not_checked
        .into_iter()
        .map(|((check, permission), resources)| NotChecked {
            check,
            permission: permission.to_owned(),
            resources,
            reason: reason(snapshot, permission),
        })
        .collect();
    not_checked.extend(not_known.into_iter().map(|(check, permission, reason)| NotChecked {
        check,
        permission: permission.to_owned(),
        resources: Some(1),
        reason,
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

/// The permission without which a check cannot be made for one secret.
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

/// Why something could not be collected, the first time.
fn reason(snapshot: &Snapshot, permission: &str) -> String {
    let mut all = snapshot.not_collected.iter();
    let of_key =
        permission.strip_prefix("kms:").map(|_| "the snapshot does not have the key, or not its policy");
    let otherwise = of_key.unwrap_or("the snapshot has none of the roles and users: they are not read");
    all.find(|it| it.permission == permission).map_or(otherwise.to_owned(), |it| it.error.clone())
}
