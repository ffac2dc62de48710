//! The Region in which a secret is read, and the role with which it is read.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};

/// The most roles that one cache assumes, as in AWS's agent. Each role is a session to keep.
const MOST_ROLES: usize = 20;

/// A role that a cache assumes for some of its secrets.
///
/// ```
/// use secretcache::host::Role;
///
/// let role = Role { arn: "arn:aws:iam::111122223333:role/reads-secrets".into(), external_id: None };
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Role {
    /// The role's ARN.
    pub arn: String,
    /// The external id that its trust policy requires.
    pub external_id: Option<String>,
}

/// A role and a Region to read a secret with. Secrets with the same place share one client.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    /// `None`: the cache's own credentials.
    pub(crate) role: Option<Role>,
    /// `None`: the cache's own Region.
    pub(crate) region: Option<String>,
}

impl Place {
    /// Returns the place for a secret. The role is the one with the longest prefix of the id, as the program writes the
    /// id. The Region is the one in an ARN, because no other Region has that ARN.
    pub(crate) fn of(id: &str, roles: &BTreeMap<String, Role>) -> Self {
        Self { role: role_of(id, roles).cloned(), region: region_of(id).map(str::to_owned) }
    }
}

/// Returns the role to read a secret with: the one with the longest matching prefix.
pub(crate) fn role_of<'a>(id: &str, roles: &'a BTreeMap<String, Role>) -> Option<&'a Role> {
    let fitting = roles.iter().filter(|(prefix, _)| id.starts_with(prefix.as_str()));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, role)| role)
}

/// Returns the Region in a secret's ARN. A malformed one is ignored, because it would become part of a host name.
pub(crate) fn region_of(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    let is_arn = parts.next() == Some("arn") && parts.next().is_some();
    let is_secret = is_arn && parts.next() == Some("secretsmanager");
    parts.next().filter(|region| is_secret && is_region(region))
}

/// Returns the id of the same secret in another Region: a name is unchanged, and an ARN differs only in its Region.
pub(crate) fn in_region(id: &str, region: &str) -> String {
    match region_of(id) {
        Some(own) => id.replacen(&format!(":{own}:"), &format!(":{region}:"), 1),
        None => id.to_owned(),
    }
}

/// Splits a fallback Region, as settings write it, into its name and its endpoint, if that is not the Region's default
/// (`eu-west-1=https://vpce-….amazonaws.com`).
pub(crate) fn region_and_url(text: &str) -> (&str, Option<&str>) {
    text.split_once('=').map_or((text, None), |(region, url)| (region, Some(url)))
}

/// Checks the fallback Regions.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfiguration`] naming what is wrong.
pub(crate) fn check_fallback_regions(regions: &[String]) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidConfiguration, text));
    for (number, text) in regions.iter().enumerate() {
        let (region, url) = region_and_url(text);
        if !is_region(region) || url == Some("") {
            return invalid(format!(
                "the fallback Region {text:?} is not a Region such as eu-west-1, or with an endpoint, eu-west-1=https://…"
            ));
        }
        if regions[..number].iter().any(|earlier| region_and_url(earlier).0 == region) {
            return invalid(format!("the fallback Region {region} is set twice"));
        }
    }
    Ok(())
}

/// Whether a text has the form of a Region's name.
pub(crate) fn is_region(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(is_letter) && !text.starts_with('-')
}

/// Checks a role's ARN.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfiguration`] naming it.
pub(crate) fn check_role_arn(arn: &str) -> Result<(), Error> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let is_role = match parts[..] {
        ["arn", partition, "iam", "", account, resource] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(is_role_name)
        }
        _ => false,
    };
    if is_role {
        return Ok(());
    }
    let text = format!("the role {arn:?} is not an ARN such as arn:aws:iam::123456789012:role/name");
    Err(Error::new(ErrorKind::InvalidConfiguration, text))
}

/// Whether a role's name, including its path, is valid.
fn is_role_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_letter)
}

