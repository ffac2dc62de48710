//! On what two policies are compared: an example of each resource, and the actions that are tried on it.

use crate::document::{Document, Scope};

/// A resource, and the actions that are tried on it.
pub(super) struct Example {
    pub(super) label: String,
    pub(super) arn: String,
    pub(super) actions: Vec<String>,
}

/// Each resource of the policy with one ARN that it matches; then what it does not name: a secret, a key, and those by whom
/// it could get at others.
pub(super) fn examples(wanted: &Document, account: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut add = |label: &str, arn: String, actions: &mut dyn Iterator<Item = String>| {
        let known = examples.iter().position(|example| example.label == label);
        let place = known.unwrap_or_else(|| {
            examples.push(Example { label: label.to_owned(), actions: actions_on(&arn), arn });
            examples.len() - 1
        });
        let all = &mut examples[place].actions;
        actions.for_each(|action| {
            if !all.contains(&action) {
                all.push(action)
            }
        });
    };
    let mut region = "us-east-1".to_owned();
    for statement in &wanted.statements {
        let (Some(Scope::Only(resources)), Scope::Only(actions)) = (&statement.resource, &statement.action)
        else {
            continue;
        };
        for resource in resources {
            if let Some(here) = resource.split(':').nth(3).filter(|here| !here.is_empty()) {
                here.clone_into(&mut region);
            }
            // What no resource can be named for, of secrets, is tried on none.
            let is_tried = |action: &&String| resource != "*" || !WITHOUT_RESOURCE.contains(&action.as_str());
            let mut own = actions.iter().filter(is_tried).cloned().peekable();
            if own.peek().is_some() {
                add(resource, example_of(resource), &mut own);
            }
        }
    }
    let other = |service: &str, name: &str| {
        let region = if service == "iam" { "" } else { &region };
        format!("arn:aws:{service}:{region}:{account}:{name}")
    };
    let mut without = WITHOUT_RESOURCE.iter().map(|action| (*action).to_owned());
    add("*", "*".to_owned(), &mut without);
    add("any other secret", other("secretsmanager", "secret:another/one-AbCdEf"), &mut std::iter::empty());
    add("any other key", other("kms", &format!("key/{NO_KEY}")), &mut std::iter::empty());
    for (label, service, name, words) in OTHERS {
        let is_about = |action: &&&str| words.iter().any(|word| action.contains(word));
        let mut actions = ESCALATIONS.iter().filter(is_about).map(|action| (*action).to_owned());
        add(label, other(service, name), &mut actions);
    }
    examples
}

/// The id of a key that nobody has.
pub(super) const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// An ARN that a pattern matches.
pub(super) fn example_of(pattern: &str) -> String {
    if pattern == "*" {
        return pattern.to_owned();
    }
    pattern.replace("??????", "AbCdEf").replace('*', "example-AbCdEf")
}

pub(super) fn service_of(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

pub(super) fn actions_on(arn: &str) -> Vec<String> {
    let service = format!("{}:", service_of(arn));
    let is_its = |action: &&&str| action.starts_with(&service);
    ACTIONS.iter().filter(is_its).map(|it| (*it).to_owned()).collect()
}

/// What can be done with secrets and their keys: `secretsmanager` as of its current service model; of `kms`, what reaches
/// values.
const ACTIONS: &[&str] = &[
    "secretsmanager:CancelRotateSecret",
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:DeleteSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions",
    "secretsmanager:RestoreSecret",
    "secretsmanager:RotateSecret",
    "secretsmanager:StopReplicationToReplica",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ScheduleKeyDeletion",
];

/// What gives the rights of others, theirs on secrets among them, or changes one's own. Source: IAM User Guide, "Actions that
/// can lead to privilege escalation" of the policy simulator's checks, and the actions of IAM's service model.
const ESCALATIONS: &[&str] = &[
    "iam:AddUserToGroup",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteUserPermissionsBoundary",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sts:AssumeRole",
];

/// Others on whom these are tried: what they are called, the end of their ARN, and which actions are about them.
const OTHERS: [(&str, &str, &str, &[&str]); 4] = [
    ("any other role", "iam", "role/another/one", &["Role", "sts:"]),
    ("any other user", "iam", "user/another/one", &["User", "AccessKey", "LoginProfile"]),
    ("any other policy", "iam", "policy/another/one", &["PolicyVersion"]),
    ("any other function", "lambda", "function:another-one", &["lambda:"]),
];

/// What no resource can be named for.
pub(super) const WITHOUT_RESOURCE: &[&str] =
    &["secretsmanager:BatchGetSecretValue", "secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"];
