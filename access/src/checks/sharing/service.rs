//! AWS services that can read a secret, or use its key, on behalf of any account.

use serde_json::json;

use super::{GUARDED, policies, short};
use crate::audited::Audit;
use crate::document::{Document, Effect, Scope};
use crate::finding::{Findings, Severity};
use crate::fix::put_key_policy;
use crate::reach::DECRYPT;
use crate::snapshot::Secret;

pub(super) fn service(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    // Only the managing service can change a managed secret.
    if secret.owning_service.is_some() {
        return;
    }
    for shared in policies(secret) {
        for (index, statement) in shared.statements().filter(|(_, it)| it.effect == Effect::Allow) {
            let mut services: Vec<&str> = Vec::new();
            let mut calls = Vec::new();
            for action in GUARDED {
                let open = shared.exposure(audit, action).services_for_anybody(index);
                if !open.is_empty() {
                    calls.push(if action == super::READ { "GetSecretValue" } else { short(action) });
                    services.extend(open);
                }
            }
            services.sort_unstable();
            services.dedup();
            if !services.is_empty() {
                let seen = format!(
                    "{} lets {} call {} on behalf of any account",
                    shared.place(statement, index),
                    services.join(", "),
                    calls.join(", ")
                );
                let finding = findings.add(&shared.arn, seen);
                shared.put(finding, &tied(audit, shared.policy, index));
                finding.advise(SENT);
            }
        }
    }
    let Some(key) = audit.account.key_of(secret).filter(|key| key.key_manager != "AWS") else { return };
    let Some(policy) = &key.policy else { return };
    for (index, statement) in
        policy.statements.iter().enumerate().filter(|(_, it)| it.effect == Effect::Allow)
    {
        let services = audit.account.exposure(policy, DECRYPT, &key.arn).services_for_anybody(index);
        if !services.is_empty() {
            let seen = format!(
                "{} of the key's policy lets {} decrypt on behalf of any account",
                statement.title(index),
                services.join(", ")
            );
            let finding = findings.add(&key.arn, seen);
            // The encrypted value is still in Secrets Manager.
            finding.severity = Severity::Low;
            finding.run(put_key_policy(&key.arn, &tied(audit, policy, index))).advise(SENT);
        }
    }
}

const SENT: &str = "run it only if the service's documentation says that it sends aws:SourceAccount: a service that \
    does not is refused afterwards";

/// The policy with the services of one statement limited to requests on behalf of this account. Other principals are
/// unchanged.
fn tied(audit: &Audit<'_>, policy: &Document, index: usize) -> serde_json::Value {
    let json = policy.statement_json(index);
    let mut services = json.clone();
    services["Condition"]["StringEquals"]["aws:SourceAccount"] = json!(audit.snapshot.account);
    let mut statements = vec![services];
    if let Some(Scope::Only(listed)) = &policy.statements[index].principal {
        let mut others = listed.0.clone();
        if let (Some(named), false) = (others.remove("Service"), others.is_empty()) {
            let mut rest = json.clone();
            rest["Principal"] = json!(others);
            statements[0]["Principal"] = json!({"Service": named});
            statements[0].as_object_mut().map(|fields| fields.shift_remove("Sid"));
            statements.insert(0, rest);
        }
    }
    policy.with_statements(index, statements)
}
