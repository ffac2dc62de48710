//! Checks the account, Region and partition of a policy, also against those in the given ARNs.

use super::syntax::{check_variables, is_filled_in_later, is_region};
use super::{Scope, ScopeError, wrong};

impl Scope {
    /// Rejects a malformed account or Region, a Region outside the partition, and an account or Region without any of
    /// the secrets.
    pub(super) fn check_location(&self) -> Result<(), ScopeError> {
        for (option, text) in
            [("--account", &self.account), ("--region", &self.region), ("--partition", &self.partition)]
        {
            check_variables(option, text)?;
        }
        let is_account = self.account.len() == 12 && self.account.bytes().all(|it| it.is_ascii_digit());
        if !self.account.is_empty() && !is_account && !is_filled_in_later(&self.account) {
            return wrong(format!("{:?} is not an account: give its 12 digits", self.account));
        }
        self.check_against_arns("--account", "account", &self.account, 4)?;
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
        self.check_against_arns("--region", "Region", region, 3)
    }

    /// Rejects an account or Region if every secret is given by an ARN in another one.
    fn check_against_arns(
        &self,
        option: &str,
        what: &str,
        given: &str,
        place: usize,
    ) -> Result<(), ScopeError> {
        let is_known = |text: &str| !text.is_empty() && !is_filled_in_later(text);
        let in_arn = |secret: &String| {
            let is_arn = secret.starts_with("arn:") && is_known(secret);
            is_arn.then(|| secret.split(':').nth(place).unwrap_or_default().to_owned())
        };
        let Some(own) = self.secrets.iter().map(in_arn).collect::<Option<Vec<_>>>() else { return Ok(()) };
        match own.first() {
            Some(first) if is_known(given) && own.iter().all(|own| own != given) => wrong(format!(
                "{option} {given} contradicts --secret {}, which is in the {what} {first}: give {option} {first}, or leave \
                 {option} out",
                self.secrets[0]
            )),
            _ => Ok(()),
        }
    }

    /// Rejects a key or function outside the Regions of the secrets: a secret needs both in its own Region.
    pub(super) fn check_region(&self, option: &str, arn: &str, secrets: &[String]) -> Result<(), ScopeError> {
        let region_of = |arn: &str| arn.split(':').nth(3).unwrap_or_default().to_owned();
        let region = |secret: &String| {
            if secret.starts_with("arn:") { region_of(secret) } else { self.region.clone() }
        };
        let regions: Vec<_> = secrets.iter().map(region).filter(|region| !region.is_empty()).collect();
        let own = region_of(arn);
        let fits = |region: &String| *region == own || is_filled_in_later(region);
        if regions.is_empty() || regions.iter().any(fits) {
            return Ok(());
        }
        let what = if option == "--function" { "function" } else { "key" };
        wrong(format!(
            "{option} {arn} is in another Region than the secrets, which are in {}: a secret needs a {what} in its own Region",
            regions.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_one() {
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

    #[test]
    fn what_contradicts_an_arn_is_refused() {
        let check = |secrets: &[&str], account: &str, region: &str, function: &str| {
            let scope = Scope {
                secrets: secrets.iter().map(|it| (*it).to_owned()).collect(),
                functions: vec![function.into()],
                account: account.into(),
                region: region.into(),
                ..Scope::default()
            };
            scope.check().map_err(|error| error.to_string())
        };
        let (secret, name) = ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf", "db");
        let function = "arn:aws:lambda:us-east-1:111122223333:function:rotate";
        assert_eq!(check(&[secret], "111122223333", "eu-central-1", "rotate"), Ok(()));
        assert_eq!(check(&[secret, name], "444455556666", "us-east-1", function), Ok(()));
        assert_eq!(check(&[name], "111122223333", "us-east-1", function), Ok(()));
        let refused = |account: &str, region: &str, function: &str, said: &str| {
            let error = check(&[secret], account, region, function).unwrap_err();
            assert!(error.contains(said), "{error}");
        };
        refused("444455556666", "", "rotate", "give --account 111122223333, or leave --account out");
        refused("", "us-east-1", "rotate", "give --region eu-central-1, or leave --region out");
        refused("", "", function, "--function arn:aws:lambda:us-east-1");
        refused("", "", function, "a secret needs a function in its own Region");
    }
}
