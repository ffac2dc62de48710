//! The KMS key of a secret.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Check, Find};
use crate::audit::{Audit, Findings, Reader, Severity};
use crate::document::{Document, Effect, Scope, Statement};
use crate::evaluate::{Link, Outcome, concerns_action};
use crate::exposure::is_for_all;
use crate::fix::{command, key_id, key_policy, put_key_policy, quote};
use crate::pattern::{matches, matches_arn};
use crate::reach::{DECRYPT, GENERATE};
use crate::service;
use crate::snapshot::{Key, Secret};

const DESCRIBE: &[&str] = &["kms:DescribeKey"];
const POLICY: &[&str] = &["kms:GetKeyPolicy"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "key.default",
        severity: Severity::Medium,
        title: "The secret is encrypted with the default key aws/secretsmanager",
        why: "Every principal of the account that may read the secret may use that key; its policy cannot be changed, it \
              cannot be disabled in an emergency, and secrets under it cannot be shared with another account.",
        fix: "Create a customer managed key and move the secret to it. Versions with a staging label are encrypted again; \
              older ones stay readable with the old key.",
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
        title: "The secret's key is disabled, waits to be deleted, or does not exist",
        why: "Nobody can read or write the secret while its key cannot be used, and after the key's deletion never again.",
        fix: "Enable the key or cancel its deletion.",
        needs: DESCRIBE,
        counterparts: &["prowler kms_cmk_not_deleted_unintentionally"],
        find: Find::Secret(state),
    },
    Check {
        id: "key.spec",
        severity: Severity::High,
        title: "The key is not a symmetric encryption key",
        why: "Secrets Manager works with SYMMETRIC_DEFAULT keys alone.",
        fix: "Use a symmetric key.",
        needs: DESCRIBE,
        counterparts: &[],
        find: Find::Secret(spec),
    },
    Check {
        id: "key.rotation",
        severity: Severity::Low,
        title: "The key's material is not rotated",
        why: "One piece of key material protects everything for ever. Rotation by KMS costs no change elsewhere.",
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
        title: "The key policy lets everybody use the key",
        why: "With Principal \"*\" and no condition that keeps strangers out, principals of any account can decrypt, or let \
              themselves in by a grant or another policy. A wildcard in a condition keeps nobody out.",
        fix: "Name the principals, or the account with conditions on kms:CallerAccount and kms:ViaService.",
        needs: POLICY,
        counterparts: &[
            "prowler kms_key_not_publicly_accessible",
            "checkov CKV_AWS_33",
            "Security Hub KMS.5",
        ],
        find: Find::Secret(public),
    },
    Check {
        id: "key.policy-broad",
        severity: Severity::Medium,
        title: "The key policy gives kms:* to somebody other than its own account",
        why: "Who has kms:* can change the policy, delete the key, and decrypt outside of Secrets Manager.",
        fix: "Give administration and use to different principals, and use only through Secrets Manager.",
        needs: POLICY,
        counterparts: &["terrascan AC_AWS_0501", "checkov CKV_AWS_33"],
        find: Find::Secret(broad),
    },
    Check {
        id: "key.via-service",
        severity: Severity::Low,
        title: "The key may be used outside of Secrets Manager",
        why: "Without kms:ViaService, whoever holds kms:Decrypt can use the key directly, where no policy of a secret has a \
              say. Secrets Manager makes no grants, so the condition is enough for it.",
        fix: "Add the condition kms:ViaService with this Region's Secrets Manager to the statements that allow kms:Decrypt.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(via_service),
    },
    Check {
        id: "key.via-service-mismatch",
        severity: Severity::High,
        title: "kms:ViaService names another Region or service",
        why: "Reads through Secrets Manager in this Region do not meet the condition and fail: \"Access to KMS is not \
              allowed\".",
        fix: "Name secretsmanager.<Region>.amazonaws.com of the secret's Region.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(via_mismatch),
    },
    Check {
        id: "key.context-mismatch",
        severity: Severity::High,
        title: "kms:EncryptionContext:SecretARN names no secret that uses the key",
        why: "The six random characters of an ARN change when a secret is deleted and created again; a condition with the old \
              ARN locks everybody out.",
        fix: "Write the secret's present ARN, or its name with -??????.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(context_mismatch),
    },
    Check {
        id: "key.context-version",
        severity: Severity::Medium,
        title: "The key policy asks for one SecretVersionId",
        why: "When a secret is created or its key changed, Secrets Manager calls KMS with SecretVersionId = \
              RequestToValidateKeyAccess; a condition on version ids makes that fail.",
        fix: "Drop the condition, or allow RequestToValidateKeyAccess too.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(context_version),
    },
    Check {
        id: "key.encryption-context",
        severity: Severity::Info,
        title: "The key policy does not tie the key to a secret",
        why: "A condition on kms:EncryptionContext:SecretARN limits a key to the secrets it was made for.",
        fix: "Add the condition to the statements that allow kms:Decrypt.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(no_context),
    },
    Check {
        id: "key.writer",
        severity: Severity::High,
        title: "The rotation role may write the secret and not use its key",
        why: "A new version takes kms:GenerateDataKey and kms:Decrypt; without them every rotation fails in createSecret.",
        fix: "Allow both to the rotation function's role, in the key policy or its identity policy.",
        needs: &["kms:GetKeyPolicy", "iam:GetAccountAuthorizationDetails", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(writer),
    },
    Check {
        id: "key.reader",
        severity: Severity::Medium,
        title: "A principal may read the secret and not use its key",
        why: "Its reads fail with \"Access to KMS is not allowed\". Either the permission on the key is missing, or the one on \
              the secret is left over.",
        fix: "Ask `secretcache access ID --principal ARN` which link is missing; add it, or take the other permission away.",
        needs: &["kms:GetKeyPolicy", "iam:GetAccountAuthorizationDetails"],
        counterparts: &[],
        find: Find::Secret(reader),
    },
    Check {
        id: "key.shared-default",
        severity: Severity::High,
        title: "The secret is shared with another account under the default key",
        why: "Other accounts cannot use aws/secretsmanager, so their reads fail whatever the resource policy says.",
        fix: "Move the secret to a customer managed key whose policy names the other account.",
        needs: &["secretsmanager:GetResourcePolicy"],
        counterparts: &["stave CTL.SECRETS.CROSSACCOUNT.NOKMS"],
        find: Find::Secret(shared_default),
    },
    Check {
        id: "key.shared-closed",
        severity: Severity::High,
        title: "The secret is shared with another account and its key is not",
        why: "Principals of another account need kms:Decrypt in the key policy as well as in their own policies; without it \
              their reads fail with \"Access to KMS is not allowed\".",
        fix: "Allow kms:Decrypt through Secrets Manager to the same principals in the key policy, or take them from the secret's.",
        needs: &["secretsmanager:GetResourcePolicy", "kms:GetKeyPolicy"],
        counterparts: &[],
        find: Find::Secret(shared_closed),
    },
    Check {
        id: "key.replica-default",
        severity: Severity::Low,
        title: "A replica is encrypted with the default key",
        why: "A replica has a key of its own; one under aws/secretsmanager undoes what the primary's key policy restricts.",
        fix: "Remove the replica and make it again with a key of its Region.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.POLICY.MISMATCH"],
        find: Find::Secret(replica_default),
    },
];

