//! The policy of a customer managed key: which principals it lets in, through which service, and for which secrets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::customer_key;
use crate::audited::Audit;
use crate::checks::sharing::FROM_FEW;
use crate::condition::{Context, Truth, holds};
use crate::document::{Condition, Document, Effect, Scope, Statement};
use crate::evaluate::concerns_action;
use crate::exposure::is_for_all;
use crate::exposure::trust::listed;
use crate::finding::{Findings, Severity};
use crate::fix::put_key_policy;
use crate::pattern::{is_pattern, matches, matches_ignoring_case};
use crate::reach::{DECRYPT, GENERATE};
use crate::service;
use crate::snapshot::{Key, Secret};

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

/// The calls that open or lock everything under a key, directly or through a grant or another policy.
const GUARDED: [&str; 6] = [
    DECRYPT,
    "kms:ReEncryptFrom",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
];

pub(super) fn public(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some((key, document)) = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)))
    else {
        return;
    };
    for (index, statement) in document.statements.iter().enumerate().filter(|(_, it)| is_for_all(it)) {
        let exposures = GUARDED.iter().map(|action| audit.account.exposure(document, action, &key.arn));
        let exposures: Vec<_> = exposures.filter(|it| it.is_public(index)).collect();
        let open: Vec<_> = exposures.iter().map(|it| it.action).collect();
        if !open.is_empty() {
            let mut fixed = document.statement_json(index).clone();
            fixed["Condition"]["StringEquals"]["kms:CallerAccount"] = json!(audit.snapshot.account);
            let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
            let few = exposures.iter().all(|it| it.is_for_few_addresses(index));
            let from = if few { FROM_FEW } else { "" };
            let seen = format!("{} allows {} to \"*\"{from}", statement.title(index), open.join(", "));
            let finding = findings.add(&key.arn, seen);
            if few {
                finding.severity = Severity::Medium;
            }
            finding.run(run).advise(IN_ACCOUNT);
        }
    }
}

/// The advice on what the command leaves open.
const IN_ACCOUNT: &str = "the command limits it to this account, whose principals can then all still do what the \
    statement allows, without a policy of their own; principals of other accounts and services lose it: name the \
    intended ones first";

pub(super) fn is_own_account(audit: &Audit<'_>, statement: &Statement) -> bool {
    let root = format!(":iam::{}:root", audit.snapshot.account);
    match &statement.principal {
        Some(Scope::Only(listed)) => {
            listed.0.values().flatten().all(|id| id.ends_with(&root) || *id == audit.snapshot.account)
        }
        _ => false,
    }
}

pub(super) fn via_service(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        // A service named as principal, such as CloudWatch Logs, uses the key for data that it encrypts itself.
        if is_through_service(audit, statement) || is_for_services(statement) {
            continue;
        }
        let which = if condition(statement, "kms:ViaService").is_some() { "a binding " } else { "" };
        let seen = format!("{} allows kms:Decrypt without {which}kms:ViaService", statement.title(index));
        let finding = findings.add(&key.arn, seen);
        let others = other_services(document);
        match through_service(audit, document, index) {
            _ if !others.is_empty() => finding.advise(format!(
                "the key also serves {}: add kms:ViaService only for principals that use it for secrets alone, or give \
                 the secrets their own key",
                others.into_iter().collect::<Vec<_>>().join(", ")
            )),
            Some(statements) => {
                finding.run(put_key_policy(&key.arn, &document.with_statements(index, statements))).advise(
                    "run it only if the key encrypts nothing but secrets: afterwards, every other service that uses it \
                     is refused",
                )
            }
            None => finding.advise(
                "move the actions that use the key to a separate statement with kms:ViaService, and leave the rest without it",
            ),
        };
    }
}

/// Whether a statement lets in only services.
fn is_for_services(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Scope::Only(listed)) => listed.0.keys().all(|kind| kind == "Service"),
        _ => false,
    }
}

