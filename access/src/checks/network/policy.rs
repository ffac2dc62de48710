//! The policies of endpoints: whose requests they let through, and to whose secrets.

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

/// What to do where nobody knows whom a command would keep out.
const BY_HAND: &str = "allow the principals and the secrets of your organization alone (aws:PrincipalOrgID, aws:ResourceOrgID), or of \
     the account where it is in none (aws:PrincipalAccount, aws:ResourceAccount); which it is cannot be told without \
     organizations:DescribeOrganization";

/// The conditions by which all of the account's organization is inside, or the account where it is in none.
fn inside<'a>(audit: &Audit<'a>) -> [(&'static str, &'a str); 2] {
    match audit.snapshot.organization_id.as_deref() {
        Some(id) => [("aws:PrincipalOrgID", id), ("aws:ResourceOrgID", id)],
        None => {
            let account = audit.snapshot.account.as_str();
            [("aws:PrincipalAccount", account), ("aws:ResourceAccount", account)]
        }
    }
}

/// Whether it is known which of the two it is.
fn knows_inside(audit: &Audit<'_>) -> bool {
    audit.snapshot.organization_id.is_some() || !audit.denied.contains(&(ORGANIZATION, ""))
}

/// A policy for the principals and secrets inside.
pub(super) fn own(audit: &Audit<'_>) -> Value {
    let everything =
        json!({"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [within(audit, &everything, &[])]})
}

/// The same statement for what is inside. Where it names organizations that nobody has to be in (`…IfExists`), those are
/// inside.
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

/// The statements that let strangers' credentials through to strangers' secrets; of no policy, which is the one that allows
/// everything, there are none to name.
fn open_statements(audit: &Audit<'_>, endpoint: &VpcEndpoint, policy: &Document) -> Vec<usize> {
    let snapshot = audit.snapshot;
    let arn = |account: &str, name: &str| {
        format!("arn:{}:secretsmanager:{}:{account}:secret:{name}", snapshot.partition(), snapshot.region)
    };
    let is_open = |index: &usize| {
        // A stranger calls a secret whatever lets it through.
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

/// An endpoint's policy with what is open in it closed to strangers; all else that it allows or denies stays.
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
        let seen = "its policy lets everybody's requests through to everybody's secrets";
        let finding = findings.add(&endpoint.vpc_endpoint_id, seen);
        if !knows_inside(audit) {
            finding.advise(BY_HAND);
            continue;
        }
        let [(_, whose), _] = inside(audit);
        let pass = format!(
            "what {whose} owns passes then; if others' secrets are read through the endpoint, add a statement for them"
        );
        finding.run(put(endpoint, &kept(audit, endpoint))).advise(pass);
    }
}

pub(super) fn endpoint_trust(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for endpoint in endpoints(audit) {
        let Some(policy) = &endpoint.policy else { continue };
        let exposure = Exposure { resource: None, ..audit.account.exposure(policy, READ, "") };
        // A service is no other account; whose data it moves is what conditions on the resource are for.
        let is_other = |it: &Outsider| it.principal != "*" && it.kind != "Service";
        for outsider in exposure.outsiders().into_iter().filter(is_other) {
            let index = outsider.statement;
            let rest = match without(policy, index, &outsider.principal) {
                Some(Narrowed::Statement(statement)) => Some(policy.with_statements(index, vec![statement])),
                // An endpoint whose policy allows nothing is of no use.
                Some(Narrowed::Gone) if policy.statements.len() == 1 => Some(own(audit)),
                Some(Narrowed::Gone) => Some(policy.with_statements(index, Vec::new())),
                None => None,
            };
            let seen = format!("its policy allows {}", outsider.principal);
            let finding = findings.add(&endpoint.vpc_endpoint_id, seen);
            match rest {
                Some(rest) => finding.run(put(endpoint, &rest)),
                None => {
                    finding.advise("take it out of the statement's conditions; who else passes by them stays")
                }
            };
        }
    }
}

/// Who reads nothing for the endpoint alone: the endpoint, its principal, and the secrets.
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
                    .advise("if it should not read them, take them out of its own policies instead");
            }
            _ => {
                finding.advise(
                    "allow it there (`secretcache policy endpoint` prints the whole policy), or take the secrets out of its own \
                     policies",
                );
            }
        }
    }
}
