//! The role of a rotation function: permissions that it does not need, and ones that it lacks.

use std::cell::LazyCell;

use serde_json::{Value, json};

use super::statements::{INSTEAD, MADE_UP, another, concerns_secrets, is_everything, longer, loses, made_up};
use super::{function_role, rotation_role};
use crate::audited::Audit;
use crate::document::Scope;
use crate::evaluate::{Link, Named, Outcome, concerns_action};
use crate::finding::Findings;
use crate::fix::{policy_name, put_identity_policy};
use crate::pattern::matches;
use crate::reach::READ;
use crate::snapshot::{Principal, Secret};

/// The actions that a rotation calls on its secret.
const ROTATES: [&str; 4] = [
    "secretsmanager:DescribeSecret",
    READ,
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
];

pub(super) fn rotation_wide(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(role) = rotation_role(audit, secret) else { return };
    // Lazy, because it checks every secret.
    let rotated = LazyCell::new(|| rotated_by(audit, role));
    let is_job = audit.job(&secret.arn).is_some();
    // The secrets that a pattern matches but the role does not rotate. A job rotates what its configuration lists,
    // which can be everything under a path.
    let others_of = |pattern: &String| {
        let existing = audit.snapshot.secrets.iter().map(|it| &it.arn).filter(|arn| matches(pattern, arn));
        if is_everything(pattern) {
            vec![made_up(audit, MADE_UP[0])]
        } else if is_job && pattern.ends_with('*') {
            existing.filter(|arn| !rotated.contains(arn)).cloned().collect()
        } else if pattern.ends_with('*') {
            vec![longer(audit, pattern)]
        } else {
            another(audit, pattern).into_iter().collect()
        }
    };
    for policy in audit.account.identity_policies(role) {
        for (index, statement) in policy.document.statements.iter().enumerate() {
            let writes = concerns_action(statement, "secretsmanager:PutSecretValue");
            let others: Vec<_> = match &statement.resource {
                Some(Scope::Only(patterns)) => patterns.iter().flat_map(others_of).collect(),
                Some(Scope::AllBut(_)) => vec![made_up(audit, MADE_UP[0])],
                None => Vec::new(),
            };
            let has_more = matches!(&statement.action, Scope::AllBut(_))
                || statement
                    .action
                    .listed()
                    .iter()
                    .any(|action| action == "*" || action.eq_ignore_ascii_case("secretsmanager:*"));
            if statement.effect == crate::Effect::Deny || !writes {
                continue;
            }
            // A permissions boundary or a Deny can already limit this to what rotation needs.
            let may = |action: &str, arn: &str| audit.account.may_at_all(role, action, arn);
            let is_wide = others.iter().any(|arn| may("secretsmanager:PutSecretValue", arn));
            let has_more = has_more
                && [
                    "secretsmanager:DeleteSecret",
                    "secretsmanager:PutResourcePolicy",
                    "secretsmanager:Zq7xkj",
                ]
                .iter()
                .any(|action| may(action, &secret.arn));
            if !is_wide && !has_more {
                continue;
            }
            let what = if is_wide {
                "allows writing more secrets than it rotates"
            } else {
                "allows actions that rotation does not need"
            };
            let place = format!("policy {}, {}: {what}", policy.name, statement.title(index));
            let finding = findings.add(&role.arn, place);
            let is_shared = policy.name.starts_with("arn:")
                && audit.snapshot.principals.iter().any(|it| {
                    it.arn != role.arn && it.attached_policies.iter().any(|arn| arn == policy.name)
                });
            if policy.name.contains(":iam::aws:") || is_shared || loses(audit, statement) {
                finding.advise(INSTEAD);
                continue;
            }
            let document =
                policy.document.with_statements(index, rotating(audit, role, policy, index, &rotated));
            finding.run = put_identity_policy(audit.snapshot, &role.arn, policy.name, &document);
        }
    }
}

/// The statements that replace one of a rotation role: rotation of the secrets that it rotates, reads of the other
/// secrets that it reads, such as a master secret, and the actions that do not apply to single secrets.
fn rotating(
    audit: &Audit<'_>,
    role: &Principal,
    policy: &Named<'_>,
    index: usize,
    rotated: &[String],
) -> Vec<Value> {
    let json = policy.document.statement_json(index);
    let with = |actions: Value, resources: Value| {
        let mut statement = json.clone();
        statement["Action"] = actions;
        statement["Resource"] = resources;
        statement.as_object_mut().map(|fields| fields.shift_remove("Sid"));
        statement
    };
    let mut actions = ROTATES.to_vec();
    if !audit.runs_rotations(role) {
        actions.push("secretsmanager:ListSecretVersionIds"); // for `secretcache status`
    }
    let mut statements = vec![with(json!(actions), json!(rotated))];
    let reads = |secret: &&Secret| {
        !rotated.contains(&secret.arn)
            && audit
                .readers(secret)
                .iter()
                .any(|it| it.principal.arn == role.arn && it.outcome != Outcome::Denied)
    };
    let others: Vec<_> = audit.snapshot.secrets.iter().filter(reads).map(|secret| &secret.arn).collect();
    if !others.is_empty() {
        statements.push(with(json!([READ, "secretsmanager:DescribeSecret"]), json!(others)));
    }
    statements
        .push(json!({"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"}));
    let statement = &policy.document.statements[index];
    let rest: Vec<_> = statement.action.listed().iter().filter(|action| !concerns_secrets(action)).collect();
    if !rest.is_empty() {
        statements.push(with(json!(rest), json["Resource"].clone()));
    }
    statements
}

/// The ARNs of the secrets that a role rotates.
fn rotated_by(audit: &Audit<'_>, role: &Principal) -> Vec<String> {
    let is_its = |secret: &&Secret| rotation_role(audit, secret).is_some_and(|it| it.arn == role.arn);
    audit.snapshot.secrets.iter().filter(is_its).map(|secret| secret.arn.clone()).collect()
}

pub(super) fn rotation_lacks(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(role) = function_role(audit, secret) else { return };
    let mut lacking = Vec::new();
    let mut elsewhere = Vec::new();
    for action in ROTATES {
        let decision = audit.account.made_by_itself(secret, role, action);
        if decision.outcome != Outcome::Denied {
            continue;
        }
        lacking.push(action);
        // An identity policy can only supply a missing identity policy. It does not help against a Deny or another
        // missing link.
        elsewhere.extend(decision.because.iter().map(|cited| format!("{cited} denies {action}")));
        let others = decision.missing.iter().filter(|link| !matches!(link, Link::Identity | Link::Resource));
        elsewhere.extend(others.map(|link| format!("no {link} allows {action}")));
    }
    let has_random = audit.account.may_without_resource(role, "secretsmanager:GetRandomPassword");
    if lacking.is_empty() && has_random {
        return;
    }
    let mut statements = Vec::new();
    let mut names = lacking.clone();
    if !lacking.is_empty() {
        statements.push(json!({"Effect": "Allow", "Action": lacking, "Resource": secret.arn}));
    }
    if !has_random {
        names.push("secretsmanager:GetRandomPassword");
        statements
            .push(json!({"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"}));
    }
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    let seen = format!("lacks {}", names.join(", "));
    if !elsewhere.is_empty() {
        let advice = format!("{}: exempt or allow the role there", elsewhere.join("; "));
        findings.add(&role.arn, seen).advise(advice);
        return;
    }
    findings.add(&role.arn, seen).run = put_identity_policy(
        audit.snapshot,
        &role.arn,
        &policy_name("rotation-lacks", &secret.arn),
        &document,
    );
}
