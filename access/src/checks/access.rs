//! Identity policies: who can read more than it should, and what the rotation role holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Check, Find};
use crate::audit::{Audit, Findings, Grant, Severity, allows_everything};
use crate::document::{Scope, Statement};
use crate::evaluate::{Named, Outcome, concerns_action};
use crate::fix::{command, put_identity_policy};
use crate::pattern::{is_pattern, matches_ignoring_case};
use crate::reach::{DECRYPT, READ};
use crate::snapshot::{Principal, Secret};

const IAM: &[&str] = &["iam:GetAccountAuthorizationDetails"];
const ROTATION: &[&str] = &["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "access.all-secrets",
        severity: Severity::High,
        title: "An identity policy allows reading every secret",
        why: "Resource \"*\" or secret:* gives away all secrets of the account, those of tomorrow included.",
        fix: "Name the secrets, or a path such as secret:prod/checkout/*.",
        needs: IAM,
        counterparts: &[
            "checkov CKV_AWS_108",
            "checkov CKV_AWS_288",
            "cloudsplaining data exfiltration",
            "parliament RESOURCE_STAR",
        ],
        find: Find::Account(all_secrets),
    },
    Check {
        id: "access.all-actions",
        severity: Severity::High,
        title: "An identity policy allows secretsmanager:* on a secret",
        why: "It includes writing, deleting, and changing the resource policy: whoever holds it can let others in.",
        fix: "List the actions that the principal calls: GetSecretValue and DescribeSecret for an application.",
        needs: IAM,
        counterparts: &[
            "terrascan AC_AWS_0501",
            "policy_sentry permissions management",
            "checkov CKV_AWS_289",
        ],
        find: Find::Account(all_actions),
    },
    Check {
        id: "access.not-action",
        severity: Severity::High,
        title: "An identity policy allows reads by NotAction",
        why: "It allows every action that it does not list, new ones included; reading secrets is among them.",
        fix: "List what is allowed in Action.",
        needs: IAM,
        counterparts: &["parliament", "checkov CKV2_AWS_40"],
        find: Find::Account(not_action),
    },
    Check {
        id: "access.not-resource",
        severity: Severity::High,
        title: "An identity policy allows reads by NotResource",
        why: "It reaches every secret that it does not list, those of tomorrow included.",
        fix: "List the secrets in Resource.",
        needs: IAM,
        counterparts: &["parliament"],
        find: Find::Account(not_resource),
    },
    Check {
        id: "access.name-wildcard",
        severity: Severity::Medium,
        title: "A name ends in * where six random characters are meant",
        why: "secret:name-* matches name-AbCdEf and also name-other-AbCdEf, which may be somebody else's secret.",
        fix: "Write the whole ARN, or name-?????? for exactly six characters, or a path that ends in /*.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(name_wildcard),
    },
    Check {
        id: "access.recreate",
        severity: Severity::Info,
        title: "A grant outlives the secret that it was made for",
        why: "name-?????? and path/* also match a secret of the same name that is created after a deletion, by anybody who may \
              create secrets; its reader gets the new value at once.",
        fix: "Where that matters, write the whole ARN with its six characters.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(recreate),
    },
    Check {
        id: "access.application-writes",
        severity: Severity::Medium,
        title: "A principal that reads the secret can also change it",
        why: "An application that is taken over can replace its own credential, or open the secret to others. Rotation \
              belongs to a role of its own.",
        fix: "Take the writing actions away; leave GetSecretValue and DescribeSecret. Whoever repairs rotations by hand is not \
              meant: tag that role secretcache:role=operator.",
        needs: ROTATION,
        counterparts: &["stave CTL.SECRETS.POLICY.READWRITE", "policy_sentry permissions management"],
        find: Find::Secret(application_writes),
    },
    Check {
        id: "access.sprawl",
        severity: Severity::Low,
        title: "More than ten principals can read the secret",
        why: "Each reader is a way in. A secret of one application has one or two, and its rotation role.",
        fix: "Narrow the policies that reach it; `secretcache access ID` lists them.",
        needs: IAM,
        counterparts: &["stave CTL.SECRETS.POLICY.SPRAWL"],
        find: Find::Secret(sprawl),
    },
    Check {
        id: "access.rotation-wide",
        severity: Severity::Medium,
        title: "The rotation role holds more than rotation needs",
        why: "Rotating one secret takes DescribeSecret, GetSecretValue, PutSecretValue and UpdateSecretVersionStage on it, and \
              GetRandomPassword. A role that can write every secret is the best one to take over.",
        fix: "Restrict the role to the secrets that it rotates.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation_wide),
    },
    Check {
        id: "access.rotation-lacks",
        severity: Severity::High,
        title: "The rotation role lacks a permission that rotation needs",
        why: "The rotation fails in the step that needs it, every time it is tried.",
        fix: "Add the missing action. GetRandomPassword has no resource: it takes \"*\".",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation_lacks),
    },
    Check {
        id: "access.master-readable",
        severity: Severity::High,
        title: "An application can read a master secret",
        why: "A secret that rotates others logs in as an administrator. Only rotation roles should read it.",
        fix: "Take it from the application's policy, or deny it in the master secret's resource policy.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(master_readable),
    },
];

