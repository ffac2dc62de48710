//! What is known of every request of a principal: its context, and who else may make it.

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
    /// The policy of the endpoint that its requests take.
    pub(super) fn endpoint_policy(&self) -> Option<Named<'a>> {
        let endpoint = self.endpoint?;
        Some(Named { name: &endpoint.vpc_endpoint_id, document: endpoint.policy.as_ref()? })
    }

    /// The statements of its own policies.
    pub(super) fn statements(&self) -> impl Iterator<Item = &'a Statement> {
        self.identity.iter().flat_map(|policy| &policy.document.statements)
    }

    /// The same, wherever its requests come from.
    pub(super) fn elsewhere(&self) -> Self {
        let mut other = Self { endpoint: None, ..self.clone() };
        other.context.forget("aws:SourceVpce");
        other.context.forget("aws:SourceVpc");
        other
    }

    /// The same, of requests that no service makes in its name.
    fn directly(&self) -> Self {
        let mut other = self.clone();
        other.context.set("aws:ViaAWSService", "false");
        other.context.close("aws:CalledVia");
        other
    }
}

/// What decides about a secret's key, besides policies of the caller.
#[derive(Clone, Copy)]
pub(super) struct Lock<'k> {
    pub(super) arn: &'k str,
    /// The key's.
    pub(super) account: &'k str,
    /// None if it is not known.
    pub(super) policy: Option<&'k Document>,
    pub(super) grants: Option<&'k Document>,
}

impl<'k> Lock<'k> {
    /// What has no key's ARN, such as an alias, counts as one of the own account: there, whoever the policies of the key let
    /// in needs none of its own.
    fn new(arn: &'k str, own: &'k str, policy: Option<&'k Document>, grants: Option<&'k Document>) -> Self {
        let account = arn.split(':').nth(4).filter(|_| arn.contains(":key/")).unwrap_or(own);
        Self { arn, account, policy, grants }
    }
}

impl<'a> Account<'a> {
    /// Whether a principal may do something to a secret, if need be to one that nobody made yet: a permissions boundary, a
    /// Deny or a control policy may keep it from what a statement allows. From anywhere: stolen credentials take no endpoint.
    pub(crate) fn may_at_all(&self, principal: &Principal, action: &str, arn: &str) -> bool {
        self.may_if_tagged(principal, action, arn, BTreeMap::new())
    }

    /// The same; what nobody made yet has these tags.
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
            created_date: Some(self.now()), // so that it is known to have no others
            ..Secret::default()
        };
        let secret = self.snapshot.secrets.iter().find(|secret| secret.arn == arn).cloned();
        let secret = secret.unwrap_or_else(made_up);
        let prepared = self.principals[principal.arn.as_str()].elsewhere();
        self.may_through(&secret, &prepared, action, &[]).secret.outcome != Outcome::Denied
    }

    /// Whether a principal may make a call for which no resource can be named: what a statement allows on ARNs does not count.
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

    /// What decides about a secret's key; none for the default one, which lets in whoever the secret does.
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

    /// What decides about a call on a key, and what is known of every such call.
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

    /// What is decided of a request that a role's functions and services make themselves, on the network path that they take.
    pub(crate) fn made_by_itself(
        &self,
        secret: &'a Secret,
        principal: &Principal,
        action: &str,
    ) -> Decision<'a> {
        self.may_through(secret, &self.principals[principal.arn.as_str()].directly(), action, &[]).secret
    }

    /// The endpoint whose policy alone keeps what runs as a principal from reading a secret, and the statement that denies it;
    /// none of those where it just allows nothing.
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

    /// Somebody who may call a principal an operator by a tag, and may not give it rights: of such a tag nobody knows who means
    /// it.
    pub(crate) fn tagger(&self, tagged: &Principal) -> Option<&Principal> {
        let kind = if tagged.arn.contains(":user/") { "User" } else { "Role" };
        let account = tagged.arn.split(':').nth(4).unwrap_or_default();
        let may = |principal: &Principal, action: String| {
            let prepared = &self.principals[principal.arn.as_str()];
            let mut context = prepared.context.clone();
            // Calls that give rights carry no tags: what a statement allows on such a condition gives none.
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

    /// What is known of every request of a principal.
    pub(crate) fn context_of(
        &self,
        principal: &Principal,
        caller: &Caller,
        endpoint: Option<&VpcEndpoint>,
    ) -> Context {
        let Snapshot { account, region, taken_at, .. } = self.snapshot;
        // Secrets of this Region and account; a key's own account is set where the key is known.
        let secrets = format!("arn::secretsmanager:{region}:{account}:");
        let mut context = service::context(caller, &secrets, account);
        if let Some(now) = taken_at {
            // Who will be a reader is one: it is said as a condition on the date.
            context.set_from("aws:CurrentTime", *now);
            context.set_from("aws:EpochTime", *now);
        }
        match caller.kind {
            _ if principal.id.is_empty() => {}
            // Its sessions have names of their own.
            CallerKind::Role => context.set_beginning("aws:userid", format!("{}:", principal.id)),
            _ => context.set("aws:userid", &principal.id),
        }
        // A session may bring tags, also other values of its role's, if whoever assumes the role may give them.
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

    /// Adds the account's organization to keys that begin so, if it is known which that is, or that there is none.
    pub(super) fn add_organization(&self, context: &mut Context, keys: &str) {
        match &self.snapshot.organization_id {
            Some(id) => context.set(&format!("{keys}ID"), id),
            None if !self.is_missing("organizations:DescribeOrganization") => context.close(keys),
            None => {}
        }
    }
}
