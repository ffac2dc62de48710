//! Whom outside of its account a resource's policy lets in: anybody, an organization, or another account.
//!
//! Each question is put to the policy as requests of principals made for it.

use jiff::Timestamp;

use crate::condition::{Context, Expanded, Truth, expand};
use crate::document::{Condition, Document, Effect, Scope, Statement, is_unique_id};
use crate::evaluate::{Caller, Request, concerns_action, concerns_resource, conditions_hold, means_caller};
use crate::pattern::is_pattern;
use crate::service;
use crate::snapshot::{Principal, VpcEndpoint};

mod services;
mod strangers;
pub(crate) mod trust;

use strangers::{belong, fitting};

/// An account that no policy names.
pub(crate) const NOBODYS: &str = "000000000000";
/// An organization that no policy names.
const NOBODYS_ORGANIZATION: &str = "o-0000000000";
/// The owner's, where it is not known.
const OWNERS_ORGANIZATION: &str = "o-1111111111";

/// Somebody outside of the account whom a resource policy lets in, as far as this account is concerned.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Outsider {
    /// A principal's ARN, an account, `*`, a service or a provider of identities.
    pub principal: String,
    /// How the policy names it: as `AWS`, `Service`, `Federated` or `CanonicalUser`.
    pub kind: String,
    /// The statement, by its place.
    pub statement: usize,
}

/// A policy, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure<'a> {
    pub(crate) policy: &'a Document,
    pub(crate) action: &'a str,
    /// None is any.
    pub(crate) resource: Option<&'a str>,
    /// The owner.
    pub(crate) account: &'a str,
    /// The owner's, if it is known.
    pub(crate) organization: Option<&'a str>,
    /// The owner's own, if they are known.
    pub(crate) principals: &'a [Principal],
    /// What ended before counts no more; what begins later does.
    pub(crate) now: Option<Timestamp>,
}

impl Exposure<'_> {
    /// Whether one statement lets in principals of accounts that nobody named: of no organization, or of any.
    pub(crate) fn is_public(&self, index: usize) -> bool {
        self.strangers(index).iter().any(|(caller, context)| self.admits(index, caller, context))
    }

    /// Whether it lets in strangers from a few addresses that the policy names, and no others.
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

    /// The conditions on an organization that a statement has, or that Denies make for it.
    pub(crate) fn of_organization(&self, index: usize) -> Vec<&Condition> {
        // Whether somebody is in an organization at all says nothing of which.
        let is_it =
            |it: &&Condition| it.is_on("aws:principalorg") && !it.operator.eq_ignore_ascii_case("Null");
        let own: Vec<_> = self.policy.statements[index].conditions.iter().filter(is_it).collect();
        let denies = self.policy.statements.iter().filter(|it| it.effect == Effect::Deny);
        let denies = denies.filter(|it| concerns_action(it, self.action)).flat_map(|it| &it.conditions);
        if own.is_empty() { denies.filter(is_it).filter(|it| is_negative(it)).collect() } else { own }
    }

    /// Whether it lets in an organization as a whole, or more.
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

    /// Whether one statement of a VPC endpoint's policy lets credentials of an account that nobody named through. Asked of a
    /// resource that is nobody's too, it tells whether the endpoint is a way out for data.
    pub(crate) fn lets_through(&self, index: usize, endpoint: &VpcEndpoint) -> bool {
        // Whoever comes is in no organization, or in one of their own.
        [None, Some(NOBODYS_ORGANIZATION)].into_iter().any(|organization| {
            let (caller, mut context) = self.stranger(index);
            context.set("aws:SourceVpce", &endpoint.vpc_endpoint_id);
            context.set("aws:SourceVpc", &endpoint.vpc_id);
            context.set("aws:ViaAWSService", "false"); // what a service calls for somebody takes no endpoint of theirs
            for of in ["aws:PrincipalOrg", "aws:ResourceOrg"] {
                belong(&mut context, of, organization);
            }
            self.admits(index, &caller, &context)
        })
    }

    /// Everybody outside of the account whom the policy lets in, perhaps on conditions.
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

    /// Sessions of `sts:GetFederationToken` of the owner's users that the policy names and lets in.
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

    /// Unique ids of nobody in the account that a condition names, and what `aws:userid` would be with each.
    fn ids_in(&self, condition: &Condition) -> Vec<(String, String)> {
        // Where nobody is known, nobody is unknown.
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

    /// Whether a principal of nobody's account with such an `aws:userid` is let in.
    fn lets_in_id(&self, index: usize, user_id: &str) -> bool {
        let arn = role_of(NOBODYS);
        let mut context = self.context(NOBODYS, &arn);
        context.set("aws:userid", user_id);
        self.admits(index, &Caller::from_arn(&arn), &context)
    }

    /// Whether a principal, or somebody in an account, is let in by any statement.
    pub(crate) fn lets_in_any(&self, id: &str) -> bool {
        (0..self.policy.statements.len()).any(|index| self.lets_in(index, id))
    }

    /// Whether one statement lets in principals of the owner's that it does not know.
    pub(crate) fn lets_in_account(&self, index: usize) -> bool {
        let arn = role_of(self.account);
        self.admits(index, &Caller::from_arn(&arn), &self.context(self.account, &arn))
    }

    /// Other accounts and their principals that a condition names.
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

    /// Whether a principal or an account, or somebody in it, is let in.
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

    /// Whether one statement allows a caller, and none denies it.
    fn admits(&self, index: usize, caller: &Caller, context: &Context) -> bool {
        let holds = |statement: &Statement| self.holds(statement, context);
        let concerns = |statement: &Statement| {
            concerns_action(statement, self.action) && means_caller(statement, caller)
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

    /// Nothing is known of the request but that it is not of the past.
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
        // Its keys are absent from a request that no service makes itself.
        context.close("aws:PrincipalServiceName");
        context.set("aws:ResourceAccount", self.account);
        self.set_organization(&mut context);
        if service::GIVES_KEY.contains(&self.action) {
            service::give_key(&mut context, arn);
        }
        context
    }

    /// Its owner's organization is not the one of a stranger, even where nobody knows which it is.
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

/// A text that a pattern matches.
fn fill(pattern: &str, star: &str) -> String {
    pattern.replace('*', star).replace('?', "x")
}

fn role_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/stranger")
}

/// As `aws:PrincipalArn` has it: a session by its role.
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

/// Whether a statement names everybody, or everybody but some.
pub(crate) fn is_for_all(statement: &Statement) -> bool {
    match &statement.principal {
        Some(Scope::Only(listed)) => listed.0.values().flatten().any(|id| id == "*"),
        Some(Scope::AllBut(_)) => true,
        None => false,
    }
}
