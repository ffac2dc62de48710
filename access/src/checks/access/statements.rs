//! Statements of identity policies that allow more than intended.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::writes;
use crate::audited::{Audit, Grant, allows_everything};
use crate::condition::{Context, Truth, holds};
use crate::document::{Scope, Statement};
use crate::evaluate::concerns_action;
use crate::finding::Findings;
use crate::fix::put_identity_policy;
use crate::pattern::{is_pattern, matches, matches_ignoring_case};
use crate::reach::READ;
use crate::snapshot::{Principal, Snapshot};

impl Grant<'_> {
    fn statement(&self) -> &Statement {
        &self.policy.document.statements[self.index]
    }

    /// Only a secret's resource policy can keep administrators out, not their own policies. `sharing.open-to-account`
    /// covers them.
    fn is_administrator(&self) -> bool {
        allows_everything(self.statement())
    }

    fn patterns(&self) -> &[String] {
        match &self.statement().resource {
            Some(Scope::Only(patterns)) => patterns,
            _ => &[],
        }
    }

    /// The commands that narrow the statement to the needed actions on the needed secrets. Empty if they would also
    /// remove legitimate rights.
    fn scoped(&self, audit: &Audit<'_>) -> Vec<String> {
        let (statement, policy) = (self.statement(), self.policy);
        if policy.name.contains(":iam::aws:") || loses(audit, statement) {
            return Vec::new();
        }
        let json = policy.document.statement_json(self.index);
        let mut scoped = json.clone();
        // Actions on single secrets are narrowed to the secrets that are read. All other actions stay unchanged.
        let (of_secrets, others): (Vec<_>, Vec<_>) =
            statement.action.listed().iter().partition(|action| concerns_secrets(action));
        let listed: Vec<_> = of_secrets.iter().filter(|action| !is_pattern(action)).copied().collect();
        let reads = [READ, "secretsmanager:DescribeSecret"];
        let by_pattern = of_secrets.len() > listed.len();
        let actions: BTreeSet<&str> = listed
            .into_iter()
            .map(String::as_str)
            .filter(|action| !action.eq_ignore_ascii_case(CREATE))
            .chain(reads.into_iter().filter(|_| by_pattern))
            .collect();
        scoped["Action"] = json!(actions);
        scoped["Resource"] = self.narrowed();
        let mut statements = vec![scoped];
        for actions in [creating(statement), others.into_iter().map(String::as_str).collect()] {
            if !actions.is_empty() {
                let mut rest = json.clone();
                rest["Action"] = json!(actions);
                rest.as_object_mut().map(|fields| fields.shift_remove("Sid"));
                statements.push(rest);
            }
        }
        put_identity_policy(
            audit.snapshot,
            &self.principals[0].arn,
            policy.name,
            &policy.document.with_statements(self.index, statements),
        )
    }

    /// The ARNs of the secrets if they are few, otherwise their paths.
    fn narrowed(&self) -> Value {
        const FEW: usize = 10;
        let arns: BTreeSet<_> = self.secrets.iter().map(|secret| secret.arn.as_str()).collect();
        if arns.len() <= FEW {
            return json!(arns);
        }
        let prefixes = self.secrets.iter().map(|secret| match secret.arn.rsplit_once('/') {
            Some((path, _)) => format!("{path}/*"),
            None => secret.arn.clone(),
        });
        json!(prefixes.collect::<BTreeSet<_>>())
    }
}

const CREATE: &str = "secretsmanager:CreateSecret";

/// The actions for creating secrets that a statement allows. They keep the statement's name patterns, because no list
/// of ARNs covers secrets that do not exist yet. `*` and `secretsmanager:*` do not count: they are a fault themselves
/// and are dropped.
fn creating(statement: &Statement) -> Vec<&'static str> {
    /// `CreateSecret`, and what it also needs to set tags or add replicas.
    const WITH: [&str; 3] = [CREATE, "secretsmanager:TagResource", "secretsmanager:ReplicateSecretToRegions"];
    let allows = |action: &str| {
        let listed = statement.action.listed().iter().filter(|pattern| !is_every_action(pattern));
        listed.into_iter().any(|pattern| matches_ignoring_case(pattern, action))
    };
    if allows(CREATE) { WITH.into_iter().filter(|action| allows(action)).collect() } else { Vec::new() }
}

fn is_every_action(action: &str) -> bool {
    action == "*" || action.eq_ignore_ascii_case("secretsmanager:*")
}

/// Whether a policy's action applies to single secrets. Actions without a resource keep `*`.
pub(super) fn concerns_secrets(action: &str) -> bool {
    const WITHOUT_RESOURCE: [&str; 3] = ["listsecrets", "getrandompassword", "batchgetsecretvalue"];
    let lower = action.to_ascii_lowercase();
    lower.strip_prefix("secretsmanager:").is_some_and(|name| !WITHOUT_RESOURCE.contains(&name))
}

