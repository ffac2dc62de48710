//! Principals that cannot read a secret but are one call away from reading it.

use std::collections::HashMap;

use super::of_others;
use super::writes::is_operator;
use crate::audited::Audit;
use crate::evaluate::Outcome;
use crate::finding::{Findings, Severity};
use crate::reach::{PASS, Step, StepKind};
use crate::snapshot::{Principal, Secret};

pub(super) fn becomes_reader(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let readers = readers(audit);
    for principal in &audit.snapshot.principals {
        // Only the service itself can act as its service-linked role.
        if principal.arn.contains(":role/aws-service-role/") || audit.is_administrator(principal) {
            continue;
        }
        let ways = audit.account.ways(principal, &readers);
        if ways.is_empty() || is_operator(audit, principal) {
            continue;
        }
        let finding = findings.add(&principal.arn, seen(&ways));
        let deploys = ways.iter().all(|(step, _)| step.kind != StepKind::Rights);
        if !deploys {
            finding.severity = Severity::High;
        }
        finding.advise(match of_others(principal) {
            Some(advice) => advice,
            None if deploys => {
                "if it deploys the programs that read the secret, tag it secretcache:role=operator; if not, limit \
                 these calls to other functions and roles"
            }
            None => {
                "remove its permission for these calls, or limit it to resources unrelated to secrets; if it is for \
                 people who administer access, tag it secretcache:role=operator"
            }
        });
    }
}

fn seen(ways: &[(Step, &Secret)]) -> String {
    const FEW: usize = 3;
    let one = |(step, secret): &(Step, &Secret)| {
        let with = if step.kind == StepKind::Start { format!(" with {PASS}") } else { String::new() };
        format!("{}{with} on {}, which opens {}", step.action, step.resource, secret.name)
    };
    let named: Vec<_> = ways.iter().take(FEW).map(one).collect();
    let more = ways.len().saturating_sub(FEW);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("one call away from reading: {}{more}", named.join("; "))
}

/// All principals that can read secrets, by ARN, each with the secrets that it can read.
fn readers<'a>(audit: &Audit<'a>) -> HashMap<&'a str, (&'a Principal, Vec<&'a Secret>)> {
    let mut found: HashMap<&str, (&Principal, Vec<&Secret>)> = HashMap::new();
    for secret in audit.snapshot.secrets.iter().filter(|secret| secret.deleted_date.is_none()) {
        for reader in audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied) {
            found.entry(&reader.principal.arn).or_insert((reader.principal, Vec::new())).1.push(secret);
        }
    }
    found
}
