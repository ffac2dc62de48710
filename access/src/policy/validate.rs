//! Checks the input of a policy before it is generated, because IAM accepts statements that match nothing without a
//! warning.

use super::syntax::{check_variables, is_arn, is_filled_in_later, without_variables};
use super::{Scope, ScopeError, wrong};
use crate::evaluate::{Caller, CallerKind};
use crate::pattern::is_pattern;

impl Scope {
    /// Rejects input that cannot work in any policy.
    pub(super) fn check(&self) -> Result<(), ScopeError> {
        let known = ["aws", "aws-cn", "aws-us-gov"];
        if !known.contains(&self.partition()) && !is_filled_in_later(&self.partition) {
            return wrong(format!("unknown partition {:?}; use aws, aws-cn or aws-us-gov", self.partition));
        }
        let named = [
            ("--secret", &self.secrets),
            ("--master-secret", &self.master_secrets),
            ("--key", &self.keys),
            ("--master-key", &self.master_keys),
            ("--reader", &self.readers),
            ("--rotator", &self.rotators),
            ("--administrator", &self.administrators),
            ("--user", &self.users),
            ("--role", &self.roles),
            ("--function", &self.functions),
            ("--endpoint", &self.endpoints),
        ];
        for (option, text) in
            named.iter().flat_map(|(option, given)| given.iter().map(move |it| (option, it)))
        {
            check_variables(option, text)?;
            let partition =
                text.strip_prefix("arn:").and_then(|rest| rest.split(':').next()).unwrap_or_default();
            if known.contains(&partition)
                && partition != self.partition()
                && !is_filled_in_later(&self.partition)
            {
                return wrong(format!(
                    "{text} is in the partition {partition}: give --partition {partition}"
                ));
            }
        }
        for secret in self.secrets.iter().chain(&self.master_secrets) {
            check_secret(secret)?;
        }
        self.check_location()?;
        for (keys, secrets, option) in
            [(&self.keys, &self.secrets, "--key"), (&self.master_keys, &self.master_secrets, "--master-key")]
        {
            for key in keys.iter().filter(|key| !is_filled_in_later(key)) {
                check_key(key)?;
                self.check_region(option, key, secrets)?;
            }
        }
        for (option, principal) in self.principals() {
            let is_principal = is_arn(principal, "iam", &["role/", "user/", "root"])
                || is_arn(principal, "sts", &["assumed-role/", "federated-user/"]);
            if !is_filled_in_later(principal) && !is_principal || is_pattern(&without_variables(principal)) {
                return wrong(format!("{option} {principal:?} is not the ARN of a role or user"));
            }
            check_lasts(option, principal)?;
        }
        for (option, given, service, kind, more, what) in [
            ("--user", &self.users, "iam", "user/", "/_+=,.@-", "IAM user"),
            ("--role", &self.roles, "iam", "role/", "/_+=,.@-", "role"),
            ("--function", &self.functions, "lambda", "function:", "_-$:", "function"),
        ] {
            for text in given {
                let plain = without_variables(text);
                let is_whole =
                    !text.starts_with("arn:") || is_filled_in_later(text) || is_arn(text, service, &[kind]);
                let name = plain.split_once(&format!(":{kind}")).map_or(plain.as_str(), |(_, name)| name);
                let is_of_names = |it: char| it.is_ascii_alphanumeric() || more.contains(it);
                if !is_whole || name.is_empty() || !name.chars().all(is_of_names) {
                    return wrong(format!("{option} {text:?} is not the name or the ARN of one {what}"));
                }
            }
        }
        for function in self.functions.iter().filter(|it| it.starts_with("arn:") && !is_filled_in_later(it)) {
            self.check_region("--function", function, &self.secrets)?;
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

    /// Returns the named principals, each with its option.
    fn principals(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let named = [
            ("--reader", &self.readers),
            ("--rotator", &self.rotators),
            ("--administrator", &self.administrators),
        ];
        named.into_iter().flat_map(|(option, given)| given.iter().map(move |it| (option, it)))
    }

    /// Rejects a whole account, which a condition on `aws:PrincipalArn` would never match.
    pub(super) fn check_by_arn(&self) -> Result<(), ScopeError> {
        for (option, principal) in self.principals() {
            if Caller::from_arn(principal).kind == CallerKind::Root {
                return wrong(format!(
                    "{option} {principal} is a whole account: give the ARNs of roles or users in it"
                ));
            }
        }
        Ok(())
    }
}

/// Rejects a session: policies match its role or user instead, and a session ends.
fn check_lasts(option: &str, principal: &str) -> Result<(), ScopeError> {
    match Caller::from_arn(principal).kind {
        CallerKind::Session { role } => wrong(format!(
            "{option} {principal} is a session, which policies match by its role: give {role}, with the role's path if it \
             has one"
        )),
        _ if principal.contains(":federated-user/") => wrong(format!(
            "{option} {principal} is a federated session, which policies match by its user: give the ARN of that user"
        )),
        _ => Ok(()),
    }
}

/// Rejects anything but the ARN of a single key.
fn check_key(key: &str) -> Result<(), ScopeError> {
    if is_pattern(key) {
        return wrong(format!(
            "{key:?} is more than one key: name the key that encrypts the secrets by its ARN"
        ));
    }
    if !is_arn(key, "kms", &["key/"]) {
        return wrong(format!(
            "{key:?} is not the ARN of a key, which IAM requires; get it with: \
             aws kms describe-key --key-id {key} --query KeyMetadata.Arn"
        ));
    }
    Ok(())
}

fn check_secret(secret: &str) -> Result<(), ScopeError> {
    let is_whole = !is_filled_in_later(secret);
    let plain = without_variables(secret);
    let is_arn_given = plain.starts_with("arn:");
    if is_arn_given && is_whole && !is_arn(secret, "secretsmanager", &["secret:"]) {
        return wrong(format!("{secret:?} is not the ARN of a secret in one account and Region"));
    }
    let name = if is_arn_given { plain.splitn(7, ':').last().unwrap_or_default() } else { plain.as_str() };
    if name == "*" {
        return wrong("\"*\" is every secret of the account; name secrets or a path such as prod/checkout/*");
    }
    let star = name.find('*');
    if star.is_some_and(|at| at + 1 != name.len() || !name.ends_with("/*")) {
        return wrong(format!(
            "{secret:?} also matches secrets with longer names; name a path such as prod/checkout/*"
        ));
    }
    // The six characters after a name are added automatically; an ARN can have wildcards in their place.
    let whole = name.strip_suffix("-??????").unwrap_or(name);
    if whole.contains('?') || whole != name && !is_arn_given {
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
    if is_arn_given && is_whole && star.is_none() && suffix.len() != SUFFIX {
        return wrong(format!(
            "{secret:?} lacks the six characters that end a secret's ARN, so it matches none; give the name instead"
        ));
    }
    Ok(())
}

/// The maximum number of digits in a VPC endpoint's id.
const MOST_OF_ID: usize = 17;
/// The number of characters after the name in a secret's ARN.
const SUFFIX: usize = 6;
/// The maximum length of a name, with the characters that an ARN adds.
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
        for role in ["*", "role/*", "team/*", "arn:aws:iam::111122223333:role/*", "team-${x}*", "a b"] {
            let scope = Scope { roles: vec![role.into()], ..Scope::default() };
            let error = scope.check().unwrap_err().to_string();
            assert!(error.contains("--role") && error.contains("one role"), "{error}");
        }
        fails(|it| it.roles = vec!["arn:aws:iam::111122223333:user/a".into()], "one role");
        fails(|it| it.roles = vec!["arn:aws-cn:iam::111122223333:role/a".into()], "--partition aws-cn");
        assert_eq!(scope(|it| it.roles = vec!["team/reads+1@x".into(), "${role}".into()]), Ok(()));
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
    fn a_broken_variable_is_refused_by_every_option() {
        for broken in ["${aws:username", "a${}b", "a${ }", "${a}${"] {
            for (option, set) in [
                ("--secret", (|it, text| it.secrets = vec![text]) as fn(&mut Scope, String)),
                ("--master-secret", |it, text| it.master_secrets = vec![text]),
                ("--key", |it, text| it.keys = vec![text]),
                ("--reader", |it, text| it.readers = vec![text]),
                ("--user", |it, text| it.users = vec![text]),
                ("--role", |it, text| it.roles = vec![text]),
                ("--function", |it, text| it.functions = vec![text]),
                ("--endpoint", |it, text| it.endpoints = vec![text]),
                ("--account", |it, text| it.account = text),
                ("--region", |it, text| it.region = text),
            ] {
                let mut scope = Scope { secrets: vec!["a".into()], ..Scope::default() };
                set(&mut scope, broken.into());
                let error = scope.check().unwrap_err().to_string();
                assert!(error.starts_with(&format!("{option} {broken:?} has a broken variable")), "{error}");
            }
        }
        for (wide, said) in [("prod/${aws:username}*", "longer names"), ("${a}/?", "give the name alone")] {
            assert!(check_secret(wide).unwrap_err().to_string().contains(said), "{wide}");
        }
    }

    #[test]
    fn a_session_is_no_principal_of_any_policy() {
        let session = "arn:aws:sts::111122223333:assumed-role/r/s";
        for (option, set) in [
            ("--reader", (|it, text| it.readers = vec![text]) as fn(&mut Scope, String)),
            ("--rotator", |it, text| it.rotators = vec![text]),
            ("--administrator", |it, text| it.administrators = vec![text]),
        ] {
            for (who, said) in [
                (session.to_owned(), "give arn:aws:iam::111122223333:role/r"),
                (session.replace("assumed-role/r/s", "federated-user/x"), "give the ARN of that user"),
            ] {
                let mut scope = Scope { secrets: vec!["a".into()], ..Scope::default() };
                set(&mut scope, who);
                let error = scope.check().unwrap_err().to_string();
                assert!(error.starts_with(option) && error.contains(said), "{error}");
            }
        }
    }
}
