//! What a policy is to be made from, checked before it is: IAM stores a statement about nothing without a word.

use super::{Scope, ScopeError, wrong};
use crate::evaluate::{Caller, CallerKind};

impl Scope {
    /// Refuses what no policy can mean.
    pub(super) fn check(&self) -> Result<(), ScopeError> {
        let known = ["aws", "aws-cn", "aws-us-gov"];
        if !known.contains(&self.partition()) && !is_filled_in_later(&self.partition) {
            return wrong(format!("unknown partition {:?}; use aws, aws-cn or aws-us-gov", self.partition));
        }
        for secret in self.secrets.iter().chain(&self.master_secrets) {
            check_secret(secret)?;
        }
        for key in self.keys.iter().chain(&self.master_keys) {
            if !is_filled_in_later(key) && !is_arn(key, "kms", &["key/"]) {
                return wrong(format!(
                    "{key:?} is not the ARN of a key, which IAM wants: \
                     aws kms describe-key --key-id {key} --query KeyMetadata.Arn"
                ));
            }
        }
        for principal in self.readers.iter().chain(&self.rotators).chain(&self.administrators) {
            let is_principal = is_arn(principal, "iam", &["role/", "user/", "root"])
                || is_arn(principal, "sts", &["assumed-role/", "federated-user/"]);
            if !is_filled_in_later(principal) && (!is_principal || principal.contains('*')) {
                return wrong(format!("{principal:?} is not the ARN of a role or user"));
            }
        }
        for endpoint in &self.endpoints {
            let is_id = endpoint.strip_prefix("vpce-").is_some_and(|id| {
                (1..=MOST_OF_ID).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_hexdigit())
            });
            if !is_filled_in_later(endpoint) && !is_id {
                return wrong(format!(
                    "{endpoint:?} is not the id of a VPC endpoint, such as vpce-0123456789abcdef0"
                ));
            }
        }
        Ok(())
    }

    /// Refuses those whom a condition on `aws:PrincipalArn` would never find: that key has a session's role, and no account.
    pub(super) fn check_by_arn(&self) -> Result<(), ScopeError> {
        for principal in self.readers.iter().chain(&self.rotators) {
            let why = match Caller::from_arn(principal).kind {
                CallerKind::Session { role } => {
                    format!(
                        "a session, which policies know by its role: give {role}, with the role's path if it has one"
                    )
                }
                _ if principal.contains(":federated-user/") => {
                    "a federated session, which policies know by its user: give the ARN of that user"
                        .to_owned()
                }
                CallerKind::Root => "a whole account: give the ARNs of roles or users in it".to_owned(),
                _ => continue,
            };
            return wrong(format!("{principal} is {why}"));
        }
        Ok(())
    }
}

fn check_secret(secret: &str) -> Result<(), ScopeError> {
    if is_filled_in_later(secret) {
        return Ok(());
    }
    let name = if secret.starts_with("arn:") {
        if !is_arn(secret, "secretsmanager", &["secret:"]) {
            return wrong(format!("{secret:?} is not the ARN of a secret in one account and Region"));
        }
        secret.splitn(7, ':').last().unwrap_or_default()
    } else {
        secret
    };
    if name == "*" {
        return wrong("\"*\" is every secret of the account; name secrets or a path such as prod/checkout/*");
    }
    let star = name.find('*');
    if star.is_some_and(|at| at + 1 != name.len() || !name.ends_with("/*")) {
        return wrong(format!(
            "{secret:?} also matches secrets whose names go on differently; name a path such as prod/checkout/*"
        ));
    }
    let is_of_names = |it: u8| it.is_ascii_alphanumeric() || b"/_+=.@!-*?".contains(&it);
    if name.is_empty() || name.len() > MOST || !name.bytes().all(is_of_names) {
        return wrong(format!("{secret:?} is no secret's name: letters, digits and /_+=.@!- are"));
    }
    let suffix = name.rsplit_once('-').map(|(_, suffix)| suffix).unwrap_or_default();
    if secret.starts_with("arn:") && star.is_none() && suffix.len() != SUFFIX {
        return wrong(format!(
            "{secret:?} lacks the six characters that end a secret's ARN, so it matches none; give the name instead"
        ));
    }
    Ok(())
}

