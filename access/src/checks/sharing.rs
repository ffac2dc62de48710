//! Resource policies: who is let in or kept out by the secret itself, and by its rotation function.

use super::{Check, Find};
use crate::audited::Audit;
use crate::document::{Document, Statement, is_unique_id};
use crate::exposure::{Exposure, is_for_all};
use crate::finding::{Finding, Findings, Severity};
use crate::fix::{drop_resource_statement, option, put_resource_policy};
use crate::reach::{DECRYPT, READ};
use crate::snapshot::Secret;

mod function;
pub(super) mod narrow;
mod open;
mod service;

use narrow::Narrowed;

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
        fix: "Name the accounts or roles. The command limits it to this account.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(organization),
    },
    Check {
        id: "sharing.cross-account",
        severity: Severity::Medium,
        title: "Another account can read the secret",
        why: "That account's administrators decide who there can read it, and only its own trail records who did.",
        fix: "If this is intended, name roles instead of the account; otherwise remove it from the statement.",
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
        why: "Without an explicit Deny, every identity policy of the account, an administrator's too, reaches the secret. A Deny of reads for all but named principals also applies to policies that are attached later. The printed Deny exempts everyone who can read now, but administrators only if a program runs as one.",
        fix: "Deny secretsmanager:GetSecretValue to everybody but the readers and the rotation role.",
        needs: POLICY,
        counterparts: &["prowler secretsmanager_has_restrictive_resource_policy"],
        find: Find::Secret(open::open_to_account),
    },
    Check {
        id: "sharing.service",
        severity: Severity::Medium,
        title: "A service of AWS may read the secret for any account",
        why: "A service that a policy lets in acts for whoever has it act: without aws:SourceAccount or aws:SourceArn, another \
              account can have it read this secret (a confused deputy). In the policy of the secret's key it is low, for the \
              service still needs the encrypted value.",
        fix: "Add a condition on aws:SourceAccount or aws:SourceArn, or on aws:SourceOrgID.",
        needs: POLICY,
        counterparts: &["IAM Access Analyzer policy validation (missing aws:SourceArn)"],
        find: Find::Secret(service::service),
    },
    Check {
        id: "sharing.ghost-principal",
        severity: Severity::Medium,
        title: "The resource policy names a principal that no longer exists",
        why: "When a role or user is deleted, the policy keeps its unique id. A new role with the same name is another principal: it has no access, and nothing shows why.",
        fix: "Remove the id, or name the current principal.",
        needs: &["secretsmanager:GetResourcePolicy", "iam:GetAccountAuthorizationDetails"],
        counterparts: &["stave CTL.SECRETS.GHOST.POLICY.PRINCIPAL"],
        find: Find::Secret(ghost),
    },
    Check {
        id: "sharing.endpoint-only",
        severity: Severity::Medium,
        title: "The secret can be read only through a VPC endpoint, but its rotation function is elsewhere",
        why: "A Deny unless aws:SourceVpce or aws:SourceVpc also hits the rotation function, the console and calls that AWS \
              services make.",
        fix: "Put the function into the VPC, or exempt calls of services with aws:ViaAWSService.",
        needs: &["secretsmanager:GetResourcePolicy", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(function::endpoint_only),
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
        why: "Secrets Manager may mistake such a name for the end of an ARN; a partial ARN then finds another secret or none.",
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
        find: Find::Secret(function::function_permission),
    },
    Check {
        id: "sharing.function-not-permitted",
        severity: Severity::High,
        title: "Secrets Manager is not allowed to invoke the rotation function",
        why: "Every rotation fails before its first step.",
        fix: "Add the permission for secretsmanager.amazonaws.com.",
        needs: FUNCTION,
        counterparts: &[],
        find: Find::Secret(function::function_not_permitted),
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

/// A resource policy: the secret's own, or that of one of its replicas.
struct Shared<'a> {
    policy: &'a Document,
    arn: String,
    /// Of a replica.
    region: Option<&'a str>,
}

/// A replica has the same value, so its policy opens as much as the primary's.
fn policies(secret: &Secret) -> Vec<Shared<'_>> {
    let own = secret.resource_policy.iter();
    let mut all: Vec<_> =
        own.map(|policy| Shared { policy, arn: secret.arn.clone(), region: None }).collect();
    for replica in &secret.replication_status {
        let Some(policy) = &replica.resource_policy else { continue };
        let mut parts: Vec<_> = secret.arn.splitn(5, ':').collect();
        if let Some(region) = parts.get_mut(3) {
            *region = &replica.region;
        }
        all.push(Shared { policy, arn: parts.join(":"), region: Some(&replica.region) });
    }
    all
}

