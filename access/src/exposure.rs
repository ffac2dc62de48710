//! Principals outside its account that a resource's policy lets in: anyone, an organization, or another account.
//!
//! Each question is answered by evaluating the policy for requests of made-up principals.

use jiff::Timestamp;

use crate::condition::{Context, Expanded, Truth, expand};
use crate::document::{Condition, Document, Effect, Scope, Statement, is_unique_id};
use crate::evaluate::{Caller, Request, concerns_action, concerns_resource, conditions_hold, names_caller};
use crate::pattern::is_pattern;
use crate::service;
use crate::snapshot::{Principal, VpcEndpoint};

mod services;
mod strangers;
pub(crate) mod trust;

use strangers::{belong, fitting};

/// An account id that no policy names.
pub(crate) const NOBODYS: &str = "000000000000";
/// An organization id that no policy names.
const NOBODYS_ORGANIZATION: &str = "o-0000000000";
/// A placeholder for the owner's organization, if it is unknown.
const OWNERS_ORGANIZATION: &str = "o-1111111111";

/// A principal outside the account that a resource policy allows. Its own account may still not allow it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Outsider {
    /// A principal's ARN, an account, `*`, a service or an identity provider.
    pub principal: String,
    /// The type under which the policy lists it: `AWS`, `Service`, `Federated` or `CanonicalUser`.
    pub kind: String,
    /// The index of the statement.
    pub statement: usize,
}

/// A policy, and the question asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure<'a> {
    pub(crate) policy: &'a Document,
    pub(crate) action: &'a str,
    /// `None` means any resource.
    pub(crate) resource: Option<&'a str>,
    /// The account that owns the resource.
    pub(crate) account: &'a str,
    /// The owner's organization, if it is known.
    pub(crate) organization: Option<&'a str>,
    /// The owner's roles and users; empty if they are unknown.
    pub(crate) principals: &'a [Principal],
    /// The time of the question. Access that ended earlier does not count; access that begins later does.
    pub(crate) now: Option<Timestamp>,
}

