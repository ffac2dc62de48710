//! Identity policies: who can read more than it should, and what the rotation role holds.

use serde_json::json;

use super::{Check, Find};
use crate::audited::Audit;
use crate::evaluate::Outcome;
use crate::finding::{Findings, Severity};
use crate::fix::{command, id_of, policy_name, put_identity_policy};
use crate::reach::READ;
use crate::snapshot::{Principal, Secret};

mod becoming;
mod rotation;
mod statements;
mod trust;
mod writes;

/// What is said of all these checks on their page.
pub(super) const ABOUT: &str = "**Administrators** are principals with a statement that allows every action on every resource (`*` on \
    `*`). These checks and `key.reader` leave them out, because administrators can undo any change of their own policies. They count \
    as readers in `access.sprawl` and in `secretcache access`, and `sharing.open-to-account` asks for the resource policy that keeps \
    them out. The role of a rotation function never counts as an administrator: `access.rotation-wide` always checks it.";

const IAM: &[&str] = &["iam:GetAccountAuthorizationDetails"];
const ROTATION: &[&str] = &["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "access.all-secrets",
        severity: Severity::High,
        title: "An identity policy allows reading every secret",
        why: "Resource \"*\" or secret:* gives away all secrets of the account, including future ones.",
        fix: "Name the secrets, or a path such as secret:prod/checkout/*.",
        needs: IAM,
        counterparts: &[
            "checkov CKV_AWS_108",
            "checkov CKV_AWS_288",
            "cloudsplaining data exfiltration",
            "parliament RESOURCE_STAR",
        ],
        find: Find::Account(statements::all_secrets),
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
        find: Find::Account(statements::all_actions),
    },
    Check {
        id: "access.not-action",
        severity: Severity::High,
        title: "An identity policy allows reads by NotAction",
        why: "It allows every action that it does not list, including reading secrets and actions that AWS adds later.",
        fix: "List what is allowed in Action.",
        needs: IAM,
        counterparts: &["parliament", "checkov CKV2_AWS_40"],
        find: Find::Account(statements::not_action),
    },
    Check {
        id: "access.not-resource",
        severity: Severity::High,
        title: "An identity policy allows reads by NotResource",
        why: "It reaches every secret that it does not list, including future ones.",
        fix: "List the secrets in Resource.",
        needs: IAM,
        counterparts: &["parliament"],
        find: Find::Account(statements::not_resource),
    },
    Check {
        id: "access.name-wildcard",
        severity: Severity::Medium,
        title: "A wildcard in a name matches more than one secret or path",
        why: "`secret:name-*` matches `name-AbCdEf` and also `name-other-AbCdEf`, which may be somebody else's secret; `*/name-??????` \
              and `*name-??????` match secrets of that name in every path. A `*` also matches slashes. One that follows a slash \
              stays in its path and is no finding: `prod/*`, `prod/*/db-??????`.",
        fix: "Write the whole ARN, or name-?????? for exactly six characters, or a path that ends in /*.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(statements::name_wildcard),
    },
    Check {
        id: "access.recreate",
        severity: Severity::Info,
        title: "A grant outlives the secret that it was made for",
        why: "name-?????? and path/* also match a new secret that somebody creates with the same name after a deletion; whoever had access can then read the new value.",
        fix: "Where that matters, write the whole ARN with its six characters.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(statements::recreate),
    },
    Check {
        id: "access.trust-public",
        severity: Severity::Critical,
        title: "Anybody may assume a role that reads secrets",
        why: "Who may become a reader reads. A trust policy with Principal \"*\", or one that takes any token of an issuer that \
              serves everybody, such as GitHub's, lets strangers in. An external id is no secret, and an audience is chosen by \
              whoever asks for a token.",
        fix: "Name the principals in the trust policy; of a provider of identities, add a condition on the token's sub.",
        needs: IAM,
        counterparts: &["IAM Access Analyzer external access", "checkov CKV_AWS_60", "checkov CKV_AWS_358"],
        find: Find::Account(trust::public),
    },
    Check {
        id: "access.trust-shared",
        severity: Severity::Medium,
        title: "Others decide who may assume a role that reads secrets",
        why: "Where the trust policy names another account without an external id, the whole organization, or a provider of \
              identities without a condition on sub, their administrators decide who reads. A third party can be made to use \
              the role for another of its customers.",
        fix: "Name single roles; ask a third party for an external id; ask a provider's tokens for their sub.",
        needs: IAM,
        counterparts: &["IAM Access Analyzer external access", "checkov CKV_AWS_61"],
        find: Find::Account(trust::shared),
    },
    Check {
        id: "access.application-writes",
        severity: Severity::Medium,
        title: "A principal that reads the secret can also change it",
        why: "Whoever takes over the application can replace its credential or open the secret to others. Rotation should have its own role.",
        fix: "Remove the write actions; keep GetSecretValue and DescribeSecret. If the role is for people who repair rotations by hand, tag it secretcache:role=operator; the tag counts if everybody who may set it may also change the role's policies. If a job rotates with it (`secretcache rotate --due`), name it with --rotated-by: writing a new version is then allowed.",
        needs: ROTATION,
        counterparts: &["stave CTL.SECRETS.POLICY.READWRITE", "policy_sentry permissions management"],
        find: Find::Secret(writes::application_writes),
    },
    Check {
        id: "access.becomes-reader",
        severity: Severity::Medium,
        title: "A principal that cannot read a secret needs one call to become a reader",
        why: "Who may change who reads, reads: by the secret's policy (PutResourcePolicy), by its own (PutRolePolicy, \
              AttachRolePolicy, CreatePolicyVersion of one that it has), by a reader's trust policy or access keys, by the key's \
              policy or a grant where only the key is missing; and, less gravely, by what runs as a reader (UpdateFunctionCode; \
              PassRole with CreateFunction, RunInstances, RegisterTaskDefinition, CreateJob or CreateProject). Each is tried: the \
              call must be allowed, and so must the read after it.",
        fix: "Take the call from it, or limit it to other resources. A role for people who administer or deploy is no finding if it is tagged secretcache:role=operator and the tag counts, as for access.application-writes.",
        needs: ROTATION,
        counterparts: &[
            "prowler iam_policy_allows_privilege_escalation",
            "checkov CKV_AWS_286",
            "cloudsplaining privilege escalation",
        ],
        find: Find::Account(becoming::becomes_reader),
    },
    Check {
        id: "access.sprawl",
        severity: Severity::Low,
        title: "More than ten principals can read the secret",
        why: "Each reader is a way in. A secret of one application needs one or two readers and the rotation role.",
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
              GetRandomPassword. A role that can write every secret is an attacker's best target.",
        fix: "Restrict the role to the secrets that it rotates.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation::rotation_wide),
    },
    Check {
        id: "access.rotation-lacks",
        severity: Severity::High,
        title: "The rotation role lacks a permission that rotation needs",
        why: "The rotation fails in the step that needs it, every time it is tried.",
        fix: "Add the missing action. GetRandomPassword applies to no resource: use \"*\".",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation::rotation_lacks),
    },
    Check {
        id: "access.master-readable",
        severity: Severity::High,
        title: "An application can read a master secret",
        why: "A secret that rotates others logs in as an administrator. Only rotation roles should read it.",
        fix: "Remove it from the application's policy, or deny it in the master secret's resource policy.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(master_readable),
    },
];

