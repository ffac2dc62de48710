//! Resource policies: who is let in or kept out by the secret itself, and by its rotation function.

use serde_json::json;

use super::{Check, Find};
use crate::audit::{Audit, Findings, Reader, Severity};
use crate::document::{Document, Effect, Scope, Statement};
use crate::evaluate::{Caller, CallerKind, Outcome, concerns_action};
use crate::exposure::is_for_all;
use crate::fix::{command, drop_resource_statement, put_resource_policy};
use crate::reach::{DECRYPT, READ, is_unique_id};
use crate::snapshot::Secret;

const POLICY: &[&str] = &["secretsmanager:GetResourcePolicy"];
const FUNCTION: &[&str] = &["lambda:GetPolicy"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "sharing.public",
        severity: Severity::Critical,
        title: "The resource policy lets everybody read or change the secret",
        why: "With Principal \"*\" and no condition or Deny that keeps strangers out, any AWS account can read it, write it, \
              delete it or replace its policy. A wildcard in a condition keeps nobody out. Secrets Manager refuses such a policy only if the call says BlockPublicPolicy, which is off by default.",
        fix: "Name the principals, or add a condition on aws:PrincipalArn or aws:PrincipalAccount.",
        needs: POLICY,
        counterparts: &[
            "prowler secretsmanager_not_publicly_accessible",
            "terrascan AC_AWS_0501",
            "IAM Access Analyzer external access",
        ],
        find: Find::Secret(public),
    },
    Check {
        id: "sharing.organization",
        severity: Severity::High,
        title: "The resource policy lets the whole organization read the secret",
        why: "Principal \"*\" with aws:PrincipalOrgID, also beside aws:PrincipalArn like \"*\", opens the secret to every role \
              of every account in the organization that allows itself the action.",
        fix: "Name the accounts or roles.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(organization),
    },
    Check {
        id: "sharing.cross-account",
        severity: Severity::Medium,
        title: "Another account can read the secret",
        why: "That account's administrators decide who of theirs reads it, and its trail alone records who did.",
        fix: "If it is meant, name single roles instead of the account; else remove the statement.",
        needs: POLICY,
        counterparts: &[
            "stave CTL.SECRETS.POLICY.CROSSACCOUNT",
            "cloud-custodian cross-account",
            "IAM Access Analyzer external access",
        ],
        find: Find::Secret(cross_account),
    },
    Check {
        id: "sharing.blast-radius",
        severity: Severity::High,
        title: "More than five other accounts can read the secret",
        why: "A leak in any of them is a leak of the secret.",
        fix: "Give each account a credential of its own.",
        needs: POLICY,
        counterparts: &["stave CTL.SECRETS.CROSSACCOUNT.BLASTRADIUS"],
        find: Find::Secret(blast_radius),
    },
    Check {
        id: "sharing.open-to-account",
        severity: Severity::Low,
        title: "No resource policy keeps the rest of the account out",
        why: "Without an explicit Deny, every identity policy of the account, an administrator's too, reaches the secret. A Deny \
              of reads for all but named principals holds against policies that are attached tomorrow.",
        fix: "Deny secretsmanager:GetSecretValue to everybody but the readers and the rotation role.",
        needs: POLICY,
        counterparts: &["prowler secretsmanager_has_restrictive_resource_policy"],
        find: Find::Secret(open_to_account),
    },
    Check {
        id: "sharing.ghost-principal",
        severity: Severity::Medium,
        title: "The resource policy names a principal that no longer exists",
        why: "Of a deleted role or user the policy keeps the unique id. A role of the same name that is created later is another \
              principal: it is not let in, and nobody notices why.",
        fix: "Remove the id, or name the present principal.",
        needs: &["secretsmanager:GetResourcePolicy", "iam:GetAccountAuthorizationDetails"],
        counterparts: &["stave CTL.SECRETS.GHOST.POLICY.PRINCIPAL"],
        find: Find::Secret(ghost),
    },
    Check {
        id: "sharing.endpoint-only",
        severity: Severity::Medium,
        title: "The secret may be read through a VPC endpoint only, and its rotation function is elsewhere",
        why: "A Deny unless aws:SourceVpce or aws:SourceVpc also hits the rotation function, the console and calls that AWS \
              services make.",
        fix: "Put the function into the VPC, or spare calls of services with aws:ViaAWSService.",
        needs: &["secretsmanager:GetResourcePolicy", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(endpoint_only),
    },
    Check {
        id: "sharing.replica-policy",
        severity: Severity::Low,
        title: "A replica's resource policy differs from its primary's",
        why: "The replica holds the same value; its own policy decides who reads that.",
        fix: "Put the same policy on the replica in its Region.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.POLICY.MISMATCH"],
        find: Find::Secret(replica_policy),
    },
    Check {
        id: "sharing.name-suffix",
        severity: Severity::Medium,
        title: "The secret's name ends in a hyphen and six characters",
        why: "Secrets Manager may take such a name for the end of an ARN, so that a partial ARN finds another secret or none.",
        fix: "Create the secret under another name and move its readers.",
        needs: &["secretsmanager:ListSecrets"],
        counterparts: &[],
        find: Find::Secret(name_suffix),
    },
    Check {
        id: "sharing.function-permission",
        severity: Severity::Medium,
        title: "Secrets Manager may invoke the rotation function for any account",
        why: "Without aws:SourceAccount, a secret of another account can name the function and have it run: a confused deputy.",
        fix: "Add the permission again with --source-account.",
        needs: FUNCTION,
        counterparts: &["checkov CKV_AWS_364"],
        find: Find::Secret(function_permission),
    },
    Check {
        id: "sharing.function-not-permitted",
        severity: Severity::High,
        title: "Secrets Manager may not invoke the rotation function",
        why: "Every rotation fails before its first step.",
        fix: "Add the permission for secretsmanager.amazonaws.com.",
        needs: FUNCTION,
        counterparts: &[],
        find: Find::Secret(function_not_permitted),
    },
];