impl Exposure<'_> {
    /// Checks whether one statement lets in principals of accounts that no policy names, in no organization or in one
    /// of their own.
    pub(crate) fn is_public(&self, index: usize) -> bool {
        self.strangers(index).iter().any(|(caller, context)| self.admits(index, caller, context))
    }

    /// Checks whether one statement lets strangers in, but only from a few addresses that the policy lists.
    pub(crate) fn is_for_few_addresses(&self, index: usize) -> bool {
        let addresses = strangers::addresses(self.policy);
        let comes = |(caller, context): &(Caller, Context)| {
            addresses.iter().any(|address| {
                let mut context = context.clone();
                context.set_default("aws:SourceIp", address);
                self.admits(index, caller, &context)
            })
        };
        self.is_public(index) && !self.strangers(index).iter().any(comes)
    }

    /// Returns the conditions that limit a statement to an organization: its own, or those of Deny statements.
    pub(crate) fn of_organization(&self, index: usize) -> Vec<&Condition> {
        // `Null` only asks whether there is an organization, not which.
        let is_it =
            |it: &&Condition| it.is_on("aws:principalorg") && !it.operator.eq_ignore_ascii_case("Null");
        let own: Vec<_> = self.policy.statements[index].conditions.iter().filter(is_it).collect();
        let denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        let denies = denies.filter(|it| concerns_action(it, self.action)).flat_map(|it| &it.conditions);
        if own.is_empty() { denies.filter(is_it).filter(|it| is_negative(it)).collect() } else { own }
    }

    /// Checks whether one statement lets in all of an organization, or more.
    pub(crate) fn is_for_organization(&self, index: usize) -> bool {
        let conditions = self.of_organization(index);
        let belongs = |(caller, mut context): (Caller, Context)| {
            for it in &conditions {
                let value = it.values.first().map(String::as_str).unwrap_or_default();
                let Expanded::Text(value) = expand(value, &context, self.policy.has_variables) else {
                    return false;
                };
                context.set(&it.key, fill(&value, "x"));
            }
            self.admits(index, &caller, &context)
        };
        !conditions.is_empty() && self.comers(index).into_iter().any(belongs)
    }

    /// Checks whether one statement of a VPC endpoint's policy lets through credentials of an account it does not name.
    /// If the resource is also in such an account, the endpoint can be used to exfiltrate data.
    pub(crate) fn lets_through(&self, index: usize, endpoint: &VpcEndpoint) -> bool {
        // The caller is in no organization, or in one of its own.
        [None, Some(NOBODYS_ORGANIZATION)].into_iter().any(|organization| {
            let (caller, mut context) = self.stranger(index);
            context.set("aws:SourceVpce", &endpoint.vpc_endpoint_id);
            context.set("aws:SourceVpc", &endpoint.vpc_id);
            context.set("aws:ViaAWSService", "false"); // calls by a service for a caller bypass the caller's endpoint
            for of in ["aws:PrincipalOrg", "aws:ResourceOrg"] {
                belong(&mut context, of, organization);
            }
            self.admits(index, &caller, &context)
        })
    }

    /// Returns everyone outside the account that the policy lets in, even if only on conditions.
    pub(crate) fn outsiders(&self) -> Vec<Outsider> {
        let mut found = Vec::new();
        for (index, statement) in self.policy.statements.iter().enumerate() {
            let is_allowed = statement.effect == Effect::Allow && concerns_action(statement, self.action);
            let open = self.at_any_time();
            if !is_allowed || self.holds(statement, &open) == Truth::No {
                continue;
            }
            let mut add = |kind: &str, principal: &str| {
                let (kind, principal) = (kind.to_owned(), principal.to_owned());
                found.push(Outsider { principal, kind, statement: index });
            };
            if is_for_all(statement) {
                let (caller, context) = self.stranger(index);
                if self.admits(index, &caller, &context) {
                    add("AWS", "*");
                }
                let named = statement.conditions.iter().flat_map(|it| self.named_by(it));
                named.filter(|id| self.lets_in(index, id)).for_each(|id| add("AWS", &id));
                let ids = statement.conditions.iter().flat_map(|it| self.ids_in(it));
                ids.filter(|(_, user_id)| self.lets_in_id(index, user_id))
                    .for_each(|(id, _)| add("AWS", &id));
                let services = self.services_by_condition(index).into_iter();
                services.filter(|service| self.serves(index, service)).for_each(|it| add("Service", it));
            }
            let Some(Scope::Only(listed)) = &statement.principal else { continue };
            for (kind, id) in listed.0.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
                let is_principal = kind == "AWS";
                let is_ours = is_principal && (account_of(id) == self.account || is_unique_id(id));
                if id != "*" && !is_ours && (!is_principal || self.lets_in(index, id)) {
                    add(kind, id);
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Returns the sessions created by the owner's users with `sts:GetFederationToken` that the policy names and lets
    /// in.
    pub(crate) fn federated_users(&self) -> Vec<Outsider> {
        let mut found = Vec::new();
        for (index, statement) in self.policy.statements.iter().enumerate() {
            let Some(Scope::Only(listed)) = &statement.principal else { continue };
            let own = listed.0.get("AWS").into_iter().flatten().filter(|id| {
                account_of(id) == self.account && id.contains(":federated-user/") && self.lets_in(index, id)
            });
            let kind = "AWS".to_owned();
            found.extend(own.map(|id| Outsider {
                principal: id.clone(),
                kind: kind.clone(),
                statement: index,
            }));
        }
        found
    }

    /// Returns the unique ids in a condition that belong to no principal of the account, each with an `aws:userid` that
    /// matches it.
    fn ids_in(&self, condition: &Condition) -> Vec<(String, String)> {
        // If no principals were collected, an id cannot be recognized as foreign.
        let is_of_users = condition.key.eq_ignore_ascii_case("aws:userid") && !self.principals.is_empty();
        if is_negative(condition) || !is_of_users {
            return Vec::new();
        }
        let values = condition.values.iter().map(|value| (value.split(':').next().unwrap_or(value), value));
        values
            .filter(|(id, _)| is_unique_id(id) && !is_pattern(id))
            .filter(|(id, _)| !self.principals.iter().any(|it| it.id == *id))
            .map(|(id, value)| (id.to_owned(), fill(value, "x")))
            .collect()
    }

    /// Checks whether one statement lets in a principal of another account with this `aws:userid`.
    fn lets_in_id(&self, index: usize, user_id: &str) -> bool {
        let arn = role_of(NOBODYS);
        let mut context = self.context(NOBODYS, &arn);
        context.set("aws:userid", user_id);
        self.admits(index, &Caller::from_arn(&arn), &context)
    }

    /// Checks whether any statement lets in a principal or, given an account, some principal in it.
    pub(crate) fn lets_in_any(&self, id: &str) -> bool {
        (0..self.policy.statements.len()).any(|index| self.lets_in(index, id))
    }

    /// Checks whether one statement lets in principals of the owner's account that it does not name.
    pub(crate) fn lets_in_account(&self, index: usize) -> bool {
        let arn = role_of(self.account);
        self.admits(index, &Caller::from_arn(&arn), &self.context(self.account, &arn))
    }

    /// Returns the other accounts, and principals in them, that a condition names.
    fn named_by(&self, condition: &Condition) -> Vec<String> {
        if is_negative(condition) {
            return Vec::new();
        }
        let values = condition.values.iter().filter(|value| is_account(account_of(value)));
        let others = values.filter(|value| account_of(value) != self.account);
        match condition.key.to_ascii_lowercase().as_str() {
            "aws:principalarn" => others
                .map(|arn| if is_pattern(arn) { account_of(arn) } else { arn.as_str() }.to_owned())
                .collect(),
            "aws:principalaccount" | "kms:calleraccount" => others.cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Checks whether one statement lets in a principal or, given an account, some principal in it.
    fn lets_in(&self, index: usize, id: &str) -> bool {
        let account = account_of(id);
        let is_single =
            [":role/", ":user/", ":assumed-role/", ":federated-user/"].iter().any(|it| id.contains(it));
        let mut arns = vec![if is_single { id.to_owned() } else { role_of(account) }];
        if !is_single {
            let conditions = self.policy.statements.iter().flat_map(|it| &it.conditions);
            let named = conditions.filter(|it| it.key.eq_ignore_ascii_case("aws:PrincipalArn"));
            let values = named.flat_map(|it| &it.values).filter(|value| account_of(value) == account);
            arns.extend(values.map(|value| fill(value, "x")));
        }
        arns.iter().any(|arn| {
            let caller = Caller::from_arn(arn);
            self.admits(index, &caller, &self.context(account, &principal_arn(&caller)))
        })
    }

    /// Checks whether one statement allows a caller and no statement denies it.
    fn admits(&self, index: usize, caller: &Caller, context: &Context) -> bool {
        let holds = |statement: &Statement| self.holds(statement, context);
        let concerns = |statement: &Statement| {
            concerns_action(statement, self.action) && names_caller(statement, caller)
        };
        let allow = &self.policy.statements[index];
        let mut denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        allow.effect == Effect::Allow
            && concerns(allow)
            && holds(allow) != Truth::No
            && !denies.any(|deny| concerns(deny) && holds(deny) == Truth::Yes)
    }

    fn holds(&self, statement: &Statement, context: &Context) -> Truth {
        let conditions = conditions_hold(statement, context, self.policy.has_variables);
        self.on_resource(statement, context).min(conditions)
    }

    /// Returns a context in which nothing is known about the request except that it is not in the past.
    pub(crate) fn at_any_time(&self) -> Context {
        let mut context = Context::open();
        if let Some(now) = self.now {
            context.set_from("aws:CurrentTime", now);
            context.set_from("aws:EpochTime", now);
        }
        context
    }

    fn on_resource(&self, statement: &Statement, context: &Context) -> Truth {
        let Some(resource) = self.resource else { return Truth::Yes };
        let caller = Caller::from_arn("");
        let Self { action, account: resource_account, .. } = *self;
        let request = Request { caller: &caller, action, resource, resource_account, context };
        concerns_resource(statement, &request, self.policy.has_variables)
    }

    fn context(&self, account: &str, arn: &str) -> Context {
        let mut context = self.at_any_time();
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalAccount", account);
        context.set("kms:CallerAccount", account);
        context.set("aws:PrincipalIsAWSService", "false");
        context.set("aws:SecureTransport", "true");
        // Only requests that a service makes for itself have these keys.
        context.close("aws:PrincipalServiceName");
        context.set("aws:ResourceAccount", self.account);
        self.set_organization(&mut context);
        if service::GIVES_KEY.contains(&self.action) {
            service::give_key(&mut context, arn);
        }
        context
    }

    /// Sets the organization of the resource's owner. If it is unknown, uses a placeholder that differs from every
    /// stranger's, or leaves it unknown if a condition asks about it.
    fn set_organization(&self, context: &mut Context) {
        let is_asked = |it: &Condition| it.is_on("aws:resourceorg");
        let mut conditions = self.policy.statements.iter().flat_map(|it| &it.conditions);
        match self.organization {
            Some(id) => context.set("aws:ResourceOrgID", id),
            None if !conditions.any(is_asked) => context.set("aws:ResourceOrgID", OWNERS_ORGANIZATION),
            None => {}
        }
    }
}

/// Returns a text that a pattern matches.
fn fill(pattern: &str, star: &str) -> String {
    pattern.replace('*', star).replace('?', "x")
}

fn role_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/stranger")
}

/// Returns the value of `aws:PrincipalArn` for a caller: for a session, the ARN of its role.
fn principal_arn(caller: &Caller) -> String {
    match &caller.kind {
        crate::evaluate::CallerKind::Session { role } => role.clone(),
        _ => caller.arn.clone(),
    }
}

fn account_of(id: &str) -> &str {
    id.split(':').nth(4).unwrap_or(id)
}

fn is_account(text: &str) -> bool {
    text.len() == NOBODYS.len() && text.bytes().all(|it| it.is_ascii_digit())
}

fn is_negative(condition: &Condition) -> bool {
    let operator = condition.operator.to_ascii_lowercase();
    operator.contains("not") || operator == "null"
}

/// Checks whether a statement names everyone, or everyone with exceptions.
pub(crate) fn is_for_all(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Scope::Only(listed)) => listed.0.values().flatten().any(|id| id == "*"),
        Some(Scope::AllBut(_)) => true,
        None => false,
    }
}