/// Whether narrowing a statement to the audited secrets would remove rights on other services, or on secrets that were
/// not audited: those of other Regions or accounts, and those not asked for.
pub(super) fn loses(audit: &Audit<'_>, statement: &Statement) -> bool {
    let snapshot = audit.snapshot;
    let of_here = |pattern: &String| {
        let parts: Vec<_> = pattern.splitn(6, ':').collect();
        matches!(parts[..], ["arn", _, "secretsmanager", region, account, _]
            if region == snapshot.region && account == snapshot.account)
    };
    let mixed = |action: &String| {
        !action.to_ascii_lowercase().starts_with("secretsmanager:") && matches_ignoring_case(action, READ)
    };
    snapshot.is_partial
        || match &statement.action {
            Scope::Only(actions) => actions.iter().any(mixed),
            Scope::AllBut(_) => true,
        }
        || match &statement.resource {
            // A policy variable matches different secrets for each principal, which a list of ARNs cannot express.
            Some(Scope::Only(patterns)) => {
                !patterns.iter().all(of_here) || patterns.iter().any(|pattern| pattern.contains("${"))
            }
            _ => true,
        }
}

/// The advice if a command would remove more than the fault.
pub(super) const INSTEAD: &str = "narrowing the statement could also remove other rights, or access to secrets that \
                                  were not audited: add a statement that names the needed secrets (`secretcache policy \
                                  app` or `secretcache policy rotation` prints it), then remove this one";

/// A fault in a statement.
struct Fault {
    seen: String,
    /// The calls that prove it: actions on ARNs of secrets. A principal that can make none of them is not reported:
    /// something else stops it, such as a Deny.
    shown_by: Vec<(&'static str, String)>,
}

/// Adds one finding for each statement with the fault.
fn each(audit: &Audit<'_>, findings: &mut Findings<'_>, fault: impl Fn(&Grant<'_>) -> Option<Fault>) {
    // `access.rotation-wide` covers the statements by which a rotation role writes. Narrowing them to reads would break
    // its rotations.
    let is_rotation = |grant: &Grant<'_>| {
        concerns_action(grant.statement(), "secretsmanager:PutSecretValue")
            && grant.principals.iter().all(|principal| audit.is_rotator(principal))
    };
    for grant in audit.grants.iter().filter(|grant| !grant.is_administrator() && !is_rotation(grant)) {
        let Some(Fault { seen, shown_by }) = fault(grant) else { continue };
        let tags = tags_of_any_value(grant);
        let can = |principal: &&&Principal| {
            shown_by
                .iter()
                .any(|(action, arn)| audit.account.may_if_tagged(principal, action, arn, tags.clone()))
        };
        let holders: Vec<&Principal> = grant.principals.iter().filter(can).copied().collect();
        let Some(first) = holders.first() else { continue };
        let place = grant.statement().title(grant.index);
        let policy = grant.policy.name;
        let count = grant.secrets.len();
        let reach = if count == 1 {
            grant.secrets[0].name.clone()
        } else {
            format!("{count} of the audited secrets")
        };
        let who = who(&holders);
        let text = format!("policy {policy}, {place}: {seen}; reaches {reach}; held by {who}");
        let resource = if policy.starts_with("arn:") { policy } else { &first.arn };
        let run = grant.scoped(audit);
        let finding = findings.add(resource, text);
        if run.is_empty() {
            finding.advise(INSTEAD);
        }
        finding.run = run;
    }
}

/// The tags that a secret must have for a grant to reach it, if any value will do. A condition on a specific value, or
/// on a tag of the principal, narrows the grant and is left out.
fn tags_of_any_value(grant: &Grant<'_>) -> BTreeMap<String, String> {
    const VALUE: &str = "zq7xkj";
    let has_variables = grant.policy.document.has_variables;
    let asked = grant.statement().conditions.iter().filter_map(|condition| {
        let (of, name) = condition.key.split_once('/')?;
        let mut context = Context::closed();
        let is_met_without = holds(condition, &context, has_variables) == Truth::Yes;
        context.set(&condition.key, VALUE);
        let is_met = holds(condition, &context, has_variables) == Truth::Yes;
        (of.to_ascii_lowercase().ends_with(":resourcetag") && is_met && !is_met_without)
            .then(|| (name.to_owned(), VALUE.to_owned()))
    });
    asked.collect()
}

fn who(holders: &[&Principal]) -> String {
    let names: Vec<_> = holders.iter().map(|it| it.arn.rsplit(':').next().unwrap_or_default()).collect();
    match names.as_slice() {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", names.len() - 3),
        _ => names.join(", "),
    }
}

/// The ARN of a secret of the account that does not exist.
pub(super) fn made_up(audit: &Audit<'_>, name: &str) -> String {
    let Snapshot { region, account, .. } = audit.snapshot;
    format!("arn:{}:secretsmanager:{region}:{account}:secret:{name}", audit.snapshot.partition())
}

/// The ARN of a secret that does not exist and whose name continues where a pattern ends in `*`.
pub(super) fn longer(audit: &Audit<'_>, pattern: &str) -> String {
    let name = pattern.splitn(7, ':').nth(6).unwrap_or_default().trim_end_matches('*');
    made_up(audit, &format!("{}zq7xkj-Wk3YuV", name.replace(['*', '?'], "x")))
}

/// The first secrets that a grant reaches. Evaluating a few is enough.
fn some<'g>(grant: &'g Grant<'_>) -> impl Iterator<Item = &'g str> {
    const TRIED: usize = 10;
    grant.secrets.iter().take(TRIED).map(|secret| secret.arn.as_str())
}

/// The ends of ARNs of secrets that do not exist and have nothing in common.
pub(super) const MADE_UP: [&str; 3] = ["zq/xjv-Wk3YuV", "7/0_8/9+4-h5Nn2G", "L/M@K.T=F/E-oPaCiD"];

/// Whether a pattern means all secrets: it matches ARNs that have nothing in common.
pub(super) fn is_everything(pattern: &str) -> bool {
    let name = pattern.splitn(7, ':').nth(6).unwrap_or_default();
    !pattern.contains(":secret:") && pattern.ends_with('*') || MADE_UP.iter().all(|end| matches(name, end))
}

pub(super) fn all_secrets(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let pattern = grant.patterns().iter().find(|pattern| is_everything(pattern))?;
        let shown_by = vec![(READ, made_up(audit, MADE_UP[0]))];
        Some(Fault { seen: format!("Resource {pattern}"), shown_by })
    });
}

