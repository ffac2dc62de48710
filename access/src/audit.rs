//! The checks applied to a snapshot, and what they find.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use crate::checks::{CHECKS, Check, Find};
use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Named, Outcome, concerns_action};
use crate::pattern::matches;
use crate::reach::{Account, READ};
use crate::snapshot::{Principal, Secret, Snapshot};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// A layer of defence is missing.
    Low,
    /// More is open than needs to be, or something will break.
    Medium,
    /// A secret is open to those who should not read it, or something is broken.
    High,
    /// A secret is open to strangers, or about to be lost.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.to_string() == text)
            .ok_or_else(|| format!("unknown severity {text:?}; use info, low, medium, high or critical"))
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Finding {
    /// The check's id, such as `key.default`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The secret's name; none for what concerns all secrets of the account.
    pub secret: Option<String>,
    /// What has the fault: an ARN or a name.
    pub resource: String,
    /// What was seen there.
    pub seen: String,
    /// Commands that fix it, to be run as they are.
    pub run: Vec<String>,
    /// What to do where no command is the answer.
    pub advice: Option<String>,
}

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

/// A principal that can, or could but for the key, read a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) outcome: Outcome,
    /// The secret is open to it, and the key is not.
    pub(crate) lacks_key: bool,
}

/// A statement of an identity policy by which secrets can be read, and which ones.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) policy: Named<'a>,
    pub(crate) index: usize,
    pub(crate) principals: Vec<&'a Principal>,
    pub(crate) secrets: Vec<&'a Secret>,
}

/// What the checks work on.
#[derive(Debug)]
pub(crate) struct Audit<'a> {
    pub(crate) account: Account<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) now: Timestamp,
    /// One list per secret.
    readers: Vec<Vec<Reader<'a>>>,
    pub(crate) grants: Vec<Grant<'a>>,
    /// Roles of rotation functions.
    rotators: HashSet<&'a str>,
    denied: HashSet<(&'a str, &'a str)>,
}

/// Permissions without which a check sees a part of what there is: fewer places from which secrets are read. What it
/// does see still counts.
const NARROWING: &[&str] = &[
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeInstances",
];

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
    let mut findings = Findings { check: &CHECKS[0][0], secret: None, all: Vec::new() };
    let mut not_checked = BTreeMap::new();
    for check in CHECKS.iter().copied().flatten() {
        findings.check = check;
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
                find(&audit, &mut findings);
            }
            Find::Secret(find) => {
                // Of a secret that waits to be deleted nothing can be changed, and nobody reads it.
                let is_open =
                    |secret: &&Secret| secret.deleted_date.is_none() || check.id.starts_with("usage.");
                for secret in snapshot.secrets.iter().filter(is_open) {
                    if let Some(permission) = audit.missing_for(check, secret) {
                        *not_checked.entry((check.id, permission)).or_insert(Some(0)).get_or_insert(0) += 1;
                        continue;
                    }
                    findings.secret = Some(secret);
                    find(&audit, secret, &mut findings);
                }
            }
        }
    }
    let mut findings = findings.all;
    // Stable: within one severity in the order of the checks and of the secrets.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Report {
        account: snapshot.account.clone(),
        region: snapshot.region.clone(),
        secrets: snapshot.secrets.len(),
        findings,
        not_checked: not_checked
            .into_iter()
            .map(|((check, permission), resources)| NotChecked {
                check,
                permission: permission.to_owned(),
                resources,
                reason: audit.reason(permission),
            })
            .collect(),
    }
}

