//! Secret ARNs, and the three ways in which a request can refer to a secret.

use std::fmt;

use rand::{Rng, RngExt};

/// An account and a Region, within which the name of a secret is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The account id, twelve digits.
    pub account: String,
    /// The Region, such as `us-east-1`.
    pub region: String,
}

impl Scope {
    /// Creates the scope of an account and a Region.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self { account: account.into(), region: region.into() }
    }

    /// Checks that account and Region are well-formed.
    ///
    /// # Errors
    /// A message for users: which of the two is malformed, and what it must look like.
    pub fn check(&self) -> Result<(), String> {
        let Self { account, region } = self;
        if !is_account(account) {
            return Err(format!("{account:?} is not an account id, which has twelve digits"));
        }
        is_region(region)
            .then_some(())
            .ok_or_else(|| format!("{region:?} is not a Region, such as eu-central-1"))
    }

    /// Returns the scope in an ARN.
    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        match SecretRef::parse(arn)? {
            SecretRef::Arn { scope, .. } | SecretRef::PartialArn { scope, .. } => Some(scope),
            SecretRef::Name(_) => None,
        }
    }

    /// Returns a new ARN for `name`. The service appends a hyphen and six random characters, so that policies for a
    /// deleted secret do not apply to a new one with the same name (AWS user guide, "What's in a Secrets Manager
    /// secret?").
    pub(crate) fn new_arn(&self, name: &str, random: &mut dyn Rng) -> String {
        let suffix: String = (0..SUFFIX)
            .map(|_| char::from(ALPHANUMERIC[random.random_range(0..ALPHANUMERIC.len())]))
            .collect();
        format!("{self}{name}-{suffix}")
    }
}

/// Writes the ARN of a secret up to its name.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region } = self;
        write!(f, "arn:{}:secretsmanager:{region}:{account}:secret:", partition(region))
    }
}

/// A parsed `SecretId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretRef<'a> {
    /// The friendly name, in the caller's own account and Region.
    Name(&'a str),
    /// An ARN with its random suffix.
    Arn { scope: Scope, resource: &'a str },
    /// An ARN without its suffix, ending in the name.
    PartialArn { scope: Scope, name: &'a str },
}

impl<'a> SecretRef<'a> {
    /// Parses a `SecretId`; returns `None` if it is neither a name nor a secret's ARN.
    ///
    /// An ARN that ends in a hyphen and six characters counts as complete, whatever the secret is called. The API
    /// reference warns that a secret whose name ends like that is therefore not found by partial ARN.
    pub(crate) fn parse(id: &'a str) -> Option<Self> {
        if !id.starts_with("arn:") {
            return is_name(id).then_some(Self::Name(id));
        }
        let mut parts = id.splitn(7, ':');
        let mut next = || parts.next();
        let (_arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, kind, resource) = (next()?, next()?, next()?, next()?);
        let known = partition.starts_with("aws") && service == "secretsmanager" && kind == "secret";
        if !known || !is_name(resource) {
            return None;
        }
        let scope = Scope::new(account, region);
        Some(match has_suffix(resource) {
            true => Self::Arn { scope, resource },
            false => Self::PartialArn { scope, name: resource },
        })
    }
}

/// Returns whether `name` has only characters that are allowed in a secret's name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@!-".contains(&b))
}

/// Returns whether `text` is an account id.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Returns whether `text` can be the name of a Region.
pub(crate) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn has_suffix(resource: &str) -> bool {
    let bytes = resource.as_bytes();
    bytes.len() > SUFFIX + 1
        && bytes[bytes.len() - SUFFIX - 1] == b'-'
        && bytes[bytes.len() - SUFFIX..].iter().all(u8::is_ascii_alphanumeric)
}

fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("us-isob-") => "aws-iso-b",
        r if r.starts_with("us-iso-") => "aws-iso",
        r if r.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

const SUFFIX: usize = 6;
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_name_a_secret() {
        let scope = Scope::new("123456789012", "eu-west-1");
        assert_eq!(SecretRef::parse("prod/db"), Some(SecretRef::Name("prod/db")));
        let full = format!("{scope}prod/db-AbCdE1");
        assert_eq!(
            SecretRef::parse(&full),
            Some(SecretRef::Arn { scope: scope.clone(), resource: "prod/db-AbCdE1" })
        );
        let partial = format!("{scope}prod/db");
        assert_eq!(SecretRef::parse(&partial), Some(SecretRef::PartialArn { scope, name: "prod/db" }));
    }

    #[test]
    fn a_name_that_looks_suffixed_reads_as_a_complete_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:my-abcdef";
        assert!(matches!(SecretRef::parse(arn), Some(SecretRef::Arn { .. })));
    }

    #[test]
    fn what_is_no_secret_id() {
        for id in
            ["", "a b", "a:b", "naïve", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:us-east-1:1:secret"]
        {
            assert_eq!(SecretRef::parse(id), None, "{id}");
        }
    }

    #[test]
    fn the_partition_follows_the_region() {
        assert!(Scope::new("1", "cn-north-1").to_string().starts_with("arn:aws-cn:"));
        assert!(Scope::new("1", "us-gov-west-1").to_string().starts_with("arn:aws-us-gov:"));
    }
}
