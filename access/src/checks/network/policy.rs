//! Endpoint policies: whose requests they let through, and to whose secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{endpoints, modify};
use crate::audited::Audit;
use crate::checks::sharing::narrow::{Narrowed, without};
use crate::document::{Condition, Document};
use crate::exposure::{Exposure, NOBODYS};
use crate::finding::Findings;
use crate::fix::quote;
use crate::pattern::is_pattern;
use crate::reach::{Outsider, READ};
use crate::snapshot::{Secret, VpcEndpoint};

const WRITE: &str = "secretsmanager:PutSecretValue";
const ORGANIZATION: &str = "organizations:DescribeOrganization";

/// The advice if the audit cannot know whom a command would keep out.
const BY_HAND: &str = "allow only the principals and secrets of your organization (aws:PrincipalOrgID, \
    aws:ResourceOrgID), or of the account if it is in no organization (aws:PrincipalAccount, aws:ResourceAccount); \
    which one applies is not known without organizations:DescribeOrganization";

/// The conditions for what counts as inside: the account's organization, or the account if it is in none.
fn inside<'a>(audit: &Audit<'a>) -> [(&'static str, &'a str); 2] {
    match audit.snapshot.organization_id.as_deref() {
        Some(id) => [("aws:PrincipalOrgID", id), ("aws:ResourceOrgID", id)],
        None => {
            let account = audit.snapshot.account.as_str();
            [("aws:PrincipalAccount", account), ("aws:ResourceAccount", account)]
        }
    }
}

/// Whether the audit knows which of the two applies.
fn knows_inside(audit: &Audit<'_>) -> bool {
    audit.snapshot.organization_id.is_some() || !audit.denied.contains(&(ORGANIZATION, ""))
}

/// A policy that allows only principals and secrets inside.
pub(super) fn own(audit: &Audit<'_>) -> Value {
    let everything =
        json!({"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [within(audit, &everything, &[])]})
}

/// Limits a statement to what is inside. If it already names organizations in an optional condition (`…IfExists`),
/// those count as inside.
fn within(audit: &Audit<'_>, statement: &Value, conditions: &[Condition]) -> Value {
    let mut json = statement.clone();
    for (key, value) in inside(audit) {
        let is_named = |it: &&Condition| {
            let operator = it.operator.to_ascii_lowercase();
            it.key.eq_ignore_ascii_case(key)
                && ["stringequalsifexists", "stringlikeifexists"].contains(&operator.as_str())
                && !it.values.iter().any(|value| is_pattern(value))
        };
        let named = conditions.iter().find(is_named).map(|it| json!(it.values));
        json["Condition"]["StringEquals"][key] = named.unwrap_or_else(|| json!(value));
    }
    json
}

/// The statements that let through requests with a stranger's credentials to a stranger's secrets.
fn open_statements(audit: &Audit<'_>, endpoint: &VpcEndpoint, policy: &Document) -> Vec<usize> {
    let snapshot = audit.snapshot;
    let arn = |account: &str, name: &str| {
        format!("arn:{}:secretsmanager:{}:{account}:secret:{name}", snapshot.partition(), snapshot.region)
    };
    let is_open = |index: &usize| {
        // A stranger can name its secret so that it matches.
        let listed = policy.statements[*index].resource.iter().flat_map(|scope| scope.listed());
        let named = listed.filter_map(|pattern| pattern.splitn(7, ':').nth(6));
        let names = named.map(|name| name.replace(['*', '?'], "x")).chain(["x/x-AbCdEf".to_owned()]);
        names.map(|name| arn(NOBODYS, &name)).any(|secret| {
            [READ, WRITE].into_iter().any(|action| {
                let resource = Some(secret.as_str());
                let now = snapshot.taken_at;
                Exposure {
                    policy,
                    action,
                    resource,
                    account: NOBODYS,
                    organization: None,
                    principals: &[],
                    now,
                }
                .lets_through(*index, endpoint)
            })
        })
    };
    (0..policy.statements.len()).filter(is_open).collect()
}

/// The endpoint's policy with its open statements closed to strangers. Everything else that it allows or denies stays.
pub(super) fn kept(audit: &Audit<'_>, endpoint: &VpcEndpoint) -> Value {
    let Some(policy) = &endpoint.policy else { return own(audit) };
    let open = open_statements(audit, endpoint, policy);
    let statement = |index| {
        let json = policy.statement_json(index);
        let conditions = &policy.statements[index].conditions;
        if open.contains(&index) { within(audit, json, conditions) } else { json.clone() }
    };
    let mut json = policy.json.clone();
    json["Statement"] = (0..policy.statements.len()).map(statement).collect();
    json
}

fn put(endpoint: &VpcEndpoint, policy: &Value) -> String {
    format!("{} --policy-document {}", modify(endpoint, &[]), quote(&policy.to_string()))
}

pub(super) fn endpoint_policy(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let policy = endpoint.policy.as_ref();
        if policy.is_some_and(|policy| open_statements(audit, endpoint, policy).is_empty()) {
            continue;
        }
        let seen = "its policy lets any account's requests through to any account's secrets";
        let finding = findings.add(&endpoint.vpc_endpoint_id, seen);
        if !knows_inside(audit) {
            finding.advise(BY_HAND);
            continue;
        }
        let [(_, whose), _] = inside(audit);
        let pass = format!(
            "afterwards, only what belongs to {whose} passes; if other accounts' secrets are read through the \
             endpoint, add a statement for them"
        );
        finding.run(put(endpoint, &kept(audit, endpoint))).advise(pass);
    }
}

pub(super) fn endpoint_trust(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let Some(policy) = &endpoint.policy else { continue };
        let exposure = Exposure { resource: None, ..audit.account.exposure(policy, READ, "") };
        // A service is not another account. Conditions on the resource decide whose data it moves.
        let is_other = |it: &Outsider| it.principal != "*" && it.kind != "Service";
        for outsider in exposure.outsiders().into_iter().filter(is_other) {
            let index = outsider.statement;
            let rest = match without(policy, index, &outsider.principal) {
                Some(Narrowed::Statement(statement)) => Some(policy.with_statements(index, vec![statement])),
                // An endpoint whose policy allows nothing is useless.
                Some(Narrowed::Gone) if policy.statements.len() == 1 => Some(own(audit)),
                Some(Narrowed::Gone) => Some(policy.with_statements(index, Vec::new())),
                None => None,
            };
            let seen = format!("its policy allows {}", outsider.principal);
            let finding = findings.add(&endpoint.vpc_endpoint_id, seen);
            match rest {
                Some(rest) => finding.run(put(endpoint, &rest)),
                None => finding.advise("remove it from the statement's conditions; the others stay"),
            };
        }
    }
}

