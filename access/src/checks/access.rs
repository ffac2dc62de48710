//! Identity policies: principals that can read more than they should, and the permissions of the rotation role.

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

/// The introduction to these checks on the generated page.
pub(super) const ABOUT: &str = "**Administrators** are principals with a statement that allows every action on every \
    resource (`*` on `*`). These checks and `key.reader` skip them, because administrators can undo any change to \
    their own policies. They still count as readers in `access.sprawl` and in `secretcache access`, and \
    `sharing.open-to-account` asks for the resource policy that keeps them out. The role of a rotation function never \
    counts as an administrator: `access.rotation-wide` always checks it.";

const IAM: &[&str] = &["iam:GetAccountAuthorizationDetails"];
const ROTATION: &[&str] = &["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "access.all-secrets",
        severity: Severity::High,
        title: "An identity policy allows reading every secret",
        why: "Resource \"*\" or secret:* covers every secret of the account, including future ones.",
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
        why: "It includes writing, deleting and changing the resource policy, so the principal can also let others in.",
        fix: "List the actions that the principal calls. An application needs GetSecretValue and DescribeSecret.",
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
        title: "An identity policy allows reads through NotAction",
        why: "It allows every action that it does not list: reading secrets, and actions that AWS adds later.",
        fix: "List the allowed actions under Action.",
        needs: IAM,
        counterparts: &["parliament", "checkov CKV2_AWS_40"],
        find: Find::Account(statements::not_action),
    },
    Check {
        id: "access.not-resource",
        severity: Severity::High,
        title: "An identity policy allows reads through NotResource",
        why: "It covers every secret that it does not list, including future ones.",
        fix: "List the secrets under Resource.",
        needs: IAM,
        counterparts: &["parliament"],
        find: Find::Account(statements::not_resource),
    },
    Check {
        id: "access.name-wildcard",
        severity: Severity::Medium,
        title: "A wildcard in a secret's name also matches other secrets or paths",
        why: "`secret:name-*` matches `name-AbCdEf`, but also `name-other-AbCdEf`, which can be another team's secret. \
              `*/name-??????` and `*name-??????` match secrets with that name in every path, because `*` also matches \
              slashes. A `*` right after a slash stays under its path and is not reported: `prod/*`, \
              `prod/*/db-??????`.",
        fix: "Write the whole ARN, name-?????? (exactly six characters), or a path that ends in /*.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(statements::name_wildcard),
    },
    Check {
        id: "access.recreate",
        severity: Severity::Info,
        title: "A grant outlives the secret it was made for",
        why: "name-?????? and path/* also match a new secret created under the same name after a deletion. Principals \
              that could read the old value can then read the new one.",
        fix: "Where that matters, write the whole ARN with its six random characters.",
        needs: IAM,
        counterparts: &[],
        find: Find::Account(statements::recreate),
    },
    Check {
        id: "access.trust-public",
        severity: Severity::Critical,
        title: "Anyone can assume a role that reads secrets",
        why: "Anyone who can assume a reader's role can read its secrets. A trust policy with Principal \"*\" lets \
              strangers in. So does one that accepts any token of a public issuer, such as GitHub's. A condition on an \
              external id or on the audience does not keep them out: an external id is not a secret, and the caller \
              chooses a token's audience.",
        fix: "Name the principals in the trust policy. For an identity provider, add a condition on the token's sub.",
        needs: IAM,
        counterparts: &["IAM Access Analyzer external access", "checkov CKV_AWS_60", "checkov CKV_AWS_358"],
        find: Find::Account(trust::public),
    },
    Check {
        id: "access.trust-shared",
        severity: Severity::Medium,
        title: "Others decide who can assume a role that reads secrets",
        why: "If the trust policy names another account without an external id, the whole organization, or an identity \
              provider without a condition on sub, their administrators decide who reads. Without an external id, a \
              third party can also be tricked into using the role for another of its customers (a confused deputy).",
        fix: "Name individual roles. For a third party, require an external id. For an identity provider, require a sub.",
        needs: IAM,
        counterparts: &["IAM Access Analyzer external access", "checkov CKV_AWS_61"],
        find: Find::Account(trust::shared),
    },
    Check {
        id: "access.application-writes",
        severity: Severity::Medium,
        title: "A principal that reads the secret can also change it",
        why: "An attacker who takes over the application can replace its credential or open the secret to others. \
              Rotation should have its own role.",
        fix: "Remove the write actions; keep GetSecretValue and DescribeSecret. If the role is for people who repair \
              rotations, tag it secretcache:role=operator. The tag counts only if everyone who can set it can also \
              change the role's policies. If a job rotates with this role (`secretcache rotate --due`), name it with \
              --rotated-by: it can then write new versions.",
        needs: ROTATION,
        counterparts: &["stave CTL.SECRETS.POLICY.READWRITE", "policy_sentry permissions management"],
        find: Find::Secret(writes::application_writes),
    },
    Check {
        id: "access.becomes-reader",
        severity: Severity::Medium,
        title: "A principal that cannot read a secret is one call away from reading it",
        why: "Changing who can read is as good as reading. It is high if the call changes the secret's policy \
              (PutResourcePolicy), the principal's own policies (PutRolePolicy, AttachRolePolicy, CreatePolicyVersion \
              of an attached one), a reader's trust policy or access keys, or, if only the key is missing, the key's \
              policy or grants. It is medium if the call changes code that runs as a reader (UpdateFunctionCode) or \
              starts code as one (PassRole with CreateFunction, RunInstances, RegisterTaskDefinition, CreateJob or \
              CreateProject). The audit evaluates the call and the read after it; it reports the call only if both are \
              allowed.",
        fix: "Remove the permission for the call, or limit it to other resources. A role for people who administer or \
              deploy is not reported if it has the tag secretcache:role=operator and the tag counts, as in \
              access.application-writes.",
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
        why: "Each reader is another way for the value to leak. A secret of one application needs one or two readers \
              and the rotation role.",
        fix: "Narrow the policies that allow them; `secretcache access ID` lists both.",
        needs: IAM,
        counterparts: &["stave CTL.SECRETS.POLICY.SPRAWL"],
        find: Find::Secret(sprawl),
    },
    Check {
        id: "access.rotation-wide",
        severity: Severity::Medium,
        title: "The rotation role has more permissions than rotation needs",
        why: "Rotating a secret needs DescribeSecret, GetSecretValue, PutSecretValue and UpdateSecretVersionStage on \
              it, and GetRandomPassword. A role that can write every secret is an attacker's best target.",
        fix: "Restrict the role to the secrets that it rotates.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation::rotation_wide),
    },
    Check {
        id: "access.rotation-lacks",
        severity: Severity::High,
        title: "The rotation role lacks a permission that rotation needs",
        why: "Every rotation fails at the step that needs the permission.",
        fix: "Add the missing action. GetRandomPassword has no resource: use \"*\".",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(rotation::rotation_lacks),
    },
    Check {
        id: "access.master-readable",
        severity: Severity::High,
        title: "An application can read a master secret",
        why: "A master secret, with which others are rotated, logs in as an administrator. Only rotation roles should \
              read it.",
        fix: "Remove the secret from the application's policy, or deny the application in the secret's resource \
              policy.",
        needs: ROTATION,
        counterparts: &[],
        find: Find::Secret(master_readable),
    },
];

/// The role of the secret's rotation function, or of the job that rotates the secret without a function.
fn rotation_role<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Principal> {
    audit.job(&secret.arn).or_else(|| function_role(audit, secret))
}

fn function_role<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a Principal> {
    let function = audit.account.rotation_function(secret)?;
    audit.snapshot.principals.iter().find(|principal| principal.arn == function.role)
}

/// The advice for a role that cannot be edited from this account.
fn of_others(principal: &Principal) -> Option<&'static str> {
    if principal.arn.contains(":role/aws-service-role/") {
        return Some(
            "only the AWS service that created this role can edit it: deny the role in the secret's resource policy, \
             or stop using it in that service",
        );
    }
    principal.arn.contains(":role/aws-reserved/").then_some(
        "only IAM Identity Center can edit this role: change its permission set, or deny the role in the secret's \
         resource policy",
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

/// How the audit knows that a secret is a master secret, with which others are rotated.
#[derive(PartialEq)]
enum Master {
    /// By its tag, or because RDS lists it as a database's master user secret.
    Known,
    /// By a word in its name, which can mean something else: an application can be called admin.
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
            let seen = "can read a secret whose name looks like a master secret's, and rotates nothing";
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