/// Each write action, and one that does not exist yet, on secrets that a grant reaches.
fn writing(grant: &Grant<'_>) -> Vec<(&'static str, String)> {
    let actions = || writes::WRITES.into_iter().chain(["secretsmanager:Zq7xkj"]);
    some(grant).flat_map(|arn| actions().map(move |action| (action, arn.to_owned()))).collect()
}

pub(super) fn all_actions(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let Scope::Only(actions) = &grant.statement().action else { return None };
        let action = actions.iter().find(|action| is_every_action(action))?;
        Some(Fault { seen: format!("Action {action}"), shown_by: writing(grant) })
    });
}

pub(super) fn not_action(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| match &grant.statement().action {
        Scope::AllBut(actions) => Some(Fault {
            seen: format!("every action except {}", actions.join(", ")),
            shown_by: writing(grant),
        }),
        Scope::Only(_) => None,
    });
}

pub(super) fn not_resource(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| match &grant.statement().resource {
        Some(Scope::AllBut(resources)) => Some(Fault {
            seen: format!("every secret except {}", resources.join(", ")),
            shown_by: MADE_UP.iter().map(|name| (READ, made_up(audit, name))).collect(),
        }),
        _ => None,
    });
}

/// A wildcard that does not follow a slash, and therefore also matches names outside its path.
enum Loose {
    /// `name-*`.
    End,
    /// `*/name`, `*name-??????`.
    Inside,
}

fn loose(pattern: &str) -> Option<Loose> {
    let name = pattern.splitn(7, ':').nth(6).unwrap_or_default();
    let first = name.find('*').filter(|_| !is_everything(pattern))?;
    let is_open = |at: usize| !name[..at].ends_with('/');
    let stem = name.trim_end_matches('*');
    if stem.len() < name.len() && is_open(stem.len()) {
        return Some(Loose::End);
    }
    is_open(first).then_some(Loose::Inside)
}

/// The ARN of a secret that does not exist and that a pattern matches although its name continues, or starts, in
/// another path.
pub(super) fn another(audit: &Audit<'_>, pattern: &str) -> Option<String> {
    let name = pattern.splitn(7, ':').nth(6).unwrap_or_default();
    Some(match loose(pattern)? {
        Loose::End => longer(audit, pattern),
        Loose::Inside => made_up(audit, &name.replacen('*', "zq7xkj/zq", 1).replace(['*', '?'], "x")),
    })
}

pub(super) fn name_wildcard(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let all: Vec<_> =
            grant.patterns().iter().filter_map(|it| Some((it, loose(it)?, another(audit, it)?))).collect();
        let (pattern, kind, _) = all.first()?;
        let seen = match kind {
            Loose::End => format!("{pattern} also matches longer names"),
            Loose::Inside => format!("{pattern} also matches names in other paths"),
        };
        // A policy variable has a different value for each principal, so an existing secret is tried.
        let shown_by = all.iter().map(|(pattern, _, other)| {
            let has_variable = pattern.contains("${");
            (READ, if has_variable { grant.secrets[0].arn.clone() } else { other.clone() })
        });
        Some(Fault { seen, shown_by: shown_by.collect() })
    });
}

pub(super) fn recreate(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let outlives = |pattern: &&String| {
            (pattern.ends_with("-??????") || pattern.ends_with("/*")) && !is_everything(pattern)
        };
        let pattern = grant.patterns().iter().find(outlives)?;
        let again = |arn: &str| format!("{}-Wk3YuV", arn.rsplit_once('-').map_or(arn, |(stem, _)| stem));
        Some(Fault {
            seen: format!("{pattern} also matches a secret created again under the same name"),
            shown_by: some(grant).map(|arn| (READ, again(arn))).collect(),
        })
    });
}