/// What nobody but its readers and its administrators should do to a secret.
const GUARDED: [&str; 8] = [
    READ,
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:ReplicateSecretToRegions",
];

/// The statements of a secret's policy, with the policy.
fn statements(secret: &Secret) -> impl Iterator<Item = (&Document, usize, &Statement)> {
    secret.resource_policy.iter().flat_map(|policy| {
        policy.statements.iter().enumerate().map(move |(index, statement)| (policy, index, statement))
    })
}

fn place(statement: &Statement, index: usize) -> String {
    statement.sid.as_ref().map_or(format!("statement {}", index + 1), |sid| format!("statement {sid}"))
}

fn without(secret: &Secret, index: usize) -> String {
    let policy = secret.resource_policy.as_ref().expect("a statement of it was found");
    drop_resource_statement(secret, policy, index)
}

fn public(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (policy, index, statement) in statements(secret).filter(|(.., statement)| is_for_all(statement)) {
        let is_open = |action: &&&str| audit.account.exposure(policy, action, &secret.arn).is_public(index);
        let open: Vec<_> = GUARDED.iter().filter(is_open).map(|action| short(action)).collect();
        if !open.is_empty() {
            let seen = format!("{} allows {} to \"*\"", place(statement, index), open.join(", "));
            findings.add(&secret.arn, seen).run(without(secret, index));
        }
    }
}

/// An action without its service, as people say it.
fn short(action: &str) -> &str {
    if action == READ { "reads" } else { action.trim_start_matches("secretsmanager:") }
}

fn organization(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (policy, index, statement) in statements(secret).filter(|(.., statement)| is_for_all(statement)) {
        let exposure = audit.account.exposure(policy, READ, &secret.arn);
        let mut conditions = statement.conditions.iter();
        let of_organization =
            conditions.find(|it| it.key.to_ascii_lowercase().starts_with("aws:principalorg"));
        let is_open = exposure.is_for_organization(index) && !exposure.is_public(index);
        if let (true, Some(condition)) = (is_open, of_organization) {
            let seen = format!(
                "{} allows reads to everybody with {}",
                place(statement, index),
                condition.values.join(", ")
            );
            findings.add(&secret.arn, seen).run(without(secret, index));
        }
    }
}

fn cross_account(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_account = |id: &str| {
        id.contains(":iam:")
            || id.contains(":sts:")
            || id.len() == 12 && id.bytes().all(|it| it.is_ascii_digit())
    };
    let Some(policy) = &secret.resource_policy else { return by_key(audit, secret, findings) };
    let mut named = Vec::new();
    for action in GUARDED {
        for outsider in audit.account.exposure(policy, action, &secret.arn).outsiders() {
            if is_account(&outsider.principal) && !named.contains(&outsider) {
                let what = if action == READ {
                    "read it".to_owned()
                } else {
                    format!("call {} on it", short(action))
                };
                let seen = format!("{} can {what}, if its own account allows it", outsider.principal);
                findings.add(&secret.arn, seen).run(without(secret, outsider.statement));
                named.push(outsider);
            }
        }
    }
    by_key(audit, secret, findings);
}