/// Whether a secret names no key of its own.
pub(super) fn is_default(secret: &Secret) -> bool {
    secret.kms_key_id.as_deref().is_none_or(|id| id.is_empty() || id.ends_with("alias/aws/secretsmanager"))
}

fn default_key(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_aws = audit.account.key_of(secret).is_some_and(|key| key.key_manager == "AWS");
    // What a service manages, such as RDS, has the key that was chosen there.
    if !is_default(secret) && !is_aws {
        return;
    }
    let snapshot = audit.snapshot;
    let policy = key_policy(snapshot.partition(), &snapshot.account, &snapshot.region).to_string();
    let create =
        command(&["aws", "kms", "create-key", "--description", &format!("Secrets such as {}", secret.name)]);
    let update = command(&["aws", "secretsmanager", "update-secret", "--secret-id", &secret.arn]);
    findings.add(&secret.arn, "encrypted with aws/secretsmanager").run(format!(
        "key=$({create} --policy {} --query KeyMetadata.KeyId --output text) && aws kms enable-key-rotation --key-id \"$key\" \
         && {update} --kms-key-id \"$key\"",
        quote(&policy)
    ));
}

fn state(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = audit.account.key_of(secret) else {
        return;
    };
    match key.key_state.as_str() {
        "Enabled" | "" => {}
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

/// The statements of a customer managed key's policy that allow an action.
fn allows<'a>(
    audit: &Audit<'a>,
    secret: &Secret,
    action: &'static str,
) -> impl Iterator<Item = (&'a Key, &'a Document, usize, &'a Statement)> {
    let policy = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)));
    policy.into_iter().flat_map(move |(key, document)| {
        let statements = document.statements.iter().enumerate();
        statements
            .filter(move |(_, statement)| {
                statement.effect == Effect::Allow && concerns_action(statement, action)
            })
            .map(move |(index, statement)| (key, document, index, statement))
    })
}

