//! A secret's KMS key.

use serde_json::json;

use super::{Check, Find};
use crate::audited::{Audit, Reader};
use crate::evaluate::{Link, Outcome};
use crate::finding::{Findings, Severity};
use crate::fix::{
    command, id_of, key_id, key_policy, policy_name, put_identity_policy, put_key_policy, quote,
};
use crate::reach::{DECRYPT, GENERATE};
use crate::service;
use crate::snapshot::{Key, Secret};

mod control;
mod grant;
mod policy;

use policy::SECRET_ARN;

const DESCRIBE: &[&str] = &["kms:DescribeKey"];
const POLICY: &[&str] = &["kms:GetKeyPolicy"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "key.default",
        severity: Severity::Medium,
        title: "The secret is encrypted with the default key aws/secretsmanager",
        why: "Every principal of the account that can read the secret can use that key. Its policy cannot be changed, \
              it cannot be disabled in an emergency, and secrets under it cannot be shared with another account.",
        fix: "Create a customer managed key and move the secret to it. Versions with a staging label are encrypted \
              again; older ones stay readable with the old key.",
        needs: &["secretsmanager:ListSecrets"],
        counterparts: &[
            "AWS Config secretsmanager-using-cmk",
            "checkov CKV_AWS_149",
            "trivy AWS-0098",
            "cfn-nag W77",
            "cdk-nag SecretsManagerUsingKMSKey",
            "cfn-guard SECRETSMANAGER_USING_CMK",
            "terrascan AC_AWS_0500",
            "steampipe secretsmanager_secret_encrypted_with_kms_cmk",
        ],
        find: Find::Secret(default_key),
    },
    Check {
        id: "key.state",
        severity: Severity::Critical,
        title: "The secret's key is disabled, scheduled for deletion, or does not exist",
        why: "While the key is unusable, nobody can read or write the secret. Once the key is deleted, the value is lost.",
        fix: "Enable the key or cancel its deletion. If it is gone, store the value again under another key.",
        needs: DESCRIBE,
        counterparts: &["prowler kms_cmk_not_deleted_unintentionally"],
        find: Find::Secret(state),
    },
    Check {
        id: "key.spec",
        severity: Severity::High,
        title: "The key is not a symmetric encryption key",
        why: "Secrets Manager can use only SYMMETRIC_DEFAULT keys.",
        fix: "Move the secret to a symmetric encryption key.",
        needs: DESCRIBE,
        counterparts: &[],
        find: Find::Secret(spec),
    },
    Check {
        id: "key.rotation",
        severity: Severity::Low,
        title: "The key's material is not rotated",
        why: "Without rotation, everything that the key encrypts depends on the same key material. KMS can rotate it; \
              nothing else has to change.",
        fix: "Turn on automatic key rotation.",
        needs: &["kms:GetKeyRotationStatus"],
        counterparts: &[
            "Security Hub KMS.4",
            "AWS Config cmk-backing-key-rotation-enabled",
            "prowler kms_cmk_rotation_enabled",
            "checkov CKV_AWS_7",
        ],
        find: Find::Secret(rotation),
    },
    Check {
        id: "key.policy-public",
        severity: Severity::Critical,
        title: "The key policy lets everyone use the key",
        why: "With Principal \"*\" and no condition that keeps strangers out, principals of any account can decrypt, \
              or give themselves access through a grant or a new policy. A condition whose value is a wildcard keeps \
              nobody out.",
        fix: "Name the principals, or allow the account with conditions on kms:CallerAccount and kms:ViaService.",
        needs: POLICY,
        counterparts: &[
            "prowler kms_key_not_publicly_accessible",
            "checkov CKV_AWS_33",
            "Security Hub KMS.5",
        ],
        find: Find::Secret(policy::public),
    },
    Check {
        id: "key.grant",
        severity: Severity::Medium,
        title: "A grant on the key allows decryption",
        why: "The grantee can use the key although no policy says so, so a review of policies misses it. Secrets \
              Manager creates no grants.",
        fix: "Revoke the grant, or replace it with a statement in the key policy.",
        needs: &["kms:DescribeKey", "kms:ListGrants"],
        counterparts: &["IAM Access Analyzer external access"],
        find: Find::Secret(grant::grant),
    },
    Check {
        id: "key.policy-broad",
        severity: Severity::Medium,
        title: "A principal other than the account itself can change the key policy or grant use of the key",
        why: "A principal that can call kms:PutKeyPolicy or kms:CreateGrant can let itself decrypt, whether the policy \
              allows this by the action's name or by kms:Put*, kms:* or NotAction. It is high if another account, or \
              every principal of this account, can do so. Among principals of this account, the check reports only \
              those with kms:*, and programs that can make one of the two calls; roles of people who administer the \
              key are not reported. Neither are grants that AWS services create for their resources \
              (kms:GrantIsForAWSResource).",
        fix: "Give administration and use to different principals, and allow use only through Secrets Manager.",
        needs: POLICY,
        counterparts: &["terrascan AC_AWS_0501", "checkov CKV_AWS_33"],
        find: Find::Secret(control::broad),
    },
    Check {
        id: "key.via-service",
        severity: Severity::Low,
        title: "The key can be used outside of Secrets Manager",
        why: "Without kms:ViaService, a principal with kms:Decrypt can use the key directly, bypassing the secrets' \
              policies. The condition is all that Secrets Manager needs, because it creates no grants.",
        fix: "Add the condition kms:ViaService, with Secrets Manager in this Region, to the statements that allow kms:Decrypt.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(policy::via_service),
    },
    Check {
        id: "key.via-service-mismatch",
        severity: Severity::High,
        title: "kms:ViaService names another Region or service",
        why: "Reads through Secrets Manager in this Region do not meet the condition and fail with \"Access to KMS is \
              not allowed\".",
        fix: "Use secretsmanager.<Region>.amazonaws.com with the secret's Region.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(policy::via_mismatch),
    },
    Check {
        id: "key.context-mismatch",
        severity: Severity::High,
        title: "kms:EncryptionContext:SecretARN names no secret that uses the key",
        why: "The six random characters of an ARN change when a secret is deleted and created again. A condition with \
              the old ARN then locks everyone out. So does a wildcard under StringEquals, which compares it literally.",
        fix: "Write the secret's current ARN, or its name followed by -?????? under StringLike.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(policy::context_mismatch),
    },
    Check {
        id: "key.context-version",
        severity: Severity::Medium,
        title: "The key policy requires a specific SecretVersionId",
        why: "When a secret is created or gets another key, Secrets Manager calls KMS with SecretVersionId = \
              RequestToValidateKeyAccess. A condition on version ids makes that call fail.",
        fix: "Remove the condition, or allow RequestToValidateKeyAccess as well.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(policy::context_version),
    },
    Check {
        id: "key.encryption-context",
        severity: Severity::Info,
        title: "The key policy does not tie the key to a secret",
        why: "A condition on kms:EncryptionContext:SecretARN limits the key to the secrets that it was created for.",
        fix: "Add the condition to the statements that allow kms:Decrypt.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(policy::no_context),
    },
    Check {
        id: "key.writer",
        severity: Severity::High,
        title: "The rotation role can write the secret but not use its key",
        why: "Storing a new version needs kms:GenerateDataKey and kms:Decrypt. Without them, every rotation fails in \
              createSecret.",
        fix: "Allow both for the rotation function's role, in the key policy or in its identity policy.",
        needs: &["kms:GetKeyPolicy", "iam:GetAccountAuthorizationDetails", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(writer),
    },
    Check {
        id: "key.reader",
        severity: Severity::Medium,
        title: "A principal can read the secret but not use its key",
        why: "Its reads fail with \"Access to KMS is not allowed\". Either the permission on the key is missing, or \
              the one on the secret is no longer needed.",
        fix: "See which permission is missing with `secretcache access ID --principal ARN`. Add it, or remove the one \
              on the secret.",
        needs: &["kms:GetKeyPolicy", "iam:GetAccountAuthorizationDetails"],
        counterparts: &[],
        find: Find::Secret(reader),
    },
    Check {
        id: "key.shared-default",
        severity: Severity::High,
        title: "The secret is shared with another account under the default key",
        why: "Other accounts cannot use aws/secretsmanager, so their reads fail whatever the resource policy allows.",
        fix: "Move the secret to a customer managed key, and name the other account in its policy.",
        needs: &["secretsmanager:GetResourcePolicy"],
        counterparts: &["stave CTL.SECRETS.CROSSACCOUNT.NOKMS"],
        find: Find::Secret(shared_default),
    },
    Check {
        id: "key.shared-closed",
        severity: Severity::High,
        title: "The secret is shared with another account but its key is not",
        why: "Principals of another account need kms:Decrypt in the key policy as well as in their own policies. \
              Without it, their reads fail with \"Access to KMS is not allowed\".",
        fix: "Allow kms:Decrypt through Secrets Manager for the same principals in the key policy, or remove them from \
              the secret's policy.",
        needs: &["secretsmanager:GetResourcePolicy", "kms:GetKeyPolicy"],
        counterparts: &[],
        find: Find::Secret(shared_closed),
    },
    Check {
        id: "key.replica-default",
        severity: Severity::Low,
        title: "A replica is encrypted with the default key",
        why: "A replica has its own key. If that is aws/secretsmanager, the restrictions of the primary's key policy \
              do not apply.",
        fix: "Remove the replica and create it again with a key of its Region.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.POLICY.MISMATCH"],
        find: Find::Secret(replica_default),
    },
];

