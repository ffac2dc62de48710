//! The examples on which two policies are compared: resources, and the actions to try on each.

use std::collections::BTreeSet;

use crate::document::{Document, Scope};
use crate::pattern::{is_pattern, matches};

/// A resource, and the actions to try on it.
pub(super) struct Example {
    pub(super) label: String,
    pub(super) arn: String,
    pub(super) actions: Vec<String>,
}

/// The places that resources can be in: the home Region and account first, then others.
pub(super) struct Places {
    pub(super) partition: String,
    pub(super) regions: Vec<String>,
    pub(super) accounts: Vec<String>,
    /// ARNs of individual secrets that a policy names, those of the wanted policy first.
    secrets: Vec<String>,
}

impl Places {
    /// Collects the home Region and account, another of each, and those in the conditions of attached policies.
    pub(super) fn new(
        [partition, region, account]: [&str; 3],
        wanted: &Document,
        attached: &[&Document],
    ) -> Self {
        let conditions =
            attached.iter().flat_map(|document| &document.statements).flat_map(|it| &it.conditions);
        let (mut regions, mut accounts) = (vec![region.to_owned()], vec![account.to_owned()]);
        regions.push(if region == "us-east-1" { "eu-west-1" } else { "us-east-1" }.to_owned());
        accounts.push(ELSEWHERE.to_owned());
        for condition in conditions {
            let known = match condition.key.to_ascii_lowercase().as_str() {
                "aws:requestedregion" => &mut regions,
                "aws:resourceaccount" => &mut accounts,
                _ => continue,
            };
            for value in condition.values.iter().filter(|value| !is_pattern(value)) {
                if !known.contains(value) {
                    known.push(value.clone());
                }
            }
        }
        let statements = [wanted].into_iter().chain(attached.iter().copied()).flat_map(|it| &it.statements);
        let secrets = statements.flat_map(|statement| {
            let resources = statement.resource.iter().flat_map(Scope::listed);
            resources.chain(statement.conditions.iter().flat_map(|condition| &condition.values))
        });
        let secrets = secrets.filter(|arn| service_of(arn) == "secretsmanager" && !is_pattern(arn));
        Self { partition: partition.to_owned(), regions, accounts, secrets: secrets.cloned().collect() }
    }

    /// Returns the ARN of the one secret that a pattern means, if either policy names it: a name followed by six `?`
    /// and an ARN with that name are the same secret.
    fn secret(&self, pattern: &str) -> Option<&String> {
        let name = pattern.strip_suffix("??????").filter(|name| !is_pattern(name))?;
        self.secrets.iter().find(|arn| arn.len() == pattern.len() && arn.starts_with(name))
    }

    /// Returns an ARN that matches a pattern of the wanted policy.
    pub(super) fn example(&self, pattern: &str) -> String {
        self.secret(pattern).cloned().unwrap_or_else(|| filled(pattern))
    }

    /// Returns the ARN of a resource at home.
    pub(super) fn other(&self, service: &str, name: &str) -> String {
        arn(&self.partition, service, &self.regions[0], &self.accounts[0], name)
    }
}

fn arn(partition: &str, service: &str, region: &str, account: &str, name: &str) -> String {
    let region = if service == "iam" { "" } else { region };
    format!("arn:{partition}:{service}:{region}:{account}:{name}")
}

/// Returns one example of each resource in the wanted policy, then resources that it does not name: another secret,
/// another key, principals and functions whose permissions could be taken over, and each secret and key that the
/// attached policies name.
pub(super) fn examples(wanted: &Document, attached: &[&Document], places: &Places) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let named = named_actions(wanted, attached);
    let mut add = |label: &str, arn: String, actions: &mut dyn Iterator<Item = String>| {
        let known = examples.iter().position(|example| example.label == label && example.arn == arn);
        let place = known.unwrap_or_else(|| {
            examples.push(Example { label: label.to_owned(), actions: actions_on(&arn, &named), arn });
            examples.len() - 1
        });
        let all = &mut examples[place].actions;
        actions.for_each(|action| {
            if !all.contains(&action) {
                all.push(action)
            }
        });
    };
    for statement in &wanted.statements {
        let (Some(Scope::Only(resources)), Scope::Only(actions)) = (&statement.resource, &statement.action)
        else {
            continue;
        };
        for resource in resources {
            // Actions of Secrets Manager that support no resource are added below.
            let is_tried = |action: &&String| resource != "*" || !WITHOUT_RESOURCE.contains(&action.as_str());
            let mut own = actions.iter().filter(is_tried).cloned().peekable();
            if own.peek().is_some() {
                let example = if resource == "*" { resource.clone() } else { places.example(resource) };
                add(resource, example, &mut own);
            }
        }
    }
    let mut without = WITHOUT_RESOURCE.iter().map(|action| (*action).to_owned());
    add("*", "*".to_owned(), &mut without);
    for region in &places.regions {
        for account in &places.accounts {
            let other = |service: &str, name: &str| arn(&places.partition, service, region, account, name);
            add(OTHER_SECRET, other("secretsmanager", "secret:another/one-AbCdEf"), &mut std::iter::empty());
            add(OTHER_KEY, other("kms", &format!("key/{NO_KEY}")), &mut std::iter::empty());
        }
    }
    for (label, service, name, words) in OTHERS {
        let is_about = |action: &&&str| words.iter().any(|word| action.contains(word));
        let mut actions = ESCALATIONS.iter().filter(is_about).map(|action| (*action).to_owned());
        add(label, places.other(service, name), &mut actions);
    }
    let statements = attached.iter().flat_map(|document| &document.statements);
    let resources = statements.filter_map(|statement| statement.resource.as_ref()).flat_map(Scope::listed);
    // For `*`, the other secret and key are the examples.
    for resource in resources.filter(|resource| *resource != "*") {
        for arn in arns(resource, places, RESOURCES) {
            add(resource, arn, &mut std::iter::empty());
        }
    }
    examples
}