/// The values of a condition, whatever its operator.
fn condition<'a>(statement: &'a Statement, key: &str) -> Option<&'a [String]> {
    let mut conditions = statement.conditions.iter();
    conditions
        .find(|condition| condition.key.eq_ignore_ascii_case(key))
        .map(|condition| condition.values.as_slice())
}

/// What opens or closes everything under a key, directly or by a grant or another policy.
const GUARDED: [&str; 6] = [
    DECRYPT,
    "kms:ReEncryptFrom",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
];

fn public(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some((key, document)) = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)))
    else {
        return;
    };
    for (index, statement) in document.statements.iter().enumerate() {
        let is_open = |action: &&&str| audit.account.exposure(document, action, &key.arn).is_public(index);
        let open: Vec<_> = GUARDED.iter().filter(is_open).copied().collect();
        if is_for_all(statement) && !open.is_empty() {
            let mut fixed = document.statement_json(index).clone();
            fixed["Condition"]["StringEquals"]["kms:CallerAccount"] = json!(audit.snapshot.account);
            let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
            findings
                .add(&key.arn, format!("{} allows {} to \"*\"", title(statement, index), open.join(", ")))
                .run(run);
        }
    }
}

fn title(statement: &Statement, index: usize) -> String {
    statement.sid.as_ref().map_or(format!("statement {}", index + 1), |sid| format!("statement {sid}"))
}

fn is_own_account(audit: &Audit<'_>, statement: &Statement) -> bool {
    let root = format!(":iam::{}:root", audit.snapshot.account);
    match &statement.principal {
        Some(Scope::Only(listed)) => {
            listed.0.values().flatten().all(|id| id.ends_with(&root) || *id == audit.snapshot.account)
        }
        _ => false,
    }
}

fn broad(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, "kms:PutKeyPolicy") {
        let has_all = statement
            .action
            .listed()
            .iter()
            .any(|action| action == "*" || action.eq_ignore_ascii_case("kms:*"));
        if has_all && !is_own_account(audit, statement) {
            let mut fixed = document.statement_json(index).clone();
            fixed["Action"] = json!([DECRYPT, GENERATE, "kms:DescribeKey"]);
            let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
            findings.add(&key.arn, format!("{} allows kms:*", title(statement, index))).run(run);
        }
    }
}