impl<'a> Audit<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let account = Account::new(snapshot);
        let denied = snapshot
            .not_collected
            .iter()
            .map(|it| (it.permission.as_str(), it.resource.as_deref().unwrap_or_default()))
            .collect();
        let mut audit = Self {
            now: account.now(),
            account,
            snapshot,
            readers: Vec::new(),
            grants: Vec::new(),
            rotators: HashSet::new(),
            denied,
        };
        let functions = snapshot.secrets.iter().filter_map(|secret| audit.account.rotation_function(secret));
        audit.rotators = functions.map(|function| function.role.as_str()).collect();
        audit.find_readers();
        audit
    }

    fn find_readers(&mut self) {
        let account = &self.account;
        let mut readers: Vec<Vec<Reader<'a>>> = Vec::new();
        for secret in &self.snapshot.secrets {
            let near =
                self.snapshot.principals.iter().filter(|principal| account.could_read(secret, principal));
            let access = near.map(|principal| (principal, account.read(secret, principal)));
            let open = access.filter(|(_, access)| access.secret.outcome != Outcome::Denied);
            readers.push(
                open.map(|(principal, access)| Reader {
                    principal,
                    outcome: access.outcome(),
                    lacks_key: access.lacks_key(),
                })
                .collect(),
            );
        }
        let mut grants: BTreeMap<_, Grant<'a>> = BTreeMap::new();
        for (secret, readers) in self.snapshot.secrets.iter().zip(&readers) {
            for reader in readers.iter().filter(|reader| reader.outcome != Outcome::Denied) {
                for policy in account.identity_policies(reader.principal) {
                    self.add_grants(&mut grants, *policy, reader.principal, secret);
                }
            }
        }
        self.readers = readers;
        self.grants = grants.into_values().collect();
    }

    fn add_grants(
        &self,
        grants: &mut BTreeMap<(&'a str, String, usize), Grant<'a>>,
        policy: Named<'a>,
        principal: &'a Principal,
        secret: &'a Secret,
    ) {
        for (index, statement) in policy.document.statements.iter().enumerate() {
            let Some(resource) = &statement.resource else { continue };
            let is_listed = resource
                .listed()
                .iter()
                .any(|pattern| pattern.contains("${") || matches(pattern, &secret.arn));
            let is_meant = matches!(resource, Scope::Only(_)) == is_listed;
            if statement.effect == Effect::Deny || !is_meant || !concerns_action(statement, READ) {
                continue;
            }
            // A managed policy is one fault, whoever has it.
            let owner = if policy.name.starts_with("arn:") { "" } else { principal.arn.as_str() };
            let grant = grants.entry((owner, policy.name.to_owned(), index)).or_insert_with(|| Grant {
                policy,
                index,
                principals: Vec::new(),
                secrets: Vec::new(),
            });
            if grant.principals.last().is_none_or(|last| last.arn != principal.arn)
                && !grant.principals.iter().any(|it| it.arn == principal.arn)
            {
                grant.principals.push(principal);
            }
            if grant.secrets.last().is_none_or(|last| last.arn != secret.arn) {
                grant.secrets.push(secret);
            }
        }
    }

    /// Those whom the policies of a secret let read it.
    pub(crate) fn readers(&self, secret: &Secret) -> &[Reader<'a>] {
        let index = self.snapshot.secrets.iter().position(|it| std::ptr::eq(it, secret));
        index.map(|index| self.readers[index].as_slice()).unwrap_or_default()
    }

    /// Whether a principal is the role of a rotation function.
    pub(crate) fn is_rotator(&self, principal: &Principal) -> bool {
        self.rotators.contains(principal.arn.as_str())
    }

    /// Whether a policy of a principal allows everything.
    pub(crate) fn is_administrator(&self, principal: &Principal) -> bool {
        let policies = self.account.identity_policies(principal).iter();
        policies.flat_map(|policy| &policy.document.statements).any(allows_everything)
    }

    /// The permission without which a check cannot be made for one secret.
    fn missing_for(&self, check: &Check, secret: &'a Secret) -> Option<&'static str> {
        const DESCRIBE: &str = "secretsmanager:DescribeSecret";
        if !self.account.is_described(secret) {
            return Some(DESCRIBE);
        }
        let key = secret.kms_key_id.as_deref().unwrap_or_default();
        let is_denied = |permission: &&&'static str| {
            [secret.arn.as_str(), key]
                .iter()
                .any(|resource| !resource.is_empty() && self.denied.contains(&(**permission, *resource)))
        };
        check.needs.iter().find(is_denied).copied()
    }

    /// Why something could not be collected, the first time.
    fn reason(&self, permission: &str) -> String {
        let mut all = self.snapshot.not_collected.iter();
        all.find(|it| it.permission == permission).map(|it| it.error.clone()).unwrap_or_default()
    }

    /// Whole days from a time until now.
    pub(crate) fn days_since(&self, time: Timestamp) -> i64 {
        (self.now.as_second() - time.as_second()).div_euclid(86400)
    }
}

/// Whether a statement allows every action on every resource.
pub(crate) fn allows_everything(statement: &Statement) -> bool {
    let has_all =
        |scope: &Scope<Vec<String>>| matches!(scope, Scope::Only(all) if all.iter().any(|one| one == "*"));
    statement.effect == Effect::Allow
        && has_all(&statement.action)
        && statement.resource.as_ref().is_some_and(has_all)
}

/// Collects findings for one check after another.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    check: &'static Check,
    secret: Option<&'a Secret>,
    all: Vec<Finding>,
}

impl Findings<'_> {
    /// Something about a resource.
    pub(crate) fn add(&mut self, resource: impl Into<String>, seen: impl Into<String>) -> &mut Finding {
        self.all.push(Finding {
            check: self.check.id,
            severity: self.check.severity,
            secret: self.secret.map(|secret| secret.name.clone()),
            resource: resource.into(),
            seen: seen.into(),
            run: Vec::new(),
            advice: None,
        });
        self.all.last_mut().expect("just added")
    }
}

impl Finding {
    /// A command that fixes it.
    pub(crate) fn run(&mut self, command: impl Into<String>) -> &mut Self {
        self.run.push(command.into());
        self
    }

    /// What to do.
    pub(crate) fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }
}
