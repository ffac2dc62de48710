//! Resource policies: who is let in or kept out by the secret itself, and by its rotation function.

use serde_json::json;

use super::{Check, Find};
use crate::audit::{Audit, Findings, Reader, Severity};
use crate::document::{Effect, Scope, Statement};
use crate::evaluate::{Outcome, concerns_action};
use crate::fix::{command, drop_resource_statement, put_resource_policy};
use crate::reach::{READ, is_unique_id};
use crate::snapshot::Secret;

const POLICY: &[&str] = &["secretsmanager:GetResourcePolicy"];
const FUNCTION: &[&str] = &["lambda:GetPolicy"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "sharing.public",
        severity: Severity::Critical,
        title: "The resource policy lets everybody read the secret",
        why: "With Principal \"*\" and no condition that keeps strangers out, any AWS account can read it. Secrets Manager \
              refuses such a policy only if the call says BlockPublicPolicy, which is off by default.",
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

/// Condition keys that name single principals or accounts.
const NARROW: [&str; 5] =
    ["aws:principalarn", "aws:principalaccount", "aws:sourceaccount", "aws:sourcearn", "aws:userid"];

fn is_everybody(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Scope::Only(listed)) => {
            listed.0.iter().any(|(kind, ids)| kind == "AWS" && ids.iter().any(|id| id == "*"))
        }
        Some(Scope::AllBut(_)) => true,
        None => false,
    }
}

/// Whether a condition keeps anybody out by name; a `*` does not.
fn narrows(statement: &Statement, keys: &[&str]) -> bool {
    statement.conditions.iter().any(|condition| {
        let is_open = condition.values.iter().any(|value| value.trim_matches('*').is_empty());
        let is_negated = condition.operator.contains("Not") || condition.operator.ends_with("IfExists");
        keys.contains(&condition.key.to_ascii_lowercase().as_str()) && !is_open && !is_negated
    })
}

/// The statements of a secret's policy that allow reads.
fn allows(secret: &Secret) -> impl Iterator<Item = (usize, &Statement)> {
    let statements = secret.resource_policy.iter().flat_map(|policy| policy.statements.iter().enumerate());
    statements.filter(|(_, statement)| statement.effect == Effect::Allow && concerns_action(statement, READ))
}

fn place(statement: &Statement, index: usize) -> String {
    statement.sid.as_ref().map_or(format!("statement {}", index + 1), |sid| format!("statement {sid}"))
}

fn without(secret: &Secret, index: usize) -> String {
    let policy = secret.resource_policy.as_ref().expect("a statement of it was found");
    drop_resource_statement(secret, policy, index)
}

fn public(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const ORGANIZATION: [&str; 4] =
        ["aws:principalorgid", "aws:principalorgpaths", "aws:sourcevpce", "aws:sourcevpc"];
    for (index, statement) in allows(secret) {
        if is_everybody(statement) && !narrows(statement, &NARROW) && !narrows(statement, &ORGANIZATION) {
            let seen = format!("{} allows reads to \"*\"", place(statement, index));
            findings.add(&secret.arn, seen).run(without(secret, index));
        }
    }
}

fn organization(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for (index, statement) in allows(secret) {
        let mut conditions = statement.conditions.iter();
        let of_organization =
            conditions.find(|it| it.key.to_ascii_lowercase().starts_with("aws:principalorg"));
        if let (true, false, Some(condition)) =
            (is_everybody(statement), narrows(statement, &NARROW), of_organization)
        {
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
    for outsider in audit.account.outsiders(secret) {
        let is_account = outsider.principal.contains(":iam:") || outsider.principal.len() == 12;
        if is_account {
            let seen = format!("{} can read it, if its own account allows it", outsider.principal);
            findings.add(&secret.arn, seen).run(without(secret, outsider.statement));
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
                || is_everybody(statement) && statement.conditions.iter().any(excepts))
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
    let named = names(&|reader| !audit.is_administrator(reader.principal));
    let seen = format!(
        "nothing denies reads to others; {} principals can read it, {} of them by a policy that allows everything",
        all.len(),
        all.len() - named.len()
    );
    let finding = findings.add(&secret.arn, seen);
    if named.is_empty() || named.len() > 20 {
        finding.advise("decide who reads it, then add the Deny of `secretcache policy resource`");
        return;
    }
    let deny = json!({"Sid": "OnlyTheseRead", "Effect": "Deny", "Principal": "*",
        "Action": ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"], "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": named}}});
    let document = match &secret.resource_policy {
        Some(policy) => {
            let mut json = policy.with_statements(0, vec![policy.statement_json(0).clone(), deny]);
            json["Version"] = json!("2012-10-17");
            json
        }
        None => json!({"Version": "2012-10-17", "Statement": [deny]}),
    };
    finding.run(put_resource_policy(secret, &document));
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