fn via_service(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        if condition(statement, "kms:ViaService").is_some() {
            continue;
        }
        // Administration stays as it is; use is split off and restricted.
        let json = document.statement_json(index);
        let mut via = json.clone();
        via["Sid"] = json!("ThroughSecretsManager");
        via["Action"] = json!([DECRYPT, GENERATE, "kms:DescribeKey"]);
        via["Condition"]["StringEquals"]["kms:ViaService"] = json!(service::host(&audit.snapshot.region));
        let mut rest = json.clone();
        rest["Action"] = without_use(statement);
        let mut statements = vec![via];
        if rest["Action"] != json!([]) {
            statements.push(rest);
        }
        let run = put_key_policy(&key.arn, &document.with_statements(index, statements));
        let seen = format!("{} allows kms:Decrypt without kms:ViaService", title(statement, index));
        findings.add(&key.arn, seen).run(run);
    }
}

/// What a statement allows besides using the key.
fn without_use(statement: &Statement) -> serde_json::Value {
    let administration = &key_policy("aws", "", "")["Statement"][0]["Action"];
    match &statement.action {
        Scope::Only(actions) => {
            let is_all = |action: &String| action == "*" || action.eq_ignore_ascii_case("kms:*");
            if actions.iter().any(is_all) {
                return administration.clone();
            }
            let uses = [DECRYPT, GENERATE, "kms:DescribeKey"];
            let is_use =
                |action: &str| uses.iter().any(|used| crate::pattern::matches_ignoring_case(action, used));
            json!(actions.iter().filter(|action| !is_use(action)).collect::<Vec<_>>())
        }
        Scope::AllBut(_) => administration.clone(),
    }
}

fn via_mismatch(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let right = service::host(&audit.snapshot.region);
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        let Some(values) = condition(statement, "kms:ViaService") else { continue };
        if values.iter().any(|value| matches(value, &right)) {
            continue;
        }
        let mut fixed = document.statement_json(index).clone();
        set_condition(&mut fixed, "kms:ViaService", &json!(right));
        let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
        findings.add(&key.arn, format!("kms:ViaService is {}, not {right}", values.join(", "))).run(run);
    }
}

/// Replaces the value of a condition key wherever it stands.
fn set_condition(statement: &mut serde_json::Value, key: &str, value: &serde_json::Value) {
    let operators = statement["Condition"].as_object_mut().into_iter().flatten();
    for (_, keys) in operators {
        for (name, old) in keys.as_object_mut().into_iter().flatten() {
            if name.eq_ignore_ascii_case(key) {
                *old = value.clone();
            }
        }
    }
}

const SECRET_ARN: &str = "kms:EncryptionContext:SecretARN";

/// The ARNs of all secrets of the snapshot that use a key.
fn under_key<'a>(audit: &Audit<'a>, key: &Key) -> Vec<&'a str> {
    let secrets = audit.snapshot.secrets.iter();
    let under = secrets.filter(|it| audit.account.key_of(it).is_some_and(|its| its.arn == key.arn));
    under.map(|it| it.arn.as_str()).collect()
}

fn context_mismatch(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        let Some(values) = condition(statement, SECRET_ARN) else { continue };
        let names = |arn: &str| values.iter().any(|value| matches(value, arn) || matches_arn(value, arn));
        // A statement for another secret under the same key is none of this one's business.
        let present = under_key(audit, key);
        if present.iter().any(|arn| names(arn)) {
            continue;
        }
        let mut fixed = document.statement_json(index).clone();
        let mut arns: BTreeSet<&str> = present.into_iter().collect();
        arns.insert(&secret.arn);
        // What is named may be a secret that was not looked at.
        arns.extend(values.iter().filter(|_| audit.snapshot.is_partial).map(String::as_str));
        set_condition(&mut fixed, SECRET_ARN, &json!(arns));
        let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
        findings.add(&key.arn, format!("{} names {}", title(statement, index), values.join(", "))).run(run);
    }
}

