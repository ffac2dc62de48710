//! Commands that fix findings, ready to run.

use serde_json::{Value, json};

use crate::document::Document;
use crate::service;
use crate::snapshot::{Secret, Snapshot};

/// Quotes a word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Joins words into a command, quoting each.
pub(crate) fn command(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// Formats an option with its value. IAM names can begin with `-`; the option is then written as `--name=-value`.
pub(crate) fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{between}{}", quote(value))
}

/// Returns the id of a secret for secretcache commands: its name, unless that looks like an option.
pub(crate) fn id_of(secret: &Secret) -> &str {
    if secret.name.starts_with('-') { &secret.arn } else { &secret.name }
}

/// Returns a name for an inline policy about one secret or key. IAM allows 128 characters and no slashes. A name that
/// is too long keeps its end, which distinguishes secrets: a policy of the same name would be overwritten.
pub(crate) fn policy_name(what: &str, arn: &str) -> String {
    const MOST: usize = 128;
    let name = arn.splitn(7, ':').last().unwrap_or(arn);
    let name: Vec<char> = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let begin = name.len().saturating_sub(MOST - what.len() - 1);
    format!("{what}-{}", name[begin..].iter().collect::<String>())
}

/// Returns the commands that replace a principal's policy: an inline one given by name, or a managed one given by ARN.
pub(crate) fn put_identity_policy(
    snapshot: &Snapshot,
    principal: &str,
    policy: &str,
    document: &Value,
) -> Vec<String> {
    let text = document.to_string();
    let is_empty = document["Statement"].as_array().is_some_and(Vec::is_empty);
    let (kind, name) = kind_and_name(principal);
    if policy.starts_with("arn:") {
        // AWS managed policies cannot be changed, and empty policies cannot be stored.
        if is_empty || policy.contains(":iam::aws:") {
            return vec![detach(principal, policy)];
        }
        let words = ["aws", "iam", "create-policy-version", "--policy-arn", policy];
        let create = format!("{} --set-as-default --policy-document {}", command(&words), quote(&text));
        return make_room(snapshot, policy).into_iter().chain([create]).collect();
    }
    let (kind, name, policy) = match policy.split_once('/') {
        Some((group, policy)) => ("group", group, policy),
        None => (kind, name, policy),
    };
    let named = [option(&format!("--{kind}-name"), name), option("--policy-name", policy)].join(" ");
    if is_empty {
        return vec![format!("aws iam delete-{kind}-policy {named}")];
    }
    vec![format!("aws iam put-{kind}-policy {named} --policy-document {}", quote(&text))]
}

/// Returns a command that deletes the oldest unused version of a managed policy if it already has five, the maximum.
fn make_room(snapshot: &Snapshot, policy: &str) -> Option<String> {
    const MOST: usize = 5;
    let Some(unused) = snapshot.unused_policy_versions.get(policy) else {
        // The versions were not collected, so the command lists them and deletes the surplus.
        let words = ["aws", "iam", "list-policy-versions", "--policy-arn", policy];
        let query = "sort_by(Versions[?!IsDefaultVersion], &CreateDate)[:-3].VersionId";
        return Some(format!(
            "for version in $({} --query {} --output text); do {} --version-id \"$version\"; done",
            command(&words),
            quote(query),
            command(&["aws", "iam", "delete-policy-version", "--policy-arn", policy])
        ));
    };
    let oldest = unused.first().filter(|_| unused.len() + 1 >= MOST)?;
    Some(command(&["aws", "iam", "delete-policy-version", "--policy-arn", policy, "--version-id", oldest]))
}

/// Returns the command that detaches a managed policy from a principal.
fn detach(principal: &str, policy: &str) -> String {
    let (kind, name) = kind_and_name(principal);
    let named = option(&format!("--{kind}-name"), name);
    format!("aws iam detach-{kind}-policy {named} --policy-arn {}", quote(policy))
}

fn kind_and_name(principal: &str) -> (&'static str, &str) {
    let kind = if principal.contains(":user/") { "user" } else { "role" };
    (kind, principal.rsplit('/').next().unwrap_or(principal))
}

/// Returns the command that replaces a secret's resource policy. A replica's is changed in the replica's Region.
pub(crate) fn put_resource_policy(arn: &str, document: &Value) -> String {
    let words = ["aws", "secretsmanager", "put-resource-policy", "--secret-id", arn];
    format!("{} --block-public-policy --resource-policy {}", command(&words), quote(&document.to_string()))
}

/// Returns the command that removes one statement of a secret's resource policy, or the policy if it was the last one.
pub(crate) fn drop_resource_statement(arn: &str, policy: &Document, index: usize) -> String {
    let rest = policy.with_statements(index, Vec::new());
    if rest["Statement"].as_array().is_some_and(Vec::is_empty) {
        return command(&["aws", "secretsmanager", "delete-resource-policy", "--secret-id", arn]);
    }
    put_resource_policy(arn, &rest)
}