/// The services other than Secrets Manager that use the key according to its policy: as principals, or in
/// `kms:ViaService`.
fn other_services(document: &Document) -> BTreeSet<&str> {
    let allows = document.statements.iter().filter(|it| it.effect == Effect::Allow);
    let using = allows.filter(|it| concerns_action(it, DECRYPT) || concerns_action(it, GENERATE));
    let is_via = |it: &&Condition| {
        it.key.eq_ignore_ascii_case("kms:ViaService") && !it.operator.to_ascii_lowercase().contains("not")
    };
    let named = using.flat_map(|statement| {
        let via = statement.conditions.iter().filter(is_via).flat_map(|it| &it.values);
        listed(statement, "Service").chain(via.map(String::as_str))
    });
    named
        .filter(|it| it.contains(".amazonaws.com") && !it.starts_with("secretsmanager.") && !is_pattern(it))
        .collect()
}

/// The statements that replace one so that the key is used only through Secrets Manager; administration is unchanged.
/// `None` if a pattern mixes both.
fn through_service(audit: &Audit<'_>, document: &Document, index: usize) -> Option<Vec<Value>> {
    let (json, statement) = (document.statement_json(index), &document.statements[index]);
    let mut via = json.clone();
    via.as_object_mut()?.shift_remove("NotAction");
    via["Action"] = uses(statement);
    via["Condition"]["StringEquals"]["kms:ViaService"] = json!(service::host(&audit.snapshot.region));
    let mut rest = json.clone();
    match &statement.action {
        Scope::Only(actions) if actions.iter().any(|action| is_every_action(action)) => {
            rest["Action"] = json!(ADMINISTRATION);
        }
        Scope::Only(actions) => {
            let (used, others): (Vec<_>, Vec<_>) = actions.iter().partition(|action| is_use(action));
            // Such as kms:D*, which covers kms:Decrypt and kms:DisableKey.
            let is_mixed = |action: &&String| {
                let action = action.to_ascii_lowercase();
                !["kms:decrypt", "kms:generate", "kms:describe"].iter().any(|it| action.starts_with(it))
            };
            if used.iter().any(is_mixed) {
                return None;
            }
            if others.is_empty() {
                return Some(vec![via]);
            }
            rest["Action"] = json!(others);
        }
        Scope::AllBut(actions) => {
            let used = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"];
            rest["NotAction"] = json!(actions.iter().map(String::as_str).chain(used).collect::<Vec<_>>());
        }
    }
    via["Sid"] = json!(document.free_sid("ThroughSecretsManager"));
    Some(vec![via, rest])
}

/// All actions on a key other than encrypting and decrypting with it.
const ADMINISTRATION: [&str; 19] = [
    "kms:Cancel*",
    "kms:Create*",
    "kms:Delete*",
    "kms:Describe*",
    "kms:Disable*",
    "kms:Enable*",
    "kms:Get*",
    "kms:Import*",
    "kms:List*",
    "kms:Put*",
    "kms:Replicate*",
    "kms:Retire*",
    "kms:Revoke*",
    "kms:Rotate*",
    "kms:Schedule*",
    "kms:Synchronize*",
    "kms:Tag*",
    "kms:Untag*",
    "kms:Update*",
];

/// Whether a statement's conditions allow the key only through the services that they name: not a direct call, and not
/// through just any service.
fn is_through_service(audit: &Audit<'_>, statement: &Statement) -> bool {
    let via = statement.conditions.iter().filter(|it| it.key.eq_ignore_ascii_case("kms:ViaService"));
    let lets_in = |name: Option<&str>| {
        let mut context = Context::closed();
        name.into_iter().for_each(|name| context.set("kms:ViaService", name));
        via.clone().all(|it| holds(it, &context, true) != Truth::No)
    };
    let made_up = service::host(&audit.snapshot.region).replace("secretsmanager", "zq7xkj");
    !lets_in(None) && !lets_in(Some(&made_up))
}

/// The actions that use a key.
const USES: [&str; 3] = [DECRYPT, GENERATE, "kms:DescribeKey"];