fn context_version(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const VERSION: &str = "kms:EncryptionContext:SecretVersionId";
    for (key, document, index, statement) in allows(audit, secret, GENERATE) {
        let Some(values) = condition(statement, VERSION) else { continue };
        if values.iter().any(|value| matches(value, "RequestToValidateKeyAccess")) {
            continue;
        }
        let mut fixed = document.statement_json(index).clone();
        for (_, keys) in fixed["Condition"].as_object_mut().into_iter().flatten() {
            keys.as_object_mut()
                .into_iter()
                .for_each(|keys| keys.retain(|name, _| !name.eq_ignore_ascii_case(VERSION)));
        }
        let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
        findings
            .add(&key.arn, format!("{} asks for version {}", title(statement, index), values.join(", ")))
            .run(run);
    }
}

fn no_context(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        // Without ViaService the key is open altogether, which another check says.
        if condition(statement, "kms:ViaService").is_none() || condition(statement, SECRET_ARN).is_some() {
            continue;
        }
        let seen = format!("{} has no condition on {SECRET_ARN}", title(statement, index));
        let finding = findings.add(&key.arn, seen);
        if audit.snapshot.is_partial {
            finding.advise("name every secret that uses the key; `secretcache audit --all` finds them");
            continue;
        }
        let named = |arn: &str| format!("{}-??????", arn.rsplit_once('-').map_or(arn, |(name, _)| name));
        let arns: BTreeSet<_> =
            under_key(audit, key).into_iter().chain([secret.arn.as_str()]).map(named).collect();
        let mut fixed = document.statement_json(index).clone();
        fixed["Condition"]["StringLike"][SECRET_ARN] = json!(arns);
        finding.run(put_key_policy(&key.arn, &document.with_statements(index, vec![fixed])));
    }
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
        let mut run = crate::fix::put_identity_policy(&role.arn, "secretcache-rotation-key", &statement);
        let key = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)));
        // A key policy that does not leave it to the account has to name the role itself.
        if let (true, Some((key, document))) = (decision.missing.contains(&Link::KeyPolicy), key) {
            let mut named = statement["Statement"][0].clone();
            named["Principal"] = json!({"AWS": role.arn});
            named["Resource"] = json!("*");
            run = vec![put_key_policy(&key.arn, &document.with_added(named))];
        }
        let finding = findings.add(&role.arn, format!("{action} on the key is {reason}"));
        finding.run = run;
    }
}

fn reader(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let rotation = audit.account.rotation_function(secret).map(|function| function.role.as_str());
    // That the key keeps administrators out is as it should be.
    let by_mistake = |reader: &&Reader<'_>| reader.lacks_key && !audit.is_administrator(reader.principal);
    for reader in audit.readers(secret).iter().filter(by_mistake) {
        if rotation != Some(reader.principal.arn.as_str()) {
            let ask = command(&["secretcache", "access", &secret.name, "--principal", &reader.principal.arn]);
            let seen = "may read the secret, and may not use its key";
            findings.add(&reader.principal.arn, seen).advise(format!("see `{ask}`"));
        }
    }
}

fn shared_default(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let outsiders = audit.account.outsiders(secret);
    if !is_default(secret) || outsiders.is_empty() {
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
    let outsiders = audit.account.outsiders(secret).into_iter().map(|outsider| outsider.principal);
    let is_account = |id: &String| id.contains(":iam:") || id.len() == 12;
    let kept_out: Vec<_> = outsiders.filter(|id| is_account(id) && !is_let_in(id)).collect();
    if kept_out.is_empty() {
        return;
    }
    let statement = json!({"Sid": "OtherAccounts", "Effect": "Allow", "Principal": {"AWS": kept_out}, "Action": DECRYPT,
        "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": service::host(&audit.snapshot.region), SECRET_ARN: secret.arn}}});
    findings
        .add(&key.arn, format!("no statement allows kms:Decrypt to {}", kept_out.join(", ")))
        .run(put_key_policy(&key.arn, &document.with_added(statement)));
}

fn replica_default(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if is_default(secret) {
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
            .advise("then make it again: aws secretsmanager replicate-secret-to-regions with a KmsKeyId of that Region");
    }
}