/// Returns the last part of a key's ARN, which every call accepts.
pub(crate) fn key_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Returns the command that replaces a key's policy.
pub(crate) fn put_key_policy(key: &str, document: &Value) -> String {
    let words = ["aws", "kms", "put-key-policy", "--key-id", key_id(key), "--policy-name", "default"];
    format!("{} --policy {}", command(&words), quote(&document.to_string()))
}

/// Returns a key policy for secrets only. The account administers the key. Everyone in the account who can read or
/// write a secret can use the key through Secrets Manager, as with `aws/secretsmanager`, so nobody loses access when a
/// secret moves to it.
pub(crate) fn key_policy(partition: &str, account: &str, region: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Administer", "Effect": "Allow", "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")},
         "Action": ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*",
                    "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource",
                    "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
         "Resource": "*"},
        {"Sid": "ThroughSecretsManager", "Effect": "Allow",
         "Principal": {"AWS": "*"},
         "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"], "Resource": "*",
         "Condition": {"StringEquals": {"kms:ViaService": service::host(region),
                                        "kms:CallerAccount": account},
                       "StringLike": {"kms:EncryptionContext:SecretARN":
                           format!("arn:{partition}:secretsmanager:{region}:{account}:secret:*")}}}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(command(&["a", "b c", "it's", ""]), r"a 'b c' 'it'\''s' ''");
        assert_eq!(quote("$(rm)"), "'$(rm)'");
    }

    #[test]
    fn each_kind_of_policy_is_changed_by_its_own_command() {
        let document = json!({"Version": "2012-10-17", "Statement": [{}]});
        let snapshot = Snapshot::default();
        let put = |principal: &str, policy: &str| {
            put_identity_policy(&snapshot, principal, policy, &document).join("\n")
        };
        assert!(
            put("arn:aws:iam::1:role/x/app", "p")
                .starts_with("aws iam put-role-policy --role-name app --policy-name p")
        );
        assert!(
            put("arn:aws:iam::1:user/al", "ops/p")
                .contains("put-group-policy --group-name ops --policy-name p")
        );
        assert!(put("arn:aws:iam::1:role/app", "arn:aws:iam::1:policy/p").contains("create-policy-version"));
        assert!(put("arn:aws:iam::1:role/app", "arn:aws:iam::aws:policy/p").contains("detach-role-policy"));
        let empty = json!({"Statement": []});
        assert!(
            put_identity_policy(&snapshot, "arn:aws:iam::1:role/app", "p", &empty)[0]
                .contains("delete-role-policy")
        );
    }

    #[test]
    fn a_name_that_begins_like_an_option_is_none() {
        let document = json!({"Statement": [{}]});
        let put = |principal, policy| {
            put_identity_policy(&Snapshot::default(), principal, policy, &document).join("\n")
        };
        assert!(put("arn:aws:iam::1:role/-x", "-p").contains(" --role-name=-x --policy-name=-p "));
        assert!(put("arn:aws:iam::1:user/a", "-g/-p").contains(" --group-name=-g --policy-name=-p "));
        assert!(put("arn:aws:iam::1:role/-x", "arn:aws:iam::aws:policy/p").contains(" --role-name=-x "));
    }

    #[test]
    fn a_sixth_version_of_a_policy_takes_the_place_of_the_oldest() {
        const POLICY: &str = "arn:aws:iam::1:policy/p";
        let document = json!({"Statement": [{}]});
        let put = |unused: Option<&[&str]>| {
            let mut snapshot = Snapshot::default();
            if let Some(unused) = unused {
                let unused = unused.iter().map(|it| (*it).to_owned()).collect();
                snapshot.unused_policy_versions.insert(POLICY.to_owned(), unused);
            }
            put_identity_policy(&snapshot, "arn:aws:iam::1:role/app", POLICY, &document)
        };
        assert_eq!(put(Some(&["v1", "v2", "v3"])).len(), 1);
        let full = put(Some(&["v2", "v3", "v4", "v5"]));
        assert_eq!(full[0], format!("aws iam delete-policy-version --policy-arn {POLICY} --version-id v2"));
        assert!(full[1].starts_with("aws iam create-policy-version "));
        let unknown = put(None);
        assert!(unknown[0].contains("list-policy-versions") && unknown[0].contains("delete-policy-version"));
    }

    #[test]
    fn two_secrets_have_two_policies() {
        let arn = |name: &str| format!("arn:aws:secretsmanager:eu-central-1:1:secret:{name}");
        assert_eq!(policy_name("deny-reads", &arn("prod/db-AbCdEf")), "deny-reads-prod-db-AbCdEf");
        let long = policy_name("deny-reads", &arn(&format!("{}-AbCdEf", "x".repeat(500))));
        assert!(long.len() == 128 && long.ends_with("-AbCdEf"), "{long}");
    }
}