fn default_key(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_aws = audit.account.key_of(secret).is_some_and(|key| key.key_manager == "AWS");
    // The key of a managed secret, such as one of RDS, is chosen in the managing service.
    if !secret.has_default_key() && !is_aws {
        return;
    }
    if let Some(service) = &secret.owning_service {
        findings
            .add(&secret.arn, "encrypted with aws/secretsmanager")
            .advise(format!("choose the key through {service}, which manages the secret"));
        return;
    }
    let snapshot = audit.snapshot;
    let policy = key_policy(snapshot.partition(), &snapshot.account, &snapshot.region).to_string();
    let create =
        command(&["aws", "kms", "create-key", "--description", &format!("Secrets such as {}", secret.name)]);
    let update = command(&["aws", "secretsmanager", "update-secret", "--secret-id", &secret.arn]);
    findings
        .add(&secret.arn, "encrypted with aws/secretsmanager")
        .run(format!(
            "key=$({create} --policy {} --query KeyMetadata.KeyId --output text) && aws kms enable-key-rotation --key-id \"$key\" \
             && {update} --kms-key-id \"$key\"",
            quote(&policy)
        ))
        .advise(
            "with this key, nobody loses access; to limit it to the secret's readers, give it the policy that \
             secretcache policy kms prints",
        );
}

