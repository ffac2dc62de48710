//! AWS services that a policy lets in on behalf of anyone: the confused deputy problem
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>).

use super::trust::listed;
use super::{Exposure, NOBODYS, NOBODYS_ORGANIZATION, fill, fitting, is_for_all, is_negative};
use crate::condition::Context;
use crate::document::{Condition, Effect};
use crate::evaluate::{Caller, concerns_action};
use crate::pattern::is_pattern;

/// The name used for services that a policy lets in without naming them.
const ANY_SERVICE: &str = "every AWS service";

impl<'a> Exposure<'a> {
    /// Returns the services that one statement for everyone lets in: those that its conditions name, or any service if
    /// a condition or a Deny leaves only services.
    pub(super) fn services_by_condition(&self, index: usize) -> Vec<&'a str> {
        let statement = &self.policy.statements[index];
        if !is_for_all(statement) {
            return Vec::new();
        }
        let on = |key: &'static str| {
            let all = statement.conditions.iter().filter(|it| !is_negative(it));
            all.filter(move |it| it.is_on(key))
        };
        let named: Vec<_> =
            on("aws:principalservicename").flat_map(|it| &it.values).map(String::as_str).collect();
        if !named.is_empty() {
            return named;
        }
        let is_asked = on("aws:principalisawsservice").any(|it| has_value(it, "true"));
        let denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        let is_left = denies
            .filter(|it| concerns_action(it, self.action))
            .flat_map(|it| &it.conditions)
            .any(|it| it.is_on("aws:principalisawsservice") && has_value(it, "false"));
        if is_asked || (is_left && !self.is_public(index)) { vec![ANY_SERVICE] } else { Vec::new() }
    }

    /// Returns the services that one statement lets in on behalf of anyone.
    pub(crate) fn services_for_anybody(&self, index: usize) -> Vec<&'a str> {
        let statement = &self.policy.statements[index];
        if statement.conditions.iter().any(|it| self.is_of_owner(it)) {
            return Vec::new();
        }
        let all = listed(statement, "Service").chain(self.services_by_condition(index));
        all.filter(|service| self.serves_anybody(index, service)).collect()
    }

    /// Checks whether one statement lets in a service, on behalf of the owner or anyone else.
    pub(super) fn serves(&self, index: usize, service: &str) -> bool {
        self.admits(index, &Caller::from_arn(service), &self.of_service(service))
    }

    fn of_service(&self, service: &str) -> Context {
        let mut context = self.at_any_time();
        // If the policy names the service by a pattern, or not at all, any name that fits will do.
        let name = fill(service, "zq7xkj");
        context.set("aws:PrincipalIsAWSService", "true");
        context.set("aws:PrincipalServiceName", &name);
        context.set_many("aws:PrincipalServiceNamesList", vec![name]);
        context.set("aws:SecureTransport", "true");
        context.set("aws:ResourceAccount", self.account);
        // The service does not come through a VPC of the owner's.
        ["aws:SourceVpc", "aws:VpcSource", "aws:VpceAccount", "aws:VpceOrg"]
            .iter()
            .for_each(|it| context.close(it));
        context
    }

    /// Checks whether one statement lets in a service on behalf of anyone.
    pub(crate) fn serves_anybody(&self, index: usize, service: &str) -> bool {
        let mut context = self.of_service(service);
        context.set("aws:SourceAccount", NOBODYS);
        context.set("aws:SourceArn", format!("arn:aws:zq7xkj:zq7xkj-1:{NOBODYS}:zq7xkj"));
        context.set("aws:SourceOrgID", NOBODYS_ORGANIZATION);
        context.set_many("aws:SourceOrgPaths", vec![format!("{NOBODYS_ORGANIZATION}/r-0000/")]);
        context.set("kms:CallerAccount", NOBODYS);
        // Services do not call function URLs (lambda:InvokedViaFunctionUrl).
        ["aws:Principal", "kms:ViaService", "lambda:"].iter().for_each(|prefix| context.close(prefix));
        // As for strangers, a wildcard gets a value that matches it.
        for condition in self.policy.statements[index].conditions.iter().filter(|it| !is_negative(it)) {
            let key = condition.key.to_ascii_lowercase();
            let mut doors = condition.values.iter().filter(|value| is_pattern(value));
            if let (true, Some(value)) =
                (key.starts_with("aws:source"), doors.find_map(|value| fitting(&key, value)))
            {
                context.set(&condition.key, value);
            }
        }
        self.admits(index, &Caller::from_arn(service), &context)
    }

    /// Checks whether a condition on the encryption context ties requests to the owner, as is usual for CloudWatch
    /// Logs.
    fn is_of_owner(&self, condition: &Condition) -> bool {
        condition.is_on("kms:encryptioncontext:")
            && !is_negative(condition)
            && !condition.values.is_empty()
            && condition.values.iter().all(|value| value.contains(self.account))
    }
}

fn has_value(condition: &Condition, value: &str) -> bool {
    condition.values.iter().any(|it| it.eq_ignore_ascii_case(value))
}
