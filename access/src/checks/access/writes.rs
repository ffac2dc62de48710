//! Principals that can read a secret and also change it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::of_others;
use crate::audited::{Audit, Writer, Writers};
use crate::evaluate::{Outcome, concerns_action};
use crate::finding::Findings;
use crate::fix::{policy_name, put_identity_policy};
use crate::snapshot::{Principal, Secret};

pub(super) const WRITES: [&str; 7] = [
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:RotateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:DeleteResourcePolicy",
];

/// Those of `WRITES` that rotation needs.
const OF_ROTATION: [&str; 2] = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"];

pub(super) fn mentions(audit: &Audit<'_>, principal: &Principal, secret: &Secret, action: &str) -> bool {
    let own = audit.account.identity_policies(principal).iter().map(|policy| policy.document);
    let statements = own.chain(&secret.resource_policy).flat_map(|document| &document.statements);
    statements.into_iter().any(|statement| concerns_action(statement, action))
}

pub(super) fn application_writes(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let all = audit.writers.get_or_init(|| writers(audit));
    for writer in all.of_secret.get(&secret.arn).into_iter().flatten() {
        let mut principals = audit.readers(secret).iter().map(|it| it.principal);
        let Some(principal) = principals.find(|it| it.arn == writer.principal) else { continue };
        let mut seen = format!("can read it and call {}", writer.calls.join(", "));
        if let Some(tagger) = &writer.tagger {
            seen += &format!("; its tag {OPERATOR} does not count, because {tagger} can set it");
        }
        let finding = findings.add(&principal.arn, seen);
        if let Some(advice) = of_others(principal) {
            finding.advise(advice);
            continue;
        }
        let secrets: BTreeSet<_> =
            all.secrets.get(&writer.principal).into_iter().flatten().map(String::as_str).collect();
        let is_named = audit.snapshot.rotated_by.contains(&principal.arn);
        if is_named && !secrets.iter().all(|secret| rotates(audit, principal, secret)) {
            // A Deny would keep blocking the rotation after the missing permission is added.
            finding.advise(HALF_A_JOB);
            continue;
        }
        finding.run = deny(audit, principal, secret, secrets);
        let instead = writer.tagger.as_ref().map_or_else(
            || format!("if it is for people who deploy or repair, tag it {OPERATOR} instead"),
            |tagger| {
                format!(
                    "if it is for people who deploy or repair, its tag {OPERATOR} counts only if everyone who can set \
                     it can also change the role's policies: remove iam:TagRole or iam:TagUser on it from {tagger}, or \
                     deny {tagger} those calls for the tag key secretcache:role (aws:TagKeys)"
                )
            },
        );
        finding.advise(if finding.run.is_empty() {
            format!("narrow its own policies, because a Deny that lists all of these secrets is too long for IAM; {instead}")
        } else {
            instead
        });
    }
}

const HALF_A_JOB: &str = "--rotated-by says that it rotates secrets, but it can write some that it cannot rotate: \
    grant it what `secretcache policy ci` prints, or remove its permission to write them";

const OPERATOR: &str = "secretcache:role=operator";

/// Whether a principal is tagged as one for people who repair or administer, and only principals that could change its
/// policies anyway can set that tag.
pub(super) fn is_operator(audit: &Audit<'_>, principal: &Principal) -> bool {
    is_called_operator(principal) && audit.account.tagger(principal).is_none()
}

fn is_called_operator(principal: &Principal) -> bool {
    OPERATOR
        .split_once('=')
        .is_some_and(|(name, value)| principal.tags.get(name).is_some_and(|it| it == value))
}

/// Whether a principal rotates a secret without a function, according to `--rotated-by`.
fn rotates(audit: &Audit<'_>, principal: &Principal, secret: &str) -> bool {
    audit.job(secret).is_some_and(|job| job.arn == principal.arn)
}

fn writers(audit: &Audit<'_>) -> Writers {
    let mut found = Writers::default();
    // Cached, because an operator can have access to many secrets.
    let mut taggers: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for secret in audit.snapshot.secrets.iter().filter(|secret| secret.deleted_date.is_none()) {
        for reader in audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied) {
            let principal = reader.principal;
            if audit.runs_rotations(principal) || audit.is_administrator(principal) {
                continue;
            }
            let is_tagged = is_called_operator(principal);
            let find =
                || is_tagged.then(|| audit.account.tagger(principal)).flatten().map(|it| it.arn.clone());
            let tagger = taggers.entry(&principal.arn).or_insert_with(find).clone();
            if is_tagged && tagger.is_none() {
                continue;
            }
            let is_job = rotates(audit, principal, &secret.arn);
            let can = |action: &&&str| {
                !(is_job && OF_ROTATION.contains(action))
                    && mentions(audit, principal, secret, action)
                    && audit.account.may(secret, principal, action, &[]).secret.outcome != Outcome::Denied
            };
            let calls: Vec<_> =
                WRITES.iter().filter(can).map(|it| it.trim_start_matches("secretsmanager:")).collect();
            if !calls.is_empty() {
                found.secrets.entry(principal.arn.clone()).or_default().insert(secret.arn.clone());
                let writer = Writer { principal: principal.arn.clone(), calls, tagger };
                found.of_secret.entry(secret.arn.clone()).or_default().push(writer);
            }
        }
    }
    found
}

/// The commands that deny a principal writing secrets. One policy covers all of them, because IAM limits the total
/// length of inline policies. Empty if that policy would be too long.
fn deny<'a>(
    audit: &Audit<'_>,
    principal: &'a Principal,
    secret: &Secret,
    mut secrets: BTreeSet<&'a str>,
) -> Vec<String> {
    const NAME: &str = "deny-writes";
    let name = if secrets.len() == 1 { policy_name(NAME, &secret.arn) } else { NAME.to_owned() };
    // Keep what the command of an earlier audit wrote there for other secrets.
    let before = principal.inline_policies.iter().filter(|it| it.name == name);
    let statements = before.filter_map(|it| it.document.as_ref()).flat_map(|it| &it.statements);
    secrets.extend(
        statements.filter_map(|it| it.resource.as_ref()).flat_map(|it| it.listed()).map(String::as_str),
    );
    // A job keeps what rotation needs.
    let (rotated, others): (Vec<_>, Vec<_>) =
        secrets.into_iter().partition(|secret| rotates(audit, principal, secret));
    let less: Vec<_> = WRITES.iter().filter(|call| !OF_ROTATION.contains(call)).collect();
    let statements = [(json!(WRITES), others), (json!(less), rotated)]
        .into_iter()
        .filter(|(_, secrets)| !secrets.is_empty())
        .map(|(calls, secrets)| json!({"Effect": "Deny", "Action": calls, "Resource": secrets}));
    let document = json!({"Version": "2012-10-17", "Statement": Vec::from_iter(statements)});
    let most = if principal.arn.contains(":user/") { 2048 } else { 10240 };
    if document.to_string().len() > most {
        return Vec::new();
    }
    put_identity_policy(audit.snapshot, &principal.arn, &name, &document)
}
