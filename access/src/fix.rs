//! Commands that fix what was found, ready to be run.

use serde_json::{Value, json};

use crate::document::Document;
use crate::service;
use crate::snapshot::Secret;

/// A word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Joins words to a command.
pub(crate) fn command(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// Changes a principal's policy: an inline one by its name, a managed one by its ARN.
pub(crate) fn put_identity_policy(principal: &str, policy: &str, document: &Value) -> Vec<String> {
    let text = document.to_string();
    let is_empty = document["Statement"].as_array().is_some_and(Vec::is_empty);
    let (kind, name) = kind_and_name(principal);
    if policy.starts_with("arn:") {
        // Those of AWS cannot be changed, and an empty one not be stored.
        if is_empty || policy.contains(":iam::aws:") {
            return vec![detach(principal, policy)];
        }
        let words = ["aws", "iam", "create-policy-version", "--policy-arn", policy];
        return vec![format!("{} --set-as-default --policy-document {}", command(&words), quote(&text))];
    }
    let (kind, name, policy) = match policy.split_once('/') {
        Some((group, policy)) => ("group", group, policy),
        None => (kind, name, policy),
    };
    let named = [&format!("--{kind}-name"), name, "--policy-name", policy];
    if is_empty {
        return vec![command(&[&["aws", "iam", &format!("delete-{kind}-policy")], &named[..]].concat())];
    }
    let words = command(&[&["aws", "iam", &format!("put-{kind}-policy")], &named[..]].concat());
    vec![format!("{words} --policy-document {}", quote(&text))]
}

/// Takes a managed policy from a principal.
fn detach(principal: &str, policy: &str) -> String {
    let (kind, name) = kind_and_name(principal);
    let words = ["aws", "iam", &format!("detach-{kind}-policy"), &format!("--{kind}-name"), name];
    format!("{} --policy-arn {}", command(&words), quote(policy))
}

fn kind_and_name(principal: &str) -> (&'static str, &str) {
    let kind = if principal.contains(":user/") { "user" } else { "role" };
    (kind, principal.rsplit('/').next().unwrap_or(principal))
}

/// Changes a secret's resource policy.
pub(crate) fn put_resource_policy(secret: &Secret, document: &Value) -> String {
    let words = ["aws", "secretsmanager", "put-resource-policy", "--secret-id", &secret.arn];
    format!("{} --block-public-policy --resource-policy {}", command(&words), quote(&document.to_string()))
}

/// Removes one statement of a secret's resource policy, or all of the policy with its last one.
pub(crate) fn drop_resource_statement(secret: &Secret, policy: &Document, index: usize) -> String {
    let rest = policy.with_statements(index, Vec::new());
    if rest["Statement"].as_array().is_some_and(Vec::is_empty) {
        return command(&["aws", "secretsmanager", "delete-resource-policy", "--secret-id", &secret.arn]);
    }
    put_resource_policy(secret, &rest)
}

/// The last part of a key's ARN, which every call takes.
pub(crate) fn key_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Changes a key's policy.
pub(crate) fn put_key_policy(key: &str, document: &Value) -> String {
    let words = ["aws", "kms", "put-key-policy", "--key-id", key_id(key), "--policy-name", "default"];
    format!("{} --policy {}", command(&words), quote(&document.to_string()))
}

/// A key policy for secrets alone: the account administers it, and whoever may read or write a secret of the account uses it
/// through Secrets Manager, as with `aws/secretsmanager`, so that nobody loses access by the move.
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
        let put =
            |principal: &str, policy: &str| put_identity_policy(principal, policy, &document).join("\n");
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
            put_identity_policy("arn:aws:iam::1:role/app", "p", &empty)[0].contains("delete-role-policy")
        );
    }
}
