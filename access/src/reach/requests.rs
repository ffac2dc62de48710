//! What is known about every request of a principal: its context, its network path, and the policies that decide about
//! the key.

use std::collections::BTreeMap;

use super::{Account, DECRYPT, Prepared, READ};
use crate::condition::Context;
use crate::document::{Document, Effect, Statement};
use crate::evaluate::{
    Caller, CallerKind, Cited, Decision, Link, Named, Outcome, Policies, Request, concerns_action, evaluate,
};
use crate::service;
use crate::snapshot::{Key, Principal, Secret, Snapshot, VpcEndpoint};

impl<'a> Prepared<'a> {
    /// Returns the policy of the endpoint that the principal's requests take.
    pub(super) fn endpoint_policy(&self) -> Option<Named<'a>> {
        let endpoint = self.endpoint?;
        Some(Named { name: &endpoint.vpc_endpoint_id, document: endpoint.policy.as_ref()? })
    }

    /// Returns the statements of the principal's own policies.
    pub(super) fn statements(&self) -> impl Iterator<Item = &'a Statement> {
        self.identity.iter().flat_map(|policy| &policy.document.statements)
    }

    /// Returns the same principal, with requests that can come from anywhere.
    pub(super) fn elsewhere(&self) -> Self {
        let mut other = Self { endpoint: None, ..self.clone() };
        other.context.forget("aws:SourceVpce");
        other.context.forget("aws:SourceVpc");
        other
    }

    /// Returns the same principal, with only the requests it makes itself: none that a service makes on its behalf.
    fn directly(&self) -> Self {
        let mut other = self.clone();
        other.context.set("aws:ViaAWSService", "false");
        other.context.close("aws:CalledVia");
        other
    }
}

/// The key of a secret, with the policy and grants that decide about it in addition to the caller's policies.
#[derive(Clone, Copy)]
pub(super) struct Lock<'k> {
    pub(super) arn: &'k str,
    /// The account that owns the key.
    pub(super) account: &'k str,
    /// `None` if it is unknown.
    pub(super) policy: Option<&'k Document>,
    pub(super) grants: Option<&'k Document>,
}

impl<'k> Lock<'k> {
    /// An `arn` that is not a key's, such as an alias, is taken to be in the caller's own account. Principals that the
    /// key policy lets in then need no identity policy.
    fn new(arn: &'k str, own: &'k str, policy: Option<&'k Document>, grants: Option<&'k Document>) -> Self {
        let account = arn.split(':').nth(4).filter(|_| arn.contains(":key/")).unwrap_or(own);
        Self { arn, account, policy, grants }
    }
}

impl<'a> Account<'a> {
    /// Checks whether a principal can call an action on a secret, which need not exist yet. A permissions boundary, a
    /// Deny or a control policy can block what a statement allows. The request can come from anywhere, because stolen
    /// credentials do not take an endpoint.
    pub(crate) fn may_at_all(&self, principal: &Principal, action: &str, arn: &str) -> bool {
        self.may_if_tagged(principal, action, arn, BTreeMap::new())
    }

    /// Same as [`may_at_all`](Self::may_at_all); a secret that does not exist yet gets these tags.
    pub(crate) fn may_if_tagged(
        &self,
        principal: &Principal,
        action: &str,
        arn: &str,
        tags: BTreeMap<String, String>,
    ) -> bool {
        let made_up = || Secret {
            arn: arn.to_owned(),
            name: arn.splitn(7, ':').last().unwrap_or_default().to_owned(),
            tags,
            created_date: Some(self.now()), // marks the secret as described: it has no other tags
            ..Secret::default()
        };
        let secret = self.snapshot.secrets.iter().find(|secret| secret.arn == arn).cloned();
        let secret = secret.unwrap_or_else(made_up);
        let prepared = self.principals[principal.arn.as_str()].elsewhere();
        self.may_through(&secret, &prepared, action, &[]).secret.outcome != Outcome::Denied
    }

    /// Checks whether a principal can make a call that supports no resource. A statement that allows it only on ARNs
    /// does not count.
    pub(crate) fn may_without_resource(&self, principal: &Principal, action: &str) -> bool {
        let prepared = &self.principals[principal.arn.as_str()];
        let mut policies = self.policies(prepared);
        policies.endpoint = prepared.endpoint_policy();
        let request = Request {
            caller: &prepared.caller,
            action,
            resource: "*",
            resource_account: &self.snapshot.account,
            context: &prepared.context,
        };
        evaluate(&request, &policies).outcome != Outcome::Denied
    }