impl Shared<'_> {
    fn statements(&self) -> impl Iterator<Item = (usize, &Statement)> {
        self.policy.statements.iter().enumerate()
    }

    fn exposure<'e>(&'e self, audit: &'e Audit<'_>, action: &'e str) -> Exposure<'e> {
        audit.account.exposure(self.policy, action, &self.arn)
    }

    /// Adds the command that puts another statement in the place of one, or only takes it away; advice where there is none.
    fn replace(&self, finding: &mut Finding, index: usize, other: Option<Narrowed>) {
        let run = match other {
            Some(Narrowed::Gone) => drop_resource_statement(&self.arn, self.policy, index),
            Some(Narrowed::Statement(statement)) => {
                put_resource_policy(&self.arn, &self.policy.with_statements(index, vec![statement]))
            }
            None => {
                finding.advise("rewrite the statement with only the intended principals");
                return;
            }
        };
        finding.run(match self.region {
            Some(region) => format!("{run} {}", option("--region", region)),
            None => run,
        });
    }

    /// Adds the command that puts another policy in its place.
    fn put(&self, finding: &mut Finding, policy: &serde_json::Value) {
        let run = put_resource_policy(&self.arn, policy);
        finding.run(match self.region {
            Some(region) => format!("{run} {}", option("--region", region)),
            None => run,
        });
    }

    fn place(&self, statement: &Statement, index: usize) -> String {
        let place = place(statement, index);
        match self.region {
            Some(region) => format!("{place} of the replica in {region}"),
            None => place,
        }
    }
}

fn place(statement: &Statement, index: usize) -> String {
    statement.sid.as_ref().map_or(format!("statement {}", index + 1), |sid| format!("statement {sid}"))
}

fn public(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for shared in policies(secret) {
        for (index, statement) in shared.statements().filter(|(_, statement)| is_for_all(statement)) {
            let exposures = GUARDED.into_iter().map(|action| shared.exposure(audit, action));
            let open: Vec<_> = exposures.filter(|it| it.is_public(index)).collect();
            if !open.is_empty() {
                let few = open.iter().all(|it| it.is_for_few_addresses(index));
                let calls: Vec<_> = open.iter().map(|it| short(it.action)).collect();
                let from = if few { FROM_FEW } else { "" };
                let place = shared.place(statement, index);
                let seen = format!("{place} allows {} to \"*\"{from}", calls.join(", "));
                let finding = findings.add(&shared.arn, seen);
                if few {
                    finding.severity = Severity::Medium;
                }
                finding.advise(IN_ACCOUNT);
                shared.replace(finding, index, narrow::to_account(audit, shared.policy, index));
            }
        }
    }
}

/// Where a condition keeps out strangers of other addresses.
pub(super) const FROM_FEW: &str = " from the addresses that the policy names";

/// An action without its service, as people say it.
fn short(action: &str) -> &str {
    if action == READ { "reads" } else { action.trim_start_matches("secretsmanager:") }
}

fn organization(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for shared in policies(secret) {
        for (index, statement) in shared.statements().filter(|(_, statement)| is_for_all(statement)) {
            let exposure = shared.exposure(audit, READ);
            let is_open = exposure.is_for_organization(index) && !exposure.is_public(index);
            if let (true, [condition, ..]) = (is_open, &exposure.of_organization(index)[..]) {
                let seen = format!(
                    "{} allows reads to everybody with {}",
                    shared.place(statement, index),
                    condition.values.join(", ")
                );
                let finding = findings.add(&shared.arn, seen);
                finding.advise(IN_ACCOUNT);
                shared.replace(finding, index, narrow::to_account(audit, shared.policy, index));
            }
        }
    }
}

/// What is left open by the command, which takes reads from nobody of the account.
const IN_ACCOUNT: &str = "the command limits it to this account, all of whose principals can then still do what the statement allows, without a policy of their own: name the intended ones, and those of other accounts that must keep access";

fn cross_account(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_account = |id: &str| {
        id.contains(":iam:")
            || id.contains(":sts:")
            || is_unique_id(id)
            || id.len() == 12 && id.bytes().all(|it| it.is_ascii_digit())
    };
    for shared in policies(secret) {
        let mut named = Vec::new();
        for action in GUARDED {
            for outsider in shared.exposure(audit, action).outsiders() {
                if is_account(&outsider.principal) && !named.contains(&outsider) {
                    let what = if action == READ {
                        "read it".to_owned()
                    } else {
                        format!("call {} on it", short(action))
                    };
                    let whose = if is_unique_id(&outsider.principal) {
                        ", the id of nobody in this account,"
                    } else {
                        ""
                    };
                    let seen =
                        format!("{}{whose} can {what}, if its own account allows it", outsider.principal);
                    let other = narrow::without(shared.policy, outsider.statement, &outsider.principal);
                    shared.replace(findings.add(&shared.arn, seen), outsider.statement, other);
                    named.push(outsider);
                }
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
                .advise("name the intended principals, or remove the account from the condition");
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

fn ghost(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let own = format!(":iam::{}:", audit.snapshot.account);
    let Some(policy) = &secret.resource_policy else { return };
    for (index, statement) in policy.statements.iter().enumerate() {
        let listed = statement.principal.iter().flat_map(|scope| scope.listed().0.get("AWS")).flatten();
        for id in listed {
            let is_here = || audit.snapshot.principals.iter().any(|it| it.arn == *id || it.id == *id);
            let is_named = id.contains(&own) && [":role/", ":user/"].iter().any(|kind| id.contains(kind));
            if is_unique_id(id) && !is_here()
                || is_named && !audit.snapshot.principals.is_empty() && !is_here()
            {
                let seen = format!("{} names {id}, which does not exist", place(statement, index));
                let shared = Shared { policy, arn: secret.arn.clone(), region: None };
                shared.replace(findings.add(&secret.arn, seen), index, narrow::without(policy, index, id));
            }
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