fn state(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = audit.account.key_of(secret) else {
        return;
    };
    match key.key_state.as_str() {
        // KMS still encrypts and decrypts with a key whose multi-Region primary is being changed.
        "Enabled" | "Updating" | "" => {}
        Key::MISSING => {
            findings.add(&key.arn, "KMS knows no such key").advise(
                "move the secret to an existing key and store its value again from another source: what a deleted key \
                 encrypted is lost",
            );
        }
        "PendingDeletion" | "PendingReplicaDeletion" => {
            let date = key.deletion_date.map(|date| format!(", to be deleted on {date}")).unwrap_or_default();
            let finding = findings.add(&key.arn, format!("{}{date}", key.key_state));
            finding.run(command(&["aws", "kms", "cancel-key-deletion", "--key-id", key_id(&key.arn)]));
            finding.run(command(&["aws", "kms", "enable-key", "--key-id", key_id(&key.arn)]));
        }
        "Disabled" => {
            let run = command(&["aws", "kms", "enable-key", "--key-id", key_id(&key.arn)]);
            findings.add(&key.arn, "Disabled").run(run);
        }
        other => {
            findings
                .add(&key.arn, other)
                .advise("restore the key, or move the secret to one that can be used");
        }
    }
}

fn spec(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = audit.account.key_of(secret) else { return };
    if !key.key_spec.is_empty() && key.key_spec != "SYMMETRIC_DEFAULT" {
        findings.add(&key.arn, &key.key_spec).advise("move the secret to a symmetric encryption key");
    }
}

fn rotation(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = customer_key(audit, secret) else { return };
    if key.rotation_enabled == Some(false) && matches!(key.origin.as_str(), "" | "AWS_KMS") {
        let run = command(&["aws", "kms", "enable-key-rotation", "--key-id", key_id(&key.arn)]);
        findings.add(&key.arn, "automatic key rotation is off").run(run);
    }
}

fn customer_key<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Key> {
    audit.account.key_of(secret).filter(|key| key.key_manager != "AWS")
}