/// Whether it is the ARN of something of a service, in one account.
fn is_arn(text: &str, service: &str, kinds: &[&str]) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let ["arn", partition, of, region, account, resource] = parts[..] else { return false };
    partition.starts_with("aws")
        && of == service
        && !region.contains('*')
        && account.len() == 12
        && account.bytes().all(|it| it.is_ascii_digit())
        && kinds.iter().any(|kind| resource.starts_with(kind) && (*kind == "root" || resource != *kind))
}

/// Whether it has a variable in it: one of IAM's, or of a template's.
fn is_filled_in_later(text: &str) -> bool {
    text.contains("${")
}

/// Digits of a VPC endpoint's id.
const MOST_OF_ID: usize = 17;
/// Characters after the name in a secret's ARN.
const SUFFIX: usize = 6;
/// Characters of a name, and those that an ARN adds.
const MOST: usize = 512 + 1 + SUFFIX;

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:";

    #[test]
    fn secrets_are_names_paths_or_whole_arns() {
        let arn = |name: &str| format!("{ARN}{name}");
        for right in
            ["a", "prod/db", "prod/*", "prod/${aws:PrincipalTag/team}/*", "a+b=c.d@e_f", "rds!cluster-1"]
        {
            assert_eq!(check_secret(right), Ok(()));
        }
        for right in ["prod/db-AbCdEf", "prod/db-??????", "prod/*"] {
            assert_eq!(check_secret(&arn(right)), Ok(()));
        }
        for (given, said) in [
            ("", "no secret's name"),
            ("a b", "no secret's name"),
            ("café", "no secret's name"),
            ("*", "every secret"),
            ("prod/*x", "go on differently"),
            ("prod*", "go on differently"),
            ("*/*", "go on differently"),
            ("arn:aws:s3:::bucket", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:*:*:secret:a-AbCdEf", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:*", "every secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:db*", "go on differently"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:db", "lacks the six characters"),
        ] {
            let error = check_secret(given).unwrap_err().to_string();
            assert!(error.contains(said), "{given}: {error}");
        }
    }

    #[test]
    fn keys_principals_and_partitions_are_what_they_should_be() {
        let scope = |change: fn(&mut Scope)| {
            let mut scope = Scope { secrets: vec!["a".into()], ..Scope::default() };
            change(&mut scope);
            scope.check().map_err(|error| error.to_string())
        };
        assert_eq!(scope(|it| it.keys = vec!["arn:aws:kms:eu-central-1:111122223333:key/k".into()]), Ok(()));
        assert_eq!(
            scope(|it| it.readers = vec!["arn:aws-cn:iam::111122223333:role/team/app".into()]),
            Ok(())
        );
        assert_eq!(scope(|it| it.administrators = vec!["arn:aws:iam::111122223333:root".into()]), Ok(()));
        let fails = |change: fn(&mut Scope), said: &str| {
            let error = scope(change).unwrap_err();
            assert!(error.contains(said), "{error}");
        };
        fails(|it| it.keys = vec!["alias/x".into()], "describe-key --key-id alias/x");
        fails(|it| it.keys = vec!["arn:aws:kms:eu-central-1:111122223333:alias/x".into()], "ARN of a key");
        fails(|it| it.readers = vec!["app".into()], "\"app\" is not the ARN of a role or user");
        fails(|it| it.rotators = vec!["arn:aws:iam::111122223333:role/*".into()], "not the ARN of a role");
        fails(|it| it.partition = "moon".into(), "unknown partition \"moon\"");
    }
}