const WRITES: [&str; 7] = [
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:RotateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:DeleteResourcePolicy",
];

/// What the rotation contract calls on its secret.
const ROTATES: [&str; 4] = [
    "secretsmanager:DescribeSecret",
    READ,
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
];

impl Grant<'_> {
    fn statement(&self) -> &Statement {
        &self.policy.document.statements[self.index]
    }

    /// Administrators are kept out by a secret's own policy, not by theirs: `sharing.open-to-account` is about that.
    fn is_administrator(&self) -> bool {
        allows_everything(self.statement())
    }

    fn patterns(&self) -> &[String] {
        match &self.statement().resource {
            Some(Scope::Only(patterns)) => patterns,
            _ => &[],
        }
    }

    fn who(&self) -> String {
        let names: Vec<_> =
            self.principals.iter().map(|it| it.arn.rsplit(':').next().unwrap_or_default()).collect();
        match names.as_slice() {
            [first, second, third, _, ..] => {
                format!("{first}, {second}, {third} and {} more", names.len() - 3)
            }
            _ => names.join(", "),
        }
    }

    /// The commands that replace the statement by one with exactly these actions on exactly these secrets; none where that
    /// would take rights away that are no fault.
    fn scoped(&self, audit: &Audit<'_>) -> Vec<String> {
        let (statement, policy) = (self.statement(), self.policy);
        if policy.name.contains(":iam::aws:") || loses(audit, statement) {
            return Vec::new();
        }
        let json = policy.document.statement_json(self.index);
        let mut scoped = json.clone();
        // What works on one secret is narrowed to those that are read; whatever else the statement allows stays as it is.
        let (of_secrets, others): (Vec<_>, Vec<_>) =
            statement.action.listed().iter().partition(|action| concerns_secrets(action));
        let listed: Vec<_> = of_secrets.iter().filter(|action| !is_pattern(action)).copied().collect();
        let reads = [READ, "secretsmanager:DescribeSecret"];
        let by_pattern = of_secrets.len() > listed.len();
        let actions: BTreeSet<&str> =
            listed.into_iter().map(String::as_str).chain(reads.into_iter().filter(|_| by_pattern)).collect();
        scoped["Action"] = json!(actions);
        scoped["Resource"] = self.narrowed();
        let mut statements = vec![scoped];
        if !others.is_empty() {
            let mut rest = json.clone();
            rest["Action"] = json!(others);
            rest.as_object_mut().map(|fields| fields.shift_remove("Sid"));
            statements.push(rest);
        }
        put_identity_policy(
            &self.principals[0].arn,
            policy.name,
            &policy.document.with_statements(self.index, statements),
        )
    }

    /// The secrets by name while they are few, else the path that they have in common.
    fn narrowed(&self) -> Value {
        const FEW: usize = 10;
        let arns: BTreeSet<_> = self.secrets.iter().map(|secret| secret.arn.as_str()).collect();
        if arns.len() <= FEW {
            return json!(arns);
        }
        let prefixes = self.secrets.iter().map(|secret| match secret.arn.rsplit_once('/') {
            Some((path, _)) => format!("{path}/*"),
            None => secret.arn.clone(),
        });
        json!(prefixes.collect::<BTreeSet<_>>())
    }
}

/// Whether an action of a policy is one on a single secret. Those without a resource stay with `*`.
fn concerns_secrets(action: &str) -> bool {
    const WITHOUT_RESOURCE: [&str; 3] = ["listsecrets", "getrandompassword", "batchgetsecretvalue"];
    let lower = action.to_ascii_lowercase();
    lower.strip_prefix("secretsmanager:").is_some_and(|name| !WITHOUT_RESOURCE.contains(&name))
}

/// Whether narrowing a statement to secrets of the audit would take away rights on other services, or on secrets that were
/// not looked at: of other Regions, of other accounts, or not asked for.
fn loses(audit: &Audit<'_>, statement: &Statement) -> bool {
    let snapshot = audit.snapshot;
    let of_here = |pattern: &String| {
        let parts: Vec<_> = pattern.splitn(6, ':').collect();
        matches!(parts[..], ["arn", _, "secretsmanager", region, account, _]
            if region == snapshot.region && account == snapshot.account)
    };
    let mixed = |action: &String| {
        !action.to_ascii_lowercase().starts_with("secretsmanager:") && matches_ignoring_case(action, READ)
    };
    snapshot.is_partial
        || match &statement.action {
            Scope::Only(actions) => actions.iter().any(mixed),
            Scope::AllBut(_) => true,
        }
        || match &statement.resource {
            Some(Scope::Only(patterns)) => !patterns.iter().all(of_here),
            _ => true,
        }
}