/// Principals that only an endpoint's policy keeps from reading: by endpoint and principal, whether a Deny refuses
/// them, and the secrets.
type Refused<'a> = BTreeMap<(&'a str, &'a str), (&'a VpcEndpoint, bool, Vec<&'a Secret>)>;

pub(super) fn endpoint_refuses(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let snapshot = audit.snapshot;
    let running: BTreeSet<_> = snapshot.places().flat_map(|place| place.roles).collect();
    let mut refused = Refused::new();
    for principal in snapshot.principals.iter().filter(|it| running.contains(&it.arn)) {
        let secrets = snapshot.secrets.iter().filter(|secret| secret.deleted_date.is_none());
        for secret in secrets.filter(|secret| audit.account.could_read(secret, principal)) {
            if let Some((endpoint, denies)) = audit.account.refused_by_endpoint(secret, principal) {
                let key = (endpoint.vpc_endpoint_id.as_str(), principal.arn.as_str());
                let (.., is_denied, secrets) = refused.entry(key).or_insert((endpoint, false, Vec::new()));
                *is_denied |= denies.is_some();
                secrets.push(secret);
            }
        }
    }
    for ((id, principal), (endpoint, is_denied, secrets)) in refused {
        let more = if secrets.len() > 1 { format!(" and {} more", secrets.len() - 1) } else { String::new() };
        let seen = format!("its policy refuses {principal} reads of {}{more}", secrets[0].name);
        let finding = findings.add(id, seen);
        match &endpoint.policy {
            Some(policy) if !is_denied && !snapshot.is_partial => {
                let arns: Vec<_> = secrets.iter().map(|secret| &secret.arn).collect();
                let statement = json!({"Effect": "Allow", "Principal": "*", "Action": READ, "Resource": arns,
                    "Condition": {"ArnEquals": {"aws:PrincipalArn": principal}}});
                finding
                    .run(put(endpoint, &policy.with_added(statement)))
                    .advise("if it should not read them, remove them from its own policies instead");
            }
            _ => {
                finding.advise(
                    "allow it there (`secretcache policy endpoint` prints the whole policy), or remove the secrets \
                     from its own policies",
                );
            }
        }
    }
}
