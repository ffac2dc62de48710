//! What is known of every request of a principal: its context, and who else may make it.

use super::{Account, DECRYPT, Prepared, READ};
use crate::condition::Context;
use crate::document::{Document, Effect, Scope, Statement};
use crate::evaluate::{
    Caller, CallerKind, Cited, Link, Named, Outcome, Policies, Request, concerns_action, evaluate,
};
use crate::service;
use crate::snapshot::{Key, Principal, Secret, Snapshot, VpcEndpoint};

impl<'a> Prepared<'a> {
    /// The policy of the endpoint that its requests take.
    pub(super) fn endpoint_policy(&self) -> Option<Named<'a>> {
        let endpoint = self.endpoint?;
        Some(Named { name: &endpoint.vpc_endpoint_id, document: endpoint.policy.as_ref()? })
    }

    /// The same, wherever its requests come from.
    pub(super) fn elsewhere(&self) -> Self {
        let mut other = Self { endpoint: None, ..self.clone() };
        other.context.forget("aws:SourceVpce");
        other.context.forget("aws:SourceVpc");
        other
    }
}

impl<'a> Account<'a> {
    /// Whether a principal may do something to a secret, if need be to one that nobody made yet: a permissions boundary, a
    /// Deny or a control policy may keep it from what a statement allows. From anywhere: stolen credentials take no endpoint.
    pub(crate) fn may_at_all(&self, principal: &Principal, action: &str, arn: &str) -> bool {
        let made_up = || Secret {
            arn: arn.to_owned(),
            name: arn.splitn(7, ':').last().unwrap_or_default().to_owned(),
            created_date: Some(self.now()), // so that it is known to have no tags
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

    /// What decides about a call on a key that has this policy and these grants, and what is known of every such call.
    pub(super) fn on_key<'k>(
        &self,
        prepared: &Prepared<'a>,
        key: &'k Key,
        document: &'k Document,
        grants: Option<&'k Document>,
    ) -> (Policies<'k>, Context)
    where
        'a: 'k,
    {
        let mut policies: Policies<'k> = self.policies(prepared);
        policies.resource = Some(Named { name: &key.arn, document });
        policies.is_key_policy = true;
        policies.grants = grants.map(|document| Named { name: "of the key", document });
        let mut context = prepared.context.clone();
        context.set("aws:ResourceAccount", key.account());
        (policies, context)
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
        let through = self.may_through(secret, prepared, READ, &[]).secret;
        let denies = through.because.iter().find(|cited| cited.link == Link::Endpoint).copied();
        let is_its = through.missing.contains(&Link::Endpoint) || denies.is_some();
        let past = Prepared { endpoint: None, ..prepared.clone() };
        (through.outcome == Outcome::Denied
            && is_its
            && self.may_through(secret, &past, READ, &[DECRYPT]).outcome() != Outcome::Denied)
            .then_some((endpoint, denies))
    }

    /// Whether a role's trust policy lets in anything else than the services that are known to run as it.
    pub(super) fn has_other_ways(&self, principal: &Principal) -> bool {
        let runs = |service: &str, kind: &str| {
            let mut places = self.snapshot.places().filter(|place| place.roles.contains(&principal.arn));
            places.any(|place| place.arn.split(':').nth(2) == Some(service) && place.arn.contains(kind))
        };
        let is_known = |(kind, id): (&String, &String)| {
            kind == "Service"
                && match id.as_str() {
                    "lambda.amazonaws.com" => runs("lambda", ":function:"),
                    "ecs-tasks.amazonaws.com" => runs("ecs", ":service/"),
                    "ec2.amazonaws.com" | "ec2.amazonaws.com.cn" => runs("ec2", ":instance/"),
                    _ => false,
                }
        };
        let trust = principal.trust_policy.iter().flat_map(|trust| &trust.statements);
        let assumes = |it: &Statement| {
            let calls = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
            it.effect == Effect::Allow && calls.iter().any(|call| concerns_action(it, call))
        };
        trust.filter(|it| assumes(it)).any(|statement| match &statement.principal {
            Some(Scope::Only(listed)) => {
                let mut ids = listed.0.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id)));
                ids.any(|it| !is_known(it))
            }
            _ => true,
        })
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
            context.set("aws:CurrentTime", now.to_string());
            context.set("aws:EpochTime", now.as_second().to_string());
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
