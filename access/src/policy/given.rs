//! What a policy is to be made from, checked before it is: IAM stores a statement about nothing without a word.

use super::{Scope, ScopeError, wrong};
use crate::evaluate::{Caller, CallerKind};
use crate::pattern::is_pattern;

impl Scope {
    /// Refuses what no policy can mean.
    pub(super) fn check(&self) -> Result<(), ScopeError> {
        let known = ["aws", "aws-cn", "aws-us-gov"];
        if !known.contains(&self.partition()) && !is_filled_in_later(&self.partition) {
            return wrong(format!("unknown partition {:?}; use aws, aws-cn or aws-us-gov", self.partition));
        }
        self.check_place()?;
        let is_account = self.account.len() == 12 && self.account.bytes().all(|it| it.is_ascii_digit());
        if !self.account.is_empty() && !is_account && !is_filled_in_later(&self.account) {
            return wrong(format!("{:?} is not an account: give its 12 digits", self.account));
        }
        let lists = [
            &self.secrets,
            &self.master_secrets,
            &self.keys,
            &self.master_keys,
            &self.readers,
            &self.rotators,
            &self.administrators,
            &self.users,
            &self.functions,
        ];
        for arn in lists.into_iter().flatten() {
            let partition =
                arn.strip_prefix("arn:").and_then(|rest| rest.split(':').next()).unwrap_or_default();
            if known.contains(&partition)
                && partition != self.partition()
                && !is_filled_in_later(&self.partition)
            {
                return wrong(format!("{arn} is in the partition {partition}: give --partition {partition}"));
            }
        }
        for secret in self.secrets.iter().chain(&self.master_secrets) {
            check_secret(secret)?;
        }
        for (keys, secrets, option) in
            [(&self.keys, &self.secrets, "--key"), (&self.master_keys, &self.master_secrets, "--master-key")]
        {
            for key in keys.iter().filter(|key| !is_filled_in_later(key)) {
                check_key(key)?;
                self.check_region_of_key(key, secrets, option)?;
            }
        }
        for principal in self.readers.iter().chain(&self.rotators).chain(&self.administrators) {
            let is_principal = is_arn(principal, "iam", &["role/", "user/", "root"])
                || is_arn(principal, "sts", &["assumed-role/", "federated-user/"]);
            if !is_filled_in_later(principal) && (!is_principal || is_pattern(principal)) {
                return wrong(format!("{principal:?} is not the ARN of a role or user"));
            }
        }
        for user in self.users.iter().filter(|user| !is_filled_in_later(user)) {
            let name = user.split_once(":user/").map_or(user.as_str(), |(_, name)| name);
            let is_of_names = |it: u8| it.is_ascii_alphanumeric() || b"/_+=,.@-".contains(&it);
            let is_whole = !user.starts_with("arn:") || is_arn(user, "iam", &["user/"]);
            if !is_whole || name.is_empty() || !name.bytes().all(is_of_names) {
                return wrong(format!("{user:?} is not the name or the ARN of one IAM user"));
            }
        }
        for function in self.functions.iter().filter(|function| !is_filled_in_later(function)) {
            let name = function.split_once(":function:").map_or(function.as_str(), |(_, name)| name);
            let is_of_names = |it: u8| it.is_ascii_alphanumeric() || b"_-$:".contains(&it);
            let is_whole = !function.starts_with("arn:") || is_arn(function, "lambda", &["function:"]);
            if !is_whole || name.is_empty() || !name.bytes().all(is_of_names) {
                return wrong(format!("{function:?} is not the name or the ARN of one function"));
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

    /// Refuses a Region that is none, or is not of the partition.
    fn check_place(&self) -> Result<(), ScopeError> {
        let region = self.region.as_str();
        if region.is_empty() || is_filled_in_later(region) {
            return Ok(());
        }
        if !is_region(region) {
            return wrong(format!("{region:?} is not a Region, such as eu-central-1"));
        }
        let of_region = match region {
            _ if region.starts_with("cn-") => "aws-cn",
            _ if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        if self.partition() != of_region && !is_filled_in_later(&self.partition) {
            return wrong(format!(
                "the Region {region} is in the partition {of_region}: give --partition {of_region}"
            ));
        }
        Ok(())
    }

    /// A secret is encrypted by a key of its own Region.
    fn check_region_of_key(&self, key: &str, secrets: &[String], option: &str) -> Result<(), ScopeError> {
        let region_of = |arn: &str| arn.split(':').nth(3).unwrap_or_default().to_owned();
        let region = |secret: &String| {
            if secret.starts_with("arn:") { region_of(secret) } else { self.region.clone() }
        };
        let regions: Vec<_> = secrets.iter().map(region).filter(|region| !region.is_empty()).collect();
        let own = region_of(key);
        let fits = |region: &String| *region == own || is_filled_in_later(region);
        if regions.is_empty() || regions.iter().any(fits) {
            return Ok(());
        }
        wrong(format!(
            "{option} {key} is in another Region than the secrets, which are in {}: a secret needs a key in its own Region",
            regions.join(", ")
        ))
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

/// Refuses what is not the ARN of one key.
fn check_key(key: &str) -> Result<(), ScopeError> {
    if is_pattern(key) {
        return wrong(format!(
            "{key:?} is more than one key: name the key that encrypts the secrets by its ARN"
        ));
    }
    if !is_arn(key, "kms", &["key/"]) {
        return wrong(format!(
            "{key:?} is not the ARN of a key, which IAM wants: \
             aws kms describe-key --key-id {key} --query KeyMetadata.Arn"
        ));
    }
    Ok(())
}

/// Whether a text has the form of a Region: `eu-central-1`, `us-gov-west-1`, `us-iso-east-1`, `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [area, middle @ .., number] = parts.as_slice() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase());
    (2..=4).contains(&area.len())
        && is_word(area)
        && !middle.is_empty()
        && middle.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|it| it.is_ascii_digit())
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
            "{secret:?} also matches secrets with longer names; name a path such as prod/checkout/*"
        ));
    }
    // The six characters after a name are added to it; an ARN may leave them open.
    let whole = name.strip_suffix("-??????").unwrap_or(name);
    if whole.contains('?') || whole != name && !secret.starts_with("arn:") {
        return wrong(format!(
            "{secret:?} has a wildcard in its name; give the name alone, such as prod/checkout/db: the six characters \
             after it are added"
        ));
    }
    let is_of_names = |it: u8| it.is_ascii_alphanumeric() || b"/_+=.@!-*?".contains(&it);
    if name.is_empty() || name.len() > MOST || !name.bytes().all(is_of_names) {
        return wrong(format!("{secret:?} is not a secret's name: use letters, digits and /_+=.@!-"));
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
        && (region.is_empty() || is_region(region))
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
            ("", "not a secret's name"),
            ("a b", "not a secret's name"),
            ("café", "not a secret's name"),
            ("*", "every secret"),
            ("prod/*x", "longer names"),
            ("prod*", "longer names"),
            ("*/*", "longer names"),
            ("prod/db-??????", "give the name alone"),
            ("prod/d?", "give the name alone"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:d?-AbCdEf", "give the name alone"),
            ("arn:aws:secretsmanager:mars:111122223333:secret:db-AbCdEf", "not the ARN of a secret"),
            ("arn:aws:s3:::bucket", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:*:*:secret:a-AbCdEf", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:", "not the ARN of a secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:*", "every secret"),
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:db*", "longer names"),
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
            scope(|it| {
                it.partition = "aws-cn".into();
                it.readers = vec!["arn:aws-cn:iam::111122223333:role/team/app".into()];
            }),
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
        fails(|it| it.readers = vec!["arn:aws-cn:iam::111122223333:role/a".into()], "--partition aws-cn");
        fails(|it| it.account = "11112222333".into(), "is not an account");
        fails(|it| it.partition = "moon".into(), "unknown partition \"moon\"");
        fails(|it| it.keys = vec!["arn:aws:kms:eu-central-1:111122223333:key/*".into()], "more than one key");
        fails(|it| it.users = vec!["*".into()], "one IAM user");
        fails(|it| it.users = vec!["arn:aws:iam::111122223333:user/a?".into()], "one IAM user");
        fails(|it| it.users = vec!["arn:aws:iam::111122223333:role/a".into()], "one IAM user");
        fails(|it| it.functions = vec!["rotate-*".into()], "one function");
        fails(|it| it.functions = vec!["arn:aws:s3:::bucket".into()], "one function");
        fails(|it| it.readers = vec!["arn:aws:iam::111122223333:role/a?".into()], "not the ARN of a role");
        assert_eq!(scope(|it| it.users = vec!["team/bot+1@x".into()]), Ok(()));
        assert_eq!(scope(|it| it.functions = vec!["rotate-db".into()]), Ok(()));
    }

    #[test]
    fn who_is_of_another_account_is_let_in() {
        let policy = |secret: &str, account: &str, reader: &str| {
            let scope = Scope {
                secrets: vec![secret.into(), secret.into()],
                readers: vec![reader.into()],
                account: account.into(),
                ..Scope::default()
            };
            scope.policy(super::super::Kind::Resource, &[])
        };
        let lets_in = |secret: &str, account: &str, reader: &str| {
            policy(secret, account, reader).unwrap().to_string().contains("OtherAccounts")
        };
        let (own, other) = ("arn:aws:iam::111122223333:role/a", "arn:aws:iam::444455556666:role/a");
        let secret = format!("{ARN}db-AbCdEf");
        assert!(lets_in(&secret, "", other) && !lets_in(&secret, "", own));
        assert!(lets_in("db", "111122223333", other) && !lets_in("db", "111122223333", own));
        assert!(policy("db", "", other).unwrap_err().to_string().contains("give the account"));
    }

    #[test]
    fn a_place_is_one() {
        let check = |region: &str, partition: &str, keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            let (region, partition) = (region.into(), partition.into());
            let scope = Scope { secrets: vec!["a".into()], keys, region, partition, ..Scope::default() };
            scope.check().map_err(|error| error.to_string())
        };
        for (region, partition) in [
            ("eu-central-1", "aws"),
            ("ap-southeast-4", ""),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("${AWS::Region}", "aws"),
            ("", "aws"),
        ] {
            assert_eq!(check(region, partition, &[]), Ok(()));
        }
        for region in ["mars", "eu-central", "eu--1", "EU-CENTRAL-1", "*", "eu-*-1", "eu-central-1 "] {
            assert!(check(region, "aws", &[]).unwrap_err().contains("not a Region"), "{region}");
        }
        assert!(check("cn-north-1", "aws", &[]).unwrap_err().contains("--partition aws-cn"));
        let key = "arn:aws:kms:us-east-1:111122223333:key/k";
        assert!(check("eu-central-1", "aws", &[key]).unwrap_err().contains("another Region"));
        assert_eq!(check("us-east-1", "aws", &[key]), Ok(()));
        assert_eq!(check("", "aws", &[key]), Ok(()));
    }
}