/// The role of the secret's rotation function, or of the job that rotates it without one.
fn rotation_role<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Principal> {
    audit.job(&secret.arn).or_else(|| function_role(audit, secret))
}

fn function_role<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Principal> {
    let function = audit.account.rotation_function(secret)?;
    audit.snapshot.principals.iter().find(|principal| principal.arn == function.role)
}

/// What to do about a role that nobody of the account can edit.
fn of_others(principal: &Principal) -> Option<&'static str> {
    if principal.arn.contains(":role/aws-service-role/") {
        return Some(
            "only the AWS service that created this role can edit it: deny it in the secret's resource policy, or stop using the role in that service",
        );
    }
    principal.arn.contains(":role/aws-reserved/").then_some(
        "only IAM Identity Center can edit this role: change its permission set, or deny it in the secret's resource policy",
    )
}

fn sprawl(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const MANY: usize = 10;
    let readers = audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied).count();
    if readers > MANY {
        let ask = command(&["secretcache", "access", id_of(secret)]);
        findings.add(&secret.arn, format!("{readers} principals can read it")).advise(format!("see `{ask}`"));
    }
}

/// How a secret is known to be one that others are rotated with.
#[derive(PartialEq)]
enum Master {
    /// By its tag, or as a database's own.
    Known,
    /// By a word of its name, which may mean something else: an application may be called admin.
    Guessed,
}

fn master(audit: &Audit<'_>, secret: &Secret) -> Option<Master> {
    match secret.tags.get("secretcache:role").map(String::as_str) {
        Some("master") => return Some(Master::Known),
        Some(_) => return None,
        None => {}
    }
    let mut databases = audit.snapshot.databases.iter();
    if databases.any(|it| it.master_user_secret_arn.as_ref() == Some(&secret.arn)) {
        return Some(Master::Known);
    }
    let mut words = secret.name.split(['/', '-', '_']);
    words.any(|word| matches!(word, "master" | "admin" | "superuser" | "root")).then_some(Master::Guessed)
}

fn master_readable(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(master) = master(audit, secret) else { return };
    for reader in audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied) {
        if audit.is_rotator(reader.principal) || audit.is_administrator(reader.principal) {
            continue;
        }
        if master == Master::Guessed {
            let seen = "can read a secret whose name is that of a master secret, and rotates nothing";
            let finding = findings.add(&reader.principal.arn, seen);
            finding.severity = Severity::Medium;
            finding.advise(
                "if it is a master secret, deny this principal secretsmanager:GetSecretValue on it; if not, tag the secret \
                 secretcache:role=application",
            );
            continue;
        }
        let finding = findings.add(&reader.principal.arn, "can read a master secret and rotates nothing");
        if let Some(advice) = of_others(reader.principal) {
            finding.advise(advice);
            continue;
        }
        let name = policy_name("deny-reads", &secret.arn);
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": READ, "Resource": secret.arn}]});
        finding.run = put_identity_policy(audit.snapshot, &reader.principal.arn, &name, &document);
    }
}
