//! Grants on the key, which allow decryption without any policy that shows it.

use super::customer_key;
use crate::audited::Audit;
use crate::document::Effect;
use crate::evaluate::concerns_action;
use crate::exposure::trust::listed;
use crate::finding::Findings;
use crate::fix::{command, key_id};
use crate::reach::DECRYPT;
use crate::snapshot::Secret;

pub(super) fn grant(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = customer_key(audit, secret) else { return };
    let Some(grants) = audit.account.grants(secret) else {
        findings.not_known("kms:ListGrants", "the grants of the key are not read");
        return;
    };
    let by_policy = |grantee: &str| {
        let statements = key.policy.iter().flat_map(|policy| &policy.statements);
        let mut allowing = statements.filter(|it| it.effect == Effect::Allow && concerns_action(it, DECRYPT));
        allowing.any(|it| listed(it, "AWS").any(|id| id == grantee))
    };
    for (id, grantee) in grants {
        // Grants of service-linked roles are for data that the service encrypts.
        if grantee.contains(":role/aws-service-role/") || by_policy(grantee) {
            continue;
        }
        let words = ["aws", "kms", "revoke-grant", "--key-id", key_id(&key.arn), "--grant-id", id];
        findings.add(&key.arn, format!("grant {id} lets {grantee} decrypt")).advise(format!(
            "if nothing needs it: {}; otherwise allow it in the key policy, where it is visible, and then revoke the grant",
            command(&words)
        ));
    }
}