fn is_use(action: &str) -> bool {
    USES.iter().any(|used| matches_ignoring_case(action, used))
}

/// The actions that use the key and that a statement allows.
pub(super) fn uses(statement: &Statement) -> Value {
    match &statement.action {
        Scope::Only(actions) if !actions.iter().any(|action| is_every_action(action)) => {
            json!(actions.iter().filter(|action| is_use(action)).collect::<Vec<_>>())
        }
        _ => json!(USES.iter().filter(|used| concerns_action(statement, used)).collect::<Vec<_>>()),
    }
}

pub(super) fn is_every_action(action: &str) -> bool {
    action == "*" || action.eq_ignore_ascii_case("kms:*")
}

pub(super) fn via_mismatch(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let right = service::host(&audit.snapshot.region);
    let via = |statement: &Statement| condition(statement, "kms:ViaService").map(<[String]>::to_vec);
    let fits = |statement: &Statement| leaves(statement, "kms:ViaService", &right);
    // A key can serve other services as well, through other statements.
    let is_open = allows(audit, secret, DECRYPT).any(|(.., statement)| fits(statement));
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        let Some(values) = via(statement) else { continue };
        let is_for_secrets = values.iter().any(|value| value.starts_with("secretsmanager."));
        if fits(statement) || is_open && !is_for_secrets {
            continue;
        }
        let mut fixed = document.statement_json(index).clone();
        // The other services keep their access.
        let kept = values.iter().filter(|_| !is_for_secrets || values.len() > 1);
        let all: Vec<_> = kept.chain([&right]).collect();
        let all = if all.len() == 1 { json!(right) } else { json!(all) };
        set_condition(&mut fixed, "kms:ViaService", &all);
        let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
        findings.add(&key.arn, format!("kms:ViaService is {}, not {right}", values.join(", "))).run(run);
    }
}

/// Whether a statement's conditions on a condition key hold for a value. Some operators take wildcards, others do not.
fn leaves(statement: &Statement, key: &str, value: &str) -> bool {
    let mut context = Context::closed();
    context.set(key, value);
    let mut conditions = statement.conditions.iter().filter(|it| it.key.eq_ignore_ascii_case(key));
    conditions.all(|it| holds(it, &context, true) != Truth::No)
}

/// The statement with `StringLike` in place of `StringEquals`, which compares wildcards literally. `None` if that
/// changes nothing.
fn with_wildcards(json: &Value, statement: &Statement, arn: &str) -> Option<Value> {
    let exact = statement.conditions.iter().find(|it| {
        it.key.eq_ignore_ascii_case(SECRET_ARN)
            && it.operator.eq_ignore_ascii_case("StringEquals")
            && it.values.iter().any(|value| is_pattern(value) && matches(value, arn))
    })?;
    let mut fixed = json.clone();
    let all = fixed["Condition"].as_object_mut()?;
    let of_operator = all.get_mut(&exact.operator)?.as_object_mut()?;
    let value = of_operator.shift_remove(&exact.key)?;
    if of_operator.is_empty() {
        all.shift_remove(&exact.operator);
    }
    all.entry("StringLike").or_insert_with(|| json!({}))[SECRET_ARN] = value;
    Some(fixed)
}

/// Replaces the values of a condition key under every operator.
fn set_condition(statement: &mut Value, key: &str, value: &Value) {
    let operators = statement["Condition"].as_object_mut().into_iter().flatten();
    for (_, keys) in operators {
        for (name, old) in keys.as_object_mut().into_iter().flatten() {
            if name.eq_ignore_ascii_case(key) {
                *old = value.clone();
            }
        }
    }
}

pub(super) const SECRET_ARN: &str = "kms:EncryptionContext:SecretARN";

/// The ARNs of all secrets of the snapshot that use a key.
fn under_key<'a>(audit: &Audit<'a>, key: &Key) -> Vec<&'a str> {
    let secrets = audit.snapshot.secrets.iter();
    let under = secrets.filter(|it| audit.account.key_of(it).is_some_and(|its| its.arn == key.arn));
    under.map(|it| it.arn.as_str()).collect()
}

