//! Who can assume a role, according to its trust policy.

use std::fmt;

use super::Account;
use crate::condition::Truth;
use crate::document::{Condition, Effect, Scope, Statement, is_unique_id};
use crate::evaluate::{Named, Outcome, Policies, Request, concerns_action, conditions_hold, evaluate};
use crate::exposure::trust::{issuer, listed};
use crate::exposure::{Exposure, is_for_all};
use crate::snapshot::Principal;

const ASSUME: &str = "sts:AssumeRole";

/// A principal that a role's trust policy lets assume the role.
#[derive(Clone, Debug)]
pub struct Assumer<'a> {
    /// An ARN, an account, `*`, a service, or an identity provider.
    pub who: &'a str,
    /// The type under which the policy lists it: `AWS`, `Service` or `Federated`.
    pub kind: &'a str,
    /// The index of the statement.
    pub statement: usize,
    /// The conditions of the statement; all must hold.
    pub conditions: &'a [Condition],
    /// If this account itself is listed: the roles and users whose own policies let them assume the role.
    pub own: Option<Vec<&'a str>>,
}

/// A way in which a trust policy admits principals that it does not identify.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opening {
    /// Any principal in any account.
    Anybody,
    /// Any principal in any account, from a few addresses that the policy lists.
    FewAddresses,
    /// Any principal in any account of the organization.
    Organization,
    /// Any principal that another account allows, without an external id or a condition on the organization.
    Account(String),
    /// Any holder of a token from a provider, whatever its subject.
    Provider(String),
}

impl Opening {
    /// Checks whether strangers can get in: any principal in any account, or any user of an issuer that is open to the
    /// public.
    pub fn is_public(&self) -> bool {
        const FOR_ALL: [&str; 8] = [
            "token.actions.githubusercontent.com",
            "gitlab.com",
            "app.terraform.io",
            "agent.buildkite.com",
            "accounts.google.com",
            "cognito-identity.amazonaws.com",
            "graph.facebook.com",
            "www.amazon.com",
        ];
        match self {
            Self::Anybody => true,
            Self::Provider(provider) => issuer(provider).is_some_and(|issuer| FOR_ALL.contains(&issuer)),
            Self::FewAddresses | Self::Organization | Self::Account(_) => false,
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("any principal in any account"),
            Self::FewAddresses => {
                f.write_str("any principal in any account, from the addresses that the policy names,")
            }
            Self::Organization => f.write_str("any principal in any account of the organization"),
            Self::Account(account) => write!(
                f,
                "any principal that account {account} allows, without an external id or a condition on the organization"
            ),
            Self::Provider(provider) => {
                let issuer = issuer(provider).unwrap_or(provider);
                let claim = if provider.contains(":oidc-provider/") { "sub" } else { "aud" };
                write!(f, "any holder of a token from {issuer}, without a condition on {issuer}:{claim}")
            }
        }
    }
}

impl fmt::Display for Assumer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FEW: usize = 5;
        let is_account = self.who.len() == 12 && self.who.bytes().all(|it| it.is_ascii_digit());
        match (self.kind, &self.own) {
            (_, Some(own)) if own.is_empty() => {
                f.write_str("principals of this account whose policies allow it: none now")
            }
            (_, Some(own)) => {
                let named = own.iter().take(FEW).copied().collect::<Vec<_>>().join(", ");
                write!(f, "principals of this account whose policies allow it: {named}")?;
                if own.len() > FEW { write!(f, " and {} more", own.len() - FEW) } else { Ok(()) }
            }
            ("AWS", _) if self.who == "*" => f.write_str("any principal in any account"),
            ("AWS", _) if is_account || self.who.ends_with(":root") => {
                let account = self.who.split(':').nth(4).unwrap_or(self.who);
                write!(f, "any principal that account {account} allows")
            }
            ("AWS", _) if is_unique_id(self.who) => write!(f, "the principal with the id {}", self.who),
            ("Federated", _) => match issuer(self.who) {
                Some(issuer) => write!(f, "any holder of a token from {issuer}"),
                None => write!(f, "users of {}", self.who),
            },
            _ => f.write_str(self.who),
        }?;
        let conditions: Vec<_> = self.conditions.iter().map(ToString::to_string).collect();
        if conditions.is_empty() { Ok(()) } else { write!(f, " if {}", conditions.join(" and ")) }
    }
}

