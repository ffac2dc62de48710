//! Resource policies of secrets and of rotation functions: which principals they let in or keep out.

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
        title: "The resource policy lets everyone read or change the secret",
        why: "With Principal \"*\" and no condition or Deny that keeps strangers out, any AWS account can read the \
              secret, write it, delete it or replace its policy. A condition whose value is a wildcard keeps nobody \
              out. Secrets Manager refuses such a policy only if the call sets BlockPublicPolicy, which is off by \
              default.",
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
        why: "With Principal \"*\" and aws:PrincipalOrgID, any role in any account of the organization can read the \
              secret if its own policies allow it. Adding aws:PrincipalArn like \"*\" changes nothing.",
        fix: "Name the accounts or roles. The command limits it to this account.",
        needs: POLICY,
        counterparts: &[],
        find: Find::Secret(organization),
    },
    Check {
        id: "sharing.cross-account",
        severity: Severity::Medium,
        title: "Another account can read the secret",
        why: "That account's administrators decide which of its principals can read the secret, and only its own trail \
              records who did.",
        fix: "If this is intended, name roles instead of the account; otherwise remove the account from the statement.",
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
        why: "A leak in any one of them exposes the secret.",
        fix: "Give each account its own credential.",
        needs: POLICY,
        counterparts: &["stave CTL.SECRETS.CROSSACCOUNT.BLASTRADIUS"],
        find: Find::Secret(blast_radius),
    },
    Check {
        id: "sharing.open-to-account",
        severity: Severity::Low,
        title: "No resource policy keeps the rest of the account out",
        why: "Without an explicit Deny, any identity policy of the account can open the secret, including an \
              administrator's. A Deny of reads for all but named principals also applies to policies attached later. \
              The printed Deny exempts everyone who can read now, except administrators that no program runs as.",
        fix: "Deny secretsmanager:GetSecretValue to everyone but the readers and the rotation role.",
        needs: POLICY,
        counterparts: &["prowler secretsmanager_has_restrictive_resource_policy"],
        find: Find::Secret(open::open_to_account),
    },
    Check {
        id: "sharing.service",
        severity: Severity::Medium,
        title: "An AWS service can read the secret on behalf of any account",
        why: "A service acts for whichever account asks it to. Without aws:SourceAccount or aws:SourceArn, another \
              account can make it read this secret (a confused deputy). In the policy of the secret's key this is low, \
              because the service still needs the encrypted value.",
        fix: "Add a condition on aws:SourceAccount or aws:SourceArn, or on aws:SourceOrgID.",
        needs: POLICY,
        counterparts: &["IAM Access Analyzer policy validation (missing aws:SourceArn)"],
        find: Find::Secret(service::service),
    },
    Check {
        id: "sharing.ghost-principal",
        severity: Severity::Medium,
        title: "The resource policy names a principal that no longer exists",
        why: "When a role or user is deleted, the policy keeps its unique id. A new role with the same name is a \
              different principal: it has no access, and nothing shows why.",
        fix: "Remove the id, or name the current principal.",
        needs: &["secretsmanager:GetResourcePolicy", "iam:GetAccountAuthorizationDetails"],
        counterparts: &["stave CTL.SECRETS.GHOST.POLICY.PRINCIPAL"],
        find: Find::Secret(ghost),
    },
    Check {
        id: "sharing.endpoint-only",
        severity: Severity::Medium,
        title: "The secret can be read only through a VPC endpoint, but its rotation function is elsewhere",
        why: "A Deny unless aws:SourceVpce or aws:SourceVpc matches also applies to the rotation function, the \
              console, and calls that AWS services make.",
        fix: "Put the function into the VPC, or exempt calls of services with aws:ViaAWSService.",
        needs: &["secretsmanager:GetResourcePolicy", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(function::endpoint_only),
    },
    Check {
        id: "sharing.replica-policy",
        severity: Severity::Low,
        title: "A replica's resource policy differs from its primary's",
        why: "The replica has the same value, but its own policy decides who can read it.",
        fix: "Put the same policy on the replica in its Region.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.POLICY.MISMATCH"],
        find: Find::Secret(replica_policy),
    },
    Check {
        id: "sharing.name-suffix",
        severity: Severity::Medium,
        title: "The secret's name ends in a hyphen and six characters",
        why: "Secrets Manager can mistake the end of such a name for the end of an ARN. A partial ARN then finds \
              another secret, or none.",
        fix: "Create the secret under another name and move its readers there.",
        needs: &["secretsmanager:ListSecrets"],
        counterparts: &[],
        find: Find::Secret(name_suffix),
    },
    Check {
        id: "sharing.function-permission",
        severity: Severity::Medium,
        title: "Secrets Manager can invoke the rotation function on behalf of any account",
        why: "Without aws:SourceAccount, a secret of another account can name this function as its own and have it run \
              (a confused deputy).",
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
        fix: "Add a permission for secretsmanager.amazonaws.com.",
        needs: FUNCTION,
        counterparts: &[],
        find: Find::Secret(function::function_not_permitted),
    },
];

/// The calls that only a secret's readers and administrators should be able to make.
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

/// A resource policy of the secret or of one of its replicas.
struct Shared<'a> {
    policy: &'a Document,
    arn: String,
    /// The replica's Region; `None` for the secret itself.
    region: Option<&'a str>,
}

/// The policies of the secret and of its replicas. A replica has the same value, so its policy opens as much.
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

    /// Adds the command that replaces a statement, or removes it; if there is neither, adds advice.
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

    /// Adds the command that replaces the policy.
    fn put(&self, finding: &mut Finding, policy: &serde_json::Value) {
        let run = put_resource_policy(&self.arn, policy);
        finding.run(match self.region {
            Some(region) => format!("{run} {}", option("--region", region)),
            None => run,
        });
    }

    fn place(&self, statement: &Statement, index: usize) -> String {
        let place = statement.title(index);
        match self.region {
            Some(region) => format!("{place} of the replica in {region}"),
            None => place,
        }
    }
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

/// Added to what was seen if a condition on addresses keeps most strangers out.
pub(super) const FROM_FEW: &str = " from the addresses that the policy names";

/// The name of an action without its service; "reads" for GetSecretValue.
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
                    "{} allows reads to everyone with {}",
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

/// The advice on what the command leaves open: it takes reads from no principal of the account.
const IN_ACCOUNT: &str = "the command limits it to this account, whose principals can then all still do what the \
    statement allows, without a policy of their own: name the intended ones, and those of other accounts that must \
    keep access";

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
                        ", an id unknown in this account,"
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

/// Reports other accounts that a statement of the key's policy lets in through a condition on Principal "*".
fn by_key(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(key) = audit.account.key_of(secret) else { return };
    let Some(policy) = &key.policy else { return };
    for outsider in audit.account.exposure(policy, DECRYPT, &key.arn).outsiders() {
        let statement = &policy.statements[outsider.statement];
        if outsider.principal != "*" && is_for_all(statement) {
            let seen = format!(
                "{} of the key's policy lets {} decrypt, if its own account allows it",
                statement.title(outsider.statement),
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
        findings.add(&secret.arn, seen).advise("give each account its own credential");
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
                let seen = format!("{} names {id}, which does not exist", statement.title(index));
                let shared = Shared { policy, arn: secret.arn.clone(), region: None };
                shared.replace(findings.add(&secret.arn, seen), index, narrow::without(policy, index, id));
            }
        }
    }
}

fn replica_policy(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    for replica in &secret.replication_status {
        // If a replica's policy was not collected, nothing is known.
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
            .advise("create it under another name, move its readers there, then delete this one");
    }
}