/// What to do where a command would take away more than the fault.
const INSTEAD: &str = "the statement also gives other rights, or reaches secrets that were not looked at: write one that names \
     the secrets that are needed (`secretcache policy app` or `rotation` prints it); then take this one away";

/// One finding per statement that is wrong in some way.
fn each(audit: &Audit<'_>, findings: &mut Findings<'_>, seen: impl Fn(&Grant<'_>) -> Option<String>) {
    // What a rotation role writes by is another check's: narrowing it to reads would end its rotations.
    let is_rotation = |grant: &Grant<'_>| {
        concerns_action(grant.statement(), "secretsmanager:PutSecretValue")
            && grant.principals.iter().all(|principal| audit.is_rotator(principal))
    };
    for grant in audit.grants.iter().filter(|grant| !grant.is_administrator() && !is_rotation(grant)) {
        let Some(seen) = seen(grant) else { continue };
        let place = grant.statement().sid.clone().unwrap_or_else(|| (grant.index + 1).to_string());
        let policy = grant.policy.name;
        let count = grant.secrets.len();
        let reach = if count == 1 {
            grant.secrets[0].name.clone()
        } else {
            format!("{count} of the audited secrets")
        };
        let text =
            format!("policy {policy}, statement {place}: {seen}; reaches {reach}; held by {}", grant.who());
        let resource = if policy.starts_with("arn:") { policy } else { &grant.principals[0].arn };
        let run = grant.scoped(audit);
        let finding = findings.add(resource, text);
        if run.is_empty() {
            finding.advise(INSTEAD);
        }
        finding.run = run;
    }
}

/// A pattern that means all secrets.
fn is_everything(pattern: &str) -> bool {
    let name = pattern.splitn(7, ':').nth(6).unwrap_or_default();
    !pattern.contains(":secret:") && pattern.ends_with('*') || name.trim_matches(['*', '?']).is_empty()
}

fn all_secrets(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let pattern = grant.patterns().iter().find(|pattern| is_everything(pattern))?;
        // A condition on a tag is a scope as well.
        let is_scoped = grant
            .statement()
            .conditions
            .iter()
            .any(|it| it.key.to_ascii_lowercase().contains("resourcetag/"));
        (!is_scoped).then(|| format!("Resource {pattern}"))
    });
}

fn all_actions(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let Scope::Only(actions) = &grant.statement().action else { return None };
        let is_all = |action: &&String| *action == "*" || action.eq_ignore_ascii_case("secretsmanager:*");
        actions.iter().find(is_all).map(|action| format!("Action {action}"))
    });
}

fn not_action(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| match &grant.statement().action {
        Scope::AllBut(actions) => Some(format!("everything but {}", actions.join(", "))),
        Scope::Only(_) => None,
    });
}

fn not_resource(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| match &grant.statement().resource {
        Some(Scope::AllBut(resources)) => Some(format!("every secret but {}", resources.join(", "))),
        _ => None,
    });
}

fn name_wildcard(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let is_loose = |pattern: &&String| {
            let name = pattern.splitn(7, ':').nth(6).unwrap_or_default();
            let stem = name.trim_end_matches('*');
            !is_everything(pattern) && stem.len() < name.len() && !stem.ends_with('/')
        };
        grant.patterns().iter().find(is_loose).map(|pattern| format!("{pattern} also matches longer names"))
    });
}

fn recreate(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    each(audit, findings, |grant| {
        let outlives = |pattern: &&String| {
            pattern.ends_with("-??????") || pattern.ends_with("/*") && !is_everything(pattern)
        };
        let pattern = grant.patterns().iter().find(outlives)?;
        Some(format!("{pattern} matches a secret that is created again"))
    });
}

/// The role of the secret's rotation function.
fn rotation_role<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Principal> {
    let function = audit.account.rotation_function(secret)?;
    audit.snapshot.principals.iter().find(|principal| principal.arn == function.role)
}

fn mentions(audit: &Audit<'_>, principal: &Principal, secret: &Secret, action: &str) -> bool {
    let own = audit.account.identity_policies(principal).iter().map(|policy| policy.document);
    let statements = own.chain(&secret.resource_policy).flat_map(|document| &document.statements);
    statements.into_iter().any(|statement| concerns_action(statement, action))
}