    /// Returns the key that decides about a secret. `None` for the default key, which is open to everyone who can read
    /// the secret.
    pub(super) fn lock_of<'k>(&self, secret: &'k Secret) -> Option<Lock<'k>>
    where
        'a: 'k,
    {
        match self.key_of(secret) {
            Some(key) if key.key_manager == "AWS" && key.policy.is_none() => None,
            Some(Key { arn, policy, grants, .. }) => {
                Some(Lock::new(arn, &self.snapshot.account, policy.as_ref(), grants.as_ref()))
            }
            None if secret.has_default_key() && self.is_described(secret) => None,
            None => {
                let id = secret.kms_key_id.as_deref().unwrap_or("of the secret's key");
                Some(Lock::new(id, &self.snapshot.account, None, None))
            }
        }
    }

    /// Returns the policies that decide about a call on a key, and the context of every such call.
    pub(super) fn on_key<'k>(&self, prepared: &Prepared<'a>, lock: &Lock<'k>) -> (Policies<'k>, Context)
    where
        'a: 'k,
    {
        let mut policies: Policies<'k> = self.policies(prepared);
        policies.resource = lock.policy.map(|document| Named { name: lock.arn, document });
        if lock.policy.is_none() {
            policies.unknown.push((Link::KeyPolicy, lock.arn));
        }
        policies.is_key_policy = true;
        policies.grants = lock.grants.map(|document| Named { name: "of the key", document });
        let mut context = prepared.context.clone();
        context.set("aws:ResourceAccount", lock.account);
        (policies, context)
    }

    /// Decides a request that a role's functions and services make themselves, on the network path they take.
    pub(crate) fn made_by_itself(
        &self,
        secret: &'a Secret,
        principal: &Principal,
        action: &str,
    ) -> Decision<'a> {
        self.may_through(secret, &self.principals[principal.arn.as_str()].directly(), action, &[]).secret
    }

    /// Returns the endpoint whose policy is the only thing that keeps the workloads of a principal from reading a
    /// secret, and the statement that denies it. The statement is `None` if the policy merely allows nothing.
    pub(crate) fn refused_by_endpoint(
        &self,
        secret: &'a Secret,
        principal: &Principal,
    ) -> Option<(&'a VpcEndpoint, Option<Cited<'a>>)> {
        let prepared = &self.principals[principal.arn.as_str()];
        let endpoint = prepared.endpoint?;
        let through = self.made_by_itself(secret, principal, READ);
        let denies = through.because.iter().find(|cited| cited.link == Link::Endpoint).copied();
        let is_its = through.missing.contains(&Link::Endpoint) || denies.is_some();
        let past = Prepared { endpoint: None, ..prepared.clone() };
        (through.outcome == Outcome::Denied
            && is_its
            && self.may_through(secret, &past, READ, &[DECRYPT]).outcome() != Outcome::Denied)
            .then_some((endpoint, denies))
    }

    /// Finds a principal that can tag `tagged` as an operator but cannot change its permissions. Such a tag proves
    /// nothing, because someone without control over permissions may have set it.
    pub(crate) fn tagger(&self, tagged: &Principal) -> Option<&Principal> {
        let kind = if tagged.arn.contains(":user/") { "User" } else { "Role" };
        let account = tagged.arn.split(':').nth(4).unwrap_or_default();
        let may = |principal: &Principal, action: String| {
            let prepared = &self.principals[principal.arn.as_str()];
            let mut context = prepared.context.clone();
            // Calls that change permissions carry no tags, so a statement that allows them on a tag condition does not
            // apply.
            if action.starts_with("iam:Tag") {
                context.set("aws:TagKeys", "secretcache:role");
                context.set("aws:RequestTag/secretcache:role", "operator");
            }
            context.close("aws:TagKeys");
            context.close("aws:RequestTag/");
            let resource_account = account;
            let request = Request {
                caller: &prepared.caller,
                action: &action,
                resource: &tagged.arn,
                resource_account,
                context: &context,
            };
            evaluate(&request, &self.policies(prepared)).outcome != Outcome::Denied
        };
        self.snapshot.principals.iter().find(|principal| {
            let gives = [format!("iam:Put{kind}Policy"), format!("iam:Attach{kind}Policy")];
            may(principal, format!("iam:Tag{kind}"))
                && !gives.into_iter().any(|action| may(principal, action))
        })
    }

    /// Returns the context of every request of a principal.
    pub(crate) fn context_of(
        &self,
        principal: &Principal,
        caller: &Caller,
        endpoint: Option<&VpcEndpoint>,
    ) -> Context {
        let Snapshot { account, region, taken_at, .. } = self.snapshot;
        // A secret of this Region and account. `on_key` replaces the account with the key's own.
        let secrets = format!("arn::secretsmanager:{region}:{account}:");
        let mut context = service::context(caller, &secrets, account);
        if let Some(now) = taken_at {
            // A principal that can read only from a later date counts as a reader, with the date as a condition.
            context.set_from("aws:CurrentTime", *now);
            context.set_from("aws:EpochTime", *now);
        }
        match caller.kind {
            _ if principal.id.is_empty() => {}
            // Session names are unknown.
            CallerKind::Role => context.set_beginning("aws:userid", format!("{}:", principal.id)),
            _ => context.set("aws:userid", &principal.id),
        }
        // If the trust policy allows `sts:TagSession`, a session can bring tags, including other values for the role's
        // own tags.
        let trust = principal.trust_policy.iter().flat_map(|trust| &trust.statements);
        let mut tagging =
            trust.filter(|it| it.effect == Effect::Allow && concerns_action(it, "sts:TagSession"));
        let takes_tags = tagging.next().is_some();
        for (name, value) in &principal.tags {
            let key = format!("aws:PrincipalTag/{name}");
            if takes_tags {
                context.set_beginning(&key, "");
            } else {
                context.set(&key, value);
            }
        }
        if !takes_tags {
            context.close("aws:PrincipalTag/");
        }
        self.add_organization(&mut context, "aws:PrincipalOrg");
        if let Some(endpoint) = endpoint {
            context.set("aws:SourceVpce", &endpoint.vpc_endpoint_id);
            context.set("aws:SourceVpc", &endpoint.vpc_id);
        }
        context
    }

    /// Adds the account's organization to context keys with the prefix `keys`, if it is known, or known not to exist.
    pub(super) fn add_organization(&self, context: &mut Context, keys: &str) {
        match &self.snapshot.organization_id {
            Some(id) => context.set(&format!("{keys}ID"), id),
            None if !self.is_missing("organizations:DescribeOrganization") => context.close(keys),
            None => {}
        }
    }
}