/// An account other than the owner's, which no policy is expected to name.
pub(super) const ELSEWHERE: &str = "999999999999";

/// The labels of resources that no policy names.
pub(super) const OTHER_SECRET: &str = "any other secret";
pub(super) const OTHER_KEY: &str = "any other key";

/// The services that examples are made for, each with the beginning of its resources.
pub(super) const RESOURCES: &[(&str, &str)] = &[("secretsmanager", "secret:"), ("kms", "key/")];
pub(super) const PRINCIPALS: &[(&str, &str)] = &[("iam", "role/"), ("iam", "user/")];

/// Returns ARNs that match a pattern, one for each place it covers, with a name that hardly any other pattern matches.
pub(super) fn arns(pattern: &str, places: &Places, kinds: &[(&str, &str)]) -> BTreeSet<String> {
    let mut found: BTreeSet<_> = places.secret(pattern).cloned().into_iter().collect();
    if !found.is_empty() {
        return found;
    }
    let parts: Vec<_> = pattern.splitn(6, ':').collect();
    let name = |pattern: &str, beginning: &str| match pattern.split_once('*') {
        Some((head, tail)) if beginning.starts_with(head) => format!("{beginning}example{}", filled(tail)),
        _ => filled(pattern),
    };
    for (service, kind) in kinds {
        for region in &places.regions {
            for account in &places.accounts {
                let beginning = arn(&places.partition, service, region, account, kind);
                let in_parts = match parts[..] {
                    [_, _, _, _, _, resource] => {
                        let given = parts.iter().zip(beginning.split(':'));
                        let place =
                            given.take(5).map(|(part, own)| if is_pattern(part) { own } else { part });
                        Some(format!("{}:{}", place.collect::<Vec<_>>().join(":"), name(resource, kind)))
                    }
                    _ => None,
                };
                // An alias is not a key: permissions on an alias do not apply to the key.
                let is_one = |example: &String| {
                    let resource = example.splitn(6, ':').nth(5).unwrap_or_default();
                    service_of(example) == *service
                        && (resource.starts_with(kind) || resource == "root")
                        && matches(pattern, example)
                };
                let mut all = in_parts.into_iter().chain([name(pattern, &beginning)]);
                found.extend(all.find(is_one));
            }
        }
    }
    found
}

/// The id of a key that does not exist.
pub(super) const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// Returns a text that matches a pattern.
pub(super) fn filled(pattern: &str) -> String {
    pattern.replace("??????", "AbCdEf").replace('*', "example-AbCdEf").replace('?', "x")
}

pub(super) fn service_of(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// Returns the actions to try on a resource: those of its service, including any in `named`.
pub(super) fn actions_on(arn: &str, named: &BTreeSet<&str>) -> Vec<String> {
    let service = format!("{}:", service_of(arn));
    let all = ACTIONS.iter().copied().chain(named.iter().copied());
    all.filter(|action| action.starts_with(&service)).map(str::to_owned).collect()
}

/// Returns the actions on secrets and keys that policies name and that are not tried anyway.
pub(super) fn named_actions<'a>(wanted: &'a Document, attached: &[&'a Document]) -> BTreeSet<&'a str> {
    let is_known =
        |action: &str| ACTIONS.iter().chain(WITHOUT_RESOURCE).any(|known| known.eq_ignore_ascii_case(action));
    let statements = attached.iter().copied().chain([wanted]).flat_map(|document| &document.statements);
    let listed = statements.flat_map(|statement| statement.action.listed()).map(String::as_str);
    let is_theirs =
        |action: &str| RESOURCES.iter().any(|(service, _)| action.split(':').next() == Some(service));
    listed.filter(|action| is_theirs(action) && !is_pattern(action) && !is_known(action)).collect()
}

/// The actions on secrets and keys: all of `secretsmanager` in its current service model, and those of `kms` that can
/// reach values.
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

/// Actions that give the permissions of others, including those on secrets, or change one's own. Source: IAM User
/// Guide, "Actions that can lead to privilege escalation" of the policy simulator's checks, and the actions in IAM's
/// service model.
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

/// The resources on which `ESCALATIONS` are tried: the label, the service, the end of the ARN, and words that select
/// the actions.
const OTHERS: [(&str, &str, &str, &[&str]); 4] = [
    ("any other role", "iam", "role/another/one", &["Role", "sts:"]),
    ("any other user", "iam", "user/another/one", &["User", "AccessKey", "LoginProfile"]),
    ("any other policy", "iam", "policy/another/one", &["PolicyVersion"]),
    ("any other function", "lambda", "function:another-one", &["lambda:"]),
];

/// Actions that support no resource.
pub(super) const WITHOUT_RESOURCE: &[&str] =
    &["secretsmanager:BatchGetSecretValue", "secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"];