/// Checks the per-secret roles.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfiguration`] naming what is wrong.
pub(crate) fn check_roles(roles: &BTreeMap<String, Role>) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidConfiguration, text));
    roles.values().try_for_each(|role| check_role_arn(&role.arn))?;
    if let Some(role) = roles.get("") {
        let arn = &role.arn;
        return invalid(format!(
            "the role {arn} is for an empty prefix; for all secrets, set it as the cache's role (role_arn)"
        ));
    }
    let empty = roles.values().find(|role| role.external_id.as_deref() == Some(""));
    if let Some(Role { arn, .. }) = empty {
        return invalid(format!("the external id of the role {arn} is empty; leave it out"));
    }
    let count = roles.values().collect::<std::collections::HashSet<_>>().len();
    if count > MOST_ROLES {
        return invalid(format!("{count} roles are set; one cache assumes at most {MOST_ROLES}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-a1B2c3";

    fn role(name: &str) -> Role {
        Role { arn: format!("arn:aws:iam::111122223333:role/{name}"), external_id: None }
    }

    fn roles(pairs: &[(&str, &str)]) -> BTreeMap<String, Role> {
        pairs.iter().map(|(prefix, name)| ((*prefix).to_owned(), role(name))).collect()
    }

    #[test]
    fn the_longest_prefix_wins_and_an_arn_is_no_name() {
        let roles =
            roles(&[("prod/", "all"), ("prod/db", "db"), ("arn:aws:secretsmanager:eu-west-1:", "west")]);
        let name = |id| role_of(id, &roles).map(|role| role.arn.rsplit('/').next().unwrap().to_owned());
        assert_eq!(name("prod/api").as_deref(), Some("all"));
        assert_eq!(name("prod/db").as_deref(), Some("db"));
        assert_eq!(name(ARN).as_deref(), Some("west"));
        assert_eq!(name("pro"), None);
    }

    #[test]
    fn the_region_of_an_arn_is_its_own_and_never_part_of_another_host() {
        assert_eq!(region_of(ARN), Some("eu-west-1"));
        for id in [
            "prod/db",
            "arn:aws:s3:eu-west-1:1:x",
            "arn:aws:secretsmanager::1:secret:x",
            "arn:aws:secretsmanager:evil.example/#:1:secret:x",
            "arn:aws:secretsmanager:-x:1:secret:x",
        ] {
            assert_eq!(region_of(id), None, "{id}");
        }
    }

    #[test]
    fn a_replica_has_the_same_name_and_the_same_arn_but_for_the_region() {
        assert_eq!(in_region("prod/db", "us-east-1"), "prod/db");
        assert_eq!(in_region(ARN, "us-east-1"), ARN.replace("eu-west-1", "us-east-1"));
        assert_eq!(in_region(&in_region(ARN, "us-east-1"), "eu-west-1"), ARN);
    }

    #[test]
    fn a_fallback_region_is_a_name_once_with_or_without_an_endpoint() {
        let check = |texts: &[&str]| {
            check_fallback_regions(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        check(&["eu-west-1", "us-east-2=http://127.0.0.1:1"]).unwrap();
        for wrong in
            [&["Ireland"][..], &[""], &["eu-west-1="], &["eu-west-1", "eu-west-1=http://127.0.0.1:1"]]
        {
            assert_eq!(check(wrong).unwrap_err().kind(), ErrorKind::InvalidConfiguration, "{wrong:?}");
        }
    }

    #[test]
    fn a_role_that_is_none_is_named() {
        for arn in [
            "reads-secrets",
            "arn:aws:iam::1234:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:assumed-role/x/y",
        ] {
            let error = check_role_arn(arn).unwrap_err();
            assert!(
                error.kind() == ErrorKind::InvalidConfiguration && error.message().contains(arn),
                "{error}"
            );
        }
        for arn in ["arn:aws:iam::123456789012:role/path/to/name", "arn:aws-cn:iam::123456789012:role/a+b"] {
            check_role_arn(arn).unwrap();
        }
    }

    #[test]
    fn twenty_roles_are_assumed_for_any_number_of_prefixes() {
        let mut many: BTreeMap<_, _> =
            (0..20).map(|number| (format!("{number}/"), role(&format!("r{number}")))).collect();
        many.insert("again/".into(), role("r0"));
        check_roles(&many).unwrap();
        many.insert("more/".into(), role("more"));
        assert!(check_roles(&many).unwrap_err().message().contains("at most 20"));
        assert!(check_roles(&roles(&[("", "x")])).unwrap_err().message().contains("empty prefix"));
    }

    proptest! {
        #[test]
        fn the_role_is_that_of_the_longest_prefix(
            prefixes in proptest::collection::btree_set("[ab/]{1,4}", 0..8),
            id in "[ab/]{1,6}",
        ) {
            let roles: BTreeMap<_, _> = prefixes.iter().map(|prefix| (prefix.clone(), role(prefix))).collect();
            let longest = (1..=id.len()).rev().map(|end| &id[..end]).find(|prefix| prefixes.contains(*prefix));
            prop_assert_eq!(role_of(&id, &roles).cloned(), longest.map(role));
        }
    }
}