/// Other accounts that the key's policy lets in by a condition, where its principal is everybody.
fn by_key(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = audit.account.key_of(secret) else { return };
    let Some(policy) = &key.policy else { return };
    for outsider in audit.account.exposure(policy, DECRYPT, &key.arn).outsiders() {
        let statement = &policy.statements[outsider.statement];
        if outsider.principal != "*" && is_for_all(statement) {
            let seen = format!(
                "{} of the key's policy lets {} decrypt, if its own account allows it",
                place(statement, outsider.statement),
                outsider.principal
            );
            findings
                .add(&key.arn, seen)
                .advise("name the principals that are meant, or take the account from the condition");
        }
    }
}

fn blast_radius(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const MANY: usize = 5;
    let outsiders = audit.account.outsiders(secret);
    let account = |principal: &str| principal.split(':').nth(4).unwrap_or(principal).to_owned();
    let accounts: std::collections::BTreeSet<_> = outsiders
        .iter()
        .map(|outsider| account(&outsider.principal))
        .filter(|account| account.len() == 12)
        .collect();
    if accounts.len() > MANY {
        let seen = format!("{} other accounts can read it", accounts.len());
        findings.add(&secret.arn, seen).advise("give each account a credential of its own");
    }
}

fn open_to_account(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    // Those of a managing service take no policy of ours.
    if secret.owning_service.is_some() {
        return;
    }
    let denies = |statement: &Statement| {
        let keys = ["aws:principalarn", "aws:userid", "aws:principaltag", "aws:principalaccount"];
        let excepts = |it: &crate::document::Condition| {
            let key = it.key.to_ascii_lowercase();
            it.operator.contains("Not") && keys.iter().any(|prefix| key.starts_with(prefix))
        };
        statement.effect == Effect::Deny
            && concerns_action(statement, READ)
            && (matches!(statement.principal, Some(Scope::AllBut(_)))
                || is_for_all(statement) && statement.conditions.iter().any(excepts))
    };
    if secret.resource_policy.iter().flat_map(|policy| &policy.statements).any(denies) {
        return;
    }
    let names = |test: &dyn Fn(&Reader<'_>) -> bool| {
        let open =
            audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied && test(reader));
        open.map(|reader| reader.principal.arn.as_str()).collect::<Vec<_>>()
    };
    let all = names(&|_| true);
    let mut named: Vec<_> = names(&|reader| !audit.is_administrator(reader.principal));
    let seen = format!(
        "nothing denies reads to others; {} principals can read it, {} of them by a policy that allows everything",
        all.len(),
        all.len() - named.len()
    );
    let finding = findings.add(&secret.arn, seen);
    // Those of other accounts whom the policy lets in stay in.
    let outsiders = audit.account.outsiders(secret);
    let has_services = outsiders.iter().any(|it| !it.principal.contains(':') && it.principal.contains('.'));
    let foreign: Vec<_> = outsiders
        .iter()
        .filter_map(|it| as_principal_arn(audit.snapshot.partition(), &it.principal))
        .collect();
    let is_open = outsiders.iter().any(|it| it.principal == "*" || it.principal.contains("federat"));
    if named.is_empty() || named.len() > 20 || is_open {
        finding.advise("decide who reads it, then add the Deny of `secretcache policy resource`");
        return;
    }
    named.extend(foreign.iter().map(String::as_str));
    let mut deny = json!({"Sid": "OnlyTheseRead", "Effect": "Deny", "Principal": "*",
        "Action": ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"], "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": named}}});
    if has_services {
        // A service has no such ARN, which a negated condition takes for another.
        deny["Condition"]["Bool"] = json!({"aws:PrincipalIsAWSService": "false"});
    }
    let document = match &secret.resource_policy {
        Some(policy) => {
            let mut json = policy.with_added(deny);
            json["Version"] = json!("2012-10-17");
            json
        }
        None => json!({"Version": "2012-10-17", "Statement": [deny]}),
    };
    finding.run(put_resource_policy(secret, &document));
}

/// A principal or an account as a pattern of `aws:PrincipalArn`.
fn as_principal_arn(partition: &str, id: &str) -> Option<String> {
    let account = id.split(':').nth(4).unwrap_or(id);
    if account.len() != 12 || !account.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    Some(match Caller::from_arn(id).kind {
        // A session's ARN does not tell the path of its role.
        CallerKind::Session { role } => role.replace(":role/", ":role/*"),
        CallerKind::Role | CallerKind::User if id.contains('/') => id.to_owned(),
        _ => format!("arn:{partition}:iam::{account}:*"),
    })
}

fn ghost(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let own = format!(":iam::{}:", audit.snapshot.account);
    for (index, statement) in
        secret.resource_policy.iter().flat_map(|policy| policy.statements.iter().enumerate())
    {
        let listed = statement.principal.iter().flat_map(|scope| scope.listed().0.get("AWS")).flatten();
        for id in listed {
            let is_here = || audit.snapshot.principals.iter().any(|it| it.arn == *id);
            let is_named = id.contains(&own) && [":role/", ":user/"].iter().any(|kind| id.contains(kind));
            if is_unique_id(id) || is_named && !audit.snapshot.principals.is_empty() && !is_here() {
                let seen = format!("{} names {id}, which does not exist", place(statement, index));
                findings.add(&secret.arn, seen).run(without(secret, index));
            }
        }
    }
}

fn endpoint_only(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    let Some(role) = audit.snapshot.principals.iter().find(|it| it.arn == function.role) else { return };
    for (index, statement) in
        secret.resource_policy.iter().flat_map(|policy| policy.statements.iter().enumerate())
    {
        let from =
            |it: &&crate::document::Condition| it.key.to_ascii_lowercase().starts_with("aws:sourcevpc");
        let Some(condition) = statement.conditions.iter().find(from) else { continue };
        if statement.effect == Effect::Allow || !concerns_action(statement, READ) {
            continue;
        }
        // The evaluator knows the function's VPC; outside of any the key is absent from its requests.
        let is_outside = function.vpc_id.is_none() && condition.operator.contains("Not");
        let decision = audit.account.read(secret, role).secret;
        if is_outside || decision.because.iter().any(|cited| std::ptr::eq(cited.statement, statement)) {
            findings
                .add(&function.function_arn, format!("{} denies unless {condition}", place(statement, index)))
                .advise("put the function into that VPC, or except its role from the Deny");
        }
    }
}

fn replica_policy(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for replica in &secret.replication_status {
        // A replica whose policy was not collected says nothing.
        let Some(policy) = &replica.resource_policy else { continue };
        if secret.resource_policy.as_ref().is_none_or(|own| own.statements != policy.statements) {
            findings
                .add(
                    format!("{} in {}", secret.name, replica.region),
                    "its resource policy differs from the primary's",
                )
                .advise(format!("put the primary's policy on it with --region {}", replica.region));
        }
    }
}

fn name_suffix(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let end = secret.name.rsplit_once('-').map(|(_, end)| end);
    if end.is_some_and(|end| end.len() == 6 && end.chars().all(|c| c.is_ascii_alphanumeric())) {
        findings
            .add(&secret.arn, format!("the name {} ends like an ARN", secret.name))
            .advise("create it under another name, move its readers, then delete this one");
    }
}

const SERVICE: &str = "secretsmanager.amazonaws.com";

fn invocations(function: &crate::snapshot::Function) -> impl Iterator<Item = &Statement> {
    let statements = function.policy.iter().flat_map(|policy| &policy.statements);
    statements.filter(|statement| {
        let services = statement.principal.iter().flat_map(|scope| scope.listed().0.get("Service")).flatten();
        statement.effect == Effect::Allow
            && services.into_iter().any(|service| service == SERVICE)
            && concerns_action(statement, "lambda:InvokeFunction")
    })
}

fn function_permission(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    for statement in invocations(function) {
        let keys = ["aws:sourceaccount", "aws:sourcearn"];
        if statement.conditions.iter().any(|it| keys.contains(&it.key.to_ascii_lowercase().as_str())) {
            continue;
        }
        let arn = function.function_arn.as_str();
        let finding = findings.add(arn, "the permission for Secrets Manager has no aws:SourceAccount");
        if let Some(sid) = &statement.sid {
            finding.run(command(&[
                "aws",
                "lambda",
                "remove-permission",
                "--function-name",
                arn,
                "--statement-id",
                sid,
            ]));
        }
        finding.run(permit(arn, &audit.snapshot.account));
    }
}

fn permit(function: &str, account: &str) -> String {
    command(&[
        "aws",
        "lambda",
        "add-permission",
        "--function-name",
        function,
        "--statement-id",
        "SecretsManagerRotation",
        "--action",
        "lambda:InvokeFunction",
        "--principal",
        SERVICE,
        "--source-account",
        account,
    ])
}

fn function_not_permitted(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    if invocations(function).next().is_none() {
        let run = permit(&function.function_arn, &audit.snapshot.account);
        findings.add(&function.function_arn, format!("no statement allows {SERVICE} to invoke it")).run(run);
    }
}