impl<'a> Account<'a> {
    /// Returns who can assume a role; `None` if its trust policy is unknown. Leaves out principals that are denied
    /// without conditions, and statements whose time is over.
    pub fn assumers(&self, role: &'a Principal) -> Option<Vec<Assumer<'a>>> {
        let trust = role.trust_policy.as_ref()?;
        let exposure = self.trust(role)?;
        let mut found: Vec<Assumer<'a>> = Vec::new();
        for (statement, it) in trust.statements.iter().enumerate().filter(|(_, it)| assumes(it)) {
            let over = conditions_hold(it, &exposure.at_any_time(), trust.has_variables) == Truth::No;
            if it.effect == Effect::Deny || over {
                continue;
            }
            let mut add = |kind: &'a str, who: &'a str| {
                let is_own = kind == "AWS" && who.split(':').nth(4).unwrap_or(who) == self.snapshot.account;
                let own = (is_own && (who.ends_with(":root") || !who.contains(':')))
                    .then(|| self.allowed_to_assume(role));
                found.push(Assumer { who, kind, statement, conditions: &it.conditions, own });
            };
            match &it.principal {
                Some(Scope::Only(listed)) => {
                    let all = listed.0.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id)));
                    all.for_each(|(kind, id)| add(kind, id));
                }
                // Everyone except those listed.
                _ => add("AWS", "*"),
            }
        }
        let denies = |it: &&Statement| it.effect == Effect::Deny && it.conditions.is_empty() && assumes(it);
        for deny in trust.statements.iter().filter(denies) {
            found.retain(|it| {
                !(matches!(deny.principal, Some(Scope::Only(_)))
                    && (is_for_all(deny) || listed(deny, it.kind).any(|id| id == it.who)))
            });
        }
        Some(found)
    }

    /// Returns the ways in which a role's trust policy admits principals that it does not identify, each with the index
    /// of its statement.
    pub fn openings(&self, role: &'a Principal) -> Vec<(usize, Opening)> {
        let Some(exposure) = self.trust(role) else { return Vec::new() };
        let mut found = Vec::new();
        for (index, statement) in exposure.policy.statements.iter().enumerate() {
            if is_for_all(statement) && exposure.is_public(index) {
                let few = exposure.is_for_few_addresses(index);
                found.push((index, if few { Opening::FewAddresses } else { Opening::Anybody }));
                continue;
            }
            if is_for_all(statement) && exposure.is_for_organization(index) {
                found.push((index, Opening::Organization));
            }
            if concerns_action(statement, ASSUME) {
                let accounts = exposure.trusted_accounts(index).into_iter();
                found.extend(accounts.map(|account| (index, Opening::Account(account))));
            }
            let providers = listed(statement, "Federated").filter(|it| exposure.takes_any_subject(index, it));
            found.extend(providers.map(|provider| (index, Opening::Provider(provider.to_owned()))));
        }
        found
    }

    fn trust(&self, role: &'a Principal) -> Option<Exposure<'a>> {
        Some(Exposure { resource: None, ..self.exposure(role.trust_policy.as_ref()?, ASSUME, "") })
    }

    /// Returns the account's own roles and users that both the trust policy and their own policies let assume a role.
    fn allowed_to_assume(&self, role: &'a Principal) -> Vec<&'a str> {
        let others = self.snapshot.principals.iter().filter(|it| it.arn != role.arn);
        others.filter(|it| self.may_assume(it, role)).map(|it| it.arn.as_str()).collect()
    }

    fn may_assume(&self, principal: &Principal, role: &'a Principal) -> bool {
        let prepared = self.principals[principal.arn.as_str()].elsewhere();
        let mut policies: Policies<'_> = self.policies(&prepared);
        policies.resource = role.trust_policy.as_ref().map(|document| Named { name: &role.arn, document });
        // As with a key, identity policies count only where the trust policy delegates to the account.
        policies.is_key_policy = true;
        let mut context = prepared.context.clone();
        context.forget("aws:RequestedRegion"); // STS has a global endpoint too
        let request = Request {
            caller: &prepared.caller,
            action: ASSUME,
            resource: &role.arn,
            resource_account: &self.snapshot.account,
            context: &context,
        };
        evaluate(&request, &policies).outcome != Outcome::Denied
    }
}

/// Checks whether a statement covers assuming the role, by any of the three calls.
fn assumes(statement: &Statement) -> bool {
    let calls = [ASSUME, "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    calls.iter().any(|call| concerns_action(statement, call))
}