pub(super) fn context_mismatch(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        let Some(values) = condition(statement, SECRET_ARN) else { continue };
        let names = |arn: &str| leaves(statement, SECRET_ARN, arn);
        // Other accounts and Regions are not known here.
        let snapshot = audit.snapshot;
        let is_elsewhere = |value: &&String| {
            let parts: Vec<_> = value.splitn(6, ':').collect();
            matches!(parts[..], [_, _, _, region, account, _]
                if !matches(region, &snapshot.region) || !matches(account, &snapshot.account))
        };
        let is_negative = |it: &Condition| it.operator.to_ascii_lowercase().contains("not");
        let mut on_arn = statement.conditions.iter().filter(|it| it.key.eq_ignore_ascii_case(SECRET_ARN));
        if values.iter().all(|value| is_elsewhere(&value)) || on_arn.any(is_negative) {
            continue;
        }
        // A statement for another secret does not concern this one.
        if snapshot.secrets.iter().any(|it| names(&it.arn)) {
            continue;
        }
        if let Some(fixed) = with_wildcards(document.statement_json(index), statement, &secret.arn) {
            let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
            let seen = format!(
                "{} compares {} with StringEquals, which takes wildcards literally",
                statement.title(index),
                values.join(", ")
            );
            findings.add(&key.arn, seen).run(run);
            continue;
        }
        // An ARN with the name of an existing secret but other random characters is of a secret that no longer exists.
        let is_before = |value: &str, now: &str| {
            value.rsplit_once('-').map(|(stem, _)| stem) == now.rsplit_once('-').map(|(stem, _)| stem)
        };
        let renewed: Vec<_> = snapshot
            .secrets
            .iter()
            .map(|it| it.arn.as_str())
            .filter(|arn| values.iter().any(|value| is_before(value, arn)))
            .collect();
        let is_gone = |value: &String| renewed.iter().any(|arn| is_before(value, arn));
        // Any other ARN can be of a secret that was not audited.
        if snapshot.is_partial && !values.iter().filter(|it| !is_elsewhere(it)).all(is_gone)
            || !renewed.is_empty() && !renewed.contains(&secret.arn.as_str())
        {
            continue;
        }
        let mut fixed = document.statement_json(index).clone();
        let mut arns: BTreeSet<&str> = renewed.iter().copied().collect();
        if renewed.is_empty() {
            arns.extend(under_key(audit, key));
            arns.insert(&secret.arn);
        }
        arns.extend(values.iter().filter(is_elsewhere).map(String::as_str));
        set_condition(&mut fixed, SECRET_ARN, &json!(arns));
        let run = put_key_policy(&key.arn, &document.with_statements(index, vec![fixed]));
        findings.add(&key.arn, format!("{} names {}", statement.title(index), values.join(", "))).run(run);
    }
}

pub(super) fn context_version(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const VERSION: &str = "kms:EncryptionContext:SecretVersionId";
    for (key, document, index, statement) in allows(audit, secret, GENERATE) {
        let Some(values) = condition(statement, VERSION) else { continue };
        if leaves(statement, VERSION, "RequestToValidateKeyAccess") {
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
            .add(&key.arn, format!("{} requires version {}", statement.title(index), values.join(", ")))
            .run(run);
    }
}

pub(super) fn no_context(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (key, document, index, statement) in allows(audit, secret, DECRYPT) {
        // Without ViaService the key is open to direct use, which key.via-service reports.
        if !is_through_service(audit, statement) || condition(statement, SECRET_ARN).is_some() {
            continue;
        }
        let seen = format!("{} has no condition on {SECRET_ARN}", statement.title(index));
        let finding = findings.add(&key.arn, seen);
        let via = condition(statement, "kms:ViaService").unwrap_or_default();
        if via.iter().any(|service| !service.starts_with("secretsmanager.")) {
            finding.advise(
                "first give Secrets Manager its own statement: other services have other encryption contexts",
            );
            continue;
        }
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