fn writer(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    let Some(role) = audit.snapshot.principals.iter().find(|it| it.arn == function.role) else { return };
    let decisions =
        [DECRYPT, GENERATE].map(|action| (action, audit.account.key_decision(secret, role, action)));
    for (action, decision) in decisions {
        let Some(decision) = decision.filter(|decision| decision.outcome == Outcome::Denied) else {
            continue;
        };
        let because = decision.because.first().map(|cited| format!("denied by {cited}"));
        let missing: Vec<_> = decision.missing.iter().map(ToString::to_string).collect();
        let reason = because.unwrap_or_else(|| format!("not allowed by the {}", missing.join(" or the ")));
        let statement = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [DECRYPT, GENERATE],
            "Resource": audit.account.key_of(secret).map(|key| key.arn.clone()),
            "Condition": {"StringEquals": {"kms:ViaService": service::host(&audit.snapshot.region)}}}]});
        let key_arn = audit.account.key_of(secret).map(|key| key.arn.as_str()).unwrap_or_default();
        let name = policy_name("rotation-key", key_id(key_arn));
        let mut run = put_identity_policy(audit.snapshot, &role.arn, &name, &statement);
        let key = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)));
        // If the key policy does not delegate to the account's identity policies, it must name the role itself.
        if let (true, Some((key, document))) = (decision.missing.contains(&Link::KeyPolicy), key) {
            let mut named = statement["Statement"][0].clone();
            named["Principal"] = json!({"AWS": role.arn});
            named["Resource"] = json!("*");
            run = vec![put_key_policy(&key.arn, &document.with_added(named))];
        }
        let finding = findings.add(&role.arn, format!("{action} on the key is {reason}"));
        let helps = |link: &Link| matches!(link, Link::Identity | Link::KeyPolicy);
        if decision.because.is_empty() && decision.missing.iter().all(helps) {
            finding.run = run;
        } else {
            finding.advise("exempt or allow the role there: no identity policy helps");
        }
    }
}

fn reader(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let rotation = audit.account.rotation_function(secret).map(|function| function.role.as_str());
    // A key that keeps administrators out is intended.
    let by_mistake = |reader: &&Reader<'_>| reader.lacks_key && !audit.is_administrator(reader.principal);
    for reader in audit.readers(secret).iter().filter(by_mistake) {
        if rotation != Some(reader.principal.arn.as_str()) {
            let ask =
                command(&["secretcache", "access", id_of(secret), "--principal", &reader.principal.arn]);
            let seen = "can read the secret but not use its key";
            findings.add(&reader.principal.arn, seen).advise(format!("see `{ask}`"));
        }
    }
}

fn shared_default(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let outsiders = audit.account.outsiders(secret);
    if !secret.has_default_key() || outsiders.is_empty() {
        return;
    }
    let names: Vec<_> = outsiders.iter().map(|outsider| outsider.principal.as_str()).collect();
    findings.add(&secret.arn, format!("shared with {} under aws/secretsmanager", names.join(", "))).advise(
        "move the secret to a customer managed key (see key.default) and name the account in its policy",
    );
}

fn shared_closed(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = customer_key(audit, secret) else { return };
    let Some(document) = &key.policy else { return };
    let is_let_in =
        |outsider: &String| audit.account.exposure(document, DECRYPT, &key.arn).lets_in_any(outsider);
    // A key policy cannot name an identity provider in this way.
    let outsiders = audit.account.outsiders(secret).into_iter().filter(|outsider| outsider.kind == "AWS");
    let outsiders = outsiders.map(|outsider| outsider.principal);
    let is_account = |id: &String| id.contains(":iam:") || id.len() == 12;
    let kept_out: Vec<_> = outsiders.filter(|id| is_account(id) && !is_let_in(id)).collect();
    if kept_out.is_empty() {
        return;
    }
    let statement = json!({"Sid": document.free_sid("OtherAccounts"), "Effect": "Allow", "Principal": {"AWS": kept_out}, "Action": DECRYPT,
        "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": service::host(&audit.snapshot.region), SECRET_ARN: secret.arn}}});
    findings
        .add(&key.arn, format!("no statement allows kms:Decrypt for {}", kept_out.join(", ")))
        .run(put_key_policy(&key.arn, &document.with_added(statement)));
}

fn replica_default(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if secret.has_default_key() {
        return;
    }
    let is_bare =
        |id: &Option<String>| id.as_deref().is_none_or(|id| id.ends_with("alias/aws/secretsmanager"));
    for replica in secret.replication_status.iter().filter(|replica| is_bare(&replica.kms_key_id)) {
        let words = ["aws", "secretsmanager", "remove-regions-from-replication", "--secret-id", &secret.arn];
        let remove = format!("{} --remove-replica-regions {}", command(&words), quote(&replica.region));
        findings
            .add(format!("{} in {}", secret.name, replica.region), "the replica is under aws/secretsmanager")
            .run(remove)
            .advise("then create it again: aws secretsmanager replicate-secret-to-regions with a KmsKeyId of that Region");
    }
}