fn application_writes(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for reader in audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied) {
        let principal = reader.principal;
        let is_operator = principal.tags.get("secretcache:role").is_some_and(|role| role == "operator");
        if is_operator || audit.is_rotator(principal) || audit.is_administrator(principal) {
            continue;
        }
        let can = |action: &&&str| {
            mentions(audit, principal, secret, action)
                && audit.account.may(secret, principal, action, &[]).secret.outcome != Outcome::Denied
        };
        let writes: Vec<_> =
            WRITES.iter().filter(can).map(|action| action.trim_start_matches("secretsmanager:")).collect();
        if !writes.is_empty() {
            let words = deny(principal, secret, &WRITES);
            findings.add(&principal.arn, format!("reads it and may {}", writes.join(", "))).run = words;
        }
    }
}

/// Commands that deny a principal some actions on one secret.
fn deny(principal: &Principal, secret: &Secret, actions: &[&str]) -> Vec<String> {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": actions, "Resource": secret.arn}]});
    let name: String = secret.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    put_identity_policy(&principal.arn, &format!("deny-{name}"), &document)
}

fn sprawl(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const MANY: usize = 10;
    let readers = audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied).count();
    if readers > MANY {
        let ask = command(&["secretcache", "access", &secret.name]);
        findings.add(&secret.arn, format!("{readers} principals can read it")).advise(format!("see `{ask}`"));
    }
}

fn rotation_wide(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(role) = rotation_role(audit, secret) else { return };
    let rotated = rotated_by(audit, role);
    for policy in audit.account.identity_policies(role) {
        for (index, statement) in policy.document.statements.iter().enumerate() {
            let writes = concerns_action(statement, "secretsmanager:PutSecretValue");
            let is_wide = match &statement.resource {
                Some(Scope::Only(patterns)) => patterns.iter().any(|it| is_everything(it) || ends_openly(it)),
                Some(Scope::AllBut(_)) => true,
                None => false,
            };
            let has_more = matches!(&statement.action, Scope::AllBut(_))
                || statement
                    .action
                    .listed()
                    .iter()
                    .any(|action| action == "*" || action.eq_ignore_ascii_case("secretsmanager:*"));
            if statement.effect == crate::Effect::Deny || !writes || !is_wide && !has_more {
                continue;
            }
            let what = if is_wide {
                "writes more secrets than it rotates"
            } else {
                "holds actions that rotation has no use for"
            };
            let place = format!("policy {}, statement {}: {what}", policy.name, index + 1);
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
            finding.run = put_identity_policy(&role.arn, policy.name, &document);
        }
    }
}

/// What a statement of a rotation role is replaced by: rotation of what it rotates, reads of whatever else it reads, such as
/// a master secret, and all that is not about single secrets.
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
    let mut statements = vec![with(json!(ROTATES), json!(rotated))];
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

fn ends_openly(pattern: &str) -> bool {
    pattern.ends_with('*')
}

/// The secrets whose rotation function runs as a role.
fn rotated_by(audit: &Audit<'_>, role: &Principal) -> Vec<String> {
    let is_its = |secret: &&Secret| rotation_role(audit, secret).is_some_and(|it| it.arn == role.arn);
    audit.snapshot.secrets.iter().filter(is_its).map(|secret| secret.arn.clone()).collect()
}

fn rotation_lacks(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(role) = rotation_role(audit, secret) else { return };
    let denied =
        |action: &&&str| audit.account.may(secret, role, action, &[]).secret.outcome == Outcome::Denied;
    let lacking: Vec<_> = ROTATES.iter().filter(denied).copied().collect();
    let has_random = mentions(audit, role, secret, "secretsmanager:GetRandomPassword");
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
    findings.add(&role.arn, seen).run =
        put_identity_policy(&role.arn, "secretcache-rotation-lacks", &document);
}

/// Whether a secret is one that others are rotated with: RDS's own, or one that is tagged or named so.
fn is_master(audit: &Audit<'_>, secret: &Secret) -> bool {
    let is_tagged = secret.tags.get("secretcache:role").is_some_and(|role| role == "master");
    let of_database = audit.snapshot.databases.iter();
    let named = secret
        .name
        .split(['/', '-', '_'])
        .any(|word| matches!(word, "master" | "admin" | "superuser" | "root"));
    is_tagged
        || named
        || of_database.clone().any(|it| it.master_user_secret_arn.as_ref() == Some(&secret.arn))
}

fn master_readable(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if !is_master(audit, secret) {
        return;
    }
    for reader in audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied) {
        if audit.is_rotator(reader.principal) || audit.is_administrator(reader.principal) {
            continue;
        }
        let run = deny(reader.principal, secret, &[READ, "secretsmanager:BatchGetSecretValue", DECRYPT][..2]);
        findings.add(&reader.principal.arn, "can read a master secret and rotates nothing").run = run;
    }
}
